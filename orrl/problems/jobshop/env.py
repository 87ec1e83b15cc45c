"""Gymnasium environments of the job shop: features of jobs in a padded Box, or the graph of operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import gymnasium
import numpy as np

from ...core.capabilities import GraphSpec
from ...core.envs import KernelEnv, KernelVectorEnv
from ...core.errors import DataError
from .data import JobShop
from .graph_observation import RELATIONS, graph_observation, node_features
from .kernel import ShopKernel

__all__ = ["JobShopEnv", "JobShopVectorEnv", "graph_spec"]

Observation = Literal["features", "graph"]


def graph_spec(kernel: ShopKernel) -> GraphSpec:
    """Sizes of the graph observation of a kernel's shops, padding included."""
    jobs, operations = kernel.n_jobs, kernel.n_operations
    visits = max(int(np.bincount(row[row >= 0]).max()) for p in kernel.problems for row in p.machines)
    clique = jobs * operations * max(0, jobs - 1) * visits  # each operation meets those of every other job
    edges = 2 * jobs * max(0, operations - 1) + clique + jobs
    return GraphSpec(jobs * operations, node_features(), edges, RELATIONS, jobs + 1)


class JobShopEnv(KernelEnv):
    """The shop as a Gymnasium environment.

    Parameters
    ----------
    problem : JobShop
        The shop, or the largest one where `instances` is given.
    obs : {"features", "graph"}
        A Box (J, 9) of job features (`ShopKernel.observe`), or a Dict of padded Boxes (`graph_observation`).
    pad_to : (int, int, int), optional
        Jobs, operations per job and machines of the spaces; needed where instances differ in size.
    options : mapping
        As `KernelEnv` and `ShopKernel`: instances, split, illegal, wait, reward_scale.
    """

    def __init__(
        self,
        problem: JobShop,
        *,
        obs: Observation = "features",
        pad_to: tuple[int, int, int] | None = None,
        **options: Any,
    ) -> None:
        if obs not in ("features", "graph"):
            raise DataError(f"obs is {obs!r}: give 'features' or 'graph'")
        self.obs = obs
        super().__init__(problem, pad_to=pad_to, **options)

    def _space(self) -> gymnasium.Space[Any]:
        return _space(self.kernel, self.obs, super()._space)

    def _observe(self) -> Any:
        if self.obs == "features":
            return super()._observe()
        return {k: v[0] for k, v in graph_observation(self.kernel, self._state).items()}


class JobShopVectorEnv(KernelVectorEnv):
    """A batch of shops as a ``gymnasium.vector.VectorEnv``; see `KernelVectorEnv` and `JobShopEnv`."""

    def __init__(
        self, problems: Sequence[JobShop], scenarios: Any = None, *, obs: Observation = "features", **options: Any
    ) -> None:
        self.obs = obs
        super().__init__(problems, scenarios, **options)

    def _space(self) -> gymnasium.Space[Any]:
        return _space(self.kernel, self.obs, super()._space)

    def _observe(self) -> Any:
        return graph_observation(self.kernel, self._state) if self.obs == "graph" else super()._observe()


def _space(kernel: ShopKernel, obs: Observation, features: Any) -> gymnasium.Space[Any]:
    if obs == "features":
        return features()  # type: ignore[no-any-return]
    spec = graph_spec(kernel)

    def box(shape: tuple[int, ...], low: float, high: float, kind: Any) -> gymnasium.spaces.Box:
        return gymnasium.spaces.Box(low, high, shape, kind)

    return gymnasium.spaces.Dict(
        {
            "nodes": box((spec.nodes, spec.node_features), -np.inf, np.inf, np.float32),
            "node_mask": box((spec.nodes,), 0, 1, np.int8),
            "edges": box((spec.edges, 2), 0, max(1, spec.nodes), np.int32),
            "relation": box((spec.edges,), 0, len(RELATIONS), np.int8),
            "edge_mask": box((spec.edges,), 0, 1, np.int8),
            "action_node": box((spec.actions,), -1, max(1, spec.nodes), np.int32),
            "action_mask": box((spec.actions,), 0, 1, np.int8),
        }
    )
