"""Paper B (Montealegre-Mora et al. 2023): three species, constant rules, learners and the grid of an exact method.

Rules are tuned on 500 episodes and played on others. Rules, learners and one plan on the grid do not see the end of the
200 years coming (300 are solved and the first 200 used); the other plan does, and is what "% of exact" refers to. Both
conventions stand side by side: with the penalty of the year in which a stock is lost, and "as published", which leaves
the last year out, penalty included. An episode counts as full where no stock is lost in 200 years.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from fishery_store import Published, Row, Settings, interval, played, with_error

# isort: split
import numpy as np

import orrl
from orrl import registry
from orrl.problems.fishery.stock_rules import EscapementOfAll, MortalityOfAll
from orrl.problems.fishery.tuning import tune
from orrl.solvers.learners.cem import Cem

if TYPE_CHECKING:
    from orrl.core.policy import Policy
    from orrl.problems.fishery import ThreeSpecies

__all__ = ["PUBLISHED", "paper_b"]

MODELS = (2, 3, 4)
LEARNER_SECONDS, CEM_SECONDS = 110.0, 30.0  # with imports and looks below 2 CPU minutes
TUNING = 500
OPTIONS: dict[str, dict[str, Any]] = {
    "ppo": {
        "hidden": (64, 64), "minibatch": 2048, "episodes": 64, "discount": 0.99, "learning_rate": 3e-3, "worlds": 100,
    },
    "td3": {"hidden": (64, 64), "start": 0.15, "rate": 0.02, "smooth": 0.03, "clip": 0.06, "worlds": 100},
}  # fmt: skip
EXACT = "grid-sdp, 200 years"
ROWS = (
    "constant-mortality, published values", "constant-mortality, tuned", "constant-escapement, published values",
    "constant-escapement, tuned", "cem", "ppo", "td3", "grid-sdp, no end effect", EXACT,
)  # fmt: skip
_PAPER = "paper B, mean and s.d. of 100 episodes"
PUBLISHED: list[Published] = [
    {"source": _PAPER, "model": m, "policy": name, "as published": mean, "s.d.": sd, "full %": full}
    for m, name, mean, sd, full in (
        (2, "constant mortality", 19.77, 2.0, 100), (2, "constant escapement", 19.52, 2.2, 99),
        (2, "PPO", 19.94, 2.1, 100), (2, "PPO + GP", 19.62, 2.2, 100),
        (3, "constant mortality", 62.30, 12.7, 75), (3, "constant escapement", 48.36, 11.6, 57),
        (3, "PPO", 66.83, 9.0, 88), (3, "PPO + GP", 68.75, 8.3, 93),
        (4, "constant mortality", 44.52, 5.3, 80), (4, "constant escapement", 36.76, 8.9, 54),
        (4, "PPO", 48.75, 2.9, 94), (4, "PPO + GP", 49.44, 1.8, 98),
    )
]  # fmt: skip


def _problem(model: int) -> ThreeSpecies:
    return orrl.load(f"fishery/paper-b/{model}")  # type: ignore[return-value]


def _tuned(kind: Any, problem: ThreeSpecies, settings: Settings) -> tuple[Policy, Row]:
    fixed = {"y": 0.0} if problem.controls == 1 else {}
    found = tune(
        kind, problem, scenarios=settings.count(TUNING, 25), tests=2, evaluations=settings.count(60, 12),
        seed=settings.seed, **fixed,
    )  # fmt: skip
    return found.policy, {"parameters": _told(found.parameters)}


def _told(parameters: Any) -> str:
    return ", ".join(f"{k} {v:.3f}" for k, v in parameters.items())


def _cem(problem: ThreeSpecies, settings: Settings) -> tuple[Policy, Row]:
    learner = Cem()
    budget = orrl.Budget(cpu_seconds=settings.budget(CEM_SECONDS))
    policy = orrl.train(problem, learner, budget=budget, seed=settings.seed)
    return policy, {"parameters": _told(learner.parameters)}


def _learnt(problem: ThreeSpecies, name: str, settings: Settings) -> tuple[Policy, Row]:
    budget = orrl.Budget(cpu_seconds=settings.budget(LEARNER_SECONDS))
    return orrl.train(problem, name, budget=budget, seed=settings.seed, **OPTIONS[name]), {}


def _grid(problem: ThreeSpecies, settings: Settings, stages: int | None) -> tuple[Policy, Row]:
    points = {"points": (14, 14, 12)} if settings.quick > 1 else {} if stages else {"points": (32, 32, 28)}
    found = orrl.solve(problem, "grid-sdp", stages=stages, threads=1, **points)
    return found.policy, {"grid": "x".join(map(str, found.meta["grid"]))}


def _row(settings: Settings, model: int, name: str) -> Row:
    problem = _problem(model)
    head: Row = {"model": model, "policy": name}
    if name in OPTIONS and name not in registry.names("learner"):
        return head | {"parameters": f"{name} is no learner of this version"}
    kinds = {"constant-mortality": MortalityOfAll, "constant-escapement": EscapementOfAll}
    begin = time.process_time()
    facts: Row = {}
    policy: Any
    if name.endswith("published values"):
        policy = kinds[name.split(",")[0]]()
    elif name in OPTIONS:
        policy, facts = settings.policy(f"b{model} {name}", partial(_learnt, problem, name, settings))
    elif name == EXACT:
        policy, facts = settings.policy(f"b{model} grid 200", partial(_grid, problem, settings, None))
    elif name.startswith("grid"):
        policy, facts = settings.policy(f"b{model} grid", partial(_grid, problem, settings, 300))
    else:
        make = partial(_cem, problem, settings) if name == "cem" else None
        policy, facts = make() if make else _tuned(kinds[name.split(",")[0]], problem, settings)
        facts = {"training cpu s": time.process_time() - begin} | facts
    return head | measures(problem, policy, settings.episodes()) | facts


def measures(problem: ThreeSpecies, policy: Policy, count: int) -> Row:
    """Columns of the table."""
    episodes = played(problem, policy, count)
    full = [len(e.rewards) == problem.steps and not e.final.over for e in episodes]
    mean, error = with_error([e.value for e in episodes])
    theirs, their_error = with_error([e.rewards[:-1].sum() for e in episodes])
    return {
        "episodes": count, "reward": mean, "s.e.": error, "95 %": interval([e.value for e in episodes]),
        "as published": theirs, "s.e. ": their_error, "full %": 100.0 * float(np.mean(full)),
    }  # fmt: skip


def paper_b(settings: Settings) -> list[Row]:
    """Models 2, 3 and 4."""
    for model in MODELS:
        for name in ROWS:
            key = f"model {model}, {name}, {settings.episodes()} episodes"
            if settings.cpu_seconds is not None:
                key += f", {settings.cpu_seconds:g} s"
            missing = name in OPTIONS and name not in registry.names("learner")
            settings.row(key + (", missing" if missing else ""), partial(_row, settings, model, name))
    rows = list(settings.rows())
    exact = {row["model"]: row for row in rows if row["policy"] == EXACT}
    return [row | {"% of exact": _share(row, exact[row["model"]])} for row in rows]


def _share(row: Row, exact: Row) -> str:
    """Reward as a share of the best plan's, 95% interval of the two means (taken as independent: too wide, if at all).

    The plan that knows its 200 years and takes what is left at their end is the best one for the reward that is summed.
    """
    if "reward" not in row:
        return ""
    share = 100.0 * row["reward"] / exact["reward"]
    half = 1.96 * share * np.hypot(row["s.e."] / row["reward"], exact["s.e."] / exact["reward"])
    told = [np.floor(10.0 * x) / 10.0 for x in (share, share - half, share + half)]  # never rounded up
    return "{:.1f} ({:.1f} to {:.1f})".format(*told)
