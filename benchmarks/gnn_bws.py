"""Parts `bws` and `transfer`: blocking shops with swap, of the trained size and larger ones, without interruptions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gnn_looks import WAITING, looks
from gnn_store import (
    ALONE,
    Entry,
    Row,
    Settings,
    alone,
    capped,
    catalogued,
    held_out,
    played,
    references,
    rules,
    searched,
    standings,
)
from gnn_train import label, policies

# isort: split
import numpy as np

import orrl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gnn_store import Panel, Reference

__all__ = ["DRAWS", "HEAT", "LOOKED", "MANY", "bws", "drawn", "greedy", "improved", "rule_entries", "transfer"]

DRAWS = 128
HEAT = {"bws": 3.0, "jsp": 2.0}
"""Temperature of the policy's law where only the best of many schedules counts, chosen by part `heat`."""
LOOKED = 3.0, 2
"""Temperature of the policy's law as the base of a rollout, and completions of an action, chosen by part `heat`."""
SIMULATOR = "played on the general simulator"
MANY = 64
"""Completions of an action that the policy is told of in a row of its own: it was trained with fewer."""
LIMITS = {"10x5": 60.0, "10x10": 10.0, "15x10": 10.0}  # seconds of a proof, by size


def rule_entries(settings: Settings, panel: Panel, reference: Reference, each: bool = False) -> list[Entry]:
    """Every rule, and the capped rule that is best in hindsight; or, with `each`, the best cap of each rule."""
    table = rules(settings, panel)
    found = [Entry(name, values) for name, values in table.items() if "@" not in name]
    best = list(capped(table, reference.values).values())
    tried = sum("@" in name for name in table)
    for i, name in enumerate(best if each else best[:1]):
        said = f"best of {tried} capped rules" if i == 0 else "best cap of this rule"
        found.append(Entry(name, table[name], facts={"note": f"{said}, in hindsight"}))
    return found


def greedy(settings: Settings, panel: Panel, kind: str, told: int = 0) -> Entry:
    """The likeliest action of each decision, every training, with the time of a decision alone and in batches.

    The policy is `told` of another number of completions than in training, if that is given.
    """
    runs = policies(settings, kind)
    if told:
        runs = [(run, f"{key}, told of {told}", policy.with_completions(told), row) for run, key, policy, row in runs]
    batched = [played(run, panel, key, policy) for run, key, policy, _ in runs]
    single = [alone(run, panel.head(ALONE), key, policy) for run, key, policy, _ in runs]
    facts = {"ms at 1": _mean(single, "ms"), "ms in 64s": _mean(batched, "ms"), "s a shop": _mean(single, "s")}
    facts["train s"] = float(np.mean([made["training cpu s"] for *_, made in runs]))
    name = f"policy, told of {told}" if told else "policy, greedy"
    values, (_, key, policy, _) = [row["values"] for row in batched], runs[0]
    return Entry(name, values, learned=True, facts=facts, policy=policy, timed=key)


def _mean(rows: list[Row], column: str) -> float:
    return float(np.mean([row[column] for row in rows]))


def drawn(settings: Settings, panel: Panel, kind: str, heat: float) -> Entry:
    """The best of many episodes drawn from the policy's law at a temperature."""
    runs = policies(settings, kind)
    rows = [
        searched(
            run,
            panel,
            f"{key}, best of {DRAWS} at temperature {heat:g}",
            lambda shop, world, p=policy: orrl.solve(
                shop, "best-of-n", policy=p, n=DRAWS, temperature=heat, scenario=world, threads=1
            ),
            compiled=True,
        )
        for run, key, policy, _ in runs
    ]
    facts = {"s a shop": _mean(rows, "s"), "train s": float(np.mean([made["training cpu s"] for *_, made in runs]))}
    return Entry(f"policy, best of {DRAWS}", [row["values"] for row in rows], learned=True, facts=facts)


def improved(settings: Settings, panel: Panel, kind: str, heat: float, samples: int) -> Entry:
    """Actions are judged by completions that the policy draws at a temperature; the best of all is kept."""
    runs = policies(settings, kind)
    rows = []
    for run, key, policy, _ in runs:
        options = {"base": policy.sampled(heat), "samples": samples, "keep_best": True}
        name = f"rollout of {samples} by {key} at temperature {heat:g}, best kept"
        rows.append(searched(run, panel, name, _rollout(options)))
    facts: Row = {"s a shop": _mean(rows, "s"), "note": SIMULATOR}
    facts["train s"] = float(np.mean([made["training cpu s"] for *_, made in runs]))
    return Entry("policy + rollout", [row["values"] for row in rows], learned=True, facts=facts)


def _rollout(options: Mapping[str, Any]) -> Callable[[Any, Any], Any]:
    return lambda shop, world: orrl.solve(shop, "rollout", scenario=world, threads=1, **options)


def _greedy_search(settings: Settings, panel: Panel, seconds: float) -> Entry:
    """Iterated greedy, stopped after about so many processor seconds."""
    key = f"{panel.name}: seconds of iterated greedy beside {label(settings, 'bws')}"
    share = float(settings.row(key, lambda: {"s": float(f"{seconds:.3g}")}, show=False)["s"])

    def solve(shop: Any, world: Any) -> Any:
        begin = time.process_time()
        return orrl.solve(
            shop,
            "iterated-greedy",
            scenario=world,
            threads=1,
            time_limit=4 * share,
            callbacks=[lambda event: time.process_time() - begin > share],
        )

    row = searched(settings, panel, f"iterated greedy, {share:.3g} s", solve)
    return Entry("iterated greedy, time of policy + rollout", row["values"], facts={"s a shop": row["s"]})


def bws(settings: Settings) -> list[Row]:
    """Held-out 10x5 shops and la01-05, excess over the proven optimum."""
    rows: list[Row] = []
    for panel in (held_out(10, 5, settings.number()), catalogued("lawrence-10x5", "blocking")):
        reference = references(settings, panel, LIMITS["10x5"])
        entries = rule_entries(settings, panel, reference)
        ours, told = greedy(settings, panel, "bws"), greedy(settings, panel, "bws", MANY)
        entries += looks(settings, panel, WAITING, (10, 100, 1000), (ours, told))
        yardstick = next(entry for entry in entries if entry.name == "rollout of 100, mean")
        kept = searched(settings, panel, "rollout of 100, best kept", _rollout({"samples": 100, "keep_best": True}))
        facts: Row = {"s a shop": kept["s"], "note": SIMULATOR}
        entries.append(Entry("rollout of 100, mean, best kept", kept["values"], facts=facts))
        chance = searched(
            settings,
            panel,
            f"random, best of {DRAWS}",
            lambda shop, world: orrl.solve(shop, "best-of-n", n=DRAWS, scenario=world, threads=1),
        )
        entries.append(Entry(f"random, best of {DRAWS}", chance["values"], facts={"s a shop": chance["s"]}))
        better = improved(settings, panel, "bws", *LOOKED)
        entries.append(_greedy_search(settings, panel, float(better.facts["s a shop"])))
        entries += [ours, told, drawn(settings, panel, "bws", HEAT["bws"]), better]
        for entry in entries:
            _beside(entry, yardstick)
        words = {"set": panel.name, "reference": reference.words, "device": "cpu"}
        rows += [words | row for row in standings(entries, reference.values, ours, told)]
    return rows


def _beside(entry: Entry, yardstick: Entry) -> None:
    """Times as % of the yardstick's, alone or in batches as it, and after how many shops a training has paid."""
    base = yardstick.facts
    for column, told in (("ms at 1", "% of rollout"), ("ms in 64s", "% in 64s")):
        if column in entry.facts and entry is not yardstick:
            entry.facts[told] = 100 * entry.facts[column] / base[column]
    if entry.learned:
        saved = base["s a shop"] - entry.facts["s a shop"]
        good = np.mean(entry.values) <= np.mean(yardstick.values)
        entry.facts["shops to break even"] = f"{entry.facts['train s'] / saved:,.0f}" if good and saved > 0 else "never"


def transfer(settings: Settings) -> list[Row]:
    """The same policies on larger shops than they were trained on."""
    rows: list[Row] = []
    for jobs, machines in ((10, 10), (15, 10)):
        panel = held_out(jobs, machines, settings.number())
        reference = references(settings, panel, LIMITS[f"{jobs}x{machines}"])
        entries = rule_entries(settings, panel, reference)
        ours, told = greedy(settings, panel, "bws"), greedy(settings, panel, "bws", MANY)
        entries += [*looks(settings, panel, WAITING, (10,), (ours, told)), ours, told]
        words = {"set": panel.name, "reference": reference.words, "device": "cpu"}
        rows += [words | row for row in standings(entries, reference.values, ours, told)]
    return rows
