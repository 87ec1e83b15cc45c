"""What a number was measured with: package versions, processor, cores and load, without importing any package."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PACKAGES", "Versions", "cpu_model", "orrl_version", "show_versions"]

PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "pandas",
    "ortools",
    "highspy",
    "pyomo",
    "cvxpy",
    "torch",
    "gymnasium",
    "pettingzoo",
    "networkx",
    "simpy",
    "matplotlib",
    "joblib",
    "typer",
    "rich",
    "pooch",
    "casadi",
    "stable-baselines3",
    "sb3-contrib",
)


@dataclass(frozen=True, slots=True)
class Versions:
    """A machine and its software; prints as a table.

    Parameters
    ----------
    orrl, python, platform, cpu : str
        Versions and names.
    cores : int
        Cores that this process may use.
    load : float or None
        Load average of the last minute; None where the system has none.
    packages : mapping
        Version per package, None where it is not installed.
    """

    orrl: str
    python: str
    platform: str
    cpu: str
    cores: int
    load: float | None
    packages: Mapping[str, str | None]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(**data)

    def __str__(self) -> str:
        head = {
            "orrl": self.orrl,
            "python": self.python,
            "platform": self.platform,
            "processor": self.cpu,
            "cores": str(self.cores),
            "load": "unknown" if self.load is None else f"{self.load:.2f}",
        }
        lines = [*head.items(), *((name, found or "not installed") for name, found in self.packages.items())]
        return "\n".join(f"{name:18} {value}" for name, value in lines)


def show_versions() -> Versions:
    """Versions and machine, to be printed with every number and pasted into every bug report."""
    try:
        load = round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):  # not on every system
        load = None
    return Versions(
        orrl=orrl_version(),
        python=sys.version.split()[0],
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu_model(),
        cores=_cores(),
        load=load,
        packages={name: _found(name) for name in PACKAGES},
    )


def orrl_version() -> str:
    """Version of this orrl, installed or run from its folder."""
    return getattr(sys.modules.get("orrl"), "__version__", None) or _found("orrl") or "0+unknown"


def cpu_model() -> str:
    """Name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model", "cpu model"):
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown processor"


def _cores() -> int:
    # the rule of core.run.all_cores, repeated so that this module imports nothing
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _found(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
