"""What the last stage owes to the time after it: a volume to leave, a value of water, or cuts on its cost-to-go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ...core.cuts import CutPool
from ...core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...core.linear import Linear
    from .system import Cascade

__all__ = ["Terminal"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Terminal:
    """End of the horizon; without any of these, water left over is worth nothing.

    Parameters
    ----------
    volume : (H,), optional
        hm3 to be left in each reservoir; soft, because dry years may not reach it.
    shortage_cost : float
        Money per hm3 missing to `volume`.
    value : (H,), optional
        Money per hm3 left; it is taken off the cost of the last stage.
    cuts : CutPool, optional
        Cost-to-go after the last stage, such as a policy's cuts of some week.
    """

    volume: FloatArray | None = None
    shortage_cost: float = 0.0
    value: FloatArray | None = None
    cuts: CutPool | None = None

    def check(self, cascade: Cascade) -> None:
        """Complain about shapes and signs.

        Raises
        ------
        DataError
            Naming the entry.
        """
        count = len(cascade.names)
        for name in ("volume", "value"):
            given = getattr(self, name)
            if given is not None and np.shape(given) != (count,):
                raise DataError(f"terminal {name} has shape {np.shape(given)}: give one number a plant ({count})")
        if self.volume is not None:
            for h in np.flatnonzero((self.volume < 0) | (self.volume > cascade.volume_max))[:1]:
                raise DataError(
                    f"{cascade.names[h]}: terminal volume {self.volume[h]:g} hm3 is outside 0 to "
                    f"{cascade.volume_max[h]:g}"
                )
            if not self.shortage_cost > 0:
                raise DataError("terminal volume needs shortage_cost > 0, money per hm3 missing: it is a soft limit")
        if self.cuts is not None and (self.cuts.size != count or self.cuts.thetas != 1):
            raise DataError(f"terminal cuts are over {self.cuts.size} volumes: {count} and a single theta are needed")

    def add(self, table: Linear, cascade: Cascade) -> None:
        """Columns and rows of the last stage."""
        for h in range(len(cascade.names)):
            key = ("volume", h)
            if self.volume is not None and self.volume[h] > 0:
                short = table.column(("short", h), 0.0, np.inf, cost=self.shortage_cost)
                table.at_least(("terminal_volume", h), float(self.volume[h]), (key, 1.0), (short, 1.0))
            if self.value is not None:
                low, high, whole, cost = table.columns[key]
                table.columns[key] = (low, high, whole, cost - float(self.value[h]))
        if self.cuts is not None:
            later = table.column(("later",), self.cuts.bound, np.inf, cost=1.0)
            for c in np.flatnonzero(self.cuts.active).tolist():
                slopes = [(("volume", h), -float(a)) for h, a in enumerate(self.cuts.gradient[c]) if a]
                table.at_least(("terminal_cut", c), float(self.cuts.intercept[c]), (later, 1.0), *slopes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "volume": None if self.volume is None else np.asarray(self.volume).tolist(),
            "shortage_cost": self.shortage_cost,
            "value": None if self.value is None else np.asarray(self.value).tolist(),
            "cuts": None if self.cuts is None else self.cuts.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(
            volume=None if data["volume"] is None else np.array(data["volume"], np.float64),
            shortage_cost=float(data["shortage_cost"]),
            value=None if data["value"] is None else np.array(data["value"], np.float64),
            cuts=None if data["cuts"] is None else CutPool.from_dict(data["cuts"]),
        )
