"""Text formats of job shops: the standard one, Taillard's, and OR-Library's collections.

- Standard: a line ``jobs machines``, then one line a job with pairs ``machine duration``, machines counted from 0
  (OR-Library, JSPLIB, and the blocking set of ScheduleOpt/optalcp-benchmarks, which shares the plain shop's files).
- Taillard (1993): the size, then a matrix of durations, then a matrix of machines counted from 1.
- OR-Library's ``jobshop1.txt``: many instances in one file, each after a line ``instance NAME``.

Standard and Taillard files hold equally many numbers and are easily taken for each other; a file read as the wrong one
is refused with a hint. Text after ``#`` or ``//`` is a comment. Routes may differ in length if each has its own line.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ...core.errors import FormatError
from .textfile import (
    Parsed,
    Place,
    Row,
    Source,
    build,
    is_number,
    machine,
    message,
    open_source,
    rewrap,
    size,
    split_rows,
    values,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .data import JobShop

__all__ = ["detect", "read_optalcp", "read_orlib", "read_standard", "read_taillard"]


# ---- standard --------------------------------------------------------------------------------------------------------
def _parse_standard(source: Source, rows: list[Row], first: int) -> Parsed:
    jobs, count = size(source, rows[0])
    lines = [values(source, row) for row in rows[1:]]
    wrapped = len(lines) != jobs and sum(map(len, lines)) == 2 * jobs * count
    if wrapped:
        lines = rewrap(lines, 2 * count)
    if len(lines) != jobs:
        raise FormatError(
            source.label, f"{jobs} jobs are announced but {len(lines)} lines follow: give one a job", line=rows[0][0]
        )
    for cells in lines:
        if len(cells) % 2:
            raise FormatError(
                source.label, f"{len(cells)} numbers: expected pairs 'machine duration'", line=cells[-1][0]
            )
    try:
        routes = [[machine(source, cell, first, count) for cell in cells[0::2]] for cells in lines]
    except FormatError as error:
        if all(sorted(v for _, v in cells[1::2]) == list(range(first, first + count)) for cells in lines):
            text = "the pairs look like 'duration machine'; the standard format has 'machine duration'"
            raise FormatError(source.label, text, line=error.line) from None
        raise
    parsed = Parsed(routes, [[v for _, v in cells[1::2]] for cells in lines], count)
    if (
        wrapped and not parsed.permutations
    ):  # without line breaks and without permutations nothing tells the routes apart
        raise FormatError(
            source.label,
            f"{jobs} jobs are announced but {len(rows) - 1} lines follow, and the numbers, read on, are no routes",
            line=rows[0][0],
        )
    return parsed


def read_standard(source: Place | Source, *, first_machine: int = 0, **options: Any) -> JobShop:
    """Read the standard format.

    Parameters
    ----------
    source : path or str
        A file, or its text.
    first_machine : int
        Number of the first machine: 0, or 1 for files that count from 1.
    **options
        Of `JobShop`, such as ``storage="blocking"``.

    Raises
    ------
    FormatError
        Naming file and line.
    """
    opened = open_source(source)
    rows = split_rows(opened)
    try:
        parsed = _parse_standard(opened, rows, first_machine)
    except FormatError:
        _hint(opened, rows[0][0], "Taillard's format", "read_taillard", lambda: _parse_taillard(opened, rows, None, 1))
        raise
    return build(opened, parsed, options)


def read_optalcp(source: Place | Source, *, storage: Any = "blocking", **options: Any) -> JobShop:
    """Read a file of the blocking set of ScheduleOpt/optalcp-benchmarks: the standard format, ``.gz`` or not.

    Its results are for ``storage="blocking"`` with swap, hence the default.
    """
    return read_standard(source, storage=storage, **options)


# ---- Taillard --------------------------------------------------------------------------------------------------------
def _is_title(words: list[str]) -> bool:
    return not is_number(words[0])


def _parse_taillard(source: Source, rows: list[Row], key: int | None, first: int) -> Parsed:
    """Titles ("Nb of jobs, ...", "Times", "Machines") are optional, except between the instances of one file."""
    blocks: list[list[Row]] = [[]]
    for line, words in rows:
        if words[0].lower() == "nb" and blocks[-1]:
            blocks.append([])
        if not _is_title(words) or words[0].lower() in ("times", "machines"):
            blocks[-1].append((line, words))
        elif words[0].lower() != "nb":
            raise FormatError(source.label, f"expected numbers, 'Times' or 'Machines', got {words[0]!r}", line=line)
    if key is None and len(blocks) > 1:
        raise FormatError(source.label, f"holds {len(blocks)} instances: give key=1 to key={len(blocks)}")
    if not 1 <= (key or 1) <= len(blocks):
        raise FormatError(source.label, f"has no instance {key}: it holds {len(blocks)}, counted from 1")
    return _taillard_block(source, blocks[(key or 1) - 1], first)


def _taillard_block(source: Source, rows: list[Row], first: int) -> Parsed:
    sizes = [row for row in rows if not _is_title(row[1])]
    if not sizes:
        raise FormatError(source.label, "expected the size 'jobs machines', found no number")
    jobs, count = size(source, sizes[0], extra=4)
    lines = [values(source, row) for row in sizes[1:]]
    wrapped = len(lines) != 2 * jobs and sum(map(len, lines)) == 2 * jobs * count
    if wrapped:
        lines = rewrap(lines, count)
    titles = [(line, words[0].lower()) for line, words in rows if _is_title(words)]
    if titles and [word for _, word in titles] != ["times", "machines"]:
        raise FormatError(
            source.label, "expected the titles 'Times' and then 'Machines', once each", line=titles[-1][0]
        )
    half = sum(cells[0][0] < titles[1][0] for cells in lines) if titles and not wrapped else len(lines) // 2
    if (half, len(lines)) != (jobs, 2 * jobs):
        text = f"{jobs} jobs are announced but {len(lines)} lines follow: give {jobs} of times and {jobs} of machines"
        if titles:
            text = f"{jobs} jobs are announced but there are {half} lines of times and {len(lines) - half} of machines"
        raise FormatError(source.label, text, line=sizes[0][0])
    times, routes = lines[:jobs], lines[jobs:]
    for j, (spent, route) in enumerate(zip(times, routes, strict=True)):
        if len(spent) != len(route):
            raise FormatError(
                source.label,
                f"job {j}: {len(route)} machines but {len(spent)} times in line {spent[0][0]}",
                line=route[0][0],
            )
    parsed = Parsed(
        [[machine(source, cell, first, count) for cell in route] for route in routes],
        [[value for _, value in spent] for spent in times],
        count,
    )
    if wrapped and not parsed.permutations:
        raise FormatError(source.label, f"the lines are not {jobs} of times and {jobs} of machines", line=sizes[0][0])
    return parsed


def read_taillard(source: Place | Source, *, key: int | None = None, first_machine: int = 1, **options: Any) -> JobShop:
    """Read Taillard's format, with or without the titles of his own files.

    Parameters
    ----------
    source : path or str
        A file, or its text.
    key : int, optional
        Which instance of a file with several, counted from 1.
    first_machine : int
        Number of the first machine, 1 in Taillard's files.
    **options
        Of `JobShop`.

    Raises
    ------
    FormatError
        Naming file and line.
    """
    opened = open_source(source)
    rows = split_rows(opened)
    try:
        parsed = _parse_taillard(opened, rows, key, first_machine)
    except FormatError:
        _hint(opened, rows[0][0], "the standard format", "read_standard", lambda: _parse_standard(opened, rows, 0))
        raise
    return build(opened, parsed, options)


# ---- OR-Library ------------------------------------------------------------------------------------------------------
def _is_heading(words: list[str]) -> bool:
    return len(words) == 2 and words[0].lower() == "instance"


def read_orlib(source: Place | Source, *, key: str | None = None, **options: Any) -> JobShop:
    """Read one instance of a collection such as OR-Library's ``jobshop1.txt``.

    Parameters
    ----------
    source : path or str
        A file, or its text.
    key : str, optional
        Name of the instance; may be left out where the file holds one.
    **options
        Of `JobShop`.

    Raises
    ------
    FormatError
        Naming file and line.
    """
    opened = open_source(source)
    rows = split_rows(opened)
    places = {words[1]: i for i, (_, words) in enumerate(rows) if _is_heading(words)}
    if key is None and len(places) == 1:
        key = next(iter(places))
    if key is None or key not in places:
        near = get_close_matches(key or "", places, n=3) or list(places)[:5]
        found = f"it holds {len(places)}, e.g. {', '.join(near)}" if places else "it has no line 'instance NAME'"
        raise FormatError(opened.label, f"give key= the name of an instance, not {key!r}; {found}")
    rest = rows[places[key] + 1 :]
    start = next((i for i, (_, words) in enumerate(rest) if len(words) == 2 and all(map(is_number, words))), None)
    if start is None or any(_is_heading(words) for _, words in rest[:start]):
        raise FormatError(opened.label, f"no size line after 'instance {key}'", line=rows[places[key]][0])
    body = []
    for line, words in rest[start:]:
        if _is_title(words):
            break
        body.append((line, words))
    options.setdefault("name", key)
    return build(opened, _parse_standard(opened, body, 0), options)


# ---- which is it? ----------------------------------------------------------------------------------------------------
def _hint(source: Source, line: int, what: str, reader: str, parse: Callable[[], Parsed]) -> None:
    """Raise a better error where the file is fine in the other format."""
    try:
        parse()
    except FormatError:
        return
    raise FormatError(source.label, f"this is {what}: use {reader}", line=line) from None


def detect(source: Place | Source) -> str:
    """Name of the format, from the content: "standard", "taillard", "orlib" or "json".

    Raises
    ------
    FormatError
        Where no format fits, or both the standard one and Taillard's.
    """
    opened = open_source(source)
    if opened.text.lstrip().startswith("{"):
        return "json"
    rows = split_rows(opened)
    if any(_is_heading(words) for _, words in rows):
        return "orlib"
    if any(words[0].lower() in ("times", "machines", "nb") for _, words in rows):
        return "taillard"
    jobs, _ = size(opened, rows[0], extra=4)
    fits: dict[str, bool] = {}
    reasons: list[tuple[str, FormatError]] = []
    for name, parse in (
        ("standard", lambda: _parse_standard(opened, rows, 0)),
        ("taillard", lambda: _taillard_block(opened, rows, 1)),
    ):
        try:
            fits[name] = parse().permutations
        except FormatError as error:
            reasons.append((name, error))
    if not fits:
        name, why = reasons[len(rows) - 1 == 2 * jobs]  # the number of lines tells which one was meant
        raise FormatError(opened.label, f"read as {name}: {message(why)}", line=why.line)
    if len(fits) == 2 and not (fits["standard"] and len(rows) - 1 == jobs):
        raise FormatError(
            opened.label,
            "reads as the standard format and as Taillard's: give format='standard' or format='taillard'",
            line=rows[0][0],
        )
    return next(iter(fits))
