"""The physical system: a power network in per unit, and reservoirs that feed each other. Plain arrays, checked once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Cascade", "Network"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class _Arrays:
    """Arrays in and out of plain JSON types."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        out: dict[str, Any] = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            out[field.name] = value.tolist() if isinstance(value, np.ndarray) else value
        return {k: list(v) if isinstance(v, tuple) else v for k, v in out.items()}

    def _freeze(self, whole: tuple[str, ...] = ()) -> None:
        """Arrays of the right type that nobody changes; names as tuples."""
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.name == "names" or field.name.endswith("_names"):
                object.__setattr__(self, field.name, tuple(str(v).strip() for v in value))
            elif not isinstance(value, int | float):
                array = np.array(value, np.int64 if field.name in whole else np.float64)
                array.setflags(write=False)
                object.__setattr__(self, field.name, array)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Network(_Arrays):
    """Buses, branches, generators and loads; powers in per unit on `base` MVA.

    Parameters
    ----------
    base : float
        MVA.
    bus_names : (B,) str
        Buses; the arrays below count from 0.
    reference : int
        Bus whose angle is 0.
    voltage_min, voltage_max : (B,)
        Magnitudes.
    branch_from, branch_to : (L,) int
        Buses.
    resistance, reactance, charge_from, charge_to : (L,)
        Series impedance and shunt susceptance at the two ends.
    tap, shift : (L,)
        Ratio and angle (rad) of a transformer at the first end; 1 and 0 for a line.
    rating : (L,)
        Apparent-power limit, inf without one.
    angle_min, angle_max : (L,)
        Limits of the angle difference, rad.
    generator_names : (N,) str
        Generators.
    generator_bus : (N,) int
        Their buses.
    power_min, power_max, reactive_min, reactive_max : (N,)
        Limits.
    cost : (N,)
        Money per unit of power and stage; it is not multiplied by the hours of a stage (the convention of
        HydroPowerModels).
    load_bus : (D,) int
        Buses of the loads.
    load, reactive_load : (D,)
        Demand.
    deficit_cost : float
        Money per unit of power not served and stage.
    """

    base: float
    bus_names: tuple[str, ...]
    reference: int
    voltage_min: FloatArray
    voltage_max: FloatArray
    branch_from: IntArray
    branch_to: IntArray
    resistance: FloatArray
    reactance: FloatArray
    charge_from: FloatArray
    charge_to: FloatArray
    tap: FloatArray
    shift: FloatArray
    rating: FloatArray
    angle_min: FloatArray
    angle_max: FloatArray
    generator_names: tuple[str, ...]
    generator_bus: IntArray
    power_min: FloatArray
    power_max: FloatArray
    reactive_min: FloatArray
    reactive_max: FloatArray
    cost: FloatArray
    load_bus: IntArray
    load: FloatArray
    reactive_load: FloatArray
    deficit_cost: float

    def __post_init__(self) -> None:
        self._freeze(("branch_from", "branch_to", "generator_bus", "load_bus"))
        buses = len(self.bus_names)
        if not self.base > 0:
            raise DataError(f"base is {self.base!r} MVA: give a positive number")
        for what, index in (
            ("branch_from", self.branch_from),
            ("branch_to", self.branch_to),
            ("generator_bus", self.generator_bus),
            ("load_bus", self.load_bus),
        ):
            for i in np.flatnonzero((index < 0) | (index >= buses))[:1]:
                raise DataError(f"{what}[{i}] is {index[i]}: there are {buses} buses, counted from 0")
        sizes = {"branch": len(self.branch_from), "generator": len(self.generator_bus), "load": len(self.load_bus)}
        for kind, names in (
            ("branch", ("branch_to", "resistance", "reactance", "charge_from", "charge_to", "tap", "shift", "rating")),
            ("branch", ("angle_min", "angle_max")),
            ("generator", ("generator_names", "power_min", "power_max", "reactive_min", "reactive_max", "cost")),
            ("load", ("load", "reactive_load")),
        ):
            for name in names:
                if len(getattr(self, name)) != sizes[kind]:
                    raise DataError(f"{name} has {len(getattr(self, name))} entries for {sizes[kind]} {kind}s")
        for i in np.flatnonzero(self.power_min > self.power_max)[:1]:
            raise DataError(
                f"{self.generator_names[i]}: smallest power {self.power_min[i]:g} exceeds largest {self.power_max[i]:g}"
            )
        for i in np.flatnonzero((self.resistance == 0) & (self.reactance == 0))[:1]:
            raise DataError(f"branch {i} has no impedance: give a resistance or a reactance")
        for i in np.flatnonzero(self.rating < 0)[:1]:
            raise DataError(f"branch {i}: rating is {self.rating[i]:g}, give a limit of at least 0")

    @property
    def demand(self) -> FloatArray:
        """Active demand of each bus (B,)."""
        return np.asarray(np.bincount(self.load_bus, self.load, len(self.bus_names)), np.float64)

    def scaled(self, factor: float) -> Network:
        """The same network with every load multiplied."""
        return replace(self, load=self.load * factor, reactive_load=self.reactive_load * factor)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(**data)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cascade(_Arrays):
    """Reservoirs with their plants.

    Parameters
    ----------
    names : (H,) str
        Plants.
    generator : (H,) int
        Generator of the network that a plant drives.
    volume_min, volume_max, volume_start : (H,)
        hm3. The smallest volume is soft where `volume_violation_cost` says what falling below costs.
    turbine_min, turbine_max : (H,)
        Turbined flow, m3/s.
    production : (H,)
        MW per m3/s.
    spill_cost, outflow_violation_cost, volume_violation_cost : (H,)
        Money per hm3 spilled, per m3/s below the smallest flow, per hm3 below the smallest volume.
    turbine_to, spill_to : (H, H)
        1 where what plant i turbines (spills) flows into the reservoir of plant j.
    """

    names: tuple[str, ...]
    generator: IntArray
    volume_min: FloatArray
    volume_max: FloatArray
    volume_start: FloatArray
    turbine_min: FloatArray
    turbine_max: FloatArray
    production: FloatArray
    spill_cost: FloatArray
    outflow_violation_cost: FloatArray
    volume_violation_cost: FloatArray
    turbine_to: IntArray
    spill_to: IntArray

    def __post_init__(self) -> None:
        self._freeze(("generator", "turbine_to", "spill_to"))
        count = len(self.names)
        for field in fields(self):
            value = getattr(self, field.name)
            wanted = (count, count) if field.name in ("turbine_to", "spill_to") else (count,)
            if field.name != "names" and value.shape != wanted:
                raise DataError(f"cascade: {field.name} has shape {value.shape}, {count} plants need {wanted}")
        for name in ("volume_min", "turbine_min", "production", "spill_cost"):
            for i in np.flatnonzero(getattr(self, name) < 0)[:1]:
                raise DataError(f"{self.names[i]}: {name} is {getattr(self, name)[i]:g}, give at least 0")
        for low, high in (("volume_min", "volume_max"), ("turbine_min", "turbine_max")):
            for i in np.flatnonzero(getattr(self, low) > getattr(self, high))[:1]:
                raise DataError(
                    f"{self.names[i]}: {low} {getattr(self, low)[i]:g} exceeds {high} {getattr(self, high)[i]:g}"
                )
        full = self.volume_max * (1.0 + 1e-9)
        for i in np.flatnonzero((self.volume_start < 0) | (self.volume_start > full))[:1]:
            raise DataError(
                f"{self.names[i]}: volume_start is {self.volume_start[i]:g} hm3, outside 0 to {self.volume_max[i]:g}"
            )
        self.order  # noqa: B018  (a cycle is an error now, not later)

    @property
    def order(self) -> list[int]:
        """Plants so that each comes after all that feed it.

        Raises
        ------
        DataError
            Naming the plants of a cycle.
        """
        from graphlib import CycleError, TopologicalSorter

        link = (self.turbine_to > 0) | (self.spill_to > 0)
        try:
            sorter = TopologicalSorter({j: np.flatnonzero(link[:, j]).tolist() for j in range(len(self.names))})
            return list(sorter.static_order())
        except CycleError as error:
            ring = " -> ".join(self.names[i] for i in reversed(error.args[1]))
            raise DataError(f"water runs in a circle: {ring}. A cascade must flow downhill") from None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(**data)
