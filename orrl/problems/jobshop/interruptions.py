"""Random interruptions of machines, drawn up front: the law, and one realisation of it.

What is known when: an outage that strikes at the start of an operation (``per_start``) is announced, with its length,
at that start; a breakdown of the machine calendar (``mtbf``) is announced, with its length, when it begins; planned
maintenance belongs to the problem and is known from the beginning.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.seeds import stream

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Interruptions", "Outages"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruptions:
    """How machines are interrupted.

    Parameters
    ----------
    law : {"per_start", "mtbf"}
        "per_start": at every operation start the machine stops with probability `p`. "mtbf": each machine has a
        calendar of breakdowns, exponential up times of mean `mtbf` between them.
    p : float
        Probability per start ("per_start").
    mtbf : float
        Mean time between the end of one breakdown and the beginning of the next ("mtbf").
    outage : (int, int)
        Length of an outage, uniform on the integers from low to high.
    mode : {"resume", "repeat"}
        Whether an interrupted operation goes on where it was, or begins again.

    Notes
    -----
    With ``law="per_start", mode="repeat"`` the break comes after a uniform part of the operation, which is lost.
    """

    law: Literal["per_start", "mtbf"] = "per_start"
    p: float = 0.0
    mtbf: float = 0.0
    outage: tuple[int, int] = (1, 99)
    mode: Literal["resume", "repeat"] = "resume"

    def __post_init__(self) -> None:
        if self.law not in ("per_start", "mtbf"):
            raise DataError(f"Interruptions.law is {self.law!r}: give 'per_start' or 'mtbf'")
        if self.mode not in ("resume", "repeat"):
            raise DataError(f"Interruptions.mode is {self.mode!r}: give 'resume' or 'repeat'")
        if not 0.0 <= self.p <= 1.0:
            raise DataError(f"Interruptions.p is {self.p!r}: give a probability in [0, 1]")
        if self.law == "mtbf" and not self.mtbf > 0:
            raise DataError(f"Interruptions.mtbf is {self.mtbf!r}: give a positive mean time between breakdowns")
        whole = len(self.outage) == 2 and all(isinstance(v, int | np.integer) for v in self.outage)
        if not whole or not 1 <= self.outage[0] <= self.outage[1]:
            raise DataError(f"Interruptions.outage is {self.outage!r}: give integers 1 <= low <= high")

    @property
    def active(self) -> bool:
        """Whether anything random can happen."""
        return self.law == "mtbf" or self.p > 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "outage": list(self.outage)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(**{**data, "outage": tuple(data["outage"])})

    def draw(self, durations: IntArray, machines: int, seed: int) -> Outages:
        """One realisation.

        Parameters
        ----------
        durations : (J, K) int
            Processing times; they fix the shape and, for "mtbf", the horizon of four times their sum.
        machines : int
            Number of machines.
        seed : int
            Seed of the world.
        """
        rng = stream(seed, "jobshop-outages")
        low, high = self.outage
        if self.law == "per_start":
            # all three tables are drawn whatever p is, so that one seed means the same strikes for every p
            strike, length, part = rng.random((3, *durations.shape))
            extra = np.where(strike < self.p, low + (length * (high - low + 1)).astype(np.int64), 0)
            if self.mode == "repeat":
                extra = np.where(extra > 0, extra + (part * durations).astype(np.int64), 0)
            return Outages(extra=extra.astype(np.int64))
        horizon = 4 * int(durations.sum())
        windows = []
        for m in range(machines):
            clock, own = 0, stream(seed, "jobshop-calendar", m)
            while True:
                begin = clock + max(1, int(own.exponential(self.mtbf)))
                clock = begin + int(own.integers(low, high + 1))
                if begin >= horizon:
                    break
                windows.append((m, begin, clock))
        return Outages(extra=np.zeros(durations.shape, np.int64), windows=np.array(windows, np.int64).reshape(-1, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Outages:
    """One realisation of the interruptions: the scenario of a job shop.

    Parameters
    ----------
    extra : (J, K) int
        Time added to each operation, announced when it starts.
    windows : (n, 3) int
        Rows ``machine, begin, end`` of the random breakdowns, ``[begin, end)``.
    """

    extra: IntArray
    windows: IntArray = field(default_factory=lambda: np.zeros((0, 3), np.int64))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"extra": self.extra.tolist(), "windows": self.windows.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(np.array(data["extra"], np.int64), np.array(data["windows"], np.int64).reshape(-1, 3))

    def after(self, time: int, started: npt.NDArray[np.bool_], past: Outages) -> Outages:
        """This realisation with everything that had begun by `time` taken from `past`.

        Parameters
        ----------
        time : int
            Now.
        started : (J, K) bool
            Operations whose extra time has been announced.
        past : Outages
            What has really happened.
        """
        extra = np.where(started, past.extra, self.extra)
        old = past.windows[past.windows[:, 1] <= time]
        new = self.windows[self.windows[:, 1] > time].tolist()
        if not np.array_equal(
            old, self.windows[self.windows[:, 1] <= time]
        ):  # a machine that is down cannot break down
            new = [row for row in new if not any(o[0] == row[0] and row[1] < o[2] for o in old.tolist())]
        return Outages(extra, np.array(old.tolist() + new, np.int64).reshape(-1, 3))
