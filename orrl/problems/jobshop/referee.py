"""The referee: judges any schedule in plain Python, sharing no code with solvers, simulator or schedule builders.

Rules (Mascis & Pacciarelli 2002 for blocking): an operation starts when its job's previous one has ended; a machine
holds one job at a time; in a blocking shop a job stays on its machine until its next operation starts; jobs that
exchange machines at one moment form a cycle, legal only with ``swap``; an operation may not start while its machine is
down, and an outage delays it as the mode says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.types import Evaluation

if TYPE_CHECKING:
    from .data import JobShop
    from .interruptions import Outages
    from .schedule import Schedule

__all__ = ["accrued", "evaluate"]


def evaluate(problem: JobShop, schedule: Schedule, scenario: Outages) -> Evaluation:
    """Judge a schedule under one scenario.

    Parameters
    ----------
    problem : JobShop
        The shop.
    schedule : Schedule
        Start, finish and leave times.
    scenario : Outages
        What happened to the machines.

    Returns
    -------
    Evaluation
        Objective recomputed from start times, and one sentence per broken rule. Not a number where operations have no
        start, as after a deadlock.
    """
    schedule.check_shape(problem)
    route: list[list[int]] = [[m for m in row if m >= 0] for row in problem.machines.tolist()]
    start: list[list[int]] = [row[: len(r)] for row, r in zip(schedule.start.tolist(), route, strict=True)]
    down = _down_times(problem, scenario)
    missing = [
        f"{problem.job_names[j]}, operation {k} has no start: the schedule is not complete"
        for j, row in enumerate(start)
        for k, time in enumerate(row)
        if time < 0
    ]
    if missing:
        return Evaluation(float("nan"), False, tuple(missing))
    broken: list[str] = []
    end = [[_end(problem, scenario, down, j, k, start[j][k]) for k in range(len(route[j]))] for j in range(len(route))]
    for j, row in enumerate(route):
        who = problem.job_names[j]
        if start[j][0] < problem.release[j]:
            broken.append(f"{who} starts at {start[j][0]}, before its release at {problem.release[j]}")
        for k, machine in enumerate(row):
            place = f"{who}, operation {k}"
            if k and start[j][k] < end[j][k - 1]:
                broken.append(f"{place} starts at {start[j][k]}, before the previous one ends at {end[j][k - 1]}")
            if any(b <= start[j][k] < e for b, e in down[machine]):
                broken.append(f"{place} starts at {start[j][k]} while {problem.machine_names[machine]} is down")
            if int(schedule.finish[j, k]) != end[j][k]:
                broken.append(f"{place} claims to end at {schedule.finish[j, k]}, it ends at {end[j][k]}")
    leave = [
        [start[j][k + 1] if problem.blocking and k + 1 < len(route[j]) else end[j][k] for k in range(len(route[j]))]
        for j in range(len(route))
    ]
    broken += _overlaps(problem, route, start, leave)
    if problem.blocking and not problem.swap and not broken:
        broken += _swaps(problem, route, start, leave)
    broken += _rewritten_past(problem, route, start, leave)
    done = [row[-1] for row in end]
    metrics = _metrics(problem, route, start, end, leave)
    return Evaluation(_objective(problem, done), not broken, tuple(broken), metrics=metrics)


def _down_times(problem: JobShop, scenario: Outages) -> list[list[tuple[int, int]]]:
    down: list[list[tuple[int, int]]] = [[] for _ in range(problem.n_machines)]
    for machine, begin, end in problem.maintenance.tolist() + scenario.windows.tolist():
        down[machine].append((begin, end))
    return down


def _end(problem: JobShop, scenario: Outages, down: list[list[tuple[int, int]]], j: int, k: int, start: int) -> int:
    """Walk through the machine's outages; overlapping ones count once."""
    need = int(problem.durations[j, k]) + int(scenario.extra[j, k])
    clock, left = start, need
    for begin, end in sorted(down[int(problem.machines[j, k])]):
        if end <= clock or begin < start:
            continue  # over by now, or the operation has started inside it, which is reported elsewhere
        if clock + left <= begin:
            break
        if problem.interruptions.mode == "repeat":
            left = need
        else:
            left -= max(0, begin - clock)
        clock = max(clock, end)
    return clock + left


def _overlaps(problem: JobShop, route: list[list[int]], start: list[list[int]], leave: list[list[int]]) -> list[str]:
    broken = []
    for m in range(problem.n_machines):
        visits = sorted(
            (start[j][k], leave[j][k], j, k) for j, row in enumerate(route) for k, q in enumerate(row) if q == m
        )
        busy_until, by = -1, -1
        for begin, end, j, k in visits:
            if begin < busy_until:
                held = "holds" if problem.blocking else "works on"
                broken.append(
                    f"{problem.job_names[j]}, operation {k} enters {problem.machine_names[m]} at {begin} while "
                    f"{problem.job_names[by]} {held} it until {busy_until}"
                )
            if end > busy_until:
                busy_until, by = end, j
    return broken


def _swaps(problem: JobShop, route: list[list[int]], start: list[list[int]], leave: list[list[int]]) -> list[str]:
    """Carry out the moves of each moment one by one; those that can only be made together are a swap."""
    broken = []
    for time in sorted({t for row in start for t in row}):
        holder = {
            q: j
            for j, row in enumerate(route)
            for k, q in enumerate(row)
            if start[j][k] < time <= leave[j][k] and not (k + 1 == len(row) and leave[j][k] == time)
        }
        waiting = {j: [k for k in range(len(row)) if start[j][k] == time] for j, row in enumerate(route)}
        passing = {(j, k) for j, ks in waiting.items() for k in ks if leave[j][k] == time}
        stuck = _one_by_one(route, holder, {j: ks for j, ks in waiting.items() if ks}, passing)
        if stuck:
            who = ", ".join(problem.job_names[j] for j in stuck)
            broken.append(f"{who} can only exchange machines at {time}, and swap=False forbids it")
    return broken


def _one_by_one(
    route: list[list[int]], holder: dict[int, int], waiting: dict[int, list[int]], passing: set[tuple[int, int]]
) -> list[int]:
    """Jobs left over when the moves of one moment are made in the best order.

    Parameters
    ----------
    route : list of list of int
        Machines of each job.
    holder : dict
        Machine -> job on it.
    waiting : dict
        Job -> operations that it begins at this moment, in order.
    passing : set of (job, operation)
        Those of no length, which leave at this moment too. A machine takes them before the one that stays; the order of
        several of them on one machine is the only choice there is, and every one is tried.
    """
    holder, waiting = dict(holder), {j: list(ks) for j, ks in waiting.items()}
    while waiting:
        choices = []
        for j, ks in waiting.items():
            target = route[j][ks[0]]
            if target in holder:
                continue
            rivals = [
                i
                for i, rest in waiting.items()
                if i != j and any(route[i][q] == target and (i, q) in passing for q in rest)
            ]
            if not rivals:
                choices = [j]
                break
            if (j, ks[0]) in passing:
                choices.append(j)
        if not choices:
            break
        ends = [_one_by_one(route, *_moved(route, holder, waiting, j, passing), passing) for j in choices[1:]]
        if not all(ends):
            return []
        holder, waiting = _moved(route, holder, waiting, choices[0], passing)
    return sorted(waiting)


def _moved(
    route: list[list[int]], holder: dict[int, int], waiting: dict[int, list[int]], j: int, passing: set[tuple[int, int]]
) -> tuple[dict[int, int], dict[int, list[int]]]:
    """`holder` and `waiting` after job j's next move."""
    k, *rest = waiting[j]
    now = {m: i for m, i in holder.items() if i != j}
    if (j, k) not in passing or k + 1 < len(route[j]):
        now[route[j][k]] = j
    left = {i: ks for i, ks in waiting.items() if i != j}
    return now, {**left, j: rest} if rest else left


def _rewritten_past(
    problem: JobShop, route: list[list[int]], start: list[list[int]], leave: list[list[int]]
) -> list[str]:
    """What has begun stays, and nothing is put before it, not even a visit of no length at this very moment."""
    if problem.state is None:
        return []
    broken = []
    begun = [(j, k) for j, row in enumerate(route) for k in range(len(row)) if problem.state.start[j, k] >= 0]
    for i, q in begun:
        for j, row in enumerate(route):
            for k, machine in enumerate(row):
                if machine == route[i][q] and (j, k) not in begun and start[j][k] < leave[i][q]:
                    broken.append(
                        f"{problem.job_names[j]}, operation {k} is put before {problem.job_names[i]}, operation {q}, "
                        f"which has begun on {problem.machine_names[machine]}"
                    )
    for j, row in enumerate(start):
        for k, time in enumerate(row):
            was = int(problem.state.start[j, k])
            if was >= 0 and time != was:
                broken.append(f"{problem.job_names[j]}, operation {k} started at {was}; the schedule says {time}")
            if was < 0 and time < problem.state.time:
                broken.append(
                    f"{problem.job_names[j]}, operation {k} starts at {time}, before now ({problem.state.time})"
                )
    return broken


def _objective(problem: JobShop, done: list[int]) -> float:
    if problem.objective.name == "makespan":
        return float(max(done))
    if problem.objective.name == "total_flow":
        return float(sum(c - int(r) for c, r in zip(done, problem.release, strict=True)))
    assert problem.due is not None
    return float(sum(int(w) * max(0, c - int(d)) for w, c, d in zip(problem.weights, done, problem.due, strict=True)))


def _metrics(
    problem: JobShop, route: list[list[int]], start: list[list[int]], end: list[list[int]], leave: list[list[int]]
) -> dict[str, float]:
    pairs = [(j, k) for j, row in enumerate(route) for k in range(len(row))]
    span = max(1, max(row[-1] for row in end))
    worked = sum(int(problem.durations[j, k]) for j, k in pairs)
    return {
        "makespan": float(max(row[-1] for row in end)),
        "utilisation": worked / (span * problem.n_machines),
        "blocked_time": float(sum(leave[j][k] - end[j][k] for j, k in pairs)),
        "outage_time": float(sum(end[j][k] - start[j][k] - int(problem.durations[j, k]) for j, k in pairs)),
    }


def accrued(problem: JobShop) -> float:
    """Part of the objective that lies before the state the problem starts from.

    Makespan: the time that has passed. Total flow: the time that released jobs have spent so far. Weighted tardiness:
    what has been late so far.
    """
    if problem.state is None:
        return 0.0
    now: Any = problem.state.time
    if problem.objective.name == "makespan":
        return float(now)
    down = _down_times(problem, problem.state.past)
    total = 0
    for j, n in enumerate(problem.n_operations.tolist()):
        last = int(problem.state.start[j, n - 1])
        over = _end(problem, problem.state.past, down, j, n - 1, last) if last >= 0 else now
        until = min(now, over)
        if problem.objective.name == "total_flow":
            total += max(0, until - int(problem.release[j]))
        else:
            assert problem.due is not None
            total += int(problem.weights[j]) * max(0, until - int(problem.due[j]))
    return float(total)
