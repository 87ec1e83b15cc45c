"""Random shops with a planted optimum: the optimal makespan is known by construction, buffers or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ...core.errors import DataError, NotSupportedError
from ...core.seeds import stream

if TYPE_CHECKING:
    from .data import JobShop

__all__ = ["Plan", "plan", "planted"]

Shop = TypeVar("Shop", bound="JobShop")


@dataclass(frozen=True, slots=True)
class Plan:
    """A shop and an optimal schedule of it.

    Parameters
    ----------
    machines, durations, start : ragged lists
        Route, durations and planted start of each job's operations.
    optimum : int
        The makespan.
    critical : str
        What is busy throughout: "machine 3" or "job 1".
    """

    machines: list[list[int]]
    durations: list[list[int]]
    start: list[list[int]]
    optimum: int
    critical: str


def plan(*, seed: int, jobs: int, machines: int, low: int = 1, high: int = 99, slack: float = 0.2) -> Plan:
    """Draw a schedule without buffers first, then the shop that it solves.

    The jobs come in batches of at most as many as there are machines. Within a batch time runs in rounds: in each, the
    jobs stand on different machines, and between two they all move, by a random Latin rectangle. The moves of one round
    fall apart into cycles and chains of machines, and each of these moves at a time of its own. An operation takes what
    the job's stay allows, less a random slack, while the job then stands waiting, except on one critical machine (or,
    with fewer jobs than machines, for one critical job). This one works from 0 to the end, so the makespan equals its
    work, a bound on any schedule, with buffers or without.

    Parameters
    ----------
    seed : int
        Non-negative.
    jobs, machines : int
        Size. Each job visits every machine where `machines` divides `jobs` or `jobs` is smaller; else the routes of the
        last batch are as long as it has jobs.
    low, high : int
        Bounds of the durations, ``1 <= low <= high``.
    slack : float
        Largest share of a stay that is waiting, in [0, 1).
    """
    if not 1 <= low <= high:
        raise DataError(f"(low, high) is ({low}, {high}): a planted optimum needs 1 <= low <= high")
    if jobs < 1 or machines < 1 or not 0 <= slack < 1:
        raise DataError(f"{jobs} jobs, {machines} machines, slack {slack}: give at least one of each and 0 <= slack < 1")
    rng = stream(seed, "jobshop", "planted")
    by_job = jobs < machines
    critical = int(rng.integers(jobs if by_job else machines))
    where: list[list[int]] = []  # route of each job
    enter: list[list[int]] = []  # start of each operation, and the end of the last
    begin = dict.fromkeys(range(machines), 0)  # when each machine is handed to the batch
    clock = 0
    quarter = (high - low) // 4
    for size in [machines] * (jobs // machines) + [jobs % machines] * bool(jobs % machines):
        length = machines if by_job else size
        square = _latin(rng, size, _choose(rng, machines, length, critical if not by_job else None))
        rounds = rng.integers(low + quarter, high - quarter + 1, length).tolist()
        last = len(where) + size == jobs
        times: list[dict[int, int]] = [begin]  # when each machine is left, per round
        for r, span in enumerate(rounds):
            clock += span
            following = rounds[r + 1] if r + 1 < length else (low + high) // 2
            play = min(span - low, following - low, high - span, high - following) // 2
            moves = [] if r + 1 == length else [(row[r], row[r + 1]) for row in square]
            shift = {group: int(rng.integers(-play, play + 1)) for group in set(_groups(machines, moves))}
            groups = _groups(machines, moves)
            fixed = groups[square[critical][r] if by_job else critical]
            if last and r + 1 == length:
                shift = {group: -abs(value) for group, value in shift.items()} | {fixed: 0}
            times.append({m: clock + shift[groups[m]] for m in range(machines)})
        for row in square:
            where.append(row)
            enter.append([times[r][m] if r == 0 else times[r][row[r - 1]] for r, m in enumerate(row)])
            enter[-1].append(times[length][row[-1]])
        begin = times[length]
    durations = []
    for j, (row, stay) in enumerate(zip(where, enter, strict=True)):
        held = [b - a for a, b in zip(stay, stay[1:], strict=False)]
        idle = [0 if (j if by_job else m) == critical else int(rng.random() * slack * h) for m, h in zip(row, held, strict=True)]
        durations.append([max(low, h - i) for h, i in zip(held, idle, strict=True)])
    order = rng.permutation(jobs).tolist()  # the batches must not show in the numbering
    name = f"job {order.index(critical)}" if by_job else f"machine {critical}"
    pick = [[table[j] for j in order] for table in (where, durations, [row[:-1] for row in enter])]
    return Plan(pick[0], pick[1], pick[2], clock, name)
