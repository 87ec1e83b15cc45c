"""The loop of the tabular learners, compiled once for all problems, and one training's arrays.

The problem brings its transition as two compiled functions (`HasIndexedKernel`); they are handed to the loop as values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.jit import Source
from ...core.seeds import stream

if TYPE_CHECKING:
    from ...core.agents import IndexedKernel
    from .sarsa import TabularTD

__all__ = ["BEST", "CHECKS", "DOUBLE", "EXPECTED", "FOUND", "SARSA", "SOURCE", "Q", "Training"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SARSA, EXPECTED, Q, DOUBLE = range(4)
FAINT = 1e-3  # a trace below this is over

RESET = "void(f8[::1], i8[::1], f8[::1], f8[::1], i8[::1])"
STEP = "b1(f8[::1], i8[::1], f8[::1], f8[::1], i8[::1], i8[::1], f8[::1])"
GAME = {
    "RESET": f"function({RESET})",
    "STEP": f"function({STEP})",
    "DATA": "f8[::1]",
    "SIZES": "i8[::1]",
    "MASK": "b1[:, :, ::1]",
    "NOISE": "f8[::1]",
    "MEMORY": "f8[::1]",
    "REWARDS": "f8[::1]",
    "INDEX": "i8[:, ::1]",  # rows and actions, now and next: (4, N)
}
# `numbers` (12,): settings, how far the schedules are, the greedy policy's best and last value
ALPHA, ALPHA_END, EPSILON, EPSILON_END, GAMMA, TRACE, DISCOUNT, PER_EPISODE, PER_STEP, FLOOR, BEST, LAST = range(12)
# `counts` (13,): settings, where this run began and where to pause, what has been done, the episode of the best look
RULE, CHECK, PLAYS, LONGEST, BASE, BASE_STEP, UNTIL, UNTIL_STEP, EPISODES, STEPS, TRAINED, CHECKS, FOUND = range(13)

SOURCE = Source(tables=GAME, all_tables="GAME")


@SOURCE.add("f8(u8[::1])")
def uniform(random):  # type: ignore[no-untyped-def]
    """Number in [0, 1) of the generator splitmix64 (Steele, Lea & Flood 2014)."""
    random[0] += np.uint64(0x9E3779B97F4A7C15)
    z = random[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.float64((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@SOURCE.add("i8(f8[:, :, ::1], MASK, i8, i8)")
def greedy(table, mask, u, row):  # type: ignore[no-untyped-def]
    """Best accepted action, the first of equals; 0 where none is accepted."""
    best, top = 0, -np.inf
    for a in range(table.shape[2]):
        if mask[u, row, a] and table[u, row, a] > top:
            best, top = a, table[u, row, a]
    return best


@SOURCE.add("i8(f8[:, :, ::1], MASK, i8, i8, f8, u8[::1])")
def choose(table, mask, u, row, epsilon, random):  # type: ignore[no-untyped-def]
    """Epsilon-greedy action among the accepted ones."""
    if epsilon > 0.0 and uniform(random) < epsilon:
        for _ in range(8 * mask.shape[2]):
            a = np.int64(uniform(random) * mask.shape[2])
            if mask[u, row, a]:
                return a
    return greedy(table, mask, u, row)


@SOURCE.add("f8(GAME, f8[:, :, ::1], i8, f8, i8[::1], u8[::1])", entry=True)
def play(  # type: ignore[no-untyped-def]
    reset, step, data, sizes, mask, noise, memory, rewards, index, table, plays, discount, counts, random
):
    """Mean of the problem's own discounted return over greedy episodes."""
    agents = mask.shape[0]
    total = 0.0
    for _ in range(plays):
        for i in range(len(noise)):
            noise[i] = uniform(random)
        reset(data, sizes, noise, memory, index[0])
        factor = 1.0
        for _ in range(counts[LONGEST]):
            for u in range(agents):
                index[1, u] = greedy(table, mask, u, index[0, u])
            for i in range(len(noise)):
                noise[i] = uniform(random)
            done = step(data, sizes, noise, memory, index[1], index[0], rewards)
            counts[STEPS] += 1
            total += factor * rewards[agents]
            factor *= discount
            if done:
                break
    counts[EPISODES] += plays
    return total / plays


@SOURCE.add("void(GAME, f8[:, :, ::1], f8[:, :, ::1], f8[::1], i8[::1], u8[::1])", entry=True)
def look(  # type: ignore[no-untyped-def]
    reset, step, data, sizes, mask, noise, memory, rewards, index, table, best, numbers, counts, draws
):
    """Play greedily and keep the table where it is the best so far; all looks of a training see the same draws."""
    draws[0] = draws[1]
    value = play(
        reset, step, data, sizes, mask, noise, memory, rewards, index,
        table, counts[PLAYS], numbers[DISCOUNT], counts, draws,
    )  # fmt: skip
    numbers[LAST] = value
    if counts[CHECKS] == 0 or value > numbers[BEST]:
        numbers[BEST] = value
        counts[FOUND] = counts[EPISODES]
        for u in range(table.shape[0]):
            for row in range(table.shape[1]):
                for a in range(table.shape[2]):
                    best[u, row, a] = table[u, row, a]
    counts[CHECKS] += 1


@SOURCE.add("void(GAME, f8[:, :, :, ::1], f8[:, :, ::1], i8[:, ::1], f8[::1], i8[::1], u8[::1], u8[::1])", entry=True)
def train(  # type: ignore[no-untyped-def]
    reset, step, data, sizes, mask, noise, memory, rewards, index,
    tables, best, trail, numbers, counts, random, draws,
):  # fmt: skip
    """Train up to the next pause; the schedules follow this run's share of the budget, and are at least at `FLOOR`."""
    agents, choices = mask.shape[0], mask.shape[2]
    rule, gamma, fade = counts[RULE], numbers[GAMMA], numbers[GAMMA] * numbers[TRACE]
    table = tables[0]
    while counts[EPISODES] < counts[UNTIL] and counts[STEPS] < counts[UNTIL_STEP]:
        used = max(numbers[FLOOR], (counts[EPISODES] - counts[BASE]) * numbers[PER_EPISODE])
        used = min(1.0, max(used, (counts[STEPS] - counts[BASE_STEP]) * numbers[PER_STEP]))
        epsilon, alpha = numbers[EPSILON], numbers[ALPHA]
        if epsilon > 0.0:
            epsilon *= (max(numbers[EPSILON_END], 1e-12) / epsilon) ** used
        if numbers[ALPHA_END] != alpha:
            alpha *= (numbers[ALPHA_END] / alpha) ** used
        for i in range(len(noise)):
            noise[i] = uniform(random)
        reset(data, sizes, noise, memory, index[0])
        for u in range(agents):
            index[1, u] = choose(table, mask, u, index[0, u], epsilon, random)
            index[2, u] = index[0, u]
            trail[u, 0] = 0  # steps on the trace
        for t in range(counts[LONGEST]):
            for i in range(len(noise)):
                noise[i] = uniform(random)
            done = step(data, sizes, noise, memory, index[1], index[2], rewards)
            for u in range(agents):
                row, action, after = index[0, u], index[1, u], index[2, u]
                ahead, value, following = 0, 0.0, 0
                if not done:
                    following = choose(table, mask, u, after, epsilon, random)
                    if rule == SARSA:
                        value = table[u, after, following]
                    elif rule != DOUBLE:
                        ahead = greedy(table, mask, u, after)
                        value = table[u, after, ahead]
                        if rule == EXPECTED:
                            mean, number = 0.0, 0
                            for a in range(choices):
                                if mask[u, after, a]:
                                    mean += table[u, after, a]
                                    number += 1
                            value += epsilon * (mean / number - value)
                if rule == DOUBLE:
                    one = 1 if uniform(random) < 0.5 else 2
                    if not done:
                        value = tables[3 - one, u, after, greedy(tables[one], mask, u, after)]
                    change = alpha * (rewards[u] + gamma * value - tables[one, u, row, action])
                    tables[one, u, row, action] += change
                    table[u, row, action] += 0.5 * change  # the mean of the two, which acts
                else:
                    change = alpha * (rewards[u] + gamma * value - table[u, row, action])
                    if fade == 0.0:
                        table[u, row, action] += change
                    else:
                        length = trail.shape[1] - 1
                        trail[u, 1 + t % length] = row * choices + action
                        trail[u, 0] = min(trail[u, 0] + 1, length)
                        for back in range(trail[u, 0]):
                            place = trail[u, 1 + (t - back) % length]
                            table[u, place // choices, place % choices] += change
                            change *= fade
                        if rule == Q and following != ahead:
                            trail[u, 0] = 0
                index[0, u], index[1, u] = after, following
            counts[STEPS] += 1
            if done:
                break
        counts[EPISODES] += 1
        counts[TRAINED] += 1
        if counts[TRAINED] % counts[CHECK] == 0:
            look(reset, step, data, sizes, mask, noise, memory, rewards, index, table, best, numbers, counts, draws)


class Training:
    """Tables and counters of one call of `fit`."""

    def __init__(self, learner: TabularTD, game: IndexedKernel, code: Any, discount: float, seed: int) -> None:
        self.learner, self.code = learner, code
        plays = learner.plays or (1 if game.draws == 0 else 100)
        gamma = discount if learner.gamma is None else learner.gamma
        shape = (game.agents, game.states, game.actions)
        self.tables = np.zeros((3 if learner.rule == DOUBLE else 1, *shape))
        self.best = np.zeros(shape)
        fade = gamma * learner.trace
        length = 1 if fade == 0.0 else game.horizon
        if 0.0 < fade < 1.0:
            length = min(length, 1 + int(np.log(FAINT) / np.log(fade)))
        self.trail = np.zeros((game.agents, 1 + length), np.int64)
        self.numbers, self.counts = np.zeros(12), np.zeros(13, np.int64)
        alpha = learner.alpha, learner.alpha if learner.alpha_end is None else learner.alpha_end
        self.numbers[:7] = *alpha, learner.epsilon, learner.epsilon_end, gamma, learner.trace, discount
        self.numbers[[BEST, LAST]] = -np.inf
        self.counts[:4] = learner.rule, learner.check, plays, game.horizon
        draw = stream(seed, "tabular")
        self.random = draw.integers(2**63, size=1).astype(np.uint64)
        self.draws = np.repeat(draw.integers(2**63, size=1).astype(np.uint64), 2)
        mask = np.ascontiguousarray(game.mask)
        noise, memory, rewards = np.zeros(game.draws), np.zeros(game.memory), np.zeros(game.agents + 1)
        index = np.zeros((4, game.agents), np.int64)
        self.game = (game.reset, game.step, game.data, game.sizes, mask, noise, memory, rewards, index)

    @property
    def episodes(self) -> int:
        """Episodes so far, greedy ones included."""
        return int(self.counts[EPISODES])

    @property
    def steps(self) -> int:
        """Joint steps so far, greedy ones included."""
        return int(self.counts[STEPS])

    def begin(self, turn: int, episodes: int | None, steps: int | None) -> None:
        """Fresh tables for the next of the runs that share the budget."""
        runs = self.learner.restarts
        self.tables[:] = self.learner.initial
        self.counts[[BASE, BASE_STEP]] = self.counts[[EPISODES, STEPS]]
        never = np.iinfo(np.int64).max
        self.last = never if episodes is None else max(1, episodes * (turn + 1) // runs)
        self.counts[UNTIL_STEP] = never if steps is None else max(1, steps * (turn + 1) // runs)
        self.numbers[PER_EPISODE] = 0.0 if episodes is None else 1.0 / max(1, self.last - self.episodes)
        self.numbers[PER_STEP] = 0.0 if steps is None else 1.0 / max(1, int(self.counts[UNTIL_STEP]) - self.steps)

    def train(self, episodes: int, floor: float) -> None:
        """Some more episodes."""
        self.counts[UNTIL] = min(self.last, self.episodes + episodes)
        self.numbers[FLOOR] = floor
        self.code.train(
            *self.game, self.tables, self.best, self.trail, self.numbers, self.counts, self.random, self.draws
        )

    @property
    def ended(self) -> bool:
        """Whether this run has had its episodes or steps."""
        return bool(self.episodes >= self.last or self.steps >= self.counts[UNTIL_STEP])

    def finish(self) -> float:
        """Look at the last tables of a run too; their value."""
        self.code.look(*self.game, self.tables[0], self.best, self.numbers, self.counts, self.draws)
        return float(self.numbers[LAST])
