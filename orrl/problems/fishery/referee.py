"""The referee: plays quotas again in plain Python, with formulas of its own for growth, noise and the grid."""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate, pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from ...core.types import Evaluation

if TYPE_CHECKING:
    from .data import Fishery, Harvest, SeaNoise

__all__ = ["evaluate", "path", "utility"]

NORMAL = NormalDist()


def utility(problem: Fishery, stock: float, quota: float, effort: int) -> float:
    """What one year earns."""
    caught = min(stock, quota)
    spent = problem.cost * caught**problem.cost_power / stock if stock > 0 else 0.0
    return problem.price * caught**problem.power - spent - problem.surveys[effort][1]


def recruit(problem: Fishery, s: float) -> float:
    """Growth of a stock, from the formulas."""
    law = problem.growth.to_dict()
    kind, r, k = law["family"], law["r"], law["K"]
    if kind == "gordon-schaefer":
        grown = s + r * s - r * s * s / k
    elif kind == "ricker":
        grown = s * math.exp(r - r * s / k)
    elif kind == "beverton-holt":
        grown = (1 + r) * s * k / (k + r * s)
    elif kind == "allen":
        grown = s * math.exp(r * (k - s) * (s - law["C"]) / k**2)
    elif kind == "may":
        share = s ** law["q"] / (s ** law["q"] + law["b"] ** law["q"])
        grown = s + r * s - r * s * s / k - law["a"] * share
    elif kind == "myers":
        grown = r * k * s ** law["theta"] / (k + s ** law["theta"])
    else:
        raise NotImplementedError(f"growth family {kind!r} is unknown to the referee")
    return max(grown, 0.0)


def path(problem: Fishery, harvest: Harvest, scenario: SeaNoise) -> list[float]:
    """True stock at the beginning of each year and after the last, (T + 1,)."""
    stock = _first(problem, scenario)
    stocks = [stock]
    for t, quota in enumerate(harvest.quota):
        caught = min(stock, quota)
        late = problem.order == "recruit-harvest"
        mean = recruit(problem, stock) - caught if late else recruit(problem, max(stock - caught, 0.0))
        u = float(scenario.process[t])
        if problem.process == "grid":
            spacing = problem.top / (problem.n - 1)
            law = (problem.noise, problem.sigma_g, problem.rule, problem.n, problem.top)
            stock = spacing * bisect_right(_cumulated(*law, round(mean, 12)), u)
        else:
            stock = _shaken(problem.noise, mean, problem.sigma_g, u)
        stocks.append(stock)
    return stocks


def _first(problem: Fishery, scenario: SeaNoise) -> float:
    spacing = problem.top / (problem.n - 1)
    start = problem.start
    if start == "paper":
        return spacing * round(problem.growth.unfished / 6 / spacing)
    if isinstance(start, float | int):
        return float(start) if problem.process == "continuous" else spacing * round(start / spacing)
    law = [1.0 / problem.n] * problem.n if start == "uniform" else list(start)
    return spacing * bisect_right(_closed(law), float(scenario.start))


def _closed(law: list[float]) -> list[float]:
    """Cumulated law that reaches 1 at its last point with mass, and ends before it."""
    last = max(i for i, p in enumerate(law) if p > 0)
    return list(accumulate(law))[:last]


def _logs(law: str, mean: float, sigma: float) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm."""
    variance = sigma**2 if law == "lognormal" else math.log(1 + sigma**2 / (3 * mean))
    return math.log(mean) - variance / 2, math.sqrt(variance)


def _shaken(law: str, mean: float, sigma: float, u: float) -> float:
    if mean <= 0:
        return 0.0
    if sigma <= 0:
        return mean
    if law == "normal":
        return max(0.0, mean + sigma * NORMAL.inv_cdf(u))
    if law == "uniform":
        return max(0.0, mean * (1 - sigma + 2 * sigma * u))
    centre, width = _logs(law, mean, sigma)
    return math.exp(centre + width * NORMAL.inv_cdf(u))


def _density(law: str, x: float, mean: float, sigma: float) -> float:
    if law == "normal":
        return math.exp(-(((x - mean) / sigma) ** 2) / 2)
    if law == "uniform":
        return 1.0 if mean * (1 - sigma) <= x <= mean * (1 + sigma) else 0.0
    centre, width = _logs(law, mean, sigma)
    return math.exp(-(((math.log(x) - centre) / width) ** 2) / 2) / x if x > 0 else 0.0


def _below(law: str, x: float, mean: float, sigma: float) -> float:
    if law == "normal":
        return math.erfc((mean - x) / sigma / math.sqrt(2)) / 2
    if law == "uniform":
        return min(1.0, max(0.0, (x - mean * (1 - sigma)) / (2 * sigma * mean)))
    centre, width = _logs(law, mean, sigma)
    return math.erfc((centre - math.log(x)) / width / math.sqrt(2)) / 2 if x > 0 else 0.0


@lru_cache(maxsize=4096)
def _cumulated(law: str, sigma: float, rule: str, n: int, top: float, mean: float) -> list[float]:
    """Cumulated law of next year's stock on the grid."""
    grid = [top * i / (n - 1) for i in range(n)]
    if mean <= 0:
        return []
    if sigma <= 0:
        i = min(n - 1, math.floor(mean / top * (n - 1) + 0.5 - 1e-12))
        return [0.0] * i
    if rule == "cell":
        half = top / (n - 1) / 2
        return [_below(law, x + half, mean, sigma) for x in grid[:-1]]
    weight = [_density(law, x, mean, sigma) for x in grid]
    weight[0] += sum(_density(law, -x, mean, sigma) for x in grid[1:])
    if sum(weight) == 0:
        return []
    inside = _below(law, top, mean, sigma)
    mass = [w / sum(weight) * inside for w in weight]
    mass[-1] += 1 - inside
    return _closed(mass)


def evaluate(problem: Fishery, harvest: Harvest, scenario: SeaNoise) -> Evaluation:
    """Judge quotas under one scenario.

    The metrics are in units of the stock: yield (sum of catches), mean_biomass (of the years that were decided),
    extinct (1 where the last stock is 0), below_0.2K and below_limit (shares of the years), aav (average annual
    variability, ``sum |c_t - c_t-1| / sum c_t``) and npv_paper (discounted from the first year on, as paper A counts).
    """
    broken = []
    years = problem.years
    if not len(harvest.quota) == len(harvest.effort) == years:
        text = f"{len(harvest.quota)} quotas and {len(harvest.effort)} efforts for {years} years"
        return Evaluation(float("nan"), False, (text,))
    for t, (quota, effort) in enumerate(zip(harvest.quota, harvest.effort, strict=True)):
        if not 0 <= quota < math.inf:
            broken.append(f"year {t}: quota {quota} is not a number of at least 0")
        if not 0 <= effort < len(problem.surveys):
            broken.append(f"year {t}: effort {effort} is not in 0..{len(problem.surveys) - 1}")
    if broken:
        return Evaluation(float("nan"), False, tuple(broken))
    stocks = path(problem, harvest, scenario)
    if problem.state is not None:
        past = problem.state
        for t, (was, effort) in enumerate(zip(past.quota, past.effort, strict=True)):
            if abs(harvest.quota[t] - was) > 1e-9 or harvest.effort[t] != effort:
                broken.append(f"year {t} has passed with quota {was} and effort {effort}; the plan rewrites it")
            if abs(stocks[t] - past.stock[t]) > 1e-6 * problem.top:
                broken.append(f"year {t} has passed with stock {past.stock[t]}; the scenario leads to {stocks[t]}")
    value = 0.0
    for t in range(years):
        value += problem.discount**t * utility(problem, stocks[t], harvest.quota[t], harvest.effort[t])
    metrics = _metrics(problem, harvest, stocks) | {"npv": value, "npv_paper": problem.discount * value}
    return Evaluation(value, not broken, tuple(broken), metrics=metrics)


def _metrics(problem: Fishery, harvest: Harvest, stocks: list[float]) -> dict[str, Any]:
    years = len(harvest.quota)
    caught = [min(x, h) for x, h in zip(stocks, harvest.quota, strict=False)]
    change = sum(abs(b - a) for a, b in pairwise(caught))
    low = 0.2 * problem.growth.unfished
    return {
        "yield": sum(caught),
        "mean_biomass": sum(stocks[:years]) / years,
        "extinct": float(stocks[-1] <= 0),
        "below_0.2K": sum(x < low for x in stocks[:years]) / years,
        "below_limit": sum(x < problem.b_lim for x in stocks[:years]) / years,
        "aav": change / sum(caught) if sum(caught) > 0 else 0.0,
    }
