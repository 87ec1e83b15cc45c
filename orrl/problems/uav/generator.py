"""Random networks: one at a time, or a distribution with a fixed seed stream per split."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ...core.errors import DataError
from ...core.learner import SPLITS, Split
from ...core.seeds import stream
from .channel import Channel
from .mobility import LAWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .data import UavOffloading

__all__ = ["UavGenerator", "generate", "places"]

Network = TypeVar("Network", bound="UavOffloading")
Range = int | tuple[int, int]


def generate(
    cls: type[Network],
    *,
    seed: int,
    grid: int | tuple[int, int] = 10,
    uavs: int = 3,
    users: int = 100,
    slots: int = 20,
    interference: bool = True,
    capacity: int | None = None,
    mobility: str = "hotspots",
    mobility_options: Mapping[str, Any] | None = None,
    channel: Channel | None = None,
    name: str | None = None,
    **options: Any,
) -> Network:
    """One random network.

    Parameters
    ----------
    cls : type
        `UavOffloading`.
    seed : int
        Non-negative.
    grid, uavs, users, slots : int
        Size.
    interference : bool
        With it (SINR) 3 dB are needed over -83 dBm, a floor that counts terrestrial interference in; without it (SNR)
        15 dB over -95 dBm. A lone UAV reaches equally far under both, 261 m with the other defaults.
    capacity : int, optional
        Sub-channels of a UAV.
    mobility : {"hotspots", "static", "waypoint", "gauss-markov"}
        How users move; `mobility_options` go to the law.
    channel : Channel, optional
        Instead of the two above.
    name : str, optional
        By default the size and the seed.
    **options
        Of `UavOffloading`; `starts` are the corners and the centre by default.
    """
    if mobility not in LAWS:
        raise DataError(f"mobility is {mobility!r}: give one of {', '.join(LAWS)}")
    for what, value in (("uavs", uavs), ("users", users), ("slots", slots)):
        if value < 1:
            raise DataError(f"{what} is {value}: give at least 1")
    width, height = (grid, grid) if isinstance(grid, int | np.integer) else grid
    cell, slot = float(options.get("cell", 100.0)), float(options.get("slot", 10.0))
    rng = stream(seed, "uav", "generate")
    place = LAWS[mobility](rng, slots, users, (width * cell, height * cell), slot=slot, **(mobility_options or {}))
    if channel is None:
        channel = Channel(noise=-83.0, min_ratio=3.0) if interference else Channel(noise=-95.0, min_ratio=15.0)
    return cls(
        users=place,
        grid=(width, height),
        starts=options.pop("starts", None) or places(uavs, width, height),
        interference=interference,
        capacity=capacity,
        channel=channel,
        name=name or f"{width}x{height}-{uavs}-{users}-{slots}-seed{seed}",
        **options,
    )


def places(uavs: int, width: int, height: int) -> list[tuple[int, int]]:
    """Starts: the corners, the centre, then along the southern edge."""
    first = [(0, 0), (width - 1, height - 1), (0, height - 1), (width - 1, 0), (width // 2, height // 2)]
    found: list[tuple[int, int]] = []
    for place in [*first, *((x, y) for y in range(height) for x in range(width))]:
        if place not in found:
            found.append(place)
    if len(found) < uavs:
        raise DataError(f"{uavs} UAVs on {width} x {height} cells: they need a cell each")
    return found[:uavs]


@dataclass(frozen=True, slots=True, kw_only=True)
class UavGenerator:
    """A distribution of networks; a range ``(low, high)`` includes both ends and is drawn anew for each network.

    Parameters
    ----------
    grid, uavs, users, slots : int or (int, int)
        Size.
    interference, capacity, mobility
        As in `generate`.
    ood : UavGenerator, optional
        What the split "ood" draws from.
    name : str
        Networks are called ``name-split-seed-number``.
    """

    grid: Range = 10
    uavs: Range = 3
    users: Range = 100
    slots: Range = 20
    interference: bool = True
    capacity: int | None = None
    mobility: str = "hotspots"
    ood: UavGenerator | None = None
    name: str = "random"

    def __post_init__(self) -> None:
        for field in fields(self):  # JSON has no tuples
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
        for what in ("grid", "uavs", "users", "slots"):
            low, high = _range(getattr(self, what))
            if not 1 <= low <= high:
                raise DataError(
                    f"{what} is {getattr(self, what)!r}: give a number, or (low, high) with 1 <= low <= high"
                )
        next(self.stream())

    def sample(self, n: int, seed: int = 0, split: Split = "train") -> list[UavOffloading]:
        """The first `n` networks of a stream."""
        source = self.stream(seed, split)
        return [next(source) for _ in range(n)]

    def stream(self, seed: int = 0, split: Split = "train") -> Iterator[UavOffloading]:
        """The same networks without end."""
        from .data import UavOffloading

        if split not in SPLITS:
            raise DataError(f"split is {split!r}: give one of {', '.join(SPLITS)}")
        law = self.ood if split == "ood" and self.ood is not None else self
        number = 0
        while True:
            rng = stream(seed, "uav", "generator", split, number)
            size = {
                k: int(rng.integers(*_range(getattr(law, k)), endpoint=True))
                for k in ("grid", "uavs", "users", "slots")
            }
            yield UavOffloading.generate(
                seed=int(rng.integers(2**62)),
                interference=law.interference,
                capacity=law.capacity,
                mobility=law.mobility,
                name=f"{law.name}-{split}-{seed}-{number}",
                **size,
            )
            number += 1

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "ood"}
        return {**own, "ood": None if self.ood is None else self.ood.to_dict()}


def _range(value: Range) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
