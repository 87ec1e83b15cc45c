"""Raw OR-Tools CP-SAT on the plain job shop: CPU seconds to a proof of optimality.

The textbook model: one interval per operation, NoOverlap per machine, each operation after the one before it,
minimise the latest end. Runs in orrl's own environment.
"""

from __future__ import annotations

import math
import time

from _common import Jobs, read_jobs, row, solver_arguments
from ortools.sat.python import cp_model


def build(jobs: Jobs) -> cp_model.CpModel:
    """Return the interval model of the plain job shop."""
    model = cp_model.CpModel()
    horizon = sum(duration for job in jobs for _, duration in job)
    makespan = model.new_int_var(0, horizon, "makespan")
    on_machine: dict[int, list[cp_model.IntervalVar]] = {}
    for j, job in enumerate(jobs):
        free: cp_model.LinearExprT = 0
        for k, (machine, duration) in enumerate(job):
            start = model.new_int_var(0, horizon, f"start_{j}_{k}")
            model.add(start >= free)
            interval = model.new_fixed_size_interval_var(start, duration, f"operation_{j}_{k}")
            on_machine.setdefault(machine, []).append(interval)
            free = start + duration
        model.add(makespan >= free)
    for intervals in on_machine.values():
        model.add_no_overlap(intervals)
    model.minimize(makespan)
    return model


def main() -> None:
    """Solve every file and print one JSON row for each."""
    args = solver_arguments(__doc__)
    for path in args.instances:
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = args.time_limit
        solver.parameters.num_workers = args.workers
        solver.parameters.random_seed = args.seed
        cpu, wall = time.process_time(), time.perf_counter()
        status = solver.solve(build(read_jobs(path)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        row(
            "ortools",
            "ortools",
            path,
            problem="job shop",
            workers=args.workers,
            cpu_seconds=round(cpu, 3),
            wall_seconds=round(wall, 3),
            status=solver.status_name(status),
            objective=round(solver.objective_value) if status in (cp_model.OPTIMAL, cp_model.FEASIBLE) else None,
            lower_bound=math.ceil(solver.best_objective_bound - 1e-6),
        )


if __name__ == "__main__":
    main()
