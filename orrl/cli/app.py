"""The commands under one name, and the one place where an exception becomes a line and an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from . import checking, comparing, data, demo, solving
from .common import fail

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "run"]

app = typer.Typer(
    name="orrl",
    help="Operations-research problems that a solver proves and a learner steps.",
    epilog="Exit codes: 0 well, 1 no solution or a failed check, 2 wrong usage or bad input, 3 a fault of orrl.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich would cost more than all the rest
)

for function, name in (
    (data.list_, "list"),
    (data.info, "info"),
    (data.fetch, "fetch"),
    (solving.solve, "solve"),
    (solving.train, "train"),
    (solving.simulate, "simulate"),
    (comparing.compare, "compare"),
    (comparing.report, "report"),
    (checking.check, "check"),
    (demo.demo, "demo"),
    (checking.warmup, "warmup"),
    (checking.versions, "versions"),
):
    app.command(name)(function)


def _version(wanted: bool) -> None:
    if wanted:
        from orrl import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version)] = False,
) -> None:
    """Operations-research problems that a solver proves and a learner steps."""


def run(args: Sequence[str] | None = None) -> None:
    """Run a command line and end the process."""
    words = list(sys.argv[1:] if args is None else args)
    try:
        app(words, prog_name="orrl")
    except Exception as error:
        if "--debug" in words:
            raise
        raise SystemExit(fail(error)) from None
