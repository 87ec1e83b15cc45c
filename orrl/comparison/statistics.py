"""Statistics of benchmark tables: intervals over seeds *and* instances, paired tests, means of times, profiles.

Scores are arrays (seeds, instances) or (seeds, instances, scenarios), NaN where a run gave no answer, and **lower is
better** everywhere. Names follow rliable (Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the
Statistical Precipice, NeurIPS) where the thing is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ..core.types import Interval

__all__ = [
    "WinTieLoss",
    "aggregate_iqm",
    "aggregate_mean",
    "aggregate_median",
    "crossed_bootstrap",
    "holm",
    "paired_difference",
    "par10",
    "performance_profile",
    "probability_of_improvement",
    "score_distribution",
    "shifted_geometric_mean",
    "wilcoxon",
    "wilson_interval",
    "win_tie_loss",
]

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], Floats]


class WinTieLoss(NamedTuple):
    """How often the first was better, equal and worse."""

    wins: int
    ties: int
    losses: int


def aggregate_mean(scores: npt.ArrayLike) -> Floats:
    """Mean over the last axis; missing runs are left out."""
    return _over_last(np.asarray(scores, dtype=np.float64), 0.0)


def aggregate_iqm(scores: npt.ArrayLike) -> Floats:
    """Interquartile mean over the last axis: the mean of the middle half, ``floor(n/4)`` cut at each end."""
    return _over_last(np.asarray(scores, dtype=np.float64), 0.25)


def aggregate_median(scores: npt.ArrayLike) -> Floats:
    """Median over the last axis."""
    values = np.sort(np.asarray(scores, dtype=np.float64), axis=-1)
    n = (~np.isnan(values)).sum(axis=-1, keepdims=True)
    low = np.take_along_axis(values, np.maximum(n - 1, 0) // 2, axis=-1)[..., 0]
    high = np.take_along_axis(values, np.minimum(n // 2, values.shape[-1] - 1), axis=-1)[..., 0]
    return np.asarray((low + high) / 2)


def _over_last(values: Floats, cut: float) -> Floats:
    """Trimmed mean that knows about NaN: they sort to the end and are never counted."""
    ordered = np.sort(values, axis=-1)
    n = (~np.isnan(ordered)).sum(axis=-1, keepdims=True)
    k = np.floor(cut * n)
    rank = np.arange(values.shape[-1])
    kept = (rank >= k) & (rank < n - k)
    count = kept.sum(axis=-1)
    total = np.where(kept, ordered, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def crossed_bootstrap(
    scores: npt.ArrayLike,
    statistic: Statistic = aggregate_mean,
    *,
    reps: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval | None:
    """Percentile interval that resamples seeds and instances, independently and crossed.

    A deterministic solver has no variance over seeds, yet another draw of instances would give another mean: resampling
    runs alone gives an interval of width zero. The crossed (pigeonhole) bootstrap errs on the wide side
    (Owen 2007, The pigeonhole bootstrap, Annals of Applied Statistics 1(2):386-411).

    Parameters
    ----------
    scores : (S, M) or (S, M, K)
        Seeds by instances, by scenarios where there are any; scenarios are resampled within their instance, because
        the noise of two instances is unrelated even under one scenario seed. NaN where a run gave no answer.
    statistic : callable
        Maps (..., n) to (...).
    reps : int
        Resamples.
    confidence : float
        Level.
    seed : int
        Of the resampling; equal seeds give equal intervals.

    Returns
    -------
    (float, float) or None
        None where there is nothing to resample: a single score, or none.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim == 2:
        table = table[:, :, None]
    if table.ndim != 3:
        raise ValueError(f"scores have {table.ndim} axes: give (seeds, instances) or (seeds, instances, scenarios)")
    if np.isfinite(table).sum() < 2:
        return None
    n, m, k = table.shape
    rng = np.random.default_rng(seed)
    draws = np.empty(reps)
    block = max(1, 2_000_000 // table.size)  # 16 MB at a time
    for begin in range(0, reps, block):
        b = min(block, reps - begin)
        r = rng.integers(0, n, (b, n))[:, :, None, None]
        t = rng.integers(0, m, (b, m))[:, None, :, None]
        u = rng.integers(0, k, (b, m, k))[:, None, :, :]
        draws[begin : begin + b] = statistic(table[r, t, u].reshape(b, -1))
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return None
    low, high = np.quantile(draws, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)


def paired_difference(
    x: npt.ArrayLike, y: npt.ArrayLike, statistic: Statistic = aggregate_mean, **options: Any
) -> tuple[float, Interval | None]:
    """Statistic of ``x - y`` on shared (seed, instance, scenario) keys, and its crossed interval.

    Instances differ far more than methods do, so pairing takes the larger part of the variance away.
    """
    difference = np.asarray(x, dtype=np.float64) - np.asarray(y, dtype=np.float64)
    return float(statistic(difference.reshape(1, -1))[0]), crossed_bootstrap(difference, statistic, **options)


def wilcoxon(differences: npt.ArrayLike) -> float:
    """Two-sided p of the signed-rank test (Wilcoxon 1945) that the differences are symmetric about zero.

    Give one difference per independent unit (an instance, averaged over its seeds): runs of one instance are no
    independent evidence. 1 where every difference is zero; NaN where there is none.
    """
    from scipy import stats

    d = np.asarray(differences, dtype=np.float64).ravel()
    d = d[np.isfinite(d)]
    if not len(d):
        return math.nan
    return float(stats.wilcoxon(d).pvalue) if np.any(d) else 1.0


def holm(p: npt.ArrayLike) -> Floats:
    """Step-down correction for several tests (Holm 1979, Scandinavian Journal of Statistics 6:65-70).

    ``max over j <= i of min(1, (m - j) p_(j))`` for the i-th smallest of m; NaN stays NaN and is not counted.
    """
    values = np.asarray(p, dtype=np.float64)
    out = np.full(values.shape, np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    factor = len(order) - np.arange(len(order))
    out[order] = np.minimum(1.0, np.maximum.accumulate(factor * values[order]))
    return out


def win_tie_loss(x: npt.ArrayLike, y: npt.ArrayLike, tol: float = 1e-6) -> WinTieLoss:
    """How often x is lower than y by more than ``tol * max(1, |x|, |y|)``, equal, higher; a missing answer loses."""
    a, b = (np.where(np.isnan(v), np.inf, v) for v in (np.asarray(x, np.float64), np.asarray(y, np.float64)))
    both = np.isfinite(a) & np.isfinite(b)
    scale = np.maximum(1.0, np.maximum(np.abs(np.where(both, a, 1.0)), np.abs(np.where(both, b, 1.0))))
    with np.errstate(invalid="ignore"):
        gap = np.where(a == b, 0.0, a - b)
    ties = np.abs(gap) <= tol * scale
    return WinTieLoss(int((~ties & (gap < 0)).sum()), int(ties.sum()), int((~ties & (gap > 0)).sum()))


def probability_of_improvement(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Chance that a run of X is better (lower) than a run of Y on a random instance; ties count half.

    Mean over instances of the Mann-Whitney statistic ``P(x < y) + P(x = y) / 2`` over all pairs of runs
    (Agarwal et al. 2021, section 4.3). x is (S1, M), y is (S2, M); a missing answer loses.
    """
    a, b = (np.where(np.isnan(v), np.inf, v) for v in (np.asarray(x, np.float64), np.asarray(y, np.float64)))
    better = a[:, None, :] < b[None, :, :]
    equal = a[:, None, :] == b[None, :, :]
    return float((better + 0.5 * equal).mean(axis=(0, 1)).mean())


def shifted_geometric_mean(values: npt.ArrayLike, shift: float = 1.0) -> float:
    """``exp(mean(log(t + shift))) - shift``; always state the shift, it decides the story.

    The convention of Mittelmann's benchmarks (shift 10 s there); a run without an answer belongs in at the limit.
    """
    t = np.asarray(values, dtype=np.float64).ravel()
    if not len(t):
        return math.nan
    if t.min() < 0 or shift < 0 or (shift == 0 and t.min() == 0):
        raise ValueError("times and shift must not be negative, nor both zero")
    return float(np.expm1(np.mean(np.log1p(t / shift))) * shift) if shift else float(np.exp(np.log(t).mean()))


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval | None:
    """Interval of a rate (Wilson 1927, JASA 22:209-212); honest at 0 and at n. None without trials."""
    from scipy import stats

    if n == 0:
        return None
    found = stats.binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(found.low), float(found.high)


def par10(seconds: npt.ArrayLike, solved: npt.ArrayLike, limit: float, *, factor: float = 10.0) -> float:
    """Penalised average run time: a run that is not solved counts `factor` times the limit.

    Hutter, Hoos, Leyton-Brown & Stützle 2009, ParamILS, JAIR 36:267-306.
    """
    times = np.asarray(seconds, dtype=np.float64)
    return float(np.where(np.asarray(solved, dtype=bool), times, factor * limit).mean()) if times.size else math.nan


def performance_profile(costs: npt.ArrayLike, ratios: npt.ArrayLike) -> Floats:
    """Share of tasks that each method does within `ratios` times the best method's cost.

    Dolan & Moré 2002, Mathematical Programming 91:201-213. With more than two methods the picture depends on which
    methods are in it (Gould & Scott 2016, ACM TOMS 43(2):15): look at pairs before ranking.

    Parameters
    ----------
    costs : (methods, tasks)
        Positive, NaN or infinite where a method failed; a task that nobody did counts against everybody.
    ratios : (R,)
        At least 1.

    Returns
    -------
    (methods, R)
    """
    table = np.asarray(costs, dtype=np.float64)
    table = np.where(np.isnan(table), np.inf, table)
    if (table <= 0).any():
        raise ValueError("costs must be positive: a ratio to a best cost of zero says nothing")
    with np.errstate(invalid="ignore"):
        ratio = table / table.min(axis=0)
    ratio = np.where(np.isfinite(ratio), ratio, np.inf)
    return np.asarray((ratio[:, :, None] <= np.asarray(ratios, dtype=np.float64) * (1 + 1e-12)).mean(axis=1))


def score_distribution(scores: npt.ArrayLike, taus: npt.ArrayLike) -> Floats:
    """Share of all runs with a score of at most each tau, (R,); a missing answer is above every tau."""
    values = np.asarray(scores, dtype=np.float64).ravel()
    return np.asarray((values[:, None] <= np.asarray(taus, dtype=np.float64)).mean(axis=0))
