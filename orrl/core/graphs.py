"""Graphs of several rows end to end, as graph networks take them, and the padded observation that says the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .capabilities import GraphSpec

__all__ = ["Edges", "GraphBatch", "Groups"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class Edges(NamedTuple):
    """A relation as pairs: each target node hears the mean of its sources."""

    source: IntArray  # (E,)
    target: IntArray  # (E,)

    def moved(self, by: int, _: int) -> Edges:
        """The same between nodes that stand `by` places later."""
        return Edges(self.source + by, self.target + by)


class Groups(NamedTuple):
    """A relation as cliques: each node hears the mean of the others of its group, with no edges to carry about."""

    label: IntArray  # (N,) group of each node
    count: int  # type: ignore[assignment]  # labels are below it; hides tuple.count

    def moved(self, _: int, by: int) -> Groups:
        """The same with labels `by` higher."""
        return Groups(self.label + by, self.count + by)

    def edges(self) -> Edges:
        """The cliques, pair by pair."""
        order = np.argsort(self.label, kind="stable")
        sizes = np.bincount(self.label, minlength=self.count)
        first = np.repeat(np.cumsum(sizes) - sizes, sizes)  # of each ordered node: where its group begins
        reach = np.repeat(sizes, sizes)
        source = np.repeat(np.arange(len(order)), reach)
        step = np.arange(len(source)) - np.repeat(np.cumsum(reach) - reach, reach)
        target = first[source] + step
        other = source != target
        return Edges(order[source[other]], order[target[other]])


@dataclass(frozen=True, slots=True)
class GraphBatch:
    """B graphs as one.

    Parameters
    ----------
    nodes : (N, F) float32
        Features, row after row.
    row : (N,) int
        Row of each node, ascending.
    relations : tuple of Edges or Groups
        In the order of ``GraphSpec.relations``.
    action_node : (B, A) int
        Node that an action moves; -1 where it moves none.
    mask : (B, A) bool
        Accepted actions.
    told : (B, A, E) float32, optional
        What else is known of each accepted action, in any unit.
    """

    nodes: FloatArray
    row: IntArray
    relations: tuple[Edges | Groups, ...]
    action_node: IntArray
    mask: npt.NDArray[np.bool_]
    told: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.mask)

    def relative(self) -> FloatArray:
        """What is told of the accepted actions (C, E), less its mean in the row and over its spread there.

        The mean is that of the first column, the spread that of all.
        """
        at, action = np.nonzero(self.mask)
        if self.told is None:
            return np.zeros((len(at), 0), np.float32)
        said = self.told[at, action].astype(np.float64)
        if len(self) == 1 and len(said):  # a decision alone: the same in a fraction of the time
            return ((said - said[:, 0].mean()) / (said.std() + 1e-9)).astype(np.float32)
        number, columns = np.maximum(1, np.bincount(at, minlength=len(self))), said.shape[1]
        first = (np.bincount(at, said[:, 0], minlength=len(self)) / number)[at]
        middle = (np.bincount(at, said.sum(axis=1), minlength=len(self)) / (number * columns))[at]
        apart = ((said - middle[:, None]) ** 2).sum(axis=1)
        spread = np.sqrt(np.bincount(at, apart, minlength=len(self)) / (number * columns))[at]
        return ((said - first[:, None]) / (spread + 1e-9)[:, None]).astype(np.float32)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Batches one after the other; those with fewer actions are padded in front of the last, global one.

        The last action of a batch stays the last: it is the one that moves no node.
        """
        first = np.cumsum([0, *(len(p.nodes) for p in parts)]).tolist()
        rows = np.cumsum([0, *(len(p) for p in parts)]).tolist()
        width = max(p.mask.shape[1] for p in parts)
        relations: list[Edges | Groups] = []
        for several in zip(*(p.relations for p in parts), strict=True):
            if all(isinstance(r, Groups) for r in several):
                seen = np.cumsum([0, *(r.count for r in several)]).tolist()
                labels = [r.label + by for r, by in zip(several, seen[:-1], strict=True)]
                relations.append(Groups(np.concatenate(labels), seen[-1]))
            else:
                pairs = [r.edges() if isinstance(r, Groups) else r for r in several]
                moved = [e.moved(by, 0) for e, by in zip(pairs, first[:-1], strict=True)]
                source, target = (np.concatenate(ends) for ends in zip(*moved, strict=True))
                relations.append(Edges(source, target))
        actions = [np.where(p.action_node < 0, -1, p.action_node + by) for p, by in zip(parts, first[:-1], strict=True)]
        told = [p.told for p in parts if p.told is not None]
        return cls(
            np.concatenate([p.nodes for p in parts]),
            np.concatenate([p.row + by for p, by in zip(parts, rows[:-1], strict=True)]),
            tuple(relations),
            np.concatenate([_widened(a, width, -1) for a in actions]),
            np.concatenate([_widened(p.mask, width, False) for p in parts]),
            np.concatenate([_widened(t, width, np.nan) for t in told]) if len(told) == len(parts) else None,
        )

    @classmethod
    def flatten(cls, observation: Mapping[str, npt.NDArray[Any]], relations: int) -> Self:
        """From padded arrays with a leading batch axis (keys as in `HasGraph`), every relation as edges."""
        present = np.asarray(observation["node_mask"], np.bool_)
        place = np.full(present.shape, -1, np.int64)
        place[present] = np.arange(int(present.sum()))
        used = np.asarray(observation["edge_mask"], np.bool_)
        at, ends, kind = np.nonzero(used)[0], observation["edges"][used], observation["relation"][used]
        found = []
        for r in range(relations):
            here = kind == r
            found.append(Edges(place[at[here], ends[here, 0]], place[at[here], ends[here, 1]]))
        action = np.asarray(observation["action_node"], np.int64)
        moved = place[np.arange(len(action))[:, None], np.maximum(action, 0)] if place.size else -1
        action = np.where(action < 0, -1, moved)
        nodes = np.ascontiguousarray(observation["nodes"][present], np.float32)
        return cls(
            nodes, np.nonzero(present)[0], tuple(found), action, np.asarray(observation["action_mask"], np.bool_)
        )

    def padded(self, spec: GraphSpec) -> dict[str, npt.NDArray[Any]]:
        """Inverse of `flatten`: arrays of the sizes that the spec says, with a leading batch axis."""
        rows, first = len(self), np.searchsorted(self.row, np.arange(len(self)))
        inside = np.arange(len(self.nodes)) - first[self.row]
        nodes = np.zeros((rows, spec.nodes, spec.node_features), np.float32)
        node_mask = np.zeros((rows, spec.nodes), np.int8)
        nodes[self.row, inside], node_mask[self.row, inside] = self.nodes, 1
        pairs = [r.edges() if isinstance(r, Groups) else r for r in self.relations]
        source = np.concatenate([e.source for e in pairs])
        target = np.concatenate([e.target for e in pairs])
        kind = np.repeat(np.arange(len(pairs)), [len(e.source) for e in pairs])
        order = np.argsort(self.row[source], kind="stable")
        source, target, kind = source[order], target[order], kind[order]
        at = self.row[source]
        place = np.arange(len(at)) - np.searchsorted(at, np.arange(rows))[at]
        edges, relation = np.zeros((rows, spec.edges, 2), np.int32), np.zeros((rows, spec.edges), np.int8)
        edge_mask = np.zeros((rows, spec.edges), np.int8)
        edges[at, place, 0], edges[at, place, 1] = inside[source], inside[target]
        relation[at, place], edge_mask[at, place] = kind, 1
        action = np.where(self.action_node < 0, -1, inside[np.maximum(self.action_node, 0)] if len(inside) else -1)
        return {
            "nodes": nodes,
            "node_mask": node_mask,
            "edges": edges,
            "relation": relation,
            "edge_mask": edge_mask,
            "action_node": action.astype(np.int32),
            "action_mask": self.mask.astype(np.int8),
        }


def _widened(table: npt.NDArray[Any], width: int, fill: Any) -> npt.NDArray[Any]:
    """More columns in front of the last one."""
    missing = width - table.shape[1]
    if missing == 0:
        return table
    gap = np.full((len(table), missing, *table.shape[2:]), fill, table.dtype)
    return np.concatenate([table[:, :-1], gap, table[:, -1:]], axis=1)
