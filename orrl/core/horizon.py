"""Rolling horizon: commit the beginning of a plan, see what happens, plan again from the state reached."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .actions import Actions, accepted, blank, cast
from .capabilities import HasProgram, HasRules
from .errors import OrrlError
from .hashing import canonical_bytes
from .policy import Policy, View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .solver import Solver

__all__ = ["RollingHorizon", "RollingLog"]


@dataclass(slots=True)
class RollingLog:
    """What happened since the reset: solves, decisions, and how often and why the fallback decided."""

    decisions: int = 0
    solves: int = 0
    proved: int = 0
    late: int = 0
    failed: int = 0
    slowest: float = 0.0

    @property
    def fallbacks(self) -> int:
        """Decisions that the fallback rule made."""
        return self.late + self.failed

    def to_dict(self) -> dict[str, float]:
        """Plain JSON types."""
        names = ("decisions", "solves", "proved", "late", "failed", "slowest")
        return {**{n: getattr(self, n) for n in names}, "fallbacks": self.fallbacks}


@dataclass(slots=True)
class _Plan:
    """Decisions still to make, and a twin of the episode in which nothing unforeseen happens."""

    actions: list[Any]
    kernel: Any
    twin: Any
    solution: Any
    made: int = 0


@dataclass
class RollingHorizon(Policy):
    """Solve for the undisturbed future, follow the plan until reality departs from it, solve again from there.

    Parameters
    ----------
    solver : Solver
        Plans with ``scenario=problem.nominal()``; it never sees the scenario that is played.
    time_limit : float
        Wall seconds per solve.
    commit : int, optional
        Decisions after which to plan again even without a surprise.
    fallback : str or Policy, optional
        Rule that decides when a solve gives no plan or comes late; the problem's first rule by default.
    threads : int
        Threads of the solver.
    grace : float
        Seconds after the limit at which an answer counts as late.
    """

    solver: Solver
    time_limit: float = 1.0
    commit: int | None = None
    fallback: str | Policy | None = None
    threads: int = 1
    grace: float = 0.5
    log: RollingLog = field(default_factory=RollingLog, init=False)

    def __post_init__(self) -> None:
        self.name = f"rolling-{self.solver.name}"
        if not self.time_limit > 0:
            raise ValueError(f"time_limit is {self.time_limit!r}: give positive seconds per solve")
        if self.commit is not None and self.commit < 1:
            raise ValueError(f"commit is {self.commit!r}: give at least one decision")

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Forget every plan."""
        first = problem[0] if isinstance(problem, list | tuple) else problem
        self._rule = self._find_fallback(first)
        self._rule.reset(problem, batch=batch, seed=seed)
        self._plans: dict[int, _Plan] = {}
        self._seed = seed
        self.log = RollingLog()

    def _find_fallback(self, problem: Any) -> Policy:
        if isinstance(self.fallback, Policy):
            return self.fallback
        rules = problem.rules() if isinstance(problem, HasRules) else {}
        if self.fallback is None and rules:
            return next(iter(rules.values()))
        if self.fallback is None or self.fallback not in rules:
            raise OrrlError(
                f"fallback {self.fallback!r} is no rule of the problem; its rules: {', '.join(rules) or 'none'}"
            )
        return rules[self.fallback]

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Follow, or renew, the plan of each row."""
        view: View = info["view"]
        mask, done = info["action_mask"], info["done"]
        spare = np.asarray(self._rule.act(obs, info))
        actions = blank(view.kernel, len(mask))
        for b in np.flatnonzero(~done).tolist():
            self.log.decisions += 1
            plan = self._plans.get(b)
            if plan is None or not plan.actions or self._surprised(plan, view, b) or plan.made == self.commit:
                plan = self._replan(view, b, plan)
            action = blank(view.kernel, 1)
            if plan is not None:
                action[0] = _in_batch(plan.actions[0], plan.kernel, view.kernel)
            if plan is None or not accepted(mask[b : b + 1], action)[0]:
                self._plans.pop(b, None)
                actions[b] = spare[b]
                continue
            actions[b] = action[0]
            plan.made += 1
            plan.kernel.step(plan.twin, cast(plan.kernel, [plan.actions.pop(0)]))
        return actions

    def _surprised(self, plan: _Plan, view: View, row: int) -> bool:
        """Whether the state is another than the plan foresaw."""
        return canonical_bytes(plan.kernel.snapshot(plan.twin, 0)) != canonical_bytes(view.snapshot(row))

    def _replan(self, view: View, row: int, old: _Plan | None) -> _Plan | None:
        if self.deadline is not None and self.deadline.passed:
            self.log.late += 1
            return None
        problem = view.problem(row).at(view.snapshot(row))
        limit = self.time_limit if self.deadline is None else max(0.01, min(self.time_limit, self.deadline.remaining))
        begin = time.perf_counter()
        result = self.solver.solve(
            problem,
            time_limit=limit,
            threads=self.threads,
            seed=self._seed,
            scenario=problem.nominal(),
            warm_start=None if old is None else old.solution,
        )
        took = time.perf_counter() - begin
        self.log.solves += 1
        self.log.slowest = max(self.log.slowest, took)
        self.log.proved += result.status == "optimal"
        if result.solution is None or result.status in ("error", "infeasible"):
            self.log.failed += 1
            return None
        if took > 1.05 * limit + self.grace:
            self.log.late += 1
            return None
        world = problem.nominal()
        actions = problem.actions(result.solution, world).tolist()
        kernel = type(problem).kernel([problem])
        plan = _Plan(actions, kernel, kernel.reset([world]), result.solution)
        self._plans[row] = plan
        return plan

    def usable(self, problem: Any) -> Any:
        """Whether the solver can plan for the problem."""
        support = problem.supports(HasProgram)
        return self.solver.supports(problem) if support else support


def _in_batch(action: Any, own: Any, batch: Any) -> Any:
    """An action of the problem's own kernel in a padded one: only the idle action has another number."""
    idle = getattr(own, "idle_action", None)
    return int(batch.idle_action) if idle is not None and action == idle else action
