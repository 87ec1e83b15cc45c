"""UAVs as agents on one grid: what they earn together, one or two beside the others, and each alone.

The tables evaluate the very comparison of `association.count`: a user is served if

    best >= needed + weight * (total - best),     total and best over the powers heard from all UAVs.

Sums over the UAVs that stand still are kept, so a further position costs one pass over the users.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...core.agents import AgentGraph
from ...core.errors import DataError
from ...core.jit import Source
from .association import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...core.program import Program
    from .data import UavOffloading

__all__ = ["FlightRelaxation", "agent_graph", "joint_reward", "response"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

source = Source(tables={"POWER": "f8[:,:,::1]", "NEEDED": "f8[:,::1]", "LIST": "i8[::1]"})
source.add("i8(POWER, NEEDED, f8, i8, i8, LIST, i8, i8, LIST)")(count)


@source.add("void(f8[:,::1], NEEDED, NEEDED, NEEDED, f8, i8, u8, u8, i2[::1])")
def tally(heard, needed, total, best, weight, depth, low, high, row):  # type: ignore[no-untyped-def]
    """Users (G,) served, capacity aside, with one more UAV on each cell from `low` on.

    The cells are the inner loop, and unsigned, so that the compiler makes it a vector loop (five times as fast).
    """
    for here in range(low, high):
        row[here] = 0
    for k in range(heard.shape[0]):
        need, sum_, top_ = needed[0, k], total[depth, k], best[depth, k]
        for here in range(low, high):
            top = heard[k, here] if heard[k, here] > top_ else top_
            row[here] += 1 if top >= need + weight * (sum_ + heard[k, here] - top) else 0


@source.add("void(POWER, NEEDED, NEEDED, i8, i8, i8)")
def push(power, total, best, depth, cell, above):  # type: ignore[no-untyped-def]
    """Sum and best of the powers heard with one more UAV on `cell`."""
    for k in range(power.shape[2]):
        heard, top = power[0, cell, k], best[depth, k]
        total[above, k] = total[depth, k] + heard
        best[above, k] = heard if heard > top else top


@source.add(
    "void(POWER, f8[:,::1], NEEDED, f8, i8, b1[:,::1], LIST, i8, i8, LIST, NEEDED, NEEDED, i8[:,::1], LIST, LIST, "
    "i2[::1], i2[::1])",
    entry=True,
)
def fill(  # type: ignore[no-untyped-def]
    power, heard, needed, weight, capacity, close, cells, fixed, agents, classes, total, best, orders, base, step, row,
    out,
):  # fmt: skip
    """Users served for every position of the last ``agents - fixed`` UAVs, the first ``fixed`` being on ``cells``.

    Positions are run through in ascending order and written for each of ``orders``, the permutations of the free UAVs;
    ``out``, one axis of G cells per free UAV, stays -1 where they are too close. ``power`` is (1, G, K) and ``heard``
    the same as (K, G); ``total`` and ``best`` (agents + 1, K), ``classes``, ``base``, ``step`` and ``row`` are work
    space.
    """
    grid, free = power.shape[1], agents - fixed
    for k in range(needed.shape[1]):
        total[0, k], best[0, k] = 0.0, 0.0
    for u in range(fixed):
        for v in range(u):
            if close[cells[u], cells[v]]:
                return
        push(power, total, best, u, cells[u], u + 1)
    last, depth = agents - 1, fixed
    cells[depth] = -1
    while depth >= fixed:
        if depth < last:
            cells[depth] += 1
            here, fine = cells[depth], True
            if here == grid:
                depth -= 1
                continue
            for u in range(depth):
                fine = fine and not close[here, cells[u]]
            if fine:
                push(power, total, best, depth, here, depth + 1)
                depth += 1
                cells[depth] = here
            continue
        for i in range(orders.shape[0]):
            base[i] = 0
            for j in range(free):
                if orders[i, j] == free - 1:
                    step[i] = grid ** (free - 1 - j)
                else:
                    base[i] += cells[fixed + orders[i, j]] * grid ** (free - 1 - j)
        low = cells[depth] + 1
        tally(heard, needed, total, best, weight, depth, np.uint64(low), np.uint64(grid), row)
        for here in range(low, grid):
            fine = True
            for u in range(depth):
                fine = fine and not close[here, cells[u]]
            if fine:
                served = np.int64(row[here])
                if 0 <= capacity < served:  # else even one UAV could take them all
                    cells[depth] = here
                    served = count(power, needed, weight, capacity, 0, cells, agents, -1, classes)
                for i in range(orders.shape[0]):
                    out[base[i] + here * step[i]] = served
        depth -= 1


@source.add(
    "void(POWER, NEEDED, f8, i8, b1[:,::1], LIST, f8[::1], LIST, LIST, NEEDED, NEEDED, LIST, LIST, f8[::1], i2[::1])",
    entry=True,
)
def fill_lists(  # type: ignore[no-untyped-def]
    power, needed, weight, capacity, close, lists, losses, sizes, classes, total, best, place, cells, lost, out
):
    """Users served for every position of the UAVs on lists of cells, the first UAV's list running slowest.

    ``lists`` holds one list after the other, ``sizes`` (U,) long, and ``losses`` a loss for each entry; ``out`` stays
    -1 where two UAVs are too close or the losses add up to more than 1.
    """
    agents, users = sizes.shape[0], needed.shape[1]
    for k in range(users):
        total[0, k], best[0, k] = 0.0, 0.0
    depth, written = 0, 0
    place[0] = -1
    while depth >= 0:
        begin = 0
        for u in range(depth):
            begin += sizes[u]
        place[depth] += 1
        if place[depth] == sizes[depth]:
            depth -= 1
            continue
        here = lists[begin + place[depth]]
        cells[depth] = here
        lost[depth + 1] = lost[depth] + losses[begin + place[depth]]
        fine = lost[depth + 1] <= 1.0
        for u in range(depth):
            fine = fine and not close[here, cells[u]]
        if not fine:
            skipped = 1
            for u in range(depth + 1, agents):
                skipped *= sizes[u]
            written += skipped
            continue
        if depth < agents - 1:
            push(power, total, best, depth, here, depth + 1)
            depth += 1
            place[depth] = -1
            continue
        served = 0
        for k in range(users):
            heard, top = power[0, here, k], best[depth, k]
            top = heard if heard > top else top
            served += 1 if top >= needed[0, k] + weight * (total[depth, k] + heard - top) else 0
        if 0 <= capacity < served:
            served = count(power, needed, weight, capacity, 0, cells, agents, -1, classes)
        out[written] = served
        written += 1


@source.add("void(LIST, LIST, f8[::1], i8, f8[::1], LIST, f8[::1], f8[::1], f8[::1], b1)", entry=True)
def price(first, user, prices, capacity, visits, chosen, worth, earned, slope, steep):  # type: ignore[no-untyped-def]
    """What each node earns: the prices of the users it covers, of the `capacity` dearest where there is one.

    With `steep` it instead adds to `slope`, for each node, its visits at the users it would serve. The users of node n
    are ``user[first[n]:first[n + 1]]``; `chosen` and `worth` are work space.
    """
    for n in range(first.shape[0] - 1):
        if steep and visits[n] == 0.0:
            continue
        size = first[n + 1] - first[n]
        if capacity < 0 or size <= capacity:
            total = 0.0
            for i in range(first[n], first[n + 1]):
                total += prices[user[i]]
                if steep and prices[user[i]] > 0.0:
                    slope[user[i]] += visits[n]
            earned[n] = total
            continue
        held = 0
        for i in range(first[n], first[n + 1]):
            value = prices[user[i]]
            if held == capacity and value <= worth[held - 1]:
                continue
            place = held if held < capacity else held - 1
            held = place + 1
            while place > 0 and worth[place - 1] < value:
                worth[place], chosen[place] = worth[place - 1], chosen[place - 1]
                place -= 1
            worth[place], chosen[place] = value, user[i]
        total = 0.0
        for i in range(held):
            total += worth[i]
            if steep and worth[i] > 0.0:
                slope[chosen[i]] += visits[n]
        earned[n] = total


def agent_graph(problem: UavOffloading) -> AgentGraph:
    """Cells as nodes, from the present slot on; a closed cell has no moves."""
    flown = len(problem.position) - 1
    open_ = problem.targets >= 0
    indptr = np.concatenate([[0], np.cumsum(open_.sum(axis=1))]).astype(np.int64)
    ends = np.full(problem.n_uavs, -1, np.int64) if problem.ends is None else problem.number(problem.ends)
    return AgentGraph(problem.n_slots - flown, indptr, problem.targets[open_], problem.position[-1].copy(), ends)


def joint_reward(
    problem: UavOffloading,
    slot: int,
    nodes: Sequence[IntArray] | None = None,
    losses: Sequence[FloatArray] | None = None,
) -> npt.NDArray[np.int16]:
    """Users served in a slot (counted from the present one) with the UAVs on cells, (G,) * U; -1 where not allowed.

    With `nodes` each UAV is on the cells of its own list only, and the axes are these lists; positions whose `losses`
    add up to more than 1 stay -1.
    """
    now = len(problem.position) - 1 + slot
    if nodes is None:
        return _table(problem, now, np.empty(0, np.int64), problem.n_uavs)
    power, _, needed = _powers(problem, now)
    sizes = np.array([len(own) for own in nodes], np.int64)
    shut = np.all(problem.targets < 0, axis=1)
    close = np.ascontiguousarray(problem.too_close | shut | shut[:, None])
    classes = np.zeros(1 if problem.capacity is None else 1 << problem.n_uavs, np.int64)
    work = np.empty((2, problem.n_uavs + 1, needed.shape[1]))
    out = np.full(int(sizes.prod()), -1, np.int16)
    capacity = -1 if problem.capacity is None else problem.capacity
    marks = np.zeros((2, problem.n_uavs), np.int64)
    flat = np.concatenate(nodes).astype(np.int64)
    cost = np.zeros(len(flat)) if losses is None else np.concatenate(losses).astype(np.float64)
    source.compiled().fill_lists(
        power, needed, problem.radio.weight, capacity, close, flat, cost, sizes, classes, *work, *marks,
        np.zeros(problem.n_uavs + 1), out,
    )  # fmt: skip
    return out.reshape(sizes)


def response(problem: UavOffloading, paths: IntArray, free: Sequence[int]) -> npt.NDArray[np.int16]:
    """Users served in each slot with the UAVs `free` anywhere and the others on `paths` (T', U).

    Returns
    -------
    (T', G) or (T', G, G) int16
        -1 where not allowed.

    Raises
    ------
    DataError
        Where not one or two UAVs are free.
    """
    if len(free) not in (1, 2) or len(set(free)) != len(free):
        raise DataError(f"free is {list(free)}: give one or two UAVs")
    others = np.setdiff1d(np.arange(problem.n_uavs), np.asarray(free))
    flown = len(problem.position) - 1
    rows = [row[row >= 0] for row in np.asarray(paths, np.int64)[:, others]]  # -1: left out
    return np.array([_table(problem, flown + t, row, len(free)) for t, row in enumerate(rows)])


def _powers(problem: UavOffloading, slot: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Powers (1, G, K') and (K', G) and needs (1, K') of the users that some cell covers; no other is served."""
    kept: dict[int, tuple[FloatArray, FloatArray, FloatArray]] = problem.__dict__.setdefault("_powers", {})
    if slot not in kept:
        heard = problem.radio.covered[slot].any(axis=0)
        power = np.ascontiguousarray(problem.radio.power[slot][:, heard])
        by_user, needed = np.ascontiguousarray(power.T), problem.radio.needed[slot][heard]
        kept[slot] = power[None], by_user, needed[None]
    return kept[slot]


def _table(problem: UavOffloading, slot: int, fixed: IntArray, free: int) -> npt.NDArray[np.int16]:
    grid = problem.n_cells
    power, by_user, needed = _powers(problem, slot)
    agents = len(fixed) + free
    cells = np.concatenate([fixed, np.zeros(free, np.int64)])
    close = problem.too_close
    classes = np.zeros(1 if problem.capacity is None else 1 << agents, np.int64)
    work = np.empty((2, agents + 1, needed.shape[1]))
    orders = np.array(list(permutations(range(free))), np.int64)
    ends = np.empty((2, len(orders)), np.int64)
    out = np.full(grid**free, -1, np.int16)
    capacity = -1 if problem.capacity is None else problem.capacity
    shut = np.all(problem.targets < 0, axis=1)
    if shut.any():
        close = np.asarray(close | shut | shut[:, None])
    row = np.empty(grid, np.int16)
    source.compiled().fill(
        power, by_user, needed, problem.radio.weight, capacity, close, cells, len(fixed), agents,
        classes, *work, orders, *ends, row, out,
    )  # fmt: skip
    table = out.reshape((grid,) * free)
    if shut.any() and free == 1 and not len(fixed):  # a lone UAV has nobody to be too close to
        table[shut] = -1
    return table


class FlightRelaxation:
    """Users and cells priced, so that each UAV flies alone.

    A user-slot is worth a price p in [0, 1] to every UAV that covers it and ``1 - p`` to nobody; a cell-slot costs
    m >= 0 to every UAV and pays it back once:

        L(p, m) = sum (1 - p) + sum m + sum over UAVs of the longest path under  (prices of covered users) - m.

    Without a capacity this dualises "a user is served only from where it is covered" (``z <= sum n``), with one "a user
    has one server"; a UAV then earns its `capacity` dearest users. "At most one UAV on a cell" is dualised with m.
    Covered means: heard well enough where no other UAV disturbs. Interference only takes users away, so L bounds that
    problem, too, though less closely.

    Parameters
    ----------
    problem : UavOffloading
        The network.
    """

    integral = True
    of = ""

    def __init__(self, problem: UavOffloading) -> None:
        self.problem = problem
        flown = len(problem.position) - 1
        covered = problem.radio.covered[flown:]
        self.shape = covered.shape
        slots, cells, users = covered.shape
        slot, _, user = np.nonzero(covered)
        counts = covered.sum(axis=2).ravel()
        self._first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._user = (slot * users + user).astype(np.int64)
        self._prices = slots * users
        self._capacity = -1 if problem.capacity is None else problem.capacity
        self._work = np.empty(users, np.int64), np.empty(users)
        self._closed = (problem.targets < 0).all(axis=1)
        airspace = slots * cells if problem.n_uavs > 1 else 0
        self.lower = np.zeros(self._prices + airspace)
        self.upper = np.concatenate([np.ones(self._prices), np.full(airspace, np.inf)])

    def start(self) -> FloatArray:
        """Every user at full price, no price on cells: what UAVs that know of no other believe."""
        prices = np.zeros_like(self.lower)
        prices[: self._prices] = 1.0
        return prices

    def reward(self, prices: FloatArray) -> tuple[FloatArray, float]:
        """What a UAV earns on each cell in each slot (T', G), and the constant."""
        earned = np.zeros(self.shape[0] * self.shape[1])
        worth = np.ascontiguousarray(prices[: self._prices])
        source.compiled().price(
            self._first, self._user, worth, self._capacity, earned, *self._work, earned, worth, False
        )
        airspace = prices[self._prices :]
        if len(airspace):
            earned -= airspace
        table = earned.reshape(self.shape[:2])
        table[:, self._closed] = -np.inf
        return table, float((1.0 - worth).sum() + airspace.sum())

    def subgradient(self, prices: FloatArray, visits: FloatArray) -> FloatArray:
        """Subgradient: UAVs that serve a user-slot less one, one less the UAVs on a cell-slot."""
        slope = np.full(self._prices, -1.0)
        flat = np.ascontiguousarray(visits, np.float64).ravel()
        worth = np.ascontiguousarray(prices[: self._prices])
        source.compiled().price(
            self._first, self._user, worth, self._capacity, flat, *self._work, np.empty_like(flat), slope, True
        )
        return np.concatenate([slope, 1.0 - flat]) if len(self.lower) > self._prices else slope

    def restricted(self, keep: npt.NDArray[np.bool_]) -> Program | None:
        """The covering flow on the cells kept; None with interference, whose big-M program is not worth solving."""
        if self.problem.interference:
            return None
        form = next(f for f in self.problem.forms()["highspy"] if f in ("flow", "capacity"))
        return self.problem.program(backend="highspy", form=form, keep=keep)
