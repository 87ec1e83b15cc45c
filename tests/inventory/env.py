"""A Gymnasium view of the kernel; loaded only by ``problem.env()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt

from orrl.core.errors import IllegalActionError

if TYPE_CHECKING:
    from .problem import Inventory, InventoryState

__all__ = ["InventoryEnv"]


class InventoryEnv(gymnasium.Env[npt.NDArray[np.float32], np.int64]):
    """One shelf; ``reset(options={"scenario": ..., "state": ...})``.

    Parameters
    ----------
    problem : Inventory
        What is played.
    illegal : {"noop", "raise"}
        What an order that does not fit does.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (gymnasium's own annotation)

    def __init__(self, problem: Inventory, *, illegal: Literal["noop", "raise"] = "noop") -> None:
        self.problem, self.illegal = problem, illegal
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (2,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(problem.max_order + 1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """A new demand path from the seed's stream, or the given one, from the given state."""
        super().reset(seed=seed)
        given = options or {}
        problem = self.problem if given.get("state") is None else self.problem.at(given["state"])
        world = given.get("scenario")
        if world is None:
            world = problem.scenario(int(self.np_random.integers(2**31)))
        self._kernel = type(problem).kernel([problem])
        self._rows = self._kernel.reset([world])
        return self._observe(), self._info()

    def step(self, action: Any) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Place an order and see a period."""
        legal = self.action_masks()
        if not legal[int(action)]:
            if self.illegal == "raise":
                raise IllegalActionError(f"order {action} does not fit; accepted: {np.flatnonzero(legal).tolist()}")
            return self._observe(), 0.0, not legal.any(), False, {**self._info(), "illegal_action": True}
        reward, done = self._kernel.step(self._rows, np.array([action], np.int64))
        return self._observe(), float(reward[0]), bool(done[0]), False, self._info()

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Accepted actions, (A,)."""
        return self._kernel.mask(self._rows)[0]

    def state(self) -> InventoryState:
        """What has happened, for ``problem.at``."""
        return self._kernel.snapshot(self._rows, 0)

    def _observe(self) -> npt.NDArray[np.float32]:
        return self._kernel.observe(self._rows)[0]

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self.action_masks()}
