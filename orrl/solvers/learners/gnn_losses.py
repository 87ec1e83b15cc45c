"""What `gnn-ppo` descends on: the clipped surrogate, and the losses of its two warm starts.

The warm start by random completions distils one step of Monte-Carlo rollout (Tesauro & Galperin 1996): its loss is the
expected regret ``-sum_a pi(a|s) A(s, a)``, linear in the estimated advantages, so that their noise averages out over
states and few completions of many states teach more than many of few. The other one imitates the best of several
sampled episodes (Corsini et al. 2024, "Self-Labeling the Job Shop Scheduling Problem").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from .ppo_core import Losses, ppo_loss

if TYPE_CHECKING:
    from .ppo_core import Clip

__all__ = ["Decisions", "divergence", "imitation", "regret", "surrogate"]


class Decisions(NamedTuple):
    """M decisions: what was done, with which probability, how it turned out, what the value network said and should."""

    action: Tensor
    old_log: Tensor
    gain: Tensor
    old_value: Tensor
    goal: Tensor


def surrogate(scores: Tensor, value: Tensor, made: Decisions, clip: Clip) -> Losses:
    """`ppo_loss` of scores (M, A) and values (M,)."""
    law = _law(scores, made.action)
    new_log = law.gather(1, made.action[:, None]).squeeze(1)
    return ppo_loss(new_log, made.old_log, made.gain, value, made.old_value, made.goal, _entropy(law), clip)


def divergence(scores: Tensor, held: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of the law of scores (M, A) from that of `held` (M, A)."""
    assert scores.shape == held.shape, (scores.shape, held.shape)
    law, other = torch.log_softmax(scores, dim=1), torch.log_softmax(held, dim=1)
    return (law.exp() * (law.clamp(min=-50.0) - other.clamp(min=-50.0))).sum(dim=1).mean()


def regret(scores: Tensor, worth: Tensor, entropy_weight: float) -> Tensor:
    """Expected regret (up to a constant) minus weighted entropy, of scores and advantages (M, A)."""
    assert scores.shape == worth.shape, (scores.shape, worth.shape)
    law = torch.log_softmax(scores, dim=1)
    return -(law.exp() * worth).sum(dim=1).mean() - entropy_weight * _entropy(law).mean()


def imitation(scores: Tensor, action: Tensor) -> Tensor:
    """Cross-entropy of scores (M, A) with actions (M,)."""
    return -_law(scores, action).gather(1, action[:, None]).mean()


def _law(scores: Tensor, action: Tensor) -> Tensor:
    assert scores.dim() == 2 and action.shape == scores.shape[:1], (scores.shape, action.shape)
    return torch.log_softmax(scores, dim=1)


def _entropy(law: Tensor) -> Tensor:
    return -(law.exp() * law.clamp(min=-50.0)).sum(dim=1)
