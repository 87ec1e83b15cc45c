"""Disjunctive big-M program of every variant (Manne 1960, Operations Research 8:219-223), in Pyomo and in highspy.

One binary a pair of operations a, b on one machine says who is first (x = 1: a). With S the starts, and R(a) the moment
at which a leaves its machine,

    S(b) >= R(a) - M (1 - x),    S(a) >= R(b) - M' x.

R(a) = S(a) + p(a) in a shop with unlimited storage and for a job's last operation; in a blocking shop
R(a) = S(next of a) (the alternative graph of Mascis & Pacciarelli 2002, European Journal of Operational Research
143:498-517). The weak inequality lets jobs swap. Without swap every cycle is forbidden, those of zero length too, by
ranks u that grow along every arc: u(next of a) >= u(a) + 1, and u(b) >= u(next of a) + 1 where a is before b.
Each M is the least that the time bounds allow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from ....core.errors import OrrlError
from ....core.linear import Key, Linear
from .shop_program import HighsModel, PyomoModel, ShopProgram

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..interruptions import IntArray
    from ..schedule import Schedule

__all__ = ["DisjunctiveHighs", "DisjunctivePyomo"]

Operation = tuple[int, int]


class Choice(NamedTuple):
    """One way to order a pair: `second` starts `length` after `tail` starts where the binary `pair` is `when`."""

    pair: Key
    when: int
    tail: Operation
    second: Operation
    length: int


class Disjunctive(ShopProgram):
    """The rows; see the module's text. Options are those of `ShopProgram`."""

    form = "disjunctive"
    determined: ClassVar[tuple[str, ...]] = ("start", "before")

    def table(self) -> Linear:
        """Columns start, before (and makespan, late, rank) and their rows."""
        table, bounds = Linear(), self.bounds
        for j, n in enumerate(self.problem.n_operations.tolist()):
            for k in range(n):
                table.column(("start", j, k), bounds.earliest[j, k], bounds.latest[j, k])
        for j, n in enumerate(self.problem.n_operations.tolist()):
            for k in range(n - 1):
                arc = ((("start", j, k + 1), 1.0), (("start", j, k), -1.0))
                table.at_least(("precedence", j, k), float(bounds.work[j, k]), *arc)
        for choice in self.choices():
            self._add_choice(table, choice)
        if self.problem.blocking and not self.problem.swap:
            self._add_ranks(table)
        self._add_objective(table)
        return table

    def choices(self) -> list[Choice]:
        """Both orders of every pair of operations of different jobs on one machine."""
        problem, found = self.problem, []
        for m in range(problem.n_machines):
            visits = [(int(j), int(k)) for j, k in zip(*np.nonzero(problem.machines == m), strict=True)]
            for i, a in enumerate(visits):
                for b in visits[i + 1 :]:
                    if a[0] != b[0]:
                        pair = ("before", *a, *b)
                        found += [Choice(pair, 1, *self._leaves(a, b)), Choice(pair, 0, *self._leaves(b, a))]
        return found

    def _leaves(self, first: Operation, second: Operation) -> tuple[Operation, Operation, int]:
        j, k = first
        if self.problem.blocking and k + 1 < self.problem.n_operations[j]:
            return (j, k + 1), second, 0
        return first, second, int(self.bounds.work[j, k])

    def _add_choice(self, table: Linear, choice: Choice) -> None:
        early, late = self.bounds.earliest, self.bounds.latest
        pair, when, tail, second, length = choice
        low, high = table.columns[pair][:2] if pair in table.columns else (0.0, 1.0)
        first = pair[1:3] if when else pair[3:5]
        begun = self.begun(second) and not self.begun(first)
        if begun or early[tail] + length > late[second]:  # this order is too late, so it is the other one
            low, high = (1.0, high) if when == 0 else (low, 0.0)
        if low <= high:  # where neither order fits, the rows say so
            table.column(pair, low, high, integer=True)
        big = max(0, int(late[tail] + length - early[second]))
        # when = 1: S(second) - S(tail) - M x >= length - M;   when = 0: S(second) - S(tail) + M x >= length
        sign, limit = (-1.0, length - big) if when else (1.0, length)
        name = "first" if when else "second"
        terms = [(("start", *second), 1.0), (("start", *tail), -1.0), (pair, sign * big)]
        table.at_least((name, *pair[1:]), float(limit), *(t for t in terms if t[1]))

    def _add_ranks(self, table: Linear) -> None:
        lengths = self.problem.n_operations.tolist()
        total = sum(lengths)
        high = {(j, k): total - n + k for j, n in enumerate(lengths) for k in range(n)}
        for (j, k), most in high.items():
            table.column(("rank", j, k), k, most)
            if k:
                table.at_least(("rank_step", j, k), 1.0, (("rank", j, k), 1.0), (("rank", j, k - 1), -1.0))
        for pair, when, tail, second, _ in self.choices():
            big = high[tail] + 1 - second[1]
            sign, limit = (-1.0, 1 - big) if when else (1.0, 1)
            name = "rank_first" if when else "rank_second"
            terms = ((("rank", *second), 1.0), (("rank", *tail), -1.0), (pair, sign * big))
            table.at_least((name, *pair[1:]), float(limit), *terms)

    def _add_objective(self, table: Linear) -> None:
        # whole-number columns carry the objective, so that the solver may round its bound
        problem, bounds = self.problem, self.bounds
        last = [(j, n - 1) for j, n in enumerate(problem.n_operations.tolist())]
        if problem.objective.name == "total_flow":
            for j, k in last:
                table.column(("start", j, k), bounds.earliest[j, k], bounds.latest[j, k], integer=True, cost=1.0)
                table.offset += float(bounds.work[j, k] - problem.release[j])
            return
        if problem.objective.name == "makespan":
            latest = max(int(bounds.latest[o] + bounds.work[o]) for o in last)
            table.column(("makespan",), bounds.lower, latest, integer=True, cost=1.0)
            for j, k in last:
                terms = ((("makespan",), 1.0), (("start", j, k), -1.0))
                table.at_least(("completion", j), float(bounds.work[j, k]), *terms)
            return
        assert problem.due is not None
        for j, k in last:
            ahead = int(bounds.work[j, k] - problem.due[j])
            first, worst = (max(0, int(side[j, k]) + ahead) for side in (bounds.earliest, bounds.latest))
            table.column(("late", j), first, worst, integer=True, cost=float(problem.weights[j]))
            table.at_least(("tardiness", j), ahead, (("late", j), 1.0), (("start", j, k), -1.0))

    def values(self, schedule: Schedule) -> dict[Key, float]:
        """Starts, the orders and ranks that follow from them, and the objective's columns."""
        problem, start = self.problem, schedule.start
        values: dict[Key, float] = {}
        for key in self.linear.columns:
            if key[0] == "start":
                values[key] = float(start[key[1:]])
            elif key[0] == "before":
                a, b = key[1:3], key[3:5]
                first, second = (bool(schedule.leave[o] <= start[p]) for o, p in ((a, b), (b, a)))
                if first != second:  # visits of no length at one moment may go either way
                    values[key] = float(first)
            elif key[0] == "makespan":
                values[key] = float(schedule.makespan)
            elif key[0] == "late":
                assert problem.due is not None
                done = schedule.finish[key[1], problem.n_operations[key[1]] - 1]
                values[key] = float(max(0, int(done) - int(problem.due[key[1]])))
        return values | self._rank_values(values)

    def _rank_values(self, values: dict[Key, float]) -> dict[Key, float]:
        choices = self.choices()
        if not self.problem.blocking or self.problem.swap or any(c.pair not in values for c in choices):
            return {}
        arcs = [(c.tail, c.second) for c in choices if values[c.pair] == c.when]
        lengths = self.problem.n_operations.tolist()
        arcs += [((j, k - 1), (j, k)) for j, n in enumerate(lengths) for k in range(1, n)]
        rank = {(j, k): 0 for j, n in enumerate(lengths) for k in range(n)}
        for _ in rank:
            raised = False
            for tail, head in arcs:
                if rank[head] <= rank[tail]:
                    rank[head], raised = rank[tail] + 1, True
            if not raised:
                return {("rank", *operation): float(r) for operation, r in rank.items()}
        return {}  # a swap: the solver will refuse the start

    def read_starts(self, value: Callable[[Key], float]) -> IntArray:
        """Starts as whole numbers; where rounding breaks a row that the orders ask for, the later start moves up.

        Rounding down keeps every inequality between starts, because all lengths are whole numbers; what is left for
        the repair is the solver's tolerance.
        """
        bounds = self.bounds
        start = np.full(bounds.work.shape, -1, np.int64)
        for key in self.linear.columns:
            if key[0] == "start":
                start[key[1:]] = int(np.floor(value(key) + 1e-3))
        arcs = [((j, k), (j, k + 1), int(bounds.work[j, k])) for j, k in self._not_last()]
        arcs += [c[2:] for c in self.choices() if round(value(c.pair)) == c.when]
        for _ in range(start.size + 1):
            raised = False
            for tail, head, length in arcs:
                if start[head] < start[tail] + length:
                    start[head], raised = start[tail] + length, True
            if not raised:
                return start
        raise OrrlError(
            "the solver's tolerance let a contradiction through (times are large against 1e-6): scale the time unit, "
            "or give horizon= or hint= for a smaller big-M"
        )

    def _not_last(self) -> list[Operation]:
        return [(j, k) for j, n in enumerate(self.problem.n_operations.tolist()) for k in range(n - 1)]


class DisjunctivePyomo(PyomoModel, Disjunctive):
    """The disjunctive program as a Pyomo model: ``model.start[j, k]``, ``model.before[j, k, i, q]``."""


class DisjunctiveHighs(HighsModel, Disjunctive):
    """The disjunctive program as arrays in HiGHS."""
