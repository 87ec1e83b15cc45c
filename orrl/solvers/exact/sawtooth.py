"""Sawtooth upper bound of a POMDP's value: values at corners and beliefs, and convex combinations of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...core.jit import Source

__all__ = ["Sawtooth"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

source = Source(tables={"POINTS": "f8[:,::1]", "LIST": "i8[::1]", "VECTOR": "f8[::1]"}, all_tables="ALL")


@source.add("void(POINTS, VECTOR, LIST, i8, LIST, LIST, VECTOR, VECTOR, VECTOR, LIST, VECTOR)", entry=True)
def sawtooth(query, corner, order, count, start, index, inverse, drop, out, best_point, best_share):  # type: ignore[no-untyped-def]
    """Upper bound of each row of `query` (N, S), which need not sum to one.

    ``sum_s q_s c_s + min_j drop_j min_{s in supp j} q_s / b_js`` (Hauskrecht 2000, JAIR 13, section 4.5). Points come
    in the order of `drop`, the deepest first, so that the search ends when no later one can win; a point is left once
    its running minimum cannot beat the best one.
    """
    hint = -1
    for i in range(query.shape[0]):
        base = 0.0
        mass = 0.0
        for s in range(query.shape[1]):
            base += query[i, s] * corner[s]
            mass += query[i, s]
        best = 0.0
        chosen = -1
        share = 0.0
        for k in range(-1, count):
            j = hint if k < 0 else order[k]
            if j < 0:
                continue
            if drop[j] * mass >= best:
                if k < 0:
                    continue
                break
            least = best / drop[j]
            ratio = mass
            for e in range(start[j], start[j + 1]):
                r = query[i, index[e]] * inverse[e]
                if r < ratio:
                    ratio = r
                    if ratio <= least:
                        break
            if ratio > least:
                best = ratio * drop[j]
                chosen = j
                share = ratio
        out[i] = base + best
        best_point[i] = chosen
        best_share[i] = share
        hint = chosen


class Sawtooth:
    """Corner values and belief points; every value is a valid upper bound, so any convex combination is one too.

    Parameters
    ----------
    corner : (S,)
        Upper bounds where the state is known.

    Attributes
    ----------
    value : (N,)
        Bounds of the points.
    """

    def __init__(self, corner: FloatArray) -> None:
        self.corner = np.ascontiguousarray(corner, dtype=np.float64)
        states = len(corner)
        self.count = 0
        self.points = np.zeros((64, states))
        self.value = np.zeros(64)
        self.drop = np.zeros(64)
        self.start = np.zeros(65, dtype=np.int64)
        self.index = np.zeros(64 * 8, dtype=np.int64)
        self.inverse = np.zeros(64 * 8)
        self.order = np.zeros(0, dtype=np.int64)
        self._stale = 0

    def add(self, belief: FloatArray, value: float) -> int:
        """A new point; returns its number."""
        j = self.count
        if j == len(self.points):
            self.points = np.concatenate([self.points, np.zeros_like(self.points)])
            self.value = np.concatenate([self.value, np.zeros_like(self.value)])
            self.drop = np.concatenate([self.drop, np.zeros_like(self.drop)])
            self.start = np.concatenate([self.start, np.zeros(len(self.start) - 1, dtype=np.int64)])
        support = np.flatnonzero(belief)
        support = support[np.argsort(-belief[support], kind="stable")]
        begin, end = int(self.start[j]), int(self.start[j]) + len(support)
        while end > len(self.index):
            self.index = np.concatenate([self.index, np.zeros_like(self.index)])
            self.inverse = np.concatenate([self.inverse, np.zeros_like(self.inverse)])
        self.index[begin:end] = support
        self.inverse[begin:end] = 1.0 / belief[support]
        self.points[j] = belief
        self.value[j] = value
        self.drop[j] = min(0.0, value - float(belief @ self.corner))
        self.start[j + 1] = end
        self.count = j + 1
        self._stale = 10**9
        return j

    def lower(self, j: int, value: float) -> None:
        """Lower the bound of a point; a higher value is ignored."""
        if value < self.value[j]:
            self.value[j] = value
            self.drop[j] = min(0.0, value - float(self.points[j] @ self.corner))
            self._stale += 1

    def lower_corners(self, corner: FloatArray) -> None:
        """Lower corner values."""
        self.corner = np.minimum(self.corner, corner)
        n = self.count
        straight = self.points[:n] @ self.corner
        self.value[:n] = np.minimum(self.value[:n], straight)
        self.drop[:n] = self.value[:n] - straight
        self._stale = 10**9

    def lower_all(self, value: FloatArray) -> None:
        """Lower the bounds of all points (N,); higher values are ignored."""
        n = self.count
        self.value[:n] = np.minimum(self.value[:n], value)
        self.drop[:n] = np.minimum(0.0, self.value[:n] - self.points[:n] @ self.corner)
        self._stale = 10**9

    def sort(self) -> None:
        """Put the points that lie below the corners in order, the deepest first."""
        if self._stale > 16:
            live = np.flatnonzero(self.drop[: self.count] < 0.0)
            self.order = live[np.argsort(self.drop[live], kind="stable")]
            self._stale = 0

    def query(self, block: FloatArray) -> tuple[FloatArray, IntArray, FloatArray]:
        """Bounds (N,) of unnormalised beliefs (N, S), the point that gave each (-1 for none), and its share."""
        self.sort()
        n = len(block)
        out, chosen, share = np.empty(n), np.empty(n, dtype=np.int64), np.empty(n)
        source.compiled().sawtooth(
            block,
            self.corner,
            self.order,
            len(self.order),
            self.start,
            self.index,
            self.inverse,
            self.drop,
            out,
            chosen,
            share,
        )
        return out, chosen, share

    def bound(self, belief: FloatArray) -> float:
        """Bound of one belief."""
        return float(self.query(np.ascontiguousarray(belief[None, :]))[0][0])
