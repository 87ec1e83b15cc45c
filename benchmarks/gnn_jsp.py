"""Part `jsp`: plain shops of Lawrence and Taillard, beside published figures."""

from __future__ import annotations

from typing import Any

from gnn_bws import DRAWS, HEAT, MANY, drawn, greedy, rule_entries
from gnn_looks import PLAIN, looks
from gnn_store import Published, Row, Settings, catalogued, references, standings

__all__ = ["PUBLISHED", "jsp"]

GROUPS = [f"lawrence-{size}" for size in ("10x5", "15x5", "20x5", "10x10", "15x10", "20x10", "30x10", "15x15")]
GROUPS = ["taillard-15x15", *GROUPS]
SEARCHED = [*GROUPS[:2], "lawrence-10x10"]  # where drawing many schedules takes minutes, not hours

SOURCE = "computed from the per-instance workbook released by Corsini et al. (NeurIPS 2024); 128 is best of 128"
METHODS = ("SPT", "MWR", "MOR", "MWR 128", "L2D", "L2D 128", "SPN", "SPN 128")
FIGURES = {
    "taillard-15x15": (26.1, 19.1, 20.4, 13.5, 24.4, 17.1, 13.8, 7.3),
    "lawrence-10x5": (14.8, 15.9, 14.6, 9.0, 14.3, 8.8, 9.3, 1.9),
    "lawrence-15x5": (14.9, 5.5, 5.0, 1.2, 7.8, 2.8, 2.6, 0.0),
    "lawrence-20x5": (16.3, 5.2, 6.7, 1.4, 6.3, 3.1, 2.1, 0.0),
    "lawrence-10x10": (15.7, 12.2, 11.9, 7.6, 23.7, 10.4, 8.9, 3.1),
    "lawrence-15x10": (28.7, 17.8, 23.4, 11.1, 27.2, 16.2, 11.6, 5.2),
    "lawrence-20x10": (36.9, 17.9, 21.9, 12.5, 24.6, 18.3, 12.1, 6.8),
    "lawrence-30x10": (16.6, 9.2, 7.7, 3.5, 8.4, 6.8, 2.0, 0.0),
    "lawrence-15x15": (25.8, 18.2, 18.6, 12.2, 27.1, 17.4, 13.6, 6.8),
}
"""Mean excess over the best known makespan, in %, in the order of `METHODS`."""

PUBLISHED: list[Published] = [
    {"set": name, **dict(zip(METHODS, figures, strict=True)), "source": SOURCE} for name, figures in FIGURES.items()
]


def jsp(settings: Settings) -> list[Row]:
    """Every rule, Monte-Carlo rollout, and the policy greedy and drawn, excess over the best known makespan."""
    rows: list[Row] = []
    for group in GROUPS if settings.quick == 1 else GROUPS[1:2]:
        panel: Any = catalogued(group, "unlimited")
        if settings.quick > 1:
            panel = panel.head(2)
        reference = references(settings, panel)
        entries = rule_entries(settings, panel, reference)
        ours, told = greedy(settings, panel, "jsp"), greedy(settings, panel, "jsp", MANY)
        entries += [*looks(settings, panel, PLAIN, (10,), (ours, told)), ours, told]
        entries += [drawn(settings, panel, "jsp", HEAT["jsp"])] if group in SEARCHED else []
        words = {"set": group, "reference": reference.words, "device": "cpu"}
        for row in standings(entries, reference.values, ours, told):
            rows.append(words | row | _published(group, row["method"]))
    assert DRAWS == 128, "the published best-of figures are of 128"
    return rows


def _published(group: str, method: str) -> Row:
    """What others report for the same rule, or for the learnt policy to be compared with ours."""
    beside = {
        "spt": "SPT",
        "mwkr": "MWR",
        "mopnr": "MOR",
        "policy, greedy": "SPN",
        f"policy, best of {DRAWS}": "SPN 128",
    }
    name = beside.get(method)
    if name is None:
        return {}
    figures = dict(zip(METHODS, FIGURES[group], strict=True))
    told = f"{figures[name]:.1f} ({name})"
    if name.startswith("SPN"):
        told += f", {figures[name.replace('SPN', 'L2D')]:.1f} ({name.replace('SPN', 'L2D')})"
    return {"published": told}
