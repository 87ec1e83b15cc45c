"""The flow with interference: a user hears every UAV, and one of them must be loud enough against the rest.

With received powers p[g] of a user in a slot, the power d that it needs alone and the ratio r, a UAV on g serves it
when p[g] >= d + r (I - p[g]), I = sum over g of p[g] visit[g] being the total. Since one cell serves a user at most,
one row holds for all of its possible servers:

    r I <= r M + sum over g of ((1 + r) p[g] - d - r M) served[g],      M the sum of the U largest p,

together with served[g] <= visit[g] and sum over g of served[g] <= 1. A UAV on h that is too loud for every server in a
set G(h) gives a cut: visit[h] + sum of served[g] over G(h) <= 1. Both hold for any ratio. Rows are divided by d,
so that numbers are near 1. `served` is binary, since half a service would take the row.

The relaxation is weak, as with every big-M: for up to three UAVs the joint dynamic program is the method to use.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .flight_program import FlightProgram, HighsModel, PyomoModel

if TYPE_CHECKING:
    from ....core.linear import Key, Linear
    from ..flight import Flight

FloatArray = npt.NDArray[np.float64]

__all__ = ["Interference", "InterferenceHighs", "InterferencePyomo"]


class Interference(FlightProgram):
    """The rows; see the module's text. Options are those of `FlightProgram`."""

    form = "interference"
    staged = False  # the relaxation is too weak to fix anything

    def add_service(self, table: Linear, t: int) -> None:
        """Columns and rows of one slot."""
        radio, here = self.problem.radio, self.here(t)
        load: defaultdict[int, list[tuple[Key, float]]] = defaultdict(list)
        power = radio.power[t][here] / radio.needed[t]  # in units of what a user needs alone
        for k in range(self.problem.n_users):
            servers = np.flatnonzero(radio.covered[t][here, k]).tolist()
            if servers:
                self._add_user(table, t, k, servers, power[:, k])
            for i in servers:
                load[here[i]].append((("served", t, k, here[i]), 1.0))
        if self.problem.capacity is None:
            return
        for g, terms in load.items():
            present = [(name, -self.problem.capacity * a) for name, a in self.presence(t, g)]
            table.at_most(("sub_channels", t, g), 0.0, *terms, *present)

    def _add_user(self, table: Linear, t: int, k: int, servers: list[int], power: FloatArray) -> None:
        here, ratio = self.here(t), self.problem.radio.weight
        own = {i: table.column(("served", t, k, here[i]), 0, 1, integer=True, cost=1.0) for i in servers}
        for i, key in own.items():
            present = [(name, -a) for name, a in self.presence(t, here[i])]
            table.at_most(("quality", t, k, here[i]), 0.0, (key, 1.0), *present)
        table.at_most(("one_server", t, k), 1.0, *((key, 1.0) for key in own.values()))
        if not ratio:
            return
        loudest = ratio * float(np.sort(power)[-self.problem.n_uavs :].sum())
        heard = [(name, ratio * power[i] * a) for i, g in enumerate(here) for name, a in self.presence(t, g)]
        spare = [(key, -((1.0 + ratio) * power[i] - 1.0 - loudest)) for i, key in own.items()]
        table.at_most(("heard", t, k), loudest, *heard, *spare)
        for i, g in enumerate(here):
            drowned = [(key, 1.0) for j, key in own.items() if j != i and power[j] < 1.0 + ratio * power[i]]
            if drowned:
                table.at_most(("drowned", t, k, g), 1.0, *drowned, *self.presence(t, g))

    def service_values(self, flight: Flight, t: int) -> dict[Key, float]:
        """1 for each served user and the cell of its UAV, in a best association."""
        from ..association import assign

        server = assign(self.problem.radio, t, flight.cells[t])
        values = {key: 0.0 for key in self.linear.columns if key[0] == "served" and key[1] == t}
        for k in np.flatnonzero(server >= 0).tolist():
            values["served", t, k, int(flight.cells[t, server[k]])] = 1.0
        return values


class InterferenceHighs(HighsModel, Interference):
    """The interference form as arrays in HiGHS."""


class InterferencePyomo(PyomoModel, Interference):
    """The interference form as a Pyomo model: ``model.visit[t, g]``, ``model.served[t, k, g]``."""
