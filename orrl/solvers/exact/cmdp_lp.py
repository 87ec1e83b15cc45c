"""`cmdp-lp`: the best policy under a limit on the discounted time in states of risk (Altman 1999, chapter 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...core.errors import DataError
from ...core.solver import Solver
from ...core.tables import policy_value
from ...core.tabular_lp import risky
from ...core.types import Support
from .mdp_lp import built, carried_out, lp_support, signed_back
from .mdp_model import conclude

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...core.program import Outcome
    from ...core.run import Run

__all__ = ["CmdpLp"]


@dataclass(repr=False)
class CmdpLp(Solver):
    """Occupation measures with one more row; its dual is the price of risk.

    The policy is randomised, in one state where the limit binds, and optimal for the law that the problem starts from.
    ``result.meta`` has the ``price`` (what one more unit of time at risk would add to the objective), the discounted
    ``time`` at risk and the states that are ``randomised``. The bound is that of the problem with the limit. Of a
    partially observed problem it solves the one whose state is seen.

    Parameters
    ----------
    limit : float
        Most discounted time, ``E sum discount**t [s_t at risk]``, from the problem's start on; infinity for no limit.
    states : sequence or callable, optional
        States of risk: their numbers, their names, a mask (S,), or a function of the problem that gives one of these;
        ``problem.risk_states()`` by default.
    backend, solver, solver_options
        As in `MdpLp`.
    """

    limit: float = np.inf
    states: Any = None
    backend: str = "highspy"
    solver: str = "highs"
    solver_options: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "cmdp-lp"
    clairvoyant: ClassVar[bool] = False

    def supports(self, problem: Any) -> Support:
        """Tables of a size that can be written down, and states of risk."""
        support = lp_support(problem, "cmdp", self.backend, {"cmdp": "cmdp"})
        if not support:
            return support
        try:
            self._at_risk(problem)
        except DataError as reason:
            return Support(False, str(reason))
        return support

    def _at_risk(self, problem: Any) -> Any:
        return risky(problem, self.states(problem) if callable(self.states) else self.states)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        mask = self._at_risk(problem)
        with run.clock("build"):
            program: Any = built(problem, self.backend, "cmdp", limit=self.limit, states=mask)
        outcome = program.solve(solver=self.solver, options=dict(self.solver_options), run=run)
        outcome.meta |= {"backend": self.backend, "solver": self.solver, "limit": self.limit}
        if outcome.status == "infeasible":
            outcome.message = f"no policy stays within {self.limit:g} of discounted time at risk: give a larger limit"
        if outcome.solution is None:
            return outcome
        law, worth = carried_out(problem, outcome.solution)
        table = problem.tabular()
        spent = float(table.initial @ policy_value(_counting(table, mask), law))
        outcome.meta |= {"price": program.price, "time": spent, "randomised": _randomised(law)}
        bound = worth if outcome.bound is None else signed_back(problem, outcome.bound)
        ended = conclude(
            problem, law, worth, bound, name=self.name, stop=outcome.stop, optimal=outcome.status == "optimal",
            meta=outcome.meta,
        )  # fmt: skip
        if np.isfinite(self.limit):
            said = f"at most {self.limit:g} of discounted time at risk"
            ended.bound_of = f"{ended.bound_of or 'the problem'} with {said}"
            ended.message = "; ".join(text for text in (ended.message, f"optimal under the limit: {said}") if text)
        return ended


def _counting(table: Any, mask: Any) -> Any:
    """The same tables, where a step is worth 1 in the states of risk."""
    from dataclasses import replace

    return replace(table, reward=np.where(mask[:, None], 1.0, 0.0) * np.ones_like(table.reward))


def _randomised(law: Any) -> list[int]:
    """States (steps are not told apart) with two or more actions."""
    several = (law > 1e-9).sum(axis=-1) > 1
    return [int(s) for s in np.flatnonzero(several.any(axis=0) if several.ndim == 2 else several)]
