"""What several agents on one graph, and tabular learners, are handed: plain arrays and two compiled functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

    from .program import Program

__all__ = ["AgentGraph", "AgentRelaxation", "IndexedKernel"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AgentGraph:
    """U agents, each on one of G nodes in each of T slots, and one move between two slots.

    Parameters
    ----------
    slots : int
        T; the first slot is spent at `starts`.
    indptr, indices : (G + 1,), (E,) int
        Where a node leads within one slot, as compressed rows; staying is listed where it is allowed.
    starts : (U,) int
        Nodes of the first slot.
    ends : (U,) int
        Nodes of the last slot, -1 where an agent may end anywhere.
    """

    slots: int
    indptr: IntArray
    indices: IntArray
    starts: IntArray
    ends: IntArray

    @property
    def nodes(self) -> int:
        """G."""
        return len(self.indptr) - 1

    @property
    def agents(self) -> int:
        """U."""
        return len(self.starts)

    def reversed(self) -> tuple[IntArray, IntArray]:
        """`indptr` and `indices` of the moves backwards."""
        source = np.repeat(np.arange(self.nodes), np.diff(self.indptr))
        order = np.argsort(self.indices, kind="stable")
        counts = np.bincount(self.indices, minlength=self.nodes)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), source[order]

    def reachable(self, keep: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.bool_]:
        """Nodes (U, T, G) on some path of an agent from its start to its end that stays within `keep` (U, T, G)."""
        step = np.zeros((self.nodes, self.nodes), np.bool_)
        step[np.repeat(np.arange(self.nodes), np.diff(self.indptr)), self.indices] = True
        ahead = np.zeros((self.agents, self.slots, self.nodes), np.bool_)
        back = np.zeros_like(ahead)
        for u, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            ahead[u, 0, start] = True
            back[u, -1, slice(None) if end < 0 else end] = True
            if keep is not None:
                ahead[u, 0] &= keep[u, 0]
                back[u, -1] &= keep[u, -1]
            for t in range(1, self.slots):
                ahead[u, t] = step[ahead[u, t - 1]].any(axis=0)
                back[u, -1 - t] = step[:, back[u, -t]].any(axis=1)
                if keep is not None:
                    ahead[u, t] &= keep[u, t]
                    back[u, -1 - t] &= keep[u, -1 - t]
        return ahead & back


class AgentRelaxation(Protocol):
    """Coupling rows priced into the objective (Geoffrion 1974), so that each agent plans alone.

    For prices p within ``[lower, upper]`` the value ``constant(p) + sum over agents of the longest path under
    reward(p)`` is at least every feasible objective.
    """

    lower: FloatArray
    upper: FloatArray
    integral: bool
    of: str

    def start(self) -> FloatArray:
        """Prices (M,) to begin with."""
        ...

    def reward(self, prices: FloatArray) -> tuple[FloatArray, float]:
        """What an agent earns on each node in each slot (T, G), and the constant."""
        ...

    def subgradient(self, prices: FloatArray, visits: FloatArray) -> FloatArray:
        """Subgradient (M,) of the dual where the longest paths visit node g in slot t ``visits[t, g]`` times."""
        ...

    def restricted(self, keep: npt.NDArray[np.bool_]) -> Program | None:
        """The exact program on the nodes (T, G) that are kept; None where there is none that is worth solving."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class IndexedKernel:
    """A transition over integers, for tables.

    Parameters
    ----------
    agents, states, actions : int
        N agents, each with a table of S rows and A actions.
    mask : (N, S, A) bool
        Accepted actions.
    draws : int
        Uniform numbers in [0, 1) that a step (and a reset) takes from `noise`.
    horizon : int
        Most steps of an episode.
    data, sizes : (D,) float, (I,) int
        What the functions read; the problem's own layout.
    memory : int
        Length of the running state.
    reset : ``void(data, sizes, noise, memory, index)``
        Begin an episode; writes the running state and the row (N,) of each agent. Compiled with explicit types
        ``void(f8[::1], i8[::1], f8[::1], f8[::1], i8[::1])``.
    step : ``bool(data, sizes, noise, memory, actions, index, rewards)``
        Apply actions (N,); writes the new rows (N,), the rewards (N,) that the agents learn from, and last the reward
        of the problem itself, so `rewards` is (N + 1,). True at the end, and in a dead end, where the problem's reward
        is -inf; `memory` may be viewed as integers. Compiled with explicit types
        ``b1(f8[::1], i8[::1], f8[::1], f8[::1], i8[::1], i8[::1], f8[::1])``.
    rows : callable
        Rows (N,) of a snapshot of the problem's kernel, so that a table can act in it.
    """

    agents: int
    states: int
    actions: int
    mask: npt.NDArray[np.bool_]
    draws: int
    horizon: int
    data: FloatArray
    sizes: IntArray
    memory: int
    reset: Any
    step: Any
    rows: Callable[[Any], IntArray]
