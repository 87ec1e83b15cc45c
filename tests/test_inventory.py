"""The words carry a stochastic, discounted, maximising problem: program, tables, stages and kernel agree."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inventory import Inventory, InventoryState, Plan
from inventory.backward_dp import BackwardDP
from inventory.referee import profit

from orrl import registry
from orrl.core import (
    CutPool,
    DataError,
    HasStages,
    NotSupportedError,
    PolicySolver,
    RandomPolicy,
    TabularMDP,
    estimate,
    rollout,
    spawn_seeds,
)
from orrl.core.engines import open_stage
from orrl.core.tables import TablePolicy, policy_value

if TYPE_CHECKING:
    from pathlib import Path

LAW = (0.1, 0.3, 0.3, 0.2, 0.1)


def shelf(**change: Any) -> Inventory:
    given = {"law": LAW, "horizon": 6, "capacity": 5, "max_order": 3, "price": 5.0, "cost": 2.0, "holding": 0.5}
    return Inventory(**{**given, "discount": 0.9, "initial": 1, **change})


# ---- values ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fixed", [0.0, 3.0])
def test_the_simulated_value_of_the_optimal_policy_is_the_value_of_the_tables(fixed: float) -> None:
    problem = shelf(fixed=fixed)
    result = BackwardDP().solve(problem)
    assert (result.status, result.gap) == ("optimal", 0.0)
    worlds = [problem.scenario(s) for s in spawn_seeds(0, 4000, "test")]
    values = np.array([e.value for e in rollout(problem, result.policy, worlds)])
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - result.objective) < 4 * error
    assert error < 0.01 * abs(result.objective)


def test_a_stage_is_discounted_from_the_beginning_also_when_play_starts_later() -> None:
    """What has accrued and the value of the rest make the value of the whole, exactly."""
    problem, path, orders = shelf(fixed=1.0), (2, 0, 3, 1, 4, 2), (3, 0, 1, 2, 3, 1)
    whole = profit(problem, orders, path)
    for t in range(7):
        later = problem.at(InventoryState(orders[:t], path[:t]))
        table = later.tabular()
        law = np.zeros((6 - t, *table.reward.shape))
        for k in range(6 - t):
            law[k, :, orders[t + k]] = 1.0
        known = [step_on(later, table, law, path[t:])]
        assert later.accrued + known[0] == pytest.approx(whole, rel=1e-12)
        assert later.objective.stage == t


def step_on(later: Inventory, table: TabularMDP, law: Any, path: tuple[int, ...]) -> float:
    """Discounted profit of the rest, as the kernel gives it."""
    kernel = type(later).kernel([later])
    state = kernel.reset([later._with_past([*later.state.demand, *path])])
    rewards = [kernel.step(state, np.array([int(row[0].argmax())]))[0][0] for row in law]
    stage = later.objective.stage
    return float(sum(later.discount ** (stage + k) * r for k, r in enumerate(rewards)))


def test_the_occupation_program_and_backward_induction_agree_from_any_state() -> None:
    for past in (InventoryState(), InventoryState((3, 2), (2, 4))):
        problem = shelf(fixed=2.0).at(past)
        exact = BackwardDP().solve(problem).objective
        outcome = problem.program(backend="pyomo", form="occupation").solve(threads=1)
        assert outcome.status == "optimal"
        assert outcome.objective == pytest.approx(exact, rel=1e-7)
        start = problem.tabular().initial @ policy_value(problem.tabular(), outcome.solution.probabilities)
        stage = problem.objective.stage
        assert problem.accrued + problem.discount**stage * start == pytest.approx(exact, rel=1e-7)


@settings(max_examples=15, deadline=None)
@given(
    path=st.lists(st.integers(0, 4), min_size=3, max_size=3),
    fixed=st.sampled_from([0.0, 1.5, 6.0]),
    initial=st.integers(0, 4),
)
def test_the_clairvoyant_program_finds_what_brute_force_finds(path: list[int], fixed: float, initial: int) -> None:
    problem = shelf(horizon=3, capacity=4, fixed=fixed, initial=initial)
    world = problem._with_past(path)
    best = -np.inf
    for orders in itertools.product(range(4), repeat=3):
        units, sales = initial, []
        for order, demand in zip(orders, path, strict=True):
            sales.append(min(units + order, demand))
            units += order - sales[-1]
        verdict = problem.evaluate(Plan(orders, tuple(sales)), world)
        if verdict.feasible:
            best = max(best, verdict.objective)
    outcome = problem.program(backend="pyomo", scenario=world).solve(threads=1)
    assert outcome.objective == pytest.approx(best, abs=1e-6)


# ---- stages ---------------------------------------------------------------------------------------------------------
def benders(problem: Any, rounds: int) -> list[float]:
    """Nested Benders cuts on `HasStages`, knowing no problem: the lower bound on the expected cost after each round."""
    graph = problem.stages()
    solvers = [open_stage(problem.stage(n)) for n in range(len(graph.nodes))]
    pools = [CutPool(1, bound=node.bound) if node.children else None for node in graph.nodes]
    rng, bounds = np.random.default_rng(0), []

    def expected(n: int, state: Any) -> tuple[float, Any]:
        node, value, slope = graph.nodes[n], 0.0, np.zeros(1)
        for noise, p in zip(node.openings, node.p, strict=True):
            answer = solvers[n].solve(state, noise, cuts=pools[n])
            assert answer.status == "optimal"
            value, slope = value + p * answer.value, slope + p * answer.d_state
        return value, slope

    for _ in range(rounds):
        bounds.append(expected(0, graph.initial_state)[0])
        trail, state = [], graph.initial_state
        for n, node in enumerate(graph.nodes):
            state = solvers[n].solve(state, node.openings[rng.choice(len(node.p), p=node.p)], cuts=pools[n]).state_out
            trail.append((n, state))
        for n, state in reversed(trail[:-1]):
            value, slope = expected(n + 1, state)
            pools[n].add(graph.discount * (value - slope @ state), graph.discount * slope)
    return bounds


@pytest.mark.parametrize("past", [InventoryState(), InventoryState((2,), (1,))], ids=["beginning", "running"])
def test_the_stages_and_the_tables_have_the_same_optimum(past: InventoryState) -> None:
    """Demand is whole, so the cost-to-go of the linear stages breaks at whole stocks only: both optima are exact."""
    problem = shelf(horizon=3 + len(past.orders)).at(past)
    exact = BackwardDP().solve(problem).objective
    stage = problem.objective.stage

    def in_money(cost: float) -> float:
        return problem.accrued - problem.discount**stage * cost

    bounds = [in_money(cost) for cost in benders(problem, 12)]
    assert all(bound >= exact - 1e-7 for bound in bounds)
    assert bounds[0] > exact + 1.0  # no cut has been made yet
    assert bounds[-1] == pytest.approx(exact, rel=1e-7)


def test_stage_duals_are_derivatives() -> None:
    solver = open_stage(shelf().stage(2))
    cuts = CutPool(1, bound=-99.0)
    cuts.add(-3.0, np.array([-1.5]))
    cuts.add(-9.0, np.array([0.25]))
    state, noise, target, h = np.array([2.3]), np.array([1.0]), np.array([2.7]), 1e-4

    def value(ds: float, dt: float | None, dw: float = 0.0) -> float:
        held = None if dt is None else target + dt
        return solver.solve(state + ds, noise + dw, cuts=cuts, target=held).value

    free = solver.solve(state, noise, cuts=cuts)
    assert free.d_state[0] == pytest.approx((value(h, None) - value(-h, None)) / (2 * h), abs=1e-6)
    assert free.d_noise[0] == pytest.approx((value(0, None, h) - value(0, None, -h)) / (2 * h), abs=1e-6)
    assert free.value == pytest.approx(free.cost + cuts.value(free.state_out), abs=1e-9)
    assert free.d_target is None
    held = solver.solve(state, noise, cuts=cuts, target=target)
    assert held.state_out[0] == pytest.approx(2.7)
    assert held.d_target is not None
    assert held.d_target[0] == pytest.approx((value(0, h) - value(0, -h)) / (2 * h), abs=1e-6)
    assert held.d_state[0] == pytest.approx((value(h, 0) - value(-h, 0)) / (2 * h), abs=1e-6)
    assert solver.solve(state, noise, target=np.array([9.0])).status == "infeasible"
    assert solver.solve(state, noise, target=np.array([0.5])).status == "infeasible"  # 1.3 are left at least
    assert {"ordered", "demand"} <= set(solver.conflict(state, noise, target=np.array([0.5])))
    assert any("stock" in text for text in solver.conflict(state, noise, target=np.array([9.0])))


def test_a_fixed_cost_leaves_no_linear_stages() -> None:
    assert shelf().supports(HasStages)
    support = shelf(fixed=1.0).supports(HasStages)
    assert not support
    assert "fixed order cost (1)" in support.reason


# ---- a problem and a solver from elsewhere --------------------------------------------------------------------------
def test_a_plugin_brings_a_problem_and_a_solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution's entry points are all it takes: the registry knows neither name."""
    info = tmp_path / "shelves-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shelves\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[orrl.problems]\ninventory = inventory.problem:Inventory\n\n"
        "[orrl.solvers]\nbackward-dp = inventory.backward_dp:BackwardDP\n"
    )
    assert "backward-dp" not in registry.OWN["solver"]
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._table.cache_clear()
    try:
        assert "backward-dp" in registry.names("solver")
        problem = registry.lookup("problem", "inventory").generate(seed=3)
        solver = registry.lookup("solver", "backward-dp")()
        result = solver.solve(problem)
    finally:
        registry._table.cache_clear()
    assert result.method == "backward-dp"
    assert result.objective == pytest.approx(BackwardDP().solve(problem).objective)
    again = PolicySolver(result.policy, scenarios=400).solve(problem)
    assert again.status == "estimated"
    assert again.evaluation is not None and again.evaluation.interval is not None
    low, high = again.evaluation.interval
    assert low - (high - low) < result.objective < high + (high - low)


def test_the_solver_says_no_where_it_cannot_help() -> None:
    from orrl.problems.jobshop import JobShop

    shop = JobShop(machines=[[0, 1], [1, 0]], durations=[[1, 2], [3, 4]])
    with pytest.raises(NotSupportedError, match=r"backward-dp cannot solve .* does not offer HasTabular"):
        BackwardDP().solve(shop)


def test_generators_keep_their_splits_apart() -> None:
    generator = Inventory.generator(horizon=3)
    train, test = generator.sample(5), generator.sample(5, split="test")
    assert len({p.content_hash for p in train + test}) == 10
    assert [p.content_hash for p in generator.sample(3)] == [p.content_hash for p in train[:3]]


# ---- exact policy evaluation ----------------------------------------------------------------------------------------
def test_policy_value_without_horizon_solves_the_fixed_point() -> None:
    table = shelf().tabular()
    endless = TabularMDP(table.transition, table.reward, 0.9, table.initial, table.mask)
    law = table.mask / table.mask.sum(axis=1, keepdims=True)
    long = TabularMDP(table.transition, table.reward, 0.9, table.initial, table.mask, horizon=400)
    assert policy_value(endless, law) == pytest.approx(policy_value(long, law), rel=1e-12)


def test_policy_value_refuses_what_has_no_value() -> None:
    table = shelf().tabular()
    uniform = table.mask / table.mask.sum(axis=1, keepdims=True)
    with pytest.raises(DataError, match="have shape"):
        policy_value(table, uniform[:, :2])
    with pytest.raises(DataError, match="mask forbids"):
        policy_value(table, np.full(table.reward.shape, 0.25))
    endless = TabularMDP(table.transition, table.reward, 1.0, table.initial, table.mask)
    with pytest.raises(DataError, match="discount below 1"):
        policy_value(endless, uniform)


def test_a_table_plays_its_own_problem_only_and_by_its_law() -> None:
    problem = shelf(horizon=2)
    law = np.zeros(problem.tabular().reward.shape)
    law[:, 0], law[:4, 1] = 0.25, 0.75
    law[4:, 0] = 1.0
    law[:4, 0] = 0.25
    policy = TablePolicy(law, content_hash=problem.content_hash)
    with pytest.raises(DataError, match="made for another problem"):
        policy.reset(shelf(horizon=3))
    first = [e.actions[0] for e in rollout(problem, policy, [problem.scenario(s) for s in range(2000)])]
    _mean, interval = estimate(np.array(first, dtype=np.float64), confidence=0.9999)
    assert interval is not None and interval[0] < 0.75 < interval[1]
    random = [e.actions[0] for e in rollout(problem, RandomPolicy(), [problem.scenario(s) for s in range(200)])]
    assert set(random) == {0, 1, 2, 3}


def test_bad_data_is_refused_with_the_reason() -> None:
    for change, text in (
        ({"law": (0.5, 0.6)}, "sum to 1"),
        ({"initial": 9}, "initial is 9"),
        ({"holding": 0.0}, "holding is 0.0"),
    ):
        with pytest.raises(DataError, match=text):
            shelf(**change)
