"""The transition, one source for plain Python and for machine code.

Laws are drawn by inversion: `guide` (rows, G) says where to begin the search in `cdf` (rows, n).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...core.jit import Source

__all__ = ["PARAMETERS", "SOURCE", "cumulated", "guides", "pick"]

PARAMETERS = 16  # of a continuous process, see `parameters` of the kernel
# growth code, five parameters, noise law, sigma_g, survey law, price, power, cost, cost power, order, top
GROWTH, FIRST, LAW, SIGMA, SURVEY, PRICE, POWER, COST, COST_POWER, ORDER = 0, 1, 6, 7, 8, 9, 10, 11, 12, 13

SOURCE = Source(
    tables={
        "CDF": "f8[:, :, ::1]", "GUIDE": "i8[:, :, ::1]", "SEEN": "f8[:, :, ::1]", "LOOK": "i8[:, :, ::1]",
        "INDEX": "i8[:, :, ::1]", "REWARD": "f8[:, :, ::1]", "STOCKS": "f8[:, ::1]", "SURVEYS": "f8[:, ::1]",
    }
)  # fmt: skip


def cumulated(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Cumulated laws (..., n), 1 from the last point with mass on."""
    cdf = np.cumsum(rows, axis=-1)
    last = rows.shape[-1] - 1 - (rows[..., ::-1] > 0.0).argmax(axis=-1)
    cdf[np.arange(rows.shape[-1]) >= last[..., None]] = 1.0
    return np.ascontiguousarray(cdf)


def guides(cdf: npt.NDArray[np.float64], fine: int = 1) -> npt.NDArray[np.int64]:
    """For each row (..., n) and g < G = fine * n: the first point whose cumulated law exceeds g / G."""
    n = cdf.shape[-1]
    flat = cdf.reshape(-1, n)
    marks = np.arange(fine * n) / (fine * n)
    found = np.stack([np.searchsorted(row, marks, side="right") for row in flat])
    return np.ascontiguousarray(np.minimum(found, n - 1).reshape(*cdf.shape[:-1], -1).astype(np.int64))


@SOURCE.add("i8(CDF, GUIDE, i8, i8, f8)")
def pick(cdf, guide, table, row, u):  # type: ignore[no-untyped-def]
    """First point whose cumulated law exceeds u in [0, 1)."""
    last = cdf.shape[2] - 1
    k = guide[table, row, int(u * guide.shape[2])]
    while k < last and cdf[table, row, k] <= u:
        k += 1
    return k


@SOURCE.add(
    "void(TABLES, i8[::1], i8[::1], i8[::1], i8[:, ::1], i8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], "
    "i8[::1], i8[::1], f8[::1])",
    entry=True,
)
def on_grid(  # type: ignore[no-untyped-def]
    cdf, guide, seen, look, index, reward, stocks, surveys,
    table, stage, end, here, last, stock, survey, process, measure, quota, effort, rewards,
):  # fmt: skip
    """One year in each row that goes on and has a quota: `here` and `last` (B, 1) are numbers of stock and survey."""
    points, levels = stocks.shape[1], index.shape[2]
    for b in range(len(stage)):
        t = stage[b]
        rewards[b] = 0.0
        if t >= end[b] or quota[b] < 0:
            continue
        p, x = table[b], here[b, 0]
        rewards[b] = reward[p, x, effort[b] * levels + quota[b]]
        x = pick(cdf, guide, p, index[p, x, quota[b]], process[b, t])
        y = pick(seen, look, p, effort[b] * points + x, measure[b, t + 1])
        here[b, 0], last[b, 0] = x, y
        t += 1
        stage[b] = t
        stock[b, t], survey[b, t] = stocks[p, x], surveys[p, y]


@SOURCE.add("f8(f8[:, ::1], i8, f8)")
def grow(par, p, s):  # type: ignore[no-untyped-def]
    """The growth laws of `growth`, by their code."""
    kind = int(par[p, 0])
    r, k, c, d, e = par[p, 1], par[p, 2], par[p, 3], par[p, 4], par[p, 5]
    if kind == 0:
        return max(s + r * s * (1.0 - s / k), 0.0)
    if kind == 1:
        return s * math.exp(r * (1.0 - s / k))
    if kind == 2:
        return (1.0 + r) * s / (1.0 + r * s / k)
    if kind == 3:
        return s * math.exp(r * (1.0 - s / k) * (s - c) / k)
    if kind == 4:
        eaten = s**e
        return max(s + r * s * (1.0 - s / k) - c * eaten / (eaten + d**e), 0.0)
    grown = s**c
    return r * grown / (1.0 + grown / k)


@SOURCE.add("f8(i8, f8, f8, f8)")
def shaken(law, mean, sigma, z):  # type: ignore[no-untyped-def]
    """A value round a mean; z is standard normal, for uniform noise a number in (-1, 1)."""
    if mean <= 0.0:
        return 0.0
    if sigma <= 0.0:
        return mean
    if law == 0:
        return max(mean + sigma * z, 0.0)
    if law == 1:
        return mean * math.exp(sigma * z - 0.5 * sigma * sigma)
    if law == 2:
        spread = math.log1p(sigma * sigma / (3.0 * mean))
        return mean * math.exp(math.sqrt(spread) * z - 0.5 * spread)
    return mean * (1.0 + sigma * z)


@SOURCE.add(
    "void(f8[:, ::1], f8[:, :, ::1], i8[::1], i8[::1], i8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], "
    "f8[::1], i8[::1], f8[::1])",
    entry=True,
)
def on_line(  # type: ignore[no-untyped-def]
    par, efforts, table, stage, end, stock, survey, process, measure, quota, effort, rewards
):
    """One year of the continuous process; `process` and `measure` hold what `shaken` takes, NaN quotas wait."""
    for b in range(len(stage)):
        t = stage[b]
        rewards[b] = 0.0
        if t >= end[b] or not quota[b] >= 0.0:
            continue
        p, x = table[b], stock[b, t]
        caught = min(x, quota[b])
        gain = par[p, 9] * caught ** par[p, 10] - efforts[p, effort[b], 1]
        if x > 0.0 and par[p, 11] > 0.0:
            gain -= par[p, 11] * caught ** par[p, 12] / x
        rewards[b] = gain
        mean = grow(par, p, x) - caught if par[p, 13] > 0.0 else grow(par, p, max(x - caught, 0.0))
        x = shaken(int(par[p, 6]), mean, par[p, 7], process[b, t])
        t += 1
        stock[b, t] = x
        survey[b, t] = shaken(int(par[p, 8]), x, efforts[p, effort[b], 0], measure[b, t])
        stage[b] = t


@SOURCE.add("f8(u8[:, ::1], i8)")
def uniform(random, b):  # type: ignore[no-untyped-def]
    """Number in [0, 1) of the generator splitmix64 (Steele, Lea & Flood 2014)."""
    random[b, 0] += np.uint64(0x9E3779B97F4A7C15)
    z = random[b, 0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.float64((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@SOURCE.add(
    "void(TABLES, f8[:, :, ::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[:, ::1], i8[:, ::1], f8[:, ::1], u8[:, ::1])",
    entry=True,
)
def move_particles(  # type: ignore[no-untyped-def]
    cdf, guide, seen, look, index, reward, stocks, surveys,
    likely, table, quota, effort, survey, cloud, spare, weight, random,
):  # fmt: skip
    """Bootstrap filter (Gordon, Salmond & Smith 1993): move, weigh by the survey, resample systematically.

    `likely` (P, F * S, O) is the law of the survey; a quota of -1 only weighs, -2 leaves a row alone. Where no particle
    explains the survey all are kept.
    """
    points, count = stocks.shape[1], cloud.shape[1]
    for b in range(len(table)):
        if quota[b] < -1:
            continue
        p = table[b]
        total = 0.0
        for i in range(count):
            x = cloud[b, i]
            if quota[b] >= 0:
                x = pick(cdf, guide, p, index[p, x, quota[b]], uniform(random, b))
            spare[b, i] = x
            weight[b, i] = likely[p, effort[b] * points + x, survey[b]]
            total += weight[b, i]
        if total <= 0.0:
            for i in range(count):
                cloud[b, i] = spare[b, i]
            continue
        step = total / count
        mark = uniform(random, b) * step
        reached, j = weight[b, 0], 0
        for i in range(count):
            while reached < mark and j < count - 1:
                j += 1
                reached += weight[b, j]
            cloud[b, i] = spare[b, j]
            mark += step
