"""What a graph policy is told of its actions beside the graph, and the advantages of single decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import orrl
from orrl import JobShop
from orrl.core.archive import read_archive, write_archive
from orrl.core.errors import FormatError
from orrl.core.graphs import GraphBatch
from orrl.core.rollout import rollout
from orrl.solvers.learners.gnn_advantages import by_decision, by_episode, linear_values
from orrl.solvers.learners.gnn_episodes import Episodes, play
from orrl.solvers.learners.gnn_policy import KIND, GraphPolicy
from orrl.solvers.learners.graph_network import tensors
from orrl.solvers.learners.graph_single import SingleForward

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = JobShop.generator(jobs=(4, 6), machines=3, storage="blocking")


def noisy(completions: int = 3, **options: Any) -> tuple[Any, GraphPolicy]:
    """A kernel of six shops, and a policy for it with weights large enough to have opinions."""
    shops = SOURCE.sample(6)
    policy = GraphPolicy.fresh(JobShop.kernel(shops), 12, 2, completions=completions, **options)
    for weight in policy.net.parameters():
        weight.data += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    return JobShop.kernel(shops), policy


def test_relative_by_hand() -> None:
    mask = np.array([[True, True, False], [False, True, False]])
    told = np.array([[[1, 3], [3, 9], [np.nan, 7]], [[0, 0], [5, 7], [0, 0]]], np.float32)
    graph = GraphBatch(np.zeros((0, 1), np.float32), np.zeros(0, np.int64), (), np.full((2, 3), -1), mask, told)
    # row 0: means 1 and 3, bests 3 and 9: their mean is 4, their spread 3; row 1: 5 and 7, spread 1
    np.testing.assert_allclose(graph.relative(), [[-1 / 3, 1 / 3], [1 / 3, 7 / 3], [0, 2]], atol=1e-5)
    alone = GraphBatch(graph.nodes, graph.row, (), graph.action_node[:1], mask[:1], told[:1])
    np.testing.assert_allclose(alone.relative(), graph.relative()[:2], atol=1e-6)
    twice = GraphBatch.join([graph, graph])
    np.testing.assert_allclose(twice.relative(), np.tile(graph.relative(), (2, 1)))


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    _, policy = noisy()
    policy.save(tmp_path / "old.policy")
    header, arrays = read_archive(tmp_path / "old.policy", KIND)
    arrays["net.enter.weight"] = arrays["net.enter.weight"][:, 1:]
    write_archive(tmp_path / "old.policy", header, arrays)
    with pytest.raises(FormatError, match="train it again"):
        GraphPolicy.load(tmp_path / "old.policy")


def test_the_unit_of_time_does_not_matter() -> None:
    kernel, policy = noisy()
    long = [JobShop(machines=p.machines, durations=10 * p.durations, storage="blocking") for p in kernel.problems]
    laws = []
    for problems in (kernel.problems, long):
        own = JobShop.kernel(list(problems))
        state = own.reset([p.nominal() for p in problems])
        laws.append(policy.evaluate(policy.see(own, state, range(6), 5))[0])
    np.testing.assert_allclose(laws[1], laws[0], atol=1e-4)


def test_what_is_told_matters_and_one_graph_alone_agrees() -> None:
    kernel, policy = noisy()
    state = kernel.reset([p.nominal() for p in kernel.problems])
    graph = policy.see(kernel, state, range(6), 0)
    assert graph.told is not None
    choice = graph.mask[:, :-1].sum(axis=1) > 1
    assert choice.any()
    assert np.array_equal(np.isfinite(graph.told[:, :-1]).all(axis=2), graph.mask[:, :-1] & choice[:, None])
    assert np.isnan(graph.told[:, -1]).all()  # of waiting it is not told
    assert not np.allclose(policy.evaluate(policy.see(kernel, state, range(6), 1))[0], policy.evaluate(graph)[0])
    for problem in kernel.problems:
        own = JobShop.kernel([problem])
        single = policy.see(own, own.reset([problem.nominal()]), [0], 0)
        with torch.no_grad():
            law = torch.log_softmax(policy.net(tensors(single))[0], 1).numpy()
        np.testing.assert_allclose(SingleForward(policy.net)(single)[single.mask], law[single.mask], atol=1e-4)


def test_an_episode_is_the_same_in_any_company(tmp_path: Path) -> None:
    kernel, policy = noisy()
    policy.kernel_options = {"wait": False}
    policy.save(tmp_path / "p.orrl")
    again = orrl.load_policy(tmp_path / "p.orrl")
    worlds = [p.nominal() for p in kernel.problems]
    together = rollout(list(kernel.problems), policy, worlds, seed=4)
    for problem, world, episode in zip(kernel.problems, worlds, together, strict=True):
        alone = rollout(problem, again, [world], seed=4)[0]
        assert alone.actions.tolist() == episode.actions.tolist()
        assert problem.n_jobs not in episode.actions  # it never waits


def test_another_number_of_completions(tmp_path: Path) -> None:
    kernel, policy = noisy()
    many, before = policy.with_completions(400), policy.completions
    assert (many.completions, policy.completions) == (400, before) and many.net is policy.net
    many.save(tmp_path / "p.orrl")
    assert orrl.load_policy(tmp_path / "p.orrl").completions == 400
    state, apart = kernel.reset([p.nominal() for p in kernel.problems]), []
    for own in (policy, many):  # what more completions say varies less from draw to draw
        told = [graph.told for seed in range(8) if (graph := own.see(kernel, state, range(6), seed)).told is not None]
        mean = np.stack(told)[..., 0]
        apart.append(float(mean[:, np.isfinite(mean[0])].std(axis=0).mean()))
    assert 0.0 < apart[1] < 0.5 * apart[0]
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="completions is"):
            policy.with_completions(wrong)
    with pytest.raises(ValueError, match="told of none"):
        GraphPolicy.fresh(kernel, 8, 1).with_completions(4)


def test_training_is_told_too() -> None:
    options: dict[str, Any] = {"instances": 4, "rollouts": 4, "width": 8, "layers": 1, "updates": 2}
    test = SOURCE.sample(30, split="test")
    worlds = [p.nominal() for p in test]
    mean = {}
    for completions in (0, 4):
        policy: Any = orrl.train(
            SOURCE, "gnn-ppo", budget=orrl.Budget(iterations=10), seed=0, completions=completions, **options
        )
        mean[completions] = np.mean([e.value for e in rollout(test, policy, worlds)])
        assert policy.card["options"]["completions"] == completions
    assert mean[4] < 0.97 * mean[0]


# ---- advantages ------------------------------------------------------------------------------------------------------
def played(rollouts: int = 4) -> Episodes:
    kernel, policy = noisy(2)
    return play(policy, list(kernel.problems), rollouts, np.random.default_rng(0))


def test_linear_values_find_what_is_linear() -> None:
    """Rewards that the clock of the decisions pays: what is left is linear in the number of decisions gone."""
    episodes = played(8)
    steps, rows = episodes.alive.shape
    episodes.alive = np.ones((steps, rows), np.bool_)
    episodes.rewards = np.full((steps, rows), -3.0, np.float32)
    values = linear_values(episodes, 8, 1.0)
    left = -3.0 * (steps - np.arange(steps))
    np.testing.assert_allclose(values, np.broadcast_to(left[:, None], values.shape), atol=0.05 * 3 * steps)
    assert np.corrcoef(values.ravel(), np.repeat(left, rows))[0, 1] > 0.99


def test_linear_values_leave_less_unexplained() -> None:
    episodes = played(16)
    left = np.cumsum((episodes.rewards * episodes.alive)[::-1], axis=0)[::-1]
    values = linear_values(episodes, 16, 1.0)
    for first in range(0, episodes.alive.shape[1], 16):
        alive = episodes.alive[:, first : first + 16]
        goal, said = left[:, first : first + 16][alive], values[:, first : first + 16][alive]
        assert (goal - said).var() < 0.3 * goal.var()


def test_advantages_of_decisions_are_scaled_in_each_group() -> None:
    episodes = played()
    gain = by_decision(episodes, 4, 1.0, 0.95)
    longer = episodes.rewards.copy()
    episodes.rewards = np.concatenate([longer[:, :4] * 100, longer[:, 4:]], axis=1)
    np.testing.assert_allclose(by_decision(episodes, 4, 1.0, 0.95), gain, atol=2e-3)
    for first in range(0, gain.shape[1], 4):
        own = gain[:, first : first + 4][episodes.alive[:, first : first + 4]]
        assert own.mean() == pytest.approx(0.0, abs=1e-4) and own.std() == pytest.approx(1.0, abs=1e-3)


def test_every_decision_of_an_episode_has_its_score() -> None:
    episodes = played()
    gain = by_episode(episodes, 4, 1.0)
    assert gain.shape == episodes.rewards.shape and (gain == gain[0]).all()
    order = np.argsort(episodes.returns()[:4])
    assert (np.diff(gain[0, order]) >= 0).all()
