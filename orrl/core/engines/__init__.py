"""Engines: each runs one kind of model under a `Run` and reports what it found."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..program import Outcome, Program
    from ..run import Run

__all__ = ["drive"]

ENGINES = {"cp-sat": "cp_sat", "highspy": "highs", "pyomo": "pyomo"}


def drive(program: Program, run: Run, *, solver: str = "highs", options: Mapping[str, Any]) -> Outcome:
    """Run a program by the engine of its backend; the engine's library is imported only now."""
    if program.backend not in ENGINES:
        raise UnknownNameError("engine for backend", program.backend, ENGINES)
    engine = import_module(f"{__name__}.{ENGINES[program.backend]}")
    outcome: Outcome = engine.drive(program, run, solver=solver, options=options)
    return outcome
