"""What the PPO learners share: advantages, the clipped loss, running scales, checkpoints.

Schulman, Wolski, Dhariwal, Radford & Klimov (2017), "Proximal Policy Optimization Algorithms"; Schulman, Moritz,
Levine, Jordan & Abbeel (2016), "High-Dimensional Continuous Control Using Generalized Advantage Estimation". Torch is
loaded with this module, which is loaded by a learner's `fit` and by its policies only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...core.archive import read_archive, write_archive

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["Clip", "Losses", "RunningScale", "advantages", "load_training", "ppo_loss", "save_training"]


def advantages(
    rewards: npt.NDArray[np.float32],
    values: npt.NDArray[np.float32],
    live: npt.NDArray[np.bool_],
    *,
    discount: float,
    smoothing: float,
    after: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Generalised advantages (2016, eq. 16) of episodes: nothing follows the last decision, unless `after` says so.

    Parameters
    ----------
    rewards, values, live : (T, N)
        Of each decision; ``live`` is false after the end of a row's episode.
    discount, smoothing : float
        gamma and lambda.
    after : (N,), optional
        Value of what follows step T in the rows that were cut off there, not over.
    """
    gain = np.zeros_like(values)
    ahead = np.zeros(values.shape[1], np.float32) if after is None else after
    assert ahead.shape == values.shape[1:], (ahead.shape, values.shape)
    carried = np.zeros(values.shape[1], np.float32)
    for t in reversed(range(len(values))):
        delta = rewards[t] + discount * ahead - values[t]
        carried = np.where(live[t], delta + discount * smoothing * carried, 0.0).astype(np.float32)
        ahead = np.where(live[t], values[t], 0.0)
        gain[t] = carried
    return gain


@dataclass(frozen=True, slots=True)
class Clip:
    """Clip ranges of the ratio and of the value (None: not clipped), weights of value and entropy in the loss."""

    ratio: float = 0.2
    value: float | None = None
    value_weight: float = 0.5
    entropy_weight: float = 0.01


@dataclass(frozen=True, slots=True)
class Losses:
    """One minibatch: the loss to minimise, and what is worth logging."""

    total: Tensor
    surrogate: float
    value: float
    entropy: float
    kl: float
    clipped: float


def ppo_loss(
    new_log: Tensor,
    old_log: Tensor,
    gain: Tensor,
    value: Tensor,
    old_value: Tensor,
    goal: Tensor,
    entropy: Tensor,
    clip: Clip,
) -> Losses:
    """The clipped surrogate (2017, eq. 7 and 9) with value and entropy terms; every argument is (N,)."""
    size = new_log.shape
    assert len(size) == 1, size
    for other in (old_log, gain, value, old_value, goal, entropy):
        assert other.shape == size, (other.shape, size)
    change = new_log - old_log
    ratio = change.exp()
    surrogate = torch.min(ratio * gain, ratio.clamp(1.0 - clip.ratio, 1.0 + clip.ratio) * gain).mean()
    miss = (value - goal).pow(2)
    if clip.value is not None:
        near = old_value + (value - old_value).clamp(-clip.value, clip.value)
        miss = torch.max(miss, (near - goal).pow(2))
    spread = entropy.mean()
    total = clip.value_weight * miss.mean() - surrogate - clip.entropy_weight * spread
    with torch.no_grad():
        kl = float((ratio - 1.0 - change).mean())  # Schulman's low-variance estimator
        clipped = float(((ratio - 1.0).abs() > clip.ratio).float().mean())
    return Losses(total, float(surrogate.detach()), float(miss.mean().detach()), float(spread.detach()), kl, clipped)


class RunningScale:
    """Running mean and variance of vectors (Chan, Golub & LeVeque 1983), for observations and returns."""

    def __init__(self, size: int) -> None:
        self.count, self.mean, self.square = 1e-4, np.zeros(size), np.ones(size) * 1e-4

    def update(self, values: npt.NDArray[Any]) -> None:
        """Take in rows (N, size)."""
        n, mean = len(values), values.mean(axis=0)
        gap, total = mean - self.mean, self.count + n
        self.square = self.square + ((values - mean) ** 2).sum(axis=0) + gap**2 * self.count * n / total
        self.mean, self.count = self.mean + gap * n / total, total

    @property
    def std(self) -> npt.NDArray[np.float64]:
        """Standard deviation, at least 1e-4."""
        return np.maximum(np.sqrt(self.square / self.count), 1e-4)

    def to_arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """For a checkpoint."""
        return {f"{name}.count": np.array(self.count), f"{name}.mean": self.mean, f"{name}.square": self.square}

    def from_arrays(self, name: str, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Inverse of `to_arrays`."""
        self.count = float(arrays[f"{name}.count"])
        self.mean, self.square = arrays[f"{name}.mean"], arrays[f"{name}.square"]


def save_training(
    path: Path,
    header: dict[str, Any],
    net: torch.nn.Module,
    adam: torch.optim.Optimizer,
    generators: dict[str, np.random.Generator],
    arrays: dict[str, npt.NDArray[Any]],
) -> None:
    """Everything a training needs to go on where it stood: weights, moments, random streams."""
    kept = {f"net.{k}": v.cpu().numpy() for k, v in net.state_dict().items()} | arrays
    for i, slot in adam.state_dict()["state"].items():
        kept |= {f"adam.{i}.{k}": np.asarray(v.cpu()) for k, v in slot.items()}
    streams = {name: rng.bit_generator.state for name, rng in generators.items()}
    write_archive(path, {**header, "streams": streams}, kept)


def load_training(
    path: Path,
    kind: str,
    net: torch.nn.Module,
    adam: torch.optim.Optimizer,
    generators: dict[str, np.random.Generator],
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Inverse of `save_training`: fills net, optimiser and streams; returns the header and the other arrays."""
    header, arrays = read_archive(path, kind)
    net.load_state_dict({k[4:]: torch.as_tensor(v) for k, v in arrays.items() if k.startswith("net.")})
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in arrays.items():
        if name.startswith("adam."):
            _, i, key = name.split(".")
            slots.setdefault(int(i), {})[key] = torch.as_tensor(value)
    adam.load_state_dict({"state": slots, "param_groups": adam.state_dict()["param_groups"]})
    for name, rng in generators.items():
        rng.bit_generator.state = header["streams"][name]
    return header, arrays
