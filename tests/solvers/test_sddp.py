"""SDDP against values that are known: closed forms, dynamic programs, and scenario trees solved as one program."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inventory import Inventory
from inventory.backward_dp import BackwardDP
from stage_toys import Toy, all_paths, line, reservoirs, tree_value

from orrl.core import FormatError, NotSupportedError, OrrlError, Stage, StageGraph, StageNode
from orrl.core.archive import read_archive, write_archive
from orrl.core.linear import Linear
from orrl.solvers.exact.sddp import Sddp
from orrl.solvers.exact.sddp_policy import CutPolicy
from orrl.solvers.exact.sddp_risk import CVaR, MeanCVaR, WorstCase, risk_measure
from orrl.solvers.exact.sddp_simulate import fresh_paths
from orrl.solvers.exact.sddp_stopping import (
    BoundStall,
    IterationLimit,
    Look,
    Progress,
    SimulationStall,
    Statistical,
    TimeLimit,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OPENINGS = [[1.0, 0.5], [3.0, 1.0], [0.0, 0.0]]
LAW = [0.3, 0.5, 0.2]


def toy(stages: int = 4, discount: float = 1.0, **more: Any) -> Toy:
    stage = reservoirs(**more)
    return line([stage] * stages, [OPENINGS] * stages, [LAW] * stages, [2.0, 1.0], discount)


def solve(problem: Any, iterations: int = 40, **options: Any) -> Any:
    call = {k: options.pop(k) for k in ("seed", "time_limit", "log", "warm_start", "gap") if k in options}
    return Sddp(iterations=iterations, **{"scenarios": 0, **options}).solve(problem, **call)


# ---- known values ---------------------------------------------------------------------------------------------------
def newsvendor(cost: float, price: float, demands: list[float], law: list[float]) -> Toy:
    buy, sell = Linear(), Linear()
    stock = buy.column(("stock",), 0.0, np.inf, cost=cost)
    buy.at_least(("nothing",), 0.0, (stock, 1.0))
    sold = sell.column(("sold",), 0.0, np.inf, cost=-price)
    left = sell.column(("stock",), 0.0, np.inf)
    sell.equal(("shelf",), 0.0, (sold, 1.0), (left, 1.0))
    sell.at_most(("demand",), 0.0, (sold, 1.0))
    first = Stage.of(buy, out=[stock], noise=1)
    second = Stage.of(sell, out=[left], noise=1, by_state={("shelf",): [(0, 1.0)]}, by_noise={("demand",): [(0, 1.0)]})
    return line([first, second], [[[0.0]], [[d] for d in demands]], [[1.0], law], [0.0], bound=-price * max(demands))


@pytest.mark.parametrize("cuts", ["single", "multi"])
def test_the_newsvendor_buys_the_critical_fractile(cuts: Any) -> None:
    """Cost 2, price 5: buy the 60% quantile of demand, which is 20."""
    problem = newsvendor(2.0, 5.0, [10.0, 20.0, 30.0], [0.3, 0.4, 0.3])
    result = solve(problem, 10, cuts=cuts)
    best = 2.0 * 20 - 5.0 * (0.3 * 10 + 0.7 * 20)
    assert result.bound.value == pytest.approx(best, abs=1e-7)
    assert (result.bound.kind, result.status, result.stop) == ("proven", "feasible", "iterations")
    result.policy.reset(problem)
    assert result.policy.targets(np.array([0]), np.zeros((1, 1)), np.zeros((1, 1)))[0, 0] == pytest.approx(20.0)


def test_the_shelf_has_the_value_of_its_tables_in_its_own_sense_also_from_a_running_state() -> None:
    from inventory import InventoryState

    shelf = Inventory(
        law=(0.1, 0.3, 0.3, 0.2, 0.1), horizon=5, capacity=5, max_order=3, price=5.0, cost=2.0, holding=0.5,
        discount=0.9, initial=1,
    )  # fmt: skip
    for problem in (shelf, shelf.at(InventoryState((3, 2), (2, 1)))):
        exact = BackwardDP().solve(problem).objective
        result = solve(problem, 30, scenarios=300)
        assert result.bound.value == pytest.approx(exact, rel=1e-7)
        assert all(p.bound >= exact - 1e-7 for p in result.trace.points)  # a bound on a maximum lies above
        low, high = result.evaluation.interval
        assert low - (high - low) < exact < high + (high - low)
        assert (result.status, result.evaluation.n) == ("estimated", 300)


def test_a_capacity_that_is_bought_once() -> None:
    """Capacity x costs 3 a unit, demand that is not met 10: two stages of demand 1, 2 or 4, the 85% quantile.

    Expected cost 3 x + 2 * 10 E(D - x)^+ with slope 3 - 20 P(D > x), zero between 2 (P = 0.25) and 4.
    """
    build, serve = Linear(), Linear()
    size = build.column(("size",), 0.0, 10.0, cost=3.0)
    build.at_least(("nothing",), 0.0, (size, 1.0))
    kept, short = serve.column(("size",), 0.0, 10.0), serve.column(("short",), 0.0, np.inf, cost=10.0)
    serve.equal(("keep",), 0.0, (kept, 1.0))
    serve.at_least(("demand",), 0.0, (kept, 1.0), (short, 1.0))
    first = Stage.of(build, out=[size], noise=1)
    later = Stage.of(serve, out=[kept], noise=1, by_state={("keep",): [(0, 1.0)]}, by_noise={("demand",): [(0, 1.0)]})
    demand, law = [[1.0], [2.0], [4.0]], [0.5, 0.25, 0.25]
    problem = line([first, later, later], [[[0.0]], demand, demand], [[1.0], law, law], [0.0])
    assert solve(problem, 15).bound.value == pytest.approx(12.0, abs=1e-7)  # x = 4: 20 * 0.25 > 3


RISKS = {"expectation": None, "cvar:0.4": 0.6, "cvar:0.75": 0.25, "worst-case": 1e-6}


@pytest.mark.parametrize("cuts", ["single", "multi"])
@pytest.mark.parametrize("risk", RISKS)
def test_two_reservoirs_have_the_value_of_their_tree(risk: str, cuts: Any) -> None:
    """The root has noise, so the bound has to apply the risk measure there too."""
    problem = toy(discount=0.95)
    exact = tree_value(problem, 4, RISKS[risk])
    result = solve(problem, 100, cuts=cuts, risk=risk)
    assert result.bound.value == pytest.approx(exact, rel=1e-5)
    kind, of = ("proven", "the problem") if risk == "expectation" else ("relaxation", f"the nested risk {risk}")
    assert (result.bound.kind, result.bound.of) == (kind, of)


def test_the_policy_costs_what_the_tree_says() -> None:
    """Mean over every path, not a sample."""
    problem = toy()
    result = solve(problem, 50)
    policy, mean = result.policy, 0.0
    policy.reset(problem)
    for path, p in all_paths(problem):
        state, cost = problem.stages().initial_state, 0.0
        for t, noise in enumerate(path):
            answer = model_of(policy, problem, t).solve(state, noise, cuts=policy.pools[t])
            state, cost = answer.state_out, cost + answer.cost
        mean += p * cost
    assert mean == pytest.approx(tree_value(problem, 4), rel=1e-6)


def model_of(policy: CutPolicy, problem: Toy, node: int) -> Any:
    from orrl.core.engines import open_stage

    return policy._models.setdefault(node, open_stage(problem.stage(node)))


def test_mean_cvar_lies_between_and_weights_are_laws() -> None:
    problem = toy(3)
    values = [solve(problem, 40, risk=r).bound.value for r in ("mean-cvar:0:0.5", "mean-cvar:0.5:0.5", "cvar:0.5")]
    assert values[0] == pytest.approx(tree_value(problem, 3), rel=1e-6)
    assert values[0] < values[1] < values[2]
    rng = np.random.default_rng(0)
    for _ in range(50):
        costs, p = rng.normal(size=6), rng.dirichlet(np.ones(6))
        for risk in (CVaR(0.7), MeanCVaR(0.3, 0.9), WorstCase(), CVaR(0.0)):
            q = risk.weights(costs, p)
            assert q.min() >= 0
            assert q.sum() == pytest.approx(1.0)
            assert q @ costs >= p @ costs - 1e-12
        tail = 0.3  # CVaR by its definition: min over u of u + E(Z - u)^+ / tail, attained at an outcome
        least = min(u + p @ np.maximum(0.0, costs - u) / tail for u in costs)
        assert CVaR(0.7).weights(costs, p) @ costs == pytest.approx(least)
    for wrong in ("cvar", "cvar:1", "median", "mean-cvar:2:0.5"):
        with pytest.raises(ValueError, match=r"risk is|alpha is|lam is"):
            risk_measure(wrong)


# ---- graphs ---------------------------------------------------------------------------------------------------------
def test_a_cycle_is_the_limit_of_long_lines() -> None:
    """One stage that returns to itself, by discount and by missing mass alike, against the tree and closed form.

    A plant serves demand w at price 1 and nothing is stored: the value is E(cost) / (1 - discount).
    """
    stage = reservoirs(demand=4.0, top=0.0)
    opening, law = np.array(OPENINGS), np.array(LAW)
    single = tree_value(line([stage], [OPENINGS], [LAW], [0.0, 0.0]), 1)
    for children, discount in ((((0, 1.0),), 0.8), (((0, 0.8),), 1.0)):
        graph = StageGraph((StageNode(children, opening, law),), ((0, 1.0),), np.zeros(2), discount)
        result = solve(Toy(graph, (stage,)), 80, scenarios=80)
        assert result.bound.value == pytest.approx(single / 0.2, rel=1e-4)
        low, high = result.evaluation.interval
        assert low - (high - low) < single / 0.2 < high + (high - low)


def test_a_cycle_with_storage_lies_between_its_truncations() -> None:
    stage = reservoirs()
    opening, law = np.array([[2.0, 1.0], [0.0, 0.5]]), np.array([0.5, 0.5])
    graph = StageGraph((StageNode(((0, 0.5),), opening, law),), ((0, 1.0),), np.array([2.0, 1.0]))
    problem = Toy(graph, (stage,))
    value = solve(problem, 60).bound.value
    short = tree_value(problem, 7)
    most = 0.5**7 / 0.5 * 40.0  # ten a unit of a demand of 4, in every stage that the truncation forgot
    assert short - 1e-6 <= value <= short + most
    with pytest.raises(NotSupportedError, match="a cycle that never ends"):
        solve(Toy(replace(graph, nodes=(StageNode(((0, 1.0),), opening, law),)), (stage,)), 5)


@pytest.mark.parametrize("risk", ["expectation", "cvar:0.5"])
@pytest.mark.parametrize("cuts", ["single", "multi"])
def test_a_markov_chain_of_regimes_has_the_value_of_its_tree(risk: str, cuts: Any) -> None:
    """Dry and wet stages, two roots, and regimes that persist; some mass ends the episode early."""
    stage = reservoirs()
    dry, wet = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[2.0, 1.0], [4.0, 1.0]])
    law = np.array([0.5, 0.5])
    nodes = []
    for t in range(3):
        after = 2 * (t + 1)
        for regime, opening in enumerate((dry, wet)):
            stay = ((after + regime, 0.7), (after + 1 - regime, 0.2)) if t < 2 else ()
            ways = tuple(sorted(stay))
            nodes.append(StageNode(ways, opening, law))
    graph = StageGraph(tuple(nodes), ((0, 0.4), (1, 0.6)), np.array([2.0, 1.0]))
    problem = Toy(graph, (stage,) * 6)
    exact = tree_value(problem, 3, RISKS.get(risk, 0.5))
    assert solve(problem, 100, risk=risk, cuts=cuts).bound.value == pytest.approx(exact, rel=1e-5)


# ---- the bound ------------------------------------------------------------------------------------------------------
@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), cuts=st.sampled_from(["single", "multi"]), select=st.sampled_from(["level1", None]),
       warmup=st.integers(0, 3))  # fmt: skip
def test_the_bound_rises_and_stays_below_the_optimum(seed: int, cuts: Any, select: Any, warmup: int) -> None:
    rng = np.random.default_rng(seed)
    openings = [rng.uniform(0, 4, (2, 2)).tolist() for _ in range(3)]
    laws = [rng.dirichlet(np.ones(2)).tolist() for _ in range(3)]
    stages = [
        reservoirs((rng.uniform(0, 2), rng.uniform(2, 5)), rng.uniform(2, 6), rng.uniform(1, 6)) for _ in range(3)
    ]
    problem = line(stages, openings, laws, [0.5, 0.5], float(rng.uniform(0.7, 1.0)))
    exact = tree_value(problem, 3)
    options = {"cuts": cuts, "selection": select, "clean_every": 3, "warmup": warmup, "forward_paths": 2}
    result = solve(problem, 25, seed=seed, **options)
    bounds = [p.bound for p in result.trace.points]
    assert bounds == sorted(bounds)
    assert bounds[-1] <= exact + 1e-6 * max(1.0, abs(exact))
    assert bounds[-1] == pytest.approx(exact, rel=1e-3, abs=1e-3)


def test_selection_drops_cuts_and_keeps_the_value() -> None:
    problem = toy()
    kept, all_ = solve(problem, 60, clean_every=5), solve(problem, 60, selection=None)
    count = [sum(int(pool.active.sum()) for pool in r.policy.pools if pool is not None) for r in (kept, all_)]
    assert count[0] < count[1] / 2
    assert kept.bound.value == pytest.approx(all_.bound.value, rel=1e-6)


def test_a_backward_model_of_its_own_bounds_a_relaxation() -> None:
    """The relaxed stages have cheaper fuel; the true ones are walked and paid."""
    true, cheap = toy(3), toy(3, prices=(0.5, 2.0))
    result = solve(true, 30, backward=cheap, scenarios=300)
    assert result.bound.kind == "relaxation"
    # the walks are those of the true stages, so the cheap ones need not be known everywhere
    assert 0.9 * tree_value(cheap, 3) < result.bound.value <= tree_value(cheap, 3) + 1e-7
    assert result.evaluation.interval[1] > tree_value(true, 3)
    with pytest.raises(NotSupportedError, match="another one"):
        solve(true, 3, backward=toy(4))


def test_a_nonconvex_stage_needs_a_backward_model() -> None:
    problem = toy(2)
    bent = replace(problem, made=tuple(s.with_(smooth=lambda y, lib: ()) for s in problem.made))
    with pytest.raises(NotSupportedError, match="give backward="):
        solve(bent, 2)


# ---- limits, stopping, failure --------------------------------------------------------------------------------------
def test_the_time_limit_holds_with_the_simulation_inside() -> None:
    problem = toy(12)
    begin = time.perf_counter()
    result = Sddp(stopping=BoundStall(patience=10**6), scenarios=200).solve(problem, time_limit=2.0)
    assert time.perf_counter() - begin < 2.0 * 1.05 + 1.0
    assert (result.stop, result.status) == ("time", "estimated")
    assert 20 <= result.evaluation.n <= 200
    assert result.meta["iterations"] >= 1


def test_the_default_stops_when_the_simulated_cost_stands_still() -> None:
    log = io.StringIO()
    result = Sddp(check_every=5, panel=10, scenarios=100).solve(toy(3), log=log)
    assert result.stop == "converged"
    assert "simulated cost improved by less than" in result.message
    assert len(result.meta["looks"]) >= 4
    text = log.getvalue()
    assert "one path" in text and "n=10" in text and "stopped: the simulated" in text and "WIDE" not in text
    assert "upper bound" in text  # only to say that one path is none


class Watch:
    """Looks, and never stops."""

    looks = True

    def __call__(self, progress: Progress) -> str | None:
        return None


def untied() -> Toy:
    """Every column costs a little of its own, so that a stage with its cuts has one optimum, whatever came before."""
    stage = reservoirs()
    stage = stage.with_(cost=stage.cost + np.random.default_rng(0).uniform(0.01, 0.03, len(stage.cost)))
    return line([stage] * 5, [OPENINGS] * 5, [LAW] * 5, [2.0, 1.0])


def watched(iterations: int, *, seed: int, looks: bool = True, **options: Any) -> Any:
    """Looks every second iteration at a panel of 20 paths, on which later cuts are not always better ones."""
    rules = [*([Watch()] if looks else []), IterationLimit(iterations)]
    given = {"stopping": rules, "check_every": 2, "panel": 20, "scenarios": 0, "warmup": 0, **options}
    return Sddp(**given).solve(untied(), seed=seed)


def mean_on_the_panel(policy: CutPolicy, seed: int) -> float:
    problem, costs = untied(), []
    policy.reset(problem)
    for path in fresh_paths(problem, seed, 20, "sddp-panel", None):
        state, cost = problem.stages().initial_state, 0.0
        for t, noise in enumerate(path.noise):
            answer = model_of(policy, problem, t).solve(state, noise, cuts=policy.pools[t])
            state, cost = answer.state_out, cost + answer.cost
        costs.append(cost)
    return float(np.mean(costs))


@pytest.mark.parametrize("cuts", ["single", "multi"])
@pytest.mark.parametrize("seed", [3, 4])
def test_the_policy_of_the_best_look_is_returned_and_the_bound_of_the_last_iteration(seed: int, cuts: Any) -> None:
    result = watched(14, seed=seed, cuts=cuts)
    means = {iteration: mean for iteration, mean in result.meta["looks"]}
    best = result.meta["policy_of_iteration"]
    assert list(means) == [2, 4, 6, 8, 10, 12, 14]
    assert means[best] == min(means.values())
    if cuts == "single":
        assert means[14] > means[best] + 1e-3  # else nothing is tested
    assert mean_on_the_panel(result.policy, seed) == pytest.approx(means[best], rel=1e-7)
    plain = watched(14, seed=seed, cuts=cuts, looks=False)
    assert plain.meta["policy_of_iteration"] == 14
    assert plain.bound.value == pytest.approx(result.bound.value, rel=1e-12)
    assert mean_on_the_panel(plain.policy, seed) == pytest.approx(means[14], rel=1e-7)
    then = watched(best, seed=seed, cuts=cuts, looks=False).policy
    for a, b in zip(result.policy.pools[:-1], then.pools[:-1], strict=True):  # a look leaves other bases behind
        assert a is not None and b is not None and a.count == b.count
        assert a.gradient == pytest.approx(b.gradient, abs=1e-9) and a.intercept == pytest.approx(b.intercept, abs=1e-9)


def same_cuts(one: CutPolicy, two: CutPolicy) -> None:
    for a, b in zip(one.pools[:-1], two.pools[:-1], strict=True):
        assert a is not None and b is not None
        assert a.count == b.count
        assert (a.gradient == b.gradient).all() and (a.intercept == b.intercept).all() and (a.active == b.active).all()
        assert (a.mixtures == b.mixtures).all()


def test_the_last_policy_is_looked_at_too() -> None:
    result = watched(13, seed=0)
    assert [iteration for iteration, _ in result.meta["looks"]][-2:] == [12, 13]
    assert Sddp(iterations=3, scenarios=0).solve(toy(3)).meta["looks"] == []


@pytest.mark.parametrize("cuts", ["single", "multi"])
def test_a_resumed_run_knows_the_best_look_and_the_time_of_the_runs_before(cuts: Any, tmp_path: Path) -> None:
    file = tmp_path / "run.zip"
    options = {"seed": 3, "cuts": cuts}
    first = watched(8, checkpoint=file, **options)
    header, arrays = read_archive(file)
    assert header["seconds"] <= first.meta["train_seconds"] <= first.times.total
    assert header["cpu_seconds"] <= first.meta["train_cpu_seconds"]
    write_archive(file, {**header, "seconds": 1000.0, "cpu_seconds": 900.0}, arrays)
    resumed = watched(14, checkpoint=file, **options)
    whole = watched(14, checkpoint=tmp_path / "whole.zip", **options)
    for name in ("looks", "policy_of_iteration", "iterations"):
        assert resumed.meta[name] == whole.meta[name]
    same_cuts(resumed.policy, whole.policy)
    assert resumed.bound == whole.bound
    assert 0 < resumed.meta["train_seconds"] - 1000.0 <= resumed.times.total
    assert 0 < resumed.meta["train_cpu_seconds"] - 900.0 <= resumed.times.cpu
    resumed.policy.save(tmp_path / "policy")
    assert CutPolicy.load(tmp_path / "policy").train_seconds == resumed.meta["train_seconds"]
    again = watched(99, checkpoint=file, stopping=TimeLimit(1000.0), **options)
    assert again.meta["iterations"] == 14 and "1000 s of training" in again.message


def test_stopping_rules() -> None:
    progress = Progress(iteration=4, bounds=[1.0, 2.0, 2.0, 2.0])
    assert BoundStall(patience=2)(progress) and not BoundStall(patience=3)(progress)
    assert Statistical()(progress) is None
    progress.looks = [Look(k, mean, 0.5, 10) for k, mean in ((1, 5.0), (2, 4.0), (3, 3.99999), (4, 3.9999))]
    assert SimulationStall(patience=2)(progress) and not SimulationStall(patience=3)(progress)
    assert Statistical(gap=0.6)(progress) and not Statistical(gap=0.5)(progress)
    assert not Statistical()(progress)


def test_an_infeasible_stage_is_named_with_its_rows_and_left_in_a_file() -> None:
    table = Linear()
    water, use = table.column(("volume", 0), 0.0, 1.0), table.column(("use",), 0.0, 1.0)
    table.equal(("water",), 0.0, (water, 1.0), (use, 1.0))
    stage = Stage.of(table, out=[water], noise=1, by_noise={("water",): [(0, 1.0)]})
    problem = line([stage] * 2, [[[1.0]], [[1.0], [5.0]]], [[1.0], [0.5, 0.5]], [0.0])
    with pytest.raises(OrrlError, match=r"node 1 is infeasible .* conflicting rows: water.*the model is in") as caught:
        solve(problem, 3, warmup=0)
    path = str(caught.value).rpartition("the model is in ")[2]
    assert os.path.getsize(path) > 0
    os.remove(path)


def test_a_numerical_failure_makes_no_cut_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from orrl.core.engines.stage_highs import HighsStage

    honest, calls = HighsStage.solve_many, [0]

    def flaky(self: Any, *args: Any, **options: Any) -> Any:
        values, slopes, statuses = honest(self, *args, **options)
        calls[0] += 1
        if calls[0] % 7 == 0:
            values[0], slopes[0], statuses[0] = np.nan, np.nan, "error"
        return values, slopes, statuses

    monkeypatch.setattr(HighsStage, "solve_many", flaky)
    result = solve(toy(), 30)
    assert result.meta["numerical_troubles"] > 0
    assert result.bound.value <= tree_value(toy(), 4) + 1e-6
    assert all(np.isfinite(pool.gradient).all() for pool in result.policy.pools if pool is not None)


def test_tiny_slopes_go_and_the_cut_stays_valid() -> None:
    from orrl.core import CutPool
    from orrl.solvers.exact.sddp_planner import _add

    low, high, rng = np.array([-1.0, 0.0, -np.inf]), np.array([3.0, 2.0, np.inf]), np.random.default_rng(0)
    slope, at = np.array([100.0, -1e-8, 1e-9]), np.array([1.0, 1.0, 5.0])
    pool = CutPool(3, bound=-1e9)
    _add(pool, 7.0, slope, at, low, high, 0)
    assert pool.gradient[0].tolist() == [100.0, 0.0, 1e-9]  # the last has no box
    for x in rng.uniform([-1, 0, -9], [3, 2, 9], (100, 3)):
        assert pool.value(x) <= 7.0 + slope @ (x - at) + 1e-12


# ---- what is left behind --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cuts", ["single", "multi"])
def test_cuts_survive_the_format_of_sddp_jl_and_the_archive(cuts: Any, tmp_path: Path) -> None:
    problem = toy()
    policy = solve(problem, 20, cuts=cuts, risk="mean-cvar:0.5:0.5").policy
    policy.write_cuts(tmp_path / "cuts.json")
    document = json.loads((tmp_path / "cuts.json").read_text())
    assert [node["node"] for node in document] == ["1", "2", "3", "4"]
    assert set(document[0]) == {"node", "single_cuts", "multi_cuts", "risk_set_cuts"}
    cut = (document[0]["single_cuts"] or document[0]["multi_cuts"])[-1]
    assert set(cut["coefficients"]) == set(cut["state"]) == {"volume[1]", "volume[2]"}
    policy.save(tmp_path / "policy.zip")
    read, loaded = CutPolicy.read_cuts(tmp_path / "cuts.json", problem), CutPolicy.load(tmp_path / "policy.zip")
    rng = np.random.default_rng(1)
    for other in (read, loaded):
        for node in range(4):
            for state in rng.uniform(0, 5, (20, 2)):
                assert other.value(state, node) == pytest.approx(policy.value(state, node), rel=1e-9, abs=1e-9)
                assert other.prices(state, node) == pytest.approx(policy.prices(state, node), abs=1e-9)
    again = solve(problem, 1, cuts=cuts, risk="mean-cvar:0.5:0.5", warm_start=read, warmup=0)
    assert again.bound.value >= solve(problem, 20, cuts=cuts, risk="mean-cvar:0.5:0.5").bound.value - 1e-6
    document[1]["node"] = "9"
    (tmp_path / "cuts.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match="node '9' is not one of"):
        CutPolicy.read_cuts(tmp_path / "cuts.json", problem)


def test_prices_are_slopes_and_a_file_of_sddp_jl_reads_heights_at_states(tmp_path: Path) -> None:
    problem = toy(2)
    cut = {"intercept": 5.0, "coefficients": {"a": -2.0, "b": 1.0}, "state": {"a": 1.0, "b": 3.0}}
    (tmp_path / "c.json").write_text(json.dumps([{"node": "1", "single_cuts": [cut], "multi_cuts": [],
                                                  "risk_set_cuts": []}]))  # fmt: skip
    policy = CutPolicy.read_cuts(tmp_path / "c.json", problem, names=["a", "b"])
    assert policy.value([1.0, 3.0], 0) == pytest.approx(5.0)
    assert policy.value([0.0, 3.0], 0) == pytest.approx(7.0)
    assert policy.prices([0.0, 3.0], 0).tolist() == [2.0, -1.0]
    assert policy.value([0.0, 3.0], 1) == 0.0


@pytest.mark.parametrize("cuts", ["single", "multi"])
def test_the_cost_to_go_in_a_users_own_model(cuts: Any) -> None:
    """A stage written by hand in Pyomo, with the cuts, has the value of the stage model."""
    import pyomo.environ as pyo

    problem = toy()
    policy = solve(problem, 30, cuts=cuts).policy
    model = pyo.ConcreteModel()
    model.v = pyo.Var(range(2), bounds=(0, 5))
    model.u = pyo.Var(range(2), bounds=(0, 3))
    model.s = pyo.Var(range(2), bounds=(0, None))
    model.f = pyo.Var(range(2), bounds=(0, 2))
    model.d = pyo.Var(bounds=(0, None))
    state, noise = (1.5, 2.5), (1.0, 0.5)
    model.w0 = pyo.Constraint(expr=model.v[0] + model.u[0] + model.s[0] == state[0] + noise[0])
    arrives = model.u[0] + model.s[0]
    model.w1 = pyo.Constraint(expr=model.v[1] + model.u[1] + model.s[1] == state[1] + noise[1] + arrives)
    model.p = pyo.Constraint(expr=model.u[0] + model.u[1] + model.f[0] + model.f[1] + model.d == 4)
    later = policy.add_cost_to_go(model, [model.v[0], model.v[1]], 1)
    model.cost = pyo.Objective(expr=model.f[0] + 3 * model.f[1] + 10 * model.d + later)
    pyo.SolverFactory("appsi_highs").solve(model)
    answer = model_of(policy, problem, 1).solve(np.array(state), np.array(noise), cuts=policy.pools[1])
    assert pyo.value(model.cost) == pytest.approx(answer.value, rel=1e-7)
    assert pyo.value(later) == pytest.approx(policy.value(answer.state_out, 1), abs=1e-6)


SCRIPT = """
import sys
sys.path[:0] = {paths!r}
from test_sddp import toy
from orrl.solvers.exact.sddp import Sddp
Sddp(iterations=100000, scenarios=0, check_every=5, checkpoint={file!r}).solve(toy(6), seed=3)
"""


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    file = tmp_path / "run.zip"
    here = os.path.dirname(__file__)
    code = SCRIPT.format(paths=[here, os.path.dirname(here)], file=str(file))
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        for _ in range(600):
            if file.exists():
                break
            time.sleep(0.05)
        time.sleep(0.5)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert file.exists()
    at = Sddp(iterations=1, scenarios=0, check_every=5, checkpoint=file).solve(toy(6), seed=3).meta["iterations"]
    assert at >= 5 and at % 5 == 0
    goal = at + 12
    resumed = Sddp(iterations=goal, scenarios=0, check_every=5, checkpoint=file).solve(toy(6), seed=3)
    whole = Sddp(iterations=goal, scenarios=0, check_every=5, checkpoint=tmp_path / "b.zip").solve(toy(6), seed=3)
    assert resumed.bound == whole.bound
    same_cuts(resumed.policy, whole.policy)
    with pytest.raises(FormatError, match="another problem, seed"):
        Sddp(iterations=9, scenarios=0, check_every=5, checkpoint=file).solve(toy(6), seed=4)


def test_options_that_make_no_sense_are_refused() -> None:
    for wrong in ({"iterations": 0}, {"cuts": "many"}, {"panel": 0}, {"risk": "brave"}):
        with pytest.raises(ValueError):
            Sddp(**wrong)


# ---- the real system ------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def bolivia(data_root: Callable[[str], Path]) -> Any:
    from orrl.problems.hydrothermal import Hydrothermal, read_case

    case = read_case(data_root("hydrothermal") / "bolivia")
    return Hydrothermal(
        grid=case.network, cascade=case.cascade, inflow=case.inflow, probability=case.probability, stage_hours=168.0,
        load=0.6, stages=12,
    )  # fmt: skip


def test_bolivia_costs_no_less_than_its_bound(bolivia: Any) -> None:
    result = Sddp(iterations=15, scenarios=60).solve(bolivia)
    high = result.evaluation.interval[1]
    assert result.bound.value <= high
    assert high - result.bound.value < 0.05 * result.bound.value
    assert result.policy.states[0] == "volume[1]"
    empty, full = result.policy.prices(np.zeros(11), 3), result.policy.prices(bolivia.cascade.volume_max, 3)
    assert empty.sum() >= full.sum() >= -1e-6  # water is worth more where there is less of it


def test_the_kernel_pays_what_the_stage_models_said(bolivia: Any) -> None:
    from orrl.core import PolicySolver
    from orrl.core.seeds import spawn_seeds
    from orrl.core.targets import play

    problem = bolivia.with_(stages=6)
    policy = Sddp(iterations=5, scenarios=0).solve(problem).policy
    worlds = [problem.scenario(s) for s in spawn_seeds(0, 4, "scenario")]
    paths = play(problem, policy, np.array([problem.noise(w) for w in worlds]))
    judged = PolicySolver(policy, scenarios=4).solve(problem)
    assert judged.objective == pytest.approx(paths.total().mean(), rel=1e-6)
