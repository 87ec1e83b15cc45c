"""The job shop's shelf: 162 classical instances by name, their sets, and the best values known for them.

Twenty-four small ones are shipped, Taillard's eighty are generated, the rest come from a data root or the cache. A
manifest holds the content hash of each plain shop, so that a file with other data is refused. The functions here are
hooks that `orrl.catalogue` calls.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ...core.errors import FormatError, IntegrityError, OrrlError, UnknownNameError
from .data import JobShop
from .io import READERS, detect, read
from .taillard import taillard
from .textfile import Place, open_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "BestKnown",
    "best_known",
    "instance",
    "listing",
    "members",
    "names",
    "read",
    "sets",
    "sniff",
    "sources",
]

EXTENSIONS = (".jss", ".jsp")  # endings that no other family uses
FORMATS = tuple(READERS)


@dataclass(frozen=True, slots=True)
class BestKnown:
    """What is known of an instance's optimum.

    Parameters
    ----------
    lower, upper : int
        Bounds on the optimal makespan.
    optimal : bool
        Whether the two meet.
    source : str
        Who found them and where that is published.
    date : str
        Of the newer of the two, as ``YYYY-MM-DD``.
    """

    lower: int
    upper: int
    optimal: bool
    source: str
    date: str

    def __str__(self) -> str:
        return str(self.upper) if self.optimal else f"{self.lower} to {self.upper}"


@cache
def _manifest() -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(_shipped("manifest.json"))
    return manifest


def _shipped(name: str) -> str:
    return (files("orrl.instances") / "jobshop" / name).read_text(encoding="utf-8")


@cache
def _shipped_set(name: str) -> Mapping[str, list[str]]:
    instances: Mapping[str, list[str]] = json.loads(_shipped(f"{name}.json"))["instances"]
    return instances


@lru_cache(maxsize=4)
def _file(path: Path, stamp: tuple[int, int]) -> Mapping[str, Any]:
    """A file of instances, parsed once for each state (time and size) of the file."""
    try:
        data: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(path, f"is no JSON: {error}; `orrl fetch jobshop` gets the right file") from None
    return data


# ---- instances by name -----------------------------------------------------------------------------------------------
def names() -> list[str]:
    """Names of all classical instances."""
    return list(_manifest()["instances"])


@cache
def sets() -> dict[str, tuple[str, ...]]:
    """Instances of each set: by author ("lawrence"), author and size ("lawrence-10x5"), "shipped" and "all"."""
    table: dict[str, list[str]] = {name: [] for name in _manifest()["sets"]}
    for name, entry in _manifest()["instances"].items():
        table[entry["set"]].append(name)
    for name, entry in _manifest()["instances"].items():
        table.setdefault(f"{entry['set']}-{entry['jobs']}x{entry['machines']}", []).append(name)
    table["shipped"] = [name for name, entry in _manifest()["instances"].items() if entry["shipped"]]
    table["all"] = names()
    return {name: tuple(members) for name, members in table.items()}


def members(name: str) -> tuple[str, ...]:
    """Instances of a set, in order.

    Raises
    ------
    UnknownNameError
        Suggesting the nearest sets.
    """
    if name not in sets():
        hint = f"(jobshop/{name} is one instance: use load)" if name in _manifest()["instances"] else ""
        raise UnknownNameError("jobshop set", name, [] if hint else sets(), hint)
    return sets()[name]


def instance(name: str, /, *, roots: Iterable[Path] = (), **options: Any) -> JobShop:
    """A classical instance, verified against the manifest.

    Parameters
    ----------
    name : str
        Such as "ft06".
    roots : iterable of path
        Data roots, each perhaps with ``jobshop/jsp_instances.json``.
    **options
        Of `JobShop`, such as ``storage="blocking"``.

    Raises
    ------
    UnknownNameError
        Suggesting the nearest names.
    OrrlError
        Where the instance is not shipped and no root has it: says what to do.
    IntegrityError
        Where the data found are not those of the manifest.
    """
    entry = _manifest()["instances"].get(name)
    if entry is None:
        hint = f"(jobshop/{name} is a set: use load_set)" if name in sets() else ""
        padded = re.sub(r"(\D)(\d)$", r"\g<1>0\2", name)
        raise UnknownNameError(
            "jobshop instance", name, [] if hint else [padded] * (padded in names()) or names(), hint
        )
    machines, durations, place = _data(name, entry, list(roots))
    plain = JobShop(machines=machines, durations=durations, name=name)
    if plain.content_hash != entry["hash"]:
        raise IntegrityError(
            f"jobshop/{name} from {place} is not the published instance: its content hash is "
            f"{plain.content_hash[:12]}..., the manifest has {entry['hash'][:12]}...; `orrl fetch jobshop` gets the "
            "right file"
        )
    return JobShop(machines=machines, durations=durations, **{"name": name, **options}) if options else plain


def _data(name: str, entry: Mapping[str, Any], roots: list[Path]) -> tuple[Any, Any, object]:
    if entry["shipped"]:
        rows = [[int(word) for word in row.split()] for row in _shipped_set(entry["set"])[name]]
        return [row[0::2] for row in rows], [row[1::2] for row in rows], "the shipped data"
    if entry["set"] == "taillard":
        return *taillard(int(name.removeprefix("ta"))), "Taillard's generator"
    wanted = sources()[0]["file"]
    for root in roots:
        path = root / "jobshop" / wanted
        if path.is_file():
            about = path.stat()
            found = _file(path, (about.st_mtime_ns, about.st_size)).get(name)
            if found is not None:
                return found["machines_matrix"], found["duration_matrix"], path
    looked = ", ".join(str(root / "jobshop" / wanted) for root in roots) or "no data root"
    raise OrrlError(
        f"jobshop/{name} is not shipped with orrl: run `orrl fetch jobshop` once, or set ORRL_DATA to a folder that "
        f"holds jobshop/{wanted} (looked for {looked})"
    )


# ---- what is known ---------------------------------------------------------------------------------------------------
@cache
def _by_hash() -> dict[str, dict[str, Any]]:
    return {entry["hash"]: entry for entry in _manifest()["instances"].values()}


def best_known(problem: JobShop) -> BestKnown | None:
    """Bounds on the optimal makespan of a classical instance, found by its content; None where nothing is known.

    Known are the plain shop (JSP) and the blocking shop with swap (BWS), from time 0, without outages or release dates.
    A lower bound of the plain shop holds in the blocking shop, too, and is taken where it is the better one.
    """
    if problem.objective.name != "makespan" or problem.variant not in ("JSP", "BWS") or problem.state is not None:
        return None
    if problem.interruptions.active or len(problem.maintenance) or problem.release.any():
        return None
    plain = JobShop(machines=problem.machines, durations=problem.durations, machine_names=problem.machine_names)
    entry = _by_hash().get(plain.content_hash)
    return None if entry is None else _best(entry, problem.variant)


def _best(entry: Mapping[str, Any], variant: str) -> BestKnown:
    bounds, where = dict(entry[variant.lower()]), {"lower": variant, "upper": variant}
    if entry["jsp"]["lower"] > bounds["lower"]:
        bounds |= {key: value for key, value in entry["jsp"].items() if key.startswith("lower")}
        where["lower"] = "JSP"
    cited = _manifest()["sources"]
    papers = {"JSP": cited["jsp"]["citation"], "BWS": cited["bws cpo"]["citation"]}
    parts = [f"{end} bound by {bounds[f'{end}_by']} ({papers[where[end]]})" for end in ("lower", "upper")]
    return BestKnown(
        lower=bounds["lower"],
        upper=bounds["upper"],
        optimal=bounds["lower"] == bounds["upper"],
        source="; ".join(parts),
        date=max(bounds["lower_date"], bounds["upper_date"]),
    )


def listing() -> list[dict[str, Any]]:
    """One row per instance for ``orrl list``."""
    rows = []
    for name, entry in _manifest()["instances"].items():
        place = "shipped" if entry["shipped"] else "generated" if entry["set"] == "taillard" else "fetch"
        best = {variant: _best(entry, variant) for variant in ("JSP", "BWS")}
        rows.append(
            {
                "name": f"jobshop/{name}",
                "family": "jobshop",
                "set": entry["set"],
                "size": f"{entry['jobs']}x{entry['machines']}",
                "variant": ", ".join(best),
                "best known": ", ".join(f"{variant} {value}" for variant, value in best.items()),
                "split": entry["split"],
                "data": place,
            }
        )
    return rows


def sources() -> list[dict[str, str]]:
    """Where ``orrl fetch`` gets all instances, one file: file, url, sha256, citation, licence."""
    return [_manifest()["sources"]["instances"]]


def sniff(path: Place) -> str:
    """Name of the format of a job shop's file.

    Raises
    ------
    FormatError
        Where it is none.
    """
    opened = open_source(path)
    format = detect(opened)
    if format == "json" and not re.search(r'"(machines_matrix|duration)"', opened.text):
        raise FormatError(path, "is JSON without 'machines_matrix' or 'duration': no job shop")
    return format
