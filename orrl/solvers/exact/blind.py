"""`blind`: the best single action for ever, a lower bound that nothing can be worse than (Hauskrecht 1997, AAAI)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...core.program import Outcome
from ...core.solver import Solver
from .alpha import AlphaPolicy
from .pomdp_bounds import blind_policies
from .pomdp_model import PomdpArrays, pomdp_support, signed_value

if TYPE_CHECKING:
    from ...core.run import Run
    from ...core.types import Support

__all__ = ["Blind"]


@dataclass
class Blind(Solver):
    """Values of always taking one action; the policy takes the best one at its belief, again at each step."""

    name: ClassVar[str] = "blind"
    kind = "heuristic"
    clairvoyant: ClassVar[bool] = False

    def supports(self, problem: Any) -> Support:
        """Discounted POMDPs without horizon."""
        return pomdp_support(problem)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        with run.clock("build"):
            model = PomdpArrays.of(problem.tabular())
        vectors = blind_policies(model, over=lambda: run.over)
        policy = AlphaPolicy(
            vectors, np.arange(len(vectors)), model=model, content_hash=problem.content_hash, name=self.name
        )
        value = signed_value(problem, policy.value(model.initial))
        run.incumbent(value)
        return Outcome("feasible", run.why if run.over else "converged", objective=value, policy=policy)
