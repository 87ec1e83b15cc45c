"""The environments: Gymnasium, its vector, and PettingZoo."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test
from pettingzoo.utils import parallel_to_aec
from uav_strategies import SEEDS, networks, row

from orrl.core.actions import draw
from orrl.core.errors import DataError, IllegalActionError
from orrl.problems.uav import UavOffloading


def small(**options) -> UavOffloading:
    return UavOffloading.generate(seed=1, **{"grid": 4, "uavs": 3, "users": 8, "slots": 5, **options})


def fly(env, seed: int) -> tuple[list[dict], list[dict]]:
    """Rewards and infos of an episode of accepted moves."""
    rng = np.random.default_rng(seed)
    _, infos = env.reset(seed=seed)
    rewards, said = [], []
    while env.agents:
        actions = {a: int(rng.choice(np.flatnonzero(infos[a]["action_mask"]))) for a in env.agents}
        _, gains, over, cut, infos = env.step(actions)
        rewards.append(gains)
        said.append(infos)
    assert all(over.values())
    assert not any(cut.values())
    return rewards, said


@pytest.mark.parametrize("problem", [small(), small(capacity=1), small(grid=6, ends=[(1, 1), (4, 4), (0, 3)], slots=7)])
def test_pettingzoo_and_gymnasium_take_the_environments(problem, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for reward in ("team", "own", "difference"):
            parallel_api_test(problem.parallel_env(reward=reward), num_cycles=20)
        parallel_seed_test(problem.parallel_env)
        api_test(parallel_to_aec(problem.parallel_env()), num_cycles=20)
        check_env(problem.env(illegal="noop"), skip_render_check=True)


@given(networks(), SEEDS)
@settings(max_examples=40, deadline=None)
def test_agents_earn_what_the_referee_says(problem, seed):
    env = problem.parallel_env(compiled=True)
    rewards, infos = fly(env, seed)
    verdict = problem.evaluate(problem.from_paths(env.snapshot().cells))
    for agent in env.possible_agents:
        assert sum(r[agent] for r in rewards) == verdict.objective == sum(i[agent]["served"] for i in infos)
    assert verdict.feasible == ("failed" not in infos[-1]["uav_0"])


@given(networks(), SEEDS)
@settings(max_examples=40, deadline=None)
def test_own_and_difference_rewards_by_counting(problem, seed):
    """Served users by hand: of each UAV by the strongest signal, and of the others when one is taken away."""

    def served(t: int, cells: np.ndarray) -> float:
        if not len(cells):
            return 0.0
        able = problem.radio.candidates(t, cells)
        if problem.capacity is None:
            return float(able.any(axis=0).sum())
        cuts = range(1 << len(cells))
        outside = [[u for u in range(len(cells)) if not cut >> u & 1] for cut in cuts]
        return float(min(problem.capacity * (len(cells) - len(o)) + able[o].any(axis=0).sum() for o in outside))

    own, difference = (problem.parallel_env(reward=kind, compiled=True) for kind in ("own", "difference"))
    gains, _ = fly(own, seed)
    marginal, _ = fly(difference, seed)
    paths = own.snapshot().cells
    assert np.array_equal(paths, difference.snapshot().cells)
    for step, (gain, loss) in enumerate(zip(gains, marginal, strict=True)):
        slots = [0, 1] if step == 0 else [step + 1]
        for u, agent in enumerate(own.possible_agents):
            mine, lost = 0.0, 0.0
            for t in slots:
                power = problem.radio.power[t, paths[t]]
                best = (power.argmax(axis=0) == u) & problem.radio.candidates(t, paths[t])[u]
                mine += best.sum() if problem.capacity is None else min(problem.capacity, best.sum())
                lost += served(t, paths[t]) - served(t, np.delete(paths[t], u))
            assert gain[agent] == mine
            assert loss[agent] == lost


def test_the_views_of_one_state_agree():
    problem = small()
    env, central = problem.parallel_env(), problem.env()
    obs, infos = env.reset(seed=0)
    whole, info = central.reset(seed=0)
    rng = np.random.default_rng(0)
    assert env.state_space == central.observation_space
    while env.agents:
        assert np.array_equal(env.state(), whole)
        assert np.array_equal([infos[a]["action_mask"] for a in env.agents], info["action_mask"])
        assert np.array_equal(
            whole, np.concatenate([obs["uav_0"][:1], *(obs[a][1:] for a in env.possible_agents)]), equal_nan=False
        )
        assert env.state_space.contains(env.state())
        assert all(env.observation_space(a).contains(obs[a]) for a in env.agents)
        action = draw(info["action_mask"][None], rng)[0]
        before = {a: v.copy() for a, v in obs.items()}
        kept = obs
        obs, gains, _, _, infos = env.step(dict(zip(env.agents, action.tolist(), strict=True)))
        assert all(np.array_equal(kept[a], before[a]) for a in kept)  # what was handed out does not change
        whole, reward, ended, _, info = central.step(action)
        assert set(gains.values()) == {reward}
        assert infos["uav_0"]["held"] == info["held"]
    assert ended
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_held_back_and_illegal_moves_are_said():
    problem = row(4, starts=[0, 2], slots=3)
    left, right = (problem.offsets.tolist().index([x, 0]) for x in (-1, 1))
    env = problem.parallel_env()
    env.reset()
    _, _, _, _, infos = env.step({"uav_0": right, "uav_1": left})
    assert [infos[a]["held_back"] for a in env.possible_agents] == [False, True]
    assert infos["uav_0"]["held"] == 1
    up = problem.offsets.tolist().index([0, 1])
    _, _, _, _, infos = env.step({"uav_0": up, "uav_1": right})
    assert [infos[a]["illegal_action"] for a in env.possible_agents] == [True, False]
    assert env.snapshot().cells.tolist() == [[0, 2], [1, 2], [1, 3]]
    strict = problem.parallel_env(illegal="raise")
    strict.reset()
    with pytest.raises(IllegalActionError, match="uav_0"):
        strict.step({"uav_0": left, "uav_1": 0})
    assert len(strict.snapshot().cells) == 1
    with pytest.raises(DataError, match="no action for 'uav_1'"):
        strict.step({"uav_0": 0})
    with pytest.raises(DataError, match="reward is 'all'"):
        problem.parallel_env(reward="all")


def test_instances_and_states_are_taken():
    problem, fewer = small(), small(uavs=2, users=5)
    env = problem.parallel_env(instances=[problem, fewer])
    sizes = set()
    for seed in range(8):
        env.reset(seed=seed)
        sizes.add(len(env.agents))
        assert set(env.reset(seed=seed)[0]) == set(env.agents)
    assert sizes == {2, 3}
    _, infos = env.reset(options={"instance": fewer})
    assert list(infos) == ["uav_0", "uav_1"]
    fly(env, 0)
    running = env.snapshot()
    env.reset(options={"instance": env.central.problem, "state": type(running)(running.cells[:3])})
    assert env.snapshot().cells.tolist() == running.cells[:3].tolist()
    env.reset(options={"instance": env.central.home, "state": None})
    with pytest.raises(DataError, match=r"pad_to is \(2, 5\) but a network has"):
        fewer.parallel_env().reset(options={"instance": problem})


@given(st.lists(networks(), min_size=1, max_size=3), SEEDS)
@settings(max_examples=20, deadline=None)
def test_rows_of_the_vector_are_environments(problems, seed):
    vector = UavOffloading.vector_env(problems, compiled=True)
    pad = (vector.kernel.n_uavs, vector.kernel.n_actions)
    alone = [p.env(pad_to=pad, compiled=True) for p in problems]
    obs, info = vector.reset(seed=seed)
    for env, row_ in zip(alone, obs, strict=True):
        assert np.array_equal(env.reset(seed=seed)[0], row_)
    rng, over = np.random.default_rng(seed), np.zeros(len(problems), bool)
    for _ in range(8):
        actions = draw(info["action_mask"], rng)
        was = over
        obs, rewards, over, _, info = vector.step(actions)
        assert vector.observation_space.contains(obs)
        for b, env in enumerate(alone):
            if was[b]:  # begins anew
                assert np.array_equal(env.reset()[0], obs[b])
                continue
            seen, reward, ended, _, said = env.step(actions[b])
            assert np.array_equal(seen, obs[b])
            assert (reward, ended, said["held"]) == (rewards[b], over[b], info["held"][b])


def test_the_environment_keeps_its_tables_for_the_same_network():
    problem, other = small(), small(users=5)
    env = problem.env()
    kernel = env.kernel
    env.reset(seed=0)
    assert env.kernel is kernel
    env.reset(options={"instance": other})
    assert env.kernel.problems == [other]
    env.reset(options={"instance": problem})
    assert env.kernel.problems == [problem]


def test_episodes_are_the_same_with_machine_code():
    problem = small(capacity=2)
    flown = [fly(problem.parallel_env(reward="difference", compiled=c), 4) for c in (True, False)]
    assert flown[0][0] == flown[1][0]
