"""Two policies of the checker: one plays a list of actions, one keeps what another is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.actions import Actions, accepted, cast, legal
from ..core.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Recorder", "Script"]


class Script(Policy):
    """Plays a list of actions."""

    def __init__(self, actions: Sequence[Any] | Actions, name: str = "script") -> None:
        self.actions, self.name = list(actions), name

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Back to the first action."""
        self.played = 0

    def act(self, obs: Any, info: Any) -> Actions:
        """The next action; accepted ones only, so that a bad plan is named by its step."""
        mask = np.asarray(info["action_mask"])
        if self.played >= len(self.actions):
            raise LookupError(f"all {len(self.actions)} actions are played and the episode goes on")
        action = cast(info["view"].kernel, [self.actions[self.played]])
        if not accepted(mask, action)[0]:
            raise LookupError(
                f"step {self.played} wants action {action[0].tolist()}; accepted: {legal(mask[0], action[0])}"
            )
        self.played += 1
        return action


class Recorder(Policy):
    """Plays another policy on one row and keeps what it saw, and a snapshot at the steps in `at`."""

    def __init__(self, policy: Policy, at: Sequence[int] = ()) -> None:
        self.policy, self.name, self.at = policy, policy.name, frozenset(at)

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Forget."""
        self.shown: list[tuple[bytes, bytes]] = []
        self.snapshots: dict[int, Any] = {}
        self.policy.reset(problem, batch=batch, seed=seed)

    def act(self, obs: Any, info: Any) -> Actions:
        """Pass on."""
        if len(self.shown) in self.at:
            self.snapshots[len(self.shown)] = info["view"].snapshot(0)
        self.shown.append((np.asarray(obs).tobytes(), np.asarray(info["action_mask"]).tobytes()))
        return self.policy.act(obs, info)
