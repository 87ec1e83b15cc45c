"""The shelf as mathematical programs: the best plan for one demand path, and the best policy for the whole law."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orrl.core.errors import NotSupportedError
from orrl.core.program import Program
from orrl.core.tables import TablePolicy

from .problem import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from .problem import Demand, Inventory

__all__ = ["InventoryMilp", "OccupationLP"]


class InventoryMilp(Program):
    """Orders, sales and stock of every period for a demand path that is known; what has passed is fixed."""

    backend = "pyomo"
    form = "milp"

    def __init__(self, problem: Inventory, scenario: Demand) -> None:
        import pyomo.environ as pyo

        self.sense = problem.objective.sense
        self.problem = problem
        demand = scenario.path.tolist()
        m = pyo.ConcreteModel()
        m.t = pyo.RangeSet(0, problem.horizon - 1)
        m.order = pyo.Var(m.t, domain=pyo.NonNegativeIntegers, bounds=(0, problem.max_order))
        m.placed = pyo.Var(m.t, domain=pyo.Binary)
        m.sales = pyo.Var(m.t, bounds=lambda m, t: (0, demand[t]))
        m.stock = pyo.Var(m.t, bounds=(0, problem.capacity))

        def before(m: Any, t: int) -> Any:
            return m.stock[t - 1] if t else problem.initial

        m.balance = pyo.Constraint(m.t, rule=lambda m, t: m.stock[t] == before(m, t) + m.order[t] - m.sales[t])
        m.room = pyo.Constraint(m.t, rule=lambda m, t: before(m, t) + m.order[t] <= problem.capacity)
        m.switch = pyo.Constraint(m.t, rule=lambda m, t: m.order[t] <= problem.max_order * m.placed[t])
        m.profit = pyo.Objective(
            sense=pyo.maximize,
            expr=sum(
                problem.discount**t
                * (
                    problem.price * m.sales[t]
                    - problem.cost * m.order[t]
                    - problem.fixed * m.placed[t]
                    - problem.holding * m.stock[t]
                )
                for t in m.t
            ),
        )
        for t, order in enumerate(problem.state.orders):
            m.order[t].fix(order)
        self.model = m

    def encode(self, solution: Plan, *, fix: bool = False) -> None:
        """Hint or fix orders, sales and what follows from them."""
        units = self.problem.initial
        for t in self.model.t:
            order, sold = solution.orders[t], solution.sales[t]
            units += order - sold
            for variable, value in (("order", order), ("placed", int(order > 0)), ("sales", sold), ("stock", units)):
                column = getattr(self.model, variable)[t]
                column.set_value(value, skip_validation=True)
                if fix:
                    column.fix()

    def decode(self, value: Callable[[Any], float]) -> Plan:
        """Whole orders and sales."""
        m = self.model
        return Plan(tuple(round(value(m.order[t])) for t in m.t), tuple(round(value(m.sales[t])) for t in m.t))

    @property
    def objective_variable(self) -> Any:
        """The profit."""
        return self.model.profit


class OccupationLP(Program):
    """How often each state and order occur in each period (Puterman 1994, section 6.9, with a horizon).

    The optimum is a policy, not a plan.
    """

    backend = "pyomo"
    form = "occupation"

    def __init__(self, problem: Inventory) -> None:
        import pyomo.environ as pyo

        goal, table = problem.objective, problem.tabular()
        self.sense, self.problem, self.table = goal.sense, problem, table
        states, actions = table.reward.shape
        legal = [(s, a) for s in range(states) for a in range(actions) if table.mask[s, a]]
        m = pyo.ConcreteModel()
        m.t = pyo.RangeSet(0, table.horizon - 1)
        m.s = pyo.RangeSet(0, states - 1)
        m.legal = pyo.Set(initialize=legal, dimen=2)
        m.x = pyo.Var(m.t, m.legal, domain=pyo.NonNegativeReals)

        def flow(m: Any, t: int, s: int) -> Any:
            out = sum(m.x[t, s, a] for a in range(actions) if table.mask[s, a])
            if t == 0:
                return out == float(table.initial[s])
            return out == sum(
                m.x[t - 1, z, a] * table.transition[a][z, s] for z, a in legal if table.transition[a][z, s]
            )

        m.flow = pyo.Constraint(m.t, m.s, rule=flow)
        gain = sum(table.discount**t * table.reward[s, a] * m.x[t, s, a] for t in m.t for s, a in legal)
        m.profit = pyo.Objective(sense=pyo.maximize, expr=problem.accrued + goal.discount**goal.stage * gain)
        self.model = m

    def encode(self, solution: Any, *, fix: bool = False) -> None:
        """A plan is no occupation measure."""
        raise NotSupportedError("form 'occupation' holds policies: it cannot take a plan")

    def decode(self, value: Callable[[Any], float]) -> TablePolicy:
        """Orders in proportion to how often they occur; states that never occur order nothing."""
        law = np.zeros((self.table.horizon, *self.table.reward.shape))
        for (t, s, a), column in self.model.x.items():
            law[t, s, a] = max(0.0, value(column))
        law[law.sum(axis=2) == 0.0, 0] = 1.0
        law /= law.sum(axis=2, keepdims=True)
        return TablePolicy(law, content_hash=self.problem.content_hash, name="occupation")

    @property
    def objective_variable(self) -> Any:
        """The expected profit."""
        return self.model.profit
