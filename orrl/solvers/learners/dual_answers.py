"""Who answers a price of risk, and with what: a rule that is best under it, with its value and its time at risk.

`Exact` is policy iteration on the tables; `Learnt` is a tabular learner that plays the problem's indexed kernel and
goes on from its last tables. Both are asked by `dual_ascent`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.errors import NotSupportedError
from ...core.rollout import estimate
from ...core.seeds import stream
from ..exact.mdp_model import MdpArrays
from ..exact.policy_iteration import PolicyIteration
from .sarsa import TabularTD
from .td_loop import SOURCE, Training

if TYPE_CHECKING:
    from ...core.budget import Clock
    from .dual_ascent import DualAscent

__all__ = ["Exact", "Learnt", "Response"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
MASK = 4  # place of the mask in what a training plays


@dataclass(frozen=True, slots=True)
class Response:
    """What was best under a price: worth V and time D of a rule, exact or the means of so many episodes."""

    price: float
    value: float
    time: float
    actions: IntArray
    spread: float = 0.0  # standard deviation of an episode's time
    plays: int = 1

    def upper(self, margin: float) -> float:
        """Time and so many standard errors."""
        return float(self.time + margin * self.spread / np.sqrt(self.plays))

    def at(self, price: float, limit: float) -> float:
        """Its line: value of the Lagrangian under a price."""
        return self.value - price * (self.time - limit)


class _Priced:
    """The problem in which a step in a state of risk costs a price, for `PolicyIteration`."""

    def __init__(self, problem: Any, reward: FloatArray) -> None:
        self._problem, self._table = problem, replace(problem.tabular(), reward=reward)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._problem, name)

    def tabular(self) -> Any:
        return self._table


class Exact:
    """Best responses by policy iteration, valued exactly."""

    options = None
    steps = 0

    def __init__(self, problem: Any, mask: npt.NDArray[np.bool_]) -> None:
        self.problem, self.model = problem, MdpArrays.of(problem)
        self.table = self.model.table
        self.risk = np.where(mask[:, None] & self.table.mask, 1.0, 0.0)
        self.counting = replace(self.model, table=replace(self.table, reward=self.risk))

    def best(self, price: float, _: int) -> Response:
        """A rule that is best under a price."""
        return self._answer(price, self.table.reward - price * self.risk)

    def safest(self) -> Response:
        """A rule of least time at risk, and among the equal ones nearly the best."""
        size = max(1.0, float(np.abs(self.table.reward).max()))
        return self._answer(np.inf, 1e-9 / size * self.table.reward - self.risk)

    def _answer(self, price: float, reward: FloatArray) -> Response:
        law = PolicyIteration().solve(_Priced(self.problem, reward), threads=1).policy.probabilities
        actions = law.argmax(axis=1)
        value, time = (float(self.table.initial @ m.policy_value(actions)) for m in (self.model, self.counting))
        return Response(price, value, time, actions)

    def judge(self, rules: list[Response], weights: FloatArray) -> list[tuple[float, None]]:
        """Exact value and time of a mixture."""
        return [(float(weights @ [getattr(r, what) for r in rules]), None) for what in ("value", "time")]


class Learnt:
    """Best responses by a tabular learner that goes on from its last tables, valued by simulation."""

    def __init__(self, method: DualAscent, problem: Any, mask: npt.NDArray[np.bool_], clock: Clock, seed: int) -> None:
        assert isinstance(method.inner, TabularTD)
        self.method, self.inner, self.problem, self.mask, self.clock = method, method.inner, problem, mask, clock
        chosen = {"state": self.inner.state, "reward": self.inner.reward}
        self.options = {k: v for k, v in chosen.items() if v is not None} | dict(self.inner.kernel)
        self.code, self.seed, self.turn, self.steps = SOURCE.compiled(), seed, 0, 0
        self.tables: FloatArray | None = None

    def _game(self, price: float) -> Any:
        try:
            game = self.problem.indexed_kernel(**self.options, price=price, risk=self.mask)
        except TypeError as error:
            raise NotSupportedError(f"the indexed kernel of {self.problem.name} takes no price and risk") from error
        if game.agents != 1:
            raise NotSupportedError(f"{self.problem.name} has {game.agents} agents: a price of risk is for one")
        return game

    def _training(self, game: Any) -> Training:
        learner = replace(self.inner, check=np.iinfo(np.int64).max, plays=1)
        return Training(learner, game, self.code, self.problem.objective.discount, self.seed + 7919 * self.turn)

    def best(self, price: float, rounds: int) -> Response:
        """Learn under a price from the last tables on; values are those of the greedy rule."""
        run = self._training(self._game(price))
        budget = self.clock.budget
        share = None if budget.steps is None else max(1, budget.steps // rounds)
        run.begin(0, None, share)
        if self.tables is not None:
            run.tables[:] = self.tables
        begin = self.clock.fraction(steps=self.steps)
        length = max(1.0 / rounds, 1e-9)
        pace, used = 10, 0.0
        while not run.ended and used < 1.0:
            before = self.clock.seconds
            run.train(pace, min(1.0, used))
            pace = int(np.clip(0.05 / max(self.clock.seconds - before, 1e-6), 0.2, 4.0) * pace) + 1
            used = (self.clock.fraction(steps=self.steps + run.steps) - begin) / length
        self.steps += run.steps
        self.turn += 1
        self.tables = run.tables
        actions = np.where(run.game[MASK][0], self.tables[0, 0], -np.inf).argmax(axis=1)
        rule = Response(price, 0.0, 0.0, np.asarray(actions, np.int64), plays=0)
        return self.longer(rule, self.method.plays)

    def longer(self, rule: Response, plays: int) -> Response:
        """The rule with the means of so many more episodes."""
        found, old = self.simulate(rule.actions, plays, f"choice-{rule.plays}"), rule.plays
        value, time = (
            (old * was + f.sum()) / (old + plays) for was, f in zip((rule.value, rule.time), found.T, strict=True)
        )
        return replace(rule, value=float(value), time=float(time), spread=float(found[:, 1].std()), plays=old + plays)

    def simulate(self, actions: IntArray, plays: int, purpose: str) -> FloatArray:
        """Discounted reward and time at risk (plays, 2) of episodes by a rule."""
        run = self._training(self._game(1.0))
        run.tables[0, 0, np.arange(len(actions)), actions] = 1.0
        random = stream(self.seed, "dual-ascent", purpose, self.turn).integers(2**63, size=1).astype(np.uint64)
        found = np.zeros((plays, 2))
        known = run.tables[0], run.leads[0], run.seconds[0]
        self.code.sample(*run.game, *known, self.problem.objective.discount, found, run.counts, random)
        return np.stack([found[:, 1], found[:, 1] - found[:, 0]], axis=1)  # under a price of 1

    def judge(self, rules: list[Response], weights: FloatArray) -> list[tuple[float, tuple[float, float] | None]]:
        """Value and time of a mixture on fresh episodes, each by a rule that is drawn for it."""
        plays = 10 * self.method.plays
        counts = stream(self.seed, "dual-ascent", "mixture").multinomial(plays, weights)
        parts = [self.simulate(r.actions, n, f"judge-{i}") for i, (r, n) in enumerate(zip(rules, counts, strict=True))]
        both = np.concatenate(parts)
        return [estimate(both[:, 0]), estimate(both[:, 1])]
