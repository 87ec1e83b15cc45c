"""PPO: its loss by hand, its gradient by finite differences, and what it learns on a problem with a known optimum."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from inventory import Inventory
from inventory.backward_dp import BackwardDP

import orrl
from orrl.core.errors import DataError, FormatError
from orrl.solvers.learners.heads import masked_law
from orrl.solvers.learners.ppo import PPO, PPOPolicy
from orrl.solvers.learners.ppo_core import Clip, RunningScale, advantages, ppo_loss

if TYPE_CHECKING:
    from pathlib import Path

SHELF = {"law": (0.1, 0.2, 0.3, 0.2, 0.2), "horizon": 12, "capacity": 10, "max_order": 6, "price": 3.0, "cost": 1.0}
SHELF |= {"holding": 0.2, "fixed": 1.0, "discount": 0.98}


def shelf() -> Inventory:
    return Inventory(**SHELF)  # type: ignore[arg-type]


# ---- the loss --------------------------------------------------------------------------------------------------------
def test_advantages_by_hand() -> None:
    rewards = np.array([[1.0, 2.0], [3.0, 0.0]], np.float32)
    values = np.array([[0.5, 1.0], [2.0, 9.0]], np.float32)
    live = np.array([[True, True], [True, False]])
    gain = advantages(rewards, values, live, discount=0.9, smoothing=0.5)
    last = 3.0 - 2.0
    first = 1.0 + 0.9 * 2.0 - 0.5
    assert gain == pytest.approx(np.array([[first + 0.45 * last, 2.0 - 1.0], [last, 0.0]]))


def test_loss_by_hand() -> None:
    old, new = torch.tensor([0.5, 0.2, 0.25]).log(), torch.tensor([0.75, 0.1, 0.25]).log()  # ratios 1.5, 0.5, 1
    gain = torch.tensor([2.0, -1.0, 3.0])
    value, before, goal = torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.0, 0.0, 2.0]), torch.tensor([3.0, 1.0, 2.0])
    entropy = torch.tensor([0.1, 0.2, 0.3])
    loss = ppo_loss(new, old, gain, value, before, goal, entropy, Clip(0.2, None, 0.5, 0.01))
    surrogate = (min(3.0, 1.2 * 2.0) + min(-0.5, -0.8) + 3.0) / 3
    miss = (4.0 + 1.0 + 0.0) / 3
    assert float(loss.total) == pytest.approx(0.5 * miss - surrogate - 0.01 * 0.2)
    assert loss.clipped == pytest.approx(2 / 3)
    near = ppo_loss(new, old, gain, value, before, goal, entropy, Clip(0.2, 0.2, 0.5, 0.01))
    assert near.value == pytest.approx((2.8**2 + 1.0 + 0.0) / 3)  # the first value moved further than it may


def test_shapes_are_asserted() -> None:
    flat = torch.zeros(4)
    with pytest.raises(AssertionError):
        ppo_loss(flat, flat, flat[:, None], flat, flat, flat, flat, Clip())


def test_gradient_of_the_loss_is_the_finite_difference() -> None:
    torch.manual_seed(0)
    logits = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False, True]] * 6)
    action, gain = torch.tensor([0, 1, 3, 3, 0, 1]), torch.randn(6, dtype=torch.float64)
    old = masked_law(logits, mask).log_prob(action).detach() + 0.05 * torch.randn(6, dtype=torch.float64)
    value, goal = torch.zeros(6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64)

    def loss(x: torch.Tensor) -> torch.Tensor:
        law = masked_law(x, mask)
        return ppo_loss(law.log_prob(action), old, gain, value, value, goal, law.entropy(), Clip()).total

    assert torch.autograd.gradcheck(loss, (logits,), eps=1e-6, atol=1e-6)


def test_a_masked_action_is_never_drawn() -> None:
    law = masked_law(torch.tensor([[50.0, 0.0, 0.0]]), torch.tensor([[False, True, True]]))
    assert law.probs[0, 0] == 0.0


def test_running_scale_is_the_scale_of_all_rows() -> None:
    rows = np.random.default_rng(0).normal(3.0, 2.0, (1000, 2))
    scale = RunningScale(2)
    for part in np.array_split(rows, 7):
        scale.update(part)
    assert scale.mean == pytest.approx(rows.mean(axis=0), rel=1e-5)
    assert scale.std == pytest.approx(rows.std(axis=0), rel=1e-5)


# ---- learning --------------------------------------------------------------------------------------------------------
def test_learns_a_shelf_to_near_its_optimum() -> None:
    problem = shelf()
    best = BackwardDP().solve(problem).objective
    policy = orrl.train(problem, "ppo", budget=orrl.Budget(iterations=120), seed=0)
    found = orrl.simulate(problem, policy, scenarios=2000, seed=5)
    assert found.interval is not None
    assert 0.95 * best < found.mean
    assert found.interval[0] < best


def test_equal_seeds_give_equal_policies() -> None:
    problem = shelf()
    nets = [orrl.train(problem, PPO(episodes=8), budget=orrl.Budget(iterations=5), seed=s).net for s in (3, 3, 4)]
    weights = [torch.cat([w.flatten() for w in net.state_dict().values()]) for net in nets]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_saved_policy_decides_the_same(tmp_path: Path) -> None:
    problem = shelf()
    policy = orrl.train(problem, PPO(episodes=8), budget=orrl.Budget(iterations=3), seed=0)
    assert policy.seen == {problem.content_hash}
    policy.save(tmp_path / "p.zip")
    again = orrl.load_policy(tmp_path / "p.zip")
    assert isinstance(again, PPOPolicy)
    one, two = (orrl.simulate(problem, p, scenarios=50, seed=1).mean for p in (policy, again))
    assert one == two
    (tmp_path / "bad.zip").write_bytes(b"nothing")
    with pytest.raises(FormatError, match=r"bad\.zip"):
        PPOPolicy.load(tmp_path / "bad.zip")


def test_learns_from_a_generator_and_refuses_another_size() -> None:
    shops = orrl.JobShop.generator(jobs=3, machines=2, storage="blocking")
    policy = orrl.train(shops, PPO(episodes=8), budget=orrl.Budget(iterations=2), seed=0)
    assert len(policy.seen) == 16
    shop = shops.sample(1, split="test")[0]
    assert orrl.solve(shop, policy).evaluation.feasible
    with pytest.raises((DataError, ValueError)):
        orrl.solve(orrl.JobShop.generate(seed=0, jobs=4, machines=2, storage="blocking"), policy)


TRAIN = """
import sys, orrl
from inventory import Inventory
from orrl.solvers.learners.ppo import PPO
learner = PPO(episodes=16, check=2, checkpoint=sys.argv[1])
policy = orrl.train(Inventory(**{shelf!r}), learner, budget=orrl.Budget(iterations=int(sys.argv[3])), seed=7)
policy.save(sys.argv[2])
print(len(learner.log))
"""


def test_a_killed_training_goes_on_where_it_stood(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAIN.replace("{shelf!r}", repr(SHELF)))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def start(state: str, out: str, iterations: int) -> subprocess.Popen[bytes]:
        files = [str(tmp_path / state), str(tmp_path / out)]
        return subprocess.Popen([sys.executable, str(script), *files, str(iterations)], env=env)

    assert start("whole", "whole.zip", 60).wait(120) == 0
    half = start("cut", "cut.zip", 60)
    limit = time.monotonic() + 60
    while not (tmp_path / "cut").exists() and half.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    half.send_signal(signal.SIGKILL)
    half.wait()
    assert (tmp_path / "cut").exists()
    assert start("cut", "cut.zip", 60).wait(120) == 0
    one, two = (PPOPolicy.load(tmp_path / name).net.state_dict() for name in ("whole.zip", "cut.zip"))
    assert all(torch.equal(one[k], two[k]) for k in one)
