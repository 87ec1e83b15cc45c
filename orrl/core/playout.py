"""Random completions of running episodes, the workhorse of look-ahead methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .actions import draw, hold, is_continuous, live
from .seeds import stream

if TYPE_CHECKING:
    from .capabilities import Kernel

__all__ = ["playout"]


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
