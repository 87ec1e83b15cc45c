"""The referee: water, plants and network of a dispatch judged stage by stage in plain Python.

It shares no code with the stage program: balances are added up again, Kirchhoff's laws are written with complex
numbers, and soft limits are priced from the volumes and flows themselves, never from a slack that a dispatch reports.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.types import Evaluation
from .referee_network import NETWORK_FAMILIES, Judge, judge_network, pairs_of

if TYPE_CHECKING:
    from .data import Hydrothermal
    from .dispatch import Dispatch
    from .inflow import InflowPath

__all__ = ["evaluate", "stage_costs"]

FloatArray = npt.NDArray[np.float64]
LINEAR, CURVED = 1e-6, 1e-5  # what a row may be off, as a share of 1 + the largest number in it


def evaluate(problem: Hydrothermal, dispatch: Dispatch, scenario: InflowPath) -> Evaluation:
    """Judge a dispatch of the whole horizon under one inflow path.

    Checked in each stage: water balance and volumes, turbined and spilled flow, power of every plant, balance of every
    bus, and the law and the limits of every branch: Kirchhoff's voltage law in the DC form; Ohm's law on products of
    voltages and their cones in the SOC form (the relaxation's further cuts are not physics and are not judged);
    alternating current from voltage and angle. Stages that had passed must be those that the problem knows.

    Returns
    -------
    Evaluation
        Objective: cost of all stages with what the end owes (`Terminal`). Metrics: cost_window (first ``window``
        stages) and cost_per_stage, money; deficit_mw_stages and shed_share (of the demand); spilled_hm3;
        final_volume_hm3; hydro_mw and thermal_mw, means over stages.
    """
    fault = _shape_fault(problem, dispatch)
    if fault:
        return Evaluation(float("nan"), False, (fault,))
    judge = Judge(LINEAR if problem.network in ("transport", "dc", "dcll") else CURVED)
    inflow = np.asarray(scenario.inflow, np.float64)
    if len(inflow) < problem.n_stages:
        text = f"the scenario has inflow for {len(inflow)} stages, the problem has {problem.n_stages}"
        return Evaluation(float("nan"), False, (text,))
    _history(problem, dispatch, inflow, judge)
    before = problem.cascade.volume_start.tolist()
    for t in range(problem.n_stages):
        now = {name: values[t].tolist() for name, values in dispatch.families.items()}
        _water(problem, t, before, inflow[t].tolist(), now, judge)
        _plants(problem, t, now, judge)
        judge_network(problem, t, now, judge)
        before = now["volume"]
    costs = stage_costs(problem, dispatch)
    return Evaluation(
        float(costs.sum()), not judge.broken, tuple(judge.broken), metrics=_metrics(problem, dispatch, costs)
    )


def stage_costs(problem: Hydrothermal, dispatch: Dispatch) -> FloatArray:
    """Cost (T,) of each stage of a dispatch from the first on; the last stage pays what the end owes."""
    grid, dams = problem.grid, problem.cascade
    costs = []
    for t in range(len(dispatch)):
        money = sum(c * p for c, p in zip(grid.cost.tolist(), dispatch["power"][t].tolist(), strict=True))
        money += grid.deficit_cost * sum(dispatch["deficit"][t].tolist())
        for h in range(len(dams.names)):
            volume, turbined = float(dispatch["volume"][t, h]), float(dispatch["turbined"][t, h])
            money += float(dams.spill_cost[h]) * float(dispatch["spilled"][t, h])
            money += float(dams.volume_violation_cost[h]) * max(0.0, float(dams.volume_min[h]) - volume)
            money += float(dams.outflow_violation_cost[h]) * max(0.0, float(dams.turbine_min[h]) - turbined)
        if t == problem.n_stages - 1 and problem.terminal is not None:
            money += _end(problem.terminal, dispatch["volume"][t].tolist())
        costs.append(money)
    return np.array(costs, np.float64)


def _end(terminal: Any, volume: list[float]) -> float:
    """What the volumes left at the end cost."""
    money = 0.0
    if terminal.volume is not None:
        missing = (max(0.0, float(want) - v) for want, v in zip(terminal.volume, volume, strict=True))
        money += terminal.shortage_cost * sum(missing)
    if terminal.value is not None:
        money -= sum(float(worth) * v for worth, v in zip(terminal.value, volume, strict=True))
    if terminal.cuts is not None:
        later = float(terminal.cuts.bound)
        for on, base, slopes in zip(terminal.cuts.active, terminal.cuts.intercept, terminal.cuts.gradient, strict=True):
            if on:
                later = max(later, float(base) + sum(float(a) * v for a, v in zip(slopes, volume, strict=True)))
        money += later
    return money


def _shape_fault(problem: Hydrothermal, dispatch: Dispatch) -> str:
    """What makes a dispatch unreadable, or nothing."""
    grid, plants = problem.grid, len(problem.cascade.names)
    sizes = {"branch": len(grid.branch_from), "bus": len(grid.bus_names), "machine": len(grid.cost)}
    wanted = {"volume": plants, "turbined": plants, "spilled": plants}
    wanted |= {"power": sizes["machine"], "deficit": sizes["bus"]}
    wanted |= {name: sizes[kind] for name, kind in NETWORK_FAMILIES[problem.network].items()}
    if problem.network == "soc":
        wanted |= dict.fromkeys(("wr", "wi"), len(pairs_of(problem)))
    for name, size in wanted.items():
        shape = dispatch.families[name].shape if name in dispatch.families else None
        if shape != (problem.n_stages, size):
            got = "is missing" if shape is None else f"has shape {shape}"
            return f"family {name!r} {got}: network {problem.network!r} needs {(problem.n_stages, size)}"
    return ""


def _history(problem: Hydrothermal, dispatch: Dispatch, inflow: FloatArray, judge: Judge) -> None:
    """What had happened where the problem starts stays as it was."""
    if problem.state is None:
        return
    for t, row in enumerate(problem.state.inflow[: problem.n_stages].tolist()):
        for h, water in enumerate(row):
            judge.equal(
                f"stage {t} has begun: inflow of {problem.cascade.names[h]}", float(inflow[t, h]), water, "m3/s"
            )
    for t in range(problem.passed):
        for name, values in problem.state.past.families.items():
            for i, value in enumerate(values[t].tolist()):
                here = dispatch[name][t, i] if dispatch[name].shape[1] > i else float("nan")
                judge.equal(f"stage {t} has passed: {name}[{i}]", float(here), value, "")


def _water(
    problem: Hydrothermal, t: int, before: list[float], inflow: list[float], now: dict[str, list[float]], judge: Judge
) -> None:
    """Where the water of a stage goes, hm3."""
    dams = problem.cascade
    per_flow = 0.0036 * problem.stage_hours  # 3600 s an hour, 1e6 m3 a hm3
    plants = range(len(dams.names))
    for h in plants:
        name = f"stage {t}, {dams.names[h]}"
        arriving = sum(per_flow * now["turbined"][u] for u in plants if dams.turbine_to[u, h])
        arriving += sum(now["spilled"][u] for u in plants if dams.spill_to[u, h])
        left = before[h] + per_flow * (inflow[h] - now["turbined"][h]) - now["spilled"][h] + arriving
        flows = before[h] + per_flow * (inflow[h] + abs(now["turbined"][h])) + abs(now["spilled"][h]) + arriving
        judge.equal(f"{name}: volume (water balance)", now["volume"][h], left, "hm3", scale=flows)
        low = 0.0 if dams.volume_violation_cost[h] > 0 else float(dams.volume_min[h])
        judge.within(f"{name}: volume", now["volume"][h], low, float(dams.volume_max[h]), "hm3")
        least = 0.0 if dams.outflow_violation_cost[h] > 0 else float(dams.turbine_min[h])
        judge.within(f"{name}: turbined flow", now["turbined"][h], least, float(dams.turbine_max[h]), "m3/s")
        judge.within(f"{name}: spilled water", now["spilled"][h], 0.0, math.inf, "hm3")


def _plants(problem: Hydrothermal, t: int, now: dict[str, list[float]], judge: Judge) -> None:
    """Limits of generators and deficits, and the power of turbined water."""
    grid, dams = problem.grid, problem.cascade
    for g, name in enumerate(grid.generator_names):
        limits = float(grid.power_min[g]), float(grid.power_max[g])
        judge.within(f"stage {t}, power of {name}", now["power"][g], *limits, "per unit")
        if "reactive" in NETWORK_FAMILIES[problem.network]:
            limits = float(grid.reactive_min[g]), float(grid.reactive_max[g])
            judge.within(f"stage {t}, reactive power of {name}", now["reactive"][g], *limits, "per unit")
    for h, g in enumerate(dams.generator.tolist()):
        made = float(dams.production[h]) * now["turbined"][h]
        judge.equal(f"stage {t}, {dams.names[h]}: power (turbine energy)", grid.base * now["power"][g], made, "MW")
    for b, bus in enumerate(grid.bus_names):
        judge.within(f"stage {t}, deficit at {bus}", now["deficit"][b], 0.0, math.inf, "per unit")


def _metrics(problem: Hydrothermal, dispatch: Dispatch, costs: FloatArray) -> dict[str, float]:
    grid, dams = problem.grid, problem.cascade
    stages = problem.n_stages
    water = set(dams.generator.tolist())
    power = dispatch["power"].tolist()
    hydro = sum(row[g] for row in power for g in range(len(grid.cost)) if g in water)
    thermal = sum(row[g] for row in power for g in range(len(grid.cost)) if g not in water)
    short = sum(sum(row) for row in dispatch["deficit"].tolist())
    asked = sum(float(problem.load[t % len(problem.load)]) for t in range(stages)) * sum(grid.load.tolist())
    return {
        "cost_window": float(sum(costs[: problem.window].tolist())),
        "cost_per_stage": float(costs.sum()) / stages,
        "deficit_mw_stages": grid.base * short,
        "shed_share": short / asked if asked > 0 else 0.0,
        "spilled_hm3": sum(sum(row) for row in dispatch["spilled"].tolist()),
        "final_volume_hm3": sum(dispatch["volume"][-1].tolist()),
        "hydro_mw": grid.base * hydro / stages,
        "thermal_mw": grid.base * thermal / stages,
    }
