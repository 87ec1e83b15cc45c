"""Longest paths on an `AgentGraph`: of one agent alone, and of several agents together by dynamic programming.

Together, the state is the tuple of nodes. The best joint move is found one coordinate at a time,

    W(a', b) = max over a in N(a') of V(a, b),   then the same over b, and so on,

so a slot costs G^U * U * degree and not G^U * degree^U. Only nodes that an agent can reach from its start (and from
which it can still reach its end) are looked at.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .jit import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .agents import AgentGraph

__all__ = ["AgentPaths"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

alone = Source(tables={"TABLE": "f8[:,::1]", "LIST": "i8[::1]"})


@alone.add("void(TABLE, LIST, LIST, i8, TABLE)", entry=True)
def backward(reward, indptr, indices, end, value):  # type: ignore[no-untyped-def]
    """Best sum (T, G) from a node on to the end, its own reward included; ``end`` -1 means anywhere."""
    slots, nodes = reward.shape
    for g in range(nodes):
        value[slots - 1, g] = reward[slots - 1, g] if end < 0 or g == end else -np.inf
    for t in range(slots - 2, -1, -1):
        for g in range(nodes):
            best = -np.inf
            for e in range(indptr[g], indptr[g + 1]):
                ahead = value[t + 1, indices[e]]
                if ahead > best:
                    best = ahead
            value[t, g] = reward[t, g] + best


@alone.add("void(TABLE, LIST, LIST, i8, TABLE)", entry=True)
def forward(reward, indptr, indices, start, value):  # type: ignore[no-untyped-def]
    """Best sum (T, G) from the start to a node, its own reward included; the moves are those backwards."""
    slots, nodes = reward.shape
    for g in range(nodes):
        value[0, g] = reward[0, g] if g == start else -np.inf
    for t in range(1, slots):
        for g in range(nodes):
            best = -np.inf
            for e in range(indptr[g], indptr[g + 1]):
                behind = value[t - 1, indices[e]]
                if behind > best:
                    best = behind
            value[t, g] = reward[t, g] + best


@alone.add("void(TABLE, LIST, LIST, i8, LIST)", entry=True)
def walk(value, indptr, indices, start, path):  # type: ignore[no-untyped-def]
    """The nodes of a longest path, given what `backward` wrote."""
    node = start
    path[0] = node
    for t in range(1, value.shape[0]):
        best, chosen = -np.inf, indices[indptr[node]]
        for e in range(indptr[node], indptr[node + 1]):
            if value[t, indices[e]] > best:
                best, chosen = value[t, indices[e]], indices[e]
        node = chosen
        path[t] = node


def contract(old, new, indptr, indices, low, high):  # type: ignore[no-untyped-def]
    """``new[i, g, j] = max over h next to g of old[i, h, j]`` for the rows ``low <= i * G + g < high``."""
    nodes, width = new.shape[1], new.shape[2]
    for row in range(low, high):
        i = row // nodes
        g = row - i * nodes
        h = indices[indptr[g]]
        for j in range(width):
            new[i, g, j] = old[i, h, j]
        for e in range(indptr[g] + 1, indptr[g + 1]):
            h = indices[e]
            for j in range(width):
                a, b = old[i, h, j], new[i, g, j]
                new[i, g, j] = a if a > b else b


def contract_last(old, new, indptr, indices, low, high):  # type: ignore[no-untyped-def]
    """The same over the last axis, where the rows are short: ``new[i, g] = max over h next to g of old[i, h]``."""
    for i in range(low, high):
        for g in range(new.shape[1]):
            best = old[i, indices[indptr[g]]]
            for e in range(indptr[g] + 1, indptr[g + 1]):
                other = old[i, indices[e]]
                best = other if other > best else best
            new[i, g] = best


def earn(layer, reward, base, nodes, low, high):  # type: ignore[no-untyped-def]
    """Add what a slot earns, ``reward[base[i] + nodes[j]]``; -1 stays, and becomes, impossible."""
    for i in range(low, high):
        for j in range(layer.shape[1]):
            gain = reward[base[i] + nodes[j]]
            if gain < 0 or layer[i, j] < 0:
                layer[i, j] = -1
            else:
                layer[i, j] += gain


def _typed(kind: str) -> Source:
    source = Source(tables={"CUBE": f"{kind}[:,:,::1]", "PLANE": f"{kind}[:,::1]", "FLAT": f"{kind}[::1]"})
    source.add("void(CUBE, CUBE, i8[::1], i8[::1], i8, i8)", entry=True)(contract)
    source.add("void(PLANE, PLANE, i8[::1], i8[::1], i8, i8)", entry=True)(contract_last)
    source.add("void(PLANE, FLAT, i8[::1], i8[::1], i8, i8)", entry=True)(earn)
    return source


_together = {np.dtype(np.int16): _typed("i2"), np.dtype(np.int32): _typed("i4"), np.dtype(np.float64): _typed("f8")}


class AgentPaths:
    """Longest paths of one graph.

    Parameters
    ----------
    graph : AgentGraph
        Nodes, moves, starts and ends.
    keep : (U, T, G) bool, optional
        Nodes that joint paths may use; all by default.
    """

    def __init__(self, graph: AgentGraph, keep: npt.NDArray[np.bool_] | None = None) -> None:
        self.graph, self.keep = graph, keep
        self.indptr = np.ascontiguousarray(graph.indptr, np.int64)
        self.indices = np.ascontiguousarray(graph.indices, np.int64)
        self.starts, self.ends = graph.starts.tolist(), graph.ends.tolist()

    # ---- one agent -----------------------------------------------------------------------------------------------
    def one(self, reward: FloatArray, agent: int) -> tuple[float, IntArray]:
        """Longest path (T,) of one agent under a reward (T, G), -inf where it may not be; the value may be -inf."""
        run = alone.compiled()
        value, path = np.empty_like(reward), np.empty(len(reward), np.int64)
        run.backward(reward, self.indptr, self.indices, self.ends[agent], value)
        run.walk(value, self.indptr, self.indices, self.starts[agent], path)
        return float(value[0, self.starts[agent]]), path

    def each(self, reward: FloatArray) -> tuple[FloatArray, IntArray]:
        """Values (U,) and longest paths (T, U) of all agents, each alone; agents with one end share the work."""
        run = alone.compiled()
        values, paths = np.empty(len(self.starts)), np.empty((len(self.starts), len(reward)), np.int64)
        value = np.empty_like(reward)
        for end in set(self.ends):
            run.backward(reward, self.indptr, self.indices, end, value)
            for u, start in enumerate(self.starts):
                if self.ends[u] == end:
                    run.walk(value, self.indptr, self.indices, start, paths[u])
                    values[u] = value[0, start]
        return values, paths.T.copy()

    def through(self, reward: FloatArray) -> FloatArray:
        """Value (U, T, G) of the best path of each agent that visits a node, -inf where there is none."""
        run = alone.compiled()
        indptr, indices = self.graph.reversed()
        ahead, behind = np.empty_like(reward), np.empty_like(reward)
        best = np.empty((len(self.starts), *reward.shape))
        for u, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            run.backward(reward, self.indptr, self.indices, end, ahead)
            run.forward(reward, indptr, indices, start, behind)
            with np.errstate(invalid="ignore"):  # -inf minus -inf
                best[u] = np.where(np.isfinite(ahead) & np.isfinite(behind), ahead + behind - reward, -np.inf)
        return best

    # ---- several agents ------------------------------------------------------------------------------------------
    @cached_property
    def nodes(self) -> list[list[IntArray]]:
        """``nodes[u][t]``: nodes that agent u can be on."""
        return [[np.flatnonzero(row) for row in agent] for agent in self.graph.reachable(self.keep)]

    @property
    def possible(self) -> bool:
        """Whether every agent, alone on the graph, has a path."""
        return all(len(agent[0]) for agent in self.nodes)

    @cached_property
    def _steps(self) -> list[list[tuple[IntArray, IntArray]]]:
        """Moves from ``nodes[u][t]`` to ``nodes[u][t + 1]``, both numbered within these lists, as compressed rows."""
        degree, steps = np.diff(self.indptr), []
        source = np.repeat(np.arange(len(degree)), degree)
        place = np.empty(len(degree), np.int64)
        for agent in self.nodes:
            own = []
            for here, there in pairwise(agent):
                place[:] = -1
                place[there] = np.arange(len(there))
                good = np.isin(source, here) & (place[self.indices] >= 0)
                counts = np.bincount(source[good], minlength=len(degree))[here]
                own.append((np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), place[self.indices[good]]))
            steps.append(own)
        return steps

    def states(self, agents: Sequence[int]) -> list[int]:
        """Number of joint positions in each slot."""
        return [int(np.prod([float(len(self.nodes[u][t])) for u in agents])) for t in range(self.graph.slots)]

    def together(
        self,
        agents: Sequence[int],
        table: Callable[[int], npt.NDArray[Any]],
        *,
        threads: int = 1,
        over: Callable[[], bool] | None = None,
    ) -> tuple[float, IntArray] | None:
        """Best joint paths of some agents.

        Parameters
        ----------
        agents : sequence of int
            n agents.
        table : callable
            What they earn in a slot, one axis of G nodes (or of ``nodes[u][t]``) per agent; -1 where they may not stand
            so. Called from several threads at a time.
        threads : int
            Tables that are made, and parts of a slot that are worked on, at a time.
        over : callable, optional
            Asked between slots whether to give up.

        Returns
        -------
        (float, (T, n) int) or None
            Value and paths; the value is -1 where there are no paths. None when given up.
        """
        last = self.graph.slots - 1
        layers: list[npt.NDArray[Any]] = [np.empty(0)] * (last + 1)
        layer: npt.NDArray[Any] = np.zeros([len(self.nodes[u][last]) for u in agents], np.int16)
        with ExitStack() as stack:
            spread: Any = stack.enter_context(ThreadPoolExecutor(threads)).map if threads > 1 else map
            for first in range(last, -1, -threads):
                slots = range(first, max(-1, first - threads), -1)
                tables = list(spread(table, slots))
                for t in slots:
                    if over is not None and over():
                        return None
                    if t < last:
                        layer = self._step(layer, agents, t, spread, threads)
                    layer = self._earn(layer, tables.pop(0), agents, t, spread, threads)
                    layers[t] = layer
        value = layers[0].flat[0]
        if value < 0:
            return -1.0, np.empty((last + 1, len(agents)), np.int64)
        return float(value), self._retrace(layers, agents)

    def _step(
        self, layer: npt.NDArray[Any], agents: Sequence[int], t: int, spread: Any, threads: int
    ) -> npt.NDArray[Any]:
        """Best value behind each joint position of slot t."""
        run = _together[layer.dtype].compiled()
        for axis, u in enumerate(agents):
            shape = layer.shape
            size, lead = len(self.nodes[u][t]), int(np.prod(shape[:axis]))
            moves = self._steps[u][t]
            planes: tuple[npt.NDArray[Any], npt.NDArray[Any]]
            new: npt.NDArray[Any] = np.empty((*shape[:axis], size, *shape[axis + 1 :]), layer.dtype)
            if axis == len(agents) - 1:
                job, rows = run.contract_last, lead
                planes = layer.reshape(lead, -1), new.reshape(lead, -1)
            else:
                job, rows = run.contract, lead * size
                planes = layer.reshape(lead, shape[axis], -1), new.reshape(lead, size, -1)
            _shares(spread, threads, rows, partial(job, *planes, *moves))
            layer = new
        return layer

    def _earn(
        self, layer: npt.NDArray[Any], table: npt.NDArray[Any], agents: Sequence[int], t: int, spread: Any, threads: int
    ) -> npt.NDArray[Any]:
        """Add the reward of slot t, in the smallest type that holds the sums."""
        if np.issubdtype(table.dtype, np.integer):
            most = int(layer.max(initial=0)) + int(table.max(initial=0))
            kind = np.dtype(np.int16 if most <= np.iinfo(np.int16).max else np.int32)
            if most > np.iinfo(np.int32).max:
                kind = np.dtype(np.float64)
        else:
            kind = np.dtype(np.float64)
        kind = np.promote_types(kind, layer.dtype)
        layer, table = layer.astype(kind, copy=False), np.ascontiguousarray(table, kind)
        nodes = [self.nodes[u][t] for u in agents]
        if table.shape == layer.shape:  # of these nodes only
            nodes = [np.arange(len(own)) for own in nodes]
        base = np.zeros(1, np.int64)
        for own, size in zip(nodes, table.shape[1:], strict=False):
            base = ((base[:, None] + own) * size).ravel()
        plane, own = layer.reshape(len(base), -1), nodes[-1]
        job = _together[kind].compiled().earn
        _shares(spread, threads, len(base), lambda low, high: job(plane, table.ravel(), base, own, low, high))
        return layer

    def _retrace(self, layers: list[npt.NDArray[Any]], agents: Sequence[int]) -> IntArray:
        paths = np.empty((len(layers), len(agents)), np.int64)
        place = [0] * len(agents)
        for t, layer in enumerate(layers):
            if t:
                ways = [self._steps[u][t - 1] for u in agents]
                choice = [ind[ptr[i] : ptr[i + 1]] for (ptr, ind), i in zip(ways, place, strict=True)]
                part = layer[np.ix_(*choice)]
                best = np.unravel_index(int(part.argmax()), part.shape)
                place = [int(c[i]) for c, i in zip(choice, best, strict=True)]
            paths[t] = [self.nodes[u][t][i] for u, i in zip(agents, place, strict=True)]
        return paths


def _shares(spread: Any, threads: int, rows: int, job: Callable[[int, int], None]) -> None:
    """Do a job on all rows, in as many parts as there are threads."""
    parts = max(1, min(threads, rows))
    edges = [rows * i // parts for i in range(parts + 1)]
    list(spread(job, edges[:-1], edges[1:]))
