"""A stage solved for a wished outgoing state, which gives way where the stage's rows refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .engines import open_stage
from .errors import OrrlError
from .stages import Cone, Stage

if TYPE_CHECKING:
    from .stages import StageSolution, StageSolver

__all__ = ["TargetSolver", "relaxed"]

FloatArray = npt.NDArray[np.float64]
INWARD = (0.0, 1e-8, 1e-6, 1e-4, 1e-2, 1.0)  # shares of the way from the nearest state to the cheapest one


def relaxed(stage: Stage) -> Stage:
    """The stage that looks for the outgoing state nearest to a target, which is appended to the noise.

    Two columns an entry of the state say how far it lies above and below its target; they are the only cost, divided by
    the width of the entry's bounds, so that all entries count alike.

    Parameters
    ----------
    stage : Stage
        With n entries of the state and W of the noise; the result has W + n of the noise.
    """
    from scipy.sparse import block_array, block_diag, csr_array, eye_array, vstack

    (n, _), m, out = stage.size, len(stage.columns), stage.out
    width = stage.upper[out] - stage.lower[out]
    weight = 1.0 / np.where(np.isfinite(width) & (width > 0), width, 1.0)
    pick = csr_array((np.ones(n), (np.arange(n), out)), shape=(n, m))
    one = eye_array(n)
    matrix = block_array([[stage.matrix, None, None], [pick, -one, one]], format="csr")
    wide = [
        Cone(
            c.key,
            csr_array((c.matrix.data, c.matrix.indices, c.matrix.indptr), (c.matrix.shape[0], m + 2 * n)),
            c.offset,
        )
        for c in stage.cones
    ]
    names = [(f"target_{side}", i) for side in ("above", "below") for i in range(n)]
    return stage.with_(
        columns=(*stage.columns, *names),
        lower=np.concatenate([stage.lower, np.zeros(2 * n)]),
        upper=np.concatenate([stage.upper, np.full(2 * n, np.inf)]),
        cost=np.concatenate([np.zeros(m), weight, weight]),
        rows=(*stage.rows, *(("target", i) for i in range(n))),
        matrix=csr_array(matrix),
        row_lower=np.concatenate([stage.row_lower, np.zeros(n)]),
        row_upper=np.concatenate([stage.row_upper, np.zeros(n)]),
        by_state=csr_array(vstack([stage.by_state, csr_array((n, n))])),
        by_noise=csr_array(block_diag([stage.by_noise, one])),
        constant=0.0,
        cones=tuple(wide),
    )


class TargetSolver:
    """A persistent model of one stage and, once it is needed, of its relaxation.

    Parameters
    ----------
    stage : Stage
        Linear, conic or smooth.
    engine : str, optional
        Of `open_stage`.
    """

    def __init__(self, stage: Stage, *, engine: str | None = None) -> None:
        self.stage, self.engine = stage, engine
        self.solver: StageSolver = open_stage(stage, engine=engine)
        self._nearest: StageSolver | None = None

    def solve(
        self, state: FloatArray, noise: FloatArray, target: FloatArray, *, place: str = "a stage"
    ) -> tuple[StageSolution, bool]:
        """The cheapest stage that leaves `target` (n,), and False; or one that leaves what is nearest to it, and True.

        Nearest is meant in the sum of distances, each divided by the width of its bounds. Where rounding leaves the
        nearest state just outside, a step towards the cheapest state of all brings it in.

        Raises
        ------
        OrrlError
            Where the stage has no solution for any target, naming `place` and the rows in conflict.
        """
        answer = self.solver.solve(state, noise, target=target)
        if answer.status == "optimal":
            return answer, False
        free = self.solver.solve(state, noise)
        if free.status != "optimal":
            rows = ", ".join(self.solver.conflict(state, noise)) or "not named by the solver"
            raise OrrlError(
                f"{place} has no solution ({free.status}), whatever is left behind; conflicting rows: {rows}"
            )
        if self._nearest is None:
            self._nearest = open_stage(relaxed(self.stage), engine=self.engine)
        nearest = self._nearest.solve(state, np.concatenate([noise, target]))
        if nearest.status == "optimal":
            for share in INWARD:
                way = nearest.state_out + share * (free.state_out - nearest.state_out)
                answer = self.solver.solve(state, noise, target=way)
                if answer.status == "optimal":
                    return answer, True
        return free, True
