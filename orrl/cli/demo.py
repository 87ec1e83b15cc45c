"""``orrl demo``: the main job, exact solvers beside policies, in two tables and two reports."""

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
# A cascade of orrl's own: perfect information, cuts, re-planning, and rules.
SDDP = ("sddp", {"iterations": 20, "scenarios": 20})
DISPATCH: tuple[Any, ...] = ("wait-and-see", SDDP, "rolling-deterministic", "myopic")


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML report.")] = Path("demo-report.html"),
    time_limit: Annotated[float, typer.Option("--time-limit", "-t", help="Seconds a run.")] = LIMIT,
    small: Annotated[bool, typer.Option("--small", help="Two instances only.")] = False,
    store: Annotated[Path | None, typer.Option(help="SQLite file; a killed demo resumes.")] = None,
    json: Json = False,
) -> None:
    """Compare methods on real job shops and on a cascade of reservoirs.

    Exact methods, search and rules on OR-Library instances, with and without buffers, and a year of hydrothermal
    dispatch under uncertain inflow: a table for each, a report with Gantt charts, and one with the volumes.
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
    year = _year(4 if small else 10, store and store.with_name(f"{store.stem}-dispatch{store.suffix}"))
    path = year.report(
        out.with_name(f"{out.stem}-dispatch{out.suffix}"), title="Hydrothermal dispatch: foreseen, planned and myopic",
        figures=_volumes(),
    )  # fmt: skip
    show(year, json)
    note(f"report with the volumes: {path}")
    if not (table.to_frame()["answered"].any() and year.to_frame()["answered"].any()):
        raise typer.Exit(1)


def _shops(names: tuple[str, ...]) -> list[JobShop]:
    import orrl

    kinds: tuple[dict[str, str], ...] = ({}, {"storage": "blocking"})
    loaded = [orrl.load(f"jobshop/{name}", **kind) for kind in kinds for name in names]
    return [shop for shop in loaded if isinstance(shop, orrl.JobShop)]


def _year(scenarios: int, store: Path | None) -> Comparison:
    """A year of weeks on the same inflow paths for all methods."""
    import orrl
    from orrl.comparison import compare

    note(f"{len(DISPATCH)} methods on {scenarios} inflow paths of hydrothermal/valley")
    return compare(
        orrl.load("hydrothermal/valley"), DISPATCH, scenarios=scenarios, n_jobs=-1, reference=None, store=store,
        progress=terminal(),
    )  # fmt: skip


def _volumes() -> list[tuple[str, Any]]:
    """Stored water and generation of the myopic rule and of one that keeps half, on twenty paths."""
    from matplotlib.figure import Figure

    import orrl
    from orrl.core import rollout
    from orrl.problems.hydrothermal.plot import generation_stack, volume_fan

    valley: Any = orrl.load("hydrothermal/valley")
    paths = [valley.scenario(seed) for seed in range(20)]
    plan = orrl.solve(valley, "sddp", iterations=20, scenarios=0, threads=1).policy
    charts = []
    for name, policy in (("sddp", plan), ("myopic", valley.rules()["myopic"])):
        done = [valley.solution(episode) for episode in rollout(valley, policy, paths)]
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        volume_fan(valley, done, ax=left)
        generation_stack(valley, done, ax=right)
        charts.append((f"{valley.name} by {name}, 20 paths", figure))
    return charts


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
