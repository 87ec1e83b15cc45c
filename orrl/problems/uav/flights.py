"""The transition of the UAV network, one plain function per idea; as Python or compiled (`orrl.core.jit`).

Every function takes the tables of P problems (read only) and the batch (changed in place), in the order of `Networks`
and `Batch`. The number of users served is `association.count`, the same function that the dynamic programs use.

The collision rule is `collision.yield_way`: while two UAVs would be in one cell or closer than the safe distance, the
one with the higher number that moves goes back to its own cell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...core.jit import Source
from .association import by_strongest, count
from .collision import yield_way

__all__ = ["FAR", "OWN", "SOURCE", "WINDOW", "Batch", "Networks", "agent_features"]

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

FAR = 1 << 30  # moves to a place that cannot be reached
WINDOW = 5  # cells of an agent's window, each way
OWN = 5 + WINDOW * WINDOW  # features of an agent before the offsets to the others

# columns of the tables below
BASE, SLOTS, UAVS, CAPACITY, WIDTH, HEIGHT, NEAR = 0, 1, 2, 3, 4, 5, 6
TABLE, SLOT, HELD = 0, 1, 2
TEAM, ALONE, DIFFERENCE = 0, 1, 2
ILLEGAL, BACK = 1, 2


class Networks(NamedTuple):
    """P problems, padded to G cells, K users, U UAVs and M moves; their slots lie one after the other (S in all)."""

    power: Float  # (S, G, K) received power, mW; 0 in padded places
    needed: Float  # (S, K) power that serves a user when no other UAV is heard, mW; inf for a padded user
    share: npt.NDArray[np.float32]  # (S, G) share of the users over each cell
    targets: Int  # (P, G, M) cell that a move leads to, -1 where it is outside or closed
    hops: Int  # (P, U, G) moves from a cell to the UAV's end; 0 without ends
    ends: Int  # (P, U) cell of the end, -1 without ends
    weight: Float  # (P,) what a milliwatt from another UAV adds to the power that is needed
    facts: Int  # (P, 7) first slot in the tables, slots, UAVs, capacity (-1 without), width, height, `collision.near`


class Batch(NamedTuple):
    """B running episodes."""

    row: Int  # (B, 3) which problem, present slot (from 0), UAVs held back by the last move
    path: Int  # (B, T, U) cell of each UAV up to the present slot; later rows are work space
    mask: Bool  # (B, U, M) accepted moves


SOURCE = Source(
    tables={
        "POWER": "f8[:,:,::1]",
        "NEEDED": "f8[:,::1]",
        "SHARE": "f4[:,::1]",
        "TARGETS": "i8[:,:,::1]",
        "HOPS": "i8[:,:,::1]",
        "ENDS": "i8[:,::1]",
        "WEIGHT": "f8[::1]",
        "FACTS": "i8[:,::1]",
        "ROW": "i8[:,::1]",
        "PATH": "i8[:,:,::1]",
        "MASK": "b1[:,:,::1]",
    },
    all_tables="TABLES",
)

SOURCE.add("i8(POWER, NEEDED, f8, i8, i8, i8[::1], i8, i8, i8[::1])")(count)
SOURCE.add("i8(i8, i8, i8[::1], i8[::1], i8)")(yield_way)
SOURCE.add("void(POWER, NEEDED, f8, i8, i8, i8[::1], i8, f8[::1])")(by_strongest)


def agent_features(uavs: int) -> int:
    """Length of an agent's observation among `uavs` UAVs."""
    return OWN + 2 * (uavs - 1)


@SOURCE.add("b1(FACTS, ROW, i8)")
def _ended(facts, row, b):  # type: ignore[no-untyped-def]
    """Whether row b is in its last slot."""
    return row[b, SLOT] + 1 >= facts[row[b, TABLE], SLOTS]


@SOURCE.add("void(TARGETS, HOPS, FACTS, ROW, PATH, MASK, i8)")
def _allow(targets, hops, facts, row, path, mask, b):  # type: ignore[no-untyped-def]
    """Accepted moves of row b: into open cells from which the UAV still reaches its end; one that cannot, stays."""
    p, slot = row[b, TABLE], row[b, SLOT]
    left = facts[p, SLOTS] - 1 - slot
    for u in range(mask.shape[1]):
        some = False
        real = left > 0 and u < facts[p, UAVS]
        here = path[b, slot, u] if real else 0
        for m in range(mask.shape[2]):
            fine = False
            if real:
                cell = targets[p, here, m]
                fine = cell >= 0 and hops[p, u, cell] < left
            mask[b, u, m] = fine
            some = some or fine
        if left > 0 and not some:
            mask[b, u, 0] = True


@SOURCE.add("void(TARGETS, FACTS, ROW, PATH, i8[:,::1], i8)")
def _fly(targets, facts, row, path, actions, b):  # type: ignore[no-untyped-def]
    """Move the UAVs of row b into the next slot by the collision rule."""
    p, slot = row[b, TABLE], row[b, SLOT]
    uavs = facts[p, UAVS]
    for u in range(uavs):
        path[b, slot + 1, u] = targets[p, path[b, slot, u], actions[b, u]]
    row[b, SLOT] = slot + 1
    row[b, HELD] = yield_way(facts[p, WIDTH], facts[p, NEAR], path[b, slot], path[b, slot + 1], uavs)


@SOURCE.add("f8(POWER, NEEDED, WEIGHT, FACTS, ROW, PATH, i8, i8, i8[::1])")
def _gain(power, needed, weight, facts, row, path, b, without, classes):  # type: ignore[no-untyped-def]
    """Users served in the present slot, and with the first move those of the first slot; without a UAV (-1: none)."""
    p, slot = row[b, TABLE], row[b, SLOT]
    base, uavs, capacity = facts[p, BASE], facts[p, UAVS], facts[p, CAPACITY]
    served = count(power, needed, weight[p], capacity, base + slot, path[b, slot], uavs, without, classes)
    if slot == 1:
        served += count(power, needed, weight[p], capacity, base, path[b, 0], uavs, without, classes)
    return float(served)


@SOURCE.add("void(TABLES)", entry=True)
def refresh(power, needed, share, targets, hops, ends, weight, facts, row, path, mask):  # type: ignore[no-untyped-def]
    """Masks of all rows."""
    for b in range(len(row)):
        _allow(targets, hops, facts, row, path, mask, b)


@SOURCE.add("i8(TABLES, i8[:,::1], i8[::1], f8[::1])", entry=True)
def step(power, needed, share, targets, hops, ends, weight, facts, row, path, mask, actions, classes, rewards):  # type: ignore[no-untyped-def]
    """One joint move a row; the first row whose move is not accepted is returned, and then nothing has changed."""
    for b in range(len(row)):
        if not _ended(facts, row, b):
            kept, bad = 0, False
            for u in range(mask.shape[1]):
                a = actions[b, u]
                if a == -1:
                    kept += 1
                elif a < 0 or a >= mask.shape[2] or not mask[b, u, a]:
                    bad = True
            if bad or (kept > 0 and kept < mask.shape[1]):
                return b
    for b in range(len(row)):
        rewards[b] = 0.0
        if not _ended(facts, row, b) and actions[b, 0] >= 0:
            _fly(targets, facts, row, path, actions, b)
            rewards[b] = _gain(power, needed, weight, facts, row, path, b, -1, classes)
            _allow(targets, hops, facts, row, path, mask, b)
    return -1


@SOURCE.add("void(TABLES, i8[:,::1], i8[::1], i8[::1], f8[::1])", entry=True)
def play(power, needed, share, targets, hops, ends, weight, facts, row, path, mask, actions, classes, seeds, rewards):  # type: ignore[no-untyped-def]
    """Play every row to its end, each UAV uniformly over its accepted moves; the rewards (B,) of the rest."""
    for b in range(len(row)):
        total = 0.0
        while not _ended(facts, row, b):
            for u in range(mask.shape[1]):
                fine = 0
                for m in range(mask.shape[2]):
                    fine += mask[b, u, m]
                x = seeds[b]  # xorshift64: one stream a row, independent of the batch it runs in
                x ^= x << 13
                x ^= (x >> 7) & 0x01FFFFFFFFFFFFFF
                x ^= x << 17
                seeds[b] = x
                rank = (((x >> 33) & 0x3FFFFFFF) * fine) >> 30
                for m in range(mask.shape[2]):
                    if mask[b, u, m]:
                        if rank == 0:
                            actions[b, u] = m
                            break
                        rank -= 1
            _fly(targets, facts, row, path, actions, b)
            total += _gain(power, needed, weight, facts, row, path, b, -1, classes)
            _allow(targets, hops, facts, row, path, mask, b)
        rewards[b] = total


@SOURCE.add("void(TABLES, i8[:,:,::1], b1, i8[::1], i8[:,::1])", entry=True)
def choose(power, needed, share, targets, hops, ends, weight, facts, row, path, mask, guide, greedy, classes, actions):  # type: ignore[no-untyped-def]
    """One UAV after the other takes its best accepted move; the lower ones have moved, the higher ones have not.

    Best is most users served in the next slot (`greedy`), or the least ``guide[p, u, cell]``; the first of equals. A
    move that conflicts with the others as they are then is taken only where there is no other.
    """
    for b in range(len(row)):
        p, slot = row[b, TABLE], row[b, SLOT]
        uavs, width = facts[p, UAVS], facts[p, WIDTH]
        if _ended(facts, row, b):
            for u in range(mask.shape[1]):
                actions[b, u] = -1
            continue
        for u in range(uavs):
            path[b, slot + 1, u] = path[b, slot, u]
        for u in range(mask.shape[1]):
            actions[b, u] = 0
            if u >= uavs:
                continue
            best, goal = -np.inf, path[b, slot, u]
            for m in range(mask.shape[2]):
                if not mask[b, u, m]:
                    continue
                cell = targets[p, path[b, slot, u], m]
                value = 0.0
                for v in range(uavs):
                    other = path[b, slot + 1, v]
                    dx, dy = cell % width - other % width, cell // width - other // width
                    if v != u and dx * dx + dy * dy <= facts[p, NEAR]:
                        value = -float(FAR) * FAR
                path[b, slot + 1, u] = cell
                if greedy:
                    value += count(
                        power, needed, weight[p], facts[p, CAPACITY], facts[p, BASE] + slot + 1, path[b, slot + 1],
                        uavs, -1, classes,
                    )  # fmt: skip
                else:
                    value -= guide[p, u, cell]
                if value > best:
                    best, goal = value, cell
                    actions[b, u] = m
            path[b, slot + 1, u] = goal


@SOURCE.add("void(TABLES, f4[:,:,::1])", entry=True)
def observe(power, needed, share, targets, hops, ends, weight, facts, row, path, mask, out):  # type: ignore[no-untyped-def]
    """What each agent sees, (B, U, 30 + 2 (U - 1)); see `UavKernel.observe_agents`."""
    for b in range(len(row)):
        p, slot = row[b, TABLE], row[b, SLOT]
        base, slots, uavs, width, height = (
            facts[p, BASE], facts[p, SLOTS], facts[p, UAVS], facts[p, WIDTH], facts[p, HEIGHT]
        )  # fmt: skip
        for u in range(out.shape[1]):
            for i in range(out.shape[2]):
                out[b, u, i] = 0.0
            if u >= uavs:
                continue
            cell = path[b, slot, u]
            y, x = cell // width, cell % width
            out[b, u, 0] = slot / (slots - 1)
            out[b, u, 1] = (x + 0.5) / width
            out[b, u, 2] = (y + 0.5) / height
            if ends[p, u] >= 0:
                out[b, u, 3] = (ends[p, u] % width - x) / width
                out[b, u, 4] = (ends[p, u] // width - y) / height
            for i in range(WINDOW):
                for j in range(WINDOW):
                    row_y, col_x = y + i - WINDOW // 2, x + j - WINDOW // 2
                    if 0 <= row_y < height and 0 <= col_x < width:
                        out[b, u, 5 + i * WINDOW + j] = share[base + slot, row_y * width + col_x]
            place = OWN
            for v in range(uavs):
                if v != u:
                    other = path[b, slot, v]
                    out[b, u, place] = (other % width - x) / width
                    out[b, u, place + 1] = (other // width - y) / height
                    place += 2


@SOURCE.add("f8(TABLES, i8[:,::1], i8[::1], i8, f4[:,:,::1], f8[:,::1], i8[::1])", entry=True)
def turn(  # type: ignore[no-untyped-def]
    power, needed, share, targets, hops, ends, weight, facts, row, path, mask,
    actions, classes, kind, out, gains, flags,
):  # fmt: skip
    """One step of a single row for agents: rewards ``gains[0]`` (U,) of a kind, observations, flags (U,).

    A UAV whose move is not accepted stays, and is flagged `ILLEGAL`; one that is held back is flagged `BACK`. Returns
    the users served, as `step` rewards them; ``gains[1]`` is work space.
    """
    p = row[0, TABLE]
    uavs = facts[p, UAVS]
    for u in range(mask.shape[1]):
        flags[u] = 0
        a = actions[0, u]
        if a < 0 or a >= mask.shape[2] or not mask[0, u, a]:
            actions[0, u] = 0
            flags[u] = ILLEGAL
    _fly(targets, facts, row, path, actions, 0)
    team = _gain(power, needed, weight, facts, row, path, 0, -1, classes)
    base, slot = facts[p, BASE], row[0, SLOT]
    if kind == ALONE:
        by_strongest(power, needed, weight[p], facts[p, CAPACITY], base + slot, path[0, slot], uavs, gains[0])
        if slot == 1:
            by_strongest(power, needed, weight[p], facts[p, CAPACITY], base, path[0, 0], uavs, gains[1])
            for u in range(uavs):
                gains[0, u] += gains[1, u]
    for u in range(uavs):
        if actions[0, u] != 0 and path[0, slot, u] == path[0, slot - 1, u]:
            flags[u] = BACK
        if kind == TEAM:
            gains[0, u] = team
        elif kind == DIFFERENCE:
            gains[0, u] = team - _gain(power, needed, weight, facts, row, path, 0, u, classes)
    _allow(targets, hops, facts, row, path, mask, 0)
    observe(power, needed, share, targets, hops, ends, weight, facts, row, path, mask, out)
    return team
