"""`value-iteration`: sweeps of Bellman's operator with certified bounds, or backward induction from an end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...core.solver import Solver
from ...core.tables import policy_value
from .mdp_model import MdpArrays, conclude, mdp_support
from .pomdp_model import signed_value

if TYPE_CHECKING:
    from ...core.program import Outcome
    from ...core.run import Run
    from ...core.types import Support

__all__ = ["ValueIteration"]


@dataclass(repr=False)
class ValueIteration(Solver):
    """Optimal policy of a finite problem, with or without a horizon.

    Without one: sweeps ``V' = T V`` until the bounds ``V' + g / (1 - g) [min, max](V' - V)`` (Puterman 1994, theorem
    6.6.3) are closer than the tolerance; the last greedy rule is then evaluated exactly. With one: backward induction
    (Bellman 1957). Both bounds hold whenever it stops. Of a partially observed problem it solves the one whose state is
    seen.

    Parameters
    ----------
    tolerance : float
        Distance of the bounds, relative to the value, at which to stop.
    """

    name: ClassVar[str] = "value-iteration"
    clairvoyant: ClassVar[bool] = False

    tolerance: float = 1e-9

    def supports(self, problem: Any) -> Support:
        """Tables, and a horizon or a discount below 1."""
        return mdp_support(problem)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        with run.clock("build"):
            model = MdpArrays.of(problem)
        if model.table.horizon is not None:
            return self._backward(problem, model, model.table.horizon, run)
        g, initial = model.table.discount, model.table.initial
        hidden = model.table.observation is not None
        value = np.zeros(len(initial))
        sweeps = 0
        while True:
            q = model.q(value)
            improved = model.best(q)
            sweeps += 1
            change = improved - value
            bound = float(initial @ model.above(value, improved))
            span = g / (1.0 - g) * float(change.max() - change.min())
            if not hidden and sweeps % 20 == 0:
                run.bound(signed_value(problem, bound))
            value = improved
            closed = span <= max(self.tolerance, run.gap) * max(1.0, float(np.abs(improved).max()))
            if closed or run.over:
                break
        rule = model.q(value).argmax(axis=1)
        worth = float(initial @ model.policy_value(rule))
        if not hidden:
            run.incumbent(signed_value(problem, worth))
        # the policy may be optimal before the bound says so
        stop = ("gap" if run.gap > self.tolerance else "optimal") if closed else run.why
        meta = {"sweeps": sweeps}
        return conclude(problem, model.law(rule), worth, bound, name=self.name, stop=stop, optimal=closed, meta=meta)

    def _backward(self, problem: Any, model: MdpArrays, steps: int, run: Run) -> Outcome:
        table = model.table
        value = np.zeros(len(model.alive))
        law = np.zeros((steps, *table.reward.shape))
        done = steps
        for t in reversed(range(steps)):
            if run.over:
                break
            q = model.q(value)
            law[t] = model.law(q.argmax(axis=1))
            value, done = model.best(q), t
        if done == 0:
            worth = bound = float(table.initial @ value)
        else:  # what is missing takes the rule of the first step that is known, and could earn the most each year
            law[:done] = law[done] if done < steps else model.law(model.q(np.zeros_like(value)).argmax(axis=1))
            worth = float(table.initial @ policy_value(table, law))
            most = float(np.where(table.mask, table.reward, -np.inf).max())
            most = max(most, 0.0) if not model.alive.all() else most
            bound = sum(table.discount**t for t in range(done)) * most + table.discount**done * float(value.max())
        if table.observation is None:
            run.incumbent(signed_value(problem, worth))
            run.bound(signed_value(problem, bound))
        stop = "optimal" if done == 0 else run.why
        meta = {"steps": steps - done}
        return conclude(problem, law, worth, bound, name=self.name, stop=stop, optimal=done == 0, meta=meta)
