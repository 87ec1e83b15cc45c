"""Dispatching rules: published figures, ties, caps on work in process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from orrl import load, solve
from orrl.core import rollout
from orrl.problems.jobshop import JobShop
from orrl.problems.jobshop.kernel import RULES
from orrl.problems.jobshop.rules import RulePolicy, rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Mean excess over the optimum in per cent, per group of five Lawrence instances, of correct non-delay rules: computed from
# the per-instance results that go with Corsini et al., "Self-Labeling the Job Shop Scheduling Problem", NeurIPS 2024.
LAWRENCE = {
    "10x5": ((1, 5), {"spt": 14.8, "mwkr": 15.9, "mopnr": 14.6}),
    "15x5": ((6, 10), {"spt": 14.9, "mwkr": 5.5, "mopnr": 5.0}),
    "20x5": ((11, 15), {"spt": 16.3, "mwkr": 5.2, "mopnr": 6.7}),
    "10x10": ((16, 20), {"spt": 15.7, "mwkr": 12.2, "mopnr": 11.9}),
    "15x10": ((21, 25), {"spt": 28.7, "mwkr": 17.8, "mopnr": 23.4}),
    "20x10": ((26, 30), {"spt": 36.9, "mwkr": 17.9, "mopnr": 21.9}),
    "30x10": ((31, 35), {"spt": 16.6, "mwkr": 9.2, "mopnr": 7.7}),
    "15x15": ((36, 40), {"spt": 25.8, "mwkr": 18.2, "mopnr": 18.6}),
}


def played(shop: JobShop, policy: RulePolicy, seed: int = 0) -> float:
    """Objective of one episode, taken by the referee."""
    (episode,) = rollout(shop, policy, [shop.nominal()], seed=seed, kernel_options={"compiled": True})
    verdict = shop.evaluate(shop.solution(episode))
    assert verdict.feasible
    return verdict.objective


@pytest.mark.parametrize(("name", "makespan"), [("ft10", 1108), ("la40", 1440), ("ta41", 2620)])
def test_most_work_remaining_has_its_published_makespan(data_root: Callable[[str], Path], name: str, makespan: int):
    data_root("jobshop")
    assert played(load(f"jobshop/{name}"), RulePolicy("mwkr")) == makespan


@pytest.mark.parametrize("group", LAWRENCE)
def test_excess_on_the_lawrence_instances(data_root: Callable[[str], Path], group: str):
    """Only ties differ, which is worth less than a point."""
    table = json.loads((data_root("jobshop") / "jsp_best_known.json").read_text())
    optimum = {row["instance"]: row["upper_bound"] for row in table if row["lower_bound"] == row["upper_bound"]}
    (first, last), expected = LAWRENCE[group]
    names = [f"la{i:02d}" for i in range(first, last + 1)]
    for rule, figure in expected.items():
        excess = [played(load(f"jobshop/{name}"), RulePolicy(rule)) / optimum[name] - 1 for name in names]
        assert 100 * np.mean(excess) == pytest.approx(figure, abs=1.0), (group, rule)


def test_every_rule_by_hand():
    """One machine, three jobs there now: the order in which each rule takes them."""
    shop = JobShop(
        machines=[[0, 1], [0, 2, 1], [0, 3]],
        durations=[[4, 6], [5, 2, 1], [3, 8]],
        release=[2, 1, 0],
        due=[20, 12, 14],
    ).replace(release=[0, 0, 0])
    order = {
        "spt": [2, 0, 1],  # 4 5 3
        "lpt": [1, 0, 2],
        "mwkr": [2, 0, 1],  # 10 8 11
        "lwkr": [1, 0, 2],
        "mopnr": [1, 0, 2],  # 2 3 2, the tie to the smaller number
        "fifo": [0, 1, 2],
        "edd": [1, 2, 0],
    }
    assert set(order) == set(RULES) - {"random"}
    for rule, jobs in order.items():
        (episode,) = rollout(shop, RulePolicy(rule), [shop.nominal()])
        entry = shop.solution(episode).start[:, 0]
        assert np.argsort(entry, kind="stable").tolist() == jobs, rule


def test_first_in_first_out_goes_by_the_arrival_at_the_machine():
    shop = JobShop(machines=[[0, 2], [1, 2], [2]], durations=[[5, 1], [3, 1], [6]])
    (episode,) = rollout(shop, RulePolicy("fifo"), [shop.nominal()])
    assert shop.solution(episode).start.tolist() == [[0, 7], [0, 6], [0, -1]]
    late = JobShop(machines=[[0], [0], [0]], durations=[[4]] * 3, release=[3, 2, 0])
    (episode,) = rollout(late, RulePolicy("fifo"), [late.nominal()])
    assert late.solution(episode).start.tolist() == [[8], [4], [0]]


def test_ties_go_to_the_smaller_number():
    shop = JobShop(machines=[[0]] * 4, durations=[[5]] * 4)
    for rule in set(RULES) - {"random"}:
        (episode,) = rollout(shop, RulePolicy(rule), [shop.nominal()])
        assert shop.solution(episode).start.tolist() == [[0], [5], [10], [15]], rule


def test_the_random_rule_depends_on_its_seed_alone():
    shop = JobShop(machines=[[0]] * 6, durations=[[5]] * 6, name="alike")
    orders = []
    for seed in (0, 0, 1, 2, 3):
        (episode,) = rollout(shop, RulePolicy("random"), [shop.nominal()], seed=seed)
        orders.append(episode.actions.tolist())
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) >= 3
    # every job is as likely as any other to go first
    episodes = rollout(shop, RulePolicy("random"), [shop.nominal()] * 3000, kernel_options={"compiled": True})
    counts = np.bincount([e.actions[0] for e in episodes], minlength=6)
    assert abs(counts - 500).max() < 5 * np.sqrt(3000 * 5 / 36)


def in_shop(schedule, moment: int) -> int:
    """Jobs that have entered and not left."""
    count = (schedule.machines >= 0).sum(axis=1)
    left = schedule.finish[np.arange(len(count)), count - 1]
    return int(((schedule.start[:, 0] <= moment) & (left > moment)).sum())


@pytest.mark.parametrize("storage", ["unlimited", "blocking"])
@pytest.mark.parametrize("cap", [1, 2, 4])
def test_a_cap_bounds_the_work_in_process(storage: str, cap: int):
    shop = JobShop.generate(seed=1, jobs=9, machines=5, storage=storage)
    for rule in RULES:
        (episode,) = rollout(shop, RulePolicy(rule, cap), [shop.nominal()])
        schedule = shop.solution(episode)
        most = max(in_shop(schedule, int(t)) for t in np.unique(schedule.start))
        assert most <= cap, rule
        assert most == cap, "and it is used"


def test_a_cap_pays_in_a_blocking_shop(data_root: Callable[[str], Path]):
    data_root("jobshop")
    names = [f"la{i:02d}" for i in (*range(1, 6), *range(16, 21))]
    table = [load(f"jobshop/{name}", storage="blocking") for name in names]
    open_, capped = ([played(shop, RulePolicy("mwkr", cap)) for shop in table] for cap in (0, 4))
    assert np.mean(capped) < np.mean(open_)


def test_without_swap_a_cap_of_one_cannot_deadlock():
    shop = JobShop.generate(seed=2, jobs=6, machines=4, storage="blocking", swap=False)
    assert solve(shop, ("mwkr", {"wip_cap": 1})).objective == shop.durations.sum()


def test_names():
    assert set(rules()) == set(RULES)
    assert rules()["spt"].name == "spt"
    assert RulePolicy("spt", wip_cap=3).name == "spt@3"


def test_unknown_rules_and_caps_are_errors():
    shop = JobShop(machines=[[0]], durations=[[1]])
    with pytest.raises(ValueError, match="rule is 'sptt': give one of random, spt"):
        RulePolicy("sptt")
    with pytest.raises(ValueError, match="wip_cap is -1"):
        RulePolicy("spt", wip_cap=-1)
    with pytest.raises(KeyError, match="unknown method 'sptt'; did you mean 'spt'"):
        solve(shop, "sptt")
    with pytest.raises(KeyError, match="unknown option of spt 'cap'"):
        solve(shop, ("spt", {"cap": 2}))


def test_rules_work_alike_from_solve_and_in_batches():
    shop = JobShop.generate(seed=5, jobs=6, machines=4, storage="blocking")
    for rule in set(RULES) - {"random"}:
        value = played(shop, RulePolicy(rule))
        assert solve(shop, rule).objective == value
        episodes = rollout(shop, RulePolicy(rule), [shop.nominal()] * 3, kernel_options={"compiled": True})
        assert [e.value for e in episodes] == [value] * 3
