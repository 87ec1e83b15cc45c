"""Schedules: from sequences, as a table, as a dict; and the bridge from a schedule to decisions and back."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop_strategies import SEEDS, play_on, shops, shops_in_worlds

from orrl.core import rollout
from orrl.core.errors import DataError, NotSupportedError
from orrl.core.policy import Policy
from orrl.problems.jobshop import JobShop
from orrl.problems.jobshop.interruptions import Outages
from orrl.problems.jobshop.kernel import ShopKernel
from orrl.problems.jobshop.rules import RulePolicy
from orrl.problems.jobshop.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

TWO = {"machines": [[0, 1], [1, 0]], "durations": [[3, 2], [2, 4]]}


class Script(Policy):
    """Plays given actions."""

    name = "script"

    def __init__(self, actions: np.ndarray) -> None:
        self.actions = iter(actions.tolist())

    def act(self, obs, info):
        return np.array([next(self.actions)])


def replayed(shop: JobShop, schedule: Schedule, world: Outages):
    """Play ``problem.actions(schedule)`` and give the outcome to the referee."""
    script = Script(shop.actions(schedule, world))
    (episode,) = rollout(shop, script, [world], kernel_options={"compiled": True})
    assert not episode.failed
    assert next(script.actions, None) is None
    verdict = shop.evaluate(shop.solution(episode), world)
    assert verdict.violations == ()
    assert episode.value == verdict.objective
    return verdict


def every_schedule(shop: JobShop, world: Outages) -> Iterator[Schedule]:
    """The earliest schedule of every combination of machine sequences that can be carried out."""
    visits = [
        np.repeat(np.arange(shop.n_jobs), (shop.machines == m).sum(axis=1)).tolist() for m in range(shop.n_machines)
    ]
    for sequences in itertools.product(*(sorted(set(itertools.permutations(v))) for v in visits)):
        try:
            yield Schedule.from_sequences(shop, sequences, world)
        except DataError:
            continue


def best_by_decisions(shop: JobShop, world: Outages) -> float:
    """Smallest objective over every course of decisions of the simulator."""
    kernel = ShopKernel([shop], compiled=True)
    seen, best = set(), np.inf
    stack = [(kernel.reset([world]), shop.accrued)]
    while stack:
        state, paid = stack.pop()
        key = (state.tables.row.tobytes(), state.tables.visit.tobytes())
        if key in seen:
            continue
        seen.add(key)
        mask = kernel.mask(state)[0]
        if not mask.any() and not kernel.failed(state)[0]:
            best = min(best, paid)
        for action in np.flatnonzero(mask):
            copy = kernel.clone(state, [world], [0])
            rewards, _ = kernel.step(copy, np.array([action]))
            stack.append((copy, paid - rewards[0]))
    return best


# ---- from sequences ------------------------------------------------------------------------------------------------
def test_from_sequences_by_hand():
    plain = JobShop(**TWO)
    schedule = Schedule.from_sequences(plain, [[0, 1], [1, 0]])
    assert schedule.start.tolist() == [[0, 3], [0, 3]]
    assert schedule.finish.tolist() == [[3, 5], [2, 7]]
    assert schedule.leave.tolist() == [[3, 5], [2, 7]]
    assert schedule.makespan == 7
    blocking = Schedule.from_sequences(JobShop(**TWO, storage="blocking"), [[0, 1], [1, 0]])
    assert blocking.leave.tolist() == [[3, 5], [3, 7]]  # job 1 holds machine 1 until the exchange at 3
    late = Schedule.from_sequences(plain, [[0, 1], [1, 0]], Outages(np.array([[2, 0], [0, 0]]), np.array([[1, 1, 4]])))
    assert late.start.tolist() == [[0, 5], [0, 5]]  # job 0: 3 + 2 more; job 1: 1 unit, three of outage, 1 unit
    assert late.finish.tolist() == [[5, 7], [5, 9]]


def test_an_exchange_without_swap_is_refused():
    shop = JobShop(**TWO, storage="blocking", swap=False)
    with pytest.raises(DataError, match="need a swap between job 0, job 1, and swap=False forbids it"):
        Schedule.from_sequences(shop, [[0, 1], [1, 0]])
    assert Schedule.from_sequences(shop, [[0, 1], [0, 1]]).makespan == 3 + 2 + 2 + 4


def test_contradicting_sequences_name_a_job():
    shop = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 2], [2, 4]])
    with pytest.raises(DataError, match="contradict each other: a cycle runs through job"):
        Schedule.from_sequences(shop, [[1, 0], [0, 1]])


def test_a_long_chain_is_no_cycle():
    """Many operations are raised again and again before they settle."""
    shop = JobShop(machines=[[m % 2 for m in range(12)]] * 6, durations=[[1, 9] * 6] * 6)
    schedule = Schedule.from_sequences(shop, [[j for j in range(6) for _ in range(6)]] * 2)
    assert shop.evaluate(schedule).feasible


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([[0, 1]], "1 sequences for 2 machines"),
        ([[0, 0], [0, 1]], r"machine 0: the sequence \[0, 0\] is no permutation of its jobs \[0, 1\]"),
        ([[0, 1], [0]], r"machine 1: the sequence \[0\] is no permutation"),
        ([[0, 1], [0, 2]], r"machine 1: the sequence \[0, 2\] is no permutation"),
    ],
)
def test_wrong_sequences(sequences, message):
    with pytest.raises(DataError, match=message):
        Schedule.from_sequences(JobShop(**TWO), sequences)


def test_sequences_start_from_a_running_state():
    shop = JobShop(machines=[[0, 1], [0, 1]], durations=[[4, 2], [3, 3]])
    kernel = ShopKernel([shop])
    state = kernel.reset([shop.nominal()])
    kernel.step(state, np.array([1]))  # job 1 first: at 3, job 0 and job 1 may move
    later = shop.at(kernel.snapshot(state, 0))
    schedule = Schedule.from_sequences(later, [[1, 0], [0, 1]])
    assert schedule.start.tolist() == [[3, 7], [0, 9]]
    assert later.evaluate(schedule).feasible
    with pytest.raises(DataError, match="job 1, operation 0, has begun and cannot stand behind job 0, operation 0"):
        Schedule.from_sequences(later, [[0, 1], [0, 1]])


# ---- tables and dicts ----------------------------------------------------------------------------------------------
def test_to_frame_keeps_the_users_names():
    shop = JobShop(
        machines=[[1], [0, 1]], durations=[[3], [2, 4]], job_names=["axle", "wheel"], machine_names=["saw", "mill"]
    )
    frame = Schedule.from_sequences(shop, [[1], [0, 1]]).to_frame()
    assert frame.to_dict("list") == {
        "job": ["axle", "wheel", "wheel"],
        "operation": [0, 0, 1],
        "machine": ["mill", "saw", "mill"],
        "start": [0, 0, 3],
        "finish": [3, 2, 7],
        "leave": [3, 2, 7],
    }


@given(shops_in_worlds(variants=("JSP", "BWS")), SEEDS)
@settings(max_examples=40, deadline=None)
def test_the_dict_round_trip_keeps_everything(case, seed):
    shop, world = case
    (episode,) = rollout(shop, RulePolicy("random"), [world], seed=seed, kernel_options={"compiled": True})
    schedule = shop.solution(episode)
    again = Schedule.from_dict(schedule.to_dict())
    for name in ("start", "finish", "leave", "machines"):
        assert np.array_equal(getattr(schedule, name), getattr(again, name))
    assert (again.job_names, again.machine_names) == (shop.job_names, shop.machine_names)
    assert shop.evaluate(again, world) == shop.evaluate(schedule, world)


def test_a_schedule_of_another_shop_is_refused():
    schedule = Schedule.from_sequences(JobShop(**TWO), [[0, 1], [1, 0]])
    other = JobShop(machines=[[0]], durations=[[1]], name="tiny")
    for judge in (other.evaluate, lambda s: other.actions(s, other.nominal())):
        with pytest.raises(DataError, match="the schedule has 2 jobs x 2 operations, tiny has 1 x 1"):
            judge(schedule)


# ---- the bridge to decisions ---------------------------------------------------------------------------------------
@given(shops_in_worlds(), SEEDS)
@settings(max_examples=150, deadline=None)
def test_a_played_schedule_is_replayed_no_worse(case, seed):
    shop, world = case
    (episode,) = rollout(shop, RulePolicy("random", 2), [world], seed=seed, kernel_options={"compiled": True})
    if episode.failed:
        return
    schedule = shop.solution(episode)
    assert replayed(shop, schedule, world).objective <= shop.evaluate(schedule, world).objective


@given(shops_in_worlds(), SEEDS, st.integers(0, 10))
@settings(max_examples=100, deadline=None)
def test_a_running_shop_is_replayed_from_its_state(case, seed, steps):
    shop, world = case
    kernel, rng = ShopKernel([shop], compiled=True), np.random.default_rng(seed)
    state = kernel.reset([world])
    play_on(kernel, state, rng, steps)
    later = shop.at(kernel.snapshot(state, 0))
    play_on(kernel, state, rng)
    if kernel.failed(state)[0]:
        return
    schedule = Schedule.realised(later, state.start[0], world)
    verdict = later.evaluate(schedule, world)
    assert verdict.violations == ()
    assert replayed(later, schedule, world).objective <= verdict.objective


@given(shops_in_worlds(max_jobs=3, max_machines=2, longest=4))
@settings(max_examples=60, deadline=None)
def test_decisions_and_sequences_have_the_same_optimum(case):
    """And the replay of the best schedule has its very objective."""
    shop, world = case
    if shop.n_operations.sum() > 8:
        return
    best, plan = np.inf, None
    for schedule in every_schedule(shop, world):
        verdict = shop.evaluate(schedule, world)
        assert verdict.violations == ()
        if verdict.objective < best:
            best, plan = verdict.objective, schedule
    assert plan is not None, "one job after the other is always possible"
    assert best_by_decisions(shop, world) == best
    assert replayed(shop, plan, world).objective == best


def test_the_replay_refuses_what_cannot_be_carried_out():
    shop = JobShop(**TWO)
    with pytest.raises(DataError, match="contradict each other"):
        shop.actions(Schedule.realised(shop, [[9, 0], [12, 0]]), shop.nominal())  # each job's last operation first
    blocking = JobShop(**TWO, storage="blocking", swap=False)
    with pytest.raises(DataError, match="swap=False forbids it"):
        blocking.actions(Schedule.realised(blocking, [[0, 3], [0, 3]]), blocking.nominal())


def test_a_deadlock_has_no_schedule():
    shop = JobShop(**TWO, storage="blocking", swap=False)
    (episode,) = rollout(shop, RulePolicy("spt"), [shop.nominal()])
    with pytest.raises(NotSupportedError, match="deadlock"):
        shop.solution(episode)


@given(shops(disturbed=False, max_jobs=3, max_machines=3))
@settings(max_examples=40, deadline=None)
def test_realised_schedules_fill_only_real_places(shop):
    schedule = Schedule.realised(shop, np.arange(shop.machines.size).reshape(shop.machines.shape))
    padded = shop.machines < 0
    for table in (schedule.start, schedule.finish, schedule.leave):
        assert (table[padded] == -1).all()
        assert (table[~padded] >= 0).all()


def test_visits_of_no_length_at_one_moment_are_replayed_in_an_order_that_works():
    """Both jobs pass machine 2 at 3, without swap: job 1 first, as machine 1 must be empty for job 0."""
    shop = JobShop(machines=[[0, 2, 1], [1, 2, 3]], durations=[[3, 0, 1], [3, 0, 1]], storage="blocking", swap=False)
    schedule = Schedule.realised(shop, [[0, 3, 3], [0, 3, 3]])
    assert schedule.sequences()[2] == [0, 1]
    assert replayed(shop, schedule, shop.nominal()).objective == 4


def test_many_visits_at_one_moment_do_not_explode():
    """Twelve visits have 479 million orders; a ring of jobs that only a swap could move has none that works."""
    ring = [[m, (m + 1) % 12, 12] for m in range(12)]
    shop = JobShop(machines=ring, durations=[[2, 1, 0]] * 12, storage="blocking", swap=False)
    with pytest.raises(DataError, match="swap=False forbids it"):
        shop.actions(Schedule.realised(shop, [[0, 2, 3]] * 12), shop.nominal())
