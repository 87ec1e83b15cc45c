"""One network of weights for all UAVs with RLlib's PPO, through its ParallelPettingZooEnv; moves are masked by RLlib.

``python benchmarks/recipes/rllib_shared.py --seconds 30`` prints the mean return (user-slots served) before and after.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict
from pettingzoo import ParallelEnv
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule
from ray.tune.registry import register_env

from orrl import UavOffloading


class MaskInside(ParallelEnv):
    """The same environment with the mask inside the observation, where RLlib's masking network looks for it."""

    def __init__(self, env: Any) -> None:
        self.env, self.possible_agents, self.metadata, self.render_mode = env, env.possible_agents, env.metadata, None
        agent = self.possible_agents[0]
        mask = Box(0.0, 1.0, (int(env.action_space(agent).n),), np.float32)
        view = Dict({"observations": env.observation_space(agent), "action_mask": mask})
        self.observation_spaces = dict.fromkeys(self.possible_agents, view)
        self.action_spaces = {a: env.action_space(a) for a in self.possible_agents}

    @property
    def agents(self) -> list[str]:
        return self.env.agents

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        obs, infos = self.env.reset(seed=seed, options=options)
        return self._join(obs, infos), infos

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        obs, *rest, infos = self.env.step(actions)
        return self._join(obs, infos), *rest, infos

    def _join(self, obs: dict[str, Any], infos: dict[str, Any]) -> dict[str, Any]:
        return {
            a: {"observations": o, "action_mask": infos[a]["action_mask"].astype(np.float32)} for a, o in obs.items()
        }


def train(seconds: float, seed: int = 0) -> tuple[float, float]:
    """Train until the seconds are used up; returns the mean return of the first and of the last round of episodes."""
    problem = UavOffloading.generate(seed=1)
    scale = float(problem.n_users)
    register_env("uav", lambda _: ParallelPettingZooEnv(MaskInside(problem.parallel_env(reward_scale=scale))))
    episode = problem.n_slots - 1
    config = (
        PPOConfig()
        .environment("uav")
        .env_runners(num_env_runners=0)
        .multi_agent(policies={"shared"}, policy_mapping_fn=lambda *_, **__: "shared")
        .rl_module(rl_module_spec=RLModuleSpec(ActionMaskingTorchRLModule, model_config={"fcnet_hiddens": [64, 64]}))
        .training(
            train_batch_size_per_learner=16 * episode, minibatch_size=4 * episode, num_epochs=8, gamma=0.95, lr=1e-3
        )
        .debugging(seed=seed, log_level="ERROR")
    )
    algorithm, end, returns = config.build_algo(), time.monotonic() + seconds, []
    while not returns or time.monotonic() < end:
        team = algorithm.train()["env_runners"]["episode_return_mean"]  # the sum over agents, each paid for the team
        returns.append(float(team) * scale / problem.n_uavs)
    algorithm.stop()
    return returns[0], returns[-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="seconds of training (default: 30)")
    print("mean return {:.0f} before, {:.0f} after training".format(*train(parser.parse_args().seconds)))
