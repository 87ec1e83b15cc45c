"""One stage of the dispatch: water, plants and the linear networks (transport, DC, DC with losses) as a `Stage`.

The conventions are those of HydroPowerModels.jl: powers in per unit, turbined flow a rate (m3/s, times K), spilled
water already a volume (hm3), and a stage's cost not multiplied by its hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...core.linear import Linear
from ...core.stages import Stage

if TYPE_CHECKING:
    from ...core.linear import Key
    from .system import Cascade, Network
    from .terminal import Terminal

__all__ = ["NETWORKS", "NetworkForm", "build_stage"]

NetworkForm = Literal["transport", "dc", "dcll", "soc", "ac"]
NETWORKS: tuple[NetworkForm, ...] = ("transport", "dc", "dcll", "soc", "ac")
TANGENTS = 12  # to the losses of a branch, over the range of its flow


def build_stage(
    grid: Network, cascade: Cascade, *, network: NetworkForm, factor: float, terminal: Terminal | None = None
) -> Stage:
    """Minimise fuel and deficit of one stage.

    Parameters
    ----------
    grid : Network
        With the demand of this stage.
    cascade : Cascade
        Reservoirs.
    network : {"transport", "dc", "dcll", "soc", "ac"}
        Physics of the branches; "dcll" is DC with line losses.
    factor : float
        K, hm3 that one m3/s brings in a stage: 0.0036 times the hours.
    terminal : Terminal, optional
        What the last stage owes to the time after it.

    Returns
    -------
    Stage
        State: volumes (H,) hm3. Noise: inflows (H,) m3/s. Families of columns: power, deficit (per unit), volume,
        spilled (hm3), turbined (m3/s), low_outflow, low_volume where such limits are soft, and those of the network.
    """
    table = Linear()
    _plants(table, grid, cascade)
    by_state, by_noise = _water(table, cascade, factor)
    if terminal is not None:
        terminal.add(table, cascade)
    options: dict[str, Any] = {}
    if network in ("transport", "dc", "dcll"):
        _linear_network(table, grid, angles=network != "transport", losses=network == "dcll")
    elif network == "soc":
        from .network_soc import add_soc

        options["cones"] = add_soc(table, grid)
    else:
        from .network_ac import add_ac

        options["smooth"] = add_ac(table, grid)
    out = [("volume", h) for h in range(len(cascade.names))]
    return Stage.of(table, out=out, noise=len(out), by_state=by_state, by_noise=by_noise, **options)


def _plants(table: Linear, grid: Network, cascade: Cascade) -> None:
    for g in range(len(grid.cost)):
        table.column(("power", g), grid.power_min[g], grid.power_max[g], cost=grid.cost[g])
    for b in range(len(grid.bus_names)):
        table.column(("deficit", b), 0.0, np.inf, cost=grid.deficit_cost)
    for h, g in enumerate(cascade.generator.tolist()):
        soft_volume, soft_flow = cascade.volume_violation_cost[h] > 0, cascade.outflow_violation_cost[h] > 0
        low = 0.0 if soft_volume else cascade.volume_min[h]
        table.column(("volume", h), low, cascade.volume_max[h])
        table.column(("turbined", h), 0.0 if soft_flow else cascade.turbine_min[h], cascade.turbine_max[h])
        table.column(("spilled", h), 0.0, np.inf, cost=cascade.spill_cost[h])
        power = (("power", g), grid.base), (("turbined", h), -cascade.production[h])
        table.equal(("turbine_energy", h), 0.0, *power)
        if soft_volume and cascade.volume_min[h] > 0:
            slack = table.column(("low_volume", h), 0.0, np.inf, cost=cascade.volume_violation_cost[h])
            table.at_least(("volume_min", h), cascade.volume_min[h], (("volume", h), 1.0), (slack, 1.0))
        if soft_flow and cascade.turbine_min[h] > 0:
            slack = table.column(("low_outflow", h), 0.0, np.inf, cost=cascade.outflow_violation_cost[h])
            table.at_least(("turbine_min", h), cascade.turbine_min[h], (("turbined", h), 1.0), (slack, 1.0))


def _water(table: Linear, cascade: Cascade, factor: float) -> tuple[dict[Key, Any], dict[Key, Any]]:
    """Volume after = volume before + inflow - turbined - spilled + what arrives from above."""
    by_state: dict[Key, Any] = {}
    by_noise: dict[Key, Any] = {}
    for h in range(len(cascade.names)):
        terms = [(("volume", h), 1.0), (("turbined", h), factor), (("spilled", h), 1.0)]
        terms += [(("turbined", int(u)), -factor) for u in np.flatnonzero(cascade.turbine_to[:, h])]
        terms += [(("spilled", int(u)), -1.0) for u in np.flatnonzero(cascade.spill_to[:, h])]
        table.equal(("water", h), 0.0, *terms)
        by_state["water", h] = [(h, 1.0)]
        by_noise["water", h] = [(h, factor)]
    return by_state, by_noise


def _linear_network(table: Linear, grid: Network, *, angles: bool, losses: bool) -> None:
    """Branch flows within their ratings; with `angles` Kirchhoff's voltage law in PowerModels' DC form.

    ``p = -b (theta_from - theta_to)`` with ``b = imag(1 / (r + jx)) = -x / (r^2 + x^2)``; taps and shifts are left out,
    as PowerModels' DCPPowerModel does. With `losses` a branch also takes ``loss >= r p^2 / v^2`` at the highest voltage
    v of its buses, half at each end, by tangents to the parabola: power lost is dear, so the inequality is tight
    wherever more power costs more.
    """
    for i in range(len(grid.branch_from)):
        limit = float(grid.rating[i])
        table.column(("flow", i), -limit, limit)
    half = [[(("loss", i), 0.5)] if losses else [] for i in range(len(grid.branch_from))]
    if losses:
        _losses(table, grid)
    leaving = [[(("flow", i), 1.0), *half[i]] for i in range(len(half))]
    balance(table, grid, leaving, [[(("flow", i), -1.0), *half[i]] for i in range(len(half))])
    if not angles:
        return
    for b in range(len(grid.bus_names)):
        at_rest = b == grid.reference
        table.column(("angle", b), 0.0 if at_rest else -np.inf, 0.0 if at_rest else np.inf)
    for i, (f, t) in enumerate(zip(grid.branch_from.tolist(), grid.branch_to.tolist(), strict=True)):
        stiff = grid.reactance[i] / (grid.resistance[i] ** 2 + grid.reactance[i] ** 2)
        law = (("flow", i), 1.0), (("angle", f), -stiff), (("angle", t), stiff)
        table.equal(("voltage_law", i), 0.0, *law)
        apart = (("angle", f), 1.0), (("angle", t), -1.0)
        table.rows["angle_limit", i] = (float(grid.angle_min[i]), apart, float(grid.angle_max[i]))


def _losses(table: Linear, grid: Network) -> None:
    """A column and its tangents for every branch; a branch without a rating is taken to carry at most all demand."""
    voltage = np.maximum(grid.voltage_max[grid.branch_from], grid.voltage_max[grid.branch_to])
    weight = grid.resistance / voltage**2
    for i, r in enumerate(weight.tolist()):
        table.column(("loss", i), 0.0, np.inf)
        most = min(float(grid.rating[i]), float(np.abs(grid.demand).sum()))
        for k, p in enumerate(np.linspace(-most, most, TANGENTS).tolist() if r > 0 else ()):
            # loss >= r (2 p flow - p^2)
            table.at_least(("loss_tangent", i, k), -r * p * p, (("loss", i), 1.0), (("flow", i), -2.0 * r * p))


def balance(table: Linear, grid: Network, leaving: list[Any], arriving: list[Any]) -> None:
    """Active power at each bus: generation and deficit cover demand and what leaves over branches.

    Parameters
    ----------
    leaving, arriving : (L,) lists of terms
        Power taken from the first bus of a branch, and from the second (negative where it is brought there).
    """
    terms: list[list[tuple[Key, float]]] = [[(("deficit", b), 1.0)] for b in range(len(grid.bus_names))]
    for g, b in enumerate(grid.generator_bus.tolist()):
        terms[b].append((("power", g), 1.0))
    for i, (f, t) in enumerate(zip(grid.branch_from.tolist(), grid.branch_to.tolist(), strict=True)):
        terms[f] += [(key, -a) for key, a in leaving[i]]
        terms[t] += [(key, -a) for key, a in arriving[i]]
    for b, demand in enumerate(grid.demand.tolist()):
        table.equal(("balance", b), demand, *terms[b])
