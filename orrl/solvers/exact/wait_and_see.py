"""`wait-and-see`: each path solved with its noise known in advance; the mean bounds what any policy can reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.capabilities import HasProgram, HasScenarios, HasStages
from ...core.engines.extensive import open_extensive
from ...core.errors import OrrlError
from ...core.extensive import of_path
from ...core.program import Outcome
from ...core.result import Bound
from ...core.rollout import estimate
from ...core.seeds import spawn_seeds
from ...core.solver import Solver
from ...core.types import Support

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...core.result import Result
    from ...core.run import Run

__all__ = ["WaitAndSee", "convex_line"]

FloatArray = npt.NDArray[np.float64]
OF = "the expected cost under perfect information"


@dataclass(repr=False)
class WaitAndSee(Solver):
    """Perfect information: the expected optimum over paths that are known in advance.

    The mean over sampled paths is a bound of the expected optimum in the statistical sense (it is an estimate with an
    interval, in ``meta["mean"]`` and ``meta["interval"]``), the information relaxation of Brown, Smith and Sun
    (Operations Research 58(4), 2010) without a penalty. With ``scenario=`` one path is solved and its optimum proved.

    One persistent model serves all paths: linear stages are solved again warm, by right-hand sides alone.
    ``meta["path_costs"]`` has the cost of each stage of each path.

    Parameters
    ----------
    scenarios : int
        Paths that are drawn.
    scenario_seed : int
        Seed of the world.
    paths : sequence of Scenario, optional
        These paths instead, for a paired comparison.
    solver_options : dict
        Of HiGHS or Clarabel, by their own names.
    """

    scenarios: int = 100
    scenario_seed: int = 0
    paths: Sequence[Any] | None = field(default=None, repr=False)
    solver_options: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "wait-and-see"
    kind = "exact"
    clairvoyant: ClassVar[bool] = False

    def options(self) -> dict[str, Any]:
        """The paths are counted, not listed."""
        given = None if self.paths is None else len(self.paths)
        own = {"scenarios": self.scenarios, "scenario_seed": self.scenario_seed, "paths": given}
        return {**own, "solver_options": dict(self.solver_options)}

    def supports(self, problem: Any) -> Support:
        """Convex stages in a line."""
        return convex_line(problem)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        if run.scenario is not None:
            return self._one(problem, run)
        paths = self.paths
        if paths is None:
            count = self.scenarios if problem.is_stochastic else 1
            paths = [problem.scenario(s) for s in spawn_seeds(self.scenario_seed, count, "scenario")]
        noises = [problem.noise(path) for path in paths]
        if not noises:
            raise OrrlError("wait-and-see needs at least one path: give scenarios >= 1")
        with run.clock("build"):
            model = open_extensive(of_path(problem, noises[0]), options=self.solver_options)
        limit = run.deadline.limit
        values: list[float] = []
        bounds: list[float] = []
        costs: list[FloatArray] = []
        inexact = 0
        for k, noise in enumerate(noises):
            if run.over:
                break
            model.move(noise)
            answer = model.solve(time_limit=None if limit is None else run.deadline.remaining)
            if answer.status == "limit" and run.over:
                break
            if answer.status != "optimal":
                rows = ", ".join(model.conflict()) or "not named"
                status: Any = "infeasible" if answer.status == "infeasible" else "error"
                text = f"path {k} is {answer.status}; conflicting rows: {rows}"
                return Outcome(status, "finished" if status == "infeasible" else "failure", message=text)
            values.append(worth(problem, answer.value))
            bounds.append(worth(problem, answer.bound))
            inexact += not answer.exact
            costs.append(model.program.costs(answer.columns))
            run.tell("iteration", paths=len(values))
        stop = run.why if len(values) < len(noises) else "finished"
        if not values:
            return Outcome("no_solution", stop, message="the limit came before the first path was solved")
        mean, interval = estimate(np.array(values))
        meta: dict[str, Any] = {
            "paths": len(values), "mean": mean, "interval": interval, "values": values,
            "inexact": inexact, "path_costs": [cost.tolist() for cost in costs],
        }  # fmt: skip
        text = f"{len(values)} of {len(noises)} paths under perfect information"
        if inexact:
            text += f", {inexact} of them at reduced accuracy"
        return Outcome("no_solution", stop, bound=float(np.mean(bounds)), bound_of=OF, message=text, meta=meta)

    def _one(self, problem: Any, run: Run) -> Outcome:
        """One path that is given: by the problem's own program, which also knows the solution, where it has one."""
        forms = problem.forms() if problem.supports(HasProgram) else {}
        for backend in ("highspy", "cvxpy"):
            if forms.get(backend):
                with run.clock("build"):
                    program = problem.program(backend=backend, scenario=run.scenario)
                outcome: Outcome = program.solve(options=dict(self.solver_options), run=run)
                return outcome
        with run.clock("build"):
            model = open_extensive(of_path(problem, problem.noise(run.scenario)), options=self.solver_options)
        answer = model.solve(time_limit=None if run.deadline.limit is None else run.deadline.remaining)
        if answer.status != "optimal":
            status: Any = "infeasible" if answer.status == "infeasible" else "no_solution"
            stop = run.why if answer.status == "limit" else "finished" if status == "infeasible" else "failure"
            return Outcome(status, stop, message=", ".join(model.conflict()))
        value = worth(problem, answer.value)
        run.bound(value)
        return Outcome("no_solution", "finished", bound=value, bound_of="the cost of this path", meta={"mean": value})

    def _judge(self, problem: Any, run: Run, outcome: Outcome, cpu: float) -> Result:
        result = super()._judge(problem, run, outcome, cpu)
        if run.scenario is None and result.bound is not None:
            sampled = problem.is_stochastic
            return result.with_(bound=Bound(result.bound.value, "statistical" if sampled else "relaxation", OF))
        return result


def convex_line(problem: Any) -> Support:
    """Yes for a problem with stages in a line that are linear or conic, and with scenarios."""
    for capability in (HasStages, HasScenarios):
        support: Support = problem.supports(capability)
        if not support:
            return support
    graph = problem.stages()
    if not graph.linear:
        return Support(False, "its policy graph is not a line of stages")
    return convex(problem, range(len(graph.nodes)))


def convex(problem: Any, nodes: Any) -> Support:
    """No where a stage has smooth rows."""
    for node in nodes:
        if problem.stage(node).smooth is not None:
            return Support(
                False, f"stage {node} has smooth rows, so that only local optima can be found: use a convex variant"
            )
    return Support(True)


def worth(problem: Any, cost: float) -> float:
    """The problem's objective where the stages that are left cost `cost` (always minimised, discounted from now)."""
    goal = problem.objective
    past = float(getattr(problem, "accrued", 0.0))
    sign = 1.0 if goal.sense == "min" else -1.0
    return past + sign * problem.stages().discount ** goal.stage * float(cost)
