"""The job shop as a local search sees it: machine sequences, their objective, destroy and repair, annealing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, NotSupportedError
from . import insertion, moves
from .data import GOALS
from .insertion import AGAIN, BEGUN, EARLIEST, FAR, JOB, LENGTH, MACHINE, START, TAIL
from .schedule import Schedule
from .sequencing import order_operations

if TYPE_CHECKING:
    from ...core.budget import Deadline
    from .data import JobShop
    from .interruptions import Outages

__all__ = ["Sequences", "ShopSearch"]

Int = npt.NDArray[np.int64]
TRIES = 100


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """A complete solution: the operations of each machine in order, and the objective of their earliest schedule."""

    order: Int
    cost: int


class ShopSearch:
    """Neighbourhood of a shop under one known scenario, a `LocalSearch`.

    Parameters
    ----------
    problem : JobShop
        Without machine calendars; what has begun stays.
    scenario : Outages, optional
        Extra times; none by default.
    hot, cold : float
        First and last temperature of the annealing, in units of the mean duration.
    effort : int
        Moves of one annealing, in units of the number of operations.
    compiled : bool
        False runs the same code as Python.
    """

    def __init__(
        self,
        problem: JobShop,
        scenario: Outages | None = None,
        *,
        hot: float = 0.6,
        cold: float = 0.1,
        effort: int = 1000,
        compiled: bool = True,
    ) -> None:
        self.problem = problem
        self.scenario = problem.nominal() if scenario is None else scenario
        if len(problem.maintenance) or len(self.scenario.windows):
            raise NotSupportedError("the local search has no machine calendars; use cp-sat or rollout")
        self.hot, self.cold, self.effort = hot, cold, effort
        source = moves.SOURCE
        self._code: Any = source.compiled() if compiled else source.plain
        self._graph = self._tables()
        node = self._graph[2]
        n, count = len(node), self._graph[3]
        longest = int((self._graph[1][:, 1] - self._graph[1][:, 0]).max())
        width = max(insertion.WIDTH * n, n + longest * int(count.max()) + 2, len(count))
        self._scratch = np.zeros((7, width), np.int64)
        self._plans = [(np.full((len(count), int(count.max())), -1), np.full((n, 5), -1)) for _ in range(3)]
        work = node[:, LENGTH][node[:, MACHINE] >= 0]
        self._heat = float(max(1.0, work.mean()))
        self._begun = self._begun_order()

    def _tables(self) -> tuple[Int, Int, Int, Int, Int]:
        """Flags, jobs (first and last node, release, due, weight), nodes, operations per machine, visits."""
        shop = self.problem
        hold = shop.blocking
        config = np.array(
            [hold, hold and shop.swap, next(i for i, goal in enumerate(GOALS) if goal == shop.objective.name)], np.int64
        )
        ops = shop.n_operations
        last = np.cumsum(ops + 1) - 1
        first = last - ops
        due = np.full(shop.n_jobs, FAR) if shop.due is None else shop.due
        jobs = np.stack([first, last, shop.release, due, shop.weights], axis=1).astype(np.int64)
        node = np.zeros((int(last[-1]) + 1, 7), np.int64)
        node[:, [MACHINE, AGAIN]] = -1
        visit = np.full((shop.n_jobs, shop.n_machines), -1, np.int64)
        begun = np.zeros(shop.machines.shape, bool) if shop.state is None else shop.state.start >= 0
        now = 0 if shop.state is None else shop.state.time
        work = shop.durations + self.scenario.extra
        for j, n in enumerate(ops.tolist()):
            own = slice(int(first[j]), int(last[j]))
            node[first[j] : last[j] + 1, JOB] = j
            node[own, MACHINE] = shop.machines[j, :n]
            node[own, LENGTH] = work[j, :n]
            node[own, TAIL] = work[j, :n][::-1].cumsum()[::-1]
            node[own, BEGUN] = begun[j, :n]
            node[first[j] : last[j] + 1, EARLIEST] = max(now, int(shop.release[j]))
            if shop.state is not None and begun[j].any():
                node[own, EARLIEST] = np.where(begun[j, :n], shop.state.start[j, :n], now)
            if shop.state is not None and begun[j, n - 1]:
                node[last[j], BEGUN], node[last[j], EARLIEST] = 1, shop.state.start[j, n - 1] + work[j, n - 1]
            for k in range(n - 1, -1, -1):
                m, x = shop.machines[j, k], first[j] + k
                node[x, AGAIN], visit[j, m] = visit[j, m], x
        count = np.bincount(shop.machines[shop.machines >= 0], minlength=shop.n_machines).astype(np.int64)
        return config, jobs, node, count, visit

    def _begun_order(self) -> Int:
        node, order = self._graph[2], np.full(self._plans[0][0].shape, -1, np.int64)
        if self.problem.state is None:
            return order

        def key(x: int) -> tuple[int, int, int]:
            """An operation leaves before the next one enters; one of no length enters and leaves at a moment."""
            follows = int(node[x + 1, EARLIEST]) if node[x + 1, BEGUN] else int(FAR)
            return int(node[x, EARLIEST]), follows, x

        for m in range(len(order)):
            own = sorted(np.flatnonzero((node[:, MACHINE] == m) & (node[:, BEGUN] == 1)).tolist(), key=key)
            order[m, : len(own)] = own
        return order

    @staticmethod
    def _seed(rng: np.random.Generator) -> Int:
        return rng.integers(1, FAR, 1)

    def _load(self, candidate: Sequences) -> int:
        """Put a candidate into the first plan; returns its objective."""
        order, link = self._plans[0]
        order[:] = candidate.order
        return int(self._code.schedule(*self._graph, order, link, self._scratch))

    def construct(self, rng: np.random.Generator) -> Sequences:
        """List scheduling with a random WIP cap; fewer jobs in the shop after each deadlock.

        Raises
        ------
        DataError
            Where every attempt ends in a deadlock, as it may from a running state without swap.
        """
        order, link = self._plans[0]
        jobs, machines = self.problem.n_jobs, self.problem.n_machines
        seed = self._seed(rng)
        cap = int(rng.integers(max(1, machines // 2), max(2, machines + 1)))
        for attempt in range(TRIES):
            order[:] = self._begun
            noise = self._heat * rng.random()
            cost = int(self._code.build(*self._graph, order, link, cap, noise, seed, self._scratch))
            if cost >= 0:
                return Sequences(order.copy(), cost)
            cap = max(1, jobs - attempt)
        raise DataError(f"{self.problem.name}: {TRIES} constructions ended in a deadlock; no schedule to improve")

    def perturb(self, candidate: Sequences, strength: int, rng: np.random.Generator) -> Sequences:
        """Take `strength` random jobs out and insert each where it is best."""
        self._load(candidate)
        (a, b, c) = self._plans
        out = min(strength, self.problem.n_jobs)
        cost = int(self._code.reinsert(*self._graph, *a, *b, *c, out, self._seed(rng), self._scratch))
        return candidate if cost < 0 else Sequences(a[0].copy(), cost)

    def improve(self, candidate: Sequences, deadline: Deadline, rng: np.random.Generator) -> Sequences:
        """Simulated annealing with moves on critical paths; the best sequences met, never worse than `candidate`."""
        (a, b, c) = self._plans
        cost = np.array([self._load(candidate), candidate.cost], np.int64)
        c[0][:] = candidate.order
        total = int(self.effort * len(self._graph[2]))
        chunk = max(50, 300_000 // len(self._graph[2]))  # moves between two looks at the clock
        seed = self._seed(rng)
        done = 0
        hot, cold = self.hot * self._heat, self.cold * self._heat
        while done < total and not deadline.passed:
            todo = min(chunk, total - done)
            t0, t1 = (hot * (cold / hot) ** (i / total) for i in (done, done + todo))
            made = self._code.anneal(*self._graph, *a, *b, *c, cost, todo, t0, t1, seed, self._scratch)
            if made < todo:
                break
            done += todo
        return Sequences(c[0].copy(), int(cost[1]))

    def cost(self, candidate: Sequences) -> float:
        """Objective."""
        return float(candidate.cost)

    def from_solution(self, solution: Schedule) -> Sequences:
        """Machine sequences of a schedule, with what has begun in front: a plan from before the running state will do.

        Raises
        ------
        DataError
            Where the schedule is of another shop, or its sequences cannot be carried out.
        """
        solution.check_shape(self.problem)
        first, order, begun = self._graph[1][:, 0], self._begun.copy(), self._graph[2][:, BEGUN]
        for m, row in enumerate(order_operations(self.problem, solution.sequences())):
            rest = [x for x in (first[j] + k for j, k in row) if not begun[x]]
            order[m, len(row) - len(rest) : len(row)] = rest
        cost = self._load(Sequences(order, 0))
        if cost < 0:
            raise DataError("the schedule's machine sequences contradict each other: no warm start")
        return Sequences(order, cost)

    def solution(self, candidate: Sequences) -> Schedule:
        """The earliest schedule of the sequences."""
        _, link = self._plans[0]
        self._load(candidate)
        start = np.full(self.problem.machines.shape, -1, np.int64)
        first, ops = self._graph[1][:, 0], self.problem.n_operations
        for j, n in enumerate(ops.tolist()):
            start[j, :n] = link[first[j] : first[j] + n, START]
        return Schedule.realised(self.problem, start, self.scenario)
