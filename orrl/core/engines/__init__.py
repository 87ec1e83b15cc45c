"""Engines: each runs one kind of model under a `Run` and reports what it found."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..program import Outcome, Program
    from ..run import Run
    from ..stages import Stage, StageSolver

__all__ = ["drive", "open_stage"]

ENGINES = {"cp-sat": "cp_sat", "cvxpy": "cvxpy", "highspy": "highs", "pyomo": "pyomo"}
STAGE_ENGINES = {
    "highs": "stage_highs:HighsStage",
    "clarabel": "stage_clarabel:ClarabelStage",
    "ipopt": "stage_ipopt:IpoptStage",
}


def drive(program: Program, run: Run, *, solver: str = "highs", options: Mapping[str, Any]) -> Outcome:
    """Run a program by the engine of its backend; the engine's library is imported only now."""
    if program.backend not in ENGINES:
        raise UnknownNameError("engine for backend", program.backend, ENGINES)
    engine = import_module(f"{__name__}.{ENGINES[program.backend]}")
    outcome: Outcome = engine.drive(program, run, solver=solver, options=options)
    return outcome


def open_stage(stage: Stage, *, engine: str | None = None) -> StageSolver:
    """A persistent model of a stage.

    Parameters
    ----------
    stage : Stage
        The description.
    engine : {"highs", "clarabel", "ipopt"}, optional
        ``stage.engine`` by default.
    """
    wanted = engine or stage.engine
    if wanted not in STAGE_ENGINES:
        raise UnknownNameError("stage engine", wanted, STAGE_ENGINES)
    module, _, name = STAGE_ENGINES[wanted].partition(":")
    solver: StageSolver = getattr(import_module(f"{__name__}.{module}"), name)(stage)
    return solver
