"""A persistent Clarabel model of a conic program over many stages: the next path replaces the right-hand side only.

Imported only when such a program is solved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import clarabel
import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..errors import NotSupportedError, OrrlError
from ..extensive import ExtensiveSolution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..extensive import Extensive

__all__ = ["ClarabelExtensive"]

FloatArray = npt.NDArray[np.float64]
# with the default refinement some solves end as "almost solved"
EXACT = {
    "iterative_refinement_reltol": 1e-14,
    "iterative_refinement_abstol": 1e-14,
    "iterative_refinement_max_iter": 50,
}
_STATUS: dict[str, Any] = {
    "PrimalInfeasible": "infeasible",
    "AlmostPrimalInfeasible": "infeasible",
    "MaxTime": "limit",
    "MaxIterations": "limit",
}


class ClarabelExtensive:
    """Minimise ``q @ y`` with ``A y + s = b``: equal rows, upper limits, lower limits, second-order cones.

    Parameters
    ----------
    program : Extensive
        Without smooth rows.
    options : mapping
        Clarabel settings by their own names.

    Raises
    ------
    NotSupportedError
        Where a stage has smooth rows.
    """

    def __init__(self, program: Extensive, *, options: Mapping[str, Any] | None = None) -> None:
        if program.engine == "ipopt":
            raise NotSupportedError("Clarabel takes linear and conic stages only: a stage has smooth rows")
        self.program = program
        # rows and column bounds in one table of limits
        body = sparse.vstack([program.matrix, sparse.eye_array(len(program.cost))], format="csr")
        low, high = self._limits(None, None)
        equal = low == high
        self._equal = np.flatnonzero(equal)
        self._upper = np.flatnonzero(~equal & np.isfinite(high))
        self._lower = np.flatnonzero(~equal & np.isfinite(low))
        parts = [body[self._equal], body[self._upper], -body[self._lower]]
        kinds = [clarabel.ZeroConeT(len(self._equal))]
        kinds.append(clarabel.NonnegativeConeT(len(self._upper) + len(self._lower)))
        offsets = []
        for v, cone in program.cones:
            wide = sparse.coo_array(cone.matrix)
            places = (wide.coords[0], wide.coords[1] + program.column_start[v])
            parts.append(-sparse.csr_array((wide.data, places), shape=(wide.shape[0], len(program.cost))))
            offsets.append(cone.offset)
            kinds.append(clarabel.SecondOrderConeT(len(cone.offset)))
        self._offset = np.concatenate(offsets) if offsets else np.zeros(0)
        settings = clarabel.DefaultSettings()
        given = {"verbose": False, "presolve_enable": False, "max_threads": 1, **EXACT, **(options or {})}
        for name, value in given.items():
            if not hasattr(settings, name):
                raise OrrlError(f"Clarabel has no setting {name!r}")
            setattr(settings, name, value)
        square = sparse.csc_matrix((len(program.cost), len(program.cost)))
        matrix = sparse.csc_matrix(sparse.vstack(parts))
        self._settings = settings
        self.model = clarabel.DefaultSolver(square, program.cost, matrix, self._right(low, high), kinds, settings)

    def _limits(self, noise: FloatArray | None, state: FloatArray | None) -> tuple[FloatArray, FloatArray]:
        low, high = self.program.limits(noise, state)
        return np.concatenate([low, self.program.lower]), np.concatenate([high, self.program.upper])

    def _right(self, low: FloatArray, high: FloatArray) -> FloatArray:
        return np.concatenate([low[self._equal], high[self._upper], -low[self._lower], self._offset])

    def move(self, noise: FloatArray | None = None, state: FloatArray | None = None) -> None:
        """Other noise (V, W) and initial state (n,)."""
        self.model.update(b=self._right(*self._limits(noise, state)))

    def solve(self, *, time_limit: float | None = None) -> ExtensiveSolution:
        """Solve as it stands; an interior point method has no warm start."""
        self._settings.time_limit = float("inf") if time_limit is None else max(time_limit, 1e-3)
        usual = self._settings.max_step_fraction
        for step in (usual, 0.95):  # a second try with shorter steps
            self._settings.max_step_fraction = step
            self.model.update(settings=self._settings)
            found = self.model.solve()
            status = str(found.status)
            if status in ("Solved", "PrimalInfeasible", "MaxTime"):
                break
        self._settings.max_step_fraction = usual
        if status not in ("Solved", "AlmostSolved"):
            return ExtensiveSolution.failure(self.program, _STATUS.get(status, "error"))
        constant = self.program.constant
        return ExtensiveSolution(
            "optimal",
            found.obj_val + constant,
            np.array(found.x),
            min(found.obj_val, found.obj_val_dual) + constant,
            exact=status == "Solved",
        )

    def basis(self) -> None:
        """An interior point method has none."""

    def start(self, basis: Any) -> None:
        """Each solve is a fresh one anyway."""

    def conflict(self) -> list[str]:
        """Clarabel cannot name an infeasible subset."""
        return []
