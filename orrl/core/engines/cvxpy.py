"""CVXPY: HiGHS for linear programs, Clarabel for conic ones, any other solver that CVXPY has by name.

This module is only imported when a model is solved. A program holds its `cvxpy.Problem` as ``model`` and the vector of
its columns as ``columns``; ``linear_model`` says whether it is a linear program.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import cvxpy as cp
import highspy
import numpy as np

from ..errors import NotInstalledError, OrrlError
from ..program import Outcome
from .highs_found import infeasible, meets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..program import Program
    from ..run import Run

__all__ = ["drive"]

# with the default refinement some solves end as "almost solved"
EXACT = {
    "iterative_refinement_reltol": 1e-14,
    "iterative_refinement_abstol": 1e-14,
    "iterative_refinement_max_iter": 50,
}
# names of time limit and threads, where a solver has them
LIMITS = {"CLARABEL": ("time_limit", "max_threads"), "HIGHS": ("time_limit", "threads"), "SCS": ("time_limit_secs", "")}


def drive(program: Program, run: Run, *, solver: str = "highs", options: Mapping[str, Any]) -> Outcome:
    """Solve a CVXPY problem; the arguments are those of `Program.solve`.

    ``solver="highs"``, the default of every backend, means Clarabel where the problem has cones.

    Raises
    ------
    NotInstalledError
        CVXPY does not have the solver.
    """
    problem: cp.Problem = program.model
    name = solver.upper()
    if name == "HIGHS" and not (problem.is_qp() and problem.objective.expr.is_affine()):
        name = "CLARABEL"
    if name not in cp.installed_solvers():
        raise NotInstalledError(f"CVXPY finds no solver {solver!r}: it has {', '.join(cp.installed_solvers())}")
    given: dict[str, Any] = dict(EXACT) if name == "CLARABEL" else {}
    limit_name, threads_name = LIMITS.get(name, ("", ""))
    if limit_name and run.deadline.limit is not None:
        given[limit_name] = max(run.deadline.remaining, 0.01)
    if threads_name:
        given[threads_name] = run.threads
    meta = {"engine": f"CVXPY {version('cvxpy')} {name.title()}"}
    highspy.Highs.resetGlobalScheduler(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an inexact solution is said by the status
            problem.solve(solver=name, verbose=run.log is not None, **{**given, **options})
    except cp.error.SolverError as error:
        if run.over:
            return Outcome("no_solution", run.why, message=f"{name}: {error}", meta=meta)
        return Outcome("error", "failure", message=f"{name}: {error}", meta=meta)
    except TypeError as error:
        raise OrrlError(f"{name} does not take these options: {error}") from None
    finally:
        highspy.Highs.resetGlobalScheduler(True)  # whoever runs HiGHS next in this thread may choose its threads
    return _conclude(program, run, f"{name}: {problem.status}", meta)


def _conclude(program: Program, run: Run, text: str, meta: dict[str, Any]) -> Outcome:
    problem: cp.Problem = program.model
    status = problem.status
    if status in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
        return infeasible(program, text, meta)
    if status in (cp.UNBOUNDED, cp.UNBOUNDED_INACCURATE):
        return Outcome("error", "failure", message=f"{text}: a row or a bound is missing", meta=meta)
    if status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
        return Outcome("no_solution", run.why if run.over else "failure", message=text, meta=meta)
    values = np.asarray(program.columns.value, np.float64)  # type: ignore[attr-defined]
    objective = float(problem.value)
    bound = objective if status == cp.OPTIMAL else None
    if bound is not None:
        run.bound(bound)
    if program.relaxation:
        of = getattr(program, "relaxation_of", f"the {program.form} relaxation")
        return Outcome("no_solution", "finished", bound=bound, bound_of=of, message=text, meta=meta)
    solution = program.decode(lambda column: float(values[int(column)]))
    run.incumbent(objective, lambda: solution)
    if meets(objective, bound):
        return Outcome("optimal", "optimal", solution, objective, bound, message=text, meta=meta)
    return Outcome("feasible", "failure", solution, objective, message=f"{text} (inexact)", meta=meta)
