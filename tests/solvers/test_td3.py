"""TD3: its target and its losses by hand, the replay memory, what it learns on a tank with a known optimum."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from inventory import Inventory
from tank import Tank

import orrl
from orrl.core.errors import DataError, FormatError, NotSupportedError
from orrl.solvers.learners.heads import UnitHead
from orrl.solvers.learners.networks import TwinCritics
from orrl.solvers.learners.ppo import PPOPolicy
from orrl.solvers.learners.ppo_core import advantages
from orrl.solvers.learners.replay import NAMES, Replay, Transitions
from orrl.solvers.learners.rewards import CenteredRewards, ScaledRewards
from orrl.solvers.learners.td3 import TD3, TD3Policy, _Training, critic_loss, target_action, target_value

if TYPE_CHECKING:
    from pathlib import Path

WILD = Tank(noise=0.2)
SMALL: dict[str, Any] = {"episodes": 8, "hidden": (16, 16), "warmup": 100, "batch": 64, "every": 4.0, "check": 2}


def transitions(rows: int, first: int = 0) -> Transitions:
    number = np.arange(first, first + rows)
    flags = number % 3 == 0
    obs = np.stack([number, -number], axis=1).astype(np.float32)
    action, mask = np.full((rows, 1), 0.25, np.float32), np.ones((rows, 1), np.bool_)
    return Transitions(obs, obs + 1.0, action, mask, ~flags[:, None], number * 1.0, number % 8, flags, flags)


# ---- target and losses -----------------------------------------------------------------------------------------------
def test_target_by_hand() -> None:
    action = torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.2, 0.3]])
    noise = torch.tensor([[0.1, -0.9], [0.4, -0.2], [0.1, 0.1]])
    mask = torch.tensor([[True, True], [True, True], [True, False]])
    smoothed = target_action(action, noise, mask, 0.25)
    assert smoothed.numpy() == pytest.approx(np.array([[0.6, 0.25], [1.0, 0.0], [0.3, 0.0]]))
    reward, over = torch.tensor([1.0, 2.0, -1.0]), torch.tensor([False, True, False])
    one, two = torch.tensor([4.0, 9.0, -3.0]), torch.tensor([5.0, 8.0, -7.0])
    goal = target_value(reward, over, one, two, 0.5)
    assert goal.tolist() == [1.0 + 0.5 * 4.0, 2.0, -1.0 + 0.5 * -7.0]  # the smaller of both; nothing after the end
    assert float(critic_loss(one, two, goal)) == pytest.approx((1 + 49 + 1.5**2) / 3 + (4 + 36 + 2.5**2) / 3)


def test_shapes_are_asserted() -> None:
    flat, tall, flags = torch.zeros(4), torch.zeros(4, 1), torch.zeros(4, dtype=torch.bool)
    with pytest.raises(AssertionError):
        target_value(flat, flags, tall, tall, 0.9)  # would broadcast to (4, 4)
    with pytest.raises(AssertionError):
        critic_loss(flat, flat, tall)
    with pytest.raises(AssertionError):
        target_action(tall, torch.zeros(4, 2), torch.ones(4, 2, dtype=torch.bool), 0.1)
    with pytest.raises(AssertionError):
        UnitHead(2).numbers(torch.zeros(4, 1), torch.ones(4, 2, dtype=torch.bool))


def test_gradient_of_the_critics_is_the_finite_difference() -> None:
    torch.manual_seed(0)
    twins = TwinCritics(3, 2, (5,)).double()
    obs, goal = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    outputs = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True]] * 5 + [[True, False]])

    def loss(x: torch.Tensor) -> torch.Tensor:
        return critic_loss(*twins(obs, UnitHead(2).numbers(x, mask)), goal)

    assert torch.autograd.gradcheck(loss, (outputs,), eps=1e-6, atol=1e-6)
    (slope,) = torch.autograd.grad(loss(outputs), outputs)
    assert slope[5, 1] == 0.0, "a number without effect pulls at nothing"
    one, two = twins(obs, UnitHead(2).numbers(outputs, mask))
    assert not torch.allclose(one, two), "twins begin apart"


def test_one_update_is_the_one_of_the_paper() -> None:
    """Who moves, when, and how far the targets follow."""
    learner = TD3(**SMALL, delay=2, rate=0.25, rewards="raw", discount=1.0)
    run = _Training(learner, Tank.kernel([WILD]), 1.0, 0, "cpu")
    run.replay.add(transitions(40))
    before = {k: v.clone() for k, v in run.nets.state_dict().items()}
    run._update()
    once = {k: v.clone() for k, v in run.nets.state_dict().items()}
    moved = {k.partition(".")[0] for k in once if not torch.equal(once[k], before[k])}
    assert moved == {"critics"}, "the actor and the targets wait for the second step"
    run._update()
    twice = run.nets.state_dict()
    for name in ("actor", "critics"):
        for key in (k for k in twice if k.startswith(f"{name}.")):
            goal = f"goal_{key}"
            follows = 0.75 * once[goal] + 0.25 * twice[key]
            assert torch.allclose(twice[goal], follows, atol=1e-6), key
    assert any(not torch.equal(twice[k], once[k]) for k in twice if k.startswith("actor."))


def test_the_actor_climbs_the_first_critic() -> None:
    learner = TD3(**SMALL, delay=1, rewards="raw")
    run = _Training(learner, Tank.kernel([WILD]), 1.0, 0, "cpu")
    run.replay.add(transitions(40))
    for weight in run.nets["critics"].parameters():  # critics that stay as they are: worth grows with the number
        weight.data.zero_()
        weight.requires_grad_(True)
    run.nets["critics"].one[0].weight.data[0, -1] = 1.0
    run.nets["critics"].one[2].weight.data[0, 0] = 1.0
    run.nets["critics"].one[4].weight.data[0, 0] = 1.0
    obs = torch.zeros(1, 2)
    known = float(run.nets["actor"](obs).sigmoid().detach())
    for group in run.adam.param_groups:
        group["lr"] = 1e-4
    for _ in range(20):
        run._update()
    assert float(run.nets["actor"](obs).sigmoid().detach()) > known


# ---- the memory ------------------------------------------------------------------------------------------------------
def test_the_memory_is_a_ring() -> None:
    memory = Replay(10, 2, 1)
    for begin in (0, 4, 8):
        memory.add(transitions(4, begin))
    assert len(memory) == 10
    assert sorted(memory.kept.reward.tolist()) == [*range(2, 12)]
    drawn = memory.sample(200, np.random.default_rng(0))
    assert set(drawn.reward.tolist()) == set(range(2, 12))
    assert (drawn.ahead == drawn.obs + 1.0).all(), "rows stay together"
    again = Replay(10, 2, 1).from_arrays(memory.to_arrays())
    assert all((getattr(again.kept, n) == getattr(memory.kept, n)).all() for n in NAMES)
    again.add(transitions(1, 12))
    assert again.kept.reward[2] == 12.0
    with pytest.raises(AssertionError):
        memory.add(transitions(11))


def test_rewards_one_by_one_are_those_of_whole_episodes() -> None:
    rng = np.random.default_rng(0)
    alive = np.arange(6)[:, None] < rng.integers(1, 7, 40)[None]
    rewards = np.where(alive, rng.normal(3.0, 1.0, alive.shape), 0.0)
    for kind in (CenteredRewards, ScaledRewards):
        whole = kind()
        expected = whole(rewards, alive, 0.9)
        t, b = np.nonzero(alive)
        follows = np.where(t < 5, alive[np.minimum(t + 1, 5), b], False)
        assert whole.shaped(rewards[t, b], t, follows, 0.9) == pytest.approx(expected[t, b])
        assert np.isfinite(whole.shaped(np.ones(2), np.array([6, 99]), np.ones(2, np.bool_), 0.9)).all()


# ---- the end of an episode -------------------------------------------------------------------------------------------
def test_an_end_is_an_end_unless_it_was_cut() -> None:
    kernel = Tank.kernel([WILD])
    for cut, length, over in ((None, 8, 1), (8, 8, 0), (5, 5, 0), (99, 8, 1)):
        run = _Training(TD3(**SMALL, cut=cut), kernel, 1.0, 0, "cpu")
        run.iterate(kernel, [WILD] * 8, orrl.Budget(iterations=1).start())
        kept = run.replay.kept.rows(np.arange(len(run.replay)))
        assert len(kept) == 8 * length
        assert kept.last.sum() == 8
        assert (kept.when[kept.last] == length - 1).all()
        assert kept.over.sum() == 8 * over
        if cut in (5, 8):  # what follows is asked of the critics, at numbers that have an effect
            assert kept.mask_ahead[kept.last].all()


def test_advantages_go_on_where_a_row_was_cut() -> None:
    rewards, values = np.ones((2, 2), np.float32), np.full((2, 2), 0.5, np.float32)
    live = np.array([[True, True], [True, False]])
    after = np.array([10.0, 10.0], np.float32)
    gain = advantages(rewards, values, live, discount=0.5, smoothing=1.0, after=after)
    last = 1.0 + 0.5 * 10.0 - 0.5
    assert gain == pytest.approx(np.array([[1.0 + 0.5 * 0.5 - 0.5 + 0.5 * last, 0.5], [last, 0.0]]))


# ---- learning --------------------------------------------------------------------------------------------------------
def test_a_start_is_where_the_first_numbers_lie() -> None:
    kernel = Tank.kernel([WILD])
    run = _Training(TD3(**SMALL, start=0.2), kernel, 1.0, 0, "cpu")
    state = kernel.reset([WILD.scenario(s) for s in range(200)])
    seen = run._explore(np.asarray(kernel.observe(state), np.float32).reshape(200, -1), kernel.mask(state))
    assert abs(seen.mean() - 0.2) < 0.02 and seen.std() < 0.1  # in the warm-up too
    with pytest.raises(ValueError, match=r"start is 1\.0"):
        TD3(start=1.0)


@pytest.mark.slow
def test_learns_a_tank_to_near_its_optimum() -> None:
    learner = TD3(hidden=(64, 64), batch=128, every=6.0, rate=0.01)
    policy = orrl.train(WILD, learner, budget=orrl.Budget(iterations=50), seed=0)
    best, found = (orrl.simulate(WILD, p, scenarios=2000, seed=5).mean for p in ("optimal", policy))
    assert best < found < 1.25 * best


def test_numbers_without_effect_are_learnt_around() -> None:
    tank = Tank(noise=0.2, extra=2)
    learner = TD3(hidden=(32, 32), warmup=1000, batch=128)
    policy = orrl.train(tank, learner, budget=orrl.Budget(iterations=25), seed=0)
    assert orrl.simulate(tank, policy, scenarios=300).mean < 0.5 * orrl.simulate(tank, "random", scenarios=300).mean
    policy.greedy = False
    assert orrl.simulate(tank, policy, scenarios=300, policy_seed=3).failures == 0


def test_equal_seeds_give_equal_policies() -> None:
    nets = [orrl.train(WILD, TD3(**SMALL), budget=orrl.Budget(iterations=4), seed=s).net for s in (3, 3, 4)]
    weights = [torch.cat([w.flatten() for w in net.state_dict().values()]) for net in nets]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


TRAIN = """
import sys, orrl
from tank import Tank
from orrl.solvers.learners.td3 import TD3
learner = TD3(**{small!r}, checkpoint=sys.argv[1])
policy = orrl.train(Tank(noise=0.2), learner, budget=orrl.Budget(iterations=20), seed=7)
policy.save(sys.argv[2])
"""


def test_a_killed_training_goes_on_where_it_stood(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAIN.replace("{small!r}", repr(SMALL)))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def start(state: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / state), f"{tmp_path / state}.zip"], env=env
        )

    assert start("whole").wait(240) == 0
    half = start("cut")
    limit = time.monotonic() + 120
    while not (tmp_path / "cut").exists() and half.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    half.send_signal(signal.SIGKILL)
    half.wait()
    assert (tmp_path / "cut").exists()
    assert not (tmp_path / "cut.zip").exists()
    assert start("cut").wait(240) == 0
    one, two = (TD3Policy.load(tmp_path / f"{name}.zip").net.state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(one[k], two[k]) for k in one)


def test_a_training_goes_on_with_its_memory(tmp_path: Path) -> None:
    def tell(event: object) -> bool:
        return event.info["iteration"] == 5  # type: ignore[attr-defined]

    whole = TD3(**SMALL, checkpoint=tmp_path / "whole")
    orrl.train(WILD, whole, budget=orrl.Budget(iterations=8), seed=7)
    cut = TD3(**SMALL, checkpoint=tmp_path / "cut")
    orrl.train(WILD, cut, budget=orrl.Budget(iterations=8), seed=7, callbacks=[tell])
    assert len(cut.log) == 5, "the checkpoint is of iteration 4"
    orrl.train(WILD, cut, budget=orrl.Budget(iterations=8), seed=7)
    assert [row["return"] for row in whole.log] == [row["return"] for row in cut.log]
    assert [row["updates"] for row in whole.log] == [row["updates"] for row in cut.log]
    assert whole.log[-1]["updates"] > 0


def test_a_saved_policy_decides_the_same_and_refuses_other_actions(tmp_path: Path) -> None:
    policy = orrl.train(WILD, "td3", budget=orrl.Budget(iterations=2), seed=0, **SMALL)
    assert policy.seen == {WILD.content_hash}
    policy.save(tmp_path / "p.zip")
    again = orrl.load_policy(tmp_path / "p.zip")
    assert isinstance(again, TD3Policy)
    one, two = (orrl.simulate(WILD, p, scenarios=20, seed=1).objectives for p in (policy, again))
    assert (one == two).all()
    with pytest.raises(DataError, match="knows 1 numbers, the problem has 2 numbers"):
        orrl.simulate(Tank(extra=1), again)
    with pytest.raises(FormatError, match="TD3Policy"):
        PPOPolicy.load(tmp_path / "p.zip")


def test_choices_are_refused_with_the_reason() -> None:
    shelf = Inventory(law=(0.5, 0.5), horizon=3, capacity=3, max_order=2, price=3.0, cost=1.0, holding=0.2, fixed=1.0)
    assert not TD3().supports(shelf)
    with pytest.raises(NotSupportedError, match="choices, not numbers"):
        orrl.train(shelf, "td3", budget=orrl.Budget(iterations=1))
    with pytest.raises(NotSupportedError, match="choices, not numbers"):
        TD3().fit([shelf], budget=orrl.Budget(iterations=1))
    with pytest.raises(ValueError, match="delay is 0"):
        TD3(delay=0)
