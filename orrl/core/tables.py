"""Policies on the tables of a finite problem, and their exact value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import DataError
from .policy import Policy

if TYPE_CHECKING:
    from .actions import Actions
    from .decision_models import TabularMDP

__all__ = ["TablePolicy", "policy_value"]

FloatArray = npt.NDArray[np.float64]


def policy_value(table: TabularMDP, probabilities: FloatArray) -> FloatArray:
    """Exact value of a randomised policy in every state, by backward recursion or one linear system.

    Parameters
    ----------
    table : TabularMDP
        S states, A actions.
    probabilities : (S, A) or (horizon, S, A)
        Law of the action in each state (and step); rows of states without a legal action are ignored.

    Returns
    -------
    ndarray
        (S,) discounted sum of rewards from the first step on (Puterman 1994, Markov Decision Processes, chapters 4
        and 6).

    Raises
    ------
    DataError
        Where the shape does not fit, a masked action has weight, or the sum need not exist (no horizon, no discount).
    """
    states, actions = table.reward.shape
    steps = table.horizon
    shapes = [(states, actions)] + ([] if steps is None else [(steps, states, actions)])
    if probabilities.shape not in shapes:
        raise DataError(f"probabilities have shape {probabilities.shape}: give one of {shapes}")
    if float(np.abs(np.where(table.mask, 0.0, probabilities)).max(initial=0.0)) > 1e-9:
        raise DataError("probabilities give weight to an action that the mask forbids")
    if steps is None:
        if table.discount >= 1.0:
            raise DataError("a problem without horizon needs a discount below 1 for its value to exist")
        chain = sum(np.asarray(p @ np.eye(states)) * probabilities[:, a, None] for a, p in enumerate(table.transition))
        gain = (probabilities * table.reward).sum(axis=1)
        return np.asarray(np.linalg.solve(np.eye(states) - table.discount * chain, gain), dtype=np.float64)
    value = np.zeros(states)
    for t in reversed(range(steps)):
        law = probabilities if probabilities.ndim == 2 else probabilities[t]
        ahead = np.stack([np.asarray(p @ value).ravel() for p in table.transition], axis=1)
        value = (law * (table.reward + table.discount * ahead)).sum(axis=1)
    return value


class TablePolicy(Policy):
    """A table of action probabilities; it finds its row with ``problem.state_index``.

    Parameters
    ----------
    probabilities : (S, A) or (horizon, S, A)
        Law of the action in each state (and step since the start).
    content_hash : str
        The problem that the table was made for; it plays no other.
    name : str
        For tables and messages.
    """

    scope = "instance"

    def __init__(self, probabilities: FloatArray, *, content_hash: str, name: str = "table") -> None:
        self.probabilities = probabilities
        self.seen = frozenset({content_hash})
        self.name = name

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Begin at the first step; refuses another problem's content hash."""
        from .seeds import stream

        for one in problem if isinstance(problem, Sequence) else [problem]:
            if one.content_hash not in self.seen:
                raise DataError(
                    f"policy {self.name!r} was made for another problem than {one.name} (content hash differs)"
                )
        self._step = 0
        self._rng = stream(seed, "table-policy")

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Draw from the row of each state."""
        view, done = info["view"], info["done"]
        law = self.probabilities if self.probabilities.ndim == 2 else self.probabilities[self._step]
        self._step += 1
        draw = self._rng.random(len(done))
        chosen = np.zeros(len(done), dtype=np.int64)
        for b in np.flatnonzero(~done):
            row = law[view.problem(b).state_index(view.snapshot(b))]
            chosen[b] = np.searchsorted(np.cumsum(row), draw[b] * row.sum(), side="right")
        return chosen
