"""Parts `isbjssp` and `crossover`: machines that stop at random, every method under the same scenarios."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gnn_bws import MANY, greedy, rule_entries
from gnn_looks import FRESH, WAITING, looks
from gnn_store import Row, Settings, held_out, references, span, standings

# isort: split
import numpy as np

import orrl
from orrl.comparison.statistics import aggregate_mean, crossed_bootstrap

if TYPE_CHECKING:
    from gnn_store import Entry, Panel

__all__ = ["crossover", "isbjssp"]

SHARES = (0.05, 0.1, 0.2, 0.3)  # probabilities of an outage per start; outages are uniform on 1..99
RATES = (0.05, 0.2)  # of those, beside rolling CP-SAT
SIZES = ((10, 5), (10, 10), (15, 10), (20, 10))
PATIENCE = (0.1, 1.0, 10.0)  # wall seconds of a plan
EPISODES = 10


def isbjssp(settings: Settings) -> list[Row]:
    """Held-out 10x5 shops under interruptions, excess over the clairvoyant optimum of the same scenario."""
    rows: list[Row] = []
    for p in SHARES if settings.quick == 1 else SHARES[::3]:
        panel = held_out(10, 5, settings.number(), p)
        reference = references(settings, panel)
        ours = greedy(settings, panel, "bws")
        entries = rule_entries(settings, panel, reference, each=True)
        told = greedy(settings, panel, "bws", MANY)
        entries += [*looks(settings, panel, {**FRESH, **WAITING}, (100,), (ours, told)), ours, told]
        words = {"set": panel.name, "reference": reference.words, "device": "cpu"}
        rows += [words | row for row in standings(entries, reference.values, ours, told)]
    return rows


def crossover(settings: Settings) -> list[Row]:
    """The policy beside plans that CP-SAT makes again at each outage."""
    rows: list[Row] = []
    for jobs, machines in SIZES if settings.quick == 1 else SIZES[:1]:
        for p in RATES if settings.quick == 1 else RATES[:1]:
            panel = held_out(jobs, machines, settings.number(EPISODES), p)
            policies = [greedy(settings, panel, "bws"), greedy(settings, panel, "bws", MANY)]
            for seconds in PATIENCE if settings.quick == 1 else PATIENCE[:2]:
                found = [_rolling(settings, panel, i, seconds) for i in range(len(panel))]
                words: Row = {"size": f"{jobs}x{machines}", "p": p, "s a plan": seconds, "shops": len(panel)}
                rows += [words | _apart(ours, found) for ours in policies]
    return rows


def _apart(ours: Entry, found: list[Row]) -> Row:
    """How much longer the policy's schedules are than those of the plans."""
    apart = 100 * (ours.values / np.array([row["objective"] for row in found], np.float64) - 1)
    interval = crossed_bootstrap(apart)
    mean = float(aggregate_mean(apart.reshape(1, -1))[0])
    row: Row = {
        "method": ours.name,
        "policy / rolling - 1, %": mean,
        "95%": span(interval),
        "better": _better(interval),
    }
    row |= {"policy ms a decision": ours.facts["ms at 1"], "policy s a shop": ours.facts["s a shop"]}
    row |= {"rolling cpu s a shop": float(np.mean([r["cpu s"] for r in found]))}
    return row | {"rolling plans": float(np.mean([r["plans"] for r in found])), "device": "cpu"}


def _better(interval: tuple[float, float] | None) -> str:
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "neither"
    return "policy" if interval[1] < 0 else "rolling"


def _rolling(settings: Settings, panel: Panel, number: int, seconds: float) -> Row:
    """One shop by rolling CP-SAT."""
    shop, world = panel.shops[number], panel.worlds[number]

    def make() -> Row:
        result: Any = orrl.solve(shop, "rolling-cp-sat", resolve_limit=seconds, scenario=world, threads=1)
        told = result.meta.get("rolling", {})
        return {"objective": result.objective, "plans": told.get("solves"), "log": told}

    own = replace(settings, seed=0)
    return own.row(f"{panel.name}, shop {number}: rolling, {seconds:g} s a plan", make, show=False)
