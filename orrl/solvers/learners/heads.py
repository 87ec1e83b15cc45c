"""What a policy network's outputs mean: the law of an action, for choices and for numbers in the unit interval.

A head turns outputs (N, `outputs`) and a mask (N, A) into a law. `sample` and `greedy` act, in arrays; `law` is what a
loss is made of, in tensors. Torch is loaded with this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ...core.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["HEADS", "Acts", "BetaHead", "BetaLaw", "ChoiceHead", "Head", "Law", "UnitHead", "masked_law"]

NEVER = -1e9  # logit of an action that is not accepted
EDGE = 1e-6  # a drawn number keeps this distance from 0 and 1, where its density may be infinite or nothing


class Law(Protocol):
    """Law of N actions."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm (N,) of probability or density."""
        ...

    def entropy(self) -> Tensor:
        """Entropy (N,); that of a density may be negative."""
        ...


class Acts(Protocol):
    """One kind of action: what acts on outputs."""

    outputs: int

    def sample(
        self, outputs: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], rng: np.random.Generator
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        """Actions drawn from the law, (N,) or (N, n), and the logarithms (N,) of their probabilities."""
        ...

    def greedy(self, outputs: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        """The action that is taken when nothing is explored."""
        ...


class Head(Acts, Protocol):
    """One kind of action that has a law."""

    def law(self, outputs: Tensor, mask: Tensor) -> Law:
        """The law, differentiable in the outputs."""
        ...


# ---- choices ---------------------------------------------------------------------------------------------------------
def masked_law(logits: Tensor, mask: Tensor) -> torch.distributions.Categorical:
    """Law over the accepted actions: logits (N, A), mask (N, A)."""
    assert logits.shape == mask.shape, (logits.shape, mask.shape)
    return torch.distributions.Categorical(logits=logits.masked_fill(~mask, NEVER), validate_args=False)


class ChoiceHead:
    """One of A choices: the outputs are logits; greedy is the likeliest accepted one."""

    def __init__(self, actions: int) -> None:
        self.outputs = actions

    def sample(
        self, outputs: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The best of logits with Gumbel noise, which has the law of the softmax."""
        scores = np.where(mask, outputs, -np.inf)
        scores = np.where(mask.any(axis=1, keepdims=True), scores, 0.0)
        scores = scores - scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        action = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
        return action, np.take_along_axis(logs, action[:, None], axis=1)[:, 0].astype(np.float32)

    def law(self, outputs: Tensor, mask: Tensor) -> Law:
        """`masked_law`."""
        return masked_law(outputs, mask)

    def greedy(self, outputs: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """The likeliest accepted choice."""
        return np.where(mask, outputs, -np.inf).argmax(axis=-1)


# ---- numbers ---------------------------------------------------------------------------------------------------------
class BetaLaw:
    """Independent Beta laws of the coordinates (N, n) in the mask; the others count for nothing."""

    def __init__(self, outputs: Tensor, mask: Tensor) -> None:
        n = mask.shape[1]
        assert outputs.shape == (len(mask), 2 * n), (outputs.shape, mask.shape)
        shape = 1.0 + torch.nn.functional.softplus(outputs)
        self.alpha, self.beta, self.mask = shape[:, :n], shape[:, n:], mask
        # torch.distributions.Beta builds a Dirichlet law each time, which takes longer than the network
        self._both = self.alpha + self.beta
        self._norm = self.alpha.lgamma() + self.beta.lgamma() - self._both.lgamma()

    @property
    def mean(self) -> Tensor:
        """alpha / (alpha + beta), (N, n)."""
        return self.alpha / (self.alpha + self.beta)

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm (N,) of the joint density at values (N, n)."""
        x = torch.where(self.mask, value, 0.5)
        logs = (self.alpha - 1.0) * x.log() + (self.beta - 1.0) * (1.0 - x).log() - self._norm
        return torch.where(self.mask, logs, 0.0).sum(dim=1)

    def entropy(self) -> Tensor:
        """Joint differential entropy (N,), at most 0."""
        rise = (self.alpha - 1.0) * self.alpha.digamma() + (self.beta - 1.0) * self.beta.digamma()
        spread = self._norm - rise + (self._both - 2.0) * self._both.digamma()
        return torch.where(self.mask, spread, 0.0).sum(dim=1)


class BetaHead:
    """n numbers in [0, 1], each with a Beta law with alpha, beta = 1 + softplus(outputs).

    Chou, Maturana & Scherer (2017), "Improving Stochastic Policy Gradients in Continuous Control with Deep
    Reinforcement Learning using the Beta Distribution", ICML: unlike a Gaussian that is clipped to the box it puts no
    weight outside, so its gradient is not biased; parameters above 1 keep it unimodal. Greedy is the mean: both
    parameters may come close to 1, where the mode means nothing.
    """

    def __init__(self, actions: int) -> None:
        self.outputs = 2 * actions

    def bias(self, mean: float, spread: float) -> npt.NDArray[np.float64]:
        """Outputs (2n,) whose laws have this mean and standard deviation.

        Raises
        ------
        DataError
            Where alpha or beta would be at most 1: the law would be wider than a unimodal one can be.
        """
        total = mean * (1.0 - mean) / spread**2 - 1.0 if spread > 0 else 0.0
        shape = np.array([mean, 1.0 - mean]) * total
        if not (0.0 < mean < 1.0 and (shape > 1.0).all()):
            raise DataError(
                f"no unimodal Beta law has mean {mean!r} and standard deviation {spread!r}: take a smaller deviation, "
                "such as a third of the distance to the nearer end"
            )
        return np.repeat(np.log(np.expm1(shape - 1.0)), self.outputs // 2)

    def sample(
        self, outputs: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Numbers (N, n), 0 where they have no effect."""
        with torch.no_grad():
            law = self.law(torch.as_tensor(outputs), torch.tensor(mask))
            drawn = rng.beta(law.alpha.double().numpy(), law.beta.double().numpy())
            action = np.where(mask, np.clip(drawn, EDGE, 1.0 - EDGE), 0.0).astype(np.float32)
            return action, law.log_prob(torch.as_tensor(action)).numpy()

    def law(self, outputs: Tensor, mask: Tensor) -> BetaLaw:
        """`BetaLaw`."""
        return BetaLaw(outputs, mask)

    def greedy(self, outputs: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """The mean (N, n), 0 where it has no effect."""
        with torch.no_grad():
            mean = self.law(torch.as_tensor(outputs), torch.tensor(mask)).mean.numpy()
        return np.where(mask, mean, 0.0).astype(np.float32)


class UnitHead:
    """n numbers in [0, 1] with nothing random about them: the logistic function of the outputs."""

    def __init__(self, actions: int) -> None:
        self.outputs = actions

    def numbers(self, outputs: Tensor, mask: Tensor) -> Tensor:
        """Numbers (N, n), 0 where they have no effect, differentiable in the outputs."""
        assert outputs.shape == mask.shape, (outputs.shape, mask.shape)
        return outputs.sigmoid() * mask

    def sample(
        self, outputs: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The greedy numbers, of probability 1."""
        return self.greedy(outputs, mask), np.zeros(len(outputs), np.float32)

    def greedy(self, outputs: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """`numbers`."""
        return self.numbers(torch.as_tensor(outputs), torch.tensor(mask)).numpy()


HEADS: dict[str, type[ChoiceHead | BetaHead | UnitHead]] = {"choice": ChoiceHead, "beta": BetaHead, "unit": UnitHead}
