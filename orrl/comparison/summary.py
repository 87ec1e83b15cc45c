"""From runs to one line per method, paired differences, profiles and the cautions that belong under a table.

Imports pandas; loaded by `table` only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..core.types import relative_gap
from .measures import FAILED, UNTRIED, group_excess, horizon, tensor, time_to_quality
from .statistics import (
    aggregate_iqm,
    crossed_bootstrap,
    holm,
    par10,
    performance_profile,
    probability_of_improvement,
    score_distribution,
    shifted_geometric_mean,
    wilcoxon,
    wilson_interval,
    win_tie_loss,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .cell import Row

__all__ = ["anytime", "default_reference", "headroom", "pairwise", "profile", "summarise"]

SHIFT = 1.0
# Fewest pairs with which the signed-rank test can reach 5%. With as many instances they are its units; with fewer it
# takes instances and scenarios, and speaks of these instances alone.
ENOUGH = 6


def default_reference(rows: Sequence[Row], methods: Sequence[str]) -> str:
    """The first exact method that has any answer, else the first that is no reference row, else the first."""
    answered = {row.cell.method for row in rows if row.answered}
    exact = {row.cell.method for row in rows if row.cell.kind == "exact"}
    roles = {row.cell.method: row.cell.role for row in rows}
    for wanted in (exact & answered, {m for m in answered if not roles[m]}, answered):
        for method in methods:
            if method in wanted:
                return method
    return methods[0]


def summarise(rows: Sequence[Row], data: pd.DataFrame, methods: Sequence[str], reference: str) -> pd.DataFrame:
    """One line per method; the columns are described in `Comparison.summary`."""
    end = horizon(rows)
    lines = []
    for method in methods:
        own = data[data["method"] == method]
        tried = own[~own["status"].isin(UNTRIED)]
        gap_low, gap_high = _interval(tried, "gap_bound")
        low, high = _interval(tried, "excess_reference")
        feasible = int(tried["feasible"].fillna(False).astype(bool).sum())
        rate = wilson_interval(feasible, len(tried)) or (math.nan, math.nan)
        times = tried["seconds"].where(tried["answered"], tried["time_limit"].fillna(tried["seconds"])).dropna()
        proves = bool((tried["bound_kind"] == "proven").any())
        solved = tried["status"] == "optimal"
        kinds = [kind for kind in own["kind"] if kind]
        lines.append(
            {
                "method": method,
                "kind": kinds[0] if kinds else "",
                "role": _role(own),
                "runs": len(tried),
                "failed": int(tried["status"].isin(FAILED).sum()),
                "unsupported": int((own["status"] == "unsupported").sum()),
                "missing": int((own["status"] == "missing").sum()),
                "feasible_rate": feasible / len(tried) if len(tried) else math.nan,
                "feasible_low": rate[0],
                "feasible_high": rate[1],
                "optimal": int(solved.sum()),
                "proves": proves,
                "gap_bound": tried["gap_bound"].mean(),
                "gap_bound_low": gap_low,
                "gap_bound_high": gap_high,
                "gap_bound_n": int(tried["gap_bound"].notna().sum()),
                "excess_best": tried["excess_best"].mean(),
                "excess_best_n": int(tried["excess_best"].notna().sum()),
                "excess_reference": tried["excess_reference"].mean(),
                "excess_reference_low": low,
                "excess_reference_high": high,
                "excess_reference_iqm": float(aggregate_iqm(tried["excess_reference"].to_numpy(np.float64)))
                if len(tried)
                else math.nan,
                "excess_reference_n": int(tried["excess_reference"].notna().sum()),
                "seconds_sgm": shifted_geometric_mean(times.to_numpy(np.float64), SHIFT) if len(times) else math.nan,
                "seconds_mean": times.mean(),
                "cpu_seconds": tried["cpu_seconds"].mean(),
                "compile_seconds": tried["compile_seconds"].max(),
                "par10": par10(tried["total_seconds"].fillna(end), solved, end) if proves else math.nan,
                "primal_integral": tried["primal_integral"].mean(),
                "limit_hits": int((tried["stop"] == "time").sum()),
                "train_seconds": tried["train_seconds"].mean(),
                "trainings": own["trainings"].max(),
                **_break_even(rows, method, reference),
            }
        )
    return pd.DataFrame(lines).set_index("method")


def _role(own: pd.DataFrame) -> str:
    roles = {role for role in own["role"] if role}
    return roles.pop() if len(roles) == 1 else ""


def _interval(data: pd.DataFrame, column: str) -> tuple[float, float]:
    if not len(data):
        return math.nan, math.nan
    return crossed_bootstrap(tensor(data, column)) or (math.nan, math.nan)


def _break_even(rows: Sequence[Row], method: str, reference: str) -> dict[str, float]:
    """Instances after which training has paid: to equal quality (printed), and against whole runs of the reference.

    Infinite where the reference is as fast as the policy; NaN for a method without training.
    """
    own = {
        (r.cell.problem_hash, r.cell.scenario, r.cell.seed): r for r in rows if r.cell.method == method and r.answered
    }
    other = {(r.cell.problem_hash, r.cell.scenario, r.cell.seed): r for r in rows if r.cell.method == reference}
    shared = [key for key in own if key in other and other[key].result is not None]
    trained = [s for r in own.values() if (s := _train_seconds(r)) is not None]
    if not trained or not shared or method == reference:
        return {"break_even": math.nan, "break_even_whole": math.nan}
    train = float(np.mean(trained))
    policy = float(np.mean([_seconds(own[key]) for key in shared]))
    equal = float(np.mean([time_to_quality(other[key], _value(own[key])) for key in shared]))
    whole = float(np.mean([_seconds(other[key]) for key in shared]))
    return {
        "break_even": train / (equal - policy) if equal > policy else math.inf,
        "break_even_whole": train / (whole - policy) if whole > policy else math.inf,
    }


def _train_seconds(row: Row) -> float | None:
    if row.result is not None and row.result.times.train:
        return row.result.times.train
    return row.cell.train_seconds


def _seconds(row: Row) -> float:
    times = row.result.times if row.result is not None else None
    return math.nan if times is None else max(0.0, times.total - times.compile - times.train)


def _value(row: Row) -> float:
    value = None if row.result is None else row.result.objective
    return math.nan if value is None else value


def pairwise(data: pd.DataFrame, methods: Sequence[str], reference: str, tol: float) -> pd.DataFrame:
    """Each method against the reference on shared keys; see `Comparison.pairwise`."""
    tried = data[~data["status"].isin(UNTRIED)]
    index = ["problem_hash", "scenario", "seed"]
    keyed = tried.assign(scenario=tried["scenario"].astype("float64").fillna(-1.0)).set_index(index)
    base = keyed.loc[keyed["method"] == reference, ["objective", "answered"]].add_suffix("_ref")
    lines = []
    for method in methods:
        both = keyed[keyed["method"] == method].join(base, how="inner")
        if method == reference or both.empty:
            continue
        sign = np.where(both["sense"] == "min", 1.0, -1.0)
        mine = np.where(both["answered"], sign * both["objective"], np.nan)
        theirs = np.where(both["answered_ref"], sign * both["objective_ref"], np.nan)
        table = both.reset_index().assign(mine=mine, theirs=theirs)
        z, ref = table["objective"].where(table["answered"]), table["objective_ref"].where(table["answered_ref"])
        difference = group_excess(table, z, ref)
        table["difference"] = difference
        # for ranks, a run without an answer is the worst difference there is
        lost = np.isnan(mine).astype(float) - np.isnan(theirs).astype(float)
        table["ranked"] = np.where(np.isfinite(difference), difference, 1e12 * lost)
        units = table.groupby(["problem_hash", "scenario"])["ranked"].mean()
        if units.index.get_level_values(0).nunique() >= ENOUGH:
            units = units.groupby(level=0).mean()
        cube = tensor(table, "difference")
        low, high = crossed_bootstrap(cube) or (math.nan, math.nan)
        wins = win_tie_loss(mine, theirs, tol)
        lines.append(
            {
                "method": method,
                "reference": reference,
                "runs": len(table),
                "units": len(units),
                "difference": float(np.nanmean(difference)) if np.isfinite(difference).any() else math.nan,
                "low": low,
                "high": high,
                "wins": wins.wins,
                "ties": wins.ties,
                "losses": wins.losses,
                "p": wilcoxon(units),
                "probability_of_improvement": probability_of_improvement(
                    _tasks(table, "mine"), _tasks(table, "theirs")
                ),
            }
        )
    out = pd.DataFrame(lines)
    if len(out):
        out.insert(list(out.columns).index("p") + 1, "p_holm", holm(out["p"]))
        out = out.set_index("method")
    return out


def _tasks(table: pd.DataFrame, column: str) -> np.ndarray:
    cube = tensor(table, column)
    return cube.reshape(cube.shape[0], -1)


def headroom(summary: pd.DataFrame) -> tuple[str, dict[str, tuple[str, float]]]:
    """Distance that methods without thought leave: what it is measured by, and role -> (method, distance)."""
    tried = summary[summary["runs"] > 0]
    bounded = bool(tried["gap_bound"].notna().any())
    column, measure = (
        ("gap_bound", "gap to the best bound") if bounded else ("excess_best", "excess over the best known")
    )
    known = tried[tried[column].notna()]
    found = {}
    for role in ("random", "myopic"):
        rows = known[known["role"] == role]
        if len(rows):
            found[role] = (str(rows.index[0]), float(rows[column].iloc[0]))
    rules = known[(known["kind"] == "rule") & (known["role"] == "")]
    if "myopic" not in found and len(rules):
        best = str(rules[column].idxmin())
        found["best rule"] = (best, float(rules[column].min()))
    return measure, found


def anytime(rows: Sequence[Row], targets: Mapping[str, float], points: int = 80) -> pd.DataFrame:
    """Mean primal gap of each method over time, runs without a solution yet counted as 1; see `Comparison.anytime`."""
    end = horizon(rows)
    seconds = np.geomspace(min(1e-3, end / 2), end, points)
    curves: dict[str, list[np.ndarray]] = {}
    for row in rows:
        target = targets.get(row.cell.key, math.nan)
        if row.outcome.status in UNTRIED or not math.isfinite(target):
            continue
        gap = np.ones(points)
        if row.result is not None and row.answered:
            for point in row.result.trace.points:
                if point.objective is not None:
                    gap[seconds >= point.seconds] = relative_gap(point.objective, target)
        curves.setdefault(row.cell.method, []).append(gap)
    parts = []
    for method, runs in curves.items():
        table = np.array(runs)
        parts.append(
            pd.DataFrame(
                {
                    "method": method,
                    "seconds": seconds,
                    "gap": table.mean(axis=0),
                    "best": table.min(axis=0),
                    "worst": table.max(axis=0),
                    "runs": len(table),
                }
            )
        )
    columns = ["method", "seconds", "gap", "best", "worst", "runs"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def profile(
    rows: Sequence[Row], data: pd.DataFrame, methods: Sequence[str], metric: str, within: float
) -> pd.DataFrame:
    """Share of runs per method (columns) over a threshold (index); see `Comparison.profile`."""
    tried = data[~data["status"].isin(UNTRIED)]
    shown = [m for m in methods if (tried["method"] == m).any()]
    if metric == "gap":
        taus = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 120)])
        # 1e-9: rounding in a gap that is zero
        shares = {m: score_distribution(tried.loc[tried["method"] == m, "gap_bound"] - 1e-9, taus) for m in shown}
        return pd.DataFrame(shares, index=pd.Index(taus, name="gap"))
    if metric != "seconds":
        raise ValueError(f"metric is {metric!r}: give 'gap' or 'seconds'")
    targets = dict(zip(data["key"], data["target"], strict=True))
    cost: dict[str, dict[Any, float]] = {m: {} for m in shown}
    for row in rows:
        if row.cell.method in cost:
            key: Any = (row.cell.problem_hash, row.cell.scenario, row.cell.seed)
            cost[row.cell.method][key] = _time_within(row, targets[row.cell.key], within)
    tasks = sorted({key for own in cost.values() for key in own}, key=str)
    table = np.array([[cost[m].get(key, math.inf) for key in tasks] for m in shown])
    ratios = np.geomspace(1.0, 1e4, 120)
    return pd.DataFrame(performance_profile(table, ratios).T, columns=shown, index=pd.Index(ratios, name="ratio"))


def _time_within(row: Row, target: float, within: float) -> float:
    """Seconds until the excess over the target was at most `within`, at least one millisecond; else infinite."""
    if not row.answered or row.result is None or not math.isfinite(target):
        return math.inf
    found = row.result.trace.time_to_excess(within + 1e-9, target)
    return math.inf if found is None else max(found, 1e-3)
