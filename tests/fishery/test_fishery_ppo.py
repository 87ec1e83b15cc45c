"""A learner that is told what to see keeps it: options of the kernel travel with the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import orrl
from orrl.problems.fishery.capped import Capped
from orrl.problems.fishery.hindcast import hindcast
from orrl.problems.fishery.series import Series
from orrl.solvers.learners.ppo_policy import PPOPolicy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("learner", ["ppo", "td3"])
def test_a_policy_is_played_with_the_options_that_it_was_trained_with(learner: str, tmp_path: Path) -> None:
    problem = orrl.load("fishery/paper-a", n=20, steps=10)
    view = {"obs": "belief", "action": "share"}
    options = {"episodes": 4, "hidden": (8,), "kernel": view}
    policy = orrl.train(problem, learner, budget=orrl.Budget(iterations=1), seed=0, **options)
    assert isinstance(policy, PPOPolicy)
    assert policy.kernel_options == view
    assert policy.shape[0] == problem.n  # a belief, not a survey
    policy.save(tmp_path / "policy.orrl")
    again = orrl.load_policy(tmp_path / "policy.orrl")
    assert again.kernel_options == view
    found = [orrl.simulate(problem, p, scenarios=5, seed=3) for p in (policy, again)]
    assert found[0].mean == found[1].mean
    assert set(again.decide(problem)) >= {"quota", "unit"}
    assert Capped(policy).kernel_options == view  # a wrapper hands them on
    series = Series("made up", (2001, 2002), (0.9, 0.8), (0.1, float("nan")), unit=problem.unit)
    told = hindcast(problem, {"learnt": policy}, series)["learnt"]
    assert ((told >= 0.0) & (told <= problem.top)).all()
