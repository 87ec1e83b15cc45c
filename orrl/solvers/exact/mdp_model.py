"""A finite MDP prepared for dynamic programming, and what its methods share: support, values, and honest outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...core.capabilities import HasPostDecision, HasTabular
from ...core.program import Outcome
from ...core.tables import TablePolicy
from ...core.tabular_lp import SEEN
from ...core.types import Support
from .pomdp_model import signed_value

if TYPE_CHECKING:
    from ...core.decision_models import TabularMDP

__all__ = ["MdpArrays", "conclude", "mdp_support"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class MdpArrays:
    """Tables of an MDP with S states and A actions, with rows shared where the problem says so.

    Parameters
    ----------
    table : TabularMDP
        The problem's.
    rows : (M, S) array or CSR
        Laws of the next state.
    row_of : (S, A) int
        Which of them belongs to a state and an action.
    alive : (S,) bool
        States with a legal action; the others have ended and are worth 0.
    """

    table: TabularMDP
    rows: Any
    row_of: IntArray
    alive: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, problem: Any) -> MdpArrays:
        """Prepare the tables of a problem."""
        table: TabularMDP = problem.tabular()
        states, actions = table.reward.shape
        alive = np.asarray(table.mask.any(axis=1))
        if problem.supports(HasPostDecision):
            post = problem.post_decision()
            return cls(table, np.ascontiguousarray(post.rows), np.asarray(post.index, np.int64), alive)
        stacked = sparse.vstack([sparse.csr_matrix(t) for t in table.transition]).tocsr()
        rows = stacked if stacked.nnz < 0.2 * stacked.shape[0] * states else stacked.toarray()
        return cls(table, rows, (np.arange(actions) * states + np.arange(states)[:, None]), alive)

    def q(self, value: FloatArray) -> FloatArray:
        """Worth (S, A) of each action where the next state is worth `value` (S,); -inf where illegal."""
        ahead = np.asarray(self.rows @ value)[self.row_of]
        return np.where(self.table.mask, self.table.reward + self.table.discount * ahead, -np.inf)

    def best(self, q: FloatArray) -> FloatArray:
        """Values (S,) of the best actions; 0 where the problem has ended."""
        return np.where(self.alive, q.max(axis=1), 0.0)

    def policy_value(self, actions: IntArray) -> FloatArray:
        """Exact stationary value (S,) of one action a state, by one linear system (Puterman 1994, 6.1)."""
        states = len(actions)
        here = np.arange(states)
        chain: Any = self.rows[self.row_of[here, actions]]
        gain = self.table.reward[here, actions]
        gain = np.where(self.alive, gain, 0.0)
        if sparse.issparse(chain):
            from scipy.sparse.linalg import spsolve

            alive: Any = sparse.diags(self.alive.astype(np.float64))
            kept = alive @ chain
            system = (sparse.identity(states) - self.table.discount * kept).tocsc()
            return np.asarray(spsolve(system, gain), np.float64).reshape(states)
        return np.asarray(np.linalg.solve(np.eye(states) - self.table.discount * chain * self.alive[:, None], gain))

    def law(self, actions: IntArray) -> FloatArray:
        """One action a state (S,) as probabilities (S, A); rows of ended states are empty."""
        law = np.zeros(self.table.reward.shape)
        law[self.alive, actions[self.alive]] = 1.0
        return law

    def above(self, value: FloatArray, improved: FloatArray) -> FloatArray:
        """Upper bound (S,) of the optimum from one sweep ``improved = T value`` (Puterman 1994, theorem 6.6.3).

        With ended states the largest change is taken as at least 0, theirs.
        """
        g = self.table.discount
        return improved + g / (1.0 - g) * float((improved - value).max())


def mdp_support(problem: Any, *, horizon: bool | None = None) -> Support:
    """Whether a problem has tables, and the kind of horizon that a method needs (None: either)."""
    offered: Support = problem.supports(HasTabular)
    if not offered:
        return offered
    table = problem.tabular()
    if table.horizon is not None and horizon is False:
        return Support(False, f"it ends after {table.horizon} steps: use value-iteration (backward induction)")
    if table.horizon is None and not table.discount < 1.0:
        return Support(False, f"its discount is {table.discount:g} without a horizon: its value need not exist")
    return Support(True)


def conclude(
    problem: Any,
    law: FloatArray,
    value: float,
    bound: float,
    *,
    name: str,
    stop: str,
    optimal: bool,
    meta: dict[str, Any] | None = None,
) -> Outcome:
    """Outcome of a policy on the tables, worth `value` there, where the optimum is worth at most `bound`.

    Where the state is hidden the policy cannot be played and its value is none of the problem's: the result has no
    objective, its bound is of the problem with its state seen, and both values stand in ``meta["seen"]``.
    """
    table = problem.tabular()
    low, high = signed_value(problem, value), signed_value(problem, max(value, bound))
    found = dict(meta or {})
    hash_ = problem.content_hash
    if table.observation is not None:
        policy = TablePolicy(law, content_hash=hash_, name=f"{name} (sees the state)")
        found["seen"] = {"objective": low, "bound": high}
        text = f"solved as if the state were seen, where the policy is worth {low:.9g}: no value of this problem"
        return Outcome("feasible", stop, bound=high, bound_of=SEEN, policy=policy, message=text, meta=found)
    policy = TablePolicy(law, content_hash=hash_, name=name)
    of = "" if table.exact else "the discretised problem"
    text = "" if table.exact else "the value is that of the discretised problem"
    status: Any = "optimal" if optimal else "feasible"
    return Outcome(status, stop, objective=low, bound=high, bound_of=of, policy=policy, message=text, meta=found)
