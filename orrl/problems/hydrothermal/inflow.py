"""Inflow: paths as scenarios, how they are drawn, and the published 500 paths."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from ...core.errors import IntegrityError
from ...core.seeds import stream

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROTOCOL_SHA256", "InflowPath", "Sampler", "draw_path", "protocol_openings"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Sampler = Literal["joint", "independent"]

PROTOCOL_SHA256 = "ff229968f2d3b5d1ec66dc0d9f7b340785d26fa3def79f9fd9c544b6b1c9110c"
PROTOCOL_SEED, PROTOCOL_STAGES, PROTOCOL_PATHS, PROTOCOL_OPENINGS = 20260706, 126, 500, 15


@dataclass(frozen=True, slots=True, eq=False)
class InflowPath:
    """The scenario: what flows into each reservoir in each stage.

    Parameters
    ----------
    inflow : (T, H)
        m3/s.
    """

    inflow: FloatArray

    def __post_init__(self) -> None:
        array = np.array(self.inflow, np.float64)
        array.setflags(write=False)
        object.__setattr__(self, "inflow", array)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"inflow": self.inflow.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(np.array(data["inflow"], np.float64))


def draw_path(inflow: FloatArray, probability: FloatArray, stages: int, seed: int, sampler: Sampler) -> FloatArray:
    """Inflow (T, H) of one path.

    Parameters
    ----------
    inflow : (R, H, S)
        Joint scenarios of each row; stage t uses row t mod R.
    probability : (R, S)
        Of the scenarios.
    stages : int
        T.
    seed : int
        Of the path.
    sampler : {"joint", "independent"}
        One scenario for all plants, or one for each: the second is what early code of the field did. It destroys the
        correlation between basins and is here for replication only.
    """
    rng = stream(seed, "inflow")
    rows, plants, _ = inflow.shape
    row = np.arange(stages) % rows
    levels = np.cumsum(probability, axis=1)[row]
    levels /= levels[:, -1:]
    u = rng.random((stages, plants if sampler == "independent" else 1))
    pick = (u[:, :, None] >= levels[:, None, :]).sum(axis=2)
    pick = np.broadcast_to(pick, (stages, plants))
    return np.asarray(inflow[row[:, None], np.arange(plants)[None, :], pick], np.float64)


def protocol_openings() -> IntArray:
    """Scenario numbers (126, 500), from 0, of the published paired evaluation on Bolivia.

    Drawn by a linear congruential generator modulo 2^128, as StableRNGs.jl does, from seed 20260706: the upper half's
    lowest four bits, rejected above 14, column by column. The numbers are checked against the published SHA-256 of
    their list.

    Raises
    ------
    IntegrityError
        Where they differ.
    """
    count = PROTOCOL_STAGES * PROTOCOL_PATHS
    state, numbers = 2 * PROTOCOL_SEED + 1, list[int]()
    while len(numbers) < count:
        state = state * 0x45A31EFC5A35D971261FD0407A968ADD % 2**128
        if (u := state >> 64 & 15) < PROTOCOL_OPENINGS:
            numbers.append(u + 1)
    digest = hashlib.sha256(",".join(map(str, numbers)).encode()).hexdigest()
    if digest != PROTOCOL_SHA256:
        raise IntegrityError(f"the paths of the protocol have sha256 {digest}, published is {PROTOCOL_SHA256}")
    return np.array(numbers, np.int64).reshape(PROTOCOL_PATHS, PROTOCOL_STAGES).T - 1
