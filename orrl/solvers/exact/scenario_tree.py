"""`scenario-tree`: the whole deterministic equivalent, every opening of every stage, solved at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.capabilities import HasStages
from ...core.engines.extensive import open_extensive
from ...core.errors import NotSupportedError, OrrlError
from ...core.extensive import Extensive
from ...core.extensive_program import StagesInPyomo
from ...core.program import Outcome
from ...core.solver import Solver
from ...core.stage_tree import StageTree, count_vertices
from ...core.targets import TargetPolicy
from ...core.types import Support
from .wait_and_see import convex, worth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...core.run import Run

__all__ = ["ScenarioTree", "TreePolicy"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(repr=False)
class ScenarioTree(Solver):
    """The optimal policy of a small problem with stages, by one program over its scenario tree.

    The answer is the optimal expected cost with its proof, and a policy for the noise of the tree: the measure for any
    other method on a problem that is small enough.

    Parameters
    ----------
    max_vertices : int
        Refuse larger trees.
    backend : {"direct", "pyomo"}
        Hand the arrays to HiGHS (to Clarabel where there are cones), or make a Pyomo model.
    solver : str
        Of the Pyomo model: "highs", or any solver that Pyomo finds.
    solver_options : dict
        By the solver's own names.
    """

    max_vertices: int = 20_000
    backend: str = "direct"
    solver: str = "highs"
    solver_options: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "scenario-tree"
    kind = "exact"
    clairvoyant: ClassVar[bool] = False

    def supports(self, problem: Any) -> Support:
        """Convex stages and a tree that is small enough."""
        support: Support = problem.supports(HasStages)
        if not support:
            return support
        graph = problem.stages()
        try:
            count = count_vertices(graph)
        except NotSupportedError as reason:
            return Support(False, str(reason))
        if count > self.max_vertices:
            return Support(
                False,
                f"its scenario tree has {count:,} vertices, more than max_vertices={self.max_vertices:,}: shorten the "
                "horizon, use fewer openings, or use sddp",
            )
        return convex(problem, range(len(graph.nodes)))

    def _solve(self, problem: Any, run: Run) -> Outcome:
        if self.backend not in ("direct", "pyomo"):
            raise OrrlError(f"backend is {self.backend!r}: give 'direct' or 'pyomo'")
        if run.scenario is not None:
            raise NotSupportedError("scenario-tree is about the whole law: leave scenario out, or use wait-and-see")
        with run.clock("build"):
            graph = problem.stages()
            tree = StageTree.whole(graph, max_vertices=self.max_vertices)
            table = Extensive(tree, [problem.stage(i) for i in tree.node.tolist()], graph.initial_state)
        meta = {"vertices": len(tree), "columns": len(table.cost), "rows": len(table.row_lower)}
        cost, bound, values, outcome = self._direct(table, run) if self.backend == "direct" else self._pyomo(table, run)
        outcome.meta |= meta
        if values is None:
            return outcome
        outcome.objective = worth(problem, cost)
        outcome.policy = TreePolicy(problem, table, values)
        if bound is not None:
            outcome.bound = worth(problem, bound)
            run.bound(outcome.bound)
        run.incumbent(outcome.objective)
        return outcome

    def _direct(self, table: Extensive, run: Run) -> tuple[float, float | None, FloatArray | None, Outcome]:
        model = open_extensive(table, options=self.solver_options)
        answer = model.solve(time_limit=None if run.deadline.limit is None else run.deadline.remaining)
        if answer.status == "optimal":
            if not answer.exact:
                return answer.value, None, answer.columns, Outcome("feasible", "failure", message="reduced accuracy")
            return answer.value, answer.bound, answer.columns, Outcome("optimal", "optimal")
        if answer.status == "infeasible":
            rows = ", ".join(model.conflict()) or "not named"
            text = f"the tree has no solution; conflicting rows: {rows}"
            return 0.0, None, None, Outcome("infeasible", "finished", message=text)
        status: Any = "no_solution" if answer.status == "limit" else "error"
        stop = run.why if answer.status == "limit" else "failure"
        return 0.0, None, None, Outcome(status, stop, message=f"{table.engine}: {answer.status}")

    def _pyomo(self, table: Extensive, run: Run) -> tuple[float, float | None, FloatArray | None, Outcome]:
        from ...core.run import Run as Fresh

        program = TreePyomo(table, form="tree", name="scenario tree")
        limit = None if run.deadline.limit is None else max(run.deadline.remaining, 0.01)
        own = Fresh("min", time_limit=limit, threads=run.threads, seed=run.seed, log=run.log)
        outcome = program.solve(solver=self.solver, options=dict(self.solver_options), run=own)
        values, cost, bound = outcome.solution, outcome.objective, outcome.bound
        outcome.solution = outcome.objective = outcome.bound = None
        return (0.0 if cost is None else cost), bound, values, outcome


class TreePyomo(StagesInPyomo):
    """The tree as a Pyomo model; its solution are the columns."""

    def read(self, values: FloatArray) -> FloatArray:
        """All columns."""
        return values

    def write(self, solution: FloatArray) -> FloatArray:
        """All columns."""
        return solution


class TreePolicy(TargetPolicy):
    """Walks the scenario tree along the noise that is seen.

    Parameters
    ----------
    problem : Problem
        That the tree was made of; the policy refuses another.
    table : Extensive
        The program.
    values : (M,)
        Its optimum.
    """

    name = "scenario-tree"
    scope = "instance"

    def __init__(self, problem: Any, table: Extensive, values: FloatArray) -> None:
        tree = table.tree
        self.seen = frozenset({problem.content_hash})
        self._noise, self._node = tree.noise, tree.node
        self._wish = table.states(values)
        self._children: dict[int, list[int]] = {}
        for v, u in enumerate(tree.parent.tolist()):
            self._children.setdefault(u, []).append(v)
        self._at: IntArray = np.full(1, -1)

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Back before the first stage."""
        if hasattr(problem, "content_hash") and problem.content_hash not in self.seen:
            raise NotSupportedError("this tree was made of another problem: solve that one by scenario-tree")
        self._at = np.full(batch, -1)

    def targets(self, node: IntArray, state: FloatArray, noise: FloatArray) -> FloatArray:
        """States of the vertices that the noise leads to.

        Raises
        ------
        NotSupportedError
            Where noise is not in the tree.
        """
        for b in range(len(node)):
            ways = np.array(self._children.get(int(self._at[b]), []), np.int64)
            ways = ways[self._node[ways] == node[b]]
            apart = abs(self._noise[ways] - noise[b]).max(axis=1, initial=0.0)
            scale = 1e-9 * (1.0 + float(abs(noise[b]).max(initial=0.0)))
            if not len(ways) or apart.min() > scale:
                raise NotSupportedError(
                    f"the noise of row {b} at node {int(node[b])} is not in the scenario tree: its policy knows the "
                    f"{len(ways)} openings of this node only; for other noise use sddp"
                )
            self._at[b] = ways[apart.argmin()]
        return self._wish[self._at]
