"""`incremental-pruning`: all alpha vectors of a tiny POMDP, step by step (Cassandra, Littman, Zhang 1997, UAI)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.program import Outcome
from ...core.solver import Solver
from ...core.types import Support, relative_gap
from .alpha import AlphaPolicy, undominated
from .pomdp_model import PomdpArrays, pomdp_support, signed_value

if TYPE_CHECKING:
    from ...core.run import Run

__all__ = ["IncrementalPruning", "parsimonious"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass
class IncrementalPruning(Solver):
    """Value iteration over whole value functions; exact for every belief, so it is the oracle for tiny problems.

    Begun from the worst reward for ever, every iterate is a lower bound; after an iterate that moved by at most d
    anywhere, ``d * g / (1 - g)`` more is an upper bound (Puterman 1994, Theorem 6.3.1).

    Parameters
    ----------
    precision : float
        Relative gap at which to stop where the call names none.
    largest : int
        States times observations above which it says no: the number of vectors explodes.
    """

    name: ClassVar[str] = "incremental-pruning"
    clairvoyant: ClassVar[bool] = False

    precision: float = 1e-4
    largest: int = 64

    def supports(self, problem: Any) -> Support:
        """Tiny discounted POMDPs without horizon."""
        offered = pomdp_support(problem)
        if not offered:
            return offered
        table = problem.tabular()
        assert table.observation is not None
        size = table.reward.shape[0] * table.observation[0].shape[1]
        if size > self.largest:
            return Support(False, f"states times observations are {size}, more than {self.largest}: use sarsop")
        return Support(True)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        table = problem.tabular()
        with run.clock("build"):
            model = PomdpArrays.of(table)
        g, target = model.discount, run.gap or self.precision
        vectors = np.full((1, len(model.initial)), float(model.reward.min()) / (1.0 - g))
        actions = np.zeros(1, dtype=np.int64)
        high = float(model.reward.max()) / (1.0 - g)
        low, stop, reached = float((vectors @ model.initial).max()), "time", False
        while not run.over:
            new = self._sweep(model, vectors, run)
            if new is None:
                break
            moved = float(_largest_rise(new[0], vectors))
            vectors, actions = new
            low = float((vectors @ model.initial).max())
            high = min(high, low + moved * g / (1.0 - g))
            run.incumbent(signed_value(problem, low))
            run.bound(signed_value(problem, high))
            if relative_gap(low, high) <= target or moved <= 1e-13 * max(1.0, abs(low)):
                stop, reached = "gap", True
                break
        if not reached and run.over:
            stop = run.why
        return Outcome(
            "optimal" if reached else "feasible",
            stop,
            objective=signed_value(problem, low),
            bound=signed_value(problem, high),
            bound_of="" if table.exact else "the discretised problem",
            policy=AlphaPolicy(vectors, actions, model=model, content_hash=problem.content_hash, name=self.name),
            meta={"alphas": len(vectors)},
        )

    def _sweep(self, model: PomdpArrays, vectors: FloatArray, run: Run) -> tuple[FloatArray, IntArray] | None:
        """One step of value iteration, or None where time ran out in it."""
        parts, taken = [], []
        for a in range(model.shape[1]):
            law = model.laws[model.law_of[a]]
            total = np.zeros((1, model.shape[0]))
            for o in range(law.shape[1]):
                seen = np.stack([model.discount * model.back(law[:, o] * v, a) for v in vectors])
                sums = (total[:, None, :] + seen[parsimonious(seen)][None, :, :]).reshape(-1, model.shape[0])
                total = sums[parsimonious(sums)]
                if run.over:
                    return None
            parts.append(total + model.reward[:, a])
            taken += [a] * len(total)
        merged = np.concatenate(parts)
        kept = parsimonious(merged)
        return merged[kept], np.array(taken, dtype=np.int64)[kept]


def _largest_rise(new: FloatArray, old: FloatArray) -> float:
    """Upper bound of ``max_b V_new(b) - V_old(b)``: over each new vector, the best case against all old ones."""
    rise = 0.0
    for vector in new:
        rise = max(rise, _margin(vector, old)[0])
    return rise


def parsimonious(vectors: FloatArray, *, tolerance: float = 1e-10) -> IntArray:
    """Numbers of the vectors (N, S) that are best somewhere by more than `tolerance` (Lark's filter, White 1991)."""
    todo = undominated(vectors).tolist()
    kept: list[int] = []
    for corner in np.eye(vectors.shape[1]):  # the best at each corner is needed; ties go to the largest sum
        values = vectors[todo] @ corner
        tied = [todo[i] for i in np.flatnonzero(values >= values.max() - 1e-14)]
        best = max(tied, key=lambda i: float(vectors[i].sum()))
        if best not in kept:
            kept.append(best)
    todo = [i for i in todo if i not in kept]
    while todo:
        candidate = todo[-1]
        margin, belief = _margin(vectors[candidate], vectors[kept])
        if margin <= tolerance:
            todo.pop()
            continue
        best = max(todo, key=lambda i: float(vectors[i] @ belief))
        kept.append(best)
        todo.remove(best)
    return np.sort(np.array(kept, dtype=np.int64))


def _margin(vector: FloatArray, others: FloatArray) -> tuple[float, FloatArray]:
    """The most by which a vector beats all others at one belief, and that belief: a linear program by HiGHS."""
    from scipy.optimize import linprog

    states = len(vector)
    cost = np.zeros(states + 1)
    cost[-1] = -1.0
    above = np.hstack([others - vector, np.ones((len(others), 1))])
    total = np.ones((1, states + 1))
    total[0, -1] = 0.0
    bounds = [(0.0, None)] * states + [(None, None)]
    answer: Any = linprog(cost, above, np.zeros(len(others)), total, [1.0], bounds, method="highs")
    if answer.status != 0:
        return float((vector - others).max()), np.full(states, 1.0 / states)
    return float(-answer.fun), np.asarray(answer.x[:states])
