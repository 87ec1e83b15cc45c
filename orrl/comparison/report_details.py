"""The detailed sections of the HTML report: instances, failures, formulas, environment, every run."""

from __future__ import annotations

import math
import time
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from .html import Cell, definitions, grid, section, text
from .measures import FAILED, FORMULAS, UNTRIED
from .printing import header, number, parameters, percent

if TYPE_CHECKING:
    from .table import Comparison

__all__ = ["environment", "failures", "formulas", "instances", "runs"]


def instances(comparison: Comparison) -> str:
    """Mean objective per instance and method, shaded by the gap to the best bound."""
    data = comparison.to_frame()
    methods = [m for m in comparison.methods if (data[data["method"] == m]["status"] != "unsupported").any()]
    sizes = [column for column in data.columns if column.startswith("size_")]
    top = max(float(data["gap_bound"].quantile(0.9)) if data["gap_bound"].notna().any() else 0.0, 0.02)
    headings = [("instance", "left"), ("best bound", ""), ("best known", "")]
    headings += [(method.replace("(", " ("), "") for method in methods]
    rows = []
    for _, own in data.groupby("problem_hash", sort=False):
        first = own.iloc[0]
        size = ", ".join(_size(c[5:], first[c]) for c in sizes if pd.notna(first[c]))
        bound = own["best_bound"].mean()
        named = f'{escape(str(first["problem"]))}<small class="under">{escape(size)}</small>'
        cells = [Cell(named, kind="left")]
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


def _size(name: str, value: Any) -> str:
    """``10 jobs``; words as they are."""
    return (
        str(value) if isinstance(value, str) else f"{value:g} {name}" if isinstance(value, float) else f"{value} {name}"
    )


def _value(value: float) -> str:
    return "-" if value is None or pd.isna(value) else f"{value:.6g}"


def failures(comparison: Comparison) -> str:
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


def formulas() -> str:
    return section("formulas", "Formulas", definitions(FORMULAS.items()))


def environment(comparison: Comparison) -> str:
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


def runs(comparison: Comparison) -> str:
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
