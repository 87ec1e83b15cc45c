"""The shelf as arrays: the stock is the state, the demand law gives the transitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orrl.core.decision_models import TabularMDP

if TYPE_CHECKING:
    from .problem import Inventory

__all__ = ["tabular"]


def tabular(problem: Inventory) -> TabularMDP:
    """S = capacity + 1 states, A = max_order + 1 actions, as many steps as periods are left."""
    states, actions = problem.capacity + 1, problem.max_order + 1
    chain = np.zeros((actions, states, states))
    reward = np.zeros((states, actions))
    mask = np.zeros((states, actions), np.bool_)
    for s in range(states):
        for a in range(min(actions, states - s)):
            mask[s, a] = True
            for demand, p in enumerate(problem.law):
                sold = min(s + a, demand)
                chain[a, s, s + a - sold] += p
                reward[s, a] += p * (problem.price * sold - problem.holding * (s + a - sold))
            reward[s, a] -= problem.cost * a + (problem.fixed if a else 0.0)
    initial = np.zeros(states)
    initial[problem.stock] = 1.0
    return TabularMDP(
        transition=tuple(chain),
        reward=reward,
        discount=problem.discount,
        initial=initial,
        mask=mask,
        horizon=problem.horizon - problem.objective.stage,
        state_names=tuple(f"{s} in stock" for s in range(states)),
        action_names=tuple(f"order {a}" for a in range(actions)),
    )
