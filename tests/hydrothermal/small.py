"""A small system by hand: three reservoirs on two levels, three buses in a ring, two thermal plants."""

from __future__ import annotations

from typing import Any

import numpy as np

from orrl.core.seeds import stream
from orrl.problems.hydrothermal import Cascade, Hydrothermal, Network

HOURS = 168.0  # K = 0.6048 hm3 per m3/s and stage


def small_network(*, load: float = 1.0, deficit_cost: float = 3000.0) -> Network:
    """Buses A, B, C on a ring; hydro H1 and H2 at A, H3 at B, thermal plants at B and C; powers on 100 MVA."""
    return Network(
        base=100.0,
        bus_names=("A", "B", "C"),
        reference=0,
        voltage_min=[0.9] * 3,
        voltage_max=[1.1] * 3,
        branch_from=[0, 1, 0],
        branch_to=[1, 2, 2],
        resistance=[0.01, 0.02, 0.015],
        reactance=[0.10, 0.12, 0.15],
        charge_from=[0.0] * 3,
        charge_to=[0.0] * 3,
        tap=[1.0] * 3,
        shift=[0.0] * 3,
        rating=[1.2, 0.9, 0.8],
        angle_min=[-1.0] * 3,
        angle_max=[1.0] * 3,
        generator_names=("H1", "H2", "H3", "gas", "oil"),
        generator_bus=[0, 0, 1, 1, 2],
        power_min=[0.0] * 5,
        power_max=[0.6, 0.5, 0.7, 0.3, 0.8],
        reactive_min=[-1.0] * 5,
        reactive_max=[1.0] * 5,
        cost=[1.0, 1.0, 1.0, 200.0, 450.0],
        load_bus=[1, 2],
        load=[0.55 * load, 0.6 * load],
        reactive_load=[0.1 * load, 0.12 * load],
        deficit_cost=deficit_cost,
    )


def small_cascade(*, soft: bool = False) -> Cascade:
    """H1 and H2 feed H3: H1 with all its water, H2 with what it turbines; `soft` adds limits that money may break."""
    limit = 1.0 if soft else 0.0
    return Cascade(
        names=("upper", "side", "lower"),
        generator=[0, 1, 2],
        volume_min=[6.0 * limit, 0.0, 5.0 * limit],
        volume_max=[60.0, 30.0, 25.0],
        volume_start=[20.0, 10.0, 8.0],
        turbine_min=[2.0 * limit, 0.0, 3.0 * limit],
        turbine_max=[20.0, 14.0, 30.0],
        production=[2.5, 3.0, 2.0],
        spill_cost=[0.01, 0.01, 0.02],
        outflow_violation_cost=[40.0 * limit, 0.0, 30.0 * limit],
        volume_violation_cost=[25.0 * limit, 0.0, 35.0 * limit],
        turbine_to=[[0, 0, 1], [0, 0, 1], [0, 0, 0]],
        spill_to=[[0, 0, 1], [0, 0, 0], [0, 0, 0]],
    )


def small_inflow(rows: int = 4, scenarios: int = 3) -> np.ndarray:
    """Seasonal inflow (R, 3, S), m3/s, wetter in later scenarios."""
    season = 1.0 + 0.8 * np.cos(2 * np.pi * np.arange(rows) / rows)
    mean = np.array([6.0, 4.0, 2.0])
    wet = np.linspace(0.4, 1.6, scenarios) if scenarios > 1 else np.ones(1)
    noise = stream(7, "small-inflow").uniform(0.8, 1.2, (rows, 3, scenarios))
    return season[:, None, None] * mean[None, :, None] * wet * noise


def small(*, load: float = 1.0, soft: bool = False, scenarios: int = 3, **options: Any) -> Hydrothermal:
    """The system, six stages of a four-stage year; ``load=2`` makes it scarce.

    Parameters
    ----------
    load : float
        Multiplies the demand in the data.
    soft : bool
        Smallest volumes and flows that may be broken for money.
    scenarios : int
        Openings of a stage.
    options
        Of `Hydrothermal`, such as ``network="ac"``, ``stages=3``, ``terminal=``.
    """
    given: dict[str, Any] = {"stage_hours": HOURS, "stages": 6, "window": 4, "name": "small"}
    given |= options
    if "stages" in options and "window" not in options:
        given["window"] = options["stages"]
    return Hydrothermal(
        grid=small_network(load=load),
        cascade=small_cascade(soft=soft),
        inflow=small_inflow(scenarios=scenarios),
        **given,
    )
