"""What a run of HiGHS left behind, and how it becomes an `Outcome`; the direct and the Pyomo engine share it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import highspy

from ..program import Outcome
from ..types import relative_gap

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from ..program import Program
    from ..run import Run
    from ..types import Sense

    FloatArray = npt.NDArray[np.float64]
    Decode = Callable[[FloatArray], Any]

__all__ = ["SAME", "Found", "conclude", "finite", "infeasible", "keep_start", "meets", "round_bound"]

# two numbers closer than this are one number: HiGHS's own feasibility tolerance
SAME = 1e-6
CLOSED = {
    highspy.HighsModelStatus.kTimeLimit: "time",
    highspy.HighsModelStatus.kIterationLimit: "iterations",
    highspy.HighsModelStatus.kSolutionLimit: "iterations",
    highspy.HighsModelStatus.kObjectiveTarget: "iterations",
    highspy.HighsModelStatus.kObjectiveBound: "iterations",
}


@dataclass(slots=True)
class Found:
    """What one run of HiGHS left behind.

    Parameters
    ----------
    status : highspy.HighsModelStatus
        Its verdict.
    values : (columns,) float or None
        Best solution, also at a limit.
    objective : float or None
        HiGHS's value of it.
    bound : float or None
        Proven bound, also without a solution.
    meta : dict
        Counts.
    """

    status: Any
    values: FloatArray | None = None
    objective: float | None = None
    bound: float | None = None
    meta: dict[str, Any] = field(default_factory=dict)


def conclude(program: Program, run: Run, found: Found, decode: Decode) -> Outcome:
    """Turn what HiGHS found into an `Outcome`; the two backends share it.

    A program may have these optional attributes: ``objective_of(solution)``, its objective in exact arithmetic;
    ``fallback()``, a solution known beforehand, or None; ``assumption``, a sentence on what was cut off (such as a
    horizon), without which "infeasible" would claim too much; ``relaxation_of``, what a relaxation's bound bounds.
    """
    status, kinds = found.status, highspy.HighsModelStatus
    text = f"HiGHS: {status.name.removeprefix('k')}"
    if status in (kinds.kUnbounded, kinds.kUnboundedOrInfeasible):
        return Outcome("error", "failure", message=f"{text}: a row or a bound is missing", meta=found.meta)
    if program.relaxation:
        return _relaxed(program, run, found, text)
    if status == kinds.kInfeasible and found.values is None:
        return infeasible(program, text, found.meta)
    bound = found.bound
    if bound is not None:
        run.bound(bound)
    stop = run.why if status == kinds.kInterrupt else CLOSED.get(status, "failure")
    if found.values is None:
        return keep_start(program, run, Outcome("no_solution", stop, bound=bound, message=text, meta=found.meta))
    solution = decode(found.values)
    objective = found.objective
    exact = getattr(program, "objective_of", None)
    if exact is not None:
        objective = float(exact(solution))
    assert objective is not None
    run.incumbent(objective, lambda: solution)
    if meets(objective, bound):
        return Outcome("optimal", "optimal", solution, objective, bound, message=text, meta=found.meta)
    if status == kinds.kOptimal:
        stop = "gap"
    return Outcome("feasible", stop, solution, objective, bound, message=text, meta=found.meta)


def meets(objective: float, bound: float | None) -> bool:
    """Whether a bound proves an objective, within the solver's tolerance."""
    return bound is not None and (abs(objective - bound) <= SAME or relative_gap(objective, bound) <= SAME)


def infeasible(program: Program, text: str, meta: dict[str, Any]) -> Outcome:
    """An infeasible model, which says something of the problem only where nothing was cut off."""
    assumption = getattr(program, "assumption", "")
    if assumption:
        return Outcome("no_solution", "finished", message=f"no solution: {assumption}", meta=meta)
    return Outcome("infeasible", "finished", message=text, meta=meta)


def keep_start(program: Program, run: Run, outcome: Outcome) -> Outcome:
    """Without a solution: the one known beforehand, where a limit came first; an error where nothing explains it."""
    if outcome.stop == "failure":
        outcome.status = "error"
        return outcome
    start = getattr(program, "fallback", lambda: None)()
    if start is not None:
        value = float(program.objective_of(start))  # type: ignore[attr-defined]
        run.incumbent(value, lambda: start)
        outcome.status, outcome.solution, outcome.objective = "feasible", start, value
        outcome.message += "; its start is kept"
    return outcome


def _relaxed(program: Program, run: Run, found: Found, text: str) -> Outcome:
    """A relaxation gives a bound and no solution; an infeasible one proves the problem infeasible."""
    kinds = highspy.HighsModelStatus
    of = getattr(program, "relaxation_of", f"the {program.form} relaxation")
    if found.status == kinds.kInfeasible:
        return infeasible(program, f"{text} ({of})", found.meta)
    if found.bound is not None:
        run.bound(found.bound)
    ended = "finished" if found.status == kinds.kOptimal else CLOSED.get(found.status, "failure")
    stop = run.why if found.status == kinds.kInterrupt else ended
    status: Any = "error" if stop == "failure" else "no_solution"
    return Outcome(status, stop, bound=found.bound, bound_of=of, message=f"{text}: {of}", meta=found.meta)


def finite(value: float) -> float | None:
    """None for the infinities (1e30 and beyond) and not-a-number that mean "unknown"."""
    return float(value) if math.isfinite(value) and abs(value) < 1e30 else None


def round_bound(bound: float | None, sense: Sense, integral: bool) -> float | None:
    """Sharpen the bound of a whole-number objective."""
    if bound is None or not integral:
        return bound
    return float(math.ceil(bound - SAME) if sense == "min" else math.floor(bound + SAME))
