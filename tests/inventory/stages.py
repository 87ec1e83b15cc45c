"""The shelf as linear stage problems.

An order is placed before its demand is seen, but a stage sees its noise first. So the state handed on is the stock
*after* ordering: node 0 places the first order and meets no demand; node n sells to the demand of period n - 1, pays
for what is left and places the order of period n. Money of period n - 1 is booked in node n, hence divided by the
discount.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orrl.core.linear import Linear
from orrl.core.stages import Stage, StageGraph, StageNode

if TYPE_CHECKING:
    from .problem import Inventory

__all__ = ["graph", "stage"]


def graph(problem: Inventory) -> StageGraph:
    """One node more than periods are left."""
    left = problem.horizon - problem.objective.stage
    demands = np.arange(len(problem.law), dtype=np.float64)[:, None]
    most = problem.price * min(problem.capacity, len(problem.law) - 1)  # a period earns no more
    nodes = []
    for n in range(left + 1):
        children = ((n + 1, 1.0),) if n < left else ()
        openings, p = (demands, np.array(problem.law)) if n else (np.zeros((1, 1)), np.ones(1))
        # node n + 1 + k books its period divided by the discount, and is itself discounted k + 1 times
        bound = -most * sum(problem.discount**k for k in range(left - n))
        nodes.append(StageNode(children, openings, p, bound))
    return StageGraph(tuple(nodes), ((0, 1.0),), np.array([float(problem.stock)]), problem.discount)


def stage(problem: Inventory, *, first: bool, last: bool) -> Stage:
    """Cheapest stage from the stock (1,) under the demand (1,): columns sold, left, order, stock after ordering."""
    early = 1.0 if first else 1.0 / problem.discount
    table = Linear()
    sold = table.column(("sold",), 0.0, 0.0 if first else np.inf, cost=-problem.price * early)
    left = table.column(("left",), 0.0, np.inf, cost=0.0 if first else problem.holding * early)
    order = table.column(("order",), 0.0, 0.0 if last else problem.max_order, cost=problem.cost)
    after = table.column(("stock",), 0.0, problem.capacity)
    table.equal(("shelf",), 0.0, (sold, 1.0), (left, 1.0))
    table.equal(("ordered",), 0.0, (after, 1.0), (left, -1.0), (order, -1.0))
    table.at_most(("demand",), 0.0, (sold, 1.0))
    by_noise = {("demand",): [(0, 1.0)]}
    return Stage.of(table, out=[after], noise=1, by_state={("shelf",): [(0, 1.0)]}, by_noise=by_noise)
