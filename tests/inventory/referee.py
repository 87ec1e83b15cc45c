"""The referee: recomputes stock, sales and profit in plain Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orrl.core.types import Evaluation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .problem import Demand, Inventory, Plan

__all__ = ["evaluate", "profit"]


def profit(problem: Inventory, orders: Sequence[int], demand: Sequence[int]) -> float:
    """Discounted profit of the first ``len(orders)`` periods."""
    units, total = problem.initial, 0.0
    for t, (order, wanted) in enumerate(zip(orders, demand, strict=True)):
        sold = min(units + order, wanted)
        units = units + order - sold
        money = problem.price * sold - problem.cost * order - problem.holding * units
        total += problem.discount**t * (money - (problem.fixed if order > 0 else 0.0))
    return total


def evaluate(problem: Inventory, plan: Plan, scenario: Demand) -> Evaluation:
    """Judge a plan under one demand path."""
    demand = [int(d) for d in scenario.path]
    broken = []
    if not len(plan.orders) == len(plan.sales) == problem.horizon:
        text = f"{len(plan.orders)} orders and {len(plan.sales)} sales for {problem.horizon} periods"
        return Evaluation(float("nan"), False, (text,))
    units = problem.initial
    for t in range(problem.horizon):
        order, sold = plan.orders[t], plan.sales[t]
        if not 0 <= order <= problem.max_order:
            broken.append(f"period {t}: order {order} is not in 0..{problem.max_order}")
        if units + order > problem.capacity:
            broken.append(f"period {t}: {units} + {order} units on a shelf for {problem.capacity}")
        if sold != min(units + order, demand[t]):
            broken.append(f"period {t}: sells {sold} with {units + order} on the shelf and demand {demand[t]}")
        units = max(0, units + order - demand[t])
    for t, (was, wanted) in enumerate(zip(problem.state.orders, problem.state.demand, strict=True)):
        if (plan.orders[t], demand[t]) != (was, wanted):
            broken.append(f"period {t} has passed with order {was} and demand {wanted}; the plan rewrites it")
    return Evaluation(profit(problem, plan.orders, demand), not broken, tuple(broken), metrics={"left": float(units)})
