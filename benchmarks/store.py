"""Settings of a benchmark whose rows and policies are kept as they come, so that a killed run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from tables import Row  # first: it sets the threads of what comes below

# isort: split
import orrl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orrl.core.policy import Policy

__all__ = ["Published", "Row", "Settings"]

HIDDEN = ("versions", "seed", "values")  # columns that are kept but not shown
Published = Row
"""A row of somebody else's figures: its key "source" says whose, and it is never mixed with ours."""


@dataclass
class Settings:
    """Where the rows and policies of a run lie, and how much smaller a trial run is.

    Parameters
    ----------
    store : Path
        A folder: ``<part>.json`` has the rows, ``policies`` what was trained or solved.
    seed : int
        Of everything random in training.
    quick : int
        Divides sizes and budgets; rows of a quick run are kept apart and are not for figures.
    part : str
        What the file of the rows is called.
    shown : list of str
        Names of the rows of this run, in order.
    """

    store: Path
    seed: int = 0
    _: KW_ONLY
    quick: int = 1
    part: str = ""
    shown: list[str] = field(default_factory=list)

    def limit(self, seconds: float) -> float:
        """CPU seconds of a solver, or of a measurement."""
        return seconds / self.quick

    def count(self, number: int, least: int = 1) -> int:
        """A size that a quick run divides."""
        return max(least, number // self.quick)

    def row(self, key: str, make: Callable[[], Row], *, show: bool = True) -> Row:
        """A row, made unless it lies there already; `key` names everything that it depends on but the seed."""
        name = f"{key}, seed {self.seed}" + (f", quick {self.quick}" if self.quick > 1 else "")
        if show:
            self.shown.append(name)
        kept = self._kept()
        if name in kept["rows"]:
            return dict(kept["rows"][name])
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
        return dict(kept["rows"][name])

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

    def policy_file(self, key: str) -> Path:
        """Where a policy is kept."""
        quick = f" quick {self.quick}" if self.quick > 1 else ""
        return self.store / "policies" / f"{key} seed {self.seed}{quick}.policy".replace("/", "-")

    def policy(self, key: str, make: Callable[[], tuple[Policy, Row]]) -> tuple[Any, Row]:
        """A policy and what is known of its making (CPU seconds are added), made unless it was kept."""
        file = self.policy_file(key)
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
