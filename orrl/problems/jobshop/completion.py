"""Random non-delay completions of a running shop that nothing new disturbs, for policies that look ahead.

Where only the makespan counts, storage is unlimited or jobs may swap, no planned window is to come and no outages of
one machine overlap, a completion is an event-driven run on a few numbers per job and machine (`_run`): who waits for a
machine is a set of bits, and a swap cycle can only close when a job becomes ready. It makes the choices of the general
simulator (`dispatch._rest`), drawn from the same stream, so both give the same rewards; the general one does all other
shops.
"""

from __future__ import annotations

import numpy as np

from .dispatch import _announced, _rest
from .events import (
    BEGUN,
    BLOCKING,
    CAP,
    DURATION,
    ENDED,
    GOAL,
    HELD,
    MACHINE,
    NEVER,
    NEXT,
    OPERATIONS,
    READY,
    SOURCE,
    START,
    SWAP,
    TARGET,
    TIME,
    WHICH,
    WORK,
    _advance,
    _choices,
    _move,
    _settle,
    _up,
)

__all__ = ["complete"]

HOLDER, UP, WAITING = 0, 1, 2  # of a machine: its job or -1; until when it is down; ready jobs that want it, as bits
MOST_JOBS = 60  # in the bits of an integer
SOURCE.tables["ROOM"] = "i8[:,:,::1]"  # of `_run`: index 0 where it begins, 1 to work in


@SOURCE.add("b1(CONFIG, ROW, JOB, WINDOW, i8)")
def _short(config, row, job, window, b):  # type: ignore[no-untyped-def]
    """Whether `_run` may complete row b."""
    p = row[b, WHICH]
    if config[p, GOAL] != 0 or config[p, CAP] > 0 or job.shape[1] > MOST_JOBS:
        return False
    if config[p, BLOCKING] and not config[p, SWAP]:  # it may end in a deadlock
        return False
    t = row[b, TIME]
    for m in range(window.shape[1]):
        open_ = 0
        for w in range(window.shape[2]):
            begin, end = window[b, m, w, 0], window[b, m, w, 1]
            open_ += begin <= t < end
            if open_ > 1 or (window[b, m, w, 2] != 0 and end > t and begin < NEVER):
                return False  # outages of one machine that overlap, each of whose ends is an event; a planned window
    return True


@SOURCE.add("void(ROUTE, CONFIG, ROW, JOB, VISIT, HOLDER, WINDOW, i8, ROOM, ROOM)")
def _extract(route, config, row, job, visit, holder, window, b, jobs, machines):  # type: ignore[no-untyped-def]
    """What `_run` needs of row b, into ``jobs[0] (4, J)`` and ``machines[0] (3, M)``."""
    t = row[b, TIME]
    for m in range(holder.shape[1]):
        machines[0, HOLDER, m], machines[0, UP, m] = holder[b, m], _up(window, b, m, t)
        machines[0, WAITING, m] = 0
    for j in range(job.shape[1]):
        for c in range(4):
            jobs[0, c, j] = job[b, j, c]
        jobs[0, READY, j] = _announced(route, config, row, job, visit, window, b, j)
        if jobs[0, READY, j] <= t and job[b, j, TARGET] >= 0:
            machines[0, WAITING, job[b, j, TARGET]] |= 1 << j


@SOURCE.add("i8(ROOM, ROOM, i8, i8)")
def _closed(jobs, machines, t, j):  # type: ignore[no-untyped-def]
    """The swap cycle of ready job j that can go now, as bits; 0 where the chain of holders does not close on j."""
    own, m, bits = jobs[1, HELD, j], jobs[1, TARGET, j], 1 << j
    if own < 0:
        return 0
    for _ in range(machines.shape[2]):
        i = machines[1, HOLDER, m]
        if i < 0 or machines[1, UP, m] > t or jobs[1, READY, i] > t:
            return 0
        if m == own:
            return bits
        bits |= 1 << i
        m = jobs[1, TARGET, i]
        if m < 0:
            return 0
    return 0


@SOURCE.add("void(ROUTE, FACTS, ROOM, ROOM, i8, i8, i8, i8)")
def _begin(route, facts, jobs, machines, p, t, j, m):  # type: ignore[no-untyped-def]
    """Job j begins its next operation on machine m, which is its own now."""
    k = jobs[1, BEGUN, j]
    machines[1, HOLDER, m] = j
    machines[1, WAITING, m] &= ~(1 << j)
    jobs[1, BEGUN, j], jobs[1, READY, j], jobs[1, HELD, j] = k + 1, t + route[p, j, k, DURATION], m
    jobs[1, TARGET, j] = route[p, j, k + 1, MACHINE] if k + 1 < facts[p, j, OPERATIONS] else -1


@SOURCE.add("i8(i8, i8[::1])")
def _drawn(accepted, seeds):  # type: ignore[no-untyped-def]
    """One of the accepted jobs (bits), as rule 0 of `dispatch._dispatch` draws it."""
    best, chosen, j, x = np.inf, -1, 0, seeds[0]
    while accepted != 0:
        if accepted & 1:
            x ^= x << 13
            x ^= (x >> 7) & 0x01FFFFFFFFFFFFFF
            x ^= x << 17
            if float(x) < best:
                best, chosen = float(x), j
        accepted >>= 1
        j += 1
    seeds[0] = x
    return chosen


@SOURCE.add("i8(ROUTE, FACTS, ROOM, ROOM, i8, b1, i8, i8, i8[::1])")
def _run(route, facts, jobs, machines, p, blocking, begin, action, seeds):  # type: ignore[no-untyped-def]
    """End of a random completion from time `begin` on, after `action` (-1: after waiting for the next event).

    ``jobs[0]`` and ``machines[0]`` are where it begins, index 1 is room to work in. Accepted are `free`, the jobs that
    wait for a machine that is free and up, and `loops`, those in closed cycles. A move closes no cycle, since who has
    moved is at work.
    """
    t, count, width = begin, jobs.shape[2], machines.shape[2]
    for c in range(4):
        for j in range(count):
            jobs[1, c, j] = jobs[0, c, j]
    down = False
    for m in range(width):
        for c in range(3):
            machines[1, c, m] = machines[0, c, m]
        down = down or machines[1, UP, m] > t
    free, loops, cycles, wait, anew = 0, 0, 0, action < 0, True
    while True:
        if anew:  # at the start, and where a machine may have come up
            anew = False
            for m in range(width):
                if machines[1, HOLDER, m] < 0 and machines[1, UP, m] <= t:
                    free |= machines[1, WAITING, m]
            for j in range(count):
                if blocking and not loops >> j & 1 and jobs[1, READY, j] <= t and jobs[1, TARGET, j] >= 0:
                    bits = _closed(jobs, machines, t, j)
                    loops |= bits
                    cycles += bits != 0
        instant = False
        if not wait and (free | loops) != 0:
            if action >= 0:
                j, action = action, -1
            elif cycles + (free != 0) + ((free & (free - 1)) != 0) > 1:
                j = _drawn(free | loops, seeds)
            else:  # a single choice draws nothing; of a cycle anyone goes first
                j, bits = 0, free | loops
                while bits & 1 == 0:
                    bits >>= 1
                    j += 1
            if loops >> j & 1:
                first = j
                while True:
                    m = jobs[1, TARGET, j]
                    displaced = machines[1, HOLDER, m]
                    _begin(route, facts, jobs, machines, p, t, j, m)
                    loops &= ~(1 << j)
                    instant = instant or jobs[1, READY, j] <= t
                    j = displaced
                    if j == first:
                        break
                cycles -= 1
            else:
                m, old = jobs[1, TARGET, j], jobs[1, HELD, j]
                free &= ~machines[1, WAITING, m]
                _begin(route, facts, jobs, machines, p, t, j, m)
                if old >= 0 and machines[1, HOLDER, old] == j:
                    machines[1, HOLDER, old] = -1
                    if machines[1, UP, old] <= t:
                        free |= machines[1, WAITING, old]
                instant = jobs[1, READY, j] <= t
            if not instant:
                continue
        else:  # the next event: an operation ends, a job is released, a machine comes up
            soon, wait, unbegun = NEVER, False, False
            for j in range(count):
                ready = jobs[1, READY, j]
                soon = ready if t < ready < soon else soon
            if down:
                for j in range(count):
                    unbegun = unbegun or jobs[1, TARGET, j] >= 0
                for m in range(width):
                    up = machines[1, UP, m]
                    if unbegun and t < up < soon:
                        soon = up
            if soon == NEVER:
                return t
            t, anew = soon, down
        for j in range(count):
            if jobs[1, READY, j] != t:
                continue
            held, m = jobs[1, HELD, j], jobs[1, TARGET, j]
            if held >= 0 and not (blocking and m >= 0):
                machines[1, HOLDER, held] = jobs[1, HELD, j] = -1
                if machines[1, UP, held] <= t:
                    free |= machines[1, WAITING, held]
            if m < 0:
                continue
            machines[1, WAITING, m] |= 1 << j
            if machines[1, UP, m] > t:
                continue
            if machines[1, HOLDER, m] < 0:
                free |= 1 << j
            elif blocking and not loops >> j & 1:
                bits = _closed(jobs, machines, t, j)
                loops |= bits
                cycles += bits != 0


@SOURCE.add("void(ROUTE, CONFIG, ROW, JOB, VISIT, HOLDER, WINDOW, i8, ROW, JOB, VISIT, HOLDER, WINDOW)")
def _undisturbed(route, config, row, job, visit, holder, window, b, row1, job1, visit1, holder1, window1):  # type: ignore[no-untyped-def]
    """Copy row b to row 0 of other tables, without the interruptions that have not begun."""
    p, t = row[b, WHICH], row[b, TIME]
    for c in range(row.shape[1]):
        row1[0, c] = row[b, c]
    for j in range(job.shape[1]):
        for c in range(job.shape[2]):
            job1[0, j, c] = job[b, j, c]
        job1[0, j, READY] = _announced(route, config, row, job, visit, window, b, j)
        for k in range(visit.shape[2]):
            visit1[0, j, k, START] = visit[b, j, k, START]
            visit1[0, j, k, WORK] = visit[b, j, k, WORK] if k < job[b, j, BEGUN] else route[p, j, k, DURATION]
    for m in range(holder.shape[1]):
        holder1[0, m], kept = holder[b, m], 0
        for w in range(window.shape[2]):
            window1[0, m, w, 0] = window1[0, m, w, 1] = NEVER
            if window[b, m, w, 0] <= t or window[b, m, w, 2] != 0:
                for c in range(3):
                    window1[0, m, kept, c] = window[b, m, w, c]
                kept += 1


@SOURCE.add(
    "void(TABLES, ROW, JOB, VISIT, HOLDER, WINDOW, MASK, ROOM, ROOM, b1, i8[::1], i8[::1], f8[:,:,::1])",
    entry=True,
)
def complete(  # type: ignore[no-untyped-def]
    route, facts, config, row, job, visit, holder, window, mask,
    row1, job1, visit1, holder1, window1, mask1, jobs2, machines2, general, seeds, stream, rewards,
):  # fmt: skip
    """Write the rewards (B, J + 1, S) of each accepted action and a random completion that nothing new disturbs.

    Completion s draws from ``seeds[s]`` in every row and after every action. The tables that end in 1 have one row,
    those that end in 2 are for `_run`; `general` does without it.
    """
    jobs = job.shape[1]
    for b in range(len(row)):
        p = row[b, WHICH]
        if row[b, ENDED]:
            continue
        short = not general and _short(config, row, job, window, b)
        if short:
            _extract(route, config, row, job, visit, holder, window, b, jobs2, machines2)
        for a in range(jobs + 1):
            if not mask[b, a]:
                continue
            for s in range(len(seeds)):
                stream[0], total = seeds[s], 0.0
                if short:
                    action = -1 if a == jobs else a
                    end = _run(
                        route, facts, jobs2, machines2, p, config[p, BLOCKING] != 0, row[b, TIME], action, stream
                    )
                    rewards[b, a, s] = -float(end - row[b, TIME])
                    continue
                _undisturbed(route, config, row, job, visit, holder, window, b, row1, job1, visit1, holder1, window1)
                if a == jobs:
                    _choices(config, row1, job1, holder1, window1, mask1, 0, True)
                    total = _advance(facts, config, row1, job1, holder1, 0, row1[0, NEXT])
                else:
                    _move(route, facts, config, row1, job1, visit1, holder1, window1, 0, a)
                total += _settle(route, facts, config, row1, job1, visit1, holder1, window1, mask1, 0, False)
                total += _rest(route, facts, config, row1, job1, visit1, holder1, window1, mask1, 0, 0, 0, stream)
                rewards[b, a, s] = total
