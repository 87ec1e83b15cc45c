"""`fib`: act as if each state were shown one step late, the fast informed bound (Hauskrecht 2000, JAIR 13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .pomdp_bounds import fast_informed_bound, qmdp
from .qmdp import Qmdp

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ...core.run import Run
    from .pomdp_model import PomdpArrays

__all__ = ["Fib"]


@dataclass
class Fib(Qmdp):
    """Belief and the action values of the fast informed bound, a tighter upper bound than QMDP.

    Its value bounds the optimum, but certifies nothing about its policy: simulate that.

    Parameters
    ----------
    tolerance : float
        Stop this close to the fixed point, relative to the largest value.
    """

    name: ClassVar[str] = "fib"

    tolerance: float = 1e-7

    def values(self, model: PomdpArrays, run: Run) -> npt.NDArray[np.float64]:
        """Action values (S, A), down from those of QMDP."""
        start = qmdp(model, over=lambda: run.over)
        return fast_informed_bound(model, start, tolerance=self.tolerance, over=lambda: run.over)
