"""The shelf as linear stage problems.

An order is placed before its demand is seen, but a stage sees its noise first. So the state handed on is the stock
*after* ordering: node 0 places the first order and meets no demand; node n sells to the demand of period n - 1, pays
for what is left and places the order of period n. Money of period n - 1 is booked in node n, hence divided by the
discount.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from orrl.core.capabilities import CutPool, StageGraph, StageNode, StageSolution

if TYPE_CHECKING:
    from .problem import Inventory

__all__ = ["ShelfStage", "graph"]


def graph(problem: Inventory) -> StageGraph:
    """One node more than periods are left."""
    left = problem.horizon - problem.objective.stage
    demands = np.arange(len(problem.law), dtype=np.float64)[:, None]
    nodes = []
    for n in range(left + 1):
        children = ((n + 1, 1.0),) if n < left else ()
        most = problem.price * min(problem.capacity, len(problem.law) - 1) / problem.discount
        openings, p = (demands, np.array(problem.law)) if n else (np.zeros((1, 1)), np.ones(1))
        nodes.append(StageNode(children, openings, p, -most * (left - n)))
    return StageGraph(tuple(nodes), 0, np.array([float(problem.stock)]), problem.discount)


class ShelfStage:
    """Linear program of one node.

    Columns: sold, left, order, stock after ordering, cost-to-go; value = cost + discount * cost-to-go.
    """

    def __init__(self, problem: Inventory, node: int) -> None:
        self.node, self.spec = graph(problem).nodes[node], problem
        self.first, self.last = node == 0, not self.node.children

    def solve(
        self,
        state: npt.NDArray[np.float64],
        noise: npt.NDArray[np.float64],
        *,
        target: npt.NDArray[np.float64] | None = None,
        cuts: CutPool | None = None,
    ) -> StageSolution:
        """Cheapest stage from the stock ``state (1,)`` under the demand ``noise (1,)``."""
        from scipy.optimize import linprog

        p = self.spec
        early = 1.0 if self.first else 1.0 / p.discount
        holding = 0.0 if self.first else p.holding * early
        price = [-p.price * early, holding, p.cost, 0.0]
        equal = [[1.0, 1.0, 0.0, 0.0, 0.0], [0.0, -1.0, -1.0, 1.0, 0.0]]  # sold + left = state; after = left + order
        right = [float(state[0]), 0.0]
        if target is not None:
            equal.append([0.0, 0.0, 0.0, 1.0, 0.0])
            right.append(float(target[0]))
        under, limit = None, None
        if cuts is not None:
            under = np.zeros((len(cuts.intercept), 5))
            under[:, 3], under[:, 4], limit = cuts.gradient[:, 0], -1.0, -cuts.intercept
        bounds = [
            (0.0, 0.0 if self.first else float(noise[0])),
            (0.0, None),
            (0.0, 0.0 if self.last else p.max_order),
            (0.0, p.capacity),
            (0.0, 0.0) if self.last else (self.node.cost_to_go_bound, None),
        ]
        answer = linprog([*price, p.discount], under, limit, equal, right, bounds, method="highs")
        if answer.status != 0:
            nothing = np.full(1, np.nan)
            word = "infeasible" if answer.status == 2 else "limit" if answer.status == 1 else "error"
            return StageSolution(np.nan, nothing, nothing, None, np.nan, word)
        dual = answer.eqlin.marginals
        return StageSolution(
            cost=float(np.dot(price, answer.x[:4])),
            state_out=answer.x[3:4].copy(),
            d_state=dual[:1].copy(),
            d_target=dual[2:3].copy() if target is not None else None,
            value=float(answer.fun),
            status="optimal",
        )
