"""A stage whose target may be missed for money: for problems that cannot say what is within reach."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from ...core.stages import Cone, Stage
from .decision_rule import DecisionRule

__all__ = ["Misses", "Norm", "automatic_penalty", "soften"]

FloatArray = npt.NDArray[np.float64]
Norm = Literal["l1", "l2"]


def automatic_penalty(stage: Stage) -> float:
    """The largest absolute cost coefficient, as DecisionRules.jl chooses it; 1 where nothing costs anything."""
    return float(abs(stage.cost).max(initial=0.0)) or 1.0


def soften(stage: Stage, penalty: float, norm: Norm = "l1") -> Stage:
    """The stage with rows ``out + below - above = target`` and a price on both differences.

    Parameters
    ----------
    stage : Stage
        Its noise becomes (noise, target), W + n numbers.
    penalty : float
        Money per unit missed ("l1") or per squared unit ("l2": a cone, so the stage then needs Clarabel).
    norm : {"l1", "l2"}
        How a miss is measured, entry by entry.
    """
    from scipy.sparse import csr_array, eye_array, hstack, vstack

    n, noise = stage.size
    m, r = len(stage.columns), len(stage.rows)
    square = norm == "l2"
    extra = 2 * n + (n if square else 0)
    price = np.concatenate([np.zeros(2 * n), np.full(n, penalty)]) if square else np.full(2 * n, penalty)
    picks = csr_array((np.ones(n), (np.arange(n), stage.out)), shape=(n, m))
    missed = hstack([eye_array(n), -eye_array(n), csr_array((n, extra - 2 * n))])
    names = ("target_below", "target_above", "target_square")[: 3 if square else 2]
    cones = [Cone(c.key, csr_array(hstack([c.matrix, csr_array((c.matrix.shape[0], extra))])), c.offset)
             for c in stage.cones]  # fmt: skip
    for i in range(n if square else 0):  # (s + 1, s - 1, 2 d) in the cone says d ** 2 <= s
        below, above, s = m + i, m + n + i, m + 2 * n + i
        lines = csr_array(([1.0, 1.0, 2.0, -2.0], ([0, 1, 2, 2], [s, s, below, above])), shape=(3, m + extra))
        cones.append(Cone(("target_cone", i), lines, np.array([1.0, -1.0, 0.0])))
    return stage.with_(
        columns=(*stage.columns, *((name, i) for name in names for i in range(n))),
        lower=np.concatenate([stage.lower, np.zeros(extra)]),
        upper=np.concatenate([stage.upper, np.full(extra, np.inf)]),
        cost=np.concatenate([stage.cost, price]),
        rows=(*stage.rows, *(("target", i) for i in range(n))),
        matrix=csr_array(vstack([hstack([stage.matrix, csr_array((r, extra))]), hstack([picks, missed])])),
        row_lower=np.concatenate([stage.row_lower, np.zeros(n)]),
        row_upper=np.concatenate([stage.row_upper, np.zeros(n)]),
        by_state=csr_array(vstack([stage.by_state, csr_array((n, n))])),
        by_noise=csr_array(
            vstack([hstack([stage.by_noise, csr_array((r, n))]), hstack([csr_array((n, noise)), eye_array(n)])])
        ),
        cones=tuple(cones),
    )


class Misses(DecisionRule):
    """A soft rule that counts the targets it could not meet."""

    def __init__(self, rule: DecisionRule) -> None:
        self.__dict__.update(rule.__dict__)
        self.asked = self.missed = 0

    def nearest(self, node: int, state: FloatArray, noise: FloatArray, target: FloatArray) -> FloatArray:
        """As `DecisionRule.nearest`."""
        reached = super().nearest(node, state, noise, target)
        assert self.box is not None
        gap = abs(reached - target) > 1e-6 * (1.0 + self.box[1] - self.box[0])
        self.asked += len(gap)
        self.missed += int(gap.any(axis=1).sum())
        return reached

    @property
    def share(self) -> float:
        """Of the stages whose target was missed."""
        return self.missed / max(1, self.asked)
