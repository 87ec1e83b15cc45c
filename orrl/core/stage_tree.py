"""`StageTree`: the vertices of a scenario tree; a path is a tree with one branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from .errors import DataError, NotSupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .stages import StageGraph

__all__ = ["StageTree", "count_vertices"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class StageTree:
    """Vertices of a scenario tree, parents before children.

    Parameters
    ----------
    parent : (V,) int
        Vertex before, -1 at the beginning.
    node : (V,) int
        Node of the policy graph.
    noise : (V, W)
        Seen before the decision of the vertex.
    weight : (V,)
        Probability times discount.
    """

    parent: IntArray
    node: IntArray
    noise: FloatArray
    weight: FloatArray

    def __post_init__(self) -> None:
        vertices = len(self.parent)
        for name in ("node", "weight", "noise"):
            if len(getattr(self, name)) != vertices:
                raise DataError(f"tree: {name} has {len(getattr(self, name))} entries for {vertices} vertices")
        for v in np.flatnonzero(self.parent >= np.arange(vertices))[:1]:
            raise DataError(f"tree: vertex {v} comes before its parent {self.parent[v]}: list parents first")

    def __len__(self) -> int:
        return len(self.parent)

    @classmethod
    def path(cls, noise: FloatArray, *, discount: float = 1.0, node: Sequence[int] | None = None) -> Self:
        """One branch.

        Parameters
        ----------
        noise : (T, W)
            Known in advance.
        discount : float
            Factor per stage.
        node : sequence of int, length T
            Nodes of the policy graph, 0 to T - 1 by default.
        """
        stages = len(noise)
        nodes = np.arange(stages) if node is None else np.array(node, np.int64)
        weight = discount ** np.arange(stages, dtype=np.float64)
        return cls(np.arange(stages) - 1, nodes, np.asarray(noise, np.float64), weight)

    @classmethod
    def whole(cls, graph: StageGraph, *, max_vertices: int = 20_000) -> Self:
        """Every opening of every stage of an acyclic policy graph; openings without probability are left out.

        Raises
        ------
        NotSupportedError
            Where the graph has a cycle, or the tree more vertices than `max_vertices`.
        """
        count = count_vertices(graph)
        if count > max_vertices:
            raise NotSupportedError(
                f"the scenario tree has {count:,} vertices, more than max_vertices={max_vertices:,}: "
                "shorten the horizon, use fewer openings, or use sddp"
            )
        parent: list[int] = []
        node: list[int] = []
        noise: list[FloatArray] = []
        weight: list[float] = []
        front = [(-1, graph.roots, 1.0)]
        while front:  # breadth first: parents come before children
            later = []
            for before, ways, mass in front:
                for i, share in ways:
                    for opening, p in zip(graph.nodes[i].openings, graph.nodes[i].p.tolist(), strict=True):
                        if p * share > 0:
                            later.append((len(parent), graph.nodes[i].children, mass * share * p * graph.discount))
                            parent.append(before)
                            node.append(i)
                            noise.append(opening)
                            weight.append(mass * share * p)
            front = later
        return cls(np.array(parent, np.int64), np.array(node, np.int64), np.array(noise), np.array(weight))


def count_vertices(graph: StageGraph) -> int:
    """Vertices of the scenario tree of an acyclic policy graph, counted without building it.

    Raises
    ------
    NotSupportedError
        Where a node can be met twice.
    """
    known: dict[int, int] = {}
    open_: set[int] = set()
    stack = [i for i, _ in graph.roots]
    while stack:
        i = stack[-1]
        ahead = [j for j, share in graph.nodes[i].children if share > 0]
        if i in known:
            stack.pop()
        elif i in open_:
            own = int((graph.nodes[i].p > 0).sum())
            known[i] = own * (1 + sum(known[j] for j in ahead))
            open_.discard(i)
            stack.pop()
        else:
            open_.add(i)
            for j in ahead:
                if j in open_:
                    raise NotSupportedError(f"node {j} of the policy graph can be met again: its tree has no end")
            stack += [j for j in ahead if j not in known]
    return sum(known[i] for i, share in graph.roots if share > 0)
