"""Cases in the folder format of HydroPowerModels: read, and written back.

A folder holds ``PowerModels.json`` (or ``PowerModels.m``), ``hydro.json``, ``inflows.csv`` (rows are stages, columns
are blocks of joint scenarios, one block a plant) and, where scenarios are not equally likely,
``scenarioprobability.csv``. What the format has no place for (network, stages, load factors, ...) stands in
``hydro.json`` under the key ``orrl`` where `write_case` wrote it; other programs pass over it.
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, FormatError
from ...core.textfile import write_text
from .data import Hydrothermal
from .powermodels import read_json, read_matpower, to_json
from .system import Cascade, Network
from .terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Case", "read", "read_case", "write_case"]

COLUMNS = {
    "max_volume": "volume_max",
    "min_volume": "volume_min",
    "initial_volume": "volume_start",
    "max_turn": "turbine_max",
    "min_turn": "turbine_min",
    "production_factor": "production",
    "spill_cost": "spill_cost",
    "minimal_outflow_violation_cost": "outflow_violation_cost",
    "minimal_volume_violation_cost": "volume_violation_cost",
}  # keys of a plant in hydro.json, and ours
NEEDED = ("max_volume", "initial_volume", "max_turn", "production_factor")  # the others are 0 by default
OPTIONS = ("network", "stages", "window", "load", "sampler", "terminal")  # what stands under "orrl"

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
    options : mapping
        Of `Hydrothermal`, where `write_case` left them.
    """

    network: Network
    cascade: Cascade
    inflow: FloatArray
    probability: FloatArray
    stage_hours: float | None
    options: Mapping[str, Any] = field(default_factory=dict)


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
    cascade, hours, options = _hydro(home / "hydro.json", network)
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
    return Case(network, cascade, inflow.reshape(len(inflow), plants, scenarios), probability, hours, options)


def read(place: str | Path, *, deficit_cost: float | None = None, **options: Any) -> Hydrothermal:
    """A problem from a folder, or from the ``hydro.json`` in it.

    Parameters
    ----------
    place : path
        The folder, or its ``hydro.json``.
    deficit_cost : float, optional
        As in `read_case`.
    **options
        Of `Hydrothermal`, such as ``network="ac"``, ``stages=52`` or ``stage_hours=168``; they win over the folder's.

    Raises
    ------
    FormatError
        Naming the file, the key and the value, and what to do; also where nobody says how long a stage is.
    """
    path = Path(place)
    folder = path if path.is_dir() else path.parent
    case = read_case(folder, deficit_cost=deficit_cost)
    kept = dict(case.options)
    try:
        if kept.get("terminal") is not None:
            kept["terminal"] = Terminal.from_dict(kept["terminal"])
        if "stages" in options and "window" in kept:
            kept["window"] = min(int(kept["window"]), int(options["stages"]))
        given = {"name": folder.resolve().name, "stage_hours": case.stage_hours, **kept, **options}
        return Hydrothermal(
            grid=case.network, cascade=case.cascade, inflow=case.inflow, probability=case.probability, **given
        )
    except (DataError, KeyError) as error:
        raise FormatError(folder / "hydro.json", str(error)) from error


def write_case(problem: Hydrothermal, folder: str | Path) -> Path:
    """Write a problem as a folder; `read` gives the same one back, names and options included.

    Parameters
    ----------
    problem : Hydrothermal
        From its beginning.
    folder : path
        Made where it does not exist; files of these names in it are replaced.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError
        For a problem in a running state, which the format has no place for.
    """
    if problem.state is not None:
        raise DataError(
            f"{problem.name} is at stage {problem.passed}, and a folder holds no running state: write "
            "problem.with_(state=None), or keep problem.to_dict()"
        )
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    cascade = problem.cascade
    plants = []
    for h, name in enumerate(cascade.names):
        plant: dict[str, Any] = {"index": h + 1, "name": name, "index_grid": int(cascade.generator[h]) + 1}
        plant |= {key: float(getattr(cascade, ours)[h]) for key, ours in COLUMNS.items()}
        plant |= {
            "final_volume": 0.0,
            "downstream_turn": (np.flatnonzero(cascade.turbine_to[h]) + 1).tolist(),
            "downstream_spill": (np.flatnonzero(cascade.spill_to[h]) + 1).tolist(),
        }
        plants.append(plant)
    own = problem.to_dict()
    hydro = {
        "stage_hours": problem.stage_hours,
        "Hydrogenerators": plants,
        "orrl": {key: own[key] for key in OPTIONS},
    }
    write_text(home / "PowerModels.json", json.dumps(to_json(problem.grid, problem.name), indent=1) + "\n")
    write_text(home / "hydro.json", json.dumps(hydro, indent=1) + "\n")
    _write_matrix(home / "inflows.csv", problem.inflow.reshape(len(problem.inflow), -1))
    _write_matrix(home / "scenarioprobability.csv", problem.probability)
    return home


def _write_matrix(path: Path, rows: FloatArray) -> None:
    write_text(path, "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist()))


def _hydro(path: Path, network: Network) -> tuple[Cascade, float | None, dict[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FormatError(path, "is missing") from None
    except ValueError as error:
        raise FormatError(path, f"is no JSON ({error})") from error
    plants = data.get("Hydrogenerators")
    if not plants:
        raise FormatError(path, "has no key 'Hydrogenerators' with at least one plant")
    row_of: dict[int, int] = {}
    for i, plant in enumerate(plants):
        if not isinstance(plant.get("index"), int):
            raise FormatError(path, f"plant {i + 1}: index is {plant.get('index')!r}, give a whole number")
        if plant["index"] in row_of:
            raise FormatError(path, f"plant index {plant['index']} stands twice: give each plant its own")
        row_of[plant["index"]] = i

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
    optional = {key: None if key in NEEDED else 0.0 for key in COLUMNS}
    numbers = {ours: column(key, optional[key]) for key, ours in COLUMNS.items()}
    try:
        cascade = Cascade(
            names=tuple(str(p.get("name", f"plant {p['index']}")) for p in plants),
            generator=generator,
            turbine_to=links("downstream_turn"),
            spill_to=links("downstream_spill"),
            **numbers,
        )
    except FormatError:
        raise
    except DataError as error:
        raise FormatError(path, str(error)) from error
    hours = data.get("stage_hours")
    if hours is not None and not (isinstance(hours, int | float) and hours > 0):
        raise FormatError(path, f"stage_hours is {hours!r}: give the hours of a stage")
    options = data.get("orrl", {})
    if not isinstance(options, dict) or set(options) - set(OPTIONS):
        raise FormatError(path, f"key 'orrl' is {options!r}: give a table of {', '.join(OPTIONS)}, or leave it out")
    return cascade, None if hours is None else float(hours), options


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
