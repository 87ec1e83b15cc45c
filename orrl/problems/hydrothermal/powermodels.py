"""A network in PowerModels JSON, read and written, and in MATPOWER case files, read; a `Network` is in per unit."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import DataError, FormatError
from .system import Network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["read_json", "read_matpower", "to_json"]

WIDE = 1.0472  # rad, the limit of an angle difference where the file has none (60 degrees)


def read_json(path: Path) -> Network:
    """A PowerModels data dictionary as HydroPowerModels stores it: per unit, with the extra key ``cost_deficit``.

    Raises
    ------
    FormatError
        Naming the file, the key and the value.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(path, f"is no JSON ({error})") from error
    if not data.get("per_unit", False):
        raise FormatError(path, "key 'per_unit' is not true: only data in per unit are read")
    return _build(path, data)


def _table(path: Path, data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    if key not in data:
        raise FormatError(path, f"has no key {key!r}")
    rows = data[key]
    return [rows[k] for k in sorted(rows, key=int)] if isinstance(rows, dict) else list(rows)


def _number(path: Path, row: Mapping[str, Any], kind: str, key: str, default: float | None = None) -> float:
    value = row.get(key, default)
    if value is None:
        raise FormatError(path, f"{kind} {row.get('index', '?')} has no key {key!r}")
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise FormatError(path, f"{kind} {row.get('index', '?')}: {key} is {value!r}, give a number")
    return 0.0 if abs(value) < 1e-300 else float(value)  # denormal numbers are zeros of a binary file


def _build(path: Path, data: Mapping[str, Any]) -> Network:
    buses = _table(path, data, "bus")
    where = {int(b["bus_i"]): i for i, b in enumerate(buses)}
    base = _number(path, data, "case", "baseMVA")

    def at(row: Mapping[str, Any], kind: str, key: str) -> int:
        bus = int(_number(path, row, kind, key))
        if bus not in where:
            raise FormatError(path, f"{kind} {row.get('index', '?')}: {key} is {bus}, which is no bus")
        return where[bus]

    lines = [b for b in _table(path, data, "branch") if b.get("br_status", 1)]
    machines = [g for g in _table(path, data, "gen") if g.get("gen_status", 1)]
    loads = [d for d in _table(path, data, "load") if d.get("status", 1)]
    if any(data.get(key) for key in ("shunt", "storage", "dcline", "switch")):
        raise FormatError(path, "has shunts, storage, DC lines or switches, which are not modelled: remove them")
    slack = [i for i, b in enumerate(buses) if int(b.get("bus_type", 1)) == 3]

    def column(rows: list[Any], kind: str, key: str, default: float | None = None) -> list[float]:
        return [_number(path, row, kind, key, default) for row in rows]

    given: dict[str, Any] = dict(
        base=base,
        bus_names=tuple(str(b.get("name", f"bus {b['bus_i']}")) for b in buses),
        reference=slack[0] if slack else 0,
        voltage_min=np.array(column(buses, "bus", "vmin", 0.9)),
        voltage_max=np.array(column(buses, "bus", "vmax", 1.1)),
        branch_from=np.array([at(b, "branch", "f_bus") for b in lines], np.int64),
        branch_to=np.array([at(b, "branch", "t_bus") for b in lines], np.int64),
        resistance=np.array(column(lines, "branch", "br_r")),
        reactance=np.array(column(lines, "branch", "br_x")),
        charge_from=np.array(column(lines, "branch", "b_fr", 0.0)),
        charge_to=np.array(column(lines, "branch", "b_to", 0.0)),
        tap=np.array(column(lines, "branch", "tap", 1.0)),
        shift=np.array(column(lines, "branch", "shift", 0.0)),
        rating=np.array(column(lines, "branch", "rate_a", math.inf)),
        angle_min=np.array(column(lines, "branch", "angmin", -WIDE)),
        angle_max=np.array(column(lines, "branch", "angmax", WIDE)),
        generator_names=tuple(str(g.get("name", f"generator {g['index']}")) for g in machines),
        generator_bus=np.array([at(g, "gen", "gen_bus") for g in machines], np.int64),
        power_min=np.array(column(machines, "gen", "pmin", 0.0)),
        power_max=np.array(column(machines, "gen", "pmax")),
        reactive_min=np.array(column(machines, "gen", "qmin", -math.inf)),
        reactive_max=np.array(column(machines, "gen", "qmax", math.inf)),
        cost=np.array([_cost(path, g) for g in machines]),
        load_bus=np.array([at(d, "load", "load_bus") for d in loads], np.int64),
        load=np.array(column(loads, "load", "pd")),
        reactive_load=np.array(column(loads, "load", "qd", 0.0)),
        deficit_cost=_number(path, data, "case", "cost_deficit") * base,
    )
    try:
        return Network(**given)
    except DataError as error:
        raise FormatError(path, str(error)) from error


def _cost(path: Path, row: Mapping[str, Any]) -> float:
    """Slope of a linear cost; highest power first, as PowerModels has it."""
    terms = list(row.get("cost", []))
    slope = terms[-2] if len(terms) >= 2 else 0.0
    if int(row.get("model", 2)) != 2 or any(terms[:-2]):
        raise FormatError(path, f"gen {row.get('index', '?')}: cost {terms!r} is not linear")
    if terms and terms[-1]:
        raise FormatError(path, f"gen {row.get('index', '?')}: cost {terms!r} has a constant, which is not modelled")
    return float(slope)


def to_json(network: Network, name: str) -> dict[str, Any]:
    """The data dictionary of a network; `read_json` reads it back as the same one. Infinite limits are left out."""

    def finite(**values: float) -> dict[str, float]:
        return {key: float(value) for key, value in values.items() if math.isfinite(value)}

    driven = set(network.generator_bus.tolist())
    bus = {
        str(b + 1): {
            "index": b + 1, "bus_i": b + 1, "name": label, "area": 1, "zone": 1, "base_kv": 0.0, "vm": 1.0, "va": 0.0,
            "bus_type": 3 if b == network.reference else 2 if b in driven else 1,
            "vmin": float(network.voltage_min[b]), "vmax": float(network.voltage_max[b]),
        }
        for b, label in enumerate(network.bus_names)
    }  # fmt: skip
    branch = {
        str(i + 1): {
            "index": i + 1, "f_bus": int(network.branch_from[i]) + 1, "t_bus": int(network.branch_to[i]) + 1,
            "br_status": 1, "transformer": bool(network.tap[i] != 1 or network.shift[i]), "g_fr": 0.0, "g_to": 0.0,
            **finite(
                br_r=network.resistance[i], br_x=network.reactance[i], b_fr=network.charge_from[i],
                b_to=network.charge_to[i], tap=network.tap[i], shift=network.shift[i], rate_a=network.rating[i],
                angmin=network.angle_min[i], angmax=network.angle_max[i],
            ),
        }
        for i in range(len(network.branch_from))
    }  # fmt: skip
    gen = {
        str(g + 1): {
            "index": g + 1, "name": label, "gen_bus": int(network.generator_bus[g]) + 1, "gen_status": 1,
            "model": 2, "ncost": 2, "cost": [float(network.cost[g]), 0.0], "startup": 0.0, "shutdown": 0.0,
            "pg": 0.0, "qg": 0.0, "vg": 1.0, "mbase": network.base,
            **finite(
                pmin=network.power_min[g], pmax=network.power_max[g], qmin=network.reactive_min[g],
                qmax=network.reactive_max[g],
            ),
        }
        for g, label in enumerate(network.generator_names)
    }  # fmt: skip
    load = {
        str(d + 1): {
            "index": d + 1, "load_bus": int(b) + 1, "status": 1, "pd": float(network.load[d]),
            "qd": float(network.reactive_load[d]),
        }
        for d, b in enumerate(network.load_bus)
    }  # fmt: skip
    empty: dict[str, Any] = {key: {} for key in ("shunt", "storage", "dcline", "switch")}
    return {
        "name": name, "baseMVA": network.base, "per_unit": True, "source_type": "matpower", "source_version": "2",
        "cost_deficit": _share(network.deficit_cost, network.base),
        "bus": bus, "branch": branch, "gen": gen, "load": load, **empty,
    }  # fmt: skip


def _share(product: float, base: float) -> float:
    """The number that times `base` is `product` to the last bit, where there is one."""
    guess = product / base
    near = (guess, math.nextafter(guess, math.inf), math.nextafter(guess, -math.inf))
    return next((value for value in near if value * base == product), guess)


def read_matpower(path: Path, *, deficit_cost: float) -> Network:
    """A MATPOWER case file (version 2); money per MW of deficit is not in the format and is given.

    Raises
    ------
    FormatError
        Naming the file and the table.
    """
    text = re.sub(r"%.*", "", path.read_text(encoding="utf-8"))
    base = re.search(r"mpc\.baseMVA\s*=\s*([\d.eE+-]+)", text)
    if base is None:
        raise FormatError(path, "has no mpc.baseMVA")
    mva = float(base.group(1))

    def table(name: str, width: int) -> list[list[float]]:
        found = re.search(rf"mpc\.{name}\s*=\s*\[(.*?)\]", text, re.DOTALL)
        if found is None:
            raise FormatError(path, f"has no table mpc.{name}")
        rows = [re.split(r"[\s,]+", row.strip()) for row in re.split(r"[;\n]", found.group(1)) if row.strip()]
        try:
            values = [[float(v) for v in row] for row in rows]
        except ValueError as error:
            raise FormatError(path, f"mpc.{name}: {error}") from error
        for i, row in enumerate(values, 1):
            if len(row) < width:
                raise FormatError(path, f"mpc.{name}, row {i} has {len(row)} columns, at least {width} are needed")
        return values

    bus, gen, branch, cost = table("bus", 13), table("gen", 10), table("branch", 11), table("gencost", 6)
    data: dict[str, Any] = {"baseMVA": mva, "cost_deficit": deficit_cost, "per_unit": True}
    data["bus"] = [
        {"bus_i": int(b[0]), "index": int(b[0]), "bus_type": int(b[1]), "vmax": b[11], "vmin": b[12]} for b in bus
    ]
    data["load"] = [
        {"index": i, "load_bus": int(b[0]), "pd": b[2] / mva, "qd": b[3] / mva}
        for i, b in enumerate((b for b in bus if b[2] or b[3]), 1)
    ]
    if any(b[4] or b[5] for b in bus):
        raise FormatError(path, "mpc.bus has shunts (Gs, Bs), which are not modelled")
    data["gen"] = []
    for i, (g, c) in enumerate(zip(gen, cost, strict=True), 1):
        terms = c[4 : 4 + int(c[3])]
        scaled = [t * mva ** (len(terms) - 1 - k) for k, t in enumerate(terms)]
        limits = {"qmax": g[3] / mva, "qmin": g[4] / mva, "pmax": g[8] / mva, "pmin": g[9] / mva}
        data["gen"].append(
            {"index": i, "gen_bus": int(g[0]), "gen_status": int(g[7]), "model": int(c[0]), "cost": scaled, **limits}
        )
    data["branch"] = []
    for i, b in enumerate(branch, 1):
        narrow = len(b) >= 13 and (b[11] or b[12]) and b[12] - b[11] < 360
        low, high = (math.radians(b[11]), math.radians(b[12])) if narrow else (-WIDE, WIDE)
        data["branch"].append(
            {
                "index": i,
                "f_bus": int(b[0]),
                "t_bus": int(b[1]),
                "br_r": b[2],
                "br_x": b[3],
                "b_fr": b[4] / 2,
                "b_to": b[4] / 2,
                "rate_a": b[5] / mva if b[5] else math.inf,
                "tap": b[8] or 1.0,
                "shift": math.radians(b[9]),
                "br_status": int(b[10]),
                "angmin": low,
                "angmax": high,
            }
        )
    return _build(path, data)
