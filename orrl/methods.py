"""Methods by name: what `solve`, `simulate` and `compare` mean by "cp-sat", "mwkr", a policy or a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import registry
from .core import (
    Budget,
    CallablePolicy,
    Callback,
    HasKernel,
    HasRules,
    Learner,
    NotSupportedError,
    OrrlError,
    Policy,
    PolicySolver,
    Problem,
    RandomPolicy,
    Result,
    Solver,
    UnknownNameError,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Method",
    "MethodTable",
    "as_policy",
    "list_solvers",
    "load_policy",
    "resolve",
    "shipped_policies",
    "solve",
    "train",
]

Method = str | tuple[str, Mapping[str, Any]] | Solver | Policy | Result


def resolve(method: Method, problem: Problem | None = None, **options: Any) -> Solver:
    """The solver that a method stands for.

    Parameters
    ----------
    method : str, (str, options), Solver, Policy or Result
        A name is looked up among solvers, then among ``problem.rules()``; a Result stands for its policy.
    problem : Problem, optional
        Needed to find its rules.
    options : mapping
        Options of the method, added to those of a tuple.

    Raises
    ------
    UnknownNameError
        With the nearest names; a learner's name points to `train` and `load_policy`.
    OrrlError
        Where a name is both a solver and a rule.
    """
    if isinstance(method, tuple):
        method, given = method
        options = {**given, **options}
    if isinstance(method, Result):
        if method.policy is None:
            raise NotSupportedError(f"the result of {method.method} holds a plan, not a policy: it cannot decide")
        method = method.policy
    if isinstance(method, Solver):
        return _with_options(method, options) if options else method
    if isinstance(method, Policy):
        return PolicySolver(method, **options)
    rules = _rules(problem)
    known = registry.names("solver")
    if method in known and method in rules:
        raise OrrlError(f"{method!r} is both a solver and a rule of {type(problem).__name__}: rename one")
    if method in known:
        return _make(registry.lookup("solver", method), method, options)
    if isinstance(method, str) and method in rules:
        world = {k: options.pop(k) for k in ("scenarios", "scenario_seed") if k in options}
        return PolicySolver(_with_options(rules[method], options) if options else rules[method], **world)
    if method in registry.names("learner"):
        raise UnknownNameError(
            "solver",
            method,
            (),
            f"is a learner: orrl.train(source, {method!r}, budget=...) makes a policy, orrl.load_policy(path) fetches "
            "a trained one, and either goes where a method goes",
        )
    raise UnknownNameError("method", str(method), [*known, *rules])


def _rules(problem: Problem | None) -> dict[str, Policy]:
    """The problem's own rules, and for whatever can be stepped the floor of every comparison."""
    rules: dict[str, Policy] = dict(problem.rules()) if isinstance(problem, HasRules) else {}
    if problem is not None and problem.supports(HasKernel):
        rules.setdefault("random", RandomPolicy())
    return rules


def _make(kind: Any, name: str, options: Mapping[str, Any]) -> Solver:
    accepted = {p.name for p in signature(kind).parameters.values() if p.kind is not Parameter.VAR_KEYWORD}
    if unknown := sorted(set(options) - accepted):
        raise UnknownNameError(f"option of {name}", unknown[0], accepted)
    made: Solver = kind(**options)
    return made


def _with_options(value: Any, options: Mapping[str, Any]) -> Any:
    if not is_dataclass(value) or isinstance(value, type):
        raise OrrlError(f"{value!r} takes no options, got {', '.join(options)}")
    accepted = set(signature(type(value)).parameters)
    if unknown := sorted(set(options) - accepted):
        raise UnknownNameError(f"option of {getattr(value, 'name', value)}", unknown[0], accepted)
    return replace(value, **options)


def solve(
    problem: Any,
    method: Method,
    *,
    time_limit: float | None = None,
    threads: int | None = None,
    seed: int = 0,
    gap: float = 0.0,
    warm_start: Any = None,
    scenario: Any = None,
    callbacks: Sequence[Callback] = (),
    log: Any = None,
    **options: Any,
) -> Result:
    """Solve a problem by any method.

    Parameters
    ----------
    problem : Problem
        From `load`, a constructor or `read`.
    method : str, (str, options), Solver, Policy or Result
        See `list_solvers` for the names.
    time_limit : float, optional
        Wall seconds from this call to its return, model building included.
    threads : int, optional
        All cores by default.
    seed : int
        Seed of the method.
    gap : float
        Relative gap at which an exact method may stop.
    warm_start : solution or Result, optional
        Where to begin.
    scenario : Scenario, optional
        Solve for known noise (clairvoyant).
    callbacks : sequence of callables
        Each is told of incumbents and bounds; returning True stops the run.
    log : path or stream, optional
        Where the raw solver log goes.
    options : mapping
        The method's own options.

    Returns
    -------
    Result
        With the referee's value, the bound, and why it stopped.

    Examples
    --------
    >>> import orrl
    >>> shop = orrl.JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 2], [2, 4]])
    >>> orrl.solve(shop, "cp-sat", threads=1).objective
    7.0
    """
    return resolve(method, problem, **options).solve(
        problem,
        time_limit=time_limit,
        threads=threads,
        seed=seed,
        gap=gap,
        warm_start=warm_start,
        scenario=scenario,
        callbacks=callbacks,
        log=log,
    )


def train(
    source: Any,
    learner: str | Learner,
    *,
    budget: Budget,
    seed: int = 0,
    val: Sequence[Any] | None = None,
    device: str = "cpu",
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> Policy:
    """Train a policy on a problem, a sequence of problems or a generator.

    Parameters
    ----------
    source : Problem, sequence or Generator
        What to learn from.
    learner : str or Learner
        Name in the registry (plugins included), or an object.
    budget : Budget
        When to stop.
    seed : int
        Seed of everything random in the training.
    val : sequence of Problem, optional
        Where checkpoints are compared; never the test set.
    device : str
        "cpu" or "cuda".
    callbacks : sequence of callables
        Each may stop the training.
    options : mapping
        The learner's own options.
    """
    if isinstance(learner, str):
        learner = registry.lookup("learner", learner, "See orrl.list_solvers() for solvers.")(**options)
    elif options:
        learner = _with_options(learner, options)
    assert isinstance(learner, Learner)
    if isinstance(source, Problem):
        support = learner.supports(source)
        if not support:
            raise NotSupportedError(f"{learner.name} cannot learn {source.name}: {support.reason}")
    return learner.fit(source, budget=budget, seed=seed, val=val, device=device, callbacks=callbacks)


def load_policy(path: Any) -> Policy:
    """Read a saved policy, or one that orrl ships.

    Parameters
    ----------
    path : path
        What ``policy.save`` wrote: a zip whose ``policy.json`` names the policy's class. Or the name of a shipped one,
        such as ``"jobshop/bws"``; its ``card`` says what made it.
    """
    import json
    import zipfile
    from importlib import import_module

    from .core.errors import FormatError
    from .core.result import trusted_packages

    shipped = shipped_policies()
    if str(path) in shipped and not Path(path).exists():
        path = shipped[str(path)]
    try:
        with zipfile.ZipFile(path) as archive:
            kind = json.loads(archive.read("policy.json"))["type"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        hint = f"give a file that policy.save wrote{', or one of ' if shipped else ''}{', '.join(shipped)}"
        raise FormatError(path, f"is no saved policy ({error}): {hint}") from error
    module, _, name = kind.partition(":")
    if module.partition(".")[0] not in trusted_packages():
        raise FormatError(path, f"names the class {kind!r}, which is neither of orrl nor of a registered plugin")
    policy: Policy = getattr(import_module(module), name).load(path)
    return policy


def shipped_policies() -> dict[str, Path]:
    """Names and files of the policies in `orrl.instances`."""
    root = Path(__file__).parent / "instances" / "policies"
    return {file.relative_to(root).with_suffix("").as_posix(): file for file in sorted(root.glob("*/*.policy"))}


def as_policy(policy: Any, *, name: str | None = None) -> Policy:
    """Bring your own policy.

    Parameters
    ----------
    policy : callable, Stable-Baselines3 model, torch module or Policy
        A callable maps (observations (B, ...), info) to actions (B,), (B, U) or (B, n). A model with ``predict`` is
        asked deterministically, with ``action_masks`` where it takes them. A torch module maps observations to logits
        (B, A) and the best accepted action is taken; where actions are real numbers, to the actions (B, n) in [0, 1].
    name : str, optional
        For tables.

    Raises
    ------
    NotSupportedError
        At the first decision, where the model's observation space is not the problem's.
    """
    from .core.adapters import ModulePolicy, PredictPolicy

    if isinstance(policy, Policy):
        return policy
    label = name or type(policy).__name__
    if hasattr(policy, "predict") and hasattr(policy, "observation_space"):
        return PredictPolicy(policy, name=label)
    if hasattr(policy, "state_dict") and callable(policy):
        return ModulePolicy(policy, name=label)
    if callable(policy):
        return CallablePolicy(policy, name=name or str(getattr(policy, "__name__", "callable")))
    raise NotSupportedError(f"{type(policy).__name__} is no policy: give a callable, a model with predict, or a module")


class MethodTable(list[tuple[str, str, bool, str]]):
    """Rows (method, kind, supported, reason) that print as a table."""

    def to_frame(self) -> pd.DataFrame:
        """Columns ``method``, ``kind``, ``supported``, ``reason``."""
        import pandas as pd

        return pd.DataFrame(list(self), columns=["method", "kind", "supported", "reason"])

    def __repr__(self) -> str:
        width = max((len(row[0]) for row in self), default=6)
        lines = [f"{m:<{width}}  {k:<9}  {'yes' if ok else 'no: ' + why}" for m, k, ok, why in self]
        return "\n".join(lines)


def list_solvers(problem: Problem | None = None) -> MethodTable:
    """Every method, with yes, or no and the reason, for a problem.

    Parameters
    ----------
    problem : Problem, optional
        Without one, the registered methods alone.
    """
    table = MethodTable()
    for name in registry.names("solver"):
        kind = registry.lookup("solver", name)
        if problem is None:
            table.append((name, kind.kind, True, ""))
            continue
        support = kind().supports(problem)
        table.append((name, kind.kind, support.ok, support.reason))
    table.extend((name, "rule", True, "") for name in _rules(problem))
    for name in registry.names("learner"):
        learner = registry.lookup("learner", name)()
        ok, why = (True, "") if problem is None else (learner.supports(problem).ok, learner.supports(problem).reason)
        table.append((name, "learner", ok, why))
    return table
