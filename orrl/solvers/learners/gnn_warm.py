"""Warm starts of `gnn-ppo`: what random completions say of every action, and the best episode of a group.

The first distils one step of Monte-Carlo rollout (Tesauro & Galperin 1996): the loss is the expected regret
``-sum_a pi(a|s) A(s, a)``, which is linear in the estimated advantages, so that their noise averages out over states
and few completions of many states teach more than many of few. The second is self-labelling (Corsini et al. 2024,
"Self-Labeling the Job Shop Scheduling Problem"): imitate the best of several sampled episodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from ...core.actions import hold, live
from ...core.playout import action_values
from .gnn_policy import pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .gnn_ppo import Memory, Training

__all__ = ["best_of_group", "look_ahead", "regret", "surprise"]

FloatArray = npt.NDArray[np.float32]


def look_ahead(training: Training, problems: Sequence[Any], kernel: Any) -> tuple[Memory, FloatArray]:
    """Episodes of the policy, one of each instance, and the advantage (T, N, A) of every action by random completions.

    It is 0 where an action is not accepted, and in units of its spread in this batch.
    """
    from .gnn_ppo import Memory

    learner, streams = training.learner, training.streams
    state, which = training.begin(problems, kernel, 1)
    gamma = problems[0].objective.discount
    kept: list[tuple[Any, ...]] = []
    gains: list[npt.NDArray[np.float64]] = []
    done = ~live(kernel.mask(state))
    while not done.all():
        graph = kernel.graphs(state)
        law, value = training.policy.evaluate(graph)
        action = pick(law, streams["act"])
        seed = int(streams["look"].integers(2**31))
        worth = action_values(kernel, state, which, samples=learner.samples, seed=seed, discount=gamma)
        known = np.where(graph.mask, worth, 0.0)
        mean = known.sum(axis=1) / np.maximum(1, graph.mask.sum(axis=1))
        gains.append(np.where(graph.mask, worth - mean[:, None], 0.0))
        rewards, over = kernel.step(state, hold(action, done))
        kept.append((graph, action, law[np.arange(len(law)), action], value, rewards.astype(np.float32), ~done))
        done = np.array(over)
    memory = Memory.of(kept)
    gain = np.array(gains)
    gain /= gain[np.array([g.mask for g in memory.graphs])].std() + 1e-9
    return memory, gain.astype(np.float32)


def best_of_group(memory: Memory, rollouts: int) -> npt.NDArray[np.bool_]:
    """Rows (N,) that did best in their group, the first of equals."""
    best = np.zeros(len(memory.returns), np.bool_)
    groups = memory.returns.reshape(-1, rollouts)
    best[np.arange(len(groups)) * rollouts + groups.argmax(axis=1)] = True
    return best


def regret(scores: torch.Tensor, worth: torch.Tensor, entropy_weight: float) -> torch.Tensor:
    """Expected regret (up to a constant) minus weighted entropy, of scores and advantages (M, A)."""
    assert scores.shape == worth.shape, (scores.shape, worth.shape)
    law = torch.log_softmax(scores, dim=1)
    chance = law.exp()
    entropy = -(chance * law.clamp(min=-50.0)).sum(dim=1).mean()
    return -(chance * worth).sum(dim=1).mean() - entropy_weight * entropy


def surprise(scores: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of scores (M, A) with actions (M,)."""
    assert scores.shape[:1] == actions.shape, (scores.shape, actions.shape)
    return -torch.log_softmax(scores, dim=1).gather(1, actions[:, None]).mean()
