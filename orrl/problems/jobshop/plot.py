"""Pictures of a shop: Gantt chart, disjunctive graph, use of the machines.

Every function draws on ``ax`` or on a new figure of its own (never on pyplot's), and returns the Axes:
``gantt(shop, schedule).figure.savefig("plan.png")``. Matplotlib is imported when something is drawn.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.plot_style import DOWN, INK, new_axes, readable_on, tidy
from ...core.plot_style import unlike_colours as job_colours
from .calendar import down_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes

    from .data import JobShop
    from .interruptions import Outages
    from .schedule import Schedule

__all__ = ["disjunctive_graph_plot", "gantt", "job_colours", "machine_use", "utilisation"]

USES = ("processing", "blocked", "down", "idle")


def gantt(problem: JobShop, schedule: Schedule, *, scenario: Outages | None = None, ax: Axes | None = None) -> Axes:
    """Gantt chart: one row a machine, one colour a job.

    Solid is processing, hatched and pale is a job that blocks its machine, grey is a machine that is down (planned
    maintenance, a breakdown, or the extra time of an operation). The dashed line is the makespan.

    Parameters
    ----------
    problem : JobShop
        The shop.
    schedule : Schedule
        What to draw.
    scenario : Outages, optional
        The outages it was realised under.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    """
    world = problem.nominal() if scenario is None else scenario
    size = (min(18.0, 7.5 + 0.35 * problem.machines.shape[1]), 1.6 + 0.42 * problem.n_machines)
    ax = new_axes(size) if ax is None else ax
    colours = job_colours(problem.n_jobs)
    end = max(1, schedule.makespan)
    windows = down_windows(problem, world)
    for m, own in enumerate(windows):
        for begin, stop in own:
            if begin < end:
                _bar(ax, m, begin, min(stop, end), height=0.94, **DOWN)
    for j, k in zip(*np.nonzero(problem.machines >= 0), strict=True):
        m, start = int(problem.machines[j, k]), int(schedule.start[j, k])
        finish, leave, extra = int(schedule.finish[j, k]), int(schedule.leave[j, k]), int(world.extra[j, k])
        colour = colours[j]
        pieces = _pieces(start, finish - extra, windows[m])
        for begin, stop in pieces:
            _bar(ax, m, begin, stop, facecolor=colour, edgecolor="white", linewidth=0.6)
        if pieces:
            _label(ax, m, *max(pieces, key=lambda piece: piece[1] - piece[0]), str(problem.job_names[j]), colour, end)
        if extra:
            _bar(ax, m, finish - extra, finish, **DOWN)
            _bar(ax, m, finish - extra, finish, facecolor="none", edgecolor=colour, linewidth=1.2)
        if leave > finish:
            pale = tuple(1 - 0.28 * (1 - c) for c in colour)
            _bar(ax, m, finish, leave, facecolor=pale, edgecolor=colour, hatch="////", linewidth=0)
    ax.axvline(schedule.makespan, color=INK, linestyle=(0, (4, 3)), linewidth=1.1, zorder=4)
    ax.set_xlim(0, end * 1.02)
    ax.set_ylim(problem.n_machines - 0.4, -0.6)
    ax.set_yticks(range(problem.n_machines), list(problem.machine_names))
    ax.set_xlabel("time")
    ax.set_title(f"{problem.name} ({problem.variant})", loc="left", fontsize=11, color=INK)
    ax.set_title(f"makespan {schedule.makespan}", loc="right", fontsize=10, color=INK)
    tidy(ax)
    _gantt_legend(ax, problem, colours, schedule, world)
    return ax


def _gantt_legend(ax: Axes, problem: JobShop, colours: Sequence[Any], schedule: Schedule, world: Outages) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=c, label=str(name)) for c, name in zip(colours, problem.job_names, strict=True)]
    if bool((schedule.leave > schedule.finish).any()):
        handles.append(Patch(facecolor="#e8e8ec", edgecolor="#6f7480", hatch="////", linewidth=0, label="blocked"))
    if len(problem.maintenance) or len(world.windows) or bool(world.extra.any()):
        handles.append(Patch(**DOWN, label="down"))
    rows = max(6, int(2.6 * problem.n_machines))
    columns = -(-len(handles) // rows)
    ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.02),
        ncols=columns,
        fontsize=8,
        frameon=False,
        handlelength=1.2,
        handleheight=0.9,
        labelspacing=0.35,
        columnspacing=1.0,
    )


def utilisation(
    problem: JobShop, schedule: Schedule, *, scenario: Outages | None = None, ax: Axes | None = None
) -> Axes:
    """What each machine does until the makespan, in percent: processing, blocked, down, idle.

    Parameters
    ----------
    problem, schedule, scenario, ax
        As in `gantt`.
    """
    ax = new_axes((7.5, 1.5 + 0.36 * problem.n_machines)) if ax is None else ax
    share = 100 * machine_use(problem, schedule, scenario) / max(1, schedule.makespan)
    left = np.zeros(problem.n_machines)
    styles: tuple[dict[str, Any], ...] = (
        {"facecolor": "#4E79A7"},
        {"facecolor": "#f7d9b8", "edgecolor": "#F28E2B", "hatch": "////"},
        DOWN,
        {"facecolor": "#f6f7f8"},
    )
    rows = np.arange(problem.n_machines)
    for use, style in enumerate(styles):
        if share[:, use].any():
            ax.barh(rows, share[:, use], left=left, height=0.72, label=USES[use], **{"linewidth": 0, **style})
        left += share[:, use]
    for m in range(problem.n_machines):
        inside = share[m, 0] > 12
        place = (share[m, 0] - 1, "right", "white") if inside else (share[m, 0] + 1, "left", INK)
        ax.text(place[0], m, f"{share[m, 0]:.0f}%", ha=place[1], va="center", fontsize=8, color=place[2])
    ax.set_xlim(0, 100)
    ax.set_ylim(problem.n_machines - 0.5, -0.5)
    ax.set_yticks(rows, list(problem.machine_names))
    ax.set_xlabel("percent of the makespan")
    ax.set_title(f"{problem.name} ({problem.variant})", loc="left", fontsize=11, color=INK)
    if ax.patches:
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), fontsize=8, frameon=False)
    tidy(ax)
    return ax


def machine_use(problem: JobShop, schedule: Schedule, scenario: Outages | None = None) -> npt.NDArray[np.int64]:
    """Time of each machine until the makespan spent processing, blocked, down and idle: (M, 4), rows add up to it.

    A machine that is blocked and down at once counts as blocked.
    """
    world = problem.nominal() if scenario is None else scenario
    end = schedule.makespan
    windows = down_windows(problem, world)
    use = np.zeros((problem.n_machines, 4), np.int64)
    for m, own in enumerate(windows):
        use[m, 2] = sum(max(0, min(stop, end) - begin) for begin, stop in own)
    for j, k in zip(*np.nonzero(problem.machines >= 0), strict=True):
        m, extra = int(problem.machines[j, k]), int(world.extra[j, k])
        start, finish, leave = (int(t[j, k]) for t in (schedule.start, schedule.finish, schedule.leave))
        broken = sum(max(0, min(stop, finish) - max(begin, start)) for begin, stop in windows[m])
        held = sum(max(0, min(stop, leave) - max(begin, finish)) for begin, stop in windows[m])
        use[m] += (finish - start - broken - extra, leave - finish, extra - held, 0)
    use[:, 3] = end - use.sum(axis=1)
    return use


def disjunctive_graph_plot(
    problem: JobShop, schedule: Schedule | None = None, *, scenario: Outages | None = None, ax: Axes | None = None
) -> Axes:
    """The disjunctive graph: one row a job, one colour a machine.

    Without a schedule the pairs that are still to be ordered are joined by thin lines. With one, arrows show the order
    on each machine (in a blocking shop those of the alternative graph, dotted), and a critical path is drawn heavy.

    Parameters
    ----------
    problem, scenario, ax
        As in `gantt`.
    schedule : Schedule, optional
        Gives the machine orders.
    """
    from .graph import SINK, SOURCE, alternative_graph, critical_path, disjunctive_graph

    width = problem.machines.shape[1]
    ax = new_axes((2.6 + 1.35 * width, 1.2 + 0.95 * problem.n_jobs)) if ax is None else ax
    middle = (problem.n_jobs - 1) / 2
    place: dict[Any, tuple[float, float]] = {SOURCE: (-1.1, middle), SINK: (width + 0.1, middle)}
    place |= {(int(j), int(k)): (float(k), float(j)) for j, k in zip(*np.nonzero(problem.machines >= 0), strict=True)}
    heavy: set[tuple[Any, Any]] = set()
    if schedule is None:
        graph = disjunctive_graph(problem, scenario=scenario)
    else:
        graph = alternative_graph(problem, schedule.sequences(), scenario)
        path: list[Any] = [SOURCE, *critical_path(problem, schedule, scenario), SINK]
        heavy = set(itertools.pairwise(path))
    colours = job_colours(max(problem.n_machines, 1))
    for a, b, arc in graph.edges(data=True):
        if schedule is None and arc["kind"] == "machine":
            if place[a] < place[b]:
                own = colours[graph.nodes[a]["machine"]]
                _arrow(ax, place[a], place[b], colour=own, style="-", width=0.8, alpha=0.45)
            continue
        colour = INK if arc["kind"] in ("job", "release") else colours[graph.nodes[b]["machine"]]
        on_path = (a, b) in heavy
        _arrow(
            ax,
            place[a],
            place[b],
            colour=colour,
            style="-|>",
            width=2.6 if on_path else 1.0,
            alpha=1.0 if on_path else 0.5,
            dotted=arc["kind"] == "alternative",
        )
    for node, (x, y) in place.items():
        data = graph.nodes[node]
        end = data["machine"] is None
        colour = "white" if end else colours[data["machine"]]
        text = {"source": "start", "sink": "end"}.get(node, "") if end else str(data["duration"])
        ring = 2.4 if any(node in arc for arc in heavy) else 0.8
        ax.scatter([x], [y], s=520, color=[colour], edgecolors=INK, linewidths=ring, zorder=3)
        ax.text(x, y, text, ha="center", va="center", fontsize=8, color=readable_on(colour), zorder=4)
    for j, name in enumerate(problem.job_names):
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.8}
        ax.text(0, j - 0.24, str(name), ha="center", va="bottom", fontsize=8, color=INK, bbox=box, zorder=2)
    _graph_legend(ax, problem, colours)
    ax.set_xlim(-1.6, width + 0.6)
    ax.set_ylim(problem.n_jobs - 0.3, -0.8)
    ax.set_title(f"{problem.name} ({problem.variant}): durations in the nodes", loc="left", fontsize=11, color=INK)
    ax.set_axis_off()
    return ax


def _graph_legend(ax: Axes, problem: JobShop, colours: Sequence[Any]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=8, color=colour, label=str(name))
        for colour, name in zip(colours, problem.machine_names, strict=False)
    ]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)


def _arrow(
    ax: Axes,
    a: tuple[float, float],
    b: tuple[float, float],
    *,
    colour: Any,
    style: str,
    width: float,
    alpha: float,
    dotted: bool = False,
) -> None:
    from matplotlib.patches import FancyArrowPatch

    bend = 0.0 if a[1] == b[1] and abs(a[0] - b[0]) <= 1 else 0.14
    arrow = FancyArrowPatch(
        a,
        b,
        arrowstyle=style,
        connectionstyle=f"arc3,rad={bend}",
        mutation_scale=11,
        shrinkA=12,
        shrinkB=12,
        color=colour,
        linewidth=width,
        alpha=alpha,
        linestyle=(0, (1.5, 1.5)) if dotted else "solid",
        zorder=2 if width > 2 else 1,
    )
    ax.add_patch(arrow)


def _bar(ax: Axes, row: int, begin: float, end: float, *, height: float = 0.78, **style: Any) -> None:
    ax.barh(row, end - begin, left=begin, height=height, **style)


def _pieces(start: int, finish: int, windows: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """``[start, finish)`` without the windows."""
    pieces, clock = [], start
    for begin, end in windows:
        if start <= begin < finish:
            pieces.append((clock, begin))
            clock = end
    return [(a, b) for a, b in [*pieces, (clock, finish)] if b > a]


def _label(ax: Axes, row: int, begin: float, end: float, text: str, colour: Any, span: float) -> None:
    """Write a name inside its bar where it fits, else its last word, else nothing."""
    box, figure = ax.get_position(), ax.figure
    inches = figure.get_figwidth() * box.width * 0.85 * (end - begin) / (1.02 * span)  # type: ignore[union-attr]
    for short in (text, text.split()[-1] if text.split() else text):
        if len(short) * 0.068 + 0.04 <= inches:
            middle = (begin + end) / 2
            ax.text(
                middle,
                row,
                short,
                ha="center",
                va="center",
                fontsize=7,
                color=readable_on(colour),
                clip_on=True,
                zorder=3,
            )
            return
