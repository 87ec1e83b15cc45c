"""`dual-ascent`: a limit on the discounted time at risk, by a price that rises while the limit is broken.

The Lagrangian of the constrained problem (Altman 1999, chapters 3 and 9) is the problem in which a step in a state of
risk costs p:

    g(p) = max over policies of V(policy) - p (D(policy) - limit),    g(p) >= the constrained optimum for each p >= 0.

A policy that is best under p has the slope ``limit - D`` of g at p (Danskin), so g is minimised by

    p <- max(0, p + step_k (D - limit)),

projected dual ascent (Bertsekas 1999, section 6.3), with steps that fall at each change of direction (Kesten 1958); or,
where best responses are exact, by cutting planes (Kelley 1960): the next price is where the lines of the two policies
round the minimum cross, which ends after finitely many. At the minimum no single policy need keep the limit;
a mixture of two that have been met, drawn once an episode, does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from ...core.archive import read_archive, write_archive
from ...core.callbacks import Callback, Event
from ...core.capabilities import HasIndexedKernel, HasTabular
from ...core.errors import DataError, NotSupportedError
from ...core.learner import Learner
from ...core.policy import Policy
from ...core.seeds import stream
from ...core.tabular_lp import risky
from ...core.types import Support
from ..exact.mdp_model import mdp_support
from .dual_answers import Exact, Learnt, Response
from .sarsa import QLearning, TabularTD

if TYPE_CHECKING:
    from pathlib import Path

    from ...core.budget import Budget

__all__ = ["DualAscent", "MixturePolicy"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
KIND = "orrl.solvers.learners.dual_ascent:MixturePolicy"
LEARNT = QLearning(trace=0.0, alpha=0.1, alpha_end=0.005, epsilon=0.5, epsilon_end=0.1)
SLACK = 1e-10  # relative: prices at which two exact values are the same


class MixturePolicy(Policy):
    """One of K rules, drawn at the beginning of an episode and kept until its end.

    Parameters
    ----------
    weights : (K,)
        Their probabilities.
    actions : (K, S) int
        What each rule does in a row.
    seen : set of str
        Content hash of the problem that it was made for.
    options : mapping or None
        Options of the indexed kernel whose rows these are; None: the states of the tables.

    Attributes
    ----------
    log : dict
        See `DualAscent`.
    """

    scope = "instance"
    needs_observation = False
    train_seconds = 0.0

    def __init__(
        self,
        weights: FloatArray,
        actions: IntArray,
        seen: set[str] | frozenset[str],
        options: Mapping[str, Any] | None = None,
        *,
        name: str = "dual-ascent",
    ) -> None:
        self.weights, self.actions, self.seen, self.name = weights, actions, frozenset(seen), name
        self.options = None if options is None else dict(options)
        self.log: dict[str, Any] = {}

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Draw a rule for each row; refuses another problem's content hash."""
        problems = list(problem) if isinstance(problem, Sequence) else [problem]
        for one in problems:
            if one.content_hash not in self.seen:
                raise DataError(
                    f"policy {self.name!r} was made for another problem than {one.name} (content hash differs)"
                )
        first = problems[0]
        self._row = first.state_index if self.options is None else first.indexed_kernel(**self.options).rows
        self._rule = stream(seed, "mixture").choice(len(self.weights), size=batch, p=self.weights)

    def act(self, obs: Any, info: Mapping[str, Any]) -> IntArray:
        """Actions (B,) of the rules that were drawn."""
        view, done = info["view"], info["done"]
        chosen = np.zeros(len(done), np.int64)
        for b in np.flatnonzero(~done).tolist():
            chosen[b] = self.actions[self._rule[b], np.asarray(self._row(view.snapshot(b))).item()]
        return chosen

    def save(self, path: str | Path) -> None:
        """Write rules, weights and log; no pickle."""
        header = {"type": KIND, "name": self.name, "seen": sorted(self.seen), "options": self.options, "log": self.log}
        arrays = {"weights": self.weights, "actions": self.actions}
        write_archive(path, header | {"train_seconds": self.train_seconds}, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Inverse of `save`."""
        header, arrays = read_archive(path, KIND)
        policy = cls(**arrays, seen=frozenset(header["seen"]), options=header["options"], name=header["name"])
        policy.log, policy.train_seconds = header["log"], header["train_seconds"]
        return policy


@dataclass(frozen=True, kw_only=True)
class DualAscent(Learner):
    """Best policy under a limit on the discounted time in states of risk, of a finite problem.

    Parameters
    ----------
    limit : float
        Most discounted time, ``E sum discount**t [s_t at risk]``, from the problem's start on.
    states : sequence or callable, optional
        States of risk, as in `cmdp-lp`; the problem's own ``risk_states()`` by default.
    inner : "policy-iteration" or TabularTD
        What answers a price: exactly, from the tables; or a tabular learner, without a model, that goes on from the
        last tables. It plays the problem's indexed kernel, which has to take the options ``price`` and ``risk``.
    update : {"ascent", "cutting"}, optional
        How the price moves. Cutting planes need exact answers, and are the default for those.
    rounds : int
        Most prices; learners share the budget among them. An iteration of the budget is one price, too.
    price, step : float
        First price, and the size of the first moves: each is ``step / (1 + turns so far)`` times the first answer's
        value per time, times the root of the relative excess ``|D - limit| / max(D, limit)``, which does not stall
        where D is nearly the limit over a long range of prices.
    plays : int
        Episodes behind the value and time of a learnt rule; ten times as many more before it comes into the mixture,
        since the luckiest of many is not the best, and again behind the figures of the mixture.
    margin : float
        Standard errors by which the mean time of a learnt rule is taken to be longer than it was.

    Notes
    -----
    ``policy.log`` has, in the unit of the objective: ``price``, the multiplier (ascent: the mean of the second half of
    the prices); ``prices``, ``values`` and ``times`` round by round; ``dual``, g at each price; ``value`` and ``time``
    of the mixture, with ``value_interval`` and ``time_interval`` (95%) where they are simulated, on episodes that chose
    nothing; and ``bound``, the least g, where answers are exact (a learnt one need not be best, so its g is none).
    """

    limit: float = np.inf
    states: Any = None
    inner: TabularTD | Literal["policy-iteration"] = field(default=LEARNT)
    update: Literal["ascent", "cutting"] | None = None
    rounds: int = 40
    price: float = 0.0
    step: float = 0.25
    plays: int = 1000
    margin: float = 0.0

    name: ClassVar[str] = "dual-ascent"
    scope: ClassVar[Literal["instance", "distribution"]] = "instance"

    def __post_init__(self) -> None:
        if not self.limit >= 0.0:
            raise DataError(f"limit is {self.limit!r}: give a discounted time of at least 0, or infinity for no limit")
        if isinstance(self.inner, str) and self.inner != "policy-iteration":
            raise DataError(f"inner is {self.inner!r}: give 'policy-iteration' or a tabular learner such as Sarsa()")
        if self.update not in (None, "ascent", "cutting"):
            raise DataError(f"update is {self.update!r}: give 'ascent' or 'cutting'")
        if self.update == "cutting" and not self.exact:
            raise DataError("update is 'cutting': a learnt answer is no cutting plane, give 'ascent'")
        for name, least in (("rounds", 1), ("plays", 2), ("price", 0.0), ("step", 0.0), ("margin", 0.0)):
            if not getattr(self, name) >= least:
                raise DataError(f"{name} is {getattr(self, name)!r}: give at least {least:g}")
        if isinstance(self.inner, TabularTD) and self.inner.gamma is not None:
            raise DataError(f"inner has gamma={self.inner.gamma!r}: leave it out, the limit is on discounted time")

    @property
    def exact(self) -> bool:
        """Whether best responses are exact."""
        return self.inner == "policy-iteration"

    def supports(self, problem: Any) -> Support:
        """Tables without horizon or an indexed kernel, and states of risk; the state has to be seen by exact rules."""
        offered: Support = mdp_support(problem, horizon=False) if self.exact else problem.supports(HasIndexedKernel)
        if not offered:
            return offered
        if not problem.supports(HasTabular):
            return Support(False, "it has no tables, whose states of risk could be named")
        if self.exact and problem.tabular().observation is not None:
            return Support(False, "its state is hidden: give inner=QLearning(state=...) on rows that are seen")
        try:
            self._at_risk(problem)
        except DataError as reason:
            return Support(False, str(reason))
        return offered

    def _at_risk(self, problem: Any) -> npt.NDArray[np.bool_]:
        return risky(problem, self.states(problem) if callable(self.states) else self.states)

    def fit(
        self,
        source: Any,
        *,
        budget: Budget,
        seed: int = 0,
        val: Sequence[Any] | None = None,
        device: str = "cpu",
        callbacks: Sequence[Callback] = (),
    ) -> MixturePolicy:
        """Find price and mixture for one problem.

        Raises
        ------
        NotSupportedError
            For several problems, or one without what the inner method needs.
        DataError
            Where no policy (of those met, if they are learnt) keeps the limit, with the least time that was found.
        """
        problem = source[0] if isinstance(source, Sequence) and len(source) == 1 else source
        if not hasattr(problem, "content_hash"):
            raise NotSupportedError(f"{self.name} fits one problem: give it that problem, not a set or a generator")
        support = self.supports(problem)
        if not support:
            raise NotSupportedError(f"{self.name} cannot learn {problem.name}: {support.reason}")
        clock, mask = budget.start(), self._at_risk(problem)
        oracle: Exact | Learnt = Exact(problem, mask) if self.exact else Learnt(self, problem, mask, clock, seed)
        goal = problem.objective

        def objective(value: float) -> float:
            return float(problem.accrued + goal.sign * goal.discount**goal.stage * value)

        def goes_on(met: list[Response]) -> bool:
            told = [c(Event("iteration", clock.seconds, objective(met[-1].value), info=_said(met))) for c in callbacks]
            return not any(told) and len(met) < self.rounds and not clock.over(steps=oracle.steps, iterations=len(met))

        cutting = self.update == "cutting" or (self.update is None and self.exact)
        met, known, price = self._cut(oracle, goes_on) if cutting else self._ascend(oracle, goes_on)
        weights, rules = self._chosen(oracle, known)
        if not rules:
            least = min(r.time for r in known)
            raise DataError(
                f"limit is {self.limit:g}: no policy that was met stays within it, the least discounted time at risk "
                f"was {least:.6g}: give a larger limit" + ("" if self.exact else ", a larger step or more rounds")
            )
        policy = MixturePolicy(
            weights, np.stack([r.actions for r in rules]), {problem.content_hash}, oracle.options, name=self.name
        )
        scale = goal.discount**goal.stage
        dual = [r.at(r.price, self.limit) if r.price > 0.0 else r.value for r in met]
        policy.log = {
            "price": scale * price,
            "prices": [scale * r.price for r in met],
            "values": [objective(r.value) for r in met],
            "times": [r.time for r in met],
            "dual": [objective(v) for v in dual],
            "limit": self.limit,
            "weights": weights.tolist(),
        }
        ends = oracle.judge(rules, weights)
        for what, (mean, interval) in zip(("value", "time"), ends, strict=True):
            in_unit = objective if what == "value" else float
            policy.log[what] = in_unit(mean)
            if interval is not None:
                policy.log[f"{what}_interval"] = sorted([in_unit(interval[0]), in_unit(interval[1])])
        if self.exact:
            policy.log["bound"] = objective(min(dual))
        policy.log |= {"steps": oracle.steps, "cpu_seconds": clock.cpu_seconds}
        policy.train_seconds = clock.seconds
        return policy

    def _chosen(self, oracle: Any, known: list[Response]) -> tuple[FloatArray, list[Response]]:
        """The best mixture, of rules that have been played long enough."""
        known = list(known)
        while True:
            weights, chosen = _mixture(known, self.limit, self.margin)
            short = [] if self.exact else [i for i in chosen if known[i].plays <= self.plays]
            if not short:
                return weights, [known[i] for i in chosen]
            for i in short:
                known[i] = oracle.longer(known[i], 10 * self.plays)

    # ---- how the price moves ---------------------------------------------------------------------------------------
    def _ascend(self, oracle: Any, goes_on: Any) -> tuple[list[Response], list[Response], float]:
        """Projected ascent; steps fall with the number of turns so far, which stays small on a long way."""
        met = [oracle.best(self.price, self.rounds)]
        unit = abs(met[0].value) / max(met[0].time, self.limit, 1e-12)
        prices, turns, before = [self.price], 0, 0.0
        while np.isfinite(self.limit) and goes_on(met):
            last = met[-1]
            excess = (last.time - self.limit) / max(last.time, self.limit, 1e-12)
            turns += bool(excess * before < 0.0)
            before = excess or before
            move = self.step * unit / (1 + turns) * np.sign(excess) * np.sqrt(abs(excess))
            prices.append(max(0.0, float(prices[-1] + move)))
            met.append(oracle.best(prices[-1], self.rounds))
        return met, met, float(np.mean(prices[len(prices) // 2 :]))

    def _cut(self, oracle: Any, goes_on: Any) -> tuple[list[Response], list[Response], float]:
        """Kelley's method: exact, since g is the largest of finitely many lines."""
        met = [oracle.best(0.0, 1)]
        if met[0].time <= self.limit:
            return met, met, 0.0
        low, high = met[0], oracle.safest()  # rules that break and that keep the limit
        safe, price = high, 0.0
        while safe.time <= self.limit and goes_on(met):
            price = (low.value - high.value) / (low.time - high.time)
            here = oracle.best(price, 1)
            met.append(here)
            top = low.at(price, self.limit)
            if here.at(price, self.limit) <= top + SLACK * max(1.0, abs(top)):
                break
            low, high = (here, high) if here.time > self.limit else (low, here)
        return met, [*met, safe], price


def _mixture(met: list[Response], limit: float, margin: float) -> tuple[FloatArray, list[int]]:
    """Weights and places of the best mixture: of two rules at most, since one row limits it."""
    time = np.array([r.upper(margin) for r in met])
    value = np.array([r.value for r in met])
    within = time <= limit + (SLACK * max(1.0, limit) if np.isfinite(limit) else 0.0)
    best, weights, chosen = -np.inf, np.zeros(0), list[int]()
    for i in np.flatnonzero(within).tolist():
        for j in [i, *np.flatnonzero(~within & (value > value[i])).tolist()]:
            share = 0.0 if i == j else float(np.clip((limit - time[i]) / (time[j] - time[i]), 0.0, 1.0))
            worth = (1.0 - share) * value[i] + share * value[j]
            if worth > best:
                best, chosen = worth, [i] if share == 0.0 else [i, j]
                weights = np.array([1.0 - share, share][: len(chosen)])
    return weights, chosen


def _said(met: list[Response]) -> dict[str, Any]:
    return {"round": len(met), "price": met[-1].price, "time": met[-1].time}
