"""Hydrothermal dispatch: reservoirs and thermal plants on a power network, stage by stage under uncertain inflow."""

from .io import Case, read_case
from .system import Cascade, Network

__all__ = ["Cascade", "Case", "Network", "read_case"]
