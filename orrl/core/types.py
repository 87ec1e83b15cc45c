"""The small value types that every problem and every method share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Evaluation", "Interval", "Objective", "Sense", "Support", "excess", "relative_gap"]

Sense = Literal["min", "max"]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Objective:
    """What is optimised. There is no default sense: forgetting it must be an error.

    Parameters
    ----------
    sense : {"min", "max"}
        Direction.
    name : str
        The field's word for the quantity, such as ``"makespan"``.
    unit : str
        Unit of the objective, for tables and plots.
    discount : float
        Factor per stage in (0, 1].
    horizon : int or None
        Number of stages; None where the problem ends by itself or never.
    stage : int
        Stages that had passed where the problem starts (``problem.at``); a discounted return counts from the beginning.
    """

    sense: Sense
    name: str = "objective"
    unit: str = ""
    discount: float = 1.0
    horizon: int | None = None
    stage: int = 0

    def __post_init__(self) -> None:
        if self.sense not in ("min", "max"):
            raise ValueError(f"Objective.sense is {self.sense!r}: give 'min' or 'max'")
        if not 0.0 < self.discount <= 1.0:
            raise ValueError(f"Objective.discount is {self.discount!r}: give a factor in (0, 1]")
        if self.stage < 0:
            raise ValueError(f"Objective.stage is {self.stage!r}: give the stages that have passed, 0 or more")

    @property
    def sign(self) -> float:
        """The factor that turns a sum of rewards (higher is better) into the objective."""
        return -1.0 if self.sense == "min" else 1.0

    @property
    def worst(self) -> float:
        """The value that any solution beats."""
        return float("inf") if self.sense == "min" else float("-inf")

    def better(self, a: float, b: float, tol: float = 0.0) -> bool:
        """Whether `a` improves on `b` by more than `tol`."""
        return a < b - tol if self.sense == "min" else a > b + tol


@dataclass(frozen=True, slots=True)
class Support:
    """Whether something can be done with a problem, and the reason where it cannot."""

    ok: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.ok


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The referee's verdict.

    Parameters
    ----------
    objective : float
        Value recomputed from the solution; NaN where it cannot be computed.
    feasible : bool
        True when no rule is broken.
    violations : tuple of str
        One sentence per broken rule, naming the place.
    n : int
        Number of scenarios behind the value; 1 for a plan.
    interval : (float, float) or None
        95% interval of the mean where ``n > 1``.
    metrics : mapping
        Further quantities of the problem, such as utilisation.
    """

    objective: float
    feasible: bool
    violations: tuple[str, ...] = ()
    n: int = 1
    interval: Interval | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "objective": self.objective,
            "feasible": self.feasible,
            "violations": list(self.violations),
            "n": self.n,
            "interval": None if self.interval is None else list(self.interval),
            "metrics": dict(self.metrics),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evaluation:
        """Inverse of `to_dict`."""
        interval = data["interval"]
        return cls(
            objective=data["objective"],
            feasible=data["feasible"],
            violations=tuple(data["violations"]),
            n=data["n"],
            interval=None if interval is None else (interval[0], interval[1]),
            metrics=dict(data["metrics"]),
        )


def relative_gap(value: float, bound: float) -> float:
    """Gap of the solvers, ``|z - bound| / max(|z|, |bound|)``; 0 where both are 0."""
    scale = max(abs(value), abs(bound))
    return 0.0 if scale == 0.0 else abs(value - bound) / scale


def excess(value: float, reference: float) -> float:
    """Excess over a reference, ``(z - ref) / |ref|``; a percentage above the optimum is an excess."""
    if reference == 0.0:
        return 0.0 if value == 0.0 else float("inf") if value > 0 else float("-inf")
    return (value - reference) / abs(reference)
