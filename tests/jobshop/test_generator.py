"""Random shops: reproducible, split into streams that never meet, and with a planted optimum that is one."""

import itertools
import json
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ortools.sat.python import cp_model

from orrl.core.errors import DataError, NotSupportedError, UnknownNameError
from orrl.core.learner import SPLITS, Generator, Split
from orrl.core.rollout import rollout
from orrl.problems.jobshop import Interruptions, JobShop, Schedule
from orrl.problems.jobshop.generator import ShopGenerator
from orrl.problems.jobshop.planted import plan
from orrl.problems.jobshop.taillard import SEEDS, generate_taillard, taillard


# ---- one random shop -------------------------------------------------------------------------------------------------
def test_generate_is_reproducible_and_uniform() -> None:
    shop = JobShop.generate(seed=3, jobs=200, machines=6, storage="blocking")
    assert shop.content_hash == JobShop.generate(seed=3, jobs=200, machines=6, storage="blocking").content_hash
    assert shop.content_hash != JobShop.generate(seed=4, jobs=200, machines=6, storage="blocking").content_hash
    assert shop.variant == "BWS"
    assert (np.sort(shop.machines, axis=1) == np.arange(6)).all()
    assert shop.durations.min() == 1
    assert shop.durations.max() == 99
    assert shop.durations.mean() == pytest.approx(50, abs=4 * 28.6 / np.sqrt(1200))  # four standard errors
    first = np.bincount(shop.machines[:, 0], minlength=6)
    assert ((first - 200 / 6) ** 2 / (200 / 6)).sum() < 20.5  # chi-square, 5 degrees of freedom, p = 0.001


def test_generate_ragged_routes_and_durations() -> None:
    shop = JobShop.generate(seed=0, jobs=60, machines=5, operations=(2, 4), low=7, high=9, name="mine")
    assert set(shop.n_operations.tolist()) == {2, 3, 4}
    assert set(shop.durations[shop.machines >= 0].tolist()) == {7, 8, 9}
    assert all(len(set(row[row >= 0])) == n for row, n in zip(shop.machines, shop.n_operations, strict=True))
    assert shop.name == "mine"
    lonely = JobShop.generate(seed=0, jobs=1, machines=8, operations=1)
    assert lonely.n_machines == 8  # also those that nobody visits


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"jobs": 0, "machines": 2}, "jobs is 0"),
        ({"jobs": (2, 3), "machines": 2}, r"JobShop\.generator"),
        ({"jobs": 2, "machines": 3, "operations": 4}, "operations is 4: .* at most 3"),
        ({"jobs": 2, "machines": 3, "operations": (3, 2)}, r"operations is \(3, 2\)"),
        ({"jobs": 2, "machines": 3, "low": 5, "high": 4}, r"\(low, high\) is \(5, 4\)"),
    ],
)
def test_generate_refuses(size: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        JobShop.generate(seed=0, **size)


# ---- a distribution --------------------------------------------------------------------------------------------------
RICH = ShopGenerator(
    jobs=(3, 6),
    machines=(2, 4),
    operations=(2, 3),
    storage="blocking",
    interruptions=Interruptions(outage=(1, 5), mode="repeat"),
    p=(0.0, 0.3),
    objective="weighted_tardiness",
    release=(0, 40),
    tightness=(1.2, 1.6),
    weights=(1, 5),
    ood=ShopGenerator(jobs=(10, 12), machines=5),
)


def test_sample_respects_its_ranges() -> None:
    shops = RICH.sample(80)
    assert isinstance(RICH, Generator)
    assert {s.n_jobs for s in shops} == {3, 4, 5, 6}
    assert {s.n_machines for s in shops} == {2, 3, 4}
    assert {int(n) for s in shops for n in s.n_operations} == {2, 3}
    assert all(s.storage == "blocking" and s.objective.name == "weighted_tardiness" for s in shops)
    assert all(0 <= s.interruptions.p <= 0.3 and s.interruptions.mode == "repeat" for s in shops)
    assert len({s.interruptions.p for s in shops}) > 70
    for shop in shops:
        assert shop.due is not None
        work = shop.durations.sum(axis=1)
        factor = (shop.due - shop.release) / work
        assert (factor <= 1.6).all()
        assert (shop.due - shop.release >= np.floor(1.2 * work)).all()
        assert shop.release.max() <= 40
        assert 1 <= shop.weights.min() <= shop.weights.max() <= 5
    assert all(shop.n_jobs >= 10 for shop in RICH.sample(5, split="ood"))


@settings(max_examples=25, deadline=None)
@given(m=st.integers(0, 6), n=st.integers(0, 12), seed=st.integers(0, 10**6), split=st.sampled_from(get_args(Split)))
def test_the_first_shops_do_not_depend_on_how_many(m: int, n: int, seed: int, split: Split) -> None:
    m = min(m, n)
    few = [shop.to_dict() for shop in RICH.sample(m, seed, split)]
    assert few == [shop.to_dict() for shop in RICH.sample(n, seed, split)][:m]
    assert few == [shop.to_dict() for shop in itertools.islice(RICH.stream(seed, split), m)]


def test_splits_and_seeds_never_meet() -> None:
    generator = ShopGenerator(jobs=(3, 4), machines=3, ood=ShopGenerator(jobs=(3, 4), machines=3))
    hashes = [s.content_hash for split in SPLITS for seed in range(3) for s in generator.sample(40, seed, split)]
    assert len(set(hashes)) == len(hashes) == 4 * 3 * 40


def test_due_dates_do_not_change_the_routes() -> None:
    plain = ShopGenerator(jobs=4, machines=3).sample(3)
    dated = ShopGenerator(jobs=4, machines=3, tightness=1.5, release=(0, 9)).sample(3)
    for a, b in zip(plain, dated, strict=True):
        assert np.array_equal(a.machines, b.machines)
        assert np.array_equal(a.durations, b.durations)


def test_generator_survives_json() -> None:
    again = ShopGenerator.from_dict(json.loads(json.dumps(RICH.to_dict())))
    assert again == RICH
    assert [s.content_hash for s in again.sample(3)] == [s.content_hash for s in RICH.sample(3)]


def test_problem_class_makes_generators() -> None:
    generator = JobShop.generator(jobs=(6, 10), machines=6, storage="blocking")
    assert all(6 <= shop.n_jobs <= 10 and shop.variant == "BWS" for shop in generator.sample(5, seed=1, split="val"))


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"jobs": (4, 3)}, r"jobs is \(4, 3\)"),
        ({"p": 1.5}, r"p is 1\.5: .* at most 1"),
        ({"tightness": 0.5}, r"tightness is 0\.5"),
        ({"objective": "weighted_tardiness"}, "give tightness="),
        ({"storage": "finite"}, "storage is 'finite'"),
        ({"p": 0.1, "interruptions": Interruptions(law="mtbf", mtbf=9.0)}, "law='per_start'"),
        ({"ood": RICH}, "one level"),
    ],
)
def test_generator_refuses(ranges: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ShopGenerator(**{"jobs": 3, "machines": 3, **ranges})


def test_generator_refuses_splits() -> None:
    generator = ShopGenerator(jobs=2, machines=2)
    with pytest.raises(DataError, match="no split 'ood': give ood="):
        generator.sample(1, split="ood")
    with pytest.raises(DataError, match="split is 'dev': give one of train, val, test, ood"):
        generator.sample(1, split="dev")  # type: ignore[arg-type]


# ---- Taillard --------------------------------------------------------------------------------------------------------
def test_taillard_table() -> None:
    seeds = [pair for pairs in SEEDS.values() for pair in pairs]
    assert len(seeds) == len(set(seeds)) == 80
    with pytest.raises(UnknownNameError, match="ta81"):
        taillard(81)
    with pytest.raises(DataError, match="machine_seed is 0"):
        generate_taillard(jobs=2, machines=2, time_seed=1, machine_seed=0)


@pytest.mark.parametrize("number", range(1, 81))
def test_taillard_instances(number: int, taillard_published: dict[str, Any]) -> None:
    published = taillard_published[f"ta{number:02}"]
    assert taillard(number) == (published["machines_matrix"], published["duration_matrix"])


@pytest.fixture(scope="module")
def taillard_published(data_root: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((data_root("jobshop") / "jsp_instances.json").read_text())
    return data


# ---- planted optimum -------------------------------------------------------------------------------------------------
def proven_optimum(shop: JobShop) -> int:
    """Optimal makespan by a plain interval model that shares nothing with orrl."""
    model = cp_model.CpModel()
    horizon = int(shop.durations.sum())
    rows: dict[int, list[Any]] = {}
    ends = []
    for route, work in zip(shop.machines.tolist(), shop.durations.tolist(), strict=True):
        starts = [model.new_int_var(0, horizon, "") for _ in route]
        for k, (m, p) in enumerate(zip(route, work, strict=True)):
            last = k + 1 == len(route)
            end = starts[k] + p if last or not shop.blocking else starts[k + 1]
            size = p if last or not shop.blocking else model.new_int_var(p, horizon, "")
            rows.setdefault(m, []).append(model.new_interval_var(starts[k], size, end, ""))
            if not last:
                model.add(starts[k + 1] >= starts[k] + p)
        ends.append(starts[-1] + work[-1])
    for intervals in rows.values():
        model.add_no_overlap(intervals)
    span = model.new_int_var(0, horizon, "")
    model.add_max_equality(span, ends)
    model.minimize(span)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.max_time_in_seconds = 1, 30
    assert solver.solve(model) == cp_model.OPTIMAL
    return round(solver.objective_value)


@pytest.mark.parametrize("storage", ["unlimited", "blocking"])
@pytest.mark.parametrize(("jobs", "machines"), [(2, 2), (2, 4), (3, 3), (4, 3), (5, 3), (4, 4)])
def test_planted_optimum_is_proved_by_another_solver(jobs: int, machines: int, storage: str) -> None:
    for seed in range(3):
        shop, optimum = JobShop.planted(seed=seed, jobs=jobs, machines=machines, storage=storage)
        assert proven_optimum(shop) == optimum


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    jobs=st.integers(2, 14),
    machines=st.integers(2, 10),
    low=st.integers(1, 3),
    load=st.floats(0.2, 1.0),
    slack=st.floats(0.0, 0.9),
)
def test_the_planted_schedule_meets_a_bound(
    seed: int, jobs: int, machines: int, low: int, load: float, slack: float
) -> None:
    size: dict[str, Any] = {"seed": seed, "jobs": jobs, "machines": machines, "low": low, "high": 99}
    drawn = plan(**size, load=load, slack=slack)
    for storage in ("blocking", "unlimited"):
        shop, optimum = JobShop.planted(**size, load=load, slack=slack, storage=storage)
        verdict = shop.evaluate(Schedule.realised(shop, np.array(drawn.start)))
        assert verdict.feasible, verdict.violations
        assert verdict.objective == optimum == drawn.optimum
        assert shop.durations[shop.machines == drawn.critical].sum() == optimum  # no schedule is shorter than this work
        assert (np.sort(shop.machines, axis=1) == np.arange(machines)).all()
        assert low <= shop.durations.min() <= shop.durations.max() <= 99


@pytest.mark.parametrize(("jobs", "machines"), [(10, 5), (10, 10)])
def test_planted_shops_are_no_gift(jobs: int, machines: int) -> None:
    for seed in range(4):
        shop, optimum = JobShop.planted(seed=seed, jobs=jobs, machines=machines, storage="blocking")
        assert shop.durations.sum(axis=1).max() < 0.95 * optimum  # the answer is no job's length
        played = (rollout(shop, rule, [shop.nominal()])[0] for rule in shop.rules().values())
        spans = [shop.evaluate(shop.solution(trajectory)).objective for trajectory in played]
        assert min(spans) > 1.05 * optimum  # and no dispatching rule finds it


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"storage": "blocking", "swap": False}, "swap=False forbids"),
        ({"objective": "total_flow"}, "is a makespan, not a total_flow"),
        ({"release": [0, 1, 2]}, "release would change the planted optimum"),
        (
            {"maintenance": [(0, 1, 2)], "interruptions": Interruptions(p=0.1)},
            "interruptions, maintenance would change",
        ),
    ],
)
def test_planted_refuses_what_moves_the_optimum(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NotSupportedError, match=message):
        JobShop.planted(seed=0, jobs=3, machines=3, **options)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"jobs": 1}, "1 jobs and 3 machines"),
        ({"low": 0}, "1 <= low <= high"),
        ({"low": 5, "high": 6}, "too much alike to plant 3x3: give high of at least"),
        ({"slack": 1.0}, r"slack is 1\.0"),
        ({"load": 0.0}, r"load is 0\.0"),
    ],
)
def test_planted_refuses_sizes(size: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        JobShop.planted(**{"seed": 0, "jobs": 3, "machines": 3, **size})
