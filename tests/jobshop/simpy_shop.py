"""The same job shop as SimPy processes: an independent model, without code or data structures of the simulator.

Jobs and outages are processes, a breakdown interrupts the job that works, and a dispatcher outside carries out the
decisions that it is given. Windows of one machine must be disjoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import simpy

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from orrl.problems.jobshop import JobShop
    from orrl.problems.jobshop.interruptions import Outages

Key = tuple[int, int]


@dataclass
class Machine:
    """Who is on it, and whether it is down; `up` is triggered when it comes up."""

    job: int | None = None
    down: bool = False
    up: simpy.Event | None = None


@dataclass
class SimpyShop:
    """One episode under one scenario."""

    shop: JobShop
    world: Outages
    start: dict[Key, int] = field(default_factory=dict)
    finish: dict[Key, int] = field(default_factory=dict)
    leave: dict[Key, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shop = self.shop
        self.env = simpy.Environment()
        self.machines = [Machine() for _ in range(shop.n_machines)]
        self.route = [[m for m in row if m >= 0] for row in shop.machines.tolist()]
        self.next = [0] * shop.n_jobs  # operations begun
        self.go: dict[int, simpy.Event] = {}  # jobs that wait for their next machine
        self.on: dict[int, int] = {}  # job -> machine it stands on
        self.news = False  # something happened that calls for a decision
        self.process = [self.env.process(self._job(j)) for j in range(shop.n_jobs)]
        for m, begin, end in [*shop.maintenance.tolist(), *self.world.windows.tolist()]:
            self.env.process(self._outage(m, begin, end))

    # ---- processes -------------------------------------------------------------------------------------------------
    def _job(self, j: int) -> Generator[simpy.Event, Any, None]:
        yield self.env.timeout(int(self.shop.release[j]))
        self.news = True
        for k in range(len(self.route[j])):
            self.go[j] = self.env.event()
            yield self.go[j]
            yield from self._work(j, k)
            self.finish[j, k] = int(self.env.now)
            self.news = True
            if not self.shop.blocking or k + 1 == len(self.route[j]):
                self._step_off(j, k)

    def _work(self, j: int, k: int) -> Generator[simpy.Event, Any, None]:
        machine = self.machines[self.route[j][k]]
        need = left = int(self.shop.durations[j, k] + self.world.extra[j, k])
        while True:
            begun = self.env.now
            try:
                yield self.env.timeout(left)
                return
            except simpy.Interrupt:
                done = self.env.now - begun
                if done == left:  # it ends at the very moment of the breakdown
                    return
                left = need if self.shop.interruptions.mode == "repeat" else left - done
                while machine.down:
                    assert machine.up is not None
                    yield machine.up

    def _outage(self, m: int, begin: int, end: int) -> Generator[simpy.Event, Any, None]:
        machine = self.machines[m]
        yield self.env.timeout(begin)
        machine.down, machine.up = True, self.env.event()
        j = machine.job
        if j is not None and (j, self.next[j] - 1) not in self.finish:
            self.process[j].interrupt()
        yield self.env.timeout(end - begin)
        machine.down = False
        machine.up.succeed()
        self.news = True

    def _step_off(self, j: int, k: int) -> None:
        self.leave[j, k] = int(self.env.now)
        self.machines[self.on.pop(j)].job = None

    # ---- the dispatcher --------------------------------------------------------------------------------------------
    def _target(self, j: int) -> Machine | None:
        """Machine that a waiting job may enter as far as outages go."""
        if j not in self.go:
            return None
        machine = self.machines[self.route[j][self.next[j]]]
        return None if machine.down else machine

    def moves(self) -> dict[int, list[int]]:
        """Job -> jobs that move with it, for every job that can move now."""
        found = {}
        for j in self.go:
            group, machine = [j], self._target(j)
            while machine is not None and machine.job is not None and machine.job not in group:
                group.append(machine.job)
                machine = self._target(machine.job)
            if machine is None:
                continue
            if (machine.job is None and len(group) == 1) or (
                machine.job == j and self.shop.blocking and self.shop.swap
            ):
                found[j] = group
        return found

    def _move(self, group: list[int]) -> None:
        """All jobs of a group move at once: step off, then step on."""
        now = int(self.env.now)
        for j in group:
            if j in self.on:
                self._step_off(j, self.next[j] - 1)
        for j in group:
            m = self.route[j][self.next[j]]
            assert self.machines[m].job is None
            self.machines[m].job = j
            self.on[j] = m
            self.start[j, self.next[j]] = now
            self.next[j] += 1
            self.go.pop(j).succeed()

    def _happen(self) -> None:
        """Everything that happens at this moment."""
        while self.env.peek() <= self.env.now:
            self.env.step()

    def _something_comes(self) -> bool:
        busy = any(p.is_alive and j not in self.go for j, p in enumerate(self.process))
        waiting = any(n < len(r) for n, r in zip(self.next, self.route, strict=True))
        return busy or (waiting and any(m.down for m in self.machines))

    def _pass_time(self) -> None:
        self.news = False
        while not self.news:
            self.env.step()
        self._happen()

    def run(self, actions: Iterable[int]) -> list[int]:
        """Carry out decisions (a job, or the number of jobs to wait); returns the moment of each.

        Moments with a single choice are no decisions, except the first.
        """
        script, moments, first = iter(actions), [], True
        self._happen()
        while True:
            moves, comes = self.moves(), self._something_comes()
            count = len({frozenset(group) for group in moves.values()}) + comes
            if count == 0:
                return moments
            if count > 1 or first:
                action = next(script)
                moments.append(int(self.env.now))
            else:
                action = min(moves, default=self.shop.n_jobs)
            first = False
            if action == self.shop.n_jobs:
                self._pass_time()
            else:
                self._move(moves[action])
                self._happen()
