"""SARSOP at the bars of the benchmark: gaps after CPU seconds of one thread, in full strength."""

import time

import numpy as np
import pytest
from fishery_arrays import Tables, tables

import orrl
from orrl.core.types import Objective
from orrl.problems.tabular.pomdp_format import read_pomdp
from orrl.solvers.exact.pomdp_model import PomdpArrays
from orrl.solvers.exact.sarsop import Sarsop
from orrl.solvers.exact.sarsop_search import Search

pytestmark = pytest.mark.slow


def search(problem, seconds, *, gap=0.0, low=np.inf):
    """Shipped options until the gap or the lower bound is reached, or the CPU seconds are spent."""
    begin = time.process_time()
    found = Search(PomdpArrays.of(problem.tabular()), Sarsop(), over=lambda: time.process_time() - begin > seconds)
    lows, highs = [found.low], [found.high]
    while time.process_time() - begin < seconds and width(found) > gap and found.low < low:
        found.trial()
        lows.append(found.low)
        highs.append(found.high)
    assert lows == sorted(lows) and highs == sorted(highs, reverse=True)
    return found


def width(found):
    return (found.high - found.low) / max(abs(found.high), abs(found.low))


def from_file(path):
    file = read_pomdp(path)
    return Tables(file.tabular(), name=file.name, objective=Objective("max", discount=file.discount))


def ricker(sigma_m, *, n=100, r=0.5, k=0.8, sigma_g=0.1):
    """The runs of 2017 on [0, 2]: lognormal laws of variance mu sigma^2 / 3."""
    from scipy.stats import lognorm

    grid = np.linspace(0.0, 2.0, n)

    def law(mean, sigma):
        variance = mean * sigma**2 / 3
        spread = np.sqrt(np.log(1 + variance / mean**2))
        shape = lognorm(s=spread, scale=mean**2 / np.sqrt(variance + mean**2))
        density = shape.pdf(grid)
        if density.sum() == 0.0:
            return np.eye(n)[0]
        density *= shape.cdf(grid[-1]) / density.sum()
        density[-1] += 1.0 - shape.cdf(grid[-1])
        return density

    nothing = np.zeros(n)
    nothing[:2] = 0.99, 0.01
    rows = np.array([nothing, *(law(s * np.exp(r * (1 - s / k)), sigma_g) for s in grid[1:])])
    i = np.arange(n)
    chains = [rows[np.maximum(i - j, 0)] for j in range(n)]
    seen = np.array([np.eye(n)[0], *(law(x, sigma_m) for x in grid[1:])])
    reward = np.minimum(grid[:, None], grid[None, :])
    return tables(chains, reward, [seen] * n, discount=0.95, initial=np.full(n, 1.0 / n))


@pytest.mark.parametrize(
    ("sigma_g", "sigma_m", "n", "gap", "seconds", "low", "high"),
    [
        (0.15, 0.1, 100, 1e-2, 20, 3.33955, 3.35675),  # low, high: APPL's interval after 15 000 s
        (0.15, 0.1, 100, 5.5e-3, 30, 3.33955, 3.35675),
        (0.15, 0.1, 50, 1e-2, 5, 3.29419, 3.3271),
        (0.1, 0.1, 100, 1e-2, 30, 3.45555, 3.47515),
        (0.15, 0.15, 100, 1.8e-2, 20, 3.20072, 3.24819),
    ],
)
def test_paper_a(sigma_g, sigma_m, n, gap, seconds, low, high):
    found = search(orrl.load("fishery/paper-a", sigma_g=sigma_g, sigma_m=sigma_m, n=n), seconds, gap=gap)
    assert width(found) <= gap
    assert found.low <= high and found.high >= low


def test_ricker_with_high_noise():
    found = search(ricker(0.4), 60, gap=2.5e-2)
    assert width(found) <= 2.5e-2
    assert found.low <= 2.36581 and found.high >= 2.31549  # the interval of another implementation


def test_tag(data_root):
    found = search(from_file(data_root("pomdp") / "appl_TagAvoid.pomdp"), 200, low=-6.6)
    assert found.low >= -6.6 and found.high >= -6.2


def test_hallway(data_root):
    found = search(from_file(data_root("pomdp") / "appl_Hallway.pomdp"), 120, gap=0.15)
    assert width(found) <= 0.15
    assert found.low <= 1.179 and found.high >= 1.001
