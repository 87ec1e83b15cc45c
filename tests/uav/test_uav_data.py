"""`UavOffloading`: what is refused, and by which words; shapes, copies and content."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from orrl.core.errors import DataError
from orrl.problems.uav import Channel, UavOffloading
from orrl.problems.uav.data import UavState

GOOD = {"users": [[(50.0, 50.0), (250.0, 150.0)]] * 3, "grid": (3, 2), "starts": [(0, 0), (2, 1)]}


def make(**changes) -> UavOffloading:
    return UavOffloading(**{**GOOD, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"users": [[(50.0, 50.0), (301.0, 0.0)]] * 3},
            r"user 1 is at \[301.0, 0.0\] in slot 1, out.* 300 x 200 m",
        ),
        ({"users": [[(50.0, -1.0)]] * 3, "user_names": ["Ada"]}, r"Ada is at .* outside"),
        ({"users": [[(50.0, float("nan"))]] * 3}, r"user 0 is at .*nan"),
        ({"users": [(1.0, 2.0)]}, r"users have shape \(1, 2\)"),
        ({"users": np.zeros((3, 0, 2))}, r"users have shape \(3, 0, 2\)"),
        ({"users": [[(1.0, 2.0)], []]}, "users must be an array"),
        ({"users": [[(1.0, 2.0)]]}, "for one slot"),
        ({"grid": 0}, "grid is 0"),
        ({"grid": (3, 2.5)}, r"grid is \(3, 2.5\)"),
        ({"cell": -1.0}, "cell is -1.0: give a positive number"),
        ({"slot": 0.0}, "slot is 0.0"),
        ({"altitude": "high"}, "altitude is 'high'"),
        ({"speed": -3.0}, "speed is -3.0: give a number of at least 0"),
        ({"safe_distance": float("inf")}, "safe_distance is inf"),
        ({"starts": [(0, 0), (0, 0)]}, "UAV 0 and UAV 1: start cells 0 and 0 overlap"),
        ({"starts": [(0, 0), (1, 0)], "safe_distance": 150.0}, "closer than the safe distance of 150 m"),
        ({"starts": [(0, 0), (3, 0)]}, r"UAV 1: start \(3, 0\) is outside the grid of 3 x 2"),
        ({"starts": [(0, 0), (1, 1)], "no_fly": [(1, 1)], "uav_names": ["a", "b"]}, r"b: start \(1, 1\) is a no-fly"),
        ({"starts": []}, "starts have shape"),
        ({"no_fly": [(9, 9)]}, r"no_fly cell \(9, 9\) is outside"),
        ({"ends": [(0, 0)]}, "ends have shape"),
        ({"ends": [(1, 1), (1, 1)]}, "end cells 4 and 4 overlap"),
        ({"ends": [(2, 1), (0, 0)]}, r"UAV 0: end \(2, 1\) is out of reach in the 2 moves"),
        ({"capacity": 0}, "capacity is 0"),
        ({"capacity": 1.5}, "capacity is 1.5"),
        ({"capacity": True}, "capacity is True"),
        ({"uav_names": ["one"]}, "1 uav_names for 2"),
        ({"user_names": ["one"]}, "1 user_names for 2"),
        ({"stations": [(0.0, float("nan"))]}, "stations must be finite"),
        ({"state": UavState(np.array([[1, 5]]))}, r"state begins on cells \[1, 5\], not on the starts"),
        ({"state": UavState(np.array([[0, 5], [2, 5]]))}, "UAV 0 cannot fly from cell 0 to 2"),
        ({"state": UavState(np.array([[0, 5]] * 4))}, r"state has cells of shape \(4, 2\)"),
        (
            {"starts": [(0, 0), (2, 0)], "state": UavState(np.array([[0, 2], [1, 1]]))},
            "state cells 1 and 1 overlap",
        ),
    ],
)
def test_bad_data_is_refused_in_words(changes, words):
    with pytest.raises(DataError, match=words):
        make(**changes)


def test_capacity_with_many_uavs_is_refused():
    starts = [(x, y) for x in range(5) for y in range(3)][:13]
    with pytest.raises(DataError, match="capacity with 13 UAVs: at most 12"):
        UavOffloading(users=[[(1.0, 1.0)]] * 2, grid=5, starts=starts, capacity=3)


@pytest.mark.parametrize("options", [{"bandwidth": -1.0}, {"environment": "moon"}, {"carrier": 0.0}])
def test_a_bad_channel_is_refused(options):
    with pytest.raises(DataError, match=next(iter(options))):
        Channel(**options)


def test_moves_are_what_the_speed_allows():
    assert len(make(speed=0.0).offsets) == 1
    assert len(make(speed=10.0).offsets) == 5
    assert len(make(speed=15.0).offsets) == 9
    assert make().offsets[0].tolist() == [0, 0]
    closed = make(no_fly=[(1, 0)])
    assert 1 not in closed.targets
    assert (closed.targets[1] == -1).all()
    assert sorted(closed.targets[0].tolist()) == [-1, -1, -1, 0, 3]


def test_an_end_may_have_been_missed_by_a_uav_on_its_way():
    problem = make(starts=[(0, 0), (2, 0)], ends=[(2, 0), (2, 1)])
    late = problem.at(UavState(np.array([[0, 2], [0, 2]])))
    assert not late.agent_graph().reachable()[0, 0].any()
    assert not late.evaluate(late.from_paths(np.array([[0, 2], [1, 5]]))).feasible


def test_copies_keep_the_content():
    problem = make(ends=[(1, 0), (2, 0)], capacity=1, stations=[(0.0, 0.0)], no_fly=[(1, 1)], user_names=["a", "b"])
    running = problem.at(UavState(np.array([[0, 5], [1, 5]])))
    for one in (problem, running):
        for copy in (pickle.loads(pickle.dumps(one)), type(one).from_dict(one.to_dict()), one.replace(name="other")):
            assert copy.content_hash == one.content_hash
        assert one.replace(capacity=2).content_hash != one.content_hash
    assert running.content_hash != problem.content_hash
    assert (problem.accrued, running.objective.stage) == (0.0, 1)
    with pytest.raises(AttributeError, match="immutable"):
        problem.capacity = 3


def test_accrued_is_what_the_flown_slots_served():
    problem = make()
    running = problem.at(UavState(np.array([[0, 5], [1, 5]])))
    flight = running.from_paths(np.array([[1, 5], [1, 5]]))
    assert running.accrued == (flight.server[:2] >= 0).sum() > 0
    assert running.evaluate(flight).objective == (flight.server >= 0).sum()
