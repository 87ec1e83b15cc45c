"""One running call of a solver: its deadline, threads, seed, trace and callbacks."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from .budget import Deadline
from .callbacks import Callback, Event, EventKind
from .trace import Trace
from .types import Sense, relative_gap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Run", "all_cores"]


def all_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Run:
    """What every method is handed, so that limits and events mean the same everywhere.

    Parameters
    ----------
    sense : {"min", "max"}
        Direction of the objective.
    time_limit : float, optional
        Wall seconds from the call to the return.
    threads : int, optional
        All cores by default.
    seed : int
        The method's seed.
    gap : float
        Relative gap at which the method may stop.
    warm_start : object, optional
        A solution (or a `Result`'s) to begin from.
    scenario : object, optional
        Solve clairvoyantly for this scenario.
    callbacks : sequence of Callback
        Each may stop the run by returning True.
    log : path or text stream, optional
        Where the raw solver log goes.
    """

    def __init__(
        self,
        sense: Sense,
        *,
        time_limit: float | None = None,
        threads: int | None = None,
        seed: int = 0,
        gap: float = 0.0,
        warm_start: Any = None,
        scenario: Any = None,
        callbacks: Sequence[Callback] = (),
        log: str | os.PathLike[str] | TextIO | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}: give at least 1, or None for all cores")
        if gap < 0:
            raise ValueError(f"gap is {gap}: give a relative gap of at least 0")
        self.deadline = Deadline(time_limit)
        self.threads = threads or all_cores()
        self.seed, self.gap = seed, gap
        self.warm_start, self.scenario, self.log = warm_start, scenario, log
        self.callbacks = tuple(callbacks)
        self.trace = Trace(sense)
        self.clocks: dict[str, float] = {}
        self.stopped = False

    @contextmanager
    def clock(self, name: str) -> Iterator[None]:
        """Add the wall seconds inside the block to the clock `name`."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.clocks[name] = self.clocks.get(name, 0.0) + time.perf_counter() - begin

    @property
    def over(self) -> bool:
        """Whether the method must return: the limit is reached or a callback said stop."""
        return self.stopped or self.deadline.passed

    @property
    def why(self) -> str:
        """The stop reason that goes with `over`."""
        return "user" if self.stopped else "time"

    def tell(self, kind: EventKind, *, solution: Callable[[], Any] | None = None, **info: Any) -> bool:
        """Tell the callbacks; returns True when the run must stop."""
        if self.callbacks:
            value, bound = self.trace.objective, self.trace.bound
            gap = None if value is None or bound is None else relative_gap(value, bound)
            event = Event(kind, self.deadline.elapsed, value, bound, gap, solution, info)
            for callback in self.callbacks:
                self.stopped = bool(callback(event)) or self.stopped
        return self.over

    def incumbent(self, objective: float, solution: Callable[[], Any] | None = None, **info: Any) -> bool:
        """Report a solution; returns True when the run must stop."""
        if self.trace.add(self.deadline.elapsed, objective=objective):
            return self.tell("incumbent", solution=solution, **info)
        return self.over

    def bound(self, value: float, **info: Any) -> bool:
        """Report a proven bound; returns True when the run must stop."""
        if self.trace.add(self.deadline.elapsed, bound=value):
            return self.tell("bound", **info)
        return self.over
