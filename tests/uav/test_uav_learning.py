"""Tables that fly UAVs: the same game as the kernel's, policies that keep to it, and a swarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import orrl
from orrl.core import NotSupportedError, rollout
from orrl.core.errors import DataError
from orrl.problems.uav import UavOffloading, UavState
from orrl.problems.uav.association import assign
from orrl.solvers.learners.tabular import TabularPolicy

if TYPE_CHECKING:
    from pathlib import Path

VARIANTS = [
    {},
    {"interference": False},
    {"capacity": 4},
    {"safe_distance": 250.0},
    {"starts": [(0, 0), (2, 0), (4, 0)], "ends": [(3, 0), (0, 0), (4, 4)]},
    {"no_fly": [(2, 2), (1, 2)]},
]


def network(seed: int = 0, **options: object) -> UavOffloading:
    return UavOffloading.generate(seed=seed, grid=5, uavs=3, users=20, slots=8, **options)


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("reward", ["difference", "team", "own"])
def test_own_reward_rows_and_mask_are_those_of_the_kernel(options: dict, reward: str) -> None:
    problem = network(**options)
    game, kernel, rng = problem.indexed_kernel(reward=reward), UavOffloading.kernel([problem]), np.random.default_rng(3)
    noise, memory, index, rewards = np.zeros(0), np.zeros(game.memory), np.zeros(3, np.int64), np.zeros(4)
    for _ in range(20):
        game.reset(game.data, game.sizes, noise, memory, index)
        state, done, total = kernel.reset([problem.nominal()]), False, problem.accrued
        while not done:
            accepted = np.stack([game.mask[u, index[u]] for u in range(3)])
            assert np.array_equal(accepted, kernel.mask(state)[0])
            actions = np.array([rng.choice(np.flatnonzero(row)) for row in accepted])
            done = game.step(game.data, game.sizes, noise, memory, actions, index, rewards)
            gained, _ = kernel.step(state, actions[None])
            assert np.array_equal(index, game.rows(kernel.snapshot(state, 0)))
            if rewards[3] == -np.inf:  # sent back, and out of reach of its end
                assert problem.ends is not None
                break
            assert rewards[3] == gained[0]
            total += rewards[3]
        else:
            verdict = problem.evaluate(problem.from_paths(kernel.snapshot(state, 0).cells))
            assert verdict.feasible and verdict.objective == total


def test_difference_reward_is_what_the_others_would_lack() -> None:
    problem, rng = network(capacity=3), np.random.default_rng(5)
    game = problem.indexed_kernel(penalty=0.0)
    noise, memory, index, rewards = np.zeros(0), np.zeros(game.memory), np.zeros(3, np.int64), np.zeros(4)
    game.reset(game.data, game.sizes, noise, memory, index)
    for slot in range(1, 8):
        actions = np.array([rng.choice(np.flatnonzero(game.mask[u, index[u]])) for u in range(3)])
        game.step(game.data, game.sizes, noise, memory, actions, index, rewards)
        cells = index % problem.n_cells
        for u in range(3):
            # the same network with the other two UAVs alone
            pair = problem.replace(starts=np.delete(problem.starts, u, axis=0).tolist(), uav_names=["a", "b"])
            both = int((assign(problem.radio, slot, cells) >= 0).sum())
            assert rewards[u] == both - int((assign(pair.radio, slot, np.delete(cells, u)) >= 0).sum())


def test_a_uav_that_is_sent_back_pays() -> None:
    problem = UavOffloading.generate(seed=0, grid=3, uavs=2, users=5, slots=4, starts=[(0, 0), (2, 0)])
    pays = {}
    for penalty in (0.0, 7.0):
        game = problem.indexed_kernel(penalty=penalty)
        noise, memory, index, rewards = np.zeros(0), np.zeros(game.memory), np.zeros(2, np.int64), np.zeros(3)
        game.reset(game.data, game.sizes, noise, memory, index)
        east = next(m for m, (x, y) in enumerate(problem.offsets.tolist()) if (x, y) == (1, 0))
        west = next(m for m, (x, y) in enumerate(problem.offsets.tolist()) if (x, y) == (-1, 0))
        game.step(game.data, game.sizes, noise, memory, np.array([east, west]), index, rewards)
        assert (index % 9).tolist() == [1, 2]
        pays[penalty] = rewards.copy()
    assert (pays[0.0] - pays[7.0]).tolist() == [0.0, 7.0, 0.0]


@pytest.mark.parametrize("name", ["sarsa", "expected-sarsa", "q-learning", "double-q"])
@pytest.mark.parametrize("options", [{}, VARIANTS[4]])
def test_training_playing_saving(name: str, options: dict, tmp_path: Path) -> None:
    problem = network(seed=1, **options)
    policy = orrl.train(problem, name, budget=orrl.Budget(iterations=3000), seed=1)
    assert isinstance(policy, TabularPolicy)
    for kept in ("best", "final"):
        policy.kept = kept
        episode = rollout(problem, policy, [problem.nominal()])[0]  # raises where the mask is violated
        if np.isfinite(policy.log[kept]):
            assert episode.value == policy.log[kept]
            assert problem.evaluate(problem.solution(episode)).objective == episode.value
    policy.save(tmp_path / "policy.zip")
    again = orrl.load_policy(tmp_path / "policy.zip")
    assert orrl.solve(problem, again).objective == rollout(problem, policy, [problem.nominal()])[0].value
    assert again.seen == {problem.content_hash} and again.train_seconds == policy.train_seconds
    with pytest.raises(NotSupportedError, match="content hash"):
        again.reset(network(seed=2))


def test_options_pass_through_and_wrong_ones_are_named() -> None:
    problem, few = network(), orrl.Budget(iterations=200)
    policy = orrl.train(problem, "sarsa", budget=few, state="cell", reward="own", kernel={"penalty": 1.0})
    assert isinstance(policy, TabularPolicy)
    assert policy.tables["best"].shape == (3, 25, 5)
    assert orrl.solve(problem, policy).evaluation.feasible
    with pytest.raises(DataError, match="time-cell"):
        orrl.train(problem, "sarsa", budget=few, state="place")
    with pytest.raises(NotSupportedError, match="ends"):
        orrl.train(network(**VARIANTS[4]), "sarsa", budget=few, state="cell")


def test_sarsa_comes_close_to_the_optimum() -> None:
    problem = network(seed=3)
    best = orrl.solve(problem, "joint-dp").objective
    policy = orrl.train(problem, "sarsa", budget=orrl.Budget(iterations=20_000), seed=0)
    assert isinstance(policy, TabularPolicy)
    assert 0.93 * best <= policy.log["best"] <= best


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("encoding", ["waypoints", "moves"])
def test_pso_finds_feasible_flights(options: dict, encoding: str) -> None:
    problem = network(**options)
    result = orrl.solve(problem, "pso", encoding=encoding, rollouts=2000, seed=1)
    assert result.status == "feasible" and result.evaluation.feasible
    assert result.meta["rollouts"] == 2000 and result.stop == "iterations"
    assert orrl.solve(problem, "pso", encoding=encoding, rollouts=2000, seed=1).objective == result.objective
    if problem.ends is None:
        still = problem.evaluate(problem.from_paths(np.tile(problem.position[-1], (problem.n_slots, 1)))).objective
        assert result.objective >= still


def test_pso_goes_on_from_a_state_and_stops_in_time() -> None:
    problem = network()
    later = problem.at(UavState(problem.position.repeat(3, axis=0)))
    result = orrl.solve(later, "pso", time_limit=0.5)
    assert result.evaluation.feasible and result.stop == "time" and result.times.total < 1.6
