"""Advantages of the decisions of `gnn-ppo`: by episode, or by decision with values that a regression or a network says.

An episode is compared with the others of its group, which played the same instance under the same noise. The linear
baseline (Duan et al. 2016, "Benchmarking Deep Reinforcement Learning for Continuous Control", ICML) says for each group
what is left to earn; with it, or with a network, generalised advantages (Schulman et al. 2016, "High-dimensional
continuous control using generalized advantage estimation", eq. 16) tell the decisions of an episode apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .ppo_core import advantages

if TYPE_CHECKING:
    from .gnn_episodes import Episodes

__all__ = ["by_decision", "by_episode", "linear_values"]

FloatArray = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
RIDGE = 1e-2  # of the regression, times the number of its rows


def by_episode(episodes: Episodes, rollouts: int, discount: float) -> FloatArray:
    """Return of each episode less its group's mean, over the group's spread, for all of its decisions (T, N)."""
    groups = episodes.returns(discount).reshape(-1, rollouts)
    apart = groups - groups.mean(axis=1, keepdims=True)
    score = (apart / (groups.std(axis=1, keepdims=True) + 1e-6)).ravel().astype(np.float32)
    return np.broadcast_to(score, episodes.logs.shape)


def by_decision(episodes: Episodes, rollouts: int, discount: float, smoothing: float) -> FloatArray:
    """Generalised advantages (T, N) with linear values, less their mean and over their spread in each group.

    No instance weighs more because its times are longer.
    """
    rewards = episodes.rewards * episodes.alive
    values = linear_values(episodes, rollouts, discount)
    gain = advantages(rewards, values, episodes.alive, discount=discount * episodes.discount, smoothing=smoothing)
    gain = gain.reshape(len(gain), -1, rollouts)
    alive = episodes.alive.reshape(gain.shape)
    count = np.maximum(1, alive.sum(axis=(0, 2)))[:, None]
    gain = gain - np.where(alive, gain, 0.0).sum(axis=(0, 2))[:, None] / count
    spread = np.sqrt(np.where(alive, gain * gain, 0.0).sum(axis=(0, 2))[:, None] / count)
    return np.asarray(gain / (spread + 1e-8), np.float32).reshape(rewards.shape)


def linear_values(episodes: Episodes, rollouts: int, discount: float) -> FloatArray:
    """What is left to earn (T, N), by ridge regression on `_summary` in each group."""
    steps, rows = episodes.alive.shape
    gamma, left = discount * episodes.discount, np.zeros((steps + 1, rows))
    for t in range(steps - 1, -1, -1):
        left[t] = episodes.rewards[t] * episodes.alive[t] + gamma * left[t + 1]
    known, values = _summary(episodes), np.zeros((steps, rows), np.float32)
    for first in range(0, rows, rollouts):
        group = slice(first, first + rollouts)
        alive = episodes.alive[:, group]
        x, y = known[:, group][alive], left[:-1, group][alive]
        spread = x.std(axis=0)
        x = (x - x.mean(axis=0)) / np.where(spread > 1e-6, spread, np.inf)
        weights = np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(x.shape[1]), x.T @ (y - y.mean()))
        values[:, group][alive] = x @ weights + y.mean()
    return values


def _summary(episodes: Episodes) -> Doubles:
    """Of each decision (T, N, X): sums and maxima of the nodes' features, their number, the step, what is told."""
    rows = episodes.alive.shape[1]
    found: list[Any] = []
    for t, graph in enumerate(episodes.graphs):
        count = np.bincount(graph.row, minlength=rows)
        open_ = np.flatnonzero(count)
        first = (np.cumsum(count) - count)[open_]
        parts = np.zeros((rows, 2, graph.nodes.shape[1]))
        parts[open_, 0] = np.add.reduceat(graph.nodes, first, axis=0)
        parts[open_, 1] = np.maximum.reduceat(graph.nodes, first, axis=0)
        more = [count[:, None], np.broadcast_to([t, t * t], (rows, 2))]
        if graph.told is not None:
            accepted, number = graph.mask[:, :, None], graph.mask.sum(axis=1)[:, None]
            mean = np.where(accepted, graph.told, 0.0).sum(axis=1) / np.maximum(1, number)
            best = np.where(accepted, graph.told, -np.inf).max(axis=1)
            more += [mean, np.where(number > 0, best, 0.0)]
        found.append(np.concatenate([parts.reshape(rows, -1), *more], axis=1))
    return np.array(found)
