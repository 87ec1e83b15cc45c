"""A made-up problem as a user would add it: one folder that touches no solver."""

from .problem import Demand, Inventory, InventoryState, Plan

__all__ = ["Demand", "Inventory", "InventoryState", "Plan"]
