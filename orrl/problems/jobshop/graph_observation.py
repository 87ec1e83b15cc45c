"""The graphs of running shops as a padded Dict of arrays, for Gymnasium: what `ShopKernel.graphs` says, no more.

Nodes are the open operations, so they stand compactly: a node's place changes from one decision to the next, and
``action_node`` says where each job's next operation is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.capabilities import GraphSpec
from .graph_features import NODE_FEATURES, RELATIONS

if TYPE_CHECKING:
    from .kernel import ShopBatch, ShopKernel

__all__ = ["edge_places", "graph_observation", "graph_spec"]


def edge_places(kernel: ShopKernel) -> int:
    """Edges that the graphs of the kernel's shops can have at most, with its padding."""
    jobs, operations = kernel.n_jobs, kernel.n_operations
    visits = max(int(np.bincount(row[row >= 0]).max()) for p in kernel.problems for row in p.machines)
    clique = jobs * operations * (jobs * visits - 1)  # each operation meets all others of its machine
    rivals = jobs * (jobs * visits - 1)  # each job's next operation is heard by all others of its machine
    # along the jobs both ways, the cliques, waits both ways, contenders, one holder a node
    return 2 * jobs * (operations - 1) + clique + 2 * jobs + rivals + jobs * operations


def graph_spec(kernel: ShopKernel) -> GraphSpec:
    """Sizes of the graph observation of a kernel's shops, padding included; it has all nodes at the beginning."""
    nodes = kernel.n_jobs * kernel.n_operations
    return GraphSpec(nodes, len(NODE_FEATURES), edge_places(kernel), RELATIONS, kernel.n_jobs + 1)


def graph_observation(kernel: ShopKernel, state: ShopBatch) -> dict[str, npt.NDArray[Any]]:
    """Arrays with leading batch axis, padded to the kernel's sizes; keys as in `HasGraph`."""
    return kernel.graphs(state).padded(graph_spec(kernel))
