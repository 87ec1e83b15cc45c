"""`wait-and-see`, `scenario-tree` and `rolling-deterministic` on the dispatch and on a problem that is none."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core.stage_shop import News
from hydrothermal.small import small
from scipy.optimize import linprog

from orrl.core.errors import NotSupportedError
from orrl.core.targets import play
from orrl.problems.hydrothermal import Hydrothermal, read_case
from orrl.solvers.exact.scenario_tree import ScenarioTree
from orrl.solvers.exact.wait_and_see import WaitAndSee
from orrl.solvers.search.rolling_deterministic import PlanAhead, RollingDeterministic


def case3(data_root: Any, **options: Any) -> Hydrothermal:
    case = read_case(Path(data_root("hydrothermal")) / "case3")
    hours = case.stage_hours or 1.0
    return Hydrothermal(
        grid=case.network, cascade=case.cascade, inflow=case.inflow, probability=case.probability, stage_hours=hours,
        name="case3", **options,
    )  # fmt: skip


def every_path(problem: Any) -> tuple[np.ndarray, np.ndarray]:
    """All paths (P, T, W) of a line of stages, and their probabilities."""
    nodes = problem.stages().nodes
    picks = list(itertools.product(*(range(len(n.p)) for n in nodes)))
    paths = np.array([[n.openings[k] for n, k in zip(nodes, pick, strict=True)] for pick in picks])
    return paths, np.array([np.prod([n.p[k] for n, k in zip(nodes, pick, strict=True)]) for pick in picks])


def by_linprog(problem: Any) -> float:
    """The deterministic equivalent the other way: a copy of all columns for each path, tied where pasts are equal."""
    paths, p = every_path(problem)
    stages = [problem.stage(t) for t in range(paths.shape[1])]
    sizes = [len(s.columns) for s in stages]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    width = int(starts[-1])
    big, low, high, tied = [], [], [], {}
    for k, path in enumerate(paths):
        for t, stage in enumerate(stages):
            rows = np.zeros((len(stage.rows), len(paths) * width))
            own = k * width + starts[t]
            rows[:, own : own + sizes[t]] = stage.matrix.toarray()
            move = stage.by_noise @ path[t]
            if t:
                rows[:, k * width + starts[t - 1] + stages[t - 1].out] -= stage.by_state.toarray()
            else:
                move = move + stage.by_state @ problem.stages().initial_state
            big.append(rows)
            low.append(stage.row_lower + move)
            high.append(stage.row_upper + move)
            past = (t, *path[: t + 1].ravel().tolist())
            first = tied.setdefault(past, own)
            if first != own:
                same = np.zeros((sizes[t], len(paths) * width))
                same[:, own : own + sizes[t]], same[:, first : first + sizes[t]] = np.eye(sizes[t]), -np.eye(sizes[t])
                big.append(same)
                low.append(np.zeros(sizes[t]))
                high.append(np.zeros(sizes[t]))
    a, lo, hi = np.vstack(big), np.concatenate(low), np.concatenate(high)
    cost = np.concatenate([q * s.cost for q in p for s in stages])
    bounds = [(x, y) for _ in p for s in stages for x, y in zip(s.lower, s.upper, strict=True)]
    equal, above, below = lo == hi, (lo < hi) & np.isfinite(hi), (lo < hi) & np.isfinite(lo)
    found = linprog(cost, np.vstack([a[above], -a[below]]), np.concatenate([hi[above], -lo[below]]), a[equal],
                    lo[equal], bounds)  # fmt: skip
    assert found.status == 0
    return float(found.fun) + sum(s.constant for s in stages)


def test_tree_equals_the_tied_paths_on_case3(data_root: Any) -> None:
    problem = case3(data_root, stages=3)
    result = ScenarioTree().solve(problem)
    assert (result.status, result.stop) == ("optimal", "optimal")
    assert result.meta["vertices"] == 3 + 9 + 27
    assert result.objective == pytest.approx(by_linprog(problem), rel=1e-8)
    assert result.bound is not None
    assert result.bound.kind == "proven"
    assert result.gap == pytest.approx(0.0, abs=1e-8)
    through_pyomo = ScenarioTree(backend="pyomo").solve(problem)
    assert through_pyomo.objective == pytest.approx(result.objective, rel=1e-9)


def test_tree_policy_costs_what_the_tree_says(data_root: Any) -> None:
    problem = case3(data_root, stages=3)
    result = ScenarioTree().solve(problem)
    paths, p = every_path(problem)
    assert p @ play(problem, result.policy, paths).total() == pytest.approx(result.objective, rel=1e-7)


def test_wait_and_see_tree_and_plan_are_in_order(data_root: Any) -> None:
    problem = case3(data_root, stages=4)
    tree = ScenarioTree().solve(problem)
    paths, p = every_path(problem)
    scenarios = [_path(problem, path) for path in paths]
    seen = WaitAndSee(paths=scenarios).solve(problem)
    plan = p @ play(problem, PlanAhead(), paths).total()
    informed = p @ np.array(seen.meta["values"])
    assert informed <= tree.objective * (1 + 1e-9)
    assert tree.objective <= plan * (1 + 1e-9)
    assert informed < plan  # this case is no trivial one


def _path(problem: Hydrothermal, inflow: np.ndarray) -> Any:
    from orrl.problems.hydrothermal import InflowPath

    return InflowPath(inflow)


def test_sddp_meets_the_tree(data_root: Any) -> None:
    sddp = pytest.importorskip("orrl.solvers.exact.sddp", reason="sddp is not there")
    problem = case3(data_root, stages=4)
    tree = ScenarioTree().solve(problem)
    found = sddp.Sddp(iterations=60, scenarios=0).solve(problem)
    assert found.bound.value <= tree.objective * (1 + 1e-7)
    assert found.bound.value == pytest.approx(tree.objective, rel=1e-5)


def test_one_period_of_the_shop_is_the_newsvendor() -> None:
    problem = News(discount=0.9)
    for backend in ("direct", "pyomo"):
        result = ScenarioTree(backend=backend).solve(problem)
        assert result.objective == pytest.approx(problem.newsvendor(), rel=1e-9)
    first = result.policy
    first.reset(problem, batch=1)
    order = first.targets(np.zeros(1, int), np.zeros((1, 1)), np.zeros((1, 1)))
    assert order[0, 0] == pytest.approx(10.0)
    with pytest.raises(NotSupportedError, match="not in the scenario tree"):
        first.targets(np.ones(1, int), order, np.array([[11.0]]))


def test_wait_and_see_of_the_shop_by_hand() -> None:
    problem = News()  # with the demand known, exactly it is bought: each unit earns 2
    result = WaitAndSee(scenarios=40).solve(problem)
    demands = [problem.noise(path)[1, 0] for path in map(problem.scenario, _seeds(40))]
    assert result.meta["values"] == pytest.approx([-2.0 * d for d in demands])
    assert result.bound is not None
    assert (result.bound.kind, result.bound.value) == ("statistical", pytest.approx(-2.0 * np.mean(demands)))
    low, high = result.meta["interval"]
    assert low < result.bound.value < high
    assert result.objective is None


def _seeds(n: int) -> list[int]:
    from orrl.core.seeds import spawn_seeds

    return spawn_seeds(0, n, "scenario")


def test_wait_and_see_of_one_path_proves_its_optimum() -> None:
    problem = small(stages=4)
    scenario = problem.scenario(2)
    result = WaitAndSee().solve(problem, scenario=scenario)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(WaitAndSee(paths=[scenario]).solve(problem).meta["values"][0], rel=1e-9)


def test_conic_paths() -> None:
    linear, conic = (small(stages=3, network=n) for n in ("dc", "soc"))
    paths = [linear.scenario(s) for s in range(2)]
    values = WaitAndSee(paths=paths).solve(conic).meta["values"]
    one = conic.program(backend="cvxpy", scenario=paths[1]).solve()
    assert values[1] == pytest.approx(one.objective, rel=1e-6)
    plan = play(conic, PlanAhead(), np.array([conic.noise(p) for p in paths])).total()
    cheap = play(conic, PlanAhead(plan={"network": "dc"}), np.array([conic.noise(p) for p in paths])).total()
    assert (plan >= np.array(values) * (1 - 1e-6)).all()
    assert (cheap >= np.array(values) * (1 - 1e-6)).all()


def test_a_plan_for_known_noise_is_the_optimum() -> None:
    problem = small(stages=6, scenarios=1)  # one opening: the mean is what comes
    path = problem.noise(problem.scenario(0))
    known = problem.program(backend="highspy", scenario=problem.scenario(0)).solve().objective
    assert play(problem, PlanAhead(window=None), path[None]).total()[0] == pytest.approx(known, rel=1e-7)
    assert play(problem, PlanAhead(window=1), path[None]).total()[0] >= known * (1 - 1e-9)


def test_decisions_do_not_depend_on_the_batch() -> None:
    problem = small(stages=6)
    noise = np.array([problem.noise(problem.scenario(s)) for s in range(4)])
    together = play(problem, PlanAhead(window=3), noise).state
    policy = PlanAhead(window=3)
    turned = play(problem, policy, noise[::-1]).state[::-1]
    assert np.array_equal(together, turned)
    assert np.array_equal(play(problem, policy, noise[2:3]).state[0], together[2])


def test_the_solver_simulates_its_plan() -> None:
    problem = small(stages=4)
    result = RollingDeterministic(window=2, scenarios=5).solve(problem)
    assert result.status == "estimated", result.message
    assert result.evaluation is not None
    assert result.evaluation.n == 5
    assert result.meta["options"]["window"] == 2
    single = RollingDeterministic(window=2).solve(problem, scenario=problem.scenario(1))
    direct = play(problem, PlanAhead(window=2), problem.noise(problem.scenario(1))[None]).total()[0]
    assert single.objective == pytest.approx(direct, rel=1e-7)


def test_running_state_goes_on() -> None:
    problem = small(stages=4)
    noise = problem.noise(problem.scenario(1))[None]
    whole = play(problem, PlanAhead(window=2), noise)
    kernel = type(problem).kernel([problem])
    rows = kernel.reset([problem.scenario(1)])
    kernel.step(rows, problem.shares(whole.state[:, 0], noise[:, 0], whole.state[:, 1]))
    later = problem.at(kernel.snapshot(rows, 0))
    rest = play(later, PlanAhead(window=2, plan=problem), noise[:, 1:])
    assert rest.cost.sum() == pytest.approx(whole.cost[0, 1:].sum(), rel=1e-7)
    tree = ScenarioTree().solve(later)
    assert tree.objective is not None
    assert tree.objective >= later.accrued


def test_refusals_and_limits() -> None:
    big = small(stages=12)
    with pytest.raises(NotSupportedError, match=r"797,160 vertices.*max_vertices=20,000"):
        ScenarioTree().solve(big)
    ac = small(network="ac", stages=2)
    for solver in (WaitAndSee(), ScenarioTree(), RollingDeterministic()):
        support = solver.supports(ac)
        assert not support
        assert "smooth rows" in support.reason
    assert RollingDeterministic(plan={"network": "dc"}).supports(ac)
    late = WaitAndSee(scenarios=3).solve(small(stages=3), time_limit=1e-9)
    assert (late.status, late.stop) == ("no_solution", "time")


def test_an_infeasible_stage_is_named() -> None:
    problem = News(least=5.0)
    result = ScenarioTree().solve(problem)
    assert result.status == "infeasible"
    assert "have[0]" in result.message
    seen = WaitAndSee(scenarios=2).solve(problem)
    assert seen.status == "infeasible"
    assert "have[0]" in seen.message
