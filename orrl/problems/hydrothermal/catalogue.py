"""The shelf of hydrothermal dispatch: the public cases of the field by name, and two valleys of orrl's own.

The valleys are drawn by `orrl.problems.hydrothermal.generator.generate` with a fixed seed and need no data. The public
cases are folders in the format of HydroPowerModels, in a data root or the cache, as ``hydrothermal/<case>/...``; each
file is checked against its SHA-256. The functions here are hooks that `orrl.catalogue` calls.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import FormatError, IntegrityError, OrrlError, UnknownNameError
from .data import Hydrothermal
from .io import read as read_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "Folder",
    "Published",
    "best_known",
    "instance",
    "listing",
    "members",
    "names",
    "read",
    "sniff",
    "sources",
]

EXTENSIONS: tuple[str, ...] = ()  # a case is a folder, and .json is not this family's alone
FORMATS = ("hydropowermodels",)

BOLIVIA = (
    "LearningToOptimize/DecisionRules.jl",
    "5863bc139953717ddf83774fb7c949b9c820ba6d",
    "examples/HydroPowerModels/bolivia",
    "MIT, Copyright (c) 2024 Andrew Rosemberg",
)
TESTCASES = (
    "LAMPSPUC/HydroPowerModels.jl",
    "2d6781807dff49799110002591a218fa069f05a0",
    "testcases",
    "MIT, Copyright (c) 2019 Andrew David Werner Rosemberg",
)


@dataclass(frozen=True, slots=True)
class Folder:
    """A public case.

    Parameters
    ----------
    repository, commit, path, licence : str
        Where it comes from.
    files : mapping of str to str
        SHA-256 of each file.
    size : str
        For tables.
    """

    repository: str
    commit: str
    path: str
    licence: str
    files: Mapping[str, str]
    size: str

    def url(self, file: str) -> str:
        """Raw address of a file at the pinned commit."""
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.path}/{file}"


def _case3(name: str, inflows: str, shares: str, size: str) -> Folder:
    repository, commit, path, licence = TESTCASES
    files = {
        "PowerModels.json": "48eb20df6a10707c3777e4aa9522afddb9525897802f27fe55cc727ef452dc7a",
        "hydro.json": "c0072a3a510c6c3b54dbeb3f5c0f56682ca16de812d49f5f937033f1a4989f96",
        "inflows.csv": inflows,
        "scenarioprobability.csv": shares,
    }
    return Folder(repository, commit, f"{path}/{name}", licence, files, size)


ONE = "8861e2cda57344ae9b6414195f33ddad1b88087761f13fecf68b1b6cf339eefa"  # a single scenario
CASE3 = "1 hydro 2 thermal 3 buses"
FOLDERS: dict[str, Folder] = {
    "bolivia": Folder(
        *BOLIVIA,
        files={
            "PowerModels.json": "1ff598447957f9fc17ca570415bf5b9b5b14e1292ea3bd3163db0ad79911a782",
            "hydro.json": "b25ce1c7bafcfaf907091dcd1007949c79a79974c9a33020b2587400d756b29a",
            "inflows.csv": "5afb275dff3fc879e3e93b6510b81295834faad0bcd2bd1fc070a8e3e6653c77",
        },
        size="11 hydro 23 thermal 28 buses 126 stages",
    ),
    "case3": _case3(
        "case3",
        "ee2b63d0dfb9e56707d4f431eeb9a29ff733c53fdc8df97a4b70856b8885516f",
        "ddc05488569b5616944a75afa463bb49cf238f2fe0cdbe62920cc9b3e0444ae2",
        f"{CASE3} 12 stages",
    ),
    "case3deterministic": _case3(
        "case3deterministic",
        "35159bdcf6c4cd92de8f67ea0511e5a82a85abe11c8bc3df409c364410623104",
        ONE,
        f"{CASE3} 12 stages",
    ),
    "case3deterministic_nowater": _case3(
        "case3deterministic_nowater",
        "ab67141268161134e3d549f8ab3d272c0ebe65bd0250088fb10ff9dba9475b5e",
        ONE,
        f"{CASE3} 12 stages",
    ),
    "case3deterministic_overwater": _case3(
        "case3deterministic_overwater",
        "06385e9d3f283877e244da1eeed622dc875fde4e8f68721f0bbcd826b162ff9f",
        ONE,
        f"{CASE3} 12 stages",
    ),
    "brasil_4": Folder(
        *TESTCASES[:2],
        f"{TESTCASES[2]}/brasil_4",
        TESTCASES[3],
        files={
            "PowerModels.json": "13ad1fc3da7ec6e0e0a87c70ea54c76bc70e47b5256813cb9e520958fdfad165",
            "hydro.json": "0503f6df2ed746e38f15cca9094a87c2e14d5cfd2008848f80801a15d6b31573",
            "inflows.csv": "b5ee14af27798c6fdda4b5e640ca32be077ef0cf1b63145cc163a53a2da1f359",
        },
        size="4 hydro 95 thermal 5 buses 12 stages",
    ),
}

WEEKLY: dict[str, Any] = {"stage_hours": 168.0, "load": 0.6, "stages": 126, "window": 96}  # the published experiment
# The test cases do not say their stage_hours. They are made for HydroPowerModels' default of 1, K = 0.0036: a store is
# 0.0036 times what the plain table beside brasil_4 has (200717.6 becomes 722.58336), and 150 times K in case3.
UNIT: dict[str, Any] = {"stage_hours": 1.0, "stages": 12}
PUBLIC: dict[str, tuple[str, dict[str, Any]]] = {
    "bolivia": ("bolivia", WEEKLY),
    "bolivia-weekly": ("bolivia", WEEKLY),
    "bolivia-k0036-as-published": ("bolivia", {**WEEKLY, "stage_hours": 1.0}),
    "case3": ("case3", UNIT),
    "case3-deterministic": ("case3deterministic", UNIT),
    "case3-nowater": ("case3deterministic_nowater", UNIT),
    "case3-overwater": ("case3deterministic_overwater", UNIT),
    "brasil_4": ("brasil_4", UNIT),
}
VALLEY: dict[str, Any] = {"seed": 1, "plants": 4, "buses": 6, "thermal": 5}
OWN: dict[str, dict[str, Any]] = {
    "valley": VALLEY,
    "valley-scarce": {**VALLEY, "tightness": 1.0},
}
SETS: dict[str, tuple[str, ...]] = {
    "shipped": tuple(OWN),
    "case3-all": ("case3", "case3-deterministic", "case3-nowater", "case3-overwater"),
    "public": ("bolivia", *(name for name in PUBLIC if not name.startswith("bolivia"))),
    "all": (*OWN, *PUBLIC),
}


# ---- instances by name -----------------------------------------------------------------------------------------------
def names() -> list[str]:
    """Names of all instances."""
    return [*OWN, *PUBLIC]


def members(name: str) -> tuple[str, ...]:
    """Instances of a set: "shipped" (need no data), "public", "case3-all", "all".

    Raises
    ------
    UnknownNameError
        Suggesting the nearest sets.
    """
    if name not in SETS:
        hint = f"(hydrothermal/{name} is one instance: use load)" if name in names() else ""
        raise UnknownNameError("hydrothermal set", name, [] if hint else SETS, hint)
    return SETS[name]


def instance(name: str, /, *, roots: Iterable[Path] = (), **options: Any) -> Hydrothermal:
    """A valley of orrl's own, or a public case, verified.

    Parameters
    ----------
    name : str
        Such as "valley" or "bolivia" (the same as "bolivia-weekly").
    roots : iterable of path
        Data roots, each perhaps with ``hydrothermal/<case>/...``.
    **options
        Of `Hydrothermal`, such as ``network="ac"`` or ``stages=52``; for a valley also of `generate`. They win over
        the instance's own.

    Raises
    ------
    UnknownNameError
        Suggesting the nearest names.
    OrrlError
        Where no root has the files: says what to do.
    IntegrityError
        Where a file is not the published one.
    """
    if name in OWN:
        return Hydrothermal.generate(**{"name": name, **OWN[name], **options})
    if name not in PUBLIC:
        hint = f"(hydrothermal/{name} is a set: use load_set)" if name in SETS else ""
        raise UnknownNameError("hydrothermal instance", name, [] if hint else names(), hint)
    folder, own = PUBLIC[name]
    given = {"name": name, **own, **options}
    if "stages" in options and "window" in own and "window" not in options:
        given["window"] = min(own["window"], int(options["stages"]))
    return read_folder(_verified(name, folder, list(roots)), **given)


def _verified(name: str, folder: str, roots: list[Path]) -> Path:
    """The first root's folder that has all files of a case, each with the right hash."""
    wanted = FOLDERS[folder].files
    for root in roots:
        home = root / "hydrothermal" / folder
        if not all((home / file).is_file() for file in wanted):
            continue
        for file, digest in wanted.items():
            found = hashlib.sha256((home / file).read_bytes()).hexdigest()
            if found != digest:
                raise IntegrityError(
                    f"hydrothermal/{name}: {home / file} is not the published file: its sha256 is {found[:12]}..., "
                    f"published is {digest[:12]}...; `orrl fetch hydrothermal` gets the right one, and "
                    f"orrl.read({str(home)!r}) takes a case of your own"
                )
        return home
    looked = ", ".join(str(root / "hydrothermal" / folder) for root in roots) or "no data root"
    raise OrrlError(
        f"hydrothermal/{name} is not shipped with orrl: run `orrl fetch hydrothermal` once, or set ORRL_DATA to a "
        f"folder that holds hydrothermal/{folder}/ with {', '.join(wanted)} (looked for {looked})"
    )


def sources() -> list[dict[str, str]]:
    """What ``orrl fetch`` gets: file, url, sha256, citation, licence."""
    return [
        {
            "file": f"{name}/{file}",
            "url": folder.url(file),
            "sha256": digest,
            "citation": f"{folder.repository}, {folder.path}/{file} at {folder.commit[:10]}",
            "licence": folder.licence,
        }
        for name, folder in FOLDERS.items()
        for file, digest in folder.files.items()
    ]


# ---- what is known ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Published:
    """Simulated means of published policies: estimates, so there is no bound in them.

    Parameters
    ----------
    means : mapping of str to float
        Policy and its mean cost over the reported window, over 500 paths.
    source : str
        Where that is published.
    lower, upper : None
        Nothing is proven.
    """

    means: Mapping[str, float]
    source: str
    lower: None = None
    upper: None = None

    def __str__(self) -> str:
        told = ", ".join(f"{policy} {mean:,.2f}" for policy, mean in self.means.items())
        return f"{told} (published means over 500 paths, first 96 of 126 stages; no bound)"


BY_HOURS = {
    168.0: Published(
        {"SDDP": 313546.09, "TS-DDR": 314023.62},
        "LearningToOptimize/DecisionRules.jl, examples/HydroPowerModels/results/statistics.json at 989da9c840",
    ),
    1.0: Published(
        {"SDDP": 303665.0, "TS-DDR": 303936.0},
        "LearningToOptimize/DecisionRules.jl, docs/src/examples/hydro.jl",
    ),
}
# Content hash of the two published problems (network="ac"), by the hours of a stage.
HASHES = {
    "4493ba7aea3c4d43d19cf499d741081d1fce1787e6bfd5ac9161d3221cc9f5af": 168.0,
    "fcfcbddd7e9b2d1f439024970fdbbfeae5e6b358a6f1a1bceda87984bb93c881": 1.0,
}


def best_known(problem: Hydrothermal) -> Published | None:
    """Published means of the Bolivian case under alternating current, found by content; None for all else."""
    hours = HASHES.get(problem.content_hash)
    return None if hours is None else BY_HOURS[hours]


def listing() -> list[dict[str, Any]]:
    """One row per instance for ``orrl list``."""
    rows = []
    for name in names():
        if name in OWN:
            size = f"{OWN[name]['plants']} hydro {OWN[name]['thermal']} thermal {OWN[name]['buses']} buses 52 stages"
            hours, known, data = 168.0, "", "generated"
        else:
            folder, own = PUBLIC[name]
            size, hours, data = FOLDERS[folder].size, own["stage_hours"], "fetch"
            known = ", ".join(f"{k} {v:.0f} (AC)" for k, v in BY_HOURS[hours].means.items())
            known = known if folder == "bolivia" else ""
        rows.append(
            {
                "name": f"hydrothermal/{name}",
                "family": "hydrothermal",
                "set": "shipped" if name in OWN else "public",
                "size": size,
                "variant": f"{hours:g} h a stage",
                "best known": known,
                "split": "test",
                "data": data,
            }
        )
    return rows


# ---- from files ------------------------------------------------------------------------------------------------------
def sniff(path: Path) -> str:
    """Name of the format of a case: a folder with ``hydro.json``, or that file.

    Raises
    ------
    FormatError
        Where it is none.
    """
    place = Path(path)
    if place.is_dir() and (place / "hydro.json").is_file():
        return FORMATS[0]
    if place.is_file() and place.name == "hydro.json":
        return FORMATS[0]
    raise FormatError(path, "is neither a folder with a hydro.json nor a hydro.json: no case of HydroPowerModels")


def read(path: Path, format: str | None = None, **options: Any) -> Hydrothermal:
    """A case from a folder or its ``hydro.json``; see `orrl.problems.hydrothermal.io.read`."""
    if format is not None and format not in FORMATS:
        raise UnknownNameError("file format", format, FORMATS)
    sniff(path)
    return read_folder(path, **options)
