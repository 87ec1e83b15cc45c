"""Growth laws, reference points and the two discretisations of noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import lognorm, norm

from orrl.core.errors import DataError, OrrlWarning, UnknownNameError
from orrl.problems.fishery import Allen, BevertonHolt, Fishery, GordonSchaefer, May, Myers, Ricker
from orrl.problems.fishery.growth import growth_from_dict
from orrl.problems.fishery.noise import check_rows, cut_mass, discretise, shake
from orrl.problems.fishery.referee import recruit
from orrl.problems.fishery.steps import SOURCE

LAWS = [
    GordonSchaefer(r=0.75, K=1.0),
    Ricker(r=1.0, K=1.2),
    BevertonHolt(r=0.8, K=0.9),
    Allen(r=2.0, K=1.0, C=0.3),
    May(r=0.8, K=1.5, a=0.2, b=0.3),
    Myers(r=1.5, K=1.0, theta=1.3),
]
GRID = np.linspace(0.0, 2.0, 100)


def family(growth: object) -> str:
    return type(growth).__name__


@pytest.mark.parametrize("growth", LAWS, ids=family)
def test_class_compiled_code_and_referee_agree(growth):
    par = np.zeros((1, 16))
    par[0, 0] = growth.code
    par[0, 1 : 1 + len(growth.parameters())] = growth.parameters()
    stocks = np.linspace(0.0, 2.0, 41)
    problem = Fishery(growth=growth, top=3.0)
    plain = [SOURCE.plain.grow(par, 0, float(s)) for s in stocks]
    np.testing.assert_allclose(growth.f(stocks), plain, atol=1e-14)
    np.testing.assert_allclose(growth.f(stocks), [recruit(problem, float(s)) for s in stocks], atol=1e-13)
    assert growth.f(np.zeros(1))[0] == 0.0
    assert growth_from_dict(growth.to_dict()) == growth


@pytest.mark.parametrize("growth", LAWS[:4], ids=family)
def test_unfished_stock_stays(growth):
    assert growth.f(np.array([growth.unfished]))[0] == pytest.approx(growth.unfished, abs=1e-12)


def test_reference_points_of_paper_a():
    """Research report 1.3; and S* = K/2 (1 - (1/discount - 1) / r) in closed form."""
    points = LAWS[0].reference(0.95, 2.0)
    assert [round(v, 5) for v in points] == [0.46491, 0.65149, 0.18658, 0.28638]
    assert points.escapement == pytest.approx(0.5 * (1.0 - (1.0 / 0.95 - 1.0) / 0.75), abs=1e-10)


@pytest.mark.parametrize("growth", LAWS, ids=family)
def test_reference_points_are_the_best(growth):
    points = growth.reference(0.95, 2.0)
    s = np.linspace(0.0, 2.0, 40_001)
    assert points.b_msy - points.escapement / 0.95 >= (growth.f(s) - s / 0.95).max() - 1e-9


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: GordonSchaefer(r=0.75, K=0.0), "K is 0.0: the stock that the sea carries must be positive"),
        (lambda: Ricker(r=-1.0, K=1.0), "r is -1.0"),
        (lambda: May(r=1.0, K=1.0, a=-0.1, b=1.0), "a is -0.1"),
        (lambda: Allen(r=1.0, K=float("nan"), C=0.1), "K is nan: give a finite number"),
        (lambda: growth_from_dict({"family": "ricker", "r": 1.0, "k": 1.0}), "has no 'k'"),
    ],
)
def test_errors_teach(make, text):
    with pytest.raises(DataError, match=text):
        make()


def test_an_unknown_family_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'ricker'"):
        growth_from_dict({"family": "riker"})


@pytest.mark.parametrize("law", ["normal", "lognormal", "rescaled-lognormal", "uniform"])
@pytest.mark.parametrize("rule", ["point", "cell"])
def test_rows_are_laws_with_the_right_mean(law, rule):
    mean = np.array([0.0, 0.4, 0.8, 1.0])
    grid = np.linspace(0.0, 3.0, 601)
    rows = discretise(law, grid, mean, 0.2, rule)
    check_rows(rows, mean, "test")
    assert rows[0, 0] == 1.0
    first = [0.0, *(shake(law, np.full(4001, m), 0.2, (np.arange(4001) + 0.5) / 4001).mean() for m in mean[1:])]
    np.testing.assert_allclose(rows @ grid, first, atol=4e-3)


def test_point_rule_by_hand():
    """Density at the points, the mirrored tail on 0, N / sum, and 1 - N on the last point."""
    mean, sigma = 0.2, 0.15
    row = discretise("normal", GRID, np.array([mean]), sigma, "point")[0]
    density = [norm.pdf(x, mean, sigma) for x in GRID]
    density[0] += sum(norm.pdf(-x, mean, sigma) for x in GRID[1:])
    inside = norm.cdf(GRID[-1], mean, sigma)
    expected = np.array(density) * inside / sum(density)
    expected[-1] += 1.0 - inside
    np.testing.assert_allclose(row, expected, rtol=1e-12, atol=1e-300)


def test_cell_rule_by_hand():
    grid = np.array([0.0, 0.5, 1.0, 1.5])
    row = discretise("lognormal", grid, np.array([0.7]), 0.4, "cell")[0]
    law = lognorm(s=0.4, scale=np.exp(np.log(0.7) - 0.08))
    np.testing.assert_allclose(row, np.diff([0.0, *law.cdf([0.25, 0.75, 1.25]), 1.0]), rtol=1e-12)


def test_no_noise_is_the_nearest_point():
    rows = discretise("normal", np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.4, 0.6, 9.0]), 0.0, "point")
    assert rows.argmax(axis=1).tolist() == [0, 0, 1, 2]


def test_rescaled_lognormal_has_its_variance():
    u = (np.arange(200_001) + 0.5) / 200_001
    draws = shake("rescaled-lognormal", np.full(len(u), 0.5), 0.3, u)
    assert draws.mean() == pytest.approx(0.5, rel=1e-4)
    assert draws.var() == pytest.approx(0.5 * 0.3**2 / 3.0, rel=2e-3)


def test_a_row_that_is_no_law_is_named():
    with pytest.raises(DataError, match=r"transition row of stock 0\.5 sums to 0\.9"):
        check_rows(np.array([[1.0, 0.0], [0.4, 0.5]]), np.array([0.0, 0.5]), "transition")
    with pytest.raises(DataError, match=r"survey row of stock 0\.5 has -0\.5 in column 1"):
        check_rows(np.array([[1.0, 0.0], [1.5, -0.5]]), np.array([0.0, 0.5]), "survey")


def test_a_grid_that_cuts_mass_is_refused_or_warned_of():
    with pytest.raises(DataError, match=r"top is 0\.8 with n = 40: .* cuts 86.* of the mass"):
        Fishery(growth=LAWS[0], sigma_g=0.1, top=0.8, n=40)
    short = Fishery(growth=LAWS[0], sigma_g=0.15, top=1.3, n=40)
    with pytest.warns(OrrlWarning, match=r"cuts 2\.\d+% of the mass"):
        assert short.grids.rows.shape == (40, 40)
    assert cut_mass("uniform", np.array([0.0, 1.0, 2.0]), np.array([0.5]), 0.1)[0] == 1.0  # between two points
