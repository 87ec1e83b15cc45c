"""The cost-to-go of a cut pool as rows over the columns of a stage, for engines that take whole matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from ..cuts import CutPool
    from ..stages import Stage

__all__ = ["cut_rows", "theta_columns"]

FloatArray = npt.NDArray[np.float64]


def theta_columns(pool: CutPool | None) -> int:
    """Columns after a stage's own: the cost-to-go, then one theta per opening where the cuts come in several."""
    return 0 if pool is None else 1 if pool.thetas == 1 else 1 + pool.thetas


def cut_rows(stage: Stage, pool: CutPool) -> tuple[csr_array, FloatArray]:
    """Rows ``matrix @ (y, thetas) >= lower`` of the active cuts and of the mixtures.

    Each cut is divided by its largest coefficient, which interior point methods want; that changes nothing else.

    Returns
    -------
    matrix : (C + D, m + thetas) sparse
        Coefficients.
    lower : (C + D,)
        Right-hand sides.
    """
    from scipy.sparse import csr_array

    m, extra = len(stage.columns), theta_columns(pool)
    active = np.flatnonzero(pool.active)
    mixed = len(pool.mixtures) if pool.thetas > 1 else 0
    dense = np.zeros((len(active) + mixed, extra))
    first = 0 if pool.thetas == 1 else 1
    dense[np.arange(len(active)), first + pool.theta[active]] = 1.0
    if mixed:
        dense[len(active) :, 0] = 1.0
        dense[len(active) :, 1:] = -pool.mixtures
    slopes = -pool.gradient[active]
    size = np.maximum(1.0, abs(slopes).max(axis=1, initial=0.0))
    rows, which = np.nonzero(slopes)
    tall, late = np.nonzero(dense)
    scale = np.concatenate([size, np.ones(mixed)])
    values = np.concatenate([slopes[rows, which], dense[tall, late]])
    lines = np.concatenate([rows, tall])
    columns = np.concatenate([stage.out[which], m + late])
    matrix = csr_array((values / scale[lines], (lines, columns)), shape=(len(dense), m + extra))
    return matrix, np.concatenate([pool.intercept[active], np.zeros(mixed)]) / scale
