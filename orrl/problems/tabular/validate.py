"""What the arrays of a `TabularPOMDP` must satisfy, and the shape they are kept in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import DataError

if TYPE_CHECKING:
    from .data import TabularPOMDP

__all__ = ["prepared"]

SUM = 1e-8  # a row may miss 1 by this


def prepared(problem: TabularPOMDP) -> dict[str, Any]:
    """Fields in their final form: CSR matrices, arrays that cannot be written to, names.

    Raises
    ------
    DataError
        For the first thing that is wrong.
    """
    chains = _matrices(problem.transition, "transition")
    if not chains:
        raise DataError("transition is empty: give one matrix (S, S) for each action")
    size, count = chains[0].shape[0], len(chains)
    if problem.values not in ("reward", "cost"):
        raise DataError(f"values is {problem.values!r}: give 'reward' or 'cost'")
    _horizon(problem)
    states = _names(problem.states, size, "states", "s")
    actions = _names(problem.action_names, count, "action_names", "a")
    mask = _mask(problem.mask, size, count)
    for a, matrix in enumerate(chains):
        if matrix.shape != (size, size):
            raise DataError(f"transition[{a}] has shape {matrix.shape}: give {(size, size)}")
        _rows(matrix, f"transition[{actions[a]}]", states, mask[:, a])
    seen = None
    observations = problem.observations
    if problem.observation is not None:
        seen = _matrices(problem.observation, "observation")
        if len(seen) != count:
            raise DataError(f"observation has {len(seen)} matrices for {count} actions: give one for each")
        wide = seen[0].shape[1]
        for a, matrix in enumerate(seen):
            if matrix.shape != (size, wide):
                raise DataError(f"observation[{a}] has shape {matrix.shape}: give {(size, wide)}")
            _rows(matrix, f"observation[{actions[a]}]", states, np.ones(size, np.bool_))
        observations = _names(observations, wide, "observations", "o")
    elif not observations:
        observations = states
    reward = _reward(problem.reward, chains, size, mask)
    initial = np.full(size, 1.0 / size) if problem.initial is None else np.array(problem.initial, np.float64)
    if initial.shape != (size,) or not (initial >= 0.0).all() or abs(float(initial.sum()) - 1.0) > SUM:
        raise DataError(
            f"initial has shape {initial.shape} and sums to {initial.sum():.9g}: give {size} probabilities that sum "
            "to 1"
        )
    for array in (reward, initial, mask):
        array.flags.writeable = False
    return {
        "transition": chains, "observation": seen, "reward": reward, "initial": initial, "mask": mask,
        "states": states, "action_names": actions, "observations": observations,
    }  # fmt: skip


def _matrices(given: Any, what: str) -> tuple[Any, ...]:
    from scipy import sparse

    found = []
    for a, one in enumerate(given):
        if not sparse.issparse(one) and np.ndim(one) != 2:
            raise DataError(f"{what}[{a}] has {np.ndim(one)} axes: give one matrix for each action")
        matrix = sparse.csr_matrix(one, dtype=np.float64).copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        matrix.sort_indices()
        found.append(matrix)
    return tuple(found)


def _rows(matrix: Any, what: str, states: tuple[str, ...], needed: Any) -> None:
    if matrix.nnz and not (np.isfinite(matrix.data).all() and matrix.data.min() >= 0.0):
        cell = matrix.tocoo()
        i = int(np.flatnonzero(~(cell.data >= 0.0) | ~np.isfinite(cell.data))[0])
        raise DataError(f"{what}, row {states[cell.row[i]]}, column {cell.col[i]} is {cell.data[i]:g}: give 0 or more")
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    wrong = np.flatnonzero(needed & ~(np.abs(sums - 1.0) <= SUM))
    if len(wrong):
        s = int(wrong[0])
        raise DataError(f"{what}, row {states[s]} sums to {sums[s]:.9g}: a row must sum to 1")


def _names(names: Any, size: int, what: str, letter: str) -> tuple[str, ...]:
    if not names:
        return tuple(f"{letter}{i}" for i in range(size))
    found = tuple(str(n) for n in names)
    if len(found) != size or len(set(found)) != size:
        raise DataError(f"{what} has {len(found)} names, {len(set(found))} of them different: give {size}")
    return found


def _mask(given: Any, size: int, count: int) -> Any:
    mask = np.ones((size, count), np.bool_) if given is None else np.array(given, np.bool_)
    if mask.shape != (size, count):
        raise DataError(f"mask has shape {mask.shape}: give {(size, count)}")
    return mask


def _reward(given: Any, chains: tuple[Any, ...], size: int, mask: Any) -> Any:
    reward = np.array(given, np.float64)
    count = len(chains)
    if reward.shape == (size, count, size):
        expected = [np.asarray(chain.multiply(reward[:, a, :]).sum(axis=1)).ravel() for a, chain in enumerate(chains)]
        reward = np.stack(expected, axis=1)
    if reward.shape != (size, count):
        raise DataError(f"reward has shape {reward.shape}: give {(size, count)} or {(size, count, size)}")
    wrong = np.argwhere(mask & ~np.isfinite(reward))
    if len(wrong):
        s, a = wrong[0].tolist()
        raise DataError(f"reward[{s}, {a}] is {reward[s, a]}: give a finite number, and illegal actions in mask=")
    return np.where(mask, reward, 0.0)


def _horizon(problem: TabularPOMDP) -> None:
    for name in ("horizon", "steps"):
        value = getattr(problem, name)
        if value is None and name == "horizon":
            continue
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise DataError(f"{name} is {value!r}: give a whole number of at least 1")
    if not 0.0 < problem.discount <= 1.0 or (problem.horizon is None and problem.discount == 1.0):
        raise DataError(f"discount is {problem.discount!r}: give a factor in (0, 1), or 1 with a horizon")
    if problem.state is not None and len(problem.state.actions) > problem.length:
        raise DataError(f"state has {len(problem.state.actions)} steps of a problem of {problem.length}")
