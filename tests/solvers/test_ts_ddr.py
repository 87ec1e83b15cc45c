"""`ts-ddr`: gradients against finite differences, planes against true solves, learning up to a known optimum."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from orrl.core import Budget, DataError, Evaluation, NotSupportedError, Objective, OrrlError, Problem
from orrl.core.engines import open_stage
from orrl.core.linear import Linear
from orrl.core.seeds import stream
from orrl.core.stages import Stage, StageGraph, StageNode
from orrl.core.targets import TargetPolicy, play
from orrl.solvers.learners.decision_rule import DecisionRule
from orrl.solvers.learners.planes import PlanePool
from orrl.solvers.learners.rule_network import RuleNet, RuleShape
from orrl.solvers.learners.soft_stage import soften
from orrl.solvers.learners.stage_costs import StageCosts
from orrl.solvers.learners.stage_function import StageFunction
from orrl.solvers.learners.ts_ddr import TsDdr

if TYPE_CHECKING:
    from pathlib import Path

Floats = npt.NDArray[np.float64]
CAP = np.array([4.0, 3.0])
OPENINGS = np.array([[0.2, 0.1], [1.5, 0.6], [3.0, 1.4]])
DEMAND, SMALL, DEAR = 3.0, 1.0, 6.0


@dataclass(frozen=True, eq=False)
class Path3:
    path: Floats

    def to_dict(self) -> dict[str, Any]:
        return {"path": self.path.tolist()}


class Basins(Problem):
    """Two reservoirs, the upper one feeds the lower; cheap and dear power cover what the turbines do not."""

    family = "basins"
    stochastic = True

    def __init__(self, stages: int = 3, name: str = "basins") -> None:
        self.count, self.name = stages, name
        self.objective = Objective("min", "cost", "money", horizon=stages)
        table = Linear()
        for i in range(2):
            table.column(("volume", i), 0.0, CAP[i])
            table.column(("turbined", i), 0.0, 1.2)
            table.column(("spilled", i), 0.0, np.inf, cost=0.001)
        table.column(("cheap",), 0.0, 1.0, cost=SMALL)
        table.column(("dear",), 0.0, np.inf, cost=DEAR)
        for i in range(2):
            above = [(("turbined", 0), -1.0), (("spilled", 0), -1.0)] if i else []
            table.equal(("water", i), 0.0, (("volume", i), 1.0), (("turbined", i), 1.0), (("spilled", i), 1.0), *above)
        power = [("turbined", 0), ("turbined", 1), ("cheap",), ("dear",)]
        table.equal(("power",), DEMAND, *((key, 1.0) for key in power))
        own = {("water", i): [(i, 1.0)] for i in range(2)}
        out = [("volume", 0), ("volume", 1)]
        self._stage = Stage.of(table, out=out, noise=2, by_state=own, by_noise=own)

    def content(self) -> dict[str, Any]:
        return {"stages": self.count}

    def to_dict(self) -> dict[str, Any]:
        return {"stages": self.count, "name": self.name}

    @classmethod
    def from_dict(cls, data: Any) -> Basins:
        return cls(**data)

    def evaluate(self, solution: Any, scenario: Any | None = None) -> Evaluation:
        return Evaluation(0.0, True, ())

    def scenario(self, seed: int) -> Path3:
        return Path3(OPENINGS[stream(seed, "basins").integers(3, size=self.count)])

    def nominal(self) -> Path3:
        return Path3(np.tile(OPENINGS.mean(axis=0), (self.count, 1)))

    def stages(self) -> StageGraph:
        nodes = [
            StageNode(((t + 1, 1.0),) if t + 1 < self.count else (), OPENINGS, np.full(3, 1 / 3))
            for t in range(self.count)
        ]
        return StageGraph(tuple(nodes), ((0, 1.0),), np.array([2.0, 1.0]))

    def stage(self, node: int) -> Stage:
        return self._stage

    def noise(self, scenario: Path3) -> Floats:
        return scenario.path


class Reachable(Basins):
    """With the map onto what can be reached."""

    def reach(self, state: Any, noise: Any, share: Any, *, xp: Any = np) -> Any:
        water = state + noise
        first = xp.minimum(water[:, 0], 0.0 * water[:, 0] + CAP[0]) * share[:, 0]
        lower = water[:, 1] + water[:, 0] - first
        return xp.stack([first, xp.minimum(lower, 0.0 * lower + CAP[1]) * share[:, 1]], 1)

    def shares(self, state: Floats, noise: Floats, target: Floats) -> Floats:
        ones = np.ones_like(state)
        first = np.minimum(target[:, 0] / np.maximum(self.reach(state, noise, ones)[:, 0], 1e-12), 1.0)
        ones[:, 0] = first
        return np.stack([first, np.minimum(target[:, 1] / self.reach(state, noise, ones)[:, 1], 1.0)], 1)


def all_paths(problem: Basins) -> Floats:
    return np.array([OPENINGS[list(p)] for p in itertools.product(range(3), repeat=problem.count)])


def optimum(problem: Basins) -> float:
    """Expected cost of the best policy: the linear program of the scenario tree."""
    stage, count = problem.stage(0), problem.count
    nodes = [path for t in range(1, count + 1) for path in itertools.product(range(3), repeat=t)]
    where = {path: i for i, path in enumerate(nodes)}
    m, r = len(stage.columns), len(stage.rows)
    body, right = np.zeros((r * len(nodes), m * len(nodes))), np.zeros(r * len(nodes))
    cost = np.zeros(m * len(nodes))
    by_state, by_noise = stage.by_state.toarray(), stage.by_noise.toarray()
    for path, i in where.items():
        rows, columns = slice(i * r, i * r + r), slice(i * m, i * m + m)
        body[rows, columns] = stage.matrix.toarray()
        right[rows] = stage.row_lower + by_noise @ OPENINGS[path[-1]]
        cost[columns] = stage.cost / 3 ** len(path)
        if len(path) == 1:
            right[rows] += by_state @ problem.stages().initial_state
        else:
            body[rows, where[path[:-1]] * m + stage.out] -= by_state
    bounds = list(zip(stage.lower, stage.upper, strict=True)) * len(nodes)
    answer = linprog(cost, A_eq=body, b_eq=right, bounds=bounds)
    assert answer.status == 0
    return float(answer.fun)


def value(problem: Basins, policy: TargetPolicy) -> float:
    return float(play(problem, policy, all_paths(problem)).total().mean())


def small_net(network: str = "lstm", *, noise: int = 2, state: int = 2, horizon: int = 3, **options: Any) -> RuleNet:
    torch.manual_seed(1)
    shape = RuleShape(
        state=state, noise=noise, horizon=horizon, network=network, encoder=3, hidden=(4, 5),  # type: ignore[arg-type]
        **{"period": 2, "start": 0.6, **options},
    )  # fmt: skip
    net = RuleNet(shape).double()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return net


def torch_reach(problem: Any) -> Any:
    return lambda x, w, y: problem.reach(x, w, y, xp=torch)


def exact_costs(problem: Any, horizon: int) -> StageCosts:
    function = StageFunction(problem.stage(0))
    return StageCosts([function] * horizon, backend="highs", rng=np.random.default_rng(0))


# ---- gradients -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("network", ["lstm", "linear"])
@pytest.mark.parametrize("based", [False, True])
def test_the_adjoint_equals_autograd_through_the_loop(network: str, based: bool) -> None:
    problem, net = Reachable(4), small_net(network, correction=0.2 if based else None)
    noise = torch.as_tensor(np.stack([problem.scenario(s).path for s in range(5)], axis=1))
    start = torch.tensor([[2.0, 1.0]], dtype=torch.float64).repeat(5, 1).requires_grad_()
    base = (lambda t, x, w: torch.full_like(x, 0.1 + 0.2 * t)) if based else None
    weights = torch.randn(4, 5, 2, dtype=torch.float64)
    fast = net.unroll(noise, start, torch_reach(problem), base)
    (fast * weights).sum().backward()
    got = [start.grad, *(p.grad for p in net.parameters())]
    state, states, before = start, [], net.before(noise)[0]
    for t in range(4):
        share = net.finish(before[t], state, None if base is None else base(t, state, noise[t]))
        state = problem.reach(state, noise[t], share, xp=torch)
        states.append(state)
    slow = torch.stack(states)
    assert torch.allclose(fast, slow, atol=1e-12)
    want = torch.autograd.grad((slow * weights).sum(), [start, *net.parameters()])
    for a, b in zip(got, want, strict=True):
        assert a is not None
        assert torch.allclose(a, b, atol=1e-10)


def actor_gradient(problem: Any, net: RuleNet, horizon: int, rows: int) -> tuple[Any, Floats]:
    """Mean path cost as a function of the flat weights, and its gradient by the duals."""
    costs = exact_costs(problem, horizon)
    graph = problem.stages()
    noise = torch.as_tensor(np.stack([problem.noise(problem.scenario(s)) for s in range(rows)], axis=1))
    start = torch.as_tensor(np.tile(graph.initial_state, (rows, 1)))

    def mean() -> torch.Tensor:
        after = net.unroll(noise, start, torch_reach(problem))
        return costs(torch.cat([start[None], after[:-1]]), noise, after).sum(0).mean()

    mean().backward()
    gradient = torch.nn.utils.parameters_to_vector([p.grad for p in net.parameters()]).numpy()  # type: ignore[misc]
    origin = torch.nn.utils.parameters_to_vector(net.parameters()).detach()

    def at(step: Floats) -> float:
        with torch.no_grad():
            torch.nn.utils.vector_to_parameters(origin + torch.as_tensor(step), net.parameters())
            return float(mean())

    return at, gradient


def agree(at: Any, gradient: Floats, directions: Floats, eps: float = 1e-6) -> tuple[float, float]:
    """Cosine and ratio of the gradient and finite differences, in the span of orthonormal directions."""
    numeric = np.array([(at(eps * d) - at(-eps * d)) / (2 * eps) for d in directions])
    own = directions @ gradient
    norms = np.linalg.norm(own), np.linalg.norm(numeric)
    return float(own @ numeric / (norms[0] * norms[1])), float(norms[0] / norms[1])


@pytest.mark.parametrize("network", ["lstm", "linear"])
def test_actor_gradient_of_all_weights(network: str) -> None:
    at, gradient = actor_gradient(Reachable(3), small_net(network), 3, 3)
    cosine, ratio = agree(at, gradient, np.eye(len(gradient)))
    assert cosine > 0.9999
    assert abs(ratio - 1.0) < 1e-3


def bolivia(data_root: Any, stages: int = 126) -> Any:
    from orrl.problems.hydrothermal.data import Hydrothermal
    from orrl.problems.hydrothermal.io import read_case

    case = read_case(data_root("hydrothermal") / "bolivia")
    return Hydrothermal(
        grid=case.network, cascade=case.cascade, inflow=case.inflow, stage_hours=168, load=0.6, stages=stages,
        window=min(stages, 96),
    )  # fmt: skip


@pytest.mark.slow  # 126 stages solved for each of 2 x 24 differences
def test_actor_gradient_over_the_full_horizon(data_root: Any) -> None:
    problem = bolivia(data_root)
    graph = problem.stages()
    net = small_net(noise=11, state=11, horizon=126, period=48)
    net.low.copy_(torch.as_tensor(problem.stage(0).lower[problem.stage(0).out]))
    high = torch.as_tensor(problem.stage(0).upper[problem.stage(0).out])
    net.width.copy_(torch.where(high > net.low, high - net.low, torch.ones_like(high)))
    openings = np.concatenate([n.openings for n in graph.nodes])
    net.noise_center.copy_(torch.as_tensor(openings.mean(0)))
    net.noise_scale.copy_(torch.as_tensor(openings.std(0)))
    at, gradient = actor_gradient(problem, net, 126, 1)
    span = np.random.default_rng(0).standard_normal((24, len(gradient)))
    span[0] = gradient
    directions = np.linalg.qr(span.T)[0].T
    cosine, ratio = agree(at, gradient, directions, 1e-7)
    assert cosine > 0.9999
    assert abs(ratio - 1.0) < 1e-3


def test_reach_of_bolivia_is_one_map_in_numpy_and_torch(data_root: Any) -> None:
    problem = bolivia(data_root, 2)
    rng = np.random.default_rng(0)
    high = problem.stage(0).upper[problem.stage(0).out]
    state, share = rng.random((50, 11)) * high, rng.random((50, 11))
    noise = rng.random((50, 11)) * 40.0
    plain = problem.reach(state, noise, share)
    same = problem.reach(*(torch.as_tensor(a) for a in (state, noise, share)), xp=torch).numpy()
    assert np.allclose(plain, same, rtol=0, atol=1e-13)
    solver = open_stage(problem.stage(0))
    for b in range(50):
        assert solver.solve(state[b], noise[b], target=plain[b]).status == "optimal"


# ---- stage costs and planes ------------------------------------------------------------------------------------------
def test_a_target_with_a_cost_and_rows_of_its_own() -> None:
    """Outgoing columns with a holding cost, and in rows that neither state nor noise moves."""
    table = Linear()
    for i in range(2):
        table.column(("left", i), 0.0, 10.0, cost=0.3 + i)
        table.column(("sold", i), 0.0, 4.0, cost=-2.0 - i)
    table.column(("over",), 0.0, np.inf, cost=5.0)
    for i in range(2):
        table.at_most(("stock", i), 0.0, (("left", i), 1.0), (("sold", i), 1.0))
    table.at_most(("space",), 3.0, (("left", 0), 1.0), (("left", 1), 1.0), (("over",), -1.0))
    own = {("stock", i): [(i, 1.0)] for i in range(2)}
    by_noise = {("stock", i): [(0, 1.0)] for i in range(2)}
    stage = Stage.of(table, out=[("left", 0), ("left", 1)], noise=1, by_state=own, by_noise=by_noise)
    function = StageFunction(stage)
    assert function.matrix.shape[0] == 3
    for backend in ("highs", "planes"):
        costs = StageCosts([function], backend=backend, sample=6, rng=np.random.default_rng(0))  # type: ignore[arg-type]
        rng = np.random.default_rng(1)
        x = torch.as_tensor(3.0 + rng.random((1, 6, 2))).requires_grad_()
        w = torch.as_tensor(rng.random((1, 6, 1))).requires_grad_()
        target = torch.as_tensor(2.5 * rng.random((1, 6, 2))).requires_grad_()
        cost = costs(x, w, target)
        solver = open_stage(stage)
        for b in range(6):
            answer = solver.solve(
                x[0, b].detach().numpy(), w[0, b].detach().numpy(), target=target[0, b].detach().numpy()
            )
            assert cost[0, b].item() == pytest.approx(answer.cost)
        got = torch.autograd.grad(cost.sum(), (x, w, target))
        exact = StageCosts([function], backend="highs", rng=np.random.default_rng(0))
        assert torch.autograd.gradcheck(exact, (x, w, target), eps=1e-6, atol=1e-6)
        want = torch.autograd.grad(exact(x, w, target).sum(), (x, w, target))
        assert all(torch.allclose(a, b) for a, b in zip(got, want, strict=True))


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_planes_lie_under_the_cost_and_touch_where_they_were_made(seed: int) -> None:
    rng, function = np.random.default_rng(seed), StageFunction(Reachable().stage(0))
    problem = Reachable()

    def points(count: int) -> Floats:
        x, w, y = rng.random((count, 2)) * CAP, rng.random((count, 2)) * 3, rng.random((count, 2))
        return np.hstack([x, w, problem.reach(x, w, y)])

    pool = PlanePool(len(function.matrix))
    known = points(8)
    solved = [function.solve(p) for p in known]
    values = np.array([s[0] for s in solved if s is not None])
    slopes = np.array([s[1] @ function.inverse for s in solved if s is not None])
    made = pool.add(known @ function.matrix.T, values, slopes)
    assert 1 <= made == len(pool) <= 8
    assert pool.value(known @ function.matrix.T)[0] == pytest.approx(values, abs=1e-9)
    for point, low in zip(fresh := points(20), pool.value(fresh @ function.matrix.T)[0], strict=True):
        answer = function.solve(point)
        assert answer is not None
        assert low <= answer[0] + 1e-8


def test_planes_become_exact_where_the_policy_goes_and_unused_ones_go() -> None:
    problem, net = Reachable(3), small_net()
    noise = torch.as_tensor(all_paths(problem).transpose(1, 0, 2).copy())
    start = torch.tensor([[2.0, 1.0]], dtype=torch.float64).repeat(27, 1)
    after = net.unroll(noise, start, torch_reach(problem)).detach()
    state = torch.cat([start[None], after[:-1]])
    function = StageFunction(problem.stage(0))
    costs = StageCosts([function] * 3, sample=40, patience=15, rng=np.random.default_rng(0))
    for _ in range(6):
        got = costs(state, noise, after)
    assert costs.checks.first == 0.0
    assert costs.checks.solved == 40
    assert abs(costs.checks.error) < 1e-9
    assert torch.allclose(got, exact_costs(problem, 3)(state, noise, after))
    far = np.array([[50.0, 50.0]])
    costs.pools[0].add(far, np.array([-1e3]), np.zeros((1, 2)), step=0)
    before = len(costs.pools[0])
    for _ in range(20):
        costs(state, noise, after)
    assert len(costs.pools[0]) < before
    assert (costs.pools[0].height > -999.0).all()


def test_tangents_above_a_solved_value_are_dropped() -> None:
    pool = PlanePool(1)
    pool.add(np.array([[0.0], [1.0]]), np.array([1.0, 2.0]), np.array([[0.0], [1.0]]))
    assert pool.prune(0, 10) == 0
    assert pool.drop_above(np.array([[3.0]]), np.array([2.0]), 1e-3) == 1
    assert pool.slope.tolist() == [[0.0]]


def test_a_target_out_of_reach_names_the_rows() -> None:
    with pytest.raises(OrrlError, match=r"water\[0\]"):
        StageFunction(Basins().stage(0)).solve(np.array([1.0, 1.0, 0.0, 0.0, 4.0, 0.0]))


# ---- learning --------------------------------------------------------------------------------------------------------
FAST: dict[str, Any] = {
    "encoder": 16, "hidden": (32,), "learning_rate": 2e-2, "last_rate": 2e-4, "sample": 20, "check": 50,
    "margin": 1e-6, "start": 0.5, "average": 0.95, "late_paths": None, "panel": 24,
}  # fmt: skip


def test_learns_to_within_one_percent_of_the_optimum() -> None:
    problem = Reachable(2)
    best = optimum(problem)
    seen: list[Any] = []
    learner = TsDdr(**FAST | {"check": 100})
    judges = [Path3(path) for path in all_paths(problem)]
    policy = learner.fit(problem, budget=Budget(iterations=300), val=judges, callbacks=[lambda e: seen.append(e)])
    got = value(problem, policy)
    assert best - 1e-6 <= got < 1.01 * best
    assert [row["iteration"] for row in learner.log] == [100, 200, 300]
    assert learner.log[-1]["miss_rate"] <= 0.05
    assert {e.kind for e in seen} == {"iteration", "incumbent"}
    assert len(seen) == 300


def test_the_linear_rule_learns_too() -> None:
    problem = Reachable(2)
    policy = TsDdr(**FAST | {"network": "linear", "learning_rate": 5e-2}).fit(problem, budget=Budget(iterations=200))
    assert policy.net.lstm is None
    assert len(policy.net.rest) == 0
    assert value(problem, policy) < 1.06 * optimum(problem)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_soft_targets_without_a_map_of_what_is_within_reach(norm: str) -> None:
    if norm == "l2":
        pytest.importorskip("clarabel", reason="squared misses are cones, which Clarabel solves")
        pytest.importorskip("orrl.core.engines.stage_clarabel", reason="no Clarabel engine")
    problem = Basins()
    options = FAST | {"norm": norm, "check": 60, "panel": 10}
    learner = TsDdr(**options)
    policy = learner.fit(problem, budget=Budget(iterations=300 if norm == "l1" else 24))
    assert policy.soft is not None
    assert 0.0 <= learner.log[-1]["violation"] <= 1.0
    if norm == "l1":
        assert value(problem, policy) < 1.03 * optimum(problem)
    else:
        assert np.isfinite(value(problem, policy))


def test_softened_stage_prices_the_miss() -> None:
    stage = Basins().stage(0)
    solver = open_stage(soften(stage, 100.0))
    state, noise = np.array([1.0, 1.0]), np.array([0.5, 0.5])
    met = solver.solve(state, np.concatenate([noise, [0.5, 1.0]]))
    exact = open_stage(stage).solve(state, noise, target=np.array([0.5, 1.0]))
    assert met.cost == pytest.approx(exact.cost)
    missed = solver.solve(state, np.concatenate([noise, [3.5, 1.0]]))
    assert missed.state_out == pytest.approx([1.5, 1.0])
    assert missed.cost == pytest.approx(200.0 + open_stage(stage).solve(state, noise, target=missed.state_out).cost)


class Half(TargetPolicy):
    name = "half"

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        self.problem = problem

    def targets(self, node: Any, state: Floats, noise: Floats) -> Floats:
        return np.asarray(self.problem.reach(state, noise, np.full_like(state, 0.5)))


def test_a_residual_policy_starts_at_its_base_and_gets_better() -> None:
    problem = Reachable()
    start = value(problem, Half())
    learner = TsDdr(**FAST | {"base": Half(), "correction": 0.3, "average": 0.0, "check": 25})
    first = learner.fit(problem, budget=Budget(iterations=1))
    assert value(problem, first) <= start + 1e-9
    net = RuleNet(first.shape)
    assert net.squash(torch.zeros(1, 2), torch.full((1, 2), 0.5)).tolist() == [[0.5, 0.5]]
    better = learner.fit(problem, budget=Budget(iterations=100))
    assert value(problem, better) < 0.95 * start


# ---- memory, files, runs ---------------------------------------------------------------------------------------------
def test_training_may_begin_with_the_weights_of_another_rule() -> None:
    first = TsDdr(encoder=8, hidden=(16,), panel=4).fit(Reachable(), budget=Budget(iterations=5), seed=1)
    still = TsDdr(encoder=8, hidden=(16,), panel=4, initial=first, learning_rate=0.0, last_rate=0.0, average=0.0)
    second = still.fit(Reachable(), budget=Budget(iterations=1), seed=2)
    for name, value in first.net.state_dict().items():
        assert torch.equal(value, second.net.state_dict()[name]), name
    with pytest.raises(DataError, match="initial rule has the shape"):
        TsDdr(encoder=16, initial=first).fit(Reachable(), budget=Budget(iterations=1))


def test_memory_is_threaded_through_the_stages() -> None:
    problem = Reachable(5)
    policy = DecisionRule(RuleShape(state=2, noise=2, horizon=5, period=None, encoder=3, hidden=(4,)))
    policy.net = small_net(horizon=5, period=None)
    with torch.no_grad():
        policy.net.first.weight[:, 2] = 0.0  # no date: what differs is memory
    policy.reset(problem)
    state, noise = np.array([[2.0, 1.0]]), np.array([[1.0, 0.5]])
    first = policy.targets(np.array([1]), state, noise)
    second = policy.targets(np.array([1]), state, noise)
    assert abs(first - second).max() > 1e-4
    policy.reset(problem)
    assert policy.targets(np.array([1]), state, noise) == pytest.approx(first)
    paths = all_paths(Reachable(5))[::40]
    whole = policy.net.unroll(
        torch.as_tensor(paths.transpose(1, 0, 2).copy()),
        torch.as_tensor(np.tile([2.0, 1.0], (len(paths), 1))),
        torch_reach(problem),
    )
    stepwise = play(problem, policy, paths).state[:, 1:].transpose(1, 0, 2)
    assert whole.detach().numpy() == pytest.approx(stepwise, abs=1e-9)


def test_equal_seeds_equal_policies_and_files(tmp_path: Path) -> None:
    problem = Reachable()
    one, two = (TsDdr(**FAST).fit(problem, budget=Budget(iterations=20), seed=3) for _ in range(2))
    other = TsDdr(**FAST).fit(problem, budget=Budget(iterations=20), seed=4)
    paths = all_paths(problem)
    assert (play(problem, one, paths).state == play(problem, two, paths).state).all()
    assert (play(problem, one, paths).state != play(problem, other, paths).state).any()
    one.save(tmp_path / "rule.zip")
    back = DecisionRule.load(tmp_path / "rule.zip")
    assert (play(problem, back, paths).state == play(problem, one, paths).state).all()
    assert back.seen == {problem.content_hash}
    with pytest.raises(DataError, match="trained for 2 states, 2 noises and 3 stages"):
        back.reset(Reachable(4))


def test_a_soft_policy_survives_its_file(tmp_path: Path) -> None:
    problem = Basins()
    rule = TsDdr(**FAST).fit(problem, budget=Budget(iterations=6))
    rule.save(tmp_path / "rule.zip")
    back = DecisionRule.load(tmp_path / "rule.zip")
    paths = all_paths(problem)
    assert play(problem, back, paths).state == pytest.approx(play(problem, rule, paths).state)


def train_until_killed(checkpoint: str) -> None:
    """For a process of its own: kill -9 in the middle."""

    def kill(event: Any) -> bool:
        if event.info["iteration"] == 33:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    options = FAST | {"check": 10, "checkpoint": checkpoint}
    TsDdr(**options).fit(Reachable(), budget=Budget(iterations=50), callbacks=[kill])


def test_a_killed_run_goes_on_to_the_same_end(tmp_path: Path) -> None:
    problem, file = Reachable(), tmp_path / "training.zip"
    code = (
        "import importlib.util as u, sys\n"
        f"s = u.spec_from_file_location('t', {__file__!r}); m = u.module_from_spec(s); sys.modules['t'] = m\n"
        f"s.loader.exec_module(m); m.train_until_killed({str(file)!r})"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    options = FAST | {"check": 10}
    resumed = TsDdr(**options, checkpoint=file)
    left: list[int] = []
    got = resumed.fit(problem, budget=Budget(iterations=50), callbacks=[lambda e: left.append(e.info["iteration"])])
    assert left[0] == 31
    whole = TsDdr(**options)
    want = whole.fit(problem, budget=Budget(iterations=50))
    assert [row["panel"] for row in resumed.log] == [row["panel"] for row in whole.log]
    for a, b in zip(got.net.state_dict().values(), want.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(DataError, match="another problem or network"):
        TsDdr(**options, checkpoint=file).fit(Reachable(2), budget=Budget(iterations=1))


def test_a_callback_stops_it_and_a_wall_budget_holds() -> None:
    policy = TsDdr(**FAST).fit(
        Reachable(), budget=Budget(iterations=500), callbacks=[lambda e: e.info["iteration"] >= 7]
    )
    assert policy.train_seconds < 30.0
    short = TsDdr(**FAST | {"check": 5}).fit(Reachable(), budget=Budget(seconds=2.0))
    assert short.train_seconds < 4.0


def test_refusals_say_why() -> None:
    from orrl.problems.jobshop import JobShop

    shop = JobShop.generate(seed=0, jobs=2, machines=2)
    with pytest.raises(NotSupportedError, match="does not offer HasStages"):
        TsDdr().fit(shop, budget=Budget(iterations=1))
    with pytest.raises(NotSupportedError, match="one problem at a time"):
        TsDdr().fit([Reachable(), Reachable()], budget=Budget(iterations=1))
    assert "no reach" in TsDdr(base=Half()).supports(Basins()).reason
    assert 'mode="soft"' in TsDdr(mode="strict").supports(Basins()).reason

    class Round(Reachable):
        def stages(self) -> StageGraph:
            node = StageNode(((0, 0.9),), OPENINGS, np.full(3, 1 / 3))
            return StageGraph((node,), ((0, 1.0),), np.array([2.0, 1.0]))

    assert "not in a line" in TsDdr().supports(Round()).reason
    with pytest.raises(DataError, match="list of scenarios"):
        TsDdr().fit(Reachable(), budget=Budget(iterations=1), val=[Reachable()])
