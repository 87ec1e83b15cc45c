"""Ipopt for Pyomo models where no ipopt program is installed: model -> .nl file -> CasADi, whose wheel brings Ipopt.

This module is only imported when such a model is solved.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo
from pyomo.repn.plugins.nl_writer import NLWriter

from ..errors import NotInstalledError
from ..program import Outcome
from .highs import open_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..program import Program
    from ..run import Run

__all__ = ["drive"]

# Ipopt's relaxation of bounds by 1e-8 pays where a slack costs thousands; without any, rows that leave a column no room
# (a full reservoir that must spill) leave the method no interior
EXACT = {"bound_relax_factor": 1e-10}
SOLVED = {"Solve_Succeeded", "Solved_To_Acceptable_Level", "Feasible_Point_Found"}
LIMITS = {"Maximum_CpuTime_Exceeded": "time", "Maximum_WallTime_Exceeded": "time", "User_Requested_Stop": "user"}
LIMITS["Maximum_Iterations_Exceeded"] = "iterations"


def drive(program: Program, run: Run, options: Mapping[str, Any]) -> Outcome:
    """Solve a continuous Pyomo model to a local optimum; variables (and ``dual``) hold the answer afterwards.

    Raises
    ------
    NotInstalledError
        Without CasADi.
    """
    try:
        import casadi
    except ImportError as error:
        raise NotInstalledError(
            'Pyomo finds no solver "ipopt" and CasADi, which brings one, is missing: pip install "orrl[nlp]"'
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.nl"
        with path.open("w", encoding="utf-8", newline="") as stream:
            info = NLWriter().write(program.model, stream, linear_presolve=False, scale_model=False)
        builder = casadi.NlpBuilder()
        builder.import_nl(str(path), {})
    nlp = {"x": casadi.vertcat(*builder.x), "f": builder.f, "g": casadi.vertcat(*builder.g)}
    own: dict[str, Any] = {"print_level": 0 if run.log is None else 5, "sb": "yes", **EXACT, **options}
    own["max_wall_time"] = min(run.deadline.capped(), float(options.get("max_wall_time", 1e20)))
    problem = casadi.nlpsol("pyomo", "ipopt", nlp, {"print_time": False, "ipopt": own})
    with open_log(run.log) as log, _told(log):
        found = problem(
            x0=builder.x_init, lbx=builder.x_lb, ubx=builder.x_ub, lbg=builder.g_lb, ubg=builder.g_ub,
            lam_g0=builder.lambda_init,
        )  # fmt: skip
    stats = problem.stats()
    word = str(stats["return_status"])
    meta = {"engine": "Pyomo .nl, CasADi Ipopt", "iterations": int(stats["iter_count"])}
    text = f"ipopt: {word}"
    for variable, x in zip(info.variables, found["x"].full().ravel().tolist(), strict=True):
        variable.set_value(x, skip_validation=True)
    dual = getattr(program.model, "dual", None)
    if isinstance(dual, pyo.Suffix) and dual.import_enabled():
        dual.clear()
        dual.update(dict(zip(info.constraints, (-found["lam_g"]).full().ravel().tolist(), strict=True)))
    if word not in SOLVED:
        stop = LIMITS.get(word, "finished" if word == "Infeasible_Problem_Detected" else "failure")
        status: Any = "error" if stop == "failure" else "no_solution"
        return Outcome(status, stop, message=text, meta=meta)
    solution = program.decode(_number)
    objective = float(pyo.value(program.objective_variable))
    run.incumbent(objective, lambda: solution)
    return Outcome("feasible", "finished", solution, objective, message=f"{text} (a local optimum)", meta=meta)


def _number(variable: Any) -> float:
    return float(pyo.value(variable))


def _told(log: Any) -> Any:
    """Ipopt prints to the process's own stream; it goes to the log where there is one."""
    from contextlib import nullcontext

    from pyomo.common.tee import capture_output

    return nullcontext(os.devnull) if log is None else capture_output(log, capture_fd=True)
