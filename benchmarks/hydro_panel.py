"""Part `ac-panel`: every policy in AC on the ten-column panel of the published protocol, and the bounds beside them.

The published runs chose their checkpoints on these ten paths. Policies of the DC table are played in AC as they are:
they name volumes, and the true stage is solved for them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

import orrl
from orrl.core.rollout import rollout
from orrl.solvers.search.rolling_deterministic import PlanAhead

if TYPE_CHECKING:
    from pathlib import Path

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


def panel(store: Path) -> list[Row]:
    """Mean cost on both windows; a policy that the store lacks is said to be missing."""
    rows: list[Row] = []
    for network in ("dc", "soc"):
        problem: Any = orrl.load("hydrothermal/bolivia", network=network)
        begin = time.process_time()
        paths = [problem.protocol(500)[c] for c in COLUMNS]
        found = orrl.solve(problem, "wait-and-see", paths=paths, threads=1)
        rows.append({"policy": f"wait-and-see in {network.upper()}", **_windows(found.meta["path_costs"], begin)})
    problem = orrl.load("hydrothermal/bolivia", network="ac")
    worlds = [problem.protocol(500)[c] for c in COLUMNS]
    ahead: dict[str, Any] = {
        "myopic": problem.rules()["myopic"],
        "rolling-deterministic, planned in DC with losses": PlanAhead(plan={"network": "dcll"}),
    }
    for name, policy in [*ahead.items(), *((name, None) for name in TRAINED)]:
        if policy is None:
            folder, file = TRAINED[name]
            kept = store / folder / f"{file}.policy"
            if not kept.exists():
                rows.append({"policy": name, "note": f"missing: --network {folder} --row {file}"})
                continue
            policy = orrl.load_policy(kept)
        begin = time.process_time()
        cost = -np.array([e.rewards for e in rollout(problem, policy, worlds)])
        rows.append({"policy": name, **_windows(cost, begin)})
    return rows


def _windows(cost: Any, begin: float) -> Row:
    cost = np.asarray(cost)
    spent = time.process_time() - begin
    return {"96 stages": float(cost[:, :96].sum(axis=1).mean()), "126 stages": float(cost.sum(axis=1).mean()),
            "cpu s": spent}  # fmt: skip
