"""The anytime record of a run: when each incumbent and each bound came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .types import Sense, excess, relative_gap

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

__all__ = ["Trace", "TracePoint"]


@dataclass(frozen=True, slots=True)
class TracePoint:
    """State of knowledge after an event: wall seconds since the call, incumbent and bound (None = unknown)."""

    seconds: float
    objective: float | None
    bound: float | None


@dataclass(slots=True)
class Trace:
    """Incumbents and bounds in the order they came.

    Parameters
    ----------
    sense : {"min", "max"}
        Which direction is better.
    points : list of TracePoint
        Events, seconds not decreasing.
    """

    sense: Sense
    points: list[TracePoint] = field(default_factory=list)

    def add(self, seconds: float, *, objective: float | None = None, bound: float | None = None) -> bool:
        """Record news; values that improve nothing are ignored. Returns whether anything changed."""
        last = self.points[-1] if self.points else TracePoint(0.0, None, None)
        worst = float("inf") if self.sense == "min" else float("-inf")
        best, proof = last.objective, last.bound
        if objective is not None and self._better(objective, worst if best is None else best):
            best = objective
        if bound is not None and self._better(-worst if proof is None else proof, bound):
            proof = bound
        if best == last.objective and proof == last.bound:
            return False
        self.points.append(TracePoint(max(seconds, last.seconds), best, proof))
        return True

    def _better(self, a: float, b: float) -> bool:
        return a < b if self.sense == "min" else a > b

    @property
    def objective(self) -> float | None:
        """Best incumbent so far."""
        return self.points[-1].objective if self.points else None

    @property
    def bound(self) -> float | None:
        """Best bound so far."""
        return self.points[-1].bound if self.points else None

    def primal_integral(self, limit: float, reference: float) -> float:
        """Integral of the primal gap to `reference` over [0, limit], in seconds.

        The gap is ``|z - ref| / max(|z|, |ref|)`` and 1 before the first incumbent; the integral runs on to the
        limit even when the run stopped early (Berthold 2013, Operations Research Letters 41:611-614).
        """
        total, previous, gap = 0.0, 0.0, 1.0
        for point in self.points:
            now = min(point.seconds, limit)
            total += (now - previous) * gap
            previous = now
            if point.objective is not None:
                gap = relative_gap(point.objective, reference)
        return total + (limit - previous) * gap

    def time_to_excess(self, target: float, reference: float) -> float | None:
        """Seconds until the incumbent's excess over `reference` was at most `target`; None if it never was."""
        for point in self.points:
            if point.objective is not None:
                over = excess(point.objective, reference)
                if (over if self.sense == "min" else -over) <= target:
                    return point.seconds
        return None

    def to_frame(self) -> pd.DataFrame:
        """Columns ``seconds``, ``objective``, ``bound``."""
        import pandas as pd

        rows = [(p.seconds, p.objective, p.bound) for p in self.points]
        return pd.DataFrame(rows, columns=["seconds", "objective", "bound"], dtype="float64")

    def to_list(self) -> list[list[Any]]:
        """Plain JSON types."""
        return [[p.seconds, p.objective, p.bound] for p in self.points]

    @classmethod
    def from_list(cls, sense: Sense, rows: Iterable[Iterable[Any]]) -> Trace:
        """Inverse of `to_list`."""
        return cls(sense, [TracePoint(*row) for row in rows])
