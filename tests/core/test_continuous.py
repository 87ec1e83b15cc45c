"""Actions that are real numbers, through everything that carries actions, on a tank with a known optimum."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from tank import MeanPlan, Tank, TankKernel

import orrl
from orrl.core import RandomPolicy, rollout
from orrl.core.actions import accepted, action_space, blank, cast, draw, hold, legal, nearest
from orrl.core.envs import KernelEnv, KernelVectorEnv
from orrl.core.errors import IllegalActionError, NotSupportedError
from orrl.core.playout import playout
from orrl.solvers.search.mc_rollout import MonteCarloRollout

CALM, WILD = Tank(), Tank(noise=0.2)
PAIR = Tank(noise=0.2, extra=1)


# ---- the few functions -----------------------------------------------------------------------------------------------
def test_the_box_is_closed_and_nothing_else_is_accepted() -> None:
    mask = np.array([[True, False], [False, False]])
    for good in ([0.0, 0.0], [1.0, 1.0], [0.3, 0.7]):
        assert accepted(mask, np.array([good, good])).tolist() == [True, False], "an ended row accepts nothing"
    for bad in (np.nan, np.inf, -np.inf, -1e-12, 1.0 + 1e-12):
        for place in (0, 1):
            action = np.full((1, 2), 0.5)
            action[0, place] = bad
            assert not accepted(mask[:1], action)[0]


def test_agents_send_float32_and_lose_nothing() -> None:
    kernel = PAIR.kernel([PAIR])
    sent = np.array([[0.0, 1.0], [0.1, 1.0 / 3.0]], np.float32)
    taken = cast(kernel, sent)
    assert taken.dtype == np.float64
    assert (taken == sent).all()
    assert accepted(np.ones((2, 2), np.bool_), taken).all()
    assert cast(kernel, []).shape == (0, 2)
    with pytest.raises(IllegalActionError, match=r"shape \(3,\): expected \(2,\)"):
        cast(kernel, np.zeros((4, 3)))


def test_draw_hold_blank_nearest_and_legal() -> None:
    rng = np.random.default_rng(0)
    mask = np.tile([True, False, True], (20_000, 1))
    drawn = draw(mask, rng, continuous=True)
    assert accepted(mask, drawn).all()
    assert (drawn[:, 1] == 0).all()
    assert drawn[:, [0, 2]].mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.01)
    assert drawn[:, 0].var() == pytest.approx(1 / 12, rel=0.03)
    kept = hold(drawn[:2], np.array([False, True]))
    assert (kept[0] == drawn[0]).all()
    assert np.isnan(kept[1]).all()
    assert not np.isnan(drawn[1]).any(), "the caller's own array is left alone"
    assert np.isnan(blank(PAIR.kernel([PAIR]), 3)).all()
    shop = orrl.JobShop(machines=[[0, 1]], durations=[[1, 2]])
    assert blank(shop.kernel([shop]), 3).tolist() == [-1, -1, -1]
    near = nearest(mask[:1], np.array([[-0.5, 2.0, np.nan]]))
    assert near[0, :2].tolist() == [0.0, 1.0]
    assert np.isnan(near[0, 2])
    assert legal(mask[0], drawn[0]) == "3 numbers in [0, 1]"
    assert legal(np.array([True, False, True]), 1) == [0, 2]
    assert action_space(PAIR.kernel([PAIR])) == gymnasium.spaces.Box(0.0, 1.0, (2,), np.float32)


# ---- episodes --------------------------------------------------------------------------------------------------------
def test_the_closed_form_is_the_value_of_its_policy() -> None:
    (episode,) = rollout(CALM, CALM.rules()["optimal"], [CALM.nominal()])
    assert episode.actions.dtype == np.float64
    assert episode.actions.shape == (8, 1)
    assert episode.value == pytest.approx(CALM.optimum, rel=1e-12)
    assert CALM.evaluate(CALM.solution(episode)).objective == pytest.approx(CALM.optimum, rel=1e-12)
    found = orrl.simulate(WILD, "optimal", scenarios=4000, seed=1)
    assert found.interval is not None
    assert found.interval[0] < WILD.optimum < found.interval[1]


def test_rows_of_different_length_end_where_they_end() -> None:
    (first,) = rollout(WILD, RandomPolicy(), [WILD.scenario(3)])
    kernel = WILD.kernel([WILD])
    state = kernel.reset([WILD.scenario(3)])
    for action in first.actions[:5]:
        kernel.step(state, action[None])
    later = WILD.at(kernel.snapshot(state, 0))
    long, short = rollout([WILD, later], RandomPolicy(), [WILD.scenario(4), WILD.scenario(3)])
    assert (len(long.actions), len(short.actions)) == (8, 3)
    assert not np.isnan(short.actions).any()
    verdict = later.evaluate(later.solution(short), WILD.scenario(3))
    assert verdict.feasible
    assert verdict.objective == pytest.approx(short.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1.001, -0.001])
def test_a_number_outside_the_box_is_refused_by_name(bad: float) -> None:
    with pytest.raises(
        IllegalActionError, match=r"policy 'mine' chose action .* accepted there: 1 numbers in \[0, 1\]"
    ):
        rollout(CALM, orrl.as_policy(lambda obs, info: np.full((1, 1), bad), name="mine"), [CALM.nominal()])


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(IllegalActionError, match=r"returned actions of shape \(1,\): expected \(1, 1\)"):
        rollout(CALM, orrl.as_policy(lambda obs, info: np.zeros(1)), [CALM.nominal()])


def test_playout_and_random_policy_are_one_law() -> None:
    kernel, worlds = PAIR.kernel([PAIR]), [PAIR.scenario(s) for s in range(3000)]
    values = -playout(kernel, kernel.reset(worlds), seed=0)
    found = np.array([e.value for e in rollout(PAIR, RandomPolicy(), worlds, seed=9)])
    error = np.hypot(values.std(), found.std()) / np.sqrt(len(worlds))
    assert abs(values.mean() - found.mean()) < 4 * error
    assert found.mean() > 3 * PAIR.optimum


# ---- environments ----------------------------------------------------------------------------------------------------
def test_the_environment_is_gymnasium_s() -> None:
    from gymnasium.utils.env_checker import check_env

    check_env(PAIR.env(illegal="noop"), skip_render_check=True)
    env = PAIR.env()
    _, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [True, False]
    for end in (0.0, 1.0):
        env.step(np.full(2, end, np.float32))
    assert env.state().releases[0] == 0.0
    with pytest.raises(IllegalActionError, match=r"accepted: 2 numbers in \[0, 1\]"):
        env.step(np.array([0.5, np.nan]))
    with pytest.raises(IllegalActionError, match=r"shape \(1,\): expected \(2,\)"):
        env.step(np.zeros(1))
    before = env.state()
    env.illegal = "noop"
    _, reward, over, _, info = env.step(np.array([1.5, 0.0]))
    assert (reward, over, info["illegal_action"], env.state()) == (0.0, False, True, before)


def test_the_vector_environment_holds_and_begins_anew() -> None:
    tanks = [WILD, Tank(noise=0.2, level=2.0)]
    envs, alone = KernelVectorEnv(tanks, [1, 2], illegal="noop"), [t.env() for t in tanks]
    assert envs.action_space.shape == (2, 1)
    envs.reset(seed=0)
    for env, tank, seed in zip(alone, tanks, (1, 2), strict=True):
        env.reset(options={"scenario": tank.scenario(seed)})
    rng = np.random.default_rng(0)
    for _ in range(8):
        actions = rng.random((2, 1), dtype=np.float32)
        obs, rewards, done, _, _ = envs.step(actions)
        for b, env in enumerate(alone):
            one, reward, over, _, _ = env.step(actions[b])
            assert (one == obs[b]).all()
            assert (reward, over) == (rewards[b], done[b])
    assert done.all()
    obs, rewards, done, _, _ = envs.step(np.full((2, 1), np.nan))  # whatever comes, an ended row begins anew
    assert (obs[:, 1] == 0).all()
    assert not (rewards.any() or done.any())
    obs, rewards, _, _, info = envs.step(np.array([[np.nan], [0.5]]))
    assert info["illegal_action"].tolist() == [True, False]
    assert obs[:, 1].tolist() == [0.0, 0.125]
    envs.illegal = "raise"
    with pytest.raises(IllegalActionError, match="in row 1 is not accepted"):
        envs.step(np.array([[0.5], [2.0]]))


def test_stable_baselines3_trains_on_it_and_comes_back_as_a_policy() -> None:
    sb3 = pytest.importorskip("stable_baselines3", reason="needs the extra sb3")
    model = sb3.PPO("MlpPolicy", WILD.env(), n_steps=64, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(128)
    policy = orrl.as_policy(model)
    found = orrl.simulate(WILD, policy, scenarios=20)
    assert found.failures == 0
    assert policy.overruled == 0, "the model clips to the box by itself"


# ---- the checker -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tank", [CALM, PAIR], ids=["calm", "pair"])
def test_check_problem_passes(tank: Tank) -> None:
    report = orrl.check_problem(tank, points=[3, 6, 7, 8, 11], seeds=2)
    wanted = {3: "pass", 6: "pass", 7: "pass", 8: "pass", 11: "pass" if tank.stochastic else "not applicable"}
    assert {row.point: row.status for row in report.rows} == wanted, str(report)


class LeakyTank(Tank):
    """The number that the mask leaves out costs something."""

    @classmethod
    def kernel(cls, problems: Any, **options: Any) -> TankKernel:
        return TankKernel(problems, leak=0.1)


class ClippingEnv(KernelEnv):
    """Takes what is outside the box for its edge."""

    def step(self, action: Any) -> Any:
        return super().step(np.clip(np.nan_to_num(action), 0.0, 1.0))


class ClippingTank(Tank):
    def env(self, **options: Any) -> Any:
        return ClippingEnv(self, **options)


def test_check_problem_finds_a_mask_that_leaves_out_a_number_with_an_effect() -> None:
    (row,) = orrl.check_problem(LeakyTank(extra=2), points=[6], seeds=1).rows
    assert row.status == "fail"
    assert "numbers [1, 2] have no effect, and they have" in str(row.failures)


def test_check_problem_finds_an_environment_that_clips() -> None:
    (row,) = orrl.check_problem(ClippingTank(), points=[6], seeds=1).rows
    assert row.status == "fail"
    for bad in ("nan", "inf", "-0.001", "1.001"):
        assert f"the mask forbids action [{bad}" in str(row.failures).replace("array(", "").replace(" ]", "]")


# ---- plans -----------------------------------------------------------------------------------------------------------
def test_a_plan_is_carried_out_and_a_rolling_one_is_the_optimal_policy() -> None:
    plan = orrl.solve(CALM, MeanPlan())
    assert plan.objective == pytest.approx(CALM.optimum)
    assert orrl.simulate(CALM, plan).mean == pytest.approx(CALM.optimum)
    loop = orrl.rolling_horizon(WILD, MeanPlan(), scenarios=20, seed=1)  # certainty equivalence: the mean is enough
    assert loop.objectives == pytest.approx(orrl.simulate(WILD, "optimal", scenarios=20, seed=1).objectives)
    assert loop.details["rolling"]["solves"] == 20 * 8, "no inflow is the mean"
    calm = orrl.rolling_horizon(CALM, MeanPlan(), scenarios=1)
    assert calm.details["rolling"]["solves"] == 1, "the twin stays on the plan"


def test_demonstrations_are_numbers() -> None:
    shown = orrl.demonstrations([CALM, Tank(level=2.0)], MeanPlan())
    assert shown.actions.dtype == np.float64
    assert shown.actions.shape == shown.masks.shape == (16, 1)
    assert -shown.returns[0] == pytest.approx(CALM.optimum)


# ---- bring your own --------------------------------------------------------------------------------------------------
def test_a_torch_module_gives_the_numbers_themselves() -> None:
    import torch

    class Share(torch.nn.Module):
        """Release half of the level, or what the outputs say."""

        def __init__(self, outputs: int = 1, by: float = 0.5) -> None:
            super().__init__()
            self.outputs, self.by = outputs, by

        def forward(self, obs: torch.Tensor) -> torch.Tensor:
            return torch.full((len(obs), self.outputs), self.by)

    (episode,) = rollout(CALM, orrl.as_policy(Share()), [CALM.nominal()])
    assert episode.actions.tolist() == [[0.5]] * 8
    with pytest.raises(NotSupportedError, match=r"gives actions of shape \(1, 2\), the problem has \(1, 1\)"):
        rollout(CALM, orrl.as_policy(Share(2)), [CALM.nominal()])
    with pytest.raises(IllegalActionError, match=r"numbers in \[0, 1\]"):
        rollout(CALM, orrl.as_policy(Share(by=3.0)), [CALM.nominal()])


def test_a_model_outside_the_box_is_overruled_and_counted() -> None:
    def predict(obs: Any, state: Any = None, deterministic: bool = False) -> tuple[Any, None]:
        return np.full((len(obs), 1), 1.25, np.float32), None

    policy = orrl.as_policy(SimpleNamespace(predict=predict, observation_space=SimpleNamespace(shape=(2,))))
    (episode,) = rollout(CALM, policy, [CALM.nominal()])
    assert episode.actions.tolist() == [[1.0]] * 8
    assert policy.overruled == 8


def test_what_tries_each_action_says_no() -> None:
    support = MonteCarloRollout().supports(CALM)
    assert not support
    assert support.reason == "the actions of Tank are real numbers: it tries a finite set"
    rows = {name: (ok, why) for name, _, ok, why in orrl.list_solvers(CALM)}
    assert rows["rollout"] == (False, support.reason)
    assert rows["ppo"][0]
    assert rows["random"][0]
    assert not rows["best-of-n"][0]
    assert not rows["sarsa"][0]


def test_decide_says_numbers() -> None:
    share = CALM.rules()["optimal"].decide(CALM)
    assert share == [pytest.approx((0.5 + 1.5 / 9) / 2.5)]
