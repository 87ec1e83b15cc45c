"""Random shops of every kind for hypothesis, and the way in which the tests play them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from orrl.problems.jobshop import Interruptions, JobShop
from orrl.problems.jobshop.data import UnmeetableDueDate
from orrl.problems.jobshop.interruptions import Outages

if TYPE_CHECKING:
    from orrl.problems.jobshop.kernel import ShopBatch, ShopKernel

VARIANTS = {"JSP": ("unlimited", True), "BWS": ("blocking", True), "BNS": ("blocking", False)}
SEEDS = st.integers(0, 2**31 - 1)


@st.composite
def laws(draw: st.DrawFn) -> Interruptions | None:
    """No interruptions, outages at starts, or a calendar of breakdowns."""
    kind = draw(st.sampled_from(["none", "none", "per_start", "mtbf"]))
    if kind == "none":
        return None
    mode = draw(st.sampled_from(["resume", "repeat"]))
    outage = draw(st.sampled_from([(1, 1), (1, 6), (3, 9)]))
    if kind == "per_start":
        return Interruptions(p=draw(st.sampled_from([0.2, 0.6, 1.0])), outage=outage, mode=mode)
    return Interruptions(law="mtbf", mtbf=draw(st.sampled_from([2.0, 6.0, 15.0])), outage=outage, mode=mode)


@st.composite
def shops(
    draw: st.DrawFn,
    *,
    variants: tuple[str, ...] = ("JSP", "BWS", "BNS"),
    max_jobs: int = 4,
    max_machines: int = 4,
    disturbed: bool = True,
    longest: int = 6,
) -> JobShop:
    """Ragged routes, recirculation, zero durations, dates, weights, all objectives, outages, maintenance."""
    storage, swap = VARIANTS[draw(st.sampled_from(variants))]
    jobs, machines = draw(st.integers(1, max_jobs)), draw(st.integers(1, max_machines))
    routes: list[list[int]] = []
    for _ in range(jobs):
        route = draw(st.lists(st.integers(0, machines - 1), min_size=1, max_size=machines + 1))
        if storage == "blocking":
            route = [m for k, m in enumerate(route) if k == 0 or route[k - 1] != m]
        routes.append(route)
    work = [draw(st.lists(st.integers(0, longest), min_size=len(r), max_size=len(r))) for r in routes]
    release = [draw(st.integers(0, 5)) for _ in range(jobs)] if draw(st.booleans()) else [0] * jobs
    maintenance = []
    if disturbed and draw(st.booleans()):
        window = st.tuples(st.integers(0, machines - 1), st.integers(0, 20), st.integers(1, 8))
        maintenance = [(m, begin, begin + length) for m, begin, length in draw(st.lists(window, max_size=3))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmeetableDueDate)
        return JobShop(
            machines=routes,
            durations=work,
            storage=storage,
            swap=swap,
            release=release,
            due=[r + draw(st.integers(0, 20)) for r in release],
            weights=[draw(st.integers(0, 3)) for _ in range(jobs)],
            objective=draw(st.sampled_from(["makespan", "total_flow", "weighted_tardiness"])),
            interruptions=draw(laws()) if disturbed else None,
            maintenance=maintenance,
            machine_names=[f"machine {m}" for m in range(machines)],
        )


@st.composite
def worlds(draw: st.DrawFn, shop: JobShop, *, by_hand: bool = False) -> Outages:
    """A drawn scenario, or one made by hand with extra times and windows that overlap."""
    if not by_hand and draw(st.booleans()):
        return shop.scenario(draw(SEEDS))
    table = [[draw(st.integers(0, 3)) if m >= 0 else 0 for m in row] for row in shop.machines.tolist()]
    window = st.tuples(st.integers(0, shop.n_machines - 1), st.integers(0, 25), st.integers(1, 8))
    rows = [(m, begin, begin + length) for m, begin, length in draw(st.lists(window, max_size=4))]
    return Outages(np.array(table, np.int64), np.array(sorted(rows), np.int64).reshape(-1, 3))


@st.composite
def shops_in_worlds(draw: st.DrawFn, **options: Any) -> tuple[JobShop, Outages]:
    """A shop and one of its scenarios."""
    shop = draw(shops(**options))
    return shop, draw(worlds(shop))


def a_move(kernel: ShopKernel, state: ShopBatch, rng: np.random.Generator) -> np.ndarray:
    """One random accepted action a row; 0 where the row has ended. Waits less often than it moves."""
    mask = np.array(kernel.mask(state))
    draw = rng.random(mask.shape)
    draw[:, -1] *= 0.5
    return np.where(mask, draw, -1.0).argmax(axis=1)


def play_on(kernel: ShopKernel, state: ShopBatch, rng: np.random.Generator, steps: int | None = None) -> list[Any]:
    """Random decisions, to the end or at most `steps` of them; returns (action, reward, time) of each, row 0."""
    record = []
    while kernel.mask(state)[0].any() and (steps is None or len(record) < steps):
        action = a_move(kernel, state, rng)
        rewards, _ = kernel.step(state, action)
        record.append((int(action[0]), float(rewards[0]), int(state.time[0])))
    return record


def same_tables(one: ShopBatch, other: ShopBatch) -> bool:
    """Whether two batches are in the same state, calendars included."""
    return all(np.array_equal(a, b) for a, b in zip(one.tables, other.tables, strict=True))
