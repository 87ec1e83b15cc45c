"""Callbacks that see a run's events and can stop any solver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Callback", "Event", "EventKind", "NoImprovement", "StopAtGap", "StopAtObjective"]

EventKind = Literal["start", "incumbent", "bound", "iteration", "end"]


@dataclass(frozen=True, slots=True)
class Event:
    """What a callback is told.

    Parameters
    ----------
    kind : {"start", "incumbent", "bound", "iteration", "end"}
        What happened.
    seconds : float
        Wall seconds since the call.
    objective, bound : float or None
        State of knowledge.
    gap : float or None
        Relative gap of the two.
    solution : callable or None
        Call it for the incumbent; decoding costs only when it is asked for.
    info : mapping
        What the method adds (iteration number, learning rate).
    """

    kind: EventKind
    seconds: float
    objective: float | None = None
    bound: float | None = None
    gap: float | None = None
    solution: Callable[[], Any] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


Callback = Callable[[Event], "bool | None"]
"""Called at every event; returning True stops the run, which then returns its incumbent and its bound."""


@dataclass
class StopAtGap:
    """Stop when the relative gap is at most `gap`."""

    gap: float

    def __call__(self, event: Event) -> bool:
        return event.gap is not None and event.gap <= self.gap


@dataclass
class StopAtObjective:
    """Stop when the incumbent is at least as good as `value` in the given `sense`."""

    value: float
    sense: Literal["min", "max"]

    def __call__(self, event: Event) -> bool:
        if event.objective is None:
            return False
        return event.objective <= self.value if self.sense == "min" else event.objective >= self.value


@dataclass
class NoImprovement:
    """Stop when no incumbent came for `seconds`; judged at events, so a method that reports none is not stopped."""

    seconds: float
    _last: float = field(default=0.0, init=False)

    def __call__(self, event: Event) -> bool:
        if event.kind in ("start", "incumbent"):
            self._last = event.seconds
        return event.seconds - self._last > self.seconds
