"""Checks of `UavOffloading`'s arguments: each names the place, the value and the remedy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from .association import MANY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import UavOffloading

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def positive(name: str, value: Any) -> float:
    """A positive finite number."""
    if not (isinstance(value, int | float | np.number) and math.isfinite(value) and value > 0):
        raise DataError(f"{name} is {value!r}: give a positive number")
    return float(value)


def not_negative(name: str, value: Any) -> float:
    """A finite number of at least 0."""
    if not (isinstance(value, int | float | np.number) and math.isfinite(value) and value >= 0):
        raise DataError(f"{name} is {value!r}: give a number of at least 0")
    return float(value)


def grid(value: Any) -> tuple[int, int]:
    """Cells in x and y."""
    pair = (value, value) if isinstance(value, int | np.integer) else tuple(value)
    if len(pair) != 2 or any(int(n) != n or n < 1 for n in pair):
        raise DataError(f"grid is {value!r}: give the number of cells, or (cells in x, cells in y)")
    return int(pair[0]), int(pair[1])


def names(what: str, given: Sequence[str] | None, word: str, count: int) -> tuple[str, ...]:
    """The user's names, or numbered ones."""
    if given is None:
        return tuple(f"{word} {i}" for i in range(count))
    if len(given) != count:
        raise DataError(f"{len(given)} {what} for {count}: give one each")
    return tuple(map(str, given))


def users(value: Any, area: tuple[float, float], labels: Sequence[str] | None) -> FloatArray:
    """Positions (T, K, 2) inside the area."""
    try:
        place = np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"users must be an array (slots, users, 2) of metres: {error}") from None
    if place.ndim != 3 or place.shape[2] != 2 or 0 in place.shape:
        raise DataError(f"users have shape {place.shape}: give (slots, users, 2), in metres")
    if len(place) < 2:
        raise DataError("users are given for one slot: give at least two, or there is nothing to fly")
    outside = ~np.isfinite(place).all(axis=2) | (place < 0).any(axis=2) | (place > np.array(area)).any(axis=2)
    for t, k in np.argwhere(outside)[:1].tolist():
        who = f"user {k}" if labels is None else labels[k]
        raise DataError(
            f"{who} is at {place[t, k].tolist()} in slot {t + 1}, outside the area of {area[0]:g} x {area[1]:g} m: "
            "move it in, or give a larger grid"
        )
    place.setflags(write=False)
    return place


def no_fly(value: Sequence[tuple[int, int]], width: int, height: int) -> tuple[tuple[int, int], ...]:
    """Closed cells, each once, in order."""
    for x, y in value:
        if not (0 <= x < width and 0 <= y < height):
            raise DataError(f"no_fly cell ({x}, {y}) is outside the grid of {width} x {height} cells")
    return tuple(sorted({(int(x), int(y)) for x, y in value}))


def cells(
    what: str, value: Any, width: int, height: int, labels: tuple[str, ...], closed: tuple[tuple[int, int], ...]
) -> IntArray:
    """Starts or ends (U, 2) inside the grid."""
    place = np.array(value, np.int64)
    if place.shape != (len(labels), 2) or not len(labels):
        raise DataError(f"{what}s have shape {place.shape}: give one cell (x, y) per UAV")
    for who, (x, y) in zip(labels, place.tolist(), strict=True):
        if not (0 <= x < width and 0 <= y < height):
            raise DataError(f"{who}: {what} ({x}, {y}) is outside the grid of {width} x {height} cells")
        if (x, y) in closed:
            raise DataError(f"{who}: {what} ({x}, {y}) is a no-fly cell")
    place.setflags(write=False)
    return place


def capacity(value: Any, uavs: int) -> int | None:
    """Sub-channels of a UAV."""
    if value is None:
        return None
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise DataError(f"capacity is {value!r}: give a whole number of sub-channels of at least 1, or None")
    if uavs > MANY:
        raise DataError(f"capacity with {uavs} UAVs: at most {MANY} are modelled with a capacity")
    return int(value)


def stations(value: Any) -> FloatArray:
    """Base stations (N, 2)."""
    place = np.array(value, np.float64).reshape(-1, 2) if len(value) else np.zeros((0, 2))
    if not np.isfinite(place).all():
        raise DataError("stations must be finite positions (x, y) in metres")
    return place


def formation(problem: UavOffloading) -> None:
    """Starts and ends apart, a state that can have happened, and ends within reach."""
    labels = problem.uav_names
    for what, place in (("start", problem.starts), ("end", problem.ends)):
        if place is not None:
            apart(problem, problem.number(place), what)
    path = problem.position
    if path.ndim != 2 or path.shape[1] != problem.n_uavs or not 1 <= len(path) <= problem.n_slots:
        raise DataError(f"state has cells of shape {path.shape}: give (slots begun, {problem.n_uavs} UAVs)")
    if not np.array_equal(path[0], problem.number(problem.starts)):
        raise DataError(f"state begins on cells {path[0].tolist()}, not on the starts")
    for t in range(1, len(path)):
        for u, (a, b) in enumerate(zip(path[t - 1].tolist(), path[t].tolist(), strict=True)):
            if b < 0 or b not in problem.targets[a]:
                raise DataError(f"state: {labels[u]} cannot fly from cell {a} to {b} in one slot")
        apart(problem, path[t], "state")
    if problem.ends is None or len(path) > 1:
        return  # a UAV on its way that was held back may have missed its end; the referee says so
    ahead = problem.agent_graph().reachable()
    for u in np.flatnonzero(~ahead[:, 0].any(axis=1))[:1].tolist():
        raise DataError(
            f"{labels[u]}: end {tuple(problem.ends[u].tolist())} is out of reach in the {problem.n_slots - len(path)} "
            f"moves that are left: give more slots, a higher speed or a nearer end"
        )


def apart(problem: UavOffloading, place: IntArray, what: str) -> None:
    """No two UAVs on one cell or closer than the safe distance."""
    for i in range(len(place)):
        for j in range(i + 1, len(place)):
            if problem.too_close[place[i], place[j]]:
                raise DataError(
                    f"{problem.uav_names[i]} and {problem.uav_names[j]}: {what} cells {place[i]} and {place[j]} "
                    f"overlap or are closer than the safe distance of {problem.safe_distance:g} m"
                )
