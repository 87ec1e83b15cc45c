"""PPO on numbers: its Beta law, its gradient by finite differences, what it learns on a tank with a known optimum."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy import stats
from tank import Tank

import orrl
from orrl.core.errors import DataError
from orrl.solvers.learners.heads import BetaHead, BetaLaw
from orrl.solvers.learners.ppo import PPO, PPOPolicy
from orrl.solvers.learners.ppo_core import Clip, ppo_loss
from orrl.solvers.learners.rewards import CenteredRewards, RawRewards, ScaledRewards

if TYPE_CHECKING:
    from pathlib import Path

WILD = Tank(noise=0.2)


# ---- the law ---------------------------------------------------------------------------------------------------------
def test_the_law_is_the_beta_law_of_the_coordinates_in_the_mask() -> None:
    outputs = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True, True, False]] * 4 + [[False] * 3])
    law = BetaLaw(outputs, mask)
    a, b = (1.0 + np.log1p(np.exp(outputs[:, k : k + 3].numpy())) for k in (0, 3))
    x = np.random.default_rng(0).random((5, 3))
    x[:, 2] = 0.0  # what is left out may stand at the edge, where its density has no logarithm
    expected = stats.beta.logpdf(x[:4, :2], a[:4, :2], b[:4, :2]).sum(axis=1)
    assert law.log_prob(torch.tensor(x)).numpy() == pytest.approx([*expected, 0.0])
    spread = stats.beta.entropy(a[:4, :2], b[:4, :2]).sum(axis=1)
    assert law.entropy().numpy() == pytest.approx([*spread, 0.0])
    greedy = BetaHead(3).greedy(outputs.float().numpy(), mask.numpy())
    assert greedy[:4, :2] == pytest.approx((a / (a + b))[:4, :2], rel=1e-5)
    assert not greedy[:, 2].any()


def test_samples_have_the_law_and_their_logarithm() -> None:
    head, rng = BetaHead(2), np.random.default_rng(1)
    outputs, mask = np.tile(np.array([2.0, -1.0, 0.0, 3.0], np.float32), (5000, 1)), np.ones((5000, 2), np.bool_)
    action, logs = head.sample(outputs, mask, rng)
    assert action.dtype == np.float32
    law = head.law(torch.as_tensor(outputs), torch.as_tensor(mask))
    assert (law.log_prob(torch.as_tensor(action)).numpy() == logs).all()
    for k in range(2):
        exact = stats.beta(float(law.alpha[0, k]), float(law.beta[0, k]))
        assert stats.kstest(action[:, k], exact.cdf).pvalue > 1e-3
    sharp = np.tile(np.array([2000.0, -30.0, -30.0, -30.0], np.float32), (5000, 1))  # at the edge, and uniform
    drawn, logs = head.sample(sharp, mask, rng)
    assert np.isfinite(logs).all()
    assert ((drawn > 0) & (drawn < 1)).all()


def test_gradient_of_the_surrogate_is_the_finite_difference() -> None:
    torch.manual_seed(0)
    outputs = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True]] * 4 + [[True, False], [False, True]])
    action, gain = torch.rand(6, 2, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    action[4, 1] = action[5, 0] = 0.0
    old = BetaLaw(outputs, mask).log_prob(action).detach() + 0.05 * torch.randn(6, dtype=torch.float64)
    zero = torch.zeros(6, dtype=torch.float64)

    def loss(x: torch.Tensor) -> torch.Tensor:
        law = BetaLaw(x, mask)
        return ppo_loss(law.log_prob(action), old, gain, zero, zero, zero, law.entropy(), Clip()).total

    assert torch.autograd.gradcheck(loss, (outputs,), eps=1e-6, atol=1e-6)
    (slope,) = torch.autograd.grad(loss(outputs), outputs)
    assert torch.isfinite(slope).all()
    assert not slope[4, [1, 3]].any(), "a number without effect pulls at nothing"
    assert not slope[5, [0, 2]].any()


# ---- the rewards -----------------------------------------------------------------------------------------------------
def test_centering_adds_the_same_to_every_episode_and_finds_the_signal() -> None:
    rng, gamma = np.random.default_rng(0), 0.9
    alive = np.arange(6)[:, None] < rng.integers(1, 7, 40)[None]
    rewards = np.where(alive, rng.normal(-3000.0, 5.0, (6, 40)), 0.0)
    factor = gamma ** np.arange(6)
    shaped = CenteredRewards()(rewards, alive, gamma)
    known = CenteredRewards()
    known(rewards, alive, gamma)
    spread = float(np.sqrt(known.square / known.total))
    change = factor @ shaped - factor @ rewards / spread
    assert change == pytest.approx(np.full(40, change[0]), abs=1e-2), "whatever the length"
    full = np.ones((6, 40), np.bool_)
    costs = rng.normal(-3000.0, 5.0, (6, 40))
    signal, trend = CenteredRewards()(costs, full, 1.0), ScaledRewards()(costs, full, 1.0)
    assert signal.std(axis=1).mean() > 0.2
    assert trend.std(axis=1).mean() < 0.01, "the plain scale sees the 3000 only"
    assert (RawRewards()(costs, full, 1.0) == costs.astype(np.float32)).all()


def test_the_unit_and_the_part_that_every_policy_pays_do_not_matter() -> None:
    worth = []
    for tank in (WILD, Tank(noise=0.2, base=3000.0, weight=1000.0)):
        policy = orrl.train(tank, PPO(episodes=32), budget=orrl.Budget(iterations=15), seed=0)
        mean = orrl.simulate(tank, policy, scenarios=300, seed=1).mean
        worth.append((mean - 8 * tank.base) / tank.weight)
    assert worth[0] == pytest.approx(worth[1], rel=0.05)


# ---- where it starts -------------------------------------------------------------------------------------------------
def test_a_training_starts_at_the_mean_and_deviation_that_it_is_given() -> None:
    tank = Tank(noise=0.2, extra=1)
    kernel = Tank.kernel([tank])
    policy = PPOPolicy.fresh(kernel, (16,), 0, "cpu")
    policy.begin_at(0.9, 0.05)
    seen = policy.look(kernel, kernel.reset([tank.scenario(0)] * 5, [0] * 5))
    mask = np.ones((5, 2), np.bool_)
    law = policy.head.law(torch.as_tensor(policy.evaluate(seen)[0]), torch.as_tensor(mask))
    assert isinstance(law, BetaLaw)
    assert law.mean.detach().numpy() == pytest.approx(np.full((5, 2), 0.9), abs=2e-3)
    deviation = (law.mean * (1 - law.mean) / (law.alpha + law.beta + 1)).sqrt()
    assert deviation.detach().numpy() == pytest.approx(np.full((5, 2), 0.05), abs=2e-3)
    first = {}
    for start in (None, (0.9, 0.05)):
        learner = PPO(episodes=32, start=start)
        orrl.train(tank, learner, budget=orrl.Budget(iterations=1), seed=0)
        first[start] = learner.log[0]["entropy"]
    assert first[0.9, 0.05] < first[None] - 1.0
    for wrong in ((0.9, 0.2), (1.0, 0.1), (0.5, 0.0)):
        with pytest.raises(DataError, match="no unimodal Beta law"):
            orrl.train(tank, PPO(start=wrong), budget=orrl.Budget(iterations=1))
    with pytest.raises(DataError, match="leave it out"):
        PPOPolicy(3, 2, 0, (4,)).begin_at(0.5, 0.1)


# ---- learning --------------------------------------------------------------------------------------------------------
def test_learns_a_tank_to_a_few_percent_of_its_optimum() -> None:
    begin = time.process_time()
    policy = orrl.train(WILD, PPO(minibatch=256), budget=orrl.Budget(iterations=100), seed=0)
    assert time.process_time() - begin < 30  # about 6 s on a free core
    best, found = (orrl.simulate(WILD, p, scenarios=2000, seed=5).mean for p in ("optimal", policy))
    assert best < found < 1.06 * best


def test_numbers_without_effect_are_learnt_around() -> None:
    tank = Tank(noise=0.2, extra=2)
    policy = orrl.train(tank, PPO(episodes=32), budget=orrl.Budget(iterations=25), seed=0)
    assert orrl.simulate(tank, policy, scenarios=300).mean < 0.5 * orrl.simulate(tank, "random", scenarios=300).mean
    policy.greedy = False
    drawn = orrl.simulate(tank, policy, scenarios=300, policy_seed=3)
    assert drawn.failures == 0
    assert drawn.mean > tank.optimum


def test_a_training_goes_on_where_it_stood(tmp_path: Path) -> None:
    def train(state: str, iterations: int) -> PPO:
        learner = PPO(episodes=16, check=2, checkpoint=tmp_path / state)
        policy = orrl.train(WILD, learner, budget=orrl.Budget(iterations=iterations), seed=7)
        policy.save(tmp_path / f"{state}.zip")
        return learner

    def tell(event: object) -> bool:  # the same budget (its share sets the learning rate), stopped on the way
        return event.info["iteration"] == 5  # type: ignore[attr-defined]

    whole = train("whole", 12)
    cut = PPO(episodes=16, check=2, checkpoint=tmp_path / "cut")
    orrl.train(WILD, cut, budget=orrl.Budget(iterations=12), seed=7, callbacks=[tell])
    assert len(cut.log) == 5, "the checkpoint is of iteration 4"
    again = train("cut", 12)
    one, two = (orrl.load_policy(tmp_path / f"{name}.zip").net.state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert [row["return"] for row in whole.log] == [row["return"] for row in again.log]


def test_a_saved_policy_decides_the_same_and_refuses_other_actions(tmp_path: Path) -> None:
    policy = orrl.train(WILD, PPO(episodes=8), budget=orrl.Budget(iterations=2), seed=0)
    policy.save(tmp_path / "p.zip")
    again = orrl.load_policy(tmp_path / "p.zip")
    one, two = (orrl.simulate(WILD, p, scenarios=20, seed=1).objectives for p in (policy, again))
    assert (one == two).all()
    with pytest.raises(DataError, match="knows 1 numbers, the problem has 2 numbers"):
        orrl.simulate(Tank(extra=1), again)
