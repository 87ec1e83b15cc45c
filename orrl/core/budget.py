"""Wall-clock deadlines for solvers and training budgets for learners."""

from __future__ import annotations

import time
from dataclasses import dataclass

__all__ = ["Budget", "Clock", "Deadline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much a learner may use; the first limit that is reached ends the training.

    Parameters
    ----------
    seconds, minutes : float, optional
        Wall time; both together are added.
    cpu_seconds : float, optional
        Processor time of this process, all threads.
    steps : int, optional
        Environment steps (decisions).
    iterations : int, optional
        The learner's own iterations (updates, SDDP passes).
    """

    seconds: float | None = None
    minutes: float | None = None
    cpu_seconds: float | None = None
    steps: int | None = None
    iterations: int | None = None

    def __post_init__(self) -> None:
        limits = {name: getattr(self, name) for name in ("seconds", "minutes", "cpu_seconds", "steps", "iterations")}
        if all(value is None for value in limits.values()):
            raise ValueError("Budget needs at least one limit, e.g. Budget(minutes=5) or Budget(steps=100_000)")
        for name, value in limits.items():
            if value is not None and not value > 0:
                raise ValueError(f"Budget.{name} is {value!r}: give a positive number")

    @property
    def wall(self) -> float | None:
        """Wall seconds, or None without such a limit."""
        if self.seconds is None and self.minutes is None:
            return None
        return (self.seconds or 0.0) + 60.0 * (self.minutes or 0.0)

    def start(self) -> Clock:
        """A running clock against this budget."""
        return Clock(self)


class Clock:
    """What has been used of a `Budget` since it was started."""

    def __init__(self, budget: Budget, *, used_seconds: float = 0.0, used_cpu: float = 0.0) -> None:
        self.budget = budget
        self._wall = time.perf_counter() - used_seconds
        self._cpu = time.process_time() - used_cpu
        self.others_cpu = 0.0
        """Processor seconds of other processes at the same task; whoever starts them keeps this up to date."""

    @property
    def seconds(self) -> float:
        """Wall seconds used."""
        return time.perf_counter() - self._wall

    @property
    def own_cpu(self) -> float:
        """Processor seconds used by this process."""
        return time.process_time() - self._cpu

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds used, those of `others_cpu` included."""
        return self.own_cpu + self.others_cpu

    def fraction(self, *, steps: int = 0, iterations: int = 0) -> float:
        """Largest used share of any limit; 1 or more means the budget is spent."""
        b = self.budget
        used = ((self.seconds, b.wall), (self.cpu_seconds, b.cpu_seconds), (steps, b.steps), (iterations, b.iterations))
        return max(value / limit for value, limit in used if limit is not None)

    def over(self, *, steps: int = 0, iterations: int = 0) -> bool:
        """Whether the budget is spent."""
        return self.fraction(steps=steps, iterations=iterations) >= 1.0


class Deadline:
    """Wall seconds from the call to the return, model building included.

    Parameters
    ----------
    seconds : float or None
        The ``time_limit``; None never ends.
    """

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and not seconds > 0:
            raise ValueError(f"time_limit is {seconds!r}: give positive seconds, or None for no limit")
        self.limit = seconds
        self._start = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Wall seconds since the start."""
        return time.perf_counter() - self._start

    @property
    def remaining(self) -> float:
        """Wall seconds left, never negative; infinity without a limit."""
        return float("inf") if self.limit is None else max(0.0, self.limit - self.elapsed)

    @property
    def passed(self) -> bool:
        """Whether nothing is left."""
        return self.limit is not None and self.elapsed >= self.limit

    def capped(self, longest: float = 1e9) -> float:
        """Remaining seconds as a finite number, for solvers that want one."""
        return min(self.remaining, longest)
