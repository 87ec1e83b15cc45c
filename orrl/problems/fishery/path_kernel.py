"""The batch kernel behind `ThreeSpecies` and `Walleye`: actions in [0, 1], a compiled step each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, IllegalActionError
from .paths import PathState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import SimpleNamespace

    from ...core.jit import Source
    from .paths import PathNoise

__all__ = ["PathKernel", "PathRows"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
PLAIN = 2_000  # rows stepped by Python before numba would have been imported


@dataclass(slots=True, eq=False)
class PathRows:
    """State of B rows of T years at most.

    Parameters
    ----------
    table, stage, end : (B,)
        Problem, years that have passed, T.
    over : (B,) int
        1 where a stock was lost.
    now : (B, D)
        Present stocks, or numbers at age.
    asked : (B, T, H)
        Mortalities so far.
    start, process, survey : (B, D0), (B, T, W), (B, T + 1, V)
        The scenario.
    """

    table: IntArray
    stage: IntArray
    end: IntArray
    over: IntArray
    now: FloatArray
    asked: FloatArray
    start: FloatArray
    process: FloatArray
    survey: FloatArray
    which: list[int]

    def __len__(self) -> int:
        return len(self.stage)


ARRAYS = tuple(f.name for f in fields(PathRows) if f.name != "which")


class PathKernel(ABC):
    """Fisheries of one kind side by side; a subclass gives the source of its step and its tables.

    Parameters
    ----------
    problems : sequence
        Equal numbers of stocks and mortalities.
    compiled : bool, optional
        Machine code or plain Python; by default Python for the first few short episodes of a process.
    """

    source: ClassVar[Source]
    _stepped: ClassVar[int] = 0
    n_actions: int | None = None
    par: FloatArray

    def __init__(self, problems: Sequence[Any], *, compiled: bool | None = None) -> None:
        if not problems:
            raise DataError("the kernel needs at least one fishery")
        self.problems = list(problems)
        own = {id(p): p for p in problems}
        self.unique: list[Any] = list(own.values())
        number = {key: i for i, key in enumerate(own)}
        self._table = np.array([number[id(p)] for p in problems], np.int64)
        self._compiled = compiled
        shapes = {p.shape for p in self.unique}
        if len(shapes) > 1:
            raise DataError(f"fisheries of unlike sizes in one batch, {sorted(shapes)}: give equal stocks and controls")
        self.par = np.ascontiguousarray(np.stack([p.parameters() for p in self.unique]))
        self.action_shape: tuple[int, ...] = (self.unique[0].controls,)

    # ---- what a subclass says ----------------------------------------------------------------------------------
    @abstractmethod
    def first(self, problem: Any, start: FloatArray) -> FloatArray:
        """First states (B, D) of draws (B, D0)."""

    def mortality(self, state: PathRows, share: FloatArray) -> FloatArray:
        """Mortalities (B, H) of actions; the action itself."""
        return share

    def actions_of(self, state: PathRows, mortality: FloatArray) -> FloatArray:
        """Actions (B, H) of mortalities."""
        return np.clip(mortality, 0.0, 1.0)

    @abstractmethod
    def observe(self, state: PathRows) -> npt.NDArray[np.float32]:
        """What is shown, (B, F)."""

    # ---- the protocol ------------------------------------------------------------------------------------------
    def code(self, rows: int) -> SimpleNamespace:
        """The step as Python or as machine code."""
        if self._compiled is None and not self.source.ready:
            PathKernel._stepped += rows
            if PathKernel._stepped <= PLAIN:
                return self.source.plain
        return self.source.plain if self._compiled is False else self.source.compiled()

    def reset(self, scenarios: Sequence[PathNoise], which: Sequence[int] | None = None) -> PathRows:
        """Fresh rows, each where its problem starts."""
        rows = len(scenarios)
        if which is None:
            which = [0] * rows if len(self.problems) == 1 else range(rows)
        table = self._table[np.array(list(which), np.int64)]
        own = [self.unique[p] for p in table.tolist()]
        years = max(p.steps for p in self.unique)
        for b, (problem, scenario) in enumerate(zip(own, scenarios, strict=True)):
            if len(scenario.process) != problem.steps:
                raise DataError(
                    f"row {b}: a scenario of {len(scenario.process)} years for a fishery of {problem.steps}"
                )
        state = PathRows(
            table=table,
            stage=np.array([p.stage for p in own], np.int64),
            end=np.array([p.steps for p in own], np.int64),
            over=np.array([p.state is not None and p.state.over for p in own], np.int64),
            now=np.zeros((rows, self.unique[0].shape[0])),
            asked=np.zeros((rows, years, *self.action_shape)),
            start=np.array([s.start for s in scenarios]),
            process=_stacked([s.process for s in scenarios], years),
            survey=_stacked([s.survey for s in scenarios], years + 1),
            which=list(which),
        )
        for p, problem in enumerate(self.unique):
            at = np.flatnonzero(table == p)
            state.now[at] = self.first(problem, state.start[at])
            if problem.state is not None:
                state.now[at] = problem.state.now
                state.asked[at, : problem.stage] = np.reshape(problem.state.mortality, (-1, *self.action_shape))
        return state

    def reset_rows(self, state: PathRows, rows: Sequence[int], scenarios: Sequence[PathNoise]) -> None:
        """Begin again in some rows."""
        fresh = self.reset(scenarios, [state.which[b] for b in rows])
        for name in ARRAYS:
            getattr(state, name)[list(rows)] = getattr(fresh, name)

    def live(self, state: PathRows) -> npt.NDArray[np.bool_]:
        """Rows (B,) that go on."""
        return (state.stage < state.end) & (state.over == 0)

    def mask(self, state: PathRows) -> npt.NDArray[np.bool_]:
        """Every number is accepted until the end."""
        return np.broadcast_to(self.live(state)[:, None], (len(state), *self.action_shape))

    def step(self, state: PathRows, actions: npt.NDArray[Any]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """One year; rewards (B,)."""
        if np.shape(actions) != (len(state), *self.action_shape):
            wanted = (len(state), *self.action_shape)
            raise IllegalActionError(f"actions have shape {np.shape(actions)}: give {wanted}")
        taken = np.ascontiguousarray(self.mortality(state, np.asarray(actions, np.float64)))
        rewards = np.empty(len(state))
        self.code(len(state)).step(
            self.par, state.table, state.stage, state.end, state.over, state.now, state.process, taken, state.asked,
            rewards,
        )  # fmt: skip
        return rewards, ~self.live(state)

    def clone(self, state: PathRows, scenarios: Sequence[PathNoise], rows: Sequence[int]) -> PathRows:
        """Copies of rows with other noise from now on."""
        keep = list(rows)
        copy = PathRows(
            **{name: getattr(state, name)[keep].copy() for name in ARRAYS}, which=[state.which[b] for b in keep]
        )
        for i, scenario in enumerate(scenarios):
            t, end = int(copy.stage[i]), int(copy.end[i])
            copy.process[i, t:end] = scenario.process[t:]
            copy.survey[i, t + 1 : end + 1] = scenario.survey[t + 1 :]
        return copy

    def snapshot(self, state: PathRows, row: int) -> PathState:
        """What has happened in a row."""
        t = int(state.stage[row])
        return PathState(
            mortality=_table(state.asked[row, :t]),
            now=tuple(state.now[row].tolist()),
            over=bool(state.over[row]),
            start=tuple(state.start[row].tolist()),
            process=_table(state.process[row, :t]),
            survey=_table(state.survey[row, : t + 1]),
        )

    def failed(self, state: PathRows) -> npt.NDArray[np.bool_]:
        """No episode fails: a lost stock ends it at a price."""
        return np.zeros(len(state), np.bool_)


def _stacked(tables: list[FloatArray], years: int) -> FloatArray:
    """Tables of unlike length as one array, filled up with 0."""
    if len({len(t) for t in tables}) == 1 and tables and len(tables[0]) == years:
        return np.array(tables, np.float64)
    out = np.zeros((len(tables), years, tables[0].shape[1] if tables else 0))
    for b, table in enumerate(tables):
        out[b, : len(table)] = table
    return out


def _table(array: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, array.tolist()))
