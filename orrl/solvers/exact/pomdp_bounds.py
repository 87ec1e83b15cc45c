"""Bounds of a POMDP's value to begin from: blind policies below; QMDP and the fast informed bound above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Callable

    from .pomdp_model import PomdpArrays

__all__ = ["blind_policies", "fast_informed_bound", "memoryless_policies", "qmdp"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def blind_policies(model: PomdpArrays, *, over: Callable[[], bool] = lambda: False) -> FloatArray:
    """Values (A, S) of always taking one action: lower bounds, iterated up from the worst reward for ever.

    Valid at any stop, since every iterate is the value of the action for some steps and the worst ever after
    (Hauskrecht 1997, AAAI).
    """
    states, actions, _ = model.shape
    value = np.full((actions, states), float(model.reward.min()) / (1.0 - model.discount))
    if states <= 400 and not model.sparse:
        for a in range(actions):
            chain = model.rows[model.row_of[a]]
            exact = np.linalg.solve(np.eye(states) - model.discount * chain, model.reward[:, a])
            value[a] = np.maximum(value[a], exact)
            if over():
                break
        return value
    for _ in range(10_000):
        ahead = np.asarray(model.rows @ value.T)
        new = np.stack([model.reward[:, a] + model.discount * ahead[model.row_of[a], a] for a in range(actions)])
        change, value = float(np.abs(new - value).max()), new
        if change < 1e-9 or over():
            break
    return value


def memoryless_policies(
    model: PomdpArrays, q: FloatArray, *, rounds: int = 12, over: Callable[[], bool] = lambda: False
) -> list[tuple[FloatArray, list[int], IntArray]]:
    """Plans that go by the last observation only, with their exact values: better to begin from than blind ones.

    A rule ``k(o)`` gives ``V(s,a) = r(s,a) + g sum_s2 T(s2|s,a) sum_o O(o|s2,a) V(s2,k(o))``, one linear system of S
    unknowns for each observation matrix. The next rule takes the best action where the states are weighted by how often
    the last rule was there (policy iteration, which need not improve: each rule's values are valid lower bounds).

    Parameters
    ----------
    q : (S, A)
        Values that the first rule goes by.

    Returns
    -------
    list of (vectors (N, S), actions, rule (K, O))
        Each vector goes on, after observation o under matrix k of its action, with vector ``rule[k, o]`` of its list.
    """
    states = model.shape[0]
    kinds, g = len(model.laws), model.discount
    if states * kinds > 1_000:
        return []
    weight = np.tile(model.initial, (kinds, 1))
    found, told = [], set()
    value: Any = q
    for _ in range(rounds):
        rule = np.stack([(law.T * weight[k] @ value).argmax(axis=1) for k, law in enumerate(model.laws)])  # (K, O)
        if rule.tobytes() in told or over():
            break
        told.add(rule.tobytes())
        chain, gain = np.zeros((kinds, states, kinds, states)), np.zeros((kinds, states))
        used = np.unique(rule)
        for a in used.tolist():
            matrix = model.rows[model.row_of[a]]
            matrix = matrix.toarray() if model.sparse else matrix
            for k, law in enumerate(model.laws):
                share = law[:, rule[k] == a].sum(axis=1)
                chain[k, :, model.law_of[a]] += share[:, None] * matrix
                gain[k] += share * model.reward[:, a]
        system = np.eye(kinds * states) - g * chain.reshape(kinds * states, -1)
        ahead = np.linalg.solve(system, gain.ravel()).reshape(kinds, states)
        back = np.asarray(model.rows @ ahead.T)  # (M, K)
        value = model.reward + g * back[model.row_of, model.law_of[:, None]].T
        # only vectors that the rule itself takes, and the best first step
        first = int((model.initial @ value).argmax())
        kept = np.union1d(used, [first])
        found.append((np.ascontiguousarray(value[:, kept].T), kept.tolist(), np.searchsorted(kept, rule)))
        begin = np.zeros((kinds, states))
        begin[model.law_of[first]] = model.predict(model.initial, first)
        weight = np.asarray(np.linalg.solve(system.T, begin.ravel()).reshape(kinds, states), dtype=np.float64)
        weight = np.maximum(weight, 0.0) + 1e-12
    return found


def qmdp(
    model: PomdpArrays, *, tolerance: float = 1e-9, sweeps: int = 20_000, over: Callable[[], bool] = lambda: False
) -> FloatArray:
    """Values (S, A) of a world that shows its state after one step: an upper bound (Littman et al. 1995).

    Iterated down from the best reward for ever, so that any stop leaves an upper bound.
    """
    q = np.full(model.reward.shape, float(model.reward.max()) / (1.0 - model.discount))
    for _ in range(sweeps):
        new = np.minimum(q, model.reward + model.discount * (model.rows @ q.max(axis=1))[model.row_of].T)
        change, q = float((q - new).max()), new
        if change < tolerance or over():
            break
    return q


def fast_informed_bound(
    model: PomdpArrays,
    start: FloatArray,
    *,
    tolerance: float = 1e-7,
    rounds: int = 1_000,
    over: Callable[[], bool] = lambda: False,
) -> FloatArray:
    """Values (S, A) of a world that shows the state one step late: below QMDP, above the optimum (Hauskrecht 2000).

    Parameters
    ----------
    start : (S, A)
        A valid upper bound, such as `qmdp`'s. The bound goes down from it, so it may stop anywhere: begun from zero it
        would lie *below* the optimum until it converges.
    tolerance : float
        Stop when the result is this close to the fixed point, relative to the largest value.

    Notes
    -----
    ``Q(s,a) = r(s,a) + g sum_o max_b sum_s2 T(s2|s,a) O(o|s2,a) Q(s2,b)``; the inner sum is taken once for each
    distinct pair of transition row and observation matrix. A full sweep H is followed by cheap ones that keep
    its choices b.
    Those may undershoot, so a candidate Q counts only with ``max(HQ - Q) / (1 - g)`` added, which is above the fixed
    point whatever Q is.
    """
    seen, g = model.shape[2], model.discount
    small = len(model.pairs) * seen * model.shape[0] <= 20_000_000
    kept = list(model.joint_blocks()) if small else None
    valid, q = start.copy(), start.copy()
    for _ in range(rounds):
        worth = np.empty(len(model.pairs))
        chosen = []
        for part, block in kept if kept is not None else model.joint_blocks():
            value = block @ q
            pick = value.argmax(axis=1)
            chosen.append(_follow(block, pick, seen, q.shape[1]))
            worth[part] = value[np.arange(len(pick)), pick].reshape(-1, seen).sum(axis=1)
            if over():
                return valid
        new = model.reward + g * worth[model.pair_of].T
        excess = max(0.0, float((new - q).max())) / (1.0 - g)
        change = float(np.abs(new - q).max())
        valid, q = np.minimum(valid, new + g * excess), new
        if change < tolerance * (1.0 - g) * float(np.abs(q).max()):
            break
        for _ in range(100):  # the choices stay: one product with (pairs, S * A) numbers, most of them zero
            worth = np.concatenate([c @ q.ravel() for c in chosen])
            new = model.reward + g * worth[model.pair_of].T
            change, q = float(np.abs(new - q).max()), new
            if change < 0.1 * tolerance * (1.0 - g) * float(np.abs(q).max()) or over():
                break
    return valid


def _follow(block: Any, pick: IntArray, seen: int, actions: int) -> Any:
    """CSR (pairs, S * A) that sums a table ``Q.ravel()`` over the observations, each with its picked action."""
    shape = (len(pick) // seen, block.shape[1] * actions)
    if hasattr(block, "tocoo"):
        entry = block.tocoo()
        return sparse.csr_matrix((entry.data, (entry.row // seen, entry.col * actions + pick[entry.row])), shape=shape)
    column = np.arange(block.shape[1]) * actions
    data, index, start = [], [], [0]
    for p, rows in enumerate(block.reshape(shape[0], seen, -1)):
        kinds, which = np.unique(pick[p * seen : (p + 1) * seen], return_inverse=True)
        data.append((np.eye(len(kinds))[which].T @ rows).ravel())  # observations with the same action are summed
        index.append((column[None, :] + kinds[:, None]).ravel())
        start.append(start[-1] + len(data[-1]))
    return sparse.csr_matrix((np.concatenate(data), np.concatenate(index), start), shape=shape)
