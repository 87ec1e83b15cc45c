"""A multistage problem whose stages are replaced by planes on their cost, so that conic or nonlinear physics becomes a
small linear program.

With the outgoing state fixed, the cost of a stage depends on state, noise and target only through
``r = M (state, noise, target)`` (`StageFunction`). The surrogate keeps the rows that tie state and target to what is let
go, and says ``cost >= height + slope @ r`` for each plane. Planes of a convex stage lie under its cost, so what is proved
about the surrogate bounds the problem; tangents of a nonconvex one are a heuristic and bound nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ...core.capabilities import HasStages
from ...core.linear import Linear
from ...core.problem import Problem
from ...core.result import dump_object, load_object
from ...core.stages import Stage
from ...core.types import Evaluation, Support

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...core.stages import StageGraph

__all__ = ["PlaneSurrogate", "plane_stage"]

FloatArray = npt.NDArray[np.float64]


def plane_stage(stage: Stage, matrix: FloatArray, height: FloatArray, slope: FloatArray) -> Stage:
    """The linear program of a stage under planes.

    Parameters
    ----------
    stage : Stage
        What is replaced: n entries of the state, W of the noise.
    matrix : (k, n + W + n)
        M.
    height, slope : (P,), (P, k)
        Planes on the cost without the cost of the target itself.
    """
    n, width = stage.size
    body = stage.matrix.tocsr()
    touched = np.zeros(len(stage.columns), np.bool_)
    touched[stage.out] = True
    tied = np.union1d(stage.moved, np.flatnonzero(np.asarray(abs(body[:, stage.out]).sum(axis=1)).ravel()))
    kept = touched.copy()
    kept[np.unique(body[tied].indices)] = True
    rows = [r for r in range(len(stage.rows)) if kept[body[[r]].indices].all()]
    table = Linear(offset=0.0)
    for i in np.flatnonzero(kept).tolist():
        own = float(stage.cost[i]) if touched[i] else 0.0  # all other money is inside the planes
        table.column(stage.columns[i], stage.lower[i], stage.upper[i], cost=own)
    by_state: dict[Any, Any] = {}
    by_noise: dict[Any, Any] = {}
    for r in rows:
        line, key = body[[r]], stage.rows[r]
        terms = tuple((stage.columns[i], float(a)) for i, a in zip(line.indices, line.data, strict=True))
        table.rows[key] = (float(stage.row_lower[r]), terms, float(stage.row_upper[r]))
        for moves, into in ((stage.by_state, by_state), (stage.by_noise, by_noise)):
            own_moves = moves[[r]]
            into[key] = [(int(i), float(a)) for i, a in zip(own_moves.indices, own_moves.data, strict=True)]
    table.column(("stage_cost",), -np.inf, np.inf, cost=1.0)
    for j, line in enumerate(matrix):
        table.column(("let_go", j), -np.inf, np.inf)
        out = [(stage.columns[stage.out[i]], -float(a)) for i, a in enumerate(line[n + width :]) if a]
        table.equal(("let_go", j), 0.0, (("let_go", j), 1.0), *out)
        by_state["let_go", j] = [(i, float(a)) for i, a in enumerate(line[:n]) if a]
        by_noise["let_go", j] = [(i, float(a)) for i, a in enumerate(line[n : n + width]) if a]
    for p in range(len(height)):
        slopes = [(("let_go", j), -float(a)) for j, a in enumerate(slope[p]) if a]
        table.at_least(("plane", p), float(height[p]), (("stage_cost",), 1.0), *slopes)
    out_keys = [stage.columns[i] for i in stage.out]
    return Stage.of(table, out=out_keys, noise=width, by_state=by_state, by_noise=by_noise)


class PlaneSurrogate(Problem):
    """The same policy graph over plane stages.

    Parameters
    ----------
    problem : Problem
        With stages.
    kinds : sequence of int, length T
        Which planes each node has.
    planes : sequence of (matrix, height, slope)
        As in `plane_stage`, one for each kind.
    """

    family = "surrogate"

    def __init__(
        self,
        problem: Any,
        kinds: Sequence[int],
        planes: Sequence[tuple[FloatArray, FloatArray, FloatArray]],
    ) -> None:
        self.problem, self.kinds, self.planes = problem, tuple(int(k) for k in kinds), tuple(planes)
        self.name, self.objective = f"{problem.name} (planes)", problem.objective
        self.stochastic = problem.is_stochastic
        self._made: dict[int, Stage] = {}

    def stages(self) -> StageGraph:
        """The problem's own graph."""
        graph: StageGraph = self.problem.stages()
        return graph

    def stage(self, node: int) -> Stage:
        """The plane stage of a node."""
        kind = self.kinds[node]
        if kind not in self._made:
            self._made[kind] = plane_stage(self.problem.stage(self.kinds.index(kind)), *self.planes[kind])
        return self._made[kind]

    def noise(self, scenario: Any) -> FloatArray:
        """The problem's own."""
        return np.asarray(self.problem.noise(scenario), np.float64)

    def scenario(self, seed: int) -> Any:
        """The problem's own."""
        return self.problem.scenario(seed)

    def nominal(self) -> Any:
        """The problem's own."""
        return self.problem.nominal()

    def supports(self, capability: type) -> Support:
        """Stages only."""
        return Support(True) if capability is HasStages else Support(False, "a surrogate has stages and nothing else")

    def evaluate(self, solution: Any, scenario: Any | None = None) -> Evaluation:
        """The problem's own referee."""
        verdict: Evaluation = self.problem.evaluate(solution, scenario)
        return verdict

    def content(self) -> dict[str, Any]:
        """Problem and planes."""
        planes = [[part.tolist() for part in kind] for kind in self.planes]
        return {"problem": self.problem.content_hash, "kinds": list(self.kinds), "planes": planes}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**self.content(), "problem": dump_object(self.problem)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        planes = [tuple(np.array(part, np.float64) for part in kind) for kind in data["planes"]]
        return cls(load_object(data["problem"]), data["kinds"], planes)  # type: ignore[arg-type]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": {}}
