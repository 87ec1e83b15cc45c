"""The graph of a running shop: by hand, against a slow reference, and what it must not depend on."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from shop_strategies import SEEDS, VARIANTS, a_move, play_on

from orrl.core.graphs import Edges, GraphBatch
from orrl.problems.jobshop import Interruptions, JobShop, events
from orrl.problems.jobshop.data import ShopState, UnmeetableDueDate
from orrl.problems.jobshop.graph_features import NODE_FEATURES, NODE_HIGH, NODE_LOW, RELATIONS
from orrl.problems.jobshop.interruptions import Outages
from orrl.problems.jobshop.kernel import ShopBatch, ShopKernel

if TYPE_CHECKING:
    import numpy.typing as npt

KINDS = (None, Interruptions(p=0.4, outage=(1, 9)), Interruptions(law="mtbf", mtbf=9.0, outage=(1, 6)))


def pairs(graph: GraphBatch, relation: str) -> set[tuple[int, int]]:
    """(source, target) of a relation."""
    found = graph.relations[RELATIONS.index(relation)]
    edges = found if isinstance(found, Edges) else found.edges()
    both = list(zip(edges.source.tolist(), edges.target.tolist(), strict=True))
    assert len(both) == len(set(both))
    return set(both)


def column(graph: GraphBatch, name: str) -> npt.NDArray[np.float32]:
    return graph.nodes[:, NODE_FEATURES.index(name)]


def assert_same(one: GraphBatch, other: GraphBatch) -> None:
    assert np.array_equal(one.nodes, other.nodes)
    assert np.array_equal(one.row, other.row)
    assert np.array_equal(one.action_node, other.action_node)
    assert np.array_equal(one.mask, other.mask)
    for name in RELATIONS:
        assert pairs(one, name) == pairs(other, name), name


def random_shop(rng: np.random.Generator) -> JobShop:
    """Busy shops, so that jobs wait, block and meet: ragged routes, recirculation, dates, outages, maintenance."""
    storage, swap = VARIANTS[str(rng.choice(list(VARIANTS)))]
    law = KINDS[rng.integers(3)]
    law = law if law is None or rng.random() < 0.5 else replace(law, mode="repeat")
    machines = int(rng.integers(1, 5))
    routes: list[list[int]] = []
    for _ in range(rng.integers(2, 6)):
        route = rng.integers(0, machines, rng.integers(1, machines + 3)).tolist()
        if storage == "blocking":
            route = [m for k, m in enumerate(route) if k == 0 or route[k - 1] != m]
        routes.append(route)
    release = rng.integers(0, 6, len(routes)) * (rng.random() < 0.5)
    windows = [(int(m), int(t), int(t) + 4) for m, t in rng.integers(0, (machines, 30), (3, 2)) if rng.random() < 0.3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmeetableDueDate)
        return JobShop(
            machines=routes,
            durations=[rng.integers(0, 10, len(r)).tolist() for r in routes],
            storage=storage,
            swap=swap,
            release=release,
            due=release + rng.integers(0, 40, len(routes)) if rng.random() < 0.7 else None,
            interruptions=law,
            maintenance=windows,
            machine_names=[f"machine {m}" for m in range(machines)],
        )


def midway(seed: int) -> tuple[JobShop, ShopKernel, ShopBatch, np.random.Generator]:
    """A shop at a random decision of a random episode."""
    rng = np.random.default_rng(seed)
    problem = random_shop(rng)
    kernel, world = ShopKernel([problem], compiled=False), problem.scenario(seed)
    decisions = len(play_on(kernel, kernel.reset([world]), np.random.default_rng(seed)))
    state = kernel.reset([world])
    play_on(kernel, state, np.random.default_rng(seed), int(rng.integers(max(1, decisions))))
    return problem, kernel, state, rng


def crossing(**options) -> JobShop:
    """Two jobs that go opposite ways and a third one outside."""
    return JobShop(
        machines=[[0, 1], [1, 0], [0]], durations=[[3, 2], [2, 4], [4]], storage="blocking", due=[10, 7, 20], **options
    )


# ---- by hand -------------------------------------------------------------------------------------------------------
def test_features_of_a_blocking_shop_by_hand():
    """Time 4: job 0 works on machine 0 until 5, job 1 has ended on machine 1 at 2, job 2 is outside. A unit is 3."""
    law = Interruptions(p=0.5, outage=(1, 5))
    extra = np.array([[2, 0], [0, 0], [0, 0]])
    problem = crossing(interruptions=law).at(ShopState(4, np.array([[0, -1], [0, -1], [-1, -1]]), Outages(extra)))
    kernel = ShopKernel([problem])
    graph = kernel.graphs(kernel.reset([problem.nominal()]))
    expected = {
        "running": [1, 0, 0, 0, 0],
        "blocked": [0, 0, 1, 0, 0],
        "next": [0, 1, 0, 1, 1],
        "later": [0, 0, 0, 0, 0],
        "duration": [1 / 3, 2 / 3, 0, 4 / 3, 4 / 3],
        "job_work": [3 / 15, 2 / 15, 4 / 15, 4 / 15, 4 / 15],
        "job_work_share": [3 / 4, 2 / 4, 1, 1, 1],
        "time_left": [1 / 3, 1 / 3, 0, 0, 0],
        "waiting_time": [0, 0, 2 / 3, 2 / 3, 0],
        "machine_held": [1, 1, 1, 1, 1],
        "machine_time_left": [1 / 3, 0, 0, 1 / 3, 1 / 3],
        "machine_down_time": [0, 0, 0, 0, 0],
        "machine_work": [9 / 30, 2 / 30, 2 / 30, 9 / 30, 9 / 30],
        "machine_work_share": [1, 2 / 9, 2 / 9, 1, 1],
        "operations_after": [1 / 5, 0, 1 / 5, 0, 0],
        "job_begun": [1, 1, 1, 1, 0],
        "machines_held_share": [1, 1, 1, 1, 1],
        "movable": [0, 0, 0, 0, 0],
        "machine_blocked": [0, 1, 1, 0, 0],
        "machines_free_share": [0, 0, 0, 0, 0],
        "slack": [1, 1, -1 / 3, -1 / 3, 4],
        "blocking": [1, 1, 1, 1, 1],
        "swap": [1, 1, 1, 1, 1],
        "outage": [0.5, 0.5, 0.5, 0.5, 0.5],
        "contenders": [2 / 5, 0, 1 / 5, 1 / 5, 1 / 5],
        "waiters": [2 / 5, 0, 0, 1 / 5, 1 / 5],
    }
    assert tuple(expected) == NODE_FEATURES
    for name, values in expected.items():
        assert column(graph, name).tolist() == pytest.approx(values), name
    assert graph.action_node.tolist() == [[1, 3, 4, -1]]
    assert pairs(graph, "job_successor") == {(1, 0), (3, 2)}
    assert pairs(graph, "same_machine") == {
        (a, b) for group in ([0, 3, 4], [1, 2]) for a in group for b in group if a != b
    }
    assert pairs(graph, "contender") == {(1, 2), (3, 0), (3, 4), (4, 0), (4, 3)}
    assert pairs(graph, "holder") == {(2, 1), (0, 3), (0, 4)}
    assert pairs(graph, "waits_for") == {(2, 1), (0, 3), (0, 4)}  # the third and the second job wait for job 0


def test_features_that_tell_shops_apart():
    for change, name, value in [
        ({}, "outage", 0.0),
        ({"interruptions": Interruptions(law="mtbf", mtbf=3.0, outage=(3, 9))}, "outage", 2 * (1 - np.exp(-1.0))),
        ({"swap": False}, "swap", 0.0),
        ({"storage": "unlimited"}, "blocking", 0.0),
        ({"storage": "unlimited"}, "swap", 0.0),
        ({"due": None}, "slack", 0.0),
        ({"release": [12, 0, 0], "due": [30, 30, 30]}, "time_left", None),
    ]:
        problem = crossing().replace(**change)
        kernel = ShopKernel([problem])
        found = column(kernel.graphs(kernel.reset([problem.nominal()])), name).tolist()
        assert found == pytest.approx([4, 0, 0, 0, 0] if value is None else [value] * 5), name


def test_far_times_are_cut():
    problem = JobShop(machines=[[0], [0], [1]], durations=[[1], [1], [1]], release=[10**9, 0, 0], due=[10**12] * 3)
    kernel = ShopKernel([problem.replace(maintenance=[(1, 0, 10**8)])])
    graph = kernel.graphs(kernel.reset([problem.nominal()]))
    assert column(graph, "time_left").tolist() == [20, 0, 0]
    assert column(graph, "machine_down_time").tolist() == [0, 0, 20]
    assert column(graph, "slack").tolist() == [20, 20, 20]


def test_a_breakdown_is_seen_when_it_begins():
    """One machine works on job 0 from 0, is down from 1 to 3 and will be from 4 to 9; it is 2 now."""
    law = Interruptions(law="mtbf", mtbf=9.0, outage=(1, 5))
    shop = JobShop(machines=[[0], [0]], durations=[[5], [5]], interruptions=law)
    begun = np.array([[0, 1, 3]])
    running = shop.at(ShopState(2, np.array([[0], [-1]]), Outages(np.zeros((2, 1), np.int64), begun)))
    kernel = ShopKernel([running])
    both = Outages(np.zeros((2, 1), np.int64), np.array([[0, 1, 3], [0, 4, 9]]))
    state = kernel.reset([both])
    assert state.tables.job[0, 0, events.READY] == 12  # what will be
    graph = kernel.graphs(state)
    assert column(graph, "time_left").tolist() == [1, 0]  # what is announced: the end at 7
    assert column(graph, "machine_time_left").tolist() == [1, 1]
    assert column(graph, "machine_down_time").tolist() == pytest.approx([1 / 5, 1 / 5])
    assert column(graph, "machine_work").tolist() == pytest.approx([10 / 50, 10 / 50])


# ---- against a slow reference --------------------------------------------------------------------------------------
def reference(
    problem: JobShop, state: ShopBatch
) -> tuple[list[tuple[int, int]], dict[str, set[tuple[int, int]]], list[int]]:
    """Open operations (job, place), relations and action nodes of row 0, from the starts and the clock."""
    table, t = state.tables.job[0], int(state.time[0])
    on: dict[int, tuple[int, int]] = {}  # machine -> operation
    nodes, begun_in = [], {}
    for j in range(problem.n_jobs):
        count = int(problem.n_operations[j])
        begun_in[j] = begun = sum(1 for k in range(count) if state.start[0, j, k] >= 0)
        last = begun - 1
        stays = problem.storage == "blocking" and begun < count
        if begun and (table[j, events.READY] > t or stays):
            nodes.append((j, last))
            on[int(problem.machines[j, last])] = (j, last)
        nodes += [(j, k) for k in range(begun, count)]
    place = {op: i for i, op in enumerate(nodes)}
    found: dict[str, set[tuple[int, int]]] = {name: set() for name in RELATIONS}
    action = [-1] * (problem.n_jobs + 1)
    for (j, k), i in place.items():
        if (j, k + 1) in place:
            found["job_successor"].add((place[j, k + 1], i))
        if (j, k - 1) in place:
            found["job_predecessor"].add((place[j, k - 1], i))
        for (a, c), other in place.items():
            if problem.machines[a, c] == problem.machines[j, k] and other != i:
                found["same_machine"].add((other, i))
                if begun_in[a] == c:
                    found["contender"].add((other, i))
                if on.get(int(problem.machines[j, k])) == (a, c):
                    found["holder"].add((other, i))
        if state.start[0, j, k] < 0 and (k == 0 or state.start[0, j, k - 1] >= 0):
            action[j] = i
            holder = on.get(int(problem.machines[j, k]))
            if holder is not None and holder[0] != j:
                found["waits_for"].add((place[holder], i))
                found["waited_for"].add((i, place[holder]))
    return nodes, found, action


def test_an_ended_row_has_no_nodes():
    deadlock = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 2], [2, 4]], storage="blocking", swap=False)
    kernel = ShopKernel([crossing(), deadlock])
    state = kernel.reset([p.nominal() for p in kernel.problems])
    kernel.step(state, np.array([0, 0]))
    kernel.step(state, np.array([1, 1]))
    assert (kernel.failed(state).tolist(), kernel.mask(state).any(axis=1).tolist()) == ([False, True], [False, False])
    graph = kernel.graphs(state)
    assert (len(graph), len(graph.nodes)) == (2, 0)
    assert (graph.action_node == -1).all()
    assert not any(pairs(graph, name) for name in RELATIONS)


@given(SEEDS)
@settings(max_examples=80)
def test_nodes_and_relations(seed):
    problem, kernel, state, _ = midway(seed)
    graph = kernel.graphs(state)
    nodes, found, action = reference(problem, state)
    assert len(graph.nodes) == len(nodes)
    assert graph.action_node[0].tolist() == action
    assert np.array_equal(graph.mask, kernel.mask(state))
    for name in RELATIONS:
        assert pairs(graph, name) == found[name], name
    rest = [int(problem.durations[j, k:].sum()) for j, k in nodes]
    begun = [bool(state.start[0, j, k] >= 0) for j, k in nodes]
    assert (column(graph, "running") + column(graph, "blocked")).tolist() == begun
    unit = problem.durations.sum() / problem.n_operations.sum() or 1.0
    wanted = [min(20.0, work / unit / 5) for work in rest]
    for i, ahead in enumerate(begun):
        if not ahead:
            assert column(graph, "job_work")[i] == pytest.approx(wanted[i])
            assert column(graph, "operations_after")[i] == pytest.approx(
                (problem.n_operations[nodes[i][0]] - 1 - nodes[i][1]) / 5
            )
    heard = np.bincount([b for _, b in found["contender"]], minlength=len(nodes))
    assert (column(graph, "contenders") * 5).tolist() == pytest.approx(heard.tolist())
    assert (column(graph, "waiters") <= column(graph, "contenders") + 1e-6).all()
    movable = {i for i, a in enumerate(column(graph, "movable")) if a}
    assert movable == {n for n, legal in zip(action, graph.mask[0], strict=True) if legal and n >= 0}
    assert (graph.nodes >= np.array(NODE_LOW, np.float32)).all()
    assert (graph.nodes <= np.array(NODE_HIGH, np.float32)).all()
    flags = ("running", "blocked", "next", "later")
    assert (sum(column(graph, name) for name in flags) == 1).all()


# ---- what it must not depend on ------------------------------------------------------------------------------------
@given(SEEDS)
@settings(max_examples=30)
def test_compiled_equals_plain_and_rows_do_not_meet(seed):
    """Three rows of two sizes: machine code, Python, and each row alone in a kernel of its own."""
    rng = np.random.default_rng(seed)
    problems = [random_shop(rng), random_shop(rng)]
    problems.append(problems[0])
    noise = [p.scenario(seed + b) for b, p in enumerate(problems)]
    fast, slow = (ShopKernel(problems, compiled=c) for c in (True, False))
    states = [k.reset(noise) for k in (fast, slow)]
    own = [ShopKernel([p], compiled=False) for p in problems]
    alone = [k.reset([w]) for k, w in zip(own, noise, strict=True)]
    for _ in range(rng.integers(0, 12)):
        action = a_move(slow, states[1], rng)
        action[~slow.mask(states[1]).any(axis=1)] = -1
        for kernel, state in zip((fast, slow), states, strict=True):
            kernel.step(state, action)
        for b, (kernel, state) in enumerate(zip(own, alone, strict=True)):
            kernel.step(state, np.where(action[b] == slow.idle_action, kernel.idle_action, action[b : b + 1]))
    graph = slow.graphs(states[1])
    assert_same(fast.graphs(states[0]), graph)
    joined = GraphBatch.join([k.graphs(s) for k, s in zip(own, alone, strict=True)])
    assert_same(joined, graph)


@given(SEEDS)
@settings(max_examples=80)
def test_the_graph_does_not_look_ahead(seed):
    """Another future gives the same graph, and so does a fresh shop at this state that knows the past alone."""
    problem, kernel, state, rng = midway(seed)
    graph = kernel.graphs(state)
    begin = int(state.time[0]) + int(rng.integers(1, 4))
    soon = [(m, begin, begin + 5) for m in range(problem.n_machines)]  # every machine breaks down soon
    extra = rng.integers(0, 9, problem.machines.shape) * (problem.machines >= 0)
    assert_same(kernel.graphs(kernel.clone(state, [Outages(extra, np.array(soon))], [0])), graph)
    running = problem.at(kernel.snapshot(state, 0))
    fresh = ShopKernel([running])
    assert_same(fresh.graphs(fresh.reset([running.nominal()])), graph)


@given(SEEDS)
@settings(max_examples=40)
def test_the_order_of_the_jobs_does_not_matter(seed):
    problem, kernel, state, rng = midway(seed)
    old, order = kernel.snapshot(state, 0), rng.permutation(problem.n_jobs)
    lengths = problem.n_operations
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmeetableDueDate)
        turned = JobShop(
            machines=[problem.machines[j, : lengths[j]].tolist() for j in order],
            durations=[problem.durations[j, : lengths[j]].tolist() for j in order],
            storage=problem.storage,
            swap=problem.swap,
            interruptions=problem.interruptions,
            maintenance=[tuple(w) for w in problem.maintenance.tolist()],
            release=problem.release[order],
            due=None if problem.due is None else problem.due[order],
            weights=problem.weights[order],
            objective=problem.objective.name,
            machine_names=problem.machine_names,
            state=ShopState(old.time, old.start[order], Outages(old.past.extra[order], old.past.windows)),
        )
    other = ShopKernel([turned])
    there = other.graphs(other.reset([turned.nominal()]))
    graph = kernel.graphs(state)
    job = np.array([j for j, _ in reference(problem, state)[0]])
    moved = np.concatenate([np.flatnonzero(job == j) for j in order])  # node of `there` -> node of `graph`
    assert np.array_equal(there.nodes, graph.nodes[moved])
    action = np.where(there.action_node < 0, -1, moved[there.action_node])
    assert action.tolist() == graph.action_node[:, [*order, problem.n_jobs]].tolist()
    for name in RELATIONS:
        assert {(int(moved[a]), int(moved[b])) for a, b in pairs(there, name)} == pairs(graph, name), name
