"""Gymnasium environments of hydrothermal dispatch; loaded only where one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium

from ...core.envs import KernelEnv, KernelVectorEnv

if TYPE_CHECKING:
    from ...core.stage_kernel import StageRows
    from .data import Hydrothermal
    from .kernel import HydroKernel

__all__ = ["HydroEnv", "HydroVectorEnv"]


class HydroEnv(KernelEnv):
    """One system as a Gymnasium environment: a stage a step, the reward is minus its cost.

    Actions are a Box of shares in [0, 1], one a reservoir; any of them keeps the water balance. After a step ``info``
    has, of the stage just dispatched, ``water_values`` (H,) money per hm3, ``spilled`` (H,) hm3, ``deficit`` MW,
    ``cost`` and ``projected`` (see `HydroKernel.report`); `describe` names the entries.

    Parameters
    ----------
    problem : Hydrothermal
        The system; it also fixes the spaces.
    options : mapping
        As `KernelEnv` and `HydroKernel`: instances, split, illegal, engine.
    """

    kernel: HydroKernel
    _state: StageRows

    def _begin(self, problem: Hydrothermal, scenario: Any) -> None:
        if hasattr(self, "kernel") and self.kernel.problems[0] is problem:  # its tables are still good
            self.problem, self.scenario = problem, scenario
            self.kernel.renew()  # a seed decides everything, whatever was played before
            self._state = self.kernel.reset([scenario])
        else:
            super()._begin(problem, scenario)

    def _space(self) -> gymnasium.Space[Any]:
        return _box(self.kernel)

    def _info(self) -> dict[str, Any]:
        info = super()._info()
        if self._state.node[0]:
            report = {key: value[0] for key, value in self.kernel.report(self._state).items()}
            info |= {key: value if value.ndim else value.item() for key, value in report.items()}
        return info

    def describe(self) -> dict[str, Any]:
        """Names and units of actions, observations and of what `info` holds."""
        return _words(self.problem)


class HydroVectorEnv(KernelVectorEnv):
    """A batch of systems as a ``gymnasium.vector.VectorEnv``; see `KernelVectorEnv` and `HydroEnv`."""

    kernel: HydroKernel
    _state: StageRows

    def _space(self) -> gymnasium.Space[Any]:
        return _box(self.kernel)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One stage a row; ``info`` has the report of `HydroEnv` with a leading axis, NaN in rows that begin anew."""
        obs, rewards, done, cut, info = super().step(actions)
        return obs, rewards, done, cut, {**info, **self.kernel.report(self._state)}

    def describe(self) -> dict[str, Any]:
        """As `HydroEnv.describe`, of the first row's system."""
        return _words(self.problems[0])


def _box(kernel: HydroKernel) -> gymnasium.spaces.Box:
    low, high = kernel.observation_bounds()
    return gymnasium.spaces.Box(low, high)


def _words(problem: Any) -> dict[str, Any]:
    plants = problem.cascade.names
    return {
        "action": [f"{name}: share of the reachable volume to leave" for name in plants],
        "observation": [
            *(f"{name}: volume, share of its range" for name in plants),
            *(f"{name}: inflow, share of the largest on record" for name in plants),
            "season (sine)", "season (cosine)", "share of the horizon passed",
        ],
        "water_values": [f"{name}: money per hm3" for name in plants],
        "spilled": [f"{name}: hm3" for name in plants],
        "deficit": "MW, all buses",
        "cost": "money of the stage",
        "projected": "the network refused the volumes asked for, and they were moved to the nearest it takes",
    }  # fmt: skip
