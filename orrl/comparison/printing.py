"""The one table, as text."""

from __future__ import annotations

import io
import math
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .measures import FORMULAS

if TYPE_CHECKING:
    from .table import Comparison

__all__ = ["header", "headroom_lines", "number", "pair_lines", "percent", "renderable", "span", "to_text"]

_PRINTED = ("gap to bound", "excess", "interval", "SGM", "PAR10", "break-even")


def to_text(comparison: Comparison, width: int | None = None) -> str:
    """The table without colours, as wide as the terminal (at least 118 characters)."""
    out = io.StringIO()
    wide = width or max(118, min(160, shutil.get_terminal_size((118, 40)).columns))
    Console(file=out, width=wide, color_system=None, highlight=False).print(renderable(comparison))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def renderable(comparison: Comparison) -> RenderableType:
    """The table for a rich console."""
    summary = comparison.summary()
    parts: list[RenderableType] = [Text(line, style="bold" if i == 0 else "dim") for i, line in enumerate(header(comparison))]
    parts.append(_table(comparison, summary))
    parts += [Text(line) for line in headroom_lines(comparison)]
    parts += [Text(line) for line in pair_lines(comparison)]
    parts += [Text(f"{name}: {FORMULAS[name]}", style="dim") for name in _PRINTED if name != "break-even" or _learns(summary)]
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
    lines = [
        f"{len(comparison.methods)} methods on {len(names)} instance{'s' if len(names) > 1 else ''} "
        f"({', '.join(goals)}), {setting['seeds']} seed{'s' if setting['seeds'] > 1 else ''}{worlds}",
        f"instances: {shown}",
        f"budget: {budget}, {threads}{jobs}",
        _machine(setting.get("versions") or {}),
    ]
    sources = list(dict.fromkeys(cell.best_source for cell in cells if cell.best_source))
    if sources:
        lines.append(f"best known values: {'; '.join(sources[:3])}")
    options = {cell.method: cell.options for cell in cells if cell.options}
    told = [f"{m} ({', '.join(f'{k}={v}' for k, v in o.items())})" for m, o in options.items() if _of_interest(o)]
    if told:
        lines.append("parameters: " + "; ".join(told))
    return lines


def _of_interest(options: Mapping[str, Any]) -> bool:
    return bool(set(options) - {"policy", "scenarios", "scenario_seed"})


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
    perfect = bool((summary["role"] == "perfect information").any())
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
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
    cells = [
        escape(method),
        line["role"] if line["role"] in ("perfect information",) else line["kind"],
        f"{runs}" if runs == asked else f"{runs}/{asked}",
    ]
    if not runs:
        return [*cells, "-"]
    cells += [
        percent(line["feasible_rate"], 0) + ("" if line["feasible_rate"] == 1 else " " + span(line["feasible_low"], line["feasible_high"], 0)),
        f"{int(line['optimal'])}/{runs}" if line["proves"] else "-",
        percent(line["gap_bound"]) + _fewer(line["gap_bound_n"], runs),
    ]
    if known:
        cells.append(percent(line["excess_best"], plus=True) + _fewer(line["excess_best_n"], runs))
    if method == reference:
        cells.append("reference")
    else:
        interval = span(line["excess_reference_low"], line["excess_reference_high"])
        cells.append(f"{percent(line['excess_reference'], plus=True)} {interval}{_fewer(line['excess_reference_n'], runs)}".strip())
    cells += [number(line["seconds_sgm"]), number(line["par10"]), number(line["primal_integral"])]
    if learns:
        cells += [number(line["train_seconds"]), "never" if line["break_even"] == math.inf else number(line["break_even"])]
    return [escape(cell) if i else cell for i, cell in enumerate(cells)]


def _learns(summary: pd.DataFrame) -> bool:
    return bool((summary["kind"] == "learned").any())


def _fewer(n: float, runs: int) -> str:
    """Marks a mean over fewer runs than there are."""
    return "" if n in (runs, 0) else f" ({int(n)} of {runs})"


def headroom_lines(comparison: Comparison) -> list[str]:
    """What a method without thought leaves to be won."""
    found = comparison.headroom()
    if not found:
        return []
    told = []
    for role, (method, gap) in found.items():
        told.append(f"{role if role == method else f'{role} ({method})'} {percent(gap)}")
    small = min(gap for _, gap in found.values())
    remark = "  - little is left to be won here: a trivial benchmark" if small < 0.01 else ""
    return [f"headroom (mean gap to the best bound of what takes no thought): {', '.join(told)}{remark}"]


def pair_lines(comparison: Comparison, most: int = 12) -> list[str]:
    """Paired differences in words."""
    table = comparison.pairwise()
    lines = []
    for method, row in table.head(most).iterrows():
        p = row["p_holm"]
        test = "" if pd.isna(p) else f" (Wilcoxon over {int(row['units'])}, Holm: p {'< 0.0001' if p < 1e-4 else f'= {p:.4f}'})"
        lines.append(
            f"paired with {comparison.reference}: {method} {percent(row['difference'], plus=True)} "
            f"{span(row['low'], row['high'])} better {row['wins']}, equal {row['ties']}, worse {row['losses']} "
            f"of {row['runs']}{test}".replace("  ", " ")
        )
    return lines


def percent(value: float, digits: int = 1, *, plus: bool = False) -> str:
    """``3.4%``; ``-`` where unknown."""
    if value is None or math.isnan(value):
        return "-"
    text = f"{100 * value:{'+' if plus else ''}.{digits}f}%"
    return text.replace("-0.0%", "0.0%").replace("+0.0%", "0.0%")


def span(low: float, high: float, digits: int = 1) -> str:
    """``[1.2, 3.4]`` in per cent; empty where there is none."""
    return "" if math.isnan(low) or math.isnan(high) else f"[{100 * low:.{digits}f}, {100 * high:.{digits}f}]".replace("-0.0", "0.0")


def number(value: float) -> str:
    """Three significant digits; ``-`` where unknown."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 1e-4 else "<0.0001" if value else "0"
