"""`rolling-deterministic`: model predictive control. Plan ahead as if all noise were its mean, take the first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.capabilities import HasStages
from ...core.engines.extensive import open_extensive
from ...core.errors import DataError, NotSupportedError, OrrlError
from ...core.extensive import Extensive
from ...core.solver import PolicySolver
from ...core.stage_tree import StageTree
from ...core.targets import TargetPolicy
from ...core.types import Support

if TYPE_CHECKING:
    from ...core.engines.extensive import ExtensiveSolver
    from ...core.extensive import ExtensiveSolution

    Hot = tuple[ExtensiveSolver, Any]

__all__ = ["PlanAhead", "RollingDeterministic"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
WINDOW = 52


class PlanAhead(TargetPolicy):
    """Sees the noise of its stage, plans the stages ahead for mean noise, and takes the plan's first state.

    A model of the window is built once for each run of stages that looks alike; a decision moves its right-hand sides
    only and begins from the basis of the plan for mean noise.

    Parameters
    ----------
    window : int, optional
        Stages of a plan, the present one included; all that are left with None (a policy graph without end needs one).
    plan : Problem or mapping, optional
        Plan in this problem instead, which has the same states and noise, such as a linear variant of one that is not
        convex; a mapping is passed to ``problem.with_``, such as ``{"network": "dc"}``.
    solver_options : mapping
        Of HiGHS or Clarabel, by their own names.
    """

    name = "rolling-deterministic"

    def __init__(
        self, *, window: int | None = WINDOW, plan: Any = None, solver_options: Mapping[str, Any] | None = None
    ) -> None:
        if window is not None and window < 1:
            raise DataError(f"window is {window}: give at least 1 stage, or None for all that are left")
        self.window, self.plan, self.solver_options = window, plan, dict(solver_options or {})
        self._of: Any = None

    def variant(self, problem: Any) -> Any:
        """The problem that is planned in."""
        if self.plan is None:
            return problem
        return problem.with_(**self.plan) if isinstance(self.plan, Mapping) else self.plan

    def usable(self, problem: Any) -> Support:
        """Whether this can plan: convex stages, one after the other."""
        model = self.variant(problem)
        support: Support = model.supports(HasStages)
        if not support:
            return support
        graph, nodes = model.stages(), problem.stages().nodes
        if any(len(node.children) > 1 for node in graph.nodes):
            return Support(False, "its policy graph branches (regimes): a plan for mean noise has no one next stage")
        if self.window is None and _after(graph, 0, len(graph.nodes) + 1)[-1] >= 0:
            return Support(False, "its stages have no end: give window=, the stages of a plan")
        for i in range(len(graph.nodes)):
            if model.stage(i).smooth is not None:
                text = f"stage {i} has smooth rows: give plan=, a convex variant such as {{'network': 'dc'}}"
                return Support(False, text)
        sizes = [(len(g.initial_state), g.nodes[0].openings.shape[1]) for g in (graph, problem.stages())]
        if sizes[0] != sizes[1] or len(graph.nodes) < len(nodes):
            return Support(False, f"plan has sizes {sizes[0]} and {len(graph.nodes)} stages, the problem {sizes[1]}")
        return Support(True)

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Look at the problem; models are kept for the next time if it is the same one."""
        if isinstance(problem, list | tuple):
            if len({p.content_hash for p in problem}) > 1:
                raise NotSupportedError("rolling-deterministic plans for one problem at a time, not for a mixed batch")
            problem = problem[0]
        if problem is self._of:
            return
        support = self.usable(problem)
        if not support:
            raise NotSupportedError(f"rolling-deterministic cannot plan {problem.name}: {support.reason}")
        self._of, self._problem = problem, self.variant(problem)
        self._graph = self._problem.stages()
        # the plan's problem may start earlier than the one that is played
        self._offset = problem.objective.stage - self._problem.objective.stage
        self._mean = [node.p @ node.openings for node in self._graph.nodes]
        self._models: dict[tuple[int, ...], ExtensiveSolver] = {}
        self._chains: dict[int, tuple[ExtensiveSolver, FloatArray]] = {}
        self._walk: list[Hot] = []
        self._walked = np.array(self._graph.initial_state, np.float64)

    def targets(self, node: IntArray, state: FloatArray, noise: FloatArray) -> FloatArray:
        """First states of the plans; rows that have ended, and all once time is up, stay where they are.

        Raises
        ------
        OrrlError
            Where a plan has no solution, with the conflicting rows.
        """
        wish = np.array(state, np.float64)
        for t in np.unique(node).tolist():
            i = t + self._offset
            if i >= len(self._mean):
                continue
            for b in np.flatnonzero(node == t).tolist():
                if np.isnan(noise[b]).any() or (self.deadline is not None and self.deadline.passed):
                    continue
                model, answer = self._plan(i, noise[b], state[b], self._begin(i))
                if answer.status != "optimal":
                    rows = ", ".join(model.conflict()) or "not named"
                    raise OrrlError(f"the plan at node {t} is {answer.status}; conflicting rows: {rows}")
                wish[b] = answer.columns[self._problem.stage(i).out]
        return wish

    def _begin(self, node: int) -> Hot:
        """The basis that every plan at a node begins from: that of a walk under mean noise.

        Plans often have several optima. If a plan began where the plan before it ended, the choice among them would
        depend on the other paths of the batch.
        """
        while len(self._walk) <= node:
            i = len(self._walk)
            model, answer = self._plan(i, self._mean[i], self._walked, self._walk[-1] if i else None)
            ended = answer.status == "optimal"
            if ended:
                self._walked = answer.columns[self._problem.stage(i).out]
            self._walk.append((model, model.basis() if ended else None))
        return self._walk[node]

    def _plan(
        self, node: int, noise: FloatArray, state: FloatArray, start: Hot | None
    ) -> tuple[ExtensiveSolver, ExtensiveSolution]:
        if node not in self._chains:
            chain = _after(self._graph, node, self.window or len(self._mean))
            chain = chain[chain >= 0]
            stages = [self._problem.stage(i) for i in chain.tolist()]
            alike = tuple(id(stage) for stage in stages)
            ahead = np.array([self._mean[i] for i in chain.tolist()])
            if alike not in self._models:
                tree = StageTree.path(ahead, discount=self._graph.discount, node=chain.tolist())
                self._models[alike] = open_extensive(Extensive(tree, stages, state), options=self.solver_options)
            self._chains[node] = (self._models[alike], ahead)
        model, ahead = self._chains[node]
        ahead[0] = noise
        model.move(ahead, state)
        model.start(start[1] if start is not None and start[0] is model else None)
        return model, model.solve()


def _after(graph: Any, start: int, length: int) -> IntArray:
    """Nodes (length,) from `start` on, -1 behind the end."""
    chain = np.full(length, -1, np.int64)
    i = start
    for k in range(length):
        chain[k] = i
        ways = [j for j, share in graph.nodes[i].children if share > 0]
        if not ways:
            break
        i = ways[0]
    return chain


class RollingDeterministic(PolicySolver):
    """`PlanAhead` as a solver: its simulated mean with an interval, or its value on one scenario.

    Parameters
    ----------
    window : int, optional
        Stages of a plan, 52 by default; None for all that are left.
    plan : Problem or mapping, optional
        Plan in this variant of the problem.
    scenarios, scenario_seed : int
        Episodes behind the mean, and the seed of the world.
    solver_options : mapping, optional
        Of HiGHS or Clarabel.
    """

    name = "rolling-deterministic"
    kind = "heuristic"

    def __init__(
        self,
        window: int | None = WINDOW,
        plan: Any = None,
        scenarios: int = 100,
        scenario_seed: int = 0,
        solver_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.planner = PlanAhead(window=window, plan=plan, solver_options=solver_options)
        super().__init__(self.planner, scenarios=scenarios, scenario_seed=scenario_seed, kind="heuristic")

    def options(self) -> dict[str, Any]:
        """Window and variant beside the scenario stream."""
        plan = self.planner.plan
        own = {
            "window": self.planner.window,
            "plan": plan if isinstance(plan, Mapping) else getattr(plan, "name", None),
        }
        return {**own, **super().options()}

    def supports(self, problem: Any) -> Support:
        """A kernel to play in, and stages to plan with."""
        support = super().supports(problem)
        return support if not support else self.planner.usable(problem)
