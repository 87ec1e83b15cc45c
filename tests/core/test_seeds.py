"""Named random streams."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy import stats

from orrl.core.seeds import spawn_seeds, stream


def test_equal_arguments_give_equal_draws():
    assert np.array_equal(stream(3, "a", 1).random(5), stream(3, "a", 1).random(5))


def test_the_streams_are_the_same_on_every_machine():
    """Stored results refer to them: a change here changes every experiment."""
    assert stream(0, "jobshop", "train").integers(0, 1000, 6).tolist() == [878, 84, 831, 161, 658, 67]
    assert spawn_seeds(0, 2, "scenario") == [2918451805273640338, 446760307938942029]


def test_other_names_and_seeds_give_other_draws():
    names = [(0,), (1,), (0, "a"), (0, "b"), (0, "a", "b"), (0, "b", "a"), (0, "ab"), (0, 1), (0, "a", 1)]
    assert len({float(stream(*args).random()) for args in names}) == len(names)
    one, two = stream(0, "train").random(4000), stream(0, "test").random(4000)
    assert abs(stats.pearsonr(one, two).statistic) < 0.06


def test_seeds_do_not_depend_on_how_many_there_are():
    assert spawn_seeds(5, 100, "x")[:3] == spawn_seeds(5, 3, "x")
    assert len(set(spawn_seeds(5, 1000, "x"))) == 1000
    assert all(0 <= s < 2**63 for s in spawn_seeds(5, 1000, "x"))
    assert not set(spawn_seeds(5, 100, "x")) & set(spawn_seeds(6, 100, "x"))


def test_a_negative_seed_is_refused():
    for make in (lambda: stream(-1), lambda: spawn_seeds(-1, 2)):
        with pytest.raises(ValueError, match="seed is -1: give a non-negative integer"):
            make()


def test_global_generators_are_left_alone():
    before = (np.random.get_state()[1].tolist(), random.getstate())  # noqa: NPY002  (the thing under test)
    stream(0, "x").random(10)
    spawn_seeds(0, 10)
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before  # noqa: NPY002
