"""A POMDP prepared for planning: equal rows are kept once, beliefs are moved by one small product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...core.capabilities import HasTabular
from ...core.errors import DataError
from ...core.types import Support

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...core.decision_models import TabularMDP

__all__ = ["PomdpArrays", "pomdp_support", "signed_value"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NEGLIGIBLE = 1e-7
"""Observations of a smaller probability are lumped: bounded by the corners above, by one vector below (both valid)."""


@dataclass(frozen=True, slots=True)
class PomdpArrays:
    """Arrays of a POMDP with S states, A actions, O observations; rewards are maximised.

    Parameters
    ----------
    reward : (S, A)
        Expected reward.
    discount : float
        Factor a step, below 1.
    initial : (S,)
        Initial belief.
    rows : (M, S) array or CSR
        The distinct rows of all transition matrices.
    row_of : (A, S) int
        Which of them belongs to an action and a state.
    laws : tuple of (S, O)
        The distinct observation matrices, ``law[s2, o]``.
    law_of : (A,) int
        Which of them belongs to an action.
    sparse : bool
        Whether `rows` is a CSR matrix.
    pairs : (N, 2) int
        The pairs (row, law) that occur.
    pair_of : (A, S) int
        Which of them belongs to an action and a state.

    Notes
    -----
    In a fishery a row depends on the stock that is left only: 10 000 rows of a 100-state model are 100 distinct ones;
    this is what makes the bounds of `pomdp_bounds` cheap.
    """

    reward: FloatArray
    discount: float
    initial: FloatArray
    rows: Any
    row_of: IntArray
    laws: tuple[FloatArray, ...]
    law_of: IntArray
    sparse: bool
    pairs: IntArray
    pair_of: IntArray

    @classmethod
    def of(cls, table: TabularMDP) -> PomdpArrays:
        """Prepare the tables of a problem.

        Raises
        ------
        DataError
            Where there are no observations, a row does not sum to one, or an action is legal in some states only.
        """
        if table.observation is None:
            raise DataError("the tables have no observation law: use an MDP method")
        table = _ended(table)
        legal = table.mask.any(axis=0)
        if not (table.mask[:, legal]).all():
            s, a = np.argwhere(~table.mask & legal)[0].tolist()
            raise DataError(
                f"action {_name(table.action_names, a)} is forbidden in state {_name(table.state_names, s)} only: a "
                "belief cannot tell; allow it everywhere and give it a bad reward there"
            )
        if not legal.all():
            raise DataError(
                f"action {_name(table.action_names, int(np.argmin(legal)))} is legal in no state: leave it out"
            )
        chains = [sparse.csr_matrix(t) for t in table.transition]
        states = chains[0].shape[0]
        stacked = sparse.vstack(chains).tocsr()
        stacked.eliminate_zeros()
        stacked.sort_indices()
        _check_sums(np.asarray(stacked.sum(axis=1), dtype=np.float64).ravel(), states, table, "transition")
        first, inverse = _distinct(stacked)
        rows = stacked[first]
        thin = rows.nnz < 0.15 * rows.shape[0] * states
        laws, law_of = _laws(table)
        row_of = inverse.reshape(len(chains), states)
        pair, pair_of = np.unique(row_of * len(laws) + law_of[:, None], return_inverse=True)
        return cls(
            reward=np.ascontiguousarray(table.reward, dtype=np.float64),
            discount=float(table.discount),
            initial=np.ascontiguousarray(table.initial, dtype=np.float64),
            rows=rows if thin else np.ascontiguousarray(rows.toarray()),
            row_of=row_of,
            laws=laws,
            law_of=law_of,
            sparse=thin,
            pairs=np.stack([pair // len(laws), pair % len(laws)], axis=1),
            pair_of=pair_of.reshape(row_of.shape),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """S, A, O."""
        return (*self.reward.shape, self.laws[0].shape[1])

    def predict(self, belief: FloatArray, action: int) -> FloatArray:
        """Law (S,) of the next state, before it is observed; `belief` (S,) need not sum to one."""
        support = belief.nonzero()[0]
        if self.sparse:  # entry by entry: scipy's product costs more in set-up than in work
            chance, row = belief[support], self.row_of[action, support]
            begin, length = self.rows.indptr[row], self.rows.indptr[row + 1] - self.rows.indptr[row]
            ends = np.cumsum(length)
            entry = np.arange(ends[-1]) + np.repeat(begin - ends + length, length)
            mass = np.repeat(chance, length) * self.rows.data[entry]
            law = np.bincount(self.rows.indices[entry], weights=mass, minlength=len(belief))
            return np.asarray(law, dtype=np.float64)
        weight = np.bincount(self.row_of[action, support], weights=belief[support], minlength=self.rows.shape[0])
        return np.asarray(weight @ self.rows, dtype=np.float64)

    def split(self, ahead: FloatArray, action: int) -> tuple[FloatArray, IntArray, FloatArray]:
        """Joint law of next state and observation.

        Returns
        -------
        block : (N, S)
            Row i is ``P(s2, o_i)``: the unnormalised belief after the observation ``seen[i]``.
        seen : (N,) int
            The observations that are likely enough.
        rest : (S,)
            What is left: states with one of the other observations.
        """
        law = self.laws[self.law_of[action]]
        mass = ahead @ law
        seen = (mass > NEGLIGIBLE * mass.sum()).nonzero()[0]
        block = np.ascontiguousarray(law.T[seen] * ahead)
        return (
            block,
            seen,
            np.maximum(ahead - block.sum(axis=0), 0.0) if len(seen) < len(mass) else np.zeros_like(ahead),
        )

    def update(self, belief: FloatArray, action: int, observation: int) -> FloatArray:
        """Belief (S,) after an action and an observation (Bayes).

        Raises
        ------
        DataError
            Where the observation is impossible.
        """
        joint = self.predict(belief, action) * self.laws[self.law_of[action]][:, observation]
        total = float(joint.sum())
        if total <= 0.0:
            raise DataError(f"observation {observation} is impossible after action {action} at this belief")
        return np.asarray(joint / total, dtype=np.float64)

    def back(self, value: FloatArray, action: int) -> FloatArray:
        """Expected value (S,) of ``value (S,)`` in the next state."""
        return np.asarray((self.rows @ value)[self.row_of[action]], dtype=np.float64)

    def joint_blocks(self, cells: int = 4_000_000) -> Iterator[tuple[slice, Any]]:
        """Yield ``(part, block)``: for ``pairs[part]`` the rows ``P(s2, o)``, (len * O, S), CSR where `rows` is."""
        states, _, seen = self.shape
        step = max(1, cells // (states * seen))
        for begin in range(0, len(self.pairs), step):
            pairs = self.pairs[begin : begin + step]
            part = slice(begin, begin + len(pairs))
            if not self.sparse:
                laws = np.stack([law.T for law in self.laws])[pairs[:, 1]]
                yield part, np.ascontiguousarray((laws * self.rows[pairs[:, 0]][:, None, :]).reshape(-1, states))
                continue
            entry = self.rows[pairs[:, 0]].tocoo()
            law = np.stack(self.laws)[pairs[entry.row, 1], entry.col]  # (entries, O)
            at, o = np.nonzero(law)
            where = (entry.row[at].astype(np.int64) * seen + o, entry.col[at])
            yield part, sparse.csr_matrix((entry.data[at] * law[at, o], where), shape=(len(pairs) * seen, states))


def pomdp_support(problem: Any) -> Support:
    """Whether a problem is a discounted POMDP without horizon that this code can take."""
    offered: Support = problem.supports(HasTabular)
    if not offered:
        return offered
    table = problem.tabular()
    if table.observation is None:
        return Support(False, "its tables have no observation law (a fully observed problem): use an MDP method")
    if table.horizon is not None:
        return Support(
            False, f"it ends after {table.horizon} steps: this method is for the discounted infinite horizon"
        )
    if not table.discount < 1.0:
        return Support(False, f"its discount is {table.discount:g}: without a factor below 1 the value need not exist")
    legal = table.mask.any(axis=0)
    alive = table.mask.any(axis=1)
    if not table.mask[np.ix_(alive, legal)].all() or not legal.all():
        return Support(False, "an action is legal in some states only, which a belief cannot tell: allow it at a cost")
    return Support(True)


def signed_value(problem: Any, value: float) -> float:
    """The problem's objective where the discounted rewards from its start on are worth `value`."""
    goal = problem.objective
    return float(getattr(problem, "accrued", 0.0) + goal.sign * goal.discount**goal.stage * value)


def _ended(table: TabularMDP) -> TabularMDP:
    """States without a legal action have ended: they stay, and earn nothing."""
    from dataclasses import replace

    ended = np.flatnonzero(~table.mask.any(axis=1))
    if not len(ended):
        return table
    chains = []
    for chain in table.transition:
        stay = sparse.lil_matrix(chain)
        for s in ended.tolist():
            stay[s, :] = 0.0
            stay[s, s] = 1.0
        chains.append(stay.tocsr())
    reward, mask = table.reward.copy(), table.mask.copy()
    reward[ended], mask[ended] = 0.0, table.mask.any(axis=0)
    return replace(table, transition=chains, reward=reward, mask=mask)


def _distinct(rows: Any) -> tuple[IntArray, IntArray]:
    """First index of each distinct row of a CSR matrix, and the number of its kind for each row."""
    known: dict[bytes, int] = {}
    first: list[int] = []
    kind = np.empty(rows.shape[0], dtype=np.int64)
    for i in range(rows.shape[0]):
        a, b = rows.indptr[i], rows.indptr[i + 1]
        key = rows.indices[a:b].tobytes() + b"|" + rows.data[a:b].tobytes()
        kind[i] = known.setdefault(key, len(first))
        if kind[i] == len(first):
            first.append(i)
    return np.array(first, dtype=np.int64), kind


def _laws(table: TabularMDP) -> tuple[tuple[FloatArray, ...], IntArray]:
    known: dict[bytes, int] = {}
    laws: list[FloatArray] = []
    law_of = np.empty(len(table.transition), dtype=np.int64)
    assert table.observation is not None
    matrix: Any
    for a, matrix in enumerate(table.observation):
        law = np.ascontiguousarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)
        law_of[a] = known.setdefault(law.tobytes(), len(laws))
        if law_of[a] == len(laws):
            _check_sums(law.sum(axis=1), len(law), table, "observation", action=a)
            laws.append(law)
    return tuple(laws), law_of


def _check_sums(sums: FloatArray, states: int, table: TabularMDP, what: str, action: int | None = None) -> None:
    wrong = np.flatnonzero(~(np.abs(sums - 1.0) <= 1e-4))
    if len(wrong):
        a, s = divmod(int(wrong[0]), states)
        a = a if action is None else action
        raise DataError(
            f"the {what} row of action {_name(table.action_names, a)}, state {_name(table.state_names, s)} sums to "
            f"{sums[wrong[0]]:.6g}: it must sum to 1"
        )


def _name(names: tuple[str, ...], index: int) -> str:
    return repr(names[index]) if index < len(names) else str(index)
