"""A visit of no length at the present moment cannot be put before what has begun on the machine."""

from __future__ import annotations

import numpy as np
import pytest

import orrl
from orrl.check import check_problem
from orrl.problems.jobshop import JobShop, Outages, Schedule, ShopState


@pytest.fixture
def running() -> JobShop:
    shop = JobShop(
        machines=[[1], [0], [0, 1, 0], [2, 0]], durations=[[2], [0], [4, 2, 0], [5, 1]], objective="total_flow"
    )
    start = np.full(shop.machines.shape, -1, np.int64)
    start[0, 0] = start[2, 0] = 0
    return shop.at(ShopState(0, start, Outages(np.zeros_like(start))))


def test_the_two_faces_agree(running: JobShop) -> None:
    check_problem(running, seeds=2).raise_for_failures()
    for form in ("interval", "literal"):
        assert orrl.solve(running, "cp-sat", form=form, threads=1).objective == 18
    assert orrl.solve(running, "milp", threads=1).objective == 18


def test_the_referee_names_what_is_pushed_in(running: JobShop) -> None:
    best = orrl.solve(running, "cp-sat", threads=1).solution
    start = best.start.copy()
    start[1, 0] = 0
    verdict = running.evaluate(Schedule.realised(running, start))
    assert any("is put before job 2, operation 0, which has begun on machine 0" in v for v in verdict.violations)
