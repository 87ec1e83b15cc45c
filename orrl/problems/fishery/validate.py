"""What a fishery must satisfy; every message names the field, its value and the remedy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...core.errors import DataError
from .growth import Growth
from .noise import LAWS, cut_mass

if TYPE_CHECKING:
    from .data import Fishery

__all__ = ["ALLOWED", "WARNED", "check", "worst_cut"]

ALLOWED = 0.25
"""Largest mass of a row that the grid may cut."""
WARNED = 1e-3
"""Mass from which on a warning is given, when the tables are built."""


def check(problem: Fishery) -> None:
    """Refuse what makes no sense.

    Raises
    ------
    DataError
        For the first thing that is wrong.
    """
    if not isinstance(problem.growth, Growth):
        raise DataError(f"growth is {problem.growth!r}: give a growth law such as GordonSchaefer(r=0.75, K=1.0)")
    _choices(problem)
    _numbers(problem)
    _start(problem)
    row, cut = worst_cut(problem)
    if cut > ALLOWED:
        raise DataError(
            f"top is {problem.top:g} with n = {problem.n}: from a stock of {row:.4g} the grid cuts {cut:.1%} of the "
            "mass of next year's stock; give a larger top or more points"
        )
    if problem.state is not None:
        _state(problem)


def worst_cut(problem: Fishery) -> tuple[float, float]:
    """Stock from which the grid cuts the most mass of next year's, and that mass."""
    grid = np.linspace(0.0, problem.top, problem.n)
    cut = cut_mass(problem.noise, grid, problem.growth.f(grid), problem.sigma_g, problem.rule)
    i = int(np.argmax(cut))
    return float(grid[i]), float(cut[i])


def _choices(problem: Fishery) -> None:
    from .data import ORDERS, PROCESSES

    options = {
        "noise": LAWS, "survey_noise": (None, *LAWS), "order": ORDERS, "rule": ("point", "cell"), "process": PROCESSES,
    }  # fmt: skip
    for name, known in options.items():
        if getattr(problem, name) not in known:
            told = ", ".join(repr(k) for k in known)
            raise DataError(f"{name} is {getattr(problem, name)!r}: give one of {told}")


def _numbers(problem: Fishery) -> None:
    for name in ("price", "power", "top", "scale", "cost_power"):
        value = getattr(problem, name)
        if not (math.isfinite(value) and value > 0.0):
            raise DataError(f"{name} is {value!r}: give a positive number")
    for name in ("sigma_g", "sigma_m", "cost"):
        value = getattr(problem, name)
        if not (math.isfinite(value) and value >= 0.0):
            raise DataError(f"{name} is {value!r}: give 0 or a positive number")
    if not 0.0 < problem.discount <= 1.0 or (problem.horizon is None and problem.discount == 1.0):
        raise DataError(f"discount is {problem.discount!r}: give a factor in (0, 1), or 1 with a horizon")
    least = {"n": 3, "n_quotas": 2, "n_surveys": 2, "steps": 1, "horizon": 1}
    for name, small in least.items():
        value = getattr(problem, name)
        if value is None and name not in ("n", "steps"):
            continue
        if not isinstance(value, int | np.integer) or value < small:
            raise DataError(f"{name} is {value!r}: give a whole number of at least {small}")
    for i, (sigma, cost) in enumerate(problem.efforts):
        if not (math.isfinite(sigma) and sigma >= 0.0 and math.isfinite(cost) and cost >= 0.0):
            raise DataError(f"efforts[{i}] is ({sigma}, {cost}): give sigma_m >= 0 and a cost a year >= 0")
    for name, law in (("sigma_g", problem.noise), ("sigma_m", problem.survey_noise or problem.noise)):
        sigma = problem.sigma_g if name == "sigma_g" else max(s for s, _ in problem.surveys)
        if law == "uniform" and sigma > 1.0:
            raise DataError(f"{name} is {sigma!r} with uniform noise: a stock cannot fall below 0, give at most 1")


def _start(problem: Fishery) -> None:
    start = problem.start
    if isinstance(start, tuple):
        if len(start) != problem.n or min(start) < 0.0 or abs(sum(start) - 1.0) > 1e-8:
            raise DataError(
                f"start has {len(start)} entries that sum to {sum(start):.9g}: give {problem.n} probabilities, one for "
                "each grid point, that sum to 1"
            )
    elif isinstance(start, float | int):
        if not 0.0 <= start <= problem.top:
            raise DataError(f"start is {start!r}: give a stock in [0, top] ({problem.top:g})")
    elif start not in ("uniform", "paper"):
        raise DataError(f"start is {start!r}: give 'uniform', 'paper', a stock, or a law on the grid")


def _state(problem: Fishery) -> None:
    state = problem.state
    assert state is not None
    t = len(state.quota)
    sizes = (len(state.effort), len(state.stock), len(state.seen), len(state.draws[1]), len(state.draws[2]))
    if sizes != (t, t + 1, t + 1, t, t + 1):
        raise DataError(
            f"state has {t} quotas and lists of {sizes}: give t quotas and efforts, t + 1 stocks and surveys"
        )
    if t > problem.years:
        raise DataError(f"state has {t} years of a problem of {problem.years}: give at most that")
