"""Random completions of running episodes, the workhorse of look-ahead methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .actions import draw, hold, is_continuous, live
from .policy import View
from .seeds import spawn_seeds, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .capabilities import Kernel
    from .policy import Policy

__all__ = ["completions", "follow", "playout"]


def playout(kernel: Kernel, state: Any, *, seed: int, discount: float = 1.0, **options: Any) -> npt.NDArray[np.float64]:
    """Play every row to its end at random; the discounted rewards (B,) of the rest. The state is changed.

    A kernel with a fast ``playout`` of its own does it (and takes `options`, such as a rule to play by); any other is
    stepped with uniform accepted actions.
    """
    fast = getattr(kernel, "playout", None)
    if fast is not None:
        return np.asarray(fast(state, seed=seed, **options), dtype=np.float64)
    rng = stream(seed, "playout")
    mask = kernel.mask(state)
    total, factor = np.zeros(len(mask)), 1.0
    done = ~live(mask)
    while not done.all():
        rewards, done = kernel.step(state, hold(draw(mask, rng, continuous=is_continuous(kernel)), done))
        total += factor * rewards
        factor *= discount
        mask = kernel.mask(state)
    return total


def follow(
    kernel: Kernel, state: Any, which: Sequence[int], policy: Policy, *, discount: float = 1.0
) -> npt.NDArray[np.float64]:
    """Play every row to its end by a policy that was reset for these rows; as `playout` otherwise.

    Parameters
    ----------
    which : (B,) int
        Problem of each row.
    """
    view = View(kernel, state, which)
    mask = kernel.mask(state)
    total, factor = np.zeros(len(mask)), 1.0
    done = ~live(mask)
    while not done.all():
        obs = kernel.observe(state) if policy.needs_observation else None
        actions = np.asarray(policy.act(obs, {"action_mask": mask, "view": view, "done": done}))
        rewards, done = kernel.step(state, hold(actions, done))
        total += factor * rewards
        factor *= discount
        mask = kernel.mask(state)
    return total


def completions(
    kernel: Kernel,
    state: Any,
    which: Sequence[int],
    *,
    samples: int,
    seed: int,
    discount: float = 1.0,
    mask: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float64]:
    """Discounted rewards (B, A, S) of each accepted action and S random completions; NaN for the others.

    A kernel with fast ``completions`` of its own makes them; any other one is cloned with fresh scenarios, the same for
    all actions of a row.

    Parameters
    ----------
    which : (B,) int
        Problem of each row.
    samples : int
        Completions of each action.
    mask : (B, A) bool, optional
        Only these of the accepted actions.
    """
    fast = getattr(kernel, "completions", None)
    if fast is not None:
        return np.asarray(fast(state, samples, seed=seed, mask=mask), dtype=np.float64)
    mask = np.array(kernel.mask(state)) if mask is None else kernel.mask(state) & mask
    row, action = np.nonzero(mask)
    worth = np.full((*mask.shape, samples), np.nan)
    if not len(row):
        return worth
    fresh: list[list[Any]] = []
    for b in range(len(mask)):
        problem = kernel.problems[which[b]]
        seeds = spawn_seeds(seed + b, samples) if problem.is_stochastic else [seed]
        drawn = [problem.scenario(s) for s in seeds] if mask[b].any() else []
        fresh.append(drawn if len(drawn) == samples else drawn * samples)
    worlds = [world for b in row for world in fresh[b]]
    copies = kernel.clone(state, worlds, np.repeat(row, samples).tolist())
    rewards, _ = kernel.step(copies, np.repeat(action, samples))
    total = rewards + discount * playout(kernel, copies, seed=seed, discount=discount)
    worth[row, action] = total.reshape(-1, samples)
    return worth
