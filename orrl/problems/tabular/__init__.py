"""A user's own finite MDP or POMDP, from arrays or from a file (``.pomdp``, ``.pomdpx``)."""

from .data import Course, Draws, TabularPOMDP, TabularState

__all__ = ["Course", "Draws", "TabularPOMDP", "TabularState"]
