"""Paper A (Memarzadeh & Boettiger 2019): nine noises, harvest rules, plans and learners, in two conventions.

"paper": the authors' metric, 99 decisions from the grid point nearest K / 6, discounted from the first year on.
"uniform": 200 decisions from the law that planners know, whose value SARSOP bounds. Everything is planned and trained
for the uniform law, as the authors planned, and played in both. The stock's own optimum ("exact") is known where it is
seen; elsewhere it lies between SARSOP's bounds.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from fishery_store import Published, Row, Settings, interval, played, with_error

# isort: split
import numpy as np
from fishery_sarsop import bounded

import orrl
from orrl.core.errors import OrrlWarning
from orrl.problems.fishery import Fishery
from orrl.problems.fishery.growth import GordonSchaefer, Ricker
from orrl.problems.fishery.rules import (
    ConstantEscapement,
    ConstantMortality,
    Filtered,
    Msy,
    OnBelief,
    OnSurvey,
    Tac,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orrl.core.policy import Policy
    from orrl.core.rollout import Trajectory

__all__ = ["PUBLISHED", "paper_a", "robustness"]

Made = tuple[Any, Row]
"""A policy and facts of its making."""

CELLS = [(g, m) for m in (0.0, 0.1, 0.15) for g in (0.02, 0.1, 0.15)]
SARSOP_SECONDS, SARSOP_GAP = 60.0, 5e-3
PPO_SECONDS, SARSA_SECONDS = 60.0, 20.0
# quotas begin small, for one that empties the sea teaches nothing; no end of an episode is seen, so none is learnt
PPO_OPTIONS: dict[str, Any] = {"hidden": (64, 64), "episodes": 64, "start": (0.08, 0.06), "cut": 60}
VIEWS: dict[str, dict[str, Any]] = {  # the action is a quota, as a share of the grid; a stack is of four years
    "belief": {"obs": "belief", "action": "share"},
    "stack": {"obs": "stack", "action": "share"},
}
SARSA_OPTIONS: dict[str, Any] = {
    "alpha": 0.2, "alpha_end": 0.003, "epsilon": 1.0, "epsilon_end": 0.02, "initial": 4.0, "trace": 0.0, "check": 2000,
    "plays": 200, "kept": "final",
}  # fmt: skip


PUBLISHED: list[Published] = [
    {"source": "authors' stored replicates", "sigma_g": g, "sigma_m": m, "policy": "POMDP", "episodes": 100,
     "NPV": npv, "s.e.": sd / 10.0, "biomass": stock, "extinct %": lost}
    for g, m, npv, sd, stock, lost in (
        (0.02, 0.0, 2.963, 0.059, 0.651, 0.0), (0.1, 0.0, 2.880, 0.500, 0.637, 2.0),
        (0.15, 0.0, 2.688, 0.951, 0.586, 13.0), (0.02, 0.1, 2.935, 0.068, 0.654, 0.0),
        (0.1, 0.1, 2.797, 0.601, 0.631, 3.0), (0.15, 0.1, 2.450, 1.068, 0.547, 23.0),
        (0.02, 0.15, 2.897, 0.071, 0.658, 0.0), (0.1, 0.15, 2.845, 0.420, 0.653, 2.0),
        (0.15, 0.15, 2.368, 1.047, 0.567, 21.0),
    )
]  # fmt: skip


def cell(sigma_g: float, sigma_m: float, start: str = "uniform", **options: Any) -> Fishery:
    """One of the nine fisheries."""
    return orrl.load("fishery/paper-a", sigma_g=sigma_g, sigma_m=sigma_m, start=start, **options)  # type: ignore[return-value]


# ---- policies --------------------------------------------------------------------------------------------------------
def sdp_table(problem: Fishery) -> np.ndarray:
    """Optimal quotas (n,) of the stock that is seen, by policy iteration."""
    found = orrl.solve(problem, "policy-iteration", threads=1)
    return np.asarray(found.policy.probabilities.argmax(axis=1))


def at_mean(problem: Fishery, actions: np.ndarray, name: str) -> Policy:
    """A table of actions, looked up at the posterior mean."""
    stocks = problem.grids.stocks
    return OnBelief(lambda b: actions[problem.grids.nearest_stock(b @ stocks)], name=name)


def _qmdp(problem: Fishery) -> tuple[Policy, Row]:
    found = orrl.solve(problem, "qmdp", threads=1)
    return found.policy, {"upper": found.bound.value}


def _sarsop(problem: Fishery, settings: Settings) -> tuple[Policy, Row]:
    found, _ = bounded(problem, settings.limit(SARSOP_SECONDS), SARSOP_GAP)
    return found.policy, {"lower": found.objective, "upper": found.bound.value}


def _ppo(problem: Fishery, view: str, settings: Settings) -> tuple[Policy, Row]:
    budget = orrl.Budget(cpu_seconds=settings.budget(PPO_SECONDS))
    return orrl.train(problem, "ppo", budget=budget, seed=settings.seed, kernel=VIEWS[view], **PPO_OPTIONS), {}


def _sarsa(problem: Fishery, rows: str, settings: Settings) -> tuple[Policy, Row]:
    budget = orrl.Budget(cpu_seconds=settings.budget(SARSA_SECONDS))
    return orrl.train(problem, "sarsa", budget=budget, seed=settings.seed, state=rows, **SARSA_OPTIONS), {}


def greedy(policy: Any) -> np.ndarray:
    """Best action (rows,) of the one agent's table."""
    return np.asarray(policy.tables[policy.kept][0].argmax(axis=1))


def policies(sigma_g: float, sigma_m: float, settings: Settings) -> dict[str, Callable[[], Made]]:
    """By name: what makes the policy; the one that differences are taken from comes first."""
    problem, label = cell(sigma_g, sigma_m), f"a {sigma_g:g} {sigma_m:g}"
    seen = sigma_m <= 0.0
    plain: dict[str, Callable[[], Made]] = {}

    def kept(key: str, make: Callable[[], tuple[Policy, Row]]) -> tuple[Any, Row]:
        return settings.policy(f"{label} {key}", make)

    def planned(key: str, make: Callable[[], tuple[Policy, Row]]) -> Made:
        policy, facts = kept(key, make)
        return OnBelief(policy, name=key), facts

    def learnt(view: str) -> Made:
        policy, facts = kept(f"ppo {view}", partial(_ppo, problem, view, settings))
        return policy, facts

    def tabular(rows: str) -> Made:
        policy, facts = kept(f"sarsa {rows}", partial(_sarsa, problem, rows, settings))
        if rows == "raw":
            return OnSurvey(greedy(policy), name="sarsa-raw"), facts
        return at_mean(problem, greedy(policy), "sarsa-belief"), facts

    def table(make: Callable[[np.ndarray], Policy]) -> Made:
        return make(sdp_table(problem)), {}

    if not seen:
        plain["sarsop"] = lambda: planned("sarsop", partial(_sarsop, problem, settings))
        plain["qmdp"] = lambda: planned("qmdp", partial(_qmdp, problem))
    plain["sdp"] = lambda: table(lambda a: OnSurvey(a, name="sdp"))
    for rule in (Msy, Tac, ConstantEscapement):
        plain[rule.name] = lambda rule=rule: (rule(), {})
    if not seen:
        plain["sdp, filtered"] = lambda: table(lambda a: at_mean(problem, a, "sdp-filtered"))
        for rule in (Msy, Tac, ConstantEscapement):
            plain[f"{rule.name}, filtered"] = lambda rule=rule: (Filtered(rule()), {})
        plain["ppo on belief"] = lambda: learnt("belief")
        plain["ppo on a stack"] = lambda: learnt("stack")
        plain["sarsa on belief bins"] = lambda: tabular("belief")
    plain["sarsa on raw surveys"] = lambda: tabular("raw")
    return plain


# ---- rows ------------------------------------------------------------------------------------------------------------
def measures(problem: Fishery, episodes: list[Trajectory]) -> Row:
    """Columns of the table; stocks are in units of K, the catch is that of a year."""
    stock = np.array([e.final.stock for e in episodes])
    catch = np.array([e.rewards.mean() for e in episodes]) / problem.price
    late = stock[:, 50:] if stock.shape[1] > 51 else stock
    low = (stock[:, :-1] < 0.2 * problem.growth.unfished).sum(axis=1)
    shown: Row = {"catch": catch.mean(), "biomass": late.mean(), "extinct %": 100.0 * (stock[:, -1] <= 0.0).mean()}
    return shown | {"years below 0.2 K": low.mean()}


def _row(settings: Settings, sigma_g: float, sigma_m: float, name: str, start: str, exact: str) -> Row:
    make = policies(sigma_g, sigma_m, settings)
    policy, facts = make[name]()
    problem, count = cell(sigma_g, sigma_m, start), settings.episodes()
    episodes = played(problem, policy, count)
    factor = problem.discount if start == "paper" else 1.0  # the authors' first year is discounted already
    values = factor * np.array([e.value for e in episodes])
    reference = next(iter(make))
    file = settings.store / "kept" / f"a {sigma_g:g} {sigma_m:g} {start} {count} {exact}.npy"
    mean, error = with_error(values)
    line: Row = {"sigma_g": sigma_g, "sigma_m": sigma_m, "start": start, "policy": name, "episodes": count}
    line |= {"NPV": mean, "s.e.": error, "95 %": interval(values)} | measures(problem, episodes)
    if name == reference:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, values)
    else:
        line[f"- {'sdp' if sigma_m <= 0.0 else 'sarsop'}"] = interval(values - np.load(file))
    if start == "uniform":
        line |= _share(settings, sigma_g, sigma_m, mean)
    return line | {k: v for k, v in facts.items() if k == "training cpu s"}


def _share(settings: Settings, sigma_g: float, sigma_m: float, mean: float) -> Row:
    """Bounds of the optimum, and the mean as a percentage of them."""
    if sigma_m <= 0.0:
        found = orrl.solve(cell(sigma_g, sigma_m), "policy-iteration", threads=1)
        low = high = float(found.objective)
    else:
        key = f"a {sigma_g:g} {sigma_m:g} sarsop"
        _, facts = settings.policy(key, partial(_sarsop, cell(sigma_g, sigma_m), settings))
        low, high = facts["lower"], facts["upper"]
    near, far = 100.0 * mean / high, 100.0 * mean / low
    text = f"{near:.2f}" if high - low < 1e-6 * high else f"{near:.2f} to {far:.2f}"
    return {"lower bound": low, "upper bound": high, "% of exact": text}


def paper_a(settings: Settings) -> list[Row]:
    """All cells; then the robustness of what was planned for the noisy middle one."""
    for start in ("paper", "uniform"):
        for sigma_g, sigma_m in CELLS:
            for name in policies(sigma_g, sigma_m, settings):
                key = f"{start}, {sigma_g:g}, {sigma_m:g}, {name}, {settings.episodes()} episodes"
                if settings.cpu_seconds is not None:
                    key += f", {settings.cpu_seconds:g} s"
                exact = f"seed {settings.seed} {settings.quick}"
                settings.row(key, partial(_row, settings, sigma_g, sigma_m, name, start, exact))
    return list(settings.rows())


# ---- robustness ------------------------------------------------------------------------------------------------------
BELIEVED = (0.15, 0.1)
WORLDS: dict[str, dict[str, Any]] = {
    "as believed": {},
    "surveys twice as bad": {"sigma_m": 0.2},
    "growth noise 0.2": {"sigma_g": 0.2},
    "r a fifth lower": {"growth": GordonSchaefer(r=0.6, K=1.0)},
    "K a fifth lower": {"growth": GordonSchaefer(r=0.75, K=0.8)},
    "Ricker growth": {"growth": Ricker(r=0.75, K=1.0)},
}


def _robust(settings: Settings, world: str, name: str) -> Row:
    believed, played_one = cell(*BELIEVED), cell(*BELIEVED, "paper")
    points = believed.reference
    label = f"a {BELIEVED[0]:g} {BELIEVED[1]:g}"
    escapement = ConstantEscapement(escapement=points.escapement)
    share = ConstantMortality(mortality=0.8 * points.f_msy)
    make: dict[str, Callable[[], Policy]] = {
        "sarsop": lambda: _on(settings, f"{label} sarsop", partial(_sarsop, believed, settings), played_one),
        "qmdp": lambda: _on(settings, f"{label} qmdp", partial(_qmdp, believed), played_one),
        "constant-escapement": lambda: escapement,
        "constant-escapement, filtered": lambda: Filtered(escapement, model=played_one),
        "tac-80": lambda: share,
        "tac-80, filtered": lambda: Filtered(share, model=played_one),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OrrlWarning)  # a grid that cuts a little of other growth
        real = Fishery.from_dict(played_one.to_dict() | _plain(WORLDS[world]) | {"name": world})
        episodes = played(real, make[name](), settings.episodes())
    values = real.discount * np.array([e.value for e in episodes])
    mean, error = with_error(values)
    line: Row = {"played": world, "policy": name, "episodes": len(values), "NPV": mean, "s.e.": error}
    return line | measures(real, episodes)


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.to_dict() if hasattr(v, "to_dict") else v for k, v in options.items()}


def _on(settings: Settings, key: str, make: Callable[[], tuple[Policy, Row]], model: Fishery) -> Policy:
    return OnBelief(settings.policy(key, make)[0], model=model)


def robustness(settings: Settings) -> list[Row]:
    """Planned for sigma 0.15 / 0.1 and logistic growth, played elsewhere (authors' metric)."""
    names = ("sarsop", "qmdp", "constant-escapement", "constant-escapement, filtered", "tac-80", "tac-80, filtered")
    for world in WORLDS:
        for name in names:
            key = f"{world}, {name}, {settings.episodes()} episodes"
            settings.row(key, partial(_robust, settings, world, name))
    return list(settings.rows())
