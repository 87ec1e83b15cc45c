"""Tabular learners: their updates by hand, known optima of a small chain, budgets, seeds, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import orrl
from orrl.core import NotSupportedError, Support
from orrl.core.agents import IndexedKernel
from orrl.core.jit import Source
from orrl.core.types import Objective
from orrl.solvers.learners.sarsa import DoubleQ, ExpectedSarsa, QLearning, Sarsa, TabularTD
from orrl.solvers.learners.td_loop import SOURCE

LENGTH = 4
source = Source(tables={})


@source.add("void(f8[::1], i8[::1], f8[::1], f8[::1], i8[::1])", entry=True)
def reset(data, sizes, noise, memory, index):  # type: ignore[no-untyped-def]
    """Begin at the left end."""
    index[0] = 0
    memory[0] = 0.0


@source.add("b1(f8[::1], i8[::1], f8[::1], f8[::1], i8[::1], i8[::1], f8[::1])", entry=True)
def step(data, sizes, noise, memory, actions, index, rewards):  # type: ignore[no-untyped-def]
    """Action 1 walks to the right (slipping with a probability), 0 takes what lies here and ends."""
    here = np.int64(memory[0])
    if actions[0] == 2:  # never accepted
        memory[1] += 1.0
    if actions[0] == 0:
        rewards[0] = rewards[1] = data[1 + here]
        return True
    rewards[0] = rewards[1] = -1.0
    if noise[0] >= data[0]:
        here += 1
    memory[0] = here
    index[0] = here
    return here == sizes[0]


class Chain:
    """Walk right for -1 a step, or take the reward that lies here; at the right end nothing more comes."""

    name, content_hash, accrued, is_stochastic = "chain", "chain", 0.0, True
    objective = Objective("max", "reward")

    def __init__(self, slip: float = 0.0, prizes: tuple[float, ...] = (1.0, 2.0, 1.0, 8.0)) -> None:
        self.slip, self.prizes = slip, prizes

    def supports(self, capability: object) -> Support:
        return Support(True)

    def indexed_kernel(self, **options: Any) -> IndexedKernel:
        code = source.compiled()
        mask = np.ones((1, LENGTH + 1, 3), np.bool_)
        mask[:, :, 2] = False
        data = np.array([self.slip, *self.prizes])
        sizes = np.array([LENGTH], np.int64)
        return IndexedKernel(
            1, LENGTH + 1, 3, mask, 1, 200, data, sizes, 2, code.reset, code.step, lambda snapshot: np.array([snapshot])
        )

    def values(self) -> np.ndarray:
        """Value iteration: action values (S, 2) of an episode without an end."""
        q = np.zeros((LENGTH + 1, 2))
        for _ in range(500):
            v = q.max(axis=1)
            v[LENGTH] = 0.0
            for s in range(LENGTH):
                q[s] = self.prizes[s], -1.0 + self.slip * v[s] + (1 - self.slip) * v[s + 1]
        return q[:LENGTH]


def fit(cls: type[TabularTD], problem: Any, episodes: int = 20_000, seed: int = 0, **options: Any) -> Any:
    return cls(**options).fit(problem, budget=orrl.Budget(iterations=episodes), seed=seed)


WALK = {"epsilon": 0.0, "epsilon_end": 0.0, "alpha": 0.5, "gamma": 0.5, "check": 10**9}


@pytest.mark.parametrize("trace", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("cls", [Sarsa, ExpectedSarsa, QLearning])
def test_update_of_a_few_greedy_episodes(cls: type[TabularTD], trace: float) -> None:
    """Prizes of -9 send the greedy player on, one place more each episode; without exploring the three are one."""
    problem = Chain(prizes=(-9.0, -9.0, -9.0, -9.0))
    table = fit(cls, problem, 5, trace=trace, **WALK).tables["final"][0]
    by_hand = np.zeros((LENGTH + 1, 2))
    for _ in range(5):
        path, s = [], 0
        while True:
            a = int(by_hand[s].argmax())
            ends = a == 0 or s + 1 == LENGTH
            r = problem.prizes[s] if a == 0 else -1.0
            after = 0.0 if ends else by_hand[s + 1].max()  # nobody explores: the next action is the best one
            path.append((s, a))
            change = 0.5 * (r + 0.5 * after - by_hand[s, a])
            for age, (i, j) in enumerate(reversed(path)):
                by_hand[i, j] += change * (0.5 * trace) ** age
                if trace == 0.0:
                    break
            if ends:
                break
            s += 1
    np.testing.assert_allclose(table[:, :2], by_hand, atol=1e-12)
    assert (table[:, 2] == 0.0).all()


def test_three_episodes_with_numbers_written_out() -> None:
    """Step size 1/2, discount 1/2: the player takes -9 at place 0, then at 1, then at 2 after two steps right."""
    bad = Chain(prizes=(-9.0, -9.0, -9.0, -9.0))
    plain = fit(Sarsa, bad, 3, trace=0.0, **WALK).tables["final"][0]
    # at 0: -9/2. Then right from 0: -1/2, and -9/2 at 1. Then from 0: -0.5 + (-1 + 0/2 + 0.5)/2, and from 1: -1/2
    np.testing.assert_allclose(plain[:4, :2], [[-4.5, -0.75], [-4.5, -0.5], [-4.5, 0.0], [0.0, 0.0]])
    traced = fit(Sarsa, bad, 2, trace=0.5, **WALK).tables["final"][0]
    # the step right from 0 also takes a quarter (discount times lambda) of the -9/2 that came next
    np.testing.assert_allclose(traced[:2, :2], [[-4.5, -0.5 - 4.5 / 4], [-4.5, 0.0]])


def test_double_q_moves_one_of_two_tables() -> None:
    """After one episode the acting table, the mean of both, has taken half the step of a single table."""
    single = fit(QLearning, Chain(), 1, **WALK).tables["final"][0, 0, 0]
    double = fit(DoubleQ, Chain(), 1, **WALK).tables["final"][0, 0, 0]
    assert single == 0.5 and double == 0.25


def test_expected_sarsa_takes_the_mean_over_the_random_choice() -> None:
    """Always exploring, its values are those of the random player, which a linear recursion gives."""
    problem = Chain()
    options = {"epsilon": 1.0, "epsilon_end": 1.0, "alpha": 0.1, "alpha_end": 0.001, "gamma": 1.0}
    table = fit(ExpectedSarsa, problem, 30_000, **options).tables["final"][0]
    value, right = 0.0, np.zeros(LENGTH)
    for s in range(LENGTH - 1, -1, -1):
        right[s] = -1.0 + value
        value = 0.5 * (problem.prizes[s] + right[s])
    np.testing.assert_allclose(table[:LENGTH, 1], right, atol=0.05)


@pytest.mark.parametrize("cls", [Sarsa, ExpectedSarsa, QLearning, DoubleQ])
@pytest.mark.parametrize("slip", [0.0, 0.3])
def test_converges_to_the_values_of_value_iteration(cls: type[TabularTD], slip: float) -> None:
    problem = Chain(slip)
    options = {"trace": 0.0} if cls is DoubleQ else {}
    policy = fit(cls, problem, 60_000, epsilon_end=0.001, alpha_end=0.001, check=1000, **options)
    best = problem.values()
    assert (policy.tables["final"][0, :LENGTH, :2].argmax(axis=1) == best.argmax(axis=1)).all()
    assert policy.log["final"] == pytest.approx(best[0].max(), abs=0.3)
    if cls in (QLearning, ExpectedSarsa):
        np.testing.assert_allclose(policy.tables["final"][0, 0, :2], best[0], atol=0.3)


def test_the_best_is_never_worse_than_the_final_and_seeds_repeat() -> None:
    problem = Chain(0.2)
    a, b, c = (fit(Sarsa, problem, 3000, seed=s, restarts=2) for s in (1, 1, 2))
    assert a.log["best"] >= a.log["final"]
    assert all(np.array_equal(a.tables[k], b.tables[k]) for k in a.tables) and a.log["curve"] == b.log["curve"]
    assert not np.array_equal(a.tables["final"], c.tables["final"])


def test_budgets_end_a_training() -> None:
    problem = Chain(0.2)
    by_episodes = fit(Sarsa, problem, 1000).log
    assert 1000 <= by_episodes["episodes"] <= 1000 + 2 * 100  # a check of 100 episodes is not cut in two
    by_steps = Sarsa().fit(problem, budget=orrl.Budget(steps=5000)).log
    assert 5000 <= by_steps["steps"] <= 5000 + 2 * 100 * 200
    for budget in (orrl.Budget(seconds=0.3), orrl.Budget(cpu_seconds=0.3)):
        policy = Sarsa(restarts=3).fit(problem, budget=budget)
        assert 0.2 < policy.train_seconds < 1.5
    stopped = Sarsa().fit(problem, budget=orrl.Budget(seconds=60), callbacks=[lambda event: True])
    assert stopped.train_seconds < 5.0


def test_wrong_options_and_wrong_sources_are_refused() -> None:
    for wrong in ({"alpha": 0.0}, {"epsilon": 1.5}, {"kept": "worst"}, {"restarts": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Sarsa(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="double Q"):
        DoubleQ(trace=0.5)
    with pytest.raises(NotSupportedError, match="one problem"):
        fit(Sarsa, [Chain(), Chain()])
    shop = orrl.JobShop.generate(seed=0, jobs=3, machines=2)
    assert not Sarsa().supports(shop)
    with pytest.raises(NotSupportedError, match="cannot learn"):
        orrl.train(shop, "sarsa", budget=orrl.Budget(iterations=10))


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, 2.0])), max_size=40),
    st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_the_best_action_is_known_after_any_changes(changes: list[tuple[int, float]], accepted: list[bool]) -> None:
    """Kept up to date entry by entry, it is the first largest accepted one, ties included."""
    code = SOURCE.plain
    table, mask = np.zeros((1, 1, 5)), np.array([[accepted]])
    lead, second = np.full((1, 1), -1), np.zeros((1, 1))
    for action, value in changes:
        if not accepted[action]:
            continue
        code.put(table, lead, second, 0, 0, action, value)
        kept = np.where(mask[0, 0], table[0, 0], -np.inf)
        best = int(kept.argmax()) if kept.max() > -np.inf else 0
        assert lead[0, 0] in (-1, best)
        assert scanned(table, mask, lead, second) == best


def scanned(table: Any, mask: Any, lead: Any, second: Any) -> int:
    """What the plain functions say, `greedy` and the `scan` that it falls back on."""
    best = int(lead[0, 0])
    return best if best >= 0 else int(SOURCE.plain.scan(table, mask, lead, second, 0, 0))
