"""Best-of-n and Monte-Carlo rollout: valid, limited, seeded, and better than what they are built on."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import pytest

import orrl
from orrl.core import Trajectory, rollout
from orrl.core.playout import playout
from orrl.core.policy import View
from orrl.problems.jobshop.kernel import ShopKernel
from orrl.solvers.search.mc_rollout import MonteCarloPolicy, MonteCarloRollout


@pytest.fixture(scope="module")
def shops() -> list[orrl.JobShop]:
    return [orrl.JobShop.generate(seed=s, jobs=8, machines=5, storage="blocking") for s in range(6)]


def mean(shops: list[orrl.JobShop], method: object, **options: object) -> float:
    return float(np.mean([orrl.solve(s, method, **options).objective for s in shops]))


def test_search_beats_rules_and_more_search_is_better(shops: list[orrl.JobShop]) -> None:
    rule, few, many = mean(shops, "mwkr"), mean(shops, "best-of-n", n=10), mean(shops, "best-of-n", n=1000)
    look = mean(shops, "rollout", samples=50)
    assert many < few < mean(shops, "random")
    assert look < rule and look < few


def test_best_of_n_contains_its_smaller_self(shops: list[orrl.JobShop]) -> None:
    results = [orrl.solve(shops[0], "best-of-n", n=n, batch=50) for n in (50, 500)]
    assert results[1].objective <= results[0].objective
    assert results[1].meta["episodes"] == 500 and results[1].stop == "iterations"
    assert [p.objective for p in results[1].trace.points] == sorted(
        (p.objective for p in results[1].trace.points), reverse=True
    )


@pytest.mark.parametrize("method", ["best-of-n", "rollout"])
def test_time_limit_returns_a_schedule(method: str) -> None:
    shop = orrl.JobShop.generate(seed=0, jobs=20, machines=15, storage="blocking")
    ShopKernel([shop], compiled=True).reset([shop.scenario(0)])
    options = {"n": 10**9} if method == "best-of-n" else {"samples": 400}
    begin = time.perf_counter()
    result = orrl.solve(shop, method, time_limit=1.0, **options)
    assert time.perf_counter() - begin < 1.05 * 1.0 + 1.0
    assert result.status == "feasible" and result.evaluation.feasible


def test_a_callback_stops_best_of_n(shops: list[orrl.JobShop]) -> None:
    result = orrl.solve(shops[0], "best-of-n", n=10**9, callbacks=[lambda event: event.kind == "incumbent"])
    assert result.stop == "user" and result.objective is not None


def test_rollout_is_seeded_and_idle_is_an_option(shops: list[orrl.JobShop]) -> None:
    a, b = (orrl.solve(shops[1], "rollout", samples=20, seed=5).objective for _ in range(2))
    assert a == b
    assert orrl.solve(shops[1], "rollout", samples=20, idle=True).status == "feasible"
    assert orrl.solve(shops[1], "rollout", samples=20, criterion="best").status == "feasible"
    with pytest.raises(ValueError, match="criterion"):
        MonteCarloPolicy(criterion="median")  # type: ignore[arg-type]


def test_rollout_under_outages_beats_random(shops: list[orrl.JobShop]) -> None:
    cut = shops[0].replace(interruptions=orrl.Interruptions(p=0.2))
    look = orrl.simulate(cut, "rollout", samples=20, scenarios=12, seed=1)
    chance = orrl.simulate(cut, "random", scenarios=12, seed=1)
    assert look.seeds == chance.seeds
    assert look.mean < chance.mean


def test_no_swap_may_end_every_episode_in_a_deadlock() -> None:
    shop = orrl.JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 2], [2, 4]], storage="blocking", swap=False)
    result = orrl.solve(shop, "mwkr")
    assert result.status == "no_solution" and result.stop == "failure" and "deadlock" in result.message
    found = orrl.solve(shop, "best-of-n", n=200)
    assert found.status in ("feasible", "no_solution")


def test_playout_without_a_fast_kernel_is_the_same_game() -> None:
    shop = orrl.JobShop.generate(seed=3, jobs=4, machines=3)
    kernel = ShopKernel([shop])

    class Slow:
        """The same kernel without its fast playout."""

        def __getattr__(self, name: str) -> object:
            if name == "playout":
                raise AttributeError(name)
            return getattr(kernel, name)

    state = kernel.reset([shop.scenario(0)] * 5)
    rest = playout(Slow(), state, seed=1)
    for b in range(5):
        final = kernel.snapshot(state, b)
        episode = Trajectory(shop, shop.scenario(0), np.zeros(0, np.int64), np.zeros(0), final, False)
        assert shop.evaluate(shop.solution(episode)).objective == -rest[b]


def test_rollout_of_the_policy_object_in_a_batch(shops: list[orrl.JobShop]) -> None:
    episodes = rollout(shops[:3], MonteCarloPolicy(10), [s.scenario(0) for s in shops[:3]], seed=2)
    assert [e.value for e in episodes] == [
        s.evaluate(s.solution(e)).objective for s, e in zip(shops, episodes, strict=False)
    ]


def test_rollout_takes_the_kernels_own_completions(shops: list[orrl.JobShop], monkeypatch: pytest.MonkeyPatch) -> None:
    """Under no or ignored randomness, and they are those of the general simulator."""
    real, asked = ShopKernel.completions, []

    def general(self: ShopKernel, *args: Any, **options: Any) -> Any:
        asked.append(options["mask"])
        return real(self, *args, **options, general=True)

    cut = [shop.replace(interruptions=orrl.Interruptions(p=0.3)) for shop in shops[:3]]
    cases: list[tuple[list[orrl.JobShop], dict[str, Any]]] = [
        (shops[:3], {}),
        (shops[:3], {"idle": True, "criterion": "best"}),
        (shops[:3], {"chunk": 1}),  # one sample of all rows at a time
        (cut, {"certain": True}),
    ]
    for some, options in cases:
        worlds, policy = [shop.scenario(4) for shop in some], MonteCarloPolicy(9, **options)
        played = [episode.actions.tolist() for episode in rollout(some, policy, worlds, seed=3)]
        with monkeypatch.context() as patched:
            patched.setattr(ShopKernel, "completions", general)
            assert [e.actions.tolist() for e in rollout(some, policy, worlds, seed=3)] == played
        assert asked and any(mask[:, -1].any() for mask in asked) == policy.idle
        assert all((mask.sum(axis=1) != 1).all() for mask in asked)  # no work where there is no choice
        asked.clear()
    monkeypatch.setattr(ShopKernel, "completions", general)
    rollout(cut, MonteCarloPolicy(2), [shop.scenario(4) for shop in cut])
    assert not asked  # fresh scenarios


class Checked:
    """A deadline that has passed after some looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    @property
    def passed(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("criterion", ["mean", "best"])
@pytest.mark.parametrize("chunk", [1, 40, 10**6])
def test_rollout_by_hand(shops: list[orrl.JobShop], criterion: Any, chunk: int) -> None:
    """Many states of several shops at once: the choice is that of all completions of all calls."""
    asked: list[dict[str, Any]] = []

    class Watched(ShopKernel):
        def completions(self, state: Any, samples: int, **options: Any) -> Any:
            asked.append({"samples": samples, **options})
            return super().completions(state, samples, **options)

    kernel, rng = Watched(shops[:4]), np.random.default_rng(0)
    state = kernel.reset([shop.scenario(0) for shop in shops[:4]])
    policy = MonteCarloPolicy(7, criterion, chunk=chunk)
    policy.reset(shops[0], seed=2)
    calls = set()
    while (mask := kernel.mask(state)).any():
        policy.deadline = Checked(100)  # type: ignore[assignment]
        done = ~mask.any(axis=1)
        chosen = policy.act(None, {"action_mask": mask, "view": View(kernel, state, range(4)), "done": done})
        legal = mask.copy()
        legal[:, -1] &= legal.sum(axis=1) < 2
        choice = legal.sum(axis=1) > 1
        calls.add(len(asked))
        assert sum(call["samples"] for call in asked) == 7 * bool(choice.any())
        assert len({call["seed"] for call in asked}) == len(asked)
        assert all(call["samples"] * call["mask"].sum() <= max(chunk, call["mask"].sum()) for call in asked)
        worth = [ShopKernel.completions(kernel, state, call["samples"], seed=call["seed"]) for call in asked]
        for b in range(4):
            first = int(legal[b].argmax()) if legal[b].any() else -1
            if not choice[b]:
                assert chosen[b] == first
                continue
            found = np.concatenate([part[b] for part in worth], axis=1)
            value = found.mean(axis=1) if criterion == "mean" else found.max(axis=1)
            assert value[chosen[b]] == pytest.approx(value[legal[b]].max())
        asked.clear()
        step = [rng.choice(np.flatnonzero(row)) if row.any() else -1 for row in mask]
        kernel.step(state, np.array(step))
    assert max(calls) == {1: 7, 40: max(calls), 10**6: 1}[chunk] and (chunk != 40 or max(calls) > 1)


def test_rollout_looks_at_its_deadline_between_chunks(shops: list[orrl.JobShop]) -> None:
    kernel = ShopKernel(shops[:1])
    state = kernel.reset([shops[0].scenario(0)])
    mask, asked = kernel.mask(state), []
    real = kernel.completions
    kernel.completions = lambda *a, **k: (asked.append(1), real(*a, **k))[1]  # type: ignore[method-assign]
    policy = MonteCarloPolicy(50, chunk=1)
    for looks in (0, 3):
        policy.reset(shops[0])
        policy.deadline = Checked(looks)  # type: ignore[assignment]
        done = np.zeros(1, np.bool_)
        chosen = policy.act(None, {"action_mask": mask, "view": View(kernel, state, [0]), "done": done})
        assert mask[0, chosen[0]] and len(asked) == looks
        asked.clear()


def test_rollout_keeps_its_time_limit_where_there_is_no_short_cut() -> None:
    shop = orrl.JobShop.generate(seed=1, jobs=30, machines=10, storage="blocking")
    shop = shop.replace(objective="total_flow")
    begin = time.perf_counter()
    result = orrl.solve(shop, "rollout", samples=100, time_limit=0.5)
    assert result.status == "feasible" and time.perf_counter() - begin < 0.5 + 1.5


def test_certain_rollout(shops: list[orrl.JobShop], monkeypatch: pytest.MonkeyPatch) -> None:
    """Everywhere it is said: in options, in batches with a shop that nothing disturbs, and on any kernel."""
    real, asked = ShopKernel.completions, []

    def watched(self: ShopKernel, *args: Any, **options: Any) -> Any:
        asked.append(self)
        return real(self, *args, **options)

    monkeypatch.setattr(ShopKernel, "completions", watched)
    cut = shops[0].replace(interruptions=orrl.Interruptions(p=0.3))
    for certain in (False, True):
        orrl.solve(cut, "rollout", samples=2, certain=certain, scenarios=2)
        assert bool(asked) == MonteCarloRollout(certain=certain).options()["certain"] == certain
        rollout([cut, shops[1]], MonteCarloPolicy(2, certain=certain), [s.scenario(0) for s in (cut, shops[1])])
        assert bool(asked) == certain
        asked.clear()


def test_certain_completions_of_any_kernel_meet_the_nominal_scenario() -> None:
    stock = orrl.load("fishery/paper-a", sigma_g=0.15, sigma_m=0.0)
    met: list[Any] = []

    class Watched(type(stock).kernel([stock]).__class__):  # type: ignore[misc]
        def clone(self, state: Any, scenarios: Any, rows: Any) -> Any:
            met.extend(scenarios)
            return super().clone(state, scenarios, rows)

    assert not hasattr(Watched, "completions")
    for certain in (False, True):
        kernel = Watched([stock])
        state = kernel.reset([stock.scenario(1)])
        policy = MonteCarloPolicy(3, certain=certain)
        policy.reset(stock)
        info = {"action_mask": kernel.mask(state), "view": View(kernel, state, [0]), "done": np.zeros(1, np.bool_)}
        assert info["action_mask"][0, policy.act(None, info)[0]]
        nominal = stock.nominal().to_dict()
        assert met and all((world.to_dict() == nominal) == certain for world in met)
        met.clear()


# ---- a learnt policy inside ----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def learnt() -> orrl.core.Policy:
    source = orrl.JobShop.generator(jobs=6, machines=4, storage="blocking")
    options = {"instances": 6, "rollouts": 6, "width": 8, "layers": 2, "updates": 2}
    return orrl.train(source, "gnn-ppo", budget=orrl.Budget(iterations=12), seed=0, **options)


def test_the_best_of_drawn_episodes_is_no_worse_than_the_likeliest(shops: list[orrl.JobShop], learnt: Any) -> None:
    for shop in shops[:3]:
        first = orrl.solve(shop, learnt)
        one = orrl.solve(shop, "best-of-n", policy=learnt, n=1)
        many = orrl.solve(shop, "best-of-n", policy=learnt, n=24, batch=8)
        assert one.objective == first.objective
        assert many.objective <= one.objective and many.meta["episodes"] == 24
        assert many.evaluation.feasible and learnt.greedy


def test_temperature(shops: list[orrl.JobShop], learnt: Any) -> None:
    worlds = [shop.scenario(0) for shop in shops]

    def drawn(policy: Any) -> Any:
        return np.array([episode.value for episode in rollout(shops, policy, worlds, seed=1)])

    np.testing.assert_array_equal(drawn(learnt.sampled(1e-6)), drawn(learnt))
    assert drawn(learnt).mean() < drawn(learnt.sampled(1e6)).mean()  # nearly uniform
    found = [
        [orrl.solve(s, "best-of-n", policy=learnt, n=30, temperature=t).objective for s in shops] for t in (1e-6, 5.0)
    ]
    assert found[0] == drawn(learnt).tolist()
    assert all(b <= a for a, b in zip(*found, strict=True)) and found[1] != found[0]
    for wrong in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="temperature is"):
            learnt.sampled(wrong)
        with pytest.raises(ValueError, match="temperature is"):
            orrl.solve(shops[0], "best-of-n", policy=learnt, n=1, temperature=wrong)
    with pytest.raises(orrl.core.errors.NotSupportedError, match="random episodes"):
        orrl.solve(shops[0], "best-of-n", n=3, temperature=2.0)
    rule: Any = shops[0].rules()["mwkr"]
    with pytest.raises(orrl.core.errors.NotSupportedError, match="no temperature"):
        orrl.solve(shops[0], "best-of-n", policy=rule, n=3, temperature=2.0)


def test_looking_ahead_with_a_policy_is_better_than_the_policy(shops: list[orrl.JobShop], learnt: Any) -> None:
    alone = mean(shops, learnt)
    ahead = mean(shops, "rollout", base=learnt, samples=1)
    assert ahead < 0.97 * alone


def test_the_best_completion_is_kept(shops: list[orrl.JobShop], learnt: Any) -> None:
    for options in ({"samples": 5}, {"samples": 1, "base": learnt}, {"samples": 2, "base": learnt.sampled()}):
        pairs = [[orrl.solve(s, "rollout", keep_best=k, **options) for k in (False, True)] for s in shops[:4]]
        assert all(kept.objective <= plain.objective and kept.evaluation.feasible for plain, kept in pairs)
        chance = options != {"samples": 1, "base": learnt}  # else each episode follows the best completion anyway
        assert any(kept.objective < plain.objective for plain, kept in pairs) == chance
    shop = orrl.JobShop.generator(jobs=4, machines=3, storage="blocking", p=0.5).sample(1)[0]
    plain, kept = (orrl.solve(shop, "rollout", samples=3, keep_best=k, scenarios=5) for k in (False, True))
    assert plain.objective == kept.objective  # a completion of another scenario is no solution of this one


def test_a_policy_of_one_instance_stays_with_it(shops: list[orrl.JobShop], learnt: Any) -> None:
    own = copy.copy(learnt)
    own.scope, own.seen = "instance", {shops[0].content_hash}
    for method, options in (("best-of-n", {"policy": own, "n": 2}), ("rollout", {"base": own, "samples": 1})):
        assert orrl.solve(shops[0], method, **options).evaluation.feasible
        with pytest.raises(orrl.core.errors.NotSupportedError, match="another content hash"):
            orrl.solve(shops[1], method, **options)


def test_a_rule_has_no_law() -> None:
    shop = orrl.JobShop.generate(seed=0, jobs=3, machines=2, storage="blocking")
    with pytest.raises(orrl.core.errors.NotSupportedError, match="no law"):
        orrl.solve(shop, "best-of-n", policy=shop.rules()["mwkr"], n=3)
