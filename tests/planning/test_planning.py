"""Simulation, rolling horizon and demonstrations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import orrl
from orrl.core import Outcome, Run, Solver, Support
from orrl.core.horizon import RollingHorizon


@pytest.fixture(scope="module")
def cut() -> orrl.JobShop:
    return orrl.JobShop.generate(
        seed=4, jobs=5, machines=4, storage="blocking", interruptions=orrl.Interruptions(p=0.3, outage=(5, 60))
    )


def test_simulate_shares_scenarios_and_prints_its_interval(cut: orrl.JobShop) -> None:
    a = orrl.simulate(cut, "mwkr", scenarios=30, seed=7)
    b = orrl.simulate(cut, "spt", scenarios=30, seed=7)
    assert a.seeds == b.seeds and len(a.objectives) == 30
    assert a.seeds[:10] == orrl.simulate(cut, "mwkr", scenarios=10, seed=7).seeds
    low, high = a.interval
    assert low < a.mean < high and a.failures == 0
    frame = a.to_frame()
    assert {"scenario", "objective", "feasible", "outage_time"} <= set(frame)
    assert "over 30 scenarios" in str(a)


def test_simulate_plays_a_deterministic_problem_once() -> None:
    shop = orrl.JobShop.generate(seed=1, jobs=4, machines=3)
    one = orrl.simulate(shop, "mwkr", scenarios=100)
    assert len(one.objectives) == 1 and one.interval is None


def test_a_deadlock_is_infinitely_bad_not_dropped() -> None:
    shop = orrl.JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 2], [2, 4]], storage="blocking", swap=False)
    result = orrl.simulate(shop, "mwkr")
    assert result.mean == np.inf and result.failures == 1 and result.interval is None


def test_a_plan_is_carried_out_as_it_stands(cut: orrl.JobShop) -> None:
    plan = orrl.solve(cut, "cp-sat", scenario=cut.nominal(), threads=1)
    carried = orrl.simulate(cut, plan, scenarios=20, seed=2)
    assert carried.failures == 0 and carried.mean > plan.objective
    same = orrl.simulate(cut, "cp-sat", scenarios=20, seed=2)
    assert same.method == "cp-sat" and same.mean >= plan.objective


def test_clairvoyance_is_a_bound_on_every_policy(cut: orrl.JobShop) -> None:
    rolling = orrl.rolling_horizon(cut, "cp-sat", scenarios=4, seed=2, time_limit=2.0)
    rule = orrl.simulate(cut, "mwkr", scenarios=4, seed=2)
    assert rolling.seeds == rule.seeds
    for seed, mine, theirs in zip(rolling.seeds, rolling.objectives, rule.objectives, strict=True):
        best = orrl.solve(cut, "cp-sat", scenario=cut.scenario(seed), threads=1)
        assert best.status == "optimal" and best.objective <= min(mine, theirs)
    assert rolling.mean < rule.mean


def test_rolling_re_solves_at_surprises_and_without_them_follows_the_optimum(cut: orrl.JobShop) -> None:
    calm = cut.replace(interruptions=None)
    best = orrl.solve(calm, "cp-sat", threads=1)
    still = orrl.rolling_horizon(calm, "cp-sat", time_limit=5.0)
    assert still.mean == best.objective
    assert still.details["rolling"]["solves"] == 1 and still.details["rolling"]["fallbacks"] == 0
    often = orrl.rolling_horizon(calm, "cp-sat", time_limit=5.0, commit=1)
    assert often.details["rolling"]["solves"] > 3 and often.mean == best.objective
    rough = orrl.rolling_horizon(cut, "cp-sat", time_limit=5.0, scenarios=2, seed=2)
    assert rough.details["rolling"]["solves"] > 2


@dataclass(repr=False)
class Hopeless(Solver):
    """Never finds a plan."""

    name = "hopeless"

    def supports(self, problem: Any) -> Support:
        return Support(True)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        return Outcome("no_solution", "time")


def test_the_fallback_decides_and_is_counted(cut: orrl.JobShop) -> None:
    policy = RollingHorizon(Hopeless(), fallback="spt")
    played = orrl.simulate(cut, policy, scenarios=3, seed=2)
    log = played.details["rolling"]
    assert log["failed"] == log["decisions"] == log["fallbacks"] > 0
    assert np.array_equal(played.objectives, orrl.simulate(cut, "spt", scenarios=3, seed=2).objectives)


def test_rolling_teaches(cut: orrl.JobShop) -> None:
    with pytest.raises(ValueError, match="is a policy"):
        orrl.rolling_horizon(cut, "mwkr")
    with pytest.raises(orrl.core.OrrlError, match="is no rule"):  # type: ignore[attr-defined]
        orrl.rolling_horizon(cut, "cp-sat", fallback="nonsense")
    with pytest.raises(ValueError, match="time_limit"):
        RollingHorizon(Hopeless(), time_limit=0)


def test_rolling_cp_sat_is_a_method(cut: orrl.JobShop) -> None:
    result = orrl.solve(cut, "rolling-cp-sat", scenario=cut.scenario(3), threads=1, resolve_limit=2.0)
    assert result.status == "feasible" and result.meta["rolling"]["solves"] >= 1
    assert result.objective >= orrl.solve(cut, "cp-sat", scenario=cut.scenario(3), threads=1).objective


def test_demonstrations_are_the_optimum_as_a_learner_sees_it() -> None:
    shops = [orrl.JobShop.generate(seed=s, jobs=j, machines=3, storage="blocking") for s, j in ((0, 3), (1, 5))]
    data = orrl.demonstrations(shops, "cp-sat")
    n = len(data.actions)
    assert data.observations.shape == (n, 5, 9) and data.masks.shape == (n, 6) and data.optimal.all()
    assert data.masks[np.arange(n), data.actions].all()
    for p, shop in enumerate(shops):
        first = np.flatnonzero(data.episode == p)[0]
        assert -data.returns[first] == orrl.solve(shop, "cp-sat", threads=1).objective
