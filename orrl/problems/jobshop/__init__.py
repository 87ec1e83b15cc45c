"""Job shop scheduling: plain, blocking with or without swap, and interrupted."""

from .data import JobShop, ShopState, UnmeetableDueDate
from .interruptions import Interruptions, Outages
from .schedule import Schedule

__all__ = ["Interruptions", "JobShop", "Outages", "Schedule", "ShopState", "UnmeetableDueDate"]
