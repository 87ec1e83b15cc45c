"""The kernel of hydrothermal dispatch: `StageKernel` with snapshots and reports in the words of the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.stage_kernel import StageKernel, StageRows
from .dispatch import Dispatch, HydroState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...core.stages import Stage, StageGraph
    from .data import Hydrothermal

__all__ = ["HydroKernel"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class HydroKernel(StageKernel):
    """Systems with equal numbers of reservoirs side by side.

    An action is a share in [0, 1] for each reservoir: 0 leaves as little water as possible behind, 1 as much as can be
    reached (`orrl.problems.hydrothermal.reach`). The observation is that of `StageKernel`: volumes, present inflow,
    season, time.
    """

    problems: Sequence[Hydrothermal]

    def _prepare(self) -> None:
        self._families: dict[int, dict[str, IntArray]] = {}
        super()._prepare()

    def __getstate__(self) -> dict[str, Any]:
        """Without what goes by the identity of a stage."""
        return {k: v for k, v in super().__getstate__().items() if k != "_families"}

    def noise_scale(self, problem: Hydrothermal, graph: StageGraph) -> FloatArray:
        """Largest inflow (H,) of each plant in the data, m3/s."""
        size = problem.inflow.max(axis=(0, 2))
        return np.where(size > 0, size, 1.0)

    def families(self, stage: Stage) -> dict[str, IntArray]:
        """Columns of each family of a stage."""
        if id(stage) not in self._families:
            names = dict.fromkeys(str(key[0]) for key in stage.columns)
            self._families[id(stage)] = {name: stage.block(name) for name in names}
        return self._families[id(stage)]

    def snapshot(self, state: StageRows, row: int) -> HydroState:
        """Inflow seen and stages dispatched, from the very beginning."""
        line = self._lines[state.which[row]]
        start: HydroState | None = line.problem.state
        done, total = int(state.node[row]), len(line.graph.nodes)
        inflow = state.noise[row, : min(done + 1, total)]
        past = self._dispatch(line.stages[:done] or line.stages[:1], state.columns[row, :done])
        if start is not None and start.stage:
            past = start.past.joined(past) if done else start.past
            inflow = np.concatenate([start.inflow[: start.stage], inflow])
        return HydroState(np.array(inflow), past)

    def _dispatch(self, stages: Sequence[Stage], columns: FloatArray) -> Dispatch:
        """Decisions (t, M) by family; what a stage lacks is 0."""
        named: dict[str, FloatArray] = {}
        kinds = list({id(stage): stage for stage in stages}.values())
        for stage in kinds:
            rows = np.array([t for t, own in enumerate(stages[: len(columns)]) if own is stage], np.int64)
            for name, block in self.families(stage).items():
                table = named.setdefault(name, np.zeros((len(columns), len(block))))
                table[rows] = columns[rows[:, None], block]
        return Dispatch(named)

    def report(self, state: StageRows) -> dict[str, npt.NDArray[Any]]:
        """What the last stage of each row (B,) was like; NaN before the first.

        Returns
        -------
        dict
            water_values (B, H), money that one hm3 more at the beginning of the stage would have saved; spilled (B, H)
            hm3; deficit (B,) MW; cost (B,) money; projected (B,), whether the network refused the volumes asked for.
        """
        rows, plants = len(state), self.size[0]
        spilled, deficit, cost = np.full((rows, plants), np.nan), np.full(rows, np.nan), np.full(rows, np.nan)
        for b in np.flatnonzero(state.node > 0).tolist():
            line, t = self._lines[state.which[b]], int(state.node[b]) - 1
            block, values = self.families(line.stages[t]), state.columns[b, t]
            spilled[b] = values[block["spilled"]]
            deficit[b] = line.problem.grid.base * values[block["deficit"]].sum()
            cost[b] = state.cost[b, t]
        return {
            "water_values": -state.slope, "spilled": spilled, "deficit": deficit, "cost": cost,
            "projected": state.projected.copy(),
        }  # fmt: skip
