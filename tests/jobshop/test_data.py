"""`JobShop`: refused input, immutability, content hash, round trips, running states, scenarios."""

from __future__ import annotations

import json
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop_strategies import SEEDS, play_on, shops

from orrl.core import HasGraph, HasKernel, HasRules, HasScenarios, rollout
from orrl.core.errors import DataError
from orrl.problems.jobshop import Interruptions, JobShop
from orrl.problems.jobshop.data import ShopState, UnmeetableDueDate
from orrl.problems.jobshop.interruptions import Outages
from orrl.problems.jobshop.kernel import ShopKernel
from orrl.problems.jobshop.rules import RulePolicy

GOOD = {"machines": [[0, 1], [1, 0]], "durations": [[3, 2], [2, 4]]}

BAD = {
    "unequal rows": ({"durations": [[3, 2], [2]]}, "job 1: 2 machines but 1 durations: give one duration"),
    "unequal jobs": ({"durations": [[3, 2]]}, "machines has 2 jobs, durations has 1"),
    "negative duration": ({"durations": [[3, 2], [2, -4]]}, "job 1, operation 1: duration -4 is negative"),
    "fractional duration": ({"durations": [[3, 2.5], [2, 4]]}, r"job 0, operation 1: .*2\.5.* is no whole number"),
    "missing duration": ({"durations": [[3, float("nan")], [2, 4]]}, "durations, job 0, operation 1: .*nan"),
    "huge duration": ({"durations": [[3, 2**41], [2, 4]]}, r"operation 1: duration 2199023255552 is above 2\*\*40"),
    "beyond 64 bits": ({"durations": [[3, 10**30], [2, 4]]}, "durations, job 0: .* are not whole numbers"),
    "words": ({"durations": [["three", 2], [2, 4]]}, "durations, job 0: .*three.* are not whole numbers"),
    "a number for a table": ({"machines": 5}, "machines is 5: give one sequence of whole numbers per job"),
    "a table for a row": ({"machines": [[[0]], [[1]]]}, "machines, job 0: expected a sequence of whole numbers"),
    "a ragged row": ({"machines": [[0, [1, 2]], [1, 0]]}, "machines, job 0: expected a sequence of whole numbers"),
    "negative machine": (
        {"machines": [[0, -1, 1], [1, 0, 1]], "durations": [[1, 1, 1]] * 2},
        "job 0: operation 1 has machine -1",
    ),
    "unknown machine": ({"machine_names": ["saw"]}, "machine 1 is used but only 1 machine_names are given"),
    "empty shop": ({"machines": [], "durations": []}, "the shop is empty"),
    "empty jobs": ({"machines": [[], []], "durations": [[], []]}, "the shop is empty"),
    "an empty job": ({"machines": [[0, 1], []], "durations": [[3, 2], []]}, "job 1 has no operation"),
    "job names": ({"job_names": ["axle"]}, "1 job_names for 2 jobs"),
    "storage": ({"storage": "none"}, "storage is 'none': give 'unlimited' or 'blocking'"),
    "objective": ({"objective": "cost"}, "objective is 'cost': give one of makespan, total_flow, weighted_tardiness"),
    "no due dates": ({"objective": "weighted_tardiness"}, "needs due dates: give due="),
    "due before release": ({"release": [9, 0], "due": [8, 9]}, "job 0: due date 8 lies before its release date 9"),
    "negative release": ({"release": [0, -1]}, "release, job 1: -1: give a whole number from 0"),
    "release of another shape": ({"release": [0]}, r"release has shape \(1,\): give one value for each of the 2 jobs"),
    "words for weights": ({"weights": ["a", "b"]}, "weights is .* give whole numbers of at least 0"),
    "missing weight": ({"weights": [1.0, float("nan")]}, "weights, job 1: nan"),
    "standing still": (
        {"machines": [[0, 1], [1, 1]], "storage": "blocking"},
        "job 1: operations 0 and 1 are both on machine 1: join them into one",
    ),
    "maintenance machine": ({"maintenance": [(2, 0, 5)]}, r"maintenance \(2, 0, 5\): give \(machine, begin, end\)"),
    "maintenance order": ({"maintenance": [(0, 5, 5)]}, r"maintenance \(0, 5, 5\)"),
    "maintenance fraction": ({"maintenance": [(0, 1.5, 5)]}, r"maintenance \(0, 1.5, 5\)"),
    "maintenance length": ({"maintenance": [(0, 1)]}, r"maintenance \(0, 1\)"),
    "state shape": (
        {"state": ShopState(0, np.full((1, 2), -1), Outages(np.zeros((1, 2), np.int64)))},
        r"state.start has shape \(1, 2\): give one value per operation, \(2, 2\)",
    ),
    "state order": (
        {"state": ShopState(4, np.array([[-1, 3], [0, -1]]), Outages(np.zeros((2, 2), np.int64)))},
        "state.start of job 0 is .*: operations start in order",
    ),
    "state after now": (
        {"state": ShopState(4, np.array([[0, 5], [0, -1]]), Outages(np.zeros((2, 2), np.int64)))},
        r"state.start of job 0 is \[0, 5\]: starts may not decrease, nor lie after now \(4\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_names_its_place(case):
    changes, message = BAD[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=message):
            JobShop(**{**GOOD, **changes})


def test_the_users_names_stand_in_the_errors():
    with pytest.raises(DataError, match="wheel, operation 0: duration -2"):
        JobShop(machines=[[0], [0]], durations=[[1], [-2]], job_names=["axle", "wheel"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"law": "daily"}, "law is 'daily': give 'per_start' or 'mtbf'"),
        ({"mode": "scrap"}, "mode is 'scrap'"),
        ({"p": 1.5}, r"p is 1.5: give a probability in \[0, 1\]"),
        ({"p": float("nan")}, "p is nan"),
        ({"law": "mtbf"}, "mtbf is 0.0: give a positive mean time"),
        ({"outage": (0, 5)}, r"outage is \(0, 5\): give integers 1 <= low <= high"),
        ({"outage": (5, 4)}, r"outage is \(5, 4\)"),
        ({"outage": (1.5, 4)}, r"outage is \(1.5, 4\)"),
        ({"outage": (4,)}, r"outage is \(4,\)"),
    ],
)
def test_bad_interruptions(options, message):
    with pytest.raises(DataError, match=message):
        Interruptions(**options)


# ---- dates ---------------------------------------------------------------------------------------------------------
def test_an_unmeetable_due_date_is_said_once():
    with pytest.warns(
        UnmeetableDueDate, match="1 job.* late in every schedule, e.g. job 1: due 5, earliest completion 6"
    ):
        shop = JobShop(**GOOD, due=[9, 5], objective="weighted_tardiness")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy = pickle.loads(pickle.dumps(shop)).replace(name="again")
        (episode,) = rollout(copy, RulePolicy("edd"), [copy.nominal()])
        assert copy.at(episode.final).accrued == episode.value == 2
    with pytest.warns(UnmeetableDueDate):
        shop.replace(due=[1, 9])


# ---- immutability --------------------------------------------------------------------------------------------------
def test_a_shop_cannot_be_changed():
    shop = JobShop(**GOOD, release=[0, 1], due=[20, 20], weights=[1, 2], maintenance=[(0, 5, 6)])
    before = shop.content_hash
    with pytest.raises(AttributeError, match=r"JobShop is immutable: make a new one with .replace\(swap=...\)"):
        shop.swap = False
    for name in ("machines", "durations", "n_operations", "release", "due", "weights", "maintenance"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(shop, name)[...] = 7
    source = np.array(GOOD["durations"])
    own = JobShop(machines=GOOD["machines"], durations=source)
    source[0, 0] = 99
    assert own.durations[0, 0] == 3
    assert shop.content_hash == before


# ---- content hash --------------------------------------------------------------------------------------------------
def test_the_hash_does_not_depend_on_padding_dtype_or_names():
    ragged = JobShop(machines=[[0, 1], [1]], durations=[[3, 2], [4]])
    same = [
        JobShop(machines=[[0, 1, -1, -1], [1, -1, -1, -1]], durations=[[3, 2, 0, 0], [4, 0, 0, 0]]),
        JobShop(machines=np.array([[0, 1], [1, -1]], np.int8), durations=np.array([[3.0, 2.0], [4.0, 0.0]])),
        JobShop(machines=((0, 1), (1,)), durations=((3, 2), (4,)), name="x", job_names="ab", machine_names=["m", "n"]),
        ragged.replace(release=np.array([0, 0], np.int16), weights=[1, 1]),
        pickle.loads(pickle.dumps(ragged)),
    ]
    for other in same:
        assert other.content_hash == ragged.content_hash
        assert other.machines.shape == (2, 2)


def test_the_hash_depends_on_everything_else():
    shop = JobShop(**GOOD, due=[20, 20])
    state = ShopState(0, np.full((2, 2), -1), Outages(np.zeros((2, 2), np.int64)))
    others = [
        shop.replace(durations=[[3, 2], [2, 5]]), shop.replace(storage="blocking"), shop.replace(release=[0, 1]),
        shop.replace(storage="blocking", swap=False), shop.replace(due=[20, 21]), shop.replace(weights=[1, 2]),
        shop.replace(objective="total_flow"), shop.replace(maintenance=[(0, 3, 4)]), shop.at(state),
        shop.replace(interruptions=Interruptions(p=0.1)), shop.replace(interruptions=Interruptions(p=0.2)),
        shop.replace(machine_names=["a", "b", "never used"]), shop.replace(due=None),
    ]  # fmt: skip
    assert len({s.content_hash for s in [shop, *others]}) == 1 + len(others)
    # swap means nothing without blocking, the law means nothing at probability 0
    assert shop.replace(swap=False).content_hash == shop.content_hash
    assert shop.replace(interruptions=Interruptions(p=0.0, outage=(3, 4))).content_hash == shop.content_hash


def test_equal_hashes_have_equal_scenarios():
    """Padding is not content, so it may not change what a seed means."""
    law = Interruptions(p=0.5)
    tight = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 2], [2, 4]], interruptions=law)
    wide = JobShop(machines=[[0, 1, -1], [1, 0, -1]], durations=[[3, 2, 0], [2, 4, 0]], interruptions=law)
    assert tight.content_hash == wide.content_hash
    assert tight.scenario(3).to_dict() == wide.scenario(3).to_dict()


@given(shops(), SEEDS, st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_dict_pickle_and_replace_keep_the_content(shop, seed, steps):
    kernel = ShopKernel([shop], compiled=True)
    state = kernel.reset([shop.scenario(seed)])
    play_on(kernel, state, np.random.default_rng(seed), steps)
    for one in (shop, shop.at(kernel.snapshot(state, 0))):
        copies = [
            JobShop.from_dict(json.loads(json.dumps(one.to_dict()))),
            pickle.loads(pickle.dumps(one)),
            one.replace(),
        ]
        for copy in copies:
            assert copy.content_hash == one.content_hash
            assert copy.to_dict() == one.to_dict()
            assert copy.scenario(seed).to_dict() == one.scenario(seed).to_dict()


def test_replace_keeps_the_rest():
    shop = JobShop(**GOOD, storage="blocking", swap=False, release=[1, 2], job_names=["a", "b"], name="mine")
    other = shop.replace(swap=True)
    assert (other.swap, other.storage, other.name, other.job_names) == (True, "blocking", "mine", ("a", "b"))
    assert other.release.tolist() == [1, 2]


# ---- names and words -----------------------------------------------------------------------------------------------
def test_variants_and_words():
    shop = JobShop(**GOOD)
    assert shop.variant == "JSP"
    assert shop.replace(storage="blocking").variant == "BWS"
    assert shop.replace(storage="blocking", swap=False).variant == "BNS"
    assert shop.replace(storage="blocking", interruptions=Interruptions(p=0.1)).variant == "ISBJSSP"
    assert (shop.n_jobs, shop.n_machines, shop.objective.sense, shop.accrued) == (2, 2, "min", 0.0)
    assert shop.name_action(0) == "move job 0"
    assert shop.name_action(2) == "wait"
    assert shop.describe()["operations"] == 4
    assert repr(shop).startswith("<JobShop jobshop 2x2 JSP makespan ")
    for capability in (HasKernel, HasScenarios, HasRules, HasGraph):
        assert shop.supports(capability)


# ---- running states ------------------------------------------------------------------------------------------------
def test_what_had_accrued_at_a_state():
    past = Outages(np.zeros((2, 2), np.int64))
    state = ShopState(6, np.array([[0, 3], [0, -1]]), past)  # job 0 done at 5
    shop = JobShop(**GOOD, release=[0, 0], due=[5, 6], weights=[2, 3])
    for objective, value in (("makespan", 6), ("total_flow", 5 + 6), ("weighted_tardiness", 0)):
        assert shop.replace(objective=objective).at(state).accrued == value
    late = ShopState(9, np.array([[0, 3], [0, -1]]), past)
    assert shop.replace(objective="weighted_tardiness").at(late).accrued == 3 * 3
    delayed = ShopState(9, np.array([[0, 3], [0, -1]]), Outages(np.array([[0, 3], [0, 0]])))  # job 0 done at 8
    assert shop.replace(objective="weighted_tardiness").at(delayed).accrued == 2 * 3 + 3 * 3


def test_a_state_keeps_its_past_in_every_scenario():
    law = Interruptions(law="mtbf", mtbf=4.0, outage=(2, 3))
    shop = JobShop(**GOOD, interruptions=law)
    past = Outages(np.array([[1, 0], [0, 0]]), np.array([[1, 2, 9]]))
    running = shop.at(ShopState(4, np.array([[0, -1], [0, -1]]), past))
    for world in (running.nominal(), *(running.scenario(seed) for seed in range(20))):
        assert world.extra.tolist() == [[1, 0], [0, 0]]
        assert world.windows[0].tolist() == [1, 2, 9]
        later = world.windows[1:]
        assert (later[:, 1] > 4).all()
        assert not ((later[:, 0] == 1) & (later[:, 1] < 9)).any(), "a machine that is down cannot break down"
    assert len(running.nominal().windows) == 1


# ---- scenarios -----------------------------------------------------------------------------------------------------
def test_scenarios_depend_on_the_seed_alone():
    shop = JobShop.generate(seed=0, jobs=5, machines=4, interruptions=Interruptions(p=0.4))
    assert shop.stochastic
    assert shop.scenario(1).to_dict() == shop.scenario(1).to_dict()
    assert shop.scenario(1).to_dict() != shop.scenario(2).to_dict()
    assert not shop.nominal().extra.any()
    calm = shop.replace(interruptions=None)
    assert not calm.stochastic
    assert calm.scenario(1).to_dict() == calm.nominal().to_dict() == shop.nominal().to_dict()


def test_outages_at_starts_follow_their_law():
    durations = np.full((200, 50), 40)
    low, high = 3, 8
    for mode in ("resume", "repeat"):
        extra = Interruptions(p=0.25, outage=(low, high), mode=mode).draw(durations, 5, 0).extra
        share = (extra > 0).mean()
        assert abs(share - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 10_000)
        if mode == "resume":
            assert np.array_equal(np.unique(extra[extra > 0]), np.arange(low, high + 1))
        else:  # the part that was done is lost
            assert low <= extra[extra > 0].min() < high
            assert 40 < extra.max() < high + 40
    # equal seeds strike the same operations at every probability
    few, many = (Interruptions(p=p).draw(durations, 5, 7).extra for p in (0.1, 0.3))
    assert ((few > 0) <= (many > 0)).all()
    assert np.array_equal(few[few > 0], many[few > 0])


def test_breakdowns_follow_their_law():
    law = Interruptions(law="mtbf", mtbf=60.0, outage=(5, 15))
    world = law.draw(np.full((100, 100), 50), 3, 0)
    assert not world.extra.any()
    for m in range(3):
        windows = world.windows[world.windows[:, 0] == m]
        begin, end = windows[:, 1], windows[:, 2]
        up = begin - np.concatenate([[0], end[:-1]])
        assert (up >= 1).all()
        assert abs(up.mean() - 60) < 5 * 60 / np.sqrt(len(up))
        assert np.array_equal(np.unique(end - begin), np.arange(5, 16))
        assert begin.max() < 4 * 100 * 100 * 50
    fewer = law.draw(np.full((100, 100), 50), 2, 0)
    assert np.array_equal(world.windows[world.windows[:, 0] < 2], fewer.windows), "each machine has its own stream"
