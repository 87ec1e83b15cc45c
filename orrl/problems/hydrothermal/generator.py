"""Random river valleys: one at a time, or a distribution with a fixed seed stream per split.

Water: reservoirs form a binary tree that drains to one outlet; the highest ones store months, the others days to weeks.
Rain is seasonal, wet first, and a wet week is wet for all basins. Power: plants stand away from the loads, on the first
buses of a ring with chords, and thermal units, from cheap to dear, at the loads. Numbers are rounded, so that a seed
gives the same bits, and the same content hash, on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ...core.errors import DataError
from ...core.learner import SPLITS, Split
from ...core.seeds import stream
from .system import Cascade, Network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .data import Hydrothermal

__all__ = ["HydroGenerator", "generate"]

System = TypeVar("System", bound="Hydrothermal")
Range = int | tuple[int, int]
Span = float | tuple[float, float]

BASE = 100.0  # MVA
LOAD = 80.0  # MW a bus, on average
PRICES = (18.0, 80.0)  # money per MW and stage, of the cheapest and the dearest thermal unit
SIZES = ("plants", "buses", "thermal", "scenarios", "rows", "stages")
SHARES = ("tightness", "hydro_share", "season", "spread")


def generate(
    cls: type[System],
    *,
    seed: int,
    plants: int = 4,
    buses: int = 5,
    thermal: int = 4,
    scenarios: int = 10,
    rows: int = 52,
    stages: int | None = None,
    tightness: float = 0.7,
    hydro_share: float = 0.5,
    season: float = 0.8,
    spread: float = 0.6,
    storage_weeks: float = 20.0,
    deficit_cost: float = 600.0,
    stage_hours: float = 168.0,
    name: str | None = None,
    **options: Any,
) -> System:
    """One random valley.

    Parameters
    ----------
    cls : type
        `Hydrothermal`.
    seed : int
        Non-negative.
    plants, buses, thermal, scenarios, rows, stages : int
        Size; rows are the stages of a year, and `stages` is a year by default.
    tightness : float
        Load over thermal capacity plus the mean power of all inflow: near 1 and above, dry weeks shed load.
    hydro_share : float
        Mean power of all inflow over the load, in (0, 1).
    season : float
        How far the mean inflow swings about its mean over the year, 0 to below 1.
    spread : float
        Standard deviation of the logarithm of what a week brings, common to all basins; each has a third of it alone.
    storage_weeks : float
        Weeks (of 168 hours) of mean inflow that a reservoir at the top holds.
    deficit_cost : float
        Money per MW not served and stage.
    stage_hours : float
        Hours of a stage.
    name : str, optional
        By default the size and the seed.
    **options
        Of `Hydrothermal`, such as ``network="ac"``.

    Raises
    ------
    DataError
        For a size below 1 (two buses are the least) or a share out of its range.
    """
    for what, value, least in (
        ("plants", plants, 1),
        ("buses", buses, 2),
        ("thermal", thermal, 1),
        ("scenarios", scenarios, 1),
        ("rows", rows, 1),
    ):
        if value < least:
            raise DataError(f"{what} is {value}: give at least {least}")
    if not tightness > 0 or not 0 < hydro_share < 1 or not 0 <= season < 1 or not spread >= 0:
        raise DataError(
            f"tightness {tightness:g}, hydro_share {hydro_share:g}, season {season:g}, spread {spread:g}: give "
            "tightness > 0, hydro_share between 0 and 1, season from 0 to below 1, spread of at least 0"
        )
    if not 1.0 / tightness > hydro_share:
        raise DataError(
            f"tightness {tightness:g} with hydro_share {hydro_share:g} leaves no thermal capacity: tightness must be "
            f"below {1.0 / hydro_share:g}"
        )
    river, wires, rain = (stream(seed, "hydrothermal", part) for part in ("river", "grid", "rain"))
    load = LOAD * buses
    cascade, mean = _river(river, plants, load * hydro_share, storage_weeks)
    grid = _grid(wires, buses, thermal, load, load * (1.0 / tightness - hydro_share), cascade, deficit_cost)
    given = {"name": name or f"{plants}-{buses}-{thermal}-{scenarios}-seed{seed}", **options}
    return cls(
        grid=grid,
        cascade=cascade,
        inflow=_rain(rain, mean, rows, scenarios, season, spread),
        stage_hours=stage_hours,
        stages=rows if stages is None else stages,
        **given,
    )


def _river(rng: np.random.Generator, plants: int, power: float, storage_weeks: float) -> tuple[Cascade, Any]:
    """Reservoirs numbered downstream, and the mean inflow (H,) m3/s of each one's own basin."""
    below = np.zeros((plants, plants), np.int64)
    for k in range(1, plants):  # k counts from the outlet upwards
        below[plants - 1 - k, plants - 1 - (k - 1) // 2] = 1
    top = below.sum(axis=0) == 0
    mean = rng.uniform(20.0, 40.0, plants) * np.where(top, 1.5, 0.5)
    through = mean.copy()
    for h in range(plants - 1):  # those above come first
        through += below[h] * through[h]
    head = rng.uniform(0.5, 1.5, plants)
    production = head * power / (head @ through)
    turbine_max = through * rng.uniform(1.8, 2.3, plants)
    weeks = np.where(top, storage_weeks * rng.uniform(0.8, 1.2, plants), rng.uniform(0.3, 2.0, plants))
    volume_max = weeks * 0.6048 * through
    zeros = np.zeros(plants)
    volume_max, turbine_max, production = volume_max.round(2), turbine_max.round(2), production.round(4)
    cascade = Cascade(
        names=tuple(f"hydro {h + 1}" for h in range(plants)),
        generator=np.arange(plants),
        volume_min=zeros,
        volume_max=volume_max,
        volume_start=(0.3 * volume_max).round(2),
        turbine_min=zeros,
        turbine_max=turbine_max,
        production=production,
        spill_cost=zeros,
        outflow_violation_cost=zeros,
        volume_violation_cost=zeros,
        turbine_to=below,
        spill_to=below,
    )
    return cascade, mean


def _grid(
    rng: np.random.Generator,
    buses: int,
    thermal: int,
    load: float,
    thermal_power: float,
    cascade: Cascade,
    deficit_cost: float,
) -> Network:
    """Hydro on the first buses, loads and thermal units on the others; powers come in MW."""
    plants = len(cascade.names)
    sources = max(1, buses // 3)  # buses up the valley; they have a tenth of the load of the others
    weight = rng.uniform(0.7, 1.3, buses) * np.where(np.arange(buses) < sources, 0.1, 1.0)
    demand = load * weight / weight.sum() / BASE
    ring = [(b, b + 1) for b in range(buses - 1)] + ([(0, buses - 1)] if buses > 2 else [])
    chords = [(b, b + 2) for b in range(0, buses - 2, 2) if (b, b + 2) not in ring]
    ends = np.array(ring + chords, np.int64)
    lines = len(ends)
    reactance = rng.uniform(0.04, 0.09, lines)
    # Lines that leave the valley carry all hydro together but not each half of it, so that full turbines congest them.
    leaving = (ends < sources).sum(axis=1) == 1
    hydro = float(cascade.production @ cascade.turbine_max) / BASE
    rating = np.where(leaving, 0.75 * hydro / max(1, int(leaving.sum())), 0.6 * demand.sum())
    rating *= rng.uniform(0.9, 1.15, lines)
    shares = rng.uniform(0.7, 1.3, thermal)
    power = np.concatenate([cascade.production * cascade.turbine_max, thermal_power * shares / shares.sum()]) / BASE
    power = power.round(6) + 1e-6  # so that turbines, not generators, limit the water
    price = np.geomspace(*PRICES, thermal) * rng.uniform(0.95, 1.05, thermal)
    price, demand, rating, reactance = price.round(2), demand.round(4), rating.round(4), reactance.round(4)
    count = plants + thermal
    return Network(
        base=BASE,
        bus_names=tuple(f"bus {b + 1}" for b in range(buses)),
        reference=0,
        voltage_min=np.full(buses, 0.93),
        voltage_max=np.full(buses, 1.07),
        branch_from=ends[:, 0],
        branch_to=ends[:, 1],
        resistance=(reactance * 0.15).round(6),
        reactance=reactance,
        charge_from=np.full(lines, 0.01),
        charge_to=np.full(lines, 0.01),
        tap=np.ones(lines),
        shift=np.zeros(lines),
        rating=rating,
        angle_min=np.full(lines, -0.5236),
        angle_max=np.full(lines, 0.5236),
        generator_names=(*cascade.names, *(f"thermal {g + 1}" for g in range(thermal))),
        generator_bus=np.concatenate([np.arange(plants) % sources, sources + np.arange(thermal) % (buses - sources)]),
        power_min=np.zeros(count),
        power_max=power,
        reactive_min=-0.8 * power,
        reactive_max=0.8 * power,
        cost=np.concatenate([np.full(plants, 0.1), price]) * BASE,
        load_bus=np.arange(buses),
        load=demand,
        reactive_load=(demand * 0.2).round(5),
        deficit_cost=deficit_cost * BASE,
    )


def _rain(rng: np.random.Generator, mean: Any, rows: int, scenarios: int, season: float, spread: float) -> Any:
    """Inflow (R, H, S): the year begins with its wet half; the mean over scenarios is the season's."""
    year = 1.0 + season * np.sin(2.0 * np.pi * (np.arange(rows) + 0.5) / rows)
    common = rng.standard_normal((rows, 1, scenarios)) * spread
    own = rng.standard_normal((rows, len(mean), scenarios)) * (spread / 3.0)
    factor = np.exp(common + own)
    factor /= factor.mean(axis=2, keepdims=True)
    return (year[:, None, None] * mean[None, :, None] * factor).round(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class HydroGenerator:
    """A distribution of valleys; a range ``(low, high)`` includes both ends and is drawn anew for each valley.

    Parameters
    ----------
    plants, buses, thermal, scenarios, rows, stages : int or (int, int)
        Size, as in `generate`; `stages` is as many as rows where it is None.
    tightness, hydro_share, season, spread : float or (float, float)
        As in `generate`.
    network : {"dc", "transport", "dcll", "soc", "ac"}
        Physics.
    ood : HydroGenerator, optional
        What the split "ood" draws from.
    name : str
        Valleys are called ``name-split-seed-number``.
    """

    plants: Range = 4
    buses: Range = 5
    thermal: Range = 4
    scenarios: Range = 10
    rows: Range = 52
    stages: Range | None = None
    tightness: Span = 0.7
    hydro_share: Span = 0.5
    season: Span = 0.8
    spread: Span = 0.6
    network: str = "dc"
    ood: HydroGenerator | None = None
    name: str = "random"

    def __post_init__(self) -> None:
        for field in fields(self):  # JSON has no tuples
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
        for what in (*SIZES, *SHARES):
            value = getattr(self, what)
            if value is None and what == "stages":
                continue
            low, high = value if isinstance(value, tuple) else (value, value)
            least = 1 if what in SIZES else 0
            if not least <= low <= high:
                raise DataError(f"{what} is {value!r}: give a number, or (low, high) with {least} <= low <= high")
        next(self.stream())

    def sample(self, n: int, seed: int = 0, split: Split = "train") -> list[Hydrothermal]:
        """The first `n` valleys of a stream."""
        source = self.stream(seed, split)
        return [next(source) for _ in range(n)]

    def stream(self, seed: int = 0, split: Split = "train") -> Iterator[Hydrothermal]:
        """The same valleys without end."""
        from .data import Hydrothermal

        if split not in SPLITS:
            raise DataError(f"split is {split!r}: give one of {', '.join(SPLITS)}")
        law = self.ood if split == "ood" and self.ood is not None else self
        number = 0
        while True:
            rng = stream(seed, "hydrothermal", "generator", split, number)
            drawn: dict[str, Any] = {}
            for what in (*SIZES, *SHARES):
                value = getattr(law, what)
                if isinstance(value, tuple):
                    low, high = value
                    value = int(rng.integers(low, high, endpoint=True)) if what in SIZES else rng.uniform(low, high)
                drawn[what] = value
            yield Hydrothermal.generate(
                seed=int(rng.integers(2**62)),
                network=law.network,
                name=f"{law.name}-{split}-{seed}-{number}",
                **drawn,
            )
            number += 1

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "ood"}
        own = {key: list(value) if isinstance(value, tuple) else value for key, value in own.items()}
        return {**own, "ood": None if self.ood is None else self.ood.to_dict()}
