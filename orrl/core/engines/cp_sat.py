"""OR-Tools CP-SAT. This module is only imported when a model is solved."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ortools.sat.python import cp_model

from ..errors import OrrlError
from ..program import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..program import Program
    from ..run import Run

__all__ = ["drive"]


class _Listener(cp_model.CpSolverSolutionCallback):
    """Tells the run of every incumbent; keeps what a callback raises, since it must not unwind through C++."""

    def __init__(self, program: Program, run: Run) -> None:
        super().__init__()
        self.program, self.run, self.failure = program, run, None
        self._told: BaseException | None = None

    def on_solution_callback(self) -> None:
        """Called by CP-SAT at each better solution."""
        try:
            stop = self.run.incumbent(self.objective_value, lambda: self.program.decode(self.value))
        except BaseException as error:  # raised again after the run
            self._told, stop = error, True
        if stop:
            self.stop_search()

    def raise_again(self) -> None:
        """Raise what a callback raised."""
        if self._told is not None:
            raise self._told


def drive(program: Program, run: Run, *, solver: str = "highs", options: Mapping[str, Any]) -> Outcome:
    """Solve a program whose model is a ``CpModel``; the arguments are those of `Program.solve`, `solver` is not used."""
    engine = cp_model.CpSolver()
    _set_parameters(engine, program, run, options)
    listener = _Listener(program, run)

    def bounded(value: float) -> None:
        if run.bound(_sharpen(program, value)):
            engine.stop_search()

    engine.best_bound_callback = bounded
    with ExitStack() as stack:
        if run.log is not None:
            log = run.log if hasattr(run.log, "write") else stack.enter_context(open(run.log, "a", encoding="utf-8"))
            engine.log_callback = lambda line: log.write(line + "\n")
        try:
            status = engine.solve(program.model, listener)
        except KeyboardInterrupt:
            run.stopped, status = True, cp_model.UNKNOWN
    listener.raise_again()
    return _conclude(engine, program, run, status)


def _set_parameters(engine: Any, program: Program, run: Run, options: Mapping[str, Any]) -> None:
    parameters = engine.parameters
    given = {
        "num_workers": run.threads,
        "random_seed": run.seed % (2**31 - 1),
        "relative_gap_limit": run.gap,
        "max_time_in_seconds": run.deadline.capped(1e8),
        "log_search_progress": run.log is not None,
        "log_to_stdout": False,
        **getattr(program, "parameters", lambda threads: {})(run.threads),
        **options,
    }
    for name, value in given.items():
        if not hasattr(parameters, name):
            raise OrrlError(f"CP-SAT has no parameter {name!r}: see its SatParameters for the names")
        try:
            if isinstance(value, list | tuple):
                getattr(parameters, name).extend(value)
            else:
                setattr(parameters, name, value)
        except (TypeError, ValueError) as error:
            raise OrrlError(f"CP-SAT does not take {name}={value!r}: {error}") from None


def _sharpen(program: Program, bound: float) -> float:
    if not program.integral_objective:
        return bound
    return float(math.ceil(bound - 1e-6) if program.sense == "min" else math.floor(bound + 1e-6))


def _conclude(engine: Any, program: Program, run: Run, status: Any) -> Outcome:
    meta = {
        "engine": "CP-SAT",
        "workers": run.threads,
        "branches": engine.num_branches,
        "conflicts": engine.num_conflicts,
        "engine_seconds": engine.wall_time,
    }
    name = engine.status_name(status)
    message = f"CP-SAT: {name.lower()}"
    if status == cp_model.MODEL_INVALID:
        return Outcome("error", "failure", message=f"{message}: {program.model.validate()}", meta=meta)
    if status == cp_model.INFEASIBLE:
        text = getattr(program, "assumption", "")
        if text:
            return Outcome("no_solution", "finished", message=f"no solution: {text}", meta=meta)
        return Outcome("infeasible", "finished", message=message, meta=meta)
    bound = _sharpen(program, engine.best_objective_bound)
    run.bound(bound)
    if status == cp_model.UNKNOWN:
        return Outcome("no_solution", run.why if run.over else "time", bound=bound, message=message, meta=meta)
    solution, objective = program.decode(engine.value), float(engine.objective_value)
    run.incumbent(objective, lambda: solution)
    if status == cp_model.OPTIMAL and abs(objective - bound) <= 1e-9 * max(1.0, abs(objective)):
        return Outcome("optimal", "optimal", solution, objective, bound, message=message, meta=meta)
    stop = "gap" if status == cp_model.OPTIMAL else run.why if run.stopped else "time"
    return Outcome("feasible", stop, solution, objective, bound, message=message, meta=meta)
