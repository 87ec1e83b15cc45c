"""`qmdp`: act as if the state were known from the next step on (Littman, Cassandra, Kaelbling 1995)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.program import Outcome
from ...core.solver import Solver
from .alpha import AlphaPolicy
from .pomdp_bounds import qmdp
from .pomdp_model import PomdpArrays, pomdp_support, signed_value

if TYPE_CHECKING:
    from ...core.run import Run
    from ...core.types import Support

__all__ = ["Qmdp"]


@dataclass
class Qmdp(Solver):
    """Belief and the action values of the observed problem.

    Its value bounds the optimum, but certifies nothing about its policy: simulate that. It never pays for information.

    Parameters
    ----------
    tolerance : float
        Stop when a sweep changes less.
    """

    name: ClassVar[str] = "qmdp"
    kind = "heuristic"
    clairvoyant: ClassVar[bool] = False

    tolerance: float = 1e-9

    def supports(self, problem: Any) -> Support:
        """Discounted POMDPs without horizon."""
        return pomdp_support(problem)

    def values(self, model: PomdpArrays, run: Run) -> npt.NDArray[np.float64]:
        """Action values (S, A), from above at any stop."""
        return qmdp(model, tolerance=self.tolerance, over=lambda: run.over)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        table = problem.tabular()
        with run.clock("build"):
            model = PomdpArrays.of(table)
        q = self.values(model, run)
        bound = signed_value(problem, float((model.initial @ q).max()))
        run.bound(bound)
        policy = AlphaPolicy(
            q.T, np.arange(q.shape[1]), model=model, content_hash=problem.content_hash, name=self.name, certified=False
        )
        return Outcome(
            "feasible",
            run.why if run.over else "converged",
            bound=bound,
            bound_of="" if table.exact else "the discretised problem",
            policy=policy,
            message="the bound is of the optimum; the policy's own value is not known: simulate it",
        )
