"""A hydrothermal problem as a neutral JSON file, for peers that run in an environment without orrl.

Powers are in MW, flows in m3/s, volumes in hm3, costs in money per MW and stage; plants and buses count from 0.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from orrl.problems.hydrothermal import Hydrothermal

__all__ = ["export", "neutral"]


def neutral(problem: Hydrothermal) -> dict[str, Any]:
    """The whole problem in plain JSON types.

    Parameters
    ----------
    problem : Hydrothermal
        On the transport network, from its start, with equally likely scenarios and hard limits.

    Returns
    -------
    dict
        ``stages``, ``stage_hours``, ``deficit_cost``; ``demand`` (R, B) with row t mod R; ``inflow`` (R, S, H), the
        same; ``lines``, ``thermals`` and ``hydros`` as lists of dicts.

    Raises
    ------
    ValueError
        Naming what the file cannot hold.
    """
    grid, cascade, base = problem.grid, problem.cascade, problem.grid.base
    for what, wrong in (
        (f"network={problem.network!r}: use problem.with_(network='transport')", problem.network != "transport"),
        ("scenarios that are not equally likely", np.ptp(problem.probability) > 1e-12),
        ("a running state", problem.state is not None),
        ("a terminal value", problem.terminal is not None),
        ("soft limits", bool(np.any(cascade.volume_violation_cost) or np.any(cascade.outflow_violation_cost))),
        ("a line without a rating", not np.all(np.isfinite(grid.rating))),
    ):
        if wrong:
            raise ValueError(f"the neutral hydrothermal file cannot hold {what}")
    hydro = set(cascade.generator.tolist())
    return {
        "name": problem.name,
        "stages": problem.n_stages,
        "stage_hours": problem.stage_hours,
        "deficit_cost": grid.deficit_cost / base,
        "demand": (problem.load[:, None] * grid.demand * base).tolist(),
        "inflow": problem.inflow.transpose(0, 2, 1).tolist(),
        "lines": [
            {"from": int(f), "to": int(t), "rating": float(limit * base)}
            for f, t, limit in zip(grid.branch_from, grid.branch_to, grid.rating, strict=True)
        ],
        "thermals": [{"name": name, **_generator(problem, g)} for g, name in _names(problem) if g not in hydro],
        "hydros": [
            {
                "name": cascade.names[h],
                **_generator(problem, g),
                "production": float(cascade.production[h]),
                "turbine": [float(cascade.turbine_min[h]), float(cascade.turbine_max[h])],
                "volume": [float(cascade.volume_min[h]), float(cascade.volume_max[h])],
                "start": float(cascade.volume_start[h]),
                "spill_cost": float(cascade.spill_cost[h]),
                "turbine_to": np.flatnonzero(cascade.turbine_to[h]).tolist(),
                "spill_to": np.flatnonzero(cascade.spill_to[h]).tolist(),
            }
            for h, g in enumerate(cascade.generator.tolist())
        ],
    }


def export(problem: Hydrothermal, path: Path) -> Path:
    """Write `neutral` to a file and return its path."""
    path.write_text(json.dumps(neutral(problem)) + "\n")
    return path


def _names(problem: Hydrothermal) -> list[tuple[int, str]]:
    return list(enumerate(problem.grid.generator_names))


def _generator(problem: Hydrothermal, g: int) -> dict[str, Any]:
    grid = problem.grid
    limits = [float(grid.power_min[g] * grid.base), float(grid.power_max[g] * grid.base)]
    return {"bus": int(grid.generator_bus[g]), "power": limits, "cost": float(grid.cost[g] / grid.base)}
