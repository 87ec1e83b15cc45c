"""The convex stage problems with their cuts: what SDDP solves, on the way forward and on the way back."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ...core.cuts import CutPool
from ...core.engines import open_stage
from ...core.errors import DataError, OrrlError
from .sddp_selection import LevelOne

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...core.stages import Stage, StageGraph, StageSolution, StageSolver
    from .sddp_risk import RiskMeasure

__all__ = ["Planner", "Trouble", "explain"]

FloatArray = npt.NDArray[np.float64]
TINY = 1e-9  # a coefficient of a cut this much smaller than the largest is dropped, with its worst value in the box


class Trouble(OrrlError):
    """A stage that could not be solved for numerical reasons: no cut is made, and the run goes on."""


def explain(solver: StageSolver, node: int, status: str, state: FloatArray, noise: FloatArray) -> OrrlError:
    """The error about a stage without an optimum: conflicting rows by name, and the model in a file."""
    where = ""
    if hasattr(solver, "write"):
        handle, path = tempfile.mkstemp(prefix=f"orrl-stage-{node}-", suffix=".lp")
        os.close(handle)
        try:
            solver.write(path)
            where = f"; the model is in {path}"
        except OSError as error:
            where = f"; the model could not be written ({error})"
    if status != "infeasible":
        return Trouble(f"stage of node {node} has status {status!r} from state {np.round(state, 6).tolist()}{where}")
    rows = ", ".join(solver.conflict(state, noise)) or "not named"
    return OrrlError(
        f"stage of node {node} is infeasible from state {np.round(state, 6).tolist()} under noise "
        f"{np.round(noise, 6).tolist()}: conflicting rows: {rows}. SDDP needs a solution from every state that can be "
        f"reached (complete recourse): give the rows a slack with a cost{where}"
    )


class Planner:
    """Stage problems of a graph, one persistent model a node, and one pool of cuts a node.

    Parameters
    ----------
    problem : Problem
        With convex stages.
    cuts : {"single", "multi"}
        One theta for the cost-to-go of a node, or one for each of its outcomes (child and opening).
    risk : RiskMeasure
        Of the outcomes of a node, and of those of the roots.
    select : bool
        Keep track of the highest cuts.
    engine : str, optional
        Of `open_stage`.
    """

    def __init__(
        self,
        problem: Any,
        *,
        cuts: Literal["single", "multi"] = "single",
        risk: RiskMeasure,
        select: bool = True,
        engine: str | None = None,
    ) -> None:
        self.problem, self.multi, self.risk, self.engine = problem, cuts == "multi", risk, engine
        self.graph: StageGraph = problem.stages()
        nodes = self.graph.nodes
        self.stages: list[Stage] = [problem.stage(i) for i in range(len(nodes))]
        self.boxes = [(stage.lower[stage.out], stage.upper[stage.out]) for stage in self.stages]
        # nodes with the same children learn from the same solves (regimes of a Markov chain)
        kin: dict[tuple[int, ...], list[int]] = {}
        for i, node in enumerate(nodes):
            kin.setdefault(tuple(j for j, _ in node.children), []).append(i)
        self.kin = [kin[tuple(j for j, _ in node.children)] for node in nodes]
        self.pools: list[CutPool | None] = [
            CutPool(len(self.graph.initial_state), thetas=self._outcomes(i) if self.multi else 1, bound=node.bound)
            if node.children
            else None
            for i, node in enumerate(nodes)
        ]
        self._select = select
        self.feared: dict[int, FloatArray] = {}  # latest law of the outcomes of each node, -1 for the roots
        self.solves, self.troubles = 0, 0
        self.adopt(self.pools)

    def _outcomes(self, node: int) -> int:
        return sum(len(self.graph.nodes[j].p) for j, _ in self.graph.nodes[node].children)

    def adopt(self, pools: Sequence[CutPool | None]) -> None:
        """Go on from these cuts.

        Raises
        ------
        DataError
            Where they are of another graph or another kind.
        """
        for i, (pool, own) in enumerate(zip(pools, self.pools, strict=True)):
            if (pool is None) != (own is None) or (
                pool is not None and own is not None and (pool.size, pool.thetas) != (own.size, own.thetas)
            ):
                raise DataError(f"the cuts of node {i} do not fit: another graph, or single against multi cuts")
        self.pools = list(pools)
        self.selection = [LevelOne(pool) if self._select and pool is not None else None for pool in self.pools]
        self.forget()

    def forget(self) -> None:
        """Drop the models: they are made anew from the pools, so that a resumed run goes on like this one."""
        self._models: list[StageSolver | None] = [None] * len(self.stages)

    def model(self, node: int) -> StageSolver:
        """The persistent model of a node."""
        made = self._models[node]
        if made is None:
            made = self._models[node] = open_stage(self.stages[node], engine=self.engine)
        return made

    def inside(self, node: int, state: FloatArray, share: float) -> FloatArray:
        """A state moved off the bounds of its box by a share of the width, where that is finite."""
        low, high = self.boxes[node]
        width = high - low
        step = share * np.where(np.isfinite(width), width, 0.0)
        return np.clip(state, low + step, high - step)

    def clip(self, node: int, state: FloatArray) -> FloatArray:
        """A state that a node handed on, inside the bounds of its columns: solvers overstep them by a hair."""
        low, high = self.boxes[node]
        return np.clip(state, low, high)

    def forward(self, node: int, state: FloatArray, noise: FloatArray) -> StageSolution:
        """Solve a stage with its cuts."""
        solver = self.model(node)
        self.solves += 1
        answer = solver.solve(state, noise, cuts=self.pools[node])
        if answer.status != "optimal":
            raise explain(solver, node, answer.status, state, noise)
        return answer

    def openings(self, node: int, state: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values (K,) and slopes (K, n) of a node under all its openings."""
        solver, noises = self.model(node), self.graph.nodes[node].openings
        self.solves += len(noises)
        if hasattr(solver, "solve_many"):
            values, slopes, statuses = solver.solve_many(state, noises, cuts=self.pools[node])
        else:
            answers = [solver.solve(state, noise, cuts=self.pools[node]) for noise in noises]
            values, slopes = np.array([a.value for a in answers]), np.array([a.d_state for a in answers])
            statuses = [a.status for a in answers]
        for noise, status in zip(noises, statuses, strict=True):
            if status != "optimal":
                raise explain(solver, node, status, state, noise)
        return values, slopes

    def refine(self, node: int, state: FloatArray) -> None:
        """Make a cut on the cost-to-go of a node (and of its kin) at the state that it hands on.

        Raises
        ------
        Trouble
            Where a child has no optimum; then no cut is made.
        """
        children = self.graph.nodes[node].children
        if not children:
            return
        found = [self.openings(j, state) for j, _ in children]
        values, slopes = np.concatenate([v for v, _ in found]), np.concatenate([s for _, s in found])
        discount = self.graph.discount
        for other in self.kin[node]:
            pool = self.pools[other]
            assert pool is not None
            q = self.feared[other] = self.weights(values, self.graph.nodes[other].children)
            low, high = self.boxes[other]
            if pool.thetas > 1:
                for o in range(len(values)):
                    _add(pool, discount * values[o], discount * slopes[o], state, low, high, o)
                pool.mix(q)
            else:
                _add(pool, discount * float(q @ values), discount * (q @ slopes), state, low, high, 0)

    def refine_by_mean(self, node: int, state: FloatArray) -> None:
        """A cheap cut: each child is solved once, under its mean noise.

        Valid by Jensen's inequality: a stage's value is convex in its right-hand side, so the value at the mean noise
        is at most the mean value, and that is at most any coherent risk that is not below the mean.
        """
        children, pool = self.graph.nodes[node].children, self.pools[node]
        if pool is None or pool.thetas > 1:
            return
        height, slope = 0.0, np.zeros(len(state))
        for j, share in children:
            child = self.graph.nodes[j]
            answer = self.forward(j, state, child.p @ child.openings / child.p.sum())
            height, slope = height + share * answer.value, slope + share * answer.d_state
        discount = self.graph.discount
        _add(pool, discount * height, discount * slope, state, *self.boxes[node], 0)

    def weights(self, values: FloatArray, ways: tuple[tuple[int, float], ...]) -> FloatArray:
        """Risk-adjusted law of the outcomes of `ways`; the missing mass is an outcome that costs nothing."""
        p = np.concatenate([share * self.graph.nodes[j].p for j, share in ways])
        left = 1.0 - p.sum()
        if left > 1e-9:
            return self.risk.weights(np.append(values, 0.0), np.append(p, left))[: len(values)]
        return self.risk.weights(values, p)

    def bound(self) -> float:
        """Risk of the present lower approximation over the roots and their openings: a bound on the optimum."""
        start = self.graph.initial_state
        values = np.concatenate([self.openings(j, start)[0] for j, _ in self.graph.roots])
        q = self.feared[-1] = self.weights(values, self.graph.roots)
        return float(q @ values)

    def clean(self) -> None:
        """Drop from the models the cuts that are nowhere the highest."""
        for selection in self.selection:
            if selection is not None:
                selection.clean()


def _add(
    pool: CutPool, height: float, slope: FloatArray, state: FloatArray, low: FloatArray, high: FloatArray, theta: int
) -> None:
    """Append the cut of `height` and `slope` at `state`; tiny coefficients go, the cut stays below what it was."""
    intercept = height - float(slope @ state)
    size = np.abs(slope)
    tiny = (size < TINY * size.max(initial=0.0)) & (size > 0)
    for i in np.flatnonzero(tiny):
        least = slope[i] * (low[i] if slope[i] > 0 else high[i])
        if np.isfinite(least):
            intercept += float(least)
            slope = np.where(np.arange(len(slope)) == i, 0.0, slope)
    pool.add(intercept, slope, theta, state)
