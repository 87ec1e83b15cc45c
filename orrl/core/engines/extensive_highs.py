"""A persistent HiGHS model of a linear program over many stages: the next path moves right-hand sides only.

Imported only when such a program is solved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
import numpy.typing as npt

from ..errors import NotSupportedError, OrrlError
from ..extensive import ExtensiveSolution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..extensive import Extensive

__all__ = ["HighsExtensive", "conflict_of", "load_highs"]

FloatArray = npt.NDArray[np.float64]
_STATUS: dict[Any, Any] = {
    highspy.HighsModelStatus.kInfeasible: "infeasible",
    highspy.HighsModelStatus.kUnboundedOrInfeasible: "infeasible",
    highspy.HighsModelStatus.kTimeLimit: "limit",
    highspy.HighsModelStatus.kIterationLimit: "limit",
    highspy.HighsModelStatus.kInterrupt: "limit",
}


def load_highs(program: Extensive, *, names: bool = False) -> Any:
    """The arrays in a silent ``highspy.Highs``.

    Raises
    ------
    NotSupportedError
        Where a stage has cones or smooth rows.
    """
    if not program.linear:
        raise NotSupportedError(f"HiGHS takes linear stages only: this program needs {program.engine}")
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_, lp.offset_ = len(program.cost), len(program.row_lower), program.constant
    lp.col_lower_, lp.col_upper_, lp.col_cost_ = program.lower, program.upper, program.cost
    lp.row_lower_, lp.row_upper_ = program.limits()
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = program.matrix.indptr.astype(np.int32)
    lp.a_matrix_.index_ = program.matrix.indices.astype(np.int32)
    lp.a_matrix_.value_ = program.matrix.data
    if names:
        lp.col_names_ = [_label(key) for key in program.columns]
        lp.row_names_ = [_label(key) for key in program.rows]
    model = highspy.Highs()
    model.silent()
    if model.passModel(lp) == highspy.HighsStatus.kError:
        raise OrrlError("HiGHS refuses the program: see its bounds and coefficients (infinite or not a number?)")
    return model


def _label(key: tuple[Any, ...]) -> str:
    return f"{key[0]}[{','.join(str(i) for i in key[1:])}]"


def conflict_of(model: Any, program: Extensive) -> list[str]:
    """Names of an irreducible infeasible subset of a program's model; empty where HiGHS finds none."""
    code, found = model.getIis()
    if code == highspy.HighsStatus.kError or not found.valid_:
        return []
    rows, columns = len(program.row_lower), len(program.cost)
    named = [program.row_name(r) if r < rows else f"row {r}" for r in found.row_index_]
    return named + [f"bounds of {_label(program.columns[c])}" for c in found.col_index_ if c < columns]


class HighsExtensive:
    """One linear program over many stages, solved again and again.

    Parameters
    ----------
    program : Extensive
        Without cones and smooth rows.
    options : mapping
        HiGHS options by their own names.
    """

    def __init__(self, program: Extensive, *, options: Mapping[str, Any] | None = None) -> None:
        self.program = program
        self.model = load_highs(program)
        self._rows = program.moved.astype(np.int32)
        self._low, self._high = program.row_lower[program.moved], program.row_upper[program.moved]
        self._placed = program.shift()
        for name, value in {"threads": 1, "solver": "simplex", **(options or {})}.items():
            if self.model.setOptionValue(name, value) != highspy.HighsStatus.kOk:
                raise OrrlError(f"HiGHS does not take the option {name}={value!r}: see its list of options")

    def move(self, noise: FloatArray | None = None, state: FloatArray | None = None) -> None:
        """Other noise (V, W) and initial state (n,): the limits that differ are passed on, the basis stays."""
        shift = self.program.shift(noise, state)
        other = np.flatnonzero(shift != self._placed)
        low, high = self._low[other] + shift[other], self._high[other] + shift[other]
        self.model.changeRowsBounds(len(other), self._rows[other], low, high)
        self._placed = shift

    def solve(self, *, time_limit: float | None = None) -> ExtensiveSolution:
        """Solve as it stands, warm; a failure is tried again from scratch, then by the interior point method."""
        kinds = highspy.HighsModelStatus
        limit = float("inf") if time_limit is None else max(time_limit, 0.0) + self.model.getRunTime()
        self.model.setOptionValue("time_limit", limit)
        if self.model.run() == highspy.HighsStatus.kError:
            highspy.Highs.resetGlobalScheduler(True)  # somebody else in this thread had HiGHS use more threads
            self.model.run()
        status = self.model.getModelStatus()
        for method in ("simplex", "ipm"):
            if status in (kinds.kOptimal, kinds.kInfeasible, kinds.kTimeLimit):
                break
            self.model.clearSolver()
            before = self.model.getOptionValue("solver")[1]
            self.model.setOptionValue("solver", method)
            self.model.run()
            self.model.setOptionValue("solver", before)
            status = self.model.getModelStatus()
        if status != kinds.kOptimal:
            return ExtensiveSolution.failure(self.program, _STATUS.get(status, "error"))
        value = float(self.model.getObjectiveValue())
        return ExtensiveSolution("optimal", value, np.array(self.model.getSolution().col_value), value)

    def basis(self) -> Any:
        """Where the last solve ended."""
        return self.model.getBasis()

    def start(self, basis: Any) -> None:
        """Begin the next solve from here and forget the last one, so that the answer depends on nothing else."""
        self.model.clearSolver()
        if basis is not None:
            self.model.setBasis(basis)

    def conflict(self) -> list[str]:
        """Names of rows and bounds that cannot hold together: an irreducible infeasible subset, found by HiGHS."""
        return conflict_of(self.model, self.program)
