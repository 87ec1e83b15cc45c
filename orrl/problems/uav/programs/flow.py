"""The aggregated flow without a capacity and without interference: a user is served where some UAV covers it.

    maximise  sum over t, c of w[t, c] covered[t, c],      covered[t, c] <= sum of visit[t, g] over g that cover c,

with 0 <= covered <= 1 continuous. Users that the same cells cover in a slot are one class c of weight w, which may make
the table several times smaller and changes nothing. The linear relaxation is nearly integral.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .classes import user_classes
from .flight_program import CpSatModel, FlightProgram, HighsModel, PyomoModel

if TYPE_CHECKING:
    from ....core.linear import Key, Linear
    from ..flight import Flight

__all__ = ["Flow", "FlowCpSat", "FlowHighs", "FlowPyomo"]


class Flow(FlightProgram):
    """The rows; see the module's text. Options are those of `FlightProgram`."""

    form = "flow"

    def add_service(self, table: Linear, t: int) -> None:
        """One column and one row a class."""
        for c, (cells, weight) in enumerate(user_classes(self.problem, t, self.here(t))):
            key = table.column(("covered", t, c), 0, 1, cost=weight)
            present = [(name, -a) for g in cells for name, a in self.presence(t, g)]
            table.at_most(("cover", t, c), 0.0, (key, 1.0), *present)

    def service_values(self, flight: Flight, t: int) -> dict[Key, float]:
        """1 where a UAV is on one of the cells that cover the class."""
        taken = set(flight.cells[t].tolist())
        found = user_classes(self.problem, t, self.here(t))
        return {("covered", t, c): float(any(g in taken for g in cells)) for c, (cells, _) in enumerate(found)}


class FlowHighs(HighsModel, Flow):
    """The flow as arrays in HiGHS."""


class FlowPyomo(PyomoModel, Flow):
    """The flow as a Pyomo model: ``model.visit[t, g]``, ``model.move[t, g, h]``, ``model.covered[t, c]``."""


class FlowCpSat(CpSatModel, Flow):
    """The flow as a CP-SAT model."""
