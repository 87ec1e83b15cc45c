"""Air-to-ground and terrestrial channels: path loss in dB as functions of distance and height.

Al-Hourani, Kandeepan & Lardner (2014), IEEE Wireless Communications Letters 3:569-572: the mean of the line-of-sight
and the obstructed path loss, weighted by the probability of a line of sight at the elevation. The mean is
deterministic, so the received power of a user depends on the cells only and can be tabulated.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENVIRONMENTS", "Channel", "terrestrial_loss"]

FloatArray = npt.NDArray[np.float64]

LIGHT = 299_792_458.0  # m/s
# a, b of the line-of-sight probability, excess losses in dB with and without line of sight
ENVIRONMENTS: dict[str, tuple[float, float, float, float]] = {
    "suburban": (4.88, 0.43, 0.1, 21.0),
    "urban": (9.61, 0.16, 1.0, 20.0),
    "dense-urban": (12.08, 0.11, 1.6, 23.0),
    "high-rise": (27.23, 0.08, 2.3, 34.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Radio of one network. The defaults are standard values of the field, not those of any one paper.

    Parameters
    ----------
    model : {"al-hourani", "exponent"}
        Mean path loss, or a path-loss exponent that falls with the probability of a line of sight.
    environment : str
        "suburban", "urban", "dense-urban" or "high-rise".
    carrier : float
        Carrier frequency, Hz.
    power : float
        Transmit power of a UAV on a sub-channel, dBm.
    noise : float
        Noise power on a sub-channel, dBm; a floor of interference from outside may be counted in.
    bandwidth : float
        Width of a user's sub-channel, Hz.
    min_rate : float, optional
        QoS as a rate, bit/s: the same as the ratio ``2 ** (min_rate / bandwidth) - 1``. Give this or `min_ratio`.
    min_ratio : float, optional
        QoS as a signal-to-(interference-and-)noise ratio, dB.
    exponents : (float, float)
        Path-loss exponents with and without a line of sight, for model "exponent".
    """

    model: Literal["al-hourani", "exponent"] = "al-hourani"
    environment: str = "urban"
    carrier: float = 2.0e9
    power: float = 20.0
    noise: float = -83.0
    bandwidth: float = 180e3
    min_rate: float | None = None
    min_ratio: float | None = None
    exponents: tuple[float, float] = (2.0, 3.5)

    def __post_init__(self) -> None:
        if self.model not in ("al-hourani", "exponent"):
            raise DataError(f"channel model is {self.model!r}: give 'al-hourani' or 'exponent'")
        if self.environment not in ENVIRONMENTS:
            raise DataError(f"environment is {self.environment!r}: give one of {', '.join(ENVIRONMENTS)}")
        for name in ("carrier", "bandwidth"):
            if not getattr(self, name) > 0:
                raise DataError(f"channel {name} is {getattr(self, name)!r} Hz: give a positive number")
        if not all(map(math.isfinite, (self.power, self.noise))):
            raise DataError(f"power {self.power!r} and noise {self.noise!r} must be finite, in dBm")
        if self.min_rate is not None and self.min_ratio is not None:
            raise DataError("the channel has both min_rate and min_ratio: give one quality of service")
        if self.min_rate is not None and not self.min_rate > 0:
            raise DataError(f"min_rate is {self.min_rate!r} bit/s: give a positive rate")
        if len(self.exponents) != 2 or not 0 < self.exponents[0] <= self.exponents[1]:
            raise DataError(f"exponents are {self.exponents!r}: give (line of sight, obstructed), 0 < first <= second")
        object.__setattr__(self, "exponents", (float(self.exponents[0]), float(self.exponents[1])))

    @property
    def ratio(self) -> float:
        """Smallest signal-to-(interference-and-)noise ratio that serves a user, as a plain number; 3 dB by default."""
        if self.min_rate is not None:
            return float(2.0 ** (self.min_rate / self.bandwidth) - 1.0)
        return 10.0 ** ((3.0 if self.min_ratio is None else self.min_ratio) / 10.0)

    def sight(self, ground: FloatArray, height: float) -> FloatArray:
        """Probability of a line of sight at a ground distance and a height, both in m."""
        a, b, _, _ = ENVIRONMENTS[self.environment]
        elevation = np.degrees(0.5 * np.pi - np.arctan(ground / height))
        return np.asarray(1.0 / (1.0 + a * np.exp(-b * (elevation - a))), dtype=np.float64)

    def loss(self, ground: FloatArray, height: float) -> FloatArray:
        """Path loss, dB, between a UAV at `height` m and a user at ground distance `ground` m (any shape)."""
        distance = np.sqrt(ground**2 + height**2)
        clear = self.sight(ground, height)
        if self.model == "exponent":
            exponent = self.exponents[1] + (self.exponents[0] - self.exponents[1]) * clear
            return np.asarray(
                20.0 * math.log10(4.0 * math.pi * self.carrier / LIGHT) + 10.0 * exponent * np.log10(distance)
            )
        _, _, los, nlos = ENVIRONMENTS[self.environment]
        free = 20.0 * np.log10(4.0 * math.pi * self.carrier * distance / LIGHT)
        return np.asarray(free + clear * los + (1.0 - clear) * nlos, dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "exponents": list(self.exponents)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(**{**data, "exponents": tuple(data["exponents"])})


def terrestrial_loss(ground: FloatArray, *, carrier: float, station: float = 25.0, user: float = 1.5) -> FloatArray:
    """Mean path loss, dB, between a macro base station and a user on the ground.

    3GPP TR 38.901 (urban macro), tables 7.4.1-1 and 7.4.2-1: losses with and without a line of sight, weighted by its
    probability, up to the break point and for users below 13 m.

    Parameters
    ----------
    ground : array
        Ground distance, m.
    carrier : float
        Frequency, Hz.
    station, user : float
        Heights of the antennas, m.
    """
    flat = np.maximum(ground, 10.0)  # the tables begin at 10 m
    distance = np.hypot(flat, station - user)
    band = 20.0 * math.log10(carrier / 1e9)
    clear = np.where(flat <= 18.0, 1.0, 18.0 / flat + np.exp(-flat / 63.0) * (1.0 - 18.0 / flat))
    los = 28.0 + 22.0 * np.log10(distance) + band
    nlos = np.maximum(los, 13.54 + 39.08 * np.log10(distance) + band - 0.6 * (user - 1.5))
    return np.asarray(clear * los + (1.0 - clear) * nlos, dtype=np.float64)
