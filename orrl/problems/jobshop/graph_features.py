"""The running shop as a graph of its open operations, on the tables of `events`: features and relations.

A node is an operation that is on a machine, running or finished and blocked, or that has not begun. Nodes stand row
after row, in a row job after job, in a job along its route. Nothing here looks ahead of the clock: a breakdown that has
not begun and the extra time of an operation that has not begun are not read. Nothing depends on the padding or on the
other rows of the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.graphs import Edges, GraphBatch, Groups
from .dispatch import _announced
from .events import (
    BEGUN,
    BLOCKING,
    DUE,
    DURATION,
    ENDED,
    HELD,
    MACHINE,
    NEVER,
    OPERATIONS,
    REST,
    SOURCE,
    SWAP,
    TARGET,
    TIME,
    WHICH,
    _up,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import SimpleNamespace

    from .data import JobShop
    from .events import Batch, Shops

__all__ = ["NODE_CUT", "NODE_FEATURES", "NODE_HIGH", "NODE_LOW", "RELATIONS", "build", "count_nodes", "measures"]

RELATIONS = (
    "job_successor", "job_predecessor", "same_machine", "waits_for", "waited_for", "contender", "holder",
)  # fmt: skip
"""Each node hears the nodes that the name says, so these are the sources and the node itself is the target.

job_successor
    The operation after it in its job.
job_predecessor
    The operation before it in its job, where that is still open.
same_machine
    The other open operations of its machine, whatever their job (`Groups`, label ``row * M + machine``).
waits_for
    A job's next operation hears the operation that is on its machine now, if that is another job's, and whether the job
    could go already or not. A cycle of waits and job predecessors is a swap, or a deadlock without swap.
waited_for
    The reverse: an operation on a machine hears the next operations that need its machine.
contender
    Those of the other open operations of its machine that are their jobs' next ones: they may take the machine first.
holder
    The operation that is on its machine now, also for operations that come later.
"""

NODE_FEATURES = (
    "running", "blocked", "next", "later", "duration", "job_work", "job_work_share", "time_left", "waiting_time",
    "machine_held", "machine_time_left", "machine_down_time", "machine_work", "machine_work_share", "operations_after",
    "job_begun", "machines_held_share", "movable", "machine_blocked", "machines_free_share", "slack", "blocking",
    "swap", "outage", "contenders", "waiters",
)  # fmt: skip
"""Features of a node, in order. The unit of time is the shop's mean duration; all are cut at `NODE_CUT` (20).

running, blocked, next, later : 0 or 1, one of them is 1
    It works on its machine; it has ended and stays there; it is its job's next one; it comes after that.
duration
    Time; of a running operation what is left of it, as announced.
job_work, job_work_share
    Work from this operation to its job's end, in 5 units; as a share of the most work that any job has left.
time_left
    Until the operation that the job is on ends, as announced, or until the job's release; 0 for later operations.
waiting_time
    Since the job could have left its machine, for the operation there and for the next one; 0 for later operations and
    before the job has begun.
machine_held, machine_time_left, machine_blocked
    A job is on its machine; when that job ends, as announced; 1 if it has ended.
machine_down_time
    Time until its machine is up, by the outages that have begun.
machine_work, machine_work_share
    Open work of its machine, in 10 units; as a share of the busiest machine's.
operations_after
    Operations of its job after this one, in fives.
job_begun, movable : 0 or 1
    An operation of its job has begun; it is the next one and its job can move now.
machines_held_share, machines_free_share
    Machines of the shop with a job on them; without one.
slack
    Time from now to the job's due date, less the work it has left; 0 without a due date, may be negative.
blocking, swap : 0 or 1
    The shop has no buffers; its jobs may exchange machines then (0 in a shop with buffers, where no job needs to).
outage
    Chance that an operation is interrupted times the mean outage; with "mtbf" the chance is that of an operation of
    mean duration. 0 in an undisturbed shop.
contenders, waiters
    Next operations of other jobs that need its machine, in fives (what is heard of them is a mean, which knows no
    number); those of them whose job could leave where it is.
"""
NODE_CUT = 20.0

(
    IS_RUNNING, IS_BLOCKED, IS_NEXT, IS_LATER, LENGTH, JOB_WORK, JOB_WORK_SHARE, TIME_LEFT, WAITING,
    MACHINE_HELD, MACHINE_LEFT, MACHINE_DOWN, MACHINE_WORK, MACHINE_WORK_SHARE, AFTER,
    JOB_BEGUN, HELD_SHARE, MOVABLE, MACHINE_BLOCKED, FREE_SHARE, SLACK, BLOCKS, SWAPS,
    OUTAGE, CONTENDERS, WAITERS,
) = range(26)  # fmt: skip

_TIMES = ("duration", "job_work", "time_left", "waiting_time", "machine_time_left", "machine_down_time", "machine_work")
_LONG = (*_TIMES, "operations_after", "slack", "outage", "contenders", "waiters")
NODE_LOW = tuple(-NODE_CUT if name == "slack" else 0.0 for name in NODE_FEATURES)
NODE_HIGH = tuple(NODE_CUT if name in _LONG else 1.0 for name in NODE_FEATURES)

UNIT, MACHINES, STRIKE = 0, 1, 2  # columns of `measures`
END, LEFT, HERE, LOAD, DOWN, NEED, WAIT = range(7)  # rows of the scratch table: three of jobs, four of machines


@SOURCE.add("void(FACTS, ROW, JOB, i8[::1])", entry=True)
def count_nodes(facts, row, job, first):  # type: ignore[no-untyped-def]
    """Write the first node (B + 1,) of each row; the last entry is their number. Ended rows have none."""
    first[0] = 0
    for b in range(len(row)):
        count = 0
        if not row[b, ENDED]:
            for j in range(job.shape[1]):
                n = facts[row[b, WHICH], j, OPERATIONS]
                count += n - job[b, j, BEGUN] + (n > 0 and job[b, j, HELD] >= 0)
        first[b + 1] = first[b] + count


@SOURCE.add("void(ROUTE, FACTS, CONFIG, ROW, JOB, VISIT, HOLDER, WINDOW, i8, i8[:,::1])")
def _survey(route, facts, config, row, job, visit, holder, window, b, scratch):  # type: ignore[no-untyped-def]
    """Write what the nodes of row b share: end and work left of each job; of each machine its open work, its down time,
    and how many jobs need it next and wait for it.
    """
    p, t = row[b, WHICH], row[b, TIME]
    for m in range(holder.shape[1]):
        scratch[LOAD, m] = scratch[NEED, m] = scratch[WAIT, m] = 0
        scratch[DOWN, m] = _up(window, b, m, t) - t
    for j in range(job.shape[1]):
        n, begun, held = facts[p, j, OPERATIONS], job[b, j, BEGUN], job[b, j, HELD]
        scratch[HERE, j], scratch[LEFT, j] = -1, 0
        if n == 0:
            continue
        end = _announced(route, config, row, job, visit, window, b, j)
        scratch[END, j] = end
        scratch[LEFT, j] = route[p, j, begun, REST] if begun < n else 0
        if held >= 0:
            scratch[LEFT, j] += max(0, end - t)
            scratch[LOAD, held] += max(0, end - t)
        for k in range(begun, n):
            scratch[LOAD, route[p, j, k, MACHINE]] += route[p, j, k, DURATION]
        if begun < n:
            scratch[NEED, job[b, j, TARGET]] += 1
            scratch[WAIT, job[b, j, TARGET]] += end <= t


@SOURCE.add(
    "void(TABLES, f8[:,::1], i8[::1], i8[:,::1], f4[:,::1], i8[::1], i8[::1],"
    " i8[:,::1], i8[:,::1], i8[:,::1], i8[:,::1], i8[:,::1], i8[::1])",
    entry=True,
)
def write_graphs(  # type: ignore[no-untyped-def]
    route, facts, config, row, job, visit, holder, window, mask,
    measure, first, scratch, nodes, of_row, label, chain, waits, rivals, below, action, used,
):  # fmt: skip
    """Write nodes (N, F), their row and label (N,), edges (2, ...), and action nodes.

    Edges along jobs, from waiting operations to holders, and, source first, from contenders and holders. `used` (4,)
    says how many places of these tables are filled.
    """
    jobs, machines = job.shape[1], holder.shape[1]
    links, waiting, rival, under = 0, 0, 0, 0
    for b in range(len(row)):
        for a in range(jobs + 1):
            action[b, a] = -1
        if row[b, ENDED]:
            continue
        _survey(route, facts, config, row, job, visit, holder, window, b, scratch)
        p, t, at = row[b, WHICH], row[b, TIME], first[b]
        unit, own = 1.0 / measure[p, UNIT], measure[p, MACHINES]
        longest, busiest, held = 1, 1, 0
        for j in range(jobs):
            longest = max(longest, scratch[LEFT, j])
        for m in range(machines):
            busiest = max(busiest, scratch[LOAD, m])
            held += holder[b, m] >= 0
        blocks, swaps = config[p, BLOCKING] != 0, config[p, BLOCKING] != 0 and config[p, SWAP] != 0
        outage = min(NODE_CUT, measure[p, STRIKE] * unit)
        for j in range(jobs):
            n, begun, end = facts[p, j, OPERATIONS], job[b, j, BEGUN], scratch[END, j]
            if n == 0:
                continue
            start = begun - 1 if job[b, j, HELD] >= 0 else begun
            slack = 0.0
            if facts[p, j, DUE] < NEVER:
                slack = min(NODE_CUT, max(-NODE_CUT, (facts[p, j, DUE] - t - scratch[LEFT, j]) * unit))
            left = min(NODE_CUT, max(0, end - t) * unit)
            waited = min(NODE_CUT, max(0, t - end) * unit) if begun > 0 else 0.0
            for k in range(start, n):
                m = route[p, j, k, MACHINE]
                here = k < begun
                work = scratch[LEFT, j] if here else route[p, j, k, REST]
                nodes[at, IS_RUNNING] = here and end > t
                nodes[at, IS_BLOCKED] = here and end <= t
                nodes[at, IS_NEXT] = k == begun
                nodes[at, IS_LATER] = k > begun
                nodes[at, LENGTH] = left if here else min(NODE_CUT, route[p, j, k, DURATION] * unit)
                nodes[at, JOB_WORK] = min(NODE_CUT, work * unit / 5)
                nodes[at, JOB_WORK_SHARE] = work / longest
                nodes[at, TIME_LEFT] = left if k <= begun else 0.0
                nodes[at, WAITING] = waited if k <= begun else 0.0
                i = holder[b, m]
                nodes[at, MACHINE_HELD] = i >= 0
                nodes[at, MACHINE_LEFT] = min(NODE_CUT, max(0, scratch[END, i] - t) * unit) if i >= 0 else 0.0
                nodes[at, MACHINE_DOWN] = min(NODE_CUT, scratch[DOWN, m] * unit)
                nodes[at, MACHINE_WORK] = min(NODE_CUT, scratch[LOAD, m] * unit / 10)
                nodes[at, MACHINE_WORK_SHARE] = scratch[LOAD, m] / busiest
                nodes[at, AFTER] = min(NODE_CUT, (n - 1 - k) / 5)
                nodes[at, JOB_BEGUN] = begun > 0
                nodes[at, HELD_SHARE] = held / own
                nodes[at, MOVABLE] = k == begun and mask[b, j]
                nodes[at, MACHINE_BLOCKED] = i >= 0 and scratch[END, i] <= t
                nodes[at, FREE_SHARE] = (own - held) / own
                nodes[at, SLACK] = slack
                nodes[at, BLOCKS] = blocks
                nodes[at, SWAPS] = swaps
                nodes[at, OUTAGE] = outage
                nodes[at, CONTENDERS] = min(NODE_CUT, (scratch[NEED, m] - (k == begun)) / 5)
                nodes[at, WAITERS] = min(NODE_CUT, (scratch[WAIT, m] - (k == begun and end <= t)) / 5)
                of_row[at], label[at] = b, b * machines + m
                if here:
                    scratch[HERE, j] = at
                elif k == begun:
                    action[b, j] = at
                if k > start:
                    chain[0, links], chain[1, links] = at - 1, at
                    links += 1
                at += 1
        for j in range(jobs):
            if action[b, j] < 0:
                continue
            i = holder[b, job[b, j, TARGET]]
            if i >= 0 and i != j:
                waits[0, waiting], waits[1, waiting] = action[b, j], scratch[HERE, i]
                waiting += 1
        for j in range(jobs):
            next_, here = action[b, j], scratch[HERE, j]
            for x in range(first[b], at):
                if next_ >= 0 and label[x] == label[next_] and x != next_:
                    rivals[0, rival], rivals[1, rival] = next_, x
                    rival += 1
                if here >= 0 and label[x] == label[here] and x != here:
                    below[0, under], below[1, under] = here, x
                    under += 1
    used[0], used[1], used[2], used[3] = links, waiting, rival, under


def measures(problems: Sequence[JobShop]) -> npt.NDArray[np.float64]:
    """Unit of time, machines, and the chance of an interruption times the mean outage of each problem (P, 3)."""
    table = np.empty((len(problems), 3))
    for p, shop in enumerate(problems):
        law = shop.interruptions
        unit = float(shop.durations.sum()) / max(1, int(np.sum(shop.n_operations))) or 1.0
        chance = law.p if law.law == "per_start" else 1.0 - float(np.exp(-unit / law.mtbf))
        table[p] = unit, shop.n_machines, chance * sum(law.outage) / 2
    return table


def build(code: SimpleNamespace, shops: Shops, measure: npt.NDArray[np.float64], tables: Batch) -> GraphBatch:
    """The graphs of a batch; `code` has the functions of this module, plain or compiled."""
    rows, jobs, machines = len(tables.row), tables.job.shape[1], tables.holder.shape[1]
    first = np.empty(rows + 1, np.int64)
    code.count_nodes(shops.facts, tables.row, tables.job, first)
    count = int(first[-1])

    def whole(*shape: int) -> npt.NDArray[Any]:
        return np.empty(shape, np.int64)

    nodes = np.empty((count, len(NODE_FEATURES)), np.float32)
    row, label, chain, waits = whole(count), whole(count), whole(2, count), whole(2, rows * jobs)
    rivals, below = whole(2, jobs * count), whole(2, count)
    action, used, scratch = whole(rows, jobs + 1), whole(4), whole(7, max(jobs, machines))
    edges = chain, waits, rivals, below
    code.write_graphs(*shops, *tables, measure, first, scratch, nodes, row, label, *edges, action, used)
    (before, after), (waiter, holder), contending, held = (
        table[:, :places].copy() for table, places in zip(edges, used, strict=True)
    )
    relations = (
        Edges(after, before),
        Edges(before, after),
        Groups(label, rows * machines),
        Edges(holder, waiter),
        Edges(waiter, holder),
        Edges(*contending),
        Edges(*held),
    )
    return GraphBatch(nodes, row, relations, action, tables.mask.copy())
