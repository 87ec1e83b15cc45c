"""The Stable-Baselines3 recipe trains through the PettingZoo environment; the others need packages of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orrl.problems.uav import UavOffloading

pytest.importorskip("sb3_contrib", reason="the recipe needs the extra sb3")
RECIPE = Path(__file__).resolve().parents[2] / "benchmarks" / "recipes" / "sb3_shared.py"


@pytest.fixture(scope="module")
def recipe() -> Any:
    spec = importlib.util.spec_from_file_location("sb3_shared", RECIPE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def small() -> UavOffloading:
    return UavOffloading.generate(seed=3, grid=4, uavs=2, users=10, slots=5)


def test_rows_are_the_agents(recipe: Any, small: UavOffloading) -> None:
    """Step for step the rows hold what the PettingZoo environment says; the end resets and keeps the last view."""
    rows, plain = recipe.AgentRows(small.parallel_env()), small.parallel_env()
    seen = rows.reset()
    obs, infos = plain.reset()
    rng, rewards = np.random.default_rng(0), 0.0
    while plain.agents:
        agents = plain.agents
        np.testing.assert_array_equal(seen, [obs[a] for a in agents])
        masks = np.stack(rows.env_method("action_masks"))
        np.testing.assert_array_equal(masks, [infos[a]["action_mask"].astype(bool) for a in agents])
        moves = np.array([rng.choice(np.flatnonzero(m)) for m in masks])
        seen, reward, done, told = rows.step(moves)
        obs, paid, ended, _, infos = plain.step(dict(zip(agents, moves.tolist(), strict=True)))
        assert reward.tolist() == [paid[a] for a in agents]
        assert done.tolist() == [ended[a] for a in agents]
        rewards += told[0]["served"]
    assert done.all()
    np.testing.assert_array_equal([info["terminal_observation"] for info in told], [obs[a] for a in agents])
    flown = small.from_paths(plain.snapshot().cells)
    assert rewards == small.evaluate(flown).objective
    np.testing.assert_array_equal(seen, list(plain.reset()[0].values()))


def test_recipe_trains(recipe: Any, small: UavOffloading) -> None:
    before, after = recipe.train(60.0, steps=200, problem=small)
    most = small.n_users * small.n_slots
    assert 0 < before <= most
    assert 0 < after <= most
