"""Part `ablations`: one option of the learner changed at a time."""

from __future__ import annotations

from typing import Any

from gnn_store import Entry, Row, Settings, held_out, played, references, span, standings
from gnn_train import KINDS, policies, trained

# isort: split
import orrl
from orrl.comparison.statistics import paired_difference
from orrl.solvers.learners.gnn_ppo import GnnPPO

__all__ = ["VARIANTS", "ablations"]


def _small_first() -> tuple[Any, ...]:
    return ((0.3, orrl.JobShop.generator(jobs=6, machines=5, storage="blocking", p=(0.0, 0.3))),)


VALUE: Row = {"baseline": "value"}
VARIANTS: dict[str, Row] = {
    "told nothing of completions": {"completions": 0},
    "episodes compared, not decisions": {"baseline": "group"},
    "decisions compared by a value network": VALUE,
    "value, rewards not scaled": {**VALUE, "reward_scale": False},
    "value, rewards cut at 5": {**VALUE, "reward_clip": 5.0},
    "value, its loss clipped at 0.2": {**VALUE, "value_clip": 0.2},
    "value, trained alone for 20 iterations": {**VALUE, "value_first": 20},
    "warm start: rollout": {"warm_start": "rollout"},
    "warm start: self-labelling": {"warm_start": "self-labelling"},
    "warm start: rollout, held near it by 0.05": {"warm_start": "rollout", "reference_weight": 0.05},
    "smaller shops first": {"curriculum": _small_first()},
    "entropy 0": {"entropy_weight": 0.0},
    "told of 2 completions": {"completions": 2},
    "told of 16 completions": {"completions": 16},
    "never waits where something can move": {"kernel": {"wait": False}},
    "1 epoch": {"epochs": 1},
    "4 epochs": {"epochs": 4},
    "a quarter of the steps": {"share": 0.25},
    "width 12": {"width": 12},
    "width 48": {"width": 48},
    "3 layers": {"layers": 3},
}
"""Options that differ from those of the policies that the other parts judge."""


def ablations(settings: Settings) -> list[Row]:
    """Held-out greedy excess of each variant, one training each, beside the usual options at all training seeds."""
    panel = held_out(10, 5, settings.number())
    reference = references(settings, panel)
    usual = policies(settings, "bws")
    base = [played(run, panel, key, policy)["values"] for run, key, policy, _ in usual]
    entries = [Entry("usual options", base, learned=True, facts=_size(usual[0][3]))]
    start = Entry("usual", base[:1]).values / reference.values
    defaults = {**GnnPPO().options(), "curriculum": (), **KINDS["bws"][1]}
    chosen = list(VARIANTS.items())
    for name, options in chosen if settings.quick == 1 else chosen[::9]:
        if all(defaults[option] == value for option, value in options.items()):
            continue  # these are the usual options
        key, policy, facts = trained(settings, "bws", options, f"part ablations of benchmarks/gnn_ppo.py: {name}")
        values = played(settings, panel, key, policy)["values"]
        gap, interval = paired_difference(100 * Entry(name, values).values / reference.values, 100 * start)
        apart: Row = {"minus usual, same seed": gap, "95% paired": span(interval)}
        entries.append(Entry(name, values, learned=True, facts=apart | _size(facts)))
    return [{**row, "device": "cpu"} for row in standings(entries, reference.values)]


def _size(facts: Row) -> Row:
    columns = {"iterations": "iterations", "training cpu s": "train s", "parameters": "parameters"}
    return {told: facts[name] for name, told in columns.items()}
