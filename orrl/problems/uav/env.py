"""Gymnasium environments of the UAV network: one agent moves all UAVs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from ...core.envs import KernelEnv, KernelVectorEnv

if TYPE_CHECKING:
    from ...core.learner import Generator
    from .data import UavOffloading
    from .kernel import FlightBatch, UavKernel

__all__ = ["UavEnv", "UavVectorEnv"]


class UavEnv(KernelEnv):
    """The network as a Gymnasium environment; actions are MultiDiscrete, one move for each UAV.

    The observation is `UavKernel.observe`; ``info["held"]`` counts the UAVs that the last move's collision rule held
    back, ``info["deadlock"]`` says that a UAV has missed its end.

    Parameters
    ----------
    problem : UavOffloading
        The network; it also fixes the spaces, together with a sequence of `instances`.
    pad_to : (int, int), optional
        UAVs and moves of the spaces; the largest network's by default. Needed where a generator or
        ``reset(options={"instance": ...})`` brings larger ones.
    options : mapping
        As `KernelEnv` and `UavKernel`: instances, split, illegal, reward_scale, compiled.
    """

    kernel: UavKernel
    _state: FlightBatch

    def __init__(
        self,
        problem: UavOffloading,
        *,
        pad_to: tuple[int, int] | None = None,
        instances: Sequence[UavOffloading] | Generator | None = None,
        **options: Any,
    ) -> None:
        if pad_to is None:
            known = [problem, *(instances if isinstance(instances, Sequence) else ())]
            pad_to = (max(p.n_uavs for p in known), max(len(p.offsets) for p in known))
        super().__init__(problem, instances=instances, pad_to=pad_to, **options)

    def _begin(self, problem: UavOffloading, scenario: Any) -> None:
        if hasattr(self, "kernel") and self.kernel.problems[0] is problem:  # its tables are still good
            self.problem, self.scenario = problem, scenario
            self._state = self.kernel.reset([scenario])
        else:
            super()._begin(problem, scenario)

    def _space(self) -> gymnasium.Space[Any]:
        return central_space(self.kernel)

    def _info(self) -> dict[str, Any]:
        return {**super()._info(), "held": int(self._state.held[0])}


class UavVectorEnv(KernelVectorEnv):
    """A batch of networks as a ``gymnasium.vector.VectorEnv``; see `KernelVectorEnv` and `UavEnv`."""

    kernel: UavKernel
    _state: FlightBatch

    def _space(self) -> gymnasium.Space[Any]:
        return central_space(self.kernel)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One joint move a row; ``info["held"]`` (B,) counts the UAVs that were held back."""
        obs, rewards, done, cut, info = super().step(actions)
        return obs, rewards, done, cut, {**info, "held": self._state.held.copy()}


def central_space(kernel: UavKernel) -> gymnasium.spaces.Box:
    """Box of the central observation, with its bounds."""
    low, high = kernel.observation_bounds()
    every = [np.concatenate([edge[:1], np.tile(edge[1:], kernel.n_uavs)]) for edge in (low, high)]
    return gymnasium.spaces.Box(every[0], every[1], dtype=np.float32)
