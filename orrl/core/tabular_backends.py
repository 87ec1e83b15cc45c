"""How the linear programs of `tabular_lp` become models of Pyomo, HiGHS and CVXPY, and how their duals are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .linear import Linear, to_pyomo
from .rendered import InHighs, InPyomo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .linear import Key

__all__ = ["TablesInCvxpy", "TablesInHighs", "TablesInPyomo"]


class TablesInPyomo(InPyomo):
    linear: Linear

    def render(self) -> None:
        """A Pyomo model with a suffix for duals."""
        self.model, self.columns = to_pyomo(self.linear, self.problem.name, duals=True)

    def dual(self, key: Key) -> float:
        """See `tabular_lp.TableProgram`."""
        index = None if len(key) == 1 else key[1] if len(key) == 2 else key[1:]
        return float(self.model.dual[getattr(self.model, key[0])[index]])

    def number(self, variable: Any) -> float:
        """See `tabular_lp.TableProgram`."""
        return float(variable.value)


class TablesInHighs(InHighs):
    def dual(self, key: Key) -> float:
        """See `tabular_lp.TableProgram`."""
        return float(self.model.getSolution().row_dual[list(self.linear.rows).index(key)])

    def number(self, variable: Any) -> float:
        """See `tabular_lp.TableProgram`."""
        return float(self.model.getSolution().col_value[variable])


class TablesInCvxpy:
    backend: ClassVar[str] = "cvxpy"
    linear: Linear

    def render(self) -> None:
        """A CVXPY problem: one vector of columns, equations and inequalities as two blocks."""
        import cvxpy

        cp: Any = cvxpy
        table = self.linear
        self.where = {key: i for i, key in enumerate(table.columns)}
        low, high, _, cost = np.array(list(table.columns.values()), np.float64).T
        entries = [(r, self.where[c], v) for r, (_, terms, _) in enumerate(table.rows.values()) for c, v in terms]
        r, c, v = np.array(entries).T
        body = sparse.csr_matrix((v, (r.astype(int), c.astype(int))), shape=(len(table.rows), len(low)))
        least = np.array([row[0] for row in table.rows.values()])
        most = np.array([row[2] for row in table.rows.values()])
        y = cp.Variable(len(low), name="y")
        self.blocks: list[tuple[npt.NDArray[np.int64], Any, int]] = []
        kinds: list[tuple[npt.NDArray[np.bool_], Callable[[Any], Any], int]] = [
            (least == most, lambda k: body[k] @ y == least[k], 1),
            ((least < most) & (least > -np.inf), lambda k: -(body[k] @ y) <= -least[k], -1),
            ((least < most) & (most < np.inf), lambda k: body[k] @ y <= most[k], 1),
        ]
        for chosen, make, side in kinds:
            if chosen.any():
                rows = np.flatnonzero(chosen)
                self.blocks.append((rows, make(rows), side))
        rules = [block for _, block, _ in self.blocks]
        for bound, at_least in ((low, True), (high, False)):
            if (k := np.flatnonzero(np.isfinite(bound))).size:
                rules.append(y[k] >= bound[k] if at_least else y[k] <= bound[k])
        aim = cp.Minimize if table.sense == "min" else cp.Maximize
        self.model, self.columns = cp.Problem(aim(cost @ y + table.offset), rules), y

    def variable(self, key: Key) -> int:
        """The number of a column."""
        return self.where[key]

    def dual(self, key: Key) -> float:
        """See `TableProgram`; CVXPY's multipliers are of the minimisation ``f + dual (a x - b)``."""
        row = list(self.linear.rows).index(key)
        for rows, block, side in self.blocks:
            if row in rows:
                dual = np.ravel(block.dual_value)[int(np.searchsorted(rows, row))]
                return float((-side if self.linear.sense == "min" else side) * dual)
        return 0.0

    def number(self, variable: Any) -> float:
        """See `tabular_lp.TableProgram`."""
        return float(self.columns.value[variable])

    @property
    def objective_variable(self) -> Any:
        """The CVXPY objective."""
        return self.model.objective

    def __getstate__(self) -> Mapping[str, Any]:
        raise TypeError("send the problem and build the program there")
