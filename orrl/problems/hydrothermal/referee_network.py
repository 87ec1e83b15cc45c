"""The network's part of the referee: balances, Kirchhoff's and Ohm's laws, limits; in plain Python."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .data import Hydrothermal

__all__ = ["NETWORK_FAMILIES", "Judge", "judge_network", "pairs_of"]

NETWORK_FAMILIES = {
    "transport": {"flow": "branch"},
    "dc": {"flow": "branch", "angle": "bus"},
    "dcll": {"flow": "branch", "angle": "bus", "loss": "branch"},
    "soc": dict.fromkeys(("p_from", "q_from", "p_to", "q_to"), "branch") | {"reactive": "machine", "w": "bus"},
    "ac": {"reactive": "machine", "voltage": "bus", "angle": "bus"},
}


class Judge:
    """Broken rules, as sentences."""

    def __init__(self, tolerance: float) -> None:
        self.tolerance, self.broken = tolerance, list[str]()

    def equal(self, place: str, value: float, wanted: float, unit: str, scale: float = 0.0) -> None:
        """Two numbers are one."""
        room = self.tolerance * (1.0 + max(abs(wanted), scale))
        if not abs(value - wanted) <= room:  # a NaN is a fault too
            self.broken.append(f"{place} is {value:.9g} {unit}, it should be {wanted:.9g}".replace(" , ", ", "))

    def within(self, place: str, value: float, low: float, high: float, unit: str) -> None:
        """A number lies between two."""
        size = max((abs(edge) for edge in (low, high) if math.isfinite(edge)), default=0.0)
        room = self.tolerance * (1.0 + size)
        if not low - room <= value <= high + room:
            self.broken.append(f"{place} is {value:.9g} {unit}, outside {low:.9g} to {high:.9g}".replace(" , ", ", "))


def judge_network(problem: Hydrothermal, t: int, now: dict[str, list[float]], judge: Judge) -> None:
    """Flows, their laws and limits, and the balance of each bus."""
    if problem.network in ("transport", "dc", "dcll"):
        lost = now.get("loss") or [0.0] * len(now["flow"])
        flows = [(complex(p + a / 2.0), complex(a / 2.0 - p)) for p, a in zip(now["flow"], lost, strict=True)]
        _direct(problem, t, now, judge)
    elif problem.network == "soc":
        flows = _conic(problem, t, now, judge)
    else:
        flows = _alternating(problem, t, now, judge)
    grid = problem.grid
    factor = float(problem.load[t % len(problem.load)])
    given: list[complex] = [complex(d) for d in now["deficit"]]
    size = [0.0] * len(given)
    reactive = now["reactive"] if problem.network in ("soc", "ac") else [0.0] * len(now["power"])
    for g, b in enumerate(grid.generator_bus.tolist()):
        given[b] += complex(now["power"][g], reactive[g])
        size[b] += abs(now["power"][g])
    for i, (f, s) in enumerate(zip(grid.branch_from.tolist(), grid.branch_to.tolist(), strict=True)):
        given[f] -= flows[i][0]
        given[s] -= flows[i][1]
        size[f] += abs(flows[i][0])
        size[s] += abs(flows[i][1])
    wanted = [0j] * len(given)
    for b, p, q in zip(grid.load_bus.tolist(), grid.load.tolist(), grid.reactive_load.tolist(), strict=True):
        wanted[b] += factor * complex(p, q)
    for b, bus in enumerate(grid.bus_names):
        judge.equal(f"stage {t}, balance of {bus}: power served", given[b].real, wanted[b].real, "per unit", size[b])
        if problem.network in ("soc", "ac"):
            place = f"stage {t}, reactive balance of {bus}: power served"
            judge.equal(place, given[b].imag, wanted[b].imag, "per unit", size[b])


def _branch(problem: Hydrothermal, i: int) -> str:
    grid = problem.grid
    return f"branch {i} ({grid.bus_names[grid.branch_from[i]]} to {grid.bus_names[grid.branch_to[i]]})"


def _direct(problem: Hydrothermal, t: int, now: dict[str, list[float]], judge: Judge) -> None:
    """Ratings; in the DC forms Kirchhoff's voltage law without taps and shifts, and the losses."""
    grid = problem.grid
    for i in range(len(grid.branch_from)):
        place, rating = f"stage {t}, {_branch(problem, i)}", float(grid.rating[i])
        judge.within(f"{place}: flow", now["flow"][i], -rating, rating, "per unit")
        if problem.network == "dcll":
            least = _least_loss(problem, t, i, now["flow"][i])
            judge.within(f"{place}: loss", now["loss"][i], least, math.inf, "per unit")
        if problem.network != "transport":
            apart = now["angle"][grid.branch_from[i]] - now["angle"][grid.branch_to[i]]
            susceptance = (1.0 / complex(grid.resistance[i], grid.reactance[i])).imag
            scale = abs(susceptance) * max(abs(now["angle"][grid.branch_from[i]]), abs(apart))
            judge.equal(f"{place}: flow (voltage law)", now["flow"][i], -susceptance * apart, "per unit", scale)
            judge.within(f"{place}: angle difference", apart, float(grid.angle_min[i]), float(grid.angle_max[i]), "rad")
    if problem.network != "transport":
        bus = grid.bus_names[grid.reference]
        judge.equal(f"stage {t}, angle of the reference bus {bus}", now["angle"][grid.reference], 0.0, "rad")


def _least_loss(problem: Hydrothermal, t: int, i: int, flow: float) -> float:
    """What a branch loses at least: ``r p^2 / v^2`` at its highest voltage, by twelve tangents over its range."""
    grid = problem.grid
    ends = int(grid.branch_from[i]), int(grid.branch_to[i])
    r = float(grid.resistance[i]) / max(float(grid.voltage_max[b]) for b in ends) ** 2
    demand = [0.0] * len(grid.bus_names)
    for b, p in zip(grid.load_bus.tolist(), grid.load.tolist(), strict=True):
        demand[b] += p
    factor = float(problem.load[t % len(problem.load)])
    most = min(float(grid.rating[i]), factor * sum(abs(p) for p in demand))
    points = [most * (2.0 * k / 11.0 - 1.0) for k in range(12)]
    return max(0.0, *(r * p * (2.0 * flow - p) for p in points))


def _ohm(problem: Hydrothermal, i: int, at_from: float, at_to: float, product: complex) -> tuple[complex, complex]:
    """Power into a branch at both ends from |V|^2 there and ``V_from conj(V_to)``: S = V conj(I) on a pi circuit.

    The transformer, ratio ``tap exp(i shift)``, stands at the first end, outside the charging.
    """
    grid = problem.grid
    series = 1.0 / complex(grid.resistance[i], grid.reactance[i])
    ratio = float(grid.tap[i]) * complex(math.cos(grid.shift[i]), math.sin(grid.shift[i]))
    out = (series + 1j * float(grid.charge_from[i])).conjugate() * at_from / abs(ratio) ** 2
    out -= series.conjugate() * product / ratio
    back = (series + 1j * float(grid.charge_to[i])).conjugate() * at_to
    back -= series.conjugate() * product.conjugate() / ratio.conjugate()
    return out, back


def pairs_of(problem: Hydrothermal) -> dict[tuple[int, int], int]:
    """Pairs of joined buses, in the order and direction of their first branch."""
    pairs: dict[tuple[int, int], int] = {}
    for f, s in zip(problem.grid.branch_from.tolist(), problem.grid.branch_to.tolist(), strict=True):
        if (s, f) not in pairs:
            pairs.setdefault((f, s), len(pairs))
    return pairs


def _conic(problem: Hydrothermal, t: int, now: dict[str, list[float]], judge: Judge) -> list[tuple[complex, complex]]:
    """The second-order-cone form: what the flows, voltages and their products must obey."""
    grid, pairs, flows = problem.grid, pairs_of(problem), []
    for b, bus in enumerate(grid.bus_names):
        low, high = float(grid.voltage_min[b]) ** 2, float(grid.voltage_max[b]) ** 2
        judge.within(f"stage {t}, squared voltage of {bus}", now["w"][b], low, high, "per unit")
    for (f, s), k in pairs.items():
        place = f"stage {t}, {grid.bus_names[f]} and {grid.bus_names[s]}: squared product of voltages (cone)"
        judge.within(place, now["wr"][k] ** 2 + now["wi"][k] ** 2, -math.inf, now["w"][f] * now["w"][s], "per unit")
    for i, (f, s) in enumerate(zip(grid.branch_from.tolist(), grid.branch_to.tolist(), strict=True)):
        turned = (s, f) in pairs
        k = pairs[(s, f) if turned else (f, s)]
        product = complex(now["wr"][k], -now["wi"][k] if turned else now["wi"][k])
        place = f"stage {t}, {_branch(problem, i)}"
        law = _ohm(problem, i, now["w"][f], now["w"][s], product)
        own = complex(now["p_from"][i], now["q_from"][i]), complex(now["p_to"][i], now["q_to"][i])
        for side, flow, wanted in zip(("from", "to"), own, law, strict=True):
            scale = 2.0 / abs(complex(grid.resistance[i], grid.reactance[i]))  # terms of this size cancel
            judge.equal(f"{place}: p_{side} (Ohm's law)", flow.real, wanted.real, "per unit", scale)
            judge.equal(f"{place}: q_{side} (Ohm's law)", flow.imag, wanted.imag, "per unit", scale)
            judge.within(f"{place}: apparent power at {side}", abs(flow), -math.inf, float(grid.rating[i]), "per unit")
        low, high = float(grid.angle_min[i]), float(grid.angle_max[i])
        if -math.pi / 2 < low <= high < math.pi / 2:
            edge = math.tan(low) * product.real, math.tan(high) * product.real
            judge.within(f"{place}: imaginary product (angle limit)", product.imag, min(edge), max(edge), "per unit")
        flows.append(own)
    return flows


def _alternating(
    problem: Hydrothermal, t: int, now: dict[str, list[float]], judge: Judge
) -> list[tuple[complex, complex]]:
    """Alternating current: flows from voltage and angle, their limits at both ends."""
    grid, flows = problem.grid, []
    volts = [v * complex(math.cos(a), math.sin(a)) for v, a in zip(now["voltage"], now["angle"], strict=True)]
    for b, bus in enumerate(grid.bus_names):
        limits = float(grid.voltage_min[b]), float(grid.voltage_max[b])
        judge.within(f"stage {t}, voltage of {bus}", now["voltage"][b], *limits, "per unit")
    reference = grid.reference
    judge.equal(
        f"stage {t}, angle of the reference bus {grid.bus_names[reference]}", now["angle"][reference], 0.0, "rad"
    )
    for i, (f, s) in enumerate(zip(grid.branch_from.tolist(), grid.branch_to.tolist(), strict=True)):
        ends = _ohm(problem, i, abs(volts[f]) ** 2, abs(volts[s]) ** 2, volts[f] * volts[s].conjugate())
        place = f"stage {t}, {_branch(problem, i)}"
        for side, flow in zip(("from", "to"), ends, strict=True):
            judge.within(f"{place}: apparent power at {side}", abs(flow), -math.inf, float(grid.rating[i]), "per unit")
        apart = now["angle"][f] - now["angle"][s]
        judge.within(f"{place}: angle difference", apart, float(grid.angle_min[i]), float(grid.angle_max[i]), "rad")
        flows.append(ends)
    return flows
