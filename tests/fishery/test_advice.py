"""What managers read: caps on the change of the quota, measures, decision tables by hypothesis."""

from __future__ import annotations

import numpy as np
import pytest

from orrl.core.errors import DataError, UnknownNameError
from orrl.core.policy import RandomPolicy
from orrl.core.rollout import rollout
from orrl.core.seeds import spawn_seeds
from orrl.planning.simulate import simulate
from orrl.problems.fishery import Fishery, GordonSchaefer, Ricker
from orrl.problems.fishery.advice import Assuming, assuming, decision_table, measures, operating_models
from orrl.problems.fishery.capped import Capped
from orrl.problems.fishery.catalogue import instance
from orrl.problems.fishery.rules import ConstantEscapement, ConstantQuota, Filtered, Msy, OnBelief, Tac
from orrl.problems.fishery.tuning import tune
from orrl.solvers.exact.policy_iteration import PolicyIteration
from orrl.solvers.exact.qmdp import Qmdp

LINE = {"action": "share", "grid": False}


def sea(**options) -> Fishery:
    own = {"growth": GordonSchaefer(r=0.75, K=1.0), "sigma_g": 0.1, "sigma_m": 0.15, "n": 41, "start": 0.6, "steps": 30}
    return Fishery(**{**own, **options})


def changes(episodes) -> tuple[np.ndarray, np.ndarray]:
    quota = np.array([e.final.quota for e in episodes])
    return np.abs(np.diff(quota)), quota[:, :-1]


# ---- the cap ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("policy", [Tac(), Filtered(ConstantEscapement()), RandomPolicy()], ids=lambda p: p.name)
def test_a_cap_binds_changes_of_the_quota(policy):
    problem = sea()
    worlds = [problem.scenario(s) for s in range(40)]
    floor = 0.1 * problem.reference.msy
    change, last = changes(rollout(problem, Capped(policy, change=0.2), worlds, kernel_options=LINE))
    assert (change <= 0.2 * np.maximum(last, floor) + 1e-9).all()
    assert (change > 0.2 * np.maximum(last, floor) - 1e-9).any()
    free, before = changes(rollout(problem, policy, worlds, kernel_options=LINE))
    assert (free > 0.5 * np.maximum(before, floor)).any()
    change, last = changes(rollout(problem, Capped(policy, change=0.2), worlds))  # on the grid: whole steps
    assert (change <= np.maximum(0.2 * last, problem.top / 40) + 1e-9).all()


def test_a_loose_cap_changes_nothing():
    problem = sea()
    worlds = [problem.scenario(s) for s in range(10)]
    q = Qmdp().solve(problem).policy
    for policy, own in ((Filtered(Msy()), Filtered(Msy())), (q, OnBelief(q))):
        for a, b in zip(
            rollout(problem, Capped(policy, change=1e6), worlds), rollout(problem, own, worlds), strict=True
        ):
            np.testing.assert_array_equal(a.actions, b.actions)


def test_a_capped_fishery_goes_on_from_a_snapshot():
    """The cap has no memory of its own: what was set before counts, whoever set it."""
    problem = sea()
    world = problem.scenario(3)
    policy = Capped(Filtered(ConstantEscapement()), change=0.3)
    whole = rollout(problem, policy, [world])[0]
    kernel = Fishery.kernel([problem])
    state = kernel.reset([world])
    for t in range(12):
        kernel.step(state, whole.actions[t : t + 1])
    rest = rollout(problem.at(kernel.snapshot(state, 0)), policy, [world])[0]
    np.testing.assert_array_equal(rest.actions, whole.actions[12:])


def test_a_capped_filter_learns_from_the_quota_that_was_set():
    """Its belief is the kernel's, which knows the actions that were played."""
    problem = sea(sigma_m=0.3)
    inner = Filtered(ConstantEscapement())
    episode = rollout(problem, Capped(inner, change=0.1), [problem.scenario(1)])[0]
    past = problem.at(episode.final).belief
    known = inner._groups[0][0]
    g = problem.grids
    known.next(g.nearest_quota(np.array(episode.final.quota[-1:])), np.zeros(1, np.int64),
               g.nearest_survey(np.array(episode.final.seen[-1:])))  # fmt: skip
    np.testing.assert_allclose(known.beliefs[0], past, atol=1e-12)


def test_a_cap_smooths_the_catch_and_can_be_tuned():
    problem = sea()
    worlds = [problem.scenario(s) for s in range(200)]
    rough, smooth = (measures(rollout(problem, p, worlds))["aav"].mean() for p in (Tac(), Capped(Tac(), change=0.15)))
    assert smooth < 0.7 * rough
    tuned = tune(Tac, problem, change=0.15, scenarios=100, tests=200, evaluations=9)
    assert isinstance(tuned.policy, Capped)
    assert tuned.policy.name == "tac-80-capped"


@pytest.mark.parametrize("option", ["change", "floor"])
def test_cap_errors(option):
    with pytest.raises(DataError, match=f"{option} is 0.0: give a positive share, such as 0.15"):
        Capped(Tac(), **{option: 0.0})


# ---- measures --------------------------------------------------------------------------------------------------------
def test_measures_are_the_referees():
    problem = sea(scale=1000.0, unit="t")
    worlds = [problem.scenario(s) for s in range(20)]
    episodes = rollout(problem, Msy(), worlds)
    found = measures(episodes)
    for i, (episode, world) in enumerate(zip(episodes, worlds, strict=True)):
        verdict = problem.evaluate(problem.solution(episode), world)
        told = verdict.metrics
        assert found["value"][i] == pytest.approx(1000 * verdict.objective)
        assert found["yield"][i] == pytest.approx(1000 * told["yield"] / 30)
        assert found["mean_biomass"][i] == pytest.approx(1000 * told["mean_biomass"])
        for name in ("aav", "below_limit", "extinct"):
            assert found[name][i] == pytest.approx(told[name])
        assert found["ever_below"][i] == float(told["below_limit"] > 0)
        assert found["quota_now"][i] == pytest.approx(1000 * episode.final.quota[0])
    with pytest.raises(DataError, match="give at least one"):
        measures([])
    with pytest.raises(DataError, match="of several fisheries"):
        measures([episodes[0], rollout(sea(), Msy(), [sea().scenario(0)])[0]])


# ---- decision tables -------------------------------------------------------------------------------------------------
def test_a_decision_table():
    believed = sea(scale=1000.0, unit="t")
    models = operating_models(believed, growth=[believed.growth, Ricker(r=0.3, K=0.8)], sigma_m=[0.0, 0.3])
    named = list(models)
    assert named[:2] == ["gordon-schaefer(r=0.75, K=1), sigma_m=0", "gordon-schaefer(r=0.75, K=1), sigma_m=0.3"]
    result = Qmdp().solve(believed)
    table = decision_table(models, ["tac-80", result, 100.0, 150], believed=believed, scenarios=60, seed=4)
    assert table.index.names == ["hypothesis", "policy"]
    assert table.shape == (16, 10)
    assert table.attrs == {"unit": "t", "scenarios": 60, "seed": 4, "believed": "fishery"}
    assert (table["regret"].groupby("hypothesis").min() == 0.0).all()
    assert table.loc[(slice(None), "100 t"), "quota_now"].tolist() == [100.0] * 4
    wide = table["value"].unstack("hypothesis")
    assert (wide[named[2]] < wide[named[0]]).all()  # less productive than was believed
    cell = table.loc[named[1], "150 t"]
    own = simulate(models[named[1]], ConstantQuota(quota=0.15), scenarios=60, seed=4)
    assert cell["value"] == pytest.approx(1000 * own.mean)
    assert cell["value_se"] == pytest.approx(1000 * own.objectives.std(ddof=1) / 60**0.5)


def test_policies_believe_what_they_are_told():
    """Reference points, beliefs and plans are those of the fishery that is believed in, not of the truth."""
    believed, truth = sea(), sea(growth=GordonSchaefer(r=0.4, K=1.3))
    worlds = [truth.scenario(s) for s in spawn_seeds(0, 30, "scenario")]
    quota = rollout(truth, assuming("msy", believed), worlds, kernel_options=LINE)
    seen = np.array([e.final.seen[:-1] for e in quota])
    asked = np.array([e.final.quota for e in quota])
    np.testing.assert_allclose(asked, np.clip(believed.reference.f_msy * seen, 0.0, 2.0), atol=1e-9)
    policy = assuming(Capped(Filtered(ConstantEscapement()), change=0.4), believed)
    assert policy.policy.model is believed
    assert policy.change == 0.4
    assert assuming(OnBelief(Qmdp().solve(believed).policy), believed).model is believed
    assert isinstance(assuming(Tac(), believed), Assuming)
    seen_stock = sea(sigma_m=0.0)
    optimal = assuming(PolicyIteration().solve(seen_stock), seen_stock)
    plain = rollout(seen_stock, optimal, [seen_stock.scenario(0)])[0]
    again = rollout(seen_stock, PolicyIteration().solve(seen_stock).policy, [seen_stock.scenario(0)])[0]
    np.testing.assert_array_equal(plain.actions, again.actions)


def test_decision_table_errors():
    problem = sea()
    with pytest.raises(DataError, match="no hypotheses: give growth, sigma_g or sigma_m"):
        operating_models(problem)
    with pytest.raises(DataError, match="survey efforts, which set sigma_m"):
        operating_models(instance("survey"), sigma_m=[0.1])
    with pytest.raises(DataError, match="no hypotheses: give at least one"):
        decision_table({}, ["msy"], believed=problem)
    with pytest.raises(DataError, match="units 1 K and 1000 t: give the same"):
        decision_table({"as is": problem}, ["msy"], believed=sea(scale=1000.0, unit="t"))
    with pytest.raises(UnknownNameError, match="did you mean 'msy'"):
        assuming("mys", problem)
    with pytest.raises(DataError, match="was made for another problem"):
        assuming(Qmdp().solve(problem), sea(sigma_m=0.3))
    with pytest.raises(DataError, match="two policies have the same name"):
        decision_table({"as is": problem}, [Tac(), Tac(share=0.3)], believed=problem)
    with pytest.raises(DataError, match="give a sequence of policies"):
        decision_table({"as is": problem}, "msy", believed=problem)
