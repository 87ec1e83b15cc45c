"""Pyomo models: HiGHS through Pyomo's persistent interface, any other Pyomo solver by name.

This module is only imported when a model is solved.

With ``solver="highs"`` Pyomo keeps the model inside HiGHS and passes on only what has changed since the last call; the
run itself is the one of `orrl.core.engines.highs`, so that incumbents, bounds, limits and the log are the same in
both. Another solver is a black box: its result is traced once, at the end.
"""

from __future__ import annotations

import warnings
from io import StringIO
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import highspy
import numpy as np
import numpy.typing as npt
import pyomo.environ as pyo
from pyomo.common.log import LoggingIntercept
from pyomo.common.tee import capture_output
from pyomo.contrib.solver.solvers.highs import Highs as PersistentHighs
from pyomo.opt import TerminationCondition
from pyomo.opt.solver import SystemCallSolver

from ..errors import NotInstalledError, NotSupportedError, OrrlWarning
from ..program import Outcome
from .highs import open_log, run_highs
from .highs_found import Found, conclude, finite, infeasible, keep_start, meets, round_bound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..program import Program
    from ..run import Run

__all__ = ["drive"]

# Names of time limit, threads, relative gap and seed, where a solver has them. Variants (gurobi_persistent,
# appsi_cbc, ...) take those of their first word.
OPTIONS: dict[str, tuple[str | None, str | None, str | None, str | None]] = {
    "cbc": ("sec", "threads", "ratio", "randomCbcSeed"),
    "cplex": ("timelimit", "threads", "mipgap", "randomseed"),
    "glpk": ("tmlim", None, "mipgap", "seed"),
    "gurobi": ("TimeLimit", "Threads", "MIPGap", "Seed"),
    "highs": ("time_limit", "threads", "mip_rel_gap", "random_seed"),
    "ipopt": ("max_wall_time", None, None, None),
    "mosek": ("MSK_DPAR_OPTIMIZER_MAX_TIME", "MSK_IPAR_NUM_THREADS", "MSK_DPAR_MIO_TOL_REL_GAP", "MSK_IPAR_MIO_SEED"),
    "scip": ("limits/time", None, "limits/gap", "randomization/randomseedshift"),
    "xpress": ("maxtime", "threads", "miprelstop", "randomseed"),
}
WHOLE = {"glpk", "cbc"}  # their time limit is a whole number of seconds
LOCAL = {"asl", "conopt", "cyipopt", "ipopt", "knitro", "loqo", "minos", "snopt"}  # no proof, no integers


class _Late(Exception):
    """The time limit came while the model was being loaded."""


class _Loaded(PersistentHighs):
    """Pyomo's persistent interface, used for what it is good at: keeping a HiGHS model up to date."""

    def __init__(self, treat_fixed_vars_as_params: bool = False) -> None:
        # fixed variables stay columns, so that fixing every variable leaves a model that can still be solved
        super().__init__(treat_fixed_vars_as_params=treat_fixed_vars_as_params)

    def load(self, model: pyo.ConcreteModel, over: Callable[[], bool]) -> highspy.Highs:
        """The HiGHS model of `model` as it stands now; `_Late` once `over` says so."""
        self._over = over
        self._active_config = self.config
        try:
            if model is not self._model:
                self.set_instance(model)
            else:
                self.update()
        except _Late:
            self._model: Any = None  # half loaded: begin again next time
            raise
        return self._solver_model

    def _check_for_new_vars(self, variables: list[Any]) -> None:
        """Called for every constraint."""
        if self._over():
            raise _Late
        super()._check_for_new_vars(variables)

    def _add_variables(self, variables: list[Any]) -> None:
        """Called for every constraint, mostly with nothing."""
        if variables:
            super()._add_variables(variables)

    @property
    def columns(self) -> dict[int, int]:
        """Column by ``id`` of the Pyomo variable."""
        return self._pyomo_var_to_solver_var_map

    def variables(self) -> list[tuple[Any, int]]:
        """Pyomo variables with their columns."""
        return [(self._vars[key][0], column) for key, column in self.columns.items()]

    def rows(self) -> list[tuple[Any, int]]:
        """Pyomo constraints with their rows."""
        return list(self._pyomo_con_to_solver_con_map.items())


# kept beside the programs, not in them: a HiGHS model cannot be pickled
_LOADED: WeakKeyDictionary[Program, _Loaded] = WeakKeyDictionary()


def drive(program: Program, run: Run, *, solver: str = "highs", options: Mapping[str, Any]) -> Outcome:
    """Solve a Pyomo model; the arguments are those of `Program.solve`.

    The model's variables hold the incumbent afterwards, and its ``dual`` suffix the duals of a linear program, where it
    has one.

    Raises
    ------
    NotInstalledError
        Pyomo does not find the solver.
    """
    if solver == "highs" and getattr(program, "nonlinear", False):
        solver = "ipopt"  # the default of a model that HiGHS does not take
    if solver == "highs":
        return _persistent(program, run, options)
    return _by_name(program, run, solver, options)


def _persistent(program: Program, run: Run, options: Mapping[str, Any]) -> Outcome:
    if program not in _LOADED:
        _LOADED[program] = _Loaded()
    keeper = _LOADED[program]
    try:
        highs = keeper.load(program.model, lambda: run.over)
    except _Late:
        late = Found(highspy.HighsModelStatus.kInterrupt, meta={"engine": "Pyomo"})
        return conclude(program, run, late, lambda values: None)
    columns = keeper.columns
    start = [(column, float(v.value)) for v, column in keeper.variables() if v.value is not None]
    if start and not program.relaxation:
        where, what = np.array([c for c, _ in start], np.int32), np.array([x for _, x in start])
        highs.setSolution(len(start), where, what)

    def decode(values: npt.NDArray[np.float64]) -> Any:
        return program.decode(lambda v: float(values[columns[id(v)]]) if id(v) in columns else _idle(v))

    found = run_highs(highs, program, run, options, decode)
    if found.values is not None:
        for v, column in keeper.variables():
            v.set_value(found.values[column], skip_validation=True)
    _load_duals(program.model, keeper, highs)
    return conclude(program, run, found, decode)


def _idle(v: Any) -> float:
    """Value of a variable that is in no row: the one it has, else the one nearest to 0."""
    if getattr(v, "value", None) is None and hasattr(v, "bounds"):
        low, high = v.bounds
        return float(low) if low is not None and low > 0 else float(high) if high is not None and high < 0 else 0.0
    return float(pyo.value(v))


def _load_duals(model: Any, keeper: _Loaded, highs: Any) -> None:
    suffix = getattr(model, "dual", None)
    if not isinstance(suffix, pyo.Suffix) or not suffix.import_enabled():
        return
    suffix.clear()
    answer = highs.getSolution()
    if answer.dual_valid:
        duals = answer.row_dual
        suffix.update({row: float(duals[index]) for row, index in keeper.rows()})


def _by_name(program: Program, run: Run, solver: str, options: Mapping[str, Any]) -> Outcome:
    with LoggingIntercept(StringIO(), "pyomo"):  # a name that nobody knows is logged with a traceback
        opt = pyo.SolverFactory(solver)
        found = opt.available(exception_flag=False)
    if not found and solver == "ipopt":
        from . import pyomo_nl

        _continuous(program, solver)
        return pyomo_nl.drive(program, run, options)
    if not found:
        raise NotInstalledError(
            f"Pyomo finds no solver {solver!r}: install it so that `pyomo help --solvers` lists it, or use "
            "solver='highs'"
        )
    family = next((part for part in solver.split("_") if part not in ("appsi", "direct", "persistent")), solver)
    model = program.model
    if family in LOCAL:
        _continuous(program, solver)
    arguments = _arguments(opt, model, family, run, options)
    with open_log(run.log) as log:
        if log is None:
            answer = opt.solve(model, load_solutions=False, **arguments)
        else:
            with capture_output(log):
                answer = opt.solve(model, load_solutions=False, tee=True, **arguments)
    return _conclude_by_name(program, run, solver, answer, proves=family not in LOCAL)


def _continuous(program: Program, solver: str) -> None:
    if any(not v.is_continuous() for v in program.model.component_data_objects(pyo.Var, active=True)):
        raise NotSupportedError(f"{solver} is a local solver for continuous models, and {program.form} has integers")


def _arguments(opt: Any, model: Any, family: str, run: Run, options: Mapping[str, Any]) -> dict[str, Any]:
    """Pass limits the way this interface wants them: its own argument, a config object, or the solver's own options."""
    time_name, *names = OPTIONS.get(family, (None, None, None, None))
    passed: dict[str, Any] = {}
    config = getattr(opt, "config", None)
    for fields, name, value in zip(
        (("threads",), ("rel_gap", "mip_gap"), ("seed",)), names, (run.threads, run.gap, run.seed), strict=True
    ):
        field = next((f for f in fields if hasattr(config, f)), None)
        if field is not None:
            setattr(config, field, value)
        elif name is not None:
            passed[name] = value
    arguments: dict[str, Any] = {}
    if run.deadline.limit is not None:
        limit = max(run.deadline.remaining, 0.01)
        arguments["timelimit"] = max(1, int(limit)) if family in WHOLE else limit
        # interfaces that run a program take that argument, and so do those with a config; the others want an option
        if not isinstance(opt, SystemCallSolver) and config is None:
            if time_name is None:
                text = f"orrl does not know how to give Pyomo's {family!r} a time limit: it may run on; see options="
                warnings.warn(text, OrrlWarning, stacklevel=6)
            else:
                passed[time_name] = limit
    if opt.warm_start_capable() and any(v.value is not None for v in model.component_data_objects(pyo.Var)):
        arguments["warmstart"] = True
    return {**arguments, "options": {**passed, **options}}


def _conclude_by_name(program: Program, run: Run, solver: str, answer: Any, proves: bool) -> Outcome:
    condition, meta = answer.solver.termination_condition, {"engine": f"Pyomo {solver}"}
    text = f"{solver}: {condition}"
    if condition == TerminationCondition.infeasible:
        return (
            infeasible(program, text, meta) if proves else Outcome("no_solution", "finished", message=text, meta=meta)
        )
    bound = None
    if proves:
        side = answer.problem.lower_bound if program.sense == "min" else answer.problem.upper_bound
        bound = finite(float(side)) if isinstance(side, int | float) else None
        bound = round_bound(bound, program.sense, program.integral_objective and not program.relaxation)
    ended = condition in (TerminationCondition.optimal, TerminationCondition.locallyOptimal)
    stop = "time" if condition == TerminationCondition.maxTimeLimit or run.deadline.passed else "failure"
    if len(answer.solution) == 0:
        return keep_start(program, run, Outcome("no_solution", stop, bound=bound, message=text, meta=meta))
    with LoggingIntercept(StringIO(), "pyomo"):  # it warns of solutions from limits
        program.model.solutions.load_from(answer)
    if program.relaxation:
        of = getattr(program, "relaxation_of", f"the {program.form} relaxation")
        value = float(pyo.value(program.objective_variable)) if ended and proves else None
        if value is not None:
            run.bound(value)
        return Outcome("no_solution", "finished" if ended else stop, bound=value, bound_of=of, message=text, meta=meta)
    solution = program.decode(_idle)
    exact = getattr(program, "objective_of", None)
    objective = float(pyo.value(program.objective_variable)) if exact is None else float(exact(solution))
    if bound is None and ended and proves and run.gap == 0.0:
        bound = objective  # an interface that reports no bound, of a solver that says it has a proof
    if bound is not None:
        run.bound(bound)
    run.incumbent(objective, lambda: solution)
    if meets(objective, bound):
        return Outcome("optimal", "optimal", solution, objective, bound, message=text, meta=meta)
    return Outcome("feasible", "gap" if ended and proves else stop, solution, objective, bound, message=text, meta=meta)
