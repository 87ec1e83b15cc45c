"""A dispatch (the solution) and a running state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["Dispatch", "HydroState"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Dispatch:
    """Decisions of T stages.

    Parameters
    ----------
    families : mapping of str to (T, size)
        The columns of the stage program by family: power, reactive, deficit, flow (per unit), angle (rad), volume,
        spilled (hm3), turbined (m3/s), and soft limits that were crossed.
    """

    families: Mapping[str, FloatArray]

    def __getitem__(self, family: str) -> FloatArray:
        """Values (T, size) of a family; size 0 where the stage has none."""
        if family in self.families:
            return self.families[family]
        return np.zeros((len(self), 0))

    def __len__(self) -> int:
        return len(self.families["volume"])

    def joined(self, other: Dispatch) -> Dispatch:
        """These stages, then the other's."""
        names = [*self.families, *(n for n in other.families if n not in self.families)]
        return Dispatch({n: np.concatenate([_rows(self, n, other), _rows(other, n, self)]) for n in names})

    def to_frame(self, names: Mapping[str, tuple[str, ...]] | None = None) -> pd.DataFrame:
        """One row per stage, columns (family, name)."""
        import pandas as pd

        labels = names or {}
        parts: dict[tuple[str, str], FloatArray] = {}
        for family, values in self.families.items():
            own = labels.get(family, tuple(str(i) for i in range(values.shape[1])))
            parts |= {(family, name): values[:, i] for i, name in enumerate(own)}
        frame = pd.DataFrame(parts)
        frame.index.name = "stage"
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {name: values.tolist() for name, values in self.families.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(
            {
                name: np.array(values, np.float64).reshape(len(values), -1) if len(values) else np.zeros((0, 0))
                for name, values in data.items()
            }
        )


def _rows(have: Dispatch, name: str, like: Dispatch) -> FloatArray:
    return have.families[name] if name in have.families else np.zeros((len(have), like.families[name].shape[1]))


@dataclass(frozen=True, slots=True, eq=False)
class HydroState:
    """A system on its way.

    Parameters
    ----------
    inflow : (t + 1, H)
        m3/s of the stages that have begun, the present one last; at the very end (T, H).
    past : Dispatch
        Of the t stages that have been dispatched.
    """

    inflow: FloatArray
    past: Dispatch

    @property
    def stage(self) -> int:
        """Stages dispatched, t."""
        return len(self.past)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"inflow": self.inflow.tolist(), "past": self.past.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(np.array(data["inflow"], np.float64), Dispatch.from_dict(data["past"]))
