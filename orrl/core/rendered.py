"""Programs whose rows stand in one `Linear` table, rendered by a backend: what every such program shares.

A program mixes one of these classes in before its own base, which brings ``linear``, ``problem`` and ``relaxation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .errors import DataError
from .linear import to_cp_sat, to_highs, to_pyomo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .linear import Key, Linear

__all__ = ["InCpSat", "InHighs", "InPyomo"]


class InPyomo:
    """A Pyomo model; a linear relaxation also holds its duals, in ``model.dual``."""

    backend: ClassVar[str] = "pyomo"
    linear: Linear
    problem: Any
    relaxation: bool

    def render(self) -> None:
        """Make the Pyomo model."""
        self.model, self.columns = to_pyomo(self.linear, self.problem.name, duals=self.relaxation)

    def variable(self, key: Key) -> Any:
        """The Pyomo variable of a column."""
        return self.columns[key]

    def size(self) -> tuple[float, ...]:
        """Columns, rows, fixed variables: another size means that somebody has changed the model."""
        fixed = sum(v.fixed for v in self.columns.values())
        return self.model.nvariables(), self.model.nconstraints(), fixed

    def give(self, values: Mapping[Key, float], *, fix: bool) -> None:
        """Set or fix values."""
        for key, x in values.items():
            if fix:
                self.columns[key].fix(x)
            else:
                self.columns[key].set_value(x)

    @property
    def objective_variable(self) -> Any:
        """The Pyomo objective."""
        return self.model.objective


class InHighs:
    """Arrays in a ``highspy.Highs`` object; its variables are column numbers."""

    backend: ClassVar[str] = "highspy"
    linear: Linear

    def render(self) -> None:
        """Pass the arrays to HiGHS."""
        self.model, self.columns = to_highs(self.linear)

    def variable(self, key: Key) -> int:
        """The column number."""
        return self.columns[key]

    def size(self) -> tuple[float, ...]:
        """Columns, rows, sums of bounds and costs."""
        lp = self.model.getLp()
        sums = (float(np.sum(x)) for x in (lp.col_lower_, lp.col_upper_, lp.col_cost_))
        return lp.num_col_, lp.num_row_, *sums

    def give(self, values: Mapping[Key, float], *, fix: bool) -> None:
        """Set a MIP start, or fix columns by their bounds."""
        where = np.array([self.columns[key] for key in values], np.int32)
        what = np.array(list(values.values()), float)
        if fix:
            self.model.changeColsBounds(len(where), where, what, what)
        else:
            self.model.setSolution(len(where), where, what)

    @property
    def objective_variable(self) -> Any:
        """The linear expression of the objective."""
        return self.model.getObjective()[0]

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("a highspy model cannot be pickled: send the problem and build the program there")


class InCpSat:
    """A CP-SAT model in which every column is a whole number."""

    backend: ClassVar[str] = "cp-sat"
    linear: Linear
    relaxation: bool

    def render(self) -> None:
        """Make the CP-SAT model."""
        if self.relaxation:
            raise DataError("CP-SAT has no linear relaxation: leave relax=False, or use backend='highspy'")
        self.model, self.columns = to_cp_sat(self.linear)

    def variable(self, key: Key) -> Any:
        """The CP-SAT variable of a column."""
        return self.columns[key]

    def size(self) -> tuple[float, ...]:
        """Columns and rows."""
        return len(self.model.proto.variables), len(self.model.proto.constraints)

    def give(self, values: Mapping[Key, float], *, fix: bool) -> None:
        """Hints, or rows that fix."""
        self.model.clear_hints()
        for key, x in values.items():
            if fix:
                self.model.add(self.columns[key] == round(x))
            else:
                self.model.add_hint(self.columns[key], round(x))

    @property
    def objective_variable(self) -> Any:
        """The objective as a linear expression."""
        own = self.linear.columns
        return sum(int(own[key][3]) * v for key, v in self.columns.items() if own[key][3]) + int(self.linear.offset)
