"""Job shops from files and tables, and back; errors name the file and the line, or the row and the column.

The readers are in `text_formats`, `json_format` and `frame`; this is the door to all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.errors import DataError, UnknownNameError
from .frame import from_frame
from .json_format import read_json, write_json
from .text_formats import detect, read_optalcp, read_orlib, read_standard, read_taillard
from .textfile import Place, Source, open_source, write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .data import JobShop

__all__ = [
    "READERS",
    "detect",
    "from_frame",
    "read",
    "read_json",
    "read_optalcp",
    "read_orlib",
    "read_standard",
    "read_taillard",
    "write_json",
    "write_standard",
    "write_taillard",
]

READERS: dict[str, Callable[..., JobShop]] = {
    "standard": read_standard,
    "taillard": read_taillard,
    "orlib": read_orlib,
    "json": read_json,
    "optalcp": read_optalcp,
}


def read(source: Place | Source, format: str | None = None, **options: Any) -> JobShop:
    """Read a file in any known format.

    Parameters
    ----------
    source : path or str
        A file (``.gz`` too), or its text.
    format : {"standard", "taillard", "orlib", "json", "optalcp"}, optional
        By default told from the content.
    **options
        Of the reader (``key=`` where a file holds several instances) and of `JobShop`.

    Raises
    ------
    FormatError
        Naming file and line; also where the content fits two formats.
    """
    if format is not None and format not in READERS:
        raise UnknownNameError("job shop format", format, READERS)
    opened = open_source(source)
    return READERS[format or detect(opened)](opened, **options)


def write_standard(problem: JobShop, path: Place, *, lossy: bool = False) -> Path:
    """Write the standard format; see `write_taillard` for the parameters."""
    _refuse_loss(problem, "standard", lossy)
    rows = zip(_ragged(problem, "machines"), _ragged(problem, "durations"), strict=True)
    lines = [" ".join(f"{m} {p}" for m, p in zip(route, work, strict=True)) for route, work in rows]
    return write_text(path, "\n".join([f"{problem.n_jobs} {problem.n_machines}", *lines]) + "\n")


def write_taillard(problem: JobShop, path: Place, *, titles: bool = True, lossy: bool = False) -> Path:
    """Write Taillard's format.

    Parameters
    ----------
    problem : JobShop
        Routes and durations are written. Options (storage, swap, objective) and names are not: give them when reading.
    path : path
        The file; written whole or not at all.
    titles : bool
        Whether the lines "Times" and "Machines" stand before the two matrices. They keep the file from being taken
        for the standard format; some programs cannot read them.
    lossy : bool
        Allow to drop data that the format has no place for, such as due dates.

    Raises
    ------
    DataError
        Naming the data that would be lost.
    """
    _refuse_loss(problem, "Taillard", lossy)
    times = [" ".join(map(str, work)) for work in _ragged(problem, "durations")]
    routes = [" ".join(str(m + 1) for m in route) for route in _ragged(problem, "machines")]
    lines = ["Times", *times, "Machines", *routes] if titles else [*times, *routes]
    return write_text(path, "\n".join([f"{problem.n_jobs} {problem.n_machines}", *lines]) + "\n")


def _ragged(problem: JobShop, field: str) -> list[list[int]]:
    return [row[:n] for row, n in zip(getattr(problem, field).tolist(), problem.n_operations.tolist(), strict=True)]


def _refuse_loss(problem: JobShop, format: str, lossy: bool) -> None:
    lost = {
        "release dates": problem.release.any(),
        "due dates": problem.due is not None,
        "weights": (problem.weights != 1).any(),
        "maintenance": len(problem.maintenance),
        "interruptions": problem.interruptions.active,
        "a running state": problem.state is not None,
    }
    found = [name for name, there in lost.items() if there]
    if found and not lossy:
        raise DataError(
            f"the {format} format has no place for {problem.name}'s {', '.join(found)}: use write_json, or lossy=True"
        )
