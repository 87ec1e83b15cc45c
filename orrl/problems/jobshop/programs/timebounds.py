"""Earliest and latest starts of every operation, from heads, tails and the objective of a schedule that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ....core.errors import DataError, NotSupportedError

if TYPE_CHECKING:
    from ..data import JobShop
    from ..interruptions import IntArray, Outages

__all__ = ["TimeBounds", "refuse_windows", "serial_span", "time_bounds"]


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """When each operation can start in some optimal schedule.

    Parameters
    ----------
    work : (J, K) int
        Durations of this scenario, extra times included.
    earliest, latest : (J, K) int
        First and last start.
    lower : int
        Lower bound of the makespan (machine and job bounds).
    """

    work: IntArray
    earliest: IntArray
    latest: IntArray
    lower: int


def refuse_windows(problem: JobShop, scenario: Outages, form: str) -> None:
    """Refuse machine calendars: in a linear program the length of an operation does not depend on its start."""
    if len(problem.maintenance) or len(scenario.windows):
        raise NotSupportedError(
            f"the {form} program has no maintenance windows and no calendar of breakdowns: use backend='cp-sat'"
        )


def serial_span(problem: JobShop, work: IntArray) -> int:
    """Time by which a left-shifted schedule is over.

    Every start is the length of a longest path, which begins at a release date, at now or at a start that has
    happened, and passes each operation at most once.
    """
    begin, todo = int(problem.release.max()), work
    if problem.state is not None:
        begun = problem.state.start >= 0
        begin = max(begin, problem.state.time, int((problem.state.start + work)[begun].max(initial=0)))
        todo = np.where(begun, 0, work)
    return begin + int(todo.sum())


def time_bounds(problem: JobShop, scenario: Outages, *, cutoff: float = np.inf, span: int | None = None) -> TimeBounds:
    """Starts that can occur in an optimal schedule.

    Parameters
    ----------
    problem : JobShop
        The shop; started operations keep their start, others begin no earlier than now.
    scenario : Outages
        Extra times.
    cutoff : float
        Schedules with a worse objective do not matter; a tighter one makes smaller programs.
    span : int, optional
        Time by which everything is over, `serial_span` by default.

    Raises
    ------
    DataError
        The span lies below a bound that no schedule beats.
    """
    work = np.where(problem.machines >= 0, problem.durations + scenario.extra, 0)
    earliest = _heads(problem, work)
    lengths = problem.n_operations
    done = np.array([earliest[j, n - 1] + work[j, n - 1] for j, n in enumerate(lengths)])
    end = serial_span(problem, work) if span is None else span
    deadline = np.full(problem.n_jobs, end)
    if cutoff < np.inf:
        deadline = np.minimum(deadline, _deadlines(problem, done, cutoff))
    latest = np.full_like(earliest, -1)
    for j, n in enumerate(lengths):
        after = int(deadline[j])
        for k in range(n - 1, -1, -1):
            begun = problem.state is not None and problem.state.start[j, k] >= 0
            after = int(earliest[j, k]) if begun else after - int(work[j, k])
            latest[j, k] = after
            if after < earliest[j, k]:
                raise DataError(f"horizon {end} is out of reach: {problem.job_names[j]} cannot end before {done[j]}")
    lower = max(int(done.max()), _machine_bound(problem, work, earliest))
    if end < lower:
        raise DataError(f"horizon {end} is out of reach: no schedule is over before {lower}")
    return TimeBounds(work, earliest, latest, lower)


def _heads(problem: JobShop, work: IntArray) -> IntArray:
    earliest = np.full(work.shape, -1, np.int64)
    busy = np.zeros(problem.n_machines, np.int64)  # what has begun is over first
    if problem.state is not None:
        begun_here = problem.state.start >= 0
        np.maximum.at(busy, problem.machines[begun_here], (problem.state.start + work)[begun_here])
    for j, n in enumerate(problem.n_operations):
        clock = int(problem.release[j])
        for k in range(n):
            if problem.state is not None:
                begun = int(problem.state.start[j, k])
                clock = begun if begun >= 0 else max(clock, problem.state.time, int(busy[problem.machines[j, k]]))
            earliest[j, k] = clock
            clock += int(work[j, k])
    return earliest


def _deadlines(problem: JobShop, done: IntArray, cutoff: float) -> IntArray:
    """Latest completion (J,) of each job in a schedule whose objective is at most `cutoff`."""
    if problem.objective.name == "makespan":
        return np.full(len(done), int(cutoff))
    if problem.objective.name == "total_flow":
        flow = done - problem.release
        return problem.release + int(cutoff) - int(flow.sum()) + flow
    assert problem.due is not None
    late = problem.weights * np.maximum(0, done - problem.due)
    spare = int(cutoff) - int(late.sum()) + late
    free = np.iinfo(np.int64).max // 4  # a job of weight 0 may be as late as it likes
    return np.where(problem.weights > 0, problem.due + spare // np.maximum(1, problem.weights), free)


def _machine_bound(problem: JobShop, work: IntArray, earliest: IntArray) -> int:
    """Largest of (least head + work + least tail) over the machines."""
    best = 0
    tail = np.cumsum(work[:, ::-1], axis=1)[:, ::-1] - work
    for m in range(problem.n_machines):
        own = problem.machines == m
        if own.any():
            best = max(best, int(earliest[own].min() + work[own].sum() + tail[own].min()))
    return best
