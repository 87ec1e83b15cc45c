"""What the two CP-SAT models of a job shop share: starts, finishes, outages, objective, hint and decoding."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ortools.sat.python import cp_model

from ....core.program import Program
from ..calendar import down_windows
from ..schedule import Schedule
from .horizon import first_schedule, last_moment
from .timebounds import time_bounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..data import JobShop
    from ..interruptions import Outages

__all__ = ["Operation", "ShopCp"]

Operation = tuple[int, int]


class ShopCp(Program):
    """Starts S, finishes F and the objective; a subclass adds the machines.

    Parameters
    ----------
    problem : JobShop
        The shop; started operations keep their starts, the others begin no earlier than now.
    scenario : Outages, optional
        Solve clairvoyantly for it; no outages by default.
    hint : Schedule, optional
        A schedule to start from; by default the best of a few quick episodes.
    horizon : int, optional
        Time by which everything is over, by default one that no sensible schedule exceeds.
    """

    backend = "cp-sat"
    sense = "min"
    integral_objective = True
    calendar: ClassVar[str] = "an operation may not start while its machine is down"

    def __init__(
        self,
        problem: JobShop,
        scenario: Outages | None = None,
        *,
        hint: Schedule | None = None,
        horizon: int | None = None,
    ) -> None:
        self.problem = problem
        self.scenario = problem.nominal() if scenario is None else scenario
        self.assumption = "" if horizon is None else f"none is over by horizon={horizon}"
        self.horizon = last_moment(problem, self.scenario) if horizon is None else int(horizon)
        self._build()
        start = first_schedule(problem, self.scenario) if hint is None else hint
        if start is not None:
            self.encode(start)

    def _build(self) -> None:
        self.model = cp_model.CpModel()
        problem = self.problem
        bounds = time_bounds(problem, self.scenario, span=self.horizon)
        self.work, self.earliest = bounds.work, bounds.earliest
        self.operations = [(j, k) for j, n in enumerate(problem.n_operations.tolist()) for k in range(n)]
        self.windows = down_windows(problem, self.scenario)
        self.start: dict[Operation, Any] = {}
        self.finish: dict[Operation, Any] = {}
        for j, k in self.operations:
            begun = problem.state is not None and problem.state.start[j, k] >= 0
            low = int(bounds.earliest[j, k])
            self.start[j, k] = self.model.new_int_var(low, low if begun else self.horizon, f"start_{j}_{k}")
            if begun:
                self.model.add(self.start[j, k] == int(problem.state.start[j, k]))  # type: ignore[union-attr]
            self.finish[j, k] = self._finish(j, k)
        for j, k in self.operations:
            if k:
                self.model.add(self.start[j, k] >= self.finish[j, k - 1])
        self._objective(bounds.lower)
        self.machines()

    @abstractmethod
    def machines(self) -> None:
        """Add that a machine takes one job at a time."""

    @abstractmethod
    def hint_more(self, schedule: Schedule) -> None:
        """Hints of the subclass's own variables."""

    def last(self, j: int) -> Operation:
        """Last operation of a job."""
        return j, int(self.problem.n_operations[j]) - 1

    def leaves(self, operation: Operation) -> Any:
        """When the machine is free again: the next start in a blocking shop, else the finish."""
        j, k = operation
        return self.start[j, k + 1] if self.problem.blocking and operation != self.last(j) else self.finish[operation]

    def visits(self, m: int) -> list[Operation]:
        """Operations on a machine."""
        return [(j, k) for j, k in self.operations if self.problem.machines[j, k] == m]

    def _finish(self, j: int, k: int) -> Any:
        """Start plus work; an outage that begins in between adds its length (``mode="resume"``)."""
        start, work = self.start[j, k], int(self.work[j, k])
        windows = self.windows[int(self.problem.machines[j, k])]
        if not windows:
            return start + work
        finish = self.model.new_int_var(0, self.horizon, f"finish_{j}_{k}")
        spent: list[Any] = []
        for begin, end in windows:
            before, across, after = (self.model.new_bool_var(f"{w}_{j}_{k}_{begin}") for w in ("b", "x", "a"))
            self.model.add_exactly_one(before, across, after)
            self.model.add(finish <= begin).only_enforce_if(before)
            self.model.add(start <= begin - 1).only_enforce_if(~after)
            self.model.add(start + work + sum(spent) >= begin + 1).only_enforce_if(across)
            self.model.add(start >= end).only_enforce_if(after)
            spent.append((end - begin) * across)
        self.model.add(finish == start + work + sum(spent))
        return finish

    def _objective(self, lower: int) -> None:
        problem, model = self.problem, self.model
        done = [self.finish[self.last(j)] for j in range(problem.n_jobs)]
        if problem.objective.name == "makespan":
            self.objective_value = model.new_int_var(lower, self.horizon, "makespan")
            for f in done:
                model.add(self.objective_value >= f)
        elif problem.objective.name == "total_flow":
            self.objective_value = sum(done) - int(problem.release.sum())
        else:
            assert problem.due is not None
            late = [model.new_int_var(0, self.horizon, f"late_{j}") for j in range(problem.n_jobs)]
            for j, f in enumerate(done):
                model.add(late[j] >= f - int(problem.due[j]))
            self.objective_value = sum(int(w) * t for w, t in zip(problem.weights, late, strict=True))
        model.minimize(self.objective_value)

    @property
    def objective_variable(self) -> Any:
        """The variable or expression that is minimised."""
        return self.objective_value

    def encode(self, solution: Schedule, *, fix: bool = False) -> None:
        """Hint a schedule (the newest hint counts), or fix every start to it."""
        solution.check_shape(self.problem)
        if fix:
            if int(solution.leave.max()) > self.horizon:
                self.horizon = int(solution.leave.max())
                self._build()
            for j, k in self.operations:
                self.model.add(self.start[j, k] == int(solution.start[j, k]))
            return
        self.model.clear_hints()
        for j, k in self.operations:
            self.model.add_hint(self.start[j, k], int(solution.start[j, k]))
        self.hint_more(solution)

    def decode(self, value: Callable[[Any], float]) -> Schedule:
        """Read the starts; finishes follow from them."""
        start = np.full(self.problem.machines.shape, -1, np.int64)
        for j, k in self.operations:
            start[j, k] = round(value(self.start[j, k]))
        return Schedule.realised(self.problem, start, self.scenario)
