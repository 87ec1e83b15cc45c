"""`Flight`: where each UAV is and whom it serves, the solution of the problem; and the bridges to and from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from .association import assign

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from .data import UavOffloading

__all__ = ["Flight", "fly", "moves"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Flight:
    """A solution.

    Parameters
    ----------
    cells : (T, U) int
        Cell of each UAV in each slot.
    server : (T, K) int
        UAV that serves each user, -1 for none.
    width : int
        Cells in a row, so that a cell can be read as coordinates.
    uav_names, user_names : tuple of str
        The user's own names.
    """

    cells: IntArray
    server: IntArray
    width: int
    uav_names: tuple[str, ...]
    user_names: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row per UAV and slot: slot (from 1), uav, x, y (cells), served."""
        import pandas as pd

        rows = [
            (t + 1, name, int(c % self.width), int(c // self.width), int((self.server[t] == u).sum()))
            for t, row in enumerate(self.cells)
            for u, (name, c) in enumerate(zip(self.uav_names, row, strict=True))
        ]
        return pd.DataFrame(rows, columns=["slot", "uav", "x", "y", "served"])

    def associations(self) -> pd.DataFrame:
        """One row per served user and slot: slot (from 1), user, uav."""
        import pandas as pd

        rows = [
            (int(t) + 1, self.user_names[k], self.uav_names[self.server[t, k]])
            for t, k in np.argwhere(self.server >= 0)
        ]
        return pd.DataFrame(rows, columns=["slot", "user", "uav"])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        names = {"uav_names": list(self.uav_names), "user_names": list(self.user_names)}
        return {"cells": self.cells.tolist(), "server": self.server.tolist(), "width": self.width, **names}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        cells, server = np.array(data["cells"], np.int64), np.array(data["server"], np.int64)
        return cls(cells, server, int(data["width"]), tuple(data["uav_names"]), tuple(data["user_names"]))


def fly(problem: UavOffloading, paths: IntArray) -> Flight:
    """Flight along cells with a best association in each slot.

    Parameters
    ----------
    paths : (T, U) or (T - t + 1, U) int
        Cells in every slot, or from the present one on.

    Raises
    ------
    DataError
        Where the number of slots fits neither.
    """
    cells = np.array(paths, np.int64)
    past = problem.position
    if len(cells) == problem.n_slots - len(past) + 1 and len(past) > 1:
        cells = np.concatenate([past[:-1], cells])
    if cells.shape != (problem.n_slots, problem.n_uavs):
        raise DataError(f"paths have shape {cells.shape}: give (slots, UAVs) = {(problem.n_slots, problem.n_uavs)}")
    server = np.array([assign(problem.radio, t, row) for t, row in enumerate(cells)], np.int64)
    return Flight(cells, server, problem.width, problem.uav_names, problem.user_names)


def moves(problem: UavOffloading, flight: Flight) -> IntArray:
    """Moves (T - t, U) that fly a flight from the present slot on.

    Raises
    ------
    DataError
        Where the flight does not continue the present state, or is too fast.
    """
    past = problem.position
    cells = np.asarray(flight.cells)
    if cells.shape != (problem.n_slots, problem.n_uavs) or not np.array_equal(cells[: len(past)], past):
        raise DataError("the flight does not begin with the slots that have been flown")
    chosen = np.zeros((len(cells) - len(past), problem.n_uavs), np.int64)
    for i, t in enumerate(range(len(past), len(cells))):
        for u, (a, b) in enumerate(zip(cells[t - 1].tolist(), cells[t].tolist(), strict=True)):
            way = np.flatnonzero(problem.targets[a] == b)
            if not len(way):
                raise DataError(f"{problem.uav_names[u]} cannot fly from cell {a} to {b} in slot {t + 1}")
            chosen[i, u] = way[0]
    return chosen
