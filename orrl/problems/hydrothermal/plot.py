"""Pictures of dispatches: volumes, generation, water values, costs.

Every function draws on ``ax`` or on a new figure of its own (never on pyplot's), and returns the Axes:
``volume_fan(problem, dispatches).figure.savefig("volumes.png")``. Matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.plot_style import FAINT, INK, new_axes, safe_colours, tidy, unlike_colours
from .dispatch import Dispatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from .data import Hydrothermal

__all__ = ["cost_distribution", "generation_stack", "volume_fan", "water_values"]

FloatArray = npt.NDArray[np.float64]
BANDS = ((0.05, 0.95), (0.25, 0.75))
SIZE = (8.0, 3.8)


def volume_fan(
    problem: Hydrothermal,
    dispatches: Dispatch | Sequence[Dispatch],
    plant: str | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Stored water over the stages: median and central 50% and 90% of the dispatches.

    Parameters
    ----------
    problem : Hydrothermal
        The system.
    dispatches : Dispatch or sequence of Dispatch
        Of the whole horizon, such as ``[problem.solution(t) for t in rollout(...)]``.
    plant : str, optional
        One reservoir; all together by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Raises
    ------
    DataError
        For a plant that does not exist, no dispatch, or dispatches of different length.
    """
    names = problem.cascade.names
    if plant is not None and plant not in names:
        raise DataError(f"plant is {plant!r}: give one of {', '.join(names)}")
    which = slice(None) if plant is None else slice(names.index(plant), names.index(plant) + 1)
    volume = np.stack([d["volume"][:, which].sum(axis=1) for d in _several(dispatches)])
    volume = np.column_stack([np.full(len(volume), problem.cascade.volume_start[which].sum()), volume])
    ax = new_axes(SIZE) if ax is None else ax
    stage, colour = np.arange(volume.shape[1]), safe_colours(1)[0]
    if len(volume) > 1:
        for (low, high), shade in zip(BANDS, (0.18, 0.35), strict=True):
            edges = np.quantile(volume, (low, high), axis=0)
            ax.fill_between(stage, *edges, color=colour, alpha=shade, linewidth=0, label=f"{high - low:.0%} of paths")
    ax.plot(stage, np.median(volume, axis=0), color=colour, linewidth=1.8, label="median")
    limit = float(problem.cascade.volume_max[which].sum())
    ax.axhline(limit, color=INK, linestyle=(0, (4, 3)), linewidth=1.0, label="full")
    ax.set_ylim(0, 1.05 * limit if limit > 0 else 1.0)
    what = "all reservoirs" if plant is None else plant
    _finish(ax, problem, volume.shape[1] - 1, f"volume of {what} (hm3)", _paths(len(volume)), reverse=False)
    ax.set_xlabel(f"stages dispatched ({problem.stage_hours:g} h each)")
    return ax


def generation_stack(
    problem: Hydrothermal, dispatches: Dispatch | Sequence[Dispatch], *, ax: Axes | None = None
) -> Axes:
    """Hydro and thermal power and deficit of each stage, stacked; the mean where there are several dispatches.

    Parameters
    ----------
    problem, dispatches, ax
        As in `volume_fan`.
    """
    table, base = _several(dispatches), problem.grid.base
    power = base * np.mean([d["power"] for d in table], axis=0)
    hydro = np.zeros(power.shape[1], np.bool_)
    hydro[problem.cascade.generator] = True
    deficit = base * np.mean([d["deficit"].sum(axis=1) for d in table], axis=0)
    parts = {"hydro": power[:, hydro].sum(axis=1), "thermal": power[:, ~hydro].sum(axis=1), "deficit": deficit}
    ax = new_axes(SIZE) if ax is None else ax
    stage = np.arange(1, len(power) + 1)
    bottom = np.zeros(len(power))
    colours = (safe_colours(6)[5], safe_colours(6)[1], safe_colours(6)[3])
    for (name, values), colour in zip(parts.items(), colours, strict=True):
        ax.bar(stage, values, bottom=bottom, width=1.0, color=[colour], linewidth=0, label=name)
        bottom = bottom + values
    factor = problem.load[np.arange(len(power)) % len(problem.load)]
    demand = base * factor * problem.grid.load.sum()
    ax.step(stage, demand, where="mid", color=INK, linewidth=1.2, label="demand")
    ax.set_ylim(0, 1.08 * max(float(bottom.max()), float(demand.max())))
    _finish(ax, problem, len(power), "power (MW)", _paths(len(table)))
    ax.set_xlim(0.5, len(power) + 0.5)
    return ax


def water_values(
    problem: Hydrothermal, values: npt.ArrayLike, plants: Sequence[str] | None = None, *, ax: Axes | None = None
) -> Axes:
    """What one hm3 more is worth in each stage, a line a reservoir.

    Parameters
    ----------
    problem : Hydrothermal
        The system.
    values : (T, H) or (P, T, H)
        Money per hm3, such as ``info["water_values"]`` of each step; the mean over P paths is drawn.
    plants : sequence of str, optional
        Which reservoirs; by default those that can hold water, the ten largest.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Raises
    ------
    DataError
        Where the array does not fit, or for a plant that does not exist.
    """
    names = problem.cascade.names
    given = np.asarray(values, np.float64)
    if given.ndim not in (2, 3) or given.shape[-1] != len(names) or not given.size:
        raise DataError(f"water values have shape {given.shape}: give (stages, {len(names)}) or (paths, stages, ...)")
    mean = given if given.ndim == 2 else given.mean(axis=0)
    if plants is None:
        largest = np.argsort(-problem.cascade.volume_max, kind="stable")[:10]
        plants = [names[h] for h in sorted(largest.tolist()) if problem.cascade.volume_max[h] > 0] or names[:1]
    for name in plants:
        if name not in names:
            raise DataError(f"plant is {name!r}: give some of {', '.join(names)}")
    ax = new_axes(SIZE) if ax is None else ax
    stage = np.arange(1, len(mean) + 1)
    for name, colour in zip(plants, unlike_colours(len(plants)), strict=True):
        ax.plot(stage, mean[:, names.index(name)], color=colour, linewidth=1.6, label=name)
    text = _paths(len(given)) if given.ndim == 3 else "one path"
    _finish(ax, problem, len(mean), "water value (money per hm3)", text, reverse=False)
    return ax


def cost_distribution(problem: Hydrothermal, costs: Mapping[str, npt.ArrayLike], *, ax: Axes | None = None) -> Axes:
    """Costs of several methods on the same paths: the share of paths that cost at most this; dotted lines are means.

    Parameters
    ----------
    problem : Hydrothermal
        The system.
    costs : mapping of str to (P,)
        Cost of each path by method.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Raises
    ------
    DataError
        Where there is nothing to draw, or a cost is not a number.
    """
    ax = new_axes(SIZE) if ax is None else ax
    if not costs:
        raise DataError("costs are empty: give {method: costs of its paths}")
    longest = 0
    for (name, given), colour in zip(costs.items(), unlike_colours(len(costs)), strict=True):
        cost = np.sort(np.asarray(given, np.float64).ravel())
        if not len(cost) or not np.isfinite(cost).all():
            raise DataError(f"costs of {name!r} are empty or hold a number that is not finite: leave such paths out")
        share = np.arange(1, len(cost) + 1) / len(cost)
        ax.step(cost, share, where="post", color=colour, linewidth=1.6, label=f"{name} (mean {cost.mean():,.0f})")
        ax.axvline(float(cost.mean()), color=colour, linestyle=":", linewidth=1.2)
        longest = max(longest, len(cost))
    _finish(ax, problem, None, "share of paths", _paths(longest), reverse=False)
    ax.set_xlabel(f"cost ({problem.objective.unit})")
    ax.set_ylim(0, 1.02)
    return ax


def _several(dispatches: Dispatch | Sequence[Dispatch]) -> list[Dispatch]:
    table = [dispatches] if isinstance(dispatches, Dispatch) else list(dispatches)
    if not table:
        raise DataError("there is no dispatch to draw: give at least one")
    lengths = sorted({len(d) for d in table})
    if len(lengths) > 1 or not lengths[0]:
        raise DataError(f"dispatches have {lengths} stages: give some of one length, at least 1")
    return table


def _paths(count: int) -> str:
    return "one path" if count == 1 else f"{count} paths"


def _finish(
    ax: Axes, problem: Hydrothermal, stages: int | None, label: str, text: str, *, reverse: bool = True
) -> None:
    from matplotlib.ticker import MaxNLocator

    if stages is not None:
        ax.set_xlim(0, stages)
        ax.set_xlabel(f"stage ({problem.stage_hours:g} h each)")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylabel(label)
    tidy(ax)
    ax.grid(axis="x", visible=False)
    ax.grid(axis="y", color=FAINT, linewidth=0.6)
    ax.set_title(f"{problem.name}: {text}", fontsize=10, color=INK, loc="left")
    ax.legend(reverse=reverse, loc="upper left", bbox_to_anchor=(1.01, 1.02), fontsize=8, frameon=False)
