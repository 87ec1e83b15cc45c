"""The referee: one hand-made schedule per rule, and a second implementation of the ends of operations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop_strategies import SEEDS, play_on, shops, worlds

from orrl.core.errors import DataError
from orrl.problems.jobshop import Interruptions, JobShop
from orrl.problems.jobshop.calendar import Calendar
from orrl.problems.jobshop.data import ShopState
from orrl.problems.jobshop.interruptions import Outages
from orrl.problems.jobshop.kernel import ShopKernel
from orrl.problems.jobshop.schedule import Schedule

ROUTES = {"machines": [[0, 1], [1, 0]], "durations": [[3, 2], [2, 4]]}


def verdict(shop: JobShop, start, world: Outages | None = None, **tables):
    """The referee on a schedule with these starts; `tables` overwrite finish or leave."""
    schedule = Schedule.realised(shop, start, world)
    for name, values in tables.items():
        object.__setattr__(schedule, name, np.array(values))
    return shop.evaluate(schedule, world)


def refused(shop: JobShop, start, *sentences: str, world: Outages | None = None, **tables) -> None:
    """Exactly these violations."""
    found = verdict(shop, start, world, **tables)
    assert not found.feasible
    assert found.violations == sentences


# ---- one rule each -------------------------------------------------------------------------------------------------
def test_a_feasible_schedule_with_every_objective():
    shop = JobShop(**ROUTES, release=[0, 1], due=[5, 7], weights=[3, 2])
    start = [[1, 4], [1, 4]]
    for objective, value in (("makespan", 8), ("total_flow", 6 + 7), ("weighted_tardiness", 3 * 1 + 2 * 1)):
        found = verdict(shop.replace(objective=objective), start)
        assert found.feasible
        assert found.objective == value
    assert found.metrics == {"makespan": 8.0, "utilisation": 11 / 16, "blocked_time": 0.0, "outage_time": 0.0}


def test_precedence():
    refused(JobShop(**ROUTES), [[0, 2], [0, 3]], "job 0, operation 1 starts at 2, before the previous one ends at 3")


def test_overlap():
    refused(
        JobShop(**ROUTES),
        [[0, 3], [0, 2]],
        "job 1, operation 1 enters machine 0 at 2 while job 0 works on it until 3",
    )
    # a visit of no length inside another one is an overlap too
    shop = JobShop(machines=[[0], [0]], durations=[[4], [0]])
    assert verdict(shop, [[0], [0]]).feasible
    assert verdict(shop, [[0], [4]]).feasible
    refused(shop, [[0], [2]], "job 1, operation 0 enters machine 0 at 2 while job 0 works on it until 4")


def test_an_overlap_behind_a_short_visit_is_seen():
    """The long visit reaches past the one that comes between."""
    shop = JobShop(machines=[[0]] * 3, durations=[[9], [1], [1]])
    found = verdict(shop, [[0], [3], [5]])
    assert [v.split(" enters")[0] for v in found.violations] == ["job 1, operation 0", "job 2, operation 0"]
    assert all("job 0 works on it until 9" in v for v in found.violations)


def test_holding_while_blocked():
    start = [[0, 6], [2, 6]]  # job 0 is done on machine 0 at 3, and stands there until 6
    assert verdict(JobShop(**ROUTES), start).feasible
    held = verdict(JobShop(**ROUTES, storage="blocking"), start)
    assert held.feasible
    assert held.metrics["blocked_time"] == 3 + 2
    refused(
        JobShop(**ROUTES, storage="blocking"),
        [[0, 6], [2, 4]],
        "job 1, operation 1 enters machine 0 at 4 while job 0 holds it until 6",
    )


def test_release():
    refused(JobShop(**ROUTES, release=[0, 2]), [[0, 3], [1, 3]], "job 1 starts at 1, before its release at 2")


def test_wrong_finish():
    refused(
        JobShop(**ROUTES),
        [[0, 3], [0, 3]],
        "job 1, operation 1 claims to end at 6, it ends at 7",
        finish=[[3, 5], [2, 6]],
    )


def test_a_start_inside_an_outage():
    world = Outages(np.zeros((2, 2), np.int64), np.array([[0, 3, 6]]))
    shop = JobShop(**ROUTES)
    refused(shop, [[0, 3], [0, 3]], "job 1, operation 1 starts at 3 while machine 0 is down", world=world)
    assert verdict(shop, [[0, 3], [0, 6]], world).objective == 10
    refused(
        shop.replace(maintenance=[(0, 3, 6)]),
        [[0, 3], [0, 5]],
        "job 1, operation 1 starts at 5 while machine 0 is down",
    )


@pytest.mark.parametrize(("mode", "end"), [("resume", 2 + 4 + 3 + 2), ("repeat", 9 + 3 + 1)])
def test_outages_delay_the_end(mode, end):
    """Need 3 + 1 extra from 2 on; down 4-7 and 6-9 (once, to 9)."""
    shop = JobShop(machines=[[0]], durations=[[3]], interruptions=Interruptions(law="mtbf", mtbf=9.0, mode=mode))
    world = Outages(np.array([[1]]), np.array([[0, 4, 7], [0, 6, 9]]))
    assert verdict(shop, [[2]], world).objective == end
    refused(shop, [[2]], f"job 0, operation 0 claims to end at 6, it ends at {end}", world=world, finish=[[6]])


def test_the_past_may_not_be_rewritten():
    state = ShopState(4, np.array([[0, 3], [1, -1]]), Outages(np.zeros((2, 2), np.int64)))
    shop = JobShop(**ROUTES).at(state)
    assert verdict(shop, [[0, 3], [1, 4]]).feasible
    refused(shop, [[0, 3], [0, 4]], "job 1, operation 0 started at 1; the schedule says 0")
    refused(shop, [[0, 3], [1, 3]], "job 1, operation 1 starts at 3, before now (4)")


def test_a_schedule_with_holes_is_refused_whole():
    found = verdict(JobShop(**ROUTES), [[0, -1], [-1, -1]])
    assert not found.feasible
    assert math.isnan(found.objective)
    assert found.violations == (
        "job 0, operation 1 has no start: the schedule is not complete",
        "job 1, operation 0 has no start: the schedule is not complete",
        "job 1, operation 1 has no start: the schedule is not complete",
    )


def test_the_users_names_stand_in_the_sentences():
    shop = JobShop(**ROUTES, job_names=["axle", "wheel"], machine_names=["saw", "mill"])
    refused(shop, [[0, 3], [0, 2]], "wheel, operation 1 enters saw at 2 while axle works on it until 3")


def test_a_schedule_of_another_size_is_an_error():
    with pytest.raises(DataError, match="the schedule has 2 jobs x 2 operations"):
        JobShop(machines=[[0]], durations=[[1]]).evaluate(Schedule.realised(JobShop(**ROUTES), [[0, 3], [0, 3]]))


# ---- swaps ---------------------------------------------------------------------------------------------------------
def test_an_exchange_is_legal_only_with_swap():
    shop = JobShop(**ROUTES, storage="blocking")
    assert verdict(shop, [[0, 3], [0, 3]]).feasible
    sentence = "job 0, job 1 can only exchange machines at 3, and swap=False forbids it"
    refused(shop.replace(swap=False), [[0, 3], [0, 3]], sentence)
    assert verdict(shop.replace(swap=False), [[0, 3], [5, 7]]).feasible


def test_a_chain_to_a_free_machine_needs_no_swap():
    """Three jobs move up by one place at the same moment: the first goes first."""
    shop = JobShop(machines=[[0, 1], [1, 2], [2, 3]], durations=[[5, 1]] * 3, storage="blocking", swap=False)
    assert verdict(shop, [[0, 5]] * 3).feasible
    ring = JobShop(machines=[[0, 1], [1, 2], [2, 0]], durations=[[5, 1]] * 3, storage="blocking", swap=False)
    sentence = "job 0, job 1, job 2 can only exchange machines at 5, and swap=False forbids it"
    refused(ring, [[0, 5]] * 3, sentence)


def test_a_job_that_leaves_the_shop_makes_room_first():
    shop = JobShop(machines=[[0], [1, 0]], durations=[[4], [4, 1]], storage="blocking", swap=False)
    assert verdict(shop, [[0], [0, 4]]).feasible


def test_an_operation_of_no_length_is_passed_through():
    """As in orb07: the visit of no length comes before the one that stays, and its machine must be free."""
    shop = JobShop(machines=[[0, 1, 2], [1, 0]], durations=[[3, 0, 2], [2, 4]], storage="blocking", swap=False)
    assert verdict(shop, [[0, 3, 3], [3, 5]]).feasible  # through machine 1 at 3, then job 1 enters it
    sentence = "job 0, job 1 can only exchange machines at 3, and swap=False forbids it"
    refused(shop, [[0, 3, 3], [0, 3]], sentence)
    assert verdict(shop.replace(swap=True), [[0, 3, 3], [0, 3]]).feasible


def test_the_best_order_of_visits_of_no_length_is_found():
    """Both jobs pass machine 2 at 3; job 0 then waits for machine 1, which job 1 leaves only through machine 2."""
    shop = JobShop(machines=[[0, 2, 1], [1, 2, 3]], durations=[[3, 0, 1], [3, 0, 1]], storage="blocking", swap=False)
    assert verdict(shop, [[0, 3, 3], [0, 3, 3]]).feasible
    both = JobShop(machines=[[0, 2, 1], [1, 2, 0]], durations=[[3, 0, 1], [3, 0, 1]], storage="blocking", swap=False)
    refused(both, [[0, 3, 3], [0, 3, 3]], "job 0, job 1 can only exchange machines at 3, and swap=False forbids it")


def carried_out(shop: JobShop, start: list[list[int]]) -> bool:
    """Whether the moves can be made one by one in some order of time: every order is tried (blocking, no outages)."""
    moves = sorted((t, j, k) for j, row in enumerate(start) for k, t in enumerate(row) if shop.machines[j, k] >= 0)
    moments = [list(group) for _, group in itertools.groupby(moves, key=lambda move: move[0])]
    count = shop.n_operations.tolist()
    ends = {(j, k): t + int(shop.durations[j, k]) for t, j, k in moves}
    reachable = {(frozenset(), tuple([0] * shop.n_jobs))}  # (machine, job) pairs, operations begun
    for group in moments:
        now, arrived = group[0][0], set()
        for on, begun in reachable:
            gone = {j for j in range(shop.n_jobs) if begun[j] == count[j] and ends[j, count[j] - 1] <= now}
            start_on = frozenset((m, j) for m, j in on if j not in gone)
            stack, seen = [(start_on, begun)], set()
            while stack:
                place, at = stack.pop()
                if (place, at) in seen:
                    continue
                seen.add((place, at))
                if all(at[j] > k for _, j, k in group):
                    arrived.add((place, at))
                    continue
                for _, j, k in group:
                    m = int(shop.machines[j, k])
                    if at[j] != k or any(q == m for q, _ in place) or (k and ends[j, k - 1] > now):
                        continue
                    left = {(q, i) for q, i in place if i != j}
                    if k + 1 < count[j] or ends[j, k] > now:
                        left.add((m, j))
                    stack.append((frozenset(left), tuple(n + (i == j) for i, n in enumerate(at))))
        reachable = arrived
    return bool(reachable)


@given(shops(variants=("BNS",), disturbed=False, max_jobs=4, longest=2), st.data())
@settings(max_examples=150, deadline=None)
def test_moves_without_swap_against_every_order(shop, data):
    """Schedules with many simultaneous moves and many operations of no length."""
    shop = shop.replace(release=None, due=None, objective="makespan")
    starts: list[list[int]] = []
    for row, n in zip(shop.durations.tolist(), shop.n_operations.tolist(), strict=True):
        clock, own = 0, []
        for k in range(n):
            clock += data.draw(st.integers(0, 2))
            own.append(clock)
            clock += row[k]
        starts.append(own + [-1] * (shop.machines.shape[1] - n))
    found = verdict(shop, starts)
    if all("exchange machines" in v for v in found.violations):
        assert found.feasible == carried_out(shop, starts)
    else:
        assert not carried_out(shop, starts)


@given(shops(variants=("BWS", "BNS"), disturbed=False, max_jobs=3, max_machines=3, longest=1), SEEDS)
@settings(max_examples=100, deadline=None)
def test_sequences_and_referee_agree_on_swaps(shop, seed):
    """`from_sequences` refuses cycles in the alternative graph; the referee carries out moves."""
    rng = np.random.default_rng(seed)
    rows = [np.repeat(np.arange(shop.n_jobs), (shop.machines == m).sum(axis=1)) for m in range(shop.n_machines)]
    for _ in range(5):
        try:
            schedule = Schedule.from_sequences(shop, [rng.permutation(row).tolist() for row in rows])
        except DataError:
            continue
        assert shop.evaluate(schedule).violations == ()


# ---- two codes, one answer -----------------------------------------------------------------------------------------
def end_by_the_clock(shop: JobShop, world: Outages, j: int, k: int, start: int) -> int:
    """End of an operation, one time unit after the other."""
    m = int(shop.machines[j, k])
    down = {t for q, b, e in [*shop.maintenance.tolist(), *world.windows.tolist()] if q == m for t in range(b, e)}
    need = left = int(shop.durations[j, k] + world.extra[j, k])
    clock = start
    while left:
        if clock in down:
            if shop.interruptions.mode == "repeat":
                left = need
        else:
            left -= 1
        clock += 1
    return clock


@given(shops(max_jobs=3, max_machines=2), st.data(), st.integers(0, 25))
@settings(max_examples=150, deadline=None)
def test_referee_calendar_and_clock_agree_on_ends(shop, data, shift):
    """Overlapping, nested and touching windows of maintenance and breakdowns; starts at which the machine is up."""
    world = data.draw(worlds(shop))
    calendar = Calendar(shop, world)
    start = [
        [calendar.earliest(j, k, shift + 3 * k + j) if m >= 0 else -1 for k, m in enumerate(row)]
        for j, row in enumerate(shop.machines.tolist())
    ]
    schedule = Schedule.realised(shop, start, world)
    by_clock = [
        [end_by_the_clock(shop, world, j, k, start[j][k]) if m >= 0 else -1 for k, m in enumerate(row)]
        for j, row in enumerate(shop.machines.tolist())
    ]
    assert schedule.finish.tolist() == by_clock
    found = shop.evaluate(schedule, world)
    assert not any("claims to end" in v or "is down" in v for v in found.violations)


@given(shops(), st.data(), SEEDS)
@settings(max_examples=100, deadline=None)
def test_what_had_accrued_and_what_follows_make_the_whole(shop, data, seed):
    """Objective of the whole episode = accrued part at a running state + minus the rewards from there."""
    world = data.draw(worlds(shop))
    kernel, rng = ShopKernel([shop], compiled=True), np.random.default_rng(seed)
    state = kernel.reset([world])
    before = sum(reward for _, reward, _ in play_on(kernel, state, rng, data.draw(st.integers(0, 8))))
    if not kernel.failed(state)[0]:
        assert shop.at(kernel.snapshot(state, 0)).accrued == -before
