"""Base-stock rules: order up to a level."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from orrl.core.policy import Actions, Policy

if TYPE_CHECKING:
    from .problem import Inventory

__all__ = ["BaseStock", "rules"]


def full(problem: Inventory) -> int:
    """A full shelf."""
    return problem.capacity


def mean(problem: Inventory) -> int:
    """The mean demand, rounded up."""
    return int(np.ceil(np.dot(problem.law, np.arange(len(problem.law)))))


def myopic(problem: Inventory) -> int:
    """The level with the best expected profit of one period alone (the newsvendor's)."""
    demand = np.arange(len(problem.law))

    def profit(level: int) -> float:
        sold = float(np.dot(problem.law, np.minimum(level, demand)))
        return (problem.price + problem.holding) * sold - (problem.cost + problem.holding) * level

    return max(range(problem.capacity + 1), key=profit)


class BaseStock(Policy):
    """Order up to a level of the problem, as far as the supplier goes."""

    def __init__(self, name: str, level: Callable[[Any], int]) -> None:
        self.name, self.level = name, level

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Work the levels out."""
        rows = list(problem) if isinstance(problem, Sequence) else [problem] * batch
        self._level = np.array([self.level(p) for p in rows])
        self._capacity = np.array([p.capacity for p in rows])

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """The largest accepted order up to the level."""
        stock = np.rint(obs[:, 0] * self._capacity).astype(np.int64)
        order = np.arange(info["action_mask"].shape[1])
        fits = info["action_mask"] & (order <= np.maximum(0, self._level - stock)[:, None])
        return np.asarray(np.where(fits, order, 0).max(axis=1), dtype=np.int64)


def rules() -> dict[str, Policy]:
    """By name."""
    return {f"base-stock-{f.__name__}": BaseStock(f"base-stock-{f.__name__}", f) for f in (full, mean, myopic)}
