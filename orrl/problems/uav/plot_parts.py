"""What the pictures of a network are put together from: ground, cells, areas, users, UAVs, legends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.plot_style import DOWN, INK, LINE
from .association import assign
from .channel import terrestrial_loss
from .radio import BORDER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from .data import UavOffloading
    from .flight import Flight

IntArray = npt.NDArray[np.int64]

PIXELS = 8  # a side of a cell in the footprint
MARKS = "oDsP^v"  # by UAV, so that colours are not the only sign
GROUND = ("#ffffff", "#70747d")  # greys on which every colour reads
ALONE = "#5b606b"
LABEL = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.75}


def footprint(problem: UavOffloading, slot: int, cells: IntArray, *, pixels: int = PIXELS) -> IntArray:
    """UAV that would serve a user at each point of a raster, before any capacity; -1 where none would.

    Parameters
    ----------
    slot : int
        From 1 to T; it matters to nothing but the check, since base stations and UAVs are heard alike in all slots.
    cells : (U,) int
        Where the UAVs stand.
    pixels : int
        Points along a side of a cell.

    Returns
    -------
    (height * pixels, width * pixels) int
        The first row is the south; of several UAVs the one that is heard best.
    """
    slot_index(problem, slot)
    step = problem.cell / pixels
    x, y = (np.arange(n * pixels) * step + step / 2 for n in (problem.width, problem.height))
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    ground = np.linalg.norm(points - problem.centres[cells][:, None], axis=2)
    power = 10.0 ** ((problem.channel.power - problem.channel.loss(ground, problem.altitude)) / 10.0)
    other = np.full(len(points), 10.0 ** (problem.channel.noise / 10.0))
    if problem.interference:
        for place in problem.stations:
            loss = terrestrial_loss(np.linalg.norm(points - place, axis=1), carrier=problem.channel.carrier)
            other += 10.0 ** ((problem.station_power - loss) / 10.0)
        other = other + power.sum(axis=0) - power
    able = power >= problem.channel.ratio * BORDER * other
    best = np.where(able.any(axis=0), np.where(able, power, -1.0).argmax(axis=0), -1)
    return best.reshape(problem.height * pixels, problem.width * pixels)


def slot_index(problem: UavOffloading, slot: int) -> int:
    if not 1 <= slot <= problem.n_slots:
        raise DataError(f"slot is {slot}: give one from 1 to {problem.n_slots}")
    return slot - 1


def check_flight(problem: UavOffloading, flight: Flight) -> None:
    want = (problem.n_slots, problem.n_uavs), (problem.n_slots, problem.n_users)
    have = np.shape(flight.cells), np.shape(flight.server)
    if have != want:
        raise DataError(
            f"the flight has cells {have[0]} and server {have[1]}, the network needs {want[0]} and {want[1]}"
        )


def seen(problem: UavOffloading, flight: Flight | None, t: int) -> tuple[IntArray, IntArray]:
    """Cells of the UAVs and who serves each user; no cells where nothing is known."""
    if flight is not None:
        check_flight(problem, flight)
        return np.asarray(flight.cells[t]), np.asarray(flight.server[t])
    if t < len(problem.position):
        return problem.position[t], assign(problem.radio, t, problem.position[t])
    return np.empty(0, np.int64), np.full(problem.n_users, -1, np.int64)


def map_size(problem: UavOffloading, extra: float) -> tuple[float, float]:
    scale = 6.0 / max(problem.width, problem.height)
    return max(4.8, problem.width * scale + extra), max(2.6, problem.height * scale + 1.35)


def extent(problem: UavOffloading) -> tuple[float, float, float, float]:
    return 0.0, problem.width * problem.cell, 0.0, problem.height * problem.cell


def draw_ground(ax: Axes, problem: UavOffloading) -> None:
    """Grid, no-fly cells and base stations, in metres."""
    from matplotlib.patches import Rectangle

    _, right, _, top = extent(problem)
    lines: dict[str, Any] = {"colors": LINE, "linewidth": 0.35, "alpha": 0.45, "zorder": 1.2}
    ax.vlines(np.arange(problem.width + 1) * problem.cell, 0, top, **lines)
    ax.hlines(np.arange(problem.height + 1) * problem.cell, 0, right, **lines)
    for x, y in problem.no_fly:
        corner = (x * problem.cell, y * problem.cell)
        ax.add_patch(Rectangle(corner, problem.cell, problem.cell, **{**DOWN, "edgecolor": "#7c828c"}, zorder=1.5))
    if len(problem.stations):
        ax.scatter(
            problem.stations[:, 0],
            problem.stations[:, 1],
            marker="^",
            s=90,
            color=INK,
            edgecolors="white",
            linewidths=1.0,
            zorder=5,
        )
    ax.set_xlim(0, right)
    ax.set_ylim(0, top)
    ax.set_aspect("equal")
    ax.set_xlabel("east (m)")
    ax.set_ylabel("north (m)")
    ax.tick_params(colors=INK, labelsize=9)
    ax.spines[:].set_color(LINE)


def draw_cells(
    ax: Axes, problem: UavOffloading, value: npt.NDArray[Any], cmap: str | tuple[str, str], low: float, high: float
) -> AxesImage:
    from matplotlib.colors import LinearSegmentedColormap

    shades = cmap if isinstance(cmap, str) else LinearSegmentedColormap.from_list("ground", cmap)
    grid = np.asarray(value, np.float64).reshape(problem.height, problem.width)
    return ax.imshow(
        grid, origin="lower", extent=extent(problem), cmap=shades, vmin=low, vmax=high, aspect="equal", zorder=0.5
    )


def draw_bar(ax: Axes, image: AxesImage, label: str) -> None:
    figure: Any = ax.figure
    bar = figure.colorbar(image, ax=ax, shrink=0.8, pad=0.02)
    bar.set_label(label, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=9)


def draw_areas(ax: Axes, problem: UavOffloading, t: int, cells: IntArray, colours: list[Any]) -> None:
    area = footprint(problem, t + 1, cells)
    pale = np.array([(*colour, 0.22) for colour in [*colours, (1.0, 1.0, 1.0)]])
    pale[-1, 3] = 0.0
    ax.imshow(pale[area], origin="lower", extent=extent(problem), interpolation="nearest", aspect="equal", zorder=0.5)


def draw_users(ax: Axes, problem: UavOffloading, t: int, cells: IntArray, server: IntArray, colours: list[Any]) -> None:
    from matplotlib.collections import LineCollection

    place = problem.users[t]
    style: dict[str, Any] = {"clip_on": False, "zorder": 3}
    alone = place[server < 0]
    ax.scatter(alone[:, 0], alone[:, 1], s=12, facecolors="none", edgecolors=ALONE, linewidths=0.9, **style)
    for u, cell in enumerate(cells.tolist()):
        own, colour = place[server == u], colours[u]
        rays = np.stack([np.broadcast_to(problem.centres[cell], own.shape), own], axis=1)
        ax.add_collection(LineCollection(list(rays), colors=[colour], linewidths=0.5, alpha=0.55, zorder=2))
        style["marker"] = MARKS[u % len(MARKS)]
        ax.scatter(own[:, 0], own[:, 1], s=17, color=[colour], edgecolors="white", linewidths=0.3, **style)


def draw_uavs(ax: Axes, problem: UavOffloading, cells: IntArray, colours: list[Any]) -> None:
    for name, cell, colour in zip(problem.uav_names, cells.tolist(), colours, strict=False):
        x, y = problem.centres[cell]
        ax.scatter([x], [y], s=190, color=[colour], marker="X", edgecolors="white", linewidths=1.2, zorder=6)
        half, up = problem.cell / 2, -1 if y > (problem.height - 1) * problem.cell else 1
        left, right = x - half < half, x + 2 * half > problem.width * problem.cell  # beside the border: names inward
        side, shift = ("left", -half) if left else ("right", half) if right else ("center", 0.0)
        spot = (x + 0.8 * shift, y + 0.84 * up * half)
        ax.text(*spot, name, ha=side, va="center", fontsize=8, color=INK, bbox=LABEL, clip_on=True, zorder=7)


def titles(ax: Axes, problem: UavOffloading, text: str) -> None:
    ax.set_title(f"{problem.name} ({problem.variant})", loc="left", fontsize=10, color=INK)
    ax.set_title(text, loc="right", fontsize=9, color=INK)


def map_legend(ax: Axes, problem: UavOffloading, cells: IntArray, server: IntArray, colours: list[Any]) -> None:
    """UAVs with their loads, and the signs that are on the map."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    for u in range(len(cells)):
        text = f"{problem.uav_names[u]}: {int((server == u).sum())} users"
        if problem.capacity is not None:
            text += f" of {problem.capacity}"
        mark = MARKS[u % len(MARKS)]
        handles.append(Line2D([], [], color=colours[u], marker=mark, linewidth=0.8, markersize=5, label=text))
    ring: dict[str, Any] = {"marker": "o", "fillstyle": "none", "linewidth": 0, "markersize": 4}
    handles.append(Line2D([], [], color=ALONE, **ring, label="not served" if len(cells) else "user"))
    if len(problem.stations):
        handles.append(Line2D([], [], color=INK, marker="^", linewidth=0, markersize=7, label="base station"))
    if problem.no_fly:
        handles.append(Patch(**{**DOWN, "edgecolor": "#7c828c"}, label="no-fly"))
    ax.legend(handles=handles, **below(problem))


def below(problem: UavOffloading) -> dict[str, Any]:
    columns = 4 if problem.width >= problem.height else 2
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.09), "ncols": columns}
    return {**place, "fontsize": 8, "frameon": False, "handlelength": 1.4, "columnspacing": 1.2}
