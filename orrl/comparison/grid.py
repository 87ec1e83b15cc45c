"""`compare`: problems x methods x seeds (x scenarios); every cell becomes a row, whatever happens in it."""

from __future__ import annotations

import os
import threading
import time
import warnings
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from typing import TYPE_CHECKING, Any

from ..core.errors import OrrlError, OrrlWarning, UnknownNameError
from ..core.problem import Problem
from ..core.run import all_cores
from ..core.seeds import spawn_seeds
from ..versions import show_versions
from .cell import Cell, Outcome, Row, Task, run_cell
from .entries import Entry, as_entries
from .plan import labels, make_plan
from .progress import Report, reporting
from .store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from .table import Comparison

__all__ = ["compare"]

DEFAULT_SCENARIOS = 20


def compare(
    problems: Any,
    methods: Any,
    *,
    seeds: int = 1,
    scenarios: int | None = None,
    time_limit: float | None = None,
    threads: int = 1,
    n_jobs: int = 1,
    store: str | Path | None = None,
    reference: str | None = None,
    scenario_seed: int = 0,
    retry_errors: bool = False,
    progress: bool | Report = False,
) -> Comparison:
    """Run every method on every problem and put the answers side by side.

    Parameters
    ----------
    problems : Problem or sequence of Problem
        Instances; no two with the same content.
    methods : sequence or mapping
        Names (``"cp-sat"``, ``"mwkr"``), names with options (``("milp", {"form": "disjunctive"})``), solvers, policies,
        results, or a name with several trained policies (``("ppo", [p0, p1, p2])``: seed i is played by policy i). A
        mapping gives the labels.
    seeds : int
        Seeds of the methods, counted from 0.
    scenarios : int, optional
        Scenarios of a stochastic problem, 20 by default. All methods meet the same ones. A clairvoyant method is told
        the scenario: its rows are perfect information, never a policy.
    time_limit : float, optional
        Wall seconds per cell, model building included, the same for all.
    threads : int
        Threads per cell.
    n_jobs : int
        Worker processes; -1 uses ``cores // threads``. With 1 the cells run in this process.
    store : path, optional
        SQLite file: finished cells are written as they end, and a second call computes only what is missing.
    reference : str, optional
        Label of the method that the others are paired with; by default the first exact one.
    scenario_seed : int
        Seed of the world.
    retry_errors : bool
        Compute cells again that ended in an error in the store.
    progress : bool or callable
        A bar on stderr, or ``f(row, done, total)`` called as each cell ends.

    Returns
    -------
    Comparison

    Raises
    ------
    UnknownNameError
        For a method that no problem knows.
    OrrlError
        For a method or a problem that is given twice.

    Examples
    --------
    >>> import orrl
    >>> table = orrl.compare(orrl.load("jobshop/ft06"), ["mwkr", "spt", "random"], time_limit=10, reference="mwkr")
    >>> table.summary()["runs"].to_dict()
    {'mwkr': 1, 'spt': 1, 'random': 1}
    """
    instances = [problems] if isinstance(problems, Problem) else list(problems)
    entries = as_entries(methods)
    _check(instances, entries, seeds=seeds, scenarios=scenarios, threads=threads, reference=reference)
    workers = max(1, all_cores() // threads) if n_jobs == -1 else n_jobs
    if workers * threads > all_cores():
        warnings.warn(
            f"{workers} workers with {threads} threads on {all_cores()} cores: the times will be too long. "
            f"Give n_jobs={max(1, all_cores() // threads)}",
            OrrlWarning,
            stacklevel=2,
        )
    worlds = spawn_seeds(scenario_seed, DEFAULT_SCENARIOS if scenarios is None else scenarios, "scenario")
    plan = make_plan(instances, entries, seeds=seeds, worlds=worlds, time_limit=time_limit, threads=threads)
    setting = {
        "methods": [entry.label for entry in entries],
        "problems": labels(instances),
        "seeds": seeds,
        "scenarios": len(worlds) if any(p.is_stochastic for p in instances) else None,
        "scenario_seed": scenario_seed,
        "time_limit": time_limit,
        "threads": threads,
        "n_jobs": workers,
        "reference": reference,
        "created": time.time(),
        "versions": show_versions().to_dict(),
    }
    with reporting(progress) as report:
        rows = _fill(plan, workers, threads, setting, store, retry_errors, report)
    from .table import Comparison

    return Comparison(rows, setting)


def _check(
    problems: Sequence[Any],
    entries: Sequence[Entry],
    *,
    seeds: int,
    scenarios: int | None,
    threads: int,
    reference: str | None,
) -> None:
    if not problems or not entries:
        raise OrrlError("compare needs at least one problem and one method")
    for problem in problems:
        if not isinstance(problem, Problem):
            raise OrrlError(f"compare was given {problem!r} as a problem: load it first, e.g. orrl.load({problem!r})")
    for what, number in (("seeds", seeds), ("scenarios", scenarios), ("threads", threads)):
        if number is not None and number < 1:
            raise OrrlError(f"{what} is {number}: give at least 1")
    known: dict[str, str] = {}
    for problem in problems:
        if problem.content_hash in known:
            raise OrrlError(f"problems {known[problem.content_hash]!r} and {problem.name!r} have the same content")
        known[problem.content_hash] = problem.name
    for entry in entries:
        if entry.policies and len(entry.policies) < seeds:
            raise OrrlError(
                f"{entry.label} has {len(entry.policies)} policies for {seeds} seeds: give one policy a seed"
            )
    labels = [entry.label for entry in entries]
    if reference is not None and reference not in labels:
        raise UnknownNameError("reference method", reference, labels)


def _fill(
    plan: Sequence[tuple[Cell, Task | Outcome]],
    workers: int,
    threads: int,
    setting: Mapping[str, Any],
    path: str | Path | None,
    retry_errors: bool,
    report: Report,
) -> list[Row]:
    """Rows in the order of the plan; what the store has is not computed again."""
    outcomes: dict[int, Outcome] = {}
    store = None if path is None else Store(path)
    try:
        if store is not None:
            store.begin(setting, [cell for cell, _ in plan])
        todo: list[tuple[int, Task]] = []
        for i, (cell, what) in enumerate(plan):
            old = None if store is None else store.get(cell.key)
            if isinstance(what, Outcome):
                outcomes[i] = what
                if store is not None:
                    store.put(cell, what)
            elif old is not None and not (retry_errors and old.status == "error"):
                outcomes[i] = old
            else:
                todo.append((i, what))
                continue
            report(Row(cell, outcomes[i]), len(outcomes), len(plan))
        for i, outcome in execute(todo, workers, threads):
            if store is not None:
                store.put(plan[i][0], outcome)
            outcomes[i] = outcome
            report(Row(plan[i][0], outcome), len(outcomes), len(plan))
    finally:
        if store is not None:
            store.close()
    return [Row(cell, outcomes[i]) for i, (cell, _) in enumerate(plan)]


def execute(todo: Sequence[tuple[int, Task]], workers: int, threads: int) -> Iterator[tuple[int, Outcome]]:
    """Outcomes as they come. A worker that dies (killed, out of memory, a crash in native code) costs one cell."""
    if workers == 1 or not todo:
        for i, task in todo:
            yield i, run_cell(task)
        return
    left = dict(todo)
    while left:
        try:
            for i, outcome in _parallel(list(left.items()), workers, threads):
                del left[i]
                yield i, outcome
        except BrokenProcessPool:
            suspects = list(left.items())[:workers]  # at most these were running: each again, alone
            for i, task in suspects:
                try:
                    _, outcome = next(iter(_parallel([(i, task)], 2, threads)))
                except BrokenProcessPool:
                    text = "the worker process died: killed, out of memory, or a crash in native code"
                    outcome = Outcome("error", "failure", text, finished=time.time())
                del left[i]
                yield i, outcome


def _parallel(todo: Sequence[tuple[int, Task]], workers: int, threads: int) -> Iterator[tuple[int, Outcome]]:
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="loky", inner_max_num_threads=threads):
        pool = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
        yield from pool(delayed(_numbered)(i, task, os.getpid()) for i, task in todo)


def _numbered(i: int, task: Task, parent: int) -> tuple[int, Outcome]:
    _end_with(parent)
    return i, run_cell(task)


@cache
def _end_with(parent: int) -> None:
    """End this worker when its parent has gone: orphans of a killed sweep would disturb the clocks of the next one."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    if os.getppid() == parent:  # not so where the system has no such relation
        threading.Thread(target=watch, daemon=True).start()
