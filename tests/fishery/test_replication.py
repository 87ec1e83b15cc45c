"""Replication of paper A's simulation study, every cell on 20,000 episodes of the paper's own protocol.

The other side of each comparison is an independent implementation with 2,000 episodes (4,000 in the table of larger
noise, 20,000 where the first stock is drawn from the first belief), reported to two or three decimals. A cell agrees
where the difference is within four combined standard errors; rounding of the reported figure is added.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from orrl.core.policy import View
from orrl.core.seeds import spawn_seeds
from orrl.problems.fishery import Allen, Fishery, GordonSchaefer, Ricker
from orrl.problems.fishery.catalogue import instance
from orrl.problems.fishery.rules import ConstantEscapement, Filtered, Msy, OnBelief, OnSurvey, Tac
from orrl.solvers.exact.alpha import AlphaPolicy
from orrl.solvers.exact.policy_iteration import PolicyIteration
from orrl.solvers.exact.qmdp import Qmdp
from orrl.solvers.exact.sarsop import Sarsop

REPLICATES = 20_000
THEIRS = 2_000
RULES = {"msy": Msy, "tac": Tac, "ce": ConstantEscapement}
# (sigma_g, sigma_m): policy -> NPV discounted from the first year on, mean biomass after year 50, share extinct
TABLE = {
    (0.15, 0.0): {
        "msy": (1.50, 0.16, 0.80),
        "tac": (1.70, 0.39, 0.51),
        "ce": (2.56, 0.53, 0.18),
        "sdp": (2.56, 0.56, 0.17),
        "qmdp": (2.56, 0.56, 0.17),
    },
    (0.15, 0.1): {
        "msy": (1.35, 0.13, 0.85),
        "tac": (1.64, 0.36, 0.55),
        "ce": (2.38, 0.43, 0.33),
        "sdp": (2.41, 0.48, 0.28),
        "qmdp": (2.47, 0.56, 0.19),
        "appl": (2.47, 0.55, 0.20),
        "sarsop": (2.47, 0.55, 0.19),
    },
    (0.15, 0.15): {
        "msy": (1.25, 0.10, 0.89),
        "tac": (1.57, 0.33, 0.60),
        "ce": (2.00, 0.22, 0.72),
        "sdp": (2.10, 0.28, 0.63),
        "qmdp": (2.37, 0.55, 0.23),
        "appl": (2.37, 0.54, 0.25),
        "sarsop": (2.37, 0.54, 0.24),
    },
    (0.1, 0.15): {
        "msy": (1.58, None, None),
        "tac": (1.96, None, None),
        "ce": (2.45, None, None),
        "qmdp": (2.716, None, None),
        "appl": (2.714, None, None),
        "sarsop": (2.716, None, None),
    },
}
BELIEVING = ("qmdp", "appl", "sarsop", "ce-mean")


@cache
def worlds(problem: Fishery) -> list:
    """The noise of 20,000 episodes; fisheries of equal length share it."""
    return [problem.scenario(s) for s in spawn_seeds(11, REPLICATES, "replication")]


@cache
def noise() -> list:
    return worlds(instance("paper-a", start="paper"))


def play(problem: Fishery, policy, scenarios, block: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Values (N,), discounted from the first year on, and stocks (N, T + 1)."""
    values, stocks = [], []
    kernel = Fishery.kernel([problem], compiled=True)
    for begin in range(0, len(scenarios), block):
        part = scenarios[begin : begin + block]
        state = kernel.reset(part)
        policy.reset(problem, batch=len(part))
        view, gained = View(kernel, state, [0] * len(part)), np.zeros(len(part))
        done = state.stage >= state.end
        for t in range(problem.years):
            info = {"action_mask": kernel.mask(state), "view": view, "done": done}
            reward, done = kernel.step(state, policy.act(None, info))
            gained += problem.discount ** (t + 1) * reward
        assert done.all()
        values.append(gained)
        stocks.append(state.stock)
    return np.concatenate(values), np.concatenate(stocks)


def action_values(problem: Fishery) -> np.ndarray:
    """Values (S, A) of the actions where the state is seen."""
    post = problem.post_decision()
    value = np.zeros(problem.n)
    for _ in range(600):
        choice = post.reward + post.discount * (post.rows @ value)[post.index]
        value = choice.max(axis=1)
    return choice


@cache
def solved(problem: Fishery) -> AlphaPolicy:
    """SARSOP's vectors after 20 seconds, or at a gap of 2%."""
    return Sarsop().solve(problem, time_limit=20, gap=0.02, threads=1).policy


def policy_of(name: str, problem: Fishery, solved_for: Fishery, root=None):
    """A policy of the table; those that plan are solved from the first belief that SARSOP bounds."""
    if name in RULES:
        return RULES[name]()
    if name == "ce-mean":
        return Filtered(ConstantEscapement())
    if name == "sdp":
        result = PolicyIteration().solve(solved_for)
        return OnSurvey(result.policy.probabilities.argmax(axis=1))
    if name == "qmdp" and problem.observed:
        worth = action_values(solved_for)
        return OnBelief(lambda beliefs: (beliefs @ worth).argmax(axis=1))
    if name == "qmdp":
        return OnBelief(Qmdp().solve(solved_for).policy)
    if name == "sarsop":
        return OnBelief(solved(solved_for))
    file = root("fishery") / "appl_policies" / f"gs_sg{problem.sigma_g:g}_sm{problem.sigma_m:g}.policyx"
    return OnBelief(AlphaPolicy.read_policyx(file, solved_for))


def cells() -> list:
    found = []
    for (sigma_g, sigma_m), rows in TABLE.items():
        for name, told in rows.items():
            heavy = name in BELIEVING
            marks = pytest.mark.slow if heavy else ()
            found.append(pytest.param(sigma_g, sigma_m, name, told, id=f"{name}-{sigma_g}-{sigma_m}", marks=marks))
    return found


@pytest.mark.parametrize(("sigma_g", "sigma_m", "name", "told"), cells())
def test_a_cell_of_the_table(data_root, sigma_g, sigma_m, name, told):
    problem = instance("paper-a", sigma_g=sigma_g, sigma_m=sigma_m, start="paper")
    solved_for = instance("paper-a", sigma_g=sigma_g, sigma_m=sigma_m)
    value, stock = play(problem, policy_of(name, problem, solved_for, data_root), noise())
    late, gone = stock[:, 51:].mean(axis=1), stock[:, -1] <= 0.0
    npv, biomass, extinct = told
    both = np.sqrt(1 / REPLICATES + 1 / THEIRS)
    digits = 0.0005 if round(npv, 2) != npv else 0.005
    assert abs(value.mean() - npv) <= 4 * value.std() * both + digits
    if biomass is not None:
        assert abs(late.mean() - biomass) <= 4 * late.std() * both + 0.005
        assert abs(gone.mean() - extinct) <= 4 * gone.std() * both + 0.005


# ---- larger noise ----------------------------------------------------------------------------------------------------
# MSY, TAC, CE, CE on the posterior mean, QMDP, SARSOP: 60 stocks, 4,000 episodes
LARGER = {
    "gs-0.3": (1.06, 1.58, 0.99, 1.67, 2.34, 2.33),
    "gs-0.5": (0.62, 0.91, 0.48, 0.55, 1.58, 1.46),
    "ricker": (2.38, 3.60, 1.53, 3.03, 4.01, 4.00),
    "allen": (0.83, 1.68, 1.26, 2.58, 2.64, 2.64),
}
# the same, with the first stock drawn from the first belief and discounted from the year after: QMDP, SARSOP, their
# standard errors, and the lower bound that SARSOP reported
DRAWN = {"gs-0.3": (3.018, 3.017, 0.006), "ricker": (4.579, 4.615, 0.007), "allen": (2.105, 2.106, 0.010)}
NAMES = ("msy", "tac", "ce", "ce-mean", "qmdp", "sarsop")


@cache
def noisy(case: str) -> Fishery:
    """The fisheries of the table of larger noise, from a uniform belief."""
    logistic = GordonSchaefer(r=0.75, K=1.0)
    own = {
        "gs-0.3": {"growth": logistic, "sigma_g": 0.1, "sigma_m": 0.3},
        "gs-0.5": {"growth": logistic, "sigma_g": 0.15, "sigma_m": 0.5},
        "ricker": {"growth": Ricker(r=1.0, K=1.0), "sigma_g": 0.3, "sigma_m": 0.5, "noise": "lognormal"},
        "allen": {"growth": Allen(r=2.0, K=1.0, C=0.3), "sigma_g": 0.1, "sigma_m": 0.3, "noise": "lognormal"},
    }
    return Fishery(**own[case], n=60, name=case)


def noisy_cells() -> list:
    found = []
    for case, told in LARGER.items():
        for name, npv in zip(NAMES, told, strict=True):
            marks = pytest.mark.slow if name in BELIEVING else ()
            found.append(pytest.param(case, name, npv, id=f"{name}-{case}", marks=marks))
    return found


@pytest.mark.filterwarnings("ignore:.*the grid cuts")
@pytest.mark.parametrize(("case", "name", "npv"), noisy_cells())
def test_a_cell_of_the_table_of_larger_noise(case, name, npv):
    """The first belief, for which SARSOP is solved, is the paper's.

    The source does not say where Allen's stock starts; K / 6, of which nothing would be left, it is not, and 0.6 fits.
    """
    base = noisy(case)
    paper = replace(base, start="paper", steps=99)
    played = replace(paper, start=0.6) if case == "allen" else paper
    policy = policy_of(name, paper, paper)
    if name in BELIEVING:
        policy.model = paper
    value, _ = play(played, policy, noise())
    assert abs(value.mean() - npv) <= 4 * value.std() * np.sqrt(1 / REPLICATES + 1 / 4000) + 0.005


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*the grid cuts")
@pytest.mark.parametrize("name", ["qmdp", "sarsop"])
@pytest.mark.parametrize("case", DRAWN)
def test_the_first_stock_drawn_from_the_first_belief(case, name):
    problem = noisy(case)
    value, _ = play(problem, policy_of(name, problem, problem), worlds(problem))
    value /= problem.discount
    error = np.hypot(value.std() / REPLICATES**0.5, DRAWN[case][2])
    assert abs(value.mean() - DRAWN[case][NAMES.index(name) - 4]) <= 4 * error
    if name == "sarsop":  # what it certifies is earned
        assert value.mean() >= solved(problem).value(problem.belief) - 4 * value.std() / REPLICATES**0.5
