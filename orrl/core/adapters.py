"""Other libraries' models as policies: anything with ``predict``, and torch modules."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import numpy as np
import numpy.typing as npt

from .actions import accepted
from .errors import NotSupportedError
from .policy import Policy

__all__ = ["ModulePolicy", "PredictPolicy"]


def _masked_best(scores: npt.NDArray[Any], info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
    return np.asarray(np.where(info["action_mask"], scores, -np.inf).argmax(axis=-1), dtype=np.int64)


class PredictPolicy(Policy):
    """A Stable-Baselines3 model (or any object with ``predict`` and ``observation_space``).

    A model that does not know the mask may choose an action that is not accepted; the first accepted one is taken
    then, and `overruled` counts it.
    """

    def __init__(self, model: Any, name: str) -> None:
        self.model, self.name = model, name
        self.overruled = 0
        self._masked = "action_masks" in signature(model.predict).parameters

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Count anew."""
        self.overruled = 0

    def act(self, obs: Any, info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        """Ask the model for each row that has not ended."""
        wanted, got = self.model.observation_space.shape, None if isinstance(obs, Mapping) else np.shape(obs)[1:]
        if wanted is None or wanted != got:
            raise NotSupportedError(
                f"policy {self.name!r} was trained on observations of shape {wanted}, the problem gives {got}: pad "
                "both to one size (pad_to=), or train on this size"
            )
        mask = info["action_mask"]
        extra = {"action_masks": mask.reshape(len(mask), -1)} if self._masked else {}
        actions, _ = self.model.predict(obs, deterministic=True, **extra)
        actions = np.asarray(actions, dtype=np.int64).reshape(mask.shape[:-1])
        inside = (actions >= 0) & (actions < mask.shape[-1])
        inside &= np.take_along_axis(mask, np.where(inside, actions, 0)[..., None], axis=-1)[..., 0]
        self.overruled += int((~accepted(mask, actions) & ~info["done"]).sum())
        return np.where(inside, actions, mask.argmax(axis=-1))


class ModulePolicy(Policy):
    """A torch module that maps observations (B, ...) to logits (B, A); the best accepted action is taken."""

    def __init__(self, module: Any, name: str) -> None:
        self.module, self.name = module, name

    def act(self, obs: Any, info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        """Evaluate the module without gradients."""
        import torch

        with torch.no_grad():
            logits = self.module(torch.as_tensor(np.asarray(obs))).numpy()
        if logits.shape != info["action_mask"].shape:
            raise NotSupportedError(
                f"policy {self.name!r} gives logits of shape {logits.shape}, the problem has "
                f"{info['action_mask'].shape} (rows, actions)"
            )
        return _masked_best(logits, info)
