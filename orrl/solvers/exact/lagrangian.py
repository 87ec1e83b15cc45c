"""`lagrangian`: bounds by pricing what couples the agents, plans by repairing what they do under the prices.

Each agent alone is a longest path, so the best bound is the linear relaxation's (Geoffrion 1974), found by projected
subgradients with Polyak's step

    prices <- prices - factor * (L - incumbent) / |g|^2 * g,

the factor cut after a number of steps without a better bound (Held, Wolfe & Crowder 1974). Then nodes are fixed by
reduced cost: an agent that visits node (t, g) lowers L to ``L - longest + longest through (t, g)``; where that does not
beat the incumbent, the node is dropped for this agent. What is left is often small enough for dynamic programming over
joint positions, which ends with a proof, else for the exact program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.errors import OrrlError
from ...core.jit import compile_seconds
from ...core.paths import AgentPaths
from ...core.program import Outcome
from ...core.solver import Solver
from ..search.best_response import Replanning, team_support
from ..search.pair_dp import improve_pairs

if TYPE_CHECKING:
    from ...core.agents import AgentRelaxation
    from ...core.run import Run
    from ...core.types import Support

__all__ = ["Lagrangian"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
FEW = 1e6  # joint positions that dynamic programming does in no time
EPS = 1e-6  # rounding error of a bound that is rounded down to a whole number


@dataclass(repr=False)
class Lagrangian(Solver):
    """Lagrangian decomposition with primal repair, fixing and, where the problem has one, a restricted program.

    Parameters
    ----------
    iterations : int
        Subgradient steps at most.
    factor : float
        First step factor, in (0, 2).
    patience : int
        Steps without a better bound after which the factor is multiplied by `shrink`.
    shrink : float
        In (0, 1).
    every : int
        Steps between two repairs of what the agents do under the prices.
    memory : float
        Share of the last direction in the next one, in [0, 1): the steps zigzag less.
    pairs : bool
        Improve the incumbent by `pair-dp` before fixing.
    states : float
        Joint positions over all slots up to which the rest is solved by dynamic programming.
    program : bool
        Solve the restricted program where there are more.
    """

    iterations: int = 5000
    factor: float = 1.0
    patience: int = 12
    shrink: float = 0.7
    every: int = 100
    memory: float = 0.7
    pairs: bool = True
    states: float = 1e9
    program: bool = True

    name: ClassVar[str] = "lagrangian"
    kind = "exact"

    def __post_init__(self) -> None:
        if min(self.iterations, self.patience, self.every) < 1:
            raise ValueError("iterations, patience and every: give at least 1")
        if not (0.0 < self.factor < 2.0 and 0.0 < self.shrink < 1.0):
            raise ValueError(f"factor {self.factor} and shrink {self.shrink}: give them in (0, 2) and (0, 1)")

    def supports(self, problem: Any) -> Support:
        """Any team of agents on one graph."""
        return team_support(problem)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        spent = compile_seconds()
        search, relaxation = Replanning(problem, run), problem.relaxation()
        if not search.paths.possible:
            return Outcome("infeasible", "finished", message="an agent cannot reach its end")
        plan = search.given()
        if plan is None:
            plan = search.start()
        if plan is not None:
            search.offer(plan, search.worth(plan))
        dual = _Dual(search, relaxation)
        dual.visit(relaxation.start())
        steps = self._descend(dual)
        if self.pairs and search.best is not None and not (run.over or dual.closed):
            improve_pairs(search, search.best)
        own, losses = dual.keep()
        keep = np.asarray(own.any(axis=0))
        meta = {"steps": steps, "dual": dual.value, "kept": int(keep.sum()), "nodes": int(dual.reach.any(axis=0).sum())}
        outcome = None
        if (
            not (run.over or dual.closed or dual.relaxation.of)
            and not self._together(dual, own, losses, meta)
            and self.program
        ):
            outcome = self._restricted(dual, keep, meta)
        run.clocks["compile"] = run.clocks.get("compile", 0.0) + compile_seconds() - spent
        return outcome or self._answer(dual, meta)

    def _descend(self, dual: _Dual) -> int:
        """Subgradient steps; returns how many."""
        search, run = dual.search, dual.search.run
        factor, idle, prices, heavy = self.factor, 0, dual.prices, np.zeros_like(dual.prices)
        for step in range(1, self.iterations + 1):
            target = search.value if search.best is not None else 0.9 * dual.value
            slope = dual.slope(prices) + self.memory * heavy
            heavy = slope
            norm = float(slope @ slope)
            if norm <= 0.0 or factor < 1e-3:
                return step - 1
            # a floor keeps the step from vanishing where the incumbent meets the dual value but not yet its floor
            gap = max(dual.last - target, 1e-3 * max(1.0, abs(target)))
            prices = np.clip(prices - factor * gap / norm * slope, dual.relaxation.lower, dual.relaxation.upper)
            before = dual.value
            dual.visit(prices)
            idle = 0 if dual.value < before - 1e-4 * max(1.0, before - target) else idle + 1
            if idle >= self.patience:
                factor, idle = factor * self.shrink, 0
                prices = dual.prices
                dual.visit(prices)
            if step % self.every == 0:
                plan = search.repair(dual.plan)
                if plan is not None:
                    search.improve(plan)
                left = dual.keep()[0].sum(axis=2, dtype=np.float64)
                dual.few = bool(left.prod(axis=0).sum() <= FEW)
            if run.over or dual.closed or dual.few:
                return step
        return self.iterations

    def _together(self, dual: _Dual, own: npt.NDArray[np.bool_], losses: FloatArray, meta: dict[str, Any]) -> bool:
        """Joint dynamic program over the nodes that each agent has kept; whether it could be done."""
        search, run = dual.search, dual.search.run
        if search.best is None:
            return False
        paths = AgentPaths(search.graph, own)
        agents = range(search.graph.agents)
        states = paths.states(agents)
        meta["states"] = float(sum(states))
        if min(states) > 0:
            if sum(states) > self.states:
                return False

            def table(slot: int) -> npt.NDArray[Any]:
                nodes = [paths.nodes[u][slot] for u in agents]
                lost = [losses[u, slot, own] for u, own in enumerate(nodes)]
                return np.asarray(search.problem.joint_reward(slot, nodes, lost))

            found = paths.together(agents, table, threads=run.threads, over=lambda: run.over)
            if found is None:
                return True
            if found[0] > search.value:
                search.offer(found[1], found[0])
        dual.prove(search.objective())  # no plan outside the kept nodes beats the incumbent
        return True

    def _restricted(self, dual: _Dual, keep: npt.NDArray[np.bool_], meta: dict[str, Any]) -> Outcome | None:
        """Solve what fixing has left; the incumbent is always a part of it, so its bound bounds the problem."""
        search, run = dual.search, dual.search.run
        if search.best is None or dual.relaxation.of:
            return None
        program = dual.relaxation.restricted(keep)
        if program is None or run.over:
            return None
        incumbent = search.problem.from_paths(search.best)
        try:
            program.encode(incumbent)
        except OrrlError as error:
            return Outcome("error", "failure", message=f"the restricted program refuses the incumbent: {error}")
        found = program.solve(run=run)
        meta["restricted"] = found.status
        if found.status == "optimal" or (found.objective is not None and found.objective > search.objective()):
            plan = np.array(search.problem.to_paths(found.solution), np.int64)
            search.offer(plan, search.worth(plan))
        if found.status == "optimal":
            dual.prove(search.objective())
        elif found.bound is not None:
            dual.prove(max(found.bound, search.objective()))
        return None

    def _answer(self, dual: _Dual, meta: dict[str, Any]) -> Outcome:
        search, run = dual.search, dual.search.run
        stop = "optimal" if dual.closed else run.why if run.over else "converged"
        outcome = search.outcome(stop, **meta)
        outcome.bound, outcome.bound_of = dual.bound, dual.relaxation.of
        if dual.closed:
            outcome.status = "optimal"
        return outcome


class _Dual:
    """The dual function at the prices visited, and the best of them.

    Attributes
    ----------
    value, prices : float, (M,)
        Least dual value, of paths from the present slot on, and its prices.
    last, plan : float, (T, U)
        Dual value and longest paths at the prices visited last.
    bound : float or None
        Bound on the objective.
    """

    def __init__(self, search: Replanning, relaxation: AgentRelaxation) -> None:
        self.search, self.relaxation = search, relaxation
        self.reach = search.graph.reachable()
        self.value, self.last = np.inf, np.inf
        self.prices = relaxation.start()
        self.bound: float | None = None
        self.few = False  # whether fixing has left little enough
        self.plan: IntArray = np.empty((0, 0), np.int64)
        self.visits = np.zeros((search.graph.slots, search.graph.nodes))

    @property
    def closed(self) -> bool:
        """Whether the incumbent meets the bound, or the gap that was asked for."""
        if self.search.best is None or self.bound is None or self.relaxation.of:
            return False
        return self.bound - self.search.objective() <= EPS

    def visit(self, prices: FloatArray) -> None:
        """Evaluate the dual function."""
        reward, constant = self.relaxation.reward(prices)
        values, self.plan = self.search.paths.each(reward)
        self.last = constant + float(values.sum())
        if self.last < self.value:
            self.value, self.prices = self.last, prices.copy()
            behind = self.search.behind()
            if behind is not None:
                self.prove(behind + self.rounded)

    @property
    def rounded(self) -> float:
        """The least dual value, rounded down where the objective is whole."""
        return float(np.floor(self.value + EPS)) if self.relaxation.integral else self.value

    def prove(self, bound: float) -> None:
        """Keep and report a bound on the objective."""
        if self.bound is None or bound < self.bound:
            self.bound = bound
            if not self.relaxation.of:
                self.search.run.bound(bound)

    def slope(self, prices: FloatArray) -> FloatArray:
        """Subgradient at the prices visited last, without what would only leave the box."""
        self.visits[:] = 0.0
        np.add.at(self.visits, (np.arange(len(self.plan))[:, None], self.plan), 1.0)
        slope = self.relaxation.subgradient(prices, self.visits)
        stuck = ((prices <= self.relaxation.lower) & (slope > 0)) | ((prices >= self.relaxation.upper) & (slope < 0))
        slope[stuck] = 0.0
        return slope

    def keep(self) -> tuple[npt.NDArray[np.bool_], FloatArray]:
        """Nodes (U, T, G) where each agent may be in a plan better than the incumbent, and those of the incumbent.

        Returns also what an agent loses by visiting each node, as a share of what all may lose together.
        """
        if self.search.best is None:
            return self.reach, np.zeros(self.reach.shape)
        reward, constant = self.relaxation.reward(self.prices)
        values, _ = self.search.paths.each(reward)
        least = self.search.value + (1.0 - EPS if self.relaxation.integral else EPS)
        spare = max(constant + float(values.sum()) - least, EPS)
        losses = (values[:, None, None] - self.search.paths.through(reward)) / spare
        keep = self.reach & (losses <= 1.0)
        for u, path in enumerate(self.search.best.T):
            keep[u, np.arange(len(path)), path] = True
        return keep, np.maximum(losses, 0.0)
