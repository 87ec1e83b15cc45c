"""Other libraries' models as policies: what is asked of them, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import orrl
from orrl.core import CallablePolicy, RandomPolicy, rollout
from orrl.core.adapters import ModulePolicy, PredictPolicy
from orrl.core.errors import IllegalActionError, NotSupportedError
from orrl.problems.jobshop import JobShop

SHOP = JobShop(machines=[[0, 1], [1, 0], [0, 1]], durations=[[3, 2], [2, 4], [1, 1]])


class Model:
    """The part of a Stable-Baselines3 model that is used; `answer` stands for its network."""

    def __init__(self, answer, shape=(3, 9)) -> None:
        self.answer, self.observation_space, self.calls = answer, SimpleNamespace(shape=shape), []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.calls.append((observation, deterministic, None))
        return self.answer(observation, None), None


class MaskedModel(Model):
    """One that takes masks, as in sb3-contrib."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False, action_masks=None):
        self.calls.append((observation, deterministic, action_masks))
        return self.answer(observation, action_masks), None


def play(policy, rows: int = 3):
    return rollout(SHOP, policy, [SHOP.nominal()] * rows)


def test_a_model_is_asked_deterministically_with_masks_where_it_takes_them():
    model = MaskedModel(lambda obs, mask: mask.argmax(axis=1))
    policy = orrl.as_policy(model, name="mine")
    assert isinstance(policy, PredictPolicy)
    assert policy.name == "mine"
    episodes = play(policy)
    assert all(not e.failed for e in episodes)
    assert policy.overruled == 0
    assert all(deterministic and mask is not None and mask.shape == (3, 4) for _, deterministic, mask in model.calls)
    assert orrl.as_policy(Model(lambda obs, mask: np.zeros(len(obs)))).name == "Model"


def test_a_choice_that_is_not_accepted_is_overruled_and_counted():
    policy = orrl.as_policy(Model(lambda obs, mask: np.full(len(obs), 2)))
    (episode,) = play(policy, 1)
    assert not episode.failed
    assert policy.overruled == int((episode.actions != 2).sum()) > 0
    outside = orrl.as_policy(Model(lambda obs, mask: np.full(len(obs), 99)))
    (episode,) = play(outside, 1)
    assert outside.overruled == len(episode.actions)
    play(policy, 1)
    assert policy.overruled == int((episode.actions != 2).sum()) or policy.overruled > 0, "each run counts anew"


@pytest.mark.parametrize("shape", [(4, 9), (27,), (3, 8), None])
def test_a_model_of_another_observation_is_refused(shape):
    model = Model(lambda obs, mask: np.zeros(len(obs)), shape)
    with pytest.raises(NotSupportedError, match=r"the problem gives \(3, 9\): pad both to one size"):
        play(orrl.as_policy(model))
    assert model.calls == [], "it is not even asked"


def test_a_torch_module_takes_the_best_accepted_action():
    import torch

    class Longest(torch.nn.Module):
        """Prefers the job with the longest next operation, and waiting never."""

        def __init__(self, actions: int = 4) -> None:
            super().__init__()
            self.actions = actions
            self.bias = torch.nn.Parameter(torch.zeros(1))

        def forward(self, obs: torch.Tensor) -> torch.Tensor:
            logits = torch.full((len(obs), self.actions), -1e3)
            logits[:, : obs.shape[1]] = obs[:, :, 4] + self.bias
            return logits

    policy = orrl.as_policy(Longest())
    assert isinstance(policy, ModulePolicy)
    (mine,), (rule,) = play(policy, 1), rollout(SHOP, SHOP.rules()["lpt"], [SHOP.nominal()])
    assert mine.actions.tolist() == rule.actions.tolist()
    with pytest.raises(NotSupportedError, match=r"gives logits of shape \(3, 5\), the problem has \(3, 4\)"):
        play(orrl.as_policy(Longest(5)))


def test_a_callable_is_taken_at_its_word():
    def first(obs, info):
        assert obs.shape == (2, 3, 9)
        assert info["done"].shape == (2,)
        return info["action_mask"].argmax(axis=1)

    policy = orrl.as_policy(first)
    assert isinstance(policy, CallablePolicy)
    assert policy.name == "first"
    assert all(not e.failed for e in play(policy, 2))
    with pytest.raises(IllegalActionError, match=r"policy 'wrong' chose action 3 in row 0 .jobshop.; accepted there"):
        play(orrl.as_policy(lambda obs, info: np.full(1, 3), name="wrong"), 1)
    with pytest.raises(IllegalActionError, match=r"returned actions of shape \(2,\): expected \(3,\)"):
        play(orrl.as_policy(lambda obs, info: np.zeros(2)), 3)


def test_policies_pass_and_other_things_do_not():
    policy = RandomPolicy()
    assert orrl.as_policy(policy) is policy
    with pytest.raises(NotSupportedError, match="int is no policy: give a callable, a model with predict, or a module"):
        orrl.as_policy(7)
