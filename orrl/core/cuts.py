"""`CutPool`: a growing table of cuts on a cost-to-go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CutPool"]

FloatArray = npt.NDArray[np.float64]


class CutPool:
    """Cuts ``theta[j] >= intercept + gradient @ state_out``, and a cost-to-go made of the thetas.

    With one theta (single cut) it is the cost-to-go. With several (multi cut: one per opening) the cost-to-go is the
    largest of the `mixtures` ``q @ theta``: the expectation has one mixture, a risk measure as many as were found.
    Multi-cut thetas have no limit of their own, because `bound` is about their mixture and not about one outcome.

    Parameters
    ----------
    size : int
        n, length of the state.
    thetas : int
        J.
    bound : float
        Lower limit of the cost-to-go.

    Attributes
    ----------
    intercept, gradient, theta, active : (C,), (C, n), (C,) int, (C,) bool
        The cuts; a cut that is not active is kept, and left out of models.
    point : (C, n)
        States where the cuts were made, NaN where that is not known.
    mixtures : (D, J)
        Weights; with one theta the single row is 1.
    version : int
        Grows with each change of what is active, so that a model knows when to look again.
    """

    def __init__(self, size: int, *, thetas: int = 1, bound: float = 0.0) -> None:
        self.size, self.thetas, self.bound = size, thetas, bound
        self.count, self.version = 0, 0
        self._intercept = np.zeros(16)
        self._gradient = np.zeros((16, size))
        self._point = np.zeros((16, size))
        self._theta = np.zeros(16, np.int64)
        self._active = np.zeros(16, np.bool_)
        self.mixtures = np.ones((1, 1)) if thetas == 1 else np.zeros((0, thetas))

    @property
    def intercept(self) -> FloatArray:
        """(C,)."""
        return self._intercept[: self.count]

    @property
    def gradient(self) -> FloatArray:
        """(C, n)."""
        return self._gradient[: self.count]

    @property
    def point(self) -> FloatArray:
        """(C, n)."""
        return self._point[: self.count]

    @property
    def theta(self) -> npt.NDArray[np.int64]:
        """(C,)."""
        return self._theta[: self.count]

    @property
    def active(self) -> npt.NDArray[np.bool_]:
        """(C,)."""
        return self._active[: self.count]

    def add(self, intercept: float, gradient: FloatArray, theta: int = 0, point: FloatArray | None = None) -> int:
        """Append a cut, made at the state `point` (n,); returns its number."""
        if not (np.isfinite(intercept) and np.isfinite(gradient).all()):
            raise ValueError("a cut must be finite: it was made from a stage that has no optimum")
        if self.count == len(self._intercept):
            for name in ("_intercept", "_gradient", "_point", "_theta", "_active"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
        i = self.count
        self._intercept[i], self._gradient[i], self._theta[i], self._active[i] = intercept, gradient, theta, True
        self._point[i] = np.nan if point is None else point
        self.count += 1
        self.version += 1
        return i

    def mix(self, weights: FloatArray) -> None:
        """Append a mixture (J,) unless it is there."""
        if not len(self.mixtures) or abs(self.mixtures - weights).max(axis=1).min() > 1e-12:
            self.mixtures = np.vstack([self.mixtures, weights])
            self.version += 1

    def keep(self, active: npt.NDArray[np.bool_]) -> None:
        """Say which cuts (C,) stay in models."""
        if (active != self.active).any():
            self._active[: self.count] = active
            self.version += 1

    def value(self, state: FloatArray) -> FloatArray:
        """Cost-to-go at states (..., n), by all cuts, active or not: (...,)."""
        state = np.asarray(state, np.float64)
        if not self._complete():
            return np.full(state.shape[:-1], self.bound)
        heights = state @ self.gradient.T + self.intercept
        thetas = np.stack([heights[..., self.theta == j].max(axis=-1) for j in range(self.thetas)], axis=-1)
        return np.asarray(np.maximum(self.bound, (thetas @ self.mixtures.T).max(axis=-1)), np.float64)

    def slope(self, state: FloatArray) -> FloatArray:
        """A subgradient of `value` at one state (n,): (n,)."""
        if not self._complete():
            return np.zeros(self.size)
        heights = self.gradient @ state + self.intercept
        tops = [int(np.where(self.theta == j, heights, -np.inf).argmax()) for j in range(self.thetas)]
        mixed = self.mixtures @ heights[tops]
        if mixed.max() <= self.bound:
            return np.zeros(self.size)
        return np.asarray(self.mixtures[mixed.argmax()] @ self.gradient[tops], np.float64)

    def _complete(self) -> bool:
        """Whether every theta has a cut: before that, nothing is known but the bound."""
        return bool(len(self.mixtures)) and len(np.unique(self.theta)) == self.thetas

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "size": self.size, "thetas": self.thetas, "bound": self.bound, "mixtures": self.mixtures.tolist(),
            "intercept": self.intercept.tolist(), "gradient": self.gradient.tolist(), "theta": self.theta.tolist(),
            "active": self.active.tolist(),
            "point": [[None if np.isnan(v) else v for v in row] for row in self.point.tolist()],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        pool = cls(int(data["size"]), thetas=int(data["thetas"]), bound=float(data["bound"]))
        points = data.get("point", [[None] * pool.size] * len(data["intercept"]))
        for intercept, gradient, theta, point in zip(
            data["intercept"], data["gradient"], data["theta"], points, strict=True
        ):
            pool.add(float(intercept), np.array(gradient, np.float64), int(theta), np.array(point, np.float64))
        pool.mixtures = np.array(data["mixtures"], np.float64).reshape(-1, pool.thetas)
        pool.keep(np.array(data["active"], np.bool_))
        return pool
