"""The one transition function, arithmetic over a batch of shelves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .problem import InventoryState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .problem import Demand, Inventory

__all__ = ["InventoryKernel", "Shelves"]


@dataclass(slots=True)
class Shelves:
    """State of B rows: ``which, stage, stock : (B,)``, ``demand, orders : (B, T)``; the demand to come is hidden."""

    which: npt.NDArray[np.int64]
    stage: npt.NDArray[np.int64]
    stock: npt.NDArray[np.int64]
    demand: npt.NDArray[np.int64]
    orders: npt.NDArray[np.int64]


class InventoryKernel:
    """Shelves of mixed size side by side; action q is an order of q units."""

    def __init__(self, problems: Sequence[Inventory]) -> None:
        self.problems = problems
        self.n_actions, self.action_shape = 1 + max(p.max_order for p in problems), ()
        self.periods = max(p.horizon for p in problems)
        whole = ("horizon", "capacity", "max_order")
        self.size = {k: np.array([getattr(p, k) for p in problems], np.int64) for k in whole}
        money = ("price", "cost", "holding", "fixed")
        self.money = {k: np.array([getattr(p, k) for p in problems], np.float64) for k in money}

    def reset(self, scenarios: Sequence[Demand], which: Sequence[int] | None = None) -> Shelves:
        """Fresh rows, each where its problem starts."""
        rows = len(scenarios)
        if which is None:
            which = [0] * rows if len(self.problems) == 1 else range(rows)
        own = [self.problems[w] for w in which]
        demand, orders = (np.zeros((rows, self.periods), np.int64) for _ in range(2))
        for b, (problem, scenario) in enumerate(zip(own, scenarios, strict=True)):
            demand[b, : problem.horizon] = scenario.path
            orders[b, : len(problem.state.orders)] = problem.state.orders
        return Shelves(
            which=np.array(which, np.int64),
            stage=np.array([len(p.state.orders) for p in own], np.int64),
            stock=np.array([p.stock for p in own], np.int64),
            demand=demand,
            orders=orders,
        )

    def reset_rows(self, state: Shelves, rows: Sequence[int], scenarios: Sequence[Demand]) -> None:
        """Begin again in some rows."""
        fresh = self.reset(scenarios, [int(state.which[b]) for b in rows])
        for name in ("stage", "stock", "demand", "orders"):
            getattr(state, name)[list(rows)] = getattr(fresh, name)

    def mask(self, state: Shelves) -> npt.NDArray[np.bool_]:
        """Orders that the supplier and the shelf allow."""
        order = np.arange(self.n_actions)
        w = state.which
        fits = state.stock[:, None] + order <= self.size["capacity"][w][:, None]
        live = state.stage < self.size["horizon"][w]
        return fits & (order <= self.size["max_order"][w][:, None]) & live[:, None]

    def step(
        self, state: Shelves, actions: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Order, meet the demand, count the money of the period (undiscounted)."""
        horizon = self.size["horizon"][state.which]
        rows = np.flatnonzero((state.stage < horizon) & (actions >= 0))
        w, t, order = state.which[rows], state.stage[rows], actions[rows]
        there = state.stock[rows] + order
        sold = np.minimum(there, state.demand[rows, t])
        gain = self.money["price"][w] * sold - self.money["cost"][w] * order - self.money["holding"][w] * (there - sold)
        reward = np.zeros(len(state.stage))
        reward[rows] = gain - self.money["fixed"][w] * (order > 0)
        state.orders[rows, t] = order
        state.stock[rows] = there - sold
        state.stage[rows] += 1
        return reward, state.stage >= horizon

    def observe(self, state: Shelves) -> npt.NDArray[np.float32]:
        """Share of the shelf that is full and of the horizon that has passed, (B, 2)."""
        full = state.stock / self.size["capacity"][state.which]
        passed = state.stage / self.size["horizon"][state.which]
        return np.stack([full, passed], axis=1).astype(np.float32)

    def clone(self, state: Shelves, scenarios: Sequence[Demand], rows: Sequence[int]) -> Shelves:
        """Copies of rows with another demand from now on."""
        pick = np.array(rows, np.int64)
        copy = Shelves(*(getattr(state, k)[pick].copy() for k in ("which", "stage", "stock", "demand", "orders")))
        for i, scenario in enumerate(scenarios):
            t, end = copy.stage[i], len(scenario.path)
            copy.demand[i, t:end] = scenario.path[t:]
        return copy

    def snapshot(self, state: Shelves, row: int) -> InventoryState:
        """What has happened in a row."""
        t = int(state.stage[row])
        return InventoryState(tuple(state.orders[row, :t].tolist()), tuple(state.demand[row, :t].tolist()))

    def failed(self, state: Shelves) -> npt.NDArray[Any]:
        """No episode fails."""
        return np.zeros(len(state.stage), np.bool_)
