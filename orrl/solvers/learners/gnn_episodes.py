"""Episodes that `gnn-ppo` learns from: groups of the same instance under the same noise, played side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.actions import hold, live
from ...core.playout import completions
from .gnn_policy import GraphPolicy, pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...core.graphs import GraphBatch

__all__ = ["Episodes", "begin", "look_ahead", "play"]

FloatArray = npt.NDArray[np.float32]


@dataclass(slots=True)
class Episodes:
    """A graph a step, arrays (T, N), and the problems' own discount."""

    graphs: list[GraphBatch]
    actions: npt.NDArray[np.int64]
    logs: FloatArray
    values: FloatArray
    rewards: FloatArray
    alive: npt.NDArray[np.bool_]
    discount: float = 1.0

    @classmethod
    def of(cls, kept: Sequence[tuple[Any, ...]], discount: float) -> Episodes:
        """From the fields of each step."""
        graphs, *rest = zip(*kept, strict=True)
        actions, logs, values, rewards, alive = (np.array(field) for field in rest)
        return cls(list(graphs), actions, logs, values, rewards, alive, discount)

    def returns(self, gamma: float = 1.0) -> FloatArray:
        """Discounted rewards of each row (N,): by the problems' own discount, times `gamma` a step."""
        weights = (gamma * self.discount) ** np.arange(len(self.rewards))
        return np.asarray(weights @ (self.rewards * self.alive), np.float32)

    def best(self, rollouts: int) -> npt.NDArray[np.bool_]:
        """Rows (N,) that did best in their group of `rollouts`, the first of equals."""
        groups = self.returns().reshape(-1, rollouts)
        found = np.zeros(groups.size, np.bool_)
        found[np.arange(len(groups)) * rollouts + groups.argmax(axis=1)] = True
        return found


def begin(
    policy: GraphPolicy, problems: Sequence[Any], rows: int, rng: np.random.Generator
) -> tuple[Any, Any, list[int]]:
    """Kernel, fresh state and the problem of each row; `rows` of an instance stand together and meet the same noise."""
    kernel = type(problems[0]).kernel(problems, **policy.kernel_options)
    seeds = rng.integers(2**31, size=len(problems))
    worlds = [p.scenario(int(s)) for p, s in zip(problems, seeds, strict=True) for _ in range(rows)]
    which = [b for b in range(len(problems)) for _ in range(rows)]
    return kernel, kernel.reset(worlds, which), which


def play(policy: GraphPolicy, problems: Sequence[Any], rows: int, rng: np.random.Generator) -> Episodes:
    """One episode a row, actions drawn from the policy."""
    kernel, state, which = begin(policy, problems, rows, rng)
    kept: list[tuple[Any, ...]] = []
    done = ~live(kernel.mask(state))
    while not done.all():
        done = _step(policy, kernel, state, which, done, rng, kept)
    return Episodes.of(kept, problems[0].objective.discount)


def look_ahead(
    policy: GraphPolicy, problems: Sequence[Any], samples: int, rng: np.random.Generator
) -> tuple[Episodes, FloatArray]:
    """Episodes of the policy, one of each instance, and the advantage (T, N, A) of every action by random completions.

    It is 0 where an action is not accepted, and in units of its spread in this batch.
    """
    kernel, state, which = begin(policy, problems, 1, rng)
    gamma = problems[0].objective.discount
    kept: list[tuple[Any, ...]] = []
    gains: list[npt.NDArray[np.float64]] = []
    done = ~live(kernel.mask(state))
    while not done.all():
        seed, mask = int(rng.integers(2**31)), kernel.mask(state)
        worth = completions(kernel, state, which, samples=samples, seed=seed, discount=gamma).mean(axis=2)
        mean = np.where(mask, worth, 0.0).sum(axis=1) / np.maximum(1, mask.sum(axis=1))
        gains.append(np.where(mask, worth - mean[:, None], 0.0))
        done = _step(policy, kernel, state, which, done, rng, kept)
    episodes, gain = Episodes.of(kept, gamma), np.array(gains)
    return episodes, (gain / (gain[np.array([g.mask for g in episodes.graphs])].std() + 1e-9)).astype(np.float32)


def _step(
    policy: GraphPolicy,
    kernel: Any,
    state: Any,
    which: list[int],
    done: npt.NDArray[np.bool_],
    rng: np.random.Generator,
    kept: list[tuple[Any, ...]],
) -> npt.NDArray[np.bool_]:
    """One drawn decision a row, kept; returns which rows have ended."""
    graph = policy.see(kernel, state, which, int(rng.integers(2**31)))
    law, value = policy.evaluate(graph)
    action = pick(law, rng)
    logs = np.take_along_axis(law, action[:, None], axis=1)[:, 0]
    rewards, over = kernel.step(state, hold(action, done))
    kept.append((graph, action, logs, value, rewards.astype(np.float32), ~done))
    return np.array(over)
