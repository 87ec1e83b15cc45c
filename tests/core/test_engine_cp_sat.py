"""The CP-SAT engine on models that have nothing to do with any problem of orrl."""

from __future__ import annotations

import io
import os
import random
import signal
import threading
import time
from typing import Any, ClassVar

import pytest
from ortools.sat.python import cp_model

from orrl.core import Event, Outcome, Program, Run, StopAtObjective, UnknownNameError
from orrl.core.engines import drive
from orrl.core.errors import OrrlError


class Toy(Program):
    """A CpModel with variables to decode."""

    backend: ClassVar[str] = "cp-sat"
    form = "toy"
    integral_objective = True

    def __init__(self, model: cp_model.CpModel, variables: list[Any], objective: Any, sense: Any = "min") -> None:
        self.model, self.variables, self.goal, self.sense = model, variables, objective, sense
        (model.minimize if sense == "min" else model.maximize)(objective)

    def encode(self, solution: list[int], *, fix: bool = False) -> None:
        for variable, value in zip(self.variables, solution, strict=True):
            self.model.add(variable == value) if fix else self.model.add_hint(variable, value)

    def decode(self, value: Any) -> list[int]:
        return [int(value(v)) for v in self.variables]

    @property
    def objective_variable(self) -> Any:
        return self.goal


def cover(sense: Any = "min") -> Toy:
    """Smallest 3x + 5y >= 22 by 2x + 3y: 14 at (4, 2); or the largest 2x + 3y <= 22 with x, y <= 5: 22 at (5, 4)."""
    model = cp_model.CpModel()
    x, y = model.new_int_var(0, 5, "x"), model.new_int_var(0, 5, "y")
    if sense == "min":
        model.add(3 * x + 5 * y >= 22)
        return Toy(model, [x, y], 2 * x + 3 * y)
    model.add(2 * x + 3 * y <= 22)
    return Toy(model, [x, y], 2 * x + 3 * y, "max")


def market_split(rows: int = 5, columns: int = 40, *, slack: bool = True, constant: int = 0) -> Toy:
    """Split customers in half for every product (Cornuejols & Dawande 1999): hard to prove; without slack, to solve."""
    rng = random.Random(1)
    model = cp_model.CpModel()
    x = [model.new_bool_var(f"x{i}") for i in range(columns)]
    gaps = []
    for _ in range(rows):
        weights = [rng.randrange(100) for _ in range(columns)]
        balance = sum(w * v for w, v in zip(weights, x, strict=True)) - sum(weights) // 2
        if slack:
            gap = model.new_int_var(0, 10_000, "gap")
            model.add_abs_equality(gap, balance)
            gaps.append(gap)
        else:
            model.add(balance == 0)
    return Toy(model, x, constant + sum(gaps if slack else x))


def solve(program: Program, *, options: dict[str, Any] | None = None, **limits: Any) -> tuple[Outcome, Run]:
    limits.setdefault("threads", 1)
    run = Run(program.sense, **limits)
    return drive(program, run, options=options or {}), run


@pytest.mark.parametrize(("sense", "best"), [("min", 14.0), ("max", 22.0)])
def test_optimal(sense: Any, best: float) -> None:
    outcome, run = solve(cover(sense))
    assert (outcome.status, outcome.stop, outcome.objective, outcome.bound) == ("optimal", "optimal", best, best)
    x, y = outcome.solution
    assert 2 * x + 3 * y == best
    assert run.trace.objective == run.trace.bound == best
    assert {"branches", "conflicts", "workers", "engine_seconds", "engine_user_seconds"} <= outcome.meta.keys()
    assert outcome.meta["workers"] == 1


def test_fixed_solution_keeps_its_value() -> None:
    program = cover()
    program.encode([3, 3], fix=True)
    outcome, _ = solve(program)
    assert outcome.solution == [3, 3]
    assert outcome.objective == 15


def test_infeasible_and_cut_off() -> None:
    program = cover()
    program.model.add(program.variables[0] + program.variables[1] <= 2)
    outcome, _ = solve(program)
    assert (outcome.status, outcome.solution, outcome.bound) == ("infeasible", None, None)
    program.assumption = "nothing below 3 was looked at"  # type: ignore[attr-defined]
    outcome, _ = solve(program)
    assert outcome.status == "no_solution"
    assert "below 3" in outcome.message


def test_invalid_model_is_an_error_with_the_reason() -> None:
    model = cp_model.CpModel()
    x = model.new_int_var(0, 2**61, "x")
    model.add(8 * x >= 3)
    outcome, _ = solve(Toy(model, [x], x))
    assert (outcome.status, outcome.stop) == ("error", "failure")
    assert "overflow" in outcome.message.lower()


def test_time_limit_keeps_incumbent_and_bound() -> None:
    program, start = market_split(), time.perf_counter()
    outcome, run = solve(program, time_limit=1.0, threads=2)
    assert time.perf_counter() - start <= 1.05 + 1.0
    assert (outcome.status, outcome.stop) == ("feasible", "time")
    assert outcome.objective is not None and outcome.bound is not None
    assert 0 <= outcome.bound < outcome.objective == run.trace.objective
    assert outcome.objective == sum(abs(g) for g in _gaps(program, outcome.solution))


def _gaps(program: Toy, solution: list[int]) -> list[int]:
    rng, gaps = random.Random(1), []
    for _ in range(5):
        weights = [rng.randrange(100) for _ in solution]
        gaps.append(sum(w * v for w, v in zip(weights, solution, strict=True)) - sum(weights) // 2)
    return gaps


def test_bound_without_an_incumbent() -> None:
    outcome, run = solve(market_split(6, 50, slack=False, constant=7), time_limit=1.0)
    assert (outcome.status, outcome.stop, outcome.solution) == ("no_solution", "time", None)
    assert outcome.bound is not None and 7 <= outcome.bound <= 57
    assert run.trace.bound == outcome.bound


@pytest.mark.parametrize(("sense", "range_bound"), [("min", 0.0), ("max", 25.0)])
def test_bound_of_the_ranges_where_there_was_no_time_at_all(sense: Any, range_bound: float) -> None:
    # a search cut off in presolve reports 0, which would be no bound of a maximum
    outcome, _ = solve(cover(sense), options={"max_time_in_seconds": 0.0})
    assert (outcome.status, outcome.stop, outcome.bound) == ("no_solution", "iterations", range_bound)


def test_known_solution_is_the_answer_where_there_was_no_time() -> None:
    class Knows(Toy):
        def fallback(self) -> list[int]:
            return [5, 5]

        def objective_of(self, solution: list[int]) -> float:
            return 2.0 * solution[0] + 3.0 * solution[1]

    toy = cover()
    outcome, run = solve(Knows(toy.model, toy.variables, toy.goal), options={"max_time_in_seconds": 0.0})
    assert (outcome.status, outcome.solution, outcome.objective) == ("feasible", [5, 5], 25.0)
    assert run.trace.objective == 25.0


def test_gap_limit() -> None:
    outcome, _ = solve(market_split(constant=1000), gap=0.5, time_limit=30.0)
    assert (outcome.status, outcome.stop) == ("feasible", "gap")
    assert outcome.bound is not None and outcome.objective is not None and outcome.bound < outcome.objective


@pytest.mark.parametrize("kind", ["incumbent", "bound"])
def test_callback_stops_the_search(kind: str) -> None:
    events: list[Event] = []

    def stop(event: Event) -> bool:
        events.append(event)
        return event.kind == kind

    outcome, run = solve(market_split(), time_limit=30.0, callbacks=[stop])
    assert run.deadline.elapsed < 20
    assert outcome.stop == "user"
    assert outcome.status in ({"feasible"} if kind == "incumbent" else {"feasible", "no_solution"})
    assert [e.kind for e in events].count(kind) == 1


def test_stop_at_objective_and_lazy_solution() -> None:
    seen: list[tuple[float, list[int]]] = []

    def watch(event: Event) -> None:
        if event.kind == "incumbent" and event.solution is not None and event.objective is not None:
            seen.append((event.objective, event.solution()))

    program = market_split()
    outcome, _ = solve(program, time_limit=30.0, callbacks=[watch, StopAtObjective(3000, "min")])
    assert outcome.stop == "user"
    assert outcome.objective is not None and outcome.objective <= 3000
    assert [value for value, _ in seen] == sorted({value for value, _ in seen}, reverse=True)
    for value, solution in seen:
        assert value == sum(abs(g) for g in _gaps(program, solution))


@pytest.mark.parametrize("kind", ["incumbent", "bound"])
def test_exception_of_a_callback_comes_out(kind: str) -> None:
    def fail(event: Event) -> None:
        if event.kind == kind:
            raise ZeroDivisionError(kind)

    with pytest.raises(ZeroDivisionError, match=kind):
        solve(market_split(), time_limit=30.0, callbacks=[fail])


def test_interrupt_from_the_keyboard_returns_the_incumbent() -> None:
    found = threading.Event()

    def interrupt() -> None:
        found.wait(20)
        os.kill(os.getpid(), signal.SIGINT)

    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        outcome, run = solve(market_split(), time_limit=60.0, callbacks=[lambda e: found.set()])
    finally:
        thread.join()
        signal.signal(signal.SIGINT, usual)
    assert (outcome.status, outcome.stop) == ("feasible", "user")
    assert run.deadline.elapsed < 40


def test_log_to_a_file_and_to_a_stream(tmp_path: Any) -> None:
    path, stream = tmp_path / "cp.log", io.StringIO()
    solve(cover(), log=path)
    solve(cover(), log=stream)
    for text in (path.read_text(), stream.getvalue()):
        assert "Starting CP-SAT solver" in text
        assert "objective: 14" in text


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    solve(cover())
    assert capfd.readouterr() == ("", "")


def test_options_pass_through() -> None:
    stream = io.StringIO()
    options = {
        "max_number_of_conflicts": 5,
        "search_branching": "FIXED_SEARCH",
        "restart_algorithms": ["LUBY_RESTART", "DL_MOVING_AVERAGE_RESTART"],
        "ignore_subsolvers": ["max_lp"],
        "num_workers": 1,
    }
    outcome, _ = solve(market_split(), options=options, log=stream, threads=2, time_limit=30.0)
    assert outcome.stop == "iterations"
    assert outcome.meta["conflicts"] < 1000
    assert outcome.meta["workers"] == 1
    said = stream.getvalue()
    for word in ("max_number_of_conflicts: 5", "FIXED_SEARCH", "LUBY_RESTART", "DL_MOVING_AVERAGE_RESTART", "max_lp"):
        assert word in said


def test_program_has_its_own_parameters_and_the_caller_wins() -> None:
    stream, program = io.StringIO(), cover()
    program.parameters = lambda threads: {"linearization_level": threads - 1, "cut_level": 0}  # type: ignore[attr-defined]
    solve(program, options={"cut_level": 2}, log=stream, threads=1)
    assert "linearization_level: 0" in stream.getvalue()
    assert "cut_level: 2" in stream.getvalue()


def test_options_cannot_lengthen_the_time_limit() -> None:
    outcome, run = solve(market_split(), time_limit=0.5, options={"max_time_in_seconds": 30})
    assert outcome.stop == "time"
    assert run.deadline.elapsed < 15  # far below 30, and room for a busy machine


def test_unknown_option_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"'linearisation_level'.*'linearization_level'"):
        solve(cover(), options={"linearisation_level": 0})
    with pytest.raises(UnknownNameError, match="copy_from"):
        solve(cover(), options={"copy_from": 0})


@pytest.mark.parametrize(
    ("name", "value"), [("num_workers", "two"), ("search_branching", "QUICKLY"), ("subsolvers", [1, "a"])]
)
def test_value_that_a_parameter_does_not_take(name: str, value: Any) -> None:
    with pytest.raises(OrrlError, match=name):
        solve(cover(), options={name: value})


def test_unknown_backend() -> None:
    program = cover()
    program.backend = "abacus"  # type: ignore[misc]
    with pytest.raises(UnknownNameError, match="abacus"):
        drive(program, Run("min"), options={})


def test_program_solve_makes_its_own_run() -> None:
    outcome = cover().solve(time_limit=10, threads=1, seed=3)
    assert (outcome.status, outcome.objective) == ("optimal", 14)
