"""``orrl compare | report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import Jobs, Json, Limit, emit, method_from, note, problems_from, terminal

if TYPE_CHECKING:
    from orrl.comparison import Comparison

__all__ = ["compare", "report", "show"]


def compare(
    problems: Annotated[
        list[str], typer.Argument(metavar="PROBLEM...", help="Names, files and sets, such as jobshop/lawrence-10x5.")
    ],
    method: Annotated[list[str], typer.Option("--method", "-m", help="Repeat it; options after a colon.")],
    seeds: Annotated[int, typer.Option(help="Seeds of the methods.")] = 1,
    scenarios: Annotated[int | None, typer.Option(help="Scenarios of a stochastic problem.")] = None,
    time_limit: Limit = None,
    threads: Annotated[int, typer.Option(help="Threads a run.")] = 1,
    jobs: Jobs = 1,
    store: Annotated[Path | None, typer.Option(help="SQLite file; a killed sweep resumes.")] = None,
    reference: Annotated[str | None, typer.Option(help="Method that the others are paired with.")] = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Compute failed cells of the store again.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write everything as JSON.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write one row per run.")] = None,
    html: Annotated[Path | None, typer.Option("--report", help="Write the HTML report.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    json: Json = False,
) -> None:
    """Put methods side by side in one honest table.

    Exit code 1 where no run gave an answer.
    """
    import orrl

    table = orrl.compare(
        problems_from(problems),
        [method_from(word) for word in method],
        seeds=seeds,
        scenarios=scenarios,
        time_limit=time_limit,
        threads=threads,
        n_jobs=jobs,
        store=store,
        reference=reference,
        retry_errors=retry_errors,
        progress=terminal() and not quiet,
    )
    if out is not None:
        table.save(out)
    if csv is not None:
        table.to_frame().to_csv(csv, index=False)
    if html is not None:
        note(f"report: {table.report(html)}")
    show(table, json)
    if not table.to_frame()["answered"].any():
        raise typer.Exit(1)


def show(table: Comparison, json: bool) -> None:
    """Print a comparison: coloured for a person, plain for a pipe, or as JSON."""
    import sys

    if json:
        emit(
            {
                "setting": table.setting,
                "reference": table.reference,
                "summary": table.summary().reset_index().to_dict("records"),
                "pairwise": table.pairwise().reset_index().to_dict("records"),
                "headroom": {role: {"method": m, "gap": gap} for role, (m, gap) in table.headroom().items()},
                "warnings": table.warnings,
                "runs": table.to_frame().to_dict("records"),
            }
        )
    elif sys.stdout.isatty():
        from rich.console import Console

        from orrl.comparison.printing import natural_width

        console = Console(highlight=False)
        console.width = max(console.width, natural_width(table))
        console.print(table)
    else:
        typer.echo(str(table))


def report(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A store, or a file of compare --out.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file.")] = Path("report.html"),
    title: Annotated[str | None, typer.Option(help="Heading.")] = None,
    json: Json = False,
) -> None:
    """Write the HTML report of a comparison.

    A store of a sweep that was killed half-way will do: what is missing is shown as missing.
    """
    from orrl.comparison import Comparison

    table = Comparison.load(source)
    path = table.report(out, title=title)
    if json:
        emit({"report": str(path), "runs": len(table.rows), "warnings": table.warnings})
    else:
        typer.echo(str(path))
