"""The price of risk by dual ascent: the dual of the linear program, exact or learnt; mixtures that keep a limit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import orrl
from orrl.core.errors import DataError, NotSupportedError
from orrl.core.rollout import rollout
from orrl.core.tables import policy_value
from orrl.problems.tabular import TabularPOMDP
from orrl.solvers.exact.cmdp_lp import CmdpLp
from orrl.solvers.learners.dual_ascent import DualAscent, MixturePolicy
from orrl.solvers.learners.sarsa import Sarsa

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = (0.15, 0.10, 0.06, 0.04)
MANY = orrl.Budget(iterations=1000)


def sea(n: int = 100, **options: Any) -> tuple[Any, list[int]]:
    """The published setting, and its states of risk: below a fifth of K."""
    problem = orrl.load("fishery/paper-a", sigma_g=0.15, sigma_m=0.0, start=0.65, n=n, **options)
    return problem, np.flatnonzero(problem.grids.stocks < 0.2).tolist()


def exact_ends(problem: Any, states: list[int], policy: MixturePolicy) -> tuple[float, float]:
    """Value and time at risk of a mixture on the tables."""
    table = problem.tabular()
    risk = np.zeros_like(table.reward)
    risk[states] = 1.0
    laws = np.eye(table.reward.shape[1])[policy.actions]
    ends = [[table.initial @ policy_value(t, law) for law in laws] for t in (table, replace(table, reward=risk))]
    value, time = np.array(ends) @ policy.weights
    return float(value), float(time)


@pytest.mark.parametrize("limit", [*LIMITS, np.inf])
def test_exact_answers_give_the_dual_of_the_linear_program(limit: float) -> None:
    """Price to 1e-4, value and bound to 1e-6 (relative), and no dual value below the optimum."""
    problem, states = sea()
    best = CmdpLp(limit=limit, states=states).solve(problem, threads=1)
    policy = DualAscent(limit=limit, states=states, inner="policy-iteration").fit(problem, budget=MANY)
    assert policy.log["price"] == pytest.approx(best.meta["price"], rel=1e-4, abs=1e-9)
    assert policy.log["value"] == pytest.approx(best.objective, rel=1e-6)
    assert policy.log["bound"] == pytest.approx(best.objective, rel=1e-6)
    assert policy.log["time"] <= (limit + 1e-9 if limit < np.inf else 0.1950)
    assert min(policy.log["dual"]) >= best.objective - 1e-8
    assert len(policy.weights) == (2 if limit < np.inf else 1)
    assert exact_ends(problem, states, policy) == pytest.approx((policy.log["value"], policy.log["time"]), abs=1e-9)


@pytest.mark.parametrize("limit", LIMITS)
def test_ascent_on_exact_answers_comes_to_the_same_price(limit: float) -> None:
    """Price to 30% of itself after 60 rounds, value and bound to 1e-3; weak duality at each price."""
    problem, states = sea()
    best = CmdpLp(limit=limit, states=states).solve(problem, threads=1)
    method = DualAscent(limit=limit, states=states, inner="policy-iteration", update="ascent", rounds=60)
    policy = method.fit(problem, budget=MANY)
    assert len(policy.log["prices"]) == 60
    assert policy.log["price"] == pytest.approx(best.meta["price"], rel=0.3)
    assert policy.log["value"] == pytest.approx(best.objective, rel=1e-3)
    assert policy.log["value"] <= best.objective + 1e-8
    assert policy.log["bound"] == pytest.approx(best.objective, rel=1e-3)
    assert min(policy.log["dual"]) >= best.objective - 1e-8
    assert policy.log["time"] <= limit + 1e-9


def test_costs_and_another_family() -> None:
    base = TabularPOMDP.generate(seed=3, observations=0)
    for problem in (base, replace(base, values="cost")):
        free = CmdpLp(states=[0]).solve(problem)
        limit = 0.7 * free.meta["time"]
        best = CmdpLp(limit=limit, states=[0]).solve(problem)
        policy = DualAscent(limit=limit, states=["s0"], inner="policy-iteration").fit(problem, budget=MANY)
        assert policy.log["value"] == pytest.approx(best.objective, rel=1e-6)
        assert policy.log["price"] == pytest.approx(best.meta["price"], rel=1e-4)
        assert policy.log["bound"] == pytest.approx(best.objective, rel=1e-6)


def test_learnt_answers_come_near() -> None:
    """A learnt price within a factor of 2.5 of the dual, value to 4%, time to 40% of the limit, all on the tables."""
    problem, states = sea(30)
    limit = 0.1
    best = CmdpLp(limit=limit, states=states).solve(problem, threads=1)
    policy = DualAscent(limit=limit, states=states, rounds=30, plays=500).fit(
        problem, budget=orrl.Budget(steps=5_000_000), seed=0
    )
    value, time = exact_ends(problem, states, policy)
    assert best.meta["price"] / 2.5 < policy.log["price"] < best.meta["price"] * 2.5
    assert value > 0.96 * best.objective
    assert time < 1.4 * limit
    # weak duality: no mixture is above the Lagrangian bound at the exact price
    assert value - best.meta["price"] * (time - limit) <= best.objective + 1e-8
    # the simulated ends are honest (4 rather than 2 standard errors, so that the seed does not matter)
    for what, truth in (("value", value), ("time", time)):
        low, high = policy.log[f"{what}_interval"]
        assert abs(policy.log[what] - truth) < high - low
    assert "bound" not in policy.log
    assert 5_000_000 <= policy.log["steps"] < 5_100_000


def test_a_loose_limit_costs_nothing_and_a_margin_makes_it_stricter() -> None:
    problem, states = sea(20)
    budget = orrl.Budget(steps=600_000)
    loose = DualAscent(limit=5.0, states=states, rounds=6, plays=200).fit(problem, budget=budget)
    assert loose.log["price"] == 0.0
    assert loose.log["time"] < 5.0
    strict = DualAscent(limit=5.0, states=states, rounds=6, plays=200, margin=3.0).fit(problem, budget=budget)
    assert strict.log["time"] < 5.0


def test_the_mixture_plays_saves_and_knows_its_problem(tmp_path: Path) -> None:
    problem, states = sea(40)
    policy = orrl.train(
        problem, "dual-ascent", limit=0.1, states=states, inner="policy-iteration", budget=orrl.Budget(iterations=50)
    )
    assert isinstance(policy, MixturePolicy)
    policy.save(tmp_path / "mixture.zip")
    again = orrl.load_policy(tmp_path / "mixture.zip")
    assert isinstance(again, MixturePolicy) and again.log == policy.log
    worlds = [problem.scenario(s) for s in range(1500)]
    values = np.array([e.value for e in rollout(problem, again, worlds, seed=4)])
    assert abs(values.mean() - policy.log["value"]) < 4.0 * values.std() / np.sqrt(len(values))
    drawn = np.bincount(again._rule, minlength=2) / len(worlds)
    assert drawn == pytest.approx(policy.weights, abs=0.06)
    with pytest.raises(DataError, match="content hash"):
        again.reset(sea(41)[0])


def test_limits_that_no_policy_keeps() -> None:
    problem, states = sea(30)
    with pytest.raises(DataError, match=r"limit is 0\.0001.*least discounted time at risk was .*larger limit"):
        DualAscent(limit=1e-4, states=states, inner="policy-iteration").fit(problem, budget=MANY)
    assert CmdpLp(limit=1e-4, states=states).solve(problem).status == "infeasible"
    with pytest.raises(DataError, match="more rounds"):
        DualAscent(limit=1e-9, states=states, rounds=2, plays=100).fit(problem, budget=orrl.Budget(steps=20_000))


def test_wrong_options_and_problems_are_refused() -> None:
    wrong: list[dict[str, Any]] = [
        {"limit": -1.0}, {"inner": "sarsa"}, {"update": "newton"}, {"update": "cutting"}, {"rounds": 0}, {"plays": 1},
        {"inner": Sarsa(gamma=0.9)},
    ]  # fmt: skip
    for options in wrong:
        with pytest.raises(DataError, match=next(iter(options))):
            DualAscent(**options)
    hidden = orrl.load("fishery/paper-a", sigma_m=0.1, n=12)
    with pytest.raises(NotSupportedError, match="hidden"):
        DualAscent(limit=1.0, inner="policy-iteration").fit(hidden, budget=MANY)
    ends = orrl.load("fishery/paper-a", sigma_m=0.0, n=12, horizon=5)
    assert "ends after 5" in DualAscent(limit=1.0, inner="policy-iteration").supports(ends).reason
    assert not DualAscent(limit=1.0).supports(orrl.JobShop.generate(seed=0, jobs=3, machines=2))
    nothing = TabularPOMDP.generate(seed=0, observations=0)
    assert "risk_states" in DualAscent(limit=1.0, inner="policy-iteration").supports(nothing).reason
