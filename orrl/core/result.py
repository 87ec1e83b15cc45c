"""`Result`: what is known, apart from why the run ended; judged by the referee; with a JSON round trip."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self, get_args

from .errors import OrrlError
from .trace import Trace
from .types import Evaluation, Sense, relative_gap

__all__ = ["Bound", "Result", "Status", "Stop", "Times", "dump_object", "load_object", "trusted_packages"]

Status = Literal["optimal", "feasible", "estimated", "infeasible", "no_solution", "error"]
Stop = Literal["optimal", "gap", "time", "iterations", "converged", "finished", "user", "failure"]


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound on the optimum.

    Parameters
    ----------
    value : float
        Lower bound when minimising, upper when maximising.
    kind : {"proven", "relaxation", "statistical"}
        "proven" bounds the problem itself; "relaxation" bounds what `of` names; "statistical" holds with confidence.
    of : str
        What is bounded.
    """

    value: float
    kind: Literal["proven", "relaxation", "statistical"] = "proven"
    of: str = "the problem"


@dataclass(frozen=True, slots=True)
class Times:
    """Clocks in wall seconds, `cpu` in processor seconds of this process over the whole call.

    ``compile`` is just-in-time compilation, ``build`` model building, ``train`` learning, ``solve`` the method itself.
    """

    compile: float = 0.0
    build: float = 0.0
    train: float = 0.0
    solve: float = 0.0
    total: float = 0.0
    cpu: float = 0.0


@dataclass(frozen=True)
class Result:
    """Answer of any method.

    Parameters
    ----------
    problem, problem_hash : str
        Name and content hash of the problem.
    method : str
        Name of the method.
    sense : {"min", "max"}
        Direction of the objective.
    status : str
        What is known: optimal, feasible, estimated, infeasible, no_solution, error.
    stop : str
        Why it ended: optimal, gap, time, iterations, converged, finished, user, failure.
    objective : float or None
        The referee's value, never the method's own; for a policy without a plan, the value that its method certifies.
    bound : Bound or None
        What is proven about the optimum.
    evaluation : Evaluation or None
        The referee's verdict.
    solution, policy : object or None
        A plan, or a policy.
    times : Times
        Clocks.
    trace : Trace
        Incumbents and bounds over time.
    message : str
        One line for people.
    meta : mapping
        Threads, seed, options, versions.
    """

    problem: str
    problem_hash: str
    method: str
    sense: Sense
    status: Status
    stop: Stop
    objective: float | None
    bound: Bound | None
    evaluation: Evaluation | None
    solution: Any = None
    policy: Any = None
    times: Times = field(default_factory=Times)
    trace: Trace = field(default_factory=lambda: Trace("min"))
    message: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status not in get_args(Status) or self.stop not in get_args(Stop):
            raise ValueError(f"status {self.status!r} or stop {self.stop!r} is not a known word")

    @property
    def gap(self) -> float | None:
        """``|z - bound| / max(|z|, |bound|)``; None for an estimate, a relaxation's bound, or an unknown side."""
        if self.objective is None or self.bound is None or self.status == "estimated" or self.bound.kind != "proven":
            return None
        return relative_gap(self.objective, self.bound.value)

    def raise_for_status(self) -> Self:
        """Return self, or raise where there is no usable answer."""
        if self.status in ("infeasible", "no_solution", "error"):
            raise OrrlError(f"{self.method} on {self.problem}: {self.status} ({self.stop}). {self.message}".rstrip())
        return self

    def summary(self) -> str:
        """One honest line."""
        value = "-" if self.objective is None else f"{self.objective:g}"
        if self.evaluation is not None and self.evaluation.interval is not None:
            low, high = self.evaluation.interval
            value += f" [{low:g}, {high:g}] n={self.evaluation.n}"
        bound = "-" if self.bound is None else f"{self.bound.value:g} ({self.bound.kind})"
        gap = "-" if self.gap is None else f"{100 * self.gap:.2f}%"
        return (
            f"{self.problem} {self.method}: {self.status} ({self.stop}) objective {value} bound {bound} gap {gap} "
            f"in {self.times.total:.2f} s, {self.meta.get('threads', '?')} threads"
        )

    def __str__(self) -> str:
        return self.summary()

    def with_(self, **changes: Any) -> Result:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; the policy is not kept (save it with ``policy.save``)."""
        return {
            "problem": self.problem,
            "problem_hash": self.problem_hash,
            "method": self.method,
            "sense": self.sense,
            "status": self.status,
            "stop": self.stop,
            "objective": self.objective,
            "bound": None if self.bound is None else asdict(self.bound),
            "evaluation": None if self.evaluation is None else self.evaluation.to_dict(),
            "solution": None if self.solution is None else dump_object(self.solution),
            "times": asdict(self.times),
            "trace": self.trace.to_list(),
            "message": self.message,
            "meta": dict(self.meta),
        }

    def to_json(self, **kwargs: Any) -> str:
        """JSON text; not-a-number and infinities become strings, so that any reader takes it."""
        return json.dumps(_finite(self.to_dict()), **kwargs)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """Inverse of `to_dict`."""
        fields = dict(data)
        fields["bound"] = None if data["bound"] is None else Bound(**data["bound"])
        fields["evaluation"] = None if data["evaluation"] is None else Evaluation.from_dict(data["evaluation"])
        fields["solution"] = None if data["solution"] is None else load_object(data["solution"])
        fields["times"] = Times(**data["times"])
        fields["trace"] = Trace.from_list(data["sense"], data["trace"])
        return cls(**fields)

    @classmethod
    def from_json(cls, text: str) -> Result:
        """Inverse of `to_json`."""
        return cls.from_dict(_infinite(json.loads(text)))


def dump_object(value: Any) -> dict[str, Any]:
    """An object with ``to_dict`` as its import string and its data."""
    kind = type(value)
    return {"type": f"{kind.__module__}:{kind.__qualname__}", "data": value.to_dict()}


def load_object(data: Mapping[str, Any]) -> Any:
    """Inverse of `dump_object`; only modules of orrl and of its registered plugins are imported.

    Raises
    ------
    OrrlError
        Where the type comes from elsewhere: a result file must not be able to import arbitrary code.
    """
    module, _, name = str(data["type"]).partition(":")
    if module.partition(".")[0] not in trusted_packages():
        raise OrrlError(f"{data['type']!r} is neither of orrl nor of a registered plugin: not imported")
    return getattr(importlib.import_module(module), name).from_dict(data["data"])


def trusted_packages() -> set[str]:
    """Top-level packages whose classes a result or policy file may name: orrl and its registered plugins."""
    from importlib.metadata import entry_points

    found = {"orrl"}
    for group in ("orrl.problems", "orrl.solvers", "orrl.learners"):
        found |= {point.value.partition(":")[0].partition(".")[0] for point in entry_points(group=group)}
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value.item() if hasattr(value, "item") else value


def _infinite(value: Any) -> Any:
    if isinstance(value, dict):
        return float(value["float"]) if set(value) == {"float"} else {k: _infinite(v) for k, v in value.items()}
    return [_infinite(v) for v in value] if isinstance(value, list) else value
