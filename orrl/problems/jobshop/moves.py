"""The moves of the local search, compiled: build a schedule, destroy and repair it, anneal it."""

from __future__ import annotations

import numpy as np

from .insertion import (
    AGAIN,
    BEFORE,
    BEGUN,
    CAUSE,
    DUE,
    EARLIEST,
    FAR,
    FIRST,
    GOAL,
    HEAD_OF_ARC,
    HOLD,
    JOB,
    LAST,
    LENGTH,
    LIMIT,
    LINE,
    MACHINE,
    PLACE,
    SOURCE,
    START,
    SWAP,
    TAIL_OF_ARC,
    WEIGHT,
    _connect,
    _copy,
    _draw,
    _pass,
    _place,
    _schedule,
)

__all__ = ["SOURCE", "anneal", "build", "reinsert", "schedule"]

UNIT = 1.0 / 2251799813685248.0  # turns a draw into [0, 1)


@SOURCE.add("i8(GRAPH, PLAN, SCRATCH)", entry=True)
def schedule(config, jobs, node, count, visit, order, link, scratch):  # type: ignore[no-untyped-def]
    """Objective of the sequences in `order`, -1 where they contradict each other; fills `link`."""
    _connect(node, count, order, link)
    return _schedule(config, jobs, node, count, visit, order, link, 0, FAR, scratch)


@SOURCE.add("i8(GRAPH, PLAN, i8, f8, SEED, SCRATCH)", entry=True)
def build(config, jobs, node, count, visit, order, link, cap, noise, seed, scratch):  # type: ignore[no-untyped-def]
    """List scheduling: always the move that can start first, give or take `noise`; what has begun stands in `order`.

    With `cap` no job is admitted at that many jobs in the shop while another move is possible. Returns the objective,
    -1 in a deadlock.
    """
    hold, swap, n_jobs = config[HOLD], config[SWAP], len(jobs)
    after, filled = LIMIT, LINE  # rows of the scratch table: next node of a job, operations placed on a machine
    for x in range(len(node)):
        link[x, START] = node[x, EARLIEST] if node[x, BEGUN] else -1
    left = 0
    for j in range(n_jobs):
        x = jobs[j, FIRST]
        while x <= jobs[j, LAST] and node[x, BEGUN]:
            x += 1
        scratch[after, j] = x
        left += jobs[j, LAST] + 1 - x
    for m in range(len(count)):
        scratch[filled, m] = 0
        for i in range(count[m]):  # places still open hold -1
            scratch[filled, m] += order[m, i] >= 0
    while left > 0:
        inside = 0
        for j in range(n_jobs):
            inside += jobs[j, FIRST] < scratch[after, j] <= jobs[j, LAST]
        best, chosen, when = np.inf, -1, 0
        for attempt in range(2):
            for j in range(n_jobs):
                x = scratch[after, j]
                if x > jobs[j, LAST] or (x == jobs[j, FIRST] and attempt == 0 and 0 < cap <= inside):
                    continue
                time = node[x, EARLIEST]
                if x > jobs[j, FIRST]:
                    time = max(time, link[x - 1, START] + node[x - 1, LENGTH])
                y, moves = x, True
                for _ in range(len(count) + 1):  # up the chain of holders
                    moves = y == x and x == jobs[j, LAST]
                    if y == jobs[node[y, JOB], LAST]:
                        break
                    m = node[y, MACHINE]
                    w = order[m, scratch[filled, m] - 1] if scratch[filled, m] > 0 else -1
                    moves = y == x
                    if w < 0:
                        break
                    if link[w + hold, START] >= 0:
                        time = max(time, link[w + hold, START] + (0 if hold else node[w, LENGTH]))
                        break
                    y, moves = w + 1, False
                    time = max(time, link[w, START] + node[w, LENGTH])
                    if swap == 0 or x == jobs[j, FIRST]:
                        break
                    if y == x:
                        moves = True
                        break
                key = time + noise * _draw(seed) * UNIT
                if moves and key < best:
                    best, chosen, when = key, x, time
            if chosen >= 0:
                break
        if chosen < 0:
            return -1
        x = chosen
        while True:
            j, y = node[x, JOB], -1
            link[x, START] = when
            scratch[after, j] += 1
            left -= 1
            if x < jobs[j, LAST]:
                m = node[x, MACHINE]
                w = order[m, scratch[filled, m] - 1] if scratch[filled, m] > 0 else -1
                order[m, scratch[filled, m]] = x
                scratch[filled, m] += 1
                if w >= 0 and link[w + hold, START] < 0:
                    y = w + 1
            if y < 0 or y == chosen:
                break
            x = y
    _connect(node, count, order, link)
    return _schedule(config, jobs, node, count, visit, order, link, 0, FAR, scratch)


@SOURCE.add("i8(CONFIG, JOBS, NODE, i8[:,::1], SEED, SCRATCH)")
def _critical(config, jobs, node, link, seed, scratch):  # type: ignore[no-untyped-def]
    """Machine arcs of a critical path, to the last job or to a random one that counts; returns how many."""
    x, late, ties = -1, -1, 0
    for j in range(len(jobs)):
        end = link[jobs[j, LAST], START]
        if config[GOAL] == 0:
            if end > late:
                late, ties = end, 0
            elif end < late:
                continue
        elif config[GOAL] == 2 and (end <= jobs[j, DUE] or jobs[j, WEIGHT] == 0):
            continue
        ties += 1
        if _draw(seed) % ties == 0:
            x = jobs[j, LAST]
    arcs = 0
    while x >= 0:
        cause = link[x, CAUSE]
        if cause >= 0 and (cause != x - 1 or x == jobs[node[x, JOB], FIRST]):
            scratch[TAIL_OF_ARC, arcs], scratch[HEAD_OF_ARC, arcs] = cause - config[HOLD], x
            arcs += 1
        x = cause
    return arcs


@SOURCE.add("i8(GRAPH, PLAN, PLAN, PLAN, i8[::1], i8, f8, f8, SEED, SCRATCH)", entry=True)
def anneal(  # type: ignore[no-untyped-def]
    config,
    jobs,
    node,
    count,
    visit,
    order,
    link,
    trial,
    trial_link,
    best,
    best_link,
    cost,
    moves,
    hot,
    cold,
    seed,
    scratch,
):
    """`moves` exchanges on critical paths, accepted by the rule of Metropolis while the temperature falls.

    An exchange turns one machine arc of a critical path around, by moving one of its two jobs (`_pass`); turning no
    such arc leaves the path as it is (Balas 1969). The first plan is the walker and the third the best it
    has met; cost (2,)
    holds their objectives. Returns the exchanges made, fewer where nothing can be improved any more.
    """
    heat, rate, arcs = hot, (cold / hot) ** (1.0 / moves), -1
    _copy(node, count, visit, -1, order, link, trial, trial_link)
    for move in range(moves):
        heat *= rate
        if arcs < 0 or config[GOAL] != 0:
            arcs = _critical(config, jobs, node, link, seed, scratch)
        if arcs == 0:
            if config[GOAL] == 0 or cost[0] == 0:
                return move
            continue
        pick = _draw(seed) % (2 * arcs)
        tail, head = scratch[TAIL_OF_ARC, pick >> 1], scratch[HEAD_OF_ARC, pick >> 1]
        x, y, d = (head, tail, 1) if pick & 1 else (tail, head, -1)
        if not _pass(config, jobs, node, count, visit, order, link, x, y, d, scratch):
            continue
        j = node[x, JOB]
        keep = _place(config, jobs, node, count, visit, trial, trial_link, j, d, scratch)
        cut = cost[0] + int(-heat * np.log((_draw(seed) + 0.5) * UNIT))
        new = _schedule(config, jobs, node, count, visit, trial, trial_link, keep, cut, scratch)
        if 0 <= new <= cut:
            _copy(node, count, visit, j, trial, trial_link, order, link)
            cost[0], arcs = new, -1
            if new < cost[1]:
                cost[1] = new
                _copy(node, count, visit, -1, order, link, best, best_link)
        else:
            _copy(node, count, visit, j, order, link, trial, trial_link)
    return moves


@SOURCE.add("i8(GRAPH, PLAN, PLAN, PLAN, i8, SEED, SCRATCH)", entry=True)
def reinsert(  # type: ignore[no-untyped-def]
    config, jobs, node, count, visit, order, link, trial, trial_link, best, best_link, n_out, seed, scratch
):
    """Take jobs out and put each back where the shop without the jobs still out is best; returns the objective.

    A job is led through the others' starts from each of its possible places on its first machine: on every machine it
    goes before the first operation that starts after the job could come, give or take its own length, and whatever
    that forces goes with it (`_pass`). Jobs that have begun stay; -1 where all have.
    """
    hold, n_free = config[HOLD], 0
    for j in range(len(jobs)):
        if not node[jobs[j, FIRST], BEGUN]:
            scratch[TAIL_OF_ARC, n_free] = j
            n_free += 1
    n_out = min(n_out, n_free)
    for i in range(n_out):
        k = i + _draw(seed) % (n_free - i)
        j = scratch[TAIL_OF_ARC, k]
        scratch[TAIL_OF_ARC, k] = scratch[TAIL_OF_ARC, i]
        scratch[TAIL_OF_ARC, i] = j
    if n_out == 0:
        return -1
    # the jobs that are out stand behind the others, and count as begun so that no time is given to them
    for i in range(n_out):
        j = scratch[TAIL_OF_ARC, i]
        for x in range(jobs[j, FIRST], jobs[j, LAST] + 1):
            node[x, BEGUN] = 1
    for m in range(len(count)):
        length = 0
        for i in range(count[m]):
            scratch[LINE, i] = order[m, i]
        for i in range(count[m]):
            x = scratch[LINE, i]
            away = False
            for k in range(n_out):
                away = away or node[x, JOB] == scratch[TAIL_OF_ARC, k]
            if not away:
                order[m, length] = x
                length += 1
        scratch[HEAD_OF_ARC, m] = length
        for k in range(n_out):
            x = visit[scratch[TAIL_OF_ARC, k], m]
            while x >= 0:
                order[m, length] = x
                length += 1
                x = node[x, AGAIN]
    _connect(node, count, order, link)
    cost = -1
    for i in range(n_out):
        j = scratch[TAIL_OF_ARC, i]
        _schedule(config, jobs, node, count, visit, order, link, 0, FAR, scratch)
        for x in range(jobs[j, FIRST], jobs[j, LAST] + 1):
            node[x, BEGUN] = 0
            link[x, START] = -1
            if x < jobs[j, LAST]:
                scratch[HEAD_OF_ARC, node[x, MACHINE]] += 1
        entry = node[jobs[j, FIRST], MACHINE]
        cost = FAR
        for begin in range(scratch[HEAD_OF_ARC, entry]):
            _copy(node, count, visit, -1, order, link, trial, trial_link)
            time, ok = node[jobs[j, FIRST], EARLIEST], True
            slack = _draw(seed) * UNIT
            for x in range(jobs[j, FIRST], jobs[j, LAST]):
                m = node[x, MACHINE]
                y = -1
                for k in range(scratch[HEAD_OF_ARC, m]):
                    z = trial[m, k]
                    if node[z, JOB] == j:
                        continue
                    if x == jobs[j, FIRST]:
                        if k >= begin:
                            y = z
                            break
                    elif link[z, START] >= time - slack * node[x, LENGTH]:
                        y = z
                        break
                if y >= 0 and not node[y, BEGUN] and trial_link[y, PLACE] < trial_link[x, PLACE]:
                    if not _pass(config, jobs, node, count, visit, trial, trial_link, x, y, 1, scratch):
                        ok = False
                        break
                    _place(config, jobs, node, count, visit, trial, trial_link, j, 1, scratch)
                z = trial_link[x, BEFORE]
                if z >= 0 and node[z, JOB] != j:
                    time = max(time, link[z + hold, START] + (0 if hold else node[z, LENGTH]))
                time += node[x, LENGTH]
            if not ok:
                continue
            new = _schedule(config, jobs, node, count, visit, trial, trial_link, 0, cost, scratch)
            if 0 <= new < cost:
                cost = new
                _copy(node, count, visit, -1, trial, trial_link, best, best_link)
        _copy(node, count, visit, -1, best, best_link, order, link)
    return cost
