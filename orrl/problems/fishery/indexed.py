"""A fishery over table rows: the transition that tabular learners are handed as two compiled functions.

The row is the true stock ("state"), the survey ("raw"), or a bin of the posterior mean ("belief"); a belief costs S * S
operations a year, the others a few look-ups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from ...core.agents import IndexedKernel
from ...core.errors import DataError
from ...core.jit import Source
from .belief import prior
from .steps import cumulated, guides
from .stocks import start_law

if TYPE_CHECKING:
    from .data import Fishery, FisheryState

__all__ = ["Row", "indexed_kernel", "source"]

Row = Literal["state", "raw", "belief"]
IntArray = npt.NDArray[np.int64]

# `sizes`: counts, what a row is, first stage, T, whether a survey precedes the first decision, the first survey,
# present stock (-1: draw it); then guides of transition, survey and start, and the index (S, Q)
STOCKS, POINTS, SURVEYS, QUOTAS, EFFORTS, ROW, STAGE, YEARS, SURVEYED, SEEN, HERE, HEAD = range(12)
# `data`: cumulated transition (E, S), surveys (F * S, O), start (S,); reward (S, F * Q); then, for beliefs, the first
# one (S,), rows (E, S), laws (F, O, S)
# `memory`: stage, stock, belief (S,), what is left (E,)

TIE = 1e-9  # a mean half-way between two stocks goes to the lower one, whatever the rounding

source = Source(tables={})


@source.add("i8(f8[::1], i8[::1], i8, i8, i8, f8)")
def search(data, sizes, cdf, guide, n, u):  # type: ignore[no-untyped-def]
    """First of n points whose cumulated law, at `cdf` in the data, exceeds u."""
    k = sizes[guide + int(u * n)]
    while k < n - 1 and data[cdf + k] <= u:
        k += 1
    return k


@source.add("i8(f8[::1], i8[::1], f8[::1], i8, i8, i8)")
def learn(data, sizes, memory, quota, effort, seen):  # type: ignore[no-untyped-def]
    """Move the belief by a quota (-1: none) and a survey (-1: none); the number of the stock nearest its mean."""
    s, e, o, q, f = sizes[STOCKS], sizes[POINTS], sizes[SURVEYS], sizes[QUOTAS], sizes[EFFORTS]
    first = e * s + f * s * o + s + s * f * q
    rows, laws = first + s, first + s + e * s
    belief, left = memory[2 : 2 + s], memory[2 + s : 2 + s + e]
    if quota >= 0:
        index = HEAD + e * s + f * s * o + s
        for k in range(e):
            left[k] = 0.0
        for x in range(s):
            left[sizes[index + x * q + quota]] += belief[x]
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
        x = search(data, sizes, start, HEAD + start, s, noise[0])
        if sizes[SURVEYED]:
            law = e * s + x * o
            y = search(data, sizes, law, HEAD + law, o, noise[1])
    memory[0], memory[1] = sizes[STAGE], x
    if sizes[ROW] == 0:
        index[0] = x
    elif sizes[ROW] == 1:
        index[0] = y
    else:
        first = e * s + f * s * o + s + s * f * q
        for k in range(s):
            memory[2 + k] = data[first + k]
        fresh = sizes[HERE] < 0 and sizes[SURVEYED]
        index[0] = learn(data, sizes, memory, -1, 0, y if fresh else -1)


@source.add("b1(f8[::1], i8[::1], f8[::1], f8[::1], i8[::1], i8[::1], f8[::1])", entry=True)
def step(data, sizes, noise, memory, actions, index, rewards):  # type: ignore[no-untyped-def]
    """One year: catch, growth (noise 0), survey (noise 1)."""
    s, e, o, f, q = sizes[STOCKS], sizes[POINTS], sizes[SURVEYS], sizes[EFFORTS], sizes[QUOTAS]
    x = int(memory[1])
    quota, effort = actions[0] % q, actions[0] // q
    laws = e * s
    start = laws + f * s * o
    gain = data[start + s + x * f * q + actions[0]]
    row = sizes[HEAD + start + s + x * q + quota] * s
    x = search(data, sizes, row, HEAD + row, s, noise[0])
    memory[0] += 1.0
    memory[1] = x
    if sizes[ROW] == 0:
        index[0] = x
    else:
        law = laws + (effort * s + x) * o
        y = search(data, sizes, law, HEAD + law, o, noise[1])
        index[0] = y if sizes[ROW] == 1 else learn(data, sizes, memory, quota, effort, y)
    rewards[0] = gain
    rewards[1] = gain
    return memory[0] >= sizes[YEARS]


def indexed_kernel(problem: Fishery, *, state: Row = "state") -> IndexedKernel:
    """Tables' view of a fishery on its grid.

    Parameters
    ----------
    state : {"state", "raw", "belief"}
        The row is the number of the stock (a perfect survey: what a policy on it earns cannot be had), of the survey,
        or of the stock nearest the posterior mean.
    """
    if state not in get_args(Row):
        raise DataError(f"state is {state!r}: give 'state', 'raw' or 'belief'")
    code = source.compiled()
    g = problem.grids
    cdf, seen = cumulated(g.rows), cumulated(g.laws.reshape(-1, g.laws.shape[2]))
    start = cumulated(start_law(problem))[None]
    believed = [problem.belief, g.rows.ravel(), g.by_survey.ravel()] if state == "belief" else []
    known = problem.state
    first = g.nearest_survey(prior(problem) @ g.stocks if known is None else known.seen[-1])
    here = -1 if known is None else problem.state_index(known)
    f, s, o = g.laws.shape
    q, e = len(g.quotas), len(g.left)
    rows = o if state == "raw" else s
    head = [s, e, o, q, f, get_args(Row).index(state), problem.stage, problem.years, problem.survey_first, first, here]
    return IndexedKernel(
        agents=1,
        states=rows,
        actions=f * q,
        mask=np.ones((1, rows, f * q), np.bool_),
        draws=2,
        horizon=problem.years - problem.stage,
        data=np.concatenate([cdf.ravel(), seen.ravel(), start.ravel(), g.reward.ravel(), *believed]),
        sizes=np.concatenate(
            [head, guides(cdf).ravel(), guides(seen).ravel(), guides(start).ravel(), g.index.ravel()]
        ).astype(np.int64),
        memory=2 + s + e,
        reset=code.reset,
        step=code.step,
        rows=_Rows(problem, state),
    )  # fmt: skip


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
