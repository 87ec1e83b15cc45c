"""PyJobShop on the blocking job shop (swaps allowed): CPU seconds to a proof of optimality.

A job keeps its machine until its next operation starts. In PyJobShop: every task but a job's last may idle, and the
next task starts exactly at its end; the idle time is part of the interval that occupies the machine. Jobs that hand
their machines round at the same moment do not overlap, so a swap is allowed.
"""

from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

from _common import Jobs, read_jobs, require, row, solver_arguments


def build(jobs: Jobs) -> Any:
    """Return the PyJobShop model of the blocking job shop with swaps."""
    from pyjobshop import Model

    model = Model()
    machines = [model.add_machine() for _ in range(1 + max(machine for job in jobs for machine, _ in job))]
    for job in jobs:
        tasks = [model.add_task(allow_idle=k + 1 < len(job)) for k in range(len(job))]
        for task, (machine, duration) in zip(tasks, job, strict=True):
            model.add_mode(task, machines[machine], duration)
        for task, following in pairwise(tasks):
            model.add_end_at_start(task, following)
    return model


def check(jobs: Jobs, tasks: list[Any], makespan: float) -> None:
    """Raise if the tasks (in order of jobs and operations, with ``start`` and ``end``) are no blocking schedule."""
    remaining = iter(tasks)
    occupied: dict[int, list[tuple[int, int]]] = {}
    last = 0
    for job in jobs:
        free = None  # when the job leaves the machine before
        for machine, duration in job:
            task = next(remaining)
            if task.end - task.start < duration or free not in (None, task.start):
                raise AssertionError("an operation is too short, or does not start when the one before gives way")
            occupied.setdefault(machine, []).append((task.start, task.end))
            free = task.end
            last = max(last, task.end)
    if any(before[1] > after[0] for held in occupied.values() for before, after in pairwise(sorted(held))):
        raise AssertionError("a machine holds two jobs at once")
    if last != makespan:
        raise AssertionError(f"the solver says {makespan}, the schedule ends at {last}")


def main() -> None:
    """Solve every file and print one JSON row for each."""
    args = solver_arguments(__doc__)
    require("pyjobshop", "pyjobshop")
    for path in args.instances:
        jobs = read_jobs(path)
        cpu, wall = time.process_time(), time.perf_counter()
        result = build(jobs).solve(
            display=False, time_limit=args.time_limit, num_workers=args.workers, random_seed=args.seed
        )
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        found = math.isfinite(result.objective)
        if found:
            check(jobs, result.best.tasks, result.objective)
        row(
            "pyjobshop",
            "pyjobshop",
            path,
            problem="blocking job shop with swaps",
            workers=args.workers,
            cpu_seconds=round(cpu, 3),
            wall_seconds=round(wall, 3),
            status=result.status.value.upper(),
            objective=round(result.objective) if found else None,
            lower_bound=math.ceil(result.lower_bound - 1e-6),
        )


if __name__ == "__main__":
    main()
