"""Rolling CP-SAT: re-optimise from the running state at each surprise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.horizon import RollingHorizon
from ...core.solver import PolicySolver
from ..exact.cp_sat import CpSat

if TYPE_CHECKING:
    from ...core.program import Outcome
    from ...core.run import Run
    from ...core.types import Support

__all__ = ["RollingCpSat"]


class RollingCpSat(PolicySolver):
    """`RollingHorizon` over CP-SAT: what has started is frozen, the rest is solved again at each outage.

    Parameters
    ----------
    resolve_limit : float
        Wall seconds per solve.
    commit : int, optional
        Decisions after which to plan again anyway.
    fallback : str, optional
        Rule that decides when a solve fails or comes late.
    form : str, optional
        Formulation.
    """

    name = "rolling-cp-sat"
    kind = "heuristic"

    def __init__(
        self,
        resolve_limit: float = 1.0,
        commit: int | None = None,
        fallback: str | None = None,
        form: str | None = None,
        scenarios: int = 20,
        scenario_seed: int = 0,
    ) -> None:
        self.rolling = RollingHorizon(CpSat(form=form), time_limit=resolve_limit, commit=commit, fallback=fallback)
        super().__init__(self.rolling, scenarios=scenarios, scenario_seed=scenario_seed, kind="heuristic")

    def options(self) -> dict[str, Any]:
        """Limits of the re-solves beside the scenario stream."""
        own = {
            "resolve_limit": self.rolling.time_limit,
            "commit": self.rolling.commit,
            "fallback": self.rolling.fallback,
        }
        return {**own, **super().options()}

    def supports(self, problem: Any) -> Support:
        """A kernel to play in and a CP-SAT program to plan with."""
        support = super().supports(problem)
        return support if not support else self.rolling.usable(problem)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        self.rolling.threads = run.threads
        outcome = super()._solve(problem, run)
        outcome.meta["rolling"] = self.rolling.log.to_dict()
        return outcome
