"""The local search of the job shop: its objective is the referee's, and what it makes is feasible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orrl
from orrl.core import Deadline, NotSupportedError
from orrl.problems.jobshop import Interruptions, JobShop
from orrl.problems.jobshop.local_search import ShopSearch

VARIANTS = [{"storage": "unlimited"}, {"storage": "blocking"}, {"storage": "blocking", "swap": False}]
GOALS = ["makespan", "total_flow", "weighted_tardiness"]


def shop(seed: int, variant: int, goal: int, *, jobs: int = 5, machines: int = 4) -> JobShop:
    made = JobShop.generate(seed=seed, jobs=jobs, machines=machines, high=20, **VARIANTS[variant])
    rng = np.random.default_rng(seed)
    release = rng.integers(0, 20, jobs)
    due = release + made.durations.sum(axis=1) + rng.integers(0, 20, jobs)
    return made.replace(release=release, due=due, weights=rng.integers(1, 4, jobs), objective=GOALS[goal])


@given(st.integers(0, 10_000), st.integers(0, 2), st.integers(0, 2), st.booleans())
@settings(max_examples=40, deadline=None)
def test_costs_are_the_referees_and_moves_stay_feasible(seed: int, variant: int, goal: int, rough: bool) -> None:
    problem = shop(seed, variant, goal)
    if rough:
        problem = problem.replace(interruptions=Interruptions(p=0.4))
    world = problem.scenario(seed)
    search = ShopSearch(problem, world, effort=20)
    rng = np.random.default_rng(seed)
    start = search.construct(rng)
    moved = search.perturb(start, 2, rng)
    better = search.improve(moved, Deadline(None), rng)
    assert search.cost(better) <= search.cost(moved)
    for candidate in (start, moved, better):
        verdict = problem.evaluate(search.solution(candidate), world)
        assert verdict.feasible, verdict.violations
        assert verdict.objective == search.cost(candidate)


@given(st.integers(0, 10_000), st.integers(0, 2))
@settings(max_examples=15, deadline=None)
def test_a_schedule_becomes_a_candidate_of_the_same_cost(seed: int, variant: int) -> None:
    problem = shop(seed, variant, 0)
    plan = orrl.solve(problem, "cp-sat", threads=1).solution
    search = ShopSearch(problem)
    assert search.cost(search.from_solution(plan)) == problem.evaluate(plan).objective


@pytest.mark.parametrize("variant", range(3))
def test_small_shops_are_solved_to_the_optimum(variant: int) -> None:
    for seed in range(4):
        problem = shop(seed, variant, 0, jobs=4, machines=3)
        best = orrl.solve(problem, "cp-sat", threads=1)
        found = orrl.solve(problem, "iterated-greedy", iterations=10, threads=1)
        assert best.status == "optimal" and found.objective == best.objective


def test_a_running_shop_keeps_its_past() -> None:
    problem = shop(3, 1, 0)
    env = problem.env()
    env.reset(seed=0)
    for _ in range(4):
        env.step(int(np.flatnonzero(env.action_masks())[0]))
    later = problem.at(env.state())
    found = orrl.solve(later, "iterated-greedy", iterations=5, threads=1)
    assert found.status == "feasible"
    assert found.objective >= orrl.solve(later, "cp-sat", threads=1).objective


def test_calendars_are_refused_with_the_reason() -> None:
    problem = shop(0, 1, 0).replace(maintenance=[(0, 5, 9)])
    with pytest.raises(NotSupportedError, match="machine calendars"):
        orrl.solve(problem, "iterated-greedy")
