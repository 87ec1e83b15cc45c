"""A pool of planes under a convex function that many stages share: values by one product instead of many programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PlanePool"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
CHUNK = 4096  # points at a time, so that the table of all heights stays small


class PlanePool:
    """``C(r) >= height + slope @ r`` for every plane; the pool's value is the largest.

    For a linear (or conic) stage each plane is the value and the dual of one solve, so it lies under C everywhere. For
    a stage that is not convex it is a tangent at one point: a heuristic, which bounds nothing.

    Parameters
    ----------
    size : int
        k, length of r.

    Attributes
    ----------
    slope, height : (P, k), (P,)
        The planes.
    used : (P,) int
        Training step at which a plane was last the largest somewhere.
    """

    def __init__(self, size: int) -> None:
        self.slope: FloatArray = np.zeros((0, size))
        self.height: FloatArray = np.zeros(0)
        self.used: IntArray = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self.height)

    def value(self, points: FloatArray) -> tuple[FloatArray, IntArray]:
        """Values (N,) at points (N, k), and the plane (N,) that gives each; -inf and -1 where there is no plane."""
        best, which = np.full(len(points), -np.inf), np.full(len(points), -1)
        if not len(self):
            return best, which
        for start in range(0, len(points), CHUNK):
            part = slice(start, start + CHUNK)
            heights = points[part] @ self.slope.T
            heights += self.height
            which[part] = heights.argmax(axis=1)
            best[part] = np.take_along_axis(heights, which[part, None], axis=1)[:, 0]
        return best, which

    def add(self, points: FloatArray, values: FloatArray, slopes: FloatArray, step: int = 0) -> int:
        """Planes through ``(points, values)`` (A, k), (A,) with slopes (A, k); equal ones once. Returns how many."""
        if not len(points):
            return 0
        heights = values - (points * slopes).sum(axis=1)
        scale = 1.0 + abs(slopes).max() + abs(heights).max()
        table = np.round(np.column_stack([slopes, heights]) / scale, 11)
        _, first = np.unique(table, axis=0, return_index=True)
        first.sort()
        self.slope = np.concatenate([self.slope, slopes[first]])
        self.height = np.concatenate([self.height, heights[first]])
        self.used = np.concatenate([self.used, np.full(len(first), step)])
        return len(first)

    def touch(self, which: IntArray, step: int) -> None:
        """Note that planes were of use."""
        self.used[which[which >= 0]] = step

    def prune(self, step: int, patience: int, most: int = 4000) -> int:
        """Drop planes that were of no use for `patience` steps, and all but the `most` last used; returns how many."""
        keep = self.used > step - patience
        keep[np.argsort(-self.used, kind="stable")[most:]] = False
        return self._keep(np.asarray(keep))

    def drop_above(self, points: FloatArray, values: FloatArray, tolerance: float) -> int:
        """Drop planes that pass over a known value by more than `tolerance` times it: tangents that no longer hold."""
        if not len(self) or not len(points):
            return 0
        over = points @ self.slope.T + self.height - values[:, None] > tolerance * (1.0 + abs(values[:, None]))
        return self._keep(~np.asarray(over.any(axis=0)))

    def _keep(self, keep: npt.NDArray[np.bool_]) -> int:
        gone = int((~keep).sum())
        if gone:
            self.slope, self.height, self.used = self.slope[keep], self.height[keep], self.used[keep]
        return gone

    def to_arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """For a checkpoint."""
        return {f"{name}.slope": self.slope, f"{name}.height": self.height, f"{name}.used": self.used}

    def from_arrays(self, name: str, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Inverse of `to_arrays`."""
        self.slope, self.height = arrays[f"{name}.slope"], arrays[f"{name}.height"]
        self.used = arrays[f"{name}.used"]
