"""``orrl list | info | fetch``: what there is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .common import Json, ProblemName, emit, problem_from

__all__ = ["fetch", "info", "list_"]


def list_(
    pattern: Annotated[str, typer.Argument(help="Only names that contain this, such as jobshop/la.")] = "",
    json: Json = False,
) -> None:
    """List the problems that can be loaded by name."""
    import orrl

    table = orrl.list_problems()
    found = type(table)(
        row for row in table if pattern in row["name"] or pattern in (row.get("family"), row.get("set"))
    )
    if not found:
        from orrl.core.errors import UnknownNameError

        raise UnknownNameError("problem", pattern, [row["name"] for row in table])
    if json:
        emit(list(found))
    else:
        typer.echo(str(found))


def info(problem: ProblemName, json: Json = False) -> None:
    """Describe a problem, and say which methods take it."""
    import orrl
    from orrl.catalogue import best_known
    from orrl.core import HasProgram

    shop = problem_from(problem)
    about: dict[str, Any] = dict(shop.describe())
    record = best_known(shop)
    if record is not None:
        about["best known"] = str(record)
        about["source"] = record.source
    if isinstance(shop, HasProgram) and shop.supports(HasProgram):
        about["programs"] = {backend: list(forms) for backend, forms in shop.forms().items()}
    methods = orrl.list_solvers(shop)
    if json:
        rows = [{"method": m, "kind": kind, "supported": ok, "reason": why} for m, kind, ok, why in methods]
        emit({**about, "methods": rows})
        return
    width = max(map(len, about)) + 2
    for key, value in about.items():
        if isinstance(value, dict):
            value = "; ".join(f"{k}: {', '.join(v)}" for k, v in value.items())
        typer.echo(f"{key:{width}}{', '.join(value) if isinstance(value, list) else value}")
    typer.echo(f"\n{methods!r}")


def fetch(
    family: Annotated[str, typer.Argument(help="Such as jobshop.")],
    url: Annotated[
        str | None, typer.Option(help="A mirror: the file, or the folder of several; each must have the same sha256.")
    ] = None,
    json: Json = False,
) -> None:
    """Download a family's public instances and verify them."""
    from orrl.catalogue import fetch as get

    paths = [str(path) for path in get(family, url=url)]
    if json:
        emit({"family": family, "paths": paths})
    else:
        typer.echo("\n".join(paths))
