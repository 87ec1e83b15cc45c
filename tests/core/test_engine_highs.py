"""The HiGHS engines, direct and through Pyomo, on models that have nothing to do with any problem of orrl."""

from __future__ import annotations

import gc
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

import highspy
import numpy as np
import pyomo.environ as pyo
import pytest

from orrl.core import Event, NotInstalledError, Outcome, Program, Run, StopAtObjective
from orrl.core.engines import drive
from orrl.core.engines.pyomo import _LOADED
from orrl.core.errors import NotSupportedError, OrrlError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

INF = highspy.kHighsInf


class Direct(Program):
    """Arrays in HiGHS; the solution is the list of values."""

    backend: ClassVar[str] = "highspy"
    form = "toy"

    def __init__(
        self,
        cost: Sequence[float],
        rows: Sequence[tuple[float, Sequence[float], float]],
        *,
        upper: float = 10.0,
        integer: bool = True,
        sense: Any = "min",
        offset: float = 0.0,
    ) -> None:
        self.sense = sense
        self.model = model = highspy.Highs()
        model.silent()
        n = len(cost)
        model.addVars(n, np.zeros(n), np.full(n, upper))
        model.changeColsCost(n, np.arange(n, dtype=np.int32), np.array(cost, float))
        model.changeObjectiveOffset(offset)
        if sense == "max":
            model.changeObjectiveSense(highspy.ObjSense.kMaximize)
        if integer:
            for i in range(n):
                model.changeColIntegrality(i, highspy.HighsVarType.kInteger)
        for low, row, high in rows:
            model.addRow(low, high, n, np.arange(n, dtype=np.int32), np.array(row, float))

    def encode(self, solution: Sequence[float], *, fix: bool = False) -> None:
        start = highspy.HighsSolution()
        start.col_value = list(solution)
        self.model.setSolution(start)

    def decode(self, value: Any) -> list[float]:
        return [round(value(i), 6) for i in range(self.model.getNumCol())]

    @property
    def objective_variable(self) -> Any:
        return self.model.getObjective()[0]


class ByPyomo(Program):
    """The same as a Pyomo model."""

    backend: ClassVar[str] = "pyomo"
    form = "toy"

    def __init__(
        self,
        cost: Sequence[float],
        rows: Sequence[tuple[float, Sequence[float], float]],
        *,
        upper: float = 10.0,
        integer: bool = True,
        sense: Any = "min",
        offset: float = 0.0,
    ) -> None:
        self.sense = sense
        self.model = m = pyo.ConcreteModel()
        index = range(len(cost))
        bounds = (0, None if upper == INF else upper)
        m.x = pyo.Var(index, domain=pyo.Integers if integer else pyo.Reals, bounds=bounds)
        m.row = pyo.ConstraintList()
        for low, row, high in rows:
            body = sum(a * m.x[i] for i, a in enumerate(row))
            m.row.add((None if low == -INF else low, body, None if high == INF else high))
        goal = sum(c * m.x[i] for i, c in enumerate(cost)) + offset
        m.goal = pyo.Objective(expr=goal, sense=pyo.minimize if sense == "min" else pyo.maximize)

    def encode(self, solution: Sequence[float], *, fix: bool = False) -> None:
        for i, x in enumerate(solution):
            self.model.x[i].set_value(x)
            if fix:
                self.model.x[i].fix()

    def decode(self, value: Any) -> list[float]:
        return [round(value(v), 6) for v in self.model.x.values()]

    @property
    def objective_variable(self) -> Any:
        return self.model.goal


BOTH = pytest.mark.parametrize("kind", [Direct, ByPyomo])


def market_split(kind: type[Program], rows: int = 4, columns: int = 40, *, slack: bool = True) -> Program:
    """Split customers in half for every product (Cornuejols & Dawande 1999): hard to prove; without slack, to solve."""
    rng = random.Random(1)
    table, cost = [], [0.0] * columns + [1.0] * (2 * rows if slack else 0)
    for i in range(rows):
        weights = [float(rng.randrange(1, 100)) for _ in range(columns)]
        gaps = [0.0] * (2 * rows) if slack else []
        if slack:
            gaps[2 * i : 2 * i + 2] = [1.0, -1.0]
        table.append((sum(weights) // 2, weights + gaps, sum(weights) // 2))
    if not slack:
        cost = [1.0] * columns
    program: Program = kind(cost, table, upper=1.0 if not slack else 100.0)  # type: ignore[call-arg]
    if slack:
        for i in range(columns):
            if isinstance(program, Direct):
                program.model.changeColBounds(i, 0.0, 1.0)
            else:
                program.model.x[i].setub(1)
    return program


def solve(program: Program, *, options: dict[str, Any] | None = None, **limits: Any) -> tuple[Outcome, Run]:
    limits.setdefault("threads", 1)
    solver = limits.pop("solver", "highs")
    run = Run(program.sense, **limits)
    return drive(program, run, solver=solver, options=options or {}), run


# ---- verdicts --------------------------------------------------------------------------------------------------------
@BOTH
def test_optimal_both_senses(kind: Any) -> None:
    low, run = solve(kind([2, 3], [(22, [3, 5], INF)], upper=5, offset=7))
    assert (low.status, low.stop, low.objective, low.bound, low.solution) == ("optimal", "optimal", 21, 21, [4, 2])
    assert run.trace.objective == run.trace.bound == 21
    high, run = solve(kind([2, 3], [(-INF, [2, 3], 22)], upper=5, sense="max", offset=-2))
    assert (high.status, high.objective, high.bound, high.solution) == ("optimal", 20, 20, [5, 4])
    assert run.trace.objective == run.trace.bound == 20


@BOTH
def test_linear_program_and_its_duals(kind: Any) -> None:
    program = kind([2, 3], [(22, [3, 5], INF)], upper=INF, integer=False)
    if kind is ByPyomo:
        program.model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    outcome, _ = solve(program)
    assert (outcome.status, outcome.solution) == ("optimal", [0, 4.4])
    assert outcome.objective == outcome.bound == pytest.approx(13.2)
    dual = program.model.dual[program.model.row[1]] if kind is ByPyomo else program.model.getSolution().row_dual[0]
    assert dual == pytest.approx(3 / 5)


@BOTH
def test_relaxation_gives_a_bound_and_no_solution(kind: Any) -> None:
    program = kind([2, 3], [(22, [3, 5], INF)], upper=INF, integer=False)
    program.relaxation = program.integral_objective = True
    outcome, run = solve(program)
    assert (outcome.status, outcome.stop, outcome.solution) == ("no_solution", "finished", None)
    assert outcome.bound == run.trace.bound == pytest.approx(13.2)  # the relaxation's own value, not rounded
    assert outcome.bound_of == "the toy relaxation"


@BOTH
def test_infeasible(kind: Any) -> None:
    program = kind([1], [(2, [1], INF)], upper=1)
    assert solve(program)[0].status == "infeasible"
    program.assumption = "none fits in a box"
    outcome, _ = solve(program)
    assert (outcome.status, outcome.message) == ("no_solution", "no solution: none fits in a box")


@BOTH
def test_unbounded_is_an_error(kind: Any) -> None:
    outcome, _ = solve(kind([1], [(0, [1], INF)], upper=INF, sense="max", integer=False))
    assert (outcome.status, outcome.stop) == ("error", "failure")
    assert "nbounded" in outcome.message


def test_nothing_to_decide() -> None:
    program = Direct([], [], offset=5)
    assert solve(program)[0].objective == 5
    program.model.addRow(1.0, 2.0, 0, np.array([], np.int32), np.array([], float))  # 1 <= 0, which HiGHS lets pass
    assert solve(program)[0].status == "infeasible"


@pytest.mark.parametrize(
    ("cost", "rows", "integer", "best"),
    [
        ([2, 3], [(4.5, [1, 1], INF)], [1], 9.0),
        ([100, 0.01, 0], [(3, [1, 0, 1], 3), (-INF, [0, -1, 1], 0), (-INF, [0, -1, -1], 0)], [2], 0.03),
    ],
)
def test_presolve_that_calls_worse_solutions_optimal(cost: Any, rows: Any, integer: list[int], best: float) -> None:
    """HiGHS 1.14.0 by itself answers 15 and 200.01 (its issue 3073)."""
    program = Direct(cost, rows, integer=False)
    for i in integer:
        program.model.changeColIntegrality(i, highspy.HighsVarType.kInteger)
    outcome, _ = solve(program)
    assert (outcome.status, outcome.objective) == ("optimal", pytest.approx(best))
    other = ByPyomo(cost, rows, integer=False)
    for i in integer:
        other.model.x[i].domain = pyo.Integers
    assert solve(other)[0].objective == pytest.approx(best)
    assert solve(other, solver="appsi_highs")[0].objective == pytest.approx(best)


@BOTH
def test_bound_of_a_whole_number_objective_is_rounded(kind: Any) -> None:
    for integral in (False, True):
        program = market_split(kind)
        program.integral_objective = integral
        outcome, _ = solve(program, time_limit=0.8)
        assert outcome.bound is not None
        assert not integral or outcome.bound == int(outcome.bound)


# ---- threads ---------------------------------------------------------------------------------------------------------
def test_highs_itself_refuses_a_second_number_of_threads() -> None:
    """The trap: an error code, and the status of the run before. If this fails, the reset is no longer needed."""
    highspy.Highs.resetGlobalScheduler(True)
    model = Direct([2, 3], [(22, [3, 5], INF)]).model
    model.setOptionValue("threads", 1)
    assert model.run() == highspy.HighsStatus.kOk
    model.setOptionValue("threads", 2)
    try:
        assert model.run() == highspy.HighsStatus.kError
        assert model.getModelStatus() == highspy.HighsModelStatus.kOptimal
    finally:
        highspy.Highs.resetGlobalScheduler(True)


@BOTH
def test_numbers_of_threads_one_after_another(kind: Any) -> None:
    program = kind([2, 3], [(22, [3, 5], INF)], upper=5)
    for threads in (1, 2, 1, 2):
        assert solve(program, threads=threads)[0].status == "optimal"
    other = Direct([1], [(1, [1], INF)]).model  # and whoever comes next in this process
    other.setOptionValue("threads", 1)
    assert other.run() == highspy.HighsStatus.kOk
    highspy.Highs.resetGlobalScheduler(True)


def test_runs_in_several_threads_of_one_process() -> None:
    answers: list[tuple[int, float | None]] = []

    def work(threads: int) -> None:
        outcome, _ = solve(market_split(Direct, 2, 20), threads=threads, time_limit=30)
        answers.append((threads, outcome.objective))

    crowd = [threading.Thread(target=work, args=(1 + i % 2,)) for i in range(4)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert sorted(t for t, _ in answers) == [1, 1, 2, 2]
    assert len({value for _, value in answers}) == 1


@pytest.mark.parametrize(
    "order", ["import highspy, ortools.sat.python.cp_model", "import ortools.sat.python.cp_model, highspy"]
)
def test_imported_together_with_ortools(order: str) -> None:
    code = f"""{order}
import ortools.sat.python.cp_model as cp, highspy
model = cp.CpModel(); x = model.new_int_var(0, 3, "x"); model.maximize(x)
solver = cp.CpSolver(); solver.solve(model)
highs = highspy.Highs(); highs.silent(); highs.addVar(1, 3); highs.changeColCost(0, 1.0); highs.run()
print(solver.objective_value, highs.getInfo().objective_function_value)"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert answer.stdout.split() == ["3.0", "1.0"]


# ---- limits ----------------------------------------------------------------------------------------------------------
@BOTH
def test_time_limit_keeps_incumbent_and_bound(kind: Any) -> None:
    program, begin = market_split(kind), time.perf_counter()
    outcome, run = solve(program, time_limit=1.0)
    assert time.perf_counter() - begin <= 1.0 * 1.05 + 1.0
    assert (outcome.status, outcome.stop) == ("feasible", "time")
    assert outcome.objective is not None and outcome.bound is not None and outcome.bound < outcome.objective
    assert run.trace.objective == outcome.objective
    seconds = [point.seconds for point in run.trace.points]
    assert seconds == sorted(seconds) and seconds[-1] <= 2.0


@BOTH
def test_bound_without_incumbent(kind: Any) -> None:
    outcome, run = solve(market_split(kind, slack=False), time_limit=1.0)
    assert (outcome.status, outcome.stop, outcome.solution, outcome.objective) == ("no_solution", "time", None, None)
    assert outcome.bound is not None and 0 < outcome.bound < 40
    assert run.trace.bound == outcome.bound


@BOTH
def test_solution_known_beforehand_survives(kind: Any) -> None:
    program = market_split(kind, slack=False)
    program.fallback = lambda: [1.0]
    program.objective_of = lambda solution: 39.0
    outcome, run = solve(program, time_limit=0.5)
    assert (outcome.status, outcome.stop, outcome.solution, outcome.objective) == ("feasible", "time", [1.0], 39.0)
    assert run.trace.objective == 39.0


@BOTH
def test_a_limit_that_has_passed(kind: Any) -> None:
    run = Run("min", time_limit=0.01, threads=1)
    time.sleep(0.02)
    outcome = drive(market_split(kind), run, options={})
    assert (outcome.status, outcome.stop, outcome.bound) == ("no_solution", "time", None)


@BOTH
def test_gap(kind: Any) -> None:
    outcome, _ = solve(market_split(kind, 2, 20), gap=10.0, time_limit=30)
    assert (outcome.status, outcome.stop) == ("feasible", "gap")
    assert outcome.bound is not None and outcome.objective is not None and outcome.bound < outcome.objective


@BOTH
def test_start_is_the_first_incumbent(kind: Any) -> None:
    program = kind([2, 3], [(22, [3, 5], INF)], upper=5)
    program.encode([5, 5])
    seen: list[float] = []
    solve(program, callbacks=[lambda event: seen.append(event.objective or 0)])
    assert next(value for value in seen if value) == 25


def test_options() -> None:
    program = market_split(Direct)
    outcome, _ = solve(program, options={"mip_max_nodes": 1, "presolve": "off"}, time_limit=30)
    assert outcome.stop == "iterations"
    for wrong in ({"mip_max_knots": 1}, {"mip_rel_gap": "small"}):
        with pytest.raises(OrrlError, match=next(iter(wrong))):
            solve(program, options=wrong)


# ---- events ----------------------------------------------------------------------------------------------------------
@BOTH
def test_callback_stops(kind: Any) -> None:
    program, seen = market_split(kind), []

    def listen(event: Event) -> bool:
        if event.kind == "incumbent" and event.solution is not None:
            seen.append(event.solution())
        return len(seen) >= 2

    outcome, _ = solve(program, callbacks=[listen], time_limit=60)
    assert (outcome.status, outcome.stop) == ("feasible", "user")
    assert all(len(solution) == 48 for solution in seen)
    outcome, _ = solve(program, callbacks=[StopAtObjective(1000, "min")], time_limit=60)
    assert outcome.stop == "user" and outcome.objective is not None and outcome.objective <= 1000


@BOTH
@pytest.mark.parametrize("threads", [1, 2])
def test_exception_of_a_callback(kind: Any, threads: int) -> None:
    def fail(event: Event) -> bool:
        raise ZeroDivisionError("from a callback")

    program = market_split(kind)
    with pytest.raises(ZeroDivisionError, match="from a callback"):
        solve(program, callbacks=[fail], threads=threads, time_limit=60)
    assert solve(program, time_limit=0.3)[0].stop == "time"  # and the model can still be solved


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")
def test_ctrl_c_returns_the_incumbent() -> None:
    begin = time.perf_counter()
    threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
    outcome, _ = solve(market_split(Direct), time_limit=60)
    assert time.perf_counter() - begin < 20
    assert (outcome.status, outcome.stop) == ("feasible", "user")


@BOTH
def test_log(kind: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, stream = tmp_path / "highs.log", io.StringIO()
    program = kind([2, 3], [(22, [3, 5], INF)], upper=5)
    solve(program, log=path)
    assert "Primal bound" in path.read_text()
    first = path.stat().st_size
    solve(program, log=path)
    assert path.stat().st_size > first  # appended
    solve(program, log=stream)
    assert "Primal bound" in stream.getvalue()
    length = len(stream.getvalue())
    solve(program)
    assert len(stream.getvalue()) == length
    assert capfd.readouterr().out == ""


# ---- Pyomo -----------------------------------------------------------------------------------------------------------
def test_persistent_model_follows_changes() -> None:
    program = ByPyomo([2, 3], [(22, [3, 5], INF)], upper=5)
    assert solve(program)[0].objective == 14
    kept = _LOADED[program]
    program.model.more = pyo.Constraint(expr=program.model.x[0] <= 1)
    assert solve(program)[0].solution == [1, 4]
    program.model.x[1].fix(5)
    assert solve(program)[0].solution == [0, 5]
    program.model.x[1].unfix()
    program.model.more.deactivate()
    assert solve(program)[0].objective == 14
    assert _LOADED[program] is kept
    assert pyo.value(program.model.goal) == 14  # the model holds the incumbent


def test_a_limit_while_the_model_is_loaded_leaves_it_whole() -> None:
    program = ByPyomo([2, 3], [(22, [3, 5], INF)], upper=5)
    run = Run("min", time_limit=0.001, threads=1)
    time.sleep(0.002)
    assert drive(program, run, options={}).stop == "time"
    assert solve(program)[0].objective == 14


def test_programs_are_not_kept_alive() -> None:
    program = ByPyomo([2, 3], [(22, [3, 5], INF)], upper=5)
    solve(program)
    kept = weakref.ref(_LOADED[program])
    del program
    gc.collect()
    assert kept() is None


def test_every_variable_fixed() -> None:
    program = ByPyomo([2, 3], [(22, [3, 5], INF)], upper=5)
    program.encode([5, 3], fix=True)
    outcome, _ = solve(program)
    assert (outcome.status, outcome.objective) == ("optimal", 19)
    program.encode([0, 0], fix=True)
    assert solve(program)[0].status == "infeasible"


def test_other_solvers_by_name() -> None:
    """appsi_highs stands for them: an interface of Pyomo that this engine knows nothing of."""
    program = ByPyomo([2, 3], [(22, [3, 5], INF)], upper=5)
    outcome, run = solve(program, solver="appsi_highs")
    assert (outcome.status, outcome.objective, outcome.bound, outcome.solution) == ("optimal", 14, 14, [4, 2])
    assert run.trace.objective == 14
    hard, stream, begin = market_split(ByPyomo), io.StringIO(), time.perf_counter()
    outcome, _ = solve(hard, solver="appsi_highs", time_limit=1.0, log=stream)
    assert time.perf_counter() - begin <= 1.0 * 1.05 + 1.0
    assert (outcome.status, outcome.stop) == ("feasible", "time")
    assert outcome.objective is not None and outcome.bound is not None and outcome.bound < outcome.objective
    assert "Running HiGHS" in stream.getvalue()
    program.relaxation = True
    for v in program.model.x.values():
        v.domain = pyo.Reals
    outcome, _ = solve(program, solver="appsi_highs")
    assert (outcome.status, outcome.bound_of) == ("no_solution", "the toy relaxation")
    assert outcome.bound == pytest.approx(13.2)


def test_solvers_that_are_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    program = ByPyomo([2, 3], [(22, [3, 5], INF)], upper=5)
    with pytest.raises(NotInstalledError, match="no-such-solver"):
        solve(program, solver="no-such-solver")
    assert capfd.readouterr().err == ""


def test_local_solvers_get_no_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    class There:
        def available(self, exception_flag: bool = True) -> bool:
            return True

    monkeypatch.setattr(pyo, "SolverFactory", lambda name: There())
    with pytest.raises(NotSupportedError, match="local solver"):
        solve(ByPyomo([2, 3], [(22, [3, 5], INF)], upper=5), solver="ipopt")
