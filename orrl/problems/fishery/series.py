"""Historical series of a stock, biomass and catch by year, from CSV files; nothing of the kind is shipped."""

from __future__ import annotations

import csv
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import DataError, FormatError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["HISTORICAL", "Series", "historical", "read_series"]


@dataclass(frozen=True, slots=True)
class Series:
    """Biomass and catch of T years, in tonnes or another unit.

    Parameters
    ----------
    name : str
        The stock.
    year : (T,) int
        Strictly rising; years may be missing.
    biomass : (T,)
        Estimate at the beginning of each year.
    catch : (T,)
        What was taken in it; NaN in the last year, where it is not over.
    unit : str
        Such as "t".
    published : mapping of str to (T,)
        Further columns of the file, such as recommendations of others; NaN where it has none.

    Raises
    ------
    DataError
        Naming the year and the value.
    """

    name: str
    year: tuple[int, ...]
    biomass: tuple[float, ...]
    catch: tuple[float, ...]
    unit: str = "t"
    published: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.year:
            raise DataError(f"{self.name}: the series has no years: give at least one")
        for label, values in (("biomass", self.biomass), ("catch", self.catch), *self.published.items()):
            if len(values) != len(self.year):
                raise DataError(f"{self.name}: {label} has {len(values)} values for {len(self.year)} years")
        for t, year in enumerate(self.year):
            if t and year <= self.year[t - 1]:
                raise DataError(
                    f"{self.name}: year {year} comes after {self.year[t - 1]}: give each year once, in order"
                )
            for label, value in (("biomass", self.biomass[t]), ("catch", self.catch[t])):
                open_end = label == "catch" and t == len(self.year) - 1 and math.isnan(value)
                if not open_end and not 0.0 <= value < math.inf:
                    raise DataError(f"{self.name}: {label} of {year} is {value}: give a number of at least 0")

    def __len__(self) -> int:
        return len(self.year)


def read_series(
    path: str | Path,
    *,
    stock: str | None = None,
    year: str = "year",
    biomass: str = "biomass",
    catch: str = "catch",
    unit: str = "t",
) -> Series:
    """Read one stock of a CSV file with a header.

    Two shapes are known: a line a year with a column each for `year`, `biomass` and `catch` (and "commonname" where
    there are several stocks); or the long one of paper A's appendix B, a line a number, with columns year, stock (the
    number), commonname and model, of which "biomass" and "catch" are the series and the rest `Series.published`.

    Parameters
    ----------
    stock : str, optional
        Which one ("commonname"); needed where the file has several.
    year, biomass, catch : str
        Names of the columns, or of the models in the long shape.

    Raises
    ------
    FormatError
        Naming the file, the line, the key and the value.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            header = list(reader.fieldnames or ())
            lines = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(path, f"cannot be read ({error})") from error
    long = {"model", "stock"} <= set(header)
    needed = [year, "stock", "commonname", "model"] if long else [year, biomass, catch]
    if missing := [name for name in needed if name not in header]:
        raise FormatError(path, f"has no column {missing[0]!r}: it has {', '.join(header) or 'none'}", line=1)
    if "commonname" in header:
        lines, stock = _of(path, lines, stock)
    name = stock or Path(path).stem
    table: dict[str, dict[int, float]] = {}
    for number, row in lines:
        when = _year(path, row[year], number)
        for key in [row["model"]] if long else [biomass, catch]:
            told = _number(path, f"{key} of {when}", row["stock" if long else key], number)
            own = table.setdefault(key, {})
            if when in own and not math.isnan(own[when]) and not math.isnan(told) and own[when] != told:
                raise FormatError(path, f"{key} of {when} is {own[when]:g} and {told:g}: give it once", line=number)
            if math.isnan(own.get(when, math.nan)):
                own[when] = told
    if absent := [key for key in (biomass, catch) if key not in table]:
        raise FormatError(path, f"{name} has no {absent[0]!r}: it has {', '.join(sorted(table)) or 'nothing'}")
    years = sorted(table[biomass])

    def column(key: str) -> tuple[float, ...]:
        return tuple(table[key].get(when, math.nan) for when in years)

    more = {key: column(key) for key in table if key not in (biomass, catch)}
    try:
        return Series(name, tuple(years), column(biomass), column(catch), unit, more)
    except DataError as error:
        raise FormatError(path, str(error)) from error


Lines = list[tuple[int, dict[str, str]]]


def _of(path: str | Path, lines: Lines, stock: str | None) -> tuple[Lines, str]:
    """The lines of one stock, and its name."""
    names = sorted({row["commonname"] for _, row in lines})
    if stock is None and len(names) == 1:
        stock = names[0]
    if stock not in names:
        text = f"stock is {stock!r}" if stock is not None else f"it has {len(names)} stocks"
        raise FormatError(path, f"{text}: give stock= one of {', '.join(repr(n) for n in names) or 'none'}")
    return [(number, row) for number, row in lines if row["commonname"] == stock], stock


def _year(path: str | Path, text: str | None, line: int) -> int:
    try:
        return int(text or "")
    except ValueError as error:
        raise FormatError(path, f"year is {text!r}: give a whole number", line=line) from error


def _number(path: str | Path, key: str, text: str | None, line: int) -> float:
    """A number; "NA" and nothing are NaN."""
    if text is None or text.strip() in ("", "NA", "NaN"):
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise FormatError(path, f"{key} is {text!r}: give a number, or NA", line=line) from error


LONG = "hake_plaice_series_and_policies.csv"
HISTORICAL: dict[str, tuple[str, dict[str, str]]] = {
    "hake": (LONG, {"stock": "Argentine hake"}),
    "plaice": (LONG, {"stock": "European Plaice"}),
    "bluefin": ("southern_bluefin_tuna.csv", {"biomass": "total_biomass_t", "catch": "catch_landings_t"}),
}
"""File and arguments of `read_series` for each historical stock (RAM Legacy stock assessment database)."""


def historical(name: str, *, roots: Iterable[str | Path] | None = None) -> Series:
    """The series behind the preset ``fishery/<name>``: "hake", "plaice" or "bluefin", from a data root.

    Parameters
    ----------
    roots : iterable of path, optional
        Folders that hold ``fishery/<file>``; those of the environment variable ``ORRL_DATA`` by default.

    Raises
    ------
    UnknownNameError, DataError
        Where there is no such series, or none of the roots has its file.
    """
    if name not in HISTORICAL:
        raise UnknownNameError("historical series", name, HISTORICAL)
    file, options = HISTORICAL[name]
    if roots is None:
        roots = [root for root in os.environ.get("ORRL_DATA", "").split(os.pathsep) if root]
    looked = [Path(root).expanduser() / "fishery" / file for root in roots]
    for path in looked:
        if path.is_file():
            return read_series(path, **options)
    told = ", ".join(str(path) for path in looked) or "nowhere, as ORRL_DATA is not set"
    raise DataError(
        f"the series {name!r} is not shipped: looked for {told}; set ORRL_DATA to a folder with fishery/{file}"
    )
