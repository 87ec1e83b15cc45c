"""Gymnasium environments of the job shop: features of jobs in a padded Box, or the graph of operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import gymnasium
import numpy as np

from ...core.envs import KernelEnv, KernelVectorEnv
from ...core.errors import DataError
from .graph_features import NODE_HIGH, NODE_LOW, RELATIONS
from .graph_observation import graph_observation, graph_spec
from .kernel import FAR, FEATURES, ShopKernel

if TYPE_CHECKING:
    from ...core.learner import Generator
    from .data import JobShop

__all__ = ["JobShopEnv", "JobShopVectorEnv"]

Observation = Literal["features", "graph"]


class JobShopEnv(KernelEnv):
    """The shop as a Gymnasium environment.

    Parameters
    ----------
    problem : JobShop
        The shop; it also fixes the spaces, together with a sequence of `instances`.
    obs : {"features", "graph"}
        A Box (J, 9) of job features (`ShopKernel.observe`), or a Dict of padded Boxes: `ShopKernel.graphs`,
        padded (`graph_observation`).
    pad_to : (int, int, int), optional
        Jobs, operations per job and machines of the spaces; the largest shop given by default. Needed where a generator
        or ``reset(options={"instance": ...})`` brings larger ones.
    options : mapping
        As `KernelEnv` and `ShopKernel`: instances, split, illegal, wait, wip_cap, reward_scale.
    """

    def __init__(
        self,
        problem: JobShop,
        *,
        obs: Observation = "features",
        pad_to: tuple[int, int, int] | None = None,
        instances: Sequence[JobShop] | Generator | None = None,
        **options: Any,
    ) -> None:
        _check_observation(obs)
        self.obs = obs
        if pad_to is None:
            known = [problem, *(instances if isinstance(instances, Sequence) else ())]
            jobs, operations = np.max([p.machines.shape for p in known], axis=0).tolist()
            pad_to = (jobs, operations, max(p.n_machines for p in known))
        super().__init__(problem, instances=instances, pad_to=pad_to, **options)

    def _space(self) -> gymnasium.Space[Any]:
        return _space(self.kernel, self.obs)

    def _observe(self) -> Any:
        if self.obs == "features":
            return super()._observe()
        return {k: v[0] for k, v in graph_observation(self.kernel, self._state).items()}


class JobShopVectorEnv(KernelVectorEnv):
    """A batch of shops as a ``gymnasium.vector.VectorEnv``; see `KernelVectorEnv` and `JobShopEnv`."""

    def __init__(
        self, problems: Sequence[JobShop], scenarios: Any = None, *, obs: Observation = "features", **options: Any
    ) -> None:
        _check_observation(obs)
        self.obs = obs
        super().__init__(problems, scenarios, **options)

    def _space(self) -> gymnasium.Space[Any]:
        return _space(self.kernel, self.obs)

    def _observe(self) -> Any:
        return graph_observation(self.kernel, self._state) if self.obs == "graph" else super()._observe()


def _check_observation(obs: str) -> None:
    if obs not in ("features", "graph"):
        raise DataError(f"obs is {obs!r}: give 'features' or 'graph'")


def _space(kernel: ShopKernel, obs: Observation) -> gymnasium.Space[Any]:
    def box(low: Any, high: Any, *shape: int, kind: Any = np.float32) -> gymnasium.spaces.Box:
        return gymnasium.spaces.Box(np.full(shape, low, kind), np.full(shape, high, kind), shape, kind)

    if obs == "features":
        return box([0, 0, 0, 0, 0, 0, 0, 0, -FAR], [1, 1, 1, FAR, 1, FAR, 1, FAR, FAR], kernel.n_jobs, FEATURES)
    spec = graph_spec(kernel)
    return gymnasium.spaces.Dict(
        {
            "nodes": box(NODE_LOW, NODE_HIGH, spec.nodes, spec.node_features),
            "node_mask": box(0, 1, spec.nodes, kind=np.int8),
            "edges": box(0, spec.nodes - 1, spec.edges, 2, kind=np.int32),
            "relation": box(0, len(RELATIONS) - 1, spec.edges, kind=np.int8),
            "edge_mask": box(0, 1, spec.edges, kind=np.int8),
            "action_node": box(-1, spec.nodes - 1, spec.actions, kind=np.int32),
            "action_mask": box(0, 1, spec.actions, kind=np.int8),
        }
    )
