"""Methods that know no UAV, on UAVs: looking ahead for several agents."""

from __future__ import annotations

import numpy as np

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
