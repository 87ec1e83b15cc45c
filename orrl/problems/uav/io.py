"""Networks from files, and back: JSON of a whole problem, and CSV traces of where users are.

A trace has a title line and one row per user and moment, positions in metres::

    t,id,x,y
    1,anna,120.5,80
    1,ben,300,410
    2,anna,131,82.5

``t`` counts slots, the first one being the smallest number in the file, or seconds (``time="seconds"``): then a slot
lasts ``slot`` seconds from the smallest time on, and a user's first row in it counts. Errors name file and line.
"""

from __future__ import annotations

import csv
import json
import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ...core.errors import DataError, FormatError, UnknownNameError
from ...core.textfile import Place, Source, open_source, write_text
from .data import UavOffloading
from .generator import places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["FORMATS", "detect", "read", "read_json", "read_trace", "write_json", "write_trace"]

TITLES = ["t", "id", "x", "y"]


class Row(NamedTuple):
    """One line of a trace."""

    line: int
    t: float
    who: str
    x: float
    y: float


def read_json(source: Place | Source, **options: Any) -> UavOffloading:
    """A problem that `write_json` wrote.

    Parameters
    ----------
    source : path or str
        A file (``.gz`` too), or its text.
    **options
        Of `UavOffloading`; they win over what the file says.

    Raises
    ------
    FormatError
        Naming the file, and the line where the JSON itself is broken.
    """
    opened = open_source(source, name="uav")
    try:
        data = json.loads(opened.text)
    except json.JSONDecodeError as error:
        raise FormatError(opened.label, f"is no JSON: {error.msg}", line=error.lineno) from None
    if not isinstance(data, dict):
        raise FormatError(opened.label, f"holds a {type(data).__name__}: expected users, grid and starts")
    missing = [key for key in ("users", "grid", "starts", "channel") if key not in data]
    if missing:
        raise FormatError(opened.label, f"lacks {', '.join(missing)}: expected the JSON of write_json")
    try:
        problem = UavOffloading.from_dict({"name": opened.name, **data})
        return problem.replace(**options) if options else problem
    except (DataError, TypeError, KeyError, ValueError) as error:
        raise FormatError(opened.label, str(error)) from error


def write_json(problem: UavOffloading, path: Place) -> Path:
    """Write a problem; `read_json` gives the same one back, names and state included."""
    return write_text(path, json.dumps(problem.to_dict(), separators=(",", ":")) + "\n")


def read_trace(
    source: Place | Source,
    *,
    grid: int | tuple[int, int] | None = None,
    uavs: int = 3,
    time: Literal["slot", "seconds"] = "slot",
    cell: float = 100.0,
    slot: float = 10.0,
    **options: Any,
) -> UavOffloading:
    """A network around the users of a trace; see the module's text for the format.

    Parameters
    ----------
    source : path or str
        A file (``.gz`` too), or its text.
    grid : int or (int, int), optional
        Cells in x and y, by default just enough for all users.
    uavs : int
        Number of UAVs, where no ``starts=`` are given: they start in the corners and the centre.
    time : {"slot", "seconds"}
        What ``t`` counts.
    cell, slot : float
        Side of a cell, m, and length of a slot, s.
    **options
        Of `UavOffloading`.

    Raises
    ------
    FormatError
        Naming file and line: a bad number, a user twice at one moment, outside the area, or missing in a slot.
    """
    if time not in ("slot", "seconds"):
        raise DataError(f"time is {time!r}: give 'slot' or 'seconds'")
    opened = open_source(source, name="trace")
    rows = _rows(opened)
    if grid is None:
        far = [max(max(row.x for row in rows), cell), max(max(row.y for row in rows), cell)]
        grid = (math.ceil(far[0] / cell), math.ceil(far[1] / cell))
    width, height = (grid, grid) if isinstance(grid, int | np.integer) else grid
    for row in rows:
        if not (0 <= row.x <= width * cell and 0 <= row.y <= height * cell):
            text = f"{row.who} is at ({row.x:g}, {row.y:g}), outside the area of {width * cell:g} x {height * cell:g} m"
            raise FormatError(opened.label, f"{text}: give a larger grid=, or move the origin", line=row.line)
    users, who = _positions(opened, rows, time, slot)
    fields = {"name": opened.name, "user_names": who, "starts": None, **options}
    fields["starts"] = places(uavs, width, height) if fields["starts"] is None else fields["starts"]
    try:
        return UavOffloading(users=users, grid=(width, height), cell=cell, slot=slot, **fields)
    except DataError as error:
        raise FormatError(opened.label, str(error)) from error


def _rows(source: Source) -> list[Row]:
    lines = csv.reader(source.text.splitlines())
    title = next(lines, [])
    if [word.strip().lower() for word in title] != TITLES:
        raise FormatError(source.label, f"begins with {','.join(title)!r}: expected the titles t,id,x,y", line=1)
    rows = []
    for words in lines:
        line = lines.line_num
        if not any(word.strip() for word in words):
            continue
        if len(words) != len(TITLES):
            raise FormatError(source.label, f"has {len(words)} entries: expected t,id,x,y", line=line)
        who = words[1].strip()
        numbers = []
        for title_, word in zip("txy", (words[0], words[2], words[3]), strict=True):
            try:
                numbers.append(float(word))
            except ValueError:
                numbers.append(math.nan)
            if not math.isfinite(numbers[-1]):
                raise FormatError(source.label, f"{who}: {title_} is {word!r}: give a finite number", line=line)
        rows.append(Row(line, numbers[0], who, numbers[1], numbers[2]))
    if not rows:
        raise FormatError(source.label, "has no rows below the titles", line=1)
    return rows


def _positions(source: Source, rows: list[Row], time: str, length: float) -> tuple[np.ndarray, list[str]]:
    """Positions (T, K, 2), users in the order in which they first appear."""
    first = min(row.t for row in rows)
    who = list(dict.fromkeys(row.who for row in rows))
    found: dict[tuple[int, str], Row] = {}
    for row in rows:
        if time == "slot" and row.t != int(row.t):
            text = f"{row.who}: slot {row.t:g} is no whole number: give one, or time='seconds'"
            raise FormatError(source.label, text, line=row.line)
        place = row.t - first if time == "slot" else (row.t - first) / length
        key = (math.floor(place + 1e-9), row.who)
        other = found.get(key)
        if other is not None and (time == "slot" or other.t == row.t):
            raise FormatError(
                source.label, f"{row.who} stands at t={row.t:g} already in line {other.line}", line=row.line
            )
        if other is None or row.t < other.t:
            found[key] = row
    slots = 1 + max(t for t, _ in found)
    users = np.zeros((slots, len(who), 2))
    for t in range(slots):
        for k, name in enumerate(who):
            row_ = found.get((t, name))
            if row_ is None:
                own = [row for row in rows if row.who == name]
                near = max((row for row in own if row.t < first + t), key=lambda r: r.t, default=own[0])
                text = f"{name} has no row in slot {t + 1} (its nearest is in this line): every user needs one in each"
                raise FormatError(source.label, text, line=near.line)
            users[t, k] = row_.x, row_.y
    return users, who


def write_trace(problem: UavOffloading, path: Place, *, time: Literal["slot", "seconds"] = "slot") -> Path:
    """Write where the users are; `read_trace` with the same `time` gives the same positions."""
    if time not in ("slot", "seconds"):
        raise DataError(f"time is {time!r}: give 'slot' or 'seconds'")
    lines = [",".join(TITLES)]
    for t, row in enumerate(problem.users.tolist()):
        moment = str(t + 1) if time == "slot" else repr(t * problem.slot)
        for name, (x, y) in zip(problem.user_names, row, strict=True):
            quoted = '"' + name.replace('"', '""') + '"' if any(c in name for c in ',"\n') else name
            lines.append(f"{moment},{quoted},{x!r},{y!r}")
    return write_text(path, "\n".join(lines) + "\n")


READERS: dict[str, Callable[..., UavOffloading]] = {"uav-json": read_json, "uav-trace": read_trace}
FORMATS = tuple(READERS)


def detect(source: Place | Source) -> str:
    """Name of the format.

    Raises
    ------
    FormatError
        Where it is none.
    """
    opened = open_source(source, name="uav")
    text = opened.text.lstrip()
    if text.startswith("{"):
        if '"users"' in text and '"starts"' in text:
            return "uav-json"
        raise FormatError(opened.label, "is JSON without 'users' and 'starts': no network of UAVs")
    title = text.partition("\n")[0]
    if [word.strip().lower() for word in title.split(",")] == TITLES:
        return "uav-trace"
    raise FormatError(opened.label, "is neither JSON nor a trace with the titles t,id,x,y")


def read(source: Place | Source, format: str | None = None, **options: Any) -> UavOffloading:
    """Read a file in either format.

    Parameters
    ----------
    source : path or str
        A file (``.gz`` too), or its text.
    format : {"uav-json", "uav-trace"}, optional
        By default told from the content.
    **options
        Of the reader and of `UavOffloading`.

    Raises
    ------
    FormatError
        Naming file and line.
    """
    if format is not None and format not in READERS:
        raise UnknownNameError("format of a UAV network", format, READERS)
    opened = open_source(source, name="uav")
    return READERS[format or detect(opened)](opened, **options)
