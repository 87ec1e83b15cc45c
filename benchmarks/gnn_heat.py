"""Part `heat`: what a policy is used with (completions, temperatures), on validation shops that no table uses."""

from __future__ import annotations

from gnn_bws import drawn, greedy, improved
from gnn_store import Row, Settings, held_out, references, standings

__all__ = ["heat"]

DRAWN = {"bws": (1.0, 2.0, 3.0, 4.0, 6.0), "jsp": (1.0, 1.5, 2.0, 3.0)}
BASES = ((1.0, 1), (2.0, 1), (1.0, 2), (2.0, 2), (3.0, 2))  # of a rollout: temperature, completions of an action
TOLD = (16, 32, 64, 128)
SHOPS = {"bws": (10, 5, 20, "blocking"), "jsp": (15, 15, 4, "unlimited")}


def heat(settings: Settings) -> list[Row]:
    """Greedy told of more completions, best of many at several temperatures, rollout with the policy as its base."""
    rows: list[Row] = []
    for kind, (jobs, machines, count, storage) in SHOPS.items():
        panel = held_out(jobs, machines, settings.count(count, 2), 0.0, storage, "val")
        reference = references(settings, panel, 30.0)
        entries = [greedy(settings, panel, kind)]
        entries += [greedy(settings, panel, kind, told) for told in (TOLD if settings.quick == 1 else TOLD[:1])]
        for temperature in DRAWN[kind] if settings.quick == 1 else DRAWN[kind][:1]:
            entries.append(drawn(settings, panel, kind, temperature))
            entries[-1].name += f" at {temperature:g}"
        for temperature, samples in BASES if kind == "bws" and settings.quick == 1 else ():
            entries.append(improved(settings, panel, kind, temperature, samples))
            entries[-1].name += f" at {temperature:g}, {samples} an action"
        words = {"set": panel.name, "reference": reference.words, "device": "cpu"}
        rows += [words | row for row in standings(entries, reference.values)]
    return rows
