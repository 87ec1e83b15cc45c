"""The UAV network as a PettingZoo environment: each UAV is an agent. Imported only when one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

from ...core.errors import DataError, IllegalActionError
from . import flights
from .env import UavEnv, central_space

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...core.envs import Illegal
    from .data import UavOffloading, UavState

__all__ = ["Reward", "UavParallelEnv"]

Reward = Literal["team", "own", "difference"]
KINDS = {"team": flights.TEAM, "own": flights.ALONE, "difference": flights.DIFFERENCE}
RESET = ("instance", "scenario", "state")


class UavParallelEnv(ParallelEnv[str, npt.NDArray[np.float32], int]):
    """The network as a ``pettingzoo.ParallelEnv``; agents are called uav_0, uav_1, ...

    Each agent sees `UavKernel.observe_agents`; `state` is the central observation. All agents terminate together in the
    last slot, since the horizon is a part of the problem; nothing is truncated. ``infos[agent]`` holds ``action_mask``
    (M,) int8, ``held_back`` (the collision rule sent it back to its own cell), ``illegal_action``, ``held`` (UAVs held
    back by this move) and ``served`` (the problem's own reward; over an episode it sums to the objective).

    Parameters
    ----------
    problem : UavOffloading
        The network; it also fixes the spaces, together with a sequence of `instances`.
    reward : {"team", "own", "difference"}
        What an agent is paid: all users served; the users that hear this UAV best and are served, at most its capacity;
        or what would be lost without this UAV (Wolpert & Tumer 2002). As in the objective, the first move pays for the
        first slot too.
    illegal : {"noop", "raise"}
        What a move outside an agent's mask does: that UAV stays and ``illegal_action`` is set, or an error.
    options : mapping
        As `UavEnv`: instances, split, pad_to, reward_scale, compiled.

    Notes
    -----
    ``reset(options={"instance": ..., "state": ...})`` as in Gymnasium; options of other names are ignored, as
    PettingZoo's own tests want it. An instance with fewer UAVs plays with the first agents only.
    """

    metadata = {"name": "uav_offloading_v0", "render_modes": [], "is_parallelizable": True}  # noqa: RUF012

    def __init__(
        self, problem: UavOffloading, *, reward: Reward = "team", illegal: Illegal = "noop", **options: Any
    ) -> None:
        if reward not in get_args(Reward):
            raise DataError(f"reward is {reward!r}: give 'team', 'own' or 'difference'")
        self.reward, self.illegal = reward, illegal
        self.render_mode = None
        self.central = UavEnv(problem, **options)
        kernel = self.central.kernel
        self.possible_agents = [f"uav_{u}" for u in range(kernel.n_uavs)]
        self.agents: list[str] = []
        low, high = kernel.observation_bounds()
        self.observation_spaces = {a: Box(low, high, dtype=np.float32) for a in self.possible_agents}
        self.action_spaces = {a: Discrete(kernel.n_actions) for a in self.possible_agents}
        self.state_space = central_space(kernel)
        self._chosen = np.zeros((1, kernel.n_uavs), np.int64)
        self._gains = np.zeros((2, kernel.n_uavs))
        self._flags = np.zeros(kernel.n_uavs, np.int64)

    def observation_space(self, agent: str) -> Box:
        """Box of an agent's observation."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Discrete:
        """An agent's moves."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, npt.NDArray[np.float32]], dict[str, dict[str, Any]]]:
        """Begin an episode."""
        known = {k: v for k, v in (options or {}).items() if k in RESET}
        self.central.reset(seed=seed, options=known)
        kernel, state = self.central.kernel, self.central._state
        self.agents = self.possible_agents[: self.central.problem.n_uavs]
        self._last = self.central.problem.n_slots - 1
        self._step = kernel.code(1, self.central.problem.n_slots).turn
        self._tables = (*kernel.networks, *state.tables)
        if int(state.slot[0]) == self._last:  # reset into a finished state
            self.agents = []
        obs = kernel.observe_agents(state)[0]
        infos = [
            {"action_mask": m, "held_back": False, "illegal_action": False, "held": 0, "served": 0.0}
            for m in state.tables.mask[0].astype(np.int8)
        ]
        return dict(zip(self.agents, obs, strict=False)), dict(zip(self.agents, infos, strict=False))

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[
        dict[str, npt.NDArray[np.float32]],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """One move of every agent.

        Raises
        ------
        IllegalActionError
            With ``illegal="raise"``, for a move that an agent's mask forbids; nothing has moved then.
        """
        agents, chosen = self.agents, self._chosen
        if not agents:
            return {}, {}, {}, {}, {}
        try:
            for u, agent in enumerate(agents):
                chosen[0, u] = actions[agent]
        except KeyError as error:
            raise DataError(f"no action for {error}: give one to each of {', '.join(agents)}") from None
        chosen[0, len(agents) :] = 0
        kernel, state = self.central.kernel, self.central._state
        if self.illegal == "raise":
            self._refuse(agents)
        seen = np.empty((1, kernel.n_uavs, flights.agent_features(kernel.n_uavs)), np.float32)
        served = self._step(*self._tables, chosen, kernel.classes, KINDS[self.reward], seen, self._gains, self._flags)
        scale = kernel.reward_scale
        gains = self._gains[0].tolist() if scale == 1.0 else (self._gains[0] / scale).tolist()
        served, held = served / scale, int(state.tables.row[0, flights.HELD])
        over = int(state.tables.row[0, flights.SLOT]) == self._last
        flags, masks, views = self._flags.tolist(), state.tables.mask[0].astype(np.int8), seen[0]
        obs, rewards, infos = {}, {}, {}
        for u, agent in enumerate(agents):
            obs[agent] = views[u]
            rewards[agent] = gains[u]
            infos[agent] = {
                "action_mask": masks[u],
                "held_back": flags[u] == flights.BACK,
                "illegal_action": flags[u] == flights.ILLEGAL,
                "held": held,
                "served": served,
            }
        if over:
            self.agents = []
            if kernel.failed(state)[0]:
                for info in infos.values():
                    info["failed"] = True
        return obs, rewards, dict.fromkeys(agents, over), dict.fromkeys(agents, False), infos

    def _refuse(self, agents: list[str]) -> None:
        mask = self.central._state.tables.mask[0]
        for u, agent in enumerate(agents):
            a = int(self._chosen[0, u])
            if not 0 <= a < mask.shape[1] or not mask[u, a]:
                raise IllegalActionError(
                    f"action {a} of {agent} is not accepted now; accepted: {np.flatnonzero(mask[u]).tolist()}"
                )

    def state(self) -> npt.NDArray[np.float32]:
        """Central observation, for centralised critics; see `UavKernel.observe`."""
        return np.asarray(self.central.kernel.observe(self.central._state)[0])

    def snapshot(self) -> UavState:
        """The running state in the problem's own terms, for ``problem.at``."""
        return self.central.kernel.snapshot(self.central._state, 0)

    def render(self) -> None:
        """Nothing is drawn while flying; see `orrl.problems.uav.plot`."""
        return

    def close(self) -> None:
        """Nothing is held open."""
