"""The batched simulator: networks of mixed size, padded into the tables of `flights`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, IllegalActionError
from ...core.seeds import stream
from . import flights
from .collision import near
from .data import UavState
from .flights import FAR, Batch, Networks, agent_features

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import SimpleNamespace

    from .data import UavOffloading

__all__ = ["FlightBatch", "UavKernel", "hops_to"]

Actions = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
EFFORT = 300_000  # pairs of users and UAVs that Python looks at before numba would have been imported


@dataclass(slots=True, eq=False)
class FlightBatch:
    """State of a batch: the tables of `flights.Batch`, and which problem each row plays."""

    tables: Batch
    which: list[int]

    @property
    def slot(self) -> Actions:
        """Present slot of each row (B,), counted from 0."""
        return self.tables.row[:, flights.SLOT]

    @property
    def held(self) -> Actions:
        """UAVs of each row (B,) that the collision rule held back in the last move."""
        return self.tables.row[:, flights.HELD]

    @property
    def cells(self) -> Actions:
        """Present cell of each UAV (B, U), -1 for a padded one."""
        return np.asarray(self.tables.path[np.arange(len(self)), self.slot])

    def __len__(self) -> int:
        return len(self.tables.row)


class UavKernel:
    """Simulator of a batch of UAV networks; all UAVs of a row move together.

    Actions (B, U) are indices into ``problem.offsets`` (0 stays). The mask (B, U, M) accepts moves into open cells of
    the grid from which the UAV still reaches its end; a UAV that no longer does (it was held back) may only stay, and
    the episode ends as failed. A padded UAV stays. Whatever the mask accepts is flown by the collision rule of
    `orrl.problems.uav.flights`.

    The reward of a move is the number of users served in the new slot; the first move of an episode that begins in the
    first slot adds those of that slot. So rewards sum to the objective exactly.

    Parameters
    ----------
    problems : sequence of UavOffloading
        Networks of any size; one that stands there several times is kept once.
    reward_scale : float
        Rewards are divided by it.
    pad_to : (int, int), optional
        UAVs and moves of actions, masks and observations; the largest problem's by default. Grids and users may always
        differ.
    compiled : bool or None
        Run as machine code or as plain Python; None takes Python for the first few short episodes of a process.

    Raises
    ------
    DataError
        Without a problem, or where one does not fit `pad_to`.
    """

    _done: ClassVar[int] = 0  # effort that this process has spent in plain Python

    def __init__(
        self,
        problems: Sequence[UavOffloading],
        *,
        reward_scale: float = 1.0,
        pad_to: tuple[int, int] | None = None,
        compiled: bool | None = None,
    ) -> None:
        if not problems:
            raise DataError("the kernel needs at least one network")
        self.problems = list(problems)
        self.reward_scale, self._compiled = reward_scale, compiled
        own = {id(p): p for p in self.problems}
        self.unique = list(own.values())
        index = {key: i for i, key in enumerate(own)}
        self._table = [index[id(p)] for p in self.problems]
        size = (max(p.n_uavs for p in self.unique), max(len(p.offsets) for p in self.unique))
        if pad_to is not None and any(a > b for a, b in zip(size, pad_to, strict=True)):
            raise DataError(f"pad_to is {pad_to} but a network has (UAVs, moves) {size}: pad to at least that")
        self.n_uavs, self.n_actions = size if pad_to is None else pad_to
        self.action_shape: tuple[int, ...] = (self.n_uavs,)
        self.n_slots = max(p.n_slots for p in self.unique)
        self.networks = _tables(self.unique, self.n_uavs, self.n_actions)
        self._effort = max(p.n_users * p.n_uavs for p in self.unique)
        some = any(p.capacity is not None for p in self.unique)
        self.classes = np.zeros(1 << self.n_uavs if some else 1, np.int64)

    def code(self, rows: int, each: int = 1) -> SimpleNamespace:
        """The functions of `flights`, as Python or as machine code, for a call on `rows` rows."""
        if self._compiled is None and not flights.SOURCE.ready:
            UavKernel._done += rows * each * self._effort
            if UavKernel._done <= EFFORT:
                return flights.SOURCE.plain
        return flights.SOURCE.plain if self._compiled is False else flights.SOURCE.compiled()

    # ---- the protocol ------------------------------------------------------------------------------------------
    def reset(self, scenarios: Sequence[Any], which: Sequence[int] | None = None) -> FlightBatch:
        """Fresh state, one row per scenario; row b plays ``problems[which[b]]``."""
        rows = len(scenarios)
        if which is None:
            which = [0] * rows if len(self.problems) == 1 else range(len(self.problems))
        chosen = [int(p) for p in which]
        if len(chosen) != rows:
            raise DataError(f"{rows} scenarios for {len(chosen)} rows: give one a row, or which= (a problem for each)")
        tables = Batch(
            row=np.zeros((rows, 3), np.int64),
            path=np.full((rows, self.n_slots, self.n_uavs), -1, np.int64),
            mask=np.zeros((rows, self.n_uavs, self.n_actions), np.bool_),
        )
        table = np.array([self._table[p] for p in chosen], np.int64)
        tables.row[:, flights.TABLE] = table
        for p in np.unique(table).tolist():
            past, mine = self.unique[p].position, np.flatnonzero(table == p)
            tables.row[mine, flights.SLOT] = len(past) - 1
            tables.path[mine, : len(past), : past.shape[1]] = past
        self.code(rows).refresh(*self.networks, *tables)
        return FlightBatch(tables, chosen)

    def reset_rows(self, state: FlightBatch, rows: Sequence[int], scenarios: Sequence[Any]) -> None:
        """Begin new episodes in some rows, as a vector environment does."""
        fresh = self.reset(scenarios, [state.which[b] for b in rows])
        for old, new in zip(state.tables, fresh.tables, strict=True):
            old[list(rows)] = new

    def mask(self, state: FlightBatch) -> npt.NDArray[np.bool_]:
        """Accepted moves (B, U, M)."""
        return state.tables.mask

    def step(self, state: FlightBatch, actions: Actions) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """One joint move a row; a row of -1 is kept as it is.

        Raises
        ------
        IllegalActionError
            Where the mask forbids a move; no row has moved then.
        """
        rewards = np.empty(len(state), np.float64)
        chosen = np.ascontiguousarray(actions, dtype=np.int64)
        if chosen.shape != (len(state), self.n_uavs):
            raise IllegalActionError(
                f"actions have shape {chosen.shape}: give {(len(state), self.n_uavs)} (rows, UAVs)"
            )
        bad = self.code(len(state)).step(*self.networks, *state.tables, chosen, self.classes, rewards)
        if bad >= 0:
            accepted = [np.flatnonzero(row).tolist() for row in state.tables.mask[bad]]
            raise IllegalActionError(
                f"action {chosen[bad].tolist()} in row {bad} is not accepted now; accepted for each UAV: {accepted}"
            )
        if self.reward_scale != 1.0:
            rewards /= self.reward_scale
        return rewards, self.ended(state)

    def ended(self, state: FlightBatch) -> npt.NDArray[np.bool_]:
        """Rows (B,) that are in their last slot."""
        slots = self.networks.facts[state.tables.row[:, flights.TABLE], flights.SLOTS]
        return np.asarray(state.slot + 1 >= slots)

    def observe(self, state: FlightBatch) -> npt.NDArray[np.float32]:
        """Central observation (B, 1 + U (29 + 2 (U - 1))): the share of the moves that are made, then each UAV's part.

        A UAV's part is its observation (`observe_agents`) without the first number.
        """
        each = self.observe_agents(state)
        return np.concatenate([each[:, 0, :1], each[:, :, 1:].reshape(len(state), -1)], axis=1)

    def observe_agents(self, state: FlightBatch) -> npt.NDArray[np.float32]:
        """What each UAV sees (B, U, 30 + 2 (U - 1)); zeros for a padded UAV.

        0: share of the moves that are made; 1, 2: own x and y in units of the grid; 3, 4: offset in x and y to the own
        end in units of the grid, 0 without ends; 5 to 29: share of the users over each cell of a window of 5 x 5 cells
        round the UAV in the present slot, southernmost row first, 0 outside the grid; then the offset in x and y to
        each other UAV in order, in units of the grid.
        """
        out = np.empty((len(state), self.n_uavs, agent_features(self.n_uavs)), np.float32)
        self.code(len(state)).observe(*self.networks, *state.tables, out)
        return out

    def observation_bounds(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Smallest and largest values of an agent's observation (30 + 2 (U - 1),)."""
        low = np.zeros(agent_features(self.n_uavs), np.float32)
        low[3:5] = low[flights.OWN :] = -1.0
        return low, np.ones_like(low)

    def clone(self, state: FlightBatch, scenarios: Sequence[Any], rows: Sequence[int]) -> FlightBatch:
        """Copies of some rows; nothing is random, so the future is the same."""
        index = np.asarray(rows, np.int64)
        tables = Batch._make(np.ascontiguousarray(table[index]) for table in state.tables)
        return FlightBatch(tables, [state.which[int(b)] for b in index])

    def snapshot(self, state: FlightBatch, row: int) -> UavState:
        """State of one row, for ``problem.at``."""
        uavs = self.problems[state.which[row]].n_uavs
        return UavState(state.tables.path[row, : int(state.slot[row]) + 1, :uavs].copy())

    def failed(self, state: FlightBatch) -> npt.NDArray[np.bool_]:
        """Rows (B,) that ended with a UAV away from its end."""
        ends = self.networks.ends[state.tables.row[:, flights.TABLE]]
        return np.asarray(self.ended(state) & ((ends >= 0) & (state.cells != ends)).any(axis=1))

    # ---- rules and playouts --------------------------------------------------------------------------------------
    def choose(self, state: FlightBatch, guide: Actions | None = None) -> Actions:
        """Moves (B, U) of a rule in which one UAV after the other takes its best move, see `flights.choose`.

        Parameters
        ----------
        guide : (P, U, G) int, optional
            For each of `unique` what a UAV would pay for each cell, at most 2**30; without it a UAV takes the move that
            serves most users in the next slot.
        """
        greedy = guide is None
        prices = np.zeros((1, 1, 1), np.int64) if guide is None else np.ascontiguousarray(guide, dtype=np.int64)
        actions = np.empty((len(state), self.n_uavs), np.int64)
        code = self.code(len(state), self.n_uavs * self.n_actions if greedy else 1)
        code.choose(*self.networks, *state.tables, prices, greedy, self.classes, actions)
        return actions

    def playout(self, state: FlightBatch, *, seed: int) -> FloatArray:
        """Play every row to its end at random; returns the rewards (B,) of the rest. The state is changed."""
        rewards = np.empty(len(state), np.float64)
        seeds = stream(seed, "playout").integers(1, 1 << 60, len(state))
        actions = np.zeros((len(state), self.n_uavs), np.int64)
        code = self.code(len(state), self.n_slots)
        code.play(*self.networks, *state.tables, actions, self.classes, seeds, rewards)
        return rewards / self.reward_scale


def hops_to(problem: UavOffloading, cell: int) -> Actions:
    """Fewest moves (G,) from each cell to `cell` round closed ones, `FAR` without a way; moves are symmetric."""
    hops = np.full(problem.n_cells, FAR, np.int64)
    hops[cell] = 0
    edge, far = np.array([cell]), 0
    while len(edge):
        far += 1
        found = np.unique(problem.targets[edge])
        edge = found[(found >= 0) & (hops[found] == FAR)]
        hops[edge] = far
    return hops


def _tables(problems: list[UavOffloading], uavs: int, moves: int) -> Networks:
    """Tables of the networks; those of a single one are not copied."""
    cells, users = max(p.n_cells for p in problems), max(p.n_users for p in problems)
    count, slots = len(problems), sum(p.n_slots for p in problems)
    share = np.zeros((slots, cells), np.float32)
    targets = np.full((count, cells, moves), -1, np.int64)
    hops, ends = np.zeros((count, uavs, cells), np.int64), np.full((count, uavs), -1, np.int64)
    weight, facts = np.empty(count), np.empty((count, 7), np.int64)
    if count == 1:
        radio = problems[0].radio
        power, needed = np.ascontiguousarray(radio.power), np.ascontiguousarray(radio.needed)
    else:
        power, needed = np.zeros((slots, cells, users)), np.full((slots, users), np.inf)
    base = 0
    for p, problem in enumerate(problems):
        g, k, t, width = problem.n_cells, problem.n_users, problem.n_slots, problem.width
        if count > 1:
            power[base : base + t, :g, :k] = problem.radio.power
            needed[base : base + t, :k] = problem.radio.needed
        over = np.minimum((problem.users / problem.cell).astype(np.int64), [width - 1, problem.height - 1])
        line = np.arange(t)[:, None] * g + problem.number(over)
        share[base : base + t, :g] = np.bincount(line.ravel(), minlength=t * g).reshape(t, g) / k
        targets[p, :g, : len(problem.offsets)] = problem.targets
        if problem.ends is not None:
            ends[p, : problem.n_uavs] = problem.number(problem.ends)
            hops[p, : problem.n_uavs, :g] = [hops_to(problem, c) for c in problem.number(problem.ends).tolist()]
        weight[p] = problem.radio.weight
        capacity = -1 if problem.capacity is None else problem.capacity
        facts[p] = (base, t, problem.n_uavs, capacity, width, problem.height, near(problem))
        base += t
    return Networks(power, needed, share, targets, hops, ends, weight, facts)
