"""What `sarsop` knows of the beliefs it has met: the nodes of its tree, what follows them, and bins of like ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .point_sweep import Mix

__all__ = ["Ahead", "Bins", "Node", "Step", "without_tail"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(slots=True)
class Node:
    """A belief of the search tree; its number is that of its point in the upper bound."""

    belief: FloatArray
    q: FloatArray
    upper: float
    bin: int
    number: int = -1
    children: dict[tuple[int, int], Node] = field(default_factory=dict)
    mixes: dict[int, Mix] = field(default_factory=dict)
    ahead: dict[int, Ahead] = field(default_factory=dict)


@dataclass(slots=True)
class Ahead:
    """What follows an action at a node: unnormalised beliefs ``block (N, S)`` of the observations ``seen``.

    `rest` (S,) is what the other observations leave, `mass` (N,) the chance of each, `part` the states that can follow
    where these are few, `gain` the reward.
    """

    action: int
    block: FloatArray
    seen: IntArray
    rest: FloatArray
    mass: FloatArray
    part: IntArray | None
    gain: float


@dataclass(slots=True)
class Step:
    """Upper bounds of an action: `high` (N,) of each observation, and of the rest."""

    ahead: Ahead
    high: FloatArray
    rest_high: float


class Bins:
    """Guesses a belief's value from beliefs of a like upper bound and entropy (SARSOP's prediction)."""

    SIDE = 10

    def __init__(self, corner: FloatArray, states: int) -> None:
        self.least, self.most = float(corner.min()), float(corner.max())
        self.entropy = float(np.log(max(2, states)))
        self.total = np.zeros(self.SIDE**2)
        self.count = np.zeros(self.SIDE**2)
        self.known: dict[int, float] = {}

    def of(self, upper: float, belief: FloatArray) -> int:
        """Bin of a belief."""
        p = belief[belief > 0.0]
        spread = float(-(p * np.log(p)).sum()) / self.entropy
        height = (upper - self.least) / max(1e-12, self.most - self.least)
        i, j = (min(self.SIDE - 1, max(0, int(self.SIDE * x))) for x in (height, spread))
        return i * self.SIDE + j

    def learn(self, place: int, number: int, value: float) -> None:
        """The value of a point changed."""
        if number in self.known:
            self.total[place] -= self.known[number]
        else:
            self.count[place] += 1
        self.known[number] = value
        self.total[place] += value

    def guess(self, place: int, upper: float) -> float:
        """Mean of the bin, the upper bound while it is empty."""
        return float(self.total[place] / self.count[place]) if self.count[place] else upper


def without_tail(belief: FloatArray, tail: float) -> FloatArray:
    """The belief without its least likely states of total weight `tail`."""
    order = np.argsort(belief, kind="stable")
    cut = order[: int(np.searchsorted(np.cumsum(belief[order]), tail, side="right"))]
    short = belief.copy()
    short[cut] = 0.0
    return np.asarray(short / short.sum(), dtype=np.float64)
