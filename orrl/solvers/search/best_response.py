"""`best-response`: plan one agent exactly while the others keep their paths, in turn, until nobody gains.

Each turn is a longest path, so the joint reward never falls and the search ends in a joint plan that no single agent
can improve (a Nash equilibrium of the team game). Several starts, since there are many of these.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.capabilities import HasAgentSubproblems
from ...core.errors import OrrlError, OrrlWarning
from ...core.jit import compile_seconds
from ...core.paths import AgentPaths
from ...core.program import Outcome
from ...core.seeds import stream
from ...core.solver import Solver
from ...core.types import Support

if TYPE_CHECKING:
    from ...core.run import Run

__all__ = ["BestResponse", "Replanning", "team_support"]

IntArray = npt.NDArray[np.int64]


def team_support(problem: Any) -> Support:
    """Whether a problem consists of agents on one graph, whose joint reward is maximised."""
    support: Support = problem.supports(HasAgentSubproblems)
    if support and problem.objective.sense != "max":
        return Support(False, "what agents earn together is maximised, but this objective is minimised")
    return support


class Replanning:
    """Joint plans of one problem under one run: making them, improving them, and telling of the best.

    Parameters
    ----------
    problem : HasAgentSubproblems
        The problem.
    run : Run
        Limits and trace.
    """

    def __init__(self, problem: Any, run: Run) -> None:
        self.problem, self.run = problem, run
        self.graph = problem.agent_graph()
        self.paths = AgentPaths(self.graph)
        self.rng = stream(run.seed, "replanning")
        self.best: IntArray | None = None
        self.value = -np.inf
        # the objective counts from the beginning, a path from the present slot on
        self._flown: float | None = 0.0 if problem.objective.stage == 0 else None

    # ---- values --------------------------------------------------------------------------------------------------
    def reward(self, plan: IntArray, agent: int) -> npt.NDArray[np.float64]:
        """What all earn with one agent on each node (T, G) and the others on a plan, -inf where it may not be."""
        table = np.asarray(self.problem.response(plan, [agent]), np.float64)
        return np.where(table < 0, -np.inf, table)

    def worth(self, plan: IntArray) -> float:
        """Joint reward of a plan (T, U), -inf where agents are in each other's way."""
        return float(self.reward(plan, 0)[np.arange(len(plan)), plan[:, 0]].sum())

    def flown(self, plan: IntArray, value: float) -> float:
        """Part of the objective that lies behind: the referee's objective of any plan less what the plan earns."""
        if self._flown is None:
            self._flown = self.problem.evaluate(self.problem.from_paths(plan)).objective - value
        return self._flown

    def behind(self) -> float | None:
        """The same before there is a best plan; None where no plan can be made."""
        if self._flown is None:
            plan = self.start() if self.best is None else self.best
            return None if plan is None else self.flown(plan, self.worth(plan))
        return self._flown

    def objective(self) -> float:
        """Objective of the best plan."""
        assert self.best is not None
        return self.value + self.flown(self.best, self.value)

    def offer(self, plan: IntArray, value: float) -> None:
        """Keep and report a plan that is better than the best."""
        if value > self.value:
            self.best, self.value = plan.copy(), value
            self.run.incumbent(self.objective(), lambda: self.problem.from_paths(self.best))

    def outcome(self, stop: str, **meta: Any) -> Outcome:
        """What the search has."""
        if self.best is None:
            text = "no joint plan without conflicts was found"
            return Outcome("no_solution", stop if stop in ("time", "user") else "failure", message=text, meta=meta)
        return Outcome("feasible", stop, self.problem.from_paths(self.best), self.objective(), meta=meta)

    # ---- starts --------------------------------------------------------------------------------------------------
    def given(self) -> IntArray | None:
        """The warm start where the referee accepts it."""
        solution = self.run.warm_start
        if solution is None:
            return None
        try:
            verdict = self.problem.evaluate(solution, self.run.scenario)
            plan = np.array(self.problem.to_paths(solution), np.int64) if verdict.feasible else None
            text = "; ".join(verdict.violations[:2])
        except OrrlError as error:
            plan, text = None, str(error)
        if plan is None:
            warnings.warn(f"the warm start is left out: {text}", OrrlWarning, stacklevel=6)
            return None
        self.offer(plan, self.worth(plan))
        return plan

    def start(self, *, scatter: bool = False, tries: int = 20) -> IntArray | None:
        """Plan one agent after the other in a random order, each around those before it.

        An agent that finds no way goes first at the next try. With `scatter` it follows random rewards instead of
        the joint one, so that starts differ. None where no try succeeds.
        """
        order = self.rng.permutation(self.graph.agents).tolist()
        for _ in range(tries):
            plan = np.full((self.graph.slots, self.graph.agents), -1, np.int64)
            for u in order:
                table = self.reward(plan, u)
                if scatter:
                    table = np.where(np.isfinite(table), self.rng.random(table.shape), -np.inf)
                value, path = self.paths.one(table, u)
                if not np.isfinite(value):
                    order.remove(u)
                    order.insert(0, u)
                    break
                plan[:, u] = path
            else:
                return plan
        return None

    def repair(self, plan: IntArray) -> IntArray | None:
        """Keep agents of a plan, in a random order, as long as they are in nobody's way; plan the others around."""
        new = np.full_like(plan, -1)
        late = []
        for u in self.rng.permutation(self.graph.agents).tolist():
            if np.isfinite(self.reward(new, u)[np.arange(len(plan)), plan[:, u]]).all():
                new[:, u] = plan[:, u]
            else:
                late.append(u)
        for u in late:
            value, path = self.paths.one(self.reward(new, u), u)
            if not np.isfinite(value):
                return None
            new[:, u] = path
        return new

    # ---- improvement ---------------------------------------------------------------------------------------------
    def improve(self, plan: IntArray) -> tuple[IntArray, float]:
        """Best responses in random orders until nobody gains; the plan has no conflicts, and is reported."""
        plan, value, idle = plan.copy(), self.worth(plan), 0
        self.offer(plan, value)
        while idle < self.graph.agents and not self.run.over:
            for u in self.rng.permutation(self.graph.agents).tolist():
                gained, path = self.paths.one(self.reward(plan, u), u)
                idle += 1
                if gained > value:
                    plan[:, u], value, idle = path, gained, 1
                    self.offer(plan, value)
                if idle >= self.graph.agents or self.run.over:
                    break
        return plan, value


@dataclass(repr=False)
class BestResponse(Solver):
    """Best responses from several starts.

    Parameters
    ----------
    restarts : int
        Starts; the warm start, where there is one, is the first.
    """

    restarts: int = 10

    name: ClassVar[str] = "best-response"
    kind = "heuristic"

    def __post_init__(self) -> None:
        if self.restarts < 1:
            raise ValueError(f"restarts is {self.restarts}: give at least 1")

    def supports(self, problem: Any) -> Support:
        """Any team of agents on one graph."""
        return team_support(problem)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        spent = compile_seconds()
        search = Replanning(problem, run)
        plan, rounds = search.given(), 0
        while rounds < self.restarts and not (run.over and search.best is not None):
            if plan is None:
                plan = search.start(scatter=rounds % 2 == 1)
            if plan is not None:
                plan = self._improve(search, plan)
            plan, rounds = None, rounds + 1
            if run.over or run.tell("iteration", round=rounds):
                break
        run.clocks["compile"] = compile_seconds() - spent
        return search.outcome(run.why if run.over else "iterations", rounds=rounds)

    def _improve(self, search: Replanning, plan: IntArray) -> IntArray:
        return search.improve(plan)[0]
