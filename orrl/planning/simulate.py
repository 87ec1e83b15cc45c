"""What a policy, or a plan carried out as it stands, is worth on shared scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core import Evaluation, NotSupportedError, PolicySolver, Result, Trajectory, estimate, rollout, spawn_seeds
from ..core.actions import Actions, blank
from ..core.policy import Policy
from ..methods import Method, resolve

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PlanPolicy", "Simulation", "simulate"]


@dataclass(frozen=True)
class Simulation:
    """Episodes of one method on one problem.

    Parameters
    ----------
    problem, method : str
        Names.
    seeds : tuple of int
        Scenario of each episode, as given to ``problem.scenario``; two simulations with one seed share them.
    objectives : (n,) float
        The referee's value of each episode; the worst possible value where it failed.
    evaluations : tuple of Evaluation or None
        The referee's verdicts, None where the episode failed.
    """

    problem: str
    method: str
    seeds: tuple[int, ...]
    objectives: npt.NDArray[np.float64]
    evaluations: tuple[Evaluation | None, ...]
    details: dict[str, Any]

    @property
    def mean(self) -> float:
        """Mean objective; infinite where an episode failed."""
        return float(np.mean(self.objectives))

    @property
    def interval(self) -> tuple[float, float] | None:
        """95% Student interval of the mean; None for one episode or where one failed."""
        return estimate(self.objectives)[1] if np.isfinite(self.objectives).all() else None

    @property
    def failures(self) -> int:
        """Episodes without a feasible solution."""
        return sum(e is None or not e.feasible for e in self.evaluations)

    def to_frame(self) -> pd.DataFrame:
        """One row per episode: scenario, objective, feasible and the problem's metrics."""
        import pandas as pd

        rows = [
            {
                "scenario": s,
                "objective": z,
                "feasible": e is not None and e.feasible,
                **({} if e is None else e.metrics),
            }
            for s, z, e in zip(self.seeds, self.objectives, self.evaluations, strict=True)
        ]
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        low, high = self.interval or (float("nan"), float("nan"))
        failed = f", {self.failures} failed" if self.failures else ""
        told = f"mean {self.mean:g} [{low:g}, {high:g}] over {len(self.seeds)} scenarios{failed}"
        return f"{self.problem} {self.method}: {told}"


class PlanPolicy(Policy):
    """Carry out a plan as it stands: its decisions in its order, whatever happens."""

    needs_observation = False

    def __init__(self, solution: Any, name: str, scenarios: list[Any]) -> None:
        self.solution, self.name, self._scenarios = solution, name, scenarios
        self._queues: list[list[Any]] = []

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Lay out the decisions of each row."""
        self._queues = [problem.actions(self.solution, world).tolist() for world in self._scenarios]

    def act(self, obs: Any, info: Any) -> Actions:
        """The next decision of each row."""
        chosen = blank(info["view"].kernel, len(self._queues))
        for b, queue in enumerate(self._queues):
            if queue:
                chosen[b] = queue.pop(0)
        return chosen


def simulate(
    problem: Any, policy_or_result: Method, *, scenarios: int = 100, seed: int = 0, policy_seed: int = 0, **options: Any
) -> Simulation:
    """Play a method on scenarios drawn from `seed`; every method meets the same ones.

    Parameters
    ----------
    problem : Problem
        With a kernel.
    policy_or_result : str, Policy, Solver or Result
        A policy decides as it goes. A Result with a plan (or a solver that makes one, under the nominal scenario) is
        carried out as it stands.
    scenarios : int
        Episodes; a problem without randomness is played once.
    seed : int
        Seed of the world.
    policy_seed : int
        Seed of the method.
    options : mapping
        The method's own options.

    Examples
    --------
    >>> import orrl
    >>> cut = orrl.Interruptions(p=0.2)
    >>> shop = orrl.JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 2], [2, 4]], interruptions=cut)
    >>> orrl.simulate(shop, "mwkr", scenarios=50, seed=7).mean > 7
    True
    """
    seeds = tuple(spawn_seeds(seed, scenarios if problem.is_stochastic else 1, "scenario"))
    world = [problem.scenario(s) for s in seeds]
    details: dict[str, Any] = {}
    plan = policy_or_result if isinstance(policy_or_result, Result) and policy_or_result.policy is None else None
    if plan is None:
        solver = resolve(policy_or_result, problem, **options)
        if isinstance(solver, PolicySolver):
            support = solver.supports(problem)
            if not support:
                raise NotSupportedError(f"{solver.name} cannot play {problem.name}: {support.reason}")
            policy: Policy = solver.policy
        else:
            plan = solver.solve(problem, scenario=problem.nominal(), seed=policy_seed).raise_for_status()
    if plan is not None:
        if plan.solution is None:
            raise NotSupportedError(f"the result of {plan.method} holds neither a policy nor a plan")
        policy = PlanPolicy(plan.solution, plan.method, world)
    episodes = rollout(problem, policy, world, seed=policy_seed)
    if hasattr(policy, "log"):
        details["rolling"] = policy.log.to_dict()
    verdicts = tuple(None if e.failed else _judge(problem, e) for e in episodes)
    worst = problem.objective.worst
    values = np.array([worst if v is None or not v.feasible else v.objective for v in verdicts])
    return Simulation(problem.name, policy.name, seeds, values, verdicts, details)


def _judge(problem: Any, episode: Trajectory) -> Evaluation:
    verdict: Evaluation = problem.evaluate(problem.solution(episode), episode.scenario)
    return verdict
