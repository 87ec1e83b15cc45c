"""The flow with C sub-channels a UAV: how many users of each class a UAV on a cell serves.

    maximise  sum of served[t, c, g],      served[t, c, g] <= min(w[t, c], C) visit[t, g],
              sum over g of served[t, c, g] <= w[t, c],      sum over c of served[t, c, g] <= C visit[t, g].

Users that the same cells cover are one class c of w users. With the visits known the rest is a transportation problem,
so `served` is continuous. Without a capacity the third row falls away.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from .classes import user_classes
from .flight_program import CpSatModel, FlightProgram, HighsModel, PyomoModel

if TYPE_CHECKING:
    from ....core.linear import Key, Linear
    from ..flight import Flight

__all__ = ["Capacity", "CapacityCpSat", "CapacityHighs", "CapacityPyomo"]


class Capacity(FlightProgram):
    """The rows; see the module's text. Options are those of `FlightProgram`."""

    form = "capacity"

    def add_service(self, table: Linear, t: int) -> None:
        """Columns and rows of one slot."""
        load: defaultdict[int, list[tuple[Key, float]]] = defaultdict(list)
        most = self.problem.n_users if self.problem.capacity is None else self.problem.capacity
        for c, (cells, weight) in enumerate(user_classes(self.problem, t, self.here(t))):
            least = min(weight, most)
            for g in cells:
                key = table.column(("served", t, c, g), 0, least, cost=1.0)
                load[g].append((key, 1.0))
                present = [(name, -least * a) for name, a in self.presence(t, g)]
                table.at_most(("quality", t, c, g), 0.0, (key, 1.0), *present)
            table.at_most(("users", t, c), weight, *((("served", t, c, g), 1.0) for g in cells))
        if self.problem.capacity is None:
            return
        for g, terms in load.items():
            present = [(name, -most * a) for name, a in self.presence(t, g)]
            table.at_most(("sub_channels", t, g), 0.0, *terms, *present)

    def service_values(self, flight: Flight, t: int) -> dict[Key, float]:
        """Users of each class on each cell in a best association."""
        from ..association import assign

        here = self.here(t)
        server = assign(self.problem.radio, t, flight.cells[t])
        covered = self.problem.radio.covered[t][here]
        number = {tuple(cells): c for c, (cells, _) in enumerate(user_classes(self.problem, t, here))}
        values = {key: 0.0 for key in self.linear.columns if key[0] == "served" and key[1] == t}
        own = np.array(here, np.int64)
        for k in np.flatnonzero(server >= 0).tolist():
            c = number[tuple(own[covered[:, k]].tolist())]
            values["served", t, c, int(flight.cells[t, server[k]])] += 1.0
        return values


class CapacityHighs(HighsModel, Capacity):
    """The capacity form as arrays in HiGHS."""


class CapacityPyomo(PyomoModel, Capacity):
    """The capacity form as a Pyomo model: ``model.visit[t, g]``, ``model.served[t, c, g]``."""


class CapacityCpSat(CpSatModel, Capacity):
    """The capacity form as a CP-SAT model."""
