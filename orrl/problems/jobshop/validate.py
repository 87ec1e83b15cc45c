"""Checks of a job shop's data; messages name the job, the operation and the value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError

if TYPE_CHECKING:
    from .data import ShopState
    from .interruptions import IntArray

__all__ = ["check_state", "maintenance_windows", "pad_routes", "per_job", "refuse_standing_still"]

LARGEST = 1 << 40  # of one time; sums of many stay far below the simulator's "never"


def pad_routes(machines: Any, durations: Any, names: Sequence[str] | None) -> tuple[IntArray, IntArray]:
    """Routes and durations as read-only (J, K) arrays, padded with -1 and 0.

    A padded array may be given: a negative machine ends the route.
    """
    route = [_whole("machines", j, row) for j, row in enumerate(_rows("machines", machines))]
    work = [_whole("durations", j, row) for j, row in enumerate(_rows("durations", durations))]
    if not route or not any(row and row[0] >= 0 for row in route):
        raise DataError("the shop is empty: give at least one job with at least one operation")
    if len(route) != len(work):
        raise DataError(f"machines has {len(route)} jobs, durations has {len(work)}: give one row per job in both")
    if names is not None and len(names) != len(route):
        raise DataError(f"{len(names)} job_names for {len(route)} jobs: give one name per job")
    lengths = [next((k for k, m in enumerate(row) if m < 0), len(row)) for row in route]
    width = max(lengths)  # not that of the given padding: a seed must mean the same outages whatever the padding
    full = np.full((len(route), width), -1, np.int64)
    time = np.zeros((len(route), width), np.int64)
    for j, (row, spent) in enumerate(zip(route, work, strict=True)):
        job = f"job {j}" if names is None else str(names[j])
        length = lengths[j]
        if any(m >= 0 for m in row[length:]):
            raise DataError(f"{job}: operation {length} has machine {row[length]}: machines are counted from 0")
        if len(spent) != len(row) and len(spent) != length:
            raise DataError(f"{job}: {length} machines but {len(spent)} durations: give one duration per operation")
        if length == 0:
            raise DataError(f"{job} has no operation: give at least one, or leave the job out")
        for k in range(length):
            if spent[k] < 0:
                raise DataError(f"{job}, operation {k}: duration {spent[k]} is negative: give 0 or more")
            if spent[k] > LARGEST:
                raise DataError(f"{job}, operation {k}: duration {spent[k]} is above 2**40: take a larger time unit")
        full[j, :length], time[j, :length] = row[:length], spent[:length]
    full.flags.writeable = time.flags.writeable = False
    return full, time


def _rows(field: str, table: Any) -> Iterable[Any]:
    if not isinstance(table, Iterable) or isinstance(table, str | bytes | Mapping):
        raise DataError(f"{field} is {table!r}: give one sequence of whole numbers per job")
    return table


def _whole(field: str, j: int, row: Any) -> list[int]:
    try:
        values = np.asarray(row)
    except ValueError:
        raise DataError(f"{field}, job {j}: expected a sequence of whole numbers, got {row!r}") from None
    if values.ndim != 1:
        raise DataError(f"{field}, job {j}: expected a sequence of whole numbers, got {row!r}")
    try:
        whole = _integers(values)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{field}, job {j}: {row!r} are not whole numbers") from None
    if len(values) and not np.array_equal(whole, values):
        k = int(np.flatnonzero(whole != values)[0])
        raise DataError(f"{field}, job {j}, operation {k}: {values[k]!r} is no whole number; scale the time unit")
    return [int(v) for v in whole]


def _integers(values: npt.NDArray[Any]) -> IntArray:
    with np.errstate(invalid="ignore"):  # not a number: the caller compares and tells
        return values.astype(np.int64)


def per_job(field: str, values: Any, jobs: int, default: int) -> IntArray:
    """One non-negative whole number per job."""
    if values is None:
        values = [default] * jobs
    given = np.asarray(values)
    if given.shape != (jobs,):
        raise DataError(f"{field} has shape {given.shape}: give one value for each of the {jobs} jobs")
    try:
        whole = _integers(given)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{field} is {values!r}: give whole numbers of at least 0") from None
    for j in np.flatnonzero((whole != given) | (whole < 0) | (whole > LARGEST)):
        raise DataError(f"{field}, job {j}: {given[j]}: give a whole number from 0 to 2**40")
    whole.flags.writeable = False
    return whole


def maintenance_windows(rows: Any, machines: int) -> IntArray:
    """Rows (n, 3) of ``machine, begin, end``, read-only, by machine and begin."""
    table = [list(row) for row in _rows("maintenance", rows)]
    for row in table:
        whole = len(row) == 3 and all(isinstance(v, int | np.integer) for v in row)
        if not whole or not 0 <= row[0] < machines or not 0 <= row[1] < row[2] <= LARGEST:
            raise DataError(
                f"maintenance ({', '.join(map(str, row))}): give (machine, begin, end) as whole numbers with machine < "
                f"{machines} and 0 <= begin < end"
            )
    windows = np.array(sorted(map(tuple, table)), np.int64).reshape(-1, 3)
    windows.flags.writeable = False
    return windows


def check_state(state: ShopState, machines: IntArray, names: Sequence[str]) -> None:
    """A running state must be of this shop: operations begun in the order of their routes, none after now."""
    for what, table in (("start", state.start), ("past.extra", state.past.extra)):
        if table.shape != machines.shape:
            raise DataError(f"state.{what} has shape {table.shape}: give one value per operation, {machines.shape}")
    for j, row in enumerate(state.start.tolist()):
        begun = [k for k in range(len(row)) if row[k] >= 0]
        if begun != list(range(len(begun))) or (begun and machines[j, begun[-1]] < 0):
            raise DataError(f"state.start of {names[j]} is {row}: operations start in order, -1 where not started")
        if any(a > b for a, b in pairwise([*row[: len(begun)], state.time])):
            raise DataError(
                f"state.start of {names[j]} is {row}: starts may not decrease, nor lie after now ({state.time})"
            )


def refuse_standing_still(machines: IntArray, names: Sequence[str]) -> None:
    """In a blocking shop a job cannot go from a machine to the same machine: that is one operation."""
    for j, k in zip(*np.nonzero((machines[:, 1:] >= 0) & (machines[:, 1:] == machines[:, :-1])), strict=True):
        raise DataError(
            f"{names[j]}: operations {k} and {k + 1} are both on machine {machines[j, k]}: join them into one, since a "
            "blocking shop has no place to hand the job over"
        )
