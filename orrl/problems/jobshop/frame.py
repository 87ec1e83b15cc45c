"""A job shop from a user's own table, one row per operation."""

from __future__ import annotations

import itertools
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

from ...core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from .data import JobShop

__all__ = ["from_frame"]

Shop = TypeVar("Shop", bound="JobShop")


def from_frame(
    cls: type[Shop],
    frame: pd.DataFrame | Mapping[str, Iterable[Any]],
    *,
    job: str = "job",
    machine: str = "machine",
    duration: str = "duration",
    operation: str | None = None,
    release: str | None = None,
    due: str | None = None,
    weight: str | None = None,
    **options: Any,
) -> Shop:
    """A shop from a table with one row per operation.

    Parameters
    ----------
    cls : type
        `JobShop`.
    frame : DataFrame or mapping of columns
        The table.
    job, machine, duration : str
        Columns with the job, the machine (names or numbers) and the processing time in whole time units.
    operation : str, optional
        Column that orders the operations of a job; without it the order of the rows is the route.
    release, due, weight : str, optional
        Columns with one value per job, repeated in each of its rows.
    **options
        Of `JobShop`, such as ``storage="blocking"``.

    Returns
    -------
    JobShop
        Jobs in the order in which they appear; machines sorted where they are numbers, else as they appear. Their names
        are the table's own.

    Raises
    ------
    DataError
        Naming the row and the column.
    """
    table = _Table(frame, {"job": job, "machine": machine, "duration": duration, "operation": operation})
    jobs: dict[Any, list[int]] = {}
    for i, who in enumerate(table.names(job)):
        jobs.setdefault(who, []).append(i)
    if operation is not None:
        order = table.column(operation)
        for who, rows in jobs.items():
            try:
                rows.sort(key=lambda i: order[i])
            except TypeError:
                raise DataError(f"job {who!r}, column {operation!r}: the values cannot be put in order") from None
            for a, b in itertools.pairwise(rows):
                if order[a] == order[b]:
                    text = f"operation {order[b]!r} of job {who!r} is given twice; first in row {table.label[a]!r}"
                    raise DataError(f"{table.place(b, operation)}: {text}")
    machines = list(dict.fromkeys(table.names(machine)))
    if all(isinstance(m, int) for m in machines):
        machines.sort()
    number = {m: i for i, m in enumerate(machines)}
    where, spent = table.names(machine), table.whole(duration)
    fields: dict[str, Any] = {
        "machines": [[number[where[i]] for i in rows] for rows in jobs.values()],
        "durations": [[spent[i] for i in rows] for rows in jobs.values()],
        "job_names": [str(who) for who in jobs],
        "machine_names": [str(m) for m in machines],
    }
    for field, column in (("release", release), ("due", due), ("weights", weight)):
        if column is not None:
            fields[field] = table.per_job(column, jobs)
    return cls(**{**fields, **options})


class _Table:
    """Columns as lists of plain Python values; errors name the row by the table's own index."""

    def __init__(self, frame: Any, columns: Mapping[str, str | None]) -> None:
        self.frame = frame
        self.known = [str(c) for c in frame]
        for use, name in columns.items():
            if name is not None:
                self._require(name, use)
        first = self.column(next(n for n in columns.values() if n is not None))
        if not first:
            raise DataError("the table is empty: give one row per operation")
        index = getattr(frame, "index", None)
        self.label: list[Any] = list(range(len(first))) if index is None else list(index)

    def _require(self, name: str, use: str) -> None:
        if name not in self.known:
            near = get_close_matches(name, self.known, n=1, cutoff=0.5)
            raise DataError(
                f"the table has no column {name!r} for the {use}; it has {', '.join(map(repr, self.known))}: give "
                f"{use}={near[0] if near else '...'!r}"
            )

    def place(self, row: int, column: str) -> str:
        return f"row {self.label[row]!r}, column {column!r}"

    def column(self, name: str) -> list[Any]:
        self._require(name, name)
        return [value.item() if hasattr(value, "item") else value for value in self.frame[name]]

    def names(self, name: str) -> list[Any]:
        """Labels; a float that is a whole number is that number, since a missing value turns integers into floats."""
        out: list[Any] = []
        for i, value in enumerate(self.column(name)):
            if value is None or value != value or value == "":
                raise DataError(f"{self.place(i, name)}: no value")
            out.append(int(value) if isinstance(value, float) and value.is_integer() else value)
        return out

    def whole(self, name: str) -> list[int]:
        out = []
        for i, value in enumerate(self.column(name)):
            if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
                raise DataError(f"{self.place(i, name)}: {value!r} is no number")
            if value < 0 or value != int(value):
                raise DataError(f"{self.place(i, name)}: {value!r}: give a whole number of at least 0")
            out.append(int(value))
        return out

    def per_job(self, name: str, jobs: Mapping[Any, list[int]]) -> list[int]:
        values = self.whole(name)
        for who, rows in jobs.items():
            for i in rows[1:]:
                if values[i] != values[rows[0]]:
                    raise DataError(
                        f"{self.place(i, name)}: {values[i]} differs from {values[rows[0]]} in row "
                        f"{self.label[rows[0]]!r} of the same job {who!r}"
                    )
        return [values[rows[0]] for rows in jobs.values()]
