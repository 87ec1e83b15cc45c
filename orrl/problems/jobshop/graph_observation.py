"""The running shop as a padded graph of operations, for graph networks.

Node ``j * K + k`` is operation k of job j. Relations: 0 job successor, 1 job predecessor, 2 same machine (both not yet
done), 3 waits for (a job's next operation -> the next operation of the job that holds its machine): a cycle of the last
kind is a swap, or a deadlock without swap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import events

if TYPE_CHECKING:
    from .kernel import ShopBatch, ShopKernel

__all__ = ["RELATIONS", "edge_places", "graph_observation", "node_features"]

RELATIONS = ("job_successor", "job_predecessor", "same_machine", "waits_for")


def node_features() -> int:
    """Features of a node: done, running, next, duration, work left from here, time left, job waits, machine held."""
    return 8


def edge_places(kernel: ShopKernel) -> int:
    """Edges that the kernel's shops can have at most, with its padding."""
    jobs, operations = kernel.n_jobs, kernel.n_operations
    visits = max(int(np.bincount(row[row >= 0]).max()) for p in kernel.problems for row in p.machines)
    clique = jobs * operations * (jobs - 1) * visits  # each operation meets those of every other job
    return 2 * jobs * (operations - 1) + clique + jobs


def graph_observation(kernel: ShopKernel, state: ShopBatch) -> dict[str, npt.NDArray[Any]]:
    """Arrays with leading batch axis, padded to the kernel's sizes; keys as in `HasGraph`.

    Times are in units of the longest job's work, as in `ShopKernel.observe`.
    """
    t, (_, jobs, ops, _) = state.tables, kernel.shops.route.shape
    rows, nodes = len(state), jobs * ops
    which = t.row[:, events.WHICH]
    machine = kernel.shops.route[which, :, :, events.MACHINE]
    duration = kernel.shops.route[which, :, :, events.DURATION].astype(np.float32)
    scale = kernel.shops.config[which, events.SCALE].astype(np.float32)[:, None, None]
    real = machine >= 0
    k = np.arange(ops)[None, None, :]
    begun = t.job[:, :, events.BEGUN][:, :, None]
    per_job = kernel.observe(state)
    running = (k == begun - 1) & (per_job[:, :, 3:4] > 0)
    done = (k < begun) & ~running
    upcoming = k == begun
    tail = kernel.shops.route[which, :, :, events.REST].astype(np.float32)
    features = [done, running, upcoming, duration / scale, tail / scale, running * per_job[:, :, 3:4]]
    features += [upcoming * per_job[:, :, 5:6], upcoming * per_job[:, :, 6:7]]
    table = np.stack([np.where(real, f, 0) for f in features], axis=-1).astype(np.float32)
    edges, relation, mask = _edges(kernel, state, machine, done)
    action_node = np.full((rows, jobs + 1), -1, np.int32)
    target = np.arange(jobs)[None, :] * ops + t.job[:, :, events.BEGUN]
    has_next = t.job[:, :, events.TARGET] >= 0
    action_node[:, :jobs] = np.where(has_next, target, -1)
    return {
        "nodes": table.reshape(rows, nodes, -1),
        "node_mask": real.reshape(rows, nodes).astype(np.int8),
        "edges": edges,
        "relation": relation,
        "edge_mask": mask,
        "action_node": action_node,
        "action_mask": t.mask.astype(np.int8),
    }


def _edges(
    kernel: ShopKernel, state: ShopBatch, machine: npt.NDArray[Any], done: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    rows, jobs, ops = machine.shape
    size = edge_places(kernel)
    edges, relation = np.zeros((rows, size, 2), np.int32), np.zeros((rows, size), np.int8)
    mask = np.zeros((rows, size), np.int8)
    job_table, holder = state.tables.job, state.tables.holder
    for b in range(rows):
        own = machine[b].ravel()
        head = np.array([n for n in range(jobs * ops - 1) if (n + 1) % ops and own[n + 1] >= 0], np.int64)
        parts = [(head, head + 1, 0), (head + 1, head, 1)]
        open_ = np.flatnonzero((own >= 0) & ~done[b].ravel())
        a, c = np.meshgrid(open_, open_, indexing="ij")
        clash = (own[a] == own[c]) & (a // ops != c // ops)
        parts.append((a[clash], c[clash], 2))
        waiting = [j for j in range(jobs) if job_table[b, j, events.TARGET] >= 0]
        pairs = [(j, int(holder[b, job_table[b, j, events.TARGET]])) for j in waiting]
        pairs = [(j, i) for j, i in pairs if i >= 0 and i != j and job_table[b, i, events.TARGET] >= 0]
        nodes = np.array([[j * ops + job_table[b, j, events.BEGUN] for j in p] for p in pairs], np.int64).reshape(-1, 2)
        parts.append((nodes[:, 0], nodes[:, 1], 3))
        at = 0
        for source, target, kind in parts:
            n = len(source)
            edges[b, at : at + n, 0], edges[b, at : at + n, 1] = source, target
            relation[b, at : at + n], mask[b, at : at + n] = kind, 1
            at += n
    return edges, relation, mask
