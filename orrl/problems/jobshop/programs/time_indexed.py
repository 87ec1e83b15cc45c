"""Time-indexed program with step variables: y(o, t) = 1 where operation o has started by time t.

The start-time binaries of Pritsker, Watters & Wolfe (1969, Management Science 16:93-108) are the differences
x(o, t) = y(o, t) - y(o, t - 1); the change of variables keeps the linear relaxation and makes every row short (Artigues
2017, Operations Research Letters 45:154-159). With next(o) the job's next operation, each unit slot [t, t + 1) of a
machine takes

    sum over o of y(o, t) - y(o, t - p(o)) <= 1       unlimited storage, and a job's last operation,
    sum over o of y(o, t) - y(next(o), t)  <= 1       blocking: the job stays until its next operation starts,

so that jobs may swap at time t. The relaxation is much stronger than that of a big-M program and much larger.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ....core.errors import NotSupportedError
from ....core.linear import Key, Linear
from .shop_program import PyomoModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..data import JobShop
    from ..interruptions import IntArray, Outages
    from ..schedule import Schedule

__all__ = ["TimeIndexed"]

Operation = tuple[int, int]


class Sum:
    """A sum of step variables, some of which are known to be 0 or 1."""

    def __init__(self) -> None:
        self.terms: dict[Key, float] = {}
        self.known = 0.0

    def add(self, factor: float, step: Key | float) -> None:
        """Add ``factor * step``."""
        if isinstance(step, tuple):
            self.terms[step] = self.terms.get(step, 0.0) + factor
        else:
            self.known += factor * step

    def pairs(self) -> list[tuple[Key, float]]:
        """Terms whose coefficient is not zero."""
        return [(key, a) for key, a in self.terms.items() if a]


class TimeIndexed(PyomoModel):
    """See the module's text. Options are those of `ShopProgram`, and one more.

    Parameters
    ----------
    problem, scenario, horizon, hint, relax
        As in `ShopProgram`.
    max_columns : int
        Refuse to build a larger model.

    Raises
    ------
    NotSupportedError
        A blocking shop without swap (unit slots do not order what happens at one moment), or more than `max_columns`
        variables.
    """

    form = "time-indexed"
    determined: ClassVar[tuple[str, ...]] = ("begun",)

    def __init__(
        self, problem: JobShop, scenario: Outages | None = None, *, max_columns: int = 200_000, **options: Any
    ) -> None:
        if problem.blocking and not problem.swap:
            raise NotSupportedError(
                "the time-indexed program cannot forbid swaps (it does not order what happens at one moment): use "
                "form='disjunctive'"
            )
        self.max_columns = max_columns
        super().__init__(problem, scenario, **options)

    def step(self, operation: Operation, t: int) -> Key | float:
        """y(o, t): a column inside the operation's time bounds, 0 before them and 1 after."""
        if t < self.bounds.earliest[operation]:
            return 0.0
        return 1.0 if t >= self.bounds.latest[operation] else ("begun", *operation, t)

    def leaves(self, operation: Operation, t: int) -> Key | float:
        """1 where the operation has left its machine by t."""
        j, k = operation
        if self.problem.blocking and k + 1 < self.problem.n_operations[j]:
            return self.step((j, k + 1), t)
        return self.step(operation, t - int(self.bounds.work[operation]))

    def table(self) -> Linear:
        """Columns begun (and over) and their rows."""
        bounds, table = self.bounds, Linear()
        own = self.problem.machines >= 0
        size = int((bounds.latest - bounds.earliest)[own].sum())
        if size > self.max_columns:
            raise NotSupportedError(
                f"the time-indexed program of {self.problem.name} needs {size} variables, more than "
                f"max_columns={self.max_columns}: give horizon= the objective of a good schedule (or hint= the "
                "schedule), a coarser time unit, a larger max_columns, or use form='disjunctive'"
            )
        operations = [(int(j), int(k)) for j, k in zip(*np.nonzero(own), strict=True)]
        for j, k in operations:
            for t in range(bounds.earliest[j, k], bounds.latest[j, k]):
                key = table.column(("begun", j, k, t), 0, 1, integer=True)
                if t > bounds.earliest[j, k]:
                    table.at_least(("stay_begun", j, k, t), 0.0, (key, 1.0), (("begun", j, k, t - 1), -1.0))
        for j, k in operations:
            if k + 1 < self.problem.n_operations[j]:
                work = int(bounds.work[j, k])
                for t in range(bounds.earliest[j, k + 1], bounds.latest[j, k] + work):
                    row = Sum()
                    row.add(1.0, self.step((j, k), t - work))
                    row.add(-1.0, self.step((j, k + 1), t))
                    table.at_least(("precedence", j, k, t), -row.known, *row.pairs())
        for m in range(self.problem.n_machines):
            visits = [o for o in operations if self.problem.machines[o] == m]
            self._add_machine(table, m, visits)
        self._add_objective(table)
        return table

    def _add_machine(self, table: Linear, m: int, visits: list[Operation]) -> None:
        bounds = self.bounds
        if len(visits) < 2:
            return
        last = max(int(bounds.latest[o] + bounds.work[o]) for o in visits)
        for t in range(int(min(bounds.earliest[o] for o in visits)), last):
            row = Sum()
            for o in visits:
                row.add(1.0, self.step(o, t))
                row.add(-1.0, self.leaves(o, t))
            if row.pairs():
                table.at_most(("capacity", m, t), 1.0 - row.known, *row.pairs())
        for a in (o for o in visits if self.begun(o)):
            for b in (o for o in visits if not self.begun(o)):
                self._add_after(table, a, b)
        for b in visits:
            if bounds.work[b] == 0:
                self._add_instant(table, b, [a for a in visits if a != b])

    def _add_after(self, table: Linear, a: Operation, b: Operation) -> None:
        """What has begun leaves before b comes, also where b takes no time."""
        for t in range(int(self.bounds.earliest[b]), int(self.bounds.latest[b])):
            row = Sum()
            row.add(1.0, self.leaves(a, t))
            row.add(-1.0, self.step(b, t))
            table.at_least(("after_begun", *a, *b, t), -row.known, *row.pairs())

    def _add_instant(self, table: Linear, b: Operation, others: list[Operation]) -> None:
        """An operation of no length fills no slot: it starts at t only where nobody is on the machine across t."""
        for t in range(int(self.bounds.earliest[b]), int(self.bounds.latest[b]) + 1):
            row = Sum()
            row.add(1.0, self.step(b, t))
            row.add(-1.0, self.step(b, t - 1))
            for a in others:
                across = Sum()
                across.add(1.0, self.step(a, t - 1))
                across.add(-1.0, self.leaves(a, t))
                if self.bounds.work[a] > 0:
                    for key, factor in across.pairs():
                        row.add(factor, key)
                    row.known += across.known
                elif self.problem.blocking and across.pairs():  # may be -1 where a comes and goes at t
                    key = table.column(("across", *a, t), 0, 1)
                    pairs = [(other, -factor) for other, factor in across.pairs()]
                    table.at_least(("across_row", *a, t), across.known, (key, 1.0), *pairs)
                    row.add(1.0, key)
            if row.pairs():
                table.at_most(("instant", *b, t), 1.0 - row.known, *row.pairs())

    def _add_objective(self, table: Linear) -> None:
        problem, bounds = self.problem, self.bounds
        last = [(j, n - 1) for j, n in enumerate(problem.n_operations.tolist())]
        if problem.objective.name == "makespan":
            end = max(int(bounds.latest[o] + bounds.work[o]) for o in last)
            table.offset = float(end)
            for t in range(bounds.lower, end):
                key = table.column(("over", t), 0, 1, cost=-1.0)  # 1 where everything is over by t
                for j, k in last:
                    row = Sum()
                    row.add(1.0, self.step((j, k), t - int(bounds.work[j, k])))
                    row.add(-1.0, key)
                    table.at_least(("completion", j, t), -row.known, *row.pairs())
            return
        for j, k in last:
            first, final = int(bounds.earliest[j, k]), int(bounds.latest[j, k])
            cost = [self._cost(j, t + int(bounds.work[j, k])) for t in range(first, final + 1)]
            table.offset += cost[-1]  # starting by t saves the cost of every later step
            for t, (now, later) in enumerate(itertools.pairwise(cost), first):
                table.column(("begun", j, k, t), 0, 1, integer=True, cost=now - later)

    def _cost(self, j: int, done: int) -> float:
        problem = self.problem
        if problem.objective.name == "total_flow":
            return float(done - problem.release[j])
        assert problem.due is not None
        return float(problem.weights[j] * max(0, done - int(problem.due[j])))

    def values(self, schedule: Schedule) -> dict[Key, float]:
        """Step variables of a schedule."""
        values: dict[Key, float] = {}
        for key in self.linear.columns:
            if key[0] == "begun":
                values[key] = float(schedule.start[key[1:3]] <= key[3])
            elif key[0] == "over":
                values[key] = float(schedule.makespan <= key[1])
            else:  # across
                values[key] = float(schedule.start[key[1:3]] < key[3] < schedule.leave[key[1:3]])
        return values

    def read_starts(self, value: Callable[[Key], float]) -> IntArray:
        """The first moment at which each operation has started."""
        start = self.bounds.latest.copy()
        for key in self.linear.columns:
            if key[0] == "begun" and value(key) > 0.5:
                start[key[1:3]] -= 1
        return start
