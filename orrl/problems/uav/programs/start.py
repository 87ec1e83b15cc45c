"""A flight near a solution of the linear program, improved by best responses.

With the other UAVs' paths known, one UAV's best path is a longest path through time and space. What a UAV earns on a
cell is how many users it adds, so the value of all paths together never falls, and the rounds end. A capacity is
not looked at: the flight is feasible under it, too, only not as good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ..data import UavOffloading

__all__ = ["first_paths"]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
ROUNDS = 20


def first_paths(problem: UavOffloading, reach: BoolArray, visits: FloatArray) -> IntArray | None:
    """Cells (T - t + 1, U) from the present slot on.

    Parameters
    ----------
    problem : UavOffloading
        The network.
    reach : (1 or U, T - t + 1, G) bool
        Cells that all UAVs, or each, may be on.
    visits : like `reach`
        How much of a UAV a linear program puts on each cell: the first paths follow it.

    Returns
    -------
    (T - t + 1, U) int or None
        None where a UAV finds no way past the others.
    """
    covered = problem.radio.covered[len(problem.position) - 1 :]
    slot, left = np.arange(len(covered)), visits.copy()
    paths: list[IntArray] = []
    for u in range(problem.n_uavs):
        path = _longest(problem, left[u % len(left)], _able(problem, u, paths, reach))
        if path is None:
            return None
        left[u % len(left)][slot, path] -= 1.0
        paths.append(path)
    value = -1
    for _ in range(ROUNDS):
        for u in range(problem.n_uavs):
            others = [p for v, p in enumerate(paths) if v != u]
            free = np.ones(covered.shape[::2], np.bool_)
            for path in others:
                free &= ~covered[slot, path]
            gain = np.matmul(covered.astype(np.float32), free.astype(np.float32)[:, :, None])[:, :, 0]
            better = _longest(problem, gain.astype(np.float64), _able(problem, u, others, reach))
            assert better is not None  # its own path is one
            paths[u] = better
        total = int(np.any([covered[slot, p] for p in paths], axis=0).sum())
        if total <= value:
            break
        value = total
    return np.stack(paths, axis=1)


def _able(problem: UavOffloading, u: int, others: list[IntArray], reach: BoolArray) -> BoolArray:
    """Cells (T - t + 1, G) of a UAV that starts where it is and keeps away from the others."""
    able = reach[u % len(reach)].copy()
    able[0] = False
    able[0, problem.position[-1, u]] = reach[u % len(reach), 0, problem.position[-1, u]]
    for path in others:
        able[1:] &= ~problem.too_close[path[1:]]
    return able


def _longest(problem: UavOffloading, gain: FloatArray, able: BoolArray) -> IntArray | None:
    """Longest path (T - t + 1,) over gains (T - t + 1, G)."""
    slots, targets = len(gain), problem.targets
    best = np.where(able[-1], gain[-1], -np.inf)
    choice = np.zeros((slots, problem.n_cells), np.int64)
    for t in range(slots - 2, -1, -1):
        ahead = np.where(targets >= 0, best[targets], -np.inf)
        move = ahead.argmax(axis=1)[:, None]
        choice[t] = np.take_along_axis(targets, move, axis=1)[:, 0]
        best = np.where(able[t], gain[t] + np.take_along_axis(ahead, move, axis=1)[:, 0], -np.inf)
    path = np.zeros(slots, np.int64)
    path[0] = int(best.argmax())  # only its present cell is in reach
    if best[path[0]] == -np.inf:
        return None
    for t in range(slots - 1):
        path[t + 1] = choice[t, path[t]]
    return path
