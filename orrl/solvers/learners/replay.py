"""Memory of transitions for learners that learn from old ones: a ring of arrays, allocated once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Flags = npt.NDArray[np.bool_]

__all__ = ["Replay", "Transitions"]


@dataclass(slots=True)
class Transitions:
    """N decisions on numbers.

    Parameters
    ----------
    obs, ahead : (N, D)
        What was seen before and after, unscaled.
    action, mask, mask_ahead : (N, n)
        Numbers in [0, 1], and which of them have an effect, now and afterwards.
    reward : (N,)
        As the kernel gave it.
    when : (N,)
        Decisions of the episode before this one.
    last, over : (N,)
        Whether the episode went no further, and whether there was nothing to follow; an episode that was cut off is
        the former and not the latter.
    """

    obs: Floats
    ahead: Floats
    action: Floats
    mask: Flags
    mask_ahead: Flags
    reward: npt.NDArray[np.float64]
    when: npt.NDArray[np.int64]
    last: Flags
    over: Flags

    def __post_init__(self) -> None:
        rows = len(self.obs)
        assert self.ahead.shape == self.obs.shape, (self.ahead.shape, self.obs.shape)
        for name in ("mask", "mask_ahead"):
            assert getattr(self, name).shape == self.action.shape, (name, self.action.shape)
        for name in ("reward", "when", "last", "over"):
            assert getattr(self, name).shape == (rows,), (name, rows)

    def __len__(self) -> int:
        return len(self.obs)

    def rows(self, rows: Any) -> Transitions:
        """Some of them."""
        return Transitions(*(getattr(self, name)[rows] for name in NAMES))


NAMES = tuple(f.name for f in fields(Transitions))


class Replay:
    """The latest `capacity` transitions.

    Parameters
    ----------
    capacity : int
        Transitions.
    inputs, numbers : int
        D and n of `Transitions`.
    """

    def __init__(self, capacity: int, inputs: int, numbers: int) -> None:
        self.kept = Transitions(
            obs=np.zeros((capacity, inputs), np.float32),
            ahead=np.zeros((capacity, inputs), np.float32),
            action=np.zeros((capacity, numbers), np.float32),
            mask=np.zeros((capacity, numbers), np.bool_),
            mask_ahead=np.zeros((capacity, numbers), np.bool_),
            reward=np.zeros(capacity),
            when=np.zeros(capacity, np.int64),
            last=np.zeros(capacity, np.bool_),
            over=np.zeros(capacity, np.bool_),
        )
        self.capacity, self.added = capacity, 0

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, new: Transitions) -> None:
        """Take in transitions, over the oldest ones where the memory is full."""
        assert len(new) <= self.capacity, (len(new), self.capacity)
        places = np.arange(self.added, self.added + len(new)) % self.capacity
        for name in NAMES:
            getattr(self.kept, name)[places] = getattr(new, name)
        self.added += len(new)

    def sample(self, size: int, rng: np.random.Generator) -> Transitions:
        """`size` transitions, each drawn from all that are kept."""
        return self.kept.rows(rng.integers(len(self), size=size))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For a checkpoint: what is filled."""
        filled = {f"replay.{name}": getattr(self.kept, name)[: len(self)] for name in NAMES}
        return {"replay.added": np.array(self.added), **filled}

    def from_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> Self:
        """Inverse of `to_arrays`, into a memory of the same capacity."""
        self.added = int(arrays["replay.added"])
        for name in NAMES:
            getattr(self.kept, name)[: len(self)] = arrays[f"replay.{name}"]
        return self
