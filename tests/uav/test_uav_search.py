"""Methods that know no UAV, on UAVs: looking ahead, and proofs and learning against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import orrl
from orrl.problems.uav import UavOffloading


def test_several_agents_look_ahead_one_after_the_other() -> None:
    networks = [UavOffloading.generate(seed=s, grid=5, uavs=2, users=30, slots=8) for s in range(6)]
    ahead = [orrl.solve(p, "rollout", samples=40, seed=1) for p in networks]
    assert all(r.status == "feasible" for r in ahead)
    best = [orrl.solve(p, "joint-dp").objective for p in networks]
    blind = [np.mean([orrl.solve(p, "random", seed=s).objective for s in range(10)]) for p in networks]
    assert all(r.objective <= b for r, b in zip(ahead, best, strict=True))
    assert np.mean([r.objective for r in ahead]) > 1.2 * np.mean(blind)
    again = orrl.solve(networks[0], "rollout", samples=40, seed=1)
    assert again.objective == ahead[0].objective


def test_best_of_many_flights() -> None:
    network = UavOffloading.generate(seed=2, grid=5, uavs=2, users=30, slots=8)
    few, many = (orrl.solve(network, "best-of-n", n=n, seed=0).objective for n in (5, 500))
    assert few <= many <= orrl.solve(network, "joint-dp").objective


@pytest.mark.parametrize("options", [{}, {"capacity": 3}, {"ends": [(3, 2), (0, 1)]}, {"safe_distance": 150.0}])
def test_every_exact_method_says_the_same(options: dict[str, Any]) -> None:
    network = UavOffloading.generate(seed=5, grid=4, uavs=2, users=16, slots=6, interference=False, **options)
    joint = orrl.solve(network, "joint-dp")
    flow = orrl.solve(network, "milp", threads=1)
    pyomo = orrl.solve(network, "milp", direct=False, threads=1)
    cross = orrl.solve(network, "cp-sat", threads=1, time_limit=3 if "capacity" in options else 60)
    priced = orrl.solve(network, "lagrangian", threads=1)
    proofs = [joint, flow, pyomo] + ([] if "capacity" in options else [cross])  # CP-SAT's bounds are weak there
    assert {r.status for r in proofs} == {"optimal"}
    assert len({r.objective for r in proofs}) == 1
    for other in (priced, cross):
        assert other.bound is not None
        assert other.objective <= joint.objective <= other.bound.value


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_four_uavs_are_proved(seed: int) -> None:
    network = UavOffloading.generate(seed=seed, grid=15, uavs=4, slots=30, interference=False)
    result = orrl.solve(network, "lagrangian", time_limit=60)
    assert result.status == "optimal"
    assert orrl.solve(network, "milp", time_limit=15, threads=1).bound.value >= result.objective


@pytest.mark.slow
def test_sarsa_comes_near_the_optimum() -> None:
    shares = []
    for seed in range(1, 6):
        network = UavOffloading.generate(seed=seed)
        policy = orrl.train(network, "sarsa", budget=orrl.Budget(iterations=200_000), seed=seed)
        shares.append(orrl.solve(network, policy).objective / orrl.solve(network, "joint-dp").objective)
    assert np.mean(shares) >= 0.96
