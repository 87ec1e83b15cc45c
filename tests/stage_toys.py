"""Small stage problems for the tests of methods on `HasStages`, each with a value that can be had another way."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import linprog

from orrl.core import Evaluation, Objective, Problem, Stage, StageGraph, StageNode
from orrl.core.linear import Linear
from orrl.core.seeds import stream


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Scenario: noise (T, W)."""

    path: Any

    def to_dict(self) -> dict[str, Any]:
        return {"path": self.path.tolist()}


@dataclass(frozen=True, eq=False)
class Toy(Problem):
    """Any graph with any stages."""

    family: ClassVar[str] = "toy"
    graph: StageGraph
    made: tuple[Stage, ...]
    name: str = "toy"
    objective: Objective = field(default=Objective("min", "cost", "money"))
    stochastic: bool = True

    def content(self) -> dict[str, Any]:
        nodes = [[list(map(list, n.children)), n.openings.tolist(), n.p.tolist(), n.bound] for n in self.graph.nodes]
        stages = [[s.cost.tolist(), s.upper.tolist(), s.lower.tolist()] for s in self.made]
        return {"nodes": nodes, "start": self.graph.initial_state.tolist(), "discount": self.graph.discount,
                "roots": list(map(list, self.graph.roots)), "stages": stages}  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        return dict(self.content())

    @classmethod
    def from_dict(cls, data: Any) -> Any:
        raise NotImplementedError

    def evaluate(self, solution: Any, scenario: Any | None = None) -> Evaluation:
        raise NotImplementedError

    def stages(self) -> StageGraph:
        return self.graph

    def stage(self, node: int) -> Stage:
        return self.made[node]

    def scenario(self, seed: int) -> Noise:
        rng = stream(seed, "toy")
        rows = [node.openings[rng.choice(len(node.p), p=node.p)] for node in self.graph.nodes]
        return Noise(np.array(rows))

    def nominal(self) -> Noise:
        return Noise(np.array([node.p @ node.openings for node in self.graph.nodes]))

    def noise(self, scenario: Noise) -> Any:
        return np.asarray(scenario.path)


def reservoirs(
    prices: tuple[float, ...] = (1.0, 3.0), demand: float = 4.0, top: float = 5.0, value: float = 0.0
) -> Stage:
    """Two reservoirs (the first drains into the second) and a plant: fuel in two steps of price, then a deficit.

    Columns volume[0..1], use[0..1], spill[0..1], fuel[0..1], deficit.
    """
    table = Linear()
    for r in range(2):
        table.column(("volume", r), 0.0, top, cost=-value)
        table.column(("use", r), 0.0, 3.0)
        table.column(("spill", r), 0.0, np.inf)
    for k, price in enumerate(prices):
        table.column(("fuel", k), 0.0, 2.0, cost=price)
    table.column(("deficit",), 0.0, np.inf, cost=10.0)
    for r in range(2):
        terms = [(("volume", r), 1.0), (("use", r), 1.0), (("spill", r), 1.0)]
        if r == 1:
            terms += [(("use", 0), -1.0), (("spill", 0), -1.0)]
        table.equal(("water", r), 0.0, *terms)
    supply = [(("use", 0), 1.0), (("use", 1), 1.0), (("deficit",), 1.0)]
    table.equal(("power",), demand, *supply, *((("fuel", k), 1.0) for k in range(len(prices))))
    water = {("water", r): [(r, 1.0)] for r in range(2)}
    return Stage.of(table, out=[("volume", 0), ("volume", 1)], noise=2, by_state=water, by_noise=water)


def line(
    stages: list[Stage], openings: list[Any], laws: list[Any], start: Any, discount: float = 1.0, bound: float = 0.0
) -> Toy:
    """A line of nodes."""
    last = len(stages) - 1
    nodes = tuple(
        StageNode(((t + 1, 1.0),) if t < last else (), np.array(w, float), np.array(p, float), bound)
        for t, (w, p) in enumerate(zip(openings, laws, strict=True))
    )
    goal = Objective("min", "cost", "money", discount=discount, horizon=len(stages))
    graph = StageGraph(nodes, ((0, 1.0),), np.array(start, float), discount)
    return Toy(graph, tuple(stages), objective=goal)


def tree_value(problem: Toy, depth: int, tails: float | None = None) -> float:
    """Optimum by one linear program over the scenario tree, cut at `depth` stages; built without the solver's code.

    With `tails` in (0, 1] the nested CVaR of that tail share (0 is not allowed; tiny is the worst case), else the mean.
    Nested CVaR of outcomes Z with law p: min over u of ``u + sum p (Z - u)^+ / tail``.
    """
    graph = problem.stages()
    cost: list[float] = []
    bounds: list[tuple[float | None, float | None]] = []
    rows: list[tuple[dict[int, float], float, float]] = []
    free = (None, None)

    def column(price: float, limits: tuple[float | None, float | None]) -> int:
        cost.append(price)
        bounds.append(limits)
        return len(cost) - 1

    def risk(ways: Any, state: Any, left: int) -> int:
        """A column that is at least the risk of what `ways` lead to."""
        total = column(0.0, free)
        outcomes = []
        for j, share in ways:
            node = graph.nodes[j]
            outcomes += [(share * p, stage(j, w, state, left)) for w, p in zip(node.openings, node.p, strict=True)]
        missing = 1.0 - sum(p for p, _ in outcomes)
        if missing > 1e-12:
            outcomes.append((missing, column(0.0, (0.0, 0.0))))
        if tails is None:
            rows.append(({total: 1.0, **{z: -p for p, z in outcomes}}, 0.0, np.inf))
            return total
        u = column(0.0, free)
        over = {column(0.0, (0.0, None)): (p, z) for p, z in outcomes}
        for c, (_, z) in over.items():
            rows.append(({c: 1.0, z: -1.0, u: 1.0}, 0.0, np.inf))
        rows.append(({total: 1.0, u: -1.0, **{c: -p / tails for c, (p, _) in over.items()}}, 0.0, np.inf))
        return total

    def stage(j: int, noise: Any, state: Any, left: int) -> int:
        """A column that is at least the cost of a stage and of what follows; `state` is columns, or numbers."""
        s = problem.stage(j)
        own = [column(0.0, (a if np.isfinite(a) else None, b if np.isfinite(b) else None))
               for a, b in zip(s.lower, s.upper, strict=True)]  # fmt: skip
        matrix, by_state, by_noise = s.matrix.toarray(), s.by_state.toarray(), s.by_noise.toarray()
        for r in range(len(s.rows)):
            shift = float(by_noise[r] @ noise)
            line_ = {own[c]: matrix[r, c] for c in np.flatnonzero(matrix[r])}
            for i in np.flatnonzero(by_state[r]):
                if isinstance(state, list):
                    line_[state[i]] = line_.get(state[i], 0.0) - by_state[r, i]
                else:
                    shift += by_state[r, i] * state[i]
            rows.append((line_, s.row_lower[r] + shift, s.row_upper[r] + shift))
        worth = column(0.0, free)
        line_ = {worth: 1.0, **{own[c]: -s.cost[c] for c in np.flatnonzero(s.cost)}}
        if left > 1 and graph.nodes[j].children:
            line_[risk(graph.nodes[j].children, [own[c] for c in s.out], left - 1)] = -graph.discount
        rows.append((line_, s.constant, np.inf))
        return worth

    cost[risk(graph.roots, graph.initial_state, depth)] = 1.0
    upper, limit, equal, right = [], [], [], []
    for terms, low, high in rows:
        dense = np.zeros(len(cost))
        for c, a in terms.items():
            dense[c] += a
        if low == high:
            equal.append(dense)
            right.append(low)
            continue
        if np.isfinite(high):
            upper.append(dense)
            limit.append(high)
        if np.isfinite(low):
            upper.append(-dense)
            limit.append(-low)
    answer = linprog(cost, upper or None, limit or None, equal or None, right or None, bounds, method="highs")
    assert answer.status == 0, answer.message
    return float(answer.fun)


def all_paths(problem: Toy) -> Any:
    """Every path of a line with its probability."""
    nodes = problem.stages().nodes
    for ks in itertools.product(*(range(len(n.p)) for n in nodes)):
        yield (
            np.array([n.openings[k] for n, k in zip(nodes, ks, strict=True)]),
            float(np.prod([n.p[k] for n, k in zip(nodes, ks, strict=True)])),
        )
