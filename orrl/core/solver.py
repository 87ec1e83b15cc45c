"""`Solver`: exact, heuristic and trained methods alike; and the one way in which an answer becomes a `Result`."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .budget import Deadline
from .errors import NotSupportedError
from .jit import compile_seconds
from .program import Outcome
from .result import Bound, Result, Times
from .rollout import estimate, rollout
from .run import Run
from .seeds import spawn_seeds
from .types import Evaluation, Support

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .callbacks import Callback
    from .policy import Policy

__all__ = ["PolicySolver", "Solver"]


class Solver(ABC):
    """Anything that turns a problem into a `Result`. A subclass is a dataclass of its options with `_solve`.

    Attributes
    ----------
    name : str
        Name in the registry.
    kind : {"exact", "heuristic", "rule", "learned"}
        For tables.
    clairvoyant : bool
        True where the answer to a stochastic problem needs its scenario known in advance.
    """

    name: ClassVar[str]
    kind: str = "exact"
    clairvoyant: ClassVar[bool] = True

    @abstractmethod
    def supports(self, problem: Any) -> Support:
        """Yes, or no with the reason."""

    @abstractmethod
    def _solve(self, problem: Any, run: Run) -> Outcome:
        """Find an answer within ``run``'s limits."""

    def solve(
        self,
        problem: Any,
        *,
        time_limit: float | None = None,
        threads: int | None = None,
        seed: int = 0,
        gap: float = 0.0,
        warm_start: Any = None,
        scenario: Any = None,
        callbacks: Sequence[Callback] = (),
        log: Any = None,
    ) -> Result:
        """Solve; see `Run` for the arguments, which mean the same for every solver.

        A limit that is hit still returns the incumbent and the bound. On a stochastic problem a clairvoyant method
        needs ``scenario=``; its value is then the optimum of that scenario, not of any policy.

        Raises
        ------
        NotSupportedError
            With the reason, before any work is done.
        """
        self._check_scenario(problem, scenario)
        support = self.supports(problem)
        if not support:
            raise NotSupportedError(f"{self.name} cannot solve {problem.name}: {support.reason}")
        if isinstance(warm_start, Result):
            warm_start = warm_start.solution
        run = Run(
            problem.objective.sense,
            time_limit=time_limit,
            threads=threads,
            seed=seed,
            gap=gap,
            warm_start=warm_start,
            scenario=scenario,
            callbacks=callbacks,
            log=log,
        )
        cpu = time.process_time()
        run.tell("start")
        outcome = self._solve(problem, run)
        result = self._judge(problem, run, outcome, cpu)
        run.tell("end")
        return result

    def _check_scenario(self, problem: Any, scenario: Any) -> None:
        if self.clairvoyant and scenario is None and problem.is_stochastic:
            raise NotSupportedError(
                f"{self.name} needs to know the noise of {problem.name}: give scenario=problem.scenario(seed) for the "
                "clairvoyant optimum, or use a policy (a rule, a rollout, rolling-cp-sat)"
            )

    def _judge(self, problem: Any, run: Run, outcome: Outcome, cpu: float) -> Result:
        """Give the solution to the referee; a method that disagrees with it has status "error"."""
        status: Any = outcome.status
        message = outcome.message
        verdict: Evaluation | None = None
        if outcome.solution is not None:
            verdict = problem.evaluate(outcome.solution, run.scenario)
            claimed = outcome.objective
            if not verdict.feasible:
                status, message = "error", "the referee refuses the solution: " + "; ".join(verdict.violations[:3])
            elif claimed is not None and not math.isclose(claimed, verdict.objective, rel_tol=1e-6, abs_tol=1e-6):
                status, message = "error", f"{self.name} says {claimed:g}, the referee {verdict.objective:g}"
        bound = None
        if outcome.bound is not None and math.isfinite(outcome.bound):
            of = outcome.bound_of
            bound = Bound(outcome.bound, "relaxation" if of else "proven", of or "the problem")
        total = run.deadline.elapsed
        clocks = run.clocks
        used = sum(clocks.get(name, 0.0) for name in ("compile", "build", "train"))
        return Result(
            problem=problem.name,
            problem_hash=problem.content_hash,
            method=self.name,
            sense=problem.objective.sense,
            status=status,
            stop=outcome.stop,  # type: ignore[arg-type]
            objective=_value(outcome, verdict),
            bound=bound,
            evaluation=verdict,
            solution=outcome.solution,
            policy=outcome.policy,
            times=Times(
                compile=clocks.get("compile", 0.0),
                build=clocks.get("build", 0.0),
                train=clocks.get("train", 0.0),
                solve=max(0.0, total - used),
                total=total,
                cpu=time.process_time() - cpu,
            ),
            trace=run.trace,
            message=message,
            meta={"threads": run.threads, "seed": run.seed, "options": self.options(), **outcome.meta},
        )

    def options(self) -> dict[str, Any]:
        """Options of the method, for tables and stores."""
        if not is_dataclass(self):
            return {}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def __repr__(self) -> str:
        inner = ", ".join(f"{k}={v!r}" for k, v in self.options().items())
        return f"{type(self).__name__}({inner})"


def _value(outcome: Outcome, verdict: Evaluation | None) -> float | None:
    """The referee's value of a plan; of a policy without a plan, the value that its method certifies."""
    if verdict is not None:
        return verdict.objective
    return outcome.objective if outcome.policy is not None else None


class PolicySolver(Solver):
    """A policy as a solver: one episode where the noise is known or absent, else the simulated mean.

    Parameters
    ----------
    policy : Policy
        What decides.
    scenarios : int
        Episodes behind an estimate.
    scenario_seed : int
        Seed of the world; the policy's own seed is ``seed=`` of `solve`.
    """

    name = "policy"
    kind = "rule"
    clairvoyant = False

    def __init__(self, policy: Policy, *, scenarios: int = 100, scenario_seed: int = 0, kind: str = "rule") -> None:
        self.policy, self.scenarios, self.scenario_seed, self.kind = policy, scenarios, scenario_seed, kind
        self.name = policy.name  # type: ignore[misc]

    def options(self) -> dict[str, Any]:
        """The policy's name and the scenario stream."""
        return {"policy": self.policy.name, "scenarios": self.scenarios, "scenario_seed": self.scenario_seed}

    def supports(self, problem: Any) -> Support:
        """Any problem with a kernel; an instance policy only its own problem."""
        from .capabilities import HasKernel

        support = problem.supports(HasKernel)
        if support and self.policy.scope == "instance" and problem.content_hash not in self.policy.seen:
            return Support(False, f"policy {self.policy.name!r} was trained for another content hash")
        return support

    def _solve(self, problem: Any, run: Run) -> Outcome:
        single = run.scenario is not None or not problem.is_stochastic
        if single:
            world = [problem.scenario(0) if run.scenario is None else run.scenario]
        else:
            world = [problem.scenario(s) for s in spawn_seeds(self.scenario_seed, self.scenarios, "scenario")]
        self.policy.deadline = run.deadline
        spent = compile_seconds()
        # a policy that plans ahead decides at once when time is up, so only a slow one is cut off, after a grace
        cut = None if run.deadline.limit is None else Deadline(1.04 * run.deadline.limit + 0.8)
        episodes = rollout(problem, self.policy, world, seed=run.seed, deadline=cut)
        run.clocks["compile"] = compile_seconds() - spent
        self.policy.deadline = None
        late = cut is not None and cut.passed
        if single:
            episode = episodes[0]
            if episode.failed:
                return Outcome("no_solution", "time" if late else "failure", message=_why(late), policy=self.policy)
            run.incumbent(episode.value, lambda: problem.solution(episode))
            return Outcome("feasible", "finished", problem.solution(episode), episode.value, policy=self.policy)
        failures = sum(e.failed for e in episodes)
        if failures:
            text = f"{failures} of {len(episodes)} episodes ended without a solution: {_why(late)}"
            return Outcome("no_solution", "time" if late else "failure", message=text, policy=self.policy)
        return Outcome("feasible", "finished", policy=self.policy, meta={"episodes": episodes})

    def _judge(self, problem: Any, run: Run, outcome: Outcome, cpu: float) -> Result:
        episodes = outcome.meta.pop("episodes", None)
        result = super()._judge(problem, run, outcome, cpu)
        if episodes is None:
            return result
        verdicts = [problem.evaluate(problem.solution(e), e.scenario) for e in episodes]
        broken = tuple(v for verdict in verdicts for v in verdict.violations)[:10]
        mean, interval = estimate(np.array([v.objective for v in verdicts]))
        evaluation = Evaluation(mean, not broken, broken, n=len(verdicts), interval=interval)
        status: Any = "error" if broken else "estimated"
        return result.with_(objective=mean, evaluation=evaluation, status=status)


def _why(late: bool) -> str:
    return "the time limit came first" if late else "the policy ran into a dead end (a deadlock)"
