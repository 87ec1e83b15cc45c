"""UAV offloading: UAVs as flying access points, their trajectories and the users they serve."""

from .channel import Channel
from .data import KnownUsers, UavOffloading, UavState
from .flight import Flight
from .generator import UavGenerator

__all__ = ["Channel", "Flight", "KnownUsers", "UavGenerator", "UavOffloading", "UavState"]
