"""Actions of a batch and their masks: choices from finite sets, or real numbers in the unit interval.

A kernel whose ``n_actions`` is a number A chooses: with ``action_shape`` ``()`` it takes int actions (B,) under masks
(B, A), with ``(U,)`` it takes (B, U) under (B, U, A), and -1 keeps a row as it is. A kernel whose ``n_actions`` is None
takes float actions (B, n) in [0, 1] with ``action_shape`` ``(n,)``; its masks (B, n) mark the coordinates that have an
effect, and NaN keeps a row as it is. In either case an ended row's mask is empty, and no other's is.

Whatever handles actions without looking into them goes through these few functions, so that it serves both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import IllegalActionError

if TYPE_CHECKING:
    import gymnasium

__all__ = [
    "Actions",
    "accepted",
    "action_space",
    "blank",
    "cast",
    "draw",
    "hold",
    "is_continuous",
    "legal",
    "live",
    "nearest",
]

Actions = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


def is_continuous(kernel: Any) -> bool:
    """Whether the actions are real numbers in [0, 1]."""
    return kernel.n_actions is None


def cast(kernel: Any, actions: Any) -> Actions:
    """Actions of any number of rows in the kernel's own type, float64 or int64; float32 agents lose nothing.

    Raises
    ------
    IllegalActionError
        Where a row's action has not the kernel's ``action_shape``.
    """
    values = np.array(actions, dtype=np.float64 if is_continuous(kernel) else np.int64)
    if not len(values):
        return values.reshape(0, *kernel.action_shape)
    if values.shape[1:] != tuple(kernel.action_shape):
        raise IllegalActionError(f"an action has shape {values.shape[1:]}: expected {tuple(kernel.action_shape)}")
    return values


def blank(kernel: Any, rows: int) -> Actions:
    """Actions that keep every row as it is."""
    return np.full((rows, *kernel.action_shape), np.nan if is_continuous(kernel) else -1)


def live(mask: Mask) -> Mask:
    """Rows (B,) that still have something to decide."""
    return np.asarray(mask.any(axis=tuple(range(1, mask.ndim))))


def accepted(mask: Mask, actions: Actions) -> Mask:
    """Whether the whole action of each row (B,) is accepted: allowed by the mask, or finite and inside [0, 1]."""
    if actions.ndim == mask.ndim:  # real numbers; a comparison with NaN is false
        return live(mask) & ((actions >= 0.0) & (actions <= 1.0)).all(axis=-1)
    known = (actions >= 0) & (actions < mask.shape[-1])
    inside = np.take_along_axis(mask, np.where(known, actions, 0)[..., None], axis=-1)[..., 0]
    return np.asarray((known & inside).all(axis=tuple(range(1, actions.ndim))))


def nearest(mask: Mask, actions: Actions) -> Actions:
    """The actions where they are accepted, else the first accepted choice, or the nearest number in [0, 1]."""
    if actions.ndim == mask.ndim:
        return np.clip(actions, 0.0, 1.0)  # NaN stays: no number is near it
    known = (actions >= 0) & (actions < mask.shape[-1])
    known &= np.take_along_axis(mask, np.where(known, actions, 0)[..., None], axis=-1)[..., 0]
    return np.where(known, actions, mask.argmax(axis=-1))


def draw(mask: Mask, rng: np.random.Generator, *, continuous: bool = False) -> Actions:
    """One accepted action a row, uniform in each choice or coordinate; 0 where nothing has an effect."""
    if continuous:
        return np.where(mask, rng.random(mask.shape), 0.0)
    return np.asarray(np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=-1), dtype=np.int64)


def hold(actions: Actions, rows: Mask) -> Actions:
    """The actions with -1 or NaN, which keeps a row as it is, in `rows` (B,)."""
    real = np.issubdtype(actions.dtype, np.floating)
    kept = np.array(actions, dtype=np.float64 if real else np.int64)
    kept[rows] = np.nan if real else -1
    return kept


def legal(mask: Mask, action: Any) -> Any:
    """What one row, with mask (A,), (U, A) or (n,), accepts instead of `action`, for a message."""
    if np.ndim(action) == mask.ndim:
        return f"{len(mask)} numbers in [0, 1]" if mask.any() else "nothing"
    return np.flatnonzero(mask).tolist() if mask.ndim == 1 else [np.flatnonzero(row).tolist() for row in mask]


def action_space(kernel: Any) -> gymnasium.Space[Any]:
    """The Gymnasium space of one row's action."""
    from gymnasium.spaces import Box, Discrete, MultiDiscrete

    shape: tuple[int, ...] = kernel.action_shape
    if is_continuous(kernel):
        return Box(0.0, 1.0, shape, np.float32)
    return MultiDiscrete(np.full(shape, kernel.n_actions)) if shape else Discrete(kernel.n_actions)
