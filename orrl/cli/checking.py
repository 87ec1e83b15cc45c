"""``orrl check | warmup | versions``: whether things are as they should be."""

from __future__ import annotations

from typing import Annotated

import typer

from .common import Json, ProblemName, emit, note, problem_from

__all__ = ["check", "versions", "warmup"]


def check(
    problem: ProblemName,
    seeds: Annotated[int, typer.Option(help="Scenario seeds.")] = 3,
    time_limit: Annotated[float, typer.Option("--time-limit", "-t", help="Seconds for each program.")] = 20.0,
    point: Annotated[list[int] | None, typer.Option("--point", help="Only this point; repeat it.")] = None,
    json: Json = False,
) -> None:
    """Test that the two faces of a problem agree.

    Eleven points, such as: an episode fixed in the program is feasible and has the same objective. Exit code 1 where
    one fails.
    """
    import orrl

    found = orrl.check_problem(problem_from(problem), seeds=seeds, time_limit=time_limit, points=point)
    if json:
        emit(found.to_dict())
    else:
        typer.echo(str(found))
    if not found.ok:
        raise typer.Exit(1)


def warmup(json: Json = False) -> None:
    """Compile ahead of the first run."""
    import time

    import orrl
    from orrl.core import OrrlError

    clocks: dict[str, float] = {}
    for name in _smallest():
        for options in ({}, {"storage": "blocking"}) if name.startswith("jobshop/") else ({},):
            problem = orrl.load(name, **options)
            for method, kind, ok, _ in orrl.list_solvers(problem):
                if not ok or kind not in ("rule", "heuristic"):
                    continue
                begin = time.perf_counter()
                try:
                    orrl.solve(problem, method, time_limit=1.0, threads=1)
                except OrrlError as error:
                    note(f"{method} on {problem.name}: {error}")
                clocks[method] = clocks.get(method, 0.0) + time.perf_counter() - begin
    if json:
        emit(clocks)
    else:
        for method, seconds in clocks.items():
            typer.echo(f"{method:20} {seconds:7.2f} s")


def _smallest() -> list[str]:
    """The first shipped instance of each family."""
    import orrl

    first: dict[str, str] = {}
    for row in orrl.list_problems():
        if row.get("data") in ("shipped", None):
            first.setdefault(row["family"], row["name"])
    return list(first.values())


def versions(json: Json = False) -> None:
    """Print versions and machine."""
    from orrl.versions import show_versions

    found = show_versions()
    if json:
        emit(found.to_dict())
    else:
        typer.echo(str(found))
