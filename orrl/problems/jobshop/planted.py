"""Random shops with a planted optimum: the optimal makespan is known by construction, with buffers or without."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from ...core.errors import DataError, NotSupportedError
from ...core.seeds import stream

if TYPE_CHECKING:
    import numpy as np

    from .data import JobShop

__all__ = ["Plan", "plan", "planted"]

Shop = TypeVar("Shop", bound="JobShop")

_UNTOUCHED = {"interruptions", "maintenance", "release", "state"}  # what would move the optimum


@dataclass(frozen=True, slots=True)
class Plan:
    """A shop with an optimal schedule.

    Parameters
    ----------
    machines, durations, start : ragged lists
        Machine, duration and planted start of each job's operations.
    optimum : int
        The makespan.
    critical : int
        The machine that works from 0 to the makespan.
    """

    machines: list[list[int]]
    durations: list[list[int]]
    start: list[list[int]]
    optimum: int
    critical: int


def plan(
    *, seed: int, jobs: int, machines: int, low: int = 1, high: int = 99, load: float = 0.7, slack: float = 0.2
) -> Plan:
    """Draw a schedule of a shop without buffers first, then the durations that it fits.

    Time runs in rounds. One machine is critical: the jobs follow each other on it without a gap, each for some rounds.
    Before and after, a job stands for one round on each other machine; how many of them before is random. Which job
    is where in which round is an edge colouring of a bipartite graph (jobs and rounds, coloured by machines), which
    exists since no round has more jobs than machines (Koenig 1916). The moves between two rounds fall apart into
    cycles and chains of machines, and each of these moves a little earlier or later than the others. A job works for
    as long as it stands on a machine, less a random slack; on the critical machine the slack is 0. This machine works
    from 0 to the end, so the makespan equals its work, which no schedule can beat, with buffers or without.

    Parameters
    ----------
    seed : int
        Non-negative.
    jobs, machines : int
        Size, at least 2 each; every job visits every machine.
    low, high : int
        Bounds of the durations, ``1 <= low <= high``; `high` must be some times `low`.
    load : float
        About the share of time that the other machines are held, in (0, 1]. With few jobs it is less.
    slack : float
        Largest share of a stay that is waiting, in [0, 1).
    """
    if not 1 <= low <= high:
        raise DataError(f"(low, high) is ({low}, {high}): a planted optimum needs 1 <= low <= high")
    if jobs < 2 or machines < 2:
        raise DataError(f"{jobs} jobs and {machines} machines: with fewer than two of each there is nothing to plant")
    if not 0 < load <= 1 or not 0 <= slack < 1:
        raise DataError(f"load is {load}, slack is {slack}: give 0 < load <= 1 and 0 <= slack < 1")
    rng = stream(seed, "jobshop", "planted", jobs, machines)
    critical = int(rng.integers(machines))
    lengths, before = _windows(rng, jobs, machines, load)
    caps = [high // (n + 1) for n in lengths for _ in range(n)]  # leaves room for moves that come earlier or later
    if min(caps) < low:
        raise DataError(
            f"durations from {low} to {high} are too much alike to plant {jobs}x{machines}: give high of at least "
            f"{low * (max(lengths) + 1)}"
        )
    spans = [int(rng.integers(low + (cap - low) // 3, cap + 1)) for cap in caps]
    place = _places(rng, lengths, before, machines, critical)

    moments = [[0] * machines]  # when each machine is handed on, per round
    clock = 0
    for r, span in enumerate(spans):
        clock += span
        end = r + 1 == len(spans)
        moves = [(row[r], row[r + 1]) for row in place if not end and row[r] >= 0 and row[r + 1] >= 0]
        play = (min(span, spans[r if end else r + 1]) - low) // 2
        shift = rng.integers(-play, play + 1, machines).tolist()
        if end:  # nobody is later than the critical machine
            shift = [-abs(s) for s in shift]
            shift[critical] = 0
        moments.append([clock + shift[g] for g in _groups(machines, moves)])

    table: list[tuple[list[int], list[int], list[int]]] = []
    for row in place:
        visits = [r for r, m in enumerate(row) if m >= 0 and (r == 0 or row[r - 1] != m)]
        route = [row[r] for r in visits]
        start = [moments[r][m] for r, m in zip(visits, route, strict=True)]
        gone = max(r for r, m in enumerate(row) if m >= 0) + 1
        held = [b - a for a, b in pairwise([*start, moments[gone][route[-1]]])]
        spare = [0.0 if m == critical else slack * rng.random() for m in route]
        table.append((route, [max(low, h - int(s * h)) for h, s in zip(held, spare, strict=True)], start))
    routes, durations, starts = zip(*(table[j] for j in rng.permutation(jobs)), strict=True)  # hide the order
    return Plan(list(routes), list(durations), list(starts), optimum=clock, critical=critical)


def _windows(rng: np.random.Generator, jobs: int, machines: int, load: float) -> tuple[list[int], list[int]]:
    """Rounds of each job on the critical machine, in order, and how many of its other rounds come before."""
    others = machines - 1
    lengths = [1 + int(rng.poisson(1 / load - 1)) for _ in range(jobs)]
    while True:
        while sum(lengths) - max(lengths) < others:  # too few rounds for a job's other machines
            lengths[lengths.index(min(lengths))] += 1
        total = sum(lengths)
        for _ in range(50):
            begin, crowd, before = 0, [0] * total, []
            for n in lengths:
                free = []
                for b in range(max(0, others - (total - begin - n)), min(others, begin) + 1):
                    span = [*range(begin - b, begin), *range(begin + n, begin + n + others - b)]
                    if all(crowd[r] < others for r in span):
                        free.append((b, span))
                if not free:
                    break
                b, span = free[int(rng.integers(len(free)))]
                before.append(b)
                for r in span:
                    crowd[r] += 1
                begin += n
            if len(before) == jobs:
                return lengths, before
        lengths[int(rng.integers(jobs))] += 1  # more rounds, more room


def _places(
    rng: np.random.Generator, lengths: list[int], before: list[int], machines: int, critical: int
) -> list[list[int]]:
    """Machine of each job in each round, -1 where it is not in the shop."""
    others = machines - 1
    total = sum(lengths)
    place = [[-1] * total for _ in lengths]
    edges = []
    begin = 0
    for j, (n, b) in enumerate(zip(lengths, before, strict=True)):
        place[j][begin : begin + n] = [critical] * n
        edges += [(j, r) for r in [*range(begin - b, begin), *range(begin + n, begin + n + others - b)]]
        begin += n
    names = [m for m in rng.permutation(machines).tolist() if m != critical]
    at_job: list[dict[int, int]] = [{} for _ in lengths]  # colour -> round
    at_round: list[dict[int, int]] = [{} for _ in range(total)]  # colour -> job
    for i in rng.permutation(len(edges)).tolist():
        j, r = edges[i]
        at_j = [c for c in range(others) if c not in at_job[j]]
        at_r = [c for c in range(others) if c not in at_round[r]]
        common = [c for c in at_j if c in at_r]
        if common:
            colour = common[int(rng.integers(len(common)))]
        else:
            colour, other = at_j[int(rng.integers(len(at_j)))], at_r[int(rng.integers(len(at_r)))]
            _flip(at_job, at_round, r, colour, other)
        at_job[j][colour], at_round[r][colour] = r, j
    for j, colours in enumerate(at_job):
        for colour, r in colours.items():
            place[j][r] = names[colour]
    return place


def _flip(at_job: list[dict[int, int]], at_round: list[dict[int, int]], r: int, a: int, b: int) -> None:
    """Exchange colours a and b along the path from round r, where b is free; afterwards a is free."""
    path = []
    while a in at_round[r]:
        j = at_round[r][a]
        path.append((j, r, a))
        if b not in at_job[j]:
            break
        r = at_job[j][b]
        path.append((j, r, b))
    for j, r, colour in path:
        del at_job[j][colour], at_round[r][colour]
    for j, r, colour in path:
        at_job[j][a + b - colour], at_round[r][a + b - colour] = r, j


def _groups(machines: int, moves: list[tuple[int, int]]) -> list[int]:
    """For each machine the smallest one that a chain of moves ties it to: these hand over at one moment."""
    group = list(range(machines))
    for a, b in moves:
        low, high = sorted((group[a], group[b]))
        group = [low if g == high else g for g in group]
    return group


def planted(
    cls: type[Shop],
    *,
    seed: int,
    jobs: int,
    machines: int,
    low: int = 1,
    high: int = 99,
    load: float = 0.7,
    slack: float = 0.2,
    name: str | None = None,
    **options: Any,
) -> tuple[Shop, int]:
    """A random shop and its optimal makespan; see `plan` for the construction.

    Parameters
    ----------
    cls : type
        `JobShop`.
    seed, jobs, machines, low, high, load, slack
        As in `plan`.
    name : str, optional
        By default the size and the seed.
    **options
        Of `JobShop`; the optimum is the same for ``storage="unlimited"`` and ``storage="blocking"``.

    Returns
    -------
    (problem, optimum) : (JobShop, int)

    Raises
    ------
    NotSupportedError
        For options that would change the optimum: another objective, release dates, interruptions, and ``swap=False``
        in a blocking shop.
    """
    if options.get("storage") == "blocking" and not options.get("swap", True):
        raise NotSupportedError(
            "the planted schedule exchanges jobs in cycles, which swap=False forbids, so its makespan would only be a "
            "lower bound: plant with swap=True"
        )
    if options.get("objective", "makespan") != "makespan":
        raise NotSupportedError(f"the planted optimum is a makespan, not a {options['objective']}")
    moved = sorted(key for key in _UNTOUCHED & set(options) if options[key] is not None)
    if moved:
        raise NotSupportedError(f"{', '.join(moved)} would change the planted optimum: leave it out")
    drawn = plan(seed=seed, jobs=jobs, machines=machines, low=low, high=high, load=load, slack=slack)
    options.setdefault("machine_names", [f"machine {m}" for m in range(machines)])
    name = name or f"planted-{jobs}x{machines}-{seed}"
    return cls(machines=drawn.machines, durations=drawn.durations, name=name, **options), drawn.optimum
