"""`policy-iteration`: evaluate a rule exactly, improve it, until nothing improves (Howard 1960)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...core.solver import Solver
from .mdp_model import MdpArrays, conclude, mdp_support
from .pomdp_model import signed_value

if TYPE_CHECKING:
    from ...core.program import Outcome
    from ...core.run import Run
    from ...core.types import Support

__all__ = ["PolicyIteration"]


@dataclass(repr=False)
class PolicyIteration(Solver):
    """Optimal stationary policy of a finite discounted problem; a few linear systems of as many rows as states.

    Every rule on the way is evaluated exactly, and one sweep bounds the optimum (Puterman 1994, theorem 6.6.3), so the
    result is valid whenever it stops. Of a partially observed problem it solves the one whose state is seen.

    Parameters
    ----------
    tolerance : float
        An action replaces another only where it is better by this, relative to the value.
    """

    name: ClassVar[str] = "policy-iteration"
    clairvoyant: ClassVar[bool] = False

    tolerance: float = 1e-11

    def supports(self, problem: Any) -> Support:
        """Tables, a discount below 1, no horizon."""
        return mdp_support(problem, horizon=False)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        with run.clock("build"):
            model = MdpArrays.of(problem)
        states = np.arange(len(model.alive))
        hidden = model.table.observation is not None
        rule = model.q(np.zeros(len(states))).argmax(axis=1)
        rounds, optimal = 0, False
        while True:
            value = model.policy_value(rule)
            rounds += 1
            q = model.q(value)
            improved = model.best(q)
            above = model.above(value, improved)
            worth, bound = float(model.table.initial @ value), float(model.table.initial @ above)
            if not hidden:
                run.incumbent(signed_value(problem, worth))
                run.bound(signed_value(problem, bound))
            better = improved > value + self.tolerance * np.maximum(1.0, np.abs(value))
            optimal = not better.any()
            if optimal or run.over:
                break
            rule = np.where(better, q.argmax(axis=1), rule)
        stop = "optimal" if optimal else run.why
        meta = {"rounds": rounds}
        return conclude(problem, model.law(rule), worth, bound, name=self.name, stop=stop, optimal=optimal, meta=meta)
