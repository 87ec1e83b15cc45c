"""The policy that did best so far: which cuts its models held, without a copy of them.

A pool of cuts only grows, so a count and the cuts that were active then are enough to make the policy again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...core.cuts import CutPool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

__all__ = ["Kept"]

PREFIX = "kept_"


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The cuts at one look.

    Parameters
    ----------
    iteration : int
        Of the look.
    mean : float
        Its simulated cost, minimised money.
    active : sequence of (C,) bool or None
        Of each node's pool then; None where nothing follows.
    laws : sequence of int
        Mixtures of each pool then.
    """

    iteration: int
    mean: float
    active: Sequence[npt.NDArray[np.bool_] | None]
    laws: Sequence[int]

    @classmethod
    def of(cls, pools: Sequence[CutPool | None], iteration: int, mean: float) -> Kept:
        """Remember the present cuts."""
        active = [None if pool is None else pool.active.copy() for pool in pools]
        return cls(iteration, mean, active, [0 if pool is None else len(pool.mixtures) for pool in pools])

    def pools(self, grown: Sequence[CutPool | None]) -> list[CutPool | None]:
        """Pools of their own with the cuts of then, from the pools that have `grown` since."""
        made: list[CutPool | None] = []
        for pool, active, laws in zip(grown, self.active, self.laws, strict=True):
            if pool is None or active is None:
                made.append(None)
                continue
            old = CutPool(pool.size, thetas=pool.thetas, bound=pool.bound)
            for c in range(len(active)):
                old.add(float(pool.intercept[c]), pool.gradient[c], int(pool.theta[c]), pool.point[c])
            old.mixtures = pool.mixtures[:laws].copy()
            old.keep(active)
            made.append(old)
        return made

    def to_archive(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Header and arrays for a checkpoint."""
        arrays = {f"{PREFIX}{i}": active for i, active in enumerate(self.active) if active is not None}
        return {"iteration": self.iteration, "mean": self.mean, "laws": list(self.laws)}, arrays

    @classmethod
    def from_archive(cls, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Kept:
        """Inverse of `to_archive`."""
        laws = [int(n) for n in header["laws"]]
        active = [arrays.get(f"{PREFIX}{i}") for i in range(len(laws))]
        return cls(int(header["iteration"]), float(header["mean"]), active, laws)
