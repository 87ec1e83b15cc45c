"""Longest paths and job insertion in the disjunctive or alternative graph, compiled.

A node stands for the start of an operation, or for the end of a job; the nodes of a job are numbered in a row. A
machine arc from operation a to the next one on its machine, b, begins where a leaves the machine: at the node after a,
with length 0, where jobs hold their machine (Mascis & Pacciarelli 2002, European Journal of Operational Research
143:498-517), else at a itself, with its duration. The same functions serve plain shops, blocking shops with swap (no
cycle that a job arc or a duration makes positive) and without (no cycle at all). One narrowing: an operation of no
length counts as positive, so that no job runs through two machines within one swap.

Moving one job while the others keep their order is a job insertion. A cycle that it closes enters and leaves that job
once (Groeflin & Klinkert 2007, Discrete Optimization 4:3-22), so what a single exchange forces can be read from
reachability, and the result is always feasible: `_pass`.
"""

from __future__ import annotations

from ...core.jit import Source

__all__ = ["SOURCE"]

FAR = 1 << 60

# columns of the tables
HOLD, SWAP, GOAL = 0, 1, 2
FIRST, LAST, RELEASE, DUE, WEIGHT = 0, 1, 2, 3, 4
JOB, MACHINE, LENGTH, EARLIEST, BEGUN, TAIL, AGAIN = 0, 1, 2, 3, 4, 5, 6
PLACE, BEFORE, AFTER, START, CAUSE = 0, 1, 2, 3, 4
# rows of the scratch table
LIMIT, MARK, QUEUED, LINE, TAIL_OF_ARC, HEAD_OF_ARC, STACK = 0, 1, 2, 3, 4, 5, 6
WIDTH = 9  # the scratch rows are that many times as long as there are nodes

SOURCE = Source(
    tables={
        "CONFIG": "i8[::1]",  # jobs hold machines, swaps are legal, goal (0 makespan, 1 total flow, 2 tardiness)
        "JOBS": "i8[:,::1]",  # (J, 5) first and last node, release, due, weight
        "NODE": "i8[:,::1]",  # (N, 7) job, machine, length, earliest start, begun, work to the job's end, next visit
        "COUNT": "i8[::1]",  # (M,) operations on each machine
        "VISIT": "i8[:,::1]",  # (J, M) first operation of the job on the machine, -1 without
    },
    all_tables="GRAPH",
)
SOURCE.tables["PLAN"] = (
    "i8[:,::1], i8[:,::1]"  # order (M, L) of the operations; link (N, 5): place, before, after, start, cause
)
SOURCE.tables["SCRATCH"] = "i8[:,::1]"
SOURCE.tables["SEED"] = "i8[::1]"


@SOURCE.add("i8(SEED)")
def _draw(seed):  # type: ignore[no-untyped-def]
    """Next number of a xorshift64 stream, 0 to 2**51 - 1."""
    x = seed[0]
    x ^= x << 13
    x ^= (x >> 7) & 0x01FFFFFFFFFFFFFF
    x ^= x << 17
    seed[0] = x
    return (x >> 12) & 0x7FFFFFFFFFFFF


@SOURCE.add("i8(CONFIG, JOBS, i8[:,::1])")
def _cost(config, jobs, link):  # type: ignore[no-untyped-def]
    """The objective."""
    total = 0
    for j in range(len(jobs)):
        end = link[jobs[j, LAST], START]
        if config[GOAL] == 0:
            total = max(total, end)
        elif config[GOAL] == 1:
            total += end - jobs[j, RELEASE]
        else:
            total += jobs[j, WEIGHT] * max(0, end - jobs[j, DUE])
    return total


@SOURCE.add("void(NODE, COUNT, PLAN)")
def _connect(node, count, order, link):  # type: ignore[no-untyped-def]
    """Fill `link` from `order`; what has begun keeps its start."""
    for x in range(len(node)):
        link[x, PLACE] = link[x, BEFORE] = link[x, AFTER] = link[x, CAUSE] = -1
        link[x, START] = node[x, EARLIEST] if node[x, BEGUN] else -1
    for m in range(len(count)):
        for i in range(count[m]):
            x = order[m, i]
            link[x, PLACE] = i
            if i > 0:
                link[x, BEFORE] = order[m, i - 1]
                link[order[m, i - 1], AFTER] = x


@SOURCE.add("i8(GRAPH, PLAN, i8, i8, SCRATCH)")
def _schedule(config, jobs, node, count, visit, order, link, keep, cut, scratch):  # type: ignore[no-untyped-def]
    """Earliest starts, and for each the arc that causes it; starts before `keep` are right already.

    Nodes are taken up when the job and the machine are there; a node that waits for a holder closes a swap where the
    chain of holders comes back to it. Returns the objective, -1 where a cycle is left, FAR once it must exceed `cut`.
    """
    hold, swap = config[HOLD], config[SWAP]
    limit = cut if config[GOAL] == 0 else FAR
    top = 0
    for j in range(len(jobs)):
        x, end = jobs[j, FIRST], jobs[j, LAST]
        while x <= end and (node[x, BEGUN] or 0 <= link[x, START] < keep):
            x += 1
        if x <= end:
            scratch[STACK, top] = x
            top += 1
            for y in range(x, end + 1):
                link[y, START] = -1
    while top > 0:
        top -= 1
        x = scratch[STACK, top]
        while link[x, START] < 0:
            j = node[x, JOB]
            inside = x > jobs[j, FIRST]
            time, cause = node[x, EARLIEST], -1
            if inside and link[x - 1, START] + node[x - 1, LENGTH] >= time:
                time, cause = link[x - 1, START] + node[x - 1, LENGTH], x - 1
            w = link[x, BEFORE]
            if w >= 0:
                free = link[w + hold, START]
                if free < 0:  # the machine is not free yet: only a swap helps
                    if not inside or swap == 0 or link[w, START] < 0:
                        break
                    y, closed = w + 1, False
                    for _ in range(len(count)):
                        time = max(time, link[y - 1, START] + node[y - 1, LENGTH])
                        z = link[y, BEFORE]
                        if z < 0 or link[z, START] < 0:
                            break
                        y = z + 1
                        if link[y, START] >= 0:
                            break
                        if y == x:
                            closed = True
                            break
                    if not closed:
                        break
                    if time + node[x, TAIL] > limit:
                        return FAR
                    while True:
                        link[y, START] = time
                        z = link[y, BEFORE] + 1
                        link[y, CAUSE] = y - 1 if link[y - 1, START] + node[y - 1, LENGTH] == time else z
                        y = z
                        if y == x:
                            break
                    while True:
                        s = link[y, AFTER]
                        if s >= 0 and (s == jobs[node[s, JOB], FIRST] or link[s - 1, START] >= 0):
                            scratch[STACK, top] = s
                            top += 1
                        scratch[STACK, top] = y + 1
                        top += 1
                        y = link[y, BEFORE] + 1
                        if y == x:
                            break
                    break
                if hold == 0:
                    free += node[w, LENGTH]
                if free > time or (free == time and cause < 0):
                    time, cause = free, w + hold
            if time + node[x, TAIL] > limit:
                return FAR
            link[x, START], link[x, CAUSE] = time, cause
            if hold and inside:  # the machine behind is free now
                s = link[x - 1, AFTER]
                if s >= 0 and (s == jobs[node[s, JOB], FIRST] or link[s - 1, START] >= 0):
                    scratch[STACK, top] = s
                    top += 1
            s = link[x, AFTER]
            if s >= 0 and (swap or hold == 0) and (s == jobs[node[s, JOB], FIRST] or link[s - 1, START] >= 0):
                scratch[STACK, top] = s
                top += 1
            if x == jobs[j, LAST]:
                break
            x += 1
    for j in range(len(jobs)):
        if link[jobs[j, LAST], START] < 0:
            return -1
    return _cost(config, jobs, link)


@SOURCE.add("b1(GRAPH, PLAN, i8, i8, i8, SCRATCH)")
def _pass(config, jobs, node, count, visit, order, link, c, y, d, scratch):  # type: ignore[no-untyped-def]
    """Let operation c pass operation y on their machine, to the front (d = 1) or to the back (d = -1).

    Writes to scratch[LIMIT] for each operation of c's job the place of the operation that it must pass, its own place
    where it stays: the smallest set of exchanges of this job that leaves no forbidden cycle. False where that would
    touch what has begun.

    From each node that the job's new arcs lead to, everything reachable is marked with the latest node u of the job
    from which it is reached, and whether strictly (2 * u + 1) or over arcs of length 0 only (2 * u); an arc back into
    the job at u or before closes a cycle, so that operation must move as well. For d = -1 all is mirrored.
    """
    n, j = len(node), node[c, JOB]
    base, strict = jobs[j, FIRST], 1 - config[HOLD]
    leave = config[HOLD] if d == 1 else 0  # from an operation to the node where its machine arcs begin, seen along d
    enter = config[HOLD] - leave  # and to the node where they end
    if node[c, BEGUN] or (d == 1 and node[y, BEGUN]):
        return False
    for x in range(n):
        scratch[MARK, x] = -1
        scratch[QUEUED, x] = 0
    for x in range(base, jobs[j, LAST]):
        scratch[LIMIT, x - base] = link[x, PLACE]
    scratch[LIMIT, c - base] = link[y, PLACE]
    work = n  # the stack of nodes lies below, the stack of moved operations above
    scratch[STACK, work] = c
    work += 1
    while work > n:
        work -= 1
        c = scratch[STACK, work]
        x = order[node[c, MACHINE], scratch[LIMIT, c - base]] + enter
        code = 2 * (c + leave if d == 1 else n - c - leave) + strict
        if scratch[MARK, x] >= code:
            continue
        scratch[MARK, x] = code
        scratch[STACK, 0] = x
        top = 1
        while top > 0:
            top -= 1
            x = scratch[STACK, top]
            scratch[QUEUED, x] = 0
            code, i = scratch[MARK, x], node[x, JOB]
            y = x + d  # along the job
            if jobs[i, FIRST] <= y <= jobs[i, LAST] and scratch[MARK, y] < code | 1:
                scratch[MARK, y] = code | 1
                if scratch[QUEUED, y] == 0:
                    scratch[QUEUED, y] = 1
                    scratch[STACK, top] = y
                    top += 1
            z = x - leave
            if z < jobs[i, FIRST] or z >= jobs[i, LAST]:
                continue
            code |= strict  # along the machine of operation z
            q = visit[j, node[z, MACHINE]]
            while q >= 0:
                if d * (scratch[LIMIT, q - base] - link[z, PLACE]) > 0:
                    ahead = (code >> 1) - (q + enter if d == 1 else n - q - enter)
                    if ahead > 0 or (ahead == 0 and (code & 1 or config[SWAP] == 0)):
                        if node[q, BEGUN] or (d == 1 and node[z, BEGUN]):
                            return False
                        scratch[LIMIT, q - base] = link[z, PLACE]
                        scratch[STACK, work] = q
                        work += 1
                q = node[q, AGAIN]
            y = link[z, AFTER] if d == 1 else link[z, BEFORE]
            while y >= 0 and node[y, JOB] == j:
                y = link[y, AFTER] if d == 1 else link[y, BEFORE]
            if y >= 0 and scratch[MARK, y + enter] < code:
                scratch[MARK, y + enter] = code
                if scratch[QUEUED, y + enter] == 0:
                    scratch[QUEUED, y + enter] = 1
                    scratch[STACK, top] = y + enter
                    top += 1
    return True


@SOURCE.add("i8(GRAPH, PLAN, i8, i8, SCRATCH)")
def _place(config, jobs, node, count, visit, order, link, j, d, scratch):  # type: ignore[no-untyped-def]
    """Put the operations of job j where scratch[LIMIT] says; returns the earliest start that may change."""
    base, keep = jobs[j, FIRST], FAR
    for m in range(len(count)):
        q, moved = visit[j, m], False
        while q >= 0:
            moved = moved or scratch[LIMIT, q - base] != link[q, PLACE]
            q = node[q, AGAIN]
        if not moved:
            continue
        q, length = visit[j, m], 0
        for i in range(count[m]):
            x = order[m, i]
            if node[x, JOB] == j:
                continue
            while q >= 0 and scratch[LIMIT, q - base] < i + (d == 1):
                scratch[LINE, length] = q
                length += 1
                q = node[q, AGAIN]
            scratch[LINE, length] = x
            length += 1
        while q >= 0:
            scratch[LINE, length] = q
            length += 1
            q = node[q, AGAIN]
        before = -1
        for i in range(length):
            x = scratch[LINE, i]
            if link[x, BEFORE] != before:
                if 0 <= link[x, START] < keep:
                    keep = link[x, START]
                link[x, BEFORE] = before
            if before >= 0:
                link[before, AFTER] = x
            order[m, i] = x
            link[x, PLACE] = i
            before = x
        link[before, AFTER] = -1
    return keep


@SOURCE.add("void(NODE, COUNT, VISIT, i8, PLAN, PLAN)")
def _copy(node, count, visit, j, order, link, order_to, link_to):  # type: ignore[no-untyped-def]
    """Copy a plan to another one that differs on the machines of job j at most; on any for j = -1."""
    for m in range(len(count)):
        if j < 0 or visit[j, m] >= 0:
            for i in range(count[m]):
                order_to[m, i] = order[m, i]
    for x in range(len(node)):
        for f in range(link.shape[1]):
            link_to[x, f] = link[x, f]
