"""What the parts of `gnn_ppo` share: settings, held-out shops, kept episodes, references, and lines of tables."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from store import Published, Row  # first: it sets the threads of what comes below
from store import Settings as Kept

# isort: split
import numpy as np

import orrl
from orrl.catalogue import best_known
from orrl.comparison.statistics import crossed_bootstrap, paired_difference
from orrl.core.rollout import rollout
from orrl.core.seeds import spawn_seeds

if TYPE_CHECKING:
    from collections.abc import Callable

    from orrl.core.learner import Split
    from orrl.core.policy import Policy

__all__ = [
    "Entry", "Panel", "Published", "Row", "Settings", "alone", "capped", "catalogued", "held_out", "played",
    "references", "rules", "searched", "span", "standings",
]  # fmt: skip

BATCH = 64  # episodes side by side
ALONE = 20  # shops behind a time at batch one
EDITION = 2  # of the code behind a decision alone: raise it where that becomes faster or slower, then rows are new


@dataclass
class Settings(Kept):
    """Sizes of a run, beside what `store.Settings` says.

    Parameters
    ----------
    minutes : float
        CPU minutes of each training, all processes together.
    trainings : int
        Training seeds, counted from `seed`.
    workers : int
        Processes of a training.
    shops : int
        Held-out shops of a size.
    """

    minutes: float = 10.0
    trainings: int = 5
    workers: int = 1
    shops: int = 100

    def number(self, most: int | None = None) -> int:
        """Held-out shops of a table, `most` at most."""
        return self.count(self.shops if most is None else min(most, self.shops), 4)

    def runs(self) -> list[Self]:
        """These settings, one for each training seed."""
        number = min(self.trainings, 2) if self.quick > 1 else self.trainings
        return [replace(self, seed=self.seed + i) for i in range(number)]


@dataclass(frozen=True)
class Panel:
    """Shops of a table, each with the scenario that every method meets."""

    name: str
    shops: list[Any]
    worlds: list[Any]

    def __len__(self) -> int:
        return len(self.shops)

    def head(self, count: int) -> Panel:
        """The first shops only."""
        if count >= len(self):
            return self
        return Panel(f"first {count} of {self.name}", self.shops[:count], self.worlds[:count])


def held_out(
    jobs: int, machines: int, count: int, p: float = 0.0, storage: str = "blocking", split: Split = "test"
) -> Panel:
    """The first shops of a split; nothing was trained on them. Equal shops and strikes for every p."""
    source = orrl.JobShop.generator(jobs=jobs, machines=machines, storage=storage, p=p or None)
    shops = source.sample(count, 0 if split == "test" else 77, split=split)  # 0 of "val" judges trainings
    seeds = spawn_seeds(0, count, "gnn-benchmark", "test")
    name = f"{'held-out' if split == 'test' else split} {storage} {jobs}x{machines}, p {p:g}, {count} shops"
    return Panel(name, shops, [shop.scenario(s) for shop, s in zip(shops, seeds, strict=True)])


def catalogued(group: str, storage: str) -> Panel:
    """A set of classical instances, such as "lawrence-10x5"."""
    shops: list[Any] = orrl.load_set(f"jobshop/{group}", storage=storage)
    return Panel(f"{storage} {group}", shops, [shop.scenario(0) for shop in shops])


# ---- episodes --------------------------------------------------------------------------------------------------------
def _value(episode: Any) -> float:
    return np.nan if episode.failed else episode.value


def played(settings: Settings, panel: Panel, label: str, policy: Policy) -> Row:
    """Makespans of a policy's episodes in batches, and milliseconds of processor time a decision."""

    def make() -> Row:
        found, spent, decisions = [], 0.0, 0
        rollout(panel.shops[:BATCH], policy, panel.worlds[:BATCH])  # compiled before the clock starts
        for at in range(0, len(panel), BATCH):
            begin = time.process_time()
            found += rollout(panel.shops[at : at + BATCH], policy, panel.worlds[at : at + BATCH])
            spent += time.process_time() - begin
        decisions = sum(len(e.actions) for e in found)
        return {"values": [_value(e) for e in found], "ms": 1000 * spent / decisions, "s": spent / len(found)}

    return settings.row(f"{panel.name}: {label}, batches of {BATCH}", make, show=False)


def alone(settings: Settings, panel: Panel, label: str, policy: Policy) -> Row:
    """As `played`, one episode after the other."""

    def make() -> Row:
        found, spent = [], 0.0
        rollout(panel.shops[0], policy, panel.worlds[:1])
        for shop, world in zip(panel.shops, panel.worlds, strict=True):
            begin = time.process_time()
            found += rollout(shop, policy, [world])
            spent += time.process_time() - begin
        decisions = sum(len(e.actions) for e in found)
        return {"values": [_value(e) for e in found], "ms": 1000 * spent / decisions, "s": spent / len(found)}

    return settings.row(f"{panel.name}: {label}, one by one, edition {EDITION}", make, show=False)


def searched(
    settings: Settings, panel: Panel, label: str, solve: Callable[[Any, Any], Any], *, compiled: bool = False
) -> Row:
    """Makespans of a search that knows the scenario, and processor seconds of each.

    Unless its code is `compiled` already, it solves the first shop once more before the clock starts.
    """

    def make() -> Row:
        if not compiled:
            solve(panel.shops[0], panel.worlds[0])
        begin = time.process_time()
        found = [solve(*pair).objective for pair in zip(panel.shops, panel.worlds, strict=True)]
        return {"values": found, "s": (time.process_time() - begin) / len(panel)}

    return settings.row(f"{panel.name}: {label}", make, show=False)


def rules(settings: Settings, panel: Panel) -> dict[str, Any]:
    """Makespans of every rule, in blocking shops also with every cap on the jobs in the shop: "mwkr" and "mwkr@4".

    A blocking shop holds a job a machine, so caps are below that; lower ones than a third of it only starve machines.
    The rule "edd" is left out: these shops have no due dates.
    """
    machines = max(shop.n_machines for shop in panel.shops)
    caps = range(max(2, machines // 3), machines if panel.shops[0].storage == "blocking" else 0)

    def make() -> Row:
        table = {}
        for name, rule in panel.shops[0].rules().items():
            for cap in (0, *caps) if name != "edd" else ():
                chosen: Any = replace(rule, wip_cap=cap)
                table[chosen.name] = [_value(e) for e in rollout(panel.shops, chosen, panel.worlds)]
        return {"values": table}

    kept = settings.row(f"{panel.name}: rules, caps {list(caps)}", make, show=False)
    return {name: np.asarray(values) for name, values in kept["values"].items()}


def capped(table: dict[str, Any], reference: Any) -> dict[str, str]:
    """The cap of each rule that is best in hindsight, as a name in the table; the best rule of all comes first."""
    best: dict[str, tuple[float, str]] = {}
    for name, values in table.items():
        rule, mark, _ = name.partition("@")
        if mark:
            worth = float(np.mean(np.where(np.isnan(values), np.inf, values) / reference))
            best[rule] = min(best.get(rule, (np.inf, name)), (worth, name))
    return {rule: name for rule, (_, name) in sorted(best.items(), key=lambda item: item[1])}


# ---- references ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Reference:
    """What the makespans of a panel are measured against, the same for all methods."""

    values: Any
    bounds: Any

    @property
    def words(self) -> str:
        """For a column: how many are proven, and how far below the others their bounds lie."""
        proved = np.isclose(self.values, self.bounds)
        told = f"optimum proven on {proved.sum()} of {len(proved)}"
        if proved.all():
            return told
        slack = 100 * (1 - self.bounds[~proved] / self.values[~proved]).mean()
        return f"{told}, else best known (bound {slack:.1f}% below)"


def references(settings: Settings, panel: Panel, seconds: float = 60.0) -> Reference:
    """Best known values of the catalogue, else what CP-SAT proves under the same scenario within a limit a shop.

    Where the limit comes first, iterated greedy goes on from its schedule for half as long.
    """
    shelf = replace(settings, part="references", shown=[], seed=0)
    values, bounds = [], []
    for shop, world in zip(panel.shops, panel.worlds, strict=True):
        known = None if shop.is_stochastic else best_known(shop)
        if known is not None:
            values.append(float(known.upper))
            bounds.append(float(known.lower))
            continue

        def make(shop: Any = shop, world: Any = world) -> Row:
            limits = {"scenario": world, "threads": 1}
            result = orrl.solve(shop, "cp-sat", time_limit=settings.limit(seconds), **limits)
            bound, found = 0.0 if result.bound is None else result.bound.value, result.objective
            if result.status != "optimal":  # the search goes on where the proof was given up
                after = settings.limit(seconds / 2)
                better = orrl.solve(shop, "iterated-greedy", time_limit=after, warm_start=result.solution, **limits)
                found = min(v for v in (found, better.objective) if v is not None)
            return {"objective": found, "bound": bound, "status": result.status}

        marks = f"{shop.content_hash[:12]} world {abs(int(np.asarray(world.extra).sum()))}"
        row = shelf.row(f"{shop.name} {shop.variant} {marks}, {seconds:g} s", make, show=False)
        values.append(float(row["objective"]))
        bounds.append(float(row["bound"]))
    return Reference(np.array(values), np.array(bounds))


# ---- tables ----------------------------------------------------------------------------------------------------------
@dataclass
class Entry:
    """A method of a table: its makespans (S, M), one row a training seed, and its other columns.

    Of a learnt one also the policy of the first training, which others are timed beside, and its name in keys.
    """

    name: str
    values: Any
    learned: bool = False
    facts: Row = field(default_factory=dict)
    policy: Any = None
    timed: str = ""

    def __post_init__(self) -> None:
        self.values = np.atleast_2d(np.asarray(self.values, np.float64))


def span(interval: tuple[float, float] | None, digits: int = 1) -> str:
    """An interval as a cell of a table."""
    return "" if interval is None else f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}"


def standings(entries: list[Entry], reference: Any, *ours: Entry) -> list[Row]:
    """Mean excess over the reference with its 95% interval, and the paired excess of each of `ours` minus it.

    Intervals resample training seeds and shops, crossed.
    """
    rows: list[Row] = []
    tables = {entry.name: 100 * (entry.values / reference - 1) for entry in entries}
    for entry in entries:
        table = tables[entry.name]
        row: Row = {
            "method": entry.name,
            "trainings": str(len(table)) if entry.learned else "",
            "shops": len(reference),
        }
        row |= {"excess %": float(np.nanmean(table)), "95%": span(crossed_bootstrap(table))}
        for own in ours:
            if entry is not own:
                gap, interval = paired_difference(tables[own.name], table)
                row |= {f"{own.name} minus it": gap, f"95% of that ({own.name})": span(interval)}
        if failed := int(np.isnan(table).sum()):
            row["failed"] = failed
        rows.append(row | entry.facts)
    return rows
