"""The command line. Importing it loads neither typer nor NumPy; see `main`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> None:
    """Run ``orrl``; ends the process.

    Exit codes: 0 all is well, 1 no solution or a failed check, 2 wrong usage or bad input, 3 a fault of orrl,
    130 interrupted.
    """
    from .app import run

    run(args)
