"""What the timing scripts share: one thread, the instance format, the clock, the JSON row.

Imported by scripts that run in a peer's environment, so it needs the standard library only.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

Jobs = list[list[tuple[int, int]]]
"""For each job its operations as ``(machine, duration)``, in processing order."""

Advance = Callable[[], tuple[int, list[float]]]
"""Moves a simulation on; returns how many decisions that took and the makespans of the episodes that it ended."""


def one_thread() -> None:
    """Keep numerical libraries to one thread; call it before the first of them is imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"


def require(module: str, peer: str) -> None:
    """Import a module, or end the script and say how to install the peer that brings it."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        sys.exit(
            f"{peer} cannot be imported ({error}). Run python benchmarks/peers/make.py {peer} and start this script "
            f"with the interpreter in benchmarks/peers/.venvs/{peer}."
        )


def simulation_arguments(description: str | None) -> argparse.Namespace:
    """Parse the command line of a simulation: the instance, the CPU seconds and the seed."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("instance", type=Path, help="file in the standard job shop format")
    parser.add_argument("--seconds", type=float, default=5.0, help="CPU seconds to measure (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random policy (default: 0)")
    return parser.parse_args()


def solver_arguments(description: str | None) -> argparse.Namespace:
    """Parse the command line of an exact solver: the instances, the wall-clock limit, the workers and the seed."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("instances", type=Path, nargs="+", help="files in the standard job shop format")
    parser.add_argument("--time-limit", type=float, default=60.0, help="wall-clock seconds per file (default: 60)")
    parser.add_argument("--workers", type=int, default=1, help="threads of the solver (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the solver (default: 0)")
    return parser.parse_args()


def read_jobs(path: Path) -> Jobs:
    """Read an instance in the standard format: ``J M``, then per job a line of ``machine duration`` pairs."""
    rows = [[int(word) for word in line.split()] for line in path.read_text().splitlines() if line.strip()]
    jobs = [list(zip(row[::2], row[1::2], strict=True)) for row in rows[1:]]
    if len(jobs) != rows[0][0]:
        raise ValueError(f"{path.name}: the first line says {rows[0][0]} jobs, the file has {len(jobs)}")
    return jobs


def measure(advance: Advance, seconds: float) -> dict[str, Any]:
    """Advance a simulation for some CPU seconds of this process and return the counts.

    The first call is a warm-up and not counted. The clock is read between calls, so the last one may run over.

    Parameters
    ----------
    advance
        Moves the simulation on by an episode or by a step.
    seconds
        CPU seconds after which no further call is made.

    Returns
    -------
    dict
        ``decisions``, ``cpu_seconds``, ``decisions_per_s``, ``episodes``, ``mean_makespan`` (None without an episode).
    """
    advance()
    decisions = 0
    makespans: list[float] = []
    begin = time.process_time()
    while (spent := time.process_time() - begin) < seconds:
        taken, ended = advance()
        decisions += taken
        makespans += ended
    return {
        "decisions": decisions,
        "cpu_seconds": round(spent, 3),
        "decisions_per_s": round(decisions / spent, 1),
        "episodes": len(makespans),
        "mean_makespan": round(sum(makespans) / len(makespans), 1) if makespans else None,
    }


def row(peer: str, package: str, instance: Path, **fields: Any) -> None:
    """Print one JSON line that names the peer, the version of its package and the instance."""
    print(json.dumps({"peer": peer, "version": version(package), "instance": instance.stem, **fields}), flush=True)
