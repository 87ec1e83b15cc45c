"""Iterated greedy as a method: limits, seeds, warm starts, and better than the searches below it."""

from __future__ import annotations

import time

import pytest

import orrl


@pytest.fixture(scope="module")
def shop() -> orrl.JobShop:
    made = orrl.load("jobshop/la02", storage="blocking")
    orrl.solve(made, "iterated-greedy", iterations=1)  # compiled before any clock starts
    return made


def test_seeded_and_improving(shop: orrl.JobShop) -> None:
    a, b = (orrl.solve(shop, "iterated-greedy", iterations=3, seed=4, threads=1) for _ in range(2))
    assert a.objective == b.objective and a.stop == "iterations" and a.meta["rounds"] == 3
    values = [p.objective for p in a.trace.points]
    assert values == sorted(values, reverse=True) and a.objective == values[-1] < values[0]


def test_beats_best_of_n_and_comes_near_the_optimum(shop: orrl.JobShop) -> None:
    found = orrl.solve(shop, "iterated-greedy", iterations=10, threads=1)
    assert found.objective < orrl.solve(shop, "best-of-n", n=2000, threads=1).objective
    assert found.objective <= 1.03 * 793


def test_a_warm_start_is_never_made_worse(shop: orrl.JobShop) -> None:
    first = orrl.solve(shop, "iterated-greedy", iterations=5, threads=1)
    again = orrl.solve(shop, "iterated-greedy", iterations=1, warm_start=first, seed=9, threads=1)
    assert again.objective <= first.objective


def test_limits_and_callbacks(shop: orrl.JobShop) -> None:
    begin = time.perf_counter()
    result = orrl.solve(shop, "iterated-greedy", time_limit=1.0, threads=1)
    assert time.perf_counter() - begin < 1.05 * 1.0 + 1.0
    assert result.stop == "time" and result.evaluation.feasible
    stopped = orrl.solve(shop, "iterated-greedy", iterations=10**6, callbacks=[lambda e: e.kind == "iteration"])
    assert stopped.stop == "user" and stopped.meta["rounds"] == 1


def test_options_teach() -> None:
    with pytest.raises(ValueError, match="iterations is 0"):
        orrl.solve(orrl.load("jobshop/ft06"), "iterated-greedy", iterations=0)
