"""A first schedule, and a time by which everything can be over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..schedule import Schedule
from .timebounds import serial_span

if TYPE_CHECKING:
    from ..data import JobShop
    from ..interruptions import Outages

__all__ = ["first_schedule", "last_moment"]

RANDOM = 20


def last_moment(problem: JobShop, scenario: Outages) -> int:
    """Time by which any schedule without pointless idling is over, outages included."""
    work = np.where(problem.machines >= 0, problem.durations + scenario.extra, 0)
    windows = np.concatenate([problem.maintenance, scenario.windows])
    return serial_span(problem, work) + int((windows[:, 2] - windows[:, 1]).sum())


def first_schedule(problem: JobShop, scenario: Outages) -> Schedule | None:
    """The best of every dispatching rule and a few random episodes; None where all end in a deadlock.

    Read off the simulator; the referee judges it as it judges every schedule.
    """
    from ..dispatch import RULES
    from ..kernel import ShopKernel

    kernel = ShopKernel([problem])
    best, found = np.inf, None
    for rule in RULES:
        state = kernel.reset([scenario] * (RANDOM if rule == "random" else 1))
        value = -kernel.playout(state, seed=0, rule=rule)
        value[kernel.failed(state)] = np.inf
        row = int(np.argmin(value))
        if value[row] < best:
            best, found = float(value[row]), kernel.snapshot(state, row).start
    return None if found is None else Schedule.realised(problem, found, scenario)
