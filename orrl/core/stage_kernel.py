"""The kernel of any multistage problem: an action becomes a target within reach, and the stage is solved for it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import DataError, NotSupportedError
from .stage_targets import TargetSolver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .stages import Stage, StageGraph

__all__ = ["StageKernel", "StageRecord", "StageRows"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class StageRows:
    """State of B rows of at most T stages with n entries of the state, W of the noise and M columns.

    Parameters
    ----------
    which, node : (B,) int
        Problem of a row, and its node; the number of nodes where the row has ended.
    state : (B, n)
        Incoming state of the node.
    noise : (B, T, W)
        The whole path; what lies behind the node is hidden from policies.
    cost, columns : (B, T), (B, T, M)
        Of the stages that were solved, NaN behind them.
    slope : (B, n)
        Derivative of the last stage's cost in its incoming state, NaN before the first.
    projected : (B,) bool
        Whether the last stage's rows refused its target.
    """

    which: IntArray
    node: IntArray
    state: FloatArray
    noise: FloatArray
    cost: FloatArray
    columns: FloatArray
    slope: FloatArray
    projected: BoolArray

    def __len__(self) -> int:
        return len(self.node)

    def pick(self, rows: IntArray) -> StageRows:
        """Copies of some rows."""
        return StageRows(*(getattr(self, f.name)[rows].copy() for f in fields(self)))

    def put(self, rows: IntArray, other: StageRows) -> None:
        """Overwrite some rows."""
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(other, f.name)


@dataclass(frozen=True, slots=True, eq=False)
class StageRecord:
    """What happened on the t stages of a row since its problem began.

    Parameters
    ----------
    noise : (t + 1, W)
        Of the stages that have begun, the present one last; (t, W) at the very end.
    columns : tuple of t arrays (m,)
        Decisions, in the order of each stage's own columns.
    state : (n,)
        Incoming state of the present stage.
    """

    noise: FloatArray
    columns: tuple[FloatArray, ...]
    state: FloatArray


@dataclass(slots=True, eq=False)
class _Line:
    """Tables of one problem."""

    problem: Any
    graph: StageGraph
    stages: list[Stage]
    lower: FloatArray
    width: FloatArray
    seen: FloatArray


class StageKernel:
    """Rows side by side on lines of stages, for any problem with `HasStages` and `HasReach`.

    An action (B, n) in the unit box is mapped by ``problem.reach`` to an outgoing state, the stage is solved for it,
    and the reward is minus its cost (undiscounted). A target that the stage's rows refuse all the same gives way to the
    nearest one that they allow.

    Rows share one persistent model for each distinct stage, so a degenerate optimum's columns may depend on what was
    solved before; cost and state do so up to rounding only. The models are made again after unpickling and by `renew`.

    Parameters
    ----------
    problems : sequence of Problem
        With n, W and the observation's size in common; lengths may differ.
    engine : str, optional
        Of `orrl.core.engines.open_stage`.

    Raises
    ------
    DataError
        Where sizes differ.
    NotSupportedError
        Where the stages do not follow each other in a line.
    """

    n_actions: None = None

    def __init__(self, problems: Sequence[Any], *, engine: str | None = None) -> None:
        if not problems:
            raise DataError("a kernel needs at least one problem")
        self.problems, self.engine = problems, engine
        self._prepare()

    def _prepare(self) -> None:
        known: dict[int, _Line] = {}
        for problem in self.problems:
            if id(problem) not in known:
                known[id(problem)] = self._line(problem)
        self._lines = [known[id(problem)] for problem in self.problems]
        sizes = {line.stages[0].size: line.problem.name for line in self._lines}
        if len(sizes) > 1:
            text = ", ".join(f"{name} has {n} and {w}" for (n, w), name in sizes.items())
            raise DataError(
                f"problems of one kernel have equal numbers of states and noises: {text}. Make a kernel each"
            )
        self.size = self._lines[0].stages[0].size
        self.action_shape = (self.size[0],)
        self._length = np.array([len(line.graph.nodes) for line in self._lines], np.int64)
        self._width = max(len(stage.columns) for line in self._lines for stage in line.stages)
        self._solvers: dict[int, TargetSolver] = {}

    def _line(self, problem: Any) -> _Line:
        graph = problem.stages()
        if not graph.linear:
            raise NotSupportedError(f"{problem.name}: its stages form a graph, a kernel takes a line of stages")
        stages = [problem.stage(node) for node in range(max(1, len(graph.nodes)))]
        low, high = stages[0].lower[stages[0].out], stages[0].upper[stages[0].out]
        width = high - low
        plain = np.isfinite(width) & (width > 0)
        return _Line(
            problem, graph, stages, np.where(np.isfinite(low), low, 0.0), np.where(plain, width, 1.0),
            self.noise_scale(problem, graph),
        )  # fmt: skip

    def noise_scale(self, problem: Any, graph: StageGraph) -> FloatArray:
        """What a noise (W,) is divided by in observations: its largest size in any opening.

        Override it where ``problem.at`` leaves openings out, or a running problem would look different.
        """
        size = np.abs(np.concatenate([node.openings for node in graph.nodes] or [np.ones((1, 1))])).max(axis=0)
        return np.where(size > 0, size, 1.0)

    def __getstate__(self) -> dict[str, Any]:
        """Models and stages stay at home: they are made again."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_solvers", "_lines")}

    def __setstate__(self, data: dict[str, Any]) -> None:
        self.__dict__.update(data)
        self._prepare()

    def renew(self) -> None:
        """Forget the models, so that nothing that comes depends on what was solved before, not even in rounding."""
        self._solvers.clear()

    def solver(self, stage: Stage) -> TargetSolver:
        """The persistent model of a stage."""
        if id(stage) not in self._solvers:
            self._solvers[id(stage)] = TargetSolver(stage, engine=self.engine)
        return self._solvers[id(stage)]

    # ---- rows ----------------------------------------------------------------------------------------------------
    def reset(self, scenarios: Sequence[Any], which: Sequence[int] | None = None) -> StageRows:
        """Fresh rows, each where its problem starts."""
        rows, (n, w) = len(scenarios), self.size
        if which is None:
            which = [0] * rows if len(self.problems) == 1 else range(rows)
        longest = int(self._length.max())
        noise, state = np.zeros((rows, longest, w)), np.zeros((rows, n))
        for b, (p, scenario) in enumerate(zip(which, scenarios, strict=True)):
            line = self._lines[p]
            noise[b, : self._length[p]] = self._noise(line, scenario)
            state[b] = line.graph.initial_state
        return StageRows(
            which=np.array(which, np.int64), node=np.zeros(rows, np.int64), state=state, noise=noise,
            cost=np.full((rows, longest), np.nan), columns=np.full((rows, longest, self._width), np.nan),
            slope=np.full((rows, n), np.nan), projected=np.zeros(rows, np.bool_),
        )  # fmt: skip

    def _noise(self, line: _Line, scenario: Any) -> FloatArray:
        path = np.asarray(line.problem.noise(scenario), np.float64)
        if path.shape != (len(line.graph.nodes), self.size[1]):
            wanted = (len(line.graph.nodes), self.size[1])
            raise DataError(
                f"{line.problem.name}: the scenario's noise has shape {path.shape}, its stages need {wanted}"
            )
        return path

    def reset_rows(self, state: StageRows, rows: Sequence[int], scenarios: Sequence[Any]) -> None:
        """Begin again in some rows."""
        own = np.array(rows, np.int64)
        state.put(own, self.reset(scenarios, state.which[own].tolist()))

    def clone(self, state: StageRows, scenarios: Sequence[Any], rows: Sequence[int]) -> StageRows:
        """Copies of rows with other noise behind the present stage, whose noise has been seen."""
        copy = state.pick(np.array(rows, np.int64))
        for b, scenario in enumerate(scenarios):
            path = self._noise(self._lines[copy.which[b]], scenario)
            ahead = copy.node[b] + 1
            copy.noise[b, ahead : len(path)] = path[ahead:]
        return copy

    def snapshot(self, state: StageRows, row: int) -> Any:
        """What has happened in a row; a problem whose ``at`` takes something else overrides this."""
        t, line = int(state.node[row]), self._lines[state.which[row]]
        columns = tuple(state.columns[row, k, : len(line.stages[k].columns)].copy() for k in range(t))
        begun = min(t + 1, len(line.graph.nodes))
        return StageRecord(state.noise[row, :begun].copy(), columns, state.state[row].copy())

    def mask(self, state: StageRows) -> BoolArray:
        """All numbers (B, n) of a row count until it ends."""
        return np.repeat(self._live(state)[:, None], self.size[0], axis=1)

    def failed(self, state: StageRows) -> BoolArray:
        """No episode fails: a stage without any solution is an error."""
        return np.zeros(len(state), np.bool_)

    def _live(self, state: StageRows) -> BoolArray:
        return np.asarray(state.node < self._length[state.which])

    # ---- one stage -----------------------------------------------------------------------------------------------
    def step(self, state: StageRows, actions: npt.NDArray[Any]) -> tuple[FloatArray, BoolArray]:
        """Solve the present stage of each row; rewards (B,) are minus the costs, NaN keeps a row.

        Raises
        ------
        OrrlError
            Where a stage has no solution, naming the rows in conflict.
        """
        reward = np.zeros(len(state))
        asked = np.flatnonzero(self._live(state) & ~np.isnan(actions).any(axis=1))
        for p in np.unique(state.which[asked]).tolist():
            line, rows = self._lines[p], asked[state.which[asked] == p]
            noise = state.noise[rows, state.node[rows]]
            target = np.asarray(line.problem.reach(state.state[rows], noise, np.asarray(actions[rows], np.float64)))
            for i, b in enumerate(rows.tolist()):
                reward[b] = -self._solve(state, b, line, noise[i], target[i])
        return reward, ~self._live(state)

    def _solve(self, state: StageRows, b: int, line: _Line, noise: FloatArray, target: FloatArray) -> float:
        t = int(state.node[b])
        stage = line.stages[t]
        solver = self._solvers.get(id(stage)) or self.solver(stage)
        place = f"{line.problem.name}: stage {line.problem.objective.stage + t} of row {b}"
        answer, projected = solver.solve(state.state[b], noise, target, place=place)
        state.state[b] = answer.state_out if projected else target
        state.cost[b, t] = answer.cost
        state.columns[b, t, : len(answer.columns)] = answer.columns
        state.slope[b] = answer.d_state
        state.projected[b] = projected
        state.node[b] = t + 1
        return answer.cost

    # ---- what is seen --------------------------------------------------------------------------------------------
    def inputs(self, state: StageRows) -> tuple[IntArray, FloatArray, FloatArray]:
        """Nodes (B,), states (B, n) and present noises (B, W); an ended row shows its last node."""
        node = np.minimum(state.node, self._length[state.which] - 1)
        return node, state.state, state.noise[np.arange(len(state)), node]

    def observe(self, state: StageRows) -> npt.NDArray[np.float32]:
        """What a policy sees (B, n + W + 3).

        State between its bounds, present noise over its largest opening (0 at the end), both cut to what
        `observation_bounds` allows; sine and cosine of the season (0 where there is none), share of the horizon passed.
        """
        rows, (n, w) = len(state), self.size
        seen = np.zeros((rows, n + w + 3))
        live = self._live(state)
        for p in np.unique(state.which).tolist():
            line, own = self._lines[p], np.flatnonzero(state.which == p)
            goal = line.problem.objective
            t = goal.stage + state.node[own]
            seen[own, :n] = np.clip((state.state[own] - line.lower) / line.width, 0.0, 1.0)
            on = own[live[own]]
            seen[on, n : n + w] = np.clip(state.noise[on, state.node[on]] / line.seen, -1.0, 1.0)
            if line.graph.period:
                turn = 2.0 * np.pi * t / line.graph.period
                seen[own, n + w], seen[own, n + w + 1] = np.sin(turn), np.cos(turn)
            seen[own, n + w + 2] = t / (goal.stage + len(line.graph.nodes))
        return seen.astype(np.float32)

    def observation_bounds(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Smallest and largest values of an observation, (n + W + 3,) each."""
        n, w = self.size
        low = np.concatenate([np.zeros(n), np.full(w + 2, -1.0), [0.0]])
        return low.astype(np.float32), np.ones(n + w + 3, np.float32)
