"""Level-1 cut selection: a cut stays in the models while it is the highest at some state where a cut was made.

de Matos, Philpott and Finardi 2015, Improving the performance of stochastic dual dynamic programming, Journal of
Computational and Applied Mathematics 290:196-208. A cut that is dropped is kept in the pool and comes back when it
is the highest at a later state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ...core.cuts import CutPool

__all__ = ["LevelOne"]

FloatArray = npt.NDArray[np.float64]


class LevelOne:
    """The highest cut at each sampled state of one pool, kept up to date cut by cut.

    Parameters
    ----------
    pool : CutPool
        Its cuts so far are taken in.
    """

    def __init__(self, pool: CutPool) -> None:
        self.pool = pool
        self._seen = 0
        self._best = np.zeros(0, np.int64)  # at the state of each cut, the highest cut of the same theta
        self._height = np.zeros(0)

    def update(self) -> None:
        """Take in the cuts since the last call: O(cuts * n) for each."""
        pool = self.pool
        points = np.where(np.isnan(pool.point), 0.0, pool.point)
        grown = pool.count - len(self._best)
        if grown > 0:
            self._best = np.concatenate([self._best, np.zeros(grown, np.int64)])
            self._height = np.concatenate([self._height, np.full(grown, -np.inf)])
        for c in range(self._seen, pool.count):
            same = np.flatnonzero(pool.theta[:c] == pool.theta[c])
            here = pool.intercept[same] + pool.gradient[same] @ points[c]
            own = pool.intercept[c] + pool.gradient[c] @ points[c]
            top = int(same[here.argmax()]) if len(same) and here.max() >= own else c
            self._best[c], self._height[c] = top, max(own, here.max(initial=-np.inf))
            there = pool.intercept[c] + points[same] @ pool.gradient[c]
            beaten = same[there > self._height[same]]
            self._best[beaten], self._height[beaten] = c, there[there > self._height[same]]
        self._seen = pool.count

    def clean(self) -> int:
        """Keep in models what is highest somewhere; returns how many cuts stay."""
        self.update()
        active = np.zeros(self.pool.count, np.bool_)
        active[self._best] = True
        active |= np.isnan(self.pool.point).any(axis=1)  # made at a state that nobody knows: never dropped
        self.pool.keep(active)
        return int(active.sum())
