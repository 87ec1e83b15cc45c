"""Optimum of a small shop by trying every order of the jobs on every machine."""

from __future__ import annotations

import math
from itertools import permutations, product
from typing import TYPE_CHECKING

from orrl.core.errors import DataError
from orrl.problems.jobshop import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orrl.problems.jobshop import JobShop, Outages

__all__ = ["brute_force", "count_orders", "every_order"]


def every_order(problem: JobShop) -> Iterator[tuple[tuple[int, ...], ...]]:
    """All sequences of jobs on the machines; a job stands twice where it visits twice."""
    own = []
    for m in range(problem.n_machines):
        jobs = [j for j, row in enumerate(problem.machines.tolist()) for machine in row if machine == m]
        own.append(sorted(set(permutations(jobs))))
    yield from product(*own)


def count_orders(problem: JobShop) -> int:
    """How many `every_order` yields."""
    total = 1
    for m in range(problem.n_machines):
        visits = (problem.machines == m).sum(axis=1).tolist()
        total *= math.factorial(sum(visits)) // math.prod(math.factorial(v) for v in visits)
    return total


def brute_force(problem: JobShop, scenario: Outages | None = None) -> Schedule | None:
    """A best schedule, None where no order is feasible.

    Objectives grow with the completion times, so the earliest schedule of each order is enough.
    """
    best, found = math.inf, None
    for order in every_order(problem):
        try:
            plan = Schedule.from_sequences(problem, order, scenario)
        except DataError:
            continue
        verdict = problem.evaluate(plan, scenario)
        assert verdict.feasible, verdict.violations
        if verdict.objective < best:
            best, found = verdict.objective, plan
    return found
