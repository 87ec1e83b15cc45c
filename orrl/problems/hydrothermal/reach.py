"""From shares in [0, 1] to volumes that can be reached, reservoir after reservoir down the cascade.

Upper ends follow the reachable policy of DecisionRules.jl (docs/src/casestudies/hydro/method.md): what is there, what
flows in, and what the reservoirs above let go for the volumes they were given. The lower end is the smallest volume,
since any amount may be spilled. That a reservoir lets its water through its turbines is assumed where a link carries
turbined water only, so a network that cannot take the power may still refuse the target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .system import Cascade

__all__ = ["ReachMap"]

FloatArray = npt.NDArray[np.float64]


class ReachMap:
    """The map of one cascade.

    Parameters
    ----------
    cascade : Cascade
        Reservoirs. A smallest volume or flow that may be broken for money does not bind the map.
    factor : float
        K, hm3 per m3/s and stage.

    Attributes
    ----------
    levels : list of (L,) int
        Reservoirs that can be placed together once those of the levels before are.
    """

    def __init__(self, cascade: Cascade, factor: float) -> None:
        count = len(cascade.names)
        both = (cascade.turbine_to > 0) & (cascade.spill_to > 0)
        turbine = (cascade.turbine_to > 0) & ~both  # water need not be spilled: spill-only links raise no upper end
        depth = np.zeros(count, np.int64)
        for h in cascade.order:
            above = np.flatnonzero((both | turbine)[:, h])
            depth[h] = depth[above].max() + 1 if len(above) else 0
        self.factor = factor
        self.levels = [np.flatnonzero(depth == level) for level in range(int(depth.max()) + 1)]
        order = np.concatenate(self.levels)
        self._back = np.argsort(order)
        lower = np.where(cascade.volume_violation_cost > 0, 0.0, cascade.volume_min)
        least = factor * np.where(cascade.outflow_violation_cost > 0, 0.0, cascade.turbine_min)
        most = factor * cascade.turbine_max
        self._tables: list[tuple[Any, ...]] = []
        before = np.zeros(0, np.int64)
        for plants in self.levels:
            links = [both[np.ix_(before, plants)].astype(float), turbine[np.ix_(before, plants)].astype(float)]
            self._tables.append((*links, lower[plants], cascade.volume_max[plants], least[plants], most[before]))
            before = np.concatenate([before, plants])
        self._cast: dict[Any, list[tuple[Any, ...]]] = {}

    def targets(self, state: Any, noise: Any, share: Any, *, xp: Any = np) -> Any:
        """Volumes (B, H) for shares (B, H), from `state` (B, H) under inflow `noise` (B, H); NumPy or torch."""
        placed, let_go = [], None
        for plants, (full, turbined, low, high, least, most) in zip(
            self.levels, self._constants(xp, state), strict=True
        ):
            water = state[:, plants] + self.factor * noise[:, plants]
            if let_go is not None:
                water = water + let_go @ full + xp.minimum(let_go, most) @ turbined
            ceiling = xp.maximum(xp.minimum(water - least, high + 0.0 * water), low + 0.0 * water)
            level = low + (ceiling - low) * share[:, plants]
            left = xp.maximum(water - level, 0.0 * water)
            let_go = left if let_go is None else xp.concatenate([let_go, left], 1)
            placed.append(level)
        return xp.concatenate(placed, 1)[:, self._back]

    def shares(self, state: FloatArray, noise: FloatArray, target: FloatArray) -> FloatArray:
        """Shares (B, H) that give `target` (B, H), or what is nearest to it level by level."""
        found, let_go = [], np.zeros((len(state), 0))
        for plants, (full, turbined, low, high, least, most) in zip(self.levels, self._tables, strict=True):
            water = state[:, plants] + self.factor * noise[:, plants]
            water = water + let_go @ full + np.minimum(let_go, most) @ turbined
            width = np.maximum(np.minimum(water - least, high), low) - low
            share = np.clip((target[:, plants] - low) / np.where(width > 1e-12, width, np.inf), 0.0, 1.0)
            let_go = np.concatenate([let_go, np.maximum(water - (low + width * share), 0.0)], axis=1)
            found.append(share)
        return np.asarray(np.concatenate(found, axis=1)[:, self._back], np.float64)

    def _constants(self, xp: Any, like: Any) -> list[tuple[Any, ...]]:
        """The tables in the array type of `like`, made once."""
        if xp is np:
            return self._tables
        key = (xp.__name__, like.dtype, str(like.device))
        if key not in self._cast:
            self._cast[key] = [
                tuple(xp.as_tensor(a, dtype=like.dtype, device=like.device) for a in table) for table in self._tables
            ]
        return self._cast[key]
