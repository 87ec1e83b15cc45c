"""Objective, Support, Evaluation, and the two formulas that everyone confuses."""

from __future__ import annotations

import json
import math

import pytest

from orrl.core.types import Evaluation, Objective, Support, excess, relative_gap


def test_an_objective_has_no_default_sense():
    with pytest.raises(TypeError):
        Objective()
    with pytest.raises(ValueError, match="sense is 'minimise': give 'min' or 'max'"):
        Objective("minimise")
    for discount in (0.0, 1.1, -1.0, math.nan):
        with pytest.raises(ValueError, match="give a factor in"):
            Objective("min", discount=discount)
    with pytest.raises(ValueError, match="stage is -1"):
        Objective("min", stage=-1)


def test_sense_enters_everywhere():
    low, high = Objective("min"), Objective("max")
    assert (low.sign, high.sign) == (-1.0, 1.0)
    assert (low.worst, high.worst) == (math.inf, -math.inf)
    assert low.better(1.0, 2.0)
    assert not high.better(1.0, 2.0)
    assert not low.better(1.0, 1.0)
    assert not low.better(1.0, 1.5, tol=0.5)
    assert high.better(2.6, 2.0, tol=0.5)


def test_support_is_true_or_says_why():
    assert Support(True)
    assert not Support(False, "because")
    assert Support(False, "because").reason == "because"


def test_evaluation_round_trip():
    one = Evaluation(3.5, False, ("a", "b"), n=4, interval=(1.0, 6.0), metrics={"x": 1.0})
    assert Evaluation.from_dict(json.loads(json.dumps(one.to_dict()))) == one
    assert Evaluation.from_dict(Evaluation(1.0, True).to_dict()) == Evaluation(1.0, True)


def test_gap_and_excess_are_different_things():
    assert relative_gap(120.0, 100.0) == pytest.approx(20 / 120)
    assert relative_gap(100.0, 120.0) == pytest.approx(20 / 120)
    assert relative_gap(-100.0, -120.0) == pytest.approx(20 / 120)
    assert relative_gap(0.0, 0.0) == 0.0
    assert relative_gap(5.0, 0.0) == 1.0
    assert relative_gap(5.0, -5.0) == 2.0
    assert excess(120.0, 100.0) == pytest.approx(0.2)
    assert excess(80.0, 100.0) == pytest.approx(-0.2)
    assert excess(-80.0, -100.0) == pytest.approx(0.2)
    assert excess(0.0, 0.0) == 0.0
    assert excess(1.0, 0.0) == math.inf
    assert excess(-1.0, 0.0) == -math.inf
