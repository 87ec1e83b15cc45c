"""A persistent HiGHS model of one linear stage: a new state or noise moves a few right-hand sides, the basis stays hot.

Columns are the stage's own, then the cost-to-go, then one theta per opening where the cuts come in several. Imported
only when a stage is solved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
import numpy.typing as npt

from ..errors import NotSupportedError, OrrlError
from ..stages import Stage, StageSolution

if TYPE_CHECKING:
    from ..cuts import CutPool

__all__ = ["HighsStage"]

FloatArray = npt.NDArray[np.float64]
_STATUS = {
    highspy.HighsModelStatus.kInfeasible: "infeasible",
    highspy.HighsModelStatus.kUnboundedOrInfeasible: "infeasible",
    highspy.HighsModelStatus.kTimeLimit: "limit",
    highspy.HighsModelStatus.kIterationLimit: "limit",
}
# A hot start needs a handful of pivots: scaling and perturbing the costs anew took longer than they saved (measured).
_OPTIONS = {
    "threads": 1, "parallel": "off", "presolve": "off", "solver": "simplex",
    "simplex_scale_strategy": 0, "dual_simplex_cost_perturbation_multiplier": 0.0,
    "iis_strategy": 2,  # from the program itself: the light default names conflicts of bounds only
}  # fmt: skip


class HighsStage:
    """One linear stage.

    Parameters
    ----------
    stage : Stage
        Without cones and smooth rows.

    Raises
    ------
    NotSupportedError
        Where the stage is not linear.
    """

    def __init__(self, stage: Stage) -> None:
        if stage.cones or stage.smooth is not None:
            raise NotSupportedError(f"HiGHS takes linear stages only: this one needs {stage.engine}")
        self.stage = stage
        self._free = (stage.lower[stage.out].copy(), stage.upper[stage.out].copy())
        self._out = stage.out.astype(np.int32)
        self._moved = stage.moved.astype(np.int32)
        self._low, self._high = stage.row_lower[stage.moved], stage.row_upper[stage.moved]
        self._pool: CutPool | None = None
        self._version = -1
        self._rows: list[int] = []  # cut numbers, in the order of their rows
        self._mixed = 0
        self._targeted = False
        self._load(0)

    # ---- the model -----------------------------------------------------------------------------------------------
    def _load(self, thetas: int) -> None:
        """A fresh model; with `thetas` the columns of a cost-to-go."""
        stage = self.stage
        extra = 0 if thetas == 0 else 1 if thetas == 1 else 1 + thetas
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_, lp.offset_ = len(stage.columns) + extra, len(stage.rows), stage.constant
        bound = self._pool.bound if self._pool is not None else 0.0
        # the bound is about the mixture of the thetas, not about each of them
        lp.col_lower_ = np.concatenate([stage.lower, np.where(np.arange(extra) == 0, bound, -np.inf)])
        lp.col_upper_ = np.concatenate([stage.upper, np.full(extra, np.inf)])
        lp.col_cost_ = np.concatenate([stage.cost, np.eye(1, extra)[0] if extra else []])
        lp.row_lower_, lp.row_upper_ = stage.row_lower, stage.row_upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = stage.matrix.indptr.astype(np.int32)
        lp.a_matrix_.index_ = stage.matrix.indices.astype(np.int32)
        lp.a_matrix_.value_ = stage.matrix.data
        self.model: Any = highspy.Highs()
        self.model.silent()
        for name, value in _OPTIONS.items():
            self.model.setOptionValue(name, value)
        if self.model.passModel(lp) == highspy.HighsStatus.kError:
            raise OrrlError("HiGHS refuses the stage: see its bounds and coefficients (infinite or not a number?)")
        self._theta = len(stage.columns)
        self._rows, self._mixed, self._version = [], 0, -1
        self._targeted = False

    def _follow(self, pool: CutPool | None) -> None:
        """Bring the rows of the cost-to-go up to date with a pool."""
        if pool is not self._pool:
            self._pool = pool
            self._load(0 if pool is None else pool.thetas)
        if pool is None or self._version == pool.version:
            return
        gone = [i for i, cut in enumerate(self._rows) if cut >= 0 and not pool.active[cut]]
        if gone:
            numbers = np.array(gone, np.int32) + len(self.stage.rows)
            self.model.deleteRows(len(numbers), numbers.astype(np.int32))
            left = set(gone)
            self._rows = [cut for i, cut in enumerate(self._rows) if i not in left]
        present = set(self._rows)
        for cut in np.flatnonzero(pool.active).tolist():
            if cut not in present:
                self._append(pool, cut)
        if pool.thetas > 1:
            for weights in pool.mixtures[self._mixed :]:
                used = np.flatnonzero(weights)
                columns = np.concatenate([[self._theta], self._theta + 1 + used]).astype(np.int32)
                self.model.addRow(0.0, np.inf, len(columns), columns, np.concatenate([[1.0], -weights[used]]))
                self._rows.append(-1)
            self._mixed = len(pool.mixtures)
        self._version = pool.version

    def _append(self, pool: CutPool, cut: int) -> None:
        gradient = pool.gradient[cut]
        used = np.flatnonzero(gradient)
        theta = self._theta if pool.thetas == 1 else self._theta + 1 + int(pool.theta[cut])
        columns = np.concatenate([[theta], self._out[used]]).astype(np.int32)
        values = np.concatenate([[1.0], -gradient[used]])
        self.model.addRow(float(pool.intercept[cut]), np.inf, len(columns), columns, values)
        self._rows.append(cut)

    # ---- one solve -----------------------------------------------------------------------------------------------
    def _place(self, state: FloatArray, noise: FloatArray, target: FloatArray | None) -> None:
        shift = self.stage.shift(state, noise)
        self.model.changeRowsBounds(len(self._moved), self._moved, self._low + shift, self._high + shift)
        if target is not None:
            held = np.clip(target, *self._free)
            self.model.changeColsBounds(len(self._out), self._out, held, held)
        elif self._targeted:
            self.model.changeColsBounds(len(self._out), self._out, *self._free)
        self._targeted = target is not None

    def _outside(self, target: FloatArray) -> list[str]:
        """Columns whose own bounds forbid the target; a hair beyond them is forgiven."""
        low, high = self._free
        slack = 1e-7 * (1.0 + np.abs(target))
        wrong = np.flatnonzero((target < low - slack) | (target > high + slack))
        return [f"bounds of {self.stage.columns[self._out[i]]}" for i in wrong]

    def solve(
        self, state: FloatArray, noise: FloatArray, *, target: FloatArray | None = None, cuts: CutPool | None = None
    ) -> StageSolution:
        """As `StageSolver.solve`; a failed solve is tried again from scratch, then by the interior point method."""
        self._follow(cuts)
        if target is not None and self._outside(target):
            return StageSolution.failure(self.stage, "infeasible")
        self._place(state, noise, target)
        self._run()
        status = self.model.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            status = self._again(status)
        if status != highspy.HighsModelStatus.kOptimal:
            return StageSolution.failure(self.stage, _STATUS.get(status, "error"))  # type: ignore[arg-type]
        solution = self.model.getSolution()
        m = len(self.stage.columns)
        columns = np.array(solution.col_value)
        duals = np.array(solution.row_dual)[self._moved]
        by_state, by_noise = self.stage.moves
        own = columns[:m].copy()
        value = float(self.model.getObjectiveValue())
        later = float(columns[self._theta]) if len(columns) > m else 0.0
        return StageSolution(
            cost=value - later,
            state_out=own[self._out],
            d_state=duals @ by_state,
            d_noise=duals @ by_noise,
            d_target=None if target is None else np.array(solution.col_dual)[self._out],
            value=value,
            columns=own,
            status="optimal",
        )

    def solve_many(
        self, state: FloatArray, noises: FloatArray, *, cuts: CutPool | None = None
    ) -> tuple[FloatArray, FloatArray, list[str]]:
        """Values (K,) and slopes (K, n) in the incoming state for noises (K, W), with the status of each.

        The same as K calls of `solve`, without what a backward pass does not read.
        """
        self._follow(cuts)
        if self._targeted:
            self.model.changeColsBounds(len(self._out), self._out, *self._free)
            self._targeted = False
        shifts = self.stage.shift(state, noises)
        lows, highs = self._low + shifts, self._high + shifts
        values, duals = np.full(len(noises), np.nan), np.full((len(noises), len(self._moved)), np.nan)
        statuses = []
        model, count, moved = self.model, len(self._moved), self._moved
        for k in range(len(noises)):
            model.changeRowsBounds(count, moved, lows[k], highs[k])
            self._run()
            status = model.getModelStatus()
            if status != highspy.HighsModelStatus.kOptimal:
                status = self._again(status)
            if status != highspy.HighsModelStatus.kOptimal:
                statuses.append(_STATUS.get(status, "error"))
                continue
            statuses.append("optimal")
            values[k] = model.getObjectiveValue()
            duals[k] = np.array(model.getSolution().row_dual)[moved]
        return values, duals @ self.stage.moves[0], statuses

    def write(self, path: str) -> None:
        """Write the model as it stands, its cuts included, for a look from outside."""
        self.model.writeModel(path)

    def _run(self) -> None:
        """Run, and once more where HiGHS refuses.

        Its scheduler belongs to the Python thread and keeps the number of threads of its first run; where somebody else
        asked for more, a run is refused *and the status of the run before stays in place*, so the code must be seen.
        """
        if self.model.run() == highspy.HighsStatus.kError:
            highspy.Highs.resetGlobalScheduler(True)
            if self.model.run() == highspy.HighsStatus.kError:
                self.model.clearSolver()  # whatever status is left is not of this model

    def _again(self, status: Any) -> Any:
        """A second try without the basis and a third without the simplex: cuts make numbers hard."""
        for method in ("simplex", "ipm"):
            if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kTimeLimit):
                return status
            self.model.clearSolver()
            self.model.setOptionValue("solver", method)
            self._run()
            self.model.setOptionValue("solver", "simplex")
            status = self.model.getModelStatus()
            if status == highspy.HighsModelStatus.kOptimal:
                break
        return status

    def conflict(self, state: FloatArray, noise: FloatArray, *, target: FloatArray | None = None) -> list[str]:
        """As `StageSolver.conflict`: an irreducible infeasible subset, found by HiGHS."""
        if target is not None and (wrong := self._outside(target)):
            return wrong
        self._place(state, noise, target)
        highspy.Highs.resetGlobalScheduler(True)
        code, found = self.model.getIis()
        if code == highspy.HighsStatus.kError or not found.valid_:
            return []
        own = len(self.stage.columns)
        named = [self.stage.name(r) for r in found.row_index_ if r < len(self.stage.rows)]
        return named + [f"bounds of {self.stage.columns[c]}" for c in found.col_index_ if c < own]
