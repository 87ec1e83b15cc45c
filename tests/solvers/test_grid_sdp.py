"""Grid dynamic programming: against a closed form, an independent recursion, and the published policies of paper B."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from orrl.core.errors import DataError, NotSupportedError
from orrl.core.rollout import rollout
from orrl.problems.fishery import Fishery, GordonSchaefer
from orrl.problems.fishery.catalogue import instance
from orrl.problems.fishery.rules import ConstantEscapement
from orrl.solvers.exact.grid_sdp import GridPolicy, GridSdp

MODEL = instance("paper-b/3")


def simulated(problem, policy, count, first=1_000_000, **options):
    """Values and the share of full-length episodes; seeds are nobody else's."""
    values, full = [], 0
    for begin in range(0, count, 2500):
        worlds = [problem.scenario(first + s) for s in range(begin, min(begin + 2500, count))]
        for e in rollout(problem, policy, worlds, kernel_options=options):
            values.append(e.value)
            full += len(e.rewards) == problem.steps and not getattr(e.final, "over", False)
    return np.array(values), full / count


@pytest.fixture(scope="module")
def small():
    return GridSdp(points=(20, 20, 18), stages=240).solve(MODEL)


def test_a_small_grid_beats_the_constant_rules(small):
    assert small.status == "feasible"
    assert small.stop == "finished"
    assert small.objective is None  # the grid certifies nothing
    best = 0.0
    for rule in list(MODEL.rules().values())[:2]:
        best = max(best, simulated(MODEL, rule, 1000)[0].mean())
    values, full = simulated(MODEL, small.policy, 1000)
    assert values.mean() > best + 2.0
    assert full > 0.95


def test_the_policy_survives_a_file_and_plays_other_settings(small, tmp_path):
    small.policy.save(tmp_path / "grid.zip")
    again = GridPolicy.load(tmp_path / "grid.zip")
    assert again.seen == small.policy.seen == frozenset([MODEL.content_hash])
    other = replace(MODEL, beta=0.32, name="hungrier")
    for problem in (MODEL, other):
        a, b = (simulated(problem, p, 50)[0] for p in (small.policy, again))
        np.testing.assert_array_equal(a, b)
    left = simulated(MODEL, small.policy, 50, action="escapement")[0]
    np.testing.assert_allclose(left, simulated(MODEL, small.policy, 50)[0], atol=1e-6)
    with pytest.raises(DataError, match="does not fit"):
        simulated(instance("paper-b/2"), small.policy, 2)


def test_one_step_against_brute_force():
    """W of the last but one stage by a plain loop over all pairs of shocks, and the choice by a search of all nodes."""
    problem = replace(MODEL, steps=2)
    solver = GridSdp(points=(6, 7, 5), shocks=3)
    policy = solver.solve(problem).policy
    model = problem.drawdown()
    axes = model.axes((6, 7, 5))
    nodes, weights = np.polynomial.hermite.hermgauss(3)
    nodes, weights = nodes * 2**0.5, weights / np.pi**0.5
    value = np.zeros((6, 7, 5))  # V_1: W_1 is the chance of the end times its price
    tables = []
    for t in (1, 0):
        worth = np.zeros((6, 7, 5))
        for i, j, k in np.ndindex(6, 7, 5):
            s = np.array([[axes[0][i], axes[1][j], axes[2][k]]])
            law = model.law(s, t, nodes)[0]
            for a, b, c in np.ndindex(3, 3, 3):
                x = np.array([law[0, a], law[1, b], law[2, c]])
                chance = weights[a] * weights[b] * weights[c]
                worth[i, j, k] += chance * (-100 / (t + 1) if min(x) <= 0.05 else _bent(axes, value, x))
        tables.append(worth - axes[0][:, None, None] - axes[1][None, :, None])
        value = np.zeros((6, 7, 5))
        for i, j, k in np.ndindex(6, 7, 5):
            value[i, j, k] = axes[0][i] + axes[1][j] + tables[-1][: i + 1, : j + 1, k].max()
    np.testing.assert_allclose(policy.tables, tables[::-1], atol=1e-9)
    stocks = np.random.default_rng(0).uniform(0.1, 1.2, (40, 3))
    left = policy.leave(stocks, np.zeros(40, np.int64))
    for x, s in zip(stocks, left, strict=True):
        choices = [[*axis[axis <= x[i]], x[i]] for i, axis in enumerate(axes[:2])]
        best = max(_bent(axes, tables[1], np.array([u, v, x[2]])) for u in choices[0] for v in choices[1])
        assert _bent(axes, tables[1], np.array([*s, x[2]])) == pytest.approx(best, abs=1e-9)


def _bent(axes, table, x):
    """Multilinear interpolation, straight on beyond the end of the two axes that are harvested."""
    from scipy.interpolate import RegularGridInterpolator

    inside = [min(v, a[-1]) for v, a in zip(x, axes, strict=True)]
    return float(RegularGridInterpolator(axes, table)(inside)[0]) + sum(max(0.0, x[i] - axes[i][-1]) for i in (0, 1))


def test_one_stock_leaves_the_escapement_of_reed():
    """Without noise the optimum is S*, known in closed form; with it, the policy earns what S* does (Reed 1979)."""
    quiet = Fishery(growth=GordonSchaefer(r=0.75, K=1.0), sigma_g=0.0, process="continuous", start=0.8, n=100)
    policy = GridSdp(points=400).solve(quiet).policy
    left = policy.leave(np.array([[0.3], [0.6], [1.2]]), np.zeros(3, np.int64))[:, 0]
    np.testing.assert_allclose(left, [0.3, 0.46491, 0.46491], atol=0.006)
    noisy = replace(quiet, sigma_g=0.1)
    result = GridSdp().solve(noisy)
    assert result.stop == "converged"
    found, _ = simulated(noisy, result.policy, 1000, action="share")
    reed, _ = simulated(noisy, ConstantEscapement(), 1000, action="share")
    assert found.mean() > reed.mean() - 0.005
    assert result.policy.leave(np.array([[1.5]]), np.zeros(1, np.int64))[0, 0] == pytest.approx(0.4649, abs=0.03)


def test_the_end_is_seen_or_not():
    """With the horizon's own stages everything is taken in the last year; with more stages it is not."""
    problem = instance("paper-b/2", steps=30)
    options = {"points": (14, 12, 12)}
    rows = np.tile([[0.6, 0.6, 0.7]], (2, 1))
    seen = GridSdp(**options).solve(problem).policy.leave(rows, np.array([0, 29]))[:, 0]
    assert seen[0] > 0.1
    far = GridSdp(**options, stages=90).solve(problem).policy.leave(rows, np.array([0, 29]))[:, 0]
    assert far[1] > 0.1
    frozen = GridSdp(**options, stages=90, frozen=20).solve(problem).policy
    assert len(frozen.tables) == 1
    np.testing.assert_array_equal(*frozen.leave(rows, np.array([0, 29])))


def test_limits_and_what_is_refused():
    result = GridSdp(points=(20, 20, 18), stages=300).solve(MODEL, time_limit=0.3)
    assert result.stop == "time"
    assert result.meta["stages"] < 300
    assert np.isfinite(result.policy.tables).all()
    with pytest.raises(DataError, match="at least 4 an axis"):
        GridSdp(points=2)
    with pytest.raises(DataError, match="give 3 numbers, one a stock"):
        GridSdp(points=(8, 8)).solve(MODEL)
    with pytest.raises(DataError, match="frozen is 90"):
        GridSdp(stages=80, frozen=90)
    costly = Fishery(growth=GordonSchaefer(r=0.75, K=1.0), cost=0.1)
    with pytest.raises(NotSupportedError, match="not a constant price"):
        GridSdp().solve(costly)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("paper-b/3", 69.9), ("paper-b/4", 52.0)])
def test_the_bar_of_paper_b(name, least):
    """The "no end effect" policy, penalty included, 20 000 episodes; published PPO + GP: 68.8 and 49.4."""
    problem = instance(name)
    begin = time.process_time()
    result = GridSdp(stages=300).solve(problem)
    assert time.process_time() - begin <= 120.0
    values, full = simulated(problem, result.policy, 20_000)
    assert values.mean() >= least
    assert full >= 0.995
