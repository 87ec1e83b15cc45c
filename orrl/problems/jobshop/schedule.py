"""`Schedule`: when each operation starts, ends and leaves its machine; from a plan, an episode or machine sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ...core.errors import DataError
from .calendar import Calendar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from .data import JobShop
    from .interruptions import IntArray, Outages

__all__ = ["Schedule"]


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Times of every operation; -1 in padded places.

    Parameters
    ----------
    start : (J, K) int
        When the operation enters its machine.
    finish : (J, K) int
        When its processing ends.
    leave : (J, K) int
        When the machine is free again: the next start in a blocking shop, else the finish.
    machines : (J, K) int
        Machine of each operation, -1 in padded places.
    job_names, machine_names : tuple of str
        For tables and plots.
    """

    start: IntArray
    finish: IntArray
    leave: IntArray
    machines: IntArray
    job_names: tuple[str, ...]
    machine_names: tuple[str, ...]

    @property
    def makespan(self) -> int:
        """Largest finish."""
        return int(self.finish.max())

    @classmethod
    def realised(cls, problem: JobShop, start: Any, scenario: Outages | None = None) -> Self:
        """Schedule with these starts; the finishes follow from durations and outages.

        Parameters
        ----------
        problem : JobShop
            The shop.
        start : (J, K) array_like of int, or ragged
            Start times, -1 where an operation has none; padded places are ignored.
        scenario : Outages, optional
            No outages by default.
        """
        calendar = Calendar(problem, problem.nominal() if scenario is None else scenario)
        begin = np.full_like(problem.machines, -1)
        if len(start) != problem.n_jobs:
            raise DataError(f"start times of {len(start)} jobs: {problem.name} has {problem.n_jobs}")
        for j, n in enumerate(problem.n_operations):
            if len(start[j]) < n:
                raise DataError(f"{problem.job_names[j]}: {len(start[j])} start times, it has {n} operations")
            begin[j, :n] = start[j][:n]
        finish = np.full_like(begin, -1)
        for j, n in enumerate(problem.n_operations):
            for k in range(n):
                finish[j, k] = calendar.finish(j, k, int(begin[j, k])) if begin[j, k] >= 0 else -1
        leave = finish.copy()
        if problem.blocking:
            for j, n in enumerate(problem.n_operations):
                leave[j, : n - 1] = begin[j, 1:n]
        return cls(begin, finish, leave, problem.machines, problem.job_names, problem.machine_names)

    @classmethod
    def from_sequences(
        cls, problem: JobShop, sequences: Sequence[Sequence[int]], scenario: Outages | None = None
    ) -> Self:
        """Earliest schedule in which each machine takes its jobs in the given order.

        Parameters
        ----------
        problem : JobShop
            The shop.
        sequences : M sequences of int
            Jobs on each machine; a job that visits a machine twice stands there twice.
        scenario : Outages, optional
            No outages by default.

        Raises
        ------
        DataError
            Where a machine's list is not a permutation of its operations, or the orders contradict each other (a cycle;
            in a blocking shop without swap also a cycle of zero length), or what has begun stands behind what has not.
        """
        from .sequencing import earliest_starts, order_operations

        world = problem.nominal() if scenario is None else scenario
        orders = order_operations(problem, sequences)
        return cls.realised(problem, earliest_starts(problem, orders, world), world)

    def sequences(self) -> list[list[int]]:
        """Jobs on each machine in order of entry (a same-moment zero-length visit comes first)."""
        visits: list[list[tuple[int, int, int, int]]] = [[] for _ in self.machine_names]
        for j, k in zip(*np.nonzero(self.machines >= 0), strict=True):
            visit = (int(self.start[j, k]), int(self.leave[j, k]), int(k), int(j))
            visits[self.machines[j, k]].append(visit)
        return [[v[3] for v in sorted(row)] for row in visits]

    def to_frame(self) -> pd.DataFrame:
        """One row per operation: job, operation, machine, start, finish, leave."""
        import pandas as pd

        rows = [
            (
                self.job_names[j],
                int(k),
                self.machine_names[self.machines[j, k]],
                int(self.start[j, k]),
                int(self.finish[j, k]),
                int(self.leave[j, k]),
            )
            for j, k in zip(*np.nonzero(self.machines >= 0), strict=True)
        ]
        return pd.DataFrame(rows, columns=["job", "operation", "machine", "start", "finish", "leave"])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        tables = {k: getattr(self, k).tolist() for k in ("start", "finish", "leave", "machines")}
        return {**tables, "job_names": list(self.job_names), "machine_names": list(self.machine_names)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        start, finish, leave, machines = (np.array(data[k], np.int64) for k in ("start", "finish", "leave", "machines"))
        return cls(start, finish, leave, machines, tuple(data["job_names"]), tuple(data["machine_names"]))

    def check_shape(self, problem: JobShop) -> None:
        """Refuse a schedule of another shop."""
        if self.start.shape != problem.machines.shape:
            raise DataError(
                f"the schedule has {self.start.shape[0]} jobs x {self.start.shape[1]} operations, {problem.name} has "
                f"{problem.machines.shape[0]} x {problem.machines.shape[1]}"
            )
