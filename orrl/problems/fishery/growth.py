"""Growth laws of one stock: how large it is next year if `s` is left in the water, before noise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "FAMILIES",
    "Allen",
    "BevertonHolt",
    "GordonSchaefer",
    "Growth",
    "May",
    "Myers",
    "ReferencePoints",
    "Ricker",
    "growth_from_dict",
]

FloatArray = npt.NDArray[np.float64]


class ReferencePoints(NamedTuple):
    """Deterministic yardsticks of a growth law, in units of the stock (`f_msy`: share of the stock a year).

    Parameters
    ----------
    escapement : float
        S*, the stock to leave: ``argmax f(s) - s / discount`` (Clark 1990, Mathematical Bioeconomics, chapter 2).
    b_msy, msy, f_msy : float
        ``f(S*)``, ``f(S*) - S*`` and their ratio, so they are the discounted optimum's and not the textbook's.
    """

    escapement: float
    b_msy: float
    msy: float
    f_msy: float


@dataclass(frozen=True, kw_only=True)
class Growth(ABC):
    """Base of the growth laws; parameters are checked by name.

    Attributes
    ----------
    code : int
        Number of the law in compiled code.
    """

    family: ClassVar[str]
    code: ClassVar[int]
    positive: ClassVar[tuple[str, ...]] = ("r", "K")

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not np.isfinite(value):
                raise DataError(f"{self.family} growth: {field.name} is {value!r}: give a finite number")
            if field.name in self.positive and not value > 0.0:
                what = "the stock that the sea carries" if field.name == "K" else "a rate or level"
                raise DataError(f"{self.family} growth: {field.name} is {value!r}: {what} must be positive")

    @abstractmethod
    def f(self, s: Any) -> FloatArray:
        """Next stock (...,) of what is left `s` (...,) >= 0, before noise; never below 0."""

    @property
    def unfished(self) -> float:
        """Where a stock stays that nobody fishes, K."""
        return float(getattr(self, "K"))  # noqa: B009  (every law but Myers' has it)

    def parameters(self) -> tuple[float, ...]:
        """Numbers in the order of the fields, for compiled code."""
        return tuple(float(getattr(self, field.name)) for field in fields(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"family": self.family, **{field.name: getattr(self, field.name) for field in fields(self)}}

    def reference(self, discount: float, top: float) -> ReferencePoints:
        """S*, B_MSY, MSY and F_MSY with a discount factor, S* sought in [0, top]."""
        return _reference(self, float(discount), float(top))


@lru_cache(maxsize=256)
def _reference(growth: Growth, discount: float, top: float) -> ReferencePoints:
    """Best of a fine grid (laws with an Allee effect have several humps), then the root of the slope beside it."""
    from scipy.optimize import brentq

    grid = np.linspace(0.0, top, 2001)
    i = int(np.argmax(growth.f(grid) - grid / discount))
    left = float(grid[i])
    h = 1e-4 * top

    def slope(s: float) -> float:  # fourth order, so that S* has 11 digits; a minimiser of values has 8
        near = growth.f(np.array([s - 2 * h, s - h, s + h, s + 2 * h]))
        return float((near[0] - 8.0 * near[1] + 8.0 * near[2] - near[3]) / (12.0 * h) - 1.0 / discount)

    if 2 <= i < len(grid) - 2:
        low, high = float(grid[i - 1]), float(grid[i + 1])
        if slope(low) > 0.0 > slope(high):
            left = float(brentq(slope, low, high, xtol=1e-14, rtol=1e-14))
    stock = float(growth.f(np.array([left]))[0])
    if not stock > 0.0:
        return ReferencePoints(left, 0.0, 0.0, 0.0)
    return ReferencePoints(left, stock, stock - left, (stock - left) / stock)


@dataclass(frozen=True, kw_only=True)
class GordonSchaefer(Growth):
    """Logistic growth ``s + r s (1 - s / K)`` (Gordon 1954; Schaefer 1954; paper A's simulation study)."""

    family: ClassVar[str] = "gordon-schaefer"
    code: ClassVar[int] = 0
    r: float
    K: float

    def f(self, s: Any) -> FloatArray:
        """See the class."""
        s = np.asarray(s, np.float64)
        return np.maximum(s + self.r * s * (1.0 - s / self.K), 0.0)


@dataclass(frozen=True, kw_only=True)
class Ricker(Growth):
    """``s exp(r (1 - s / K))`` (Ricker 1954)."""

    family: ClassVar[str] = "ricker"
    code: ClassVar[int] = 1
    r: float
    K: float

    def f(self, s: Any) -> FloatArray:
        """See the class."""
        s = np.asarray(s, np.float64)
        return np.asarray(s * np.exp(self.r * (1.0 - s / self.K)))


@dataclass(frozen=True, kw_only=True)
class BevertonHolt(Growth):
    """``(1 + r) s / (1 + r s / K)`` (Beverton & Holt 1957)."""

    family: ClassVar[str] = "beverton-holt"
    code: ClassVar[int] = 2
    r: float
    K: float

    def f(self, s: Any) -> FloatArray:
        """See the class."""
        s = np.asarray(s, np.float64)
        return np.asarray((1.0 + self.r) * s / (1.0 + self.r * s / self.K))


@dataclass(frozen=True, kw_only=True)
class Allen(Growth):
    """``s exp(r (1 - s / K) (s - C) / K)``: below the critical level C the stock dwindles (Allen et al. 2005)."""

    family: ClassVar[str] = "allen"
    code: ClassVar[int] = 3
    positive: ClassVar[tuple[str, ...]] = ("r", "K", "C")
    r: float
    K: float
    C: float

    def f(self, s: Any) -> FloatArray:
        """See the class."""
        s = np.asarray(s, np.float64)
        return np.asarray(s * np.exp(self.r * (1.0 - s / self.K) * (s - self.C) / self.K))


@dataclass(frozen=True, kw_only=True)
class May(Growth):
    """``s + r s (1 - s / K) - a s^q / (s^q + b^q)``: logistic growth under a saturating predator (May 1977)."""

    family: ClassVar[str] = "may"
    code: ClassVar[int] = 4
    positive: ClassVar[tuple[str, ...]] = ("r", "K", "b", "q")
    r: float
    K: float
    a: float
    b: float
    q: float = 2.0

    def __post_init__(self) -> None:
        Growth.__post_init__(self)
        if self.a < 0.0:
            raise DataError(f"may growth: a is {self.a!r}: a predator eats 0 or more")

    def f(self, s: Any) -> FloatArray:
        """See the class."""
        s = np.asarray(s, np.float64)
        eaten = s**self.q
        return np.maximum(s + self.r * s * (1.0 - s / self.K) - self.a * eaten / (eaten + self.b**self.q), 0.0)


@dataclass(frozen=True, kw_only=True)
class Myers(Growth):
    """``r s^theta / (1 + s^theta / K)``; theta > 1 is depensation (Myers et al. 1995, Science 269:1106)."""

    family: ClassVar[str] = "myers"
    code: ClassVar[int] = 5
    positive: ClassVar[tuple[str, ...]] = ("r", "K", "theta")
    r: float
    K: float
    theta: float

    def f(self, s: Any) -> FloatArray:
        """See the class."""
        grown = np.asarray(s, np.float64) ** self.theta
        return np.asarray(self.r * grown / (1.0 + grown / self.K))

    @property
    def unfished(self) -> float:
        """Largest stock that growth keeps, by iteration from far above; 0 where there is none."""
        stock = 10.0 * self.r * self.K
        for _ in range(10_000):
            stock, before = float(self.f(np.array([stock]))[0]), stock
            if abs(stock - before) <= 1e-13 * max(1.0, stock):
                break
        return stock


FAMILIES: dict[str, type[Growth]] = {c.family: c for c in (GordonSchaefer, Ricker, BevertonHolt, Allen, May, Myers)}


def growth_from_dict(data: Mapping[str, Any]) -> Growth:
    """Inverse of `Growth.to_dict`.

    Raises
    ------
    UnknownNameError
        Suggesting the nearest families.
    """
    rest = {key: value for key, value in data.items() if key != "family"}
    if data.get("family") not in FAMILIES:
        raise UnknownNameError("growth family", str(data.get("family")), FAMILIES)
    kind = FAMILIES[data["family"]]
    names = [field.name for field in fields(kind)]
    if wrong := sorted(set(rest) - set(names)):
        raise DataError(f"{kind.family} growth has no {wrong[0]!r}: its parameters are {', '.join(names)}")
    return kind(**rest)
