"""What the text formats of job shops share: opening a file, numbers that know their line, the size, the problem."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import DataError, FormatError
from .data import JobShop

__all__ = [
    "Cell",
    "Parsed",
    "Place",
    "Row",
    "Source",
    "build",
    "is_number",
    "machine",
    "message",
    "open_source",
    "rewrap",
    "size",
    "split_rows",
    "values",
    "write_text",
]

Cell = tuple[int, int]  # line, value
Row = tuple[int, list[str]]  # line, words
Place = str | os.PathLike[str]

_LARGEST = 2**53
_MANY = 1_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """A text, the label that errors give it and the name that its instance gets."""

    label: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """Ragged routes with machines counted from 0, and the number of machines that the file states."""

    machines: list[list[int]]
    durations: list[list[int]]
    count: int

    @property
    def permutations(self) -> bool:
        """Whether each job visits each machine once, as in every classical instance."""
        return all(sorted(route) == list(range(self.count)) for route in self.machines)


def open_source(source: Place | Source) -> Source:
    """A file (``.gz`` too), or the text itself where the string has a line break or begins with a brace."""
    if isinstance(source, Source):
        return source
    if isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{")):
        return Source("<text>", "jobshop", source)
    path = Path(source)
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except OSError as error:
        raise FormatError(path, f"cannot be read: {error.strerror or error}") from error
    except (EOFError, UnicodeDecodeError, zlib.error) as error:
        raise FormatError(path, f"is no text file: {error}") from error
    return Source(str(path), path.name.removesuffix(".gz").rsplit(".", 1)[0], text)


def build(source: Source, parsed: Parsed, options: dict[str, Any]) -> JobShop:
    """The problem; machines that no job visits are kept."""
    fields: dict[str, Any] = {"name": source.name, **options}
    if options.get("machine_names") is None and parsed.count > 1 + max(max(r, default=0) for r in parsed.machines):
        fields["machine_names"] = [f"machine {m}" for m in range(parsed.count)]
    try:
        return JobShop(machines=parsed.machines, durations=parsed.durations, **fields)
    except DataError as error:
        raise FormatError(source.label, str(error)) from error


def message(error: FormatError) -> str:
    """What a `FormatError` says, without the place."""
    where = error.path if error.line is None else f"{error.path}:{error.line}"
    return str(error)[len(where) + 2 :]


def write_text(path: Place, text: str) -> Path:
    """Write a whole file or nothing."""
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        part.chmod(0o644)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return target


def split_rows(source: Source) -> list[Row]:
    """Words of each line that has any, comments left out."""
    rows = []
    for line, text in enumerate(source.text.splitlines(), 1):
        words = text.split("#", 1)[0].split("//", 1)[0].split()
        if words:
            rows.append((line, words))
    if not rows:
        raise FormatError(source.label, "is empty: expected a line 'jobs machines' and the routes")
    return rows


def values(source: Source, row: Row) -> list[Cell]:
    """The row's whole numbers."""
    line, words = row
    cells = []
    for word in words:
        try:
            value = int(word)
        except ValueError:
            raise FormatError(source.label, f"{word!r} is no whole number", line=line) from None
        if not 0 <= value < _LARGEST:
            raise FormatError(source.label, f"{value} is out of range: give 0 to 2**53", line=line)
        cells.append((line, value))
    return cells


def is_number(word: str) -> bool:
    """Whether a word is meant as a number."""
    return word.lstrip("+-").replace(".", "", 1).isdigit()


def size(source: Source, row: Row, extra: int = 0) -> tuple[int, int]:
    """Jobs and machines; Taillard's files have four more numbers (seeds and bounds)."""
    line, words = row
    if len(words) == 3 and all(map(is_number, words)):
        raise FormatError(
            source.label,
            f"the size line {' '.join(words)!r} has three numbers, as in files of flexible shops; alternative machines "
            "are not modelled",
            line=line,
        )
    if len(words) not in (2, 2 + extra):
        raise FormatError(source.label, f"expected the size 'jobs machines', got {' '.join(words)!r}", line=line)
    jobs, machines = (value for _, value in values(source, row)[:2])
    if not (1 <= jobs <= _MANY and 1 <= machines <= _MANY):
        raise FormatError(source.label, f"{jobs} jobs and {machines} machines: give 1 to {_MANY} of each", line=line)
    return jobs, machines


def rewrap(rows: list[list[Cell]], width: int) -> list[list[Cell]]:
    """The same numbers in rows of one width."""
    flat = [cell for row in rows for cell in row]
    return [flat[i : i + width] for i in range(0, len(flat), width)]


def machine(source: Source, cell: Cell, first: int, count: int) -> int:
    """A machine counted from 0."""
    line, value = cell
    if not first <= value < first + count:
        text = f"machine {value} does not exist: the {count} machines are counted from {first}"
        if value == first + count and not first:
            text += "; if this file counts them from 1, give first_machine=1"
        elif value == 0:
            text += "; if this file counts them from 0, give first_machine=0"
        raise FormatError(source.label, text, line=line)
    return value - first
