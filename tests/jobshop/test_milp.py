"""The linear programs of the job shop and the solver `milp`: optima, brute force, relaxations, limits, extensions."""

from __future__ import annotations

import io
import json
import pickle
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from brute import brute_force, count_orders
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from shop_strategies import SEEDS, play_on, shops

from orrl.core import NotInstalledError, Result, StopAtObjective
from orrl.core.errors import DataError, NotSupportedError, OrrlWarning
from orrl.problems.jobshop import Interruptions, JobShop, Outages, Schedule, ShopState
from orrl.problems.jobshop.kernel import ShopKernel
from orrl.problems.jobshop.programs.disjunctive import DisjunctiveHighs, DisjunctivePyomo
from orrl.problems.jobshop.programs.horizon import first_schedule
from orrl.problems.jobshop.programs.time_indexed import TimeIndexed
from orrl.problems.jobshop.programs.timebounds import time_bounds
from orrl.solvers.exact.milp import Milp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orrl.core.program import Outcome

RANDOM = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
FORMS = [("highspy", "disjunctive"), ("pyomo", "disjunctive"), ("pyomo", "time-indexed")]
OPPOSITE = {"machines": [[0, 1], [1, 0]], "durations": [[3, 4], [5, 6]]}


@pytest.fixture(scope="module")
def shop(data_root: Callable[[str], Path]) -> Callable[..., JobShop]:
    """``shop("la01", storage="blocking")`` from the public instances."""
    table = json.loads((data_root("jobshop") / "jsp_instances.json").read_text())

    def make(name: str, **options: Any) -> JobShop:
        row = table[name]
        return JobShop(machines=row["machines_matrix"], durations=row["duration_matrix"], name=name, **options)

    return make


def programs(problem: JobShop, world: Outages | None = None, **options: Any) -> Iterator[Any]:
    """Every linear program of the variant."""
    for backend, form in FORMS:
        if form in problem.forms().get(backend, ()):
            yield problem.program(backend=backend, form=form, scenario=world, **options)


def proved(program: Any, **options: Any) -> Outcome:
    """The proven optimum, accepted by the referee."""
    outcome: Outcome = program.solve(threads=1, time_limit=240, **options)
    assert (outcome.status, outcome.stop) == ("optimal", "optimal"), outcome
    verdict = program.problem.evaluate(outcome.solution, program.scenario)
    assert verdict.feasible, verdict.violations
    assert outcome.objective == outcome.bound == verdict.objective
    return outcome


def agree(problem: JobShop, world: Outages) -> None:
    """Each program finds the optimum, its relaxation lies below it, and the optimum can be fixed and hinted."""
    best = brute_force(problem, world)
    for program in programs(problem, world):
        if best is None:
            assert program.solve(threads=1, time_limit=60).status == "infeasible"
            continue
        value = problem.evaluate(best, world).objective
        outcome = proved(program)
        assert outcome.objective == value
        program.encode(outcome.solution, fix=True)
        held = proved(program)
        assert held.objective == value
        assert np.array_equal(held.solution.start, outcome.solution.start)
    for program in programs(problem, world, relax=True):
        outcome = program.solve(threads=1, time_limit=60)
        if best is not None:
            assert (outcome.status, outcome.stop, outcome.solution) == ("no_solution", "finished", None)
            assert outcome.bound is not None and outcome.bound <= problem.evaluate(best, world).objective + 1e-6
            assert outcome.bound_of == f"the {program.form} LP relaxation"


def extra_times(problem: JobShop, seed: int) -> Outages:
    """A scenario without windows."""
    rng = np.random.default_rng(seed)
    return Outages(np.where(problem.machines >= 0, rng.integers(0, 4, problem.machines.shape), 0))


# ---- optima ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("backend", ["highspy", "pyomo"])
@pytest.mark.parametrize(
    ("options", "best"),
    [({}, 55), ({"storage": "blocking"}, 63), ({"storage": "blocking", "swap": False}, 69)],
    ids=["JSP", "BWS", "BNS"],
)
def test_ft06(shop: Callable[..., JobShop], backend: str, options: dict[str, Any], best: int) -> None:
    assert proved(shop("ft06", **options).program(backend=backend)).objective == best


@RANDOM
@given(st.data())
def test_random_shops_against_brute_force(data: st.DataObject) -> None:
    problem = data.draw(shops(max_jobs=3, max_machines=3, disturbed=False))
    assume(count_orders(problem) <= 300)
    agree(problem, extra_times(problem, data.draw(SEEDS)) if data.draw(st.booleans()) else problem.nominal())


@RANDOM
@given(st.data())
def test_running_shops_against_brute_force(data: st.DataObject) -> None:
    problem = data.draw(shops(max_jobs=3, max_machines=3, disturbed=False))
    assume(count_orders(problem) <= 300)
    world = extra_times(problem, data.draw(SEEDS))
    kernel = ShopKernel([problem])
    state = kernel.reset([world])
    play_on(kernel, state, np.random.default_rng(data.draw(SEEDS)), steps=data.draw(st.integers(1, 6)))
    agree(problem.at(kernel.snapshot(state, 0)), world)


def test_jobs_that_return_to_a_machine() -> None:
    problem = JobShop(machines=[[0, 1, 0], [1, 0, 1]], durations=[[2, 3, 1], [4, 1, 2]], storage="blocking")
    for one in (problem, problem.replace(swap=False), problem.replace(storage="unlimited")):
        agree(one, one.nominal())


def test_zero_durations_in_every_storage() -> None:
    problem = JobShop(machines=[[0, 1], [1, 0], [0, 1]], durations=[[4, 0], [3, 0], [0, 5]], storage="blocking")
    for one in (problem, problem.replace(swap=False), problem.replace(storage="unlimited")):
        agree(one, one.nominal())
        agree(one.replace(objective="total_flow"), one.nominal())


def test_opposite_routes() -> None:
    problem = JobShop(**OPPOSITE, storage="blocking")
    assert [proved(p).objective for p in programs(problem)] == [11, 11, 11]  # a swap at 5
    assert [proved(p).objective for p in programs(problem.replace(swap=False))] == [18, 18]  # one after the other


def test_deadlocked_state_is_infeasible() -> None:
    problem = JobShop(**OPPOSITE, storage="blocking", swap=False)
    stuck = problem.at(ShopState(6, np.array([[0, -1], [0, -1]]), problem.nominal()))  # each waits for the other
    assert {p.solve(threads=1).status for p in programs(stuck)} == {"infeasible"}
    assert {p.solve(threads=1).objective for p in programs(stuck.replace(swap=True))} == {12}


@pytest.mark.parametrize(("storage", "swap"), [("unlimited", True), ("blocking", True), ("blocking", False)])
def test_nothing_is_put_before_what_has_begun(storage: Any, swap: bool) -> None:
    """Job 1 takes no time, and job 0 has entered the machine at this very moment."""
    problem = JobShop(
        machines=[[0, 1], [0, 1]], durations=[[4, 2], [0, 5]], storage=storage, swap=swap, objective="total_flow"
    )
    now = problem.at(ShopState(3, np.array([[3, -1], [-1, -1]]), problem.nominal()))
    for program in programs(now):
        outcome = proved(program)
        assert outcome.solution.start[1, 0] >= 7
        assert outcome.objective == 9 + 14


def test_one_operation() -> None:
    problem = JobShop(machines=[[0]], durations=[[4]], release=[3])
    assert [proved(p).objective for p in programs(problem)] == [7, 7, 7]


# ---- one table, two renderings ---------------------------------------------------------------------------------------
def rows_of_pyomo(model: Any) -> dict[str, Any]:
    from pyomo.environ import Constraint, Objective, Var
    from pyomo.repn import generate_standard_repn

    found: dict[str, Any] = {}
    for v in model.component_data_objects(Var):
        found[v.name] = (v.lb, v.ub, not v.is_continuous())
    for row in model.component_data_objects(Constraint):
        body = generate_standard_repn(row.body)
        terms = {v.name: a for v, a in zip(body.linear_vars, body.linear_coefs, strict=True)}
        found[row.name] = (row.lower, row.upper, terms)
    for goal in model.component_data_objects(Objective):
        body = generate_standard_repn(goal.expr)
        found["goal"] = (body.constant, {v.name: a for v, a in zip(body.linear_vars, body.linear_coefs, strict=True)})
    return found


def rows_of_highs(model: Any) -> dict[str, Any]:
    import highspy

    lp = model.getLp()
    names, found = list(lp.col_names_), {}
    for i, name in enumerate(names):
        kind = bool(lp.integrality_) and lp.integrality_[i] != highspy.HighsVarType.kContinuous
        found[name] = (lp.col_lower_[i], lp.col_upper_[i], kind)
    for i, name in enumerate(lp.row_names_):
        low, high = (None if abs(x) >= highspy.kHighsInf else x for x in (lp.row_lower_[i], lp.row_upper_[i]))
        _, where, what = model.getRowEntries(i)
        found[name] = (low, high, {names[c]: a for c, a in zip(where, what, strict=True)})
    found["goal"] = (lp.offset_, {names[i]: c for i, c in enumerate(lp.col_cost_) if c})
    return found


@RANDOM
@given(shops(disturbed=False), st.booleans())
def test_both_backends_hold_the_same_rows(problem: JobShop, relax: bool) -> None:
    direct, other = DisjunctiveHighs(problem, relax=relax), DisjunctivePyomo(problem, relax=relax)
    assert rows_of_highs(direct.model) == rows_of_pyomo(other.model)


def test_the_model_speaks_the_shop_s_language() -> None:
    model = DisjunctivePyomo(JobShop(**OPPOSITE)).model
    assert model.start[1, 0].name == "start[1,0]"
    assert model.before[0, 0, 1, 1].is_binary()
    assert model.name == "jobshop"
    by_hand = TimeIndexed(JobShop(**OPPOSITE)).model
    assert by_hand.begun[0, 1, 3].is_binary()


# ---- tightness -------------------------------------------------------------------------------------------------------
def test_relaxations_of_ft06(shop: Callable[..., JobShop]) -> None:
    weak = DisjunctiveHighs(shop("ft06"), relax=True).solve(threads=1)
    strong = TimeIndexed(shop("ft06"), relax=True).solve(threads=1)
    assert weak.bound is not None and strong.bound is not None
    assert weak.bound < strong.bound < 55
    blocking = TimeIndexed(shop("ft06", storage="blocking"), relax=True).solve(threads=1)
    assert blocking.bound is not None and strong.bound < blocking.bound < 63


def test_relaxation_has_duals(shop: Callable[..., JobShop]) -> None:
    program = TimeIndexed(shop("ft06"), relax=True)
    outcome = program.solve(threads=1)
    capacity = [program.model.dual[row] for row in program.model.capacity.values()]
    assert outcome.bound is not None and min(capacity) < -0.01 and max(capacity) <= 1e-9
    direct = DisjunctiveHighs(shop("ft06"), relax=True)
    direct.solve(threads=1)
    assert direct.model.getSolution().dual_valid


def test_a_better_start_makes_a_tighter_model(shop: Callable[..., JobShop]) -> None:
    problem = shop("ft06", storage="blocking")
    best = proved(problem.program(backend="highspy")).solution
    first = first_schedule(problem, problem.nominal())
    assert first is not None and first.makespan > 63
    wide, tight = DisjunctiveHighs(problem, hint=first), DisjunctiveHighs(problem, hint=best)
    assert (wide.cutoff, tight.cutoff) == (first.makespan, 63)
    assert DisjunctiveHighs(problem, cut=False).cutoff == np.inf
    assert (tight.bounds.latest <= wide.bounds.latest).all() and (tight.bounds.latest < wide.bounds.latest).any()
    wide.encode(best)
    assert wide.cutoff == 63
    assert np.array_equal(wide.bounds.latest, tight.bounds.latest)
    wide.encode(first)  # worse than what it knows
    assert wide.cutoff == 63
    seen: list[float | None] = []
    outcome = Milp().solve(
        problem, threads=1, time_limit=60, warm_start=best, callbacks=[lambda e: seen.append(e.objective)]
    )
    assert outcome.objective == 63
    assert next(value for value in seen if value is not None) == 63


@RANDOM
@given(st.data())
def test_time_bounds_keep_every_schedule_that_is_good_enough(data: st.DataObject) -> None:
    problem = data.draw(shops(disturbed=False, max_jobs=4))
    plan = first_schedule(problem, problem.nominal())
    assert plan is not None
    value, own = problem.evaluate(plan).objective, problem.machines >= 0
    bounds = time_bounds(problem, problem.nominal(), cutoff=value, span=plan.makespan)
    assert (bounds.earliest[own] <= plan.start[own]).all()
    assert (plan.start[own] <= bounds.latest[own]).all()
    assert bounds.lower <= plan.makespan


def test_horizon_that_is_too_short() -> None:
    problem = JobShop(**OPPOSITE)
    for backend, form in FORMS:
        with pytest.raises(DataError, match="horizon 10 is out of reach: job 1 cannot end before 11"):
            problem.program(backend=backend, form=form, horizon=10)
        with pytest.raises(DataError, match="no schedule is over before 7"):
            JobShop(machines=[[0], [0]], durations=[[3], [4]]).program(backend=backend, form=form, horizon=6)
    stiff = problem.replace(storage="blocking", swap=False)
    for program in programs(stiff, horizon=17):
        outcome = program.solve(threads=1)
        assert outcome.status == "no_solution"  # not "infeasible": the caller has cut schedules off
        assert "horizon=17" in outcome.message
    assert {proved(p).objective for p in programs(stiff, horizon=18)} == {18}


# ---- what has no linear program --------------------------------------------------------------------------------------
def test_windows_are_refused() -> None:
    maintained = JobShop(**OPPOSITE, maintenance=[(0, 1, 2)])
    broken = JobShop(**OPPOSITE, interruptions=Interruptions(law="mtbf", mtbf=5.0))
    for kind in (DisjunctiveHighs, DisjunctivePyomo, TimeIndexed):
        for problem in (maintained, broken):
            with pytest.raises(NotSupportedError, match="cp-sat"):
                kind(problem, problem.scenario(0))
    support = Milp().supports(maintained)
    assert not support and "no linear" in support.reason


def test_time_indexed_says_what_it_cannot_do(shop: Callable[..., JobShop]) -> None:
    with pytest.raises(NotSupportedError, match=r"swap.*disjunctive"):
        TimeIndexed(JobShop(**OPPOSITE, storage="blocking", swap=False))
    with pytest.raises(NotSupportedError, match=r"max_columns=500: give horizon="):
        TimeIndexed(shop("ft06"), max_columns=500)
    assert TimeIndexed(shop("ft06"), horizon=55, max_columns=1000).size()[0] <= 1000
    support = Milp(form="time-indexed").supports(JobShop(**OPPOSITE, storage="blocking", swap=False))
    assert not support and "disjunctive" in support.reason


# ---- fixing and extending --------------------------------------------------------------------------------------------
@RANDOM
@given(st.data())
def test_episodes_can_be_fixed(data: st.DataObject) -> None:
    problem = data.draw(shops(disturbed=False, max_jobs=3))
    world = extra_times(problem, data.draw(SEEDS))
    kernel = ShopKernel([problem])
    state = kernel.reset([world])
    play_on(kernel, state, np.random.default_rng(data.draw(SEEDS)))
    assume(not kernel.failed(state)[0])
    plan = Schedule.realised(problem, kernel.snapshot(state, 0).start, world)
    for program in programs(problem, world):
        program.encode(plan, fix=True)
        outcome = program.solve(threads=1, time_limit=60)
        assert (outcome.status, outcome.objective) == ("optimal", problem.evaluate(plan, world).objective)
        assert np.array_equal(outcome.solution.start, plan.start)


def test_fixing_a_schedule_beyond_the_horizon() -> None:
    problem = JobShop(**OPPOSITE)
    late, later = (Schedule.realised(problem, np.array([[1, 2], [3, 4]]) * x) for x in (20, 30))
    for program in programs(problem, horizon=12):
        for plan in (late, later, late):
            program.encode(plan, fix=True)
            assert program.solve(threads=1).objective == plan.makespan
    for extended in programs(problem):
        add_row(extended, ("start", 0, 0) if extended.form == "disjunctive" else ("begun", 0, 0, 0))
        with pytest.raises(DataError, match="extended by hand"):
            extended.encode(late, fix=True)


def test_fixing_what_is_not_allowed() -> None:
    problem = JobShop(**OPPOSITE, storage="blocking", release=[2, 0])
    overlapping = Schedule.realised(problem, [[2, 5], [0, 5]])
    for program in programs(problem.replace(swap=False)):
        program.encode(overlapping, fix=True)
        assert program.solve(threads=1).status == "infeasible"
    early = Schedule.realised(problem, [[0, 5], [0, 5]])
    for program in programs(problem):
        with pytest.raises(DataError, match="before its release"):
            program.encode(early, fix=True)


def test_a_start_that_is_not_feasible() -> None:
    problem = JobShop(**OPPOSITE)
    longer = Outages(np.array([[2, 2], [2, 2]]))
    plan = Schedule.realised(problem, [[0, 5], [0, 5]])
    for program in programs(problem, longer):  # its orders are: the first operations take until 5 and 7
        program.encode(plan)
        assert program.fallback().start.tolist() == [[0, 7], [0, 7]]
    nonsense = Schedule.realised(problem.replace(storage="blocking", swap=False), [[0, 3], [0, 5]])
    for program in programs(problem.replace(storage="blocking", swap=False)):
        with pytest.raises(DataError, match="cannot be a start"):
            program.encode(nonsense)
    with pytest.raises(DataError, match="2 jobs x 2"):
        next(programs(JobShop(machines=[[0]], durations=[[1]]))).encode(plan)


def add_row(program: Any, key: tuple[Any, ...], least: float = 1.0) -> None:
    """Demand that a column is at least `least`, the way a user would."""
    if program.backend == "pyomo":
        import pyomo.environ as pyo

        program.model.mine = pyo.Constraint(expr=program.variable(key) >= least)
    else:
        program.model.addRow(least, np.inf, 1, np.array([program.variable(key)], np.int32), np.ones(1))


@pytest.mark.parametrize("backend", ["highspy", "pyomo"])
def test_rows_added_by_hand_are_kept(shop: Callable[..., JobShop], backend: str) -> None:
    problem = shop("ft06", storage="blocking")
    program: Any = problem.program(backend=backend)
    add_row(program, ("start", 0, 0), 5)
    assert program.fallback() is None  # the start need not keep the row
    outcome = program.solve(threads=1, time_limit=120)
    assert outcome.status == "optimal"
    assert outcome.solution.start[0, 0] >= 5
    assert problem.evaluate(outcome.solution).feasible
    late: Any = problem.program(backend=backend)
    add_row(late, ("start", 0, 0), 80)
    outcome = late.solve(threads=1, time_limit=60)
    assert (outcome.status, outcome.stop) == ("no_solution", "finished")  # the model was built for better schedules
    assert "cut=False" in outcome.message
    room: Any = problem.program(backend=backend, cut=False)
    add_row(room, ("start", 0, 0), 80)
    outcome = room.solve(threads=1, time_limit=10)
    assert outcome.solution is not None and outcome.solution.start[0, 0] >= 80


def test_pickling(shop: Callable[..., JobShop]) -> None:
    program = DisjunctivePyomo(JobShop(**OPPOSITE))
    program.solve(threads=1)
    assert proved(pickle.loads(pickle.dumps(program))).objective == 11
    with pytest.raises(TypeError, match="send the problem"):
        pickle.dumps(DisjunctiveHighs(JobShop(**OPPOSITE)))


# ---- the solver ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("direct", [True, False])
def test_solver_gives_a_judged_result(shop: Callable[..., JobShop], direct: bool) -> None:
    result = Milp(direct=direct).solve(shop("ft06", storage="blocking"), threads=2, time_limit=120)
    assert (result.status, result.stop, result.objective, result.gap) == ("optimal", "optimal", 63, 0.0)
    assert result.evaluation is not None and result.evaluation.feasible
    assert result.trace.objective == result.trace.bound == 63
    assert result.meta["form"] == "disjunctive"
    assert result.meta["backend"] == ("highspy" if direct else "pyomo")
    assert 0 < result.times.build < result.times.total
    again = Result.from_json(result.to_json())
    assert (again.objective, again.bound, again.gap) == (63, result.bound, 0.0)


def test_numbers_of_threads_one_after_another(shop: Callable[..., JobShop]) -> None:
    problem = shop("ft06")
    for threads in (1, 2, 1):
        for direct in (True, False):
            assert Milp(direct=direct).solve(problem, threads=threads, time_limit=120).status == "optimal"


def test_relaxation_is_told_apart(shop: Callable[..., JobShop]) -> None:
    result = Milp(form="time-indexed", relax=True).solve(shop("ft06"), threads=1, time_limit=120)
    assert (result.status, result.stop, result.objective, result.gap) == ("no_solution", "finished", None, None)
    assert result.bound is not None
    assert (result.bound.kind, result.bound.of) == ("relaxation", "the time-indexed LP relaxation")


@pytest.mark.parametrize("direct", [True, False])
def test_time_limit_on_a_hard_shop(shop: Callable[..., JobShop], direct: bool) -> None:
    problem = shop("la36", storage="blocking")
    begin = time.perf_counter()
    result = Milp(direct=direct).solve(problem, time_limit=3.0, threads=1)
    assert time.perf_counter() - begin <= 3.0 * 1.05 + 1.0
    assert (result.status, result.stop) == ("feasible", "time")
    assert result.objective is not None and result.bound is not None
    assert 948 <= result.bound.value < result.objective


def test_limit_that_comes_before_anything(shop: Callable[..., JobShop]) -> None:
    problem = shop("ft10", storage="blocking")
    first = first_schedule(problem, problem.nominal())
    assert first is not None
    for direct in (True, False):
        result = Milp(direct=direct).solve(problem, time_limit=0.02, threads=1)
        assert (result.status, result.stop, result.objective) == ("feasible", "time", first.makespan)


def test_warm_start_of_another_scenario_is_left_out_with_a_warning() -> None:
    problem = JobShop(**OPPOSITE, storage="blocking", swap=False)
    nonsense = Schedule.realised(problem, [[0, 3], [0, 5]])
    with pytest.warns(OrrlWarning, match="warm start is left out"):
        assert Milp().solve(problem, warm_start=nonsense, threads=1).objective == 18


def test_callback_and_log(shop: Callable[..., JobShop], tmp_path: Path) -> None:
    problem = shop("la16", storage="blocking")
    path, stream = tmp_path / "highs.log", io.StringIO()
    first = first_schedule(problem, problem.nominal())
    assert first is not None
    stop = [StopAtObjective(first.makespan, "min")]
    for direct, log in ((True, path), (False, stream)):
        result = Milp(direct=direct).solve(problem, threads=1, time_limit=60, log=log, callbacks=stop)
        assert (result.status, result.stop) == ("feasible", "user")
        assert result.evaluation is not None and result.evaluation.feasible
    assert "MIP has" in path.read_text() and "MIP has" in stream.getvalue()


def test_solver_options_and_other_solvers(shop: Callable[..., JobShop]) -> None:
    problem = shop("ft06")
    early = Milp(solver_options={"mip_max_nodes": 0}, form_options={"hint": None}).solve(problem, threads=1)
    assert early.stop in ("iterations", "optimal")
    other = Milp(solver="appsi_highs").solve(problem, threads=1, time_limit=120)
    assert (other.status, other.objective, other.meta["engine"]) == ("optimal", 55, "Pyomo appsi_highs")
    with pytest.raises(NotInstalledError, match="no-such-solver"):
        Milp(solver="no-such-solver").solve(problem)
    assert "no-such-form" in Milp(form="no-such-form").supports(problem).reason


def test_clairvoyant_optimum_of_a_scenario(shop: Callable[..., JobShop]) -> None:
    problem = shop("ft06", interruptions=Interruptions(p=0.3, outage=(1, 6)))
    world = problem.scenario(3)
    result = Milp().solve(problem, scenario=world, threads=1, time_limit=120)
    assert result.status == "optimal" and result.objective is not None and result.objective > 55
    with pytest.raises(NotSupportedError, match="scenario"):
        Milp().solve(problem)
