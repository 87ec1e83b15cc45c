"""Actions of a batch and their masks: one choice a row, or one for each of several agents.

A kernel whose ``action_shape`` is ``()`` takes actions (B,) under masks (B, A); with ``(U,)`` it takes (B, U) under
(B, U, A). Whatever handles actions without looking into them goes through these few functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import gymnasium

__all__ = ["accepted", "action_space", "draw", "hold", "legal", "live"]

Actions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def live(mask: Mask) -> Mask:
    """Rows (B,) that still have something to decide."""
    return np.asarray(mask.any(axis=tuple(range(1, mask.ndim))))


def accepted(mask: Mask, actions: Actions) -> Mask:
    """Whether the whole action of each row (B,) is one of those that its mask accepts."""
    known = (actions >= 0) & (actions < mask.shape[-1])
    inside = np.take_along_axis(mask, np.where(known, actions, 0)[..., None], axis=-1)[..., 0]
    return np.asarray((known & inside).all(axis=tuple(range(1, actions.ndim))))


def draw(mask: Mask, rng: np.random.Generator) -> Actions:
    """One accepted action a row, uniform in each choice; 0 where a row has ended."""
    return np.asarray(np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=-1), dtype=np.int64)


def hold(actions: Actions, rows: Mask) -> Actions:
    """The actions with -1, which keeps a row as it is, in `rows` (B,)."""
    kept = np.array(actions, dtype=np.int64)
    kept[rows] = -1
    return kept


def legal(mask: Mask) -> Any:
    """What one row (A,) or (U, A) accepts, as lists for a message."""
    return np.flatnonzero(mask).tolist() if mask.ndim == 1 else [np.flatnonzero(row).tolist() for row in mask]


def action_space(kernel: Any) -> gymnasium.Space[Any]:
    """The Gymnasium space of one row's action."""
    from gymnasium.spaces import Discrete, MultiDiscrete

    shape: tuple[int, ...] = kernel.action_shape
    return MultiDiscrete(np.full(shape, kernel.n_actions)) if shape else Discrete(kernel.n_actions)
