"""The program over many stages as a Pyomo model and as a CVXPY problem, both from the one `Extensive` table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import NotSupportedError
from .linear import to_pyomo

if TYPE_CHECKING:
    from .extensive import Extensive
    from .linear import Key

__all__ = ["to_cvxpy", "to_pyomo_stages"]


def to_pyomo_stages(program: Extensive, name: str, *, duals: bool = False) -> tuple[Any, dict[Key, Any]]:
    """A Pyomo model with one indexed component a family, such as ``model.volume[3, 0]``: the vertex comes last.

    A cone becomes the quadratic row ``sum of squares of the others <= square of the first``, with the first at least 0;
    smooth rows are written by the stage itself.

    Returns
    -------
    (pyomo.environ.ConcreteModel, dict)
        The model, and its variable for each column.
    """
    import pyomo.environ as pyo

    model, own = to_pyomo(program.table(), name, duals=duals)
    families: dict[str, Any] = {}

    def add(family: str, index: tuple[Any, ...], limits: tuple[Any, Any, Any]) -> None:
        if family not in families:
            component = family
            while hasattr(model, component):  # a linear family of that name
                component += "_row"
            families[family] = pyo.Constraint(pyo.Any)
            setattr(model, component, families[family])
        families[family].add(index if len(index) > 1 else index[0], limits)

    for v, stage in enumerate(program.stages):
        here = {key: own[(*key, v)] for key in stage.columns}
        symbols = list(here.values())
        for cone in stage.cones:
            lines = []
            for i, constant in enumerate(cone.offset.tolist()):
                part = slice(cone.matrix.indptr[i], cone.matrix.indptr[i + 1])
                terms = zip(cone.matrix.indices[part].tolist(), cone.matrix.data[part].tolist(), strict=True)
                lines.append(pyo.quicksum(a * symbols[c] for c, a in terms) + constant)
            index = (*cone.key[1:], v)
            if len(cone.matrix.indices[: cone.matrix.indptr[1]]):  # else a radius: a constant
                add(f"{cone.key[0]}_side", index, (0.0, lines[0], None))
            add(str(cone.key[0]), index, (None, pyo.quicksum(line**2 for line in lines[1:]) - lines[0] ** 2, 0.0))
        for key, low, body, high in () if stage.smooth is None else stage.smooth(here, pyo):
            limits = (low if low > -np.inf else None, body, high if high < np.inf else None)
            add(str(key[0]), (*key[1:], v), limits)
    return model, own


def to_cvxpy(program: Extensive, columns: Any = None) -> tuple[Any, Any]:
    """A CVXPY problem over one vector of all columns.

    Parameters
    ----------
    program : Extensive
        Linear and conic stages.
    columns : cvxpy.Variable, optional
        The vector (M,) to use; a new one by default.

    Returns
    -------
    (cvxpy.Problem, cvxpy.Variable)
        The problem and its variable y (M,).

    Raises
    ------
    NotSupportedError
        Where a stage has smooth rows.
    """
    import cvxpy
    from scipy import sparse

    if program.engine == "ipopt":
        raise NotSupportedError("a stage has smooth rows, which CVXPY does not take: use backend='pyomo'")
    cp: Any = cvxpy
    y = cp.Variable(len(program.cost), name="y") if columns is None else columns
    low, high = program.limits()
    rows = _limited(cp, program.matrix @ y, low, high) + _limited(cp, y, program.lower, program.upper)
    # cones of equal height are one constraint
    heights: dict[int, tuple[list[Any], list[npt.NDArray[np.float64]]]] = {}
    for v, cone in program.cones:
        wide = sparse.coo_array(cone.matrix)
        places = (wide.coords[0], wide.coords[1] + program.column_start[v])
        matrices, offsets = heights.setdefault(len(cone.offset), ([], []))
        matrices.append(sparse.csr_array((wide.data, places), shape=(len(cone.offset), len(program.cost))))
        offsets.append(cone.offset)
    for height, (matrices, offsets) in heights.items():
        body = sparse.csr_matrix(sparse.vstack(matrices))
        firsts = np.arange(0, body.shape[0], height)
        others = (firsts[:, None] + np.arange(1, height)).ravel()
        offset = np.concatenate(offsets)
        sides = body[others] @ y + offset[others]
        rows.append(cp.SOC(body[firsts] @ y + offset[firsts], cp.reshape(sides, (height - 1, len(firsts)), order="F")))
    return cp.Problem(cp.Minimize(program.cost @ y + program.constant), rows), y


def _limited(cp: Any, body: Any, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> list[Any]:
    equal = np.flatnonzero(low == high)
    above = np.flatnonzero((low < high) & (high < np.inf))
    below = np.flatnonzero((low < high) & (low > -np.inf))
    found = [(equal, lambda i: body[i] == low[i]), (above, lambda i: body[i] <= high[i])]
    found.append((below, lambda i: body[i] >= low[i]))
    return [make(i) for i, make in found if len(i)]
