"""One network of weights for all UAVs with sb3-contrib's MaskablePPO: every agent is a row of a VecEnv.

``python benchmarks/recipes/sb3_shared.py --seconds 20`` prints the mean return (user-slots served) before and after.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.vec_env import VecEnv

from orrl import UavOffloading


class AgentRows(VecEnv):
    """A PettingZoo parallel env whose agents all end together, as a VecEnv with a row for each agent."""

    def __init__(self, env: Any) -> None:
        self.env, self.names = env, env.possible_agents
        first = self.names[0]
        super().__init__(len(self.names), env.observation_space(first), env.action_space(first))

    def reset(self) -> np.ndarray:
        obs, self.infos = self.env.reset(seed=self._seeds[0])
        self._reset_seeds()
        return np.stack([obs[a] for a in self.names])

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = dict(zip(self.names, actions.tolist(), strict=True))

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        obs, reward, done, _, self.infos = self.env.step(self.actions)
        rows = np.stack([obs[a] for a in self.names])
        infos, over = [dict(self.infos[a]) for a in self.names], all(done.values())
        if over:  # a VecEnv resets itself
            for info, row in zip(infos, rows, strict=True):
                info |= {"terminal_observation": row, "TimeLimit.truncated": False}
            rows = self.reset()
        return rows, np.array([reward[a] for a in self.names], np.float32), np.full(self.num_envs, over), infos

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        assert method_name == "action_masks", "MaskablePPO asks for nothing else"
        return [self.infos[a]["action_mask"].astype(bool) for a in self.names]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        if attr_name == "action_masks":  # so that MaskablePPO finds that there are masks
            return [self.env_method] * self.num_envs
        return [getattr(self.env, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs

    def close(self) -> None:
        self.env.close()


def mean_return(model: MaskablePPO, env: Any, episodes: int) -> float:
    """User-slots served, mean over episodes, moves drawn from the policy."""
    total = 0.0
    for _ in range(episodes):
        obs, infos = env.reset()
        while env.agents:
            rows = np.stack([obs[a] for a in env.agents])
            masks = np.stack([infos[a]["action_mask"] for a in env.agents])
            moves, _ = model.predict(rows, action_masks=masks)
            obs, *_, infos = env.step(dict(zip(env.agents, moves.tolist(), strict=True)))
            total += next(iter(infos.values()))["served"]
    return total * env.central.kernel.reward_scale / episodes


def train(
    seconds: float, *, steps: int = 10**9, seed: int = 0, problem: UavOffloading | None = None
) -> tuple[float, float]:
    """Train until the seconds or the steps are used up; returns the mean return before and after."""
    problem = problem or UavOffloading.generate(seed=1)
    options: dict[str, Any] = {"reward": "difference", "reward_scale": float(problem.n_users)}
    env, fresh = AgentRows(problem.parallel_env(**options)), problem.parallel_env(**options)
    episode = problem.n_slots - 1
    sizes: dict[str, Any] = {"n_steps": 16 * episode, "batch_size": 4 * episode * problem.n_uavs, "n_epochs": 8}
    rates: dict[str, Any] = {"learning_rate": 1e-3, "gamma": 0.95, "ent_coef": 0.005}
    model = MaskablePPO("MlpPolicy", env, **sizes, **rates, seed=seed, device="cpu")
    before, end = mean_return(model, fresh, 20), time.monotonic() + seconds
    model.learn(steps, callback=lambda _locals, _globals: time.monotonic() < end)
    return before, mean_return(model, fresh, 20)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds of training (default: 20)")
    torch.set_num_threads(1)
    print("mean return {:.0f} before, {:.0f} after training".format(*train(parser.parse_args().seconds)))
