"""The one transition function, over a batch of problems of mixed size: all laws are rows of one sorted list."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...core.errors import DataError
from .data import TabularState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import Draws, TabularPOMDP

__all__ = ["Rows", "TabularKernel", "belief"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Show = Literal["raw", "belief", "state"]


class Laws:
    """Laws of many rows, drawn by inversion: row r holds the keys (r, r + 1], so that one search serves a batch."""

    def __init__(self, matrices: Sequence[Any]) -> None:
        counts, columns, keys, r = [], [], [], 0
        for matrix in matrices:
            for i in range(matrix.shape[0]):
                begin, end = matrix.indptr[i], matrix.indptr[i + 1]
                key = np.cumsum(matrix.data[begin:end])
                key[-1:] = 1.0
                keys.append(r + key)
                columns.append(matrix.indices[begin:end])
                counts.append(end - begin)
                r += 1
        self.ends = np.cumsum(counts)
        self.columns = np.concatenate(columns).astype(np.int64)
        self.keys = np.concatenate(keys)

    def draw(self, rows: IntArray, u: FloatArray) -> IntArray:
        """Columns (B,) of rows (B,) at u (B,) in [0, 1)."""
        found = np.minimum(np.searchsorted(self.keys, rows + u, side="right"), self.ends[rows] - 1)
        return self.columns[found]


@dataclass(slots=True, eq=False)
class Rows:
    """State of B rows of T steps at most.

    Parameters
    ----------
    table, stage, end : (B,)
        Problem, steps that have passed, T.
    here : (B, T + 1)
        States.
    action, seen : (B, T)
        What has been done and observed.
    start, move, look : (B,), (B, T), (B, T)
        The scenario.
    belief : (B, S) or (0, 0)
    """

    table: IntArray
    stage: IntArray
    end: IntArray
    here: IntArray
    action: IntArray
    seen: IntArray
    start: FloatArray
    move: FloatArray
    look: FloatArray
    belief: FloatArray
    which: list[int]

    def __len__(self) -> int:
        return len(self.stage)


ARRAYS = tuple(f.name for f in fields(Rows) if f.name != "which")


class TabularKernel:
    """Finite problems side by side; an action is its number.

    Parameters
    ----------
    problems : sequence of TabularPOMDP
        Mixed sizes are padded.
    obs : {"raw", "belief", "state"}
        The number of the last observation, -1 before the first (of the state where it is seen); Bayes' belief (S,); the
        number of the true state. A finite horizon adds the share of it that has passed.
    """

    action_shape: tuple[int, ...] = ()

    def __init__(self, problems: Sequence[TabularPOMDP], *, obs: Show = "raw") -> None:
        if not problems:
            raise DataError("the kernel needs at least one problem")
        if obs not in get_args(Show):
            raise DataError(f"obs is {obs!r}: give one of {', '.join(get_args(Show))}")
        self.problems, self.obs = list(problems), obs
        own = {id(p): p for p in problems}
        number = {key: i for i, key in enumerate(own)}
        self._table = np.array([number[id(p)] for p in problems], np.int64)
        self.unique = list(own.values())
        self.size = np.array([len(p.states) for p in self.unique], np.int64)
        self.n_actions: int = max(len(p.action_names) for p in self.unique)
        self.timed = any(p.horizon is not None for p in self.unique)
        self.states = int(self.size.max())
        self.hidden = np.array([p.observation is not None for p in self.unique])
        rows = np.array([len(p.states) * len(p.action_names) for p in self.unique])
        self._base = np.concatenate([[0], np.cumsum(rows)[:-1]])
        self._next = Laws([m for p in self.unique for m in p.transition])
        eye = {n: sparse.identity(n, format="csr") for n in self.size.tolist()}
        seen = [p.observation or tuple(eye[len(p.states)] for _ in p.transition) for p in self.unique]
        self._see = Laws([m for matrices in seen for m in matrices])
        self.gain = np.zeros((len(self.unique), self.states, self.n_actions))
        self.legal = np.zeros((len(self.unique), self.states, self.n_actions), np.bool_)
        for i, p in enumerate(self.unique):
            self.gain[i, : len(p.states), : len(p.action_names)] = p.gain
            self.legal[i, : len(p.states), : len(p.action_names)] = p.mask

    # ---- the protocol ------------------------------------------------------------------------------------------
    def reset(self, scenarios: Sequence[Draws], which: Sequence[int] | None = None) -> Rows:
        """Fresh rows, each where its problem starts."""
        count = len(scenarios)
        if which is None:
            which = [0] * count if len(self.problems) == 1 else range(count)
        table = self._table[np.array(list(which), np.int64)]
        own = [self.unique[p] for p in table.tolist()]
        steps = max(p.length for p in self.unique)
        state = Rows(
            table=table,
            stage=np.array([p.stage for p in own], np.int64),
            end=np.array([p.length for p in own], np.int64),
            here=np.zeros((count, steps + 1), np.int64),
            action=np.zeros((count, steps), np.int64),
            seen=np.zeros((count, steps), np.int64),
            start=np.array([s.start for s in scenarios], np.float64),
            move=np.zeros((count, steps)),
            look=np.zeros((count, steps)),
            belief=np.zeros((count, self.states) if self.obs == "belief" else (0, 0)),
            which=list(which),
        )
        for b, (problem, scenario) in enumerate(zip(own, scenarios, strict=True)):
            if len(scenario.move) != problem.length:
                raise DataError(f"row {b}: a scenario of {len(scenario.move)} steps for one of {problem.length}")
            state.move[b, : problem.length], state.look[b, : problem.length] = scenario.move, scenario.look
            past = problem.state
            if past is None:
                law = Laws([sparse.csr_matrix(problem.initial)])
                state.here[b, 0] = law.draw(np.zeros(1, np.int64), state.start[b : b + 1])[0]
            else:
                t = len(past.actions)
                state.here[b, : t + 1], state.action[b, :t], state.seen[b, :t] = past.states, past.actions, past.seen
            if self.obs == "belief":
                known = (
                    problem.belief
                    if problem.observation is not None
                    else np.eye(len(problem.states))[state.here[b, state.stage[b]]]
                )
                state.belief[b, : len(known)] = known
        return state

    def reset_rows(self, state: Rows, rows: Sequence[int], scenarios: Sequence[Draws]) -> None:
        """Begin again in some rows."""
        fresh = self.reset(scenarios, [state.which[b] for b in rows])
        for name in ARRAYS:
            if getattr(state, name).size:
                getattr(state, name)[list(rows)] = getattr(fresh, name)

    def mask(self, state: Rows) -> npt.NDArray[np.bool_]:
        """Legal actions until the end."""
        live = state.stage < state.end
        return self.legal[state.table, self._here(state)] & live[:, None]

    def step(self, state: Rows, actions: npt.NDArray[Any]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """One step; rewards (B,) are not discounted."""
        actions = np.asarray(actions, np.int64)
        here = self._here(state)
        live = (state.stage < state.end) & self.legal[state.table, here].any(axis=1)
        rows = np.flatnonzero(live & (actions >= 0))
        rewards = np.zeros(len(state))
        p, s, a, t = state.table[rows], here[rows], actions[rows], state.stage[rows]
        rewards[rows] = self.gain[p, s, a]
        first = self._base[p] + a * self.size[p]
        after = self._next.draw(first + s, state.move[rows, t])
        seen = self._see.draw(first + after, state.look[rows, t])
        state.here[rows, t + 1], state.action[rows, t], state.seen[rows, t] = after, a, seen
        state.stage[rows] = t + 1
        if self.obs == "belief":
            self._learn(state, rows, a, seen)
        return rewards, np.asarray(~self.mask(state).any(axis=1))

    def _here(self, state: Rows) -> IntArray:
        return state.here[np.arange(len(state)), state.stage]

    def _learn(self, state: Rows, rows: IntArray, actions: IntArray, seen: IntArray) -> None:
        """Bayes' rule, the rows of one problem and one action together."""
        for p, a in np.unique(np.stack([state.table[rows], actions], axis=1), axis=0).tolist():
            mine = (state.table[rows] == p) & (actions == a)
            size = int(self.size[p])
            known = updated(self.unique[p], state.belief[rows[mine], :size], a, seen[mine])
            state.belief[rows[mine], :size] = known

    def observe(self, state: Rows) -> npt.NDArray[np.float32]:
        """What is shown, (B, D)."""
        index, now = np.arange(len(state)), state.stage
        if self.obs == "belief":
            shown = state.belief
        else:
            told = np.where(now > 0, state.seen[index, np.maximum(now - 1, 0)], -1)
            open_ = ~self.hidden[state.table] if self.obs == "raw" else np.ones(len(state), np.bool_)
            shown = np.where(open_, self._here(state), told)[:, None]
        if self.timed:
            shown = np.concatenate([shown, (now / state.end)[:, None]], axis=1)
        return shown.astype(np.float32)

    def clone(self, state: Rows, scenarios: Sequence[Draws], rows: Sequence[int]) -> Rows:
        """Copies of rows with other draws from now on."""
        keep = list(rows)
        arrays = {name: a[keep].copy() if (a := getattr(state, name)).size else a.copy() for name in ARRAYS}
        copy = Rows(**arrays, which=[state.which[b] for b in keep])
        for i, scenario in enumerate(scenarios):
            t, end = int(copy.stage[i]), int(copy.end[i])
            copy.move[i, t:end], copy.look[i, t:end] = scenario.move[t:], scenario.look[t:]
        return copy

    def snapshot(self, state: Rows, row: int) -> TabularState:
        """What has happened in a row."""
        t = int(state.stage[row])
        return TabularState(
            actions=tuple(state.action[row, :t].tolist()),
            seen=tuple(state.seen[row, :t].tolist()),
            states=tuple(state.here[row, : t + 1].tolist()),
            draws=(float(state.start[row]), tuple(state.move[row, :t].tolist()), tuple(state.look[row, :t].tolist())),
        )

    def failed(self, state: Rows) -> npt.NDArray[np.bool_]:
        """No episode fails."""
        return np.zeros(len(state), np.bool_)


def updated(problem: TabularPOMDP, beliefs: FloatArray, action: int, seen: IntArray) -> FloatArray:
    """Beliefs (B, S) after one action and the observations (B,); one that cannot be leaves the prediction."""
    ahead = np.asarray(problem.transition[action].T @ beliefs.T).T
    if problem.observation is None:
        return np.eye(beliefs.shape[1])[seen]
    joint = ahead * problem.observation[action][:, seen].toarray().T
    total = joint.sum(axis=1, keepdims=True)
    return np.where(total > 0.0, joint / np.where(total > 0.0, total, 1.0), ahead)


def belief(problem: TabularPOMDP) -> FloatArray:
    """Law (S,) of the present state, by Bayes' rule from the beginning."""
    if problem.state is None:
        return np.asarray(problem.initial)
    if problem.observation is None:
        return np.asarray(np.eye(len(problem.states))[problem.state.states[-1]])
    known = np.array(problem.initial)[None]
    for a, o in zip(problem.state.actions, problem.state.seen, strict=True):
        known = updated(problem, known, a, np.array([o]))
    return known[0]
