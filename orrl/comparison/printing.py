"""The one table, as text."""

from __future__ import annotations

import io
import math
import textwrap
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .measures import FORMULAS
from .summary import ENOUGH, headroom

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .table import Comparison

__all__ = [
    "header",
    "headroom_lines",
    "natural_width",
    "number",
    "p_value",
    "parameters",
    "percent",
    "renderable",
    "span",
    "to_text",
]

_PRINTED = ("gap to bound", "excess", "interval", "SGM", "PAR10", "break-even")


def to_text(comparison: Comparison, width: int = 118) -> str:
    """The table without colours, at least `width` characters wide and never cut off."""
    out = io.StringIO()
    console = Console(file=out, width=max(width, natural_width(comparison)), color_system=None, highlight=False)
    console.print(renderable(comparison))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def natural_width(comparison: Comparison) -> int:
    """Characters that the table needs."""
    wide = Console(file=io.StringIO(), width=1000, color_system=None)
    return wide.measure(_table(comparison, comparison.summary())).maximum


def renderable(comparison: Comparison) -> RenderableType:
    """The table for a rich console."""
    summary = comparison.summary()
    parts: list[RenderableType] = [
        Text(line, style="bold" if i == 0 else "dim") for i, line in enumerate(header(comparison))
    ]
    parts.append(_table(comparison, summary))
    parts += [Text(line) for line in headroom_lines(comparison)]
    parts += _pairs(comparison)
    told = [f"{m} ({', '.join(f'{k}={v}' for k, v in o.items())})" for m, o in parameters(comparison).items()]
    parts += [Text("parameters: " + "; ".join(told), style="dim")] if told else []
    parts += [Text(line, style="dim") for line in _sources(comparison)]
    parts += [
        Text(f"{name}: {FORMULAS[name]}", style="dim") for name in _PRINTED if name != "break-even" or _learns(summary)
    ]
    parts += [Text(f"warning: {line}", style="yellow") for line in comparison.warnings]
    return Group(*parts)


def header(comparison: Comparison) -> list[str]:
    """What was compared, under which budget, on what machine."""
    setting = comparison.setting
    cells = [row.cell for row in comparison.rows]
    names = list(dict.fromkeys(cell.problem for cell in cells))
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    goals = list(dict.fromkeys(f"{cell.sense} {cell.objective}" for cell in cells))
    limit = setting["time_limit"]
    budget = "no time limit" if limit is None else f"{limit:g} s a run"
    worlds = f", {setting['scenarios']} scenarios shared by all methods" if setting.get("scenarios") else ""
    threads = f"{setting['threads']} thread{'s' if setting['threads'] > 1 else ''} a run"
    jobs = "" if setting["n_jobs"] == 1 else f", {setting['n_jobs']} runs at a time"
    return [
        f"{len(comparison.methods)} methods on {len(names)} instance{'s' if len(names) > 1 else ''} "
        f"({', '.join(goals)}), {setting['seeds']} seed{'s' if setting['seeds'] > 1 else ''}{worlds}",
        f"instances: {shown}",
        f"budget: {budget}, {threads}{jobs}",
        _machine(setting.get("versions") or {}),
    ]


def _sources(comparison: Comparison) -> list[str]:
    """Where the best known values come from, one line at most; the report has it in full."""
    found = list(dict.fromkeys(row.cell.best_source for row in comparison.rows if row.cell.best_source))
    return ["best known values: " + textwrap.shorten("; ".join(found), 95, placeholder=" ...")] if found else []


def parameters(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Options of each method that has any; what is empty is left out."""
    found: dict[str, dict[str, Any]] = {}
    for row in comparison.rows:
        # a policy has the arguments of a simulation on its own, which `compare` replaces
        played = {"policy", "scenarios", "scenario_seed"} if "policy" in row.cell.options else set()
        told = {k: v for k, v in row.cell.options.items() if k not in played and v not in (None, "", [], {})}
        if told:
            found.setdefault(row.cell.method, told)
    return found


def _machine(versions: Mapping[str, Any]) -> str:
    packages = versions.get("packages") or {}
    used = [f"{name} {packages[name]}" for name in ("ortools", "highspy", "numba", "torch") if packages.get(name)]
    load = versions.get("load")
    return (
        f"machine: {versions.get('cpu', 'unknown')}, {versions.get('cores', '?')} cores"
        f"{'' if load is None else f' (load {load:g})'}; orrl {versions.get('orrl', '?')}, python "
        f"{versions.get('python', '?')}, {', '.join(used)}"
    )


def _table(comparison: Comparison, summary: pd.DataFrame) -> Table:
    learns = _learns(summary)
    known = bool(summary["excess_best_n"].sum())
    fewer = any(
        _fewer(n, r)
        for c in ("excess_best_n", "excess_reference_n")
        for n, r in zip(summary[c], summary["runs"], strict=True)
    )
    perfect = bool((summary["role"] == "perfect information").any())
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    if fewer:
        table.caption = "* mean over the runs with an answer only"
        table.caption_justify = "left"
    table.add_column("method", no_wrap=True)
    table.add_column("kind", style="dim")
    numeric = ["runs", "feasible", "optimal", "gap to bound\n" + ("(perfect info)" if perfect else "(proven)")]
    numeric += ["over best\nknown"] if known else []
    numeric += [f"over {comparison.reference}\n\\[95%]", "seconds\n(SGM)", "PAR10\nseconds", "primal\nintegral"]
    numeric += ["training\nseconds", "break-even\ninstances"] if learns else []
    for name in numeric:
        table.add_column(name, justify="right", no_wrap=True)
    main, apart = summary[summary["role"] == ""], summary[summary["role"] != ""]
    for part in (main, apart):
        if part is apart and len(apart):
            table.add_section()
            table.add_row(Text("for reference", style="italic dim"))
        for method, line in part.iterrows():
            table.add_row(*_cells(str(method), line, comparison.reference, known, learns))
    return table


def _cells(method: str, line: pd.Series[Any], reference: str, known: bool, learns: bool) -> list[str]:
    runs = int(line["runs"])
    asked = runs + int(line["unsupported"]) + int(line["missing"])
    kind = "perfect info" if line["role"] == "perfect information" else line["kind"]
    cells = [method, kind, f"{runs}" if runs == asked else f"{runs} of {asked}"]
    if not runs:
        return [escape(cell) for cell in cells]
    cells += [
        f"{round(line['feasible_rate'] * runs)}/{runs}",
        f"{int(line['optimal'])}/{runs}" if line["proves"] else "-",
        percent(line["gap_bound"]) + _fewer(line["gap_bound_n"], runs),
    ]
    if known:
        cells.append(percent(line["excess_best"], plus=True) + _fewer(line["excess_best_n"], runs))
    if method == reference:
        cells.append("reference")
    else:
        interval = span(line["excess_reference_low"], line["excess_reference_high"])
        fewer = _fewer(line["excess_reference_n"], runs)
        cells.append(f"{percent(line['excess_reference'], plus=True)} {interval}{fewer}".strip())
    cells += [number(line["seconds_sgm"]), number(line["par10"]), number(line["primal_integral"])]
    if learns:
        cells += [
            number(line["train_seconds"]),
            "never" if line["break_even"] == math.inf else number(line["break_even"]),
        ]
    return [escape(cell) for cell in cells]


def _learns(summary: pd.DataFrame) -> bool:
    return bool((summary["kind"] == "learned").any())


def _fewer(n: float, runs: int) -> str:
    """Marks a mean over fewer runs than there are."""
    return "" if n in (runs, 0) else "*"


def headroom_lines(comparison: Comparison) -> list[str]:
    """What a method without thought leaves to be won."""
    measure, found = headroom(comparison.summary())
    if not found:
        return []
    told = []
    for role, (method, gap) in found.items():
        told.append(f"{role if role == method else f'{role} ({method})'} {percent(gap)}")
    small = min(gap for _, gap in found.values())
    remark = "  - little is left to be won here: a trivial benchmark" if small < 0.01 else ""
    return [f"headroom (mean {measure} of what takes no thought): {', '.join(told)}{remark}"]


def _pairs(comparison: Comparison) -> list[RenderableType]:
    """Paired differences, one line a method."""
    table = comparison.pairwise()
    if not len(table):
        return []
    grid = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "left", "right", "right", "right", "left"):
        grid.add_column(justify=justify, no_wrap=True)
    for method, row in table.iterrows():
        difference = percent(row["difference"], plus=True)
        counts = [f"better {row['wins']}", f"equal {row['ties']}", f"worse {row['losses']}"]
        grid.add_row(
            f"  {escape(str(method))}", difference, span(row["low"], row["high"]), *counts, p_value(row["p_holm"])
        )
    runs, units = table["runs"].max(), table["units"].max()
    few = comparison.to_frame()["problem_hash"].nunique() < ENOUGH
    what = "instances and scenarios" if few and comparison.setting.get("scenarios") else "instances"
    told = f"paired with {comparison.reference} on {runs} runs; Wilcoxon over {units} {what}, p corrected by Holm:"
    return [Text(told), grid]


def p_value(p: float) -> str:
    """``p = 0.03``; empty where there was no test."""
    return "" if pd.isna(p) else "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def percent(value: float, digits: int = 1, *, plus: bool = False) -> str:
    """``3.4%``; ``-`` where unknown."""
    if value is None or math.isnan(value):
        return "-"
    text = f"{100 * value:{'+' if plus else ''}.{digits}f}%"
    return text.replace("-0.0%", "0.0%").replace("+0.0%", "0.0%")


def span(low: float, high: float, digits: int = 1) -> str:
    """``[1.2, 3.4]`` in per cent; empty where there is none."""
    return (
        ""
        if math.isnan(low) or math.isnan(high)
        else f"[{100 * low:.{digits}f}, {100 * high:.{digits}f}]".replace("-0.0", "0.0")
    )


def number(value: float) -> str:
    """Three significant digits; ``-`` where unknown."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf"
    return (
        f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 1e-3 else "<0.001" if value else "0"
    )
