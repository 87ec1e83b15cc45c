"""The simulator and a SimPy model of the same shop agree event by event."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop_strategies import SEEDS, play_on, shops
from simpy_shop import SimpyShop

from orrl.problems.jobshop import Interruptions, JobShop
from orrl.problems.jobshop.interruptions import Outages
from orrl.problems.jobshop.kernel import ShopKernel
from orrl.problems.jobshop.schedule import Schedule


def compare(shop: JobShop, world: Outages, seed: int) -> bool:
    """Play a random episode in both; returns whether it ended in a deadlock."""
    kernel = ShopKernel([shop], compiled=True)
    state = kernel.reset([world])
    moments, actions, rng = [], [], np.random.default_rng(seed)
    while kernel.mask(state)[0].any():
        moments.append(int(state.time[0]))
        actions += [action for action, _, _ in play_on(kernel, state, rng, 1)]
    model = SimpyShop(shop, world)
    assert model.run(actions) == moments
    begun = {(j, k): int(t) for (j, k), t in np.ndenumerate(state.start[0]) if t >= 0}
    assert model.start == begun
    if kernel.failed(state)[0]:
        assert any(n < len(r) for n, r in zip(model.next, model.route, strict=True))
        return True
    schedule = Schedule.realised(shop, state.start[0], world)
    assert model.finish == {(j, k): int(schedule.finish[j, k]) for j, k in begun}
    assert model.leave == {(j, k): int(schedule.leave[j, k]) for j, k in begun}
    # rewards were paid for the time up to the last end, no longer
    assert int(state.time[0]) == max(model.finish.values())
    return False


@st.composite
def calendars(draw: st.DrawFn, machines: int) -> list[tuple[int, int, int]]:
    """Disjoint windows of each machine that do not touch."""
    rows = []
    for m in range(machines):
        clock = 0
        for gap, length in draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 6)), max_size=3)):
            rows.append((m, clock + gap - 1, clock + gap - 1 + length))
            clock = rows[-1][2] + 1
    return rows


@given(shops(disturbed=False), st.data(), SEEDS)
@settings(max_examples=80, deadline=None)
def test_every_start_and_leave_agrees_with_simpy(shop, data, seed):
    mode = data.draw(st.sampled_from(["resume", "repeat"]))
    shop = shop.replace(interruptions=Interruptions(p=0.5, mode=mode))
    rows = data.draw(calendars(shop.n_machines))
    planned = [row for row in rows if data.draw(st.booleans())]
    broken = [row for row in rows if row not in planned]
    extra = np.array(
        [[data.draw(st.integers(0, 4)) * (m >= 0) for m in row] for row in shop.machines.tolist()], np.int64
    )
    world = Outages(extra, np.array(broken, np.int64).reshape(-1, 3))
    compare(shop.replace(maintenance=planned), world, seed)


@pytest.mark.parametrize("mode", ["resume", "repeat"])
@pytest.mark.parametrize("law", ["per_start", "mtbf"])
@pytest.mark.parametrize("storage", ["unlimited", "blocking"])
def test_drawn_outages_agree_with_simpy(storage, law, mode):
    shop = JobShop.generate(
        seed=3, jobs=8, machines=5, high=20, storage=storage,
        interruptions=Interruptions(law=law, p=0.3, mtbf=40.0, outage=(1, 20), mode=mode),
    )  # fmt: skip
    for seed in range(5):
        assert compare(shop, shop.scenario(seed), seed) is False


def test_exchanges_of_three_jobs_agree_with_simpy():
    """Every job blocks the next one all the time: nothing but cyclic exchanges of three."""
    shop = JobShop(
        machines=[[0, 1, 2], [1, 2, 0], [2, 0, 1]], durations=[[2, 3, 1], [4, 1, 2], [1, 2, 2]], storage="blocking"
    )
    kernel = ShopKernel([shop])
    state = kernel.reset([shop.nominal()])
    assert len(play_on(kernel, state, np.random.default_rng(0))) > 0
    for seed in range(20):
        compare(shop, shop.nominal(), seed)
    model = SimpyShop(shop, shop.nominal())
    model.run([0, 1, 2])  # both exchanges are single choices
    assert [sorted(v for (j, k), v in model.start.items() if k == step) for step in range(3)] == [
        [0] * 3,
        [4] * 3,
        [7] * 3,
    ]


def test_deadlocks_agree_with_simpy():
    shop = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 2], [2, 4]], storage="blocking", swap=False)
    assert {compare(shop, shop.nominal(), seed) for seed in range(30)} == {True, False}


def test_a_breakdown_at_the_very_end_of_an_operation_does_not_lengthen_it():
    shop = JobShop(machines=[[0, 1]], durations=[[4, 2]], interruptions=Interruptions(p=0.1, mode="repeat"))
    world = Outages(np.zeros((1, 2), np.int64), np.array([[0, 4, 9]]))
    model = SimpyShop(shop, world)
    model.run([0, 0])
    assert model.finish == {(0, 0): 4, (0, 1): 6}
    compare(shop, world, 0)


def test_a_breakdown_that_begins_and_ends_during_a_wait_offers_a_decision():
    shop = JobShop(machines=[[0], [1]], durations=[[9], [2]], interruptions=Interruptions(law="mtbf", mtbf=9.0))
    world = Outages(np.zeros((2, 1), np.int64), np.array([[1, 2, 5]]))
    model = SimpyShop(shop, world)
    assert model.run([0, 2, 1]) == [0, 0, 5]
    kernel = ShopKernel([shop])
    state = kernel.reset([world])
    for action, time in ((0, 0), (2, 5), (1, 9)):
        kernel.step(state, np.array([action]))
        assert state.time.tolist() == [time]
