"""Deadlines of solvers and budgets of learners."""

from __future__ import annotations

import time

import pytest

from orrl.core.budget import Budget, Deadline


@pytest.mark.parametrize("name", ["seconds", "minutes", "cpu_seconds", "steps", "iterations"])
def test_a_budget_takes_positive_limits_only(name):
    assert getattr(Budget(**{name: 3}), name) == 3
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match=rf"Budget.{name} is {wrong!r}: give a positive number"):
            Budget(**{name: wrong})


def test_a_budget_without_a_limit_is_refused():
    with pytest.raises(ValueError, match="Budget needs at least one limit"):
        Budget()


def test_seconds_and_minutes_add_up():
    assert Budget(seconds=30, minutes=2).wall == 150
    assert Budget(minutes=1).wall == 60
    assert Budget(steps=5).wall is None


def test_the_first_limit_ends_it():
    clock = Budget(steps=100, iterations=10).start()
    assert clock.fraction(steps=50, iterations=2) == 0.5
    assert clock.fraction(steps=50, iterations=8) == 0.8
    assert not clock.over(steps=99, iterations=9)
    assert clock.over(steps=100)
    assert clock.over(iterations=10)


def test_wall_and_processor_time_run():
    clock = Budget(seconds=0.05, cpu_seconds=1000).start()
    assert not clock.over()
    time.sleep(0.06)
    assert clock.over()
    assert clock.seconds >= 0.06
    assert clock.cpu_seconds < 0.05, "sleeping uses no processor"
    busy = Budget(cpu_seconds=0.02).start()
    until = time.process_time() + 0.03
    while time.process_time() < until:
        pass
    assert busy.over()


def test_a_deadline():
    for wrong in (0, -2.0, float("nan")):
        with pytest.raises(ValueError, match=r"time_limit is .*: give positive seconds"):
            Deadline(wrong)
    never = Deadline(None)
    assert never.remaining == float("inf")
    assert not never.passed
    assert never.capped() == 1e9
    assert never.capped(60.0) == 60.0
    soon = Deadline(0.03)
    assert 0 < soon.remaining <= 0.03
    assert soon.capped() <= 0.03
    time.sleep(0.04)
    assert soon.passed
    assert soon.remaining == 0.0
    assert soon.elapsed >= 0.04
