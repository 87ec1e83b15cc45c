"""What the parts of `fishery` share: settings, rows and policies that are kept as they come, episodes, columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store import Published, Row  # first: it sets the threads of what comes below
from store import Settings as Kept

# isort: split
import numpy as np

from orrl.core.rollout import Trajectory, estimate, rollout
from orrl.core.seeds import spawn_seeds

if TYPE_CHECKING:
    from orrl.core.policy import Policy

__all__ = ["Published", "Row", "Settings", "interval", "played", "precise", "with_error"]

CHUNK = 2500  # episodes side by side
DIGITS = {"lower": 5, "upper": 5, "lower bound": 4, "upper bound": 4, "NPV": 4, "s.e.": 4, "value": 4, "reward": 2,
          "as published": 2, "s.e. ": 3, "price": 4, "extinct %": 1, "full %": 1, "% of exact": 2}  # fmt: skip
"""Decimals of columns in tables; the kept rows have all."""


@dataclass
class Settings(Kept):
    """Sizes of a run, beside what `store.Settings` says.

    Parameters
    ----------
    replicates : int
        Episodes of a row.
    cpu_seconds : float, optional
        Budget of each learner in place of the part's own.
    """

    replicates: int = 20_000
    cpu_seconds: float | None = None

    def episodes(self, count: int | None = None) -> int:
        """Episodes of a row, `count` at most."""
        wanted = self.replicates if count is None else min(count, self.replicates)
        return max(20, wanted // self.quick)

    def budget(self, seconds: float) -> float:
        """CPU seconds of a learner whose part gives it so many."""
        return (seconds if self.cpu_seconds is None else self.cpu_seconds) / self.quick


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
