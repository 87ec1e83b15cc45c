"""Part `ac-panel`: every policy in AC on the ten-column panel of the published protocol, and the bounds beside them.

The published runs chose their checkpoints on these ten paths. Policies of the DC table are played in AC as they are:
they name volumes, and the true stage is solved for them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

import orrl
from orrl.core.rollout import rollout
from orrl.solvers.search.rolling_deterministic import PlanAhead

if TYPE_CHECKING:
    from store import Settings
    from tables import Row

__all__ = ["PUBLISHED", "panel"]

COLUMNS = np.array([2, 39, 81, 119, 130, 156, 200, 206, 378, 493]) - 1
TRAINED = {  # row: folder of the store, policy there
    "ppo, trained in DC": ("dc", "ppo"),
    "ts-ldr, trained in DC": ("dc", "ts-ldr"),
    "ts-ddr, trained in DC": ("dc", "ts-ddr"),
    "ts-ddr": ("ac", "ts-ddr"),
    "sddp": ("ac", "sddp"),
}
PUBLISHED: list[Row] = [
    {"policy": "SDDP, SOC cuts (published)", "96 stages": 313331.56},
    {"policy": "TS-DDR strict (published)", "96 stages": 313751.55},
]


def panel(settings: Settings) -> list[Row]:
    """Mean cost on both windows, a row at a time; a policy that the store lacks is said to be missing."""
    problem: Any = orrl.load("hydrothermal/bolivia", network="ac")
    settings.row("myopic", lambda: _played(problem, "myopic", problem.rules()["myopic"]))
    ahead = PlanAhead(plan={"network": "dcll"})
    name = "rolling-deterministic, planned in DC with losses"
    settings.row(name, lambda: _played(problem, name, ahead))
    missing: list[Row] = []
    for name, (folder, file) in TRAINED.items():
        kept = settings.store / folder / f"{file}.policy"
        if kept.exists():
            digest = hashlib.sha256(kept.read_bytes()).hexdigest()[:8]  # another training is another row
            settings.row(f"{name}, {digest}", lambda n=name, k=kept: _played(problem, n, orrl.load_policy(k)))
        else:
            missing.append({"policy": name, "note": f"missing: --network {folder} --row {file}"})
    for network in ("dc", "soc"):
        relaxed: Any = orrl.load("hydrothermal/bolivia", network=network)
        name, each = f"wait-and-see in {network.upper()}", []
        for column in COLUMNS:
            key = f"{name}, path {column + 1}"
            each.append(settings.row(key, lambda c=column, p=relaxed: _foreseen(p, c), show=False))
        mean = {"policy": name, **_windows([r["costs"] for r in each]), "cpu s": sum(r["cpu s"] for r in each)}
        settings.row(name, lambda mean=mean: mean)
    return [*settings.rows(), *missing]


def _played(problem: Any, name: str, policy: Any) -> Row:
    worlds = [problem.protocol(500)[c] for c in COLUMNS]
    return {"policy": name, **_windows([-e.rewards for e in rollout(problem, policy, worlds)])}


def _foreseen(problem: Any, column: int) -> Row:
    """One path, so that a run that is ended loses no more."""
    found = orrl.solve(problem, "wait-and-see", paths=[problem.protocol(500)[column]], threads=1)
    return {"costs": np.asarray(found.meta["path_costs"])[0].tolist()}


def _windows(costs: Any) -> Row:
    table = np.array(costs)
    return {"96 stages": float(table[:, :96].sum(axis=1).mean()), "126 stages": float(table.sum(axis=1).mean())}
