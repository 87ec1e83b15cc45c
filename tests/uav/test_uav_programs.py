"""Every form and backend against brute force on tiny networks, and the ways in and out of the models."""

from __future__ import annotations

import pickle
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orrl.core.errors import DataError, UnknownNameError
from orrl.core.run import Run
from orrl.problems.uav import Channel, UavOffloading, UavState
from orrl.problems.uav.association import assign
from orrl.problems.uav.programs.flight_program import cliques

VARIANTS: dict[str, dict[str, Any]] = {
    "snr": {"interference": False},
    "snr-capacity": {"interference": False, "capacity": 2},
    "sinr": {"interference": True},
    "sinr-capacity": {"interference": True, "capacity": 2},
}


def tiny(seed: int, **options: Any) -> UavOffloading:
    """3x3 cells of 150 m, 2 UAVs, 6 users, 4 slots."""
    channel = Channel(noise=-83.0, min_ratio=3.0) if options["interference"] else Channel(noise=-95.0, min_ratio=15.0)
    base = {"channel": channel, "mobility": "waypoint", "cell": 150.0, "speed": 15.0}
    return UavOffloading.generate(seed=seed, grid=3, uavs=2, users=6, slots=4, **{**base, **options})


def brute_force(problem: UavOffloading) -> int | None:
    """Best objective over all joint paths, slot by slot over pairs of cells."""
    past = problem.position
    worth = sum(int((assign(problem.radio, t, row) >= 0).sum()) for t, row in enumerate(past))
    layer = {tuple(past[-1].tolist()): worth}
    for t in range(len(past), problem.n_slots):
        after: dict[tuple[int, ...], int] = {}
        gain: dict[tuple[int, ...], int] = {}
        for cells, value in layer.items():
            for to in product(*([h for h in problem.targets[g].tolist() if h >= 0] for g in cells)):
                if any(problem.too_close[a, b] for i, a in enumerate(to) for b in to[:i]):
                    continue
                if to not in gain:
                    gain[to] = int((assign(problem.radio, t, np.array(to)) >= 0).sum())
                after[to] = max(after.get(to, -1), value + gain[to])
        layer = after
    ends = None if problem.ends is None else tuple(problem.number(problem.ends).tolist())
    return max((v for cells, v in layer.items() if ends in (None, cells)), default=None)


def check(problem: UavOffloading) -> None:
    best = brute_force(problem)
    for backend, own in problem.forms().items():
        for form in own:
            out = problem.program(backend=backend, form=form).solve(threads=1)
            if best is None:
                assert out.status == "infeasible", (backend, form)
                continue
            assert (out.status, out.objective, out.bound) == ("optimal", best, best), (backend, form)
            verdict = problem.evaluate(out.solution)
            assert verdict.feasible, verdict.violations
            assert verdict.objective == best


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"ends": [(1, 2), (1, 0)]},
        {"no_fly": [(1, 1), (1, 0)]},
        {"safe_distance": 200.0},
        {"safe_distance": 310.0, "ends": [(2, 0), (0, 2)]},
    ],
    ids=["plain", "ends", "no-fly", "safe", "safe-ends"],
)
def test_every_form_and_backend_equals_brute_force(variant: str, extra: dict[str, Any]) -> None:
    check(tiny(3, **VARIANTS[variant], **extra))


@pytest.mark.parametrize("variant", VARIANTS)
def test_from_a_running_state(variant: str) -> None:
    problem = tiny(5, **VARIANTS[variant])
    running = problem.at(UavState(np.array([[0, 8], [1, 7]])))
    check(running)
    check(problem.at(UavState(np.array([[0, 8], [1, 7], [2, 4], [2, 4]]))))  # nothing left to decide


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    variant=st.sampled_from(sorted(VARIANTS)),
    ratio=st.sampled_from([-6.0, 0.0, 3.0]),
    safe=st.sampled_from([0.0, 200.0]),
)
def test_random_networks_and_ratios(seed: int, variant: str, ratio: float, safe: float) -> None:
    options = VARIANTS[variant]
    noise = -86.0 if options["interference"] else -80.0
    check(tiny(seed, **options, safe_distance=safe, channel=Channel(noise=noise, min_ratio=ratio)))


def test_forms_are_the_exact_ones() -> None:
    assert {b: f[0] for b, f in tiny(1, interference=False).forms().items()} == dict.fromkeys(
        ("highspy", "pyomo", "cp-sat"), "flow"
    )
    capped = tiny(1, interference=False, capacity=2)
    assert capped.forms()["pyomo"] == ("capacity",)
    assert "cp-sat" not in tiny(1, interference=True).forms()
    with pytest.raises(UnknownNameError, match="flow"):
        capped.program(backend="highspy", form="flow")
    with pytest.raises(UnknownNameError, match="cvxpy"):
        capped.program(backend="cvxpy")


@pytest.mark.parametrize("variant", VARIANTS)
def test_fixed_flight_has_its_own_objective(variant: str) -> None:
    problem = tiny(7, **VARIANTS[variant])
    flight = problem.from_paths(np.array([[0, 8], [1, 7], [4, 7], [5, 6]]))
    value = problem.evaluate(flight).objective
    for backend in problem.forms():
        program = problem.program(backend=backend)
        program.encode(flight, fix=True)
        out = program.solve(threads=1)
        assert (out.status, out.objective) == ("optimal", value), backend
        assert sorted(out.solution.cells[2].tolist()) == [4, 7]


@pytest.mark.parametrize("variant", VARIANTS)
def test_hint_satisfies_every_row(variant: str) -> None:
    problem = tiny(7, **VARIANTS[variant], ends=[(2, 1), (0, 2)])
    flight = problem.from_paths(np.array([[0, 8], [1, 7], [4, 7], [5, 6]]))
    program = problem.program(backend="highspy")
    values = program.flight_values(flight)
    for t in program.slots:
        values |= program.service_values(flight, t)
    assert values.keys() == program.linear.columns.keys()
    for key, (low, terms, high) in program.linear.rows.items():
        assert low - 1e-6 <= sum(a * values[c] for c, a in terms) <= high + 1e-6, key
    worth = program.linear.offset + sum(c * values[k] for k, (_, _, _, c) in program.linear.columns.items())
    assert worth == problem.evaluate(flight).objective


def test_flights_that_no_model_can_say() -> None:
    problem = tiny(7, interference=False)
    program = problem.program(backend="highspy")
    far = problem.from_paths(np.array([[0, 8], [1, 7], [4, 7], [5, 6]]))
    jump = np.array(far.cells)
    jump[3, 1] = 2
    with pytest.raises(DataError, match="UAV 1 cannot fly from cell 7 to 2 in slot 4"):
        program.encode(problem.from_paths(jump))
    running = problem.at(UavState(np.array([[0, 8], [3, 5]])))
    with pytest.raises(DataError, match="does not begin"):
        running.program(backend="highspy").encode(far)


def test_kept_cells_only() -> None:
    problem = tiny(7, interference=False)
    keep = np.zeros((4, 9), bool)
    keep[:, [0, 8]] = True
    out = problem.program(backend="highspy", keep=keep).solve(threads=1)
    assert out.status == "optimal"
    assert set(out.solution.cells.ravel().tolist()) == {0, 8}
    keep[2] = False
    out = problem.program(backend="pyomo", keep=keep).solve(threads=1)
    assert out.status == "no_solution"
    assert "keep" in out.message
    with pytest.raises(DataError, match="keep has shape"):
        problem.program(backend="highspy", keep=keep[1:])


@pytest.mark.parametrize("backend", ["highspy", "pyomo"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_relaxation_is_a_bound(variant: str, backend: str) -> None:
    problem = tiny(11, **VARIANTS[variant])
    out = problem.program(backend=backend, relax=True).solve(threads=1)
    best = brute_force(problem)
    assert best is not None
    assert out.solution is None
    assert out.bound is not None
    assert out.bound >= best - 1e-6
    assert "relaxation" in out.bound_of


def test_models_are_real_and_can_be_extended() -> None:
    import highspy
    import pyomo.environ as pyo

    problem = tiny(7, interference=False)
    best = brute_force(problem)
    program = problem.program(backend="pyomo")
    assert isinstance(program.model, pyo.ConcreteModel)
    program.model.closed = pyo.Constraint(expr=sum(program.model.visit[3, g] for g in program.here(3) if g < 6) == 0)
    out = program.solve(threads=1)
    assert (out.solution.cells[3] >= 6).all()
    assert out.objective <= best
    direct = problem.program(backend="highspy")
    assert isinstance(direct.model, highspy.Highs)
    columns = [direct.variable(("visit", 3, g)) for g in direct.here(3) if g < 6]
    direct.model.addRow(0.0, 0.0, len(columns), np.array(columns, np.int32), np.ones(len(columns)))
    assert direct.solve(threads=1).objective == out.objective
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(direct)
    checker = problem.program(backend="cp-sat")
    assert checker.model.validate() == ""
    for g in (g for g in checker.here(3) if g < 6):
        checker.model.add(checker.variable(("visit", 3, g)) == 0)
    assert checker.solve(threads=1).objective == out.objective


def test_solving_leaves_the_model_as_it_was() -> None:
    problem = UavOffloading.generate(seed=2, grid=6, uavs=2, users=30, slots=8, interference=False)
    program = problem.program(backend="highspy")
    before = program.size()
    first = program.solve(threads=1)
    assert program.size() == before
    assert program.solve(threads=1).objective == first.objective
    assert first.meta["columns_fixed"] > 0


def test_two_stages_keep_incumbent_and_bound_at_a_limit() -> None:
    problem = UavOffloading.generate(seed=2, grid=8, uavs=3, users=60, slots=12, interference=False)
    best = problem.program(backend="highspy").solve(threads=1)
    limited = problem.program(backend="highspy", hint=best.solution)
    run = Run("max", time_limit=1e-3, threads=1)
    out = limited.solve(run=run)
    assert out.status in ("feasible", "optimal")
    assert out.objective == best.objective


def test_cliques_hold_every_pair() -> None:
    problem = tiny(1, interference=False, safe_distance=301.0)
    groups = cliques(problem.too_close)
    pairs = {(a, b) for group in groups for a in group for b in group}
    close = problem.too_close & ~np.eye(9, dtype=bool)
    assert pairs - {(g, g) for g in range(9)} == set(map(tuple, np.argwhere(close).tolist()))
    assert len(groups) < close.sum() / 2
