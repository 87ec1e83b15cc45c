"""Plain rules for the volumes to leave: the floors of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.engines import open_stage
from ...core.errors import OrrlError
from ...core.targets import TargetPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...core.policy import Policy
    from ...core.stages import Stage, StageSolver

__all__ = ["Myopic", "RunOfRiver", "Share", "rules"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
KEEP = 1e-6  # what a hm3 left is worth to the myopic rule, as a share of the stage's largest cost


class _Rule(TargetPolicy):
    """Knows the problem of each row."""

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Take the problem, or one a row."""
        self._problems = list(problem) if isinstance(problem, Sequence) else [problem]

    def _of(self, row: int) -> Any:
        return self._problems[row if len(self._problems) > 1 else 0]

    def act(self, obs: Any, info: Mapping[str, Any]) -> Any:
        """Shares (B, H), each by the problem of its row."""
        view = info["view"]
        node, state, noise = view.kernel.inputs(view.state)
        target = self.targets(node, state, noise)
        rows = [slice(b, b + 1) for b in range(len(node))] if len(self._problems) > 1 else [slice(None)]
        return np.concatenate([self._of(i).shares(state[r], noise[r], target[r]) for i, r in enumerate(rows)])


class Myopic(_Rule):
    """Dispatches each stage as if it were the last: water is free.

    Among dispatches that cost the same it leaves the more water, which it prefers by a millionth of the largest cost
    of the stage; without that the answer would depend on the solver. In the last stage a terminal condition counts.
    """

    name = "myopic"

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """New models, so that a decision does not depend on what was solved before."""
        super().reset(problem, batch=batch, seed=seed)
        self._models: dict[int, tuple[Stage, StageSolver]] = {}

    def targets(self, node: IntArray, state: FloatArray, noise: FloatArray) -> FloatArray:
        """Volumes (B, H) of the cheapest dispatch."""
        found = np.empty_like(state)
        for b in range(len(node)):
            stage: Stage = self._of(b).stage(int(node[b]))
            if id(stage) not in self._models:
                cost = stage.cost.copy()
                order = 1.0 + np.arange(len(stage.out)) / (10.0 * len(stage.out))  # no two reservoirs tie
                cost[stage.out] -= KEEP * max(1.0, float(np.abs(cost).max())) * order
                self._models[id(stage)] = (stage, open_stage(stage.with_(cost=cost)))
            solver = self._models[id(stage)][1]
            answer = solver.solve(state[b], noise[b])
            if answer.status != "optimal":
                rows = ", ".join(solver.conflict(state[b], noise[b])) or "not named by the solver"
                raise OrrlError(f"stage {node[b]} of row {b} has no solution ({answer.status}); conflict: {rows}")
            found[b] = answer.state_out
        return found


class Share(_Rule):
    """Leaves the same share of what can be reached in every reservoir and stage.

    Parameters
    ----------
    share : float
        1 stores all it can, 0 lets everything go.
    name : str
        For tables.
    """

    def __init__(self, share: float, name: str) -> None:
        self.share, self.name = share, name

    def targets(self, node: IntArray, state: FloatArray, noise: FloatArray) -> FloatArray:
        """Volumes (B, H)."""
        wanted = np.full(state.shape, self.share)
        rows = [slice(b, b + 1) for b in range(len(node))] if len(self._problems) > 1 else [slice(None)]
        return np.concatenate([self._of(i).reach(state[r], noise[r], wanted[r]) for i, r in enumerate(rows)])

    def act(self, obs: Any, info: Mapping[str, Any]) -> Any:
        """The share itself (B, H)."""
        return np.full(info["action_mask"].shape, self.share)


class RunOfRiver(_Rule):
    """Holds the volumes as they are: what flows in flows out."""

    name = "run-of-river"

    def targets(self, node: IntArray, state: FloatArray, noise: FloatArray) -> FloatArray:
        """The volumes (B, H) there are."""
        return np.array(state)


def rules() -> dict[str, Policy]:
    """Every rule by name."""
    made = (Myopic(), RunOfRiver(), Share(1.0, "store"), Share(0.5, "half"), Share(0.0, "release"))
    return {rule.name: rule for rule in made}
