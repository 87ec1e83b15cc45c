"""Upper bounds of all belief points iterated down together.

A backup bounds each successor by a convex combination of points and corners. The weights stay right whatever the values
become, so each action's weights are kept, and one sparse product backs up every point (the fixed-point step of Poupart,
Kim, Kim 2011, ICAPS, section 4, on the weights of the sawtooth).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Mix", "sweep"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Mix:
    """An action's upper bound at a point: ``base + sum_k weight_k value[point_k]``.

    Parameters
    ----------
    base : float
        Reward, corners, and what is bounded otherwise.
    point : (K,) int
        Numbers of the points.
    weight : (K,)
        Discounted weights.
    """

    base: float
    point: IntArray
    weight: FloatArray


def sweep(
    mixes: Sequence[dict[int, Mix]], other: FloatArray, value: FloatArray, *, tolerance: float, rounds: int = 200
) -> tuple[FloatArray, FloatArray]:
    """Iterate the bounds of all points down under the weights that their backups chose.

    Parameters
    ----------
    mixes : sequence of dict
        For each point its actions with a `Mix`, at least one.
    other : (N,)
        The best upper bound of its other actions.
    value : (N,)
        Bounds to begin from.
    tolerance : float
        Stop when no point moves by more.

    Returns
    -------
    value : (N,)
        Bounds, none higher than before.
    q : (sum of the lengths of mixes,)
        What the actions are worth under them, in the order of `mixes`.
    """
    from scipy import sparse

    rows = [mix for actions in mixes for mix in actions.values()]
    counts = np.array([len(actions) for actions in mixes], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    ends = np.concatenate([[0], np.cumsum([len(mix.point) for mix in rows])])
    column = np.concatenate([mix.point for mix in rows])
    weights = np.concatenate([mix.weight for mix in rows])
    table = sparse.csr_matrix((weights, column, ends), shape=(len(rows), len(value)))
    base = np.array([mix.base for mix in rows])
    for _ in range(rounds):
        q = base + table @ value
        new = np.minimum(value, np.maximum(other, np.maximum.reduceat(q, first)))
        moved, value = float((value - new).max()), new
        if moved <= tolerance:
            break
    return value, q
