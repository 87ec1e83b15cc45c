"""One round of messages of a `GraphNetwork` as one compiled pass, forward and back.

The same means as torch's `index_add` of every relation, without its dozens of passes over memory;
``benchmarks/gnn_ppo.py --part throughput`` prints the ratio. Numba is imported with the first graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...core.graphs import Groups
from ...core.jit import Source

if TYPE_CHECKING:
    from ...core.graphs import GraphBatch

__all__ = ["Wiring", "hear", "wiring"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

WIRING = {
    "EDGE": "i8[::1], i8[::1], i8[:,::1]",  # source, target; of each edge relation: first, last, its place
    "GROUP": "i8[:,::1], i8[::1], i8[::1]",  # labels (G, N), of each group relation its place and number of groups
    "SHARE": "f4[:,::1]",  # (R, N) one over what a node hears
}
SOURCE = Source(tables=WIRING, all_tables="ALL")


@SOURCE.add("void(ALL, i8[::1])", entry=True)
def count_shares(source, target, span, labels, places, counts, share, number):  # type: ignore[no-untyped-def]
    """Write `share`, one over the number of nodes that each node hears; `number` (G,) is scratch."""
    size = share.shape[1]
    share[:] = 0.0
    for e in range(len(span)):
        for i in range(span[e, 0], span[e, 1]):
            share[span[e, 2], target[i]] += 1.0
    for g in range(len(places)):
        r = places[g]
        number[: counts[g]] = 0
        for n in range(size):
            number[labels[g, n]] += 1
        own = r < len(share) - 1  # the last relation is the whole graph, the node included
        for n in range(size):
            share[r, n] = number[labels[g, n]] - own
    for r in range(len(share)):
        for n in range(size):
            share[r, n] = 1.0 / max(share[r, n], 1.0)


@SOURCE.add("void(f4[:,::1], ALL, f4[:,::1], f4[:,:,::1])", entry=True)
def spread(said, source, target, span, labels, places, counts, share, total, heard):  # type: ignore[no-untyped-def]
    """Means (N, R, M) of what every node hears of `said` (N, M) in each relation; `total` (G, M) is scratch."""
    size, width = said.shape
    heard[:] = 0.0
    for e in range(len(span)):
        r = span[e, 2]
        for i in range(span[e, 0], span[e, 1]):
            s, t = source[i], target[i]
            weight = share[r, t]
            for c in range(width):
                heard[t, r, c] += weight * said[s, c]
    for g in range(len(places)):
        r = places[g]
        total[: counts[g]] = 0.0
        for n in range(size):
            k = labels[g, n]
            for c in range(width):
                total[k, c] += said[n, c]
        own = np.float32(r < len(share) - 1)
        for n in range(size):
            k, weight = labels[g, n], share[r, n]
            for c in range(width):
                heard[n, r, c] = (total[k, c] - own * said[n, c]) * weight


@SOURCE.add("void(f4[:,:,::1], ALL, f4[:,::1], f4[:,::1])", entry=True)
def gather(back, source, target, span, labels, places, counts, share, total, told):  # type: ignore[no-untyped-def]
    """The transpose: gradient (N, M) of what was said, from that of what was heard, `back` (N, R, M)."""
    size, width = told.shape
    told[:] = 0.0
    for e in range(len(span)):
        r = span[e, 2]
        for i in range(span[e, 0], span[e, 1]):
            s, t = source[i], target[i]
            weight = share[r, t]
            for c in range(width):
                told[s, c] += back[t, r, c] * weight
    for g in range(len(places)):
        r = places[g]
        total[: counts[g]] = 0.0
        for n in range(size):
            k, weight = labels[g, n], share[r, n]
            for c in range(width):
                total[k, c] += back[n, r, c] * weight
        own = np.float32(r < len(share) - 1)
        for n in range(size):
            k, weight = labels[g, n], own * share[r, n]
            for c in range(width):
                told[n, c] += total[k, c] - back[n, r, c] * weight


@SOURCE.add("void(f4[:,::1], f4[::1], f4[::1], f4[:,::1])", entry=True)
def add_normed(mixed, weight, bias, h):  # type: ignore[no-untyped-def]
    """Add the positive part of the layer norm of `mixed` (N, W) to `h` (N, W)."""
    width = h.shape[1]
    for n in range(len(h)):
        mean, square = np.float32(0.0), np.float32(0.0)
        for c in range(width):
            mean += mixed[n, c]
        mean /= np.float32(width)
        for c in range(width):
            square += (mixed[n, c] - mean) ** 2
        scale = np.float32(1.0 / np.sqrt(square / width + 1e-5))
        for c in range(width):
            h[n, c] += max((mixed[n, c] - mean) * scale * weight[c] + bias[c], np.float32(0.0))


class Wiring(NamedTuple):
    """Relations of a batch, the whole graph as the last one, as the compiled functions take them."""

    source: IntArray
    target: IntArray
    span: IntArray
    labels: IntArray
    places: IntArray
    counts: IntArray
    share: FloatArray


def wiring(batch: GraphBatch) -> Wiring:
    """Of the relations of a batch, in their order."""
    edges, spans, places, at = [], [], [], 0
    for r, relation in enumerate(batch.relations):
        if isinstance(relation, Groups):
            places.append(r)
        else:
            edges.append(relation)
            spans.append((at, at := at + len(relation.target), r))
    labels = np.empty((len(places) + 1, len(batch.nodes)), np.int64)
    counts = np.empty(len(labels), np.int64)
    for g, r in enumerate(places):
        labels[g], counts[g] = batch.relations[r]
    labels[-1], counts[-1] = batch.row, len(batch)
    count = len(batch.relations)
    wires = Wiring(
        np.concatenate([e.source for e in edges]) if edges else np.zeros(0, np.int64),
        np.concatenate([e.target for e in edges]) if edges else np.zeros(0, np.int64),
        np.array(spans, np.int64).reshape(-1, 3),
        labels,
        np.array([*places, count], np.int64),
        counts,
        np.empty((count + 1, len(batch.nodes)), np.float32),
    )
    SOURCE.compiled().count_shares(*wires, np.empty(int(counts.max()), np.int64))
    return wires


class _Hear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, said: Tensor, wires: Wiring) -> Tensor:
        ctx.wires, ctx.width = wires, said.shape[1]
        heard = np.empty((len(said), len(wires.share), said.shape[1]), np.float32)
        total = np.empty((int(wires.counts.max()), said.shape[1]), np.float32)
        SOURCE.compiled().spread(said.detach().contiguous().numpy(), *wires, total, heard)
        return torch.from_numpy(heard.reshape(len(said), heard.shape[1] * heard.shape[2]))

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None]:
        wires = ctx.wires
        back = grads[0].contiguous().numpy().reshape(len(grads[0]), len(wires.share), ctx.width)
        told = np.empty((len(back), ctx.width), np.float32)
        total = np.empty((int(wires.counts.max()), ctx.width), np.float32)
        SOURCE.compiled().gather(back, *wires, total, told)
        return torch.from_numpy(told), None


def hear(said: Tensor, wires: Wiring) -> Tensor:
    """Means (N, R * M) over every relation and over the whole graph, of messages (N, M) in float32 on the CPU."""
    found: Tensor = _Hear.apply(said, wires)
    return found
