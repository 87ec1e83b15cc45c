"""The CP-SAT programs of the job shop: known optima, brute force on every variant, limits, hints and extensions."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from brute import brute_force, count_orders
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from shop_strategies import SEEDS, play_on, shops, shops_in_worlds

from orrl.core.errors import DataError, NotSupportedError, UnknownNameError
from orrl.problems.jobshop import Interruptions, JobShop, Outages, Schedule, ShopState
from orrl.problems.jobshop.kernel import ShopKernel
from orrl.problems.jobshop.programs.horizon import first_schedule, last_moment
from orrl.solvers.exact.cp_sat import CpSat

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orrl.core.program import Outcome

RANDOM = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@pytest.fixture(scope="module")
def shop(data_root: Callable[[str], Path]) -> Callable[..., JobShop]:
    """``shop("la01", storage="blocking")`` from the public instances."""
    table = json.loads((data_root("jobshop") / "jsp_instances.json").read_text())

    def make(name: str, **options: Any) -> JobShop:
        row = table[name]
        return JobShop(machines=row["machines_matrix"], durations=row["duration_matrix"], name=name, **options)

    return make


def proved(problem: JobShop, form: str, scenario: Outages | None = None, **options: Any) -> Outcome:
    """The proven optimum, accepted by the referee."""
    program = problem.program(backend="cp-sat", form=form, scenario=scenario)
    outcome = program.solve(threads=1, time_limit=240, **options)
    assert (outcome.status, outcome.stop) == ("optimal", "optimal"), outcome
    verdict = problem.evaluate(outcome.solution, scenario)
    assert verdict.feasible, verdict.violations
    assert outcome.objective == outcome.bound == verdict.objective
    return outcome


# ---- known optima ----------------------------------------------------------------------------------------------------
PLAIN = {"ft06": 55, "la01": 666, "la02": 655, "la03": 597, "la04": 590, "la05": 593}
BLOCKING = {"ft06": 63, "la01": 793, "la02": 793, "la03": 715, "la04": 743, "la05": 664}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_optima(shop: Callable[..., JobShop], name: str) -> None:
    assert proved(shop(name), "interval").objective == PLAIN[name]


@pytest.mark.parametrize("name", BLOCKING)
def test_blocking_optima(shop: Callable[..., JobShop], name: str) -> None:
    assert proved(shop(name, storage="blocking"), "literal").objective == BLOCKING[name]


@pytest.mark.slow
def test_ft10(shop: Callable[..., JobShop]) -> None:
    assert proved(shop("ft10"), "interval").objective == 930


@pytest.mark.slow
@pytest.mark.parametrize(("name", "best"), [("ft10", 1068), ("la17", 929), ("la20", 1060), ("orb10", 1146)])
def test_blocking_optima_10x10(shop: Callable[..., JobShop], name: str, best: int) -> None:
    assert proved(shop(name, storage="blocking"), "literal").objective == best


def test_the_other_forms_on_ft06(shop: Callable[..., JobShop]) -> None:
    assert proved(shop("ft06"), "literal").objective == 55
    assert proved(shop("ft06", storage="blocking"), "interval").objective == 63


def test_less_freedom_costs_more(shop: Callable[..., JobShop]) -> None:
    plain, swap = shop("ft06"), shop("ft06", storage="blocking")
    fixed = shop("ft06", storage="blocking", swap=False)
    assert proved(fixed, "literal").objective == 69  # by this model; the referee knows no swap in it
    assert proved(plain, "interval").objective < proved(swap, "literal").objective < 69


def test_zero_durations_of_orb07(shop: Callable[..., JobShop]) -> None:
    whole = shop("orb07", storage="blocking")
    assert (whole.durations == 0).sum() == 1
    j, k = np.argwhere(whole.durations == 0)[0].tolist()
    jobs = [j, *[i for i in range(10) if i != j][:2]]
    small = JobShop(
        machines=whole.machines[jobs, : k + 2], durations=whole.durations[jobs, : k + 2], storage="blocking"
    )
    assert (small.durations == 0).any()
    assert proved(small, "literal").objective == proved(small, "interval").objective


# ---- brute force -----------------------------------------------------------------------------------------------------
def agree(problem: JobShop, world: Outages) -> None:
    best = brute_force(problem, world)
    for form in problem.forms().get("cp-sat", ()):
        if best is None:
            program = problem.program(backend="cp-sat", form=form, scenario=world)
            assert program.solve(threads=1, time_limit=60).status == "infeasible"
        else:
            assert proved(problem, form, world).objective == problem.evaluate(best, world).objective


def refuses(problem: JobShop, world: Outages) -> bool:
    """Calendars with mode="repeat" have no program."""
    calendar = not problem.forms() or len(world.windows) > 0
    return problem.interruptions.mode == "repeat" and calendar


@RANDOM
@given(st.data())
def test_forms_find_the_optimum_of_random_shops(data: st.DataObject) -> None:
    problem, world = data.draw(shops_in_worlds(max_jobs=3, max_machines=3))
    assume(count_orders(problem) <= 300 and not refuses(problem, world))
    agree(problem, world)


@RANDOM
@given(st.data())
def test_forms_find_the_optimum_of_running_shops(data: st.DataObject) -> None:
    problem, world = data.draw(shops_in_worlds(max_jobs=3, max_machines=3))
    assume(count_orders(problem) <= 300 and not refuses(problem, world))
    kernel = ShopKernel([problem])
    state = kernel.reset([world])
    play_on(kernel, state, np.random.default_rng(data.draw(SEEDS)), steps=data.draw(st.integers(1, 6)))
    agree(problem.at(kernel.snapshot(state, 0)), world)


@RANDOM
@given(shops(max_jobs=3, max_machines=3, disturbed=False, variants=("BNS",)))
def test_storage_and_swaps_never_hurt(problem: JobShop) -> None:
    wide = [problem, problem.replace(swap=True), problem.replace(storage="unlimited")]
    values = []
    for one in wide:
        outcome = one.program(backend="cp-sat").solve(threads=1, time_limit=60)
        values.append(float("inf") if outcome.status == "infeasible" else outcome.objective)
    assert values == sorted(values, key=float, reverse=True)


def test_jobs_that_return_to_a_machine() -> None:
    problem = JobShop(machines=[[0, 1, 0], [1, 0, 1]], durations=[[2, 3, 1], [4, 1, 2]], storage="blocking")
    agree(problem, problem.nominal())
    agree(problem.replace(swap=False), problem.nominal())
    plain = problem.replace(storage="unlimited")
    agree(plain, plain.nominal())


def test_opposite_routes_without_swap_go_one_after_the_other() -> None:
    problem = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 4], [5, 6]], storage="blocking")
    # with a swap, job 0 waits on machine 0 until 5, when both exchange
    assert proved(problem, "literal").objective == proved(problem, "interval").objective == 11
    stiff = problem.replace(swap=False)
    # without, whoever enters second would wait for ever: 3 + 4 + 5 + 6
    assert proved(stiff, "literal").objective == 18
    assert brute_force(stiff).makespan == 18  # type: ignore[union-attr]


def test_deadlocked_state_is_infeasible() -> None:
    problem = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 4], [5, 6]], storage="blocking", swap=False)
    stuck = problem.at(ShopState(6, np.array([[0, -1], [0, -1]]), problem.nominal()))  # each waits for the other
    assert first_schedule(stuck, stuck.nominal()) is None
    outcome = stuck.program(backend="cp-sat").solve(threads=1, time_limit=60)
    assert (outcome.status, outcome.solution) == ("infeasible", None)


@pytest.mark.parametrize("storage", ["unlimited", "blocking"])
def test_an_operation_ends_where_an_outage_begins_or_goes_on_after_it(storage: Any) -> None:
    # down in [4, 6) and [9, 12): from 0, work 4 just fits, work 5 ends at 7, work 8 goes through both and ends at 13
    for work, end in ((4, 4), (5, 7), (7, 9), (8, 13), (0, 0)):
        one = JobShop(machines=[[0]], durations=[[work]], maintenance=[(0, 4, 6), (0, 9, 12)], storage=storage)
        for form in one.forms()["cp-sat"]:
            assert proved(one, form).objective == end
    late = JobShop(machines=[[0]], durations=[[0]], maintenance=[(0, 4, 6)], release=[4], storage=storage)
    assert proved(late, "literal").solution.start[0, 0] == 6


# ---- which forms there are -------------------------------------------------------------------------------------------
def test_forms_of_each_variant() -> None:
    plain = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 4], [5, 6]])
    blocking = plain.replace(storage="blocking")
    assert plain.forms()["cp-sat"] == ("interval", "literal")
    assert blocking.forms()["cp-sat"] == ("literal", "interval")
    assert blocking.replace(swap=False).forms()["cp-sat"] == ("literal",)
    assert {"pyomo", "highspy"} <= plain.forms().keys()
    for calendar in (
        {"maintenance": [(0, 3, 5)]},
        {"interruptions": Interruptions(law="mtbf", mtbf=9.0)},
    ):
        assert plain.replace(**calendar).forms().keys() == {"cp-sat"}
    again = plain.replace(maintenance=[(0, 3, 5)], interruptions=Interruptions(mode="repeat"))
    assert again.forms() == {}
    support = CpSat().supports(again)
    assert not support
    assert "repeat" in support.reason


def test_large_blocking_shops_begin_with_intervals() -> None:
    large = JobShop.generate(seed=1, jobs=70, machines=10, storage="blocking")
    assert large.forms()["cp-sat"] == ("interval", "literal")


def test_unknown_backend_and_form() -> None:
    plain = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 4], [5, 6]])
    with pytest.raises(UnknownNameError, match="abacus"):
        plain.program(backend="abacus")
    with pytest.raises(UnknownNameError, match="litteral"):
        plain.program(backend="cp-sat", form="litteral")
    with pytest.raises(UnknownNameError, match="interval"):
        plain.replace(storage="blocking", swap=False).program(backend="cp-sat", form="interval")
    assert not CpSat(form="litteral").supports(plain)


def test_windows_of_a_scenario_with_mode_repeat_are_refused() -> None:
    plain = JobShop(machines=[[0]], durations=[[3]], interruptions=Interruptions(p=0.5, mode="repeat"))
    world = Outages(np.zeros((1, 1), np.int64), np.array([[0, 1, 2]]))
    with pytest.raises(NotSupportedError, match="resume"):
        plain.program(backend="cp-sat", scenario=world)


# ---- hints, fixing, extending ----------------------------------------------------------------------------------------
@RANDOM
@given(st.data())
def test_first_schedule_is_feasible_and_a_whole_hint(data: st.DataObject) -> None:
    problem, world = data.draw(shops_in_worlds())
    assume(not refuses(problem, world))
    if data.draw(st.booleans()):
        kernel = ShopKernel([problem])
        state = kernel.reset([world])
        play_on(kernel, state, np.random.default_rng(data.draw(SEEDS)), steps=data.draw(st.integers(1, 8)))
        problem = problem.at(kernel.snapshot(state, 0))
    plan = first_schedule(problem, world)
    if plan is None:
        assert problem.state is not None  # a fresh shop can always be done job by job
        return
    verdict = problem.evaluate(plan, world)
    assert verdict.feasible, verdict.violations
    assert plan.makespan <= last_moment(problem, world)
    for form in problem.forms()["cp-sat"]:
        program = problem.program(backend="cp-sat", form=form, scenario=world, hint=plan)
        if problem.swap or (plan.leave > plan.start)[problem.machines >= 0].all():
            assert len(program.model.proto.solution_hint.vars) == len(program.model.proto.variables)
            held = program.solve(threads=1, options={"fix_variables_to_their_hinted_value": True})
            assert (held.status, held.objective) == ("optimal", verdict.objective)
        program.encode(plan, fix=True)
        fixed = program.solve(threads=1)
        assert (fixed.status, fixed.objective) == ("optimal", verdict.objective)
        assert np.array_equal(fixed.solution.start, plan.start)


def test_fixing_a_schedule_beyond_the_horizon() -> None:
    problem = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 4], [5, 6]])
    late = Schedule.realised(problem, [[100, 200], [300, 400]])
    program = problem.program(backend="cp-sat")
    program.encode(late, fix=True)
    assert program.solve(threads=1).objective == 406
    extended = problem.program(backend="cp-sat")
    extended.model.add(extended.start[0, 0] >= 1)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="horizon"):
        extended.encode(late, fix=True)


def test_fixing_an_infeasible_schedule_is_infeasible() -> None:
    problem = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 4], [5, 6]], storage="blocking")
    program = problem.program(backend="cp-sat")
    program.encode(Schedule.realised(problem, [[0, 3], [0, 3]]), fix=True)
    assert program.solve(threads=1).status == "infeasible"


@pytest.mark.parametrize("form", ["interval", "literal"])
def test_rows_added_by_hand_are_kept(shop: Callable[..., JobShop], form: str) -> None:
    problem = shop("ft06", storage="blocking")
    program = problem.program(backend="cp-sat", form=form)
    program.model.add(program.start[0, 0] >= 80)  # type: ignore[attr-defined]
    outcome = program.solve(threads=1, time_limit=60)
    # worse than every schedule that was known when the model was built: the horizon leaves room for it
    assert outcome.status == "optimal"
    assert outcome.objective is not None and outcome.objective >= 80 + problem.durations[0].sum()
    assert outcome.solution.start[0, 0] >= 80
    assert problem.evaluate(outcome.solution).feasible


def test_start_is_not_the_answer_where_rows_were_added(shop: Callable[..., JobShop]) -> None:
    hurry = {"max_time_in_seconds": 0.0}
    problem = shop("la01", storage="blocking")
    program = problem.program(backend="cp-sat")
    outcome = program.solve(threads=1, options=hurry)
    assert (outcome.status, outcome.bound) == ("feasible", 666)
    assert outcome.objective == problem.evaluate(outcome.solution).objective > 793
    program.model.add(program.start[0, 0] >= 80)  # type: ignore[attr-defined]
    outcome = program.solve(threads=1, options=hurry)
    assert (outcome.status, outcome.solution, outcome.bound) == ("no_solution", None, 666)


def test_horizon_that_is_too_short() -> None:
    problem = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 4], [5, 6]])
    with pytest.raises(DataError, match="horizon 10 is out of reach"):
        problem.program(backend="cp-sat", horizon=10)
    blocking = problem.replace(storage="blocking", swap=False)
    outcome = blocking.program(backend="cp-sat", horizon=17).solve(threads=1)
    assert outcome.status == "no_solution"  # not "infeasible": the caller has cut schedules off
    assert "horizon=17" in outcome.message
    assert blocking.program(backend="cp-sat", horizon=18).solve(threads=1).objective == 18


# ---- the solver ------------------------------------------------------------------------------------------------------
def test_solver_gives_a_judged_result(shop: Callable[..., JobShop]) -> None:
    result = CpSat().solve(shop("ft06", storage="blocking"), threads=1, time_limit=60)
    assert (result.status, result.stop, result.objective, result.gap) == ("optimal", "optimal", 63, 0.0)
    assert result.evaluation is not None and result.evaluation.feasible
    assert result.trace.objective == result.trace.bound == 63
    assert result.meta["form"] == "literal"
    assert 0 < result.times.build < result.times.total


def test_time_limit_on_a_hard_shop(shop: Callable[..., JobShop]) -> None:
    problem = shop("la36", storage="blocking")
    start = time.perf_counter()
    result = CpSat().solve(problem, time_limit=2.0, threads=1)
    assert time.perf_counter() - start <= 2.0 * 1.05 + 1.0
    assert (result.status, result.stop) == ("feasible", "time")
    assert result.objective is not None and result.bound is not None
    assert result.bound.value < result.objective


def test_warm_start_is_the_first_incumbent(shop: Callable[..., JobShop]) -> None:
    problem = shop("la02", storage="blocking")
    seen: list[float] = []
    best = CpSat().solve(problem, threads=1, time_limit=120)
    again = CpSat().solve(
        problem, threads=1, time_limit=120, warm_start=best, callbacks=[lambda e: seen.append(e.objective or 0.0)]
    )
    assert best.objective == again.objective == 793
    assert next(value for value in seen if value) == 793


def test_callback_and_log(shop: Callable[..., JobShop], tmp_path: Path) -> None:
    problem = shop("la16", storage="blocking")
    path = tmp_path / "cp-sat.log"
    result = CpSat().solve(
        problem, threads=1, time_limit=60, log=path, callbacks=[lambda e: e.kind == "incumbent" and e.seconds > 0]
    )
    assert (result.status, result.stop) == ("feasible", "user")
    assert result.evaluation is not None and result.evaluation.feasible
    assert "Starting CP-SAT solver" in path.read_text()


def test_solver_options(shop: Callable[..., JobShop]) -> None:
    problem = shop("ft06", storage="blocking")
    result = CpSat(form="interval", solver_options={"linearization_level": 0}).solve(problem, threads=2, time_limit=60)
    assert (result.objective, result.meta["form"]) == (63, "interval")
    with pytest.raises(UnknownNameError, match="linear_level"):
        CpSat(solver_options={"linear_level": 0}).solve(problem, time_limit=60)


@pytest.mark.parametrize("law", [{"p": 0.4}, {"law": "mtbf", "mtbf": 40.0}])
def test_clairvoyant_optimum_of_a_scenario(shop: Callable[..., JobShop], law: dict[str, Any]) -> None:
    problem = shop("ft06", storage="blocking", interruptions=Interruptions(outage=(1, 9), **law))
    world = problem.scenario(7)
    result = CpSat().solve(problem, scenario=world, threads=1, time_limit=120)
    assert result.status == "optimal"
    assert result.objective is not None and result.objective > 63
    first = first_schedule(problem, world)
    assert first is not None
    assert result.objective <= problem.evaluate(first, world).objective
    with pytest.raises(NotSupportedError, match="scenario"):
        CpSat().solve(problem)
