"""The one transition function of a fishery, over a batch; see `steps` for the compiled part."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, IllegalActionError
from . import belief as bayes
from .data import FisheryState
from .steps import SOURCE, cumulated, guides
from .stocks import ARRAYS, Stocks, parameters, start_law

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import SimpleNamespace

    from .data import Fishery, SeaNoise

__all__ = ["FisheryKernel"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Show = Literal["raw", "stack", "belief", "particles", "state"]
Ask = Literal["quota", "mortality", "escapement"]
PLAIN = 2_000  # rows stepped by Python before numba would have been imported


class FisheryKernel:
    """Fisheries with equal grids side by side.

    Action "quota" is a number on the grid of quotas (plus Q times the survey effort). The continuous ones are shares in
    [0, 1], of which the kernel makes a quota: "quota" of `top` (``action="share"``), "mortality" of the last survey y,
    "escapement" E of `top`, quota ``max(y - E, 0)``; a second share picks the effort where there is a choice. On a grid
    process a quota is rounded to the grid.

    Parameters
    ----------
    problems : sequence of Fishery
        Equal sizes of all grids, one kind of process.
    obs : {"raw", "stack", "belief", "particles", "state"}
        The last survey; the last `stack` surveys and quotas; the posterior (S,); `particles` stocks in order, drawn
        from it by a bootstrap filter; the true stock. A finite horizon adds the share of it that has passed.
    action : {"quota", "share", "mortality", "escapement"}
        See above.
    grid : bool, optional
        Overrides the problems' `process`.
    compiled : bool, optional
        Machine code or plain Python; by default Python for the first few short episodes of a process.

    Notes
    -----
    The first survey, where none has been made, reads as the mean of the first belief.
    """

    _stepped: ClassVar[int] = 0

    def __init__(
        self,
        problems: Sequence[Fishery],
        *,
        obs: Show = "raw",
        action: str = "quota",
        grid: bool | None = None,
        stack: int = 4,
        particles: int = 100,
        compiled: bool | None = None,
    ) -> None:
        if not problems:
            raise DataError("the kernel needs at least one fishery")
        if obs not in get_args(Show):
            raise DataError(f"obs is {obs!r}: give one of {', '.join(get_args(Show))}")
        if action not in ("share", *get_args(Ask)):
            raise DataError(f"action is {action!r}: give quota, share, mortality or escapement")
        for name, value in (("stack", stack), ("particles", particles)):
            if value < 1:
                raise DataError(f"{name} is {value}: give at least 1")
        own = {id(p): p for p in problems}
        if grid is not None:
            kind: Any = "grid" if grid else "continuous"
            own = {key: p if p.process == kind else replace(p, process=kind) for key, p in own.items()}
        self.problems = [own[id(p)] for p in problems]
        self.unique = list(own.values())
        number = {key: i for i, key in enumerate(own)}
        self._table = np.array([number[id(p)] for p in problems], np.int64)
        self.obs, self.action, self.stack, self.particles, self._compiled = obs, action, stack, particles, compiled
        self.on_grid = self.unique[0].process == "grid"
        self._tables()
        g = self.grids[0]
        self.levels = len(g.quotas)
        self.efforts = len(g.laws)
        self.n_actions: int | None = self.levels * self.efforts if action == "quota" else None
        self.action_shape: tuple[int, ...] = () if action == "quota" else (2,) if self.efforts > 1 else (1,)
        self.timed = any(p.horizon is not None for p in self.unique)

    def _tables(self) -> None:
        self.grids = [p.grids for p in self.unique]
        sizes = {
            (p.process, p.order, *g.index.shape, *g.laws.shape, len(g.left))
            for p, g in zip(self.unique, self.grids, strict=True)
        }
        if len(sizes) > 1:
            first, other = sorted(sizes, key=str)[:2]
            raise DataError(
                f"fisheries of unlike grids or processes in one batch, {first} and {other}: give all the "
                "same n, quotas, surveys, efforts, order and process"
            )
        g = self.grids
        cdf = cumulated(np.stack([x.rows for x in g]))
        laws = np.stack([x.laws.reshape(-1, x.laws.shape[2]) for x in g])
        seen = cumulated(laws)
        tables = [x.index for x in g], [x.reward for x in g], [x.stocks for x in g], [x.seen for x in g]
        self.tables = (cdf, guides(cdf), seen, guides(seen), *(np.ascontiguousarray(np.stack(t)) for t in tables))
        self.likely = np.ascontiguousarray(laws)
        self.par = np.stack([parameters(p) for p in self.unique])
        self.costs = np.ascontiguousarray(np.array([p.surveys for p in self.unique], np.float64))
        self.top = np.array([p.top for p in self.unique])
        self.first_cdf = [cumulated(start_law(p)) for p in self.unique]

    def code(self, rows: int) -> SimpleNamespace:
        """The functions of `steps` as Python or as machine code."""
        if self._compiled is None and not SOURCE.ready:
            FisheryKernel._stepped += rows
            if FisheryKernel._stepped <= PLAIN:
                return SOURCE.plain
        return SOURCE.plain if self._compiled is False else SOURCE.compiled()

    # ---- the protocol ------------------------------------------------------------------------------------------
    def reset(self, scenarios: Sequence[SeaNoise], which: Sequence[int] | None = None) -> Stocks:
        """Fresh rows, each where its problem starts."""
        rows = len(scenarios)
        if which is None:
            which = [0] * rows if len(self.problems) == 1 else range(rows)
        table = self._table[np.array(list(which), np.int64)]
        own = [self.unique[p] for p in table.tolist()]
        years = max(p.years for p in self.unique)
        draws = self._noise(own, scenarios, years)
        belief = np.zeros((rows, self.grids[0].rows.shape[1]) if self.obs == "belief" else (0, 0))
        state = Stocks(
            table=table,
            stage=np.array([p.stage for p in own], np.int64),
            end=np.array([p.years for p in own], np.int64),
            here=np.zeros((rows, 1), np.int64),
            last=np.zeros((rows, 1), np.int64),
            stock=np.zeros((rows, years + 1)),
            survey=np.zeros((rows, years + 1)),
            quota=np.zeros((rows, years)),
            effort=np.zeros((rows, years), np.int64),
            **draws,
            belief=belief,
            cloud=np.zeros((rows, self.particles) if self.obs == "particles" else (0, 0), np.int64),
            random=np.zeros((rows, 1), np.uint64),
            which=list(which),
        )
        for p in np.unique(table).tolist():
            self._begin(state, p, np.flatnonzero(table == p))
        return state

    def _noise(self, own: Sequence[Fishery], scenarios: Sequence[SeaNoise], years: int) -> dict[str, FloatArray]:
        process, measure = np.full((len(own), years), 0.5), np.full((len(own), years + 1), 0.5)
        for b, (problem, scenario) in enumerate(zip(own, scenarios, strict=True)):
            if len(scenario.process) != problem.years:
                raise DataError(f"row {b}: a scenario of {len(scenario.process)} years for one of {problem.years}")
            process[b, : problem.years], measure[b, : problem.years + 1] = scenario.process, scenario.survey
        start = np.array([s.start for s in scenarios], np.float64)
        dev, err = self._deviates(own, process, measure)
        return {"start": start, "process": process, "measure": measure, "dev": dev, "err": err}

    def _deviates(
        self, own: Sequence[Fishery], process: FloatArray, measure: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        if self.on_grid:
            return np.zeros((len(own), 0)), np.zeros((len(own), 0))
        from scipy.special import ndtri

        flat = np.array([[p.noise == "uniform", (p.survey_noise or p.noise) == "uniform"] for p in own])
        flat = flat.reshape(len(own), 2)
        dev = np.where(flat[:, :1], 2.0 * process - 1.0, ndtri(process))
        return dev, np.where(flat[:, 1:], 2.0 * measure - 1.0, ndtri(measure))

    def _begin(self, state: Stocks, p: int, rows: IntArray) -> None:
        """First stocks and surveys of the rows that play problem p, or its past."""
        problem, g = self.unique[p], self.grids[p]
        past = problem.state
        if past is not None:
            t = len(past.quota)
            state.stock[rows, : t + 1], state.survey[rows, : t + 1] = past.stock, past.seen
            state.quota[rows, :t], state.effort[rows, :t] = past.quota, past.effort
        else:
            cdf = self.first_cdf[p]
            state.stock[rows, 0] = g.stocks[np.searchsorted(cdf, state.start[rows], side="right")]
            if not self.on_grid and problem.start == "paper":
                state.stock[rows, 0] = g.stocks[g.nearest_stock(bayes.first_stock(problem))]
            elif not self.on_grid and isinstance(problem.start, float | int):
                state.stock[rows, 0] = problem.start
            state.survey[rows, 0] = self._first_survey(state, problem, p, rows)
        now = state.stage[rows]
        state.here[rows, 0] = g.nearest_stock(state.stock[rows, now])
        state.last[rows, 0] = g.nearest_survey(state.survey[rows, now])
        if self.obs == "belief":
            known = bayes.BeliefFilter(problem, len(rows))
            known.first(state.last[rows, 0])
            state.belief[rows] = known.beliefs
        if self.obs == "particles":
            self._scatter(state, problem, rows)

    def _first_survey(self, state: Stocks, problem: Fishery, p: int, rows: IntArray) -> FloatArray:
        g = self.grids[p]
        if not problem.survey_first:
            return np.full(len(rows), g.seen[g.nearest_survey(bayes.prior(problem) @ g.stocks)])
        if self.on_grid:
            x = g.nearest_stock(state.stock[rows, 0])
            cdf = self.tables[2][p]
            return g.seen[
                [np.searchsorted(cdf[i], u, side="right") for i, u in zip(x, state.measure[rows, 0], strict=True)]
            ]
        from .noise import shake

        law = problem.survey_noise or problem.noise
        return shake(law, state.stock[rows, 0], problem.surveys[0][0], state.measure[rows, 0])

    def _scatter(self, state: Stocks, problem: Fishery, rows: IntArray) -> None:
        """Particles from the first belief, then through the past; they depend on nothing that is still to come."""
        g = self.grids[self.unique.index(problem)]
        state.random[rows, 0] = (state.start[rows] * 2.0**53).astype(np.uint64)
        marks = (np.arange(self.particles) + 0.5) / self.particles
        cdf = cumulated(bayes.prior(problem))
        state.cloud[rows] = np.searchsorted(cdf, marks, side="right")
        quota = np.full(len(state), -2, np.int64)
        effort = np.zeros(len(state), np.int64)
        seen = np.zeros(len(state), np.int64)
        seen[rows] = g.nearest_survey(state.survey[rows, 0])
        quota[rows] = -1
        if problem.survey_first:
            self._weigh(state, quota, effort, seen)
        for t in range(problem.stage):
            quota[rows] = g.nearest_quota(state.quota[rows, t])
            effort[rows], seen[rows] = state.effort[rows, t], g.nearest_survey(state.survey[rows, t + 1])
            self._weigh(state, quota, effort, seen)

    def _weigh(self, state: Stocks, quota: IntArray, effort: IntArray, seen: IntArray) -> None:
        spare, weight = np.empty_like(state.cloud), np.empty(state.cloud.shape)
        move = SOURCE.compiled().move_particles
        move(*self.tables, self.likely, state.table, quota, effort, seen, state.cloud, spare, weight, state.random)

    def reset_rows(self, state: Stocks, rows: Sequence[int], scenarios: Sequence[SeaNoise]) -> None:
        """Begin again in some rows."""
        fresh = self.reset(scenarios, [state.which[b] for b in rows])
        for name in ARRAYS:
            if getattr(state, name).size:
                getattr(state, name)[list(rows)] = getattr(fresh, name)

    def mask(self, state: Stocks) -> npt.NDArray[np.bool_]:
        """Every action is accepted until the end: what exceeds the stock is not caught."""
        live = state.stage < state.end
        width = self.action_shape[0] if self.n_actions is None else self.n_actions
        return np.broadcast_to(live[:, None], (len(live), width))

    def step(self, state: Stocks, actions: npt.NDArray[Any]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """One year: catch, growth, survey; rewards (B,) are not discounted."""
        quota, number, effort = self.decoded(state, actions)
        before = state.stage.copy()
        rewards = np.empty(len(state))
        code = self.code(len(state))
        if self.on_grid:
            code.on_grid(
                *self.tables, state.table, state.stage, state.end, state.here, state.last, state.stock, state.survey,
                state.process, state.measure, number, effort, rewards,
            )  # fmt: skip
        else:
            code.on_line(
                self.par, self.costs, state.table, state.stage, state.end, state.stock, state.survey, state.dev,
                state.err, quota, effort, rewards,
            )  # fmt: skip
        moved = np.flatnonzero(state.stage > before)
        state.quota[moved, before[moved]], state.effort[moved, before[moved]] = quota[moved], effort[moved]
        if not self.on_grid and self.obs in ("belief", "particles"):
            self._round(state, moved)
        if self.obs == "belief":
            self._learn(state, moved, number, effort)
        elif self.obs == "particles":
            asked = np.full(len(state), -2, np.int64)
            asked[moved] = number[moved]
            self._weigh(state, asked, effort, np.ascontiguousarray(state.last[:, 0]))
        return rewards, state.stage >= state.end

    def decoded(self, state: Stocks, actions: npt.NDArray[Any]) -> tuple[FloatArray, IntArray, IntArray]:
        """Quotas, their numbers (-1: wait) and efforts (B,) of actions."""
        rows = len(state)
        if np.shape(actions) != (rows, *self.action_shape):
            raise IllegalActionError(f"actions have shape {np.shape(actions)}: give {(rows, *self.action_shape)}")
        if self.n_actions is not None:
            chosen = np.ascontiguousarray(actions, np.int64)
            if len(chosen) and chosen.max() >= self.n_actions:
                raise IllegalActionError(f"action {int(chosen.max())} is not accepted: give 0..{self.n_actions - 1}")
            number, effort = chosen, np.zeros(rows, np.int64)
            if self.efforts > 1:
                number, effort = np.where(chosen < 0, -1, chosen % self.levels), np.maximum(chosen, 0) // self.levels
            step = self.grids[0].quotas[1]
            value = number * (self.top[state.table] / (self.levels - 1)) if len(self.unique) > 1 else number * step
            return np.where(number < 0, np.nan, value), number, effort
        share = np.asarray(actions, np.float64)
        waits = np.asarray(np.isnan(share).any(axis=1))
        share = np.where(waits[:, None], 0.0, share)
        top, seen = self.top[state.table], self.seen(state)
        if self.action == "share":
            value = share[:, 0] * top
        elif self.action == "mortality":
            value = share[:, 0] * seen
        else:
            value = np.maximum(seen - share[:, 0] * top, 0.0)
        effort = np.zeros(rows, np.int64)
        if self.efforts > 1:
            effort = np.minimum((share[:, 1] * self.efforts).astype(np.int64), self.efforts - 1)
        number = np.rint(np.minimum(value, top) / top * (self.levels - 1)).astype(np.int64)
        if self.on_grid:
            value = number * (top / (self.levels - 1))
        return np.where(waits, np.nan, value), np.where(waits, -1, number), effort

    def default_actions(self, state: Stocks, actions: npt.NDArray[Any]) -> IntArray:
        """The same decisions as numbers (B,) of a quota and an effort, the actions of a kernel without options."""
        _, number, effort = self.decoded(state, actions)
        return np.where(number < 0, -1, number + self.levels * effort)

    def actions_of(self, state: Stocks, quota: FloatArray, effort: Any = 0) -> npt.NDArray[Any]:
        """Actions of this kernel for quotas (B,) in units of the stock, and survey efforts."""
        top, seen = self.top[state.table], self.seen(state)
        effort = np.broadcast_to(np.asarray(effort, np.int64), quota.shape)
        if self.n_actions is not None:
            number = np.rint(np.clip(quota / top, 0.0, 1.0) * (self.levels - 1)).astype(np.int64)
            return number + self.levels * effort
        if self.action == "share":
            share = quota / top
        elif self.action == "mortality":
            share = np.where(seen > 0.0, quota / np.where(seen > 0.0, seen, 1.0), 0.0)
        else:
            share = (seen - quota) / top
        share = np.clip(share, 0.0, 1.0)[:, None]
        if self.efforts > 1:
            share = np.concatenate([share, ((effort + 0.5) / self.efforts)[:, None]], axis=1)
        return share

    def seen(self, state: Stocks) -> FloatArray:
        """Last survey (B,): what the manager has in hand."""
        return state.survey[np.arange(len(state)), state.stage]

    def _round(self, state: Stocks, rows: IntArray) -> None:
        """Grid points of continuous stocks and surveys, for the filters."""
        spacing = self.top[state.table[rows]] / (self.grids[0].laws.shape[2] - 1)
        seen = np.rint(self.seen(state)[rows] / spacing).astype(np.int64)
        state.last[rows, 0] = np.clip(seen, 0, self.grids[0].laws.shape[2] - 1)

    def _learn(self, state: Stocks, moved: IntArray, number: IntArray, effort: IntArray) -> None:
        for p in [0] if len(self.unique) == 1 else np.unique(state.table[moved]).tolist():
            rows = moved if len(self.unique) == 1 else moved[state.table[moved] == p]
            g = self.grids[p]
            whole = len(rows) == len(state)
            ahead = bayes.predict(g, state.belief if whole else state.belief[rows], number[rows])
            known = bayes.correct(g, ahead, effort[rows], state.last[rows, 0])
            if whole:
                state.belief = known
            else:
                state.belief[rows] = known

    def observe(self, state: Stocks) -> npt.NDArray[np.float32]:
        """What is shown, (B, D)."""
        rows, now = np.arange(len(state)), state.stage
        if self.obs == "raw":
            shown = state.survey[rows, now][:, None]
        elif self.obs == "state":
            shown = state.stock[rows, now][:, None]
        elif self.obs == "belief":
            shown = state.belief
        elif self.obs == "particles":
            shown = np.sort(np.take_along_axis(self.tables[6][state.table], state.cloud, axis=1), axis=1)
        else:
            back = now[:, None] - np.arange(self.stack)
            known = np.where(back >= 0, np.take_along_axis(state.survey, np.maximum(back, 0), axis=1), 0.0)
            asked = np.where(back >= 1, np.take_along_axis(state.quota, np.maximum(back - 1, 0), axis=1), 0.0)
            shown = np.concatenate([known, asked], axis=1)
        if self.timed:
            shown = np.concatenate([shown, (now / state.end)[:, None]], axis=1)
        return shown.astype(np.float32)

    def clone(self, state: Stocks, scenarios: Sequence[SeaNoise], rows: Sequence[int]) -> Stocks:
        """Copies of rows with other noise from now on."""
        keep = list(rows)
        arrays = {name: a[keep].copy() if (a := getattr(state, name)).size else a.copy() for name in ARRAYS}
        copy = Stocks(**arrays, which=[state.which[b] for b in keep])
        for i, scenario in enumerate(scenarios):
            t, end = int(copy.stage[i]), int(copy.end[i])
            copy.process[i, t:end], copy.measure[i, t + 1 : end + 1] = scenario.process[t:], scenario.survey[t + 1 :]
        if not self.on_grid:
            own = [self.unique[p] for p in copy.table.tolist()]
            copy.dev, copy.err = self._deviates(own, copy.process, copy.measure)
        return copy

    def snapshot(self, state: Stocks, row: int) -> FisheryState:
        """What has happened in a row."""
        t, start = int(state.stage[row]), float(state.start[row])
        return FisheryState(
            quota=tuple(state.quota[row, :t].tolist()),
            effort=tuple(state.effort[row, :t].tolist()),
            stock=tuple(state.stock[row, : t + 1].tolist()),
            seen=tuple(state.survey[row, : t + 1].tolist()),
            draws=(start, tuple(state.process[row, :t].tolist()), tuple(state.measure[row, : t + 1].tolist())),
        )

    def failed(self, state: Stocks) -> npt.NDArray[np.bool_]:
        """No episode fails: an extinct stock only earns nothing."""
        return np.zeros(len(state), np.bool_)
