"""Rewards of any magnitude in the unit that a value network likes; one object per training, with a running memory.

Each learns from the rewards (T, N) of whole episodes and normalises those, or single rewards of a replay memory. None
of them changes which policy is best. Torch is loaded with this module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .ppo_core import RunningScale

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64] | npt.NDArray[np.float32]
    Flags = npt.NDArray[np.bool_]
    Steps = npt.NDArray[np.int64]

__all__ = ["REWARDS", "CenteredRewards", "RawRewards", "ScaledRewards"]


class Rewards(Protocol):
    """Running normalisation of rewards."""

    def learn(self, rewards: Floats, alive: Flags, discount: float) -> None:
        """Learn from rewards (T, N) where `alive`."""
        ...

    def shaped(self, rewards: Floats, when: Steps, follows: Flags, discount: float) -> npt.NDArray[np.float32]:
        """Rewards of any shape, of the steps `when`, normalised; `follows` is false where an episode ended."""
        ...

    def __call__(self, rewards: Floats, alive: Flags, discount: float) -> npt.NDArray[np.float32]:
        """Learn from rewards (T, N) where `alive`, and return them normalised, 0 elsewhere."""
        ...

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For a checkpoint."""
        ...

    def from_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Inverse of `to_arrays`."""
        ...


class _Rewards(ABC):
    """Whole episodes: learn, then normalise."""

    @abstractmethod
    def learn(self, rewards: Floats, alive: Flags, discount: float) -> None:
        """See `Rewards`."""

    @abstractmethod
    def shaped(self, rewards: Floats, when: Steps, follows: Flags, discount: float) -> npt.NDArray[np.float32]:
        """See `Rewards`."""

    def __call__(self, rewards: Floats, alive: Flags, discount: float) -> npt.NDArray[np.float32]:
        """Learn, then normalise."""
        self.learn(rewards, alive, discount)
        follows = np.vstack([alive[1:], np.zeros_like(alive[:1])])
        when = np.broadcast_to(np.arange(len(rewards))[:, None], rewards.shape)
        return np.where(alive, self.shaped(rewards, when, follows, discount), np.float32(0.0))


class RawRewards(_Rewards):
    """As they are."""

    def learn(self, rewards: Floats, alive: Flags, discount: float) -> None:
        """Nothing."""

    def shaped(self, rewards: Floats, when: Steps, follows: Flags, discount: float) -> npt.NDArray[np.float32]:
        """As they are."""
        return rewards.astype(np.float32)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Nothing."""
        return {}

    def from_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Nothing."""


class ScaledRewards(_Rewards):
    """Divided by the spread of the discounted sums so far (Engstrom et al. 2020, "Implementation Matters", ICLR)."""

    def __init__(self) -> None:
        self.scale = RunningScale(1)

    def learn(self, rewards: Floats, alive: Flags, discount: float) -> None:
        """Learn the spread."""
        gone = np.zeros(rewards.shape[1])
        for t in range(len(rewards)):
            gone = gone * discount + rewards[t]
            self.scale.update(gone[alive[t]][:, None] if alive[t].any() else np.zeros((1, 1)))

    def shaped(self, rewards: Floats, when: Steps, follows: Flags, discount: float) -> npt.NDArray[np.float32]:
        """Divided by the spread."""
        return (rewards / self.scale.std[0]).astype(np.float32)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Moments."""
        return self.scale.to_arrays("return")

    def from_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Inverse of `to_arrays`."""
        self.scale.from_arrays("return", arrays)


class CenteredRewards(_Rewards):
    """Scaled by what differs between episodes, not by what they all pay.

    Let b_t be the running mean of the return from step t on. ``(r_t + discount b_{t+1} - b_t) / s`` is shaping by a
    potential of time alone (Ng, Harada & Russell 1999, ICML): it adds the same number to every episode, of any length,
    since nothing follows its end; s is the running spread of the returns around b_t. A cost of 3000 a step of which a
    policy moves 1% so becomes a signal of order one, where the plain scale would see the 3000 only.
    """

    fade = 0.95  # what an iteration leaves of the memory: returns of policies long gone should not set the scale

    def __init__(self) -> None:
        self.count, self.mean = np.zeros(0), np.zeros(0)
        self.total, self.square = 0.0, 0.0

    def learn(self, rewards: Floats, alive: Flags, discount: float) -> None:
        """Learn mean and spread."""
        steps = len(rewards)
        togo = np.zeros((steps + 1, rewards.shape[1]))
        for t in reversed(range(steps)):
            togo[t] = np.where(alive[t], rewards[t] + discount * togo[t + 1], 0.0)
        if len(self.mean) < steps:
            grow = steps - len(self.mean)
            self.count, self.mean = np.pad(self.count, (0, grow)), np.pad(self.mean, (0, grow))
        number, sums = alive.sum(axis=1), (togo[:-1] * alive).sum(axis=1)
        self.count *= self.fade
        self.count[:steps] += number
        gap = sums - number * self.mean[:steps]
        self.mean[:steps] += gap / np.maximum(self.count[:steps], 1e-9)
        level = np.append(self.mean[:steps], 0.0)[:, None]
        around = (togo[:-1] - level[:-1]) * alive
        self.total = self.fade * self.total + alive.sum()
        self.square = self.fade * self.square + (around**2).sum()

    def shaped(self, rewards: Floats, when: Steps, follows: Flags, discount: float) -> npt.NDArray[np.float32]:
        """``(r_t + discount b_{t+1} - b_t) / s``; nothing is known of steps that no episode has reached."""
        level = np.append(self.mean, [0.0, 0.0])
        when = np.minimum(when, len(self.mean))
        spread = max(np.sqrt(self.square / max(self.total, 1.0)), 1e-8)
        ahead = discount * level[np.minimum(when + 1, len(self.mean))] * follows
        return np.asarray((rewards + ahead - level[when]) / spread, np.float32)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Moments."""
        return {
            "return.count": self.count,
            "return.mean": self.mean,
            "return.sums": np.array([self.total, self.square]),
        }

    def from_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Inverse of `to_arrays`."""
        self.count, self.mean = arrays["return.count"].copy(), arrays["return.mean"].copy()
        self.total, self.square = (float(v) for v in arrays["return.sums"])


REWARDS: dict[str, type[RawRewards | ScaledRewards | CenteredRewards]] = {
    "raw": RawRewards,
    "scaled": ScaledRewards,
    "centered": CenteredRewards,
}
