"""The network of `gnn-ppo`: rounds of messages on a `GraphBatch`, a score for each action, a value for each row.

In each round a node hears, from every relation, the mean of the nodes that speak to it, and the mean of its whole
graph (Schlichtkrull et al. 2018, "Modeling Relational Data with Graph Convolutional Networks", eq. 2, with the global
mean of Battaglia et al. 2018, "Relational inductive biases, deep learning, and graph networks"). An action is scored
from the node that it moves, the mean over all accepted actions and the mean over the graph, so that the order of nodes
does not matter and neither does their number. Torch is loaded with this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ...core.graphs import GraphBatch, Groups
from .graph_messages import Wiring, hear, wiring

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["GraphNetwork", "GraphTensors", "tensors"]


class _Mean(NamedTuple):
    """Means over sets of nodes: node or edge end `source`, set `target`, one over the size of each set."""

    source: Tensor | None  # None: every node, in order
    target: Tensor
    inverse: Tensor  # (sets, 1)

    def __call__(self, h: Tensor) -> Tensor:
        heard = h if self.source is None else h.index_select(0, self.source)
        return h.new_zeros(len(self.inverse), h.shape[1]).index_add(0, self.target, heard) * self.inverse


class _Others(NamedTuple):
    """Mean over the other nodes of a group."""

    label: Tensor
    inverse: Tensor  # (N, 1)
    groups: int

    def __call__(self, h: Tensor) -> Tensor:
        total = h.new_zeros(self.groups, h.shape[1]).index_add(0, self.label, h)
        return (total.index_select(0, self.label) - h) * self.inverse


class GraphTensors(NamedTuple):
    """A `GraphBatch` as tensors, with what the means need."""

    nodes: Tensor
    row: Tensor
    relations: tuple[_Mean | _Others, ...]  # empty where `wires` are there
    wires: Wiring | None
    whole: _Mean
    candidates: _Mean  # mean over the accepted actions of a row
    moved: Tensor  # (C,) node of each accepted action, N where it moves none
    action: Tensor  # (C,)
    mask: Tensor  # (B, A)
    told: Tensor  # (C, told) of `GraphBatch.relative`


def tensors(batch: GraphBatch, device: str = "cpu", *, compiled: bool = True) -> GraphTensors:
    """Move a batch to the device; on the CPU messages are `compiled`, elsewhere sums by index."""
    size, rows = len(batch.nodes), len(batch)

    def put(array: npt.NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(device)

    def share(counts: npt.NDArray[np.int64]) -> Tensor:
        return put((1.0 / np.maximum(1, counts)).astype(np.float32)[:, None])

    relations: list[_Mean | _Others] = []
    wires = wiring(batch) if compiled and device == "cpu" else None
    for relation in batch.relations if wires is None else ():
        if isinstance(relation, Groups):
            others = np.bincount(relation.label, minlength=relation.count)[relation.label] - 1
            relations.append(_Others(put(relation.label), share(others), relation.count))
        else:
            heard = np.bincount(relation.target, minlength=size)
            relations.append(_Mean(put(relation.source), put(relation.target), share(heard)))
    at, action = np.nonzero(batch.mask)
    moved = batch.action_node[at, action]
    row = put(batch.row)
    return GraphTensors(
        put(batch.nodes),
        row,
        tuple(relations),
        wires,
        _Mean(None, row, share(np.bincount(batch.row, minlength=rows))),
        _Mean(None, put(at), share(np.bincount(at, minlength=rows))),
        put(np.where(moved < 0, size, moved)),
        put(action),
        put(batch.mask),
        put(batch.relative()),
    )


class GraphNetwork(nn.Module):
    """Scores (B, A), very low where the mask forbids, and values (B,).

    Parameters
    ----------
    features, relations : int
        Of the graph.
    width, layers : int
        Features of a node inside, and rounds of messages.
    told : int
        Columns of `GraphBatch.relative`, what is known of each action beside the graph: its node begins with them, and
        its score is made from them too.
    """

    mean: Tensor
    spread: Tensor
    NEVER = -1e9

    def __init__(self, features: int, relations: int, width: int = 32, layers: int = 3, told: int = 0) -> None:
        super().__init__()
        self.shape = (features, relations, width, layers, told)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.enter = nn.Linear(features + told, width)
        self.speak = nn.ModuleList(nn.Linear(width, width // 2) for _ in range(layers))
        heard = (relations + 1) * (width // 2)
        self.mix = nn.ModuleList(nn.Linear(width + heard, width) for _ in range(layers))
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.still = nn.Parameter(torch.zeros(1, width))  # what an action that moves no node looks like
        self.policy = nn.Sequential(nn.Linear(3 * width + told, width), nn.ReLU(), nn.Linear(width, 1))
        self.value = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        with torch.no_grad():  # the first policy is nearly uniform
            last = self.policy[2]
            assert isinstance(last, nn.Linear)
            last.weight *= 0.1

    def centre(self, batches: Sequence[GraphBatch]) -> None:
        """Take the mean and spread of these features as the scale of all to come."""
        nodes = np.concatenate([b.nodes for b in batches]).astype(np.float64)
        spread = nodes.std(axis=0)
        with torch.no_grad():
            self.mean.copy_(torch.as_tensor(nodes.mean(axis=0)))
            self.spread.copy_(torch.as_tensor(np.where(spread > 1e-3, spread, 1.0)))

    def forward(self, graph: GraphTensors) -> tuple[Tensor, Tensor]:
        """Scores and values."""
        rows, actions = graph.mask.shape
        assert graph.nodes.shape[1] == self.shape[0], (graph.nodes.shape, self.shape)
        relations = len(graph.relations) if graph.wires is None else len(graph.wires.share) - 1
        assert (relations, graph.told.shape[1]) == self.shape[1::3], (relations, graph.told.shape, self.shape)
        nodes = ((graph.nodes - self.mean) / self.spread).clamp(-10.0, 10.0)
        begin = nodes.new_zeros(len(nodes) + 1, self.shape[4]).index_put((graph.moved,), graph.told)
        h = torch.relu(self.enter(torch.cat([nodes, begin[:-1]], dim=1)))
        for speak, mix, norm in zip(self.speak, self.mix, self.norm, strict=True):
            said = speak(h)
            if graph.wires is None:
                overall = graph.whole(said).index_select(0, graph.row)
                heard = torch.cat([*(relation(said) for relation in graph.relations), overall], dim=1)
            else:
                heard = hear(said, graph.wires)
            h = h + torch.relu(norm(mix(torch.cat([h, heard], dim=1))))
        whole = graph.whole(h)
        moved = torch.cat([h, self.still]).index_select(0, graph.moved)
        at = graph.candidates.target
        common = torch.cat([graph.candidates(moved), whole], dim=1).index_select(0, at)
        among = torch.cat([moved, common, graph.told], dim=1)
        score: Tensor = self.policy(among).squeeze(1)
        scores = score.new_full((rows, actions), self.NEVER).index_put((at, graph.action), score)
        value: Tensor = self.value(whole).squeeze(1)
        assert scores.shape == (rows, actions) and value.shape == (rows,), (scores.shape, value.shape)
        return scores, value
