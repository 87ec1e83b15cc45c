"""A first schedule by job insertion, and a time by which everything can be over.

Job insertion: jobs come one after another into the gaps that the earlier ones have left on the machines, each along the
path of gaps that ends first. An earlier arrival in a gap is never worse, since a job can wait there, so one pass over
the gaps finds that path.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

import numpy as np

from ....core.seeds import stream
from ..calendar import Calendar, down_windows
from ..schedule import Schedule
from .timebounds import serial_span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..data import JobShop
    from ..interruptions import Outages

__all__ = ["first_schedule", "last_moment"]

EVER = 1 << 60
Gap = tuple[int, int]
Starts = list[list[int]]


def last_moment(problem: JobShop, scenario: Outages) -> int:
    """Time by which any schedule without pointless idling is over, outages included.

    A longest path makes progress whenever no machine at all is down, and needs `serial_span` of it.
    """
    work = np.where(problem.machines >= 0, problem.durations + scenario.extra, 0)
    clock, left = 0, serial_span(problem, work)
    for begin, end in sorted(w for own in down_windows(problem, scenario) for w in own):
        if begin > clock + left:  # at the very end an operation of no length may still have to start
            break
        left -= max(0, begin - clock)
        clock = max(clock, end)
    return clock + left


def first_schedule(problem: JobShop, scenario: Outages) -> Schedule | None:
    """The best of some insertion orders: by due date, longest job first, then random ones (always the same).

    Returns
    -------
    Schedule or None
        None where the running state of a blocking shop cannot be left job by job and the dispatching rules deadlock.
    """
    shop = _Insertion(problem, scenario)
    operations = int(problem.n_operations.sum())
    effort = 60_000 if problem.blocking else 600  # the model of a plain shop needs no help; a try costs about 1 ms
    tries = min(200, max(2, effort // (operations * problem.n_jobs)))
    rng = stream(0, "first-schedule")
    orders = [np.argsort(-shop.calendar.work.sum(axis=1), kind="stable")]
    if problem.due is not None:
        orders.insert(0, np.argsort(problem.due, kind="stable"))
    orders += [rng.permutation(problem.n_jobs) for _ in range(tries - len(orders))]
    best, found = float("inf"), None
    for order in orders:
        start = shop.build(order.tolist())
        if start is None:
            break
        value = shop.objective(start)
        if value < best:
            best, found = value, start
    return _by_rules(problem, scenario) if found is None else Schedule.realised(problem, found, scenario)


class _Insertion:
    """One shop under one scenario, ready to be filled in any order of jobs."""

    def __init__(self, problem: JobShop, scenario: Outages) -> None:
        self.problem, self.calendar = problem, Calendar(problem, scenario)
        self.route = [row[:n] for row, n in zip(problem.machines.tolist(), problem.n_operations.tolist(), strict=True)]
        self.work, self.release = self.calendar.work.tolist(), problem.release.tolist()
        self.down = any(self.calendar.windows)
        self.strict = problem.blocking and not problem.swap
        self.now = 0 if problem.state is None else problem.state.time
        self.done = [0] * problem.n_jobs if problem.state is None else (problem.state.start >= 0).sum(axis=1).tolist()

    def build(self, order: Sequence[int]) -> Starts | None:
        """Starts (J, K) when jobs are inserted in this order, those on their way first; None where that gets stuck."""
        start = [[-1] * self.problem.machines.shape[1] for _ in self.route]
        busy: list[list[Gap]] = [[] for _ in self.calendar.windows]
        if self.problem.state is not None:
            start = self.problem.state.start.tolist()
        for j in order:
            for k in range(self.done[j]):
                self._enter(busy, j, k, start)
        moving = [j for j in order if self.done[j]]
        while moving:  # whoever can finish while the others stay where they are, goes first
            able = next((j for j in moving if self._insert(busy, j, start)), None)
            if able is None:
                return None
            moving.remove(able)
        return start if all(self._insert(busy, j, start) for j in order if not self.done[j]) else None

    def objective(self, start: Starts) -> float:
        """What the schedule costs, by the problem's own rule."""
        problem = self.problem
        last = [len(row) - 1 for row in self.route]
        over = np.array([self.calendar.finish(j, k, start[j][k]) for j, k in enumerate(last)])
        if problem.objective.name == "makespan":
            return float(over.max())
        if problem.due is None or problem.objective.name == "total_flow":
            return float((over - problem.release).sum())
        return float((problem.weights * np.maximum(0, over - problem.due)).sum())

    def _finish(self, j: int, k: int, start: int) -> int:
        return self.calendar.finish(j, k, start) if self.down else start + self.work[j][k]

    def _visit(self, j: int, k: int, start: Starts) -> Gap:
        """When operation (j, k) holds its machine; for ever where a blocked job has nowhere to go yet."""
        begin = start[j][k]
        if self.problem.blocking and k + 1 < len(self.route[j]):
            return begin, start[j][k + 1] if start[j][k + 1] >= 0 else EVER
        return begin, self._finish(j, k, begin)

    def _enter(self, busy: list[list[Gap]], j: int, k: int, start: Starts) -> None:
        insort(busy[self.route[j][k]], self._visit(j, k, start))

    def _insert(self, busy: list[list[Gap]], j: int, start: Starts) -> bool:
        """Find the rest of a job's way through the gaps and enter it; False where there is none."""
        first, ready = self.done[j], max(self.now, self.release[j])
        if first == len(self.route[j]):
            return True
        if first:
            ready = max(self.now, self._finish(j, first - 1, start[j][first - 1]))
        path = (self._hold if self.problem.blocking else self._pass)(busy, j, first, ready)
        if path is None:
            return False
        if first:
            busy[self.route[j][first - 1]].remove(self._visit(j, first - 1, start))
        start[j][first : len(self.route[j])] = path
        for k in range(max(0, first - 1), len(self.route[j])):
            self._enter(busy, j, k, start)
        return True

    def _gaps(self, busy: list[list[Gap]], m: int, ready: int) -> list[Gap]:
        """Free time of a machine from `ready` on, as (begin, latest leave)."""
        gaps, clock = [], 0
        for begin, end in busy[m]:
            present = self.problem.state is not None and begin <= self.now  # nothing goes before what has begun
            if begin >= clock and begin >= ready and not present:
                gaps.append((clock, begin - self.strict))
            clock = max(clock, end)
        if clock < EVER:
            gaps.append((clock, EVER))
        return gaps

    def _pass(self, busy: list[list[Gap]], j: int, first: int, ready: int) -> list[int] | None:
        """Earliest starts where a job may wait anywhere between its machines."""
        path = []
        for k in range(first, len(self.route[j])):
            for low, high in self._gaps(busy, self.route[j][k], ready):
                begin = self.calendar.earliest(j, k, max(ready, low))
                end = self._finish(j, k, begin)
                if end <= high:
                    break
            path.append(begin)
            ready = end
        return path

    def _hold(self, busy: list[list[Gap]], j: int, first: int, ready: int) -> list[int] | None:
        """Earliest starts where a job keeps its machine until the next one is free."""
        route = self.route[j]
        # gap -> (arrival, gap on the machine before); one layer per operation
        layers: list[dict[Gap, tuple[int, Gap]]] = []
        here: dict[Gap, tuple[int, Gap]] = {(0, EVER): (ready, (0, EVER))}  # where the job comes from
        for k in range(first, len(route)):
            gaps = self._gaps(busy, route[k], ready)
            there: dict[Gap, tuple[int, Gap]] = {}
            for place, (arrived, _) in here.items():
                free = arrived if k == first else self._finish(j, k - 1, arrived)
                for gap in gaps:
                    if gap[0] > place[1]:
                        break
                    begin = max(free, gap[0])
                    if self.down:
                        begin = self.calendar.earliest(j, k, begin)
                    if begin <= place[1] and begin <= gap[1] and (gap not in there or begin < there[gap][0]):
                        there[gap] = begin, place
            layers.append(there)
            here = there
        last = len(route) - 1
        ends = [(self._finish(j, last, t), gap) for gap, (t, _) in here.items() if self._finish(j, last, t) <= gap[1]]
        if not ends:
            return None
        gap, path = min(ends)[1], []
        for layer in reversed(layers):
            begin, gap = layer[gap]
            path.append(begin)
        return path[::-1]


def _by_rules(problem: JobShop, scenario: Outages) -> Schedule | None:
    """The best episode of the dispatching rules, which can make the swaps that insertion cannot."""
    from ..dispatch import RULES
    from ..kernel import ShopKernel

    kernel = ShopKernel([problem])
    best, found = np.inf, None
    for rule in RULES:
        state = kernel.reset([scenario])
        value = -kernel.playout(state, seed=0, rule=rule)
        if not kernel.failed(state)[0] and value[0] < best:
            best, found = float(value[0]), kernel.snapshot(state, 0).start
    return None if found is None else Schedule.realised(problem, found, scenario)
