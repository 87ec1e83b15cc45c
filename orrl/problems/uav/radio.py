"""Received powers as one table, and who is served: the inputs that kernel, programs and dynamic programs share.

A user k in slot t is served by UAV u on cell c(u) when, with received powers p and the ratio g of the channel,

    p[t, c(u), k] >= g * (noise[t, k] + sum over v != u of p[t, c(v), k])       with interference,
    p[t, c(u), k] >= g * noise[t, k]                                            without.

The right-hand side is lowered by one part in 1e12, so that a user exactly on the border is served by every
implementation, whatever its rounding.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .channel import terrestrial_loss

if TYPE_CHECKING:
    from .data import UavOffloading

__all__ = ["BORDER", "Radio"]

FloatArray = npt.NDArray[np.float64]
BORDER = 1.0 - 1e-12


class Radio:
    """Tables of one problem.

    Parameters
    ----------
    problem : UavOffloading
        The network.
    """

    def __init__(self, problem: UavOffloading) -> None:
        self.problem = problem

    @cached_property
    def power(self) -> FloatArray:
        """Received power (T, G, K), mW, of a UAV on a cell at a user."""
        problem, scale = self.problem, math.log(10.0) / 10.0
        table = np.empty((problem.n_slots, problem.n_cells, problem.n_users))
        for slot, place in enumerate(problem.users):  # one slot at a time stays in the processor's cache
            gap = problem.centres[:, None] - place
            ground = np.sqrt(gap[:, :, 0] ** 2 + gap[:, :, 1] ** 2)
            loss = problem.channel.loss(ground, problem.altitude)
            np.exp(scale * (problem.channel.power - loss), out=table[slot])
        return table

    @cached_property
    def noise(self) -> FloatArray:
        """Noise plus, with interference, what the base stations send, at each user (T, K), mW."""
        problem = self.problem
        floor = np.full(problem.users.shape[:2], 10.0 ** (problem.channel.noise / 10.0))
        if not problem.interference:
            return floor
        for place in problem.stations:
            ground = np.linalg.norm(problem.users - place, axis=2)
            loss = terrestrial_loss(ground, carrier=problem.channel.carrier)
            floor += 10.0 ** ((problem.station_power - loss) / 10.0)
        return floor

    @cached_property
    def needed(self) -> FloatArray:
        """Smallest power (T, K), mW, that serves a user when no other UAV is heard."""
        return self.problem.channel.ratio * BORDER * self.noise

    @cached_property
    def covered(self) -> npt.NDArray[np.bool_]:
        """Users (T, G, K) that a UAV on a cell would serve if it were alone."""
        return self.power >= self.needed[:, None, :]

    @property
    def weight(self) -> float:
        """What a milliwatt from another UAV adds to the power that is needed; 0 without interference."""
        return self.problem.channel.ratio * BORDER if self.problem.interference else 0.0

    def candidates(self, slot: int, cells: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which UAV (U) could serve which user (K) when the UAVs stand on `cells` (U,), before any capacity."""
        power = self.power[slot, cells]
        return np.asarray(power >= self.needed[slot] + self.weight * (power.sum(axis=0) - power))
