"""Pictures of a fishery: policy curves, stock fans, beliefs, alpha vectors, price of risk, hindcast, the Kobe plot.

Every function draws on ``ax`` or on a new figure of its own (never on pyplot's), and returns the Axes. Stocks and
catches are in the problem's unit (``scale``). Matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.plot_style import FAINT, INK, LINE, new_axes, safe_colours, tidy
from .belief import BeliefFilter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from ...core.rollout import Trajectory
    from .data import Fishery, FisheryState

__all__ = ["alpha_vectors", "belief_evolution", "hindcast", "kobe", "policy_curves", "price_of_risk", "stock_fan"]

FloatArray = npt.NDArray[np.float64]


def policy_curves(
    problem: Fishery,
    policies: Mapping[str, Any],
    *,
    show: Literal["escapement", "quota"] = "escapement",
    ax: Axes | None = None,
) -> Axes:
    """Escapement (what is left) or quota against the stock, as paper A draws policies.

    Parameters
    ----------
    policies : mapping of str to object
        A `HarvestRule`, or numbers of actions (S,) for the stocks of the grid.
    """
    if show not in ("escapement", "quota"):
        raise DataError(f"show is {show!r}: give 'escapement' or 'quota'")
    ax = new_axes((6.4, 4.2)) if ax is None else ax
    g, size = problem.grids, problem.scale
    for (name, policy), colour in zip(policies.items(), safe_colours(len(policies)), strict=True):
        if hasattr(policy, "quota"):
            quota = np.clip(policy.quota(g.stocks, problem), 0.0, problem.top)
        else:
            numbers = np.asarray(policy, np.int64)
            if numbers.shape != g.stocks.shape:
                raise DataError(
                    f"policy {name!r} has shape {numbers.shape}: give an action for each of {problem.n} stocks"
                )
            quota = g.quotas[numbers % len(g.quotas)]
        value = quota if show == "quota" else np.maximum(g.stocks - quota, 0.0)
        ax.plot(g.stocks * size, value * size, color=colour, label=name, linewidth=1.6)
    _words(ax, problem, "stock", "quota a year" if show == "quota" else "stock left after the catch")
    ax.legend(frameon=False, fontsize=8)
    return ax


def stock_fan(
    trajectories: Sequence[Trajectory], *, shares: Sequence[float] = (0.05, 0.25), ax: Axes | None = None
) -> Axes:
    """Median stock over the years with bands between the quantiles ``s`` and ``1 - s``, and B_MSY and B_lim."""
    if not trajectories:
        raise DataError("no trajectories: give at least one, from rollout")
    ax = new_axes((6.8, 4.0)) if ax is None else ax
    problem = trajectories[0].problem
    stock = np.array([t.final.stock for t in trajectories]) * problem.scale
    years = np.arange(stock.shape[1])
    colour = safe_colours(1)[0]
    for share in shares:
        low, high = np.quantile(stock, [share, 1.0 - share], axis=0)
        ax.fill_between(
            years, low, high, color=colour, alpha=0.2, linewidth=0, label=f"{1 - 2 * share:.0%} of episodes"
        )
    ax.plot(years, np.median(stock, axis=0), color=colour, linewidth=1.8, label="median")
    for value, name in ((problem.reference.b_msy, "B_MSY"), (problem.b_lim, "B_lim")):
        ax.axhline(value * problem.scale, color=LINE, linewidth=0.9, linestyle="--")
        ax.annotate(name, (years[-1], value * problem.scale), fontsize=8, color=INK, ha="right", va="bottom")
    _words(ax, problem, "year", "stock", time=True)
    ax.legend(frameon=False, fontsize=8)
    return ax


def belief_evolution(problem: Fishery, state: FisheryState, *, ax: Axes | None = None) -> Axes:
    """Posterior of each year as a column of colour, with surveys (rings) and the true stock (line)."""
    ax = new_axes((6.8, 4.0)) if ax is None else ax
    g, size = problem.grids, problem.scale
    known = BeliefFilter(problem.at(_beginning(state)), 1)
    columns = [known.beliefs[0]]
    for t, effort in enumerate(state.effort):
        quota, seen = g.nearest_quota(np.array([state.quota[t]])), g.nearest_survey(np.array([state.seen[t + 1]]))
        known.next(quota, np.array([effort]), seen)
        columns.append(known.beliefs[0])
    years = np.arange(len(columns))
    mesh = np.array(columns).T
    ax.pcolormesh(years, g.stocks * size, mesh, cmap="Blues", shading="nearest", vmax=float(np.quantile(mesh, 0.995)))
    ax.plot(years, np.array(state.stock) * size, color=safe_colours(4)[3], linewidth=1.4, label="true stock")
    first = 0 if problem.survey_first else 1
    ax.plot(years[first:], np.array(state.seen[first:]) * size, "o", mfc="none", mec=INK, ms=3.5, label="survey")
    _words(ax, problem, "year", "stock", time=True)
    ax.legend(frameon=False, fontsize=8)
    return ax


def _beginning(state: FisheryState) -> FisheryState:
    from dataclasses import replace

    start, _, survey = state.draws
    return replace(
        state, quota=(), effort=(), stock=state.stock[:1], seen=state.seen[:1], draws=(start, (), survey[:1])
    )


def alpha_vectors(problem: Fishery, vectors: FloatArray, actions: Any = None, *, ax: Axes | None = None) -> Axes:
    """Alpha vectors (N, S) over the stocks, coloured by the quota of their action (N,), and their maximum."""
    ax = new_axes((6.4, 4.2)) if ax is None else ax
    g, size = problem.grids, problem.scale
    values = np.asarray(vectors, np.float64)
    if values.ndim != 2 or values.shape[1] != problem.n:
        raise DataError(f"vectors have shape {values.shape}: give (N, {problem.n})")
    if actions is None:
        colours: Sequence[Any] = [LINE] * len(values)
    else:
        from matplotlib import colormaps

        quota = g.quotas[np.asarray(actions, np.int64) % len(g.quotas)]
        colours = [colormaps["viridis"](q / max(float(quota.max()), 1e-12)) for q in quota]
    for vector, colour in zip(values, colours, strict=True):
        ax.plot(g.stocks * size, vector, color=colour, linewidth=0.8, alpha=0.8)
    ax.plot(g.stocks * size, values.max(axis=0), color=INK, linewidth=1.6, label="best, if the stock were known")
    _words(ax, problem, "stock", "discounted value")
    ax.set_ylabel("discounted value", fontsize=9, color=INK)
    ax.legend(frameon=False, fontsize=8)
    return ax


def price_of_risk(
    limits: Sequence[float], values: Sequence[float], prices: Sequence[float], *, ax: Axes | None = None
) -> Axes:
    """Value (left) and price of risk (right) against the limit on the discounted time at risk.

    Parameters
    ----------
    limits, values, prices : (N,)
        Limit, objective and ``meta["price"]`` of results of ``cmdp-lp``; an infinite limit is drawn as the value
        without one. Short lines through the values have the price for their slope, which is what the dual says.

    Returns
    -------
    Axes
        That of the value; the price's is the last of its figure.
    """
    told = [np.asarray(x, np.float64) for x in (limits, values, prices)]
    if told[0].ndim != 1 or any(x.shape != told[0].shape for x in told) or not np.isfinite(told[0]).any():
        shapes = ", ".join(str(x.shape) for x in told)
        raise DataError(
            f"limits, values and prices have shapes {shapes}: give (N,) each, with one finite limit or more"
        )
    if np.isnan(told[0]).any() or not all(np.isfinite(x).all() for x in told[1:]) or (told[2] < -1e-9).any():
        raise DataError(
            "a limit, value or price is no number, or a price is negative: give those of results that are optimal"
        )
    order = np.argsort(told[0])
    limit, value, price = (x[order] for x in told)
    ax = new_axes((6.4, 4.2)) if ax is None else ax
    colour, other = safe_colours(4)[0], safe_colours(4)[3]
    near = np.isfinite(limit)
    x, v, p = limit[near], value[near], price[near]
    ax.plot(x, v, "o-", color=colour, linewidth=1.6, ms=4, label="value")
    reach = 0.2 * (np.diff(x).min() if len(x) > 1 else max(float(x[0]), 1e-9))
    for here, worth, slope in zip(x, v, p, strict=True):
        ends = np.array([-reach, reach])
        ax.plot(here + ends, worth + slope * ends, color=other, linewidth=1.2, alpha=0.8)
    if not near.all():
        ax.axhline(float(value[~near][0]), color=LINE, linewidth=0.9, linestyle="--")
        ax.annotate("no limit", (x[0], float(value[~near][0])), fontsize=8, color=INK, va="bottom")
    right = ax.twinx()
    right.plot(x, p, "s--", color=other, linewidth=1.4, ms=3.5, label="price")
    tidy(ax)
    right.spines[["top", "left", "bottom", "right"]].set_visible(False)
    right.tick_params(axis="y", length=0, colors=other, labelsize=9)
    right.set_ylim(0.0, max(1.1 * float(p.max()), 1e-9))
    right.set_ylabel("price of risk (value for one more discounted year)", fontsize=9, color=other)
    ax.set_xlabel("limit on the discounted years at risk", fontsize=9, color=INK)
    ax.set_ylabel("value", fontsize=9, color=colour)
    return ax


def hindcast(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Catch of each year (bars), recommended quotas (lines) and surveyed biomass (dots), from `hindcast.hindcast`."""
    own = ("year", "biomass", "taken", "believed", "low", "high")
    if missing := [name for name in own if name not in frame]:
        raise DataError(f"the frame has no column {missing[0]!r}: give what hindcast() returned")
    ax = new_axes((7.2, 4.2)) if ax is None else ax
    years = frame["year"].to_numpy()
    ax.bar(years, frame["taken"], color=FAINT, width=0.8, label="taken")
    ax.plot(years, frame["biomass"], ".", color=LINE, ms=4, label="biomass")
    names = [str(name) for name in frame if name not in own]
    for name, colour in zip(names, safe_colours(len(names)), strict=True):
        ax.plot(years, frame[name], "o-", color=colour, linewidth=1.4, ms=2.5, label=name)
    tidy(ax)
    ax.set_xlabel("year", fontsize=9, color=INK)
    ax.set_ylabel(f"quota and biomass ({frame.attrs.get('unit', 't')})", fontsize=9, color=INK)
    ax.set_title(str(frame.attrs.get("stock", "")), fontsize=9, color=INK)
    ax.legend(frameon=False, fontsize=8)
    return ax


def kobe(trajectories: Sequence[Trajectory], *, ax: Axes | None = None) -> Axes:
    """B / B_MSY against F / F_MSY: the path of the medians, and where each episode ends (a dot).

    F is the catch as a share of the stock. The title counts the episodes that end in the red quarter.
    """
    if not trajectories:
        raise DataError("no trajectories: give at least one, from rollout")
    ax = new_axes((5.2, 4.8)) if ax is None else ax
    problem = trajectories[0].problem
    points = problem.reference
    stock = np.array([t.final.stock for t in trajectories])[:, :-1]
    caught = np.minimum(stock, np.array([t.final.quota for t in trajectories]))
    rate = np.where(stock > 0.0, caught / np.where(stock > 0.0, stock, 1.0), 1.0) / points.f_msy
    share = stock / points.b_msy
    right, up = max(2.0, float(share.max())), max(2.0, float(rate.max()))
    for x, y, w, h, colour in (
        (0.0, 1.0, 1.0, up - 1.0, "#e9a3a3"), (1.0, 1.0, right - 1.0, up - 1.0, "#f4e2a4"),
        (0.0, 0.0, 1.0, 1.0, "#f4e2a4"), (1.0, 0.0, right - 1.0, 1.0, "#b5dcb5"),
    ):  # fmt: skip
        ax.add_patch(_box(x, y, w, h, colour))
    ax.plot(share[:, -1], rate[:, -1], ".", color=INK, ms=3, alpha=0.4)
    ax.plot(np.median(share, axis=0), np.median(rate, axis=0), color=INK, linewidth=1.2)
    red = float(((share[:, -1] < 1.0) & (rate[:, -1] > 1.0)).mean())
    ax.set_xlim(0.0, right)
    ax.set_ylim(0.0, up)
    ax.set_title(f"{red:.0%} end overfished and still overfishing", fontsize=9, color=INK)
    ax.set_xlabel("B / B_MSY", fontsize=9, color=INK)
    ax.set_ylabel("F / F_MSY", fontsize=9, color=INK)
    return ax


def _box(x: float, y: float, width: float, height: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, facecolor=colour, edgecolor=FAINT, zorder=0)


def _words(ax: Axes, problem: Fishery, across: str, up: str, *, time: bool = False) -> None:
    tidy(ax)
    ax.set_xlabel(across if time else f"{across} ({problem.unit})", fontsize=9, color=INK)
    ax.set_ylabel(f"{up} ({problem.unit})", fontsize=9, color=INK)
