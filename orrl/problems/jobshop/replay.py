"""The bridge from a schedule to decisions: each machine takes its jobs in the schedule's order, as early as it can."""

from __future__ import annotations

from itertools import groupby, islice, permutations, product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError

if TYPE_CHECKING:
    from .data import JobShop
    from .interruptions import IntArray, Outages
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
    schedule.check_shape(problem)
    orders, when = _earliest(problem, schedule, scenario)
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


def _earliest(problem: JobShop, schedule: Schedule, scenario: Outages) -> tuple[list[list[tuple[int, int]]], IntArray]:
    """Operations on each machine in the schedule's order, and the earliest starts in that order.

    Visits of no length to one machine at one moment may have been made in any order: the first that works is taken.
    """
    from .sequencing import earliest_starts, order_operations

    def moment(visit: tuple[int, int]) -> tuple[int, ...]:
        begin, end = int(schedule.start[visit]), int(schedule.leave[visit])
        return (begin,) if begin == end else (begin, *visit)

    groups: list[tuple[int, list[tuple[tuple[int, int], ...]]]] = []  # machine, orders of visits at one moment
    for m, order in enumerate(order_operations(problem, schedule.sequences())):
        groups += [(m, list(islice(permutations(same), 120))) for _, same in groupby(order, key=moment)]
    refusal = None
    for choice in islice(product(*(ways for _, ways in groups)), 1000):
        orders: list[list[tuple[int, int]]] = [[] for _ in range(problem.n_machines)]
        for (m, _), visits in zip(groups, choice, strict=True):
            orders[m] += visits
        try:
            return orders, earliest_starts(problem, orders, scenario)
        except DataError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def _moving(problem: JobShop, state: ShopBatch, job: int) -> list[int]:
    """Jobs that move when `job` does: the swap cycle that it is in, or itself."""
    jobs, begun = [job], (state.start[0] >= 0).sum(axis=1)
    while True:
        last = jobs[-1]
        holder = int(state.tables.holder[0, problem.machines[last, begun[last]]])
        if holder < 0 or holder == job:
            return jobs
        jobs.append(holder)
