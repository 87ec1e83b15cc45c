"""Monte-Carlo rollout in several ways, with so many completions and with no less time than the policy."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from gnn_store import Entry, Row, Settings, alone, played  # first: it sets the threads of what comes below

# isort: split
import numpy as np

from orrl.core.rollout import rollout
from orrl.solvers.search.mc_rollout import MonteCarloPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnn_store import Panel

    from orrl.core.policy import Policy

__all__ = ["FRESH", "PLAIN", "WAITING", "looks"]

MEAN: Row = {}
BEST: Row = {"criterion": "best"}
PLAIN: dict[str, Row] = {"mean": MEAN, "best": BEST}
WAITING: dict[str, Row] = {
    **PLAIN,
    "mean, may wait": {**MEAN, "idle": True},
    "best, may wait": {**BEST, "idle": True},
}
"""Ways of judging an action by its completions, which are certain (nothing random happens in them)."""
FRESH: dict[str, Row] = {"mean of fresh scenarios": {"certain": False}}
"""The way that looks at random futures; the best of several futures would say nothing of the action."""
TURNS, TIMED = 3, 5  # of a time that two methods are compared by, and its shops


def looks(
    settings: Settings, panel: Panel, ways: dict[str, Row], numbers: Sequence[int], ours: Sequence[Entry]
) -> list[Entry]:
    """Entries of every way: with each of some numbers of completions, and with no less time than each of `ours`."""
    found: list[Entry] = []
    for way, options in islice(ways.items(), None if settings.quick == 1 else 2):
        notes: dict[int, list[str]] = {number: [] for number in numbers}
        for own in ours:
            notes.setdefault(_equal_time(settings, panel, own, way, options), []).append(own.name)
        for number, beside in sorted(notes.items()):
            policy = MonteCarloPolicy(number, **{"certain": True, **options})
            name = f"rollout of {number}, {way}"
            single = alone(settings, panel, name, policy)
            facts: Row = {"ms at 1": single["ms"], "s a shop": single["s"]}
            if number == 100:
                facts["ms in 64s"] = played(settings, panel, name, policy)["ms"]
            if beside:
                facts["note"] = f"no less time than {' and '.join(beside)}"
            found.append(Entry(name, single["values"], facts=facts))
    return found


def _equal_time(settings: Settings, panel: Panel, ours: Entry, way: str, options: Row) -> int:
    """Completions with which a decision of rollout takes no less time than one of our policy, alone.

    Both are timed in turns on the same shops. The time of rollout is a constant and a part that grows with the
    completions: two numbers of them give a first guess, which grows by a tenth until it takes no less time. The answer
    is kept, so that a run that goes on compares the same things.
    """

    def make() -> Row:
        head = panel.head(settings.count(TIMED))

        def looking(samples: int) -> MonteCarloPolicy:
            return MonteCarloPolicy(samples, **{"certain": True, **options})

        goal, few, many = _milliseconds(head, [ours.policy, looking(2), looking(50)])
        samples = max(1, round(2 + (goal - few) / max(1e-9, (many - few) / 48)))
        while True:
            goal, spent = _milliseconds(head, [ours.policy, looking(samples)])
            if spent >= goal:
                return {"samples": samples, "ms": spent, "ms of the policy": goal}
            samples += max(1, samples // 10)

    return int(settings.row(f"{panel.name}: {way} in the time of {ours.timed}", make, show=False)["samples"])


def _milliseconds(panel: Panel, methods: list[Policy]) -> list[float]:
    """Processor milliseconds of a decision alone: medians of turns, not kept."""
    spent: list[list[float]] = [[] for _ in methods]
    for method in methods:  # compiled before the clock starts
        rollout(panel.shops[0], method, panel.worlds[:1])
    for _ in range(TURNS):
        for method, times in zip(methods, spent, strict=True):
            begin, decisions = time.process_time(), 0
            for shop, world in zip(panel.shops, panel.worlds, strict=True):
                decisions += len(rollout(shop, method, [world])[0].actions)
            times.append(1000 * (time.process_time() - begin) / decisions)
    medians: Any = np.median(spent, axis=1)
    return [float(m) for m in medians]
