"""UAVs over table rows: the transition that tabular learners are handed as two compiled functions.

The row of a UAV is its cell, or slot and cell. Rewards from which the UAVs learn (Wolpert & Tumer 2002, Advances in
Complex Systems 4:265-279, call the first the difference reward) count the users of the slot that is entered:

    difference   served by all - served by all but u,
    team         served by all, the same for each UAV,
    own          users that u is heard best by among all UAVs and that are served, at most its capacity.

The problem's own reward never contains a penalty; its first one counts the users of slot 1 too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ...core.agents import IndexedKernel
from ...core.errors import DataError, NotSupportedError
from ...core.jit import Source
from .association import by_strongest, count
from .collision import near, yield_way

if TYPE_CHECKING:
    from .data import UavOffloading, UavState

__all__ = ["Reward", "Row", "indexed_kernel", "source"]

Row = Literal["time-cell", "cell"]
Reward = Literal["difference", "team", "own"]
IntArray = npt.NDArray[np.int64]

# `sizes`: what stands where; then starts (U), targets (G, M) and, with ends, cells (U, T, G) that still reach them
SLOTS, CELLS, USERS, UAVS, MOVES, CAPACITY, WIDTH, NEAR, FIRST, TIMED, REWARD, ENDS, HEAD = range(13)
# `data` ends with these; received power (T, G, K) and needed power (T, K) come before
TAIL = 3  # weight of interference, penalty, users served in the slot before the first move where that counts
# `memory`, read as integers: slot, cells (U), targets (U), classes (2 ** U)

source = Source(tables={"POWER": "f8[:,:,::1]", "NEEDED": "f8[:,::1]"})
source.add("i8(POWER, NEEDED, f8, i8, i8, i8[::1], i8, i8, i8[::1])", entry=True)(count)
source.add("i8(i8, i8, i8[::1], i8[::1], i8)", entry=True)(yield_way)
source.add("void(POWER, NEEDED, f8, i8, i8, i8[::1], i8, f8[::1])")(by_strongest)


@source.add("void(f8[::1], i8[::1], f8[::1], f8[::1], i8[::1])", entry=True)
def reset(data, sizes, noise, memory, index):  # type: ignore[no-untyped-def]
    """All UAVs on their cells of the present slot."""
    whole = memory.view(np.int64)
    whole[0] = sizes[FIRST]
    shift = whole[0] * sizes[CELLS] if sizes[TIMED] else 0
    for u in range(sizes[UAVS]):
        whole[1 + u] = sizes[HEAD + u]
        index[u] = shift + whole[1 + u]


@source.add("b1(f8[::1], i8[::1], f8[::1], f8[::1], i8[::1], i8[::1], f8[::1])", entry=True)
def step(data, sizes, noise, memory, actions, index, rewards):  # type: ignore[no-untyped-def]
    """Move all UAVs, send back who is in the way, and count the users of the slot that is entered."""
    slots, places, users, agents = sizes[SLOTS], sizes[CELLS], sizes[USERS], sizes[UAVS]
    capacity = sizes[CAPACITY]
    power = data[: slots * places * users].reshape((slots, places, users))
    needed = data[slots * places * users : slots * (places + 1) * users].reshape((slots, users))
    tail = data[slots * (places + 1) * users :]
    whole = memory.view(np.int64)
    cells, targets, classes = whole[1 : 1 + agents], whole[1 + agents : 1 + 2 * agents], whole[1 + 2 * agents :]
    ways = HEAD + agents
    first = whole[0] == sizes[FIRST]
    whole[0] += 1
    slot = whole[0]
    for u in range(agents):
        targets[u] = sizes[ways + cells[u] * sizes[MOVES] + actions[u]]
    back = yield_way(sizes[WIDTH], sizes[NEAR], cells, targets, agents)
    weight = tail[0]
    served = count(power, needed, weight, capacity, slot, targets, agents, -1, classes)
    rewards[agents] = served + (tail[2] if first else 0.0)
    kind = sizes[REWARD]
    if kind == 0:
        for u in range(agents):
            rewards[u] = served - count(power, needed, weight, capacity, slot, targets, agents, u, classes)
    elif kind == 1:
        for u in range(agents):
            rewards[u] = served
    else:
        by_strongest(power, needed, weight, capacity, slot, targets, agents, rewards)
    shift = slot * places if sizes[TIMED] else 0
    for u in range(agents):
        if back and targets[u] == cells[u] and sizes[ways + cells[u] * sizes[MOVES] + actions[u]] != cells[u]:
            rewards[u] -= tail[1]
        cells[u] = targets[u]
        index[u] = shift + cells[u]
    if slot + 1 == slots:
        return True
    if sizes[ENDS]:  # who was sent back may have lost its end cell: the episode is over and counts for nothing
        after = ways + places * sizes[MOVES]
        for u in range(agents):
            if sizes[after + (u * slots + slot) * places + cells[u]] == 0:
                rewards[u] -= tail[1]
                rewards[agents] = -np.inf
        return rewards[agents] == -np.inf
    return False


def indexed_kernel(
    problem: UavOffloading, *, state: Row = "time-cell", reward: Reward = "difference", penalty: float = 5.0
) -> IndexedKernel:
    """Tables' view of the network; the rule for conflicts is the kernel's.

    Parameters
    ----------
    state : {"time-cell", "cell"}
        A UAV's row is ``slot * G + cell`` (S = T * G), or its cell (S = G), which is smaller, and blind for the time.
    reward : {"difference", "team", "own"}
        What each UAV learns from; see the module.
    penalty : float
        Taken from the reward of a UAV that is sent back to its own cell, users.

    Raises
    ------
    NotSupportedError
        For ``state="cell"`` with end cells, which a row without the time cannot keep.
    """
    if state not in get_args(Row):
        raise DataError(f"state is {state!r}: give 'time-cell' or 'cell'")
    if reward not in get_args(Reward):
        raise DataError(f"reward is {reward!r}: give 'difference', 'team' or 'own'")
    if not (np.isfinite(penalty) and penalty >= 0):
        raise DataError(f"penalty is {penalty!r}: give a number of at least 0, in users")
    timed = state == "time-cell"
    if problem.ends is not None and not timed:
        raise NotSupportedError("state='cell' does not know how much time is left to reach the ends: use 'time-cell'")
    code = source.compiled()
    radio, position = problem.radio, problem.position
    slots, places, agents = problem.n_slots, problem.n_cells, problem.n_uavs
    capacity = -1 if problem.capacity is None else problem.capacity
    classes = np.zeros(1 << agents if capacity >= 0 else 1, np.int64)
    start = np.ascontiguousarray(position[-1])
    counted = 0
    if len(position) == 1:
        counted = code.count(radio.power, radio.needed, radio.weight, capacity, 0, start, agents, -1, classes)
    head = [slots, places, problem.n_users, agents, len(problem.offsets), capacity, problem.width, near(problem)]
    head += [len(position) - 1, timed, get_args(Reward).index(reward), problem.ends is not None]
    mask = problem.targets >= 0
    alive = np.zeros(0, np.int64)
    if timed:
        ahead = _ahead(problem)
        alive = ahead.astype(np.int64).ravel()
        after = np.zeros((agents, slots, places, mask.shape[1]), np.bool_)
        after[:, :-1] = ahead[:, 1:][:, :, problem.targets]
        full = (after & mask).reshape(agents, slots * places, -1)
    else:
        full = np.broadcast_to(mask, (agents, *mask.shape)).copy()
    return IndexedKernel(
        agents=agents,
        states=full.shape[1],
        actions=full.shape[2],
        mask=full,
        draws=0,
        horizon=slots - len(position),
        data=np.concatenate([radio.power.ravel(), radio.needed.ravel(), [radio.weight, penalty, float(counted)]]),
        sizes=np.concatenate([head, start, problem.targets.ravel(), alive]).astype(np.int64),
        memory=1 + 2 * agents + len(classes),
        reset=code.reset,
        step=code.step,
        rows=_Rows(places if timed else 0),
    )


class _Rows:
    """Rows (U,) of a snapshot."""

    def __init__(self, places: int) -> None:
        self.places = places

    def __call__(self, snapshot: UavState) -> IntArray:
        cells = np.asarray(snapshot.cells, np.int64)
        return np.asarray(cells[-1] + (len(cells) - 1) * self.places)


def _ahead(problem: UavOffloading) -> npt.NDArray[np.bool_]:
    """Cells (U, T, G) from which a UAV still reaches its end."""
    ahead = np.ones((problem.n_uavs, problem.n_slots, problem.n_cells), np.bool_)
    ends: Any = [] if problem.ends is None else problem.number(problem.ends)
    for u, end in enumerate(ends):
        ahead[u, -1] = np.arange(problem.n_cells) == end
        for t in range(problem.n_slots - 2, -1, -1):
            ahead[u, t] = (ahead[u, t + 1][problem.targets] & (problem.targets >= 0)).any(axis=1)
    return ahead
