"""Historical series: reading them, what policies would have recommended, and the published recommendations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from orrl.core.errors import DataError, FormatError, UnknownNameError
from orrl.problems.fishery import Fishery, GordonSchaefer
from orrl.problems.fishery.capped import Capped
from orrl.problems.fishery.catalogue import instance
from orrl.problems.fishery.hindcast import follow, hindcast
from orrl.problems.fishery.rules import ConstantEscapement, Filtered, OnBelief, Tac
from orrl.problems.fishery.series import Series, historical, read_series
from orrl.solvers.exact.cmdp_lp import CmdpLp
from orrl.solvers.exact.qmdp import Qmdp

SERIES = Series(
    "cod", (2001, 2002, 2003, 2004, 2007), (700.0, 620.0, 640.0, 500.0, 450.0), (90.0, 60.0, 180.0, 0.0, math.nan)
)


def cod(**options) -> Fishery:
    own = {
        "growth": GordonSchaefer(r=0.6, K=0.9),
        "sigma_g": 0.12,
        "sigma_m": 0.2,
        "n": 41,
        "scale": 1000.0,
        "unit": "t",
    }
    return Fishery(**{**own, **options})


@pytest.fixture(scope="module")
def series(data_root):
    return {name: historical(name, roots=[data_root("fishery").parent]) for name in ("hake", "plaice", "bluefin")}


# ---- the filter ------------------------------------------------------------------------------------------------------
def bayes(problem: Fishery, belief: list[float], caught: float | None, seen: float) -> list[float]:
    """One year of Bayes' rule in plain Python: normal laws by the point rule, mass beyond the grid at its ends."""
    n, top = problem.n, problem.top
    grid = [top * i / (n - 1) for i in range(n)]

    def law(mean: float, sigma: float) -> list[float]:
        weight = [math.exp(-(((x - mean) / sigma) ** 2) / 2) for x in grid]
        weight[0] += sum(math.exp(-(((-x - mean) / sigma) ** 2) / 2) for x in grid[1:])
        below = 0.5 * math.erfc((mean - top) / sigma / math.sqrt(2))
        found = [w / sum(weight) * below for w in weight]
        found[-1] += 1 - below
        return found

    def nearest(value: float) -> int:
        return min(range(n), key=lambda i: abs(grid[i] - value))

    ahead = belief
    if caught is not None:
        h = grid[nearest(caught)]
        ahead = [0.0] * n
        for x, mass in zip(grid, belief, strict=True):
            left = max(x - h, 0.0)
            if problem.order == "recruit-harvest":
                mean = max(x + problem.growth.r * x * (1 - x / problem.growth.K), 0.0) - min(x, h)
            else:
                mean = left + problem.growth.r * left * (1 - left / problem.growth.K)
            row = law(mean, problem.sigma_g) if mean > 1e-12 else [1.0] + [0.0] * (n - 1)
            ahead = [a + mass * p for a, p in zip(ahead, row, strict=True)]
    y = nearest(seen)
    joint = [p * (float(y == 0) if i == 0 else law(grid[i], problem.sigma_m)[y]) for i, p in enumerate(ahead)]
    return [j / sum(joint) for j in joint]


@pytest.mark.parametrize("order", ["observe-harvest-recruit", "recruit-harvest"])
def test_the_filter_is_bayes_rule(order):
    problem = cod(order=order)
    beliefs, states = follow(problem, SERIES)
    known = [1 / problem.n] * problem.n
    for t, caught in enumerate((None, 0.09, 0.06, 0.18)):
        known = bayes(problem, known, caught, SERIES.biomass[t] / 1000)
        np.testing.assert_allclose(beliefs[t], known, atol=1e-12)
    np.testing.assert_allclose(beliefs[4], bayes(problem, [1 / problem.n] * problem.n, None, 0.45), atol=1e-12)
    assert [len(s.quota) for s in states] == [0, 1, 2, 3, 0]  # 2005 and 2006 are missing: it begins again
    joined, states = follow(problem, SERIES, gaps="join", first_survey=False)
    np.testing.assert_allclose(joined[0], 1 / problem.n)
    np.testing.assert_allclose(joined[1], bayes(problem, [1 / problem.n] * problem.n, 0.09, 0.62), atol=1e-12)
    assert len(states[4].quota) == 4


def test_the_advice_is_that_of_the_running_fishery():
    """Filtered rules say at each year what they say in `decide` at the state that the past makes."""
    problem = replace(cod(), start=tuple(follow(cod(), SERIES)[0][0].tolist()))
    rule = Filtered(ConstantEscapement())
    frame = hindcast(problem, [rule, Tac()], SERIES, first_survey=False)
    _, states = follow(problem, SERIES, first_survey=False)
    for t in range(4):
        assert frame[rule.name][t] == pytest.approx(rule.decide(problem.at(states[t]))["quota"])
    step = 1000 * 2 / 40
    expected = np.rint(0.8 * problem.reference.f_msy * np.rint(frame["biomass"] / step) * step / step) * step
    np.testing.assert_allclose(frame["tac-80"], expected, atol=step + 1e-9)
    assert frame["believed"][2] == pytest.approx(1000 * follow(problem, SERIES)[0][2] @ problem.grids.stocks, rel=0.05)
    assert (frame["low"] <= frame["believed"]).all()
    assert (frame["believed"] <= frame["high"]).all()
    assert frame.attrs == {"stock": "cod", "unit": "t", "problem": "fishery"}
    assert frame["taken"].tolist()[:4] == [90.0, 60.0, 180.0, 0.0]


def test_a_cap_holds_to_what_was_taken():
    frame = hindcast(cod(), {"tac": Tac(), "capped": Capped(Tac(), change=0.5)}, SERIES)
    step = 1000 * 2 / 40
    last = np.rint(np.array([60.0, 180.0]) / step) * step
    assert (np.abs(frame["capped"][2:4] - last) <= np.maximum(0.5 * last, step) + 1e-9).all()
    assert frame["capped"][0] == frame["tac"][0]


# ---- the published hindcast ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["hake", "plaice"])
def test_the_published_recommendations(series, name):
    """Rules to the tonne; the authors' SARSOP policy by QMDP, which is another method, to a grid step in most years."""
    told = series[name]
    for sigma_m, column in ((0.1, "POMDP"), (0.15, "POMDP_0.15")):
        problem = instance(name, sigma_m=sigma_m)
        policies = {"MSY": "msy", "TAC": "tac-80", "CE": "constant-escapement", column: Qmdp().solve(problem)}
        frame = hindcast(problem, policies, told, gaps="join", first_survey=False)
        step = problem.top / (problem.n - 1) * problem.scale
        for rule in ("MSY", "TAC", "CE"):
            known = ~np.isnan(told.published[rule])
            assert known.sum() >= len(told) - 1
            np.testing.assert_allclose(frame[rule][known], np.array(told.published[rule])[known], atol=1e-6 * step)
        off = np.abs(frame[column] - np.array(told.published[column]))[1:] / step
        assert off.max() < 2.01
        assert (off < 0.01).mean() > 0.6
        assert (off < 1.01).mean() > 0.75


def test_more_was_taken_than_advised(series):
    """Hake fell by more than five sixths; filtered advice closes the fishery that in fact went on."""
    frame = hindcast(instance("hake"), [Filtered(ConstantEscapement())], series["hake"])
    assert frame["biomass"].iloc[-1] < 0.2 * frame["biomass"].iloc[0]
    late = frame[frame["year"].isin([1999, 2000, 2006, 2007])]
    assert (late["constant-escapement-filtered"] < 0.6 * late["taken"]).all()


@pytest.mark.filterwarnings("ignore:.*the grid cuts")
def test_bluefin_too(series):
    problem = instance("bluefin")
    frame = hindcast(problem, ["msy", OnBelief(Qmdp().solve(problem).policy)], series["bluefin"])
    assert len(frame) == 58
    assert frame["biomass"].max() == pytest.approx(problem.scale)
    assert frame["msy"].max() < 0.1 * problem.scale


def test_a_constrained_policy_and_the_mean_of_its_draw():
    problem = cod(sigma_m=0.0, start=0.7)
    result = CmdpLp(limit=1.0).solve(problem)
    advice = hindcast(problem, [result], SERIES)[result.policy.name]
    g = problem.grids
    rows = result.policy.probabilities[g.nearest_stock(np.array(SERIES.biomass) / 1000)]
    np.testing.assert_allclose(advice, 1000 * rows @ g.quotas)
    with pytest.raises(DataError, match="was made for another problem than fishery"):
        hindcast(cod(), [result], SERIES)


# ---- errors ----------------------------------------------------------------------------------------------------------
def test_hindcast_errors():
    with pytest.raises(DataError, match=r"biomass of cod in 2001 is 700 t, and the grid of fishery ends at 2 x 1 K"):
        hindcast(cod(scale=1.0, unit="K"), ["msy"], SERIES)
    with pytest.raises(DataError, match="the units differ, give scale="):
        hindcast(cod(scale=1e6), ["msy"], SERIES)
    with pytest.raises(UnknownNameError, match="unknown harvest rule 'mys'; did you mean 'msy'"):
        hindcast(cod(), ["mys"], SERIES)
    with pytest.raises(DataError, match="gaps is 'fill'"):
        hindcast(cod(), ["msy"], SERIES, gaps="fill")
    with pytest.raises(DataError, match="'taken' has the name of another column"):
        hindcast(cod(), {"taken": Tac()}, SERIES)
    with pytest.raises(DataError, match="two policies have the same name"):
        hindcast(cod(), [Tac(), Tac(share=0.5)], SERIES)
    with pytest.raises(DataError, match="ends after 3 years and the series has 4"):
        hindcast(cod(horizon=3), ["msy"], SERIES)


@pytest.mark.parametrize(
    ("text", "options", "error"),
    [
        ("year,biomass\n2001,3\n", {}, r"s\.csv:1: has no column 'catch': it has year, biomass"),
        ("year,biomass,catch\n2001,3,x\n", {}, r"s\.csv:2: catch of 2001 is 'x': give a number, or NA"),
        ("year,biomass,catch\nMay,3,1\n", {}, r"s\.csv:2: year is 'May': give a whole number"),
        ("year,biomass,catch\n2001,-3,1\n", {}, r"s: biomass of 2001 is -3\.0: give a number of at least 0"),
        ("year,biomass,catch\n2001,3,NA\n2002,3,1\n", {}, "catch of 2001 is nan"),
        ("year,biomass,catch\n2001,3,1\n2001,4,1\n", {}, r"s\.csv:3: biomass of 2001 is 3 and 4: give it once"),
        ("year,biomass,catch,commonname\n2001,3,1,a\n2001,3,1,b\n", {}, "it has 2 stocks: give stock= one of 'a', 'b'"),
        ("year,biomass,catch,commonname\n2001,3,1,a\n", {"stock": "c"}, "stock is 'c': give stock= one of 'a'"),
        ("year,stock,commonname,model\n2001,3,a,biomass\n", {}, "a has no 'catch': it has biomass"),
        ("", {}, "has no column 'year': it has none"),
        ("year,biomass,catch\n", {}, "has no 'biomass': it has nothing"),
    ],
)
def test_a_bad_file(tmp_path, text, options, error):
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=error):
        read_series(path, **options)


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "sole.csv"
    path.write_text("Year,SSB,Landings\n2020,5,1\n2021,4,NA\n")
    own = read_series(path, year="Year", biomass="SSB", catch="Landings", unit="kt")
    assert (own.name, own.year, own.biomass, own.unit) == ("sole", (2020, 2021), (5.0, 4.0), "kt")
    assert math.isnan(own.catch[1])
    with pytest.raises(FormatError, match="cannot be read"):
        read_series(tmp_path / "none.csv")


def test_where_the_series_are_looked_for(tmp_path, monkeypatch):
    with pytest.raises(UnknownNameError, match="did you mean 'hake'"):
        historical("hakes")
    monkeypatch.setenv("ORRL_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"not shipped: looked for .*fishery.*; set ORRL_DATA"):
        historical("hake")
    monkeypatch.delenv("ORRL_DATA")
    with pytest.raises(DataError, match="nowhere, as ORRL_DATA is not set"):
        historical("plaice")
