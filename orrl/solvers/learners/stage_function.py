"""One stage as a function of what enters it, with the derivative that its duals give.

With the target fixed, the cost of a stage depends on the incoming state x, the noise w and the target only through the
limits of rows that one of them moves: ``r = S x + N w - A target``. By the envelope theorem the duals of these rows are
the derivative, so nothing is differentiated through a solver (TS-DDR, arXiv 2405.14973).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.engines import open_stage
from ...core.errors import OrrlError

if TYPE_CHECKING:
    from ...core.stages import Stage, StageSolver

__all__ = ["StageFunction"]

FloatArray = npt.NDArray[np.float64]


class StageFunction:
    """One stage as a function of (state, noise, target).

    Parameters
    ----------
    stage : Stage
        With `soft`, the variant of `soften`, whose noise is (noise, target).
    soft : bool
        Whether the target enters as noise (it may be missed for money) or fixes the outgoing state.
    engine : str, optional
        Of `open_stage`.

    Attributes
    ----------
    matrix : (k, n + W + n)
        r = matrix @ (state, noise, target), of full row rank.
    """

    def __init__(self, stage: Stage, *, soft: bool = False, engine: str | None = None) -> None:
        self.stage, self.soft, self.engine = stage, soft, engine
        n, noise = stage.size
        self.size, self.width = n, n + noise + (0 if soft else n)
        self.out_cost = np.zeros(n) if soft else stage.cost[stage.out]
        own = stage.matrix[:, stage.out].toarray()
        rows = stage.moved if soft else np.union1d(stage.moved, np.flatnonzero(abs(own).sum(axis=1)))
        parts = [stage.by_state[rows].toarray(), stage.by_noise[rows].toarray()]
        matrix = np.hstack(parts if soft else [*parts, -own[rows]])
        if not soft and _beyond_rows(stage):
            matrix = np.vstack([matrix, np.hstack([np.zeros((n, n + noise)), np.eye(n)])])
        u, s, _ = np.linalg.svd(matrix, full_matrices=False)
        rank = int((s > 1e-9 * s.max(initial=0.0)).sum())
        self.matrix: FloatArray = matrix if rank == len(matrix) else u[:, :rank].T @ matrix
        self.inverse = np.linalg.pinv(self.matrix)
        self.solver: StageSolver = open_stage(stage, engine=engine)

    def reopen(self) -> None:
        """A fresh model, so that what comes next does not depend on a basis left behind."""
        self.solver = open_stage(self.stage, engine=self.engine)

    def solve(self, inputs: FloatArray) -> tuple[float, FloatArray] | None:
        """Value without the cost of the target itself, and its gradient, at inputs (n + W + n,); None if no solver can.

        Raises
        ------
        OrrlError
            Where the stage is infeasible, with the conflicting rows.
        """
        n = self.size
        state, rest = inputs[:n], inputs[n:]
        noise, target = (rest, None) if self.soft else (rest[:-n], rest[-n:])
        answer = self.solver.solve(state, noise, target=target)
        if answer.status == "infeasible":
            rows = ", ".join(self.solver.conflict(state, noise, target=target)) or "not named"
            raise OrrlError(
                f"a stage cannot reach the target {np.array2string(rest[-n:], precision=6)}; conflicting rows: {rows}. "
                'Train with mode="soft", or mend reach'
            )
        if answer.status != "optimal":
            return None
        if self.soft or target is None or answer.d_target is None:
            return answer.value, np.concatenate([answer.d_state, answer.d_noise])
        value = answer.value - float(self.out_cost @ target)
        return value, np.concatenate([answer.d_state, answer.d_noise, answer.d_target - self.out_cost])


def _beyond_rows(stage: Stage) -> bool:
    """Whether cones or smooth rows hold an outgoing column, so that its value matters by itself."""
    if any(abs(cone.matrix[:, stage.out]).sum() > 0 for cone in stage.cones):
        return True
    if stage.smooth is None:
        return False
    watched = _Watched(stage.columns)
    try:
        for _ in stage.smooth(watched, math):
            pass
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        return True  # it wants symbols: take no risk
    return bool(watched.seen & {stage.columns[i] for i in stage.out})


class _Watched(Mapping[Any, float]):
    """Numbers for all columns that remembers which were asked for."""

    def __init__(self, keys: Any) -> None:
        self.keys_, self.seen = dict.fromkeys(keys, 1.0), set[Any]()

    def __getitem__(self, key: Any) -> float:
        self.seen.add(key)
        return self.keys_[key]

    def __iter__(self) -> Any:
        return iter(self.keys_)

    def __len__(self) -> int:
        return len(self.keys_)
