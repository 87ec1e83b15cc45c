"""The cross-entropy method: a known optimum, common random numbers, and the rules of the fisheries."""

from __future__ import annotations

import numpy as np
import pytest
from tank import Tank

from orrl.core.budget import Budget
from orrl.core.capabilities import Tunable
from orrl.core.errors import DataError, NotSupportedError, UnknownNameError
from orrl.core.policy import Policy
from orrl.core.rollout import rollout
from orrl.core.seeds import spawn_seeds
from orrl.problems.fishery import Fishery, GordonSchaefer
from orrl.problems.fishery.catalogue import instance
from orrl.solvers.learners.cem import Cem, returns


class Share(Policy):
    """The same share of the tank at every stage."""

    name = "share"

    def __init__(self, share):
        self.share = share

    def act(self, obs, info):
        return np.full((len(info["done"]), 1), float(self.share))


class TunableTank(Tank):
    """A tank whose constant share is to be found."""

    def tunable(self):
        low, high = np.zeros(1), np.ones(1)
        return {"share": Tunable(("share",), low, high, np.array([0.9]), lambda theta: Share(theta[0]))}


def test_the_best_share_of_a_tank_is_found():
    problem = TunableTank(noise=0.0)
    learner = Cem(population=12, episodes=1, trials=1)
    policy = learner.fit(problem, budget=Budget(iterations=25), seed=1)
    grid = np.linspace(0.0, 1.0, 2001)
    world = problem.scenario(0)
    best = max(returns(problem, Share(a), [world])[0][0] for a in grid)
    assert returns(problem, policy, [world])[0][0] > best - 1e-3
    assert policy.name == "share-cem"
    assert policy.seen == frozenset([problem.content_hash])
    assert learner.parameters == {"share": pytest.approx(policy.share)}


def test_returns_are_those_of_a_rollout():
    problem = Fishery(growth=GordonSchaefer(r=0.75, K=1.0), sigma_m=0.1, n=20, horizon=8)
    worlds = [problem.scenario(s) for s in range(30)]
    rule = problem.rules()["constant-escapement"]
    found, steps = returns(problem, rule, worlds)
    np.testing.assert_allclose(found, [e.value for e in rollout(problem, rule, worlds)])
    assert steps == 30 * 8


def test_settings_side_by_side_are_settings_alone():
    problem = instance("paper-b/3", steps=30)
    worlds = [problem.scenario(s) for s in range(10)]
    for rule in problem.tunable().values():
        assert rule.batched
        points = np.random.default_rng(0).uniform(rule.low, rule.high, (3, len(rule.low)))
        together, _ = returns(problem, rule.make(np.repeat(points, 10, axis=0)), worlds * 3)
        alone = np.concatenate([returns(problem, rule.make(p), worlds)[0] for p in points])
        np.testing.assert_allclose(together, alone)


def test_a_rule_of_model_3_is_improved_and_repeatable():
    problem = instance("paper-b/3")
    learner = Cem(rule="constant-escapement", population=16, episodes=25, trials=200)
    policy = learner.fit(problem, budget=Budget(iterations=12), seed=3)
    again = Cem(rule="constant-escapement", population=16, episodes=25, trials=200)
    again.fit(problem, budget=Budget(iterations=12), seed=3)
    assert learner.parameters == again.parameters
    worlds = [problem.scenario(s) for s in spawn_seeds(9, 800, "test")]
    before = returns(problem, problem.rules()["constant-escapement"], worlds)[0]
    after = returns(problem, policy, worlds)[0]
    gain = after - before  # the same scenarios
    assert gain.mean() > -2 * gain.std() / 800**0.5
    assert len(learner.log) == 12
    assert set(learner.parameters) == {"x", "y"}


def test_never_worse_than_the_rule_as_it_comes_on_the_trials():
    problem = instance("walleye/um1", steps=50)
    learner = Cem(population=8, episodes=4, trials=50)
    policy = learner.fit(problem, budget=Budget(iterations=2), seed=5)
    worlds = [problem.scenario(s) for s in spawn_seeds(5, 50, "cem", "trial")]
    rule = problem.tunable()["precautionary"]
    assert (
        returns(problem, policy, worlds)[0].mean() >= returns(problem, rule.make(rule.start), worlds)[0].mean() - 1e-9
    )


def test_a_callback_stops_and_errors_teach():
    problem = instance("paper-b/2", steps=20)
    seen = []
    Cem(population=6, episodes=3, trials=5).fit(
        problem, budget=Budget(iterations=50), callbacks=[lambda e: seen.append(e) or len(seen) == 2]
    )
    assert len(seen) == 2
    with pytest.raises(UnknownNameError, match="constant-mortality"):
        Cem(rule="constant-mortalty").fit(problem, budget=Budget(iterations=1))
    with pytest.raises(DataError, match="population is 2"):
        Cem(population=2)
    with pytest.raises(NotSupportedError, match="one problem"):
        Cem().fit([problem, problem], budget=Budget(iterations=1))
    assert not Cem().supports(Tank())
