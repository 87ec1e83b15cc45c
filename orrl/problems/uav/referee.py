"""The referee: recomputes geometry, radio and association in plain Python from the problem's data alone."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

from ...core.types import Evaluation
from .channel import ENVIRONMENTS, LIGHT

if TYPE_CHECKING:
    from .data import UavOffloading
    from .flight import Flight

__all__ = ["accrued", "evaluate"]

BORDER = 1.0 - 1e-12  # a user exactly on the border is served, whatever the rounding


def evaluate(problem: UavOffloading, flight: Flight) -> Evaluation:
    """Judge a flight: moves, area, conflicts, association; the objective counts the users that are really served.

    Returns
    -------
    Evaluation
        `metrics`: average served per slot, share of all user-slots, Jain's index of served slots over users, energy of
        the UAVs in kJ (rotary wing, Zeng, Xu & Zhang 2019), and the metres flown.
    """
    cells = [[int(c) for c in row] for row in flight.cells]
    server = [[int(s) for s in row] for row in flight.server]
    if len(cells) != problem.n_slots or any(len(row) != problem.n_uavs for row in cells):
        return Evaluation(math.nan, False, (f"the flight has not {problem.n_slots} slots of {problem.n_uavs} UAVs",))
    if len(server) != problem.n_slots or any(len(row) != problem.n_users for row in server):
        return Evaluation(math.nan, False, (f"the association has not {problem.n_slots} x {problem.n_users} entries",))
    broken = _places(problem, cells)
    if any("no cell" in text for text in broken):
        return Evaluation(math.nan, False, tuple(broken))
    broken += _moves(problem, cells) + _conflicts(problem, cells)
    served, faults = _association(problem, cells, server)
    broken += faults
    total = sum(map(sum, served))
    each = [sum(row[k] for row in served) for k in range(problem.n_users)]
    squares = sum(n * n for n in each)
    legs = [_gap(problem, a, b) for t in range(1, len(cells)) for a, b in zip(cells[t - 1], cells[t], strict=True)]
    metrics = {
        "average_served": total / problem.n_slots,
        "share": total / (problem.n_slots * problem.n_users),
        "jain_index": total * total / (problem.n_users * squares) if squares else 0.0,
        "energy_kj": sum(_propulsion(leg / problem.slot) for leg in legs) * problem.slot / 1000.0,
        "flown_m": sum(legs),
    }
    return Evaluation(float(total), not broken, tuple(broken), metrics=metrics)


def accrued(problem: UavOffloading) -> float:
    """User-slots of the slots before the present one's successor; 0 at the start, where the first move counts both."""
    past = [[int(c) for c in row] for row in problem.position]
    if len(past) == 1:
        return 0.0
    return float(sum(best_count(problem, t, row) for t, row in enumerate(past)))


def best_count(problem: UavOffloading, slot: int, cells: list[int]) -> int:
    """Most users that can be served in a slot: augmenting paths over candidates, in plain Python."""
    able = [[u for u in range(len(cells)) if _hears(problem, slot, k, cells, u)] for k in range(problem.n_users)]
    limit = problem.n_users if problem.capacity is None else problem.capacity
    held: list[list[int]] = [[] for _ in cells]

    def place(user: int, tried: set[int]) -> bool:
        for u in able[user]:
            if u in tried:
                continue
            tried.add(u)
            if len(held[u]) < limit:
                held[u].append(user)
                return True
            for i, other in enumerate(held[u]):
                if place(other, tried):
                    held[u][i] = user
                    return True
        return False

    return sum(place(k, set()) for k in range(problem.n_users))


def _places(problem: UavOffloading, cells: list[list[int]]) -> list[str]:
    closed = {y * problem.width + x for x, y in problem.no_fly}
    broken = []
    for t, row in enumerate(cells):
        for u, c in enumerate(row):
            if not 0 <= c < problem.n_cells:
                broken.append(f"{problem.uav_names[u]} is on {c} in slot {t + 1}, which is no cell")
            elif c in closed:
                broken.append(f"{problem.uav_names[u]} is over no-fly cell {c} in slot {t + 1}")
    return broken


def _moves(problem: UavOffloading, cells: list[list[int]]) -> list[str]:
    broken = []
    past = [[int(c) for c in row] for row in problem.position]
    for t, row in enumerate(past):
        if cells[t] != row:
            broken.append(f"slot {t + 1} has been flown on cells {row}, the flight has {cells[t]}")
    reach = problem.speed * problem.slot * (1.0 + 1e-9)
    for t in range(1, len(cells)):
        for u, (a, b) in enumerate(zip(cells[t - 1], cells[t], strict=True)):
            if _gap(problem, a, b) > reach:
                broken.append(
                    f"{problem.uav_names[u]} flies from cell {a} to {b} in slot {t + 1}: faster than its speed"
                )
    if problem.ends is not None:
        for u, (x, y) in enumerate(problem.ends.tolist()):
            if cells[-1][u] != y * problem.width + x:
                broken.append(f"{problem.uav_names[u]} ends on cell {cells[-1][u]}, not on ({x}, {y})")
    return broken


def _conflicts(problem: UavOffloading, cells: list[list[int]]) -> list[str]:
    broken = []
    for t, row in enumerate(cells):
        for i in range(len(row)):
            for j in range(i + 1, len(row)):
                if row[i] == row[j] or _gap(problem, row[i], row[j]) < problem.safe_distance * (1.0 - 1e-9):
                    pair = f"{problem.uav_names[i]} and {problem.uav_names[j]}"
                    broken.append(f"{pair} are on cells {row[i]} and {row[j]} in slot {t + 1}: too close")
    return broken


def _association(
    problem: UavOffloading, cells: list[list[int]], server: list[list[int]]
) -> tuple[list[list[bool]], list[str]]:
    """Users really served, and claims that quality of service or capacity refuse."""
    served, broken = [], []
    for t, row in enumerate(server):
        load = [0] * problem.n_uavs
        fine = []
        for k, u in enumerate(row):
            good = 0 <= u < problem.n_uavs and _hears(problem, t, k, cells[t], u)
            if u >= 0 and not good:
                broken.append(
                    f"{problem.user_names[k]} is not served by UAV number {u} in slot {t + 1}: QoS is not met"
                )
            if good:
                load[u] += 1
            fine.append(good)
        for u, used in enumerate(load):
            if problem.capacity is not None and used > problem.capacity:
                broken.append(
                    f"{problem.uav_names[u]} serves {used} users in slot {t + 1}: capacity {problem.capacity}"
                )
        served.append(fine)
    return served, broken


def _hears(problem: UavOffloading, slot: int, user: int, cells: list[int], uav: int) -> bool:
    """Whether a user's signal-to-(interference-and-)noise ratio from a UAV is large enough."""
    x, y = (float(v) for v in problem.users[slot, user])
    signal = _received(problem, cells[uav], x, y)
    other = 10.0 ** (problem.channel.noise / 10.0)
    if problem.interference:
        other += sum(_station(problem, float(a), float(b), x, y) for a, b in problem.stations)
        other += sum(_received(problem, c, x, y) for v, c in enumerate(cells) if v != uav)
    return signal >= problem.channel.ratio * BORDER * other


def _middle(problem: UavOffloading, cell: int) -> tuple[float, float]:
    return (cell % problem.width + 0.5) * problem.cell, (cell // problem.width + 0.5) * problem.cell


def _gap(problem: UavOffloading, a: int, b: int) -> float:
    (ax, ay), (bx, by) = _middle(problem, a), _middle(problem, b)
    return math.hypot(ax - bx, ay - by)


def _received(problem: UavOffloading, cell: int, x: float, y: float) -> float:
    """Power at a user on the ground, mW."""
    a, b = _middle(problem, cell)
    return _power(problem.channel, math.hypot(a - x, b - y), problem.altitude)


@cache
def _power(channel: object, ground: float, height: float) -> float:
    c = channel
    a, b, los, nlos = ENVIRONMENTS[c.environment]  # type: ignore[attr-defined]
    elevation = math.degrees(math.atan2(height, ground))
    clear = 1.0 / (1.0 + a * math.exp(-b * (elevation - a)))
    distance = math.sqrt(ground * ground + height * height)
    wave = 4.0 * math.pi * c.carrier / LIGHT  # type: ignore[attr-defined]
    if c.model == "exponent":  # type: ignore[attr-defined]
        near, far = c.exponents  # type: ignore[attr-defined]
        loss = 20.0 * math.log10(wave) + 10.0 * ((near - far) * clear + far) * math.log10(distance)
    else:
        loss = 20.0 * math.log10(wave * distance) + clear * los + (1.0 - clear) * nlos
    return float(10.0 ** ((c.power - loss) / 10.0))  # type: ignore[attr-defined]


def _station(problem: UavOffloading, a: float, b: float, x: float, y: float) -> float:
    """Power of a base station at a user, mW (3GPP TR 38.901, urban macro, antennas at 25 and 1.5 m)."""
    flat = max(math.hypot(a - x, b - y), 10.0)
    clear = 1.0 if flat <= 18.0 else 18.0 / flat + math.exp(-flat / 63.0) * (1.0 - 18.0 / flat)
    distance = math.hypot(flat, 23.5)
    band = 20.0 * math.log10(problem.channel.carrier / 1e9)
    los = 28.0 + 22.0 * math.log10(distance) + band
    nlos = max(los, 13.54 + 39.08 * math.log10(distance) + band)
    return float(10.0 ** ((problem.station_power - clear * los - (1.0 - clear) * nlos) / 10.0))


def _propulsion(speed: float) -> float:
    """Power of a rotary wing at a forward speed (m/s), W (Zeng, Xu & Zhang 2019, eq. 12 and table I)."""
    induced = math.sqrt(math.sqrt(1.0 + speed**4 / (4.0 * 4.03**4)) - speed**2 / (2.0 * 4.03**2))
    return 79.86 * (1.0 + 3.0 * speed**2 / 120.0**2) + 88.63 * induced + 0.5 * 0.6 * 1.225 * 0.05 * 0.503 * speed**3
