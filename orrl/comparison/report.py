"""`Comparison.report`: one self-contained HTML file.

Imports matplotlib; loaded when a report is asked for.
"""

from __future__ import annotations

import math
import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .html import SCRIPT, STYLE, Cell, bar, definitions, figure, grid, section, text
from .measures import FAILED, FORMULAS, UNTRIED
from .plots import colours, plot_anytime, plot_gaps, plot_profile, plot_tradeoff
from .printing import header, headroom_lines, number, p_value, parameters, percent, span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
        ("instances", "Instances", _instances(comparison)),
        ("plans", "Plans", _plans(figures)),
        ("failures", "Failures", _failures(comparison)),
        ("formulas", "Formulas", _formulas()),
        ("environment", "Environment", _environment(comparison)),
        ("runs", "All runs", _runs(comparison)),
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
        f"Tests take one value per instance and scenario ({table['units'].max()} of them), never one per seed."
    )
    return section("pairs", "Paired differences", grid(headings, rows), lead=lead)


def _instances(comparison: Comparison) -> str:
    """Mean objective per instance and method, shaded by the gap to the best bound."""
    data = comparison.to_frame()
    methods = [m for m in comparison.methods if (data[data["method"] == m]["status"] != "unsupported").any()]
    sizes = [column for column in data.columns if column.startswith("size_")]
    top = max(float(data["gap_bound"].quantile(0.9)) if data["gap_bound"].notna().any() else 0.0, 0.02)
    headings = [("instance", "left"), ("size", "left"), ("best bound", ""), ("best known", "")]
    headings += [(method, "") for method in methods]
    rows = []
    for _, own in data.groupby("problem_hash", sort=False):
        first = own.iloc[0]
        size = ", ".join(f"{c[5:]} {_short(first[c])}" for c in sizes if pd.notna(first[c]))
        bound = own["best_bound"].mean()
        cells = [text(first["problem"], "left"), Cell(f'<span class="faint">{escape(size)}</span>', kind="left")]
        cells += [Cell(_value(bound)), Cell(_value(first["best_known"]))]
        for method in methods:
            runs = own[own["method"] == method]
            tried = runs[~runs["status"].isin(UNTRIED)]
            answered = tried[tried["answered"]]
            if not len(tried):
                cells.append(Cell('<span class="faint">not run</span>'))
            elif not len(answered):
                cells.append(Cell(f'<span class="bad">{escape(str(tried["status"].iloc[0]).replace("_", " "))}</span>'))
            else:
                gap = tried["gap_bound"].mean()
                mark = "<small>*</small>" if (answered["status"] == "optimal").all() else ""
                few = f"<small>{len(answered)} of {len(tried)}</small>" if len(answered) < len(tried) else ""
                cells.append(Cell(_value(answered["objective"].mean()) + mark + few, value=gap, style=_shade(gap, top)))
        rows.append(("", cells))
    lead = "Mean objective of the runs, shaded by the gap to the best proven bound; * proved optimal in every run."
    return section("instances", "Instance by instance", grid(headings, rows, kind="heat"), lead=lead)


def _shade(gap: float, top: float) -> str:
    if math.isnan(gap):
        return ""
    share = min(gap / top, 1.0)
    return (
        f"background:rgba({'4,120,87' if gap < 1e-9 else '217,119,6'},{0.16 if gap < 1e-9 else 0.06 + 0.5 * share:.2f})"
    )


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(value: float) -> str:
    return "-" if value is None or pd.isna(value) else f"{value:.6g}"


def _plans(figures: Sequence[tuple[str, Any]]) -> str:
    if not figures:
        return ""
    drawn = [
        figure(drawing, f"<b>{escape(caption)}</b>", salt=f"p{i}", wide=True)
        for i, (caption, drawing) in enumerate(figures)
    ]
    return section("plans", "Plans", f'<div class="figures">{"".join(drawn)}</div>')


def _failures(comparison: Comparison) -> str:
    bad = [row for row in comparison.rows if row.outcome.status in FAILED + UNTRIED]
    if not bad:
        return section("failures", "Failures", "<p>None: every run gave an answer that the referee accepts.</p>")
    headings = [(h, "left") for h in ("instance", "method", "seed", "scenario", "status", "what happened")]
    rows = []
    for row in bad:
        cell, outcome = row.cell, row.outcome
        said = escape(outcome.message)
        if outcome.detail:
            said += f"<details><summary>traceback</summary><pre>{escape(outcome.detail)}</pre></details>"
        scenario = "" if cell.scenario is None else cell.scenario
        plain = [
            text(v, "left") for v in (cell.problem, cell.method, cell.seed, scenario, outcome.status.replace("_", " "))
        ]
        rows.append(("", [*plain, Cell(said, kind="left wrap")]))
    lead = f"{len(bad)} of {len(comparison.rows)} cells have no answer. None was dropped."
    body = grid(headings, rows, sort=True)
    return section("failures", "Failures", body if len(bad) <= 40 else _folded(f"show all {len(bad)}", body), lead=lead)


def _folded(label: str, body: str) -> str:
    return f"<details><summary>{escape(label)}</summary>{body}</details>"


def _formulas() -> str:
    return section("formulas", "Formulas", definitions(FORMULAS.items()))


def _environment(comparison: Comparison) -> str:
    setting = comparison.setting
    versions = setting.get("versions") or {}
    pairs = [("asked", line) for line in header(comparison)[:1]]
    pairs += [("budget", header(comparison)[2].removeprefix("budget: "))]
    if setting.get("created"):
        pairs.append(("date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(setting["created"]))))
    machines = sorted({row.outcome.machine for row in comparison.rows if row.outcome.machine})
    pairs.append(("processor", "; ".join(machines) or str(versions.get("cpu", "unknown"))))
    load = versions.get("load")
    pairs.append(("cores", f"{versions.get('cores', '?')}" + ("" if load is None else f", load {load:g} at the start")))
    pairs.append(("system", f"{versions.get('platform', '?')}, python {versions.get('python', '?')}"))
    found = {"orrl": versions.get("orrl"), **(versions.get("packages") or {})}
    pairs.append(("packages", ", ".join(f"{k} {v}" for k, v in found.items() if v)))
    sources = list(dict.fromkeys(row.cell.best_source for row in comparison.rows if row.cell.best_source))
    pairs += [("best known values", source) for source in sources]
    pairs += [(f"{m}", ", ".join(f"{k} = {v}" for k, v in o.items())) for m, o in parameters(comparison).items()]
    hashes = dict.fromkeys((row.cell.problem, row.cell.problem_hash) for row in comparison.rows)
    headings = [("instance", "left"), ("content hash", "left")]
    table = grid(headings, (("", [text(n, "left"), Cell(f"<code>{h}</code>", kind="left")]) for n, h in hashes))
    return section("environment", "Environment", definitions(pairs) + _folded("content hashes of the instances", table))


def _runs(comparison: Comparison) -> str:
    headings = [
        ("instance", "left"),
        ("method", "left"),
        ("seed", ""),
        ("scenario", ""),
        ("status", "left"),
        ("stop", "left"),
    ]
    headings += [(h, "") for h in ("objective", "bound", "gap", "seconds", "cpu", "primal\nintegral")]
    rows = []
    for line in comparison.to_frame().to_dict("records"):
        good = "good" if line["status"] == "optimal" else "" if line["answered"] else "bad"
        cells = [text(line["problem"], "left"), text(line["method"], "left"), text(line["seed"])]
        cells += [text("" if pd.isna(line["scenario"]) else line["scenario"])]
        cells += [text(str(line["status"]).replace("_", " "), f"left {good}"), text(line["stop"], "left")]
        cells += [Cell(_value(line["objective"])), Cell(_value(line["bound"])), Cell(percent(line["gap"], 2))]
        cells += [Cell(number(line[c])) for c in ("total_seconds", "cpu_seconds", "primal_integral")]
        rows.append(("", cells))
    return section("runs", "All runs", _folded(f"show {len(rows)} runs", grid(headings, rows, sort=True)))
