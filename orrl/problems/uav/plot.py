"""Pictures of a network: who is covered, how the UAVs fly, whom they serve, what a cell is worth.

Every function draws on ``ax`` or on a new figure of its own (never on pyplot's), and returns the Axes:
``coverage_map(problem, flight, slot=3).figure.savefig("map.png")``. Matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.plot_style import FAINT, INK, new_axes, safe_colours, tidy
from .plot_parts import (
    GROUND,
    MARKS,
    below,
    check_flight,
    draw_areas,
    draw_bar,
    draw_cells,
    draw_ground,
    draw_uavs,
    draw_users,
    footprint,
    map_legend,
    map_size,
    seen,
    slot_index,
    titles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .data import UavOffloading
    from .flight import Flight

__all__ = ["animate", "association_timeline", "coverage_map", "footprint", "price_map", "trajectories"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Colour = Literal["server", "users"]


def coverage_map(
    problem: UavOffloading,
    flight: Flight | None = None,
    slot: int = 1,
    *,
    colour: Colour = "server",
    ax: Axes | None = None,
) -> Axes:
    """One slot from above: users, UAVs with the users they serve, base stations, no-fly cells.

    A served user has the colour and the mark of its UAV and is joined to it; the others are small rings.

    Parameters
    ----------
    problem : UavOffloading
        The network.
    flight : Flight, optional
        Where the UAVs are. Without one, slots that have begun are drawn with their UAVs, later ones without any.
    slot : int
        From 1 to T.
    colour : {"server", "users"}
        What the ground shows: the area that each UAV would serve (before any capacity), or, by cell, how many users a
        UAV would serve if it were alone there.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Raises
    ------
    DataError
        For a slot or colour that does not exist, or a flight of another network.
    """
    if colour not in get_args(Colour):
        raise DataError(f"colour is {colour!r}: give 'server' or 'users'")
    t = slot_index(problem, slot)
    cells, server = seen(problem, flight, t)
    ax = new_axes(map_size(problem, 1.6 if colour == "users" else 0.9)) if ax is None else ax
    draw_ground(ax, problem)
    colours = safe_colours(problem.n_uavs)
    if colour == "users":
        covered = problem.radio.covered[t].sum(axis=1)
        shades = draw_cells(ax, problem, covered, GROUND, 0, max(1, int(covered.max())))
        draw_bar(ax, shades, "users covered from a cell")
    elif len(cells):
        draw_areas(ax, problem, t, cells, colours)
    draw_users(ax, problem, t, cells, server, colours)
    draw_uavs(ax, problem, cells, colours)
    served = "" if not len(cells) else f": {int((server >= 0).sum())} of {problem.n_users} users served"
    titles(ax, problem, f"slot {slot} of {problem.n_slots}{served}")
    map_legend(ax, problem, cells, server, colours)
    return ax


def association_timeline(problem: UavOffloading, flight: Flight, *, ax: Axes | None = None) -> Axes:
    """Users served in each slot, stacked by UAV.

    Parameters
    ----------
    problem, flight, ax
        As in `coverage_map`.
    """
    from matplotlib.ticker import MaxNLocator

    check_flight(problem, flight)
    ax = new_axes((min(16.0, 4.5 + 0.22 * problem.n_slots), 3.6)) if ax is None else ax
    slots = np.arange(1, problem.n_slots + 1)
    served = (flight.server[:, None] == np.arange(problem.n_uavs)[:, None]).sum(axis=2)  # (T, U)
    base = np.zeros(problem.n_slots)
    for u, (name, colour) in enumerate(zip(problem.uav_names, safe_colours(problem.n_uavs), strict=True)):
        ax.bar(slots, served[:, u], bottom=base, width=0.86, color=[colour], label=name, linewidth=0)
        base += served[:, u]
    ax.axhline(problem.n_users, color=INK, linestyle=(0, (4, 3)), linewidth=1.0, label="all users")
    ax.set_xlim(0.4, problem.n_slots + 0.6)
    ax.set_ylim(0, 1.04 * problem.n_users)
    ax.set_xlabel(f"slot ({problem.slot:g} s each)")
    ax.set_ylabel("users served")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(ax)
    ax.grid(axis="x", visible=False)
    ax.grid(axis="y", color=FAINT, linewidth=0.6)
    total = int(served.sum())
    share = 100 * total / (problem.n_slots * problem.n_users)
    titles(ax, problem, f"{total} user-slots ({share:.0f}%)")
    ax.legend(reverse=True, loc="upper left", bbox_to_anchor=(1.01, 1.02), fontsize=8, frameon=False)  # as stacked
    return ax


def trajectories(problem: UavOffloading, flight: Flight, *, ax: Axes | None = None) -> Axes:
    """The ways of all UAVs; rings mark the starts, a dot's area is the number of slots spent in a cell.

    The ground shows how many user-slots a UAV alone would serve from each cell. Ways are shifted a little against each
    other, so that none hides another.

    Parameters
    ----------
    problem, flight, ax
        As in `coverage_map`.
    """
    from matplotlib.lines import Line2D

    check_flight(problem, flight)
    ax = new_axes(map_size(problem, 1.6)) if ax is None else ax
    draw_ground(ax, problem)
    covered = problem.radio.covered.sum(axis=(0, 2))
    shades = draw_cells(ax, problem, covered, GROUND, 0, max(1, int(covered.max())))
    draw_bar(ax, shades, "user-slots covered from a cell")
    colours, handles = safe_colours(problem.n_uavs), []
    for u, (name, colour) in enumerate(zip(problem.uav_names, colours, strict=True)):
        shift = 0.07 * problem.cell * (u - (problem.n_uavs - 1) / 2)
        way = problem.centres[flight.cells[:, u]] + np.clip(shift, -0.3 * problem.cell, 0.3 * problem.cell)
        ax.plot(way[:, 0], way[:, 1], color=colour, linewidth=2.0, solid_joinstyle="round", zorder=3)
        place, stay = np.unique(way, axis=0, return_counts=True)
        ax.scatter(
            place[:, 0],
            place[:, 1],
            s=14.0 * stay,
            color=[colour],
            marker=MARKS[u % len(MARKS)],
            linewidths=0,
            zorder=4,
        )
        ahead = np.flatnonzero(np.any(np.diff(way, axis=0) != 0, axis=1))
        for t in ahead[len(ahead) // 2 :: 5][:3]:  # a few arrow heads say which way
            ax.annotate(
                "",
                xy=tuple(way[t] + 0.65 * (way[t + 1] - way[t])),
                xytext=tuple(way[t]),
                arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 0, "mutation_scale": 19},
                zorder=4,
            )
        ax.scatter(way[0, 0], way[0, 1], s=110, facecolors="none", edgecolors=[colour], linewidths=2.0, zorder=5)
        handles.append(Line2D([], [], color=colour, marker=MARKS[u % len(MARKS)], linewidth=2, label=name))
    handles.append(Line2D([], [], color=INK, marker="o", fillstyle="none", linewidth=0, markersize=9, label="start"))
    titles(ax, problem, f"{problem.n_slots} slots of {problem.slot:g} s")
    ax.legend(handles=handles, **below(problem))
    return ax


def price_map(
    problem: UavOffloading,
    prices: npt.ArrayLike,
    *,
    slot: int | None = None,
    label: str = "price of a cell (users)",
    ax: Axes | None = None,
) -> Axes:
    """What a cell costs or earns: multipliers of a relaxation, rewards of a UAV, visits.

    Parameters
    ----------
    prices : (G,) or (T', G) float
        By cell; with rows for each slot, or for the last T' slots.
    slot : int, optional
        Which slot of a (T', G) array, from 1 to T; the mean over all rows by default.
    label : str
        What the numbers are, with their unit.

    Raises
    ------
    DataError
        Where the array does not fit the grid, or the slot not the array.
    """
    value = np.asarray(prices, np.float64)
    if value.ndim not in (1, 2) or value.shape[-1] != problem.n_cells or not value.size:
        raise DataError(f"prices have shape {value.shape}: give ({problem.n_cells},) or (slots, {problem.n_cells})")
    if value.ndim == 2 and len(value) > problem.n_slots:
        raise DataError(f"prices have {len(value)} rows: give at most one for each of the {problem.n_slots} slots")
    text = "all slots alike"
    if value.ndim == 1 and slot is not None:
        raise DataError(f"slot is {slot}, but prices have no slots: leave it out")
    if value.ndim == 2:
        first = problem.n_slots - len(value)
        if slot is None:
            value, text = value.mean(axis=0), f"mean over slots {first + 1} to {problem.n_slots}"
        elif first < slot <= problem.n_slots:
            value, text = value[slot - first - 1], f"slot {slot} of {problem.n_slots}"
        else:
            raise DataError(f"slot is {slot}: prices are given for slots {first + 1} to {problem.n_slots}")
    ax = new_axes(map_size(problem, 1.6)) if ax is None else ax
    draw_ground(ax, problem)
    low, high = float(value.min()), float(value.max())
    if low < 0 < high:
        image = draw_cells(ax, problem, value, "PuOr", -max(-low, high), max(-low, high))
    else:
        image = draw_cells(ax, problem, value, "cividis", low, high if high > low else low + 1)
    draw_bar(ax, image, label)
    titles(ax, problem, text)
    return ax


def animate(problem: UavOffloading, flight: Flight, path: str | Path, *, fps: int = 2, dpi: int = 90) -> Path:
    """Coverage map of every slot, with the ways flown so far, as a file.

    Parameters
    ----------
    path : str or Path
        ``.gif``, or ``.html`` for a page with a time line to drag (all frames inside).
    fps : int
        Slots a second.
    dpi : int
        Dots per inch.

    Raises
    ------
    DataError
        For another ending.
    """
    from matplotlib.animation import HTMLWriter, PillowWriter

    check_flight(problem, flight)
    path = Path(path)
    if path.suffix.lower() not in (".gif", ".html"):
        raise DataError(f"path ends in {path.suffix!r}: give a file ending in .gif or .html")
    ax = coverage_map(problem, flight)
    figure: Any = ax.figure
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # or the map would move from frame to frame
    html = path.suffix.lower() == ".html"
    writer = HTMLWriter(fps=fps, embed_frames=True, default_mode="loop") if html else PillowWriter(fps=fps)
    with writer.saving(figure, str(path), dpi):
        for t in range(problem.n_slots):
            ax.clear()
            coverage_map(problem, flight, t + 1, ax=ax)
            for u, colour in enumerate(safe_colours(problem.n_uavs)):
                ax.plot(*problem.centres[flight.cells[: t + 1, u]].T, color=colour, linewidth=1.6, alpha=0.8, zorder=3)
            writer.grab_frame()
    return path
