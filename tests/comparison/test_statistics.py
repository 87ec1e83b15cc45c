"""Each statistic against values known from elsewhere, or against the coverage that it promises."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from orrl.comparison import statistics as s

SCORES = arrays(np.float64, (3, 5), elements=st.floats(-100, 100, allow_nan=False, width=32))


# ---- aggregates ------------------------------------------------------------------------------------------------------
def test_iqm_is_scipys_trimmed_mean() -> None:
    values = np.random.default_rng(0).normal(size=(4, 23))
    assert s.aggregate_iqm(values) == pytest.approx(stats.trim_mean(values, 0.25, axis=-1))
    assert s.aggregate_iqm([1, 2, 3, 1000]) == 2.5


def test_aggregates_leave_missing_runs_out() -> None:
    values = np.array([[5.0, np.nan, 1.0, 3.0], [np.nan, np.nan, np.nan, np.nan]])
    assert s.aggregate_mean(values) == pytest.approx([3.0, np.nan], nan_ok=True)
    assert s.aggregate_median(values) == pytest.approx([3.0, np.nan], nan_ok=True)
    assert s.aggregate_iqm(np.append(np.arange(8.0), [np.nan] * 5)) == pytest.approx(3.5)


@given(SCORES)
def test_median_is_numpys(values: np.ndarray) -> None:
    assert s.aggregate_median(values) == pytest.approx(np.median(values, axis=-1))


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 0.8151932), (1.0, 5.4460428), (10.0, 23.4409185)])
def test_shifted_geometric_mean(shift: float, expected: float) -> None:
    times = [0.01, 0.02, 0.5, 1.0, 3600.0]
    assert s.shifted_geometric_mean(times, shift) == pytest.approx(expected, rel=1e-6)
    if shift:
        assert s.shifted_geometric_mean(times, shift) == pytest.approx(stats.gmean(np.add(times, shift)) - shift)


def test_shifted_geometric_mean_refuses_what_has_no_logarithm() -> None:
    with pytest.raises(ValueError, match="negative"):
        s.shifted_geometric_mean([0.0, 1.0], 0.0)
    assert math.isnan(s.shifted_geometric_mean([]))


def test_par10_counts_an_unsolved_run_tenfold() -> None:
    assert s.par10([2.0, 4.0, 60.0], [True, True, False], 60.0) == pytest.approx((2 + 4 + 600) / 3)


def test_wilson_interval() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3
    assert s.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert s.wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert s.wilson_interval(0, 0) is None


# ---- tests -----------------------------------------------------------------------------------------------------------
def test_holm_on_the_textbook_case() -> None:
    assert s.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert s.holm([0.9, math.nan, 0.02]) == pytest.approx([0.9, math.nan, 0.04], nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_helps_and_keeps_the_order(p: list[float]) -> None:
    corrected = s.holm(p)
    assert (corrected >= np.array(p) - 1e-12).all() and (corrected <= 1).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(corrected[order]) >= -1e-12).all()


def test_wilcoxon() -> None:
    # Wilcoxon's plants (Hollander & Wolfe), W = 15 of n = 15: p = 0.0413 as in R's wilcox.test(exact = TRUE)
    x = [4.9, -6.7, 0.8, 1.6, 0.6, 2.3, 2.8, 4.1, 1.4, 2.9, 5.6, 2.4, 7.5, 6.0, -4.8]
    plants = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert s.wilcoxon(x) == pytest.approx(s.wilcoxon(plants))
    assert s.wilcoxon(plants) == pytest.approx(0.04126, abs=1e-5)
    assert s.wilcoxon([0.0, 0.0]) == 1.0
    assert math.isnan(s.wilcoxon([math.nan]))


def test_win_tie_loss_and_improvement_count_a_failure_as_a_loss() -> None:
    nan = math.nan
    assert s.win_tie_loss([1, 2, 3, nan, nan, 5], [2, 2, 1, 4, nan, nan]) == (2, 2, 2)
    assert s.win_tie_loss([100.0], [100.00001]) == (0, 1, 0)
    assert s.win_tie_loss([100.0], [100.1]) == (1, 0, 0)
    assert s.probability_of_improvement([[1.0, nan]], [[2.0, 7.0]]) == 0.5
    # two runs against two on one instance: 3 of 4 pairs better, one equal
    assert s.probability_of_improvement([[1.0], [2.0]], [[2.0], [3.0]]) == pytest.approx(3.5 / 4)


@given(SCORES, SCORES)
def test_improvement_is_the_mann_whitney_statistic(x: np.ndarray, y: np.ndarray) -> None:
    u = stats.mannwhitneyu(-x, -y, axis=0, method="asymptotic").statistic / 9
    assert s.probability_of_improvement(x, y) == pytest.approx(u.mean())
    assert s.probability_of_improvement(x, y) + s.probability_of_improvement(y, x) == pytest.approx(1.0)


# ---- profiles --------------------------------------------------------------------------------------------------------
def test_performance_profile_of_dolan_and_more() -> None:
    costs = [[1.0, 4.0, np.nan, np.inf], [2.0, 2.0, 3.0, np.nan]]
    profile = s.performance_profile(costs, [1.0, 2.0, 10.0])
    assert profile == pytest.approx(np.array([[0.25, 0.5, 0.5], [0.5, 0.75, 0.75]]))
    with pytest.raises(ValueError, match="positive"):
        s.performance_profile([[0.0]], [1.0])


def test_score_distribution_counts_failures_above_everything() -> None:
    assert s.score_distribution([0.0, 0.1, np.nan, 0.5], [0.0, 0.1, 1.0]) == pytest.approx([0.25, 0.5, 0.75])


# ---- intervals -------------------------------------------------------------------------------------------------------
@settings(max_examples=25, deadline=None)
@given(SCORES)
def test_bootstrap_lies_within_the_scores_and_is_reproducible(scores: np.ndarray) -> None:
    interval = s.crossed_bootstrap(scores, reps=200)
    assert interval is not None
    assert scores.min() - 1e-9 <= interval[0] <= interval[1] <= scores.max() + 1e-9
    assert interval == s.crossed_bootstrap(scores, reps=200)


def test_bootstrap_needs_something_to_resample() -> None:
    assert s.crossed_bootstrap([[1.0]]) is None
    assert s.crossed_bootstrap([[1.0, np.nan]]) is None
    with pytest.raises(ValueError, match="axes"):
        s.crossed_bootstrap([1.0, 2.0])


def test_bootstrap_of_a_deterministic_method_has_width() -> None:
    rng = np.random.default_rng(1)
    scores = np.repeat(rng.gamma(2.0, size=(1, 30)), 5, axis=0)  # the same on every seed
    low, high = s.crossed_bootstrap(scores) or (0.0, 0.0)
    width = 2 * 1.96 * scores[0].std(ddof=1) / math.sqrt(30)
    assert high - low == pytest.approx(width, rel=0.15)


def test_bootstrap_resamples_scenarios_within_their_instance() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(1, 1, 200))  # one instance, one seed: only the scenarios vary
    low, high = s.crossed_bootstrap(scores) or (0.0, 0.0)
    assert high - low == pytest.approx(2 * 1.96 / math.sqrt(200), rel=0.2)
    # instances that differ by nothing but noise: nested resampling sees M * K draws, and errs on the wide side
    low, high = s.crossed_bootstrap(rng.normal(size=(1, 20, 50))) or (0.0, 0.0)
    assert 2 * 1.96 / math.sqrt(1000) < high - low < 2.2 * 2 * 1.96 / math.sqrt(1000)


def _coverage(*, paired: bool) -> float:
    """How often the interval holds the mean over all seeds and instances, 10 seeds by 40 instances."""
    hits, trials = 0, 150
    for trial in range(trials):
        rng = np.random.default_rng([7, trial])
        hard = rng.normal(0, 1.0, (1, 40))  # hardness of the instance, shared by both methods
        first = hard + rng.normal(0, 0.3, (10, 1)) + rng.normal(0, 0.3, (10, 40)) + 1.0
        if paired:
            second = hard + rng.normal(0, 0.1, (10, 40)) + rng.normal(0, 0.2, (1, 40))
            _, interval = s.paired_difference(first, second, reps=300, seed=trial)
        else:
            interval = s.crossed_bootstrap(first, reps=300, seed=trial)
        assert interval is not None
        hits += interval[0] <= 1.0 <= interval[1]
    return hits / trials


def test_simulated_coverage() -> None:
    # nominal 95%; 150 trials have a standard error of 1.8 points; few seeds cost a little, crossing gives some back
    assert 0.88 <= _coverage(paired=False) <= 0.99
    assert 0.88 <= _coverage(paired=True) <= 0.99


def test_pairing_halves_the_interval() -> None:
    rng = np.random.default_rng(3)
    hard = rng.normal(0, 1.0, (1, 20))
    x, y = hard + 0.5 + rng.normal(0, 0.2, (5, 20)), hard + rng.normal(0, 0.2, (5, 20))
    mean, paired = s.paired_difference(x, y)
    apart = [s.crossed_bootstrap(v) for v in (x, y)]
    assert paired is not None and all(apart)
    unpaired = math.sqrt(sum((v[1] - v[0]) ** 2 for v in apart if v))
    assert mean == pytest.approx((x - y).mean())
    assert paired[1] - paired[0] < 0.5 * unpaired
