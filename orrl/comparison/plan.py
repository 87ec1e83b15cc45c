"""The plan of a comparison: every cell with what a worker needs to run it, or with the reason why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..core.errors import NotSupportedError, OrrlError, UnknownNameError
from ..versions import orrl_version
from .cell import Cell, Outcome, Task, cell_key
from .entries import Entry, identity, kind_of, role_of, trained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.solver import Solver

__all__ = ["BestKnown", "labels", "make_plan"]

# What ``describe`` says of every problem; the rest is the size.
_USUAL = frozenset({"name", "family", "objective", "unit", "stochastic", "content_hash", "not modelled"})


class BestKnown(Protocol):
    """What the catalogue knows of an instance's optimum."""

    @property
    def upper(self) -> float | None:
        """Best known value where minimising, published bound where maximising."""
        ...

    @property
    def lower(self) -> float | None:
        """Published bound where minimising, best known value where maximising."""
        ...

    @property
    def source(self) -> Any:
        """Where it comes from."""
        ...


def make_plan(
    problems: Sequence[Any],
    entries: Sequence[Entry],
    *,
    seeds: int,
    worlds: Sequence[int],
    time_limit: float | None,
    threads: int,
) -> list[tuple[Cell, Task | Outcome]]:
    """Cells in the order problem, method, seed, scenario.

    Raises
    ------
    UnknownNameError
        For a name that is unknown for every problem: a typing error, not a method that lacks one problem.
    OrrlError
        For two methods that are the same.
    """
    plan: list[tuple[Cell, Task | Outcome]] = []
    unknown: dict[str, UnknownNameError] = {}
    met: set[str] = set()
    owner: dict[str, str] = {}
    for label, problem in zip(labels(problems), problems, strict=True):
        record = _best_known(problem)
        noise: list[tuple[int | None, int | None]] = [(None, None)]
        if problem.is_stochastic:
            noise = list(enumerate(worlds))
            record = None  # a published optimum is of the undisturbed problem
        for entry in entries:
            solver: Solver | None = None
            reason = ""
            for seed in range(seeds):
                if seed == 0 or entry.policies:
                    solver, reason = None, ""
                    try:
                        solver = entry.resolve(problem, seed)
                        met.add(entry.label)
                    except UnknownNameError as error:
                        unknown[entry.label], reason = error, str(error)
                    except (NotSupportedError, ImportError) as error:  # or something is not installed
                        met.add(entry.label)
                        reason = str(error)
                about = _about(label, problem, entry, solver, record)
                method = identity(entry, solver, seed)
                for index, world in noise:
                    key = cell_key(
                        problem_hash=problem.content_hash,
                        method=method,
                        seed=seed,
                        scenario_seed=world,
                        time_limit=time_limit,
                        threads=threads,
                        version=orrl_version(),
                    )
                    if owner.setdefault(key, entry.label) != entry.label:
                        raise OrrlError(f"methods {owner[key]!r} and {entry.label!r} are the same: leave one out")
                    cell = Cell(
                        key=key,
                        options=method["options"],
                        seed=seed,
                        scenario=index,
                        scenario_seed=world,
                        time_limit=time_limit,
                        threads=threads,
                        **about,
                    )
                    if solver is None:
                        plan.append((cell, Outcome("unsupported", "", reason)))
                    else:
                        plan.append((cell, Task(solver, problem, seed, world, time_limit, threads)))
    for name, why in unknown.items():
        if name not in met:
            raise why
    return plan


def labels(problems: Sequence[Any]) -> list[str]:
    """Names, and for those that share one also what tells them apart (``"ft06 (BWS)"``), at worst the content hash."""
    out = []
    for problem in problems:
        same = [_size(other) for other in problems if other.name == problem.name]
        own, label = _size(problem), problem.name
        if len(same) > 1:
            telling = (key for key in own if len({repr(size.get(key)) for size in same}) == len(same))
            key = next(telling, None)
            label += f" ({problem.content_hash[:8] if key is None else own[key]})"
        out.append(label)
    return out


def _size(problem: Any) -> dict[str, Any]:
    return {k: v for k, v in problem.describe().items() if k not in _USUAL and isinstance(v, bool | int | float | str)}


def _best_known(problem: Any) -> BestKnown | None:
    from ..catalogue import best_known

    return best_known(problem)


def _about(label: str, problem: Any, entry: Entry, solver: Solver | None, record: BestKnown | None) -> dict[str, Any]:
    """The fields of a cell that do not depend on seed and scenario."""
    clairvoyant = solver is not None and solver.clairvoyant and problem.is_stochastic
    minimise = problem.objective.sense == "min"
    known = None if record is None else record.upper if minimise else record.lower
    bound = None if record is None else record.lower if minimise else record.upper
    return {
        "problem": label,
        "problem_hash": problem.content_hash,
        "family": problem.family,
        "sense": problem.objective.sense,
        "objective": problem.objective.name,
        "unit": problem.objective.unit,
        "size": _size(problem),
        "method": entry.label,
        "kind": kind_of(solver),
        "role": role_of(solver, clairvoyant),
        "clairvoyant": clairvoyant,
        "best_known": None if known is None else float(known),
        "best_bound": None if bound is None else float(bound),
        "best_source": "" if record is None else str(record.source or ""),
        **trained(entry, solver, problem),
    }
