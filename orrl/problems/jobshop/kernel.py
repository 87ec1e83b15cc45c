"""The batched simulator: shops of mixed size, padded into the tables of `events`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, IllegalActionError
from . import completion, events, graph_features
from .data import GOALS, JobShop, ShopState
from .dispatch import FAR, FEATURES, RULES
from .events import NEVER, Batch, Shops
from .interruptions import Outages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import SimpleNamespace

    from ...core.graphs import GraphBatch

__all__ = ["FAR", "FEATURES", "RULES", "ShopBatch", "ShopKernel"]

Actions = npt.NDArray[np.int64]
SMALL = 4000  # operations in a batch, and decisions in a life, that Python does before numba would have been imported


@dataclass(slots=True, eq=False)
class ShopBatch:
    """State of a batch: the tables of `events.Batch` and the scenario of each row."""

    tables: Batch
    scenarios: list[Outages]

    @property
    def time(self) -> npt.NDArray[np.int64]:
        """Clock of each row (B,)."""
        return self.tables.row[:, events.TIME]

    @property
    def start(self) -> npt.NDArray[np.int64]:
        """Start of each operation (B, J, K), -1 where it has not started."""
        return self.tables.visit[:, :, :, events.START]

    def __len__(self) -> int:
        return len(self.tables.row)


class ShopKernel:
    """Event-driven, integer-time simulator of a batch of job shops.

    Action ``j < J`` moves job j to its next machine, with its whole swap cycle where one closes; action J waits for
    the next event. Decisions with a single choice are skipped, except the first of an episode. Rewards are minus the
    objective that accrues, so that they sum to minus the objective exactly; a deadlock (blocking without swap) charges
    the remaining work, job after job.

    Parameters
    ----------
    problems : sequence of JobShop
        P shops of any size.
    wait : bool
        Offer waiting while something can move. Without it schedules are non-delay, which excludes optima.
    wip_cap : int, optional
        Jobs that may be in the shop together: the mask lets no other in while waiting helps.
    reward_scale : float
        Rewards are divided by it.
    pad_to : (int, int, int), optional
        Jobs, operations per job and machines of the tables; the largest problem's by default.
    compiled : bool or None
        Run as machine code or as plain Python; None takes Python for the first few short episodes of a process.
    """

    def __init__(
        self,
        problems: Sequence[JobShop],
        *,
        wait: bool = True,
        wip_cap: int | None = None,
        reward_scale: float = 1.0,
        pad_to: tuple[int, int, int] | None = None,
        compiled: bool | None = None,
    ) -> None:
        if not problems:
            raise DataError("the kernel needs at least one shop")
        self.problems = list(problems)
        if wip_cap is not None and wip_cap < 1:
            raise DataError(f"wip_cap is {wip_cap!r}: give a number of jobs of at least 1, or None")
        self.wait, self.wip_cap, self.reward_scale = wait, wip_cap, reward_scale
        self._compiled, self._played = compiled, 0
        self.n_jobs = max(p.n_jobs for p in self.problems)
        self.n_operations = max(p.machines.shape[1] for p in self.problems)
        self.n_machines = max(p.n_machines for p in self.problems)
        if pad_to is not None:
            size = (self.n_jobs, self.n_operations, self.n_machines)
            if any(a > b for a, b in zip(size, pad_to, strict=True)):
                raise DataError(
                    f"pad_to is {pad_to} but a shop has (jobs, operations, machines) {size}: pad to at least that"
                )
            self.n_jobs, self.n_operations, self.n_machines = pad_to
        self.n_actions, self.action_shape = self.n_jobs + 1, ()
        self.idle_action = self.n_jobs
        self.shops = self._tables()

    def _tables(self) -> Shops:
        count, jobs, ops = len(self.problems), self.n_jobs, self.n_operations
        route = np.zeros((count, jobs, ops, 3), np.int64)
        route[..., events.MACHINE] = -1
        job = np.zeros((count, jobs, 4), np.int64)
        job[..., events.DUE] = NEVER
        config = np.zeros((count, 6), np.int64)
        for p, shop in enumerate(self.problems):
            n, k = shop.machines.shape
            route[p, :n, :k, events.MACHINE] = shop.machines
            route[p, :n, :k, events.DURATION] = shop.durations
            route[p, :n, :k, events.REST] = np.cumsum(shop.durations[:, ::-1], axis=1)[:, ::-1]
            job[p, :n, events.OPERATIONS] = shop.n_operations
            job[p, :n, events.RELEASE] = shop.release
            job[p, :n, events.WEIGHT] = shop.weights
            if shop.due is not None:
                job[p, :n, events.DUE] = shop.due
            goal = next(i for i, goal in enumerate(GOALS) if goal == shop.objective.name)
            repeat = shop.interruptions.mode == "repeat"
            scale = max(1, int(shop.durations.sum(axis=1).max()))
            config[p] = (shop.blocking, shop.swap, repeat, goal, scale, self.wip_cap or 0)
        return Shops(route, job, config)

    def _code(self, rows: int) -> SimpleNamespace:
        if self._compiled is None and not events.SOURCE.ready:
            self._played += rows
            if rows * self.n_jobs * self.n_operations <= SMALL and self._played < SMALL:
                return events.SOURCE.plain
        return events.SOURCE.plain if self._compiled is False else events.SOURCE.compiled()

    # ---- the protocol ------------------------------------------------------------------------------------------
    def reset(self, scenarios: Sequence[Outages], which: Sequence[int] | None = None) -> ShopBatch:
        """Fresh state, one row per scenario; row b plays ``problems[which[b]]``."""
        rows = len(scenarios)
        if which is None:
            which = [0] * rows if len(self.problems) == 1 else range(len(self.problems))
        if len(which) != rows:
            raise DataError(f"{rows} scenarios for {len(which)} rows: give one a row, or which= (a problem for each)")
        for b, (p, world) in enumerate(zip(which, scenarios, strict=True)):
            if world.extra.shape != self.problems[p].durations.shape:
                shapes = f"{world.extra.shape}, {self.problems[p].name} is {self.problems[p].durations.shape}"
                raise DataError(f"the scenario of row {b} is of another shop: {shapes} (jobs, operations)")
        width = self._width(scenarios, which)
        if width == 0:  # no calendar: copy the template rows and write the extra times
            tables = Batch._make(table[np.asarray(which, np.int64)] for table in self._templates)
            self._write_extra(tables, scenarios)
        else:
            tables = self._empty(rows, width)
            for b, (p, world) in enumerate(zip(which, scenarios, strict=True)):
                self._begin(tables, b, p, world)
        state = ShopBatch(tables, list(scenarios))
        self._code(rows).refresh(*self.shops, *tables, self.wait)
        return state

    def reset_rows(self, state: ShopBatch, rows: Sequence[int], scenarios: Sequence[Outages]) -> None:
        """Begin new episodes in some rows, as a vector environment does."""
        fresh = self.reset(scenarios, [int(state.tables.row[b, events.WHICH]) for b in rows])
        missing = fresh.tables.window.shape[2] - state.tables.window.shape[2]
        if missing > 0:  # a calendar longer than any before
            extra = np.full((*state.tables.window.shape[:2], missing, 3), NEVER, np.int64)
            state.tables = state.tables._replace(window=np.concatenate([state.tables.window, extra], axis=2))
        for old, new in zip(state.tables, fresh.tables, strict=True):
            if old is state.tables.window:
                old[list(rows)] = NEVER
                old[list(rows), :, : new.shape[2]] = new
            else:
                old[list(rows)] = new
        for b, world in zip(rows, scenarios, strict=True):
            state.scenarios[b] = world

    def mask(self, state: ShopBatch) -> npt.NDArray[np.bool_]:
        """Accepted actions (B, J + 1)."""
        return state.tables.mask

    def step(self, state: ShopBatch, actions: Actions) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """One decision a row, up to the next real decision."""
        rewards = np.empty(len(state), np.float64)
        chosen = np.ascontiguousarray(actions, dtype=np.int64)
        bad = self._code(len(state)).step(*self.shops, *state.tables, chosen, self.wait, rewards)
        if bad >= 0:
            legal = np.flatnonzero(state.tables.mask[bad]).tolist()
            raise IllegalActionError(f"action {int(chosen[bad])} in row {bad} is not accepted now; accepted: {legal}")
        if self.reward_scale != 1.0:
            rewards /= self.reward_scale
        return rewards, state.tables.row[:, events.ENDED] == 1

    def observe(self, state: ShopBatch) -> npt.NDArray[np.float32]:
        """Features (B, J, 9) of each job, times in units of the longest job's work and cut at `FAR` (100) of them.

        0 can move now; 1 share of operations begun; 2 work not begun; 3 time left on its machine, as announced;
        4 next duration; 5 time since it could have moved; 6 next machine is held; 7 time until the next machine is up;
        8 slack to the due date (0 without one).
        """
        out = np.empty((len(state), self.n_jobs, FEATURES), np.float32)
        self._code(len(state)).observe(*self.shops, *state.tables, out)
        return out

    def graphs(self, state: ShopBatch) -> GraphBatch:
        """The open operations as one graph a row: `graph_features.NODE_FEATURES` and `graph_features.RELATIONS`.

        Action j moves the next operation of job j, and no node where there is none; waiting moves none. Rows that have
        ended have no nodes.
        """
        return graph_features.build(self._code(len(state)), self.shops, self._measures, state.tables)

    def clone(self, state: ShopBatch, scenarios: Sequence[Outages], rows: Sequence[int]) -> ShopBatch:
        """Copies of some rows with another future; what has begun stays as it was."""
        index = np.asarray(rows, np.int64)
        tables = Batch._make(np.ascontiguousarray(table[index]) for table in state.tables)
        which = tables.row[:, events.WHICH].tolist()
        merged = list(scenarios)
        worlds = {id(world): world for world in [*scenarios, *(state.scenarios[int(b)] for b in index)]}.values()
        if any(len(world.windows) or world.extra.any() for world in worlds):
            merged = [
                world.after(
                    int(tables.row[i, events.TIME]), self._started(tables, i, which[i]), state.scenarios[int(b)]
                )
                for i, (b, world) in enumerate(zip(index, scenarios, strict=True))
            ]
            width = self._width(merged, which)
            if width == 0 and tables.window.shape[2] == 0:  # no operation that runs is touched
                self._write_extra(tables, scenarios)
                return ShopBatch(tables, merged)
            tables = tables._replace(window=self._empty_windows(len(index), width))
            for i, world in enumerate(merged):
                self._fill(tables, i, which[i], world)
            self._code(len(index)).refresh(*self.shops, *tables, self.wait)  # the next event is another one
        return ShopBatch(tables, merged)

    def snapshot(self, state: ShopBatch, row: int) -> ShopState:
        """State of one row, for ``problem.at``."""
        t = state.tables
        shop = self.problems[int(t.row[row, events.WHICH])]
        jobs, ops = shop.machines.shape
        start = t.visit[row, :jobs, :ops, events.START].copy()
        time, world = int(t.row[row, events.TIME]), state.scenarios[row]
        past = Outages(np.where(start >= 0, world.extra, 0), world.windows[world.windows[:, 1] <= time])
        return ShopState(time, start, past)

    def failed(self, state: ShopBatch) -> npt.NDArray[np.bool_]:
        """Rows that ended in a deadlock."""
        return state.tables.row[:, events.FAILED] == 1

    # ---- rules -------------------------------------------------------------------------------------------------
    def dispatch(self, state: ShopBatch, rule: str, *, wip_cap: int = 0, seeds: Actions) -> Actions:
        """Actions (B,) of a rule; `seeds` (B,) hold the random streams and move on."""
        actions = np.empty(len(state), np.int64)
        code = self._code(len(state))
        code.priorities(*self.shops, *state.tables, RULES.index(rule), wip_cap, seeds, actions)
        return actions

    def playout(
        self, state: ShopBatch, *, seed: int, rule: str = "random", wip_cap: int = 0
    ) -> npt.NDArray[np.float64]:
        """Play every row to its end by a rule; returns the rewards (B,) of the rest. The state is changed."""
        from ...core.seeds import stream

        rewards = np.empty(len(state), np.float64)
        seeds = stream(seed, "playout").integers(1, NEVER, len(state))
        code = self._code(len(state))
        code.play(*self.shops, *state.tables, RULES.index(rule), wip_cap, seeds, rewards)
        return rewards / self.reward_scale

    def completions(
        self,
        state: ShopBatch,
        samples: int,
        *,
        seed: int,
        mask: npt.NDArray[np.bool_] | None = None,
        general: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Rewards (B, J + 1, S) of each accepted action and of S random completions after it; NaN for the others.

        They meet no interruption that has not begun: operations take their planned time. The s-th completions of all
        rows and actions draw from the same stream. `mask` (B, J + 1) leaves out some of the accepted actions, `general`
        the short cut of `completion`.
        """
        rewards = np.full((*state.tables.mask.shape, samples), np.nan)
        seeds = np.random.default_rng(seed).integers(1, NEVER, samples)  # a stream of its own would cost more
        one = Batch._make(table[:1].copy() for table in state.tables)
        room = np.empty((2, 4, self.n_jobs), np.int64), np.empty((2, 3, self.n_machines), np.int64)
        code = self._code(rewards.size * self.n_jobs)
        told = (general, seeds, np.empty(1, np.int64), rewards)
        tables = state.tables if mask is None else state.tables._replace(mask=mask & state.tables.mask)
        code.complete(*self.shops, *tables, *one, *room, *told)
        return rewards / self.reward_scale

    # ---- filling the tables --------------------------------------------------------------------------------------
    @cached_property
    def _measures(self) -> npt.NDArray[np.float64]:
        return graph_features.measures(self.problems)

    @cached_property
    def _templates(self) -> Batch:
        """One undisturbed row per problem."""
        tables = self._empty(len(self.problems), 0)
        for p, shop in enumerate(self.problems):
            self._begin(tables, p, p, Outages(shop.nominal().extra))
        return tables

    def _write_extra(self, tables: Batch, scenarios: Sequence[Outages]) -> None:
        """Durations of the operations that have not begun, where no row has a calendar."""
        extra = np.zeros(tables.visit.shape[:3], np.int64)
        for b, world in enumerate(scenarios):
            jobs, ops = world.extra.shape
            extra[b, :jobs, :ops] = world.extra
        extra += self.shops.route[tables.row[:, events.WHICH], :, :, events.DURATION]
        begun = tables.visit[..., events.START] >= 0
        tables.visit[..., events.WORK] = np.where(begun, tables.visit[..., events.WORK], extra)

    def _width(self, scenarios: Sequence[Outages], which: Sequence[int]) -> int:
        """Most windows on any machine of any row."""
        most = 0
        if not any(len(world.windows) for world in scenarios) and not any(len(p.maintenance) for p in self.problems):
            return 0
        for p, world in zip(which, scenarios, strict=True):
            machines = np.concatenate([self.problems[p].maintenance[:, 0], world.windows[:, 0]])
            most = max(most, int(np.bincount(machines).max()) if len(machines) else 0)
        return most

    def _empty_windows(self, rows: int, width: int) -> npt.NDArray[np.int64]:
        return np.full((rows, self.n_machines, width, 3), NEVER, np.int64)

    def _empty(self, rows: int, width: int) -> Batch:
        visit = np.zeros((rows, self.n_jobs, self.n_operations, 2), np.int64)
        visit[..., events.START] = -1
        job = np.zeros((rows, self.n_jobs, 4), np.int64)
        job[..., [events.TARGET, events.HELD]] = -1
        return Batch(
            row=np.zeros((rows, 5), np.int64),
            job=job,
            visit=visit,
            holder=np.full((rows, self.n_machines), -1, np.int64),
            window=self._empty_windows(rows, width),
            mask=np.zeros((rows, self.n_actions), np.bool_),
        )

    def _fill(self, tables: Batch, b: int, p: int, world: Outages) -> None:
        """The scenario's durations and windows into row b."""
        shop = self.problems[p]
        jobs, ops = shop.machines.shape
        tables.visit[b, :jobs, :ops, events.WORK] = shop.durations + world.extra
        rows = [(m, t, e, 1) for m, t, e in shop.maintenance.tolist()]
        rows += [(m, t, e, 0) for m, t, e in world.windows.tolist()]
        used = [0] * self.n_machines
        if tables.window.shape[2] > 0:  # a template has none
            for m, begin, end, planned in sorted(rows, key=lambda r: r[1:]):
                tables.window[b, m, used[m]] = begin, end, planned
                used[m] += 1
        plain = events.SOURCE.plain
        for j, n in enumerate(tables.job[b, :jobs, events.BEGUN].tolist()):
            if n > 0:  # the running operation meets the new future
                begin, m = tables.visit[b, j, n - 1, events.START], shop.machines[j, n - 1]
                need, repeat = tables.visit[b, j, n - 1, events.WORK], shop.interruptions.mode == "repeat"
                tables.job[b, j, events.READY] = plain._finish(tables.window, b, m, begin, need, repeat, NEVER)

    def _begin(self, tables: Batch, b: int, p: int, world: Outages) -> None:
        """Row b at the state its problem starts from."""
        shop = self.problems[p]
        tables.row[b, events.WHICH] = p
        tables.job[b, : shop.n_jobs, events.READY] = shop.release
        tables.job[b, : shop.n_jobs, events.TARGET] = shop.machines[:, 0]
        if shop.state is not None:
            jobs, ops = shop.machines.shape
            tables.row[b, events.TIME] = shop.state.time
            tables.visit[b, :jobs, :ops, events.START] = shop.state.start
            tables.job[b, :jobs, events.BEGUN] = (shop.state.start >= 0).sum(axis=1)
        self._fill(tables, b, p, world)
        if shop.state is not None:
            for j, n in enumerate(tables.job[b, : shop.n_jobs, events.BEGUN].tolist()):
                running = tables.job[b, j, events.READY] > shop.state.time
                if n > 0 and (running or (shop.blocking and n < shop.n_operations[j])):
                    tables.holder[b, shop.machines[j, n - 1]] = j
                    tables.job[b, j, events.HELD] = shop.machines[j, n - 1]
                tables.job[b, j, events.TARGET] = shop.machines[j, n] if n < shop.n_operations[j] else -1

    def _started(self, tables: Batch, b: int, p: int) -> npt.NDArray[np.bool_]:
        jobs, ops = self.problems[p].machines.shape
        return np.asarray(tables.visit[b, :jobs, :ops, events.START] >= 0)


_ = completion  # registers its functions with the source
