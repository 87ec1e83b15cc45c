"""Exact, bounding and searching solvers of teams, on UAVs and on a problem they have never seen."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orrl.core.agents import AgentGraph
from orrl.core.errors import NotSupportedError, OrrlWarning
from orrl.core.paths import AgentPaths
from orrl.core.problem import Problem
from orrl.core.types import Evaluation, Objective
from orrl.problems.uav.channel import Channel
from orrl.problems.uav.data import UavOffloading, UavState
from orrl.registry import lookup
from orrl.solvers.exact.joint_dp import JointDp
from orrl.solvers.exact.lagrangian import Lagrangian
from orrl.solvers.search.best_response import BestResponse
from orrl.solvers.search.pair_dp import PairDp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOLVERS = ("joint-dp", "lagrangian", "best-response", "pair-dp")
LOW = Channel(noise=-83.0, min_ratio=-4.0)  # several UAVs may be able to serve one user
VARIANTS: dict[str, dict[str, Any]] = {
    "snr": {"interference": False},
    "sinr": {},
    "snr capacity": {"interference": False, "capacity": 3},
    "sinr capacity": {"capacity": 3},
    "below 0 dB": {"channel": LOW, "capacity": 2},
    "ends": {"ends": [(1, 2), (2, 0)]},
    "no-fly": {"no_fly": [(1, 1)]},
    "safe distance": {"safe_distance": 150.0},
    "running": {"state": UavState(np.array([[0, 11], [1, 11]]))},
    "running, ends": {"ends": [(1, 2), (2, 0)], "state": UavState(np.array([[0, 11], [1, 10]]))},
    "three": {"starts": [(0, 0), (3, 2), (3, 0)], "slots": 3},
}


def network(seed: int = 1, **options: Any) -> UavOffloading:
    state = options.pop("state", None)
    size = {"grid": (4, 3), "users": 16, "slots": 4, "starts": [(0, 0), (3, 2)], **options}
    problem = UavOffloading.generate(seed=seed, uavs=len(size["starts"]), **size)
    return problem if state is None else problem.at(state)


def brute_force(problem: Any) -> float:
    """Best objective over all joint plans, each judged by the referee's rules (memory of slots that recur)."""
    best = -np.inf
    graph = problem.agent_graph()

    def plans(agent: int) -> list[list[int]]:
        ways = [[int(graph.starts[agent])]]
        for _ in range(graph.slots - 1):
            ways = [[*w, int(h)] for w in ways for h in graph.indices[graph.indptr[w[-1]] : graph.indptr[w[-1] + 1]]]
        return [w for w in ways if graph.ends[agent] in (-1, w[-1])]

    known: dict[tuple[int, tuple[int, ...]], float] = {}

    def slot(t: int, cells: tuple[int, ...]) -> float:
        if (t, cells) not in known:
            known[t, cells] = problem.slot_value(t, cells)
        return known[t, cells]

    for joint in product(*(plans(u) for u in range(graph.agents))):
        total = 0.0
        for t, cells in enumerate(zip(*joint, strict=True)):
            total += slot(t, cells)
            if total == -np.inf:
                break
        best = max(best, total)
    return best


class Watched:
    """A network with what brute force asks for: the referee's count of one slot."""

    def __init__(self, problem: UavOffloading) -> None:
        self.problem = problem

    def agent_graph(self) -> AgentGraph:
        return self.problem.agent_graph()

    def slot_value(self, t: int, cells: tuple[int, ...]) -> float:
        from orrl.problems.uav.referee import best_count

        if any(self.problem.too_close[a, b] for i, a in enumerate(cells) for b in cells[:i]):
            return -np.inf
        return best_count(self.problem, len(self.problem.position) - 1 + t, list(cells))


def flown(problem: UavOffloading) -> float:
    """What was served in the slots before the present one."""
    from orrl.problems.uav.referee import best_count

    return float(sum(best_count(problem, t, row.tolist()) for t, row in enumerate(problem.position[:-1])))


@pytest.mark.parametrize("variant", VARIANTS)
def test_joint_dp_is_brute_force(variant: str) -> None:
    problem = network(**VARIANTS[variant])
    result = JointDp().solve(problem, threads=2)
    assert result.status == "optimal"
    assert result.evaluation is not None
    assert result.evaluation.feasible
    assert result.objective == result.bound.value == flown(problem) + brute_force(Watched(problem))


@pytest.mark.parametrize("variant", VARIANTS)
def test_searches_are_feasible_and_bounds_hold(variant: str) -> None:
    problem = network(seed=3, **VARIANTS[variant])
    best = JointDp().solve(problem, threads=1).objective
    for solver in (BestResponse(), PairDp()):
        result = solver.solve(problem)
        assert result.status == "feasible"
        assert result.objective <= best
    assert PairDp(restarts=1).solve(problem).objective == best or problem.n_uavs > 2
    bounded = Lagrangian().solve(problem, time_limit=20, threads=1)
    assert bounded.status in ("feasible", "optimal")
    assert bounded.objective <= best <= bounded.bound.value
    if bounded.status == "optimal":
        assert bounded.objective == best
    if not problem.interference:
        assert bounded.status == "optimal"  # the restricted program closes what the prices leave


# ---- a problem of another kind --------------------------------------------------------------------------------------
class Foragers(Problem):
    """Ants on a ring gather what lies on their node; two on one node get in each other's way; neighbours chat."""

    family = "foragers"

    def __init__(self, food: np.ndarray, starts: Sequence[int], ends: Sequence[int] | None = None, dtype: Any = int):
        self.food, self.starts, self.dtype = food, list(starts), dtype
        self.ends = [-1] * len(starts) if ends is None else list(ends)
        self.name = "foragers"
        self.objective = Objective("max", "food")

    def content(self) -> Mapping[str, Any]:
        return {"food": self.food.tolist(), "starts": self.starts, "ends": self.ends}

    def to_dict(self) -> dict[str, Any]:
        return dict(self.content())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Foragers:
        return cls(np.array(data["food"]), data["starts"], data["ends"])

    def slot_value(self, t: int, nodes: tuple[int, ...]) -> float:
        """Food of the nodes, less one for every pair of neighbours that chats."""
        size = self.food.shape[1]
        if len(set(nodes)) < len(nodes):
            return -np.inf
        chats = sum((a - b) % size in (1, size - 1) for i, a in enumerate(nodes) for b in nodes[:i])
        return max(0, int(self.food[t, list(nodes)].sum()) - chats)

    def evaluate(self, solution: Any, scenario: Any = None) -> Evaluation:
        size = self.food.shape[1]
        fine = solution[0].tolist() == self.starts
        fine &= bool((((solution[1:] - solution[:-1]) % size) <= 1).all())
        fine &= all(e in (-1, n) for e, n in zip(self.ends, solution[-1].tolist(), strict=True))
        total = sum(self.slot_value(t, tuple(row)) for t, row in enumerate(solution.tolist()))
        return Evaluation(total, bool(fine) and np.isfinite(total), () if fine else ("not a walk",))

    def agent_graph(self) -> AgentGraph:
        size = self.food.shape[1]
        ahead = np.stack([np.arange(size), (np.arange(size) + 1) % size], axis=1)
        indptr = np.arange(0, 2 * size + 1, 2)
        return AgentGraph(len(self.food), indptr, ahead.ravel(), np.array(self.starts), np.array(self.ends))

    def joint_reward(self, slot: int, nodes: Any = None, losses: Any = None) -> np.ndarray:
        own = [range(self.food.shape[1])] * len(self.starts) if nodes is None else nodes
        table = np.array([self.slot_value(slot, place) for place in product(*own)])
        return np.where(table < 0, -1, table).reshape([len(o) for o in own]).astype(self.dtype)

    def response(self, paths: np.ndarray, free: Sequence[int]) -> np.ndarray:
        size, slots = self.food.shape[1], len(self.food)
        out = np.full((slots, *[size] * len(free)), -1, self.dtype)
        for t in range(slots):
            for nodes in product(range(size), repeat=len(free)):
                row = paths[t].copy()
                row[list(free)] = nodes
                out[t][nodes] = max(-1, self.slot_value(t, tuple(row[row >= 0].tolist())))
        return out

    def relaxation(self) -> FreeFood:
        return FreeFood(self.food)

    def from_paths(self, paths: np.ndarray) -> np.ndarray:
        return np.array(paths)

    def to_paths(self, solution: np.ndarray) -> np.ndarray:
        return np.array(solution)


class FreeFood:
    """Nobody chats, and a node pays for a second ant what its price says."""

    integral, of = True, ""

    def __init__(self, food: np.ndarray) -> None:
        self.food = food.astype(float)
        self.lower, self.upper = np.zeros(food.size), np.full(food.size, np.inf)

    def start(self) -> np.ndarray:
        return np.zeros(self.food.size)

    def reward(self, prices: np.ndarray) -> tuple[np.ndarray, float]:
        return self.food - prices.reshape(self.food.shape), float(prices.sum())

    def subgradient(self, prices: np.ndarray, visits: np.ndarray) -> np.ndarray:
        return 1.0 - visits.ravel()

    def restricted(self, keep: np.ndarray) -> None:
        return None


def foragers(seed: int, ants: int = 3, **options: Any) -> Foragers:
    rng = np.random.default_rng(seed)
    return Foragers(rng.integers(0, 9, (5, 6)), list(range(0, 2 * ants, 2)), **options)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), ants=st.integers(1, 3))
def test_another_kind_of_problem(seed: int, ants: int) -> None:
    problem = foragers(seed, ants)
    best = brute_force(problem)
    assert JointDp().solve(problem, threads=1).objective == best
    for solver in (BestResponse(restarts=4), PairDp(restarts=1)):
        result = solver.solve(problem)
        assert result.evaluation.feasible
        assert result.objective <= best
        if ants < 3 and solver.name == "pair-dp":
            assert result.objective == best
    bounded = Lagrangian(iterations=200).solve(problem)
    assert bounded.objective <= best <= bounded.bound.value


def test_ends_large_values_and_floats_of_another_kind() -> None:
    ends = foragers(2, 2, ends=[3, 4])
    assert JointDp().solve(ends).objective == brute_force(ends)
    large = Foragers(20_000 * foragers(2, 2).food, [0, 2])  # sums do not fit into 16 bits
    assert JointDp().solve(large).objective == brute_force(large)
    floats = foragers(5, 2, dtype=float)
    assert JointDp().solve(floats).objective == brute_force(floats)


def test_no_plan_at_all() -> None:
    full = Foragers(np.ones((3, 2), int), [0, 1], [0, 0])  # both must end on one node
    assert JointDp().solve(full).status == "infeasible"
    assert BestResponse().solve(full).status == "no_solution"
    far = Foragers(np.ones((2, 6), int), [0, 2], [4, 2])  # out of reach
    for name in ("joint-dp", "lagrangian"):
        assert lookup("solver", name)().solve(far).status == "infeasible"


# ---- limits, starts, refusals ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def middle() -> UavOffloading:
    return UavOffloading.generate(seed=2, grid=8, uavs=3, users=60, slots=14)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_warm_start_is_never_lost(name: str, middle: UavOffloading) -> None:
    flight = PairDp(restarts=1).solve(middle).solution
    value = middle.evaluate(flight).objective
    result = lookup("solver", name)().solve(middle, warm_start=flight, time_limit=1e-4)
    assert result.stop == "time"
    assert result.objective >= value


@pytest.mark.parametrize("name", SOLVERS)
def test_a_bad_warm_start_is_left_out(name: str) -> None:
    problem = network()
    flight = problem.from_paths(np.zeros((4, 2), np.int64))
    with pytest.warns(OrrlWarning, match="left out"):
        result = lookup("solver", name)().solve(problem, warm_start=flight)
    assert result.evaluation.feasible


@pytest.mark.parametrize("name", SOLVERS)
def test_time_limits(name: str) -> None:
    for solver in (lookup("solver", n)() for n in SOLVERS):
        solver.solve(network())  # compiled once
    problem = UavOffloading.generate(seed=2, grid=12, uavs=3, users=60, slots=60)
    problem.radio.covered.sum()
    result = lookup("solver", name)().solve(problem, time_limit=0.5)
    assert result.times.total <= 1.05 * 0.5 + 1.0
    if name == "joint-dp" and result.status == "no_solution":
        assert result.stop == "time"
        assert result.bound.value >= BestResponse(restarts=1).solve(problem).objective


def test_incumbents_and_bounds_are_traced(middle: UavOffloading) -> None:
    result = Lagrangian(every=10).solve(middle, time_limit=10)
    values = [p.objective for p in result.trace.points if p.objective is not None]
    bounds = [p.bound for p in result.trace.points if p.bound is not None]
    assert values == sorted(values)
    assert bounds == sorted(bounds, reverse=True)
    assert values[-1] == result.objective
    assert bounds[-1] == result.bound.value
    assert result.objective <= JointDp().solve(middle).objective <= result.bound.value


def test_too_large_is_refused_with_numbers() -> None:
    problem = UavOffloading.generate(seed=1, grid=10, uavs=4, users=10, slots=5)
    support = JointDp(memory=0.1).supports(problem)
    assert not support
    assert "4 agents" in support.reason
    assert "memory=" in support.reason
    with pytest.raises(NotSupportedError, match="GiB"):
        JointDp().solve(UavOffloading.generate(seed=1, grid=20, uavs=4, users=10, slots=5))


@pytest.mark.parametrize(
    ("solver", "options"),
    [
        (BestResponse, {"restarts": 0}),
        (Lagrangian, {"factor": 2.0}),
        (Lagrangian, {"patience": 0}),
        (JointDp, {"memory": 0.0}),
    ],
)
def test_options_that_make_no_sense(solver: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give"):
        solver(**options)


def test_best_paths_through_a_node() -> None:
    problem = foragers(3, 1)
    paths = AgentPaths(problem.agent_graph())
    reward = problem.food.astype(float)
    best, path = paths.one(reward, 0)
    through = paths.through(reward)[0]
    assert through[np.arange(5), path] == pytest.approx(best)
    assert through.max() == pytest.approx(best)
    assert np.isneginf(through[0, 1:]).all()
    assert (np.isfinite(through) == problem.agent_graph().reachable()[0]).all()


@pytest.mark.slow
def test_the_bar_of_joint_dp() -> None:
    JointDp().solve(network())  # compiled once
    problem = UavOffloading.generate(seed=1, grid=15, uavs=3, users=100, slots=30)
    result = JointDp().solve(problem)
    assert result.status == "optimal"
    assert result.times.solve <= 30.0
