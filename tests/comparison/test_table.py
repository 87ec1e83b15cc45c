"""What is said about the runs: three references kept apart, cautions, the printed table, round trips."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from comparison_fakes import Bad, Exact, Learnt, Limited, Off, Player, Toy

from orrl.comparison import Comparison, compare
from orrl.comparison import plan as planning
from orrl.comparison.printing import natural_width, number, percent, span, to_text
from orrl.core import FormatError, OrrlError, RandomPolicy, UnknownNameError

TOYS = [Toy(100.0 * (i + 1)) for i in range(6)]


class Random(Off):
    """Off, and named as what takes no thought."""

    name = "random"
    kind = "rule"


class Rule(Off):
    name = "rule"
    kind = "rule"


@pytest.fixture(scope="module")
def table() -> Comparison:
    methods = {
        "exact": Exact(seconds=0.15),
        "limited": Limited(),
        "off": Off(excess=0.1, spread=0.02),
        "rule": Rule(excess=0.25),
        "bad": Bad(above=400.0),
        "random": Random(excess=0.5),
    }
    return compare(TOYS, methods, seeds=2, time_limit=2.0)


def known(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    def found(problem: Toy) -> Any:
        best = share * problem.optimum
        ends = (best, 0.5 * best) if problem.objective.sense == "min" else (2.0 * best, best)
        return SimpleNamespace(upper=ends[0], lower=ends[1], source="a paper of 1999")

    monkeypatch.setattr(planning, "_best_known", found)


# ---- the three references --------------------------------------------------------------------------------------------
def test_references_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, 1.1)
    frame = compare(TOYS[:2], {"limited": Limited(), "off": Off(excess=0.5)}).to_frame()
    off = frame[frame["method"] == "off"].iloc[0]
    assert off["objective"] == pytest.approx(150.0)
    assert off["best_bound"] == pytest.approx(90.0)  # what `limited` proved
    assert off["gap_bound"] == pytest.approx(60.0 / 150.0)  # |z - b| / max(|z|, |b|)
    assert off["excess_best"] == pytest.approx((150.0 - 110.0) / 110.0)
    assert off["excess_reference"] == pytest.approx((150.0 - 120.0) / 120.0)
    assert math.isnan(off["gap"])  # it proved nothing itself
    assert off["best_source"] == "a paper of 1999"
    limited = frame[frame["method"] == "limited"].iloc[0]
    assert limited["gap"] == limited["gap_bound"] == pytest.approx(0.25)


@pytest.mark.parametrize("sense", ["min", "max"])
def test_sense_enters_every_formula(monkeypatch: pytest.MonkeyPatch, sense: str) -> None:
    known(monkeypatch, 1.0)
    table = compare(Toy(100.0, sense=sense), {"exact": Exact(), "off": Off(excess=0.25)})
    off = table.to_frame().query("method == 'off'").iloc[0]
    assert off["objective"] == pytest.approx(125.0 if sense == "min" else 75.0)
    assert off["excess_best"] == off["excess_reference"] == pytest.approx(0.25)  # positive is worse
    assert off["gap_bound"] == pytest.approx(0.2 if sense == "min" else 0.25)
    pair = table.pairwise().loc["off"]
    assert (pair["wins"], pair["losses"], pair["difference"]) == (0, 1, pytest.approx(0.25))
    assert pair["probability_of_improvement"] == 0.0
    assert table.warnings == ["1 instance: too few for the intervals and tests to mean much"] or all(
        "CONTRADICTION" not in text and "beats" not in text for text in table.warnings
    )


def test_a_false_bound_and_a_new_record_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, 1.05)
    table = compare(TOYS[:1], {"exact": Exact(), "bad": Bad(how="false-bound")})
    assert table.warnings[0].startswith("CONTRADICTION on toy-100: exact has 100")
    assert any(text == "exact beats the best known value on toy-100: 100 against 105" for text in table.warnings)


def test_a_bound_of_a_scenario_is_no_bound_of_the_problem() -> None:
    noisy = Toy(100.0, noisy=True)
    frame = compare(noisy, {"told": Exact(), "blind": Off(excess=0.1)}, scenarios=3).to_frame()
    blind = frame[frame["method"] == "blind"].reset_index()
    told = frame[frame["method"] == "told"].reset_index()
    assert blind["best_bound"].tolist() == pytest.approx(told["objective"].tolist())
    assert blind["gap_bound"].tolist() == pytest.approx([10.0 / blind["objective"].mean()] * 3)
    only_blind = compare(noisy, {"blind": Off(excess=0.1)}, scenarios=3)
    assert only_blind.to_frame()["best_bound"].isna().all()


def test_with_scenarios_the_excess_is_that_of_the_mean() -> None:
    noisy = [Toy(2.0, noisy=True), Toy(300.0, noisy=True)]  # near zero, ratios of single scenarios run wild
    table = compare(noisy, {"told": Exact(), "blind": Off(excess=0.5)}, scenarios=12, seeds=2)
    frame = table.to_frame()
    means = frame.groupby(["method", "problem"])["objective"].mean()
    over = (means["blind"] - means["told"]) / means["told"]
    assert table.summary().loc["blind", "excess_reference"] == pytest.approx(over.mean())
    assert table.pairwise().loc["blind", "difference"] == pytest.approx(over.mean())
    gap = (means["blind"] - means["told"]) / means["blind"]
    assert table.summary().loc["blind", "gap_bound"] == pytest.approx(gap.mean())
    ratios = (frame["objective"] - frame["reference"]) / frame["reference"].abs()
    assert ratios[frame["method"] == "blind"].mean() != pytest.approx(over.mean(), rel=0.05)


def test_tests_stand_on_instances_where_there_are_enough() -> None:
    few, many = [[Toy(10.0 * (i + 1), noisy=True) for i in range(n)] for n in (5, 6)]
    for problems, units in ((few, 15), (many, 6)):
        table = compare(problems, {"told": Exact(), "blind": Off()}, scenarios=3)
        assert table.pairwise().loc["blind", "units"] == units


def test_default_reference_is_the_first_exact_method_with_an_answer() -> None:
    off, exact, limited = Off(), Exact(), Limited()
    assert compare(TOYS[0], {"off": off, "limited": limited, "exact": exact}).reference == "limited"
    assert compare(TOYS[0], {"bad": Bad(), "off": off}).reference == "off"
    assert compare(TOYS[0], {"off": off, "exact": exact}, reference="off").reference == "off"


# ---- one line a method -----------------------------------------------------------------------------------------------
def test_summary(table: Comparison) -> None:
    summary = table.summary()
    assert list(summary.index) == ["exact", "limited", "off", "rule", "bad", "random"]
    assert summary["runs"].tolist() == [12] * 6
    assert summary["optimal"].tolist() == [12, 0, 0, 0, 0, 0]
    assert summary["failed"].tolist() == [0, 0, 0, 0, 6, 0]
    off = summary.loc["off"]
    assert off["excess_reference"] == pytest.approx(0.11)
    # the seeds differ, the instances do not: the interval runs over the seeds alone
    assert (off["excess_reference_low"], off["excess_reference_high"]) == pytest.approx((0.10, 0.12))
    bad = summary.loc["bad"]
    assert bad["feasible_rate"] == 0.5
    assert (bad["feasible_low"], bad["feasible_high"]) == pytest.approx((0.2538, 0.7462), abs=1e-4)
    # a failed run is a gap of 100%; an excess it cannot have, so its number is told
    assert bad["gap_bound"] == pytest.approx((1.0 + 0.3 / 1.3) / 2)
    assert (bad["excess_reference"], bad["excess_reference_n"]) == (pytest.approx(0.3), 6)
    # it failed at once, and is charged the limit
    assert bad["seconds_mean"] == pytest.approx(1.0, abs=0.05)


def test_clocks_and_penalties(table: Comparison) -> None:
    summary = table.summary()
    assert summary.loc["limited", "par10"] == pytest.approx(20.0)  # never proved: ten times the limit
    assert 0.15 <= summary.loc["exact", "par10"] < 0.5
    assert math.isnan(summary.loc["off", "par10"])  # it never claims a proof
    assert summary.loc["limited", "limit_hits"] == 12
    exact = table.to_frame().query("method == 'exact'")
    # 50% off for 0.15 s, a gap of 1/3 in the measure of the integral, and 1 before the first incumbent
    assert exact["primal_integral"].between(0.15 / 3, 0.25).all()
    bad = table.to_frame().query("method == 'bad' and status == 'error'")
    assert (bad["primal_integral"] == 2.0).all()  # gap 1 to the limit
    off = table.to_frame().query("method == 'off' and seed == 0")
    assert off["primal_integral"].to_numpy() == pytest.approx(2.0 * (1 - 1 / 1.1), abs=0.1)  # and what the run took


def test_pairs(table: Comparison) -> None:
    pairs = table.pairwise()
    assert "exact" not in pairs.index
    off = pairs.loc["off"]
    assert (off["runs"], off["units"]) == (12, 6)
    assert (off["wins"], off["ties"], off["losses"]) == (0, 0, 12)
    assert off["p"] == pytest.approx(2 / 2**6)  # six instances, all worse: never one vote a seed
    assert off["p_holm"] == pytest.approx(5 * 2 / 2**6)
    other = table.pairwise("rule")
    assert other.loc["exact", "difference"] == pytest.approx(-0.2)
    assert other.loc["exact", "wins"] == 12
    # bad is worse where it runs and has no answer elsewhere: it loses both
    assert (other.loc["bad", "wins"], other.loc["bad", "losses"]) == (0, 12)
    with pytest.raises(UnknownNameError, match="'rule'"):
        table.pairwise("rul")


def test_reference_rows_and_headroom(table: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    assert table.summary()["role"].to_dict()["random"] == "random"
    assert table.headroom() == {
        "random": ("random", pytest.approx(1 - 1 / 1.5)),
        "best rule": ("rule", pytest.approx(1 - 1 / 1.25)),
    }
    text = str(table)
    assert (
        "headroom (mean gap to the best bound of what takes no thought): random 33.3%, best rule (rule) 20.0%" in text
    )
    assert text.index("for reference") < text.index("random")
    known(monkeypatch, 0.5)
    unproven = compare(TOYS, {"off": Off(), "random": Random(excess=0.5)})
    assert unproven.headroom() == {"random": ("random", pytest.approx(2.0))}
    assert "excess over the best known" in str(unproven)
    trivial = compare(TOYS, {"exact": Exact(), "rule": Rule(excess=0.001)})
    assert "a trivial benchmark" in str(trivial)


def test_random_policy_is_known_by_its_class() -> None:
    from orrl.comparison.entries import role_of
    from orrl.core import PolicySolver

    policy = RandomPolicy()
    policy.name = "dice"
    assert role_of(PolicySolver(policy), False) == "random"


def test_break_even() -> None:
    hash_ = TOYS[0].content_hash
    slow = Exact(seconds=0.2)
    methods = {
        "exact": slow,
        "good": Player(Learnt(0.1, train_seconds=10.0)),
        "poor": Player(Learnt(0.6, train_seconds=10.0)),
        "leak": Player(Learnt(0.2, seen=frozenset({hash_}))),
    }
    table = compare(TOYS, methods, time_limit=5.0)
    summary = table.summary()
    # the solver is as good as `good` when it has its optimum, after 0.2 s; at 50% at once, so `poor` never pays
    assert summary.loc["good", "break_even"] == pytest.approx(10.0 / 0.2, rel=0.1)
    assert summary.loc["poor", "break_even"] > 1e3 or math.isinf(summary.loc["poor", "break_even"])
    assert summary.loc["poor", "break_even_whole"] == pytest.approx(10.0 / 0.2, rel=0.1)
    assert math.isnan(summary.loc["leak", "break_even"])
    assert any(text.startswith("leak was trained on 1 of these test instances (toy-100)") for text in table.warnings)
    assert "break-even" in str(table)


# ---- curves ----------------------------------------------------------------------------------------------------------
def test_anytime(table: Comparison) -> None:
    curves = table.anytime()
    last = curves[curves["seconds"] == curves["seconds"].max()].set_index("method")["gap"]
    assert curves["seconds"].max() == pytest.approx(2.0)  # on to the limit, whenever the runs ended
    assert last["exact"] == 0.0
    assert last["rule"] == pytest.approx(0.2)
    assert last["bad"] == pytest.approx((1.0 + 0.3 / 1.3) / 2)  # failures weigh on
    exact = curves[curves["method"] == "exact"]
    assert exact["gap"].is_monotonic_decreasing
    before = exact[exact["seconds"].between(0.08, 0.14)]["gap"].to_numpy()
    assert len(before) > 5 and before == pytest.approx(1 / 3)  # its first incumbent is 50% off


def test_profiles(table: Comparison) -> None:
    gaps = table.profile()
    assert gaps["exact"].eq(1.0).all()
    assert gaps["rule"][gaps.index < 0.19].eq(0.0).all() and gaps["rule"][gaps.index > 0.21].eq(1.0).all()
    assert gaps["bad"][(gaps.index > 0.5) & (gaps.index < 0.99)].eq(0.5).all()
    seconds = table.profile("seconds", within=0.01)
    assert seconds["exact"].eq(1.0).all()  # the only one that gets there
    assert seconds["off"].eq(0.0).all()
    within = table.profile("seconds", within=0.3).iloc[-1]  # 25% off is near enough now, 50% is not
    assert (within["rule"], within["random"], within["bad"]) == (1.0, 0.0, 0.5)
    with pytest.raises(ValueError, match="'gap' or 'seconds'"):
        table.profile("gaps")


# ---- cautions --------------------------------------------------------------------------------------------------------
def test_overruns_and_thin_evidence_are_said() -> None:
    table = compare(TOYS[:2], {"exact": Exact(seconds=1.3), "off": Off()}, time_limit=0.1)
    assert any(text.startswith("exact overran the limit in 2 runs, by up to 1.") for text in table.warnings)
    assert any(text.startswith("2 instances: too few") for text in table.warnings)


def test_processors_are_not_mixed_silently(table: Comparison) -> None:
    data = table.to_dict()
    data["rows"][0]["outcome"]["machine"] = "another processor"
    assert any("different processors" in text for text in Comparison.from_dict(data).warnings)


# ---- printing --------------------------------------------------------------------------------------------------------
def test_the_printed_table_is_complete(table: Comparison) -> None:
    text = str(table)
    for word in (*table.methods, "toy-100", "2 seeds", "2 s a run", "1 thread a run", "python 3.", "cores", "orrl "):
        assert word in text
    assert "gap to bound: |z - b| / max(|z|, |b|)" in text and "excess: (z - ref) / |ref|" in text
    assert "…" not in text and max(map(len, text.splitlines())) <= max(118, natural_width(table))
    narrow = to_text(table, 40)
    assert "…" not in narrow


def test_an_unsupported_method_keeps_its_line() -> None:
    text = str(compare(TOYS[:2], {"exact": Exact(), "bad": Bad(how="refuse")}))
    assert (
        "0 of 2" in text and "bad cannot take: 2 of 2 (toy-100, toy-200): bad cannot solve toy-100: it is a toy" in text
    )


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (percent(0.1234), "12.3%"),
        (percent(-0.00001, plus=True), "0.0%"),
        (percent(0.05, plus=True), "+5.0%"),
        (percent(math.nan), "-"),
        (span(0.01, 0.025), "[1.0, 2.5]"),
        (span(math.nan, 1.0), ""),
        (number(1234.5), "1,234"),
        (number(0.0000012), "<0.001"),
        (number(0.0), "0"),
        (number(math.inf), "inf"),
    ],
)
def test_numbers(made: str, expected: str) -> None:
    assert made == expected


# ---- round trips -----------------------------------------------------------------------------------------------------
def test_json_round_trip(table: Comparison, tmp_path: Path) -> None:
    path = table.save(tmp_path / "deep" / "table.json")
    again = Comparison.load(path)
    pd.testing.assert_frame_equal(again.to_frame(), table.to_frame())
    pd.testing.assert_frame_equal(again.summary(), table.summary())
    assert str(again) == str(table)
    json.loads(path.read_text(encoding="utf-8"))  # plain JSON for any reader


@pytest.mark.parametrize(("content", "says"), [("{", "neither a store nor JSON"), ("[]", "not a comparison")])
def test_bad_files(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    with pytest.raises(FormatError, match=says):
        Comparison.load(tmp_path / "x.json")
    with pytest.raises(FormatError, match="no such file"):
        Comparison.load(tmp_path / "y.json")


def test_one_result_can_be_asked_for(table: Comparison) -> None:
    assert table.result("toy-400", "bad", seed=1) is None
    with pytest.raises(UnknownNameError, match="toy-400 / bad / seed 1"):
        table.result("toy-400", "bad", seed=7)
    with pytest.raises(OrrlError, match="neither of orrl nor of a registered plugin"):
        table.result("toy-100", "exact")  # its solution is of a module that no file may import
