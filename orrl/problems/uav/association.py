"""How many users are served, and by whom: the one association function of kernel, dynamic programs and bridges.

Without a capacity every user with a candidate is served. With C sub-channels a UAV the most users are a maximum flow;
its minimum cut is small, since the users fall into classes by their set of candidate UAVs: over sets S of UAVs,

    served = min over S of  C |S| + number of users that have a candidate outside S,

(the cut takes the UAVs in S, and every user that some other UAV could serve), which needs no flow and no list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...core.jit import Source

if TYPE_CHECKING:
    from .radio import Radio

__all__ = ["assign", "by_strongest", "count", "source"]

IntArray = npt.NDArray[np.int64]
MANY = 12  # UAVs for which 2^U classes are still small
FEW = 4  # UAVs that are added up without a loop

source = Source(tables={"POWER": "f8[:,:,::1]", "NEEDED": "f8[:,::1]"})


@source.add("i8(POWER, NEEDED, f8, i8, i8, i8[::1], i8, i8, i8[::1])", entry=True)
def count(power, needed, weight, capacity, slot, cells, agents, without, classes):  # type: ignore[no-untyped-def]
    """Users served in a slot by `agents` UAVs on `cells`, leaving out UAV `without` (-1: none).

    ``classes`` (2 ** agents,) is work space for a capacity; ``capacity`` -1 means none.
    """
    users = needed.shape[1]
    if capacity < 0 and agents <= FEW:  # the same sums without a branch, so that the compiler makes vectors of them
        a, b, c, d = 0, 0, 0, 0
        has_a, has_b, has_c, has_d = 0.0, 0.0, 0.0, 0.0
        for u in range(agents):
            if u != without:
                if u == 0:
                    a, has_a = cells[u], 1.0
                elif u == 1:
                    b, has_b = cells[u], 1.0
                elif u == 2:
                    c, has_c = cells[u], 1.0
                else:
                    d, has_d = cells[u], 1.0
        served = 0
        for k in range(users):
            first, second = has_a * power[slot, a, k], has_b * power[slot, b, k]
            third, fourth = has_c * power[slot, c, k], has_d * power[slot, d, k]
            total = first + second + third + fourth
            best = first if first > second else second
            other = third if third > fourth else fourth
            best = best if best > other else other
            served += best >= needed[slot, k] + weight * (total - best)
        return served
    if capacity >= 0:
        for c in range(1 << agents):
            classes[c] = 0
    served = 0
    for k in range(users):
        total, best = 0.0, 0.0
        for u in range(agents):
            if u != without:
                heard = power[slot, cells[u], k]
                total += heard
                if heard > best:
                    best = heard
        if best < needed[slot, k] + weight * (total - best):
            continue
        served += 1
        if capacity >= 0:
            able = 0
            for u in range(agents):
                if u != without:
                    heard = power[slot, cells[u], k]
                    if heard >= needed[slot, k] + weight * (total - heard):
                        able |= 1 << u
            classes[able] += 1
    if capacity < 0:
        return served
    least = served
    for cut in range(1 << agents):
        cost = 0
        for u in range(agents):
            if cut >> u & 1:
                cost += capacity
        for able in range(1, 1 << agents):
            if able & ~cut:
                cost += classes[able]
        if cost < least:
            least = cost
    return least


@source.add("void(POWER, NEEDED, f8, i8, i8, i8[::1], i8, f8[::1])")
def by_strongest(power, needed, weight, capacity, slot, cells, agents, rewards):  # type: ignore[no-untyped-def]
    """Users that each UAV serves when every user stays with the one it hears best."""
    for u in range(agents):
        rewards[u] = 0.0
    for k in range(needed.shape[1]):
        total, best, who = 0.0, -1.0, 0
        for u in range(agents):
            heard = power[slot, cells[u], k]
            total += heard
            if heard > best:
                best, who = heard, u
        if best >= needed[slot, k] + weight * (total - best):
            rewards[who] += 1.0
    if capacity >= 0:
        for u in range(agents):
            rewards[u] = min(rewards[u], float(capacity))


def assign(radio: Radio, slot: int, cells: IntArray) -> IntArray:
    """UAV that serves each user (K,), -1 for nobody: as many users as can be, the strongest signal where free.

    Augmenting paths (Hopcroft & Karp's idea one user at a time): a user takes a free sub-channel, or one whose holder
    can move on.
    """
    able = radio.candidates(slot, cells)
    power = radio.power[slot, cells]
    capacity = radio.problem.capacity
    server = np.where(able.any(axis=0), np.where(able, power, -1.0).argmax(axis=0), -1)
    if capacity is None:
        return server.astype(np.int64)
    server = np.full(able.shape[1], -1, np.int64)
    held: list[list[int]] = [[] for _ in cells]

    def place(user: int, tried: set[int]) -> bool:
        for u in sorted(np.flatnonzero(able[:, user]).tolist(), key=lambda u: -power[u, user]):
            if u in tried:
                continue
            tried.add(u)
            if len(held[u]) < capacity:
                held[u].append(user)
                server[user] = u
                return True
            for other in held[u]:
                if place(other, tried):
                    held[u].remove(other)
                    held[u].append(user)
                    server[user] = u
                    return True
        return False

    for user in np.flatnonzero(able.any(axis=0)).tolist():
        place(user, set())
    return server
