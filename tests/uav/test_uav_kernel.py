"""The simulator against the referee, against itself as plain Python, and its collision rule by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uav_strategies import SEEDS, networks, row

from orrl.core import RandomPolicy, rollout
from orrl.core.actions import draw, hold
from orrl.core.errors import DataError, IllegalActionError
from orrl.problems.uav import UavOffloading
from orrl.problems.uav.kernel import UavKernel, hops_to
from orrl.problems.uav.rules import FlyToCrowds, GreedyFlight, rules

COMPILED = {"compiled": True}


def code(problem: UavOffloading, x: int, y: int = 0) -> int:
    """The action that moves by (x, y)."""
    return problem.offsets.tolist().index([x, y])


def same(one, two) -> bool:
    """Whether two states are equal: tables, and the cells that have been flown."""
    if not (np.array_equal(one.tables.row, two.tables.row) and np.array_equal(one.tables.mask, two.tables.mask)):
        return False
    begun = zip(one.tables.path, two.tables.path, one.slot.tolist(), strict=True)
    return one.which == two.which and all(np.array_equal(a[: t + 1], b[: t + 1]) for a, b, t in begun)


def judged(problem: UavOffloading, episode) -> None:
    """The referee takes the flight and gives the value that the rewards say; a failed one misses an end, no more."""
    flight = problem.solution(episode)
    verdict = problem.evaluate(flight)
    assert verdict.objective == episode.value
    if episode.failed:
        assert verdict.violations
        assert all("ends on cell" in text for text in verdict.violations)
    else:
        assert verdict.violations == ()


# ---- against the referee ---------------------------------------------------------------------------------------------
@given(st.lists(networks(), min_size=1, max_size=3), SEEDS)
@settings(max_examples=60, deadline=None)
def test_rewards_sum_to_what_the_referee_says_in_mixed_batches(problems, seed):
    for policy in (RandomPolicy(), *rules().values()):
        for problem, episode in zip(
            problems,
            rollout(problems, policy, [p.nominal() for p in problems], seed=seed, kernel_options=COMPILED),
            strict=True,
        ):
            assert len(episode.actions) == problem.n_slots - 1
            judged(problem, episode)


@given(networks(), SEEDS, st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_a_running_state_goes_on_as_the_whole(problem, seed, steps):
    kernel, rng = UavKernel([problem], **COMPILED), np.random.default_rng(seed)
    state = kernel.reset([None])
    for _ in range(min(steps, problem.n_slots - 2)):
        kernel.step(state, draw(kernel.mask(state), rng))
    later = problem.at(kernel.snapshot(state, 0))
    assert later.content_hash == type(later).from_dict(later.to_dict()).content_hash
    for policy in (RandomPolicy(), *rules().values()):
        (episode,) = rollout(later, policy, [None], seed=seed, kernel_options=COMPILED)
        judged(later, episode)
    restarted = UavKernel([later], **COMPILED).reset([None])
    assert np.array_equal(restarted.tables.mask, state.tables.mask)


@given(networks(), SEEDS)
@settings(max_examples=40, deadline=None)
def test_a_flight_is_replayed_by_its_actions(problem, seed):
    (episode,) = rollout(problem, RandomPolicy(), [None], seed=seed, kernel_options=COMPILED)
    if episode.failed:
        return
    flight = problem.solution(episode)
    kernel = UavKernel([problem], **COMPILED)
    state, total = kernel.reset([None]), 0.0
    for action in problem.actions(flight):
        reward, done = kernel.step(state, action[None])
        total += reward[0]
        assert not state.held.any()
    assert done.all()
    assert total == problem.evaluate(flight).objective
    assert np.array_equal(kernel.snapshot(state, 0).cells, flight.cells)


# ---- against itself --------------------------------------------------------------------------------------------------
@given(st.lists(networks(), min_size=1, max_size=2), SEEDS)
@settings(max_examples=25, deadline=None)
def test_machine_code_equals_plain_python_step_by_step(problems, seed):
    fast, slow = (UavKernel(problems, compiled=compiled) for compiled in (True, False))
    one, two = fast.reset([None] * len(problems)), slow.reset([None] * len(problems))
    rng = np.random.default_rng(seed)
    guide = rng.integers(0, 9, (len(problems), fast.n_uavs, fast.networks.targets.shape[1]))
    while True:
        assert same(one, two)
        assert np.array_equal(fast.observe(one), slow.observe(two))
        for prices in (None, guide):
            assert np.array_equal(fast.choose(one, prices), slow.choose(two, prices))
        copies = [k.clone(s, [None], [0]) for k, s in ((fast, one), (slow, two))]
        assert np.array_equal(*(k.playout(c, seed=seed) for k, c in zip((fast, slow), copies, strict=True)))
        assert same(*copies)
        mask = fast.mask(one)
        if not mask.any():
            break
        action = hold(draw(mask, rng), ~mask.any(axis=(1, 2)))
        for a, b in zip(fast.step(one, action), slow.step(two, action), strict=True):
            assert np.array_equal(a, b)


@given(networks(), SEEDS)
@settings(max_examples=30, deadline=None)
def test_a_clone_goes_its_own_way(problem, seed):
    kernel, rng = UavKernel([problem], **COMPILED), np.random.default_rng(seed)
    state = kernel.reset([None, None], [0, 0])
    kernel.step(state, draw(kernel.mask(state), rng))
    before = kernel.clone(state, [None, None], [0, 1])
    copy = kernel.clone(state, [None, None, None], [1, 0, 1])
    assert [copy.cells[i].tolist() for i in range(3)] == [state.cells[i].tolist() for i in (1, 0, 1)]
    kernel.playout(copy, seed=seed)
    assert kernel.ended(copy).all()
    assert same(state, before)


@given(networks(), SEEDS)
@settings(max_examples=30, deadline=None)
def test_padding_changes_nothing_but_shapes(problem, seed):
    small = UavKernel([problem], **COMPILED)
    large = UavKernel([problem], pad_to=(problem.n_uavs + 2, len(problem.offsets) + 3), **COMPILED)
    one, two, rng = small.reset([None]), large.reset([None]), np.random.default_rng(seed)
    uavs, moves = small.n_uavs, small.n_actions
    while small.mask(one).any():
        mask = large.mask(two)
        assert np.array_equal(mask[:, :uavs, :moves], small.mask(one))
        assert not mask[:, :uavs, moves:].any()
        assert mask[:, uavs:, 0].all()
        assert not mask[:, uavs:, 1:].any()
        assert np.array_equal(small.observe_agents(one), large.observe_agents(two)[:, :uavs, : -2 * 2])
        assert not large.observe_agents(two)[:, uavs:].any()
        action = draw(small.mask(one), rng)
        wide = np.concatenate([action, np.zeros((1, 2), np.int64)], axis=1)
        assert np.array_equal(small.step(one, action), large.step(two, wide))
    assert np.array_equal(small.snapshot(one, 0).cells, large.snapshot(two, 0).cells)
    assert np.array_equal(small.failed(one), large.failed(two))


# ---- masks and ends --------------------------------------------------------------------------------------------------
@given(networks(ends=(True,)), SEEDS)
@settings(max_examples=50, deadline=None)
def test_the_mask_keeps_each_end_within_reach(problem, seed):
    """By the sweep over slots of `AgentGraph`, which shares nothing with the kernel's count of moves."""
    after = problem.agent_graph()
    reach = type(after)(after.slots, after.indptr, after.indices, after.ends, np.full_like(after.ends, -1)).reachable()
    kernel, rng = UavKernel([problem], **COMPILED), np.random.default_rng(seed)
    state = kernel.reset([None])
    while (mask := kernel.mask(state)).any():
        left = problem.n_slots - 1 - int(state.slot[0])
        for u, cell in enumerate(state.cells[0].tolist()):
            target = problem.targets[cell]
            fine = (target >= 0) & reach[u, left - 1, target]  # moves are symmetric
            assert np.array_equal(mask[0, u], fine if fine.any() else np.arange(len(target)) == 0)
        kernel.step(state, draw(mask, rng))
    missed = problem.number(problem.ends) != state.cells[0]
    assert kernel.failed(state)[0] == missed.any()


def test_a_way_round_closed_cells():
    problem = UavOffloading(users=[[(50.0, 50.0)]] * 9, grid=3, starts=[(0, 0)], no_fly=[(1, 0), (1, 1)])
    assert hops_to(problem, 0)[[0, 3, 6, 7, 8, 5, 2]].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert (hops_to(problem, 0)[[1, 4]] > 1000).all()


def test_a_uav_that_was_held_back_misses_its_end_and_the_episode_fails():
    problem = row(4, starts=[1, 0], ends=[1, 1 + 1], slots=3)  # the second must fly through the first: held, then late
    env = problem.env()
    env.reset(seed=0)
    right = code(problem, 1)
    _, _, over, _, info = env.step([0, right])
    assert (over, info["held"]) == (False, 1)
    assert env.action_masks()[1].nonzero()[0].tolist() == [0]
    _, _, over, _, info = env.step([0, 0])
    assert over
    assert info["deadlock"] is True
    assert problem.at(env.state()).position.tolist() == [[1, 0]] * 3


# ---- collisions by hand ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("starts", "steps", "cells", "held", "safe"),
    [
        ([0, 2], [1, -1], [1, 2], 1, 0.0),  # both want the middle: the higher number goes back
        ([0, 1], [1, -1], [1, 0], 0, 0.0),  # a swap has no conflict
        ([0, 1], [1, 0], [0, 1], 1, 0.0),  # the higher stays: the lower goes back
        ([1, 0], [0, 1], [1, 0], 1, 0.0),  # the lower stays: the higher goes back
        ([0, 1, 2], [1, 1, 0], [0, 1, 2], 2, 0.0),  # a chain: 1 goes back before 2, which blocks 0
        ([2, 1, 0], [1, 1, 1], [3, 2, 1], 0, 0.0),  # a train moves as one
        ([0, 2, 4], [1, -1, -1], [1, 2, 3], 1, 0.0),  # what is free after a hold stays free for others
        ([0, 3], [1, -1], [1, 3], 1, 150.0),  # neighbours are too close
        ([0, 2], [1, 1], [1, 3], 0, 150.0),
    ],
)
def test_the_collision_rule(starts, steps, cells, held, safe):
    problem = row(5, starts=starts, safe_distance=safe)
    for compiled in (True, False):
        kernel = UavKernel([problem], compiled=compiled)
        state = kernel.reset([None])
        kernel.step(state, np.array([[code(problem, x) for x in steps]]))
        assert state.cells[0].tolist() == cells
        assert state.held.tolist() == [held]


@given(networks(), SEEDS)
@settings(max_examples=50, deadline=None)
def test_a_joint_move_without_conflict_is_flown_as_it_is(problem, seed):
    kernel, rng = UavKernel([problem], **COMPILED), np.random.default_rng(seed)
    state = kernel.reset([None])
    while (mask := kernel.mask(state)).any():
        action, here = draw(mask, rng), state.cells[0]
        named = problem.targets[here, action[0]]
        kernel.step(state, action)
        now = state.cells[0]
        apart = ~problem.too_close[np.ix_(now, now)] | np.eye(len(now), dtype=bool)
        assert apart.all()
        if not (problem.too_close[np.ix_(named, named)] & ~np.eye(len(now), dtype=bool)).any():
            assert now.tolist() == named.tolist()
            assert state.held[0] == 0
        else:
            assert state.held[0] > 0
            assert set(np.flatnonzero(now != named)) <= set(np.flatnonzero(now == here))


# ---- the protocol ----------------------------------------------------------------------------------------------------
def test_rows_are_kept_begun_anew_and_refused():
    problem = UavOffloading.generate(seed=1, grid=4, uavs=2, users=5, slots=4)
    kernel = UavKernel([problem])
    state = kernel.reset([None] * 3, [0] * 3)
    reward, done = kernel.step(state, np.array([[0, 0], [-1, -1], [1, 0]]))
    assert state.slot.tolist() == [1, 0, 1]
    assert reward[1] == 0
    assert not done.any()
    for bad in ([[0, 0], [0, 99], [0, 0]], [[0, 0], [0, -1], [0, 0]], [[0, 0], [-2, 0], [0, 0]]):
        before = kernel.clone(state, [None] * 3, range(3))
        with pytest.raises(IllegalActionError, match="row 1"):
            kernel.step(state, np.array(bad))
        assert same(state, before)
    with pytest.raises(IllegalActionError, match="shape"):
        kernel.step(state, np.zeros((3, 3), np.int64))
    kernel.reset_rows(state, [2], [None])
    assert state.slot.tolist() == [1, 0, 0]
    kernel.playout(state, seed=0)
    assert kernel.ended(state).all()
    ended = kernel.clone(state, [None] * 3, range(3))
    reward, done = kernel.step(state, np.full((3, 2), 7))  # an ended row ignores its action
    assert done.all()
    assert not reward.any()
    assert same(state, ended)


def test_what_does_not_fit_is_refused():
    problem = UavOffloading.generate(seed=1, grid=4, uavs=2, users=5, slots=4)
    with pytest.raises(DataError, match="at least one"):
        UavKernel([])
    with pytest.raises(DataError, match="pad_to"):
        UavKernel([problem], pad_to=(1, 5))
    with pytest.raises(DataError, match="3 scenarios for 2"):
        UavKernel([problem]).reset([None] * 3, [0, 0])


def test_rewards_are_scaled_and_a_problem_that_repeats_is_kept_once():
    problem = UavOffloading.generate(seed=1, grid=4, uavs=2, users=5, slots=4)
    other = UavOffloading.generate(seed=2, grid=5, uavs=3, users=7, slots=6, capacity=2)
    kernel, scaled = UavKernel([problem, other, problem]), UavKernel([problem, other, problem], reward_scale=4.0)
    assert [len(k.unique) for k in (kernel, scaled)] == [2, 2]
    totals = [k.playout(k.reset([None] * 3), seed=3) for k in (kernel, scaled)]
    assert np.array_equal(totals[0], 4.0 * totals[1])
    assert totals[0].any()


def test_what_an_agent_sees():
    problem = UavOffloading(
        users=[[(350.0, 50.0), (360.0, 60.0), (199.0, 150.0), (400.0, 200.0)]] * 3,
        grid=(4, 2),
        starts=[(1, 1), (3, 0)],
        ends=[(1, 0), (3, 0)],
    )
    kernel = UavKernel([problem], compiled=False)
    state = kernel.reset([None])
    seen = kernel.observe_agents(state)
    assert seen.shape == (1, 2, 32)
    first, second = seen[0]
    assert first[:5].tolist() == [0.0, 0.375, 0.75, 0.0, -0.5]
    window = first[5:30].reshape(5, 5)  # centred on cell (1, 1): row 2 is y = 1, column 2 is x = 1
    expected = np.zeros((5, 5))
    expected[1, 4], expected[2, 2], expected[2, 4] = 0.5, 0.25, 0.25
    assert np.array_equal(window, expected)
    assert first[30:].tolist() == [0.5, -0.5]
    assert second[30:].tolist() == [-0.5, 0.5]
    central = kernel.observe(state)
    assert central.shape == (1, 1 + 2 * 31)
    assert central[0].tolist() == [0.0, *first[1:].tolist(), *second[1:].tolist()]
    kernel.step(state, np.array([[0, 0]]))
    assert kernel.observe(state)[0, 0] == 0.5


# ---- rules -----------------------------------------------------------------------------------------------------------
def test_greedy_takes_the_best_move_of_each_uav_in_turn():
    problem = row(6, starts=[0, 5], users=[1, 1, 4], slots=2, channel=None, interference=False)
    (episode,) = rollout(problem, GreedyFlight(), [None])
    kernel = UavKernel([problem])
    best = 0.0
    state = kernel.reset([None])
    for a in np.flatnonzero(kernel.mask(state)[0, 0]):
        copy = kernel.clone(state, [None], [0])
        best = max(best, kernel.step(copy, np.array([[a, 0]]))[0][0])
    first = kernel.clone(state, [None], [0])
    assert kernel.step(first, np.array([[episode.actions[0, 0], 0]]))[0][0] == best
    assert episode.value >= best


def test_crowds_are_reached_and_the_seed_decides():
    problem = row(9, starts=[3, 5], users=[0, 0, 0, 8, 8, 8], slots=8)
    values = {rollout(problem, FlyToCrowds(), [None], seed=s)[0].final.cells[-1].tolist().__repr__() for s in (0, 0, 1)}
    assert values == {"[0, 8]"}
    hover = rollout(problem, rules()["hover"], [None])[0]
    assert (hover.final.cells == hover.final.cells[0]).all()


@given(st.lists(networks(), min_size=2, max_size=3), SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_rule_decides_alike_alone_and_in_a_batch(problems, seed):
    for policy in rules().values():
        together = rollout(problems, policy, [None] * len(problems), seed=seed, kernel_options=COMPILED)
        for problem, episode in zip(problems, together, strict=True):
            (alone,) = rollout(problem, policy, [None], seed=seed, kernel_options=COMPILED)
            assert np.array_equal(alone.actions, episode.actions[:, : problem.n_uavs])


# ---- speed -----------------------------------------------------------------------------------------------------------
def test_a_batch_is_stepped_fast():
    """A floor far below what is measured (3 million joint steps a second), so that a busy machine does not fail."""
    problem = UavOffloading.generate(seed=1)
    kernel, rng = UavKernel([problem], **COMPILED), np.random.default_rng(0)
    state, spent = kernel.reset([None] * 2048, [0] * 2048), 0.0
    for _ in range(problem.n_slots - 1):
        actions = draw(kernel.mask(state), rng)
        begin = time.perf_counter()
        _, done = kernel.step(state, actions)
        spent += time.perf_counter() - begin
    assert done.all()
    assert 2048 * 19 / spent > 200_000
