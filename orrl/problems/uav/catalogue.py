"""The shelf of UAV offloading: thirty generated networks by name, in six sets of five.

Each network is drawn by `orrl.problems.uav.generator.generate` with the seed at the end of its name, so that nothing is
shipped or fetched. The functions here are hooks that `orrl.catalogue` calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.errors import UnknownNameError
from .data import UavOffloading
from .io import FORMATS, detect, read

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "best_known",
    "instance",
    "listing",
    "members",
    "names",
    "read",
    "sniff",
]

EXTENSIONS: tuple[str, ...] = ()  # .json and .csv are not this family's alone
SEEDS = range(1, 6)
SETS: dict[str, dict[str, Any]] = {
    "sinr10": {"grid": 10, "uavs": 3, "users": 100, "slots": 20, "interference": True},
    "sinr15": {"grid": 15, "uavs": 3, "users": 100, "slots": 30, "interference": True},
    "snr10": {"grid": 10, "uavs": 3, "users": 100, "slots": 20, "interference": False},
    "snr15": {"grid": 15, "uavs": 4, "users": 100, "slots": 30, "interference": False},
    "snr20": {"grid": 20, "uavs": 5, "users": 200, "slots": 50, "interference": False},
    "capacity10": {"grid": 10, "uavs": 3, "users": 100, "slots": 20, "interference": False, "capacity": 20},
}


def names() -> list[str]:
    """Names of all networks, such as "sinr10-1"."""
    return [f"{group}-{seed}" for group in SETS for seed in SEEDS]


def members(name: str) -> tuple[str, ...]:
    """Networks of a set ("sinr10", ..., or "all"), in order.

    Raises
    ------
    UnknownNameError
        Suggesting the nearest sets.
    """
    if name == "all":
        return tuple(names())
    if name not in SETS:
        hint = f"(uav/{name} is one instance: use load)" if name in names() else ""
        raise UnknownNameError("uav set", name, [] if hint else [*SETS, "all"], hint)
    return tuple(f"{name}-{seed}" for seed in SEEDS)


def instance(name: str, /, *, roots: Iterable[Path] = (), **options: Any) -> UavOffloading:
    """A generated network.

    Parameters
    ----------
    name : str
        Such as "sinr10-1".
    roots : iterable of path
        Not used: nothing is read.
    **options
        Of `generate`, such as ``capacity=15``; they win over the set's.

    Raises
    ------
    UnknownNameError
        Suggesting the nearest names.
    """
    if name not in names():
        hint = f"(uav/{name} is a set: use load_set)" if name in SETS else ""
        raise UnknownNameError("uav instance", name, [] if hint else names(), hint)
    group, _, seed = name.partition("-")
    return UavOffloading.generate(**{"seed": int(seed), "name": name, **SETS[group], **options})


def best_known(problem: UavOffloading) -> None:
    """Nothing published is known of generated networks."""
    return


def listing() -> list[dict[str, Any]]:
    """One row per instance for ``orrl list``."""
    rows = []
    for group, size in SETS.items():
        extent = f"{size['grid']}x{size['grid']} {size['uavs']} UAVs {size['users']} users {size['slots']} slots"
        capacity = f" C={size['capacity']}" if "capacity" in size else ""
        for seed in SEEDS:
            rows.append(
                {
                    "name": f"uav/{group}-{seed}",
                    "family": "uav",
                    "set": group,
                    "size": extent,
                    "variant": ("SINR" if size["interference"] else "SNR") + capacity,
                    "best known": "",
                    "split": "test",
                    "data": "generated",
                }
            )
    return rows


def sniff(path: Path) -> str:
    """Name of the format of a network's file.

    Raises
    ------
    FormatError
        Where it is none.
    """
    return detect(path)
