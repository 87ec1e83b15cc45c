"""Canonical bytes: equal exactly when two contents are equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrl.core.hashing import canonical_bytes, content_hash

scalars = st.none() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(max_size=4)
contents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


@dataclass(frozen=True)
class Point:
    x: int
    y: float


def test_dtype_and_container_do_not_matter():
    table = [[1, 2], [3, 4]]
    want = canonical_bytes(table)
    for dtype in (np.int8, np.int32, np.uint16, np.int64, np.float32, np.float64):
        assert canonical_bytes(np.array(table, dtype)) == want
    assert canonical_bytes(((1, 2), (3, 4))) == want
    assert canonical_bytes([np.array([1, 2]), [np.int8(3), 4.0]]) == want
    assert canonical_bytes(np.array([True, False])) == canonical_bytes([True, False]) == canonical_bytes([1, 0])
    assert canonical_bytes(np.array(7)) == canonical_bytes(7) == canonical_bytes(7.0)
    assert canonical_bytes(-0.0) == canonical_bytes(0)
    assert canonical_bytes(np.asfortranarray(table)) == want
    assert canonical_bytes(np.zeros((2, 0), int)) == canonical_bytes([[], []])


def test_order_of_keys_does_not_matter_but_order_of_lists_does():
    assert canonical_bytes({"a": 1, "b": 2}) == canonical_bytes({"b": 2, "a": 1})
    assert canonical_bytes([1, 2]) != canonical_bytes([2, 1])
    assert canonical_bytes(Point(1, 2.5)) == canonical_bytes({"x": 1, "y": 2.5})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, [2]], [[1], 2]), ([], None), ([[]], []), ("1", 1), (["ab", "c"], ["a", "bc"]), (0.1 + 0.2, 0.3),
        ({"a": [1]}, {"a": 1}), ("", None), ([12], [1, 2]), (float("inf"), float("-inf")), ({"a": None}, {}),
        (1.5, 1), ("é", "e"), ([0], [None]), (2**63, 2**63 + 1),
    ],
)  # fmt: skip
def test_what_differs_has_other_bytes(one, other):
    assert canonical_bytes(one) != canonical_bytes(other)


@given(contents, contents)
def test_bytes_are_equal_exactly_when_contents_are(one, other):
    assert canonical_bytes(one) == canonical_bytes(one)
    assert (canonical_bytes(one) == canonical_bytes(other)) == (one == other)


def test_not_a_number_has_one_form():
    assert canonical_bytes(float("nan")) == canonical_bytes(np.float32("nan"))
    assert canonical_bytes(float("nan")) != canonical_bytes(float("inf"))


def test_a_type_without_a_form_is_an_error():
    with pytest.raises(TypeError, match="no canonical bytes for function: give numbers"):
        canonical_bytes([1, lambda: 2])
    with pytest.raises(TypeError, match="no canonical bytes for type"):
        canonical_bytes(Point)


def test_the_hash_stays_what_it_was():
    """Stored results and manifests refer to it."""
    assert content_hash({"a": [1, 2.5, "x"], "b": None}) == content_hash({"b": None, "a": (1, 2.5, "x")})
    assert canonical_bytes({"a": [1, 2.5, "x"], "b": None}) == b"M2:S1:aL3:I1;F0x1.4000000000000p+1;S1:xS1:bN"
    assert len(content_hash(1)) == 64
