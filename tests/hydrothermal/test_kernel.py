"""The kernel: water is kept whatever the action, rewards are the referee's costs, clones and copies go on alike."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hydrothermal.small import small
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array

from orrl.core.errors import DataError, OrrlError
from orrl.core.policy import RandomPolicy
from orrl.core.rollout import rollout
from orrl.core.stage_kernel import StageKernel, StageRecord
from orrl.core.stage_targets import TargetSolver, relaxed
from orrl.problems.hydrothermal import Hydrothermal, Terminal, read_case

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL = small()
KINDS = {(soft, load): small(soft=soft, load=load) for soft in (False, True) for load in (1.0, 2.0)}
shares = arrays(np.float64, (6, 3), elements=st.floats(0.0, 1.0))


def bolivia(root: Path, **options: Any) -> Hydrothermal:
    case = read_case(root / "bolivia")
    given_options: dict[str, Any] = {"stages": 8, "load": 0.6, "stage_hours": case.stage_hours, "name": "bolivia"}
    return Hydrothermal(
        grid=case.network, cascade=case.cascade, inflow=case.inflow, probability=case.probability,
        **(given_options | options),
    )  # fmt: skip


def play(problem: Hydrothermal, actions: Any, seed: int = 0) -> tuple[Any, Any, list[float]]:
    """Kernel, state and rewards of one row."""
    kernel = Hydrothermal.kernel([problem])
    state = kernel.reset([problem.scenario(seed)])
    return kernel, state, [float(kernel.step(state, row[None])[0][0]) for row in np.asarray(actions)]


@given(actions=shares, seed=st.integers(0, 20), kind=st.sampled_from(sorted(KINDS)))
@settings(max_examples=50)
def test_any_action_keeps_the_water(actions: Any, seed: int, kind: tuple[bool, float]) -> None:
    problem, soft = KINDS[kind], kind[0]
    kernel, state, rewards = play(problem, actions, seed)
    past = kernel.snapshot(state, 0).past
    dams, water = problem.cascade, problem.scenario(seed).inflow
    before = np.vstack([dams.volume_start, past["volume"][:-1]])
    let_go = problem.factor * past["turbined"] @ (np.eye(3) - dams.turbine_to)
    let_go += past["spilled"] @ (np.eye(3) - dams.spill_to)
    np.testing.assert_allclose(past["volume"], before + problem.factor * water - let_go, atol=1e-6)
    low = 0.0 if soft else dams.volume_min
    assert (past["volume"] >= low - 1e-9).all()
    assert (past["volume"] <= dams.volume_max + 1e-9).all()
    verdict = problem.evaluate(past, problem.scenario(seed))
    assert verdict.feasible, verdict.violations
    assert verdict.objective == pytest.approx(-sum(rewards), rel=1e-9, abs=1e-7)


@given(
    actions=arrays(np.float64, (5, 3), elements=st.floats(0.0, 1.0)),
    state=arrays(np.float64, (5, 3), elements=st.floats(0.0, 25.0)),
    noise=arrays(np.float64, (5, 3), elements=st.floats(0.0, 40.0)),
)
@settings(max_examples=60)
def test_reach_and_shares_are_inverse(actions: Any, state: Any, noise: Any) -> None:
    target = SMALL.reach(state, noise, actions)
    np.testing.assert_allclose(SMALL.reach(state, noise, SMALL.shares(state, noise, target)), target, atol=1e-9)


@given(
    actions=arrays(np.float64, (5, 3), elements=st.floats(0.0, 1.0)),
    state=arrays(np.float64, (5, 3), elements=st.floats(0.0, 25.0)),
    noise=arrays(np.float64, (5, 3), elements=st.floats(0.0, 40.0)),
)
@settings(max_examples=40)
def test_reach_is_the_same_in_torch(actions: Any, state: Any, noise: Any) -> None:
    torch = pytest.importorskip("torch")
    given_tensors = (torch.from_numpy(a) for a in (state, noise, actions))
    found = SMALL.reach(*given_tensors, xp=torch)
    np.testing.assert_allclose(found.numpy(), SMALL.reach(state, noise, actions), atol=1e-12)


@pytest.mark.parametrize("network", ["transport", "dc", "dcll", "soc", "ac"])
@pytest.mark.parametrize("soft", [False, True])
def test_rewards_are_the_referees_costs(network: Any, soft: bool) -> None:
    if network == "soc":
        pytest.importorskip("clarabel")
    if network == "ac":
        pytest.importorskip("casadi")
    end = Terminal(volume=np.array([30.0, 10.0, 10.0]), shortage_cost=7.0, value=np.array([1.0, 0.5, 0.25]))
    problem = small(network=network, soft=soft, stages=3, load=1.5, terminal=end)
    for episode in rollout(problem, RandomPolicy(), [problem.scenario(s) for s in range(2)]):
        verdict = problem.evaluate(problem.solution(episode), episode.scenario)
        assert verdict.feasible, verdict.violations
        assert verdict.objective == pytest.approx(episode.value, rel=1e-6)


def test_bolivia_as_the_referee_says(data_root: Callable[[str], Path]) -> None:
    problem = bolivia(data_root("hydrothermal"))
    scenarios = [problem.scenario(s) for s in range(3)]
    for policy in (RandomPolicy(), *problem.rules().values()):
        for episode in rollout(problem, policy, scenarios):
            verdict = problem.evaluate(problem.solution(episode), episode.scenario)
            assert verdict.feasible, verdict.violations
            assert verdict.objective == pytest.approx(episode.value, rel=1e-9)
            again = problem.actions(problem.solution(episode), episode.scenario)
            np.testing.assert_allclose(
                problem.reach(*_before(problem, episode), again), problem.solution(episode)["volume"], atol=1e-9
            )


def _before(problem: Hydrothermal, episode: Any) -> tuple[Any, Any]:
    volume = problem.solution(episode)["volume"]
    return np.vstack([problem.cascade.volume_start, volume[:-1]]), episode.scenario.inflow


@pytest.mark.parametrize("cut", [0, 2, 5])
def test_at_a_state_goes_on_identically(cut: int) -> None:
    problem = small(soft=True, load=1.6)
    actions = np.random.default_rng(3).random((6, 3))
    kernel, state, rewards = play(problem, actions)
    kernel2, state2, _ = play(problem, actions[:cut])
    running = kernel2.snapshot(state2, 0)
    later = problem.at(type(running).from_dict(running.to_dict()))
    assert Hydrothermal.from_dict(later.to_dict()).content_hash == later.content_hash
    assert later.accrued == pytest.approx(-sum(rewards[:cut]))
    kernel3 = Hydrothermal.kernel([later])
    state3 = kernel3.reset([problem.scenario(0)])
    np.testing.assert_array_equal(kernel3.observe(state3), kernel2.observe(state2))
    tail = [float(kernel3.step(state3, row[None])[0][0]) for row in actions[cut:]]
    assert tail == pytest.approx(rewards[cut:])
    np.testing.assert_allclose(kernel3.observe(state3), kernel.observe(state), atol=1e-6)
    end, whole = kernel3.snapshot(state3, 0), kernel.snapshot(state, 0)
    np.testing.assert_allclose(end.inflow, whole.inflow)
    assert later.evaluate(end.past, problem.scenario(0)).objective == pytest.approx(-sum(rewards))


def test_a_clone_keeps_what_has_been_seen() -> None:
    kernel, state, _ = play(SMALL, np.full((2, 3), 0.5))
    seen = state.noise[0, 2]
    other = next(s for s in map(SMALL.scenario, range(50, 99)) if not np.array_equal(s.inflow[2], seen))
    copy = kernel.clone(state, [other, SMALL.scenario(0)], [0, 0])
    np.testing.assert_array_equal(copy.noise[0, :3], state.noise[0, :3])
    np.testing.assert_array_equal(copy.noise[0, 3:], other.inflow[3:])
    np.testing.assert_array_equal(kernel.observe(copy)[0], kernel.observe(state)[0])
    kernel.step(copy, np.full((2, 3), 0.1))
    assert state.node.tolist() == [2]
    assert copy.node.tolist() == [3, 3]


def test_nan_keeps_a_row_and_rows_begin_again() -> None:
    kernel = Hydrothermal.kernel([SMALL])
    state = kernel.reset([SMALL.scenario(s) for s in range(3)])
    actions = np.full((3, 3), 0.3)
    actions[1] = np.nan
    reward, done = kernel.step(state, actions)
    assert state.node.tolist() == [1, 0, 1]
    assert reward[1] == 0.0
    assert not done.any()
    for _ in range(5):
        reward, done = kernel.step(state, np.full((3, 3), 0.3))
    assert done.tolist() == [True, False, True]
    assert kernel.mask(state).all(axis=1).tolist() == [False, True, False]
    assert kernel.step(state, np.full((3, 3), 0.3))[0][0] == 0.0
    kernel.reset_rows(state, [0], [SMALL.scenario(7)])
    assert state.node.tolist() == [0, 6, 6]
    np.testing.assert_array_equal(state.noise[0], SMALL.scenario(7).inflow)
    assert np.isnan(kernel.report(state)["cost"][0])


def test_kernel_travels() -> None:
    kernel, state, _ = play(SMALL, np.full((2, 3), 0.5))
    kernel2, state2 = pickle.loads(pickle.dumps((kernel, state)))
    one, _ = kernel.step(state, np.full((1, 3), 0.2))
    two, _ = kernel2.step(state2, np.full((1, 3), 0.2))
    assert one == pytest.approx(two)


def test_problems_of_one_kernel_have_one_size(data_root: Callable[[str], Path]) -> None:
    with pytest.raises(DataError, match="equal numbers of states"):
        Hydrothermal.kernel([SMALL, bolivia(data_root("hydrothermal"))])
    kernel = Hydrothermal.kernel([SMALL, small(stages=2, load=2.0)])
    state = kernel.reset([p.scenario(0) for p in kernel.problems])
    done = [kernel.step(state, np.full((2, 3), 0.5))[1].tolist() for _ in range(6)]
    assert done == [[False, False]] + [[False, True]] * 4 + [[True, True]]
    for b, problem in enumerate(kernel.problems):
        verdict = problem.evaluate(kernel.snapshot(state, b).past, problem.scenario(0))
        assert verdict.feasible
        assert verdict.objective == pytest.approx(np.nansum(state.cost[b]))


def test_the_plain_kernel_serves_the_problem_too() -> None:
    kernel = StageKernel([SMALL])
    state = kernel.reset([SMALL.scenario(0)])
    _, other, rewards = play(SMALL, np.full((6, 3), 0.4))
    assert [float(kernel.step(state, np.full((1, 3), 0.4))[0][0]) for _ in range(6)] == pytest.approx(rewards)
    record = kernel.snapshot(state, 0)
    assert isinstance(record, StageRecord)
    assert record.noise.shape == (6, 3)
    np.testing.assert_array_equal(record.state, other.state[0])


def refusing() -> Hydrothermal:
    """So little load that the turbine-only link from "side" cannot bring the water that the map counts on."""
    return small(load=0.02, scenarios=1)


def test_a_refused_target_gives_way_to_the_nearest() -> None:
    problem = refusing()
    kernel, state, _ = play(problem, [[1.0, 0.0, 1.0]])
    assert state.projected.tolist() == [True]
    wanted = problem.reach(problem.volume[None], problem.scenario(0).inflow[:1], np.array([[1.0, 0.0, 1.0]]))[0]
    missed = np.abs(state.state[0] - wanted)
    assert missed.max() > 1e-3
    for _ in range(5):
        kernel.step(state, np.array([[1.0, 0.0, 1.0]]))
    verdict = problem.evaluate(kernel.snapshot(state, 0).past, problem.scenario(0))
    assert verdict.feasible, verdict.violations
    # nothing nearer exists: the relaxation, solved by another library, has the same distance
    from scipy.optimize import linprog

    stage = relaxed(problem.stage(0))
    noise = np.concatenate([problem.scenario(0).inflow[0], wanted])
    shift = stage.by_state @ problem.volume + stage.by_noise @ noise
    matrix, low, high = stage.matrix.toarray(), stage.row_lower + shift, stage.row_upper + shift
    up, down = np.isfinite(high), np.isfinite(low)
    best = linprog(
        stage.cost, np.vstack([matrix[up], -matrix[down]]), np.concatenate([high[up], -low[down]]),
        bounds=np.column_stack([stage.lower, stage.upper]), method="highs-ipm",
    )  # fmt: skip
    width = problem.cascade.volume_max - problem.cascade.volume_min
    after = play(problem, [[1.0, 0.0, 1.0]])[1].state[0]
    assert (np.abs(after - wanted) / width).sum() == pytest.approx(best.fun, abs=1e-6)


def test_a_stage_without_any_solution_names_its_rows() -> None:
    stage = SMALL.stage(0)
    row = stage.rows.index(("balance", 0))
    high = stage.row_upper.copy()
    low = stage.row_lower.copy()
    low[row] = high[row] = -50.0  # more power than the branches can carry away
    solver = TargetSolver(stage.with_(row_lower=low, row_upper=high, matrix=csr_array(stage.matrix)))
    with pytest.raises(OrrlError, match=r"stage 4 has no solution .*balance\[0\]"):
        solver.solve(SMALL.volume, SMALL.nominal().inflow[0], SMALL.volume, place="stage 4")


def test_observation_stays_in_its_bounds() -> None:
    problem = small(load=1.5)
    kernel, state, _ = play(problem, np.zeros((0, 3)))
    low, high = kernel.observation_bounds()
    for share in (1.0, 0.0, 0.5, 1.0, 0.2, 0.7):
        seen = kernel.observe(state)[0]
        assert seen.dtype == np.float32
        assert (seen >= low).all()
        assert (seen <= high).all()
        t = int(state.node[0])
        np.testing.assert_allclose(seen[:3], state.state[0] / problem.cascade.volume_max, atol=1e-6)
        np.testing.assert_allclose(seen[3:6] * problem.inflow.max(axis=(0, 2)), state.noise[0, t], rtol=1e-5)
        np.testing.assert_allclose(seen[6:], [np.sin(t * np.pi / 2), np.cos(t * np.pi / 2), t / 6], atol=1e-6)
        kernel.step(state, np.full((1, 3), share))
    assert (kernel.observe(state)[0, 3:6] == 0).all()
