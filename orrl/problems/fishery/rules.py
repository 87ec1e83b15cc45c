"""Harvest control rules: on the survey as it is, or `Filtered` on what the surveys so far say together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.policy import Policy
from .belief import BeliefFilter, quantile

if TYPE_CHECKING:
    from ...core.actions import Actions
    from .data import Fishery

__all__ = [
    "RULES",
    "ConstantEscapement",
    "ConstantMortality",
    "ConstantQuota",
    "Filtered",
    "FortyTen",
    "HarvestRule",
    "Msy",
    "OnBelief",
    "OnSurvey",
    "Precautionary",
    "Tac",
    "rules",
]

FloatArray = npt.NDArray[np.float64]


class HarvestRule(Policy):
    """A quota as a function of a stock estimate.

    Parameters
    ----------
    effort : int
        Survey effort that goes with every quota.
    parameters : float
        The rule's own, in units of the stock or as shares of it; those left out are worked out from the reference
        points of the problem.

    Attributes
    ----------
    box : mapping of str to (str, float, float)
        For tuning: each parameter's unit ("K", "share") and its range in that unit.
    """

    needs_observation = False
    box: ClassVar[Mapping[str, tuple[str, float, float]]] = {}

    def __init__(self, *, effort: int = 0, name: str | None = None, **parameters: float) -> None:
        if unknown := sorted(set(parameters) - set(self.box)):
            raise DataError(
                f"rule {self.name!r} has no parameter {unknown[0]!r}: it has {', '.join(self.box) or 'none'}"
            )
        self.effort, self.parameters = effort, dict(parameters)
        if name is not None:
            self.name = name

    @abstractmethod
    def quota(self, stock: FloatArray, problem: Fishery) -> FloatArray:
        """Quotas (B,) at stock estimates (B,), units of the stock."""

    def get(self, name: str, default: float) -> float:
        """A parameter, or what the reference points say."""
        return self.parameters.get(name, default)

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Look up which rows play which problem."""
        self._own = _grouped(list(problem) if isinstance(problem, Sequence) else [problem] * batch)

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Decide on the last survey."""
        view = info["view"]
        return self.decide_on(view.kernel.seen(view.state), info)

    def decide_on(self, stock: FloatArray, info: Mapping[str, Any]) -> Actions:
        """Actions (B,) for stock estimates (B,)."""
        view = info["view"]
        quota = np.zeros(len(stock))
        for problem, rows in self._own:
            quota[rows] = np.clip(self.quota(stock[rows], problem), 0.0, problem.top)
        return np.asarray(view.kernel.actions_of(view.state, quota, self.effort))


def _grouped(problems: Sequence[Fishery]) -> list[tuple[Fishery, npt.NDArray[np.int64]]]:
    """Each problem once, with the rows that play it."""
    rows: dict[int, list[int]] = {}
    for i, p in enumerate(problems):
        rows.setdefault(id(p), []).append(i)
    return [(problems[r[0]], np.array(r, np.int64)) for r in rows.values()]


class Msy(HarvestRule):
    """The share F_MSY of the stock."""

    name = "msy"

    def quota(self, stock: FloatArray, problem: Fishery) -> FloatArray:
        """See the class."""
        return problem.reference.f_msy * stock


class Tac(HarvestRule):
    """A total allowable catch of 80% of F_MSY times the stock."""

    name = "tac-80"
    box = {"share": ("share", 0.1, 1.5)}  # noqa: RUF012  (read only)

    def quota(self, stock: FloatArray, problem: Fishery) -> FloatArray:
        """See the class."""
        return self.get("share", 0.8) * problem.reference.f_msy * stock


class ConstantEscapement(HarvestRule):
    """All above an escapement, S* by default (Reed 1979: optimal without survey error).

    Where growth comes before the catch, all above it of what the stock is going to be.
    """

    name = "constant-escapement"
    box = {"escapement": ("K", 0.05, 1.5)}  # noqa: RUF012

    def quota(self, stock: FloatArray, problem: Fishery) -> FloatArray:
        """See the class."""
        ahead = problem.growth.f(stock) if problem.order == "recruit-harvest" else stock
        return np.maximum(ahead - self.get("escapement", problem.reference.escapement), 0.0)


class ConstantMortality(HarvestRule):
    """A constant share of the stock; two thirds of F_MSY by default, as data-poor fisheries are advised."""

    name = "constant-mortality"
    box = {"mortality": ("share", 0.01, 0.9)}  # noqa: RUF012

    def quota(self, stock: FloatArray, problem: Fishery) -> FloatArray:
        """See the class."""
        return self.get("mortality", 2.0 / 3.0 * problem.reference.f_msy) * stock


class FortyTen(HarvestRule):
    """F_MSY above 40% of the unfished stock, nothing below 10%, and a straight line between (Pacific Council)."""

    name = "40-10"
    box = {"low": ("K", 0.0, 0.5), "high": ("K", 0.1, 1.0), "mortality": ("share", 0.01, 0.9)}  # noqa: RUF012

    def quota(self, stock: FloatArray, problem: Fishery) -> FloatArray:
        """See the class."""
        low = self.get("low", 0.1 * problem.growth.unfished)
        high = max(self.get("high", 0.4 * problem.growth.unfished), low + 1e-9)
        share = np.clip((stock - low) / (high - low), 0.0, 1.0)
        return self.get("mortality", problem.reference.f_msy) * share * stock


class Precautionary(FortyTen):
    """As `FortyTen` with limit 0.4 B_MSY and trigger 0.8 B_MSY (DFO 2009)."""

    name = "precautionary"

    def quota(self, stock: FloatArray, problem: Fishery) -> FloatArray:
        """See the class."""
        low = self.get("low", 0.4 * problem.reference.b_msy)
        high = max(self.get("high", 0.8 * problem.reference.b_msy), low + 1e-9)
        share = np.clip((stock - low) / (high - low), 0.0, 1.0)
        return self.get("mortality", problem.reference.f_msy) * share * stock


class ConstantQuota(HarvestRule):
    """The same quota every year, whatever the survey says; MSY by default."""

    name = "constant-quota"
    box = {"quota": ("K", 0.0, 0.5)}  # noqa: RUF012

    def quota(self, stock: FloatArray, problem: Fishery) -> FloatArray:
        """See the class."""
        return np.full(len(stock), self.get("quota", problem.reference.msy))


class _Believing(Policy):
    """A policy with a belief of its own on each row, moved by the quotas that were set and the surveys it is shown.

    `model` is the fishery that is believed in; the one that is played by default.
    """

    needs_observation = False

    def __init__(self, *, model: Fishery | None = None) -> None:
        self.model = model

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Begin with the first belief."""
        own = list(problem) if isinstance(problem, Sequence) else [problem] * batch
        believed = _grouped([self.model or p for p in own])
        self._groups = [(BeliefFilter(one, len(rows)), rows) for one, rows in believed]
        self._begun = False

    def _look(self, info: Mapping[str, Any]) -> None:
        """Take in the last quotas, as they were set (a cap may have moved them), and the last survey."""
        state = info["view"].state
        seen = info["view"].kernel.seen(state)
        last = np.arange(len(seen)), np.maximum(state.stage - 1, 0)
        quota, effort = state.quota[last], state.effort[last]
        for known, rows in self._groups:
            survey = known.grids.nearest_survey(seen[rows])
            if self._begun:
                level = np.minimum(effort[rows], len(known.grids.laws) - 1)
                known.next(known.grids.nearest_quota(quota[rows]), level, survey)
            else:
                known.first(survey)
        self._begun = True


class Filtered(_Believing):
    """A rule on the posterior instead of the survey.

    Parameters
    ----------
    rule : HarvestRule
        Such as ``ConstantEscapement()``.
    statistic : "mean", "median" or float
        Of the posterior; a number is a quantile, low ones are careful.
    model : Fishery, optional
        The fishery that is believed in, where another one is played (robustness).
    """

    def __init__(self, rule: HarvestRule, *, statistic: str | float = "mean", model: Fishery | None = None) -> None:
        super().__init__(model=model)
        share = 0.5 if statistic == "median" else statistic
        if share != "mean" and not (isinstance(share, float) and 0.0 < share < 1.0):
            raise DataError(f"statistic is {statistic!r}: give 'mean', 'median' or a quantile in (0, 1)")
        self.rule, self.statistic, self._share = rule, statistic, share
        mark = "" if statistic == "mean" else f"-{statistic}"
        self.name = f"{rule.name}-filtered{mark}"

    @property
    def effort(self) -> int:
        """The rule's survey effort."""
        return self.rule.effort

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Reset the rule too; its reference points are those of the fishery that is believed in."""
        super().reset(problem, batch=batch, seed=seed)
        own = list(problem) if isinstance(problem, Sequence) else [problem] * batch
        self.rule.reset([self.model] * batch if self.model else own, batch=batch, seed=seed)

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Bayes' rule, then the rule."""
        self._look(info)
        stock = np.zeros(len(info["done"]))
        for known, rows in self._groups:
            stock[rows] = (
                known.mean if self._share == "mean" else quantile(known.grids, known.beliefs, float(self._share))
            )
        return self.rule.decide_on(stock, info)


class OnBelief(_Believing):
    """Anything that chooses actions at beliefs (alpha vectors, QMDP) on the fishery's own posterior.

    It takes in the first survey of ``start="paper"``, which a general POMDP policy does not know of, and plays another
    fishery than the one that `chooser` was solved for, if `model` is that one.

    Parameters
    ----------
    chooser : object
        With ``choose(beliefs (B, S)) -> (B,)`` numbers of actions, or such a function.
    model : Fishery, optional
        The fishery that is believed in.
    """

    def __init__(self, chooser: Any, *, model: Fishery | None = None, name: str | None = None) -> None:
        super().__init__(model=model)
        self.chooser = getattr(chooser, "choose", chooser)
        self.name = name or f"{getattr(chooser, 'name', 'chooser')}-on-belief"

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Bayes' rule, then the choice, as a quota of the fishery that is played."""
        self._look(info)
        view = info["view"]
        quota, effort = np.zeros(len(info["done"])), np.zeros(len(info["done"]), np.int64)
        for known, rows in self._groups:
            chosen = np.asarray(self.chooser(known.beliefs), np.int64)
            levels = len(known.grids.quotas)
            quota[rows], effort[rows] = known.grids.quotas[chosen % levels], chosen // levels
        return np.asarray(view.kernel.actions_of(view.state, quota, effort))


class OnSurvey(Policy):
    """A table of actions by state, with the survey taken for the state: how a fully observed plan is used in practice.

    Parameters
    ----------
    actions : (S,) int
        Number of the quota for each stock, such as the greedy actions of policy iteration.
    """

    needs_observation = False

    def __init__(self, actions: Any, *, name: str = "sdp-raw") -> None:
        self.actions, self.name = np.asarray(actions, np.int64), name

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Refuses a table of another size."""
        own = list(problem) if isinstance(problem, Sequence) else [problem] * batch
        self._groups = _grouped(own)
        for one, _ in self._groups:
            if len(self.actions) != one.n:
                raise DataError(f"the table has {len(self.actions)} states and {one.name} {one.n}: give one for each")

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Look the survey up."""
        view = info["view"]
        seen = view.kernel.seen(view.state)
        quota, effort = np.zeros(len(seen)), np.zeros(len(seen), np.int64)
        for problem, rows in self._groups:
            g = problem.grids
            action = self.actions[g.nearest_stock(seen[rows])]
            quota[rows], effort[rows] = g.quotas[action % len(g.quotas)], action // len(g.quotas)
        return np.asarray(view.kernel.actions_of(view.state, quota, effort))


RULES: tuple[type[HarvestRule], ...] = (Msy, Tac, ConstantEscapement, ConstantMortality, FortyTen, Precautionary)


def rules(problem: Fishery) -> dict[str, Policy]:
    """By name: each rule on the survey and, where the survey errs, on the posterior mean."""
    table: dict[str, Policy] = {kind.name: kind() for kind in RULES}
    if not problem.observed:
        believing = [Filtered(kind()) for kind in RULES]
        table |= {policy.name: policy for policy in believing}
    return table
