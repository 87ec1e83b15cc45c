"""Figures of a comparison; each function takes an `Axes` (or makes one) and returns it.

Imports matplotlib; loaded when a figure or a report is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from .measures import UNTRIED, tensor
from .statistics import crossed_bootstrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .table import Comparison

__all__ = ["colours", "plot_anytime", "plot_gaps", "plot_profile", "plot_tradeoff"]

# One family of colours per kind, so that a reader sees at once what a method is; safe for the colour-blind.
_SHADES = {
    "exact": ("#1d4ed8", "#0891b2", "#4338ca", "#0e7490"),
    "heuristic": ("#047857", "#65a30d", "#0d9488", "#3f6212"),
    "learned": ("#be185d", "#9333ea", "#e11d48", "#a21caf"),
    "rule": ("#d97706", "#b45309", "#eab308", "#92400e", "#f59e0b", "#78350f"),
}
_GREY = ("#6b7280", "#9ca3af", "#4b5563")
_DASHES: dict[str, tuple[int, ...]] = {"exact": (), "heuristic": (6, 2), "learned": (5, 1, 1, 1), "rule": (2, 1.5)}  # type: ignore[dict-item]


def colours(comparison: Comparison) -> dict[str, str]:
    """Colour of each method: blue exact, green heuristic, pink learned, amber rule, grey reference."""
    used: dict[str, int] = {}
    out = {}
    for method, line in comparison.summary().iterrows():
        family = "reference" if line["role"] else str(line["kind"])
        shades = _SHADES.get(family, _GREY)
        out[str(method)] = shades[used.get(family, 0) % len(shades)]
        used[family] = used.get(family, 0) + 1
    return out


def plot_gaps(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Gap of every run to the best proven bound (dots) and each method's mean with its interval, best on top."""
    ax = _axes(ax, 0.38 * len(comparison.methods) + 1.2)
    data, paint = comparison.to_frame(), colours(comparison)
    data = data[~data["status"].isin(UNTRIED) & data["gap_bound"].notna()]
    order = list(data.groupby("method")["gap_bound"].mean().sort_values(ascending=False).index)
    rng = np.random.default_rng(0)
    for y, method in enumerate(order):
        own = data[data["method"] == method]
        gaps = own["gap_bound"].to_numpy(np.float64)
        ax.scatter(gaps, y + rng.uniform(-0.16, 0.16, len(gaps)), s=13, color=paint[method], alpha=0.35, linewidths=0)
        interval = crossed_bootstrap(tensor(own, "gap_bound"))
        if interval is not None:
            ax.plot(interval, (y, y), color=paint[method], linewidth=2.4, solid_capstyle="round")
        ax.plot(gaps.mean(), y, "o", color=paint[method], markersize=7, markeredgecolor="white", markeredgewidth=1)
    ax.set_yticks(range(len(order)), order)
    ax.set_ylim(-0.6, len(order) - 0.4)
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    ax.xaxis.set_major_formatter(FuncFormatter(_percent))
    ax.set_xlabel("gap to the best proven bound (dots: runs; bar: 95% interval of the mean)")
    return _clean(ax, "x")


def plot_anytime(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Mean primal gap over time, from the first solution to the limit."""
    ax = _axes(ax, 3.6)
    curves, paint, kinds = comparison.anytime(), colours(comparison), comparison.summary()["kind"]
    for method, own in curves.groupby("method", sort=False):
        line = ax.step(own["seconds"], own["gap"], where="post", color=paint[str(method)], label=method, linewidth=1.7)[
            0
        ]
        if dashes := _DASHES.get(str(kinds[str(method)])):
            line.set_dashes(dashes)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(_plain_seconds))
    ax.set_yscale("symlog", linthresh=0.01, linscale=0.6)
    ax.set_ylim(0, 1.05)
    ax.set_yticks([0, 0.01, 0.03, 0.1, 0.3, 1.0])
    ax.yaxis.set_major_formatter(FuncFormatter(_percent))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("seconds")
    ax.set_ylabel("mean gap to the best value known")
    _legend(ax)
    return _clean(ax, "both")


def plot_profile(comparison: Comparison, ax: Axes | None = None, *, metric: str = "gap", within: float = 0.01) -> Axes:
    """Share of runs within a gap (``metric="gap"``), or within a ratio to the fastest method (``"seconds"``)."""
    ax = _axes(ax, 3.6)
    table, paint = comparison.profile(metric, within=within), colours(comparison)
    kinds = comparison.summary()["kind"]
    for method in table.columns:
        line = ax.step(table.index, table[method], where="post", color=paint[method], label=method, linewidth=1.7)[0]
        if dashes := _DASHES.get(str(kinds[method])):
            line.set_dashes(dashes)
    if metric == "gap":
        ax.set_xlim(0, min(1.0, 1.1 * _widest(table)))
        ax.xaxis.set_major_formatter(FuncFormatter(_percent))
        ax.xaxis.set_major_locator(MaxNLocator(6))
        ax.set_xlabel("gap to the best proven bound")
    else:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}x"))
        ax.set_xlabel(f"time to a solution within {within:.0%} of the best value known, ratio to the fastest")
    ax.set_ylim(-0.02, 1.03)
    ax.yaxis.set_major_formatter(FuncFormatter(_percent))
    ax.set_ylabel("share of runs")
    _legend(ax)
    return _clean(ax, "both")


def plot_tradeoff(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Time against quality, one point a method: down and left is better."""
    ax = _axes(ax, 3.6)
    summary, paint = comparison.summary(), colours(comparison)
    known = summary[summary["gap_bound"].notna() & summary["seconds_sgm"].notna()]
    points = sorted(
        ((max(float(line["seconds_mean"]), 1e-4), float(line["gap_bound"]), str(m)) for m, line in known.iterrows()),
        key=lambda point: point[1],
    )
    for x, y, method in points:
        ax.plot(x, y, "o", color=paint[method], markersize=8, markeredgecolor="white", markeredgewidth=1)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.set_xlim(low / 1.5, high * 3)
    top = max((y for _, y, _ in points), default=0.1)
    ax.set_ylim(-0.05 * top, 1.12 * top if top else 0.1)
    placed: list[tuple[float, float]] = []
    for x, y, method in points:  # labels of neighbours are moved up, so that they can be read
        height = y
        while any(abs(np.log10(x / a)) < 0.6 and abs(height - b) < 0.045 * max(top, 1e-9) for a, b in placed):
            height += 0.046 * max(top, 1e-9)
        placed.append((x, height))
        ax.annotate(
            method, (x, y), (x * 1.22, height), color=paint[method], fontsize=8.5, va="center", annotation_clip=False
        )
    ax.xaxis.set_major_formatter(FuncFormatter(_plain_seconds))
    ax.yaxis.set_major_formatter(FuncFormatter(_percent))
    ax.set_xlabel("mean seconds a run")
    ax.set_ylabel("mean gap to the best proven bound")
    return _clean(ax, "both")


def _widest(table: object) -> float:
    """Gap at which every method that ever gets there has all its runs, for the axis."""
    import pandas as pd

    assert isinstance(table, pd.DataFrame)
    top = table.max()
    return max((float(table.index[(table[m] >= top[m] - 1e-12).argmax()]) for m in table.columns), default=1.0) or 0.01


def _axes(ax: Axes | None, height: float) -> Axes:
    if ax is not None:
        return ax
    _, made = plt.subplots(figsize=(6.4, height), layout="constrained")
    return made


def _legend(ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    if labels:
        # under the axes, where no curve runs
        ax.legend(
            handles,
            labels,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.17),
            fontsize=8,
            frameon=False,
            ncols=min(4, len(labels)),
            handlelength=2.6,
        )


def _clean(ax: Axes, grid: str) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#9ca3af")
    ax.tick_params(colors="#374151", labelsize=8.5)
    ax.xaxis.label.set(color="#374151", size=9)
    ax.yaxis.label.set(color="#374151", size=9)
    ax.grid(True, axis=grid, color="#e5e7eb", linewidth=0.8)  # type: ignore[arg-type]
    ax.set_axisbelow(True)
    return ax


def _percent(value: float, _: object) -> str:
    return f"{100 * value:.4g}%"


def _plain_seconds(value: float, _: object) -> str:
    return f"{value:g} s" if value >= 1 else f"{1000 * value:g} ms"
