"""What the text formats of job shops share: opening a file, numbers that know their line, the size, the problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...core import textfile as core_textfile
from ...core.errors import DataError, FormatError
from ...core.textfile import Place, Source, message, write_text
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

_LARGEST = 2**53
_MANY = 1_000_000


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
    return core_textfile.open_source(source, name="jobshop")


def build(source: Source, parsed: Parsed, options: dict[str, Any]) -> JobShop:
    """The problem; machines that no job visits are kept."""
    fields: dict[str, Any] = {"name": source.name, **options}
    if options.get("machine_names") is None and parsed.count > 1 + max(max(r, default=0) for r in parsed.machines):
        fields["machine_names"] = [f"machine {m}" for m in range(parsed.count)]
    try:
        return JobShop(machines=parsed.machines, durations=parsed.durations, **fields)
    except DataError as error:
        raise FormatError(source.label, str(error)) from error


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
