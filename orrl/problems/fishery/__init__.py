"""Fisheries under measurement error: a stock, a quota a year, and a survey that does not see the stock exactly."""

from .data import Fishery, FisheryState, Harvest, SeaNoise
from .growth import Allen, BevertonHolt, GordonSchaefer, Growth, May, Myers, Ricker
from .three_species import ThreeSpecies
from .walleye import Walleye

__all__ = [
    "Allen",
    "BevertonHolt",
    "Fishery",
    "FisheryState",
    "GordonSchaefer",
    "Growth",
    "Harvest",
    "May",
    "Myers",
    "Ricker",
    "SeaNoise",
    "ThreeSpecies",
    "Walleye",
]
