"""A fishery over table rows: the transition that tabular learners are handed as two compiled functions.

The row is the true stock ("state"), the survey ("raw"), or a bin of the posterior mean ("belief"); a belief costs S * S
operations a year, the others a few look-ups. An episode ends at a stock from which nothing can be earned any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ...core.agents import IndexedKernel
from ...core.errors import DataError
from ...core.jit import Source
from ...core.tabular_lp import risky
from .belief import prior
from .steps import cumulated, guides
from .stocks import start_law

if TYPE_CHECKING:
    from .data import Fishery, FisheryState

__all__ = ["Row", "indexed_kernel", "source"]

Row = Literal["state", "raw", "belief"]
IntArray = npt.NDArray[np.int64]

# `sizes`: counts, what a row is, first stage, T, whether a survey precedes the first decision, the first survey,
# present stock (-1: draw it), the lost stock (-1: none); then the guides, one number a point of the laws below
STOCKS, POINTS, SURVEYS, QUOTAS, EFFORTS, ROW, STAGE, YEARS, SURVEYED, SEEN, HERE, LOST, HEAD = range(13)
# `data`: cumulated transition (E, S), surveys (F * S, O), start (S,); reward and number of what is left (S, F * Q, 2);
# then, for beliefs, the first one (S,), rows (E, S), laws (F, O, S); then the price of each stock (S,), of the lost
# one, and the discount
# `memory`: stage, stock, belief (S,), what is left (E,)

FINE, BITS = 4, 16  # so many marks a point, packed into one number: little to search, little memory to reach
TIE = 1e-9  # a mean half-way between two stocks goes to the lower one, whatever the rounding

source = Source(tables={})


@source.add("i8(f8[::1], i8[::1], i8, i8, f8)")
def search(data, sizes, cdf, n, u):  # type: ignore[no-untyped-def]
    """First of n points whose cumulated law, at `cdf` in the data, exceeds u."""
    mark = int(u * (FINE * n))
    k = (sizes[HEAD + cdf + mark // FINE] >> (BITS * (mark % FINE))) & ((1 << BITS) - 1)
    while k < n - 1 and data[cdf + k] <= u:
        k += 1
    return k


@source.add("i8(f8[::1], i8[::1], f8[::1], i8, i8, i8)")
def learn(data, sizes, memory, quota, effort, seen):  # type: ignore[no-untyped-def]
    """Move the belief by a quota (-1: none) and a survey (-1: none); the number of the stock nearest its mean."""
    s, e, o, q, f = sizes[STOCKS], sizes[POINTS], sizes[SURVEYS], sizes[QUOTAS], sizes[EFFORTS]
    gains = e * s + f * s * o + s
    first = gains + 2 * s * f * q
    rows, laws = first + s, first + s + e * s
    belief, left = memory[2 : 2 + s], memory[2 + s : 2 + s + e]
    if quota >= 0:
        for k in range(e):
            left[k] = 0.0
        for x in range(s):
            left[int(data[gains + 2 * (x * f * q + quota) + 1])] += belief[x]
        for x in range(s):
            belief[x] = 0.0
        for k in range(e):
            if left[k] > 0.0:
                weight, row = left[k], rows + k * s
                for x in range(s):
                    belief[x] += weight * data[row + x]
    if seen >= 0:
        law = laws + (effort * o + seen) * s
        total = 0.0
        for x in range(s):
            total += belief[x] * data[law + x]
        if total > 0.0:
            for x in range(s):
                belief[x] *= data[law + x] / total
    mean = 0.0
    for x in range(s):
        mean += x * belief[x]
    return int(mean + 0.5 - TIE)


@source.add("void(f8[::1], i8[::1], f8[::1], f8[::1], i8[::1])", entry=True)
def reset(data, sizes, noise, memory, index):  # type: ignore[no-untyped-def]
    """Begin: draw the first stock (noise 0) and, where there is one, the first survey (noise 1)."""
    s, e, o, f, q = sizes[STOCKS], sizes[POINTS], sizes[SURVEYS], sizes[EFFORTS], sizes[QUOTAS]
    x, y = sizes[HERE], sizes[SEEN]
    if x < 0:
        start = e * s + f * s * o
        x = search(data, sizes, start, s, noise[0])
        if sizes[SURVEYED] and len(noise) > 1:
            law = e * s + x * o
            y = search(data, sizes, law, o, noise[1])
    memory[0], memory[1] = sizes[STAGE], x
    if sizes[ROW] == 0:
        index[0] = x
    elif sizes[ROW] == 1:
        index[0] = y
    else:
        first = e * s + f * s * o + s + 2 * s * f * q
        for k in range(s):
            memory[2 + k] = data[first + k]
        fresh = sizes[HERE] < 0 and sizes[SURVEYED]
        index[0] = learn(data, sizes, memory, -1, 0, y if fresh else -1)


@source.add("b1(f8[::1], i8[::1], f8[::1], f8[::1], i8[::1], i8[::1], f8[::1])", entry=True)
def step(data, sizes, noise, memory, actions, index, rewards):  # type: ignore[no-untyped-def]
    """One year: catch, growth (noise 0), survey (noise 1)."""
    s, e, o, f, q = sizes[STOCKS], sizes[POINTS], sizes[SURVEYS], sizes[EFFORTS], sizes[QUOTAS]
    past = int(memory[1])
    laws = e * s
    here = laws + f * s * o + s + 2 * (past * f * q + actions[0])
    gain, row = data[here], int(data[here + 1]) * s
    x = search(data, sizes, row, s, noise[0])
    memory[0] += 1.0
    memory[1] = x
    if sizes[ROW] == 0:
        index[0] = x
    else:
        quota, effort = actions[0] % q, actions[0] // q
        law = laws + (effort * s + x) * o
        y = search(data, sizes, law, o, noise[1])
        index[0] = y if sizes[ROW] == 1 else learn(data, sizes, memory, quota, effort, y)
    tail = len(data) - 2
    rewards[0] = gain - data[tail - s + past]
    rewards[1] = gain
    if x != sizes[LOST]:
        return memory[0] >= sizes[YEARS]
    factor = data[tail + 1]
    for _ in range(sizes[YEARS] - int(memory[0]) if data[tail] != 0.0 else 0):  # what would still be paid
        rewards[0] -= factor * data[tail]
        factor *= data[tail + 1]
    return True


def indexed_kernel(problem: Fishery, *, state: Row = "state", price: float = 0.0, risk: Any = None) -> IndexedKernel:
    """Tables' view of a fishery on its grid.

    Parameters
    ----------
    state : {"state", "raw", "belief"}
        The row is the number of the stock (a perfect survey: what a policy on it earns cannot be had), of the survey,
        or of the stock nearest the posterior mean.
    price : float
        What learners pay for each year that begins in a state of risk; the problem's own reward stays.
    risk : sequence, optional
        States of risk as a mask, numbers or names; those below B_lim by default.
    """
    if state not in get_args(Row):
        raise DataError(f"state is {state!r}: give 'state', 'raw' or 'belief'")
    code = source.compiled()
    g = problem.grids
    cdf, seen = cumulated(g.rows), cumulated(g.laws.reshape(-1, g.laws.shape[2]))
    start = cumulated(start_law(problem))[None]
    charged = price * risky(problem, risk) if price else np.zeros(len(g.stocks))
    lost = _lost(problem)
    priced = [charged, [charged[lost] if lost >= 0 else 0.0, problem.discount]]
    believed = [problem.belief, g.rows.ravel(), g.by_survey.ravel()] if state == "belief" else []
    known = problem.state
    first = g.nearest_survey(prior(problem) @ g.stocks if known is None else known.seen[-1])
    here = -1 if known is None else problem.state_index(known)
    f, s, o = g.laws.shape
    q, e = len(g.quotas), len(g.left)
    gains = np.stack([g.reward.reshape(s, -1), np.tile(g.index, (1, f))], axis=-1)
    rows = o if state == "raw" else s
    row, years = get_args(Row).index(state), [problem.stage, problem.years]
    head = [s, e, o, q, f, row, *years, problem.survey_first, first, here, lost]
    return IndexedKernel(
        agents=1,
        states=rows,
        actions=f * q,
        mask=np.ones((1, rows, f * q), np.bool_),
        draws=1 if state == "state" else 2,
        horizon=problem.years - problem.stage,
        data=np.concatenate([cdf.ravel(), seen.ravel(), start.ravel(), gains.ravel(), *believed, *priced]),
        sizes=np.concatenate([head, *(_packed(law) for law in (cdf, seen, start))]).astype(np.int64),
        memory=2 + s + e,
        reset=code.reset,
        step=code.step,
        rows=_Rows(problem, state),
    )  # fmt: skip


def _packed(cdf: npt.NDArray[np.float64]) -> IntArray:
    """Guides of a law, FINE of them to a number."""
    marks = guides(cdf, FINE).reshape(-1, FINE)
    return np.asarray((marks << BITS * np.arange(FINE)).sum(axis=1), np.int64)


def _lost(problem: Fishery) -> int:
    """Stock that stays where it is and earns nothing, whatever is done; -1 where there is none."""
    g = problem.grids
    here = np.arange(len(g.stocks))
    stays = (g.rows[g.index, here[:, None]] == 1.0).all(axis=1)
    idle = np.flatnonzero(stays & (g.reward.reshape(len(here), -1) == 0.0).all(axis=1))
    return int(idle[0]) if len(idle) else -1


class _Rows:
    """Row (1,) of a snapshot."""

    def __init__(self, problem: Fishery, state: Row) -> None:
        self.problem, self.state = problem, state

    def __call__(self, snapshot: FisheryState) -> IntArray:
        g = self.problem.grids
        if self.state == "state":
            return np.array([g.nearest_stock(snapshot.stock[-1])], np.int64)
        if self.state == "raw":
            return np.array([g.nearest_survey(snapshot.seen[-1])], np.int64)
        return np.array([int(self.problem.at(snapshot).belief @ np.arange(len(g.stocks)) + 0.5 - TIE)], np.int64)
