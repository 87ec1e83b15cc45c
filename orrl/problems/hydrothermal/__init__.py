"""Hydrothermal dispatch: reservoirs and thermal plants on a power network, stage by stage under uncertain inflow."""

from .data import Hydrothermal
from .dispatch import Dispatch, HydroState
from .inflow import InflowPath
from .io import Case, read_case, write_case
from .system import Cascade, Network
from .terminal import Terminal

__all__ = [
    "Cascade",
    "Case",
    "Dispatch",
    "HydroState",
    "Hydrothermal",
    "InflowPath",
    "Network",
    "Terminal",
    "read_case",
    "write_case",
]
