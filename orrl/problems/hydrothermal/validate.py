"""Checks of what a user gives, with messages that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError

if TYPE_CHECKING:
    from .dispatch import HydroState
    from .system import Cascade, Network

__all__ = ["choice", "generators", "horizon", "inflow", "load", "probability", "stage_hours", "state"]

FloatArray = npt.NDArray[np.float64]
T = TypeVar("T", bound=str)


def choice(key: str, value: T, known: tuple[T, ...]) -> T:
    """One of several words."""
    if value not in known:
        raise DataError(f"{key} is {value!r}: give one of {', '.join(known)}")
    return value


def _frozen(array: FloatArray) -> FloatArray:
    array.setflags(write=False)
    return array


def inflow(value: Any, plants: int) -> FloatArray:
    """(R, H, S), finite and not negative."""
    array = np.array(value, np.float64)
    if array.ndim != 3 or array.shape[1] != plants or 0 in array.shape:
        raise DataError(f"inflow has shape {array.shape}: give (rows, {plants} plants, scenarios)")
    for r, h, s in np.argwhere(~np.isfinite(array) | (array < 0))[:1].tolist():
        raise DataError(f"inflow[{r}, {h}, {s}] is {array[r, h, s]:g} m3/s: give a number of at least 0")
    return _frozen(array)


def probability(value: Any, inflow: FloatArray) -> FloatArray:
    """(R, S), rows sum to 1."""
    rows, _, scenarios = inflow.shape
    array = np.full((rows, scenarios), 1.0 / scenarios) if value is None else np.array(value, np.float64)
    if array.shape != (rows, scenarios):
        raise DataError(f"probability has shape {array.shape}, inflow needs {(rows, scenarios)}")
    for r in np.flatnonzero((array < 0).any(axis=1) | (abs(array.sum(axis=1) - 1.0) > 1e-6))[:1]:
        raise DataError(f"probability[{r}] sums to {array[r].sum():g}: give numbers of at least 0 that sum to 1")
    return _frozen(array)


def stage_hours(value: float | None) -> float:
    """Positive; without it, say which published results used which."""
    if value is None:
        raise DataError(
            "stage_hours is missing: give the hours of a stage. Results for Bolivia since August 2026 use 168 "
            "(K = 0.6048, preset bolivia-weekly); all earlier ones used the default of 1, a week of water taken for an "
            "hour (K = 0.0036, preset bolivia-k0036-as-published)"
        )
    if not (np.isfinite(value) and value > 0):
        raise DataError(f"stage_hours is {value!r}: give a positive number of hours")
    return float(value)


def horizon(stages: int, window: int | None) -> tuple[int, int]:
    """Stages and reported window."""
    if int(stages) != stages or stages < 1:
        raise DataError(f"stages is {stages!r}: give a whole number of at least 1")
    if window is not None and not 1 <= window <= stages:
        raise DataError(f"window is {window!r}: give 1 to {stages} stages")
    return int(stages), int(stages if window is None else window)


def load(value: Any, rows: int) -> FloatArray:
    """Factors (1,) or (R,)."""
    array = np.atleast_1d(np.array(value, np.float64))
    if array.shape not in ((1,), (rows,)):
        raise DataError(f"load has shape {array.shape}: give one factor, or one for each of the {rows} inflow rows")
    for r in np.flatnonzero(~(np.isfinite(array) & (array >= 0)))[:1]:
        raise DataError(f"load[{r}] is {array[r]:g}: give a factor of at least 0")
    return _frozen(array)


def generators(grid: Network, cascade: Cascade) -> None:
    """Every plant drives a generator of its own."""
    for h, g in enumerate(cascade.generator.tolist()):
        if not 0 <= g < len(grid.cost):
            raise DataError(f"{cascade.names[h]}: generator {g} does not exist, the grid has {len(grid.cost)} from 0")
    twice = np.flatnonzero(np.bincount(cascade.generator, minlength=len(grid.cost)) > 1)
    for g in twice[:1]:
        who = " and ".join(cascade.names[h] for h in np.flatnonzero(cascade.generator == g))
        raise DataError(f"{who} drive the same generator {grid.generator_names[g]}: give each its own")


def state(value: HydroState, plants: int, stages: int) -> None:
    """A state of this system."""
    begun = min(value.stage + 1, stages)
    if value.inflow.shape != (begun, plants):
        raise DataError(
            f"state: inflow has shape {value.inflow.shape}, stage {value.stage} needs {(begun, plants)} (one row for "
            "each stage that has begun)"
        )
    if value.stage and value.past["volume"].shape[1] != plants:
        raise DataError(f"state: volumes of {value.past['volume'].shape[1]} reservoirs, the cascade has {plants}")
