"""`Result`: honest words, JSON round trip, no foreign types."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import orrl
from orrl.core import Evaluation, OrrlError
from orrl.core.result import Bound, Result, Times, dump_object, load_object
from orrl.core.trace import Trace
from orrl.problems.jobshop import JobShop


def result(**changes) -> Result:
    fields = {
        "problem": "p", "problem_hash": "0" * 64, "method": "m", "sense": "min", "status": "feasible", "stop": "time",
        "objective": 110.0, "bound": Bound(100.0), "evaluation": Evaluation(110.0, True),
    }  # fmt: skip
    return Result(**{**fields, **changes})


def test_gap_is_the_solvers_gap_and_none_where_it_would_lie():
    assert result().gap == pytest.approx(10 / 110)
    assert result(objective=0.0, bound=Bound(0.0)).gap == 0.0
    assert result(objective=None).gap is None
    assert result(bound=None).gap is None
    assert result(status="estimated").gap is None
    assert result(bound=Bound(100.0, "relaxation", "the LP relaxation")).gap is None
    assert result(bound=Bound(100.0, "statistical")).gap is None


def test_words_outside_the_vocabulary_are_refused():
    for change in ({"status": "good"}, {"stop": "tired"}):
        with pytest.raises(ValueError, match="is not a known word"):
            result(**change)


def test_raise_for_status():
    good = result()
    assert good.raise_for_status() is good
    for status in ("infeasible", "no_solution", "error"):
        with pytest.raises(OrrlError, match=rf"m on p: {status} \(time\). why"):
            result(status=status, message="why").raise_for_status()


def test_summary_is_one_honest_line():
    line = str(result(times=Times(total=1.234), meta={"threads": 2}))
    assert line == "p m: feasible (time) objective 110 bound 100 (proven) gap 9.09% in 1.23 s, 2 threads"
    estimate = result(status="estimated", evaluation=Evaluation(110.0, True, n=7, interval=(100.0, 120.0)))
    assert "objective 110 [100, 120] n=7" in str(estimate)
    assert "gap -" in str(estimate)
    assert "objective - bound - gap -" in str(result(objective=None, bound=None))


numbers = st.floats(allow_nan=True) | st.integers(-(10**15), 10**15) | st.none() | st.booleans() | st.text(max_size=5)
tables = st.recursive(
    numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=3),
    max_leaves=8,
)


def same(a, b) -> bool:
    """Equality in which not-a-number equals itself."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    return type(a) is type(b) and a == b


@given(st.dictionaries(st.text(max_size=5), tables, max_size=4), st.floats(), st.floats())
def test_the_json_round_trip_keeps_every_value(meta, value, bound):
    trace = Trace("min")
    trace.add(0.5, objective=120.0)
    trace.add(1.0, bound=-math.inf)
    trace.add(1.5, objective=110.0, bound=100.0)
    one = result(
        objective=value, bound=Bound(bound), meta=meta, trace=trace, times=Times(solve=math.inf),
        evaluation=Evaluation(value, False, ("a", "b"), n=3, interval=(-math.inf, value), metrics={"x": math.nan}),
    )  # fmt: skip
    text = one.to_json()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    other = Result.from_json(text)
    assert same(one.to_dict(), other.to_dict())
    assert other.trace.points == trace.points


def test_a_real_result_comes_back_with_its_solution():
    shop = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 2], [2, 4]])
    one = orrl.solve(shop, "mwkr")
    other = Result.from_json(one.to_json())
    assert np.array_equal(other.solution.start, one.solution.start)
    assert shop.evaluate(other.solution).objective == one.objective
    assert other.to_dict() == {**one.to_dict(), "solution": other.to_dict()["solution"]}
    assert other.policy is None


def test_numpy_values_become_plain_ones():
    text = result(
        objective=np.float64(3.5), meta={"n": np.int64(4), "ok": np.bool_(True), "x": np.float32("inf")}
    ).to_json()
    meta = json.loads(text)["meta"]
    assert (meta["n"], meta["ok"], json.loads(text)["objective"]) == (4, True, 3.5)
    assert Result.from_json(text).meta["x"] == math.inf


class Elsewhere:
    """A type of this test module, which is no plugin."""

    def to_dict(self) -> dict:
        return {}

    @classmethod
    def from_dict(cls, data):
        raise AssertionError("a foreign type was loaded")


def test_a_result_file_cannot_import_foreign_code():
    text = result(solution=Elsewhere()).to_json()
    with pytest.raises(OrrlError, match="neither of orrl nor of a registered plugin: not imported"):
        Result.from_json(text)
    for kind in ("os:system", "subprocess:Popen", "orrlevil:X", "..orrl:X", ""):
        with pytest.raises(OrrlError, match="not imported"):
            load_object({"type": kind, "data": {}})
    shop = JobShop(machines=[[0]], durations=[[1]])
    assert load_object(dump_object(shop)).content_hash == shop.content_hash
