"""Small networks of the learners. Torch is loaded with this module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OneTower", "TwinCritics", "TwoTowers", "perceptron"]


def perceptron(
    inputs: int, hidden: Sequence[int], outputs: int, *, gain: float, bend: type[nn.Module] = nn.Tanh
) -> nn.Sequential:
    """Layers with orthogonal weights, bent by tanh or `bend`; the last layer's weights have `gain`."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [_linear(inputs, size, 2.0**0.5), bend()]
        inputs = size
    return nn.Sequential(*layers, _linear(inputs, outputs, gain))


def _linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class TwoTowers(nn.Module):
    """One perceptron for the logits, one for the value; observations (N, inputs)."""

    def __init__(self, inputs: int, actions: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.policy = perceptron(inputs, hidden, actions, gain=0.01)
        self.value = perceptron(inputs, hidden, 1, gain=1.0)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, actions) and values (N,)."""
        return self.policy(obs), self.value(obs).squeeze(-1)


class OneTower(nn.Module):
    """The perceptron of a policy that has no value of its own; observations (N, inputs)."""

    def __init__(self, inputs: int, actions: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.policy = perceptron(inputs, hidden, actions, gain=0.01, bend=nn.ReLU)

    def forward(self, obs: Tensor) -> Tensor:
        """Outputs (N, actions)."""
        return self.policy(obs)


class TwinCritics(nn.Module):
    """Two values of an observation (N, inputs) and an action (N, n), from unlike first weights."""

    def __init__(self, inputs: int, numbers: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.one, self.two = (perceptron(inputs + numbers, hidden, 1, gain=1.0, bend=nn.ReLU) for _ in range(2))

    def forward(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Both values (N,)."""
        both = torch.cat([obs, action], dim=1)
        return self.one(both).squeeze(-1), self.two(both).squeeze(-1)

    def first(self, obs: Tensor, action: Tensor) -> Tensor:
        """The first value (N,): what the actor climbs."""
        return self.one(torch.cat([obs, action], dim=1)).squeeze(-1)
