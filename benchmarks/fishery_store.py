"""What the parts of `fishery` share: settings, rows and policies that are kept as they come, episodes, columns."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tables import Row  # first: it sets the threads of what comes below

# isort: split
import numpy as np

import orrl
from orrl.core.rollout import Trajectory, estimate, rollout
from orrl.core.seeds import spawn_seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orrl.core.policy import Policy

__all__ = ["Published", "Row", "Settings", "interval", "played", "precise", "with_error"]

CHUNK = 2500  # episodes side by side
HIDDEN = ("versions", "seed")  # columns that are kept but not shown
DIGITS = {"lower": 5, "upper": 5, "lower bound": 4, "upper bound": 4, "NPV": 4, "s.e.": 4, "value": 4, "reward": 2,
          "as published": 2, "s.e. ": 3, "price": 4, "extinct %": 1, "full %": 1, "% of exact": 2}  # fmt: skip
"""Decimals of columns in tables; the kept rows have all."""
Published = Row
"""A row of somebody else's figures: its key "source" says whose, and it is never mixed with ours."""


@dataclass
class Settings:
    """Sizes of a run, and where its rows and policies lie.

    Parameters
    ----------
    store : Path
        A folder: ``<part>.json`` has the rows, ``policies`` what was trained or solved.
    seed : int
        Of everything random in training; episodes are drawn from a stream of their own.
    replicates : int
        Episodes of a row.
    cpu_seconds : float, optional
        Budget of each learner in place of the part's own.
    quick : int
        Divides episodes and budgets; rows of a quick run are kept apart and are not for figures.
    """

    store: Path
    seed: int = 0
    replicates: int = 20_000
    cpu_seconds: float | None = None
    quick: int = 1
    part: str = ""
    shown: list[str] = field(default_factory=list)

    def episodes(self, count: int | None = None) -> int:
        """Episodes of a row, `count` at most."""
        wanted = self.replicates if count is None else min(count, self.replicates)
        return max(20, wanted // self.quick)

    def budget(self, seconds: float) -> float:
        """CPU seconds of a learner whose part gives it so many."""
        return (seconds if self.cpu_seconds is None else self.cpu_seconds) / self.quick

    def limit(self, seconds: float) -> float:
        """CPU seconds of a solver, or of a measurement."""
        return seconds / self.quick

    def count(self, number: int, least: int = 1) -> int:
        """A size that a quick run divides."""
        return max(least, number // self.quick)

    def row(self, key: str, make: Callable[[], Row]) -> None:
        """Make a row, unless it lies there already; `key` names everything that it depends on but the seed."""
        name = f"{key}, seed {self.seed}" + (f", quick {self.quick}" if self.quick > 1 else "")
        self.shown.append(name)
        kept = self._kept()
        if name in kept["rows"]:
            return
        begin = time.process_time()
        found = make()
        stamp = {"cpu s": time.process_time() - begin, "seed": self.seed}
        versions = orrl.show_versions().to_dict()
        versions.pop("load")
        label = hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()[:8]
        kept = self._kept()  # another part may have written meanwhile
        kept["versions"][label] = versions
        kept["rows"][name] = stamp | found | {"versions": label}
        target = self.store / f"{self.part}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        spare = target.with_suffix(".part.json")
        spare.write_text(json.dumps(kept, indent=1, default=float) + "\n")
        spare.rename(target)

    def _kept(self) -> dict[str, Any]:
        file = self.store / f"{self.part}.json"
        empty: dict[str, Any] = {"versions": {}, "rows": {}}
        return json.loads(file.read_text()) if file.exists() else empty

    def rows(self) -> Iterator[Row]:
        """The rows of this run, in order, as a table shows them: CPU seconds last."""
        kept = self._kept()["rows"]
        for name in self.shown:
            line = {k: v for k, v in kept[name].items() if k not in HIDDEN}
            yield {k: v for k, v in line.items() if k != "cpu s"} | {"cpu s": line["cpu s"]}

    def policy(self, key: str, make: Callable[[], tuple[Policy, Row]]) -> tuple[Any, Row]:
        """A policy and what is known of its making (CPU seconds are added), made unless it was kept."""
        quick = f" quick {self.quick}" if self.quick > 1 else ""
        file = self.store / "policies" / f"{key} seed {self.seed}{quick}.policy".replace("/", "-")
        facts = file.with_suffix(".json")
        if facts.exists():
            return orrl.load_policy(file), json.loads(facts.read_text())
        begin = time.process_time()
        policy, found = make()
        found = {"training cpu s": time.process_time() - begin} | found
        file.parent.mkdir(parents=True, exist_ok=True)
        policy.save(file)
        facts.write_text(json.dumps(found, default=float) + "\n")
        return policy, found


def precise(rows: list[Row]) -> list[Row]:
    """Rows as tables show them."""
    return [
        {k: f"{v:.{DIGITS[k]}f}" if k in DIGITS and isinstance(v, float) else v for k, v in row.items()} for row in rows
    ]


# ---- episodes --------------------------------------------------------------------------------------------------------
def played(problem: Any, policy: Policy, count: int) -> list[Trajectory]:
    """Episodes on the test scenarios, the same ones for every policy of a problem; nothing is trained on them."""
    seeds = spawn_seeds(0, count, "fishery-benchmark", "test")
    found: list[Trajectory] = []
    for begin in range(0, count, CHUNK):
        worlds = [problem.scenario(s) for s in seeds[begin : begin + CHUNK]]
        found += rollout(problem, policy, worlds)
    return found


def with_error(values: Any) -> tuple[float, float]:
    """Mean and its standard error."""
    values = np.asarray(values, np.float64)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def interval(values: Any) -> str:
    """95% interval of a mean, as a cell of a table."""
    found = estimate(np.asarray(values, np.float64))[1]
    return "" if found is None else f"{found[0]:.4g} to {found[1]:.4g}"
