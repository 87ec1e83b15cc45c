"""What the pictures show, read off the Axes."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from orrl.core.errors import DataError
from orrl.core.rollout import rollout
from orrl.problems.fishery import plot
from orrl.problems.fishery.catalogue import instance
from orrl.problems.fishery.hindcast import hindcast
from orrl.problems.fishery.rules import ConstantEscapement, Filtered
from orrl.problems.fishery.series import Series
from orrl.solvers.exact.cmdp_lp import CmdpLp
from orrl.solvers.exact.policy_iteration import PolicyIteration

matplotlib.use("agg")


@pytest.fixture(scope="module")
def problem():
    return instance("paper-a", n=40, start="paper")


@pytest.fixture(scope="module")
def episodes(problem):
    return rollout(problem, Filtered(ConstantEscapement()), [problem.scenario(s) for s in range(20)])


def drawn(ax) -> None:
    """Rendering finds what the objects do not say."""
    ax.figure.canvas.draw()


def test_policy_curves(problem):
    seen = PolicyIteration().solve(instance("paper-a", n=40, sigma_m=0.0)).policy.probabilities.argmax(axis=1)
    ax = plot.policy_curves(problem, {"ce": ConstantEscapement(), "sdp": seen})
    lines = ax.get_lines()
    assert [line.get_label() for line in lines] == ["ce", "sdp"]
    assert lines[0].get_ydata().max() == pytest.approx(problem.reference.escapement)
    with pytest.raises(DataError, match="give an action for each of 40 stocks"):
        plot.policy_curves(problem, {"sdp": seen[:7]})
    drawn(ax)


def test_stock_fan(episodes):
    ax = plot.stock_fan(episodes)
    assert len(ax.collections) == 2
    middle = np.median([e.final.stock for e in episodes], axis=0)
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), middle)
    drawn(ax)


def test_belief_evolution(problem, episodes):
    ax = plot.belief_evolution(problem, episodes[0].final)
    shown = ax.collections[0].get_array().reshape(40, 100)
    np.testing.assert_allclose(shown.sum(axis=0), 1.0)
    np.testing.assert_allclose(shown[:, -1], problem.at(episodes[0].final).belief, atol=1e-12)
    drawn(ax)


def test_alpha_vectors(problem):
    vectors = np.stack([problem.grids.stocks, 1.0 - problem.grids.stocks])
    ax = plot.alpha_vectors(problem, vectors, [1, 5])
    assert len(ax.get_lines()) == 3
    np.testing.assert_allclose(ax.get_lines()[-1].get_ydata(), vectors.max(axis=0))
    with pytest.raises(DataError, match=r"give \(N, 40\)"):
        plot.alpha_vectors(problem, vectors[:, :5])
    drawn(ax)


def test_price_of_risk():
    """Value and price of solved problems; each short line touches the value with the slope that the dual says."""
    problem = instance("paper-a", n=20, sigma_g=0.15, sigma_m=0.0, start=0.65)
    free = CmdpLp().solve(problem, threads=1)
    limits = [np.inf, 0.3 * free.meta["time"], 0.6 * free.meta["time"]]
    results = [CmdpLp(limit=limit).solve(problem, threads=1) for limit in limits]
    values, prices = [r.objective for r in results], [r.meta["price"] for r in results]
    assert prices[1] > prices[2] > 0.0
    ax = plot.price_of_risk(limits, values, prices)
    line, *slopes = ax.get_lines()[:3]
    np.testing.assert_allclose(line.get_xydata(), [[limits[1], values[1]], [limits[2], values[2]]])
    for slope, i in zip(slopes, (1, 2), strict=True):
        (x0, y0), (x1, y1) = slope.get_xydata()
        assert (y1 - y0) / (x1 - x0) == pytest.approx(prices[i])
        assert (y0 + y1) / 2 == pytest.approx(values[i])
    right = ax.figure.axes[-1]
    np.testing.assert_allclose(right.get_lines()[0].get_ydata(), [prices[1], prices[2]])
    assert ax.get_lines()[3].get_ydata()[0] == values[0]
    assert [text.get_text() for text in ax.texts] == ["no limit"]
    drawn(ax)
    with pytest.raises(DataError, match=r"shapes \(2,\), \(1,\), \(2,\)"):
        plot.price_of_risk([1, 2], [3], [4, 5])
    with pytest.raises(DataError, match="a price is negative"):
        plot.price_of_risk([1, 2], [3, 4], [5, -1])
    with pytest.raises(DataError, match="one finite limit"):
        plot.price_of_risk([np.inf], [3], [0])


def test_hindcast():
    series = Series("cod", (2001, 2002, 2003), (0.7, 0.6, 0.4), (0.1, 0.2, float("nan")), unit="K")
    frame = hindcast(instance("paper-a", n=40), ["msy", "tac-80"], series)
    ax = plot.hindcast(frame)
    assert [line.get_label() for line in ax.get_lines()] == ["biomass", "msy", "tac-80"]
    np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), frame["msy"])
    assert [bar.get_height() for bar in ax.patches][:2] == [0.1, 0.2]
    assert ax.get_title() == "cod"
    assert "(K)" in ax.get_ylabel()
    drawn(ax)
    with pytest.raises(DataError, match="has no column 'taken'"):
        plot.hindcast(frame.drop(columns="taken"))


def test_kobe(episodes):
    ax = plot.kobe(episodes)
    assert "overfish" in ax.get_title()
    assert len(ax.patches) == 4
    with pytest.raises(DataError, match="give at least one"):
        plot.kobe([])
    drawn(ax)
