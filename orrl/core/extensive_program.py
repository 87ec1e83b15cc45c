"""`Program`s over many stages: what a problem's own programs share, one class for each backend.

A problem derives from one of them and says how its solution lies in the columns (`read` and `write`).
"""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from .errors import NotSupportedError
from .program import Outcome, Program

if TYPE_CHECKING:
    from collections.abc import Callable

    from .extensive import Extensive
    from .linear import Key

__all__ = ["StagesInCvxpy", "StagesInHighs", "StagesInPyomo", "StagesProgram"]

FloatArray = npt.NDArray[np.float64]


class StagesProgram(Program):
    """The program of many stages.

    Parameters
    ----------
    extensive : Extensive
        The table.
    form : str
        Name of the formulation.
    name : str
        Of the model.

    Attributes
    ----------
    nonlinear : bool
        Whether there are cones or smooth rows.
    """

    sense = "min"

    def __init__(self, extensive: Extensive, *, form: str, name: str) -> None:
        self.extensive, self.form, self.name = extensive, form, name
        self.nonlinear = not extensive.linear
        self.render()

    @abstractmethod
    def render(self) -> None:
        """Make the backend's model."""

    @abstractmethod
    def read(self, values: FloatArray) -> Any:
        """The solution in the columns (M,)."""

    @abstractmethod
    def write(self, solution: Any) -> FloatArray:
        """Columns (M,) of a solution, NaN where it does not say."""

    @abstractmethod
    def give(self, columns: npt.NDArray[np.int64], values: FloatArray, *, fix: bool) -> None:
        """Set columns as a start, or fix them."""

    def encode(self, solution: Any, *, fix: bool = False) -> None:
        """As `Program.encode`.

        With cones or smooth rows only the states between the stages are fixed, and the rest is given as a start:
        solutions of such stages hold to about 1e-8 only, so a model with everything fixed would have no solution.
        """
        values = self.write(solution)
        known = ~np.isnan(values)
        inside = np.clip(values, self.extensive.lower, self.extensive.upper)
        dust = abs(inside - values) <= 1e-9 * (1.0 + abs(values))
        values = np.where(dust | self.nonlinear, inside, values)
        if fix and self.nonlinear:
            held = np.zeros(len(values), np.bool_)
            for v, stage in enumerate(self.extensive.stages):
                held[self.extensive.column_start[v] + stage.out] = True
            self.give(np.flatnonzero(known & ~held), values[known & ~held], fix=False)
            known &= held
        where = np.flatnonzero(known)
        self.give(where, values[where], fix=fix)

    def decode(self, value: Callable[[Any], float]) -> Any:
        """As `Program.decode`."""
        return self.read(np.array([value(handle) for handle in self.handles], np.float64))

    @property
    @abstractmethod
    def handles(self) -> Any:
        """The model's variable of each column."""

    def variable(self, key: Key) -> Any:
        """The model's variable of a column, such as ``("volume", 3, 0)``: plant 3 in the first stage."""
        return self.handles[self.extensive.where[key]]

    def solve(self, **options: Any) -> Outcome:
        """As `Program.solve`; where a linear program has no solution the message names the rows in conflict."""
        outcome = super().solve(**options)
        if outcome.status == "infeasible" and not self.nonlinear and (rows := self.conflict()):
            outcome.message += "; rows in conflict: " + ", ".join(rows)
        return outcome

    def conflict(self) -> list[str]:
        """Rows and bounds of a linear program that cannot hold together, found by HiGHS."""
        from .engines.extensive_highs import HighsExtensive

        probe = HighsExtensive(self.extensive)
        return probe.conflict()


class StagesInHighs(StagesProgram):
    """Arrays in a ``highspy.Highs``; its variables are column numbers."""

    backend: ClassVar[str] = "highspy"

    def render(self) -> None:
        """Pass the arrays."""
        from .engines.extensive_highs import load_highs

        self.model = load_highs(self.extensive, names=True)

    @property
    def handles(self) -> range:
        """Column numbers."""
        return range(len(self.extensive.cost))

    def give(self, columns: npt.NDArray[np.int64], values: FloatArray, *, fix: bool) -> None:
        """Fix by bounds; a linear program takes no start."""
        if fix and len(columns):
            self.model.changeColsBounds(len(columns), columns.astype(np.int32), values, values)

    def conflict(self) -> list[str]:
        """Also with columns that have been fixed."""
        from .engines.extensive_highs import conflict_of

        return conflict_of(self.model, self.extensive)

    @property
    def objective_variable(self) -> Any:
        """The linear expression of the objective."""
        return self.model.getObjective()[0]

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("a highspy model cannot be pickled: send the problem and build the program there")


class StagesInPyomo(StagesProgram):
    """A Pyomo model; a linear one also holds its duals, in ``model.dual``."""

    backend: ClassVar[str] = "pyomo"

    def render(self) -> None:
        """Make the Pyomo model."""
        from .extensive_models import to_pyomo_stages

        self.model, own = to_pyomo_stages(self.extensive, self.name, duals=not self.nonlinear)
        self._handles = list(own.values())

    @property
    def handles(self) -> list[Any]:
        """Pyomo variables."""
        return self._handles

    def give(self, columns: npt.NDArray[np.int64], values: FloatArray, *, fix: bool) -> None:
        """Set or fix values."""
        for i, x in zip(columns.tolist(), values.tolist(), strict=True):
            if fix:
                self._handles[i].fix(x)
            else:
                self._handles[i].set_value(x, skip_validation=True)

    @property
    def objective_variable(self) -> Any:
        """The Pyomo objective."""
        return self.model.objective


class StagesInCvxpy(StagesProgram):
    """A CVXPY problem over the vector ``columns``; its variables are numbers of entries."""

    backend: ClassVar[str] = "cvxpy"

    def render(self) -> None:
        """Make the problem."""
        from .extensive_models import to_cvxpy

        if self.extensive.engine == "ipopt":
            raise NotSupportedError("a stage has smooth rows, which CVXPY does not take: use backend='pyomo'")
        self.model, self.columns = to_cvxpy(self.extensive)
        self._made = list(self.model.constraints)

    @property
    def handles(self) -> range:
        """Numbers of entries."""
        return range(len(self.extensive.cost))

    def give(self, columns: npt.NDArray[np.int64], values: FloatArray, *, fix: bool) -> None:
        """Fix by rows; its solvers take no start.

        The row takes the place of the column's bounds: with both, a column fixed on a bound leaves an interior-point
        method no interior, and it ends inexact.
        """
        if not (fix and len(columns)):
            return
        import cvxpy as cp

        from .extensive_models import to_cvxpy

        table = copy(self.extensive)
        within = (table.lower[columns] <= values) & (values <= table.upper[columns])
        table.lower, table.upper = table.lower.copy(), table.upper.copy()
        table.lower[columns[within]] = table.upper[columns[within]] = values[within]
        own = {id(row) for row in self._made}
        added = [row for row in self.model.constraints if id(row) not in own]  # the user's
        fixed, _ = to_cvxpy(table, self.columns)
        outside = [self.columns[columns[~within]] == values[~within]] if not within.all() else []  # has no solution
        self.model = cp.Problem(self.model.objective, [*fixed.constraints, *outside, *added])
        self._made = list(fixed.constraints)

    @property
    def objective_variable(self) -> Any:
        """The objective's expression."""
        return self.model.objective.expr
