"""The anytime record: order, sense, and the integrals by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrl.core.trace import Trace, TracePoint


def recorded(sense: str = "min") -> Trace:
    """Incumbents 120 at 1 s and 110 at 3 s, bounds 90 at 2 s and 100 at 4 s (mirrored when maximising)."""
    sign = 1 if sense == "min" else -1
    trace = Trace(sense)
    trace.add(1.0, objective=sign * 120.0)
    trace.add(2.0, bound=sign * 90.0)
    trace.add(3.0, objective=sign * 110.0)
    trace.add(4.0, bound=sign * 100.0)
    return trace


@pytest.mark.parametrize("sense", ["min", "max"])
def test_news_is_kept_and_what_improves_nothing_is_not(sense):
    trace, sign = recorded(sense), 1 if sense == "min" else -1
    assert not trace.add(5.0, objective=sign * 111.0)
    assert not trace.add(5.0, objective=sign * 110.0)
    assert not trace.add(5.0, bound=sign * 99.0)
    assert not trace.add(5.0)
    assert (trace.objective, trace.bound) == (sign * 110.0, sign * 100.0)
    assert trace.add(6.0, objective=sign * 115.0, bound=sign * 101.0), "the bound alone is news"
    assert trace.points[-1] == TracePoint(6.0, sign * 110.0, sign * 101.0)


def test_time_does_not_run_back():
    trace = Trace("min")
    trace.add(2.0, objective=5.0)
    trace.add(1.0, objective=4.0)
    assert [p.seconds for p in trace.points] == [2.0, 2.0]


def test_primal_integral_by_hand():
    trace = recorded()
    # gap 1 until 1 s, then 20/120 until 3 s, then 10/110 until the limit
    assert trace.primal_integral(10.0, 100.0) == pytest.approx(1 + 2 * 20 / 120 + 7 * 10 / 110)
    assert trace.primal_integral(2.0, 100.0) == pytest.approx(1 + 1 * 20 / 120)
    assert trace.primal_integral(0.5, 100.0) == pytest.approx(0.5)
    assert Trace("min").primal_integral(10.0, 100.0) == 10.0
    assert recorded("max").primal_integral(10.0, -100.0) == pytest.approx(1 + 2 * 20 / 120 + 7 * 10 / 110)


def test_an_optimum_at_once_costs_nothing():
    trace = Trace("min")
    trace.add(0.0, objective=0.0)
    assert trace.primal_integral(10.0, 0.0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(50, 200)), max_size=8), st.floats(0.1, 20))
def test_primal_integral_is_between_zero_and_the_limit(news, limit):
    trace = Trace("min")
    for seconds, value in news:
        trace.add(seconds, objective=value)
    assert 0.0 <= trace.primal_integral(limit, 50.0) <= limit + 1e-9


@pytest.mark.parametrize(("sense", "sign"), [("min", 1), ("max", -1)])
def test_time_to_excess(sense, sign):
    trace = recorded(sense)
    assert trace.time_to_excess(0.2, sign * 100.0) == 1.0
    assert trace.time_to_excess(0.1, sign * 100.0) == 3.0
    assert trace.time_to_excess(0.05, sign * 100.0) is None
    assert Trace(sense).time_to_excess(9.0, sign * 100.0) is None


def test_list_and_frame():
    trace = recorded()
    rows = trace.to_list()
    assert rows == [[1.0, 120.0, None], [2.0, 120.0, 90.0], [3.0, 110.0, 90.0], [4.0, 110.0, 100.0]]
    assert Trace.from_list("min", rows) == trace
    frame = trace.to_frame()
    assert list(frame.columns) == ["seconds", "objective", "bound"]
    assert frame["bound"].isna().tolist() == [True, False, False, False]
    assert len(Trace("max").to_frame()) == 0
