"""HiGHS driven directly through highspy. This module is only imported when a model is solved.

Three traps of the library are handled here. Its scheduler belongs to a Python thread and keeps the number of threads of
its first run: a second number is refused, and the model status of the run before stays in place as if nothing had
happened, so the scheduler is reset around every run and the return code is looked at before the status. A callback that
raises would unwind through C++, so exceptions are kept and raised again after the run. The dual bound of a model
without integer columns is meaningless. (Version 1.14.0 is kept out by pyproject.toml: its presolve calls worse
solutions of mixed-integer programs optimal, HiGHS issue 3073.)
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import highspy
import numpy as np

from ..errors import OrrlError
from .highs_found import SAME, Found, conclude, finite, round_bound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..program import Outcome, Program
    from ..run import Run
    from ..types import Sense
    from .highs_found import Decode, FloatArray

__all__ = ["drive", "open_log", "run_highs"]


def drive(program: Program, run: Run, *, solver: str = "highs", options: Mapping[str, Any]) -> Outcome:
    """Solve a program whose model is a ``highspy.Highs`` object; the arguments are those of `Program.solve`.

    After a linear program ``program.model.getSolution()`` holds the duals.
    """

    def decode(values: FloatArray) -> Any:
        return program.decode(lambda column: float(values[int(column)]))

    found = run_highs(program.model, program, run, options, decode)
    return conclude(program, run, found, decode)


def run_highs(highs: Any, program: Program, run: Run, options: Mapping[str, Any], decode: Decode) -> Found:
    """Run HiGHS on a model that is already loaded, telling `run` every incumbent and every bound.

    Parameters
    ----------
    highs : highspy.Highs
        The loaded model; a MIP start may have been set.
    program : Program
        Gives sense, integrality of the objective and whether it is a relaxation.
    run : Run
        Limits and listeners.
    options : mapping
        HiGHS options by their own names; they win over those that follow from `run` and over the program's own: a
        program may have a method ``parameters(threads)`` with the options under which it is solved best.
    decode : callable
        Solution from column values, called only by a listener that asks for it.

    Raises
    ------
    OrrlError
        HiGHS refuses an option or cannot run.
    """
    integral = program.integral_objective and not program.relaxation
    best: list[FloatArray] = []
    failure: list[BaseException] = []

    def listen(action: Callable[[Any], bool]) -> Callable[[Any], None]:
        def guarded(event: Any) -> None:
            try:
                if failure or action(event):
                    event.interrupt()
            except KeyboardInterrupt:  # Ctrl-C ends the search and returns the incumbent
                run.stopped = True
                event.interrupt()
            except BaseException as error:  # raised again below
                failure.append(error)
                event.interrupt()

        return guarded

    def improved(event: Any) -> bool:
        values = np.array(event.data_out.mip_solution, dtype=np.float64)
        best[:] = [values]
        return run.incumbent(float(event.data_out.objective_function_value), lambda: decode(values))

    def looked(event: Any) -> bool:
        bound = round_bound(finite(event.data_out.mip_dual_bound), program.sense, integral)
        return run.over if bound is None else run.bound(bound)

    mip = any(kind != highspy.HighsVarType.kContinuous for kind in highs.getLp().integrality_)
    with ExitStack() as stack:
        log = stack.enter_context(open_log(run.log))
        hear = {"cbSimplexInterrupt": lambda _: run.over, "cbIpmInterrupt": lambda _: run.over}
        if mip:
            hear |= {"cbMipImprovingSolution": improved, "cbMipInterrupt": looked}
        if log is not None:
            hear["cbLogging"] = lambda event: bool(log.write(event.message)) and False
        for name, action in hear.items():
            stack.enter_context(_subscribed(getattr(highs, name), listen(action)))
        own: Mapping[str, Any] = getattr(program, "parameters", lambda threads: {})(run.threads)
        _set_options(highs, run, {**own, **options})
        highspy.Highs.resetGlobalScheduler(True)
        try:
            code = highs.run()
        except KeyboardInterrupt:  # it came between two lines of highspy's own
            run.stopped, code = True, None
        finally:
            highspy.Highs.resetGlobalScheduler(True)  # whoever runs HiGHS next in this thread may choose its threads
    if failure:
        raise failure[0]
    if code is None:
        return _cut_short(highs, best, run.trace.bound)
    status = highs.getModelStatus()
    if status == highspy.HighsModelStatus.kModelEmpty:
        return _empty(highs.getLp())
    if code == highspy.HighsStatus.kError:
        raise OrrlError(f"HiGHS cannot run this model (model status {highs.modelStatusToString(status)})")
    return _collect(highs, program.sense, mip, integral, best, status)


def _cut_short(highs: Any, best: list[FloatArray], bound: float | None) -> Found:
    """After an exception the model's own records cannot be trusted: take what was heard."""
    found = Found(highspy.HighsModelStatus.kInterrupt, bound=bound, meta={"engine": f"HiGHS {highs.version()}"})
    if best:
        found.values, found.objective = best[0], _worth(highs, best[0])
    return found


def _worth(highs: Any, values: FloatArray) -> float:
    lp = highs.getLp()
    return float(lp.offset_ + np.dot(lp.col_cost_, values))


def _empty(lp: Any) -> Found:
    """No columns: the constant is the answer, unless a row without terms asks for more than 0."""
    if np.any(np.asarray(lp.row_lower_) > SAME) or np.any(np.asarray(lp.row_upper_) < -SAME):
        return Found(highspy.HighsModelStatus.kInfeasible)
    return Found(highspy.HighsModelStatus.kOptimal, np.zeros(0), float(lp.offset_), float(lp.offset_))


def _collect(highs: Any, sense: Sense, mip: bool, integral: bool, best: list[FloatArray], status: Any) -> Found:
    info = highs.getInfo()
    counts = {"nodes": max(0, info.mip_node_count), "simplex_iterations": max(0, info.simplex_iteration_count)}
    size = {"columns": highs.getNumCol(), "rows": highs.getNumRow()}
    found = Found(status, meta={"engine": f"HiGHS {highs.version()}", **counts, **size})
    if info.primal_solution_status == highspy.kSolutionStatusFeasible:
        found.values = np.array(highs.getSolution().col_value, dtype=np.float64)
        found.objective = float(info.objective_function_value)
    elif best:
        found.values, found.objective = best[0], _worth(highs, best[0])
    if status == highspy.HighsModelStatus.kInfeasible:
        return found
    if mip:
        found.bound = round_bound(finite(info.mip_dual_bound), sense, integral)
    elif status == highspy.HighsModelStatus.kOptimal:
        found.bound = found.objective
    return found


def _set_options(highs: Any, run: Run, options: Mapping[str, Any]) -> None:
    given: dict[str, Any] = {
        "output_flag": run.log is not None,
        "log_to_console": False,
        "log_file": "" if run.log is None else os.devnull,  # before 1.14 the callback is silent without a file
        "threads": run.threads,
        "random_seed": run.seed % (2**31 - 1),
        "time_limit": run.deadline.remaining,
        "mip_rel_gap": run.gap,
        "mip_abs_gap": SAME,
    }
    for name, value in {**given, **options}.items():
        if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise OrrlError(
                f"HiGHS does not take the option {name}={value!r}: see its list of options for name and type"
            )


@contextmanager
def _subscribed(callback: Any, listener: Callable[[Any], None]) -> Iterator[None]:
    callback.subscribe(listener)
    try:
        yield
    finally:
        callback.unsubscribe(listener)


@contextmanager
def open_log(log: str | os.PathLike[str] | TextIO | None) -> Iterator[TextIO | None]:
    """The stream of ``log=``: a path is opened for appending, a stream is left open."""
    if log is None or hasattr(log, "write"):
        yield log  # type: ignore[misc]
        return
    with open(log, "a", encoding="utf-8") as stream:
        yield stream
