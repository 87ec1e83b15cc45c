"""The shelf of fisheries: the published settings by name. The functions here are hooks that `orrl.catalogue` calls."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ...core.errors import UnknownNameError
from .data import Fishery
from .growth import GordonSchaefer, Ricker
from .three_species import ThreeSpecies, model
from .walleye import Walleye

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["EXTENSIONS", "FORMATS", "best_known", "instance", "listing", "members", "names"]

EXTENSIONS: tuple[str, ...] = ()
FORMATS: tuple[str, ...] = ()


def paper_a(*, sigma_g: float = 0.15, sigma_m: float = 0.1, **options: Any) -> Fishery:
    """Simulation study of paper A: logistic growth, r = 0.75, K = 1, 100 points on [0, 2], discount 0.95."""
    own: dict[str, Any] = {
        "growth": GordonSchaefer(r=0.75, K=1.0),
        "name": f"paper-a(sigma_g={sigma_g:g}, sigma_m={sigma_m:g})",
    }
    if options.get("start") == "paper":
        own["steps"] = 99
    return Fishery(**{**own, "sigma_g": sigma_g, "sigma_m": sigma_m, **options})


def hake(*, sigma_m: float = 0.1, **options: Any) -> Fishery:
    """Argentine hake, fitted by the authors of paper A (its appendix B): 150 points on [0, 4] times the largest SSB.

    Growth comes before the catch. Logistic growth leaves nothing of a stock above K (1 + 1 / r) = 2.35, so of the
    authors' uniform start 4 stocks in 10 are lost in the first year: give ``start=0.8`` for a fishery as it was.
    """
    growth = GordonSchaefer(r=1.03792737666413, K=1.19769336290293)
    own: dict[str, Any] = {"growth": growth, "sigma_g": 0.112166155921892, "name": f"hake(sigma_m={sigma_m:g})"}
    own |= {"scale": 481_050.0, "unit": "t"}  # largest SSB, from the rounding of the published series
    return Fishery(**{**own, "sigma_m": sigma_m, **HISTORICAL, **options})


def plaice(*, sigma_m: float = 0.1, **options: Any) -> Fishery:
    """European plaice, fitted by the authors of paper A (its appendix B); see `hake`."""
    growth = GordonSchaefer(r=0.906428824658731, K=1.77744241845356)
    own: dict[str, Any] = {"growth": growth, "sigma_g": 0.127377430511115, "name": f"plaice(sigma_m={sigma_m:g})"}
    own |= {"scale": 460_708.0, "unit": "t"}
    return Fishery(**{**own, "sigma_m": sigma_m, **HISTORICAL, **options})


def bluefin(*, sigma_m: float = 0.1, **options: Any) -> Fishery:
    """Southern bluefin tuna, Ricker growth fitted to 1952-2009 (package pomdpplus), discount 0.99.

    The lognormal law and the grid are ours: the source says sigma_g only.
    """
    growth = Ricker(r=0.05699246, K=0.9903371)
    own: dict[str, Any] = {"growth": growth, "sigma_g": 0.01720091, "discount": 0.99, "noise": "lognormal", "top": 1.5}
    own |= {"scale": 1_178_363.216, "unit": "t"}  # largest total biomass of the published series
    own |= {"n": 151, "steps": 300, "rule": "cell", "name": f"bluefin(sigma_m={sigma_m:g})"}
    return Fishery(**{**own, "sigma_m": sigma_m, **options})


def survey(*, cost: float = 0.01, **options: Any) -> Fishery:
    """Information is an action: a poor survey (sigma_m 0.5) for nothing, or a good one (0.05) for `cost` a year."""
    own: dict[str, Any] = {
        "growth": GordonSchaefer(r=0.75, K=1.0),
        "sigma_g": 0.15,
        "n": 50,
        "name": f"survey(cost={cost:g})",
    }
    return Fishery(**{**own, "efforts": ((0.5, 0.0), (0.05, cost)), **options})


def walleye(utility: str, name: str, **options: Any) -> Walleye:
    """Walleye with one of the utilities of the source: UM1 yield, UM2 its power 0.6, UM3 large fish."""
    return Walleye(**{"utility": utility, "name": name, **options})


HISTORICAL: dict[str, Any] = {"order": "recruit-harvest", "n": 150, "top": 4.0}
PRESETS: dict[str, Callable[..., Any]] = {
    "paper-a": paper_a, "hake": hake, "plaice": plaice, "bluefin": bluefin, "survey": survey,
    **{f"paper-b/{i}": partial(model, i) for i in (1, 2, 3, 4)},
    **{f"walleye/um{i}": partial(walleye, u, f"walleye/um{i}") for i, u in enumerate(("yield", "hara", "trophy"), 1)},
}  # fmt: skip
NOISES = [(g, m) for m in (0.0, 0.1, 0.15) for g in (0.02, 0.1, 0.15)]


def names() -> list[str]:
    """Names of all fisheries."""
    return list(PRESETS)


def members(name: str) -> tuple[str, ...]:
    """Fisheries of a set: "historical" or "all"."""
    sets = {"historical": ("hake", "plaice", "bluefin"), "all": tuple(PRESETS)}
    sets |= {kind: tuple(n for n in PRESETS if n.startswith(f"{kind}/")) for kind in ("paper-b", "walleye")}
    if name not in sets:
        hint = f"(fishery/{name} is one instance: use load)" if name in PRESETS else ""
        raise UnknownNameError("fishery set", name, [] if hint else sets, hint)
    return sets[name]


def instance(name: str, /, *, roots: Iterable[Path] = (), **options: Any) -> Any:
    """A fishery by name; options are those of the preset (sigma_g, sigma_m, ...) and of its class.

    Raises
    ------
    UnknownNameError
        Suggesting the nearest names.
    """
    if name not in PRESETS:
        raise UnknownNameError("fishery instance", name, PRESETS)
    return PRESETS[name](**options)


def best_known(problem: Any) -> None:
    """Published values are means of 100 episodes: none is a best known value."""
    return


def listing() -> list[dict[str, Any]]:
    """One row per fishery for ``orrl list``."""
    rows = []
    for name, make in PRESETS.items():
        p = make()
        rows.append(
            {"name": f"fishery/{name}", "family": "fishery", **_facts(name, p), "best known": "", "split": "test",
             "data": "shipped"}
        )  # fmt: skip
    return rows


def _facts(name: str, p: Any) -> dict[str, str]:
    """Set, size and variant."""
    if isinstance(p, ThreeSpecies):
        drift = ", r_X falls" if p.drift else ""
        return {"set": "paper-b", "size": f"{p.species} stocks, {p.harvested} taken", "variant": f"seen{drift}"}
    if isinstance(p, Walleye):
        return {"set": "walleye", "size": f"{p.ages} ages", "variant": p.utility}
    efforts = f" {len(p.efforts)} efforts" if p.efforts else ""
    return {
        "set": "historical" if p.order == "recruit-harvest" or name == "bluefin" else "",
        "size": f"{p.n} stocks {p.n_quotas or p.n} quotas{efforts}",
        "variant": f"{p.growth.family}, {p.noise} noise",
    }
