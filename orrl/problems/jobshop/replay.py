"""The bridge from a schedule to decisions: each machine takes its jobs in the schedule's order, as early as it can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError

if TYPE_CHECKING:
    from .data import JobShop
    from .interruptions import Outages
    from .kernel import ShopBatch
    from .schedule import Schedule

__all__ = ["actions"]


def actions(problem: JobShop, schedule: Schedule, scenario: Outages) -> npt.NDArray[np.int64]:
    """Decisions that dispatch the jobs in the schedule's machine sequences.

    The schedule is moved to the left where it has slack, so its objective (all three are regular) never gets worse.

    Raises
    ------
    DataError
        Where the schedule's sequences cannot be carried out.
    """
    from .sequencing import earliest_starts, order_operations

    schedule.check_shape(problem)
    orders = order_operations(problem, schedule.sequences())
    when = earliest_starts(problem, orders, scenario)
    turn = [[k for k in order if problem.state is None or problem.state.start[k] < 0] for order in orders]
    kernel = type(problem).kernel([problem])
    state = kernel.reset([scenario])
    chosen: list[int] = []
    mask = kernel.mask(state)
    while mask[0].any():
        time, begun = int(state.time[0]), (state.start[0] >= 0).sum(axis=1)
        for order in turn:
            while order and begun[order[0][0]] > order[0][1]:
                order.pop(0)
        action = problem.n_jobs
        for j in np.flatnonzero(mask[0, : problem.n_jobs]).tolist():
            moves = [(i, int(begun[i])) for i in _moving(problem, state, j)]
            if all(when[i, k] <= time and turn[problem.machines[i, k]][0] == (i, k) for i, k in moves):
                action = j
                break
        if not mask[0, action]:
            raise DataError(f"the schedule cannot be carried out at time {time}: nothing that it starts can move")
        chosen.append(action)
        kernel.step(state, np.array([action], np.int64))
        mask = kernel.mask(state)
    return np.array(chosen, np.int64)


def _moving(problem: JobShop, state: ShopBatch, job: int) -> list[int]:
    """Jobs that move when `job` does: the swap cycle that it is in, or itself."""
    jobs, begun = [job], (state.start[0] >= 0).sum(axis=1)
    while True:
        last = jobs[-1]
        holder = int(state.tables.holder[0, problem.machines[last, begun[last]]])
        if holder < 0 or holder == job:
            return jobs
        jobs.append(holder)
