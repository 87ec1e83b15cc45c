"""Particle swarm: a population of continuous codes of paths that are drawn to the best ones seen.

Kennedy & Eberhart (1995), Proceedings of ICNN 4:1942-1948, with the constriction of Clerc & Kennedy (2002), IEEE
Transactions on Evolutionary Computation 6:58-73: ``v = 0.7298 (v + 2.05 r1 (own - x) + 2.05 r2 (best - x))``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ...core.capabilities import HasAgentSubproblems
from ...core.jit import compile_seconds
from ...core.program import Outcome
from ...core.seeds import stream
from ...core.solver import Solver

if TYPE_CHECKING:
    from ...core.agents import AgentGraph
    from ...core.run import Run
    from ...core.types import Support

__all__ = ["Pso"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SQUEEZE, PULL = 0.7298, 2.05
TABLE = 40_000_000  # entries of joint rewards that are tabled; beyond that each path is valued alone
LANDMARKS = 3


@dataclass(repr=False)
class Pso(Solver):
    """Particle swarm on paths of agents on a graph.

    Parameters
    ----------
    rollouts : int or None
        Paths that are valued; None goes on to the time limit, and is 50,000 where there is none.
    particles : int
        Size of the swarm.
    encoding : {"waypoints", "moves"}
        A particle is some nodes for each agent, or one number for each move. The slots are shared out evenly among the
        waypoints, and an agent heads for its present one on a shortest way and waits there. A waypoint is a point in
        the space of hops to three landmarks, and stands for the nearest node there.
    waypoints : int
        Per agent.
    """

    rollouts: int | None = None
    particles: int = 40
    encoding: Literal["waypoints", "moves"] = "waypoints"
    waypoints: int = 4

    name: ClassVar[str] = "pso"
    kind = "heuristic"

    def __post_init__(self) -> None:
        if self.encoding not in ("waypoints", "moves"):
            raise ValueError(f"encoding is {self.encoding!r}: give 'waypoints' or 'moves'")
        for name in ("rollouts", "particles", "waypoints"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value!r}: give at least 1")

    def supports(self, problem: Any) -> Support:
        """Any problem whose agents walk a graph."""
        support: Support = problem.supports(HasAgentSubproblems)
        return support

    def _solve(self, problem: Any, run: Run) -> Outcome:
        spent = compile_seconds()
        graph, rng = problem.agent_graph(), stream(run.seed, "pso")
        code = _Code(graph, self.encoding, self.waypoints)
        value = _Value(problem, graph, run)
        run.clocks["compile"] = compile_seconds() - spent
        limit = self.rollouts or (math.inf if run.deadline.limit is not None else 50_000)
        place = code.draw(self.particles, rng)
        place[0] = code.rest()  # who stays as long as may be conflicts least
        speed = 0.1 * (rng.random(place.shape) - 0.5)
        own, own_value = place.copy(), np.full(self.particles, -np.inf)
        best: IntArray | None = None
        best_value, objective, done = -np.inf, -np.inf, 0
        while done < limit and not (run.over and done):
            paths = code.paths(place)
            gained, fine = value(paths)
            done += self.particles
            better = gained > own_value
            own[better], own_value[better] = place[better], gained[better]
            top = int(np.argmax(np.where(fine, gained, -np.inf)))
            if fine[top] and gained[top] > best_value:
                best, best_value = paths[top], float(gained[top])
                solution = problem.from_paths(best)
                objective = float(problem.evaluate(solution).objective)
                run.incumbent(objective, partial(_same, solution))
            run.tell("iteration", rollouts=done)
            lead = own[int(np.argmax(own_value))]
            toward, along = rng.random((2, *place.shape))
            speed = SQUEEZE * (speed + PULL * toward * (own - place) + PULL * along * (lead - place))
            place = place + speed
            outside = (place < 0.0) | (place > 1.0)
            speed[outside] = 0.0
            place = np.clip(place, 0.0, 1.0)
        stop = run.why if run.over else "iterations"
        if best is None:
            text = "no particle found paths without a conflict"
            return Outcome("no_solution", stop, message=text, meta={"rollouts": done})
        return Outcome("feasible", stop, problem.from_paths(best), objective, meta={"rollouts": done})


def _same(solution: Any) -> Any:
    return solution


class _Code:
    """From particles (B, D) in the unit cube to paths (B, T, U) on the graph that keep to their ends."""

    def __init__(self, graph: AgentGraph, encoding: str, waypoints: int) -> None:
        self.graph, self.encoding = graph, encoding
        degree = np.diff(graph.indptr)
        self.ways = np.full((graph.nodes, int(degree.max())), -1, np.int64)
        for g in range(graph.nodes):
            self.ways[g, : degree[g]] = graph.indices[graph.indptr[g] : graph.indptr[g + 1]]
        self.alive = graph.reachable()
        self.waypoints = waypoints
        if encoding == "moves":
            self.shape: tuple[int, ...] = (graph.slots - 1, graph.agents)
        else:
            self.hops = _hops(graph)
            marks = [int(graph.starts[0])]
            for _ in range(LANDMARKS):  # each as far from the others as can be
                near = np.min(np.where(self.hops[:, marks] < graph.nodes, self.hops[:, marks], -1), axis=1)
                marks.append(int(np.argmax(near)))
            far = np.minimum(self.hops[:, marks[1:]], graph.nodes).astype(np.float64)
            self.place = far / np.maximum(1.0, far.max(axis=0))  # (G, LANDMARKS)
            self.shape = (graph.agents, waypoints, LANDMARKS)
        self.size = math.prod(self.shape)

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Random codes: of random nodes, since most of the space of hops is not near any."""
        if self.encoding == "waypoints":
            nodes = rng.integers(self.graph.nodes, size=(count, *self.shape[:2]))
            return self.place[nodes].reshape(count, -1)
        return rng.random((count, self.size))

    def rest(self) -> FloatArray:
        """The code of agents that stay, where staying is possible."""
        if self.encoding == "waypoints":
            return np.repeat(self.place[self.graph.starts][:, None], self.waypoints, axis=1).ravel()
        return np.zeros(self.size)

    def paths(self, particles: FloatArray) -> IntArray:
        """Follow the codes."""
        graph, rows = self.graph, np.arange(len(particles))
        codes = particles.reshape(len(particles), *self.shape)
        paths = np.empty((len(particles), graph.slots, graph.agents), np.int64)
        paths[:, 0] = graph.starts
        for u in range(graph.agents):
            if self.encoding == "waypoints":
                gap = np.abs(codes[:, u, :, None] - self.place).sum(axis=-1)
                goals = gap.argmin(axis=-1)  # (B, W)
            for t in range(1, graph.slots):
                here = paths[:, t - 1, u]
                options = self.ways[here]
                fine = (options >= 0) & self.alive[u, t, options]
                if self.encoding == "waypoints":
                    goal = goals[:, (t - 1) * self.waypoints // (graph.slots - 1)]
                    score = np.where(fine, self.hops[options, goal[:, None]], np.iinfo(np.int64).max)
                    chosen = score.argmin(axis=1)
                else:
                    count = fine.sum(axis=1)
                    rank = np.minimum((codes[:, t - 1, u] * count).astype(np.int64), count - 1)
                    chosen = (np.cumsum(fine, axis=1) == rank[:, None] + 1).argmax(axis=1)
                paths[:, t, u] = options[rows, chosen]
        return paths


class _Value:
    """What paths earn (B,), a conflict counted as minus all that the agents could earn in a slot."""

    def __init__(self, problem: Any, graph: AgentGraph, run: Run) -> None:
        self.problem, self.tables = problem, []
        self.worst = 1.0
        if graph.slots * float(graph.nodes) ** graph.agents <= TABLE:
            for t in range(graph.slots):
                self.tables.append(problem.joint_reward(t))
                self.worst = max(self.worst, float(self.tables[-1].max()))
                if run.over:  # too late for tables
                    self.tables = []
                    break

    def __call__(self, paths: IntArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        if self.tables:
            gained = np.stack([table[tuple(paths[:, t].T)] for t, table in enumerate(self.tables)], axis=1)
        else:
            slots = np.arange(paths.shape[1])
            gained = np.stack([self.problem.response(path, [0])[slots, path[:, 0]] for path in paths])
            self.worst = max(self.worst, float(gained.max()))
        clash = gained < 0
        return np.where(clash, -self.worst, gained).sum(axis=1).astype(np.float64), np.asarray(~clash.any(axis=1))


def _hops(graph: AgentGraph) -> IntArray:
    """Moves (G, G) from a node to another, 2 G where there is no way."""
    import scipy.sparse as sparse
    from scipy.sparse.csgraph import shortest_path

    matrix = sparse.csr_matrix((np.ones(len(graph.indices)), graph.indices, graph.indptr), (graph.nodes, graph.nodes))
    hops = shortest_path(matrix, unweighted=True)
    return np.where(np.isfinite(hops), hops, 2 * graph.nodes).astype(np.int64)
