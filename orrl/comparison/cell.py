"""One cell of the grid: what identifies it, how it is run in a worker, and the row that it becomes."""

from __future__ import annotations

import copy
import json
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

from ..core.errors import NotInstalledError, NotSupportedError
from ..core.hashing import content_hash
from ..core.result import Result, Times
from ..core.solver import PolicySolver, Solver

__all__ = ["Cell", "Outcome", "Row", "cell_key", "fingerprint", "plain", "run_cell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What is asked of one run.

    Parameters
    ----------
    key : str
        Hash of everything that can change the answer; see `cell_key`.
    problem, problem_hash : str
        Name and content hash of the instance.
    family, sense, objective, unit : str
        What is optimised.
    size : mapping
        Scalars of ``problem.describe()``, such as the number of jobs.
    method, kind : str
        Label in the table, and exact, heuristic, rule or learned.
    role : {"", "random", "myopic", "perfect information"}
        Reference rows are printed apart.
    options : mapping
        Parameters of the method.
    seed : int
        The method's seed.
    scenario, scenario_seed : int or None
        Index and seed of the world's noise; None for a deterministic problem.
    clairvoyant : bool
        The method was told the scenario, so its value is perfect information and no policy's.
    time_limit : float or None
        Wall seconds.
    threads : int
        Threads of the run.
    best_known, best_bound : float or None
        Best known value, and the best bound published with it.
    best_source : str
        Where they come from.
    seen : bool
        The policy was trained on this very instance and claims to serve a distribution.
    train_seconds : float or None
        Wall seconds of the training behind a learned method.
    trainings : int or None
        Number of independently trained policies behind a learned method.
    """

    key: str
    problem: str
    problem_hash: str
    family: str
    sense: str
    objective: str
    unit: str
    size: Mapping[str, Any]
    method: str
    kind: str
    role: str
    options: Mapping[str, Any]
    seed: int
    scenario: int | None
    scenario_seed: int | None
    clairvoyant: bool
    time_limit: float | None
    threads: int
    best_known: float | None
    best_bound: float | None
    best_source: str
    seen: bool
    train_seconds: float | None
    trainings: int | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a cell.

    Parameters
    ----------
    status, stop, message : str
        Of the result; status also "unsupported" and "missing" (a sweep that has not come so far).
    result : str or None
        ``Result.to_json``.
    machine : str
        Processor that ran it.
    finished : float
        Unix time.
    detail : str
        Traceback of an exception.
    """

    status: str
    stop: str = ""
    message: str = ""
    result: str | None = None
    machine: str = ""
    finished: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """A cell with its outcome: one run."""

    cell: Cell
    outcome: Outcome

    @cached_property
    def result(self) -> Result | None:
        """The result without its solution; see `full_result`."""
        if self.outcome.result is None:
            return None
        result = Result.from_json(json.dumps({**json.loads(self.outcome.result), "solution": None}))
        if result.objective is not None and result.trace.objective is None:  # a method that reports no incumbents
            result.trace.add(result.times.total, objective=result.objective)
        return result

    def full_result(self) -> Result | None:
        """The result with its solution, which must be of a type of orrl or of a registered plugin."""
        return None if self.outcome.result is None else Result.from_json(self.outcome.result)

    @property
    def answered(self) -> bool:
        """Whether there is a value that the referee accepts."""
        result = self.result
        good = result is not None and self.outcome.status in ("optimal", "feasible", "estimated")
        return good and result is not None and result.objective is not None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"cell": self.cell.to_dict(), "outcome": asdict(self.outcome)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(Cell(**data["cell"]), Outcome(**data["outcome"]))


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is sent."""

    solver: Solver
    problem: Any
    seed: int
    scenario_seed: int | None
    time_limit: float | None
    threads: int


def run_cell(task: Task) -> Outcome:
    """Run a cell. Whatever happens is an outcome: an exception ends one cell, never the sweep."""
    from ..versions import cpu_model

    try:
        world = None if task.scenario_seed is None else task.problem.scenario(task.scenario_seed)
        solver, result = _solved(task, world)
        if _plans(solver, result) and world is not None:
            result = _played(task, solver, result, world)
        text, note = _text(result)
        message = "; ".join(part for part in (result.message, note) if part)
        return Outcome(result.status, result.stop, message, text, cpu_model(), time.time())
    except (NotSupportedError, NotInstalledError) as error:
        return Outcome("unsupported", "", str(error), None, cpu_model(), time.time())
    except Exception as error:
        where = "".join(traceback.format_exception(error)[-6:])
        return Outcome("error", "failure", f"{type(error).__name__}: {error}", None, cpu_model(), time.time(), where)


_PLANNED: dict[str, tuple[Solver, Result]] = {}
KEPT = 4  # plans that a worker keeps: cells of one method, instance and seed come one after the other


def _solved(task: Task, world: Any) -> tuple[Solver, Result]:
    """Solve; a policy that was planned without knowing the scenario serves all scenarios of its instance and seed."""
    given = task.problem.content_hash, task.seed, task.time_limit, task.threads
    shared = world is not None and not isinstance(task.solver, PolicySolver)
    key = fingerprint((task.solver, given)) if shared else ""
    if key in _PLANNED:
        return _PLANNED[key]
    solver = _fresh(task.solver)
    result = solver.solve(
        task.problem, time_limit=task.time_limit, threads=task.threads, seed=task.seed, scenario=world
    )
    if shared and _plans(solver, result):
        while len(_PLANNED) >= KEPT:
            _PLANNED.pop(next(iter(_PLANNED)))
        _PLANNED[key] = solver, result
    return solver, result


def _plans(solver: Solver, result: Result) -> bool:
    """Whether the method answered with a policy that has yet to be played."""
    return result.solution is None and result.policy is not None and not solver.clairvoyant


def _played(task: Task, solver: Solver, planned: Result, world: Any) -> Result:
    """A method that plans a policy instead of playing: play what it planned on this scenario; clocks are added."""
    player = PolicySolver(planned.policy, kind=solver.kind)
    played = player.solve(task.problem, threads=task.threads, seed=task.seed, scenario=world)
    a, b = planned.times, played.times
    times = Times(
        compile=a.compile + b.compile,
        build=a.build + b.build,
        train=a.train + b.train,
        solve=a.solve + b.solve,
        total=a.total + b.total,
        cpu=a.cpu + b.cpu,
    )
    message = "; ".join(part for part in (planned.message, played.message) if part)
    return played.with_(method=planned.method, times=times, message=message, meta={**played.meta, **planned.meta})


def _fresh(solver: Solver) -> Solver:
    """A copy, so that no cell finds what another one left in a policy's memory."""
    try:
        return copy.deepcopy(solver)
    except Exception:  # a handle that cannot be copied is used as it is
        return solver


def _text(result: Result) -> tuple[str, str]:
    """JSON of a result; where its solution or meta have no JSON form the numbers are kept, with a note."""
    try:
        return result.to_json(), ""
    except (AttributeError, TypeError, ValueError) as error:
        meta = {str(k): plain(v) for k, v in result.meta.items()}
        return result.with_(solution=None, meta=meta).to_json(), f"solution not kept: {error}"


def plain(value: Any) -> Any:
    """Plain JSON types for options: what has none becomes its type and, where it can be pickled, a fingerprint."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return f"{type(value).__name__} {fingerprint(value)[:12]}"


def fingerprint(value: Any) -> str:
    """Hash of an object's pickle: equal for equal contents as a rule, never equal for different ones."""
    import hashlib

    import cloudpickle  # type: ignore[import-untyped]

    try:
        return hashlib.sha256(cloudpickle.dumps(value)).hexdigest()
    except Exception:  # it cannot be pickled, so nothing of it is ever found again
        return hashlib.sha256(f"{id(value)} {time.time_ns()}".encode()).hexdigest()


def cell_key(
    *,
    problem_hash: str,
    method: Mapping[str, Any],
    seed: int,
    scenario_seed: int | None,
    time_limit: float | None,
    threads: int,
    version: str,
) -> str:
    """Hash of all that can change an answer; not the label, not the instance's name."""
    return content_hash(
        {
            "problem": problem_hash,
            "method": method,
            "seed": seed,
            "scenario": scenario_seed,
            "time_limit": time_limit,
            "threads": threads,
            "orrl": version,
        }
    )
