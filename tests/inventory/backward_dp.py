"""`backward-dp`: backward induction on any problem with tables and a horizon. One file, and it knows no problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from orrl.core.capabilities import HasTabular
from orrl.core.program import Outcome
from orrl.core.solver import Solver
from orrl.core.tables import TablePolicy
from orrl.core.types import Support

if TYPE_CHECKING:
    from orrl.core.run import Run

__all__ = ["BackwardDP"]


@dataclass
class BackwardDP(Solver):
    """Optimal policy of a finite problem (Bellman 1957); its value is exact, so it is also the bound."""

    name: ClassVar[str] = "backward-dp"
    clairvoyant: ClassVar[bool] = False

    def supports(self, problem: Any) -> Support:
        """Tables that say everything, and a horizon."""
        offered: Support = problem.supports(HasTabular)
        if not offered:
            return offered
        table = problem.tabular()
        if table.horizon is None:
            return Support(False, "the tables have no horizon to go back from: use value iteration")
        return Support(table.exact, "" if table.exact else "the tables approximate the problem")

    def _solve(self, problem: Any, run: Run) -> Outcome:
        table = problem.tabular()
        states, actions = table.reward.shape
        value = np.zeros(states)
        rule = np.zeros((table.horizon, states, actions))
        for t in reversed(range(table.horizon)):
            ahead = np.stack([np.asarray(p @ value).ravel() for p in table.transition], axis=1)
            worth = np.where(table.mask, table.reward + table.discount * ahead, -np.inf)
            best = worth.argmax(axis=1)
            rule[t, np.arange(states), best] = 1.0
            value = worth.max(axis=1)
        goal = problem.objective
        total = problem.accrued + goal.sign * goal.discount**goal.stage * float(table.initial @ value)
        policy = TablePolicy(rule, content_hash=problem.content_hash, name=self.name)
        return Outcome("optimal", "optimal", objective=total, bound=total, policy=policy)
