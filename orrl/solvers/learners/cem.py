"""`cem`: the cross-entropy method for the parameters of a rule that people can read.

Rubinstein (1999), "The cross-entropy method for combinatorial and continuous optimization": a normal law over the box
of parameters moves to the best settings of each generation. All settings of a generation meet the same scenarios, so
that luck does not rank them; each generation meets fresh ones, so that none is learnt by heart; and the settings that
are left are compared on scenarios of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ...core.actions import hold, live
from ...core.callbacks import Event
from ...core.capabilities import HasKernel, HasTunable
from ...core.errors import DataError, NotSupportedError, UnknownNameError
from ...core.learner import Learner
from ...core.policy import Policy, View
from ...core.seeds import spawn_seeds, stream

if TYPE_CHECKING:
    from ...core.budget import Budget
    from ...core.callbacks import Callback
    from ...core.capabilities import Tunable
    from ...core.types import Support

__all__ = ["Cem", "returns"]

FloatArray = npt.NDArray[np.float64]
FINALISTS = 5  # latest means that are compared at the end, with the rule as it comes


@dataclass(repr=False)
class Cem(Learner):
    """Tune a rule of the problem.

    Parameters
    ----------
    rule : str, optional
        Name in the problem's ``tunable()``; its first one by default.
    population, elite : int, float
        Settings a generation, and the share of them that the next law is fitted to.
    episodes : int
        Scenarios that each setting of a generation meets.
    smoothing : float
        Share of the new law in the next one.
    least : float
        Spread that the law keeps in each parameter, as a share of the box; it falls to 0 over the budget.
    trials : int
        Scenarios of the comparison at the end, from a stream of their own.

    Attributes
    ----------
    log : list of dict
        Each generation's mean and best value, and its setting.
    parameters : dict
        What was found.
    """

    rule: str | None = None
    population: int = 40
    elite: float = 0.2
    episodes: int = 60
    smoothing: float = 0.7
    least: float = 0.03
    trials: int = 1000
    log: list[dict[str, Any]] = field(default_factory=list, init=False)
    parameters: dict[str, float] = field(default_factory=dict, init=False)

    name: ClassVar[str] = "cem"
    scope: ClassVar[Literal["instance", "distribution"]] = "instance"

    def __post_init__(self) -> None:
        for name, least in (("population", 4), ("episodes", 1), ("trials", 1)):
            if getattr(self, name) < least:
                raise DataError(f"{name} is {getattr(self, name)!r}: give at least {least}")
        for name in ("elite", "smoothing"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise DataError(f"{name} is {getattr(self, name)!r}: give a share in (0, 1]")

    def supports(self, problem: Any) -> Support:
        """Problems that have a rule with parameters, and a kernel."""
        support: Support = problem.supports(HasKernel)
        return problem.supports(HasTunable) if support else support

    def fit(
        self,
        source: Any,
        *,
        budget: Budget,
        seed: int = 0,
        val: Sequence[Any] | None = None,
        device: str = "cpu",
        callbacks: Sequence[Callback] = (),
    ) -> Policy:
        """Search until the budget is spent (`iterations` are generations, `steps` decisions); returns the best rule."""
        problem: Any = source[0] if isinstance(source, Sequence) and len(source) == 1 else source
        if isinstance(problem, Sequence) or not hasattr(problem, "scenario"):
            raise NotSupportedError("cem tunes a rule for one problem: give that problem")
        rule = self._rule(problem)
        clock, rng = budget.start(), stream(seed, "cem", "settings")
        width = rule.high - rule.low
        mean, spread = rule.start.copy(), 0.3 * width
        count = max(2, round(self.elite * self.population))
        steps, generation, stop = 0, 0, False
        finalists = [rule.start]
        self.log = []
        while not stop and not clock.over(steps=steps, iterations=generation):
            noise = rng.standard_normal((self.population, len(mean)))
            points = np.clip(mean + spread * noise, rule.low, rule.high)
            points[0] = mean  # so that the middle of the law is judged too
            worlds = [problem.scenario(s) for s in spawn_seeds(seed, self.episodes, "cem", "tuning", generation)]
            values, played = _judge(problem, rule, points, worlds)
            steps += played
            order = np.argsort(-values)
            best = points[order[:count]]
            generation += 1
            left = max(0.0, 1.0 - clock.fraction(steps=steps, iterations=generation))
            mean = mean + self.smoothing * (best.mean(axis=0) - mean)
            spread = spread + self.smoothing * (best.std(axis=0) - spread)
            spread = np.maximum(spread, self.least * left * width)
            finalists.append(mean)
            row = {"iteration": generation, "steps": steps, "mean": float(values[0]), "best": float(values[order[0]])}
            self.log.append({**row, "parameters": mean.tolist()})
            stop = any([bool(tell(Event("iteration", clock.seconds, info=row))) for tell in callbacks])
        points = np.array([finalists[0], *finalists[1:][-FINALISTS:]])
        worlds = [problem.scenario(s) for s in spawn_seeds(seed, self.trials, "cem", "trial")]
        values, _ = _judge(problem, rule, points, worlds)
        chosen = points[int(values.argmax())]
        self.parameters = dict(zip(rule.names, chosen.tolist(), strict=True))
        policy = rule.make(chosen)
        policy.name, policy.seen = f"{policy.name}-cem", frozenset([problem.content_hash])
        return policy

    def _rule(self, problem: Any) -> Tunable:
        table = problem.tunable()
        name = self.rule or next(iter(table))
        if name not in table:
            raise UnknownNameError("rule to tune", name, table)
        rule: Tunable = table[name]
        return rule


def _judge(problem: Any, rule: Tunable, points: FloatArray, worlds: list[Any]) -> tuple[FloatArray, int]:
    """Mean value (K,) of each setting on the same scenarios, and the decisions that were made; higher is better."""
    if not rule.batched:
        played = [returns(problem, rule.make(p), worlds) for p in points]
        return np.array([v.mean() for v, _ in played]), sum(s for _, s in played)
    policy = rule.make(np.repeat(points, len(worlds), axis=0))
    values, steps = returns(problem, policy, worlds * len(points))
    return values.reshape(len(points), -1).mean(axis=1), steps


def returns(problem: Any, policy: Policy, worlds: Sequence[Any]) -> tuple[FloatArray, int]:
    """Discounted rewards (B,) of one episode a scenario, and the decisions made: `rollout` without its records."""
    kernel = type(problem).kernel([problem])
    state = kernel.reset(worlds)
    which = [0] * len(worlds)
    policy.reset(problem, batch=len(worlds))
    view = View(kernel, state, which)
    total, steps, factor = np.zeros(len(worlds)), 0, 1.0
    mask = kernel.mask(state)
    done = ~live(mask)
    while not done.all():
        steps += int((~done).sum())
        obs = kernel.observe(state) if policy.needs_observation else None
        actions = policy.act(obs, {"action_mask": mask, "view": view, "done": done})
        rewards, done = kernel.step(state, hold(actions, done))
        total += factor * rewards
        factor *= problem.objective.discount
        mask = kernel.mask(state)
    return total, steps
