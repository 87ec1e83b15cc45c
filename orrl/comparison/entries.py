"""The methods of a comparison: from what the caller wrote to labels, solvers, and what makes them what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.errors import NotSupportedError, OrrlError
from ..core.policy import Policy, RandomPolicy
from ..core.result import Result
from ..core.solver import Solver
from ..core.trace import Trace
from ..core.types import Support
from .cell import fingerprint, plain

if TYPE_CHECKING:
    from ..core.program import Outcome
    from ..core.run import Run

__all__ = ["Entry", "as_entries", "identity", "kind_of", "role_of", "trained"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One method of the table.

    Parameters
    ----------
    label : str
        Name in the table.
    method : object
        What `orrl.methods.resolve` takes.
    policies : tuple of Policy
        Independently trained policies, one a seed; empty where `method` serves every seed.
    """

    label: str
    method: Any
    policies: tuple[Policy, ...] = ()

    def resolve(self, problem: Any, seed: int) -> Solver:
        """The solver for a problem; raises UnknownNameError or NotSupportedError."""
        method = self.policies[seed] if self.policies else self.method
        if isinstance(method, Solver):
            return method
        if isinstance(method, Result) and method.policy is None and method.solution is not None:
            return GivenPlan(method)
        from ..methods import resolve

        return resolve(method, problem)

    @property
    def named(self) -> bool:
        """Whether a name and options say everything, so that the object need not be looked into."""
        return not self.policies and (isinstance(self.method, str) or _is_named(self.method))


def _is_named(method: Any) -> bool:
    return (
        isinstance(method, tuple) and len(method) == 2 and isinstance(method[0], str) and isinstance(method[1], Mapping)
    )


class GivenPlan(Solver):
    """A plan that was found before, with the clocks of then; judged again, under the scenario where there is one."""

    name = "given plan"
    clairvoyant: ClassVar[bool] = False

    def __init__(self, result: Result) -> None:
        self.result, self.name = result, result.method  # type: ignore[misc]
        self.kind = "exact" if result.bound is not None else "heuristic"

    def supports(self, problem: Any) -> Support:
        """Only the problem that it is a plan for."""
        if problem.content_hash == self.result.problem_hash:
            return Support(True)
        return Support(False, f"the result is a plan for {self.result.problem}")

    def _solve(self, problem: Any, run: Run) -> Outcome:
        raise AssertionError("solve is overridden")

    def solve(self, problem: Any, *, scenario: Any = None, **limits: Any) -> Result:
        """The result as it was, with the referee's verdict of now."""
        if support := self.supports(problem):
            verdict = problem.evaluate(self.result.solution, scenario)
            status: Any = (
                "error" if not verdict.feasible else "feasible" if problem.is_stochastic else self.result.status
            )
            bound = None if problem.is_stochastic else self.result.bound
            message = "; ".join(["a plan found earlier", *verdict.violations[:3]])
            trace = Trace(self.result.sense) if problem.is_stochastic else self.result.trace
            return self.result.with_(
                status=status,
                objective=verdict.objective,
                evaluation=verdict,
                bound=bound,
                message=message,
                trace=trace,
            )
        raise NotSupportedError(support.reason)


def as_entries(methods: Any) -> list[Entry]:
    """Entries with distinct labels."""
    if isinstance(methods, Mapping):
        return [_entry(method, str(label)) for label, method in methods.items()]
    single = isinstance(methods, str | Solver | Policy | Result) or _is_named(methods)
    entries = [_entry(method, None) for method in ([methods] if single else methods)]
    labels = [entry.label for entry in entries]
    for label in labels:
        if labels.count(label) > 1:
            raise OrrlError(f"two methods are labelled {label!r}: give a mapping of labels, {{'label': method, ...}}")
    return entries


def _entry(method: Any, label: str | None) -> Entry:
    if isinstance(method, Sequence) and not isinstance(method, str) and len(method) == 2 and isinstance(method[0], str):
        name, rest = method
        if isinstance(rest, Sequence) and rest and all(isinstance(p, Policy) for p in rest):
            return Entry(label or name, None, tuple(rest))
    if isinstance(method, Sequence) and not isinstance(method, str) and method:
        if all(isinstance(p, Policy) for p in method):
            return Entry(label or method[0].name, None, tuple(method))
        method = tuple(method)
    if isinstance(method, str):
        return Entry(label or method, method)
    if _is_named(method):
        name, options = method
        return Entry(label or _labelled(name, options), method)
    if isinstance(method, Solver):
        return Entry(label or _labelled(method.name, _changed(method)), method)
    if isinstance(method, Policy):
        return Entry(label or method.name, method)
    if isinstance(method, Result):
        return Entry(label or f"{method.method} (result)", method)
    raise OrrlError(
        f"{method!r} is no method: give a name, (name, {{option: value}}), a Solver, a Policy or a Result; wrap a "
        "model of your own with orrl.as_policy(...)"
    )


def _labelled(name: str, options: Mapping[str, Any]) -> str:
    inner = ", ".join(f"{key}={_short(value)}" for key, value in options.items())
    return f"{name}({inner})" if inner else name


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:23] + "…"


def _changed(solver: Solver) -> dict[str, Any]:
    """Options of a solver that differ from their defaults."""
    if not is_dataclass(solver):
        return {}
    changed = {}
    for f in fields(solver):
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        if f.init and (default is MISSING or getattr(solver, f.name) != default):
            changed[f.name] = getattr(solver, f.name)
    return changed


def identity(entry: Entry, solver: Solver | None, seed: int) -> dict[str, Any]:
    """What tells two methods apart in the key of a cell: class, name, options, and the contents of trained things."""
    if solver is None:
        return {"label": entry.label, "options": {}}
    found = {
        "solver": f"{type(solver).__module__}:{type(solver).__qualname__}",
        "name": solver.name,
        "options": {**plain(solver.options()), **_given(entry)},
    }
    told = is_dataclass(solver) and type(solver).options is Solver.options  # its options say everything
    if not entry.named and not (told and isinstance(entry.method, Solver)):
        found["contents"] = fingerprint(entry.policies[seed] if entry.policies else entry.method)
    return found


def _given(entry: Entry) -> dict[str, Any]:
    """Options that the caller named: those of a policy inside a solver are not among the solver's own."""
    return dict(plain(entry.method[1])) if _is_named(entry.method) else {}


def kind_of(solver: Solver | None) -> str:
    """Exact, heuristic, rule or learned; a policy that was trained is learned whatever wraps it."""
    if solver is None:
        return ""
    return "learned" if getattr(getattr(solver, "policy", None), "scope", "any") != "any" else solver.kind


def role_of(solver: Solver | None, clairvoyant: bool) -> str:
    """Whether a method is a reference row: random, myopic, or perfect information."""
    if clairvoyant:
        return "perfect information"
    if solver is None:
        return ""
    if solver.name == "random" or isinstance(getattr(solver, "policy", None), RandomPolicy):
        return "random"
    return "myopic" if solver.name in ("myopic", "greedy") else ""


def trained(entry: Entry, solver: Solver | None, problem: Any) -> dict[str, Any]:
    """What is known of the training behind a method: overlap with the test instance, seconds, number of trainings."""
    policy = getattr(solver, "policy", None)
    if solver is None or kind_of(solver) != "learned" or policy is None:
        return {"seen": False, "train_seconds": None, "trainings": None}
    seconds = getattr(policy, "train_seconds", None)
    if seconds is None and isinstance(entry.method, Result):
        seconds = entry.method.times.train or None
    return {
        "seen": policy.scope != "instance" and problem.content_hash in policy.seen,
        "train_seconds": None if seconds is None else float(seconds),
        "trainings": max(1, len(entry.policies)),
    }
