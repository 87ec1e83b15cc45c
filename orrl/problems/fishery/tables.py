"""A fishery as arrays; next year's law depends on the decision only through what is left, so few rows are distinct."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.decision_models import PostDecision, TabularMDP
from ...core.errors import OrrlWarning
from .noise import check_rows, discretise
from .validate import WARNED, worst_cut

if TYPE_CHECKING:
    from .data import Fishery

__all__ = ["Grids", "build", "post_decision", "tabular"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Grids:
    """Arrays of a fishery with S stocks, Q quotas, O surveys, F efforts and E post-decision points.

    Parameters
    ----------
    stocks, quotas, seen : (S,), (Q,), (O,)
        Grids, units of the stock.
    left : (E,)
        Post-decision points: the stock that is left or, where growth comes first, next year's mean.
    index : (S, Q) int
        Point that a stock and a quota lead to.
    rows : (E, S)
        Law of next year's stock.
    laws : (F, S, O)
        Law of the survey.
    reward : (S, F * Q)
        Utility; action ``f * Q + q``.
    by_quota, by_survey : (Q, S) int, (F, O, S)
        `index` and `laws` with the other axis first, for Bayes' rule over batches.
    """

    stocks: FloatArray
    quotas: FloatArray
    seen: FloatArray
    left: FloatArray
    index: IntArray
    rows: FloatArray
    laws: FloatArray
    reward: FloatArray
    by_quota: IntArray
    by_survey: FloatArray

    def nearest_stock(self, value: Any) -> Any:
        """Number of the stock nearest a value (...,)."""
        return _nearest(self.stocks, value)

    def nearest_quota(self, value: Any) -> Any:
        """Number of the quota nearest a value (...,)."""
        return _nearest(self.quotas, value)

    def nearest_survey(self, value: Any) -> Any:
        """Number of the survey nearest a value (...,)."""
        return _nearest(self.seen, value)


def _nearest(grid: FloatArray, value: Any) -> Any:
    return np.clip(np.rint(np.asarray(value) / (grid[1] - grid[0])), 0, len(grid) - 1).astype(np.int64)


def build(problem: Fishery) -> Grids:
    """Arrays of a fishery; warns where the grid cuts mass, with the amount."""
    stock, cut = worst_cut(problem)
    if cut > WARNED:
        warnings.warn(
            f"{problem.name}: the grid cuts {cut:.2%} of the mass of next year's stock from a stock of {stock:.4g}; a "
            "larger top or more points would keep it",
            OrrlWarning,
            stacklevel=3,
        )
    n = problem.n
    stocks = np.linspace(0.0, problem.top, n)
    quotas = np.linspace(0.0, problem.top, problem.n_quotas or n)
    seen = np.linspace(0.0, problem.top, problem.n_surveys or n)
    caught = np.minimum(stocks[:, None], quotas[None, :])
    if problem.order == "recruit-harvest":
        left, index = _distinct(problem.growth.f(stocks)[:, None] - caught)
        mean = left
    else:
        left, index = _distinct(stocks[:, None] - caught)
        mean = problem.growth.f(left)
    rows = discretise(problem.noise, stocks, mean, problem.sigma_g, problem.rule)
    law = problem.survey_noise or problem.noise
    laws = np.stack([discretise(law, seen, stocks, sigma, problem.rule) for sigma, _ in problem.surveys])
    check_rows(rows, left, "transition")
    for each in laws:
        check_rows(each, stocks, "survey")
    inverse = np.where(stocks > 0.0, 1.0 / np.where(stocks > 0.0, stocks, 1.0), 0.0)
    earned = problem.price * caught**problem.power - problem.cost * caught**problem.cost_power * inverse[:, None]
    reward = np.concatenate([earned - cost for _, cost in problem.surveys], axis=1)
    turned = np.ascontiguousarray(index.T), np.ascontiguousarray(np.transpose(laws, (0, 2, 1)))
    return Grids(stocks, quotas, seen, left, index, rows, laws, reward, *turned)


def _distinct(values: FloatArray) -> tuple[FloatArray, IntArray]:
    """Distinct values (E,) up to rounding, and which of them each entry is."""
    scale = max(float(np.abs(values).max()), 1e-300)
    _, first, index = np.unique(np.rint(values / scale * 1e11), return_index=True, return_inverse=True)
    return values.ravel()[first], np.asarray(index.reshape(values.shape), np.int64)


def tabular(problem: Fishery) -> TabularMDP:
    """MDP of S stocks and F * Q actions, with the surveys' laws unless the stock is seen as it is.

    ``initial`` is the belief at the first decision; with ``start="paper"`` it comes before the first survey and is not
    the law of the first stock, so these tables are not `exact`.
    """
    g = problem.grids
    chains = [np.ascontiguousarray(g.rows[g.index[:, q]]) for q in range(len(g.quotas))]
    levels = len(problem.surveys)
    words = [f"quota {q:.4g}" for q in g.quotas]
    names = [f"{w}, effort {e}" for e in range(levels) for w in words] if problem.efforts else words
    return TabularMDP(
        transition=tuple(chains * levels),
        reward=g.reward,
        discount=problem.discount,
        initial=problem.belief,
        mask=np.ones(g.reward.shape, np.bool_),
        horizon=None if problem.horizon is None else problem.horizon - problem.stage,
        observation=None if problem.observed else tuple(law for law in g.laws for _ in g.quotas),
        state_names=tuple(f"stock {x:.4g}" for x in g.stocks),
        action_names=tuple(names),
        exact=problem.process == "grid" and (problem.start != "paper" or problem.observed),
    )


def post_decision(problem: Fishery) -> PostDecision:
    """The same with shared rows."""
    g = problem.grids
    index = np.tile(g.index, (1, len(problem.surveys)))
    return PostDecision(
        grid=g.left, index=index, rows=g.rows, reward=g.reward, discount=problem.discount, initial=problem.belief
    )
