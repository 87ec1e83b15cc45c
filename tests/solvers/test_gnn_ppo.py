"""GNN-PPO: its network on graphs of any size, its loss by hand, its gradient by differences, and what it learns."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import orrl
from orrl import JobShop
from orrl.core.errors import DataError, FormatError
from orrl.core.fingerprints import Fingerprints
from orrl.core.graphs import GraphBatch
from orrl.core.playout import completions
from orrl.core.policy import RandomPolicy
from orrl.core.rollout import rollout
from orrl.solvers.learners.gnn_episodes import Episodes, begin, play
from orrl.solvers.learners.gnn_losses import imitation, regret
from orrl.solvers.learners.gnn_policy import GraphPolicy, pick
from orrl.solvers.learners.gnn_ppo import GnnPPO
from orrl.solvers.learners.gnn_training import Training, fresh_policy
from orrl.solvers.learners.graph_network import GraphNetwork, tensors
from orrl.solvers.learners.graph_single import SingleForward
from orrl.solvers.learners.ppo_core import Clip
from orrl.solvers.learners.team import Team, TeamError

if TYPE_CHECKING:
    from pathlib import Path

    from orrl.core.callbacks import Event

SMALL = {"instances": 4, "rollouts": 4, "width": 8, "layers": 2, "check": 2, "updates": 2}


def shops(jobs: Any = (3, 5), **options: Any) -> Any:
    return JobShop.generator(jobs=jobs, machines=3, storage="blocking", **options)


def midway(problems: list[Any], steps: int = 4, **options: Any) -> tuple[Any, Any]:
    """A kernel and its state after some random decisions."""
    kernel = JobShop.kernel(problems, **options)
    state = kernel.reset([p.scenario(0) for p in problems])
    rng = np.random.default_rng(0)
    for _ in range(steps):
        mask = kernel.mask(state)
        kernel.step(state, np.where(mask.any(axis=1), np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1), -1))
    return kernel, state


def training(source: Any = None, **options: Any) -> Training:
    learner, given = GnnPPO(**{**SMALL, **options}), source or shops()
    made = Training(learner, Team(), fresh_policy(learner, given, 0, "cpu"), given, orrl.Budget(iterations=10), 0)
    made.judges, made.rng = shops().sample(4, split="val"), np.random.default_rng(0)
    return made


def scores(net: GraphNetwork, graph: GraphBatch) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = net(tensors(graph))[0].numpy()
    return found


# ---- the network -----------------------------------------------------------------------------------------------------
def test_a_row_is_scored_alike_alone_and_in_company() -> None:
    problems = shops().sample(5)
    kernel, state = midway(problems)
    net = GraphPolicy.fresh(kernel, 16, 3).net
    together, (logits, value) = kernel.graphs(state), net(tensors(kernel.graphs(state)))
    for b, problem in enumerate(problems):
        _, own = midway([problem], 0)
        own.tables = type(own.tables)._make(t[b : b + 1].copy() for t in state.tables)
        wide = JobShop.kernel([problem], pad_to=(kernel.n_jobs, kernel.n_operations, kernel.n_machines))
        own.tables.row[:, 0] = 0
        row = net(tensors(wide.graphs(own)))
        np.testing.assert_allclose(row[0][0].detach(), logits[b].detach(), atol=1e-5)
        assert row[1].item() == pytest.approx(value[b].item(), abs=1e-5)
    parts = GraphBatch.join([together, together])
    np.testing.assert_allclose(scores(net, parts), np.concatenate([logits.detach()] * 2), atol=1e-5)


def test_the_names_of_the_jobs_do_not_matter() -> None:
    shop = shops(jobs=5).sample(1)[0]
    order = np.array([3, 0, 4, 1, 2])
    twin = JobShop(machines=shop.machines[order], durations=shop.durations[order], storage="blocking")
    net = GraphPolicy.fresh(JobShop.kernel([shop]), 16, 3).net
    one, first = midway([shop], 0)
    two, second = midway([twin], 0)
    for job in (0, 2):
        one.step(first, np.array([job]))
        two.step(second, np.array([int(np.flatnonzero(order == job)[0])]))
    mine, theirs = scores(net, one.graphs(first))[0], scores(net, two.graphs(second))[0]
    np.testing.assert_allclose(theirs[:5], mine[order], atol=1e-5)
    assert theirs[5] == pytest.approx(mine[5], abs=1e-5)


def test_padded_observations_are_scored_as_the_kernels_graphs() -> None:
    shop = shops(jobs=4).sample(1)[0]
    kernel, state = midway([shop])
    graph, spec = kernel.graphs(state), shop.graph_spec()
    net = GraphPolicy.fresh(kernel, 16, 3).net
    back = GraphBatch.flatten(graph.padded(spec), len(spec.relations))
    np.testing.assert_allclose(scores(net, back), scores(net, graph), atol=1e-5)


def test_one_small_graph_is_scored_alike_without_torch() -> None:
    rng = np.random.default_rng(0)
    for problem in [*shops().sample(4), *shops(p=0.3).sample(4, seed=1)]:
        kernel = JobShop.kernel([problem])
        net = GraphPolicy.fresh(kernel, 12, 3).net
        for weight in net.parameters():  # larger than fresh ones, so that an error would show
            weight.data += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
        net.centre([kernel.graphs(kernel.reset([problem.scenario(0)]))])
        state = kernel.reset([problem.scenario(0)])
        while (mask := kernel.mask(state)).any():
            graph = kernel.graphs(state)
            alone, law = SingleForward(net)(graph), torch.log_softmax(torch.as_tensor(scores(net, graph)), 1).numpy()
            np.testing.assert_allclose(alone[mask], law[mask], atol=1e-4)
            assert (alone[~mask] == -np.inf).all()
            kernel.step(state, np.array([rng.choice(np.flatnonzero(mask[0]))]))


def test_compiled_messages_are_those_of_torch_forward_and_back() -> None:
    kernel, state = midway(shops().sample(6), steps=2)
    graph = GraphBatch.join([kernel.graphs(state), kernel.graphs(state)])
    net = GraphPolicy.fresh(kernel, 16, 3).net
    net.centre([graph])
    weights = [p for p in net.parameters()]
    found = []
    for compiled in (True, False):
        score, value = net(tensors(graph, compiled=compiled))
        accepted = torch.as_tensor(graph.mask)
        loss = (score[accepted] * torch.linspace(-1.0, 1.0, int(accepted.sum()))).sum() + value.pow(2).sum()
        found.append((score.detach(), value.detach(), torch.autograd.grad(loss, weights)))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-5)
    for mine, theirs in zip(found[0][2], found[1][2], strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4, rtol=1e-3)


def test_only_accepted_actions_are_drawn() -> None:
    kernel, state = midway(shops().sample(6))
    logs, _ = GraphPolicy.fresh(kernel, 8, 2).evaluate(kernel.graphs(state))
    mask, rng = kernel.mask(state), np.random.default_rng(0)
    open_ = np.flatnonzero(mask.any(axis=1))
    assert len(open_) > 2
    assert np.exp(logs).sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)
    for chosen in [pick(logs, None), *(pick(logs, rng) for _ in range(200))]:
        assert mask[open_, chosen[open_]].all()


def test_a_drawn_action_follows_the_law() -> None:
    law = np.log(np.array([[0.1, 0.2, 0.7]], np.float32)).repeat(20_000, axis=0)
    shares = np.bincount(pick(law, np.random.default_rng(0)), minlength=3) / len(law)
    assert shares == pytest.approx([0.1, 0.2, 0.7], abs=0.015)


# ---- advantages, losses, gradients -----------------------------------------------------------------------------------
def episodes(rewards: list[list[float]], alive: list[list[bool]], discount: float = 1.0) -> Episodes:
    table = np.array(rewards, np.float32)
    zeros = np.zeros_like(table)
    return Episodes([], zeros.astype(np.int64), zeros, zeros, table, np.array(alive), discount)


def test_group_advantages_by_hand() -> None:
    made = training(rollouts=2, baseline="group")
    gain, _ = made._judged(episodes([[1, 2, 0, 5], [1, 4, 0, 0]], [[True] * 4, [True, True, True, False]]))
    # returns 2, 6 | 0, 5: each group has mean 4 and 2.5, spread 2 and 2.5
    np.testing.assert_allclose(gain, [[-1, 1, -1, 1]] * 2, atol=1e-5)


def test_equal_siblings_teach_nothing() -> None:
    gain, _ = training(rollouts=2, baseline="group")._judged(episodes([[3, 3]], [[True, True]]))
    np.testing.assert_array_equal(gain, 0.0)


def test_clipped_rewards_of_the_value_baseline() -> None:
    made = training(rollouts=2, baseline="value", reward_scale=False, reward_clip=1.0, smoothing=1.0)
    _, goal = made._judged(episodes([[5, -7], [0.5, 0.25]], [[True] * 2] * 2))
    np.testing.assert_allclose(goal, [[1.5, -0.75], [0.5, 0.25]], atol=1e-6)


def test_gradient_through_the_network_is_the_finite_difference() -> None:
    made = training(reference_weight=0.3, width=6, layers=2, completions=2)
    played = play(made.policy, made._next(0.0), 4, made.rng)
    made.net.double()
    made.reference = type(made.net)(*made.net.shape).double()
    graph = tensors(GraphBatch.join(played.graphs[:3]), compiled=False)
    graph = graph._replace(
        nodes=graph.nodes.double(),
        relations=tuple(r._replace(inverse=r.inverse.double()) for r in graph.relations),
        whole=graph.whole._replace(inverse=graph.whole.inverse.double()),
        candidates=graph.candidates._replace(inverse=graph.candidates.inverse.double()),
        told=graph.told.double(),
    )
    rows = np.flatnonzero(played.alive[:3].ravel())
    rng = np.random.default_rng(0)
    old = played.logs[:3].ravel()[rows] + 0.1 * rng.normal(size=len(rows))
    fields = [played.actions[:3].ravel()[rows], old, *(rng.normal(size=len(rows)) for _ in range(3))]

    def loss() -> torch.Tensor:
        return made._loss(graph, rows, fields, Clip(0.2, 0.2, 0.5, 0.01), False).total

    loss().backward()  # type: ignore[no-untyped-call]
    for name, weight in made.net.named_parameters():
        with torch.no_grad():
            direction = torch.randn(weight.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
            weight += 1e-6 * direction
            up = float(loss())
            weight -= 2e-6 * direction
            down = float(loss())
            weight += 1e-6 * direction
        assert float((weight.grad * direction).sum()) == pytest.approx((up - down) / 2e-6, abs=2e-5, rel=1e-3), name


def test_returns_are_discounted_by_the_problem_and_by_the_learner() -> None:
    played = episodes([[4, 0], [2, 8], [4, 4]], [[True] * 2, [True] * 2, [True, False]], discount=0.5)
    np.testing.assert_allclose(played.returns(), [4 + 1 + 1, 4])
    np.testing.assert_allclose(played.returns(0.5), [4 + 0.5 + 0.25, 2])
    assert played.best(2).tolist() == [True, False]
    gain, _ = training(rollouts=2, discount=0.0, baseline="group")._judged(played)
    np.testing.assert_allclose(gain[0], [1, -1], atol=1e-5)


def test_the_value_network_learns_alone_after_the_warm_start(monkeypatch: pytest.MonkeyPatch) -> None:
    alone: list[bool] = []
    inner = Training._loss

    def spy(self: Training, graph: Any, rows: Any, made: Any, clip: Any, value_alone: bool) -> Any:
        alone.append(value_alone)
        return inner(self, graph, rows, made, clip, value_alone)

    monkeypatch.setattr(Training, "_loss", spy)
    options = {**SMALL, "updates": 1, "baseline": "value", "value_first": 2, "warm_start": "self-labelling"}
    learner = GnnPPO(**{**options, "warm_share": 0.5, "epochs": 1})
    learner.fit(shops(), budget=orrl.Budget(iterations=8), seed=0)
    assert [row["warm"] for row in learner.log] == [1.0] * 4 + [0.0] * 4
    assert alone == [True, True, False, False]


def test_regret_and_imitation_by_hand() -> None:
    logits = torch.tensor([[0.0, np.log(3.0), GraphNetwork.NEVER]])
    worth = torch.tensor([[1.0, -1.0, 0.0]])
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert float(regret(logits, worth, 0.1)) == pytest.approx(0.5 - 0.1 * entropy, abs=1e-5)
    assert float(imitation(logits, torch.tensor([1]))) == pytest.approx(-np.log(0.75), abs=1e-5)


def test_the_best_of_each_group_is_imitated() -> None:
    best = episodes([[1, 3, 2, 2]], [[True] * 4]).best(2)
    assert best.tolist() == [False, True, True, False]


def test_action_values_are_those_of_single_completions() -> None:
    """Where one decision is left, its completions are not random: the values are the rewards themselves."""
    shop = JobShop(machines=[[0], [0]], durations=[[3], [5]], objective="total_flow")
    kernel = JobShop.kernel([shop])
    state = kernel.reset([shop.nominal()])
    worth = completions(kernel, state, [0], samples=2, seed=0).mean(axis=2)
    assert worth[0, :2].tolist() == [-(3 + 8), -(5 + 8)]
    assert np.isnan(worth[0, ~kernel.mask(state)[0]]).all()


# ---- training --------------------------------------------------------------------------------------------------------
def mean_makespan(policy: Any, problems: list[Any]) -> float:
    worlds = [p.scenario(7) for p in problems]
    return float(np.mean([episode.value for episode in rollout(problems, policy, worlds, seed=3)]))


@pytest.mark.parametrize("warm", [None, "rollout", "self-labelling"])
def test_learns_to_dispatch_better_than_chance(warm: Any) -> None:
    source = shops(jobs=5)
    test = source.sample(40, split="test")
    learner = GnnPPO(
        instances=6, rollouts=6, width=16, layers=2, check=9, warm_start=warm, warm_share=0.5, samples=4, updates=2
    )
    policy = learner.fit(source, budget=orrl.Budget(iterations=18), seed=0, val=source.sample(20, split="val"))
    learnt, chance = mean_makespan(policy, test), mean_makespan(RandomPolicy(), test)
    assert learnt < 0.95 * chance
    assert len(learner.log) == 18 and sum(row["warm"] for row in learner.log) == (9 if warm else 0)
    assert not any(p.content_hash in policy.seen for p in test) and len(policy.seen) > 90
    assert next(source.stream(0, "train")).content_hash in policy.seen


def test_every_switch_together() -> None:
    options = {**SMALL, "baseline": "value", "reward_clip": 3.0, "value_clip": 0.2, "value_first": 3, "epochs": 2}
    learner = GnnPPO(**options, warm_start="self-labelling", warm_share=0.1, reference_weight=0.1, worlds=2)
    source = shops(p=0.2)
    policy = learner.fit(source, budget=orrl.Budget(iterations=10), seed=0)
    assert policy.card["iterations"] == 10 and policy.card["options"]["baseline"] == "value"
    assert learner.log[-1]["value"] < learner.log[1]["value"]  # the value network has learnt something


def test_a_heavy_reference_holds_the_policy() -> None:
    def moved(weight: float) -> float:
        made = training(reference_weight=weight, learning_rate=3e-3)
        before = {k: v.clone() for k, v in made.net.named_parameters()}
        kernel, state = midway(shops().sample(8))
        first = made.policy.evaluate(kernel.graphs(state))[0]
        made.run([])
        assert any(not torch.equal(before[k], v) for k, v in made.net.named_parameters())
        last = made.policy.evaluate(kernel.graphs(state))[0]
        return float((np.exp(last) * (last - first)).clip(-50, 50).sum(axis=1).mean())

    assert moved(100.0) < 0.5 * moved(0.0)


def test_siblings_meet_the_same_noise_and_groups_do_not() -> None:
    made = training(shops(p=0.5))
    _, state, which = begin(made.policy, made._next(0.0), 4, made.rng)
    assert which == [b for b in range(4) for _ in range(4)]
    for b in range(0, 16, 4):
        for other in range(b, b + 4):
            np.testing.assert_array_equal(state.scenarios[other].extra, state.scenarios[b].extra)
    assert len({s.extra.tobytes() for s in state.scenarios}) == 4


def test_a_curriculum_comes_first() -> None:
    small, large = shops(jobs=3), shops(jobs=5)
    sizes = []
    learner = GnnPPO(**SMALL, curriculum=[(0.5, small)])
    made = Training(learner, Team(), fresh_policy(learner, large, 0, "cpu"), large, orrl.Budget(iterations=6), 0)
    for used in (0.0, 0.49, 0.5, 0.9):
        sizes.append({p.n_jobs for p in made._next(used)})
    assert sizes == [{3}, {3}, {5}, {5}]


def test_equal_seeds_give_equal_policies_and_others_do_not() -> None:
    nets = [GnnPPO(**SMALL).fit(shops(), budget=orrl.Budget(iterations=3), seed=s).net.state_dict() for s in (1, 1, 2)]
    assert all(torch.equal(nets[0][k], nets[1][k]) for k in nets[0])
    assert not all(torch.equal(nets[0][k], nets[2][k]) for k in nets[0])


def test_a_team_is_seeded_and_plays_more() -> None:
    learner = GnnPPO(**SMALL, workers=2)
    one, two = (learner.fit(shops(), budget=orrl.Budget(iterations=3), seed=1) for _ in range(2))
    alone = GnnPPO(**SMALL).fit(shops(), budget=orrl.Budget(iterations=3), seed=1)
    assert all(torch.equal(v, two.net.state_dict()[k]) for k, v in one.net.state_dict().items())
    assert one.card["steps"] > 1.5 * alone.card["steps"] and len(one.seen) == 2 * len(alone.seen)


def test_a_teams_gradient_is_the_mean() -> None:
    """Two members as threads of this process, with the same weights and other losses."""
    nets = [torch.nn.Linear(2, 1) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    table, barrier = multiprocessing.RawArray("d", 2 * 8), threading.Barrier(2)
    rows = [torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0, -4.0]])]

    def member(rank: int) -> None:
        nets[rank](rows[rank]).sum().backward()
        Team(rank, 2, table, barrier).average_gradients(nets[rank])

    threads = [threading.Thread(target=member, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for net in nets:
        assert net.weight.grad.tolist() == [[3.0, -1.0]] and net.bias.grad.tolist() == [1.0]


def test_a_member_that_dies_ends_the_training() -> None:
    team = Team(0, 2, multiprocessing.RawArray("d", 4), threading.Barrier(2))
    team.leave()
    with pytest.raises(TeamError, match="another process"):
        team.share(np.zeros(2))


# ---- files -----------------------------------------------------------------------------------------------------------
def test_a_saved_policy_decides_the_same(tmp_path: Path) -> None:
    policy = orrl.train(shops(), "gnn-ppo", budget=orrl.Budget(iterations=2), seed=0, **SMALL)
    policy.save(tmp_path / "p.orrl")
    again = orrl.load_policy(tmp_path / "p.orrl")
    test = shops(jobs=7).sample(5, split="test")  # larger than any it was trained on
    assert mean_makespan(again, test) == mean_makespan(policy, test)
    assert again.card == policy.card and again.seen == policy.seen
    result = orrl.solve(test[0], again)
    assert result.evaluation.feasible


def test_it_refuses_what_has_no_graph_and_other_graphs(tmp_path: Path) -> None:
    lake = orrl.load("fishery/paper-a", n=10)
    assert not GnnPPO().supports(lake)
    policy = GraphPolicy(5, 2, 8, 1)
    with pytest.raises(DataError, match="knows 5 features and 2 relations"):
        rollout(shops().sample(1), policy, [shops().sample(1)[0].nominal()])


def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    budget = orrl.Budget(iterations=8)
    options: dict[str, Any] = {**SMALL, "warm_start": "rollout", "samples": 2, "reference_weight": 0.1}
    straight = GnnPPO(**options)
    whole = straight.fit(shops(p=0.2), budget=budget, seed=0)

    def halt(event: Event) -> bool:
        return event.info["iteration"] == 4

    learner = GnnPPO(**options, checkpoint=tmp_path / "t.ckpt")
    learner.fit(shops(p=0.2), budget=budget, seed=0, callbacks=[halt])
    resumed = learner.fit(shops(p=0.2), budget=budget, seed=0)
    assert all(torch.equal(v, resumed.net.state_dict()[k]) for k, v in whole.net.state_dict().items())
    assert [row["return"] for row in learner.log] == [row["return"] for row in straight.log]
    with pytest.raises(FormatError, match="other options"):
        GnnPPO(**{**options, "rollouts": 2}, checkpoint=tmp_path / "t.ckpt").fit(shops(), budget=budget)


CHILD = """
import sys, orrl
from orrl import JobShop
source = JobShop.generator(jobs=4, machines=3, storage="blocking")
orrl.train(source, "gnn-ppo", budget=orrl.Budget(iterations=5000), instances=4, rollouts=4, width=8, layers=2, check=1,
           checkpoint=sys.argv[1])
"""


def test_a_killed_training_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "t.ckpt"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], env={**os.environ, "OMP_NUM_THREADS": "1"})
    begin = time.monotonic()
    while not path.exists() and child.poll() is None and time.monotonic() - begin < 120:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    learner = GnnPPO(instances=4, rollouts=4, width=8, layers=2, check=1, checkpoint=path)
    source = JobShop.generator(jobs=4, machines=3, storage="blocking")
    seen: list[int] = []

    def first(event: Event) -> bool:
        seen.append(int(event.info["iteration"]))
        return True

    learner.fit(source, budget=orrl.Budget(iterations=5000), callbacks=[first])
    assert len(seen) == 1 and seen[0] == len(learner.log) > 1


def test_fingerprints_find_what_was_seen() -> None:
    shown = [p.content_hash for p in shops().sample(20)]
    kept = Fingerprints.from_array(Fingerprints(shown).to_array())
    assert all(h in kept for h in shown) and len(kept) == 20
    assert not any(p.content_hash in kept for p in shops().sample(20, split="test"))
