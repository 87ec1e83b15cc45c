"""Second-order-cone relaxation of the power flow, in PowerModels' SOCWRConicPowerModel form.

With complex voltages V the products ``w = |V|^2`` and ``wr + i wi = V_from conj(V_to)`` are columns of their own, so
that flows are linear; what ties them, ``wr^2 + wi^2 = w_from w_to``, is relaxed to "at most" (Jabr, "Radial
distribution load flow using conic programming", IEEE Trans. Power Systems 21, 2006). The cuts on angle differences are
those of Coffrin, Hijazi, Van Hentenryck, "Strengthening the SDP relaxation of AC power flows with convex envelopes,
bound tightening, and valid inequalities", IEEE Trans. Power Systems 32, 2017.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .stage import balance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...core.linear import Key, Linear
    from .system import Network

__all__ = ["add_soc", "branch_terms", "reactive_demand"]

FloatArray = npt.NDArray[np.float64]
Line = tuple[list[tuple["Key", float]], float]
Cones = dict["Key", list[Line]]


def branch_terms(grid: Network, i: int) -> dict[str, tuple[float, float, float]]:
    """What each flow of branch i takes of (own |V|^2, real, imaginary part of V_from conj(V_to)).

    PowerModels' ``constraint_ohms_yt_from`` and ``_to``: series admittance g + ib, charging at the ends, and an ideal
    transformer ``tap * exp(i shift)`` at the first end.

    Returns
    -------
    dict
        Keys "p_from", "q_from", "p_to", "q_to".
    """
    r, x = float(grid.resistance[i]), float(grid.reactance[i])
    g, b = r / (r * r + x * x), -x / (r * r + x * x)
    tap, shift = float(grid.tap[i]), float(grid.shift[i])
    c, s = np.cos(shift) / tap, np.sin(shift) / tap
    return {
        "p_from": (g / tap**2, -g * c + b * s, -b * c - g * s),
        "q_from": (-(b + float(grid.charge_from[i])) / tap**2, b * c + g * s, -g * c + b * s),
        "p_to": (g, -g * c - b * s, b * c - g * s),
        "q_to": (-(b + float(grid.charge_to[i])), b * c - g * s, g * c + b * s),
    }


def reactive_demand(grid: Network) -> FloatArray:
    """Reactive demand of each bus (B,), per unit."""
    return np.asarray(np.bincount(grid.load_bus, grid.reactive_load, len(grid.bus_names)), np.float64)


def _reactive_balance(table: Linear, grid: Network, leaving: Sequence[Key], arriving: Sequence[Key]) -> None:
    """Reactive power at each bus, without slack: generation covers demand and what leaves over branches."""
    terms: list[list[tuple[Key, float]]] = [[] for _ in grid.bus_names]
    for g, b in enumerate(grid.generator_bus.tolist()):
        terms[b].append((("reactive", g), 1.0))
    for i, (f, t) in enumerate(zip(grid.branch_from.tolist(), grid.branch_to.tolist(), strict=True)):
        terms[f].append((leaving[i], -1.0))
        terms[t].append((arriving[i], -1.0))
    for b, demand in enumerate(reactive_demand(grid).tolist()):
        table.equal(("reactive_balance", b), demand, *terms[b])


def _pairs(grid: Network) -> tuple[list[tuple[int, int]], list[tuple[int, float]], list[tuple[float, float]]]:
    """Pairs of buses, the pair of each branch with the sign of its direction, and the pairs' angle limits."""
    pairs: dict[tuple[int, int], int] = {}
    own: list[tuple[int, float]] = []
    limits: list[tuple[float, float]] = []
    for i, (f, t) in enumerate(zip(grid.branch_from.tolist(), grid.branch_to.tolist(), strict=True)):
        low, high = float(grid.angle_min[i]), float(grid.angle_max[i])
        turned = (t, f) in pairs
        if turned:
            low, high = -high, -low
        k = pairs.setdefault((t, f) if turned else (f, t), len(pairs))
        if k == len(limits):
            limits.append((low, high))
        else:  # parallel branches share a pair, and its tightest limits
            limits[k] = (max(limits[k][0], low), min(limits[k][1], high))
        own.append((k, -1.0 if turned else 1.0))
    return list(pairs), own, limits


def add_soc(table: Linear, grid: Network) -> Cones:
    """Columns and rows of the relaxation.

    Parameters
    ----------
    table : Linear
        With the columns power and deficit; reactive, p_from, q_from, p_to, q_to, w, wr and wi join them (per unit).
    grid : Network
        With the demand of the stage.

    Returns
    -------
    dict of key to list of (terms, constant)
        The cones, as `Stage.of` takes them: thermal limits at both ends of a branch, and the products of voltages.
    """
    for g in range(len(grid.cost)):
        table.column(("reactive", g), grid.reactive_min[g], grid.reactive_max[g])
    ends = ("p_from", "q_from", "p_to", "q_to")
    for i in range(len(grid.rating)):
        for end in ends:
            table.column((end, i), -np.inf, np.inf)  # the thermal cones imply PowerModels' bounds, at less time
    for b in range(len(grid.bus_names)):
        table.column(("w", b), grid.voltage_min[b] ** 2, grid.voltage_max[b] ** 2)
    pairs, own, limits = _pairs(grid)
    for k, (f, t) in enumerate(pairs):
        (wr_low, wr_high), (wi_low, wi_high) = _product_bounds(grid, f, t, *limits[k])
        table.column(("wr", k), wr_low, wr_high)
        table.column(("wi", k), wi_low, wi_high)

    lines = range(len(grid.branch_from))
    balance(table, grid, [[(("p_from", i), 1.0)] for i in lines], [[(("p_to", i), 1.0)] for i in lines])
    _reactive_balance(table, grid, [("q_from", i) for i in lines], [("q_to", i) for i in lines])

    cones: Cones = {}
    for i in lines:
        k, sign = own[i]
        for end, (at_bus, real, imaginary) in branch_terms(grid, i).items():
            bus = grid.branch_from[i] if end.endswith("from") else grid.branch_to[i]
            products = (("wr", k), -real), (("wi", k), -sign * imaginary)
            table.equal((f"{end}_law", i), 0.0, ((end, i), 1.0), (("w", int(bus)), -at_bus), *products)
        if np.isfinite(grid.rating[i]):
            for side in ("from", "to"):
                flow: list[Line] = [([((part + side, i), 1.0)], 0.0) for part in ("p_", "q_")]
                cones[f"thermal_{side}", i] = [([], float(grid.rating[i])), *flow]
    for k, (f, t) in enumerate(pairs):
        _angle_cuts(table, grid, k, f, t, *limits[k])
        half: list[Line] = [
            ([(("w", f), 0.5), (("w", t), sign * 0.5)], 0.0) for sign in (1.0, -1.0)
        ]  # |(2 wr, 2 wi, w_f - w_t)| <= w_f + w_t, halved
        cones["product", k] = [*half, ([(("wr", k), 1.0)], 0.0), ([(("wi", k), 1.0)], 0.0)]
    return cones


def _product_bounds(
    grid: Network, f: int, t: int, low: float, high: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Bounds of wr and of wi from those of voltages and angle: PowerModels' ``ref_calc_voltage_product_bounds``."""
    small = float(grid.voltage_min[f] * grid.voltage_min[t])
    large = float(grid.voltage_max[f] * grid.voltage_max[t])
    if not -np.pi / 2 < low <= high < np.pi / 2:  # no half plane: what magnitudes alone say
        return (-large, large), (-large, large)
    cosines, sines = (np.cos(low), np.cos(high)), (np.sin(low), np.sin(high))
    most = 1.0 if low < 0 < high else max(cosines)
    real = (small * min(cosines), large * most)
    return real, (sines[0] * (small if low >= 0 else large), sines[1] * (small if high <= 0 else large))


def _angle_cuts(table: Linear, grid: Network, k: int, f: int, t: int, low: float, high: float) -> None:
    """``tan(low) wr <= wi <= tan(high) wr``, and two cuts that join both with w (Coffrin et al., 2017, eq. 16)."""
    if not -np.pi / 2 < low <= high < np.pi / 2:
        return
    real, imaginary = ("wr", k), ("wi", k)
    table.at_least(("angle_min", k), 0.0, (imaginary, 1.0), (real, -float(np.tan(low))))
    table.at_most(("angle_max", k), 0.0, (imaginary, 1.0), (real, -float(np.tan(high))))
    mid, half = (low + high) / 2.0, np.cos((high - low) / 2.0)
    f_low, f_high = float(grid.voltage_min[f]), float(grid.voltage_max[f])
    t_low, t_high = float(grid.voltage_min[t]), float(grid.voltage_max[t])
    both = (f_low + f_high) * (t_low + t_high)
    spread = f_low * t_low - f_high * t_high
    for name, at_f, at_t, sign in (("cut_high", f_high, t_high, 1.0), ("cut_low", f_low, t_low, -1.0)):
        table.at_least(
            (f"angle_{name}", k), sign * at_f * at_t * half * spread,
            (real, both * float(np.cos(mid))), (imaginary, both * float(np.sin(mid))),
            (("w", f), -at_t * half * (t_low + t_high)), (("w", t), -at_f * half * (f_low + f_high)),
        )  # fmt: skip
