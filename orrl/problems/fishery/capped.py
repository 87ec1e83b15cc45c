"""`Capped`: a total allowable catch that changes by a share a year at most, whatever policy proposes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import DataError
from ...core.policy import Policy
from .rules import OnBelief

if TYPE_CHECKING:
    from ...core.actions import Actions

__all__ = ["Capped"]


class Capped(Policy):
    """A policy whose quota changes from one year to the next by a share of the last one at most.

    The last quota is read from the state, so a fishery that goes on from a snapshot is capped by its own past, and a
    policy that filters beliefs learns from the quota that was set. The first quota of all is free.

    Parameters
    ----------
    policy : Policy, or object with ``choose(beliefs) -> actions``
        Harvest rules, raw or filtered, alpha vectors (on the fishery's posterior), learnt policies.
    change : float
        Largest change as a share of the last quota.
    floor : float
        The share is taken of this part of MSY where the last quota is less, so that a closed fishery can open.
    name : str, optional
        ``<policy>-capped`` by default.

    Notes
    -----
    Quotas on a grid move by whole steps, by one where the cap allows less; a kernel with ``action="share"`` and a
    continuous process is exact.
    """

    def __init__(self, policy: Any, *, change: float = 0.15, floor: float = 0.1, name: str | None = None) -> None:
        for label, value in (("change", change), ("floor", floor)):
            if not 0.0 < value < np.inf:
                raise DataError(f"{label} is {value!r}: give a positive share, such as 0.15")
        self.policy: Policy = (
            OnBelief(policy, name=getattr(policy, "name", None)) if hasattr(policy, "choose") else policy
        )
        self.change, self.floor = change, floor
        self.name = name or f"{self.policy.name}-capped"
        self.seen, self.needs_observation = self.policy.seen, self.policy.needs_observation
        self.kernel_options = self.policy.kernel_options

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Reset the policy; the floor is that of the fisheries that are played."""
        own = list(problem) if isinstance(problem, Sequence) else [problem] * batch
        least = {id(p): self.floor * p.reference.msy for p in own}
        self._least = np.array([least[id(p)] for p in own])
        self.policy.reset(problem, batch=batch, seed=seed)

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """The policy's quota, held within reach of the last one."""
        kernel, state = info["view"].kernel, info["view"].state
        self.policy.deadline = self.deadline
        quota, _, effort = kernel.decoded(state, self.policy.act(obs, info))
        rows = np.arange(len(quota))
        last = state.quota[rows, np.maximum(state.stage - 1, 0)]
        room = self.change * np.maximum(last, self._least)
        if kernel.on_grid or kernel.n_actions is not None:
            step = kernel.top[state.table] / (kernel.levels - 1)
            room = step * np.maximum(np.floor(room / step + 1e-9), 1.0)
        held = np.clip(quota, np.maximum(last - room, 0.0), last + room)
        return np.asarray(kernel.actions_of(state, np.where(state.stage == 0, quota, held), effort))
