"""The program over many stages: table, models and engines, on a problem that is no dispatch."""

from __future__ import annotations

import numpy as np
import pytest
from core.stage_shop import News
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import block_diag

from orrl.core.engines.extensive import open_extensive
from orrl.core.errors import DataError, NotSupportedError
from orrl.core.extensive import Extensive, of_path
from orrl.core.extensive_program import StagesInCvxpy, StagesInHighs, StagesInPyomo
from orrl.core.stage_tree import StageTree, count_vertices
from orrl.core.stages import StageGraph, StageNode


def whole(problem: News) -> Extensive:
    graph = problem.stages()
    tree = StageTree.whole(graph)
    return Extensive(tree, [problem.stage(i) for i in tree.node], graph.initial_state)


def by_linprog(problem: News, path: np.ndarray) -> float:
    """The same path, its rows written down here once more."""
    stages = [problem.stage(t) for t in range(len(path))]
    big = block_diag([s.matrix for s in stages]).toarray()
    low = np.concatenate([s.row_lower + s.by_noise @ w for s, w in zip(stages, path, strict=True)])
    high = np.concatenate([s.row_upper + s.by_noise @ w for s, w in zip(stages, path, strict=True)])
    rows, columns = len(stages[0].rows), len(stages[0].columns)
    for t in range(1, len(path)):
        big[t * rows, (t - 1) * columns + 3] -= 1.0  # "have" takes the stock of the stage before
    cost = np.concatenate([problem.discount**t * s.cost for t, s in enumerate(stages)])
    bounds = [(a, None if b == np.inf else b) for s in stages for a, b in zip(s.lower, s.upper, strict=True)]
    same = low == high
    above = ~same & np.isfinite(high)
    found = linprog(cost, big[above], high[above], big[same], low[same], bounds)
    assert found.status == 0
    return float(found.fun)


class Plain:
    """The columns are the solution."""

    def read(self, values):
        return values

    def write(self, solution):
        return solution


class PlainHighs(Plain, StagesInHighs):
    pass


class PlainPyomo(Plain, StagesInPyomo):
    pass


class PlainCvxpy(Plain, StagesInCvxpy):
    pass


@given(st.integers(0, 1000), st.integers(1, 5), st.sampled_from([1.0, 0.9]))
def test_path_by_another_route(seed: int, periods: int, discount: float) -> None:
    problem = News(periods=periods, discount=discount)
    path = problem.noise(problem.scenario(seed))
    answer = open_extensive(of_path(problem, path)).solve()
    assert answer.value == pytest.approx(by_linprog(problem, path), rel=1e-9, abs=1e-9)


def test_tree_of_one_period_is_the_newsvendor() -> None:
    problem = News(discount=0.9)
    table = whole(problem)
    assert len(table.tree) == 1 + 3
    assert table.tree.weight.tolist() == pytest.approx([1.0, 0.45, 0.27, 0.18])
    assert open_extensive(table).solve().value == pytest.approx(problem.newsvendor(), rel=1e-9)


def test_moving_noise_and_state_equals_building_again() -> None:
    problem = News(periods=3)
    first, second = (problem.noise(problem.scenario(s)) for s in (1, 4))
    assert not np.array_equal(first, second)
    model = open_extensive(of_path(problem, first))
    model.solve()
    model.move(second, np.array([7.0]))
    graph = problem.stages()
    fresh = Extensive(StageTree.path(second), [problem.stage(t) for t in range(4)], np.array([7.0]))
    assert graph.initial_state[0] == 0.0
    assert model.solve().value == pytest.approx(open_extensive(fresh).solve().value, rel=1e-9)


@pytest.mark.parametrize("cone", [False, True])
def test_all_renderings_hold_the_same_program(cone: bool) -> None:
    problem = News(periods=2, discount=0.95, cone=cone)
    table = whole(problem)
    direct = open_extensive(table).solve().value
    kinds = [PlainPyomo, PlainCvxpy] if cone else [PlainHighs, PlainPyomo, PlainCvxpy]
    for kind in kinds:
        if cone and kind is PlainPyomo:
            pytest.importorskip("casadi", reason="Ipopt for a conic Pyomo model comes with CasADi")
        outcome = kind(table, form="tree", name="news").solve()
        assert outcome.solution is not None, outcome.message
        assert outcome.objective == pytest.approx(direct, rel=2e-6 if cone else 1e-9)
        again = kind(table, form="tree", name="news")
        again.encode(outcome.solution, fix=True)
        assert again.solve().objective == pytest.approx(direct, rel=2e-6 if cone else 1e-9)


def test_cone_binds() -> None:
    assert open_extensive(whole(News())).solve().value == pytest.approx(News().newsvendor())
    assert open_extensive(whole(News(cone=True))).solve().value == pytest.approx(9 * (3 - 5), rel=1e-7)
    twice = open_extensive(whole(News(cone=True, periods=2, discount=0.95))).solve().value
    assert twice == pytest.approx(27 - 0.95 * 45 + 0.95 * 27 - 0.95**2 * 45, rel=1e-7)


def test_conic_engine_moves_like_a_fresh_one() -> None:
    problem = News(periods=2, cone=True)
    first, second = (np.array([[0.0], [10.0], [a]]) for a in (20.0, 60.0))
    model = open_extensive(of_path(problem, first))
    a = model.solve()
    assert a.bound <= a.value + 1e-6
    model.move(second)
    assert model.solve().value == pytest.approx(open_extensive(of_path(problem, second)).solve().value, rel=1e-7)


@pytest.mark.parametrize("kind", [PlainHighs, PlainPyomo, PlainCvxpy])
def test_conflict_is_named(kind: type) -> None:
    problem = News(least=5.0)  # the first stage has nothing, and must leave 5
    program = kind(of_path(problem, problem.noise(problem.nominal())), form="path", name="news")
    outcome = program.solve()
    assert outcome.status == "infeasible"
    assert "have[0]" in outcome.message


def test_fixing_something_impossible_is_seen() -> None:
    problem = News()
    table = of_path(problem, problem.noise(problem.nominal()))
    values = PlainHighs(table, form="path", name="news").solve().solution
    values[table.where["sold", 1]] += 1.0
    program = PlainHighs(table, form="path", name="news")
    program.encode(values, fix=True)
    outcome = program.solve()
    assert outcome.status == "infeasible"
    assert "sold" in outcome.message or "have[1]" in outcome.message


def test_tree_sizes_and_refusals() -> None:
    graph = News(periods=4).stages()
    assert count_vertices(graph) == 1 + 3 + 9 + 27 + 81 == len(StageTree.whole(graph))
    with pytest.raises(NotSupportedError, match="121 vertices"):
        StageTree.whole(graph, max_vertices=100)
    ring = StageGraph((StageNode(((0, 0.5),), np.ones((2, 1)), np.full(2, 0.5)),), ((0, 1.0),), np.zeros(1))
    with pytest.raises(NotSupportedError, match="met again"):
        count_vertices(ring)
    with pytest.raises(DataError, match="comes before its parent"):
        StageTree(np.array([1, -1]), np.zeros(2, int), np.zeros((2, 1)), np.ones(2))


def test_markov_tree_has_the_mass_of_its_chain() -> None:
    dry, wet = (StageNode((), np.array([[w], [w + 1]]), np.array([0.25, 0.75])) for w in (0.0, 10.0))
    root = StageNode(((1, 0.4), (2, 0.5)), np.zeros((1, 1)), np.ones(1))  # the missing 0.1 ends
    tree = StageTree.whole(StageGraph((root, dry, wet), ((0, 1.0),), np.zeros(1), discount=0.5))
    assert tree.node.tolist() == [0, 1, 1, 2, 2]
    assert tree.weight.tolist() == pytest.approx([1.0, 0.05, 0.15, 0.0625, 0.1875])
    assert tree.parent.tolist() == [-1, 0, 0, 0, 0]
