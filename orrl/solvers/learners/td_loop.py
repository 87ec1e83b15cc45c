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
# of each agent and row: the best action, -1 where not known, and what no other one exceeds
KNOWN = "i8[:, ::1], f8[:, ::1]"
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


# `scan` and `wander` stand apart so that what calls them is small and becomes a part of the loop
@SOURCE.add(f"i8(f8[:, :, ::1], MASK, {KNOWN}, i8, i8)")
def scan(table, mask, lead, second, u, row):  # type: ignore[no-untyped-def]
    """Best accepted action, the first of equals; 0 where none is accepted."""
    best, top, next_ = 0, -np.inf, -np.inf
    for a in range(table.shape[2]):
        value = table[u, row, a]
        if value > next_ and mask[u, row, a]:
            if value > top:
                best, top, next_ = a, value, top
            else:
                next_ = value
    lead[u, row], second[u, row] = best if top > -np.inf else -1, next_
    return best


@SOURCE.add(f"i8(f8[:, :, ::1], MASK, {KNOWN}, i8, i8)")
def greedy(table, mask, lead, second, u, row):  # type: ignore[no-untyped-def]
    """The same, where it is known."""
    best = lead[u, row]
    return best if best >= 0 else scan(table, mask, lead, second, u, row)


@SOURCE.add(f"void(f8[:, :, ::1], {KNOWN}, i8, i8, i8, f8)")
def put(table, lead, second, u, row, action, value):  # type: ignore[no-untyped-def]
    """Write an entry and keep what is known of the row's best action, which most changes leave as it is.

    `second` is at least every entry but the best one's; only where the best falls to it is the row scanned again.
    """
    old = table[u, row, action]
    table[u, row, action] = value
    best = lead[u, row]
    if action == best:
        if not (value >= old or value > second[u, row]):
            lead[u, row] = -1
    elif best >= 0 and value >= second[u, row]:
        top = table[u, row, best]
        if value > top or (value == top and action < best):
            lead[u, row] = action
        second[u, row] = min(value, top)


@SOURCE.add("i8(MASK, i8, i8, u8[::1])")
def wander(mask, u, row, random):  # type: ignore[no-untyped-def]
    """Any accepted action, -1 where none was found."""
    for _ in range(8 * mask.shape[2]):
        a = np.int64(uniform(random) * mask.shape[2])
        if mask[u, row, a]:
            return a
    return -1


@SOURCE.add(f"void(GAME, f8[:, :, ::1], {KNOWN}, f8, f8[::1], i8[::1], u8[::1])")
def episode(  # type: ignore[no-untyped-def]
    reset, step, data, sizes, mask, noise, memory, rewards, index,
    table, lead, second, discount, totals, counts, random,
):  # fmt: skip
    """Play greedily once; adds the discounted rewards to `totals` (N + 1,), the problem's own last."""
    agents = mask.shape[0]
    for i in range(len(noise)):
        noise[i] = uniform(random)
    reset(data, sizes, noise, memory, index[0])
    factor = 1.0
    for _ in range(counts[LONGEST]):
        for u in range(agents):
            index[1, u] = greedy(table, mask, lead, second, u, index[0, u])
        for i in range(len(noise)):
            noise[i] = uniform(random)
        done = step(data, sizes, noise, memory, index[1], index[0], rewards)
        counts[STEPS] += 1
        for u in range(agents + 1):
            totals[u] += factor * rewards[u]
        factor *= discount
        if done:
            break
    counts[EPISODES] += 1


@SOURCE.add(f"void(GAME, f8[:, :, ::1], {KNOWN}, f8, f8[:, ::1], i8[::1], u8[::1])", entry=True)
def sample(  # type: ignore[no-untyped-def]
    reset, step, data, sizes, mask, noise, memory, rewards, index,
    table, lead, second, discount, found, counts, random,
):  # fmt: skip
    """Discounted rewards (episodes, N + 1) of greedy episodes, one by one."""
    for i in range(found.shape[0]):
        found[i] = 0.0
        episode(
            reset, step, data, sizes, mask, noise, memory, rewards, index,
            table, lead, second, discount, found[i], counts, random,
        )  # fmt: skip


@SOURCE.add(f"void(GAME, f8[:, :, ::1], {KNOWN}, f8[:, :, ::1], f8[::1], f8[::1], i8[::1], u8[::1])", entry=True)
def look(  # type: ignore[no-untyped-def]
    reset, step, data, sizes, mask, noise, memory, rewards, index,
    table, lead, second, best, totals, numbers, counts, draws,
):  # fmt: skip
    """Play greedily and keep the table where it is the best so far; all looks of a training see the same draws."""
    draws[0] = draws[1]
    totals[:] = 0.0
    for _ in range(counts[PLAYS]):
        episode(
            reset, step, data, sizes, mask, noise, memory, rewards, index,
            table, lead, second, numbers[DISCOUNT], totals, counts, draws,
        )  # fmt: skip
    value = totals[len(totals) - 1] / counts[PLAYS]
    numbers[LAST] = value
    if counts[CHECKS] == 0 or value > numbers[BEST]:
        numbers[BEST] = value
        counts[FOUND] = counts[EPISODES]
        for u in range(table.shape[0]):
            for row in range(table.shape[1]):
                for a in range(table.shape[2]):
                    best[u, row, a] = table[u, row, a]
    counts[CHECKS] += 1


@SOURCE.add(
    "void(GAME, f8[:, :, :, ::1], i8[:, :, ::1], f8[:, :, ::1], f8[:, :, ::1], i8[:, ::1], f8[::1], f8[::1], "
    "i8[::1], u8[::1], u8[::1])",
    entry=True,
)
def train(  # type: ignore[no-untyped-def]
    reset, step, data, sizes, mask, noise, memory, rewards, index,
    tables, leads, seconds, best, trail, totals, numbers, counts, random, draws,
):  # fmt: skip
    """Train up to the next pause; the schedules follow this run's share of the budget, and are at least at `FLOOR`."""
    agents, choices = mask.shape[0], mask.shape[2]
    rule, gamma, fade = counts[RULE], numbers[GAMMA], numbers[GAMMA] * numbers[TRACE]
    table, lead, second = tables[0], leads[0], seconds[0]
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
            index[1, u] = -1
            if epsilon > 0.0 and uniform(random) < epsilon:  # the epsilon-greedy choice, written out twice for speed
                index[1, u] = wander(mask, u, index[0, u], random)
            if index[1, u] < 0:
                index[1, u] = greedy(table, mask, lead, second, u, index[0, u])
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
                    following = -1
                    if epsilon > 0.0 and uniform(random) < epsilon:
                        following = wander(mask, u, after, random)
                    if following < 0:
                        following = greedy(table, mask, lead, second, u, after)
                    if rule == SARSA:
                        value = table[u, after, following]
                    elif rule != DOUBLE:
                        ahead = greedy(table, mask, lead, second, u, after)
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
                        ahead = greedy(tables[one], mask, leads[one], seconds[one], u, after)
                        value = tables[3 - one, u, after, ahead]
                    change = alpha * (rewards[u] + gamma * value - tables[one, u, row, action])
                    put(tables[one], leads[one], seconds[one], u, row, action, tables[one, u, row, action] + change)
                    # the mean of the two acts
                    put(table, lead, second, u, row, action, table[u, row, action] + 0.5 * change)
                else:
                    change = alpha * (rewards[u] + gamma * value - table[u, row, action])
                    if fade == 0.0:
                        put(table, lead, second, u, row, action, table[u, row, action] + change)
                    else:
                        length = trail.shape[1] - 1
                        trail[u, 1 + t % length] = row * choices + action
                        trail[u, 0] = min(trail[u, 0] + 1, length)
                        for back in range(trail[u, 0]):
                            place = trail[u, 1 + (t - back) % length]
                            i, j = place // choices, place % choices
                            put(table, lead, second, u, i, j, table[u, i, j] + change)
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
            look(
                reset, step, data, sizes, mask, noise, memory, rewards, index,
                table, lead, second, best, totals, numbers, counts, draws,
            )  # fmt: skip


class Training:
    """Tables and counters of one call of `fit`."""

    def __init__(self, learner: TabularTD, game: IndexedKernel, code: Any, discount: float, seed: int) -> None:
        self.learner, self.code = learner, code
        plays = learner.plays or (1 if game.draws == 0 else 100)
        gamma = discount if learner.gamma is None else learner.gamma
        shape = (game.agents, game.states, game.actions)
        self.tables = np.zeros((3 if learner.rule == DOUBLE else 1, *shape))
        self.leads = np.full(self.tables.shape[:3], -1, np.int64)
        self.seconds = np.zeros(self.tables.shape[:3])
        self.best = np.zeros(shape)
        fade = gamma * learner.trace
        length = 1 if fade == 0.0 else game.horizon
        if 0.0 < fade < 1.0:
            length = min(length, 1 + int(np.log(FAINT) / np.log(fade)))
        self.trail = np.zeros((game.agents, 1 + length), np.int64)
        self.totals = np.zeros(game.agents + 1)
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
        self.leads[:] = -1
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
            *self.game, self.tables, self.leads, self.seconds, self.best, self.trail, self.totals, self.numbers,
            self.counts, self.random, self.draws,
        )  # fmt: skip

    @property
    def ended(self) -> bool:
        """Whether this run has had its episodes or steps."""
        return bool(self.episodes >= self.last or self.steps >= self.counts[UNTIL_STEP])

    def finish(self) -> float:
        """Look at the last tables of a run too; their value."""
        known = self.tables[0], self.leads[0], self.seconds[0]
        self.code.look(*self.game, *known, self.best, self.totals, self.numbers, self.counts, self.draws)
        return float(self.numbers[LAST])
