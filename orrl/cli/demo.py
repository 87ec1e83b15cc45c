"""``orrl demo``: the main job on real instances, in one table and one report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import Json, note, terminal

if TYPE_CHECKING:
    from orrl import JobShop
    from orrl.comparison import Comparison

__all__ = ["demo"]

# Fisher & Thompson 1963 and Lawrence 1984, from the OR-Library: as a plain job shop and without buffers.
SMALL = ("ft06", "la01", "la02", "la03", "la04", "la05")
LARGE = ("ft10",)
ROLLOUT = ("rollout", {"samples": 20})
# Options bound what grows with the instance; the time limit bounds the rest.
METHODS: tuple[Any, ...] = (
    "cp-sat",
    "milp",
    "iterated-greedy",
    ROLLOUT,
    "mwkr",
    "mopnr",
    "spt",
    "lpt",
    "fifo",
    "random",
)
LIMIT = 6.0


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML report.")] = Path("demo-report.html"),
    time_limit: Annotated[float, typer.Option("--time-limit", "-t", help="Seconds a run.")] = LIMIT,
    small: Annotated[bool, typer.Option("--small", help="Two instances only.")] = False,
    store: Annotated[Path | None, typer.Option(help="SQLite file; a killed demo resumes.")] = None,
    json: Json = False,
) -> None:
    """Compare methods on real job shops.

    Exact methods, search and rules on OR-Library instances, with and without buffers: one table, and a report with
    Gantt charts.
    """
    import orrl
    from orrl.comparison import compare

    from .comparing import show

    shops = _shops(("ft06", "la01") if small else (*SMALL, *LARGE))
    note("compiling (the first time only)")
    for shop in _shops(("ft06",)):  # a batch of the size to come: a small one is played in plain Python
        orrl.solve(shop, ROLLOUT, threads=1)
        orrl.solve(shop, "iterated-greedy", iterations=1, threads=1)
    note(f"{len(METHODS)} methods on {len(shops)} shops, at most {time_limit:g} s and one core a run")
    table = compare(
        shops, METHODS, time_limit=time_limit, n_jobs=-1, reference="cp-sat", store=store, progress=terminal()
    )
    path = table.report(out, title="Job shops: proved, searched and dispatched", figures=_charts(table, shops))
    show(table, json)
    note(f"report with Gantt charts: {path}")
    if not table.to_frame()["answered"].any():
        raise typer.Exit(1)


def _shops(names: tuple[str, ...]) -> list[JobShop]:
    import orrl

    kinds: tuple[dict[str, str], ...] = ({}, {"storage": "blocking"})
    loaded = [orrl.load(f"jobshop/{name}", **kind) for kind in kinds for name in names]
    return [shop for shop in loaded if isinstance(shop, orrl.JobShop)]


def _charts(table: Comparison, shops: list[JobShop]) -> list[tuple[str, Any]]:
    """The same shop with and without buffers, by the best exact plan and by the best rule."""
    from matplotlib.figure import Figure

    from orrl.problems.jobshop.plot import gantt

    best = table.headroom().get("best rule", ("mwkr", 0.0))[0]
    charts = []
    for shop, row in [(s, r) for s in shops for r in table.rows if r.cell.problem_hash == s.content_hash]:
        if shop.name not in ("ft06", "la01") or row.cell.method not in (table.reference, best):
            continue
        result = row.full_result()
        if result is None or result.solution is None:
            continue
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        gantt(shop, result.solution, ax=figure.add_subplot())
        proof = " (proved optimal)" if result.status == "optimal" else ""
        charts.append((f"{row.cell.problem} by {row.cell.method}: {result.objective:g}{proof}", figure))
    return charts
