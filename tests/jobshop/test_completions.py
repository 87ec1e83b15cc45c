"""Completions after every action: those of a step and a playout, from the present alone, in any company."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orrl import JobShop
from orrl.core.playout import completions, playout
from orrl.problems.jobshop.events import SOURCE
from orrl.problems.jobshop.interruptions import Interruptions, Outages
from orrl.problems.jobshop.kernel import ShopBatch, ShopKernel


def shops(count: int, **options: Any) -> list[Any]:
    return JobShop.generator(**{"jobs": (3, 5), "machines": 3, "storage": "blocking", **options}).sample(count)


def midway(kernel: ShopKernel, worlds: list[Outages], steps: int) -> ShopBatch:
    state, rng = kernel.reset(worlds), np.random.default_rng(0)
    for _ in range(steps):
        mask = kernel.mask(state)
        kernel.step(state, np.where(mask.any(axis=1), np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1), -1))
    return state


class Slow:
    """The same kernel without its own completions."""

    def __init__(self, kernel: ShopKernel) -> None:
        self.kernel = kernel

    def __getattr__(self, name: str) -> Any:
        if name == "completions":
            raise AttributeError(name)
        return getattr(self.kernel, name)


@pytest.mark.parametrize("options", [{}, {"storage": "unlimited"}, {"objective": "total_flow"}])
def test_they_are_steps_and_playouts(options: Any) -> None:
    problems = shops(6, **options)
    kernel = JobShop.kernel(problems)
    state = midway(kernel, [p.nominal() for p in problems], 5)
    before, which = [t.copy() for t in state.tables], list(range(6))
    mine = completions(kernel, state, which, samples=2000, seed=1)
    theirs = completions(Slow(kernel), state, which, samples=2000, seed=1)  # type: ignore[arg-type]
    assert all(np.array_equal(a, b) for a, b in zip(before, state.tables, strict=True))
    accepted = kernel.mask(state)
    assert accepted.sum() > 8
    assert np.array_equal(np.isfinite(mine).all(axis=2), accepted) and np.isnan(mine[~accepted]).all()
    error = np.sqrt((mine.var(axis=2) + theirs.var(axis=2)) / 2000)[accepted]
    apart = (mine.mean(axis=2) - theirs.mean(axis=2))[accepted]
    assert (np.abs(apart) <= 5 * error + 1e-9).all()
    np.testing.assert_array_equal(mine.max(axis=2)[accepted], theirs.max(axis=2)[accepted])


def test_the_last_decision_by_hand() -> None:
    shop = JobShop(machines=[[0], [0]], durations=[[3], [5]], objective="total_flow")
    kernel = JobShop.kernel([shop])
    worth = kernel.completions(kernel.reset([shop.nominal()]), 2, seed=0)
    assert worth[0, :2].tolist() == [[-(3 + 8)] * 2, [-(5 + 8)] * 2]


@pytest.mark.parametrize("law", ["per_start", "mtbf"])
def test_no_future_interruption_is_known(law: Any) -> None:
    cause, met = {"p": 0.5} if law == "per_start" else {"mtbf": 60.0}, 0
    for i, plain in enumerate(shops(4, jobs=4)):
        problem = JobShop(
            machines=plain.machines,
            durations=plain.durations,
            storage="blocking",
            interruptions=Interruptions(law=law, **cause),
        )
        kernel = JobShop.kernel([problem])
        world = problem.scenario(i)
        state = midway(kernel, [world], 4)
        time = int(state.tables.row[0, 1])
        begun = state.tables.visit[0, :4, :3, 0] >= 0
        calm = world.after(time, begun, world)
        calm = Outages(np.where(begun, world.extra, 0), calm.windows[calm.windows[:, 1] <= time])
        assert (world.extra.sum() > calm.extra.sum()) or len(world.windows) > len(calm.windows)
        other = midway(kernel, [calm], 4)
        if not np.array_equal(other.tables.mask, state.tables.mask) or int(other.tables.row[0, 1]) != time:
            continue  # without that future another decision is met
        met += 1
        mine, theirs = (kernel.completions(s, 5, seed=3) for s in (state, other))
        np.testing.assert_array_equal(mine, theirs)
        for a in np.flatnonzero(state.tables.mask[0]):
            copies = kernel.clone(other, [calm] * 300, [0] * 300)
            rewards, _ = kernel.step(copies, np.full(300, a))
            total = rewards + playout(kernel, copies, seed=1)
            many = kernel.completions(state, 300, seed=3)[0, a]
            assert many.mean() == pytest.approx(total.mean(), abs=5 * np.sqrt((many.var() + total.var()) / 300) + 1e-9)
    assert met > 1


def test_company_does_not_matter() -> None:
    problems = shops(5)
    kernel = JobShop.kernel(problems)
    together = kernel.completions(midway(kernel, [p.nominal() for p in problems], 0), 3, seed=7)
    for b, problem in enumerate(problems):
        alone = ShopKernel([problem], compiled=False)
        own = alone.completions(midway(alone, [problem.nominal()], 0), 3, seed=7)
        np.testing.assert_array_equal(own[0, :-1], together[b, : problem.n_jobs])
        np.testing.assert_array_equal(own[0, -1], together[b, -1])


@st.composite
def running(draw: st.DrawFn) -> tuple[ShopKernel, ShopBatch]:
    """Shops of all kinds in the middle of an episode; operations may take no time."""
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    problems = []
    for _ in range(3):
        jobs, machines = int(rng.integers(1, 8)), int(rng.integers(1, 6))
        law = draw(st.sampled_from([None, "per_start", "mtbf"]))
        cause: dict[str, dict[str, Any]] = {"per_start": {"p": 0.4}, "mtbf": {"mtbf": 60.0}}
        odd: dict[str, Any] = {} if law is None else {"interruptions": Interruptions(law=law, **cause[law])}
        odd |= draw(st.sampled_from([{}, {}, {"storage": "unlimited"}, {"swap": False}, {"objective": "total_flow"}]))
        if draw(st.booleans()):
            odd["release"] = rng.integers(0, 30, jobs)
        if draw(st.integers(0, 3)) == 0:
            odd["maintenance"] = [(0, 20, 40)]
        problems.append(
            JobShop(
                machines=[rng.permutation(machines) for _ in range(jobs)],
                durations=rng.integers(draw(st.integers(0, 1)), 12, (jobs, machines)),
                **{"storage": "blocking", **odd},
            )
        )
    kernel = ShopKernel(problems, compiled=True)
    state = kernel.reset([p.scenario(seed + i) for i, p in enumerate(problems)])
    for _ in range(draw(st.integers(0, 15))):
        mask = kernel.mask(state)
        drawn = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)
        kernel.step(state, np.where(mask.any(axis=1), drawn, -1))
    return kernel, state


@given(running())
@settings(max_examples=150)
def test_the_short_cut_is_the_simulator(made: tuple[ShopKernel, ShopBatch]) -> None:
    """Bit by bit, on the same stream."""
    kernel, state = made
    fast, slow = (kernel.completions(state, 3, seed=5, general=general) for general in (False, True))
    np.testing.assert_array_equal(fast, slow)


def test_outages_that_overlap() -> None:
    """Each end is an event: waiting at 5 ends at 6, although the machine is down until 12."""
    shop = JobShop(
        machines=[[1, 0], [1, 0], [0, 1]],
        durations=[[2, 6], [5, 1], [3, 3]],
        release=[5, 5, 5],
        interruptions=Interruptions(law="mtbf", mtbf=50.0),
    )
    kernel = ShopKernel([shop], compiled=True)
    state = kernel.reset([Outages(np.zeros((3, 2), np.int64), np.array([(0, 3, 12), (0, 4, 6)]))])
    while int(kernel.mask(state)[0, :-1].sum()) < 2:
        kernel.step(state, np.array([kernel.idle_action]))
    assert int(state.time[0]) == 5 and kernel.mask(state)[0].tolist() == [True, True, False, True]
    fast, slow = (kernel.completions(state, 4, seed=1, general=general) for general in (False, True))
    np.testing.assert_array_equal(fast, slow)


def test_the_short_cut_is_taken() -> None:
    """Else the test above would compare the simulator with itself."""
    tables = {"machines": [[0, 1], [1, 0]], "durations": [[2, 3], [4, 5]], "storage": "blocking"}
    cases: list[tuple[dict[str, Any], bool]] = [({}, True), ({"storage": "unlimited"}, True)]
    often = Interruptions(law="mtbf", mtbf=20.0)
    cases += [({"interruptions": often}, True), ({"interruptions": often, "maintenance": [(1, 20, 40)]}, False)]
    cases += [({"objective": "total_flow"}, False), ({"swap": False}, False), ({"maintenance": [(0, 20, 40)]}, False)]
    for kind, short in cases:
        same = JobShop(**{**tables, **kind})
        kernel = ShopKernel([same], compiled=False)
        world = Outages(np.zeros((2, 2), np.int64), np.array([(0, 500, 501)]))  # machine 1 has none: its row is padded
        state = kernel.reset([world if "interruptions" in kind else same.nominal()])
        room = SOURCE.plain._short
        t = state.tables
        assert bool(room(kernel.shops.config, t.row, t.job, t.window, 0)) is short
