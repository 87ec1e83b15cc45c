"""`GraphNetwork` in NumPy for one small graph: a decision at a time, without torch's cost of a hundred small calls.

The relations become one dense matrix of means, which a few hundred nodes allow. The scores are those of the network up
to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...core.graphs import Groups

if TYPE_CHECKING:
    from ...core.graphs import GraphBatch
    from .graph_network import GraphNetwork

__all__ = ["MOST_NODES", "DenseForward"]

FloatArray = npt.NDArray[np.float32]
MOST_NODES = 150  # of one row; above it the dense matrix costs more than it saves


class DenseForward:
    """The policy part of a network with the weights that it has now."""

    def __init__(self, net: GraphNetwork) -> None:
        given = {k: v.detach().cpu().numpy() for k, v in net.state_dict().items()}
        self.layers, self.mean = net.shape[3], np.full((net.shape[2], 1), 1.0 / net.shape[2], np.float32)
        self.weights = {k: np.ascontiguousarray(v.T) if v.ndim == 2 and k != "still" else v for k, v in given.items()}

    def __call__(self, graph: GraphBatch) -> FloatArray:
        """Logarithms (1, A) of the law of the action in a batch of one row; -inf where the mask forbids."""
        w, size = self.weights, len(graph.nodes)
        accepted = np.flatnonzero(graph.mask[0])
        logs = np.full(graph.mask.shape, -np.inf, np.float32)
        mean = _means(graph)
        told, at = graph.relative(), graph.action_node[0, accepted]
        begin = np.zeros((size + 1, told.shape[1]), np.float32)
        begin[at] = told  # -1 is the last row: no node
        nodes = ((graph.nodes - w["mean"]) / w["spread"]).clip(-10.0, 10.0)
        h = np.maximum(self._linear("enter", np.concatenate([nodes, begin[:-1]], axis=1)), 0.0)
        for layer in range(self.layers):
            said = self._linear(f"speak.{layer}", h)
            heard = (mean @ said).reshape(-1, size, said.shape[1])
            overall = np.full_like(said, said.sum(axis=0) / size)
            mixed = self._linear(f"mix.{layer}", np.concatenate([h, *heard, overall], axis=1))
            mixed -= mixed @ self.mean  # NumPy's own mean costs several times as much on a small table
            mixed /= np.sqrt((mixed * mixed) @ self.mean + 1e-5)
            h = h + np.maximum(mixed * w[f"norm.{layer}.weight"] + w[f"norm.{layer}.bias"], 0.0)
        moved = np.concatenate([h, w["still"]])[at]
        both = np.concatenate([moved.sum(axis=0) / len(moved), h.sum(axis=0) / size])
        among = np.concatenate([moved, np.tile(both, (len(moved), 1)), told], axis=1)
        score = self._linear("policy.2", np.maximum(self._linear("policy.0", among), 0.0))[:, 0]
        score -= score.max()
        logs[0, accepted] = score - np.log(np.exp(score).sum())
        return logs

    def _linear(self, name: str, x: FloatArray) -> FloatArray:
        found: FloatArray = x @ self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return found


def _means(graph: GraphBatch) -> FloatArray:
    """Matrix (R * N, N): row r * N + i takes the mean of what node i hears in relation r."""
    size, count = len(graph.nodes), len(graph.relations)
    places = []
    for r, relation in enumerate(graph.relations):
        source, target = relation.edges() if isinstance(relation, Groups) else relation
        places.append((r * size + target) * size + source)
    table = np.bincount(np.concatenate(places), minlength=count * size * size).reshape(-1, size).astype(np.float32)
    table /= np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    return table
