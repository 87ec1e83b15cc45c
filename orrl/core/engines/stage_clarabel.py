"""A persistent Clarabel model of one stage with second-order cones: only right-hand sides move between solves.

There are two models, one with the outgoing state free and one where rows fix it. A pool of cuts that has changed costs
a rebuild, about 4 ms on top of 9 ms a solve for a network of 28 buses: in SDDP that is once per 15 solves or more.
Imported only when a stage is solved.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import clarabel
import numpy as np
import numpy.typing as npt

from ..errors import NotSupportedError
from ..stages import Stage, StageSolution, StageStatus
from .cut_rows import cut_rows, theta_columns

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from ..cuts import CutPool

__all__ = ["ClarabelStage"]

FloatArray = npt.NDArray[np.float64]
_STATUS: dict[str, StageStatus] = {
    "Solved": "optimal",
    "PrimalInfeasible": "infeasible",
    "AlmostPrimalInfeasible": "infeasible",
    "MaxIterations": "limit",
    "MaxTime": "limit",
}


@dataclass(slots=True)
class _Part:
    """Linear rows and bounds of a stage: `zeros` equalities, then inequalities; `shifts` as (row, moved row, sign)."""

    top: Any
    right: FloatArray
    names: list[str]
    shifts: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]
    zeros: int
    fixed: int


@dataclass(slots=True)
class _Model:
    """One assembled model; `by_shift` says how shifts of the moved rows enter the right-hand sides."""

    pool: CutPool | None
    version: int
    matrix: Any
    cost: FloatArray
    right: FloatArray
    by_shift: csr_array
    cones: list[Any]
    names: list[str]
    solver: Any
    fixed: int  # first of the rows that fix the outgoing state, -1 where it is free


class ClarabelStage:
    """One stage that is linear or has cones.

    Parameters
    ----------
    stage : Stage
        Without smooth rows.

    Raises
    ------
    NotSupportedError
        Where the stage is not convex.
    """

    def __init__(self, stage: Stage) -> None:
        if stage.smooth is not None:
            raise NotSupportedError("Clarabel takes linear and conic stages only: this one needs ipopt")
        self.stage = stage
        self._models: dict[bool, _Model] = {}
        self._parts: dict[tuple[bool, int], _Part] = {}

    @cached_property
    def _conic(self) -> csr_array:
        from scipy.sparse import csr_array, vstack

        return csr_array(vstack([cone.matrix for cone in self.stage.cones], format="csr"))

    # ---- the model -----------------------------------------------------------------------------------------------
    def _model(self, targeted: bool, pool: CutPool | None) -> _Model:
        """The model with a free or fixed outgoing state, rebuilt where its cuts are out of date."""
        held = self._models.get(targeted)
        if held is None or held.pool is not pool or (pool is not None and held.version != pool.version):
            held = self._models[targeted] = self._build(targeted, pool)
        return held

    def _build(self, targeted: bool, pool: CutPool | None) -> _Model:
        """Rows ``A y + s = b`` with s zero, then at least zero (bounds and cuts last), then in cones."""
        from scipy.sparse import csc_array, csr_array, vstack

        stage = self.stage
        m, extra = len(stage.columns), theta_columns(pool)
        if (targeted, extra) not in self._parts:
            self._parts[targeted, extra] = self._assemble(targeted, extra)
        part = self._parts[targeted, extra]
        blocks, right, names = [part.top], [part.right], list(part.names)
        if pool is not None:
            matrix, lower = cut_rows(stage, pool)
            floors = csr_array((-np.ones(extra), (np.arange(extra), m + np.arange(extra))), shape=(extra, m + extra))
            blocks += [-matrix, floors]
            right += [-lower, np.full(extra, -pool.bound)]
            names += ["cut"] * len(lower) + ["bound of the cost-to-go"] * extra
        linear = sum(len(one) for one in right)
        cones = [clarabel.ZeroConeT(part.zeros), clarabel.NonnegativeConeT(linear - part.zeros)]
        for cone in stage.cones:
            right.append(cone.offset)
            cones.append(clarabel.SecondOrderConeT(len(cone.offset)))
            label = str(cone.key[0]) + ("[" + ",".join(str(i) for i in cone.key[1:]) + "]" if cone.key[1:] else "")
            names += [label] * len(cone.offset)
        if stage.cones:
            blocks.append(-_widened(self._conic, m + extra))
        b = np.concatenate(right)
        line, shift, sign = part.shifts
        by_shift = csr_array((sign, (line, shift)), shape=(len(b), len(stage.moved)))
        cost = np.concatenate([stage.cost, np.eye(1, extra)[0] if extra else np.zeros(0)])
        version = -1 if pool is None else pool.version
        whole = csc_array(vstack(blocks, format="csc"))
        model = _Model(pool, version, whole, cost, b, by_shift, cones, names, None, part.fixed)
        model.solver = self._open(model)
        return model

    def _assemble(self, targeted: bool, extra: int) -> _Part:
        """The stage's own linear rows and bounds, which no cut changes."""
        from scipy.sparse import csr_array, vstack

        stage = self.stage
        m = len(stage.columns)
        eye = csr_array((np.ones(m), (np.arange(m), np.arange(m))), shape=(m, m + extra))
        own = _widened(stage.matrix, m + extra)
        low, high = stage.lower.copy(), stage.upper.copy()
        if targeted:
            low[stage.out], high[stage.out] = -np.inf, np.inf
        moves = np.full(len(stage.rows), -1)
        moves[stage.moved] = np.arange(len(stage.moved))
        blocks: list[Any] = []
        right: list[FloatArray] = []
        names: list[str] = []
        shifts: list[tuple[int, int, float]] = []

        def put(matrix: csr_array, picked: npt.NDArray[np.int64], sign: float, limits: FloatArray, rows: bool) -> None:
            blocks.append(sign * matrix[picked])
            right.append(sign * limits[picked])
            if rows:
                shifts.extend((len(names) + i, moves[r], sign) for i, r in enumerate(picked) if moves[r] >= 0)
                names.extend(stage.name(r) for r in picked)
            else:
                names.extend(f"bounds of {stage.columns[c]}" for c in picked)

        equal_rows, equal_bounds = stage.row_lower == stage.row_upper, low == high
        put(own, np.flatnonzero(equal_rows), 1.0, stage.row_upper, True)
        put(eye, np.flatnonzero(equal_bounds), 1.0, high, False)
        fixed = len(names) if targeted else -1
        if targeted:
            put(eye, stage.out, 1.0, np.zeros(m), False)
        zeros = len(names)
        put(own, np.flatnonzero(~equal_rows & np.isfinite(stage.row_upper)), 1.0, stage.row_upper, True)
        put(own, np.flatnonzero(~equal_rows & np.isfinite(stage.row_lower)), -1.0, stage.row_lower, True)
        put(eye, np.flatnonzero(~equal_bounds & np.isfinite(high)), 1.0, high, False)
        put(eye, np.flatnonzero(~equal_bounds & np.isfinite(low)), -1.0, low, False)
        line = np.array([one[0] for one in shifts], np.int64)
        shift = np.array([one[1] for one in shifts], np.int64)
        sign = np.array([one[2] for one in shifts], np.float64)
        top = vstack(blocks, format="csr")
        return _Part(top, np.concatenate(right), names, (line, shift, sign), zeros, fixed)

    def _open(self, model: _Model, **settings: Any) -> Any:
        from scipy.sparse import csc_array

        given = clarabel.DefaultSettings()
        given.verbose = False
        given.presolve_enable = False  # otherwise right-hand sides cannot be moved
        given.max_threads = 1
        given.iterative_refinement_enable = False  # half the time; a solve that fails is tried again with it
        for name, value in settings.items():
            setattr(given, name, value)
        m = len(model.cost)
        return clarabel.DefaultSolver(csc_array((m, m)), model.cost, model.matrix, model.right, model.cones, given)

    # ---- one solve -----------------------------------------------------------------------------------------------
    def _right(self, model: _Model, state: FloatArray, noise: FloatArray, target: FloatArray | None) -> FloatArray:
        b = model.right + model.by_shift @ self.stage.shift(state, noise)
        if target is not None:
            b[model.fixed : model.fixed + len(self.stage.out)] = target
        return np.asarray(b, np.float64)

    def solve(
        self, state: FloatArray, noise: FloatArray, *, target: FloatArray | None = None, cuts: CutPool | None = None
    ) -> StageSolution:
        """As `StageSolver.solve`; a failed solve is tried again by a fresh, more careful solver."""
        stage = self.stage
        model = self._model(target is not None, cuts)
        b = self._right(model, state, noise, target)
        model.solver.update(b=b)
        found = model.solver.solve()
        status = str(found.status)
        if _STATUS.get(status, "error") in ("error", "limit"):
            fresh = self._open(
                model,
                iterative_refinement_enable=True,
                static_regularization_constant=1e-7,
                max_iter=400,
                max_step_fraction=0.95,
            )
            fresh.update(b=b)
            found = fresh.solve()
            status = str(found.status)
        said = _STATUS.get(status, "error")
        if said != "optimal":
            return StageSolution.failure(stage, said)
        m = len(stage.columns)
        y, z = np.array(found.x), np.array(found.z)
        own = y[:m]
        out = np.clip(own[stage.out], stage.lower[stage.out], stage.upper[stage.out]) if target is None else target
        duals = -(model.by_shift.T @ z)  # dC/db = -z
        by_state, by_noise = stage.moves
        value = float(found.obj_val) + stage.constant
        return StageSolution(
            cost=value - (float(y[m]) if len(y) > m else 0.0),
            state_out=np.array(out),
            d_state=duals @ by_state,
            d_noise=duals @ by_noise,
            d_target=None if target is None else -z[model.fixed : model.fixed + len(stage.out)],
            value=value,
            columns=own,
            status="optimal",
        )

    def conflict(self, state: FloatArray, noise: FloatArray, *, target: FloatArray | None = None) -> list[str]:
        """As `StageSolver.conflict`: of the linear rows alone by HiGHS, else those with weight in a certificate."""
        from .stage_highs import HighsStage

        linear = HighsStage(self.stage.with_(cones=())).conflict(state, noise, target=target)
        if linear:
            return linear
        model = self._model(target is not None, None)
        model.solver.update(b=self._right(model, state, noise, target))
        found = model.solver.solve()
        if "PrimalInfeasible" not in str(found.status):
            return []
        weight = abs(np.array(found.z))
        heavy = np.flatnonzero(weight > 1e-4 * weight.max())
        return list(dict.fromkeys(model.names[i] for i in heavy[np.argsort(-weight[heavy])]))


def _widened(matrix: csr_array, columns: int) -> csr_array:
    """The same rows over more columns."""
    from scipy.sparse import csr_array

    return csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], columns))
