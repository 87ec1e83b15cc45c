"""Registers the Gymnasium ids when imported: the one module with a side effect.

>>> import gymnasium
>>> env = gymnasium.make("orrl.gym:orrl/JobShop-v0", problem="jobshop/ft06")
>>> obs, info = env.reset(seed=0)
>>> info["action_mask"].shape
(7,)
"""

from __future__ import annotations

from typing import Any

import gymnasium

from orrl.catalogue import load

__all__ = ["make_env"]


def make_env(problem: Any, *, load_options: dict[str, Any] | None = None, **options: Any) -> Any:
    """Environment of a catalogue name (with ``load_options``) or of a problem; illegal actions are no-ops here."""
    if isinstance(problem, str):
        problem = load(problem, **(load_options or {}))
    return problem.env(**{"illegal": "noop", **options})


gymnasium.register(id="orrl/JobShop-v0", entry_point="orrl.gym:make_env", disable_env_checker=True)
gymnasium.register(id="orrl/UavOffloading-v0", entry_point="orrl.gym:make_env", disable_env_checker=True)
