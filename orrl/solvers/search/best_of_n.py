"""Best of N drawn episodes under one known scenario: the simplest search, and a floor for every other."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.capabilities import HasKernel
from ...core.jit import compile_seconds
from ...core.playout import follow, playout
from ...core.program import Outcome
from ...core.rollout import Trajectory
from ...core.solver import PolicySolver, Solver
from ...core.types import Support

if TYPE_CHECKING:
    from ...core.policy import Policy
    from ...core.run import Run

__all__ = ["BestOfN"]


@dataclass(repr=False)
class BestOfN(Solver):
    """Keep the best of `n` episodes played at random, or by a policy that draws its actions.

    Parameters
    ----------
    n : int
        Episodes.
    batch : int
        Episodes played together; the limits are checked between batches.
    policy : Policy, optional
        A learnt law of actions (``policy.sampled()``). Its first episode takes the likeliest actions.
    temperature : float
        Of the policy's law: above 1 episodes differ more, which pays where only the best counts.
    """

    n: int = 1000
    batch: int = 100
    policy: Policy | None = None
    temperature: float = 1.0

    name = "best-of-n"
    kind = "heuristic"

    def __post_init__(self) -> None:
        if not 0.0 < self.temperature < np.inf:
            raise ValueError(f"temperature is {self.temperature}: give a number above 0")

    def supports(self, problem: Any) -> Support:
        """Any problem whose kernel has a fast playout or that the policy may play."""
        if self.policy is None and self.temperature != 1.0:
            return Support(False, "random episodes have no temperature: give policy=, or leave temperature= out")
        if self.policy is not None:
            if self.temperature != 1.0 and "temperature" not in signature(self.policy.sampled).parameters:
                return Support(False, f"the law of {self.policy.name!r} has no temperature: leave temperature= out")
            return PolicySolver(self.policy).supports(problem)
        support = problem.supports(HasKernel)
        if support and not hasattr(type(problem).kernel([problem]), "playout"):
            return Support(False, f"the kernel of {type(problem).__name__} has no fast playout")
        return support

    def _solve(self, problem: Any, run: Run) -> Outcome:
        scenario = problem.scenario(0) if run.scenario is None else run.scenario
        policy = self.policy
        heat = {} if self.temperature == 1.0 else {"temperature": self.temperature}
        kernel = type(problem).kernel([problem], **({} if policy is None else policy.kernel_options))
        sign = problem.objective.sign
        best, final, played, spent = problem.objective.worst, None, 0, compile_seconds()
        while played < self.n and not (run.over and final is not None):
            size, seed = min(self.batch, self.n - played), run.seed * 1_000_003 + played
            if policy is not None and not played:
                size = 1
            state = kernel.reset([scenario] * size)
            if policy is None:
                reward = playout(kernel, state, seed=seed)
            else:
                law = policy.sampled(**heat) if played else policy
                law.reset(problem, batch=size, seed=seed)
                reward = follow(kernel, state, [0] * size, law, discount=problem.objective.discount)
            values = problem.accrued + sign * reward
            values[kernel.failed(state)] = problem.objective.worst
            row = int(np.argmax(sign * values))
            played += size
            if problem.objective.better(float(values[row]), best):
                best, final = float(values[row]), kernel.snapshot(state, row)
                run.incumbent(best)
            elif run.over:
                break
        run.clocks["compile"] = compile_seconds() - spent
        stop = "iterations" if played >= self.n else run.why
        meta = {"episodes": played}
        if final is None:
            return Outcome("no_solution", stop, message="every episode ended in a deadlock", meta=meta)
        episode = Trajectory(problem, scenario, np.zeros(0, np.int64), np.zeros(0), final, False)
        return Outcome("feasible", stop, problem.solution(episode), best, meta=meta)
