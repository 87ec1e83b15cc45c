"""What UAVs earn together, beside each other and alone."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orrl.core.errors import DataError
from orrl.core.paths import AgentPaths
from orrl.problems.uav.agents import agent_graph, joint_reward, response
from orrl.problems.uav.association import source
from orrl.problems.uav.channel import Channel
from orrl.problems.uav.data import UavOffloading, UavState
from orrl.problems.uav.referee import best_count

LOW = Channel(noise=-83.0, min_ratio=-4.0)  # several UAVs may be able to serve one user
VARIANTS: dict[str, dict[str, Any]] = {
    "snr": {"interference": False},
    "sinr": {},
    "snr capacity": {"interference": False, "capacity": 3},
    "sinr capacity": {"capacity": 3},
    "below 0 dB": {"channel": LOW, "capacity": 2},
    "below 0 dB, no capacity": {"channel": LOW},
    "ends": {"ends": [(1, 2), (2, 0)]},
    "no-fly": {"no_fly": [(1, 1), (2, 1)]},
    "safe distance": {"safe_distance": 150.0},
}


def network(seed: int = 1, **options: Any) -> UavOffloading:
    size = {"grid": (4, 3), "users": 16, "slots": 4, "starts": [(0, 0), (3, 2)], **options}
    return UavOffloading.generate(seed=seed, uavs=len(size["starts"]), **size)


def allowed(problem: UavOffloading, cells: tuple[int, ...]) -> bool:
    closed = {y * problem.width + x for x, y in problem.no_fly}
    apart = all(not problem.too_close[a, b] for i, a in enumerate(cells) for b in cells[:i])
    return apart and not closed & set(cells)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_joint_table_is_the_association_and_the_referee(variant: str) -> None:
    problem = network(**VARIANTS[variant])
    table = joint_reward(problem, 2)
    radio, count = problem.radio, source.compiled().count
    capacity = -1 if problem.capacity is None else problem.capacity
    assert table.shape == (12, 12)
    assert table.dtype == np.int16
    for cells in product(range(12), repeat=2):
        if not allowed(problem, cells):
            assert table[cells] == -1
            continue
        own = count(radio.power, radio.needed, radio.weight, capacity, 2, np.array(cells), 2, -1, np.zeros(4, np.int64))
        assert table[cells] == own == best_count(problem, 2, list(cells))


def test_three_uavs_in_any_order_earn_the_same() -> None:
    problem = network(starts=[(0, 0), (3, 2), (3, 0)], channel=LOW, capacity=3)
    table = joint_reward(problem, 1)
    assert (table == table.transpose(1, 0, 2)).all()
    assert (table == table.transpose(2, 0, 1)).all()
    for cells in product(range(12), repeat=3):
        expected = best_count(problem, 1, list(cells)) if allowed(problem, cells) else -1
        assert table[cells] == expected


@given(st.sampled_from(sorted(VARIANTS)), st.integers(0, 2**31 - 1))
@settings(max_examples=40, deadline=None)
def test_lists_of_nodes_are_a_part_of_the_joint_table(variant: str, seed: int) -> None:
    options = {k: v for k, v in VARIANTS[variant].items() if k != "ends"}
    problem = network(seed % 7, starts=[(0, 0), (3, 2), (3, 0)], **options)
    rng = np.random.default_rng(seed)
    nodes = [np.sort(rng.choice(12, rng.integers(1, 6), replace=False)) for _ in range(3)]
    whole = joint_reward(problem, 1)[np.ix_(*nodes)]
    assert (joint_reward(problem, 1, nodes) == whole).all()
    losses = [rng.uniform(0.0, 0.7, len(own)) for own in nodes]
    lost = losses[0][:, None, None] + losses[1][:, None] + losses[2]
    assert (joint_reward(problem, 1, nodes, losses) == np.where(lost <= 1.0, whole, -1)).all()


def test_joint_paths_within_kept_nodes() -> None:
    problem = network(starts=[(0, 0), (3, 2)])
    graph, rng = agent_graph(problem), np.random.default_rng(3)
    everything = graph.reachable()
    for _ in range(20):
        keep = everything & (rng.random(everything.shape) < 0.7)
        keep[:, 0] = everything[:, 0]
        paths = AgentPaths(graph, keep)
        if min(paths.states(range(2))) == 0:
            continue
        found = paths.together(range(2), lambda t: joint_reward(problem, t))
        shut = np.where(keep, 0.0, -1.0)  # the same by walling the nodes in

        def walled(t: int, shut: np.ndarray = shut) -> np.ndarray:
            table = joint_reward(problem, t).copy()
            table[shut[0, t] < 0] = -1
            table[:, shut[1, t] < 0] = -1
            return table

        other = AgentPaths(graph).together(range(2), walled)
        assert found is not None
        assert other is not None
        assert found[0] == other[0]


@pytest.mark.parametrize("variant", ["snr", "sinr", "below 0 dB", "no-fly", "safe distance"])
def test_a_response_is_a_slice_of_the_joint_table(variant: str) -> None:
    problem = network(starts=[(0, 0), (3, 2), (3, 0)], **VARIANTS[variant])
    paths = np.array([[0, 11, 3], [0, 11, 3], [4, 10, 2], [8, 9, 2]])
    tables = [joint_reward(problem, t) for t in range(4)]
    one, two = response(problem, paths, [1]), response(problem, paths, [2, 0])
    for t, row in enumerate(paths):
        assert (one[t] == tables[t][row[0], :, row[2]]).all()
        assert (two[t] == tables[t][:, row[1], :].T).all()


def test_an_agent_may_be_left_out() -> None:
    problem = network()
    paths = np.full((4, 2), -1)
    alone = response(problem, paths, [0])
    lone = network(starts=[(0, 0)]).replace(users=problem.users)
    assert (alone == np.array([joint_reward(lone, t) for t in range(4)])).all()


def test_only_one_or_two_may_be_free() -> None:
    with pytest.raises(DataError, match="one or two"):
        response(network(), np.zeros((4, 2), np.int64), [])


def test_the_graph_begins_at_the_present_slot() -> None:
    problem = network(ends=[(2, 1), (2, 0)], no_fly=[(1, 1)])
    graph = agent_graph(problem)
    assert (graph.slots, graph.nodes, graph.agents) == (4, 12, 2)
    assert graph.starts.tolist() == [0, 11]
    assert graph.ends.tolist() == [6, 2]
    for g in range(12):
        own = graph.indices[graph.indptr[g] : graph.indptr[g + 1]]
        assert sorted(own.tolist()) == sorted(c for c in problem.targets[g].tolist() if c >= 0)
    later = agent_graph(problem.at(UavState(np.array([[0, 11], [4, 10]]))))
    assert later.slots == 3
    assert later.starts.tolist() == [4, 10]


def _dual(problem: UavOffloading, prices: np.ndarray) -> tuple[float, np.ndarray]:
    """Dual value by plain Python longest paths, and the visits."""
    reward, value = problem.relaxation().reward(prices)
    graph = problem.agent_graph()
    visits = np.zeros(reward.shape)
    for start, end in zip(graph.starts.tolist(), graph.ends.tolist(), strict=True):
        best = {start: (reward[0, start], [start])}
        for t in range(1, graph.slots):
            new: dict[int, tuple[float, list[int]]] = {}
            for g, (sum_, way) in best.items():
                for h in graph.indices[graph.indptr[g] : graph.indptr[g + 1]].tolist():
                    if h not in new or new[h][0] < sum_ + reward[t, h]:
                        new[h] = (sum_ + reward[t, h], [*way, h])
            best = new
        own, way = max(v for g, v in best.items() if end in (-1, g))
        value += own
        visits[np.arange(len(way)), way] += 1
    return value, visits


def _optimum(problem: UavOffloading) -> int:
    """Best joint value by breadth over joint positions in plain Python."""
    graph = problem.agent_graph()
    tables = [joint_reward(problem, t) for t in range(graph.slots)]
    start = tuple(graph.starts.tolist())
    best = {start: int(tables[0][start])}
    for t in range(1, graph.slots):
        new: dict[tuple[int, ...], int] = {}
        for cells, value in best.items():
            ways = [graph.indices[graph.indptr[c] : graph.indptr[c + 1]].tolist() for c in cells]
            for there in product(*ways):
                if tables[t][there] >= 0:
                    new[there] = max(new.get(there, 0), value + int(tables[t][there]))
        best = new
    return max(v for cells, v in best.items() if all(e in (-1, c) for c, e in zip(cells, graph.ends, strict=True)))


@settings(max_examples=40, deadline=None)
@given(variant=st.sampled_from(sorted(VARIANTS)), seed=st.integers(0, 5), draw=st.integers(0, 10**6))
def test_weak_duality_and_subgradient(variant: str, seed: int, draw: int) -> None:
    problem = network(seed, **VARIANTS[variant])
    relaxation = problem.relaxation()
    rng = np.random.default_rng(draw)
    top = np.minimum(relaxation.upper, 4.0)
    here, there = (rng.random(len(top)) * top * (rng.random(len(top)) < rng.random()) for _ in range(2))
    value, visits = _dual(problem, here)
    assert value >= _optimum(problem) - 1e-9
    slope = relaxation.subgradient(here, visits)
    assert _dual(problem, there)[0] >= value + slope @ (there - here) - 1e-9


def test_the_first_prices_are_allowed_and_bound() -> None:
    problem = network(no_fly=[(1, 1)])
    relaxation = problem.relaxation()
    prices = relaxation.start()
    assert ((relaxation.lower <= prices) & (prices <= relaxation.upper)).all()
    assert _dual(problem, prices)[0] >= _optimum(problem)
    assert np.isneginf(relaxation.reward(prices)[0][:, 5]).all()


def test_interference_has_no_restricted_program_and_the_others_have() -> None:
    keep = np.ones((4, 12), np.bool_)
    assert network().relaxation().restricted(keep) is None
    for options in ({"interference": False}, {"interference": False, "capacity": 3}):
        problem = network(**options)
        program = problem.relaxation().restricted(keep)
        assert program is not None
        outcome = program.solve(time_limit=20, threads=1)
        assert outcome.objective == pytest.approx(_optimum(problem))
