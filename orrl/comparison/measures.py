"""Measures of each run against the three references, which are never merged: proven bound, best known, a method.

Imports pandas; loaded by `table` only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..core.types import excess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .cell import Row

__all__ = [
    "FAILED",
    "FORMULAS",
    "UNTRIED",
    "frame",
    "group_excess",
    "horizon",
    "signed_excess",
    "tensor",
    "time_to_quality",
]

# No run took place, so nothing is held against the method ...
UNTRIED = ("unsupported", "missing")
# ... while these are runs without an answer.
FAILED = ("error", "no_solution", "infeasible")

FORMULAS = {
    "gap to bound": "|z - b| / max(|z|, |b|), b the best bound proven in this comparison; a run without an answer is "
    "100%",
    "excess": "(z - ref) / |ref| when minimising, (ref - z) / |ref| when maximising: positive is worse; with "
    "scenarios, the means over an instance's scenarios stand for z, b and ref",
    "best known": "a published value, from the file and source named with each instance",
    "interval": "95%, crossed bootstrap over seeds and instances (and scenarios); runs are paired by instance, scenario"
    " and seed",
    "SGM": "shifted geometric mean of the seconds of a run (building and solving; neither compiling nor training), "
    "shift 1 s; a run without an answer counts the limit",
    "PAR10": "mean seconds to a proof of optimality, ten times the limit where there was none; only for methods that "
    "prove",
    "primal integral": "seconds x primal gap to the best value known, to the limit; gap 1 before the first solution",
    "break-even": "training seconds / (seconds of the reference method until it is as good - seconds of the policy)",
    "headroom": "mean gap to the best bound (where none was proven: excess over the best known) of a method that takes "
    "no thought: what is left to be won",
}


def signed_excess(value: float, reference: float, sense: str) -> float:
    """Excess of a value over a reference, positive where it is worse."""
    return excess(value, reference) if sense == "min" else -excess(value, reference)


def horizon(rows: Sequence[Row]) -> float:
    """End of the anytime curves: the time limit, else the longest run."""
    limits = [row.cell.time_limit for row in rows if row.cell.time_limit is not None]
    return (
        max(limits) if limits else max((row.result.times.total for row in rows if row.result is not None), default=1.0)
    )


def frame(rows: Sequence[Row], reference: str | None) -> pd.DataFrame:
    """One line per run; the columns are described in `Comparison.to_frame`."""
    bounds, targets = _best(rows)
    values = {
        _key(row): row.result.objective for row in rows if row.cell.method == reference and row.answered and row.result
    }
    end = horizon(rows)
    lines = []
    for row in rows:
        line = _plain_columns(row)
        group = (row.cell.problem_hash, row.cell.scenario)
        line.update(
            _measures(row, bounds.get(group), targets.get(group), end), reference=_number(values.get(_key(row)))
        )
        lines.append(line)
    data = pd.DataFrame(lines).astype({"scenario": "Int64", "trainings": "Int64", "feasible": "boolean"})
    untried, answered = data["status"].isin(UNTRIED), data["answered"].to_numpy(bool)
    z = data["objective"].where(data["answered"])
    gap = group_excess(data, z, data["best_bound"], larger=True).abs()
    gap[data["status"] == "estimated"] = math.nan
    gap[~answered & ~untried & data["best_bound"].notna()] = 1.0
    data["gap_bound"] = gap
    data["excess_reference"] = group_excess(data, z, data["reference"])
    return data


def group_excess(data: pd.DataFrame, z: pd.Series, ref: pd.Series, *, larger: bool = False) -> pd.Series:
    """Signed excess of each run, in units of the mean reference over the scenarios of its method, instance and seed.

    Without scenarios that is the plain excess. With them the mean over the scenarios is the excess of the *mean*
    objective, which is what counts: a mean of the ratios of single scenarios would weigh a scenario the more the
    less there is to be had in it, and can put two policies in another order than their means.

    Parameters
    ----------
    data : DataFrame
        With columns method, problem_hash, seed and sense.
    z, ref : Series
        Values and what they are measured by, NaN where there is none.
    larger : bool
        Divide by the larger of the two means (a gap) instead of by the reference's.
    """
    sign = data["sense"].map({"min": 1.0, "max": -1.0})
    known = z.notna() & ref.notna()
    by = [data[column] for column in ("method", "problem_hash", "seed")]
    scale = ref.where(known).groupby(by).transform("mean").abs()
    if larger:
        other = z.where(known).groupby(by).transform("mean").abs()
        scale = scale.where(scale >= other, other)
    over = (sign * (z - ref)).where(known)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (over / scale).where(over != 0.0, over)  # nothing over nothing is nothing


def _key(row: Row) -> tuple[str, int | None, int]:
    return (row.cell.problem_hash, row.cell.scenario, row.cell.seed)


Group = tuple[str, int | None]


def _best(rows: Sequence[Row]) -> tuple[dict[Group, float], dict[Group, float]]:
    """Per instance and scenario: the best proven bound, and the best value that anybody has (the target)."""
    bounds: dict[Group, float] = {}
    targets: dict[Group, float] = {}
    for row in rows:
        group = (row.cell.problem_hash, row.cell.scenario)
        result, minimise = row.result, row.cell.sense == "min"
        better, tighter = (min, max) if minimise else (max, min)
        known = row.cell.best_known
        if known is not None:
            targets[group] = better(targets.get(group, known), known)
        if result is None:
            continue
        if row.answered and result.objective is not None:
            targets[group] = better(targets.get(group, result.objective), result.objective)
        of_this = row.cell.scenario is None or row.cell.clairvoyant
        if result.bound is not None and result.bound.kind == "proven" and of_this and result.status != "error":
            bounds[group] = tighter(bounds.get(group, result.bound.value), result.bound.value)
    return bounds, targets


def _plain_columns(row: Row) -> dict[str, Any]:
    cell, outcome, result = row.cell, row.outcome, row.result
    times = None if result is None else result.times
    seconds = math.nan if times is None else max(0.0, times.total - times.compile - times.train)
    judged = None if result is None or result.evaluation is None else result.evaluation.feasible
    return {
        "problem": cell.problem,
        "problem_hash": cell.problem_hash,
        "family": cell.family,
        **{f"size_{key}": value for key, value in cell.size.items()},
        "method": cell.method,
        "kind": cell.kind,
        "role": cell.role,
        "seed": cell.seed,
        "scenario": cell.scenario,
        "clairvoyant": cell.clairvoyant,
        "status": outcome.status,
        "stop": outcome.stop,
        "answered": row.answered,
        "feasible": None if outcome.status in UNTRIED else bool(judged),
        "objective": _number(None if result is None else result.objective),
        "sense": cell.sense,
        "unit": cell.unit,
        "bound": _number(None if result is None or result.bound is None else result.bound.value),
        "bound_kind": "" if result is None or result.bound is None else result.bound.kind,
        "bound_of": "" if result is None or result.bound is None else result.bound.of,
        "gap": _number(None if result is None or not row.answered else result.gap),
        "best_known": _number(cell.best_known),
        "best_source": cell.best_source,
        "compile_seconds": math.nan if times is None else times.compile,
        "build_seconds": math.nan if times is None else times.build,
        "train_seconds": _number(cell.train_seconds if times is None or not times.train else times.train),
        "solve_seconds": math.nan if times is None else times.solve,
        "total_seconds": math.nan if times is None else times.total,
        "cpu_seconds": math.nan if times is None else times.cpu,
        "seconds": seconds,
        "time_limit": _number(cell.time_limit),
        "threads": cell.threads,
        "trainings": cell.trainings,
        "seen": cell.seen,
        "machine": outcome.machine,
        "message": outcome.message,
        "key": cell.key,
    }


def _measures(row: Row, bound: float | None, target: float | None, end: float) -> dict[str, float]:
    """Excess over the best known value, primal integral; NaN where the other side is unknown."""
    out = {
        "best_bound": _number(bound),
        "target": _number(target),
        "excess_best": math.nan,
        "primal_integral": math.nan,
    }
    if row.outcome.status in UNTRIED:
        return out
    result = row.result
    if not row.answered or result is None or result.objective is None:
        if target is not None:
            out["primal_integral"] = end
        return out
    if row.cell.best_known is not None:
        out["excess_best"] = signed_excess(result.objective, row.cell.best_known, row.cell.sense)
    if target is not None:
        out["primal_integral"] = result.trace.primal_integral(end, target)
    return out


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def time_to_quality(row: Row, value: float) -> float:
    """Seconds until a run's incumbent was as good as `value`; its whole time where it never was."""
    result = row.result
    if result is None:
        return row.cell.time_limit or math.nan
    for point in result.trace.points:
        if point.objective is not None:
            worse = point.objective - value if row.cell.sense == "min" else value - point.objective
            if worse <= 1e-9 * max(1.0, abs(value)):
                return point.seconds
    return result.times.total


def tensor(data: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    """Scores of one method as (seeds, instances, scenarios), NaN where there is none.

    Where instances have different numbers of scenarios, an instance's scenarios are averaged first, so that each
    instance weighs the same; the last axis is then 1.
    """
    scenario = data["scenario"].astype("float64").fillna(-1.0)
    table = data.assign(scenario=scenario)
    counts = table.groupby("problem_hash")["scenario"].nunique()
    if counts.nunique() > 1:
        table = table.groupby(["seed", "problem_hash"], as_index=False)[column].mean().assign(scenario=-1.0)
    seeds = {s: i for i, s in enumerate(sorted(table["seed"].unique()))}
    problems = {p: i for i, p in enumerate(sorted(table["problem_hash"].unique()))}
    worlds = {w: i for i, w in enumerate(sorted(table["scenario"].unique()))}
    out = np.full((len(seeds), len(problems), len(worlds)), np.nan)
    columns = (table["seed"], table["problem_hash"], table["scenario"], table[column])
    for seed, problem, world, value in zip(*columns, strict=True):
        out[seeds[seed], problems[problem], worlds[world]] = value
    return out
