"""Checks of a job shop's data; messages name the job, the operation and the value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.errors import DataError
from .interruptions import IntArray

__all__ = ["pad_routes", "per_job", "refuse_standing_still"]


def pad_routes(machines: Any, durations: Any, names: Sequence[str] | None) -> tuple[IntArray, IntArray]:
    """Routes and durations as read-only (J, K) arrays, padded with -1 and 0.

    A padded array may be given: a negative machine ends the route.
    """
    route = [_whole("machines", j, row) for j, row in enumerate(machines)]
    work = [_whole("durations", j, row) for j, row in enumerate(durations)]
    if not route or not any(row and row[0] >= 0 for row in route):
        raise DataError("the shop is empty: give at least one job with at least one operation")
    if len(route) != len(work):
        raise DataError(f"machines has {len(route)} jobs, durations has {len(work)}: give one row per job in both")
    if names is not None and len(names) != len(route):
        raise DataError(f"{len(names)} job_names for {len(route)} jobs: give one name per job")
    width = max(len(row) for row in route)
    full = np.full((len(route), width), -1, np.int64)
    time = np.zeros((len(route), width), np.int64)
    for j, (row, spent) in enumerate(zip(route, work, strict=True)):
        job = f"job {j}" if names is None else str(names[j])
        length = next((k for k, m in enumerate(row) if m < 0), len(row))
        if any(m >= 0 for m in row[length:]):
            raise DataError(f"{job}: operation {length} has machine {row[length]}: machines are counted from 0")
        if len(spent) != len(row) and len(spent) != length:
            raise DataError(f"{job}: {length} machines but {len(spent)} durations: give one duration per operation")
        if length == 0:
            raise DataError(f"{job} has no operation: give at least one, or leave the job out")
        for k in range(length):
            if spent[k] < 0:
                raise DataError(f"{job}, operation {k}: duration {spent[k]} is negative: give 0 or more")
        full[j, :length], time[j, :length] = row[:length], spent[:length]
    full.flags.writeable = time.flags.writeable = False
    return full, time


def _whole(field: str, j: int, row: Any) -> list[int]:
    values = np.asarray(row)
    if values.ndim != 1:
        raise DataError(f"{field}, job {j}: expected a sequence of whole numbers, got {row!r}")
    try:
        whole = values.astype(np.int64)
    except (TypeError, ValueError):
        raise DataError(f"{field}, job {j}: {row!r} are not whole numbers") from None
    if len(values) and not np.array_equal(whole, values):
        k = int(np.flatnonzero(whole != values)[0])
        raise DataError(f"{field}, job {j}, operation {k}: {values[k]!r} is no whole number; scale the time unit")
    return [int(v) for v in whole]


def per_job(field: str, values: Any, jobs: int, default: int) -> IntArray:
    """One non-negative whole number per job."""
    if values is None:
        return np.full(jobs, default, np.int64)
    given = np.asarray(values)
    if given.shape != (jobs,):
        raise DataError(f"{field} has shape {given.shape}: give one value for each of the {jobs} jobs")
    whole = given.astype(np.int64)
    for j in np.flatnonzero((whole != given) | (whole < 0)):
        raise DataError(f"{field}, job {j}: {given[j]!r}: give a whole number of at least 0")
    return whole


def refuse_standing_still(machines: IntArray, names: Sequence[str]) -> None:
    """In a blocking shop a job cannot go from a machine to the same machine: that is one operation."""
    for j, k in zip(*np.nonzero((machines[:, 1:] >= 0) & (machines[:, 1:] == machines[:, :-1])), strict=True):
        raise DataError(
            f"{names[j]}: operations {k} and {k + 1} are both on machine {machines[j, k]}: join them into one, since a "
            "blocking shop has no place to hand the job over"
        )
