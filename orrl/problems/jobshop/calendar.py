"""When a machine is down, and when an operation that starts at a given time ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .data import JobShop
    from .interruptions import IntArray, Outages

__all__ = ["Calendar", "down_windows"]


def down_windows(problem: JobShop, scenario: Outages) -> list[list[tuple[int, int]]]:
    """Maintenance and breakdowns of each machine as disjoint windows ``[begin, end)`` in order of time."""
    table = np.concatenate([problem.maintenance, scenario.windows]).tolist()
    merged: list[list[tuple[int, int]]] = []
    for m in range(problem.n_machines):
        own: list[tuple[int, int]] = []
        for begin, end in sorted((b, e) for machine, b, e in table if machine == m):
            if own and begin <= own[-1][1]:
                own[-1] = (own[-1][0], max(end, own[-1][1]))
            else:
                own.append((begin, end))
        merged.append(own)
    return merged


class Calendar:
    """Down times of one shop under one scenario.

    Parameters
    ----------
    problem : JobShop
        Durations, maintenance and the mode of interruption.
    scenario : Outages
        Extra times and breakdowns.
    """

    def __init__(self, problem: JobShop, scenario: Outages) -> None:
        self.windows = down_windows(problem, scenario)
        self.machines = problem.machines
        self.work: IntArray = problem.durations + scenario.extra
        self.repeat = problem.interruptions.mode == "repeat"

    def earliest(self, j: int, k: int, time: int) -> int:
        """First moment from `time` on at which the machine of operation (j, k) is up."""
        for begin, end in self.windows[self.machines[j, k]]:
            if begin <= time < end:
                time = end
        return time

    def finish(self, j: int, k: int, start: int) -> int:
        """End of operation (j, k) when it starts at `start`, outages included."""
        left, clock = int(self.work[j, k]), start
        for begin, end in self.windows[self.machines[j, k]]:
            if begin < clock:
                continue
            if left <= begin - clock:
                break
            if not self.repeat:
                left -= begin - clock
            clock = end
        return clock + left
