"""What a policy sees of a shop, and the dispatching rules, on the tables of `events`.

Rules (Panwalkar & Iskander 1977, Operations Research 25:45-61): shortest and longest processing time, most and least
work remaining (the next operation included), most operations remaining, first in first out, earliest due date, random.
Ties go to the job that came to its queue first, then to the smaller number.
"""

from __future__ import annotations

import numpy as np

from .events import (
    BEGUN,
    DUE,
    DURATION,
    ENDED,
    MACHINE,
    NEVER,
    NEXT,
    OPERATIONS,
    READY,
    REPEAT,
    REST,
    SCALE,
    SOURCE,
    START,
    TIME,
    WHICH,
    WORK,
    _advance,
    _choices,
    _finish,
    _move,
    _settle,
    _up,
)

__all__ = ["FAR", "FEATURES", "RULES", "observe", "play", "priorities"]

RULES = ("random", "spt", "lpt", "mwkr", "lwkr", "mopnr", "fifo", "edd")
FEATURES = 9
FAR = 100.0  # longest job's work: times further away look alike


@SOURCE.add("i8(ROUTE, CONFIG, ROW, JOB, VISIT, WINDOW, i8, i8)")
def _announced(route, config, row, job, visit, window, b, j):  # type: ignore[no-untyped-def]
    """End of the operation that job j is on, or its release, without the breakdowns that have not begun."""
    p, t, ready, last = row[b, WHICH], row[b, TIME], job[b, j, READY], job[b, j, BEGUN] - 1
    if ready <= t or last < 0 or window.shape[2] == 0:
        return ready
    begun, m = visit[b, j, last, START], route[p, j, last, MACHINE]
    return _finish(window, b, m, begun, visit[b, j, last, WORK], config[p, REPEAT] != 0, t)


@SOURCE.add("void(TABLES, f4[:,:,::1])", entry=True)
def observe(route, facts, config, row, job, visit, holder, window, mask, out):  # type: ignore[no-untyped-def]
    """Write the features (B, J, F) of each job; see `ShopKernel.observe`. Nothing here looks ahead of the clock."""
    for b in range(len(row)):
        p, t = row[b, WHICH], row[b, TIME]
        scale = config[p, SCALE]
        for j in range(job.shape[1]):
            n, k = facts[p, j, OPERATIONS], job[b, j, BEGUN]
            for f in range(FEATURES):
                out[b, j, f] = 0.0
            if n == 0:
                continue
            ready = _announced(route, config, row, job, visit, window, b, j)
            remaining = route[p, j, k, REST] if k < n else 0
            out[b, j, 0] = mask[b, j]
            out[b, j, 1] = k / n
            out[b, j, 2] = remaining / scale
            out[b, j, 3] = min(FAR, max(0, ready - t) / scale)
            if facts[p, j, DUE] < NEVER:
                out[b, j, 8] = min(FAR, max(-FAR, (facts[p, j, DUE] - t - remaining) / scale))
            if k == n:
                continue
            m = route[p, j, k, MACHINE]
            out[b, j, 4] = route[p, j, k, DURATION] / scale
            out[b, j, 5] = min(FAR, max(0, t - ready) / scale)
            out[b, j, 6] = holder[b, m] >= 0
            out[b, j, 7] = min(FAR, (_up(window, b, m, t) - t) / scale)


@SOURCE.add("f8(ROUTE, FACTS, ROW, JOB, i8, i8, i8)")
def _priority(route, facts, row, job, b, j, rule):  # type: ignore[no-untyped-def]
    """Priority of job j, the smallest goes first; rules are numbered as in `RULES`."""
    p, k, n = row[b, WHICH], job[b, j, BEGUN], facts[row[b, WHICH], j, OPERATIONS]
    if rule == 1 or rule == 2:
        time = float(route[p, j, k, DURATION])
        return time if rule == 1 else -time
    if rule == 3 or rule == 4:
        left = float(route[p, j, k, REST])
        return -left if rule == 3 else left
    if rule == 5:
        return float(k - n)
    if rule == 6:
        return float(job[b, j, READY])
    return float(facts[p, j, DUE])


@SOURCE.add("i8(FACTS, ROW, JOB, i8)")
def _in_shop(facts, row, job, b):  # type: ignore[no-untyped-def]
    """Jobs that have entered and not left."""
    p, count = row[b, WHICH], 0
    for j in range(job.shape[1]):
        k = job[b, j, BEGUN]
        count += k > 0 and (k < facts[p, j, OPERATIONS] or job[b, j, READY] > row[b, TIME])
    return count


@SOURCE.add("i8(ROUTE, FACTS, ROW, JOB, MASK, i8, i8, i8, i8[::1])")
def _dispatch(route, facts, row, job, mask, b, rule, cap, seeds):  # type: ignore[no-untyped-def]
    """Action of a rule in row b. With a WIP cap no job is admitted at `cap` jobs in the shop while waiting helps."""
    jobs = job.shape[1]
    closed = cap > 0 and _in_shop(facts, row, job, b) >= cap
    for attempt in range(2):
        best, since, chosen = np.inf, NEVER, -1
        for j in range(jobs):
            if not mask[b, j] or (closed and attempt == 0 and job[b, j, BEGUN] == 0):
                continue
            if rule == 0:  # xorshift64: one stream a row, independent of the batch it runs in
                x = seeds[b]
                x ^= x << 13
                x ^= (x >> 7) & 0x01FFFFFFFFFFFFFF
                x ^= x << 17
                seeds[b] = x
                value = float(x)
            else:
                value = _priority(route, facts, row, job, b, j, rule)
            if value < best or (value == best and job[b, j, READY] < since):
                best, since, chosen = value, job[b, j, READY], j
        if chosen >= 0:
            return chosen
        if mask[b, jobs]:
            return jobs
    return jobs


@SOURCE.add("void(TABLES, i8, i8, i8[::1], i8[::1])", entry=True)
def priorities(route, facts, config, row, job, visit, holder, window, mask, rule, cap, seeds, actions):  # type: ignore[no-untyped-def]
    """Actions (B,) of a rule, one decision a row; the state stays."""
    for b in range(len(actions)):
        actions[b] = -1 if row[b, ENDED] else _dispatch(route, facts, row, job, mask, b, rule, cap, seeds)


@SOURCE.add("f8(TABLES, i8, i8, i8, i8[::1])")
def _rest(route, facts, config, row, job, visit, holder, window, mask, b, rule, cap, seeds):  # type: ignore[no-untyped-def]
    """Play row b, whose choices were written without waiting, to its end by a rule; returns the rewards."""
    jobs, total = job.shape[1], 0.0
    while not row[b, ENDED]:
        action = _dispatch(route, facts, row, job, mask, b, rule, cap, seeds)
        if action == jobs:
            total += _advance(facts, config, row, job, holder, b, row[b, NEXT])
        else:
            _move(route, facts, config, row, job, visit, holder, window, b, action)
        total += _settle(route, facts, config, row, job, visit, holder, window, mask, b, cap > 0)
    mask[b, :] = False
    return total


@SOURCE.add("void(TABLES, i8, i8, i8[::1], f8[::1])", entry=True)
def play(route, facts, config, row, job, visit, holder, window, mask, rule, cap, seeds, rewards):  # type: ignore[no-untyped-def]
    """Play every row to its end by a non-delay rule; the rewards (B,) of the rest are written."""
    for b in range(len(rewards)):
        if not row[b, ENDED]:
            _choices(config, row, job, holder, window, mask, b, cap > 0)
        rewards[b] = _rest(route, facts, config, row, job, visit, holder, window, mask, b, rule, cap, seeds)
