"""Part `proofs`: does CP-SAT prove sooner when it begins from the policy's schedule?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gnn_store import Row, Settings, catalogued, held_out, span  # first: it sets the threads of what comes below
from gnn_train import policies

# isort: split
import numpy as np

import orrl
from orrl.comparison.statistics import aggregate_median, crossed_bootstrap, paired_difference

if TYPE_CHECKING:
    from gnn_store import Panel

__all__ = ["proofs"]

SEEDS = 3  # of CP-SAT: its time on one shop varies much from seed to seed


def proofs(settings: Settings) -> list[Row]:
    """CPU seconds to proof with and without the warm start, medians and paired intervals."""
    run, key, policy, _ = policies(settings, "bws")[0]
    panels = [
        (held_out(10, 5, settings.number(50)), 60.0),
        (held_out(10, 10, settings.number(10)), 60.0),
        (catalogued("lawrence-10x10", "blocking"), 60.0),
    ]
    rows: list[Row] = []
    for panel, limit in panels if settings.quick == 1 else panels[:1]:
        found = [
            [_pair(run, panel, i, seed, key, policy, limit) for i in range(len(panel))]
            for seed in range(SEEDS if settings.quick == 1 else 1)
        ]
        rows.append(_line(panel, found, run.limit(limit)))
    return rows


def _pair(settings: Settings, panel: Panel, number: int, seed: int, key: str, policy: Any, limit: float) -> Row:
    """One shop, cold and warm; which comes first changes, so that neither gains from warm caches."""
    shop, world = panel.shops[number], panel.worlds[number]

    def make() -> Row:
        begin = time.process_time()
        plan = orrl.solve(shop, policy, scenario=world)
        row: Row = {"policy s": time.process_time() - begin, "policy": plan.objective}
        for kind in ("cold", "warm") if (number + seed) % 2 else ("warm", "cold"):
            begin = time.process_time()
            result = orrl.solve(
                shop,
                "cp-sat",
                scenario=world,
                threads=1,
                seed=seed,
                time_limit=settings.limit(limit),
                warm_start=plan.solution if kind == "warm" else None,
            )
            row |= {f"{kind} s": time.process_time() - begin, f"{kind} proved": result.status == "optimal"}
        return row

    return settings.row(f"{panel.name}, shop {number}, cp-sat seed {seed}, {limit:g} s, {key}", make, show=False)


def _line(panel: Panel, found: list[list[Row]], limit: float) -> Row:
    """Medians and paired intervals; a proof that did not come counts with the seconds that were spent on it."""

    def table(column: str) -> Any:
        return np.array([[row[column] for row in line] for line in found], np.float64)

    cold, warm = table("cold s"), table("warm s")
    median, middle = paired_difference(warm, cold, aggregate_median)
    mean, interval = paired_difference(warm, cold)
    ratio = np.log(warm / cold)
    around = crossed_bootstrap(ratio)
    row: Row = {"set": panel.name, "shops": len(panel), "cp-sat seeds": len(found), "limit s": limit}
    row |= {"proved cold": int(table("cold proved").sum()), "proved warm": int(table("warm proved").sum())}
    row |= {"median cold s": float(np.median(cold)), "median warm s": float(np.median(warm))}
    row |= {"median of warm - cold": median, "95%": span(middle, 3), "mean of warm - cold": mean}
    row |= {"95% of mean": span(interval, 3), "warm / cold (geometric)": float(np.exp(ratio.mean()))}
    told = None if around is None else (float(np.exp(around[0])), float(np.exp(around[1])))
    return row | {"95% of ratio": span(told, 2), "policy s": float(table("policy s").mean()), "device": "cpu"}
