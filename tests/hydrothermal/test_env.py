"""The environments: Gymnasium's own checks, information for a planner, a vector of them, and a foreign learner."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hydrothermal.small import small

from orrl.core.errors import DataError, IllegalActionError
from orrl.core.rollout import rollout
from orrl.problems.hydrothermal.env import HydroEnv
from orrl.registry import names


def test_gymnasium_is_content() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(small().env(illegal="noop"), skip_render_check=True)


def test_a_seed_decides_everything() -> None:
    env, other = small().env(), small().env()
    runs = []
    for one in (env, other, env):  # the last one reuses a kernel that has been played
        obs, _ = one.reset(seed=5)
        told = [obs]
        for t in range(6):
            obs, reward, *_ = one.step(np.full(3, 0.1 + 0.15 * t, np.float32))
            told += [obs, reward]
        runs.append(told)
    for run in runs[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_info_says_what_the_stage_was_like() -> None:
    problem = small(load=2.0)
    env = problem.env()
    _, info = env.reset(seed=0)
    assert "cost" not in info
    _, reward, _, _, info = env.step(np.full(3, 0.9, np.float32))
    past = env.state().past
    assert info["cost"] == -reward
    assert info["deficit"] == pytest.approx(100.0 * past["deficit"].sum())
    assert info["deficit"] > 1.0
    np.testing.assert_array_equal(info["spilled"], past["spilled"][0])
    assert info["projected"] is False
    words = env.describe()
    assert [len(words[k]) for k in ("action", "observation", "water_values", "spilled")] == [3, 9, 3, 3]
    assert words["spilled"][0].startswith("upper")


@pytest.mark.parametrize("load", [1.0, 2.0])
def test_water_values_are_what_a_little_water_saves(load: float) -> None:
    problem = small(load=load)
    env = problem.env()
    env.reset(options={"scenario": 3})
    for share in (0.35, 0.62):
        env.step(np.full(3, share, np.float32))
    running, solver = env._state, problem.stage(2)
    before, noise = running.state[0].copy(), running.noise[0, 2].copy()
    _, _, _, _, info = env.step(np.full(3, 0.47, np.float32))
    target = running.state[0]
    model = env.kernel.solver(solver).solver
    for h in range(3):
        cost = []
        for step in (-1e-4, 1e-4):
            moved = before.copy()
            moved[h] += step
            cost.append(model.solve(moved, noise, target=target).cost)
        assert info["water_values"][h] == pytest.approx(-(cost[1] - cost[0]) / 2e-4, rel=1e-4, abs=1e-5)
    assert (info["water_values"] > 0).any()


def test_what_is_no_share_is_refused() -> None:
    env = small().env()
    env.reset(seed=0)
    for bad in (np.array([0.5, 1.2, 0.5]), np.array([0.5, np.nan, 0.5])):
        with pytest.raises(IllegalActionError):
            env.step(bad)
    assert env.state().stage == 0
    kind = small().env(illegal="noop")
    kind.reset(seed=0)
    _, reward, over, _, info = kind.step(np.array([0.5, 1.2, 0.5]))
    assert (reward, over, info["illegal_action"]) == (0.0, False, True)


def test_env_goes_on_from_a_state() -> None:
    problem = small()
    env = problem.env()
    env.reset(options={"scenario": 4})
    rewards = [env.step(np.full(3, 0.3, np.float32))[1] for _ in range(6)]
    env.reset(options={"scenario": 4})
    for _ in range(2):
        env.step(np.full(3, 0.3, np.float32))
    seen = env.kernel.observe(env._state)[0]
    obs, _ = env.reset(options={"scenario": problem.scenario(4), "state": env.state()})
    np.testing.assert_array_equal(obs, seen)
    assert [env.step(np.full(3, 0.3, np.float32))[1] for _ in range(4)] == pytest.approx(rewards[2:])
    with pytest.raises(DataError, match="reset options"):
        env.reset(options={"stage": 2})


def test_vector_env_plays_the_rows_of_the_kernel() -> None:
    problems = [small(), small(load=2.0)]
    envs = small().vector_env(problems, [1, 2])
    obs, _ = envs.reset(seed=0)
    assert envs.observation_space.contains(obs)
    total = np.zeros(2)
    for t in range(6):
        obs, reward, done, _, info = envs.step(np.full((2, 3), 0.4, np.float32))
        total += reward
        np.testing.assert_allclose(info["cost"], -reward)
        assert info["water_values"].shape == (2, 3)
        assert done.all() == (t == 5)
    for b, problem in enumerate(problems):
        env = HydroEnv(problem)
        env.reset(options={"scenario": 1 + b})
        assert total[b] == pytest.approx(sum(env.step(np.full(3, 0.4, np.float32))[1] for _ in range(6)))
    again, reward, done, _, info = envs.step(np.full((2, 3), 0.4, np.float32))
    assert not done.any()
    assert not reward.any()
    assert np.isnan(info["cost"]).all()
    full = problems[0].cascade.volume_start / problems[0].cascade.volume_max
    np.testing.assert_allclose(again[:, :3], np.tile(full, (2, 1)), rtol=1e-6)


@pytest.mark.parametrize("load", [1.0, 2.0])
def test_rules_are_rules(load: float) -> None:
    problem = small(load=load)
    rules = problem.rules()
    assert not set(rules) & {*names("solver"), *names("learner"), "random"}
    scenarios = [problem.scenario(s) for s in range(4)]
    cost: dict[str, Any] = {}
    for name, rule in rules.items():
        assert rule.name == name
        episodes = rollout(problem, rule, scenarios)
        cost[name] = np.mean([e.value for e in episodes])
        volume = np.array([problem.solution(e)["volume"] for e in episodes])
        if name == "release":
            assert not volume.any()
        if name == "store":  # nothing leaves a reservoir that is not full
            short = volume < problem.cascade.volume_max - 1e-6
            turbined = np.array([problem.solution(e)["turbined"] for e in episodes])
            assert turbined[:, :, 0][short[:, :, 0]].max() < 1e-6
        if name == "run-of-river":
            assert (np.diff(volume[:, :, 0], axis=1) < 1e-9).all()
    assert cost["myopic"] < min(cost["release"], cost["run-of-river"], cost["store"])


def test_myopic_is_cheapest_today() -> None:
    problem = small()
    first = rollout(problem, problem.rules()["myopic"], [problem.scenario(1)])[0]
    kernel = type(problem).kernel([problem])
    for share in np.random.default_rng(0).random((20, 3)):
        reward, _ = kernel.step(kernel.reset([problem.scenario(1)]), share[None])
        assert reward[0] <= first.rewards[0] + 1e-3


def test_a_batch_of_problems_under_a_rule() -> None:
    problems = [small(), small(load=2.0)]
    scenarios = [p.scenario(0) for p in problems]
    for name, rule in problems[0].rules().items():
        together = rollout(problems, rule, scenarios)
        for b, problem in enumerate(problems):
            alone = rollout(problem, problem.rules()[name], [scenarios[b]])[0]
            assert together[b].value == pytest.approx(alone.value, rel=1e-6)


def test_stable_baselines_learns_on_it() -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    model = sb3.PPO("MlpPolicy", small(stages=3).env(illegal="raise"), n_steps=24, batch_size=24, seed=0, device="cpu")
    before = {k: v.clone() for k, v in model.policy.state_dict().items()}
    model.learn(48)
    assert any((before[k] != v).any() for k, v in model.policy.state_dict().items())
