"""Harvest rules: by hand, filtered, tuned, on other operating models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from orrl.core.errors import DataError
from orrl.core.rollout import rollout
from orrl.core.seeds import spawn_seeds
from orrl.problems.fishery import Fishery, GordonSchaefer, Ricker
from orrl.problems.fishery.catalogue import instance
from orrl.problems.fishery.rules import (
    ConstantEscapement,
    ConstantMortality,
    Filtered,
    FortyTen,
    Msy,
    OnBelief,
    OnSurvey,
    Precautionary,
    Tac,
)
from orrl.problems.fishery.tuning import tune
from orrl.solvers.exact.alpha import AlphaPolicy

REPLICATES = 2000


def optimal_choice(problem: Fishery) -> np.ndarray:
    """Action values (S, A) of the fully observed problem, by value iteration."""
    post = problem.post_decision()
    value = np.zeros(problem.n)
    for _ in range(500):
        choice = post.reward + post.discount * (post.rows @ value)[post.index]
        value = choice.max(axis=1)
    return choice


@pytest.fixture(scope="module")
def played() -> dict:
    """Episodes of raw and filtered policies on the same noise, sigma_g 0.15."""
    found = {}
    for sigma_m in (0.0, 0.15):
        problem = instance("paper-a", sigma_g=0.15, sigma_m=sigma_m, start="paper")
        choice = optimal_choice(problem)
        worlds = [problem.scenario(s) for s in spawn_seeds(7, REPLICATES, "replication")]
        policies = [ConstantEscapement(), Filtered(ConstantEscapement())]
        if sigma_m:
            policies.append(OnSurvey(choice.argmax(axis=1)))
            policies.append(OnBelief(lambda b, q=choice: (b @ q).argmax(axis=1), name="qmdp"))
        for policy in policies:
            found[sigma_m, policy.name] = rollout(problem, policy, worlds)
    return found


def test_filtering_beats_the_raw_survey(played):
    """Paired differences on the same noise, sigma_m 0.15: CE, and the optimal plan."""
    for raw, filtered in (("constant-escapement", "constant-escapement-filtered"), ("sdp-raw", "qmdp")):
        pairs = zip(played[0.15, raw], played[0.15, filtered], strict=True)
        gain = np.array([b.value - a.value for a, b in pairs])
        assert gain.mean() > 4 * gain.std() / REPLICATES**0.5


def test_without_survey_error_filtering_changes_nothing(played):
    for a, b in zip(
        played[0.0, "constant-escapement"][:200], played[0.0, "constant-escapement-filtered"], strict=False
    ):
        np.testing.assert_array_equal(a.actions, b.actions)


@pytest.mark.parametrize("sigma_m", [0.1, 0.15])
def test_the_authors_alpha_vectors_earn_what_they_say(data_root, sigma_m):
    """APPL's vectors: their value at the uniform belief is earned from there."""
    uniform = instance("paper-a", sigma_m=sigma_m)
    file = data_root("fishery") / "appl_policies" / f"gs_sg0.15_sm{sigma_m:g}.policyx"
    vectors = AlphaPolicy.read_policyx(file, uniform)
    worlds = [uniform.scenario(s) for s in spawn_seeds(1, 1000, "appl")]
    value = np.array([e.value for e in rollout(uniform, OnBelief(vectors), worlds)])
    assert abs(value.mean() - vectors.value(uniform.belief)) <= 4 * value.std() / 1000**0.5 + 0.02  # a gap is left
    few = rollout(uniform, vectors, worlds[:20])
    np.testing.assert_allclose([e.value for e in few], value[:20])  # the solver's own belief is the fishery's


def test_rules_by_hand():
    problem = instance("paper-a")
    points = problem.reference
    stock = np.array([0.0, 0.2, 0.5, 1.0])
    np.testing.assert_allclose(Msy().quota(stock, problem), points.f_msy * stock)
    np.testing.assert_allclose(Tac().quota(stock, problem), 0.8 * points.f_msy * stock)
    np.testing.assert_allclose(ConstantEscapement(escapement=0.4).quota(stock, problem), [0.0, 0.0, 0.1, 0.6])
    np.testing.assert_allclose(ConstantMortality(mortality=0.1).quota(stock, problem), 0.1 * stock)
    np.testing.assert_allclose(FortyTen().quota(stock, problem), points.f_msy * stock * [0.0, 1 / 3, 1.0, 1.0])
    low, high = 0.4 * points.b_msy, 0.8 * points.b_msy
    expected = points.f_msy * stock * np.clip((stock - low) / (high - low), 0.0, 1.0)
    np.testing.assert_allclose(Precautionary().quota(stock, problem), expected)
    late = replace(problem, order="recruit-harvest")
    np.testing.assert_allclose(late.reference.b_msy, points.escapement)  # what the last catch has left
    np.testing.assert_allclose(late.reference.f_msy, points.msy / points.escapement)
    expected = np.maximum(problem.growth.f(stock) - points.escapement, 0.0)
    np.testing.assert_allclose(ConstantEscapement().quota(stock, late), expected)
    with pytest.raises(DataError, match="has no parameter 'mortality': it has escapement"):
        ConstantEscapement(mortality=0.1)


def test_tuning_and_test_scenarios_are_apart():
    problem = instance("paper-a", sigma_m=0.15, start="paper")
    tuned = tune(ConstantEscapement, problem, scenarios=200, tests=1500, evaluations=25, seed=3)
    worlds = [problem.scenario(s) for s in spawn_seeds(3, 1500, "fishery-test")]
    plain = np.mean([e.value for e in rollout(problem, ConstantEscapement(), worlds)])
    assert tuned.test > plain + 0.05  # more is left behind where the survey errs
    assert tuned.parameters["escapement"] > problem.reference.escapement
    assert tuned.interval[0] < tuned.test < tuned.interval[1]
    assert not set(spawn_seeds(3, 200, "fishery-tuning")) & set(spawn_seeds(3, 1500, "fishery-test"))
    again = tune(ConstantEscapement, problem, scenarios=200, tests=1500, evaluations=25, seed=3)
    assert again.parameters == tuned.parameters
    with pytest.raises(DataError, match="nothing to tune"):
        tune(Msy, problem)


def test_a_policy_that_believes_in_another_fishery():
    """Robustness: solved and filtered with logistic growth, played on Ricker growth with more noise."""
    believed = instance("paper-a", sigma_m=0.1, sigma_g=0.1)
    real = Fishery(growth=Ricker(r=0.6, K=0.9), sigma_g=0.2, sigma_m=0.2, top=2.0, steps=50)
    choice = optimal_choice(believed)
    policy = OnBelief(lambda b: (b @ choice).argmax(axis=1), model=believed, name="qmdp")
    rule = Filtered(ConstantEscapement(), model=believed)
    worlds = [real.scenario(s) for s in range(100)]
    for one in (policy, rule):
        values = np.array([e.value for e in rollout(real, one, worlds)])
        assert np.isfinite(values).all()
        assert values.mean() > 1.0


def test_rules_by_name_come_raw_and_filtered():
    assert len(instance("paper-a").rules()) == 12
    assert len(instance("paper-a", sigma_m=0.0).rules()) == 6
    with pytest.raises(DataError, match="statistic is 'mode'"):
        Filtered(Msy(), statistic="mode")


def test_careful_quantiles_leave_more():
    problem = instance("paper-a", sigma_m=0.15, start="paper")
    worlds = [problem.scenario(s) for s in range(200)]
    left = []
    for statistic in (0.2, "median", 0.8):
        episodes = rollout(problem, Filtered(ConstantEscapement(), statistic=statistic), worlds)
        left.append(np.mean([e.final.stock[-1] > 0 for e in episodes]))
    assert left[0] > left[1] > left[2]


def test_good_surveys_help_the_rule_that_uses_them():
    problem = instance("survey", cost=0.0, steps=100)
    worlds = [problem.scenario(s) for s in range(400)]
    values = [[e.value for e in rollout(problem, Filtered(ConstantEscapement(effort=e)), worlds)] for e in (0, 1)]
    gain = np.array(values[1]) - np.array(values[0])
    assert gain.mean() > 4 * gain.std() / 20


def test_growth_of_hake_and_plaice_is_in_tonnes():
    hake = instance("hake")
    assert hake.growth == GordonSchaefer(r=1.03792737666413, K=1.19769336290293)
    assert hake.name_action(10)["quota"] == pytest.approx(10 * 4 / 149 * 481_050.0)
