"""Small random networks for hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from orrl.core.errors import DataError
from orrl.problems.uav import Channel, UavOffloading

SEEDS = st.integers(0, 2**31)


@st.composite
def networks(draw, *, ends=(True, False), capacities=(None, 1, 2), max_uavs: int = 4) -> UavOffloading:
    """Networks with every option: closed cells, ends, safe distance, capacity, interference, stations, speeds."""
    width, height = draw(st.integers(2, 5)), draw(st.integers(2, 5))
    slots, users = draw(st.integers(2, 6)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(SEEDS))
    order = [(int(c) % width, int(c) // width) for c in rng.permutation(width * height)]
    uavs = draw(st.integers(1, min(max_uavs, width * height - 1)))
    closed = draw(st.integers(0, max(0, min(3, width * height - uavs - 1))))
    starts, rest = order[:uavs], order[uavs:]
    speed = draw(st.sampled_from([10.0, 15.0, 20.0]))
    options = {
        "users": rng.random((slots, users, 2)) * (100.0 * width, 100.0 * height),
        "grid": (width, height),
        "starts": starts,
        "speed": speed,
        "no_fly": rest[:closed],
        "capacity": draw(st.sampled_from(capacities)),
        "interference": draw(st.booleans()),
        "safe_distance": draw(st.sampled_from([0.0, 120.0, 150.0])),
        "stations": [(50.0, 50.0)] if draw(st.booleans()) else (),
        "channel": Channel(noise=-83.0, min_ratio=draw(st.sampled_from([-6.0, 3.0]))),
    }
    if draw(st.sampled_from(ends)):
        places = [starts[i] for i in rng.permutation(uavs)] if draw(st.booleans()) else order[closed + uavs :][:uavs]
        options["ends"] = places if len(places) == uavs else starts
    try:
        return UavOffloading(**options)
    except DataError:  # starts or ends too close, or out of reach: mended, because too many draws would be thrown away
        mended = {"safe_distance": 0.0} | ({"ends": starts} if "ends" in options else {})
        return UavOffloading(**(options | mended))


def row(width: int, *, starts, ends=None, slots: int = 3, users=None, **options) -> UavOffloading:
    """A street of cells with users in the middle of given cells, quiet enough that only near ones are served."""
    places = [[((x + 0.5) * 100.0, 50.0) for x in (users or [0])]] * slots
    options.setdefault("channel", Channel(noise=-83.0, min_ratio=3.0))
    return UavOffloading(
        users=places, grid=(width, 1), starts=[(x, 0) for x in starts],
        ends=None if ends is None else [(x, 0) for x in ends], **options,
    )  # fmt: skip
