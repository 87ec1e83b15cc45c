"""`Comparison.report`: one self-contained HTML file.

Imports matplotlib; loaded when a report is asked for.
"""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from . import report_details as details
from .html import SCRIPT, STYLE, Cell, bar, figure, grid, section, text
from .measures import FAILED, UNTRIED
from .plots import colours, plot_anytime, plot_gaps, plot_profile, plot_tradeoff
from .printing import headroom_lines, number, p_value, percent, span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from .table import Comparison

__all__ = ["write_report"]


def write_report(
    comparison: Comparison, path: str | Path, *, title: str | None = None, figures: Sequence[tuple[str, Any]] = ()
) -> Path:
    """Write the file; see `Comparison.report`. The text is complete before the file is opened."""
    parts = [
        ("summary", "Summary", _summary(comparison)),
        ("warnings", "Cautions", _warnings(comparison)),
        ("figures", "Figures", _figures(comparison)),
        ("pairs", "Paired", _pairs(comparison)),
        ("instances", "Instances", details.instances(comparison)),
        ("plans", "Plans", _plans(figures)),
        ("failures", "Failures", details.failures(comparison)),
        ("formulas", "Formulas", details.formulas()),
        ("environment", "Environment", details.environment(comparison)),
        ("runs", "All runs", details.runs(comparison)),
    ]
    shown = [(name, label, body) for name, label, body in parts if body]
    name = title or "Comparison of methods"
    links = "".join(f'<a href="#{anchor}">{escape(label)}</a>' for anchor, label, _ in shown)
    version = str((comparison.setting.get("versions") or {}).get("orrl", ""))
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(name)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<header><div><h1>{escape(name)}</h1><p>{_subtitle(comparison)}</p></div></header><main>{_facts(comparison)}"
        f"<nav>{links}</nav>"
        f"{''.join(body for _, _, body in shown)}"
        f"<footer>orrl {escape(version)}</footer></main>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _subtitle(comparison: Comparison) -> str:
    cells = [row.cell for row in comparison.rows]
    names = list(dict.fromkeys(cell.problem for cell in cells))
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    goals = ", ".join(dict.fromkeys(f"{cell.sense}imise {cell.objective}" for cell in cells))
    return f"{escape(goals)} on {escape(shown)}. Every value is the referee's; every run that was asked for is here."


def _facts(comparison: Comparison) -> str:
    setting, data = comparison.setting, comparison.to_frame()
    limit = setting["time_limit"]
    tried = data[~data["status"].isin(UNTRIED)]
    facts = [
        (f"{data['problem_hash'].nunique()}", "instances"),
        (f"{len(comparison.methods)}", "methods"),
        (
            f"{setting['seeds']}" + (f" &times; {setting['scenarios']}" if setting.get("scenarios") else ""),
            "seeds &times; scenarios" if setting.get("scenarios") else "seeds" if setting["seeds"] > 1 else "seed",
        ),
        (f"{len(tried)}", f"runs, {int(tried['status'].isin(FAILED).sum())} without an answer"),
        ("none" if limit is None else f"{limit:g} s", "time limit a run"),
        (f"{setting['threads']}", "threads a run" if setting["threads"] > 1 else "thread a run"),
    ]
    return '<div class="facts">' + "".join(f"<div><b>{a}</b><span>{b}</span></div>" for a, b in facts) + "</div>"


def _tag(line: pd.Series[Any]) -> str:
    kind = str(line["role"] or line["kind"] or "other")
    known = kind if kind in ("exact", "heuristic", "rule", "learned") else "other"
    return f'<span class="tag {known}">{escape(kind)}</span>'


def _named(method: str, paint: dict[str, str]) -> Cell:
    return Cell(
        f'<span class="dot" style="background:{paint.get(method, "#999")}"></span>{escape(method)}', kind="left"
    )


def _summary(comparison: Comparison) -> str:
    summary, paint = comparison.summary(), colours(comparison)
    known, learns = bool(summary["excess_best_n"].sum()), bool((summary["kind"] == "learned").any())
    widest = max(summary["gap_bound_high"].max(), summary["gap_bound"].max(), 1e-9)
    headings = [("method", "left"), ("kind", "left"), ("runs", ""), ("feasible", ""), ("proved\noptimal", "")]
    headings += [("gap to the best proven bound", "left")]
    headings += [("over best\nknown", "")] if known else []
    headings += [(f"over {comparison.reference}\n95% interval", ""), ("seconds\nSGM", ""), ("PAR10\nseconds", "")]
    headings += [("primal\nintegral", "")]
    headings += [("training\nseconds", ""), ("break-even\ninstances", "")] if learns else []

    def cells(method: str, line: pd.Series[Any]) -> list[Cell]:
        runs = int(line["runs"])
        asked = runs + int(line["unsupported"]) + int(line["missing"])
        count = f"{runs}" if runs == asked else f"{runs}<small>of {asked}</small>"
        rate = percent(line["feasible_rate"], 0) if runs else "-"
        if line["feasible_rate"] < 1:
            rate += f'<small class="under">{span(line["feasible_low"], line["feasible_high"], 0)}</small>'
        gap = line["gap_bound"]
        low_high = (line["gap_bound_low"] / widest, line["gap_bound_high"] / widest)
        shown = "-" if math.isnan(gap) else (
            f'<span style="display:inline-block;width:52px;text-align:right">{percent(gap)}</span>'
            + bar(gap / widest, paint[method], None if math.isnan(low_high[0]) else low_high)
        )  # fmt: skip
        out = [_named(method, paint), Cell(_tag(line), kind="left"), Cell(count), Cell(rate)]
        out += [
            Cell(f"{int(line['optimal'])}<small>of {runs}</small>" if line["proves"] else "-"),
            Cell(shown, kind="left"),
        ]
        if known:
            out.append(Cell(percent(line["excess_best"], plus=True) + _fewer(line["excess_best_n"], runs)))
        if method == comparison.reference:
            out.append(Cell('<span class="faint">reference</span>'))
        else:
            interval = span(line["excess_reference_low"], line["excess_reference_high"])
            fewer = _fewer(line["excess_reference_n"], runs)
            under = f'<small class="under">{interval}</small>' if interval else ""
            out.append(Cell(f"{percent(line['excess_reference'], plus=True)}{fewer}{under}"))
        out += [Cell(number(line["seconds_sgm"])), Cell(number(line["par10"])), Cell(number(line["primal_integral"]))]
        if learns:
            even = line["break_even"]
            out += [Cell(number(line["train_seconds"])), Cell("never" if even == math.inf else number(even))]
        return out

    main, apart = summary[summary["role"] == ""], summary[summary["role"] != ""]
    rows = [("", cells(str(m), line)) for m, line in main.iterrows()]
    if len(apart):
        rows.append(("divider", [Cell("for reference")]))
        rows += [("apart", cells(str(m), line)) for m, line in apart.iterrows()]
    told = "".join(f"<p>{escape(line)}</p>" for line in headroom_lines(comparison))
    lead = (
        "One line a method. The gap is certified: to a bound that was proven in this very comparison. The best known "
        "value and the reference method are other things and have their own columns."
    )
    return section("summary", "Summary", grid(headings, rows) + told, lead=lead)


def _fewer(n: float, runs: int) -> str:
    return "" if n in (runs, 0) else f"<small>{int(n)}/{runs}</small>"


def _warnings(comparison: Comparison) -> str:
    if not comparison.warnings:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in comparison.warnings)
    return section("warnings", "Before believing the table", f"<ul>{items}</ul>", kind="warnings")


def _figures(comparison: Comparison) -> str:
    summary = comparison.summary()
    bounded = bool(summary["gap_bound"].notna().any())
    drawings: list[tuple[str, Callable[..., Any], float, bool]] = []
    if bounded:
        rows = int(summary["gap_bound"].notna().sum())
        drawings.append(
            ("<b>Distance from the proof.</b> Every run, and each method's mean.", plot_gaps, 0.34 * rows + 0.9, True)
        )
    drawings.append(("<b>Over time.</b> Mean primal gap; 100% before a first solution.", plot_anytime, 4.1, False))
    if bounded:
        drawings.append(("<b>Time against quality.</b> Down and left is better.", plot_tradeoff, 4.1, False))
        drawings.append(
            ("<b>How often how close.</b> Share of runs within a gap of the bound.", plot_profile, 4.1, False)
        )
    drawings.append(
        ("<b>Performance profile</b> (Dolan, Moré). It depends on who takes part.", _seconds_profile, 4.1, False)
    )
    parts = []
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        for i, (caption, draw, height, wide) in enumerate(drawings):
            made = Figure(figsize=(11.2 if wide else 5.6, height), layout="constrained")
            FigureCanvasAgg(made)
            draw(comparison, made.add_subplot())
            parts.append(figure(made, caption, salt=f"f{i}", wide=wide))
    return section("figures", "Figures", f'<div class="figures">{"".join(parts)}</div>')


def _seconds_profile(comparison: Comparison, ax: Any) -> Any:
    return plot_profile(comparison, ax, metric="seconds")


def _pairs(comparison: Comparison) -> str:
    table, paint = comparison.pairwise(), colours(comparison)
    if not len(table):
        return ""
    headings = [
        ("method", "left"),
        ("difference", ""),
        ("95% interval", ""),
        ("better", ""),
        ("equal", ""),
        ("worse", ""),
    ]
    headings += [("Wilcoxon p\n(Holm)", ""), ("probability of\nimprovement", "")]
    rows = [
        (
            "",
            [
                _named(str(method), paint),
                Cell(percent(row["difference"], 2, plus=True)),
                Cell(span(row["low"], row["high"], 2) or "-"),
                text(row["wins"]),
                text(row["ties"]),
                text(row["losses"]),
                text(p_value(row["p_holm"]).removeprefix("p ").removeprefix("= ") or "-"),
                Cell(percent(row["probability_of_improvement"], 0)),
            ],
        )
        for method, row in table.iterrows()
    ]
    lead = (
        f"Each run against the run of <b>{escape(comparison.reference)}</b> on the same instance, scenario and seed. "
        f"The tests stand on {table['units'].max()} values, never on one per seed."
    )
    return section("pairs", "Paired differences", grid(headings, rows), lead=lead)


def _plans(figures: Sequence[tuple[str, Any]]) -> str:
    if not figures:
        return ""
    drawn = [
        figure(drawing, f"<b>{escape(caption)}</b>", salt=f"p{i}", wide=True)
        for i, (caption, drawing) in enumerate(figures)
    ]
    return section("plans", "Plans", f'<div class="figures">{"".join(drawn)}</div>')
