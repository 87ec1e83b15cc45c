"""Gymnasium environments of a fishery; loaded only where one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from ...core.envs import KernelEnv, KernelVectorEnv

if TYPE_CHECKING:
    from .data import Fishery
    from .kernel import FisheryKernel
    from .stocks import Stocks

__all__ = ["FisheryEnv", "FisheryVectorEnv"]


class FisheryEnv(KernelEnv):
    """One fishery as a Gymnasium environment: a year a step, the reward is the utility of the year.

    Parameters
    ----------
    problem : Fishery
        The fishery; it also fixes the spaces.
    options : mapping
        As `KernelEnv` (instances, split, illegal) and `FisheryKernel` (obs, action, grid, stack, particles).

    Notes
    -----
    After a step ``info`` has the ``stock``, ``seen`` (the survey) and ``year``; a learner that is to be blind must not
    read the stock.
    """

    kernel: FisheryKernel
    _state: Stocks
    _played: Fishery | None = None

    def _begin(self, problem: Fishery, scenario: Any) -> None:
        if self._played is problem:  # its tables are still good
            self.problem, self.scenario = problem, scenario
            self._state = self.kernel.reset([scenario])
        else:
            super()._begin(problem, scenario)
            self._played = problem

    def _space(self) -> gymnasium.Space[Any]:
        return _box(self.kernel, self._state)

    def _info(self) -> dict[str, Any]:
        state = self._state
        year = int(state.stage[0])
        now = {"stock": float(state.stock[0, year]), "seen": float(state.survey[0, year]), "year": year}
        return {**super()._info(), **now}


class FisheryVectorEnv(KernelVectorEnv):
    """A batch of fisheries as a ``gymnasium.vector.VectorEnv``; see `KernelVectorEnv` and `FisheryEnv`."""

    kernel: FisheryKernel
    _state: Stocks

    def _space(self) -> gymnasium.Space[Any]:
        return _box(self.kernel, self._state)


def _box(kernel: FisheryKernel, state: Stocks) -> gymnasium.spaces.Box:
    """Stocks and surveys end at `top` on a grid only."""
    width = kernel.observe(state).shape[1]
    high = np.full(width, float(kernel.top.max()) if kernel.on_grid else np.inf, np.float32)
    if kernel.obs == "belief":
        high[:] = 1.0
    if kernel.timed:
        high[-1] = 1.0
    return gymnasium.spaces.Box(np.zeros(width, np.float32), high)
