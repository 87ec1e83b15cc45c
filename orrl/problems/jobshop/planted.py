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
    critical : str
        What works from 0 to the makespan: ``"machine 3"`` or ``"job 1"``.
    """

    machines: list[list[int]]
    durations: list[list[int]]
    start: list[list[int]]
    optimum: int
    critical: str


def plan(*, seed: int, jobs: int, machines: int, low: int = 1, high: int = 99, slack: float = 0.2) -> Plan:
    """Draw a schedule of a shop without buffers, then the durations that it fits.

    The jobs come in batches of as many as there are machines. In each round of a batch the jobs stand on different
    machines, and between two rounds all of them move, as a random Latin square says. The moves of one moment fall
    apart into cycles of machines, and each cycle moves a little earlier or later than the others. A job works on a
    machine for as long as it stands there, less a random slack; on one critical machine the slack is always 0. This
    machine works from 0 to the end, so the makespan equals its work, which no schedule can beat, with buffers or
    without. With fewer jobs than machines there is one batch and a critical job instead.

    Parameters
    ----------
    seed : int
        Non-negative.
    jobs, machines : int
        Size. Every job visits every machine where `machines` divides `jobs` or exceeds it; otherwise the jobs of the
        last batch visit as many machines as it has jobs.
    low, high : int
        Bounds of the durations, ``1 <= low <= high``.
    slack : float
        Largest share of a stay that is waiting, in [0, 1).
    """
    if not 1 <= low <= high:
        raise DataError(f"(low, high) is ({low}, {high}): a planted optimum needs 1 <= low <= high")
    if jobs < 1 or machines < 1 or not 0 <= slack < 1:
        raise DataError(
            f"{jobs} jobs, {machines} machines, slack {slack}: give at least one of each and 0 <= slack < 1"
        )
    rng = stream(seed, "jobshop", "planted", jobs, machines)
    by_job = jobs < machines
    critical = int(rng.integers(jobs if by_job else machines))
    batches = [jobs] if by_job else [machines] * (jobs // machines)
    if not by_job and jobs % machines:
        batches.append(jobs % machines)
    lengths = [machines if by_job else size for size in batches]
    quarter = (high - low) // 4  # rounds of middle length leave room for the cycles to move
    spans = rng.integers(low + quarter, high - quarter + 1, sum(lengths)).tolist()

    routes: list[list[int]] = []
    stays: list[list[int]] = []  # when the job enters each machine, and when it leaves the last
    now = [0] * machines  # when each machine is handed on
    clock = done = 0
    for size, length in zip(batches, lengths, strict=True):
        square = _latin_rows(rng, size, _some_machines(rng, machines, length, None if by_job else critical))
        handed = [now]
        for r in range(length):
            span = spans[done]
            following = spans[done + 1] if done + 1 < len(spans) else span
            play = min(span - low, following - low, high - span, high - following) // 2
            clock, done = clock + span, done + 1
            group = _groups(machines, [(row[r], row[r + 1]) for row in square] if r + 1 < length else [])
            shift = rng.integers(-play, play + 1, machines).tolist()
            if done == len(spans):  # the end: nobody is later than the critical machine, or the critical job's last one
                shift = [-abs(s) for s in shift]
                shift[group[square[critical][r] if by_job else critical]] = 0
            now = [clock + shift[g] for g in group]
            handed.append(now)
        routes += square
        stays += [[handed[r][m] for r, m in enumerate(row)] + [now[row[-1]]] for row in square]

    durations = []
    for j, (route, stay) in enumerate(zip(routes, stays, strict=True)):
        held = [b - a for a, b in pairwise(stay)]
        spare = [0.0 if (j if by_job else m) == critical else slack * rng.random() for m in route]
        durations.append([max(low, h - int(s * h)) for h, s in zip(held, spare, strict=True)])
    order = rng.permutation(jobs).tolist()  # the numbering must not show the batches
    return Plan(
        machines=[routes[j] for j in order],
        durations=[durations[j] for j in order],
        start=[stays[j][:-1] for j in order],
        optimum=clock,
        critical=f"job {order.index(critical)}" if by_job else f"machine {critical}",
    )


def _some_machines(rng: np.random.Generator, machines: int, n: int, wanted: int | None) -> list[int]:
    """`n` machines in random order, the wanted one among them."""
    order = rng.permutation(machines).tolist()
    if wanted is not None:
        order.remove(wanted)
        order.insert(int(rng.integers(n)), wanted)
    return [int(m) for m in order[:n]]


def _latin_rows(rng: np.random.Generator, rows: int, symbols: list[int]) -> list[list[int]]:
    """Some rows of a random Latin square, column by column; by Hall's theorem the next one always exists."""
    n = len(symbols)
    left = [set(symbols) for _ in range(n)]
    square: list[list[int]] = [[] for _ in range(n)]
    for _ in range(n):
        liking = [[symbols[i] for i in rng.permutation(n).tolist()] for _ in range(n)]
        holder: dict[int, int] = {}
        for row in range(n):
            _match(row, liking, left, holder, set())
        for symbol, row in holder.items():
            square[row].append(symbol)
            left[row].remove(symbol)
    return [square[i] for i in rng.permutation(n)[:rows].tolist()]


def _match(row: int, liking: list[list[int]], left: list[set[int]], holder: dict[int, int], tried: set[int]) -> bool:
    """Give `row` a symbol, moving others by an augmenting path."""
    for symbol in liking[row]:
        if symbol in left[row] and symbol not in tried:
            tried.add(symbol)
            if symbol not in holder or _match(holder[symbol], liking, left, holder, tried):
                holder[symbol] = row
                return True
    return False


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
    slack: float = 0.2,
    name: str | None = None,
    **options: Any,
) -> tuple[Shop, int]:
    """A random shop and its optimal makespan; see `plan` for the construction.

    Parameters
    ----------
    cls : type
        `JobShop`.
    seed, jobs, machines, low, high, slack
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
    drawn = plan(seed=seed, jobs=jobs, machines=machines, low=low, high=high, slack=slack)
    options.setdefault("machine_names", [f"machine {m}" for m in range(machines)])
    name = name or f"planted-{jobs}x{machines}-{seed}"
    return cls(machines=drawn.machines, durations=drawn.durations, name=name, **options), drawn.optimum
