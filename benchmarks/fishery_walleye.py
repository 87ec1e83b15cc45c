"""Walleye (rl4fisheries): rules on the surveyed biomass, and learners that see it, with or without the mean weight."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from fishery_store import Published, Row, Settings, interval, played, with_error

# isort: split
import numpy as np

import orrl
from orrl.problems.fishery.walleye_rules import ConstantF, FortyEighty, PrecautionaryF
from orrl.solvers.learners.cem import Cem

if TYPE_CHECKING:
    from orrl.core.policy import Policy

__all__ = ["PUBLISHED", "walleye"]

EPISODES = 2000  # of 1,000 years
LEARNER_SECONDS, CEM_SECONDS = 120.0, 60.0
YEARS = 200  # of a training episode: cut off, not over
PPO_OPTIONS: dict[str, Any] = {
    "hidden": (64, 64), "episodes": 64, "minibatch": 2048, "discount": 0.99, "start": (0.08, 0.06), "cut": YEARS,
}  # fmt: skip
VIEWS: dict[str, dict[str, Any]] = {"ppo, biomass": {"obs": "biomass"}, "ppo, biomass and weight": {"obs": "both"}}
RULES = {"f-msy": ConstantF, "40-80": FortyEighty, "precautionary, our values": PrecautionaryF}
_SOURCE = "rl4fisheries, mean of 500 episodes"
PUBLISHED: list[Published] = [
    {"source": _SOURCE, "utility": f"um{i}", "policy": name, "value": value}
    for i, values in (
        (1, (72.6, 84.6, 108.2, 100.8, 101.4)), (2, (174.7, 157.6, 188.0, 186.8, 154.9)),
        (3, (35.9, 37.3, 36.0, 35.7, 61.7)),
    )
    for name, value in zip(
        ("F_MSY", "40-80", "precautionary, tuned", "PPO, 1 observation", "PPO, 2 observations"), values, strict=True
    )
]  # fmt: skip


def _ppo(problem: Any, name: str, settings: Settings) -> tuple[Policy, Row]:
    budget = orrl.Budget(cpu_seconds=settings.budget(LEARNER_SECONDS))
    shorter = replace(problem, steps=YEARS)
    return orrl.train(shorter, "ppo", budget=budget, seed=settings.seed, kernel=VIEWS[name], **PPO_OPTIONS), {}


def _row(settings: Settings, utility: int, name: str) -> Row:
    problem: Any = orrl.load(f"fishery/walleye/um{utility}")
    facts: Row = {}
    policy: Any
    if name in RULES:
        policy = RULES[name]()
    elif name in VIEWS:
        policy, facts = settings.policy(f"um{utility} {name}", partial(_ppo, problem, name, settings))
    else:
        begin, learner = time.process_time(), Cem(rule="precautionary", trials=settings.count(500, 50))
        budget = orrl.Budget(cpu_seconds=settings.budget(CEM_SECONDS))
        policy = orrl.train(problem, learner, budget=budget, seed=settings.seed)
        told = ", ".join(f"{k} {v:.3f}" for k, v in learner.parameters.items())
        facts = {"training cpu s": time.process_time() - begin, "parameters": told}
    count = settings.episodes(EPISODES)
    episodes = played(problem, policy, count)
    values = [e.value for e in episodes]
    mean, error = with_error(values)
    taken = float(np.mean([np.mean(e.actions) for e in episodes]))
    line: Row = {"utility": f"um{utility}", "policy": name, "episodes": count, "value": mean, "s.e.": error}
    return line | {"95 %": interval(values), "s.d.": float(np.std(values)), "mean mortality": taken} | facts


def walleye(settings: Settings) -> list[Row]:
    """The three utilities."""
    for utility in (1, 2, 3):
        for name in (*RULES, "precautionary, cem", *VIEWS):
            key = f"um{utility}, {name}, {settings.episodes(EPISODES)} episodes"
            if settings.cpu_seconds is not None:
                key += f", {settings.cpu_seconds:g} s"
            settings.row(key, partial(_row, settings, utility, name))
    return list(settings.rows())
