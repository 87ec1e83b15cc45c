"""Bayes' rule on the grid: what a manager knows about the stock, for a batch of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .data import Fishery
    from .tables import Grids

__all__ = ["BeliefFilter", "correct", "predict", "present", "prior", "quantile"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def prior(problem: Fishery) -> FloatArray:
    """Belief (S,) before the first decision and the first survey, see `Fishery.start`."""
    n, g = problem.n, problem.grids
    start = problem.start
    if isinstance(start, tuple):
        return np.array(start, np.float64)
    if start == "uniform":
        return np.full(n, 1.0 / n)
    if start == "paper" and not problem.observed:
        return np.full(n, 1.0 / n) @ g.rows[g.index[:, 0]]
    return np.asarray(np.eye(n)[g.nearest_stock(first_stock(problem))])


def first_stock(problem: Fishery) -> float:
    """The stock of the first year where it is given."""
    return problem.growth.unfished / 6.0 if problem.start == "paper" else float(problem.start)


def present(problem: Fishery) -> FloatArray:
    """Belief (S,) at the decision that comes next, by Bayes' rule from the beginning."""
    state = problem.state
    belief = prior(problem)[None]
    if state is None:
        return belief[0]
    g = problem.grids
    quota, seen = g.nearest_quota(np.array(state.quota)), g.nearest_survey(np.array(state.seen))
    if problem.survey_first:
        belief = correct(g, belief, np.zeros(1, np.int64), seen[:1])
    for t, effort in enumerate(state.effort):
        belief = predict(g, belief, quota[t : t + 1])
        belief = correct(g, belief, np.array([effort]), seen[t + 1 : t + 2])
    return np.asarray(belief[0])


def predict(g: Grids, beliefs: FloatArray, quota: IntArray) -> FloatArray:
    """Law (B, S) of next year's stock after the quotas number `quota` (B,), before the survey."""
    rows, points = len(beliefs), len(g.left)
    where = g.by_quota[quota]
    where += points * np.arange(rows)[:, None]
    weight = np.bincount(where.ravel(), weights=beliefs.ravel(), minlength=rows * points).reshape(rows, points)
    return np.asarray(weight @ g.rows)


def correct(g: Grids, ahead: FloatArray, effort: IntArray, seen: IntArray) -> FloatArray:
    """Beliefs (B, S) after surveys number `seen` (B,) of the efforts (B,); a survey that cannot be changes nothing."""
    joint = g.by_survey[effort, seen]
    joint *= ahead
    total = joint.sum(axis=1, keepdims=True)
    if (total > 0.0).all():
        joint /= total
        return np.asarray(joint)
    return np.where(total > 0.0, joint / np.where(total > 0.0, total, 1.0), ahead)


def quantile(g: Grids, beliefs: FloatArray, share: float) -> FloatArray:
    """Stock (B,) below or at which `share` of each belief lies."""
    reached = np.cumsum(beliefs, axis=1) >= share - 1e-12
    return np.asarray(g.stocks[reached.argmax(axis=1)])


class BeliefFilter:
    """Beliefs (B, S) of rows that play one problem (or another that is assumed to be this one).

    Parameters
    ----------
    problem : Fishery
        The model that is believed in.
    batch : int
        Rows.
    """

    def __init__(self, problem: Fishery, batch: int) -> None:
        self.problem, self.grids = problem, problem.grids
        self.beliefs = np.tile(problem.belief, (batch, 1))
        self._fresh = problem.state is None

    def first(self, seen: IntArray) -> None:
        """Before the first decision: take in its survey where one has been made."""
        if self._fresh and self.problem.survey_first:
            self.beliefs = correct(self.grids, self.beliefs, np.zeros(len(seen), np.int64), seen)

    def next(self, quota: IntArray, effort: IntArray, seen: IntArray) -> None:
        """After a year: quotas, efforts and surveys as numbers (B,)."""
        self.beliefs = correct(self.grids, predict(self.grids, self.beliefs, quota), effort, seen)

    @property
    def mean(self) -> FloatArray:
        """Expected stock (B,)."""
        return np.asarray(self.beliefs @ self.grids.stocks)
