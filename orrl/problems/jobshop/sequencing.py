"""Earliest start times for given machine sequences: longest paths in the disjunctive or the alternative graph.

Mascis & Pacciarelli (2002), European Journal of Operational Research 143:498-517. A selection is feasible in the
blocking shop with swap when its graph has no cycle of positive length, and without swap when it has no cycle at all.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from ...core.errors import DataError
from .calendar import Calendar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import JobShop
    from .interruptions import IntArray, Outages

__all__ = ["earliest_starts", "order_operations", "waits"]

Operation = tuple[int, int]


def order_operations(problem: JobShop, sequences: Sequence[Sequence[int]]) -> list[list[Operation]]:
    """Operations (j, k) on each machine in the given order of jobs."""
    if len(sequences) != problem.n_machines:
        raise DataError(f"{len(sequences)} sequences for {problem.n_machines} machines: give one list per machine")
    orders: list[list[Operation]] = []
    for m, row in enumerate(sequences):
        visits = {j: [int(k) for k in np.flatnonzero(problem.machines[j] == m)] for j in range(problem.n_jobs)}
        wanted = sorted(j for j, ks in visits.items() for _ in ks)
        if sorted(row) != wanted:
            raise DataError(
                f"{problem.machine_names[m]}: the sequence {list(row)} is no permutation of its jobs {wanted}"
            )
        orders.append([(j, visits[j].pop(0)) for j in row])
    return orders


def waits(problem: JobShop, orders: Sequence[Sequence[Operation]]) -> list[tuple[Operation, Operation, bool]]:
    """Machine arcs ``(a, b, holds)``: b enters after a leaves.

    With ``holds`` true a leaves when its job's next operation starts, so the arc begins at that start (length 0);
    otherwise it begins at a's start and lasts until a's finish.
    """
    arcs = []
    for order in orders:
        for (i, k), b in itertools.pairwise(order):
            holds = problem.blocking and k + 1 < problem.n_operations[i]
            arcs.append(((i, k + 1) if holds else (i, k), b, holds))
    return arcs


def earliest_starts(problem: JobShop, orders: Sequence[Sequence[Operation]], scenario: Outages) -> IntArray:
    """Longest paths by repeated relaxation; the finish of an operation is a monotone function of its start.

    Operations that have started in ``problem.state`` keep their start; the others start from now on.

    Raises
    ------
    DataError
        Naming a job on a cycle, or an operation that has begun and stands behind one that has not.
    """
    _refuse_rewriting(problem, orders)
    calendar = Calendar(problem, scenario)
    now = 0 if problem.state is None else problem.state.time
    begin = np.where(problem.machines >= 0, np.maximum(problem.release[:, None], now), -1).astype(np.int64)
    fixed = np.zeros(begin.shape, np.bool_) if problem.state is None else problem.state.start >= 0
    if problem.state is not None:
        begin[fixed] = problem.state.start[fixed]
    after: dict[Operation, list[tuple[Operation, bool]]] = {}
    for a, b, holds in waits(problem, orders):
        after.setdefault(a, []).append((b, holds))
    # without a cycle of positive length a path has every node at most once, so each node waits in the queue at most
    # that often; a cycle of length 0 may be walked once more for each outage that its operations are moved out of
    most = int(problem.n_operations.sum()) * (1 + sum(len(w) for w in calendar.windows))
    queue = deque((j, k) for j, n in enumerate(problem.n_operations) for k in range(n))
    for j, k in queue:
        if not fixed[j, k]:
            begin[j, k] = calendar.earliest(j, k, int(begin[j, k]))
    waited, waiting = dict.fromkeys(queue, 1), set(queue)
    while queue:
        j, k = queue.popleft()
        waiting.remove((j, k))
        finish = calendar.finish(j, k, int(begin[j, k]))
        targets = [((j, k + 1), finish)] if k + 1 < problem.n_operations[j] else []
        targets += [(b, int(begin[j, k]) if holds else finish) for b, holds in after.get((j, k), ())]
        for (i, q), wanted in targets:
            if fixed[i, q]:
                if wanted > begin[i, q]:
                    raise DataError(
                        f"{problem.job_names[i]}, operation {q} started at {begin[i, q]}: the sequences want {wanted} "
                        "or later"
                    )
                continue
            time = calendar.earliest(i, q, wanted)
            if time > begin[i, q]:
                begin[i, q] = time
                if (i, q) in waiting:
                    continue
                waited[i, q] += 1
                if waited[i, q] > most + 1:
                    raise DataError(f"the sequences contradict each other: a cycle runs through {problem.job_names[i]}")
                queue.append((i, q))
                waiting.add((i, q))
    if problem.blocking and not problem.swap:
        _refuse_zero_cycles(problem, orders)
    return begin


def _refuse_rewriting(problem: JobShop, orders: Sequence[Sequence[Operation]]) -> None:
    """What has begun keeps its place: nothing to come goes before it, not even a visit of no length."""
    if problem.state is None:
        return
    for name, order in zip(problem.machine_names, orders, strict=True):
        for (i, q), (j, k) in itertools.pairwise(order):
            if problem.state.start[i, q] < 0 <= problem.state.start[j, k]:
                raise DataError(
                    f"{name}: {problem.job_names[j]}, operation {k}, has begun and cannot stand behind "
                    f"{problem.job_names[i]}, operation {q}, which has not: put it in front"
                )


def _refuse_zero_cycles(problem: JobShop, orders: Sequence[Sequence[Operation]]) -> None:
    import networkx as nx

    graph = nx.DiGraph((a, b) for a, b, _ in waits(problem, orders))
    graph.add_edges_from(((j, k), (j, k + 1)) for j, n in enumerate(problem.n_operations) for k in range(n - 1))
    if not nx.is_directed_acyclic_graph(graph):
        jobs = sorted({problem.job_names[j] for (j, _), _ in nx.find_cycle(graph)})
        raise DataError(f"the sequences need a swap between {', '.join(jobs)}, and swap=False forbids it")
