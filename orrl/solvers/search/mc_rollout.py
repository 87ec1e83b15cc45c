"""Monte-Carlo rollout: simulate random completions after each accepted action and take the best action.

Tesauro & Galperin (1996), "On-line policy improvement using Monte-Carlo search", NIPS 9; Bertsekas & Castanon (1999),
Journal of Heuristics 5:89-108. It needs no training and knows nothing of the future: completions meet fresh scenarios,
or none (certainty equivalence), so it is a policy also under random interruptions. Several agents choose one after the
other, those that have not chosen yet at random (Bertsekas 2021, IEEE/CAA Journal of Automatica Sinica 8:249-272), so
the work grows with their number, not with joint moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ...core.actions import draw, is_continuous
from ...core.playout import completions, follow, playout
from ...core.policy import Policy, View
from ...core.rollout import Trajectory
from ...core.seeds import spawn_seeds, stream
from ...core.solver import PolicySolver
from ...core.types import Support

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...core.program import Outcome
    from ...core.run import Run

__all__ = ["MonteCarloPolicy", "MonteCarloRollout"]


@dataclass
class MonteCarloPolicy(Policy):
    """Take the action whose random completions are best.

    Parameters
    ----------
    samples : int
        Completions per action; all actions meet the same fresh scenarios.
    criterion : {"mean", "best"}
        Judge an action by the mean of its completions, or by the best one (sensible where nothing random
        happens in them).
    idle : bool
        Also consider the kernel's idle action (waiting) where something else can be done.
    chunk : int
        Completions simulated together; the deadline is looked at in between. The kernel's own are made at once where
        there is none.
    base : Policy, optional
        What plays the completions instead of chance. Where neither it nor the problem draws anything, one completion
        of each action is enough: ``samples=1``.
    certain : bool
        Complete as if nothing random happened that has not begun, instead of under fresh scenarios: many more
        completions in the same time where the kernel makes them itself, and nothing is known of risk.
    """

    samples: int = 100
    criterion: Literal["mean", "best"] = "mean"
    idle: bool = False
    chunk: int = 500
    base: Policy | None = None
    certain: bool = False

    name = "rollout"
    needs_observation = False
    met: Callable[[Any, Any, Any], None] | None = None
    """Called with problem, scenario and final state of the best completion of each choice."""

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples is {self.samples}: give at least 1")
        if self.criterion not in ("mean", "best"):
            raise ValueError(f"criterion is {self.criterion!r}: give 'mean' or 'best'")

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Start the streams of fresh scenarios."""
        self._rng = stream(seed, "mc-rollout")

    def act(self, obs: Any, info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        """Look ahead in each row that has a choice."""
        mask, done, view = info["action_mask"], info["done"], info["view"]
        if mask.ndim == 2 and self._swift(view):
            return self._together(view, mask)
        chosen = np.full(mask.shape[:-1], -1, np.int64)
        for b in np.flatnonzero(~done).tolist():
            if mask.ndim == 2:
                chosen[b] = self._choose(view, mask[b], b, lambda actions: actions)
                continue
            for u in range(mask.shape[1]):
                chosen[b, u] = self._choose(view, mask[b, u], b, partial(self._with_others, chosen[b], mask[b], u))
        return chosen

    def _swift(self, view: View) -> bool:
        """Whether the kernel's own completions say all that is asked for."""
        if self.base is not None or self.met is not None or not hasattr(view.kernel, "completions"):
            return False
        problems = view.kernel.problems
        if any(problem.objective.discount != 1.0 for problem in problems):
            return False
        return self.certain or not any(problem.is_stochastic for problem in problems)

    def _together(self, view: View, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Look ahead in all rows by the kernel's own completions, the same random numbers for all of them."""
        legal = self._considered(view, mask)
        asked = legal & (legal.sum(axis=1) > 1)[:, None]
        judge, fold = (np.sum, np.add) if self.criterion == "mean" else (np.max, np.maximum)
        score: Any = np.zeros(mask.shape)
        share = self.samples if self.deadline is None else max(1, self.chunk // max(1, int(asked.sum())))
        for made in range(0, self.samples if asked.any() else 0, share):
            if self.deadline is not None and self.deadline.passed:
                break
            count, seed = min(share, self.samples - made), int(self._rng.integers(2**31))
            worth = completions(view.kernel, view.state, view.which, samples=count, seed=seed, mask=asked)
            score = fold(score, judge(worth, axis=2)) if made else judge(worth, axis=2)
        score[~asked] = 0.0
        return np.where(legal.any(axis=1), np.where(legal, score, -np.inf).argmax(axis=1), -1)

    def _considered(self, view: View, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Accepted actions without the idle one, where that is left out and others remain."""
        idle = getattr(view.kernel, "idle_action", None)
        if self.idle or idle is None:
            return mask
        legal = mask.copy()
        legal[..., idle] &= legal.sum(axis=-1) < 2
        return legal

    def _with_others(self, chosen: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_], u: int, actions: Any) -> Any:
        """Joint actions: those before agent u have chosen, those after it draw, alike for each of its actions."""
        joint = np.empty((len(actions), len(mask)), np.int64)
        joint[:, :u], joint[:, u] = chosen[:u], actions
        rest = draw(np.broadcast_to(mask[u + 1 :], (self.samples, *mask[u + 1 :].shape)), self._rng)
        joint[:, u + 1 :] = np.tile(rest, (len(actions) // self.samples, 1))
        return joint

    def _choose(self, view: View, mask: npt.NDArray[np.bool_], row: int, whole: Callable[[Any], Any]) -> int:
        legal = np.flatnonzero(self._considered(view, mask))
        if len(legal) == 1 or (self.deadline is not None and self.deadline.passed):
            return int(legal[0])
        problem = view.problem(row)
        seed = int(self._rng.integers(2**31))
        drawn = problem.is_stochastic and not self.certain
        seeds = spawn_seeds(seed, self.samples if drawn else 1)
        nominal = problem.is_stochastic and self.certain
        fresh = [problem.nominal() if nominal else problem.scenario(s) for s in seeds]
        worlds = fresh if drawn else fresh * self.samples
        score = np.full(len(legal), -np.inf)
        share = max(1, self.chunk // self.samples)
        for begin in range(0, len(legal), share):
            part = legal[begin : begin + share]
            state = view.clone(worlds * len(part), [row] * (self.samples * len(part)))
            rewards, _ = view.kernel.step(state, whole(np.repeat(part, self.samples).astype(np.int64)))
            rest = self._complete(view, state, row, seed + begin, problem)
            total = (rewards + problem.objective.discount * rest).reshape(len(part), self.samples)
            score[begin : begin + len(part)] = total.mean(axis=1) if self.criterion == "mean" else total.max(axis=1)
            if self.met is not None:
                best = int(np.argmax(total))
                self.met(problem, worlds[best % self.samples], view.kernel.snapshot(state, best))
            if self.deadline is not None and self.deadline.passed:
                break
        return int(legal[np.argmax(score)])

    def _complete(self, view: View, state: Any, row: int, seed: int, problem: Any) -> npt.NDArray[np.float64]:
        """Rewards of the rest of each copied row; the state is changed."""
        if self.base is None:
            return playout(view.kernel, state, seed=seed, discount=problem.objective.discount)
        rows = len(view.kernel.mask(state))
        self.base.reset(problem, batch=rows, seed=seed)
        return follow(view.kernel, state, [view.which[row]] * rows, self.base, discount=problem.objective.discount)


class MonteCarloRollout(PolicySolver):
    """`MonteCarloPolicy` as a method; past its time limit it finishes the episode with the first accepted actions.

    Parameters
    ----------
    samples, criterion, idle, base, certain
        See `MonteCarloPolicy`.
    scenarios, scenario_seed : int
        See `PolicySolver`.
    keep_best : bool
        Where nothing is random, every completion is a solution: return the best of all that were met, if it is better
        than the episode. The promise is that of the fortified rollout of Bertsekas, Tsitsiklis & Wu (1997), Journal of
        Heuristics 3:245-262.
    """

    name = "rollout"
    kind = "heuristic"

    def __init__(
        self,
        samples: int = 100,
        criterion: Literal["mean", "best"] = "mean",
        idle: bool = False,
        scenarios: int = 100,
        scenario_seed: int = 0,
        base: Policy | None = None,
        keep_best: bool = False,
        certain: bool = False,
    ) -> None:
        policy = MonteCarloPolicy(samples, criterion, idle, base=base, certain=certain)
        if base is not None:
            policy.kernel_options = base.kernel_options
        super().__init__(policy, scenarios=scenarios, scenario_seed=scenario_seed, kind="heuristic")
        self.keep_best = keep_best

    def _solve(self, problem: Any, run: Run) -> Outcome:
        if not self.keep_best or problem.is_stochastic:
            return super()._solve(problem, run)
        policy, sign = self.policy, problem.objective.sign
        assert isinstance(policy, MonteCarloPolicy)
        best: list[tuple[float, Any]] = []

        def keep(problem: Any, scenario: Any, final: Any) -> None:
            found = problem.solution(Trajectory(problem, scenario, np.zeros(0, np.int64), np.zeros(0), final, False))
            verdict = problem.evaluate(found, scenario)
            if verdict.feasible and (not best or sign * verdict.objective > sign * best[0][0]):
                best[:] = [(verdict.objective, found)]
                run.incumbent(verdict.objective, lambda: found)

        policy.met = keep
        try:
            outcome = super()._solve(problem, run)
        finally:
            policy.met = None
        if best and (outcome.objective is None or sign * best[0][0] > sign * outcome.objective):
            value, found = best[0]
            return replace(outcome, status="feasible", solution=found, objective=value, message="", policy=None)
        return outcome

    def supports(self, problem: Any) -> Support:
        """A kernel whose choices are finite: each is tried; and one that the base may play."""
        assert isinstance(self.policy, MonteCarloPolicy)
        support = PolicySolver(self.policy.base or self.policy).supports(problem)
        if support and is_continuous(type(problem).kernel([problem])):
            return Support(False, f"the actions of {type(problem).__name__} are real numbers: it tries a finite set")
        return support

    def options(self) -> dict[str, Any]:
        """Samples and criterion beside the scenario stream."""
        policy = self.policy
        assert isinstance(policy, MonteCarloPolicy)
        own: dict[str, Any] = {"samples": policy.samples, "criterion": policy.criterion, "idle": policy.idle}
        own |= {"certain": policy.certain, "keep_best": self.keep_best}
        if policy.base is not None:
            own["base"] = policy.base.name
        return {**own, **super().options()}
