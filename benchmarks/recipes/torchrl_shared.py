"""One network of weights for all UAVs with TorchRL's PPO parts, through its PettingZooWrapper.

``python benchmarks/recipes/torchrl_shared.py --seconds 20`` prints the mean return (user-slots) before and after.
"""

from __future__ import annotations

import argparse
import time

import torch
from tensordict.nn import InteractionType, TensorDictModule
from torch import nn
from torchrl.envs.libs.pettingzoo import PettingZooWrapper
from torchrl.modules import MaskedCategorical, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss, ValueEstimators

from orrl import UavOffloading

OBS, MASK, ACTION = ("uav", "observation"), ("uav", "action_mask"), ("uav", "action")  # uav_0, uav_1, ... are stacked
EPISODES, EPOCHS, BATCHES = 16, 8, 4


def mean_return(env: PettingZooWrapper, actor: ProbabilisticActor, episodes: int, scale: float) -> float:
    """User-slots served, mean over episodes, moves drawn from the policy."""
    played = [env.rollout(1000, actor)["next", "uav", "info", "served"][:, 0].sum() for _ in range(episodes)]
    return float(scale * sum(played) / episodes)


def train(seconds: float, seed: int = 0) -> tuple[float, float]:
    """Train until the seconds are used up; returns the mean return before and after."""
    torch.manual_seed(seed)
    problem = UavOffloading.generate(seed=1)
    scale = float(problem.n_users)
    env = PettingZooWrapper(problem.parallel_env(reward="difference", reward_scale=scale))
    features, moves = env.observation_spec[OBS].shape[-1], len(problem.offsets)

    def net(outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(features, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs))

    logits = TensorDictModule(net(moves), in_keys=[OBS], out_keys=[("uav", "logits")])
    keys = {"logits": ("uav", "logits"), "mask": MASK}
    actor = ProbabilisticActor(
        logits,
        in_keys=keys,
        out_keys=[ACTION],
        distribution_class=MaskedCategorical,
        return_log_prob=True,
        log_prob_key=("uav", "log_prob"),
        default_interaction_type=InteractionType.RANDOM,
    )
    critic = ValueOperator(net(1), in_keys=[OBS], out_keys=[("uav", "state_value")])
    loss = ClipPPOLoss(actor, critic, entropy_coeff=0.005, normalize_advantage=True)
    loss.set_keys(
        action=ACTION,
        reward=env.reward_key,
        sample_log_prob=("uav", "log_prob"),
        value=("uav", "state_value"),
        advantage=("uav", "advantage"),
        value_target=("uav", "value_target"),
        done=("uav", "done"),
        terminated=("uav", "terminated"),
    )
    loss.make_value_estimator(ValueEstimators.GAE, gamma=0.95, lmbda=0.95)
    adam = torch.optim.Adam(loss.parameters(), 1e-3)
    with torch.no_grad():
        before = mean_return(env, actor, 20, scale)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with torch.no_grad():
            data = torch.stack([env.rollout(1000, actor) for _ in range(EPISODES)])
            loss.value_estimator(
                data, params=loss.critic_network_params, target_params=loss.target_critic_network_params
            )
        rows = data.reshape(-1)
        for _ in range(EPOCHS):
            for part in torch.randperm(len(rows)).chunk(BATCHES):
                terms = loss(rows[part])
                adam.zero_grad()
                sum(v for k, v in terms.items() if k.startswith("loss_")).backward()
                nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
                adam.step()
    with torch.no_grad():
        return before, mean_return(env, actor, 20, scale)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds of training (default: 20)")
    torch.set_num_threads(1)
    print("mean return {:.0f} before, {:.0f} after training".format(*train(parser.parse_args().seconds)))
