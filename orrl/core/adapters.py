"""Other libraries' models as policies: anything with ``predict``, and torch modules."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import numpy as np

from .actions import Actions, accepted, cast, is_continuous, nearest
from .errors import NotSupportedError
from .policy import Policy

__all__ = ["ModulePolicy", "PredictPolicy"]


class PredictPolicy(Policy):
    """A Stable-Baselines3 model (or any object with ``predict`` and ``observation_space``).

    A model that does not know the mask may choose an action that is not accepted; the first accepted one is taken
    then (of real numbers the nearest in [0, 1]), and `overruled` counts it.
    """

    def __init__(self, model: Any, name: str) -> None:
        self.model, self.name = model, name
        self.overruled = 0
        self._masked = "action_masks" in signature(model.predict).parameters

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Count anew."""
        self.overruled = 0

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Ask the model for each row that has not ended."""
        wanted, got = self.model.observation_space.shape, None if isinstance(obs, Mapping) else np.shape(obs)[1:]
        if wanted is None or wanted != got:
            raise NotSupportedError(
                f"policy {self.name!r} was trained on observations of shape {wanted}, the problem gives {got}: pad "
                "both to one size (pad_to=), or train on this size"
            )
        mask, kernel = info["action_mask"], info["view"].kernel
        extra = {"action_masks": mask.reshape(len(mask), -1)} if self._masked else {}
        actions, _ = self.model.predict(obs, deterministic=True, **extra)
        actions = cast(kernel, np.reshape(actions, (len(mask), *kernel.action_shape)))
        self.overruled += int((~accepted(mask, actions) & ~info["done"]).sum())
        return nearest(mask, actions)


class ModulePolicy(Policy):
    """A torch module that maps observations (B, ...) to logits (B, A); the best accepted action is taken.

    Where actions are real numbers it maps them to the actions (B, n) themselves, so it should end in a sigmoid.
    """

    def __init__(self, module: Any, name: str) -> None:
        self.module, self.name = module, name

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Evaluate the module without gradients."""
        import torch

        with torch.no_grad():
            scores = self.module(torch.as_tensor(np.asarray(obs))).numpy()
        mask = info["action_mask"]
        real = is_continuous(info["view"].kernel)
        if scores.shape != mask.shape:
            raise NotSupportedError(
                f"policy {self.name!r} gives {'actions' if real else 'logits'} of shape {scores.shape}, the problem "
                f"has {mask.shape} (rows, {'numbers' if real else 'actions'})"
            )
        return scores if real else np.where(mask, scores, -np.inf).argmax(axis=-1)
