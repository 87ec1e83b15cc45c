"""The disjunctive and the alternative graph of a shop as networkx objects. Imported only where a graph is asked for.

Nodes are operations ``(job, operation)`` and two ends, ``"source"`` and ``"sink"``; an arc of weight w from a to b says
that b starts at least w after a. With one order per machine chosen, the longest path from the source to a node is its
earliest start (Roy & Sussmann 1964; for blocking shops Mascis & Pacciarelli 2002, European Journal of Operational
Research 143:498-517).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import networkx as nx
import numpy as np

from ...core.errors import DataError
from .sequencing import order_operations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import JobShop
    from .interruptions import IntArray, Outages
    from .schedule import Schedule

__all__ = [
    "SINK",
    "SOURCE",
    "Cycle",
    "alternative_graph",
    "check_cycles",
    "critical_path",
    "disjunctive_graph",
    "longest_paths",
]

SOURCE, SINK = "source", "sink"
Operation = tuple[int, int]


class Cycle(NamedTuple):
    """What `check_cycles` found.

    Parameters
    ----------
    kind : {"none", "zero", "positive"}
        "positive" contradicts itself; "zero" is a swap: jobs that change places at one moment.
    nodes : list
        The nodes of one such cycle in order, empty for "none".
    """

    kind: Literal["none", "zero", "positive"]
    nodes: list[Any]


def disjunctive_graph(
    problem: JobShop, sequences: Sequence[Sequence[int]] | None = None, scenario: Outages | None = None
) -> nx.DiGraph:
    """The graph of the shop with unlimited storage.

    Parameters
    ----------
    problem : JobShop
        The shop; its storage does not matter here. In a running shop the arcs from the source carry the starts that
        have happened, and now for the operations that come next.
    sequences : M sequences of int, optional
        Jobs on each machine in order: one arc from each to the next. Without them every pair on a machine is joined in
        both directions: these are the decisions.
    scenario : Outages, optional
        Extra times of the operations; a graph knows no machine calendar.

    Returns
    -------
    networkx.DiGraph
        Nodes have ``job, op, machine, duration``; arcs have ``kind`` ("release", "job", "machine") and ``weight``.
    """
    graph, work = _job_arcs(problem, scenario)
    if sequences is not None:
        for order in order_operations(problem, sequences):
            for a, b in itertools.pairwise(order):
                _add_arc(graph, a, b, "machine", int(work[a]))
        return graph
    for m in range(problem.n_machines):
        visits = [(int(j), int(k)) for j, k in zip(*np.nonzero(problem.machines == m), strict=True)]
        for a in visits:
            for b in visits:
                if a[0] != b[0]:
                    _add_arc(graph, a, b, "machine", int(work[a]))
    return graph


def alternative_graph(
    problem: JobShop, sequences: Sequence[Sequence[int]], scenario: Outages | None = None
) -> nx.DiGraph:
    """The graph of the shop as it is: in a blocking shop a machine is free when its job's next operation starts.

    Parameters
    ----------
    problem, sequences, scenario
        As in `disjunctive_graph`.

    Returns
    -------
    networkx.DiGraph
        Arcs "alternative" of weight 0 lead from the next operation of a to b; where a is its job's last operation, or
        in a shop with unlimited storage, an arc "machine" leads from a to b with a's duration.
    """
    graph, work = _job_arcs(problem, scenario)
    for order in order_operations(problem, sequences):
        for (j, k), b in itertools.pairwise(order):
            if problem.blocking and k + 1 < problem.n_operations[j]:
                _add_arc(graph, (j, k + 1), b, "alternative", 0)
            else:
                _add_arc(graph, (j, k), b, "machine", int(work[j, k]))
    return graph


def longest_paths(graph: nx.DiGraph) -> dict[Any, int]:
    """Longest path from the source to each node: the earliest starts, and the makespan at the sink.

    Raises
    ------
    DataError
        A cycle of positive length.
    """
    return {node: -int(length) for node, length in _bellman_ford(graph)[0].items()}


def critical_path(problem: JobShop, schedule: Schedule, scenario: Outages | None = None) -> list[Operation]:
    """Operations of one longest path through the machine orders of a schedule.

    The weights of its arcs add up to the makespan of the earliest schedule with these orders: no schedule that keeps
    the order of this path's operations is shorter.
    """
    graph = alternative_graph(problem, schedule.sequences(), scenario)
    return [node for node in _bellman_ford(graph)[1][SINK] if node not in (SOURCE, SINK)]


def check_cycles(graph: nx.DiGraph) -> Cycle:
    """Whether the graph contradicts itself, needs a swap, or neither.

    In a blocking shop with swap a selection is feasible unless "positive", without swap only when "none".
    """
    if nx.is_directed_acyclic_graph(graph):
        return Cycle("none", [])
    for part in map(graph.subgraph, nx.strongly_connected_components(graph)):
        for a, b, data in part.edges(data=True):
            if data["weight"] > 0:  # every arc of a strong component lies on a cycle, and no weight is negative
                return Cycle("positive", nx.shortest_path(part, b, a))
    return Cycle("zero", [a for a, _ in nx.find_cycle(graph)])


def _shortened(a: Any, b: Any, data: dict[str, Any]) -> int:
    return -int(data["weight"])


def _bellman_ford(graph: nx.DiGraph) -> tuple[dict[Any, Any], dict[Any, list[Any]]]:
    try:
        return nx.single_source_bellman_ford(graph, SOURCE, weight=_shortened)  # type: ignore[return-value]
    except nx.NetworkXUnbounded:
        nodes = check_cycles(graph).nodes
        raise DataError(f"the machine orders contradict each other: a cycle runs through {nodes}") from None


def _job_arcs(problem: JobShop, scenario: Outages | None) -> tuple[nx.DiGraph, IntArray]:
    work = problem.durations + (problem.nominal() if scenario is None else scenario).extra
    graph: nx.DiGraph = nx.DiGraph(name=problem.name)
    for end in (SOURCE, SINK):
        graph.add_node(end, job=None, op=None, machine=None, duration=0)
    for j, n in enumerate(problem.n_operations.tolist()):
        for k in range(n):
            graph.add_node((j, k), job=j, op=k, machine=int(problem.machines[j, k]), duration=int(work[j, k]))
        for k, time in _known_starts(problem, j):
            _add_arc(graph, SOURCE, (j, k), "release", time)
        for k in range(n - 1):
            _add_arc(graph, (j, k), (j, k + 1), "job", int(work[j, k]))
        _add_arc(graph, (j, n - 1), SINK, "job", int(work[j, n - 1]))
    return graph, work


def _known_starts(problem: JobShop, j: int) -> list[tuple[int, int]]:
    """Operations of a job with a start that has happened, or from which they may start."""
    release, state = int(problem.release[j]), problem.state
    if state is None:
        return [(0, release)]
    begun = int((state.start[j] >= 0).sum())
    known = [(k, int(state.start[j, k])) for k in range(begun)]
    return known + ([(begun, max(release, state.time))] if begun < problem.n_operations[j] else [])


def _add_arc(graph: nx.DiGraph, a: Any, b: Any, kind: str, weight: int) -> None:
    """Of two arcs between the same nodes only the longer one matters."""
    if not graph.has_edge(a, b) or graph.edges[a, b]["weight"] < weight:
        graph.add_edge(a, b, kind=kind, weight=weight)
