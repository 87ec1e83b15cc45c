"""Steps per CPU second on one thread: the batch kernels and the loop of the tabular learners."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from fishery_paper_a import SARSA_OPTIONS  # first: it sets the threads of what comes below

# isort: split
import numpy as np

import orrl

if TYPE_CHECKING:
    from collections.abc import Callable

    from fishery_store import Row, Settings

__all__ = ["speed"]

SECONDS = 5.0
BATCH = 2000
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], float]] = {
    # what: instance, its options, kernel options, steps per second that are asked for
    "one species, grid": ("paper-a", {}, {}, 3e6),
    "one species, real line": ("paper-a", {}, {"grid": False}, 3e6),
    "three species": ("paper-b/3", {}, {}, 1e6),
    "walleye, 20 ages": ("walleye/um1", {}, {}, 1e6),
    "one species, belief of 100 states": ("paper-a", {}, {"obs": "belief"}, 1.5e5),
}


def _kernel(settings: Settings, what: str) -> Row:
    """Steps of whole episodes at a fixed harvest; resets are not counted. The best round stands beside the mean."""
    name, own, options, bar = CASES[what]
    problem: Any = orrl.load(f"fishery/{name}", **own)
    kernel = type(problem).kernel([problem], compiled=True, **options)
    worlds = [problem.scenario(s) for s in range(BATCH)]
    action = np.full(BATCH, 9) if kernel.n_actions else np.full((BATCH, *kernel.action_shape), 0.07)
    length = min(40, problem.steps)
    rates: list[float] = []
    spent = 0.0
    kernel.step(kernel.reset(worlds), action)  # compiles
    while spent < settings.limit(SECONDS) or not rates:
        state = kernel.reset(worlds)
        begin = time.process_time()
        for _ in range(length):
            kernel.step(state, action)
        took = time.process_time() - begin
        rates.append(BATCH * length / took)
        spent += took
    mean = len(rates) * BATCH * length / spent
    line: Row = {"what": what, "batch": BATCH, "million steps/s": mean / 1e6, "best round": max(rates) / 1e6}
    return line | {"asked for": bar / 1e6}


def _loop(settings: Settings, rows: str, trace: float) -> Row:
    """SARSA(lambda) at 50 states with the options of the tables, looks at the greedy policy included."""
    problem: Any = orrl.load("fishery/paper-a", n=50)
    options = {**SARSA_OPTIONS, "state": rows, "trace": trace}
    orrl.train(problem, "sarsa", budget=orrl.Budget(iterations=10), **options)  # compiles
    budget = orrl.Budget(cpu_seconds=settings.limit(SECONDS))
    policy: Any = orrl.train(problem, "sarsa", budget=budget, **options)
    rate = policy.log["steps"] / policy.log["cpu_seconds"]
    bar = None if rows == "belief" or trace else 10.0
    return {"what": f"sarsa({trace:g}) on rows of {rows}, 50 states", "million steps/s": rate / 1e6, "asked for": bar}


def speed(settings: Settings) -> list[Row]:
    """Kernels, then SARSA."""
    todo: list[tuple[str, Callable[[], Row]]] = [(what, partial(_kernel, settings, what)) for what in CASES]
    loops = [(rows, trace) for trace in (0.0, 0.7) for rows in ("state", "raw", "belief")]
    todo += [(f"sarsa({trace:g}) {rows}", partial(_loop, settings, rows, trace)) for rows, trace in loops]
    for what, make in todo:
        settings.row(f"{what}, {settings.limit(SECONDS):g} s", make)
    return list(settings.rows())
