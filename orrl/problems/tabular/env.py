"""Gymnasium environments of a finite problem; loaded only where one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from ...core.envs import KernelEnv, KernelVectorEnv

if TYPE_CHECKING:
    from .kernel import Rows, TabularKernel

__all__ = ["TabularEnv", "TabularVectorEnv"]


class TabularEnv(KernelEnv):
    """One finite problem as a Gymnasium environment; see `KernelEnv`, and `TabularKernel` for ``obs=``."""

    kernel: TabularKernel
    _state: Rows

    def _space(self) -> gymnasium.Space[Any]:
        return _box(self.kernel, self._state)


class TabularVectorEnv(KernelVectorEnv):
    """A batch of finite problems as a ``gymnasium.vector.VectorEnv``; see `KernelVectorEnv`."""

    kernel: TabularKernel
    _state: Rows

    def _space(self) -> gymnasium.Space[Any]:
        return _box(self.kernel, self._state)


def _box(kernel: TabularKernel, state: Rows) -> gymnasium.spaces.Box:
    width = kernel.observe(state).shape[1]
    most = max(max(len(p.states), len(p.observations)) for p in kernel.unique) - 1
    low, high = np.zeros(width, np.float32), np.ones(width, np.float32)
    if kernel.obs != "belief":
        low[0], high[0] = -1.0, max(most, 1)
    return gymnasium.spaces.Box(low, high)
