"""Problems by name, from files, and the public data behind them.

Each family keeps its shelf in a module ``catalogue`` beside its problem class; `Shelf` says what may stand there. A
plugin gets a shelf in the same way.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .core.errors import FormatError, IntegrityError, OrrlError, UnknownNameError
from .registry import lookup, names

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from .core.problem import Problem

__all__ = [
    "Listing",
    "best_known",
    "cache_dir",
    "data_roots",
    "fetch",
    "list_problems",
    "load",
    "load_set",
    "read",
]


class Shelf(Protocol):
    """The hooks of a family's module ``catalogue``; leave out what does not apply."""

    EXTENSIONS: tuple[str, ...]  # file name endings that are this family's alone, such as ".pomdp"
    FORMATS: tuple[str, ...]  # names for read(format=)

    def names(self) -> Iterable[str]:
        """Instances."""

    def members(self, name: str) -> Iterable[str]:
        """Instances of a set."""

    def instance(self, name: str, /, *, roots: Iterable[Path], **options: Any) -> Problem:
        """One instance; `roots` are the folders that may hold ``<family>/...``."""

    def listing(self) -> list[dict[str, Any]]:
        """One row per instance."""

    def best_known(self, problem: Any) -> Any:
        """What is known of its optimum, or None."""

    def sniff(self, path: Path) -> str:
        """Format of a file, or a FormatError."""

    def read(self, path: Path, format: str | None = None, **options: Any) -> Problem:
        """Read a file."""

    def sources(self) -> list[dict[str, str]]:
        """``url``, ``sha256`` and ``file`` of all that `fetch` gets; a file may be in a folder, ``a/b.csv``."""


class Listing(list[dict[str, Any]]):
    """Rows of a table; prints as one, and `to_frame` makes it a DataFrame."""

    def to_frame(self) -> pd.DataFrame:
        """One row per problem."""
        import pandas as pd

        return pd.DataFrame(list(self))

    def __str__(self) -> str:
        columns = list(dict.fromkeys(key for row in self for key in row))
        table = [columns, *([str(row.get(key, "")) for key in columns] for row in self)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip() for row in table]
        return "\n".join(lines)


def _shelf(family: str) -> Any:
    """The family's `Shelf`.

    Raises
    ------
    UnknownNameError
        For an unknown family.
    OrrlError
        For a family without one.
    """
    package = sys.modules[lookup("problem", family).__module__].__package__
    try:
        return import_module(f"{package}.catalogue")
    except ModuleNotFoundError as error:
        if error.name != f"{package}.catalogue":
            raise
        raise OrrlError(f"problem {family!r} has no catalogue: make its instances with its class") from None


def _hook(family: str, name: str) -> Any:
    hook = getattr(_shelf(family), name, None)
    if hook is None:
        raise OrrlError(f"the catalogue of {family!r} has no {name}()")
    return hook


def _shelves() -> dict[str, Any]:
    """Shelves of all families that have one."""
    found = {}
    for family in names("problem"):
        try:
            found[family] = _shelf(family)
        except OrrlError:
            continue
    return found


def _split(name: str) -> tuple[str, str]:
    family, slash, rest = name.partition("/")
    if slash and rest:
        return family, rest
    known = [f"{f}/{n}" for f, shelf in _shelves().items() for n in getattr(shelf, "names", list)()]
    same = [full for full in known if full.partition("/")[2] == name]
    raise UnknownNameError("problem", name, same or known, "(names are family/instance, such as jobshop/ft06)")


# ---- where data live -------------------------------------------------------------------------------------------------
def data_roots() -> list[Path]:
    """Folders of the environment variable ``ORRL_DATA`` (separated like ``PATH``), each holding ``<family>/...``."""
    return [Path(root).expanduser() for root in os.environ.get("ORRL_DATA", "").split(os.pathsep) if root]


def cache_dir() -> Path:
    """Where `fetch` puts files: ``ORRL_CACHE``, or the user's cache folder of the operating system."""
    own = os.environ.get("ORRL_CACHE")
    if own:
        return Path(own).expanduser()
    from platformdirs import user_cache_dir  # what pooch.os_cache calls, without the rest of pooch

    return Path(user_cache_dir("orrl"))


# ---- public ----------------------------------------------------------------------------------------------------------
def load(name: str, /, **options: Any) -> Problem:
    """A known instance by name.

    Parameters
    ----------
    name : str
        ``family/instance``, such as ``"jobshop/ft10"``; `list_problems` has them all.
    **options
        Of the problem, such as ``storage="blocking"``.

    Raises
    ------
    UnknownNameError
        Suggesting the nearest names.
    OrrlError
        Where the data are not on this machine; says how to get them.
    IntegrityError
        Where they are not the published data.

    Examples
    --------
    >>> load("jobshop/ft06", storage="blocking").variant
    'BWS'
    """
    family, instance = _split(name)
    problem: Problem = _hook(family, "instance")(instance, roots=[*data_roots(), cache_dir()], **options)
    return problem


def load_set(name: str, /, **options: Any) -> list[Problem]:
    """The instances of a set, such as ``"jobshop/lawrence"``, ``"jobshop/taillard-15x15"`` or ``"jobshop/all"``."""
    family, group = _split(name)
    return [load(f"{family}/{member}", **options) for member in _hook(family, "members")(group)]


def read(path: str | os.PathLike[str], format: str | None = None, **options: Any) -> Problem:
    """A problem from a user's file or folder.

    Parameters
    ----------
    path : path
        The file, or the folder of a family whose cases are folders.
    format : str, optional
        Such as "standard" or "taillard". By default told from the ending of the name, then from the content.
    **options
        Of the format and of the problem.

    Raises
    ------
    FormatError
        Naming file and line; also where the file fits no format, or several.
    """
    file = Path(path)
    if not file.exists():
        raise FormatError(file, "there is no such file")
    readers = {family: shelf for family, shelf in _shelves().items() if hasattr(shelf, "read")}
    if format is not None:
        known = [(name, family) for family, shelf in readers.items() for name in shelf.FORMATS]
        fits = [family for name, family in known if name == format]
        if not fits:
            raise UnknownNameError("file format", format, [name for name, _ in known])
    else:
        ending = file.suffix.lower() if file.is_file() else ""
        fits = [family for family, shelf in readers.items() if ending in shelf.EXTENSIONS]
        if not fits:
            fits = _sniffed(file, readers)
    if len(fits) > 1:
        raise FormatError(file, f"could be a problem of {', '.join(fits)}: give format=")
    problem: Problem = readers[fits[0]].read(file, format, **options)
    return problem


def _sniffed(file: Path, readers: dict[str, Any]) -> list[str]:
    fits, reasons = [], []
    for family, shelf in readers.items():
        try:
            shelf.sniff(file)
            fits.append(family)
        except FormatError as error:
            reasons.append(error)
    if fits or not reasons:
        return fits
    if len(reasons) == 1:
        raise reasons[0]
    lines = "".join(f"\n  {family}: {error}" for family, error in zip(readers, reasons, strict=True))
    raise FormatError(file, f"is in no known format{lines}")


def best_known(problem: Problem) -> Any:
    """What is known of a problem's optimum (bounds, source, date), or None.

    It is looked up by content, so a classical instance from a user's own file is recognised.
    """
    try:
        hook = getattr(_shelf(problem.family), "best_known", None)
    except OrrlError:  # a user's own problem needs no catalogue
        return None
    return None if hook is None else hook(problem)


def list_problems(family: str | None = None) -> Listing:
    """All instances that `load` knows: name, size, variants, best known values, where the data come from."""
    families = list(_shelves()) if family is None else [family]
    return Listing(row for f in families for row in _hook(f, "listing")())


def fetch(family: str, *, url: str | None = None) -> list[Path]:
    """Download a family's public instances into `cache_dir`, once.

    Parameters
    ----------
    family : str
        Such as "jobshop".
    url : str, optional
        A mirror: the address of the file, or where the family has several, of the folder that holds them under the
        names that they have in the cache. Each must have the same sha256.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    IntegrityError
        Where a download has another sha256; it is not kept.
    OrrlError
        Where it cannot be had. Files that were had before stay, and another call goes on with the rest.
    """
    sources = _hook(family, "sources")()
    paths = []
    for source in sources:
        address = source["url"] if url is None else url if len(sources) == 1 else f"{url.rstrip('/')}/{source['file']}"
        paths.append(_fetch(address, source, cache_dir() / family / source["file"]))
    return paths


def _fetch(address: str, source: dict[str, str], target: Path) -> Path:
    import logging

    import pooch

    advice = f"download {source['url']} by hand to {target}, or set ORRL_DATA"
    if not address.startswith(("http://", "https://")):
        raise OrrlError(f"cannot fetch {address}: give an address that begins with http:// or https://")
    logger, level = pooch.get_logger(), pooch.get_logger().level
    logger.setLevel(logging.WARNING)
    try:
        pooch.retrieve(address, f"sha256:{source['sha256']}", fname=target.name, path=target.parent)
    except ValueError as error:  # pooch's word for a wrong hash
        raise IntegrityError(f"{address} is not the file with sha256 {source['sha256']}: {advice}") from error
    except OSError as error:
        raise OrrlError(f"cannot fetch {address} into {target.parent}: {error}; {advice}") from error
    finally:
        logger.setLevel(level)
    return target
