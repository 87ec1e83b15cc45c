"""Alternating-current power flow in polar voltages: PowerModels' ACPPowerModel with the flows substituted.

The flows are expressions of voltage and angle, not columns: the program has 124 variables and as many equality rows
less than PowerModels' form on a network of 31 branches, with the same solutions. `Polar.flows` gives them back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from .network_soc import branch_terms, reactive_demand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...core.linear import Key, Linear
    from ...core.stages import SmoothRow, Stage
    from .system import Network

__all__ = ["Polar", "add_ac"]

FloatArray = npt.NDArray[np.float64]
ENDS = ("p_from", "q_from", "p_to", "q_to")


def add_ac(table: Linear, grid: Network) -> Polar:
    """Columns and linear rows of the power flow.

    Parameters
    ----------
    table : Linear
        With the columns power and deficit; reactive, voltage (per unit) and angle (rad) join them.
    grid : Network
        With the demand of the stage.

    Returns
    -------
    Polar
        The nonlinear rows, as `Stage` takes them.
    """
    for g in range(len(grid.cost)):
        table.column(("reactive", g), grid.reactive_min[g], grid.reactive_max[g])
    for b in range(len(grid.bus_names)):
        at_rest = b == grid.reference
        table.column(("voltage", b), grid.voltage_min[b], grid.voltage_max[b])
        table.column(("angle", b), 0.0 if at_rest else -np.inf, 0.0 if at_rest else np.inf)
    _check(grid)
    tightest: dict[tuple[int, int], tuple[float, float]] = {}
    for i, (f, t) in enumerate(zip(grid.branch_from.tolist(), grid.branch_to.tolist(), strict=True)):
        low, high = float(grid.angle_min[i]), float(grid.angle_max[i])
        pair = (f, t)
        if (t, f) in tightest:
            pair, low, high = (t, f), -high, -low
        held = tightest.get(pair, (-np.inf, np.inf))
        tightest[pair] = (max(held[0], low), min(held[1], high))
    for k, ((f, t), (low, high)) in enumerate(tightest.items()):
        table.rows["angle_limit", k] = (low, ((("angle", f), 1.0), (("angle", t), -1.0)), high)
    return Polar(grid)


def _check(grid: Network) -> None:
    served = _served(grid)
    for b in np.flatnonzero(reactive_demand(grid)).tolist():
        if b not in served:
            raise DataError(f"{grid.bus_names[b]} has reactive load but neither generator nor branch: connect it")


def _served(grid: Network) -> set[int]:
    """Buses with a generator or a branch."""
    return {*grid.generator_bus.tolist(), *grid.branch_from.tolist(), *grid.branch_to.tolist()}


@dataclass(frozen=True, eq=False)
class Polar:
    """Nonlinear rows of the power flow; an object that can be pickled, not a closure.

    Parameters
    ----------
    grid : Network
        With the demand of the stage.
    """

    grid: Network

    def branch(self, y: Mapping[Key, Any], lib: Any, i: int) -> tuple[Any, Any, Any, Any]:
        """Active and reactive power into branch i at its first and at its second bus (per unit)."""
        f, t = int(self.grid.branch_from[i]), int(self.grid.branch_to[i])
        apart = y["angle", f] - y["angle", t]
        both = y["voltage", f] * y["voltage", t]
        real, imaginary = both * lib.cos(apart), both * lib.sin(apart)
        out = []
        for end, (at_bus, of_real, of_imaginary) in branch_terms(self.grid, i).items():
            bus = f if end.endswith("from") else t
            out.append(at_bus * y["voltage", bus] ** 2 + of_real * real + of_imaginary * imaginary)
        return out[0], out[1], out[2], out[3]

    def __call__(self, y: Mapping[Key, Any], lib: Any) -> Iterator[SmoothRow]:
        """Balances of active and reactive power, and thermal limits at both ends of each branch with a rating."""
        grid = self.grid
        served = _served(grid)
        active: list[Any] = [y["deficit", b] for b in range(len(grid.bus_names))]
        reactive: list[Any] = [0.0 for _ in grid.bus_names]
        for g, b in enumerate(grid.generator_bus.tolist()):
            active[b] = active[b] + y["power", g]
            reactive[b] = reactive[b] + y["reactive", g]
        limits: list[SmoothRow] = []
        for i, (f, t) in enumerate(zip(grid.branch_from.tolist(), grid.branch_to.tolist(), strict=True)):
            p_from, q_from, p_to, q_to = self.branch(y, lib, i)
            active[f], reactive[f] = active[f] - p_from, reactive[f] - q_from
            active[t], reactive[t] = active[t] - p_to, reactive[t] - q_to
            rating = float(grid.rating[i])
            if np.isfinite(rating):
                limits.append((("thermal_from", i), -np.inf, p_from**2 + q_from**2, rating**2))
                limits.append((("thermal_to", i), -np.inf, p_to**2 + q_to**2, rating**2))
        for b, (p, q) in enumerate(zip(grid.demand.tolist(), reactive_demand(grid).tolist(), strict=True)):
            yield ("balance", b), p, active[b], p
            if b in served:  # elsewhere it would say 0 = 0
                yield ("reactive_balance", b), q, reactive[b], q
        yield from limits

    def flows(self, stage: Stage, columns: FloatArray) -> dict[str, FloatArray]:
        """Flows of a solution, for reports.

        Parameters
        ----------
        stage : Stage
            That has these rows.
        columns : (m,)
            Values of its columns.

        Returns
        -------
        dict of (L,)
            Keys "p_from", "q_from", "p_to", "q_to", per unit.
        """
        y = {key: float(columns[i]) for key, i in stage.where.items() if key[0] in ("voltage", "angle")}
        parts = np.array([self.branch(y, np, i) for i in range(len(self.grid.branch_from))]).reshape(-1, 4)
        return dict(zip(ENDS, parts.T, strict=True))
