"""Small networks of the learners. Torch is loaded with this module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TwoTowers", "perceptron"]


def perceptron(inputs: int, hidden: Sequence[int], outputs: int, *, gain: float) -> nn.Sequential:
    """Tanh layers with orthogonal weights; the last layer's weights have `gain`."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [_linear(inputs, size, 2.0**0.5), nn.Tanh()]
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
