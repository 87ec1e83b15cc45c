"""Noise laws round a mean, and what they become on a grid.

Two discretisations. The *point* rule is that of the authors of paper A: the density at the grid points, scaled. The
*cell* rule integrates the law over the cells between the midpoints of neighbouring grid points.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError

__all__ = ["LAWS", "Law", "Rule", "check_rows", "cut_mass", "discretise", "shake"]

Law = Literal["normal", "lognormal", "rescaled-lognormal", "uniform"]
Rule = Literal["point", "cell"]
LAWS: tuple[str, ...] = get_args(Law)
FloatArray = npt.NDArray[np.float64]


def _log_parameters(law: str, mean: FloatArray, sigma: float) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the logarithm."""
    if law == "lognormal":  # the mean of the law is `mean`
        return np.log(mean) - sigma**2 / 2.0, np.full_like(mean, sigma)
    spread = np.log1p(sigma**2 / (3.0 * mean))  # variance mean * sigma^2 / 3
    return np.log(mean) - spread / 2.0, np.sqrt(spread)


def _pdf(law: str, x: FloatArray, mean: FloatArray, sigma: float) -> FloatArray:
    if law == "normal":
        return np.asarray(np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * np.sqrt(2.0 * np.pi)))
    if law == "uniform":
        inside = (x >= mean * (1.0 - sigma)) & (x <= mean * (1.0 + sigma))
        return np.asarray(np.where(inside, 1.0 / (2.0 * mean * sigma), 0.0))
    centre, width = _log_parameters(law, mean, sigma)
    positive = np.where(x > 0.0, x, 1.0)
    density = np.exp(-0.5 * ((np.log(positive) - centre) / width) ** 2) / (positive * width * np.sqrt(2.0 * np.pi))
    return np.asarray(np.where(x > 0.0, density, 0.0))


def _cdf(law: str, x: FloatArray, mean: FloatArray, sigma: float) -> FloatArray:
    from scipy.special import ndtr

    if law == "normal":
        return np.asarray(ndtr((x - mean) / sigma))
    if law == "uniform":
        return np.asarray(np.clip((x - mean * (1.0 - sigma)) / (2.0 * mean * sigma), 0.0, 1.0))
    centre, width = _log_parameters(law, mean, sigma)
    positive = np.where(x > 0.0, x, 1.0)
    return np.asarray(np.where(x > 0.0, ndtr((np.log(positive) - centre) / width), 0.0))


def discretise(law: str, grid: FloatArray, mean: FloatArray, sigma: float, rule: str = "point") -> FloatArray:
    """Rows (M, n): law round each mean (M,) on the grid (n,), which begins at 0.

    A mean of 0 or less is extinct: all mass on the first point. ``sigma <= 0`` puts all mass on the nearest point.

    Notes
    -----
    Point rule (research code of Memarzadeh & Boettiger 2019): density at the grid points; the density at the mirrored
    points ``-grid[1:]`` is added to the first; all are scaled to sum to N, the mass up to the last point; 1 - N is
    added to the last. Where every density is 0 the mass goes to the first point, as there, which `cut_mass` counts.
    """
    mean = np.asarray(mean, np.float64)
    n = len(grid)
    rows = np.zeros((len(mean), n))
    alive = mean > 0.0
    rows[~alive, 0] = 1.0
    if sigma <= 0.0:
        middle = (grid[1:] + grid[:-1]) / 2.0
        rows[alive, np.searchsorted(middle, mean[alive])] = 1.0
        return rows
    mu = mean[alive, None]
    if rule == "cell":
        edges = (grid[1:] + grid[:-1]) / 2.0
        below = _cdf(law, edges[None, :], mu, sigma)
        whole = np.concatenate([np.zeros_like(mu), below, np.ones_like(mu)], axis=1)
        rows[alive] = np.diff(whole, axis=1)
        return rows
    density = _pdf(law, grid[None, :], mu, sigma)
    density[:, 0] += _pdf(law, -grid[None, 1:], mu, sigma).sum(axis=1)
    inside = _cdf(law, np.full_like(mu, grid[-1]), mu, sigma)[:, 0]
    total = density.sum(axis=1)
    found = total > 0.0
    scaled = density * (inside / np.where(found, total, 1.0))[:, None]
    scaled[:, -1] += 1.0 - inside
    scaled[~found] = 0.0
    scaled[~found, 0] = 1.0
    rows[alive] = scaled
    return rows


def cut_mass(law: str, grid: FloatArray, mean: FloatArray, sigma: float, rule: str = "point") -> FloatArray:
    """Mass (M,) that the grid puts elsewhere: above its last cell, and what the point rule drops between two points."""
    mean = np.asarray(mean, np.float64)
    cut = np.zeros(len(mean))
    alive = mean > 0.0
    half = (grid[-1] - grid[-2]) / 2.0
    if sigma <= 0.0:
        cut[alive] = mean[alive] > grid[-1] + half
        return cut
    mu = mean[alive, None]
    lost = 1.0 - _cdf(law, np.full_like(mu, grid[-1] + half), mu, sigma)[:, 0]
    if rule == "point":
        lost = np.where(_pdf(law, grid[None, :], mu, sigma).sum(axis=1) > 0.0, lost, 1.0)
    cut[alive] = lost
    return cut


def check_rows(rows: FloatArray, names: FloatArray, what: str) -> None:
    """Refuse rows (M, n) that are no probability laws, naming the first by its mean or state.

    Raises
    ------
    DataError
        With the row, its sum or its negative entry.
    """
    sums = rows.sum(axis=1)
    for m in np.flatnonzero(~(np.abs(sums - 1.0) <= 1e-8))[:1].tolist():
        raise DataError(f"the {what} row of stock {names[m]:.6g} sums to {sums[m]:.9g}: a row must sum to 1")
    for m, k in np.argwhere(rows < 0.0)[:1].tolist():
        raise DataError(f"the {what} row of stock {names[m]:.6g} has {rows[m, k]:.3g} in column {k}: give 0 or more")


def shake(law: str, mean: FloatArray, sigma: float, uniform: FloatArray) -> FloatArray:
    """Stocks (...,) round `mean` (...,) by inversion of `uniform` (...,) in (0, 1); what falls below 0 is 0."""
    from scipy.special import ndtri

    mean = np.asarray(mean, np.float64)
    if sigma <= 0.0:
        return np.maximum(mean, 0.0)
    if law == "normal":
        value = mean + sigma * ndtri(uniform)
    elif law == "uniform":
        value = mean * (1.0 + sigma * (2.0 * np.asarray(uniform) - 1.0))
    else:
        centre, width = _log_parameters(law, np.where(mean > 0.0, mean, 1.0), sigma)
        value = np.exp(centre + width * ndtri(uniform))
    return np.asarray(np.where(mean > 0.0, np.maximum(value, 0.0), 0.0))
