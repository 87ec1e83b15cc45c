"""Paths through a policy graph, and what a policy of cuts costs on them by the problem's own stage models."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.engines import open_stage
from ...core.rollout import estimate
from ...core.seeds import spawn_seeds, stream
from .sddp_planner import Trouble, explain
from .sddp_stopping import Look

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...core.stages import StageGraph, StageSolver
    from .sddp_planner import Planner
    from .sddp_stopping import Progress

__all__ = ["Path", "Walker", "draw_path", "endless", "fresh_paths", "longest"]

FloatArray = npt.NDArray[np.float64]
LAST = 1e-6  # a discounted episode without end is cut where this share of a stage's money is left


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Nodes (T,) and noise (T, W) of one episode."""

    nodes: npt.NDArray[np.int64]
    noise: FloatArray


def longest(graph: StageGraph, depth: int | None) -> int:
    """Most stages of a simulated episode: `depth`, or until the discount leaves a millionth, or 10,000."""
    if depth is not None:
        return depth
    return 10_000 if graph.discount >= 1.0 else math.ceil(math.log(LAST) / math.log(graph.discount))


def draw_path(
    graph: StageGraph,
    rng: np.random.Generator,
    depth: int,
    *,
    stop: bool = False,
    feared: Mapping[int, FloatArray] | None = None,
) -> Path:
    """One episode from the roots.

    Parameters
    ----------
    graph : StageGraph
        Where to walk.
    rng : numpy.random.Generator
        Source of chance.
    depth : int
        Most stages.
    stop : bool
        It also ends with probability ``1 - discount`` after each stage. States of later stages matter less where money
        is discounted, so training paths stop early; simulated paths do not, because their cost is discounted.
    feared : mapping, optional
        Risk-adjusted law of the outcomes of a node (-1 for the roots). Half the steps follow it: a risk measure looks
        at outcomes that chance would seldom visit (Philpott and de Matos 2012).
    """
    nodes: list[int] = []
    noise: list[FloatArray] = []
    ways, here = graph.roots, -1
    while ways and len(nodes) < depth:
        outcomes = [(j, k) for j, _ in ways for k in range(len(graph.nodes[j].p))]
        law = np.concatenate([share * graph.nodes[j].p for j, share in ways])
        if feared is not None and here in feared and rng.random() < 0.5:
            law = feared[here]
        u = rng.random() * max(1.0, law.sum())
        levels = np.cumsum(law)
        if u >= levels[-1]:
            if levels[-1] < 1.0 - 1e-9:
                break  # the missing mass: the episode ends
            u = np.nextafter(levels[-1], 0.0)
        here, k = outcomes[int(np.searchsorted(levels, u, side="right"))]
        nodes.append(here)
        noise.append(graph.nodes[here].openings[k])
        ways = graph.nodes[here].children
        if stop and graph.discount < 1.0 and rng.random() > graph.discount:
            break
    return Path(np.array(nodes, np.int64), np.array(noise).reshape(len(nodes), -1))


def fresh_paths(problem: Any, seed: int, count: int, purpose: str, depth: int | None) -> list[Path]:
    """Episodes that no training path shares: the problem's own scenarios on a line, draws from the graph elsewhere."""
    graph: StageGraph = problem.stages()
    if graph.linear and hasattr(problem, "scenario"):
        nodes = np.arange(len(graph.nodes))
        noises = [np.asarray(problem.noise(problem.scenario(s))) for s in spawn_seeds(seed, count, purpose)]
        return [Path(nodes, noise) for noise in noises]
    most = longest(graph, depth)
    return [draw_path(graph, stream(s, purpose), most) for s in spawn_seeds(seed, count, purpose)]


def endless(graph: StageGraph) -> bool:
    """Whether an end cannot be reached from some node: then an episode need not end."""
    ends = {i for i, node in enumerate(graph.nodes) if sum(share for _, share in node.children) < 1.0 - 1e-9}
    grown = True
    while grown:
        more = {i for i, node in enumerate(graph.nodes) if any(j in ends for j, share in node.children if share > 0)}
        grown = not more <= ends
        ends |= more
    return len(ends) < len(graph.nodes)


class Walker:
    """Walks paths forward, side by side, by the problem's own stages.

    Where the problem's stages are the planner's, a stage is solved once, with its cuts. Where they are other convex
    stages, they are given the planner's cuts. Where they are not convex, the planner's stage says which state to leave
    behind, that state is brought within reach, and the true stage is solved for it.

    Parameters
    ----------
    problem : Problem
        Whose stages are paid.
    planner : Planner
        Holds the cuts.
    engine : str, optional
        Of the problem's stages.
    direct : bool
        Give the cuts to stages that are not convex, too.
    """

    def __init__(self, problem: Any, planner: Planner, engine: str | None = None, *, direct: bool = False) -> None:
        self.direct = direct
        self.problem, self.planner, self.engine = problem, planner, engine
        self.same = problem is planner.problem
        self._models: dict[int, StageSolver] = {}
        self.seconds, self.solves = 0.0, 0

    def forget(self) -> None:
        """Drop the models, as `Planner.forget` does."""
        self._models = {}

    @property
    def pace(self) -> float:
        """Measured seconds a stage."""
        return self.seconds / self.solves if self.solves else 1e-3

    def walk(
        self, paths: Sequence[Path], over: Callable[[], bool] | None = None
    ) -> tuple[FloatArray, list[FloatArray]] | None:
        """Discounted cost (P,) of each path, and the states (T, n) that its stages hand on.

        Paths that are at the same node at the same time are solved one after the other, so that a model is warm.
        Returns None where `over` says so before the end.

        Raises
        ------
        OrrlError
            Where a stage is infeasible; `Trouble` where it fails for numerical reasons.
        """
        begin = time.perf_counter()
        graph = self.planner.graph
        cost = np.zeros(len(paths))
        states = [np.zeros((len(path.nodes), len(graph.initial_state))) for path in paths]
        now = [graph.initial_state] * len(paths)
        for t in range(max((len(path.nodes) for path in paths), default=0)):
            if over is not None and over():
                return None
            here = [p for p, path in enumerate(paths) if t < len(path.nodes)]
            for p in sorted(here, key=lambda p: int(paths[p].nodes[t])):
                node = int(paths[p].nodes[t])
                paid, after = self._stage(node, now[p], paths[p].noise[t])
                cost[p] += graph.discount**t * paid
                now[p] = states[p][t] = self.planner.clip(node, after)
                self.solves += 1
        self.seconds += time.perf_counter() - begin
        return cost, states

    def _stage(self, node: int, state: FloatArray, noise: FloatArray) -> tuple[float, FloatArray]:
        if self.same:
            answer = self.planner.forward(node, state, noise)
            return answer.cost, answer.state_out
        stage = self.problem.stage(node)
        convex = stage.smooth is None or self.direct
        # convex stages have cuts of their own node; the others are told where to go and can be shared
        key = node if convex else -1 - id(stage)
        if key not in self._models:
            self._models[key] = open_stage(stage, engine=self.engine)
        solver = self._models[key]
        if convex:
            answer = solver.solve(state, noise, cuts=self.planner.pools[node])
        else:
            target = self.planner.forward(node, state, noise).state_out[None, :]
            if hasattr(self.problem, "reach"):
                shares = self.problem.shares(state[None, :], noise[None, :], target)
                target = self.problem.reach(state[None, :], noise[None, :], shares)
            answer = solver.solve(state, noise, target=target[0])
        if answer.status != "optimal":
            raise explain(solver, node, answer.status, state, noise)
        return answer.cost, answer.state_out

    def look(self, panel: Sequence[Path], progress: Progress, over: Callable[[], bool]) -> Look | None:
        """Simulate the panel for the stopping rules; a numerical failure or the deadline leaves it out."""
        try:
            walked = self.walk(panel, over) if panel else None
        except Trouble:
            self.planner.troubles += 1
            return None
        if walked is None:
            return None
        mean, interval = estimate(walked[0])
        look = Look(progress.iteration, mean, 0.0 if interval is None else interval[1] - mean, len(panel))
        progress.looks.append(look)
        return look

    def evaluate(self, paths: Sequence[Path], over: Callable[[], bool]) -> FloatArray:
        """Costs of the paths, of as many as the time allows, some at a time; a numerical failure ends it."""
        costs: list[float] = []
        while len(costs) < len(paths):
            stages = len(paths[len(costs)].nodes)
            some = paths[len(costs) : len(costs) + max(1, int(0.3 / max(1e-9, self.pace * stages)))]
            try:
                walked = self.walk(some, over)
            except Trouble:
                self.planner.troubles += 1
                break
            if walked is None:
                break
            costs += walked[0].tolist()
        return np.array(costs)
