"""The simulator against the referee, against itself as plain Python, and against what it may and may not know."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shop_strategies import SEEDS, a_move, play_on, same_tables, shops, shops_in_worlds, worlds

from orrl.core import RandomPolicy, rollout
from orrl.core.errors import DataError, IllegalActionError, NotSupportedError
from orrl.problems.jobshop import Interruptions, JobShop
from orrl.problems.jobshop.calendar import Calendar
from orrl.problems.jobshop.data import ShopState
from orrl.problems.jobshop.interruptions import Outages
from orrl.problems.jobshop.kernel import RULES, ShopKernel
from orrl.problems.jobshop.rules import RulePolicy
from orrl.problems.jobshop.schedule import Schedule

POLICIES = [RandomPolicy(), *(RulePolicy(name) for name in RULES), RulePolicy("mwkr", 1), RulePolicy("fifo", 2)]


def check_episode(shop: JobShop, episode) -> None:
    """The referee takes the realised schedule, and the rewards say its objective; or there was a deadlock."""
    if episode.failed:
        assert shop.variant == "BNS", "only a blocking shop without swap can run into a deadlock"
        with pytest.raises(NotSupportedError, match="deadlock"):
            shop.solution(episode)
        verdict = shop.evaluate(Schedule.realised(shop, episode.final.start, episode.scenario), episode.scenario)
        assert not verdict.feasible
        assert "has no start" in verdict.violations[0]
        return
    verdict = shop.evaluate(shop.solution(episode), episode.scenario)
    assert verdict.violations == ()
    assert episode.value == verdict.objective


@given(shops_in_worlds(), SEEDS)
@settings(max_examples=120, deadline=None)
def test_every_episode_is_feasible_and_its_rewards_sum_to_the_objective(case, seed):
    shop, world = case
    for policy in POLICIES:
        (episode,) = rollout(shop, policy, [world], seed=seed, kernel_options={"compiled": True})
        check_episode(shop, episode)


@given(shops_in_worlds(), SEEDS, st.integers(0, 12))
@settings(max_examples=120, deadline=None)
def test_a_running_shop_is_judged_from_its_state_on(case, seed, steps):
    shop, world = case
    kernel, rng = ShopKernel([shop], compiled=True), np.random.default_rng(seed)
    state = kernel.reset([world])
    play_on(kernel, state, rng, steps)
    later = shop.at(kernel.snapshot(state, 0))
    for policy in (RandomPolicy(), RulePolicy("mwkr")):
        (episode,) = rollout(later, policy, [world], seed=seed, kernel_options={"compiled": True})
        check_episode(later, episode)


@given(shops_in_worlds(max_jobs=3, max_machines=3), SEEDS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_machine_code_equals_plain_python_step_by_step(case, seed, wait):
    shop, world = case
    fast, slow = (ShopKernel([shop], wait=wait, compiled=compiled) for compiled in (True, False))
    one, two = fast.reset([world]), slow.reset([world])
    rng = np.random.default_rng(seed)
    while True:
        assert same_tables(one, two)
        assert np.array_equal(fast.observe(one), slow.observe(two))
        for rule in RULES:
            streams = [np.array([seed + 1]) for _ in range(2)]
            moves = [
                k.dispatch(s, rule, wip_cap=2, seeds=r)
                for k, s, r in zip((fast, slow), (one, two), streams, strict=True)
            ]
            assert np.array_equal(*moves)
            assert np.array_equal(*streams)
        if not fast.mask(one)[0].any():
            break
        for copy in [[k.clone(s, [world], [0]) for k, s in ((fast, one), (slow, two))]]:
            values = [k.playout(s, seed=seed, wip_cap=seed % 3) for k, s in zip((fast, slow), copy, strict=True)]
            assert np.array_equal(*values)
            assert same_tables(*copy)
        action = a_move(fast, one, rng)
        for a, b in zip(fast.step(one, action), slow.step(two, action), strict=True):
            assert np.array_equal(a, b)


# ---- deadlock ------------------------------------------------------------------------------------------------------
def opposite_routes(*, swap: bool) -> JobShop:
    """Two jobs that want each other's machine."""
    return JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 2], [2, 4]], storage="blocking", swap=swap)


def test_opposite_routes_swap_or_run_into_a_deadlock():
    (episode,) = rollout(opposite_routes(swap=True), RulePolicy("spt"), [opposite_routes(swap=True).nominal()])
    assert not episode.failed
    assert episode.value == 7
    shop = opposite_routes(swap=False)
    (episode,) = rollout(shop, RulePolicy("spt"), [shop.nominal()])
    check_episode(shop, episode)
    assert episode.failed
    # charged: the time that has passed, and more than any schedule of what is left would take
    assert -episode.rewards.sum() == 3 + 1 + 2 + 4


def test_a_deadlock_is_reported_by_the_environments():
    env = opposite_routes(swap=False).env()
    _, info = env.reset(seed=0)
    assert "deadlock" not in info
    for action in (0, 1):
        _, _, over, _, info = env.step(action)
    assert over
    assert info["deadlock"] is True
    both = JobShop.vector_env([opposite_routes(swap=False), opposite_routes(swap=True)])
    both.reset(seed=0)
    for action in ([0, 0], [1, 1]):
        _, _, over, _, info = both.step(action)
    assert over.tolist()[0]
    assert info["deadlock"].tolist() == [True, False]


def test_a_shop_without_swap_can_still_be_solved_one_job_after_the_other():
    shop = opposite_routes(swap=False)
    (episode,) = rollout(shop, RulePolicy("spt", wip_cap=1), [shop.nominal()])
    check_episode(shop, episode)
    assert episode.value == 11


@given(shops_in_worlds(variants=("BWS",)), SEEDS)
@settings(max_examples=100, deadline=None)
def test_a_blocking_shop_with_swap_never_deadlocks(case, seed):
    shop, world = case
    for wait in (True, False):
        kernel = ShopKernel([shop], wait=wait, compiled=True)
        state = kernel.reset([world] * 8, [0] * 8)
        rng = np.random.default_rng(seed)
        while kernel.mask(state).any():
            kernel.step(state, a_move(kernel, state, rng))
        assert not kernel.failed(state).any()
        assert (state.start[:, shop.machines >= 0] >= 0).all()


# ---- copies --------------------------------------------------------------------------------------------------------
@given(shops_in_worlds(), SEEDS, st.integers(0, 12))
@settings(max_examples=120, deadline=None)
def test_a_state_read_out_and_started_again_goes_on_alike(case, seed, steps):
    """Also inside an outage, on a machine that is held, and right after a swap."""
    shop, world = case
    kernel, rng = ShopKernel([shop], compiled=True), np.random.default_rng(seed)
    state = kernel.reset([world])
    play_on(kernel, state, rng, steps)
    again = ShopKernel([shop.at(ShopState.from_dict(kernel.snapshot(state, 0).to_dict()))], compiled=True)
    copy = again.reset([world])
    ended = not kernel.mask(state)[0].any()
    if ended:
        assert not again.mask(copy)[0].any() or kernel.failed(state)[0] == again.failed(copy)[0]
        return
    assert np.array_equal(kernel.mask(state), again.mask(copy))
    assert np.array_equal(kernel.observe(state), again.observe(copy))
    one, two = play_on(kernel, state, np.random.default_rng(1)), play_on(again, copy, np.random.default_rng(1))
    assert one == two
    assert np.array_equal(state.start, copy.start)


@given(shops_in_worlds(), st.data(), SEEDS, st.integers(0, 12))
@settings(max_examples=120, deadline=None)
def test_a_clone_keeps_the_past_and_has_the_new_future(case, data, seed, steps):
    shop, world = case
    kernel, rng = ShopKernel([shop], compiled=True), np.random.default_rng(seed)
    state = kernel.reset([world])
    play_on(kernel, state, rng, steps)
    assume(kernel.mask(state)[0].any())
    before = [np.array(table) for table in state.tables]
    fresh = data.draw(worlds(shop))
    copy = kernel.clone(state, [fresh], [0])
    now, started = int(state.time[0]), state.start[0] >= 0
    merged = copy.scenarios[0]
    assert np.array_equal(merged.extra, np.where(started, world.extra, fresh.extra))
    old = world.windows[world.windows[:, 1] <= now].tolist()
    assert merged.windows[: len(old)].tolist() == old
    assert all(begin > now for _, begin, _ in merged.windows[len(old) :].tolist())
    # the oracle: the shop read out and started again in the merged world
    again = ShopKernel([shop.at(kernel.snapshot(state, 0))], compiled=True)
    other = again.reset([merged])
    assert np.array_equal(kernel.mask(copy), again.mask(other))
    assert play_on(kernel, copy, np.random.default_rng(1)) == play_on(again, other, np.random.default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip(before, state.tables, strict=True)), "cloning changed the original"


def test_a_clone_without_breakdowns_forgets_the_breakdowns_to_come():
    shop = JobShop(
        machines=[[0], [1], [2]],
        durations=[[10], [30], [30]],
        interruptions=Interruptions(law="mtbf", mtbf=50.0, outage=(9, 9)),
    )
    world = Outages(np.zeros((3, 1), np.int64), np.array([[0, 8, 17]]))
    kernel = ShopKernel([shop])
    state = kernel.reset([world])
    kernel.step(state, np.array([0]))
    copy = kernel.clone(state, [shop.nominal()] * 2, [0, 0])
    kernel.step(copy, np.array([3, 3]))
    assert copy.time.tolist() == [10, 10]
    kernel.step(state, np.array([3]))
    assert state.time.tolist() == [17], "the breakdown is over; the operation ends at 19"


def test_a_clone_takes_rows_in_any_order_and_number():
    shops_ = [opposite_routes(swap=True), JobShop(machines=[[0, 1, 2]], durations=[[1, 2, 3]])]
    kernel = ShopKernel(shops_, compiled=True)
    state = kernel.reset([s.nominal() for s in shops_])
    copy = kernel.clone(state, [shops_[w].nominal() for w in (1, 0, 1)], [1, 0, 1])
    values = kernel.playout(copy, seed=0, rule="spt")
    assert values.tolist() == [-6.0, -7.0, -6.0]
    assert state.time.tolist() == [0, 0]


# ---- what is accepted ----------------------------------------------------------------------------------------------
def can_move(shop: JobShop, start: np.ndarray, now: int, world: Outages) -> list[bool]:
    """Jobs that may move now, by definition: the next machine is up, and free or freed by a closed chain of swaps."""
    calendar = Calendar(shop, world)
    count = shop.n_operations.tolist()
    begun = [int((row >= 0).sum()) for row in start]
    ends = [
        calendar.finish(j, begun[j] - 1, int(start[j, begun[j] - 1])) if begun[j] else int(shop.release[j])
        for j in range(shop.n_jobs)
    ]
    holds = {}
    for j in range(shop.n_jobs):
        if begun[j] and (ends[j] > now or (shop.blocking and begun[j] < count[j])):
            holds[int(shop.machines[j, begun[j] - 1])] = j

    def target(j: int) -> int | None:
        """Machine that job j could enter now if it were free."""
        if begun[j] == count[j] or ends[j] > now:
            return None
        m = int(shop.machines[j, begun[j]])
        down = any(b <= now < e for b, e in calendar.windows[m])
        return None if down else m

    accepted = []
    for j in range(shop.n_jobs):
        m, seen, ok = target(j), {j}, False
        while m is not None:
            if m not in holds:
                ok = len(seen) == 1
                break
            i = holds[m]
            if i == j:
                ok = shop.blocking and shop.swap
                break
            if i in seen:
                break
            seen.add(i)
            m = target(i)
        accepted.append(ok)
    return accepted


@given(shops_in_worlds(), SEEDS, st.booleans())
@settings(max_examples=120, deadline=None)
def test_the_mask_is_exactly_what_is_accepted(case, seed, wait):
    shop, world = case
    kernel, rng = ShopKernel([shop], wait=wait, compiled=True), np.random.default_rng(seed)
    state = kernel.reset([world])
    while kernel.mask(state)[0].any():
        mask = kernel.mask(state)[0].copy()
        moves = can_move(shop, state.start[0], int(state.time[0]), world)
        assert mask[:-1].tolist() == moves
        assert mask[-1] or any(moves)
        assert wait or not (mask[-1] and any(moves))
        for action in range(-3, shop.n_jobs + 3):
            if action == -1:
                continue
            if 0 <= action <= shop.n_jobs and mask[action]:
                kernel.step(kernel.clone(state, [world], [0]), np.array([action]))
                continue
            before = [np.array(table) for table in state.tables]
            with pytest.raises(IllegalActionError, match=f"action {action} in row 0"):
                kernel.step(state, np.array([action]))
            assert all(np.array_equal(a, b) for a, b in zip(before, state.tables, strict=True))
        kernel.step(state, a_move(kernel, state, rng))
    rewards, done = kernel.step(state, np.array([99]))  # an ended row ignores its action
    assert rewards.tolist() == [0.0]
    assert done.tolist() == [True]


def test_one_illegal_action_keeps_the_whole_batch():
    shop = opposite_routes(swap=True)
    kernel = ShopKernel([shop], compiled=True)
    state = kernel.reset([shop.nominal()] * 3, [0] * 3)
    kernel.step(state, np.array([0, 0, -1]))
    assert (state.start[:, 0, 0] >= 0).tolist() == [True, True, False]  # -1 keeps a row
    with pytest.raises(IllegalActionError, match=r"action 0 in row 1 is not accepted now; accepted: \[1, 2\]"):
        kernel.step(state, np.array([1, 0, 0]))
    assert (state.start[:, 1, 0] >= 0).tolist() == [False, False, False]


# ---- batches -------------------------------------------------------------------------------------------------------
@given(st.lists(shops_in_worlds(), min_size=1, max_size=4), SEEDS, st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_a_batch_of_mixed_sizes_plays_each_row_as_if_alone(cases, seed, more):
    table, noise = [shop for shop, _ in cases], [world for _, world in cases]
    size = tuple(
        max(f(s) for s in table) + more
        for f in (lambda s: s.n_jobs, lambda s: s.machines.shape[1], lambda s: s.n_machines)
    )
    together = ShopKernel(table, pad_to=size, compiled=True)
    batch = together.reset(noise)
    alone = [ShopKernel([shop], compiled=True) for shop in table]
    single = [kernel.reset([world]) for kernel, world in zip(alone, noise, strict=True)]
    rng = np.random.default_rng(seed)
    while True:
        mask, seen = together.mask(batch), together.observe(batch)
        for b, (kernel, state, shop) in enumerate(zip(alone, single, table, strict=True)):
            n = shop.n_jobs
            assert np.array_equal(mask[b, :n], kernel.mask(state)[0, :n])
            assert not mask[b, n:-1].any()
            assert mask[b, -1] == kernel.mask(state)[0, -1]
            assert np.array_equal(seen[b, :n], kernel.observe(state)[0])
            assert not seen[b, n:].any()
        if not mask.any():
            break
        actions = a_move(together, batch, rng)
        rewards, done = together.step(batch, actions)
        for b, (kernel, state, shop) in enumerate(zip(alone, single, table, strict=True)):
            own = shop.n_jobs if actions[b] == together.n_jobs else actions[b]
            reward, over = kernel.step(state, np.array([own]))
            assert (reward[0], over[0]) == (rewards[b], done[b])
    for b, kernel in enumerate(alone):
        snap, own = together.snapshot(batch, b), kernel.snapshot(single[b], 0)
        assert snap.to_dict() == own.to_dict()


@given(st.lists(shops_in_worlds(), min_size=2, max_size=4), st.data(), SEEDS, st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_rows_begin_again_alone(cases, data, seed, steps):
    table, noise = [shop for shop, _ in cases], [world for _, world in cases]
    kernel, rng = ShopKernel(table, compiled=True), np.random.default_rng(seed)
    state = kernel.reset(noise)
    for _ in range(steps):
        kernel.step(state, a_move(kernel, state, rng))
    rows = sorted(data.draw(st.sets(st.integers(0, len(table) - 1), min_size=1)))
    fresh = [data.draw(worlds(table[b])) for b in rows]
    other = [b for b in range(len(table)) if b not in rows]
    kept = [np.array(t[other]) for t in (*state.tables[:4], state.tables.mask)]
    kernel.reset_rows(state, rows, fresh)
    assert all(np.array_equal(a, t[other]) for a, t in zip(kept, (*state.tables[:4], state.tables.mask), strict=True))
    for b, world in zip(rows, fresh, strict=True):
        new = kernel.reset([world], [b])
        for a, t in zip((*new.tables[:4], new.tables.mask), (*state.tables[:4], state.tables.mask), strict=True):
            assert np.array_equal(a[0], t[b])
        assert state.scenarios[b] is world
    whole = kernel.clone(state, state.scenarios, range(len(table)))
    values = kernel.playout(whole, seed=0, rule="mwkr")
    for b, world in zip(rows, fresh, strict=True):
        assert kernel.playout(kernel.reset([world], [b]), seed=0, rule="mwkr")[0] == values[b]


# ---- what may be known ---------------------------------------------------------------------------------------------
@given(shops(longest=15), st.data(), SEEDS, st.integers(0, 8))
@settings(max_examples=120, deadline=None)
def test_two_worlds_equal_up_to_now_look_alike_up_to_now(shop, data, seed, steps):
    world, fresh = data.draw(worlds(shop, by_hand=True)), data.draw(worlds(shop, by_hand=True))
    kernel = ShopKernel([shop], compiled=True)
    state, rng = kernel.reset([world]), np.random.default_rng(seed)
    seen, actions = [], []

    def look(which) -> tuple:
        moves = [kernel.dispatch(which, rule, wip_cap=2, seeds=np.array([7])).tolist() for rule in RULES]
        return int(which.time[0]), kernel.mask(which).tolist(), kernel.observe(which).tolist(), moves

    for _ in range(steps):
        seen.append(look(state))
        if not kernel.mask(state)[0].any():
            return
        actions.append(a_move(kernel, state, rng))
        kernel.step(state, actions[-1])
    seen.append(look(state))
    other = fresh.after(int(state.time[0]), state.start[0] >= 0, world)
    again = kernel.reset([other])
    for moment, action in zip(seen, actions, strict=False):
        assert look(again) == moment
        kernel.step(again, action)
    assert look(again) == seen[-1]


def test_the_time_left_on_a_machine_is_what_has_been_announced():
    """Extra time at the start, planned maintenance from the beginning, a breakdown when it begins."""
    shop = JobShop(
        machines=[[0], [1], [2], [2]],
        durations=[[10], [9], [10], [10]],
        maintenance=[(1, 4, 6)],
        interruptions=Interruptions(law="mtbf", mtbf=50.0),
    )
    world = Outages(np.array([[0], [5], [0], [0]]), np.array([[0, 8, 17]]))
    kernel = ShopKernel([shop], compiled=True)
    state = kernel.reset([world])
    for job in (0, 1):
        kernel.step(state, np.array([job]))
    scale = 10.0
    assert kernel.observe(state)[0, :2, 3].tolist() == pytest.approx([10 / scale, (9 + 5 + 2) / scale])
    kernel.step(state, np.array([4]))  # wait for machine 1 to come up at 6
    assert state.time.tolist() == [6]
    assert kernel.observe(state)[0, :2, 3].tolist() == pytest.approx([4 / scale, 10 / scale])
    kernel.step(state, np.array([4]))  # job 1 ends at 16
    assert state.time.tolist() == [16]
    assert kernel.observe(state)[0, :2, 3].tolist() == pytest.approx([(19 - 16) / scale, 0])


@given(shops(disturbed=False), SEEDS, st.sampled_from(["resume", "repeat"]))
@settings(max_examples=40, deadline=None)
def test_outages_of_probability_zero_change_nothing(shop, seed, mode):
    quiet = shop.replace(interruptions=Interruptions(p=0.0, outage=(1, 99), mode=mode))
    worlds = [shop.nominal(), Interruptions(p=0.0, mode=mode).draw(shop.durations, shop.n_machines, seed)]
    values = []
    for which, world in zip((shop, quiet), worlds, strict=True):
        kernel = ShopKernel([which], compiled=True)
        values.append(play_on(kernel, kernel.reset([world]), np.random.default_rng(seed)))
    assert values[0] == values[1]


# ---- options and errors --------------------------------------------------------------------------------------------
def test_rewards_are_divided_by_their_scale():
    shop = opposite_routes(swap=True)
    plain, scaled = ShopKernel([shop]), ShopKernel([shop], reward_scale=10.0)
    assert (
        scaled.playout(scaled.reset([shop.nominal()]), seed=0)[0]
        == plain.playout(plain.reset([shop.nominal()]), seed=0)[0] / 10
    )
    state = scaled.reset([shop.nominal()])
    assert sum(reward for _, reward, _ in play_on(scaled, state, np.random.default_rng(0))) == -int(state.time[0]) / 10


def test_without_wait_schedules_are_non_delay():
    shop = JobShop(machines=[[0], [0, 1]], durations=[[5], [1, 5]])
    kernel = ShopKernel([shop], wait=False)
    assert kernel.mask(kernel.reset([shop.nominal()])).tolist() == [[True, True, False]]
    assert ShopKernel([shop]).mask(ShopKernel([shop]).reset([shop.nominal()])).tolist() == [[True, True, False]]


def test_a_machine_that_is_down_when_all_work_is_done_costs_nothing():
    shop = JobShop(machines=[[0, 1]], durations=[[2, 2]], maintenance=[(0, 3, 50)])
    (episode,) = rollout(shop, RandomPolicy(), [shop.nominal()])
    assert episode.value == 4


def test_a_cap_on_work_in_process_holds_where_waiting_is_not_offered():
    shop = JobShop(machines=[[0, 1]] * 3, durations=[[2, 3]] * 3)
    for policy in (RulePolicy("fifo", 1), RulePolicy("random", 2)):
        (episode,) = rollout(shop, policy, [shop.nominal()], kernel_options={"wait": False})
        check_episode(shop, episode)


@given(shops_in_worlds(), SEEDS, st.integers(1, 4), st.booleans())
@settings(max_examples=80, deadline=None)
def test_the_mask_keeps_the_cap_on_work_in_process(case, seed, cap, compiled):
    problem, world = case
    kernel = ShopKernel([problem], wip_cap=cap, compiled=compiled)
    state = kernel.reset([world])
    rng = np.random.default_rng(seed)
    for _ in range(400):
        mask = kernel.mask(state)[0]
        if not mask.any():
            break
        inside = int(((state.start[0] >= 0).any(axis=1) & ~left(problem, state)).sum())
        fresh = (state.start[0] < 0).all(axis=1) & mask[:-1]
        if inside >= cap:  # nobody is let in, unless nothing else can ever happen
            assert not fresh.any() or (inside > 0 and not mask[-1] and not (mask[:-1] & ~fresh).any())
        kernel.step(state, np.array([rng.choice(np.flatnonzero(mask))]))
    assert not kernel.mask(state)[0].any()
    same = ShopKernel([problem], wip_cap=problem.n_jobs)
    free = ShopKernel([problem])
    assert np.array_equal(same.mask(same.reset([world])), free.mask(free.reset([world])))


def left(problem, state):
    """Jobs whose last operation is over."""
    plan = Schedule.realised(problem, state.start[0], state.scenarios[0])
    last = [(j, n - 1) for j, n in enumerate(problem.n_operations)]
    return np.array([state.start[0][o] >= 0 and plan.finish[o] <= state.time[0] for o in last])


def test_the_kernel_says_what_does_not_fit():
    shop = opposite_routes(swap=True)
    with pytest.raises(DataError, match="at least one shop"):
        ShopKernel([])
    with pytest.raises(DataError, match=r"pad_to is \(1, 2, 2\) but a shop has"):
        ShopKernel([shop], pad_to=(1, 2, 2))
    kernel = ShopKernel([shop, shop])
    with pytest.raises(DataError, match="3 scenarios for 2 rows"):
        kernel.reset([shop.nominal()] * 3)
    with pytest.raises(DataError, match=r"scenario of row 1 is of another shop: \(1, 1\), jobshop is \(2, 2\)"):
        kernel.reset([shop.nominal(), Outages(np.zeros((1, 1), np.int64))])


def test_templates_survive_a_past_with_breakdowns():
    """A kernel of several shops, one of them started inside a breakdown, plays the others alone too."""
    shop = JobShop(
        machines=[[0, 1]], durations=[[9, 9]], interruptions=Interruptions(law="mtbf", mtbf=5.0, outage=(2, 4))
    )
    past = Outages(np.zeros((1, 2), np.int64), np.array([[0, 3, 6]]))
    running = shop.at(ShopState(4, np.array([[0, -1]]), past))
    kernel = ShopKernel([opposite_routes(swap=True), running])
    assert kernel.playout(kernel.reset([opposite_routes(swap=True).nominal()], [0]), seed=0, rule="spt").tolist() == [
        -7.0
    ]
    assert kernel.playout(kernel.reset([running.nominal()], [1]), seed=0).tolist() == [-(9 + 3 + 9 - 4)]
