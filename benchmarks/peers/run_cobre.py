"""cobre (SDDP in Rust) on a hydrothermal problem on a transport network: lower bound and seconds of some iterations.

The file is what ``benchmarks/hydro_export.py`` writes. cobre trains with one thread, one forward pass an iteration, on
exactly the file's scenarios (as standardised residuals in its ``noise_openings.parquet``); the rest are its defaults,
but for the divisor of costs (see `config`).

Money: cobre prices MWh and m3/s hours, the file MW and stages. Every cost is divided by the hours of a stage, so
cobre's objective is the file's money. What a hydro generator costs becomes a cost of turbined flow (cost times
production), so nothing is left out.

Water: what cobre spills runs where the turbined water runs. A plant whose spillage leaves the cascade gets a free
diversion into a plant without reservoir and turbine, and a price on spillage that leaves the diversion the cheaper way.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from _common import one_thread, require, row

FAR = 1e5  # m3/s, no limit in practice
FREE = 1e-9  # money per MWh or m3/s hour: cobre takes no penalty of 0; all of them together are below 0.1 of the bound
START = date(2001, 1, 1)
PERIOD = {"operational_start_date": START.isoformat()}


def check(data: dict[str, Any]) -> None:
    """End the script where the file holds what the case below would not say."""
    for plant in data["hydros"]:
        for what, wrong in (
            ("turbined water in two reservoirs", len(plant["turbine_to"]) > 1),
            ("spillage elsewhere than turbined water", plant["spill_to"] not in ([], plant["turbine_to"])),
            ("a price on spillage", plant["spill_cost"] != 0.0),
        ):
            if wrong:
                sys.exit(f"{plant['name']} has {what}: run_cobre.py cannot express that")
    if data["stage_hours"] % 24:
        sys.exit(f"stage_hours is {data['stage_hours']}: cobre's stages begin and end on days")


def system(data: dict[str, Any]) -> dict[str, Any]:
    """The files of the power system and of the cascade, by their path in the case."""
    hours, hydros = data["stage_hours"], data["hydros"]
    prohibitive = 100.0 * data["deficit_cost"] / hours
    plants, models = [], []
    for h, plant in enumerate(hydros):
        penalties = {"turbined_cost": max(FREE, plant["cost"] * plant["production"] / hours)}
        entry = hydro(h, plant["name"], plant["bus"], plant["volume"], plant["turbine"], plant["power"])
        entry["downstream_id"] = next(iter(plant["turbine_to"]), None)
        if plant["turbine_to"] and not plant["spill_to"]:
            sink = len(hydros) + sum(p["id"] >= len(hydros) for p in plants)
            plants.append(hydro(sink, f"away from {plant['name']}", plant["bus"], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]))
            models.append(production(sink, 1.0))
            entry["diversion"] = {"downstream_id": sink, "max_flow_m3s": FAR}
            penalties |= {"diversion_cost": FREE, "spillage_cost": prohibitive}
        plants.append(entry | {"penalties": penalties})
        models.append(production(h, plant["production"]))
    plants.sort(key=lambda p: p["id"])
    deficit = [{"depth_mw": None, "cost": data["deficit_cost"] / hours}]
    violations = (
        "storage_violation_below", "filling_target_violation", "turbined_violation_below", "outflow_violation_below",
        "outflow_violation_above", "generation_violation_below", "evaporation_violation", "water_withdrawal_violation",
    )  # fmt: skip
    buses = range(len(data["demand"][0]))
    return {
        "system/buses.json": {"buses": [{"id": b, "name": f"bus {b}", **PERIOD} for b in buses]},
        "system/lines.json": {
            "lines": [
                {
                    "id": i, "name": f"line {i}", "source_bus_id": line["from"], "target_bus_id": line["to"],
                    "capacity": {"direct_mw": line["rating"], "reverse_mw": line["rating"]}, **PERIOD,
                }
                for i, line in enumerate(data["lines"])
            ]
        },
        "system/thermals.json": {
            "thermals": [
                {
                    "id": g, "name": unit["name"], "bus_id": unit["bus"], "cost_per_mwh": unit["cost"] / hours,
                    "generation": {"min_mw": unit["power"][0], "max_mw": unit["power"][1]}, **PERIOD,
                }
                for g, unit in enumerate(data["thermals"])
            ]
        },
        "system/hydros.json": {"hydros": plants},
        "system/hydro_production_models.json": {"production_models": sorted(models, key=lambda m: m["hydro_id"])},
        "penalties.json": {
            "bus": {"deficit_segments": deficit, "excess_cost": prohibitive},
            "line": {"exchange_cost": FREE},
            "hydro": {
                "spillage_cost": FREE, "turbined_cost": FREE, "diversion_cost": FREE,
                **{f"{v}_cost": prohibitive for v in violations},
            },
            "non_controllable_source": {"curtailment_cost": FREE},
        },
        "initial_conditions.json": {
            "storage": [
                {"hydro_id": p["id"], "value_hm3": hydros[p["id"]]["start"] if p["id"] < len(hydros) else 0.0}
                for p in plants
            ],
            "filling_storage": [],
        },
    }  # fmt: skip


def hydro(
    number: int, name: str, bus: int, volume: list[float], turbine: list[float], power: list[float]
) -> dict[str, Any]:
    """A plant with one turbine group."""
    limits = {
        "min_turbined_m3s": turbine[0], "max_turbined_m3s": turbine[1],
        "min_generation_mw": power[0], "max_generation_mw": power[1],
    }  # fmt: skip
    return {
        "id": number, "name": name, "reservoir": {"min_storage_hm3": volume[0], "max_storage_hm3": volume[1]},
        "outflow": {"min_outflow_m3s": 0.0, "max_outflow_m3s": None},
        "generation": {"model": "constant_productivity", **limits},
        "unit_groups": [{"id": 0, "name": name, "bus_id": bus, **limits}], **PERIOD,
    }  # fmt: skip


def production(number: int, rate: float) -> dict[str, Any]:
    """MW per m3/s of a plant, in all stages."""
    whole = {"start_stage_id": 0, "end_stage_id": None, "model": "constant_productivity"}
    ranges = [whole | {"productivity_mw_per_m3s": rate}]
    return {"hydro_id": number, "selection_mode": "stage_ranges", "stage_ranges": ranges}


def horizon(data: dict[str, Any]) -> dict[str, Any]:
    """A line of stages without discount."""
    length = timedelta(hours=data["stage_hours"])
    stages = [
        {
            "id": t, "start_date": (START + t * length).isoformat(), "end_date": (START + (t + 1) * length).isoformat(),
            "blocks": [{"id": 0, "name": "whole", "hours": data["stage_hours"]}],
            "num_openings": len(data["inflow"][t % len(data["inflow"])]),
        }
        for t in range(data["stages"])
    ]  # fmt: skip
    links = [{"source_id": t, "target_id": t + 1, "probability": 1.0} for t in range(data["stages"] - 1)]
    graph = {"type": "finite_horizon", "annual_discount_rate": 0.0, "transitions": links}
    return {"policy_graph": graph, "stages": stages}


def config(data: dict[str, Any], iterations: int, seed: int, selection: str) -> dict[str, Any]:
    """One forward pass an iteration on the file's openings, no simulation."""
    training: dict[str, Any] = {
        "tree_seed": seed,
        "selection": {"method": "sampled", "forward_passes": 1},
        "stopping_rules": [{"type": "iteration_limit", "limit": iterations}],
        "scenario_source": {"seed": seed, "inflow": {"scheme": "in_sample"}, "openings": {"source": "file"}},
    }
    if selection != "none":
        training["cut_selection"] = {"selection": {"method": selection}}
    # The default divisor, 1e6, is made for costs of whole countries; here it would leave prices near the tolerances.
    scale = {"cost_scale_factor": max(1.0, data["deficit_cost"]), "inflow_non_negativity": {"method": "none"}}
    return {"training": training, "modeling": scale, "simulation": {"enabled": False}}


def scenarios(data: dict[str, Any], plants: int, folder: Path) -> None:
    """Loads, moments of the inflow, and the openings as (inflow - mean) / deviation; sinks have no inflow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    real = len(data["hydros"])
    moments: list[tuple[int, int, float, float]] = []
    loads: list[tuple[int, int, float, float]] = []
    openings: list[tuple[int, int, int, float]] = []
    for t in range(data["stages"]):
        demand, drawn = data["demand"][t % len(data["demand"])], data["inflow"][t % len(data["inflow"])]
        loads += [(b, t, power, 0.0) for b, power in enumerate(demand)]
        for h in range(plants):
            seen = [scenario[h] if h < real else 0.0 for scenario in drawn]
            mean = math.fsum(seen) / len(seen)
            spread = math.sqrt(math.fsum((x - mean) ** 2 for x in seen) / len(seen))
            moments.append((h, t, mean, spread))
            openings += [(t, s, h, (x - mean) / spread if spread else 0.0) for s, x in enumerate(seen)]
    openings.sort()
    whole, count, number = pa.int32(), pa.uint32(), pa.float64()
    moment = {"stage_id": whole, "mean_m3s": number, "std_m3s": number}
    power_moment = {"stage_id": whole, "mean_mw": number, "std_mw": number}
    opening = {"stage_id": whole, "opening_index": count, "entity_index": count, "value": number}
    for name, rows, kinds in (
        ("inflow_seasonal_stats", moments, {"hydro_id": whole} | moment),
        ("load_seasonal_stats", loads, {"bus_id": whole} | power_moment),
        ("noise_openings", openings, opening),
    ):
        columns = zip(kinds.items(), zip(*rows, strict=True), strict=True)
        table = pa.table({column: pa.array(values, kind) for (column, kind), values in columns})
        pq.write_table(table, folder / f"{name}.parquet", compression="none")  # cobre reads no compressed file


def write_case(data: dict[str, Any], folder: Path, iterations: int, seed: int, selection: str) -> None:
    """Write cobre's case directory."""
    check(data)
    files = system(data)
    files |= {"stages.json": horizon(data), "config.json": config(data, iterations, seed, selection)}
    for name in ("system", "scenarios"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=1))
    scenarios(data, len(files["system/hydros.json"]["hydros"]), folder / "scenarios")


def main() -> None:
    """Train once and print one JSON row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problem", type=Path, help="JSON file of benchmarks/hydro_export.py")
    parser.add_argument("--iterations", type=int, default=60, help="forward and backward passes (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the forward passes (default: 0)")
    ways = ("none", "level1", "lml1")
    parser.add_argument("--selection", choices=ways, default="none", help="of cuts (default: none, as in cobre)")
    parser.add_argument("--case", type=Path, help="keep the case here")
    args = parser.parse_args()
    one_thread()
    require("cobre", "cobre")
    import cobre

    with tempfile.TemporaryDirectory() as scratch:
        case = args.case or Path(scratch) / "case"
        write_case(json.loads(args.problem.read_text()), case, args.iterations, args.seed, args.selection)
        begin = time.perf_counter()
        study = cobre.Study(case, output_dir=Path(scratch) / "output", threads=1)
        ready, cpu = time.perf_counter(), time.process_time()
        policy = study.train()
        end, cpu = time.perf_counter(), time.process_time() - cpu
    row(
        "cobre",
        "cobre-python",
        args.problem,
        solver="cobre",
        iterations=policy.iterations,
        bound=policy.final_lower_bound,
        seconds=round(end - ready, 3),
        cpu_seconds=round(cpu, 3),
        setup_seconds=round(ready - begin, 3),
        selection=args.selection,
    )


if __name__ == "__main__":
    main()
