"""The disjunctive and the alternative graph against schedules built without them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from brute import every_order
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shop_strategies import SEEDS, play_on, shops

from orrl.core.errors import DataError
from orrl.problems.jobshop import JobShop, Outages, Schedule
from orrl.problems.jobshop.graph import (
    SINK,
    SOURCE,
    alternative_graph,
    check_cycles,
    critical_path,
    disjunctive_graph,
    longest_paths,
)
from orrl.problems.jobshop.kernel import ShopKernel

if TYPE_CHECKING:
    import networkx as nx

OPPOSITE = {"machines": [[0, 1], [1, 0]], "durations": [[3, 4], [5, 6]]}
RANDOM = settings(max_examples=60, deadline=None)


def some_order(problem: JobShop, seed: int) -> list[list[int]]:
    """Jobs on each machine in any order."""
    rng = np.random.default_rng(seed)
    rows = [[j for j, k in zip(*np.nonzero(problem.machines == m), strict=True)] for m in range(problem.n_machines)]
    return [[int(j) for j in rng.permutation(np.array(row, np.int64))] for row in rows]


def extra_times(problem: JobShop, seed: int) -> Outages:
    rng = np.random.default_rng(seed)
    return Outages(np.where(problem.machines >= 0, rng.integers(0, 4, problem.machines.shape), 0))


def compare(problem: JobShop, order: list[list[int]], world: Outages) -> None:
    """The graph is feasible exactly where `Schedule.from_sequences` is, and gives the same starts."""
    graph = alternative_graph(problem, order, world)
    cycle = check_cycles(graph)
    allowed = {"none", "zero"} if problem.swap else {"none"}
    if not problem.blocking and cycle.kind == "zero":
        return  # operations of no length that wait for each other: possible, and pointless
    try:
        plan = Schedule.from_sequences(problem, order, world)
    except DataError:
        # in a running shop the orders may also contradict what has happened
        assert cycle.kind not in allowed or problem.state is not None
        return
    assert cycle.kind in allowed
    starts = longest_paths(graph)
    assert all(starts[j, k] == plan.start[j, k] for j, k in zip(*np.nonzero(problem.machines >= 0), strict=True))
    assert starts[SINK] == plan.makespan


@RANDOM
@given(shops(disturbed=False), SEEDS)
def test_longest_paths_are_the_earliest_starts(problem: JobShop, seed: int) -> None:
    compare(problem, some_order(problem, seed), extra_times(problem, seed))


@RANDOM
@given(shops(disturbed=False, max_jobs=3, max_machines=2), st.data())
def test_every_order_of_small_shops(problem: JobShop, data: st.DataObject) -> None:
    orders = list(every_order(problem))
    assume(len(orders) <= 60)
    for order in orders:
        compare(problem, [list(row) for row in order], problem.nominal())


@RANDOM
@given(shops(disturbed=False), SEEDS, st.integers(1, 8))
def test_running_shops(problem: JobShop, seed: int, steps: int) -> None:
    kernel = ShopKernel([problem])
    state = kernel.reset([problem.nominal()])
    play_on(kernel, state, np.random.default_rng(seed), steps=steps)
    now = problem.at(kernel.snapshot(state, 0))
    play_on(kernel, state, np.random.default_rng(seed + 1))
    assume(not kernel.failed(state)[0])
    order = Schedule.realised(problem, kernel.snapshot(state, 0).start).sequences()
    compare(now, order, now.nominal())


@RANDOM
@given(shops(disturbed=False), SEEDS)
def test_critical_path_carries_the_makespan(problem: JobShop, seed: int) -> None:
    order, world = some_order(problem, seed), extra_times(problem, seed)
    try:
        plan = Schedule.from_sequences(problem, order, world)
        # the schedule's own orders may tell zero-length visits apart in another way, and then they may start earlier
        plan = Schedule.from_sequences(problem, plan.sequences(), world)
    except DataError:
        assume(False)
    graph = alternative_graph(problem, plan.sequences(), world)
    path = [SOURCE, *critical_path(problem, plan, world), SINK]
    assert sum(graph.edges[arc]["weight"] for arc in itertools.pairwise(path)) == plan.makespan
    assert len(set(path)) == len(path)


def test_a_graph_by_hand() -> None:
    problem = JobShop(**OPPOSITE, release=[1, 0])
    free = disjunctive_graph(problem)
    assert free.nodes[1, 0] == {"job": 1, "op": 0, "machine": 1, "duration": 5}
    assert free.nodes[SOURCE] == {"job": None, "op": None, "machine": None, "duration": 0}
    arcs = {(a, b): (data["kind"], data["weight"]) for a, b, data in free.edges(data=True)}
    assert arcs == {
        (SOURCE, (0, 0)): ("release", 1),
        (SOURCE, (1, 0)): ("release", 0),
        ((0, 0), (0, 1)): ("job", 3),
        ((1, 0), (1, 1)): ("job", 5),
        ((0, 1), SINK): ("job", 4),
        ((1, 1), SINK): ("job", 6),
        ((0, 0), (1, 1)): ("machine", 3),
        ((1, 1), (0, 0)): ("machine", 6),
        ((0, 1), (1, 0)): ("machine", 4),
        ((1, 0), (0, 1)): ("machine", 5),
    }
    chosen = disjunctive_graph(problem, [[0, 1], [1, 0]])
    assert set(free.edges) - set(chosen.edges) == {((1, 1), (0, 0)), ((0, 1), (1, 0))}
    assert longest_paths(chosen) == {SOURCE: 0, (0, 0): 1, (1, 0): 0, (0, 1): 5, (1, 1): 5, SINK: 11}
    longer = disjunctive_graph(problem, [[0, 1], [1, 0]], Outages(np.array([[0, 0], [2, 0]])))
    assert longest_paths(longer)[SINK] == 13
    assert critical_path(problem, Schedule.from_sequences(problem, [[0, 1], [1, 0]])) == [(1, 0), (1, 1)]


def test_arcs_of_a_blocking_shop() -> None:
    problem = JobShop(**OPPOSITE, storage="blocking")
    graph = alternative_graph(problem, [[0, 1], [1, 0]])
    arcs = {(a, b): data["weight"] for a, b, data in graph.edges(data=True) if data["kind"] == "alternative"}
    assert arcs == {((0, 1), (1, 1)): 0, ((1, 1), (0, 1)): 0}  # each leaves when the other comes
    plain = alternative_graph(problem.replace(storage="unlimited"), [[0, 1], [1, 0]])
    assert {data["kind"] for _, _, data in plain.edges(data=True)} == {"release", "job", "machine"}


def test_three_kinds_of_cycles() -> None:
    problem = JobShop(**OPPOSITE, storage="blocking")

    def kind(order: list[list[int]], storage: str = "blocking") -> str:
        graph: nx.DiGraph = alternative_graph(problem.replace(storage=storage), order)
        return check_cycles(graph).kind

    assert kind([[0, 1], [1, 0]]) == "zero"
    assert kind([[1, 0], [0, 1]]) == "positive"  # each waits for the other to have passed
    assert kind([[0, 1], [0, 1]]) == "none"
    assert kind([[0, 1], [1, 0]], "unlimited") == "none"
    assert kind([[1, 0], [0, 1]], "unlimited") == "positive"


def test_the_cycle_is_named() -> None:
    problem = JobShop(**OPPOSITE, storage="blocking")
    swap = check_cycles(alternative_graph(problem, [[0, 1], [1, 0]]))
    assert sorted(swap.nodes) == [(0, 1), (1, 1)]
    graph = alternative_graph(problem, [[1, 0], [0, 1]])
    knot = check_cycles(graph)
    ring = [*knot.nodes, knot.nodes[0]]
    assert sum(graph.edges[arc]["weight"] for arc in itertools.pairwise(ring)) > 0
    with pytest.raises(DataError, match="contradict"):
        longest_paths(graph)


def test_a_wrong_sequence_is_refused() -> None:
    with pytest.raises(DataError, match="permutation"):
        disjunctive_graph(JobShop(**OPPOSITE), [[0, 0], [1, 0]])
