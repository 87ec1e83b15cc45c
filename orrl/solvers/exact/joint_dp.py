"""`joint-dp`: the optimum of a few agents by dynamic programming over their joint positions, whatever couples them.

See `orrl.core.paths` for the recursion. Time and memory grow with G^U, so this is for up to three agents, four on a
small graph; there it needs no bound, no big-M and no branching.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...core.jit import compile_seconds
from ...core.paths import AgentPaths
from ...core.program import Outcome
from ...core.solver import Solver
from ...core.types import Support
from ..search.best_response import Replanning, team_support

if TYPE_CHECKING:
    from ...core.run import Run

__all__ = ["JointDp"]

GIB = 2.0**30
BYTES = 2  # of an entry, as long as sums stay below 32768; then 4


@dataclass(repr=False)
class JointDp(Solver):
    """Exact dynamic programming over joint positions.

    Parameters
    ----------
    memory : float
        GiB that the tables may take: one of G^U entries of 2 bytes for each thread, and one of the reachable joint
        positions for each slot. Larger problems are refused.

    Notes
    -----
    A time limit that comes first leaves no plan (but a warm start is kept), and the bound of the problem's relaxation
    at its first prices, which costs next to nothing.
    """

    memory: float = 4.0

    name: ClassVar[str] = "joint-dp"
    kind = "exact"

    def __post_init__(self) -> None:
        if not self.memory > 0:
            raise ValueError(f"memory is {self.memory}: give positive GiB")

    def supports(self, problem: Any) -> Support:
        """A team whose tables fit into the memory that is allowed."""
        support = team_support(problem)
        if not support:
            return support
        graph = problem.agent_graph()
        whole = float(graph.nodes) ** graph.agents * BYTES / GIB
        if whole <= self.memory:  # else the exact count is not worth its time
            whole = self._need(AgentPaths(graph), 1)
        if whole > self.memory:
            text = (
                f"{graph.nodes} nodes and {graph.agents} agents over {graph.slots} slots need {whole:.3g} GiB, allowed "
                f"are {self.memory:g}: raise memory=, or use lagrangian (a bound) or pair-dp (a plan)"
            )
            return Support(False, text)
        return support

    @staticmethod
    def _need(paths: AgentPaths, threads: int) -> float:
        """GiB of the tables."""
        graph, agents = paths.graph, range(paths.graph.agents)
        sizes = paths.states(agents)
        return BYTES * (sum(sizes) + 2 * max(sizes) + threads * float(graph.nodes) ** graph.agents) / GIB

    def _solve(self, problem: Any, run: Run) -> Outcome:
        spent = compile_seconds()
        search = Replanning(problem, run)
        if not search.paths.possible:
            return Outcome("infeasible", "finished", message="an agent cannot reach its end")
        search.given()
        threads = run.threads
        while threads > 1 and self._need(search.paths, threads) > self.memory:
            threads -= 1
        meta = {"memory_gib": self._need(search.paths, threads), "states": sum(search.paths.states(_all(search)))}
        bound = self._bound(problem, search)
        found = search.paths.together(_all(search), problem.joint_reward, threads=threads, over=lambda: run.over)
        run.clocks["compile"] = compile_seconds() - spent
        if found is None:
            outcome = search.outcome(run.why, **meta)
            outcome.bound = bound
            return outcome
        value, plan = found
        if value < 0:
            return Outcome("infeasible", "finished", message="the agents are always in each other's way", meta=meta)
        search.offer(plan, value)
        run.bound(search.objective())
        best = search.objective()
        return Outcome("optimal", "optimal", problem.from_paths(search.best), best, bound=best, meta=meta)

    @staticmethod
    def _bound(problem: Any, search: Replanning) -> float | None:
        """Bound of the relaxation at its first prices, for a run that is cut off."""
        relaxation = problem.relaxation()
        reward, constant = relaxation.reward(relaxation.start())
        value, behind = constant + float(search.paths.each(reward)[0].sum()), search.behind()
        if relaxation.of or behind is None or not np.isfinite(value):
            return None
        search.run.bound(value + behind)
        return value + behind


def _all(search: Replanning) -> range:
    return range(search.graph.agents)
