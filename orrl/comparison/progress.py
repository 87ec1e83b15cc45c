"""Telling how far a comparison has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .cell import Row

__all__ = ["Report", "reporting"]

Report = Callable[[Row, int, int], None]


@contextmanager
def reporting(progress: bool | Report) -> Iterator[Report]:
    """A function to be called with each finished row, the number done and the total: the caller's, a bar, none."""
    if callable(progress):
        yield progress
        return
    if not progress:
        yield lambda row, done, total: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    failed = 0
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("starting", total=None)

        def tell(row: Row, done: int, total: int) -> None:
            nonlocal failed
            failed += row.outcome.status in ("error", "no_solution")
            note = f"  [red]{failed} without an answer[/]" if failed else ""
            text = escape(f"{row.cell.problem} · {row.cell.method}") + note
            shown.update(task, total=total, completed=done, description=text)

        yield tell
