"""The shelf of finite problems: none are shipped, files are read. The functions are hooks of `orrl.catalogue`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.errors import FormatError, UnknownNameError
from .data import TabularPOMDP

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["EXTENSIONS", "FORMATS", "instance", "listing", "members", "names", "read", "sniff"]

EXTENSIONS = (".pomdp", ".pomdpx")
FORMATS = ("pomdp", "pomdpx")


def names() -> list[str]:
    """No instances are shipped."""
    return []


def members(name: str) -> tuple[str, ...]:
    """There are no sets."""
    raise UnknownNameError("tabular set", name, [], "(none is shipped: read a .pomdp or .pomdpx file with orrl.read)")


def instance(name: str, /, *, roots: Iterable[Path] = (), **options: Any) -> TabularPOMDP:
    """There are no instances."""
    raise UnknownNameError(
        "tabular instance", name, [], "(none is shipped: read a .pomdp or .pomdpx file with orrl.read)"
    )


def listing() -> list[dict[str, Any]]:
    """No rows."""
    return []


def sniff(path: Path) -> str:
    """Format of a file with another ending.

    Raises
    ------
    FormatError
        Where it is neither.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            head = stream.read(4000)
    except OSError as error:
        raise FormatError(path, f"cannot be read: {error.strerror or error}") from error
    if "<pomdpx" in head:
        return "pomdpx"
    if "discount" in head and "states" in head and "actions" in head and "{" not in head:
        return "pomdp"
    raise FormatError(path, "is neither .pomdp (it would begin with 'discount:', 'states:') nor .pomdpx (XML)")


def read(path: Path, format: str | None = None, **options: Any) -> TabularPOMDP:
    """A file as a problem; options are those of `TabularPOMDP`, such as ``horizon=``.

    A file without discounting (1.0), which has no stationary value, gets 100 steps unless ``horizon=`` says another.

    Raises
    ------
    FormatError
        Naming file, place and remedy.
    """
    from .pomdp_format import read_pomdp
    from .pomdpx_format import read_pomdpx

    ending = path.suffix.lower().removeprefix(".")
    kind = format or (ending if ending in FORMATS else sniff(path))
    return TabularPOMDP.from_file(read_pomdpx(path) if kind == "pomdpx" else read_pomdp(path), **options)
