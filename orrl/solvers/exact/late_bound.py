"""An upper bound for high noise: what a POMDP is worth to one who learns its state two steps late.

The fast informed bound gives a value to each state and action: the state is learned one step late. Here the same step
is taken on beliefs: point (p, o) is the belief after observation o where the last state and action (pair p of
transition row and observation law) were known. A belief's successors are exact mixtures of such points, so no
projection is needed (a fixed case of the augmented bound of Poupart, Kim, Kim 2011, ICAPS, section 4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

    from .pomdp_model import PomdpArrays

__all__ = ["LateBound"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class LateBound:
    """Values ``q[p, o, a]`` of taking an action at the unnormalised beliefs ``u(s) = P(s, o | p)`` of pair p.

    ``Q(u,a) = r(u,a) + g sum_o2 max_b sum_s u(s) Q(p(s,a), o2, b)``: an upper bound wherever the right side has upper
    bounds, so any part may be updated at any time. Points that are seldom met keep the value of the fast informed
    bound that they begin with. Only `likely` second actions b are told apart; the others share one column, the largest
    of them at each point, which can only be higher.

    Parameters
    ----------
    fib : (S, A)
        A valid upper bound of acting in a state.
    vectors : (N, S)
        Lower bounds; actions that are worse than these at a point are not worth an update there.
    work : float
        Multiplications in a sweep; the points met most often come first.
    likely : int
        Second actions told apart for each observation.

    Attributes
    ----------
    q : (P, O, A)
        Upper bounds.
    """

    LARGEST = 4_000_000
    """Pairs times observations times states above which the points are too many to list."""

    def __init__(
        self, model: PomdpArrays, fib: FloatArray, vectors: FloatArray, *, work: float = 3e9, likely: int = 16
    ) -> None:
        self.model = model
        _, actions, seen = model.shape
        pairs = len(model.pairs)
        blocks = [b.toarray() if model.sparse else b for _, b in model.joint_blocks()]
        self.points = np.concatenate(blocks)  # (P * O, S)
        self.q = (self.points @ fib).reshape(pairs, seen, actions)
        self.mass = self.points.sum(axis=1)
        flat = self.q.reshape(-1, actions)
        met = self._met(flat.argmax(axis=1), int((model.initial @ fib).argmax()))
        low = (self.points @ vectors.T).max(axis=1)
        self.columns = min(likely, actions)
        weight = met.reshape(pairs, seen)
        score = np.einsum("po,poa->oa", weight / np.maximum(self.mass.reshape(pairs, seen), 1e-300), self.q)
        self.second = np.argsort(-score, axis=1, kind="stable")[:, : self.columns]  # (O, K)
        self._gather()
        todo: list[tuple[int, int]] = []
        for i in np.argsort(-met, kind="stable").tolist():
            if met[i] <= 1e-7 or len(todo) * self.table.size > work:
                break
            todo += [(i, a) for a in np.flatnonzero(flat[i] >= low[i]).tolist()]
        self.todo = np.array(todo, dtype=np.int64).reshape(-1, 2)
        self.moving = len(todo) > 0

    def restore(self, q: FloatArray, second: IntArray, todo: IntArray, moving: bool) -> None:
        """Go on from saved values."""
        self.q, self.second, self.todo, self.moving = q.copy(), second, todo, moving
        self._gather()

    @property
    def work(self) -> float:
        """Multiplications in a sweep."""
        return float(len(self.todo) * self.table.size)

    @classmethod
    def fits(cls, model: PomdpArrays) -> bool:
        """Whether a model is small enough."""
        return len(model.pairs) * model.shape[2] * model.shape[0] <= cls.LARGEST

    def _met(self, greedy: IntArray, first: int) -> FloatArray:
        """Discounted number of visits (P * O,) of the points under an action for each, from the initial belief."""
        model, pairs = self.model, len(self.model.pairs)
        where = model.pair_of[greedy]  # (P * O, S): the next pair
        chain = np.zeros((pairs, pairs))
        origin = np.repeat(np.arange(pairs), model.shape[2])[:, None]
        np.add.at(chain, (np.broadcast_to(origin, where.shape), where), self.points)
        start = np.zeros(pairs)
        np.add.at(start, model.pair_of[first], model.initial)
        visits = np.linalg.solve(np.eye(pairs) - model.discount * chain.T, start)
        return np.asarray(np.maximum(np.repeat(visits, model.shape[2]) * self.mass, 0.0))

    def _gather(self) -> None:
        """``table[p, o, k]``: the likely second actions, and the best of the others in the last column."""
        actions = self.q.shape[2]
        own = np.take_along_axis(self.q, self.second[None], axis=2)
        if self.columns < actions:
            others = self.q.copy()
            np.put_along_axis(others, np.broadcast_to(self.second[None], own.shape), -np.inf, axis=2)
            own = np.concatenate([own, others.max(axis=2, keepdims=True)], axis=2)
        self.table = np.ascontiguousarray(own)

    def ahead(self, belief: FloatArray, action: int) -> FloatArray:
        """Upper bounds (O,) of the unnormalised beliefs that follow an action at a belief (S,)."""
        pairs = len(self.model.pairs)
        weight = np.bincount(self.model.pair_of[action], weights=belief, minlength=pairs)
        used = weight.nonzero()[0]
        worth = weight[used] @ self.table.reshape(pairs, -1)[used]
        return np.asarray(worth.reshape(self.table.shape[1:]).max(axis=1))

    def sweep(self, *, over: Callable[[], bool] = lambda: False) -> None:
        """Lower the values of the chosen points once; broken off, it changes nothing."""
        model, g = self.model, self.model.discount
        pairs, seen, actions = self.q.shape
        flat, table = self.q.reshape(-1, actions), self.table.reshape(pairs, -1)
        at, taken = self.todo[:, 0], self.todo[:, 1]
        new = np.empty(len(at))
        step = max(1, 4_000_000 // table.shape[1])
        for begin in range(0, len(at), step):
            if over():
                return
            part = slice(begin, begin + step)
            count = len(at[part])
            where = model.pair_of[taken[part]] + pairs * np.arange(count)[:, None]
            u = self.points[at[part]]
            weight = np.bincount(where.ravel(), weights=u.ravel(), minlength=count * pairs).reshape(count, pairs)
            worth = (weight @ table).reshape(count, seen, -1).max(axis=2).sum(axis=1)
            new[part] = np.einsum("ns,ns->n", u, model.reward.T[taken[part]]) + g * worth
        change = (flat[at, taken] - new) / self.mass[at]
        flat[at, taken] = np.minimum(flat[at, taken], new)
        self._gather()
        self.moving = bool(change.max(initial=0.0) > 1e-6 * np.abs(model.reward).max())
