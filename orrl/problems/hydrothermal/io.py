"""Reading a case in the folder format of HydroPowerModels.

A folder holds ``PowerModels.json`` (or ``PowerModels.m``), ``hydro.json``, ``inflows.csv`` (rows are stages, columns
are blocks of joint scenarios, one block a plant) and, where scenarios are not equally likely,
``scenarioprobability.csv``.
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.errors import FormatError
from .powermodels import read_json, read_matpower
from .system import Cascade, Network

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Case", "read_case"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Case:
    """What a folder says.

    Parameters
    ----------
    network, cascade
        The system.
    inflow : (R, H, S)
        m3/s in each of R rows (a year, repeated), for each plant, in each joint scenario.
    probability : (R, S)
        Of the scenarios.
    stage_hours : float or None
        None where the folder does not say.
    """

    network: Network
    cascade: Cascade
    inflow: FloatArray
    probability: FloatArray
    stage_hours: float | None


def read_case(folder: str | Path, *, deficit_cost: float | None = None) -> Case:
    """Read and check a folder.

    Parameters
    ----------
    folder : path
        The case.
    deficit_cost : float, optional
        Money per MW not served and stage, for a MATPOWER file, which has no place for it.

    Raises
    ------
    FormatError
        Naming the file, the key and the value, and what to do.
    """
    home = Path(folder)
    if not home.is_dir():
        raise FormatError(home, "is no folder: give the folder that holds hydro.json and inflows.csv")
    if (home / "PowerModels.json").exists():
        network = read_json(home / "PowerModels.json")
    elif (home / "PowerModels.m").exists():
        if deficit_cost is None:
            raise FormatError(
                home / "PowerModels.m", "has no cost of deficit: give deficit_cost=, money per MW and stage"
            )
        network = read_matpower(home / "PowerModels.m", deficit_cost=deficit_cost)
    else:
        raise FormatError(home, "holds neither PowerModels.json nor PowerModels.m")
    cascade, hours = _hydro(home / "hydro.json", network)
    plants = len(cascade.names)
    inflow = _matrix(home / "inflows.csv")
    if inflow.shape[1] % plants:
        raise FormatError(
            home / "inflows.csv",
            f"has {inflow.shape[1]} columns for {plants} plants: give a block of scenarios for each",
        )
    if (inflow < 0).any():
        row, column = np.argwhere(inflow < 0)[0].tolist()
        raise FormatError(home / "inflows.csv", f"row {row + 1}, column {column + 1} is {inflow[row, column]:g} m3/s")
    scenarios = inflow.shape[1] // plants
    shares = home / "scenarioprobability.csv"
    probability = _matrix(shares) if shares.exists() else np.full((len(inflow), scenarios), 1.0 / scenarios)
    if probability.shape != (len(inflow), scenarios):
        raise FormatError(shares, f"has shape {probability.shape}, inflows.csv needs {(len(inflow), scenarios)}")
    for i in np.flatnonzero((probability < 0).any(axis=1) | (abs(probability.sum(axis=1) - 1.0) > 1e-6))[:1]:
        raise FormatError(shares, f"row {i + 1} sums to {probability[i].sum():g}: give probabilities that sum to 1")
    return Case(network, cascade, inflow.reshape(len(inflow), plants, scenarios), probability, hours)


def _hydro(path: Path, network: Network) -> tuple[Cascade, float | None]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FormatError(path, "is missing") from None
    except ValueError as error:
        raise FormatError(path, f"is no JSON ({error})") from error
    plants = data.get("Hydrogenerators")
    if not plants:
        raise FormatError(path, "has no key 'Hydrogenerators' with at least one plant")
    row_of = {int(p["index"]): i for i, p in enumerate(plants)}

    def number(plant: Mapping[str, Any], key: str, default: float | None = None) -> float:
        value = plant.get(key, default)
        who = str(plant.get("name", plant.get("index", "?"))).strip()
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise FormatError(path, f"plant {who}: {key} is {value!r}, give a number")
        return 0.0 if abs(value) < 1e-300 else float(value)  # denormal numbers are zeros of a binary file

    def column(key: str, default: float | None = None) -> FloatArray:
        return np.array([number(p, key, default) for p in plants])

    def links(key: str) -> npt.NDArray[np.int64]:
        table = np.zeros((len(plants), len(plants)), np.int64)
        for i, plant in enumerate(plants):
            for below in plant.get(key, []):
                if int(below) not in row_of:
                    raise FormatError(path, f"plant {plant.get('name', plant['index'])}: {key} names {below}, no plant")
                table[i, row_of[int(below)]] = 1
        return table

    generator = column("index_grid").astype(np.int64) - 1
    for i in np.flatnonzero((generator < 0) | (generator >= len(network.cost)))[:1]:
        raise FormatError(
            path, f"plant {i + 1}: index_grid is {generator[i] + 1}, there are {len(network.cost)} generators"
        )
    cascade = Cascade(
        names=tuple(str(p.get("name", f"plant {p['index']}")) for p in plants),
        generator=generator,
        volume_min=column("min_volume", 0.0),
        volume_max=column("max_volume"),
        volume_start=column("initial_volume"),
        turbine_min=column("min_turn", 0.0),
        turbine_max=column("max_turn"),
        production=column("production_factor"),
        spill_cost=column("spill_cost", 0.0),
        outflow_violation_cost=column("minimal_outflow_violation_cost", 0.0),
        volume_violation_cost=column("minimal_volume_violation_cost", 0.0),
        turbine_to=links("downstream_turn"),
        spill_to=links("downstream_spill"),
    )
    hours = data.get("stage_hours")
    if hours is not None and not (isinstance(hours, int | float) and hours > 0):
        raise FormatError(path, f"stage_hours is {hours!r}: give the hours of a stage")
    return cascade, None if hours is None else float(hours)


def _matrix(path: Path) -> FloatArray:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except FileNotFoundError:
        raise FormatError(path, "is missing") from None
    values = []
    for i, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise FormatError(path, f"line {i} has {len(row)} values, line 1 has {len(rows[0])}")
        try:
            values.append([float(v) for v in row])
        except ValueError as error:
            raise FormatError(path, f"line {i}: {error}") from None
    if not values:
        raise FormatError(path, "is empty")
    return np.array(values)
