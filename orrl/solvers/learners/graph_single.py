"""`GraphNetwork` on one graph: a decision at a time, without torch's cost of a hundred small calls.

Messages and norms are compiled, products are NumPy's. The scores are those of the network up to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .graph_messages import SOURCE, wiring

if TYPE_CHECKING:
    from ...core.graphs import GraphBatch
    from .graph_network import GraphNetwork

__all__ = ["SingleForward"]

FloatArray = npt.NDArray[np.float32]


class SingleForward:
    """The policy part of a network with the weights that it has now."""

    def __init__(self, net: GraphNetwork) -> None:
        given = {k: v.detach().cpu().numpy() for k, v in net.state_dict().items()}
        self.weights = {k: np.ascontiguousarray(v.T) if v.ndim == 2 and k != "still" else v for k, v in given.items()}
        (_, _, self.width, self.layers, _), self.code = net.shape, SOURCE.compiled()

    def __call__(self, graph: GraphBatch) -> FloatArray:
        """Logarithms (1, A) of the law of the action in a batch of one row; -inf where the mask forbids."""
        w, size, width = self.weights, len(graph.nodes), self.width
        accepted = np.flatnonzero(graph.mask[0])
        told, at = graph.relative(), graph.action_node[0, accepted]
        wires = wiring(graph)
        heard = np.empty((size, len(wires.share), width // 2), np.float32)
        total = np.empty((int(wires.counts.max()), width // 2), np.float32)
        nodes = np.zeros((size + 1, graph.nodes.shape[1] + told.shape[1]), np.float32)
        nodes[at, graph.nodes.shape[1] :] = told  # -1 is the last row: no node
        nodes[:-1, : graph.nodes.shape[1]] = ((graph.nodes - w["mean"]) / w["spread"]).clip(-10.0, 10.0)
        h = np.maximum(self._linear("enter", nodes[:-1]), 0.0)
        for layer in range(self.layers):
            self.code.spread(self._linear(f"speak.{layer}", h), *wires, total, heard)
            mix = w[f"mix.{layer}.weight"]
            mixed = h @ mix[:width]
            mixed += heard.reshape(size, -1) @ mix[width:]
            mixed += w[f"mix.{layer}.bias"]
            self.code.add_normed(mixed, w[f"norm.{layer}.weight"], w[f"norm.{layer}.bias"], h)
        moved = np.concatenate([h, w["still"]])[at]
        common = np.concatenate([moved.sum(axis=0) / len(moved), h.sum(axis=0) / size])
        first = w["policy.0.weight"]
        hidden = moved @ first[:width]
        hidden += told @ first[3 * width :]
        hidden += common @ first[width : 3 * width] + w["policy.0.bias"]
        score = self._linear("policy.2", np.maximum(hidden, 0.0))[:, 0]
        score -= score.max()
        logs = np.full(graph.mask.shape, -np.inf, np.float32)
        logs[0, accepted] = score - np.log(np.exp(score).sum())
        return logs

    def _linear(self, name: str, x: FloatArray) -> FloatArray:
        found: FloatArray = x @ self.weights[f"{name}.weight"]
        found += self.weights[f"{name}.bias"]
        return found
