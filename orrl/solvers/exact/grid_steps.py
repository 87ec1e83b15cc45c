"""The two compiled loops of `grid-sdp`: the expectation after each post-decision node, and the choice at a stock.

Arrays always have three stock axes; those that a problem lacks have one point.
"""

from __future__ import annotations

from ...core.jit import Source

__all__ = ["SOURCE"]

SOURCE = Source(tables={"A": "f8[::1]", "B": "f8[::1]", "C": "f8[::1]"}, all_tables="AXES")


@SOURCE.add("i8(f8[::1], f8)")
def cell(axis, x):  # type: ignore[no-untyped-def]
    """Number i of the cell with ``axis[i] <= x < axis[i + 1]``, the first or the last one outside."""
    low, high = 0, len(axis) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if axis[middle] <= x:
            low = middle
        else:
            high = middle
    return low


@SOURCE.add("f8(f8[::1], f8[:, :, ::1], f8[::1], i8, i8, f8, f8[:, ::1], i8[:, ::1], f8[:, ::1])")
def spread(axis, points, chance, node, i, floor, weight, span, sums):  # type: ignore[no-untyped-def]
    """Law of stock i after a node as weights on the axis; lost mass is left out. Returns the mass that is kept.

    ``sums[i, 0]`` is the expected part beyond the end of the axis, where the value goes on along a straight line.
    """
    n = len(axis)
    for k in range(span[i, 0], span[i, 1] + 1):
        weight[i, k] = 0.0
    if n == 1:
        weight[i, 0], span[i, 0], span[i, 1], sums[i, 0] = 1.0, 0, 0, 0.0
        return 1.0
    kept, beyond, first, last = 0.0, 0.0, n, -1
    for q in range(len(chance)):
        x = points[node, i, q]
        if x <= floor:
            continue
        kept += chance[q]
        if x >= axis[n - 1]:
            beyond += chance[q] * (x - axis[n - 1])
            k, share = n - 2, 1.0
        else:
            k = cell(axis, x)
            share = (x - axis[k]) / (axis[k + 1] - axis[k])
        weight[i, k] += chance[q] * (1.0 - share)
        weight[i, k + 1] += chance[q] * share
        first, last = min(first, k), max(last, k + 1)
    if last < 0:
        first, last = 0, 0
    span[i, 0], span[i, 1], sums[i, 0] = first, last, beyond
    return kept


@SOURCE.add(
    "void(AXES, f8[:, :, ::1], f8[::1], f8[::1], f8[::1], f8[:, :, ::1], f8, f8, f8[:, ::1], i8[:, ::1], f8[:, ::1], "
    "f8[::1])",
    entry=True,
)
def expect(  # type: ignore[no-untyped-def]
    a, b, c, points, chance, floor, price, value, ending, discount, weight, span, sums, out
):
    """Worth (N,) of each post-decision node: the discounted expectation of `value`, and of the end's reward.

    The shocks are independent, so the expectation of the multilinear interpolant is a sum over three short ranges.
    """
    for node in range(len(out)):
        keep_a = spread(a, points, chance, node, 0, floor[0], weight, span, sums)
        keep_b = spread(b, points, chance, node, 1, floor[1], weight, span, sums)
        keep_c = spread(c, points, chance, node, 2, floor[2], weight, span, sums)
        kept = keep_a * keep_b * keep_c
        total = 0.0
        if kept > 0.0:
            for i in range(span[0, 0], span[0, 1] + 1):
                for j in range(span[1, 0], span[1, 1] + 1):
                    part = 0.0
                    for k in range(span[2, 0], span[2, 1] + 1):
                        part += weight[2, k] * value[i, j, k]
                    total += weight[0, i] * weight[1, j] * part
            total += price[0] * sums[0, 0] * keep_b * keep_c
            total += price[1] * sums[1, 0] * keep_a * keep_c
            total += price[2] * sums[2, 0] * keep_a * keep_b
        out[node] = discount * total + (1.0 - kept) * ending


@SOURCE.add("f8(f8[:, :, :, ::1], i8, i8, f8, i8, f8, i8, f8)")
def between(table, t, i, u, j, v, k, w):  # type: ignore[no-untyped-def]
    """Multilinear interpolation in a cell; shares of 0 look at one side only."""
    total = 0.0
    for di in range(2):
        left = 1.0 - u if di == 0 else u
        if left == 0.0:
            continue
        for dj in range(2):
            mid = 1.0 - v if dj == 0 else v
            if mid == 0.0:
                continue
            part = table[t, i + di, j + dj, k] * (1.0 - w)
            if w > 0.0:
                part += table[t, i + di, j + dj, k + 1] * w
            total += left * mid * part
    return total


@SOURCE.add("void(AXES, f8[:, :, :, ::1], i8, i8[::1], f8[:, ::1], i8[::1], f8[::1], f8[:, ::1])", entry=True)
def choose(a, b, c, table, controls, which, stocks, place, share, left):  # type: ignore[no-untyped-def]
    """Best stocks to leave (B, 3) at stocks (B, 3), table number `which`; nothing is taken where that is as good.

    `table` is worth less price times what is left, linear in each stock between nodes, so the best is a node or the
    stock itself. `place` and `share` (3,) are scratch.
    """
    for row in range(len(which)):
        t = which[row]
        for i in range(3):
            axis = a if i == 0 else b if i == 1 else c
            n, x = len(axis), stocks[row, i]
            left[row, i] = x
            place[i], share[i] = 0, 0.0
            if n > 1:
                k = cell(axis, x)
                place[i] = k
                share[i] = min(max((x - axis[k]) / (axis[k + 1] - axis[k]), 0.0), 1.0)
        best = between(table, t, place[0], share[0], place[1], share[1], place[2], share[2])
        edge = 1e-12 * (1.0 + abs(best))
        for m in range(place[0] + 2 if controls > 0 else 1):
            i, u = (place[0], share[0]) if m == 0 else (m - 1, 0.0)
            for o in range(place[1] + 2 if controls > 1 else 1):
                j, v = (place[1], share[1]) if o == 0 else (o - 1, 0.0)
                for s in range(place[2] + 2 if controls > 2 else 1):
                    k, w = (place[2], share[2]) if s == 0 else (s - 1, 0.0)
                    found = between(table, t, i, u, j, v, k, w)
                    if found > best + edge:
                        best = found
                        left[row, 0] = stocks[row, 0] if m == 0 else a[i]
                        if controls > 1:
                            left[row, 1] = stocks[row, 1] if o == 0 else b[j]
                        if controls > 2:
                            left[row, 2] = stocks[row, 2] if s == 0 else c[k]
