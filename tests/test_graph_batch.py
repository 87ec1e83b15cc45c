"""Graphs end to end: joining, cliques as pairs, and the padded form, each against a build by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orrl.core import GraphSpec
from orrl.core.graphs import Edges, GraphBatch, Groups

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = 3  # groups in a row
FEATURES = 2


class Row(NamedTuple):
    """One graph in its own numbers."""

    nodes: list[tuple[int, int]]
    edges: list[tuple[int, int]]
    groups: list[int]
    actions: list[int]  # node or -1, the last one of the batch excepted
    mask: list[bool]  # one more


@st.composite
def rows(draw: st.DrawFn, actions: int) -> Row:
    size = draw(st.integers(0, 5))
    node, number = st.integers(0, max(0, size - 1)), st.integers(-9, 9)
    return Row(
        draw(st.lists(st.tuples(number, number), min_size=size, max_size=size)),
        draw(st.lists(st.tuples(node, node), max_size=6)) if size else [],
        draw(st.lists(st.integers(0, KINDS - 1), min_size=size, max_size=size)),
        draw(st.lists(st.integers(-1, size - 1), min_size=actions, max_size=actions)),
        draw(st.lists(st.booleans(), min_size=actions + 1, max_size=actions + 1)),
    )


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows with the same number of actions; one may have no nodes, all may."""
    return draw(st.lists(rows(draw(st.integers(0, 3))), min_size=1, max_size=4))


def build(table: Sequence[Row], width: int | None = None) -> GraphBatch:
    """Rows into a batch, by loops; `width` actions besides the last one."""
    width = max(len(r.actions) for r in table) if width is None else width
    nodes, row, label, pairs, action, mask = [], [], [], [], [], []
    for b, r in enumerate(table):
        at, missing = len(nodes), width - len(r.actions)
        nodes += r.nodes
        row += [b] * len(r.nodes)
        label += [b * KINDS + g for g in r.groups]
        pairs += [(at + s, at + t) for s, t in r.edges]
        action.append([a + at if a >= 0 else -1 for a in r.actions] + [-1] * missing + [-1])
        mask.append(r.mask[:-1] + [False] * missing + r.mask[-1:])
    source, target = np.array(pairs, np.int64).reshape(-1, 2).T
    return GraphBatch(
        np.array(nodes, np.float32).reshape(-1, FEATURES),
        np.array(row, np.int64),
        (Edges(source, target), Groups(np.array(label, np.int64), KINDS * len(table)), Edges(target, source)),
        np.array(action, np.int64),
        np.array(mask, np.bool_),
    )


def heard(batch: GraphBatch, relation: int) -> list[list[float]]:
    """Mean of what each node hears, pair by pair; whole numbers, so that the order of a sum does not matter."""
    total, count = np.zeros((len(batch.nodes), FEATURES)), np.zeros((len(batch.nodes), 1))
    kind = batch.relations[relation]
    if isinstance(kind, Groups):
        for a, one in enumerate(kind.label):
            for c, other in enumerate(kind.label):
                if a != c and one == other:
                    total[a] += batch.nodes[c]
                    count[a] += 1
    else:
        for source, target in zip(*kind, strict=True):
            total[target] += batch.nodes[source]
            count[target] += 1
    return (total / np.maximum(count, 1)).tolist()


def same(one: GraphBatch, other: GraphBatch) -> bool:
    arrays = [(one.nodes, other.nodes), (one.row, other.row), (one.action_node, other.action_node)]
    return all(np.array_equal(a, b) for a, b in [*arrays, (one.mask, other.mask)])


# ---- join ----------------------------------------------------------------------------------------------------------
@given(st.lists(tables(), min_size=1, max_size=3))
@settings(max_examples=60)
def test_joining_is_building_together(parts):
    width = max(len(r.actions) for part in parts for r in part)
    joined, together = GraphBatch.join([build(p) for p in parts]), build([r for p in parts for r in p], width)
    assert len(joined) == sum(len(p) for p in parts)
    assert same(joined, together)
    for mine, whole in zip(joined.relations, together.relations, strict=True):
        assert type(mine) is type(whole)
        assert all(np.array_equal(a, b) for a, b in zip(mine, whole, strict=True))


@given(tables(), tables())
@settings(max_examples=30)
def test_cliques_join_with_pairs(one, other):
    """A batch that comes from the padded form has pairs where another has groups."""
    first, second = build(one), build(other)
    pairs = GraphBatch(
        second.nodes,
        second.row,
        (second.relations[0], second.relations[1].edges(), second.relations[2]),
        second.action_node,
        second.mask,
    )
    mixed, plain = GraphBatch.join([first, pairs]), GraphBatch.join([first, second])
    assert isinstance(mixed.relations[1], Edges)
    assert isinstance(plain.relations[1], Groups)
    assert [heard(mixed, r) for r in range(3)] == [heard(plain, r) for r in range(3)]


def test_the_last_action_stays_the_last():
    few = build([Row([(1, 1)], [], [0], [0], [True, True])])
    many = build([Row([(2, 2)], [], [1], [-1, 0, 0], [False, True, False, True])])
    joined = GraphBatch.join([few, many])
    assert joined.action_node.tolist() == [[0, -1, -1, -1], [-1, 1, 1, -1]]
    assert joined.mask.tolist() == [[True, False, False, True], [False, True, False, True]]
    assert joined.relations[1].label.tolist() == [0, KINDS + 1]


# ---- groups --------------------------------------------------------------------------------------------------------
@given(st.lists(st.integers(0, 4), max_size=9))
def test_groups_are_all_pairs_of_others(label):
    found = Groups(np.array(label, np.int64), 6).edges()
    pairs = [(a, c) for a in range(len(label)) for c in range(len(label)) if a != c and label[a] == label[c]]
    assert sorted(zip(found.source.tolist(), found.target.tolist(), strict=True)) == pairs


# ---- the padded form -----------------------------------------------------------------------------------------------
def spec_of(batch: GraphBatch, spare: int) -> GraphSpec:
    """The fewest places that hold the batch, and some to spare."""
    pairs = [r.edges() if isinstance(r, Groups) else r for r in batch.relations]
    at = batch.row[np.concatenate([e.source for e in pairs])]
    nodes = int(np.bincount(batch.row, minlength=1).max())
    edges = int(np.bincount(at, minlength=1).max())
    return GraphSpec(nodes + spare, FEATURES, edges + spare, ("a", "b", "c"), batch.mask.shape[1])


@given(tables(), st.integers(0, 2))
@settings(max_examples=80)
def test_padding_and_back(table, spare):
    batch = build(table)
    spec = spec_of(batch, spare)
    padded = batch.padded(spec)
    assert padded["nodes"].shape == (len(table), spec.nodes, FEATURES)
    assert padded["edges"].shape == (len(table), spec.edges, 2)
    assert padded["node_mask"].sum() == len(batch.nodes)
    assert not padded["nodes"][padded["node_mask"] == 0].any()
    for b, r in enumerate(table):  # a row's nodes, edges and actions in its own numbers
        assert padded["nodes"][b, : len(r.nodes)].tolist() == [list(map(float, n)) for n in r.nodes]
        used = (padded["edge_mask"][b] == 1) & (padded["relation"][b] == 0)
        assert sorted(map(tuple, padded["edges"][b][used].tolist())) == sorted(r.edges)
        assert padded["action_node"][b].tolist() == [*r.actions, -1]
    back = GraphBatch.flatten(padded, 3)
    assert same(back, batch)
    assert [heard(back, r) for r in range(3)] == [heard(batch, r) for r in range(3)]


def test_one_row_of_the_padded_form_is_that_row_alone():
    table = [
        Row([(1, 2), (3, 4)], [(0, 1)], [0, 0], [1], [True, True]),
        Row([(5, 6)], [(0, 0)], [2], [0], [True, False]),
    ]
    both = build(table)
    padded = both.padded(spec_of(both, 1))
    alone = GraphBatch.flatten({key: value[1:] for key, value in padded.items()}, 3)
    assert same(alone, build(table[1:]))
    assert [heard(alone, r) for r in range(3)] == [heard(build(table[1:]), r) for r in range(3)]


@pytest.mark.parametrize("table", [
    [Row([], [], [], [-1], [False, False])],
    [Row([], [], [], [-1], [False, False]), Row([(1, 2)], [], [0], [0], [True, True])],
    [Row([(1, 2)], [], [0], [0], [True, True]), Row([], [], [], [-1], [False, False])],
])  # fmt: skip
def test_rows_without_nodes_and_graphs_without_edges(table):
    batch = build(table)
    assert all(len(e.source) == 0 for e in (batch.relations[0], batch.relations[1].edges()))
    back = GraphBatch.flatten(batch.padded(spec_of(batch, 1)), 3)
    assert same(back, batch)
    twice = GraphBatch.join([batch, back])
    assert len(twice) == 2 * len(table)
    assert len(twice.nodes) == 2 * len(batch.nodes)


def test_a_graph_larger_than_its_places_is_not_cut():
    batch = build([Row([(1, 2), (3, 4)], [(0, 1)], [0, 0], [1], [True, True])])
    with pytest.raises(IndexError):
        batch.padded(GraphSpec(1, FEATURES, 9, ("a", "b", "c"), 2))
