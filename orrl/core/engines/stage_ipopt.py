"""A persistent interior-point model of one stage with smooth rows: CasADi differentiates, Ipopt solves.

State, noise and target are limits of rows and columns, so that functions are compiled once. Three things save time, and
none changes the answer beyond the tolerance:

- Solves start from a point near the central path of the first problem, not from a flat one (17..20 iterations, not 24).
- Rows that limit but never bind (most thermal and angle limits) stay outside; each answer is checked against all of
  them, and one that is broken joins for good, followed by another solve.
- Cuts are coefficients that are handed over, a few at a time: those that are broken join.

Needs ``pip install "orrl[nlp]"``. Imported only when a stage is solved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import NotInstalledError
from ..stages import Stage, StageSolution, StageStatus
from .cut_rows import cut_rows, theta_columns

if TYPE_CHECKING:
    from ..cuts import CutPool

__all__ = ["IpoptStage"]

FloatArray = npt.NDArray[np.float64]
CENTRE = 1.0  # complementarity of the point that solves start from, in Ipopt's scaled units
# A bound that is relaxed by 1e-8, Ipopt's default, is worth 1e-6 of the cost where unserved power is dear.
COMMON: dict[str, Any] = {
    "print_level": 0, "sb": "yes", "linear_solver": "mumps", "mumps_pivot_order": 6, "max_iter": 300, "tol": 1e-8,
    "bound_relax_factor": 1e-10,
}  # fmt: skip
WARM: dict[str, Any] = {
    "mu_init": CENTRE, "bound_mult_init_method": "mu-based", "bound_push": 1e-6, "bound_frac": 1e-6,
    "barrier_tol_factor": 100.0, "fast_step_computation": "yes", "max_iter": 80,
}  # fmt: skip
_STATUS: dict[str, StageStatus] = {
    "Solve_Succeeded": "optimal",
    "Infeasible_Problem_Detected": "infeasible",
    "Maximum_Iterations_Exceeded": "limit",
    "Maximum_CpuTime_Exceeded": "limit",
    "Maximum_WallTime_Exceeded": "limit",
}
BROKEN = 1e-7  # a row outside the model is broken by more than this times max(1, |limit|)
FEW = 8  # cuts in the model at once, at first


class IpoptStage:
    """One stage, which may have smooth rows and cones.

    An answer is a local optimum. It may carry cuts of another, convex, model as its cost-to-go; none can be made of it.

    Parameters
    ----------
    stage : Stage
        Any.
    options : mapping, optional
        Of Ipopt, over the defaults.

    Raises
    ------
    NotInstalledError
        Without CasADi.
    """

    def __init__(self, stage: Stage, **options: Any) -> None:
        try:
            import casadi
        except ImportError:
            raise NotInstalledError('smooth stages need CasADi: pip install "orrl[nlp]"') from None
        self._lib: Any = casadi
        self.stage = stage
        self._options = {**COMMON, **options}
        self._y = casadi.SX.sym("y", len(stage.columns))
        self._assemble()
        self._held: dict[tuple[bytes, int, int, str], tuple[Any, Any]] = {}
        self._inside = np.ones(len(self._low), np.bool_)  # rows in the model
        self._starts: dict[bool, FloatArray] = {}

    # ---- the model -----------------------------------------------------------------------------------------------
    def _assemble(self) -> None:
        """All rows of the stage as one vector, with limits and names."""
        ca, stage, y = self._lib, self.stage, self._y
        bodies = [_affine(ca, stage.matrix, y)]
        low, high = [stage.row_lower], [stage.row_upper]
        self._names = [stage.name(i) for i in range(len(stage.rows))]
        symbols = {key: y[i] for i, key in enumerate(stage.columns)}
        for key, least, body, most in [] if stage.smooth is None else stage.smooth(symbols, ca):
            bodies.append(body)
            low.append(np.array([least], np.float64))
            high.append(np.array([most], np.float64))
            self._names.append(_label(key))
        for cone in stage.cones:
            parts = _affine(ca, cone.matrix, y) + cone.offset
            bodies += [parts[0], parts[0] ** 2 - ca.sumsqr(parts[1:])]
            low.append(np.zeros(2))
            high.append(np.full(2, np.inf))
            self._names += [_label(cone.key)] * 2
        self._bodies = ca.vertcat(*bodies)
        self._low, self._high = np.concatenate(low), np.concatenate(high)
        self._loose = self._low < self._high
        self._loose[stage.moved] = False
        self._values = ca.Function("rows", [y], [self._bodies])

    def _model(self, extra: int, room: int, mode: str) -> tuple[Any, Any]:
        """Solver and slope of the Lagrangian in the outgoing state, with `extra` thetas and room for so many cuts."""
        inside = np.ones_like(self._inside) if mode != "warm" else self._inside
        key = (inside.tobytes(), extra, room, mode)
        if key not in self._held:
            ca, stage = self._lib, self.stage
            later = ca.SX.sym("later", extra)
            y = ca.vertcat(self._y, later)
            cut = ca.SX.sym("cut", room, extra + len(stage.out))
            leave = ca.vertcat(*[self._y[int(i)] for i in stage.out])
            rows = self._bodies[np.flatnonzero(inside).tolist()]
            if room:
                rows = ca.vertcat(rows, ca.mtimes(cut, ca.vertcat(later, leave)))
            cost = ca.dot(ca.DM(stage.cost), self._y) + stage.constant + (later[0] if extra else 0.0)
            given = ca.vec(cut)
            options = {**self._options, **(WARM if mode == "warm" else {})}
            if mode == "centre":
                options |= {"mu_target": CENTRE, "mu_init": CENTRE}
            settings = {
                "ipopt": options, "print_time": False, "error_on_fail": False, "show_eval_warnings": False,
                "calc_lam_p": False,
            }  # fmt: skip
            solver = ca.nlpsol("stage", "ipopt", {"x": y, "p": given, "f": cost, "g": rows}, settings)
            duals = ca.SX.sym("duals", rows.shape[0])
            slope = ca.jacobian(cost + ca.dot(duals, rows), leave) if len(stage.out) else ca.SX(1, 0)
            self._held[key] = solver, ca.Function("slope", [y, given, duals], [slope])
        return self._held[key]

    def _flat(self) -> FloatArray:
        """Middle of the bounds where both are near, else what is nearest to zero."""
        low, high = self.stage.lower, self.stage.upper
        with np.errstate(invalid="ignore"):
            middle = np.where(high - low < 1e2, (low + high) / 2.0, 0.0)
        return np.clip(middle, low, high)

    # ---- one solve -----------------------------------------------------------------------------------------------
    def solve(
        self, state: FloatArray, noise: FloatArray, *, target: FloatArray | None = None, cuts: CutPool | None = None
    ) -> StageSolution:
        """As `StageSolver.solve`; what fails is tried again with all rows from a flat start."""
        first = (target is not None) not in self._starts
        if first:
            self._starts[target is not None] = self._centre(state, noise, target)
        answer, status = None, "error"
        for mode in ("cold",) if first else ("warm", "cold"):
            answer, status = self._run(mode, state, noise, target, cuts)
            if answer is not None:
                break
        if answer is None:
            self._starts.pop(target is not None, None)
            return StageSolution.failure(self.stage, status)  # type: ignore[arg-type]
        if first and self._inside.all():  # rows that are far from binding leave
            near = np.full(len(self._low), np.inf)
            values = self._values(answer.columns).full().ravel()
            for limit in (self._low, self._high):
                known = np.isfinite(limit)
                gap = abs(values[known] - limit[known]) / np.maximum(1e-3, abs(limit[known]))
                near[known] = np.minimum(near[known], gap)
            self._inside = ~self._loose | (near < 0.1)
        return answer

    def _run(
        self, mode: str, state: FloatArray, noise: FloatArray, target: FloatArray | None, cuts: CutPool | None
    ) -> tuple[StageSolution | None, str]:
        """Solve, and again for as long as rows or cuts outside the model are broken."""
        stage = self.stage
        m, n, extra = len(stage.columns), len(stage.out), theta_columns(cuts)
        low, high, row_low, row_high = self._limits(state, noise, target)
        start = self._flat() if mode == "cold" else self._starts[target is not None]
        table, floor, chosen = np.zeros((0, extra + n)), np.zeros(0), np.zeros(0, np.int64)
        if cuts is not None:
            matrix, floor = cut_rows(stage, cuts)
            table = matrix[:, np.concatenate([m + np.arange(extra), stage.out])].toarray()
            bound = np.full(extra, cuts.bound)
            low, high = np.concatenate([low, bound]), np.concatenate([high, np.full(extra, np.inf)])
            guess = np.clip(state if target is None else target, -1e12, 1e12)
            later = max(float(cuts.value(guess)), cuts.bound + 1.0)
            start = np.concatenate([start, np.full(extra, later)])
            chosen = np.argsort(table[:, extra:] @ guess - floor)[:FEW]
        for _ in range(30):
            room = 0 if not len(floor) else 1 << max(3, int(len(chosen) - 1).bit_length())
            solver, slope = self._model(extra, room, mode)
            inside = np.ones_like(self._inside) if mode == "cold" else self._inside.copy()
            own, least = np.zeros((room, extra + n)), np.full(room, -1.0)
            own[: len(chosen)], least[: len(chosen)] = table[chosen], floor[chosen]
            given = own.ravel(order="F")
            found = solver(
                x0=start, p=given, lbx=low, ubx=high,
                lbg=np.concatenate([row_low[inside], least]),
                ubg=np.concatenate([row_high[inside], np.full(room, np.inf)]),
            )  # fmt: skip
            said = solver.stats()["return_status"]
            status = _STATUS.get(said, "error")
            if mode == "cold" and said == "Solved_To_Acceptable_Level":  # 1e-6, where 1e-8 is out of reach
                status = "optimal"
            if status != "optimal":
                return None, status
            y = found["x"].full().ravel()
            broken = self._broken(y[:m], row_low, row_high) & ~inside
            if len(floor):
                gap = floor - table @ y[np.concatenate([m + np.arange(extra), stage.out])]
                missed = np.setdiff1d(np.flatnonzero(gap > 1e-7 * np.maximum(1.0, abs(floor))), chosen)
                chosen = np.concatenate([chosen, missed[np.argsort(-gap[missed])][:FEW]])
                again = len(missed) > 0
            else:
                again = False
            if broken.any():
                self._inside |= broken
                self._held = {key: held for key, held in self._held.items() if key[3] != "warm"}
            elif not again:
                return self._answer(found, slope, given, inside, target), "optimal"
        return None, "error"

    def _limits(self, state: FloatArray, noise: FloatArray, target: FloatArray | None) -> tuple[FloatArray, ...]:
        stage = self.stage
        low, high = stage.lower.copy(), stage.upper.copy()
        if target is not None:
            low[stage.out] = high[stage.out] = target
        row_low, row_high = self._low.copy(), self._high.copy()
        shift = stage.shift(state, noise)
        row_low[stage.moved] += shift
        row_high[stage.moved] += shift
        return low, high, row_low, row_high

    def _centre(self, state: FloatArray, noise: FloatArray, target: FloatArray | None) -> FloatArray:
        """A point near the central path of a problem; any point would do to start from."""
        low, high, row_low, row_high = self._limits(state, noise, target)
        solver, _ = self._model(0, 0, "centre")
        flat = self._flat()
        point = solver(x0=flat, lbx=low, ubx=high, lbg=row_low, ubg=row_high)["x"].full().ravel()
        return point if np.isfinite(point).all() else flat

    def _broken(self, columns: FloatArray, row_low: FloatArray, row_high: FloatArray) -> npt.NDArray[np.bool_]:
        values = self._values(columns).full().ravel()
        allowed = [BROKEN * np.maximum(1.0, np.where(np.isfinite(a), abs(a), 0.0)) for a in (row_low, row_high)]
        return np.asarray((values < row_low - allowed[0]) | (values > row_high + allowed[1]), np.bool_)

    def _answer(
        self, found: Any, slope: Any, given: FloatArray, inside: npt.NDArray[np.bool_], target: FloatArray | None
    ) -> StageSolution:
        stage = self.stage
        m = len(stage.columns)
        y, lam = found["x"].full().ravel(), found["lam_g"]
        own = y[:m]
        duals = np.zeros(len(inside))
        duals[inside] = lam.full().ravel()[: int(inside.sum())]
        moved = -duals[stage.moved]  # dC/d(limit) = -multiplier
        by_state, by_noise = stage.moves
        value = float(found["f"])
        out = np.clip(own[stage.out], stage.lower[stage.out], stage.upper[stage.out]) if target is None else target
        return StageSolution(
            cost=value - (float(y[m]) if len(y) > m else 0.0),
            state_out=np.array(out, np.float64),
            d_state=moved @ by_state,
            d_noise=moved @ by_noise,
            d_target=None if target is None else slope(found["x"], given, lam).full().ravel(),
            value=value,
            columns=own,
            status="optimal",
        )

    def conflict(self, state: FloatArray, noise: FloatArray, *, target: FloatArray | None = None) -> list[str]:
        """As `StageSolver.conflict`: of the linear rows alone by HiGHS, else the rows still broken at the end."""
        from .stage_highs import HighsStage

        linear = HighsStage(self.stage.with_(cones=(), smooth=None)).conflict(state, noise, target=target)
        if linear:
            return linear
        low, high, row_low, row_high = self._limits(state, noise, target)
        solver, _ = self._model(0, 0, "cold")
        end = solver(x0=self._flat(), lbx=low, ubx=high, lbg=row_low, ubg=row_high)["x"].full().ravel()
        broken = self._broken(end, row_low, row_high)
        return list(dict.fromkeys(self._names[i] for i in np.flatnonzero(broken)))


def _label(key: Any) -> str:
    return str(key[0]) + ("[" + ",".join(str(i) for i in key[1:]) + "]" if key[1:] else "")


def _affine(ca: Any, matrix: Any, y: Any) -> Any:
    """``matrix @ y`` for a SciPy matrix."""
    wide = matrix.tocsc()
    shape = ca.Sparsity(wide.shape[0], wide.shape[1], wide.indptr.tolist(), wide.indices.tolist())
    return ca.mtimes(ca.DM(shape, wide.data.tolist()), y)
