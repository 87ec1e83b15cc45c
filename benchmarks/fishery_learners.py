"""Learners against the exact value: SARSA on three kinds of rows, and the price of risk that a learner finds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fishery_store import Row, Settings, interval, played, with_error

# isort: split
import numpy as np
from fishery_paper_a import SARSA_OPTIONS, at_mean, greedy
from fishery_sarsop import bounded

import orrl
from orrl import registry
from orrl.comparison.statistics import crossed_bootstrap
from orrl.core.errors import DataError
from orrl.core.tables import policy_value
from orrl.problems.fishery.rules import OnBelief, OnSurvey

if TYPE_CHECKING:
    from orrl.core.policy import Policy
    from orrl.problems.fishery import Fishery

__all__ = ["learners", "prices"]

SIZE, NOISE = 50, {"sigma_g": 0.15, "sigma_m": 0.1}
PRICED = 100  # stocks of the problem with a limit
SECONDS = (1.0, 10.0)
SEEDS = 5
LIMITS = (np.inf, 0.15, 0.10, 0.06, 0.04)
DUAL_SECONDS = 60.0


def _problem() -> Fishery:
    return orrl.load("fishery/paper-a", n=SIZE, **NOISE)  # type: ignore[return-value]


# ---- SARSA -----------------------------------------------------------------------------------------------------------
def _trained(problem: Fishery, rows: str, seconds: float, seed: int, settings: Settings) -> tuple[Policy, Row]:
    budget = orrl.Budget(cpu_seconds=settings.limit(seconds))
    policy: Any = orrl.train(problem, "sarsa", budget=budget, seed=seed, state=rows, **SARSA_OPTIONS)
    return policy, {"steps": policy.log["steps"]}


def _sarsop(problem: Fishery, settings: Settings) -> tuple[Policy, Row]:
    found, _ = bounded(problem, settings.limit(60), 0.003)
    return found.policy, {"lower": found.objective, "upper": found.bound.value}


def _row(settings: Settings, rows: str, seconds: float) -> Row:
    problem = _problem()
    made = [
        settings.policy(
            f"learners {rows} {seconds:g} {s}", partial(_trained, problem, rows, seconds, settings.seed + s, settings)
        )
        for s in range(settings.count(SEEDS, 2))
    ]
    tables = [greedy(policy) for policy, _ in made]
    if rows == "state":
        table = problem.tabular()
        best = orrl.solve(problem, "policy-iteration", threads=1).meta["seen"]
        low = high = best["objective"]
        worth = [float(table.initial @ policy_value(table, np.eye(table.reward.shape[1])[a])) for a in tables]
        scores = np.array(worth)[:, None]
        note = "sees the stock: no value of the fishery; exact policy evaluation"
    else:
        _, facts = settings.policy("learners sarsop", partial(_sarsop, problem, settings))
        low, high = facts["lower"], facts["upper"]
        policies = [OnSurvey(a) if rows == "raw" else at_mean(problem, a, "sarsa") for a in tables]
        scores = np.array([[e.value for e in played(problem, p, settings.episodes(5000))] for p in policies])
        note = f"{scores.shape[1]} episodes, the same for all seeds"
    middle = (low + high) / 2.0
    found = crossed_bootstrap(100.0 * scores / middle, reps=500)
    line: Row = {"row of the table": rows, "budget cpu s": seconds, "seeds": len(made), "value": scores.mean()}
    line |= {"% of exact": 100.0 * scores.mean() / middle, "95 %": "" if found is None else _told(found)}
    line |= {"exact": f"{low:.4f} to {high:.4f}" if high > low else f"{low:.4f}", "note": note}
    line |= {"steps of a seed": float(np.mean([f["steps"] for _, f in made]))}
    return line | {"training cpu s": float(np.sum([f["training cpu s"] for _, f in made]))}


def _told(found: Any) -> str:
    low, high = found
    return f"{low:.2f} to {high:.2f}"


def _plan(settings: Settings, name: str) -> Row:
    """What the plans earn on the same episodes."""
    problem = _problem()
    _, facts = settings.policy("learners sarsop", partial(_sarsop, problem, settings))
    if name == "sarsop":
        policy, _ = settings.policy("learners sarsop", partial(_sarsop, problem, settings))
    else:
        policy = orrl.solve(problem, "qmdp", threads=1).policy
    values = [e.value for e in played(problem, OnBelief(policy), settings.episodes(5000))]
    mean, _ = with_error(values)
    middle = (facts["lower"] + facts["upper"]) / 2.0
    line: Row = {"row of the table": f"{name} (plan)", "value": mean, "% of exact": 100.0 * mean / middle}
    return line | {"95 %": interval(100.0 * np.array(values) / middle)}


def learners(settings: Settings) -> list[Row]:
    """SARSA(lambda) on the stock, on the survey, on the posterior mean; beside the plans."""
    for rows in ("state", "raw", "belief"):
        for seconds in SECONDS:
            settings.row(f"sarsa {rows}, {seconds:g} s", partial(_row, settings, rows, seconds))
    for name in ("qmdp", "sarsop"):
        settings.row(f"{name}, {settings.episodes(5000)} episodes", partial(_plan, settings, name))
    return list(settings.rows())


# ---- the price of risk -----------------------------------------------------------------------------------------------
def _risky() -> Fishery:
    return orrl.load("fishery/paper-a", n=PRICED, sigma_g=0.15, sigma_m=0.0, start=0.65)  # type: ignore[return-value]


def _low(problem: Fishery) -> Any:
    return problem.grids.stocks < 0.2


def _linear(limit: float) -> Row:
    found = orrl.solve(_risky(), "cmdp-lp", limit=limit, states=_low, threads=1)
    meta = found.meta
    line: Row = {"limit": str(limit), "method": "cmdp-lp", "value": found.objective, "time at risk": meta["time"]}
    return line | {"price": meta["price"], "randomised states": len(meta["randomised"])}


def _dual(settings: Settings, limit: float, answers: str) -> Row:
    head: Row = {"limit": str(limit), "method": f"dual-ascent, {answers}"}
    if "dual-ascent" not in registry.names("learner"):
        return head | {"note": "dual-ascent is no learner of this version"}
    options = {"inner": "policy-iteration"} if answers == "exact answers" else {}
    budget = orrl.Budget(cpu_seconds=settings.budget(DUAL_SECONDS))
    ask = partial(orrl.train, _risky(), "dual-ascent", budget=budget, seed=settings.seed, limit=limit, states=_low)
    try:
        policy: Any = ask(**options)
    except DataError as error:  # no policy within the limit was met
        return head | {"note": str(error)}
    log = policy.log
    line = head | {"value": log["value"], "time at risk": log["time"], "price": log["price"]}
    for what, name in (("value", "95 %"), ("time", "time, 95 %")):
        if (found := log.get(f"{what}_interval")) is not None:
            line[name] = f"{found[0]:.4g} to {found[1]:.4g}"
    return line | {"rounds": len(log["prices"])}


def prices(settings: Settings) -> list[Row]:
    """A limit on the discounted time below 0.2 K, from a stock of 0.65, all seen."""
    missing = "dual-ascent" not in registry.names("learner")
    for limit in LIMITS:
        settings.row(f"cmdp-lp, {limit}", partial(_linear, limit))
        if np.isfinite(limit):
            for answers in ("exact answers", "learnt answers"):
                key = f"dual-ascent, {answers}, {limit}, {settings.budget(DUAL_SECONDS):g} s"
                settings.row(key + (", missing" if missing else ""), partial(_dual, settings, limit, answers))
    return list(settings.rows())
