"""The programs of the dispatch: every backend says the same, and the two bridges to the stages hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydrothermal.small import small

from orrl.core.engines import open_stage
from orrl.core.errors import DataError, UnknownNameError
from orrl.problems.hydrothermal import Dispatch, HydroState, Hydrothermal, InflowPath, Terminal, read_case


def bolivia(data_root: Any, **options: Any) -> Hydrothermal:
    case = read_case(Path(data_root("hydrothermal")) / "bolivia")
    return Hydrothermal(
        grid=case.network, cascade=case.cascade, inflow=case.inflow, stage_hours=168.0, load=0.6, name="bolivia",
        **options,
    )  # fmt: skip


def solved(problem: Hydrothermal, backend: str, scenario: InflowPath) -> Any:
    outcome = problem.program(backend=backend, scenario=scenario).solve()
    assert outcome.solution is not None, outcome.message
    return outcome


@pytest.mark.parametrize("network", ["transport", "dc"])
@pytest.mark.parametrize("options", [{}, {"soft": True, "load": 2.0}, {"terminal": True}])
def test_linear_backends_agree(network: Any, options: dict[str, Any]) -> None:
    if "terminal" in options:
        end = Terminal(volume=np.array([40.0, 20.0, 0.0]), shortage_cost=7.0, value=np.array([0.5, 0.0, 1.0]))
        options = {"terminal": end}
    problem = small(network=network, **options)
    scenario = problem.scenario(3)
    first = solved(problem, "highspy", scenario)
    assert first.status == "optimal"
    for backend in ("pyomo", "cvxpy"):
        other = solved(problem, backend, scenario)
        assert other.objective == pytest.approx(first.objective, rel=1e-7)
    assert problem.evaluate(first.solution, scenario).objective == pytest.approx(first.objective, rel=1e-9)


def test_bolivia_agrees_in_all_backends(data_root: Any) -> None:
    problem = bolivia(data_root, stages=4)
    scenario = problem.protocol(1)[0]
    values = [solved(problem, backend, scenario).objective for backend in problem.forms()]
    assert len(values) == 3
    assert values == pytest.approx([values[0]] * 3, rel=1e-7)


def test_conic_backends_agree() -> None:
    pytest.importorskip("casadi", reason="Ipopt for a conic Pyomo model comes with CasADi")
    problem = small(network="soc", stages=3)
    scenario = problem.scenario(1)
    by_clarabel, by_ipopt = (solved(problem, backend, scenario) for backend in ("cvxpy", "pyomo"))
    assert by_clarabel.status == "optimal"
    assert by_ipopt.bound is None  # a local method proves nothing
    assert by_ipopt.objective == pytest.approx(by_clarabel.objective, rel=1e-6)


def test_ac_is_the_sum_of_its_stages() -> None:
    pytest.importorskip("casadi", reason="the AC program needs Ipopt, which comes with CasADi")
    problem = small(network="ac", stages=2)
    scenario = problem.scenario(2)
    outcome = solved(problem, "pyomo", scenario)
    assert outcome.status == "feasible"
    solver = open_stage(problem.stage(0))
    state, total = problem.volume, 0.0
    for inflow, wish in zip(problem.noise(scenario), outcome.solution["volume"], strict=True):
        answer = solver.solve(state, inflow, target=wish)
        assert answer.status == "optimal"
        total, state = total + answer.cost, answer.state_out
    assert outcome.objective == pytest.approx(total, rel=1e-5)
    soc = solved(problem.with_(network="soc"), "cvxpy", scenario)
    assert soc.objective <= outcome.objective * (1 + 1e-6)


@pytest.mark.parametrize("backend", ["highspy", "pyomo", "cvxpy", "soc"])
def test_a_walk_through_the_stages_can_be_fixed(backend: str) -> None:
    network: Any = "soc" if backend == "soc" else "dc"
    backend = "cvxpy" if backend == "soc" else backend
    problem = small(network=network, stages=4)
    scenario = problem.scenario(5)
    inflow = problem.noise(scenario)
    solver, state, cost, columns = open_stage(problem.stage(0)), problem.volume, 0.0, []
    for w in inflow:
        target = problem.reach(state[None], w[None], np.full((1, 3), 0.7))[0]
        answer = solver.solve(state, w, target=target)
        cost, state = cost + answer.cost, answer.state_out
        columns.append(answer.columns)
    stage = problem.stage(0)
    families = dict.fromkeys(key[0] for key in stage.columns)
    walked = Dispatch({name: stage.family(np.array(columns), name) for name in families})
    program = problem.program(backend=backend, scenario=scenario)
    program.encode(walked, fix=True)
    outcome = program.solve()
    assert outcome.objective == pytest.approx(cost, rel=1e-6)
    free = solved(problem, backend, scenario)
    assert free.objective < cost  # the walk was no optimum, so fixing did something


def test_the_optimum_replays_through_the_actions() -> None:
    problem = small(stages=5)
    scenario = problem.scenario(8)
    outcome = solved(problem, "highspy", scenario)
    shares = problem.actions(outcome.solution, scenario)
    solver, state, total = open_stage(problem.stage(0)), problem.volume, 0.0
    for w, share in zip(problem.noise(scenario), shares, strict=True):
        answer = solver.solve(state, w, target=problem.reach(state[None], w[None], share[None])[0])
        assert answer.status == "optimal"
        total, state = total + answer.cost, answer.state_out
    assert total == pytest.approx(outcome.objective, rel=1e-7)


def test_running_state_keeps_the_past() -> None:
    problem = small(stages=5)
    scenario = problem.scenario(4)
    full = solved(problem, "highspy", scenario)
    past = Dispatch({name: values[:2] for name, values in full.solution.families.items()})
    later = problem.at(HydroState(scenario.inflow[:3], past))
    program = later.program(backend="highspy", scenario=scenario)
    assert program.extensive.tree.noise.shape == (3, 3)
    outcome = program.solve()
    # the principle of optimality: the rest of an optimal path is optimal from where it is
    assert outcome.objective == pytest.approx(full.objective, rel=1e-9)
    assert len(outcome.solution) == 5
    assert outcome.solution["volume"][:2] == pytest.approx(full.solution["volume"][:2])
    again = later.program(backend="highspy", scenario=scenario)
    again.encode(full.solution, fix=True)
    assert again.solve().objective == pytest.approx(full.objective, rel=1e-9)


def test_a_dispatch_that_breaks_the_balance_is_refused() -> None:
    problem = small(stages=3)
    scenario = problem.scenario(0)
    found = solved(problem, "highspy", scenario).solution
    volume = found["volume"].copy()
    volume[1, 0] += 0.5
    program = problem.program(backend="highspy", scenario=scenario)
    program.encode(Dispatch({**found.families, "volume": volume}), fix=True)
    outcome = program.solve()
    assert outcome.status == "infeasible"
    assert "water[0," in outcome.message or "volume" in outcome.message


def test_names_and_refusals() -> None:
    problem = small(stages=3)
    scenario = problem.nominal()
    program = problem.program(backend="pyomo", scenario=scenario)
    assert program.model.volume[2, 1] is program.variable(("volume", 2, 1))
    assert program.model.water[0, 2].equality
    with pytest.raises(UnknownNameError, match=r"with_\(network=\"soc\"\)"):
        problem.program(backend="highspy", form="soc", scenario=scenario)
    with pytest.raises(UnknownNameError, match="cp-sat"):
        problem.program(backend="cp-sat", scenario=scenario)
    with pytest.raises(DataError, match="relax"):
        problem.program(backend="highspy", scenario=scenario, relax=True)
    with pytest.raises(DataError, match="3 stages of 3 plants"):
        problem.program(backend="highspy", scenario=InflowPath(np.zeros((2, 3))))
    assert problem.with_(network="ac").forms() == {"pyomo": ("ac",)}


def test_fixing_in_cvxpy_keeps_added_rows_and_refuses_what_lies_outside_the_bounds() -> None:
    import cvxpy as cp

    problem = small(stages=2)
    scenario = problem.scenario(3)
    found = solved(problem, "cvxpy", scenario)
    volume = found.solution["volume"]
    for slack, status in ((1.0, "optimal"), (-1.0, "infeasible")):
        program: Any = problem.program(backend="cvxpy", scenario=scenario)
        row = program.columns[program.variable(("volume", 0, 0))] <= float(volume[0, 0]) + slack
        program.model = cp.Problem(program.model.objective, [*program.model.constraints, row])
        for _ in range(2):  # also when it is fixed again
            program.encode(found.solution, fix=True)
        outcome = program.solve(time_limit=20)
        assert outcome.status == status
    assert found.objective == pytest.approx(solved_when_fixed(problem, scenario, found.solution).objective, rel=1e-7)
    families = {**found.solution.families, "volume": volume + 1e4}
    assert solved_when_fixed(problem, scenario, Dispatch(families)).status == "infeasible"


def solved_when_fixed(problem: Any, scenario: Any, solution: Dispatch) -> Any:
    program = problem.program(backend="cvxpy", scenario=scenario)
    program.encode(solution, fix=True)
    return program.solve(time_limit=20)
