"""The transition of the job shop: event-driven, integer time, one plain function per idea.

Every function takes the shops (`Shops`, read only) and the batch (`Batch`, changed in place). The same source runs in
two ways: as Python for one short episode, and compiled by numba for batches (`orrl.core.jit`), from the explicit
signature above each function. No function here looks ahead of the clock except through `Batch.visit` and
`Batch.window`, which hold the scenario.

One decision moves a job to its next machine (with a whole swap cycle where one closes), or waits for the next event.
Decisions with a single choice are made by the simulator itself, except the first of an episode.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...core.jit import Source

__all__ = ["NEVER", "SOURCE", "Batch", "Shops", "refresh", "step"]

NEVER = 1 << 60

Int = npt.NDArray[np.int64]

# columns of the tables below
MACHINE, DURATION, REST = 0, 1, 2
OPERATIONS, RELEASE, DUE, WEIGHT = 0, 1, 2, 3
BLOCKING, SWAP, REPEAT, GOAL, SCALE, CAP = 0, 1, 2, 3, 4, 5
WHICH, TIME, ENDED, FAILED, NEXT = 0, 1, 2, 3, 4
BEGUN, READY, TARGET, HELD = 0, 1, 2, 3
START, WORK = 0, 1


class Shops(NamedTuple):
    """P problems, padded to J jobs, K operations, M machines."""

    route: Int  # (P, J, K, 3) machine (-1 in padded places), duration, work from this operation to the last
    facts: Int  # (P, J, 4) operations (0 for a padded job), release, due (NEVER without), weight
    config: Int  # (P, 6) blocking, swap, repeat, goal (0 makespan, 1 total flow, 2 tardiness), scale, cap (0 none)


class Batch(NamedTuple):
    """B running shops."""

    row: Int  # (B, 5) which problem, time, ended, failed (ended in a deadlock), time of the next event
    job: Int  # (B, J, 4) operations begun; end of the running one, or the release; next machine; machine it is on (-1)
    visit: Int  # (B, J, K, 2) start (-1 where not started); duration with the scenario's extra time
    holder: Int  # (B, M) job on the machine, -1 when free
    window: Int  # (B, M, W, 3) begin, end, 1 if planned; sorted by begin, padded with NEVER
    mask: npt.NDArray[np.bool_]  # (B, J + 1) accepted actions, the last one waits


SOURCE = Source(
    tables={
        "ROUTE": "i8[:,:,:,::1]",
        "FACTS": "i8[:,:,::1]",
        "CONFIG": "i8[:,::1]",
        "ROW": "i8[:,::1]",
        "JOB": "i8[:,:,::1]",
        "VISIT": "i8[:,:,:,::1]",
        "HOLDER": "i8[:,::1]",
        "WINDOW": "i8[:,:,:,::1]",
        "MASK": "b1[:,::1]",
    },
    all_tables="TABLES",
)


@SOURCE.add("i8(WINDOW, i8, i8, i8, i8, b1, i8)")
def _finish(window, b, m, start, need, repeat, known):  # type: ignore[no-untyped-def]
    """End of `need` units of work begun at `start`; breakdowns that begin after `known` are not foreseen."""
    clock, left = start, need
    for w in range(window.shape[2]):
        begin, end = window[b, m, w, 0], window[b, m, w, 1]
        if begin >= clock + left:
            break
        if end <= clock or begin < start or (begin > known and window[b, m, w, 2] == 0):
            continue
        if begin > clock:
            left = need if repeat else left - (begin - clock)
        clock = end
    return clock + left


@SOURCE.add("i8(WINDOW, i8, i8, i8)")
def _up(window, b, m, time):  # type: ignore[no-untyped-def]
    """`time` if machine m is up, else the end of the outages that have begun by then."""
    up = time
    for w in range(window.shape[2]):
        if window[b, m, w, 0] > time:
            break
        up = max(up, window[b, m, w, 1])
    return up


@SOURCE.add("i8(ROW, JOB, HOLDER, WINDOW, i8, i8)")
def _cycle(row, job, holder, window, b, j):  # type: ignore[no-untyped-def]
    """Smallest job of the swap cycle that lets job j move now, -1 where the chain of holders does not close on j."""
    t = row[b, TIME]
    own, lead, m = job[b, j, HELD], j, job[b, j, TARGET]
    calendar = window.shape[2] > 0
    for _ in range(holder.shape[1]):
        i = holder[b, m]
        if i < 0 or job[b, i, READY] > t:
            return -1  # i < 0: a chain to a free machine, its head must go first
        lead = min(lead, i)
        m = job[b, i, TARGET]
        if m < 0 or (calendar and _up(window, b, m, t) > t):
            return -1
        if m == own:
            return lead
    return -1


@SOURCE.add("void(CONFIG, ROW, JOB, HOLDER, i8)")
def _vacate(config, row, job, holder, b):  # type: ignore[no-untyped-def]
    """Free the machines whose job has ended: at once with unlimited storage, else when it leaves the shop."""
    t, blocking = row[b, TIME], config[row[b, WHICH], BLOCKING]
    for m in range(holder.shape[1]):
        j = holder[b, m]
        if j >= 0 and job[b, j, READY] <= t and not (blocking and job[b, j, TARGET] >= 0):
            holder[b, m] = -1
            job[b, j, HELD] = -1


@SOURCE.add("void(ROUTE, FACTS, CONFIG, ROW, JOB, VISIT, HOLDER, WINDOW, i8, i8)")
def _move(route, facts, config, row, job, visit, holder, window, b, j):  # type: ignore[no-untyped-def]
    """Job j enters its next machine and works there, with the cycle of jobs that makes room for it."""
    p, t, first, passed = row[b, WHICH], row[b, TIME], j, False
    while True:
        k, m, old = job[b, j, BEGUN], job[b, j, TARGET], job[b, j, HELD]
        displaced = holder[b, m]
        if old >= 0 and holder[b, old] == j:
            holder[b, old] = -1
        holder[b, m] = j
        visit[b, j, k, START] = t
        end = _finish(window, b, m, t, visit[b, j, k, WORK], config[p, REPEAT] != 0, NEVER)
        job[b, j, BEGUN], job[b, j, READY], job[b, j, HELD] = k + 1, end, m
        job[b, j, TARGET] = route[p, j, k + 1, MACHINE] if k + 1 < facts[p, j, OPERATIONS] else -1
        passed = passed or end <= t
        if displaced < 0 or displaced == first:
            break
        j = displaced
    if passed:  # an operation of no length
        _vacate(config, row, job, holder, b)


@SOURCE.add("f8(FACTS, CONFIG, ROW, JOB, HOLDER, i8, i8)")
def _advance(facts, config, row, job, holder, b, to):  # type: ignore[no-untyped-def]
    """Let time pass until the event at `to`; returns the reward, minus the objective that accrues."""
    p, t = row[b, WHICH], row[b, TIME]
    cost = 0.0
    if config[p, GOAL] == 0:
        cost = float(to - t)
    else:
        for j in range(job.shape[1]):
            n = facts[p, j, OPERATIONS]
            if n == 0 or (job[b, j, BEGUN] == n and job[b, j, READY] <= t):
                continue
            if config[p, GOAL] == 1:
                cost += max(0, to - max(t, facts[p, j, RELEASE]))
            else:
                d = facts[p, j, DUE]
                cost += facts[p, j, WEIGHT] * (max(0, to - d) - max(0, t - d))
    row[b, TIME] = to
    _vacate(config, row, job, holder, b)
    return -cost


@SOURCE.add("f8(FACTS, CONFIG, ROW, JOB, VISIT, i8)")
def _stranded(facts, config, row, job, visit, b):  # type: ignore[no-untyped-def]
    """Reward of a deadlock: what is left, as if done job after job, charged to every unfinished job."""
    p, t = row[b, WHICH], row[b, TIME]
    left, weight = 1.0, 0.0
    for j in range(job.shape[1]):
        n = facts[p, j, OPERATIONS]
        for k in range(job[b, j, BEGUN], n):
            left += visit[b, j, k, WORK]
        if n > 0 and (job[b, j, BEGUN] < n or job[b, j, READY] > t):
            weight += 1.0 if config[p, GOAL] == 1 else float(facts[p, j, WEIGHT])
    return -left * (1.0 if config[p, GOAL] == 0 else weight)


@SOURCE.add("i8(CONFIG, ROW, JOB, HOLDER, WINDOW, MASK, i8, b1)")
def _choices(config, row, job, holder, window, mask, b, wait):  # type: ignore[no-untyped-def]
    """Write the mask and the next event of row b and count its different choices; a swap cycle is one choice.

    Events: an operation ends, a job is released, a machine comes up. With as many jobs in the shop as its cap on work
    in process no other is let in, unless nothing else could ever happen.
    """
    p, t = row[b, WHICH], row[b, TIME]
    swaps = config[p, BLOCKING] and config[p, SWAP]
    room = config[p, CAP]
    if room > 0:
        for j in range(job.shape[1]):
            room -= int(job[b, j, BEGUN] > 0 and (job[b, j, TARGET] >= 0 or job[b, j, READY] > t))
        room = 1 if room > 0 else -1
    calendar = window.shape[2] > 0
    jobs, count, soon, begun, outside = job.shape[1], 0, NEVER, True, False
    for j in range(jobs):
        mask[b, j] = False
        begun = begun and job[b, j, TARGET] < 0
        ready = job[b, j, READY]
        if ready > t:
            soon = min(soon, ready)
            continue
        m = job[b, j, TARGET]
        if m < 0 or (holder[b, m] >= 0 and not (swaps and job[b, j, HELD] >= 0)):
            continue
        if room < 0 and job[b, j, BEGUN] == 0:
            outside = True
            continue
        if calendar and _up(window, b, m, t) > t:
            continue
        lead = j if holder[b, m] < 0 else _cycle(row, job, holder, window, b, j)
        if lead >= 0:
            mask[b, j] = True
            count += lead == j
    if calendar and not begun:  # once everything has begun, no one waits for a machine
        for m in range(holder.shape[1]):
            up = _up(window, b, m, t)
            if up > t:
                soon = min(soon, up)
        for m in range(holder.shape[1]):  # outages that begin and end before that event are events too
            for w in range(window.shape[2]):
                if soon == NEVER or window[b, m, w, 0] >= soon:
                    break
                if window[b, m, w, 1] > t:
                    soon = min(soon, window[b, m, w, 1])
    if outside and count == 0 and soon == NEVER:
        for j in range(jobs):
            m = job[b, j, TARGET]
            mask[b, j] = job[b, j, BEGUN] == 0 and m >= 0 and holder[b, m] < 0 and job[b, j, READY] <= t
            count += mask[b, j]
    row[b, NEXT] = soon
    mask[b, jobs] = soon < NEVER and (wait or count == 0)
    return count + mask[b, jobs]


@SOURCE.add("f8(ROUTE, FACTS, CONFIG, ROW, JOB, VISIT, HOLDER, WINDOW, MASK, i8, b1)")
def _settle(route, facts, config, row, job, visit, holder, window, mask, b, wait):  # type: ignore[no-untyped-def]
    """Go on to the next real decision, or to the end; returns the reward on the way."""
    reward, jobs = 0.0, job.shape[1]
    p = row[b, WHICH]
    while True:
        count = _choices(config, row, job, holder, window, mask, b, wait)
        if count > 1:
            return reward
        if count == 0:  # nothing can move and nothing will happen
            row[b, ENDED] = 1
            for j in range(jobs):
                if job[b, j, BEGUN] < facts[p, j, OPERATIONS]:
                    row[b, FAILED] = 1
            return reward + (_stranded(facts, config, row, job, visit, b) if row[b, FAILED] else 0.0)
        if mask[b, jobs]:
            reward += _advance(facts, config, row, job, holder, b, row[b, NEXT])
        else:
            for j in range(jobs):
                if mask[b, j]:
                    _move(route, facts, config, row, job, visit, holder, window, b, j)
                    break


@SOURCE.add("void(TABLES, b1)", entry=True)
def refresh(route, facts, config, row, job, visit, holder, window, mask, wait):  # type: ignore[no-untyped-def]
    """Masks of a state that was just made; the first decision is never skipped."""
    for b in range(len(row)):
        _vacate(config, row, job, holder, b)
        row[b, ENDED] = _choices(config, row, job, holder, window, mask, b, wait) == 0
        if row[b, ENDED]:
            for j in range(job.shape[1]):
                if job[b, j, BEGUN] < facts[row[b, WHICH], j, OPERATIONS]:
                    row[b, FAILED] = 1


@SOURCE.add("i8(TABLES, i8[::1], b1, f8[::1])", entry=True)
def step(route, facts, config, row, job, visit, holder, window, mask, actions, wait, rewards):  # type: ignore[no-untyped-def]
    """One decision a row, -1 keeps it; rewards (B,) are written. Returns the first row with an illegal action or -1."""
    jobs = job.shape[1]
    for b in range(len(actions)):
        if not row[b, ENDED] and actions[b] != -1 and not (0 <= actions[b] <= jobs and mask[b, actions[b]]):
            return b
    for b in range(len(actions)):
        rewards[b] = 0.0
        if row[b, ENDED] or actions[b] == -1:
            continue
        if actions[b] == jobs:
            rewards[b] = _advance(facts, config, row, job, holder, b, row[b, NEXT])
        else:
            _move(route, facts, config, row, job, visit, holder, window, b, actions[b])
        rewards[b] += _settle(route, facts, config, row, job, visit, holder, window, mask, b, wait)
        if row[b, ENDED]:
            mask[b, :] = False
    return -1
