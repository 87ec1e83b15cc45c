"""OR-Tools CP-SAT. This module is only imported when a model is solved.

CP-SAT calls back from its own threads, so events go through one lock, and an exception of a callback, which must not
unwind through C++, is kept and raised again after the run. The search itself runs in a helper thread: the main thread
stays free for Ctrl-C, which stops the search and returns the incumbent.

A program may have these optional attributes:

``parameters(threads)``
    CP-SAT parameters with which it is solved best; the caller's options win.
``assumption``
    A sentence on what was cut off (such as a horizon), without which "infeasible" would claim too much.
``fallback()``
    A solution known beforehand, or None; the answer where CP-SAT finds none in time. It comes with
    ``objective_of(solution)``.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from ortools.sat import sat_parameters_pb2
from ortools.sat.python import cp_model

from ..errors import OrrlError, UnknownNameError
from ..program import Outcome
from ..types import relative_gap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..program import Program
    from ..run import Run

__all__ = ["drive"]

FIELDS = sat_parameters_pb2.SatParameters.DESCRIPTOR.fields_by_name
# options that end a search before the time limit
LIMITS = {"max_deterministic_time", "max_number_of_conflicts", "max_time_in_seconds", "stop_after_first_solution"}
LIMITS |= {"max_num_deterministic_batches", "stop_after_presolve", "stop_after_root_propagation"}


class _Session(cp_model.CpSolverSolutionCallback):
    """One run: the engine, and what it says of incumbents and bounds."""

    def __init__(self, engine: cp_model.CpSolver, program: Program, run: Run) -> None:
        super().__init__()
        self.engine, self.program, self.run = engine, program, run
        self.status: Any = cp_model.UNKNOWN
        self.failure: BaseException | None = None
        self._lock = Lock()

    def on_solution_callback(self) -> None:
        """Called by CP-SAT at each better solution."""
        value = _whole(self.program, self.objective_value)
        self.tell(lambda: self.run.incumbent(value, lambda: self.program.decode(self.value)))

    def bounded(self, value: float) -> None:
        """Called by CP-SAT at each better bound."""
        self.tell(lambda: self.run.bound(_sharpen(self.program, value)))

    def tell(self, report: Callable[[], bool]) -> None:
        """Report something, one at a time; stop where the answer is True."""
        with self._lock:
            try:
                if self.failure is None and not report():
                    return
            except BaseException as error:  # raised again after the run
                self.failure = error
        self.engine.stop_search()

    def search(self) -> None:
        """Run the search to its end; Ctrl-C stops it, and a second one does not wait for it."""
        over = Event()

        def work() -> None:
            try:
                self.status = self.engine.solve(self.program.model, self)
            except BaseException as error:  # raised again below
                self.failure = self.failure or error
            over.set()

        Thread(target=work, name="cp-sat", daemon=True).start()
        try:
            while not over.wait(1.0):  # not Thread.join: an interrupted join takes the thread for finished
                pass
        except KeyboardInterrupt:
            self.run.stopped = True
            while not over.wait(0.1):  # a stop before the search has begun is not heard
                self.engine.stop_search()
        if self.failure is not None:
            raise self.failure


def drive(program: Program, run: Run, *, solver: str = "highs", options: Mapping[str, Any]) -> Outcome:
    """Solve a program whose model is a ``CpModel``; the arguments are those of `Program.solve`, `solver` is not used.

    Raises
    ------
    UnknownNameError
        An option that is no CP-SAT parameter.
    OrrlError
        A value that a parameter does not take.
    """
    engine = cp_model.CpSolver()
    _set_parameters(engine.parameters, program, run, options)
    session = _Session(engine, program, run)
    engine.best_bound_callback = session.bounded
    with ExitStack() as stack:
        if run.log is not None:
            log = run.log if hasattr(run.log, "write") else stack.enter_context(open(run.log, "a", encoding="utf-8"))
            engine.log_callback = lambda line: session.tell(lambda: log.write(line + "\n") < 0)
        session.search()
    return _conclude(session, LIMITS & options.keys())


def _set_parameters(parameters: Any, program: Program, run: Run, options: Mapping[str, Any]) -> None:
    given = {
        "num_workers": run.threads,
        "random_seed": run.seed % (2**31 - 1),
        "relative_gap_limit": run.gap,
        "log_search_progress": run.log is not None,
        "log_to_stdout": False,
        "catch_sigint_signal": False,
        **getattr(program, "parameters", lambda threads: {})(run.threads),
        **options,
    }
    given["max_time_in_seconds"] = min(run.deadline.capped(), float(options.get("max_time_in_seconds", math.inf)))
    for name, value in given.items():
        if name not in FIELDS:
            raise UnknownNameError("CP-SAT parameter", name, FIELDS)
        try:
            _assign(parameters, name, value)
        except (TypeError, ValueError, AttributeError) as error:
            raise OrrlError(f"CP-SAT does not take {name}={value!r}: {error}") from None


def _assign(parameters: Any, name: str, value: Any) -> None:
    """Set one field: a number, the name of an enumerator, or a list of such."""
    kind = FIELDS[name].enum_type
    values = list(value) if isinstance(value, list | tuple) else [value]
    if kind is not None:
        for word in values:
            if word not in kind.values_by_name:
                raise ValueError(f"give one of {', '.join(kind.values_by_name)}")
    if isinstance(value, list | tuple) or kind is not None:
        quote = '"' if FIELDS[name].type == FIELDS[name].TYPE_STRING else ""
        if quote and not all(isinstance(word, str) for word in values):
            raise ValueError("give strings")
        parameters.merge_text_format(" ".join(f"{name}: {quote}{word}{quote}" for word in values))
    else:
        setattr(parameters, name, value)


def _whole(program: Program, objective: float) -> float:
    """CP-SAT scales its objective back and forth, so whole numbers come with dust."""
    return float(round(objective)) if program.integral_objective else float(objective)


def _sharpen(program: Program, bound: float) -> float:
    if not program.integral_objective or not math.isfinite(bound):
        return bound
    return float(math.ceil(bound - 1e-6) if program.sense == "min" else math.floor(bound + 1e-6))


def _conclude(session: _Session, limits: set[str]) -> Outcome:
    engine, program, run, status = session.engine, session.program, session.run, session.status
    meta = {
        "engine": "CP-SAT",
        "workers": engine.parameters.num_workers,
        "branches": engine.num_branches,
        "conflicts": engine.num_conflicts,
        "engine_seconds": engine.wall_time,
        "engine_user_seconds": engine.user_time,
    }
    message = f"CP-SAT: {engine.status_name(status).lower()}"
    if status == cp_model.MODEL_INVALID:
        return Outcome("error", "failure", message=f"{message}: {program.model.validate()}", meta=meta)
    if status == cp_model.INFEASIBLE:
        text = getattr(program, "assumption", "")
        if text:
            return Outcome("no_solution", "finished", message=f"no solution: {text}", meta=meta)
        return Outcome("infeasible", "finished", message=message, meta=meta)
    # the engine's own clock may be a little before ours when time is up
    ended_early = bool(limits) and run.deadline.remaining > 0.05 + 0.02 * (run.deadline.limit or 0.0)
    stop = run.why if run.stopped else "iterations" if ended_early else "time"
    if status == cp_model.UNKNOWN:
        return _unsolved(session, stop, message, meta)
    bound = _sharpen(program, engine.best_objective_bound)
    run.bound(bound)
    solution, objective = program.decode(engine.value), _whole(program, engine.objective_value)
    run.incumbent(objective, lambda: solution)
    if status == cp_model.OPTIMAL:
        proved = relative_gap(objective, bound) <= 1e-9
        word: Any = "optimal" if proved else "feasible"
        return Outcome(word, "optimal" if proved else "gap", solution, objective, bound, message=message, meta=meta)
    return Outcome("feasible", stop, solution, objective, bound, message=message, meta=meta)


def _unsolved(session: _Session, stop: str, message: str, meta: dict[str, Any]) -> Outcome:
    """No solution by CP-SAT: the bound stays, and so does a solution that was known beforehand."""
    program, run = session.program, session.run
    # the engine's own bound is a meaningless 0 where it was cut off in presolve
    found = session.engine.best_objective_bound or None
    known = [b for b in (run.trace.bound, found, _range_bound(program.model.proto)) if b is not None]
    bound = (max if program.sense == "min" else min)(_sharpen(program, b) for b in known) if known else None
    if bound is not None:
        run.bound(bound)
    solution = getattr(program, "fallback", lambda: None)()
    if solution is None:
        return Outcome("no_solution", stop, bound=bound, message=message, meta=meta)
    objective = float(program.objective_of(solution))  # type: ignore[attr-defined]
    run.incumbent(objective, lambda: solution)
    return Outcome("feasible", stop, solution, objective, bound, message=f"{message}; its start is kept", meta=meta)


def _range_bound(model: Any) -> float | None:
    """What the ranges of the variables alone say about the objective (CP-SAT keeps it as a minimum times a scale)."""
    if not model.has_objective():
        return None
    goal, least = model.objective, 0
    for index, factor in zip(goal.vars, goal.coeffs, strict=True):
        domain = list(model.variables[index if index >= 0 else -index - 1].domain)
        sign = factor if index >= 0 else -factor
        least += sign * (domain[0] if sign > 0 else domain[-1])
    return float((least + goal.offset) * (goal.scaling_factor or 1.0))
