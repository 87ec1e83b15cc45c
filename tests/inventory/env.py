"""A Gymnasium view of the kernel; loaded only by ``problem.env()``."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from orrl.core.envs import KernelEnv

__all__ = ["InventoryEnv"]


class InventoryEnv(KernelEnv):
    """One shelf; the observation lies in the unit square."""

    def _space(self) -> gymnasium.Space[Any]:
        return gymnasium.spaces.Box(0.0, 1.0, (2,), np.float32)
