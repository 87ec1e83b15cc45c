"""CP-SAT model on pairwise literals: the alternative graph as clauses.

One literal x(a, b) a pair of operations on a machine says that a is there before b:

    x(a, b)  =>  S(b) >= R(a),      not x(a, b)  =>  S(a) >= R(b),

with R(a) the moment at which a leaves its machine (Mascis & Pacciarelli 2002, European Journal of Operational Research
143:498-517). Two arcs between the same two jobs i and j contradict each other where they close a cycle of positive
length. In a blocking shop, if i at position k is before j at position l, and j at q were before i at p with p <= k + 1
and l <= q + 1, then

    S(i, p) >= S(j, q + 1) >= S(j, l) + p(j, l..q) >= S(i, k + 1) + p(j, l..q) >= S(i, p) + p(i, p..k) + p(j, l..q),

so x(i k, j l) implies x(i p, j q) as soon as the two sums are positive (without swap: always). These clauses hold for
every objective, release dates and running states, since they use precedences only; dominance and no-overtaking are
special cases. There are no intervals and no LP, so that clause learning does the work.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from .shop_cp import Operation, ShopCp

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..schedule import Schedule

__all__ = ["LiteralCpSat"]

MANY = 40_000  # literals and their negations


class LiteralCpSat(ShopCp):
    """Literals and binary clauses; options are those of `ShopCp`."""

    form = "literal"

    def machines(self) -> None:
        """Literals, their arcs, the clauses between them, and ranks where swaps are forbidden."""
        self.before: dict[tuple[Operation, Operation], Any] = {}
        self.rank: dict[Operation, Any] = {}
        if self.problem.blocking and not self.problem.swap:
            self._add_ranks()
        for m in range(self.problem.n_machines):
            for a, b in combinations(self.visits(m), 2):
                if a[0] != b[0]:  # visits of one job are in order already
                    first = self.new_bool(f"before_{a}_{b}", _is_before(a, b))
                    self.before[a, b], self.before[b, a] = first, ~first
                    self._add_arc(a, b, first)
                    self._add_arc(b, a, ~first)
        self._add_clauses()

    def _add_arc(self, a: Operation, b: Operation, literal: Any) -> None:
        self.model.add(self.start[b] >= self.leaves(a)).only_enforce_if(literal)
        if self.rank:
            self.model.add(self.rank[b] >= self.rank[self._tail(a)] + 1).only_enforce_if(literal)

    def _tail(self, a: Operation) -> Operation:
        """The operation whose start frees the machine of `a` in a blocking shop; the last one frees it itself."""
        return a if a == self.last(a[0]) else (a[0], a[1] + 1)

    def _add_ranks(self) -> None:
        """Numbers that grow along every arc, so that no cycle is left, not even one of length zero."""
        count = len(self.operations)
        for j, k in self.operations:
            self.rank[j, k] = self.model.new_int_var(k, count, f"rank_{j}_{k}")
            if k:
                self.model.add(self.rank[j, k] >= self.rank[j, k - 1] + 1)

    def _add_clauses(self) -> None:
        if len(self.before) > MANY:  # two a pair; the clauses would be millions
            return
        shift = 1 if self.problem.blocking else 0
        strict = self.problem.blocking and not self.problem.swap
        sums = np.concatenate([np.zeros((len(self.work), 1), np.int64), self.work.cumsum(axis=1)], axis=1)
        meetings: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for (i, k), (j, q) in self.before:
            if i < j:
                meetings.setdefault((i, j), []).append((k, q))
        for (i, j), pairs in meetings.items():
            for k, r in pairs:
                for p, q in pairs:
                    if (k, r) == (p, q) or p > k + shift or r > q + shift:
                        continue
                    length = sums[i, k + 1] - sums[i, p] + sums[j, q + 1] - sums[j, r]
                    if length > 0 or strict:
                        self.model.add_implication(self.before[(i, k), (j, r)], self.before[(i, p), (j, q)])

    def hint_more(self, schedule: Schedule) -> None:
        """Ranks: positions in an order that follows all arcs, where the schedule has one."""
        if not self.rank:
            return
        arcs = {(a, b) for (a, b) in self.before if a != b and _is_before(a, b)(schedule)}
        after: dict[Operation, set[Operation]] = {o: set() for o in self.operations}
        for a, b in arcs:
            after[b].add(self._tail(a))
        for j, k in self.operations:
            if k:
                after[j, k].add((j, k - 1))
        try:
            order = TopologicalSorter(after).static_order()
            for place, operation in enumerate(order):
                self.model.add_hint(self.rank[operation], place)
        except CycleError:
            return

    def parameters(self, threads: int) -> dict[str, Any]:
        """CP-SAT parameters with which this model is proved soonest.

        No LP and no inprocessing, and the older propagation of precedences, which is twice as fast here. A single
        worker bisects the objective first, which helps its bound most; several do better without.
        """
        chosen = {
            "linearization_level": 0,
            "use_sat_inprocessing": False,
            "new_linear_propagation": False,
            "also_bump_variables_in_conflict_reasons": True,
        }
        return chosen | ({"binary_search_num_conflicts": 200} if threads == 1 else {})


def _is_before(a: Operation, b: Operation) -> Callable[[Schedule], bool]:
    """Whether a has left by the time b comes; of two visits of no length at one moment, the smaller name is first."""

    def read(schedule: Schedule) -> bool:
        one = (int(schedule.start[a]), int(schedule.leave[a]), a)
        return one < (int(schedule.start[b]), int(schedule.leave[b]), b)

    return read
