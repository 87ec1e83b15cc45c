"""`check_problem`: the made-up inventory passes all eleven points, and a planted fault fails each of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import planted_faults as planted
import pytest
from inventory import Inventory, InventoryState

from orrl.check import POINTS, CheckFailedError, check_problem
from orrl.core import Evaluation, HasKernel, Problem, Support

SHELF: dict[str, Any] = {
    "law": (0.1, 0.3, 0.3, 0.2, 0.1),
    "horizon": 6,
    "capacity": 5,
    "max_order": 4,
    "price": 5.0,
    "cost": 2.0,
    "holding": 0.5,
    "fixed": 1.0,
    "discount": 0.9,
    "initial": 1,
}


@pytest.mark.parametrize("state", [InventoryState(), InventoryState((3, 2), (2, 1))], ids=["beginning", "running"])
def test_the_inventory_passes_all_points(state: InventoryState) -> None:
    report = check_problem(Inventory(**SHELF).at(state))
    assert {row.point: row.status for row in report.rows} == dict.fromkeys(range(1, 12), "pass"), str(report)
    assert report.raise_for_failures() is report


def test_without_noise_points_10_and_11_do_not_apply() -> None:
    report = check_problem(Inventory(**{**SHELF, "law": (0.0, 0.0, 1.0)}), points=set(POINTS) - {9})
    assert report.ok, str(report)
    assert [row.point for row in report.rows if row.status == "not applicable"] == [10, 11]
    assert "nothing is random" in report[10].detail


@pytest.mark.parametrize("seed", range(4))
def test_random_inventories_pass(seed: int) -> None:
    check_problem(Inventory.generate(seed=seed, horizon=4), seeds=2, points=set(POINTS) - {9}).raise_for_failures()


FAULTS: list[tuple[int, type[Inventory], str]] = [
    (1, planted.with_kernel(planted.FreeStorage), r"fixed in pyomo/milp is worth \S+, the episode's rewards say"),
    (1, planted.with_program(planted.OrdersEverySecondPeriod), "is infeasible: it should be feasible with"),
    (
        1,
        planted.with_program(planted.CannotTakeAPlan),
        "fixed in pyomo/milp raises AttributeError: no column named sales",
    ),
    (2, planted.OrdersAPeriodLate, r"pyomo/milp in scenario \d is worth \S+, its replay in the kernel returns"),
    (2, planted.with_program(planted.Crashing), "pyomo/milp in scenario 0 cannot be solved: KeyError: 'order'"),
    (2, planted.OneActionShort, "all 5 actions are played and the episode goes on"),
    (
        2,
        planted.PolicyOfAnother,
        r"pyomo/occupation of the whole law is worth \S+, its policy is worth \S+ on the tables",
    ),
    (3, planted.GenerousReferee, r"random in scenario 0: the referee says \S+, the rewards say"),
    (3, planted.with_program(planted.EndlessDemand), r"the referee finds it infeasible: period \d: sells \d with \d"),
    (4, planted.with_program(planted.TooTight), r"milp in scenario 0 is worth \S+, beyond the bound"),
    (4, planted.LawBound, r"base-stock-\S+ is worth \S+ \+- \S+ on average, beyond the bound 0 of pyomo/occupation"),
    (4, planted.with_program(planted.Pessimist), "says that there is no solution; random in scenario 0 has one"),
    (
        5,
        planted.with_tables(transition=planted.leaking),
        r"transition\(s=2 '2 in stock', a=1 'order 1'\) sums to 0.95 over s' = \{0 '0",
    ),
    (
        5,
        planted.with_tables(transition=planted.negative),
        r"transition\(s=2 .*, a=1 .*, s'=0 .*\) is -0.\d+: a probability",
    ),
    (5, planted.with_tables(transition=planted.outside), r"transition\[1\] points to column 9 of 6"),
    (5, planted.with_tables(transition=planted.of_another), "the tables are of another problem"),
    (5, planted.with_tables(initial=lambda table: table.initial / 2), "the initial law sums to 0.5"),
    (6, planted.with_env(planted.AcceptsAll), r"the mask forbids action \d, and the environment accepts it"),
    (
        6,
        planted.with_env(planted.WideMask),
        r"seed 0, step \d: the mask allows action \d, and the environment refuses it",
    ),
    (6, planted.with_env(planted.TwoMasks), r"info\['action_mask'\] is not env.action_masks\(\)"),
    (6, planted.with_env(planted.Unseeded), "two environments with one seed"),
    (6, planted.with_env(planted.DoublePrecision), "gymnasium's check_env: AssertionError"),
    (6, planted.with_env(planted.SilentNoop), r"does not set info\['illegal_action'\]"),
    (7, planted.ForgetsFixedCost, r"from_dict\(to_dict\(\)\) has another content hash; different: fixed"),
    (7, planted.NothingAccrued, r"step 2: accrued 0 and the rest make \S+; the whole episode"),
    (7, planted.ForgetsTheDate, r"step 2: accrued \S+ and the rest make \S+; the whole episode"),
    (7, planted.with_kernel(planted.SharedClone), "the state that was cloned"),
    (7, planted.with_env(planted.EnvAtTheBeginning), r"env.reset\(options=\{'state': ...\}\)"),
    (8, planted.Restless, r"scenario\(0\) differs from one call to the next"),
    (8, planted.Deaf, r"scenario\(0\) to scenario\(15\) are all equal"),
    (
        8,
        planted.with_kernel(planted.WritesIntoTheScenario),
        r"scenario\(0\) was changed by the policies that played it",
    ),
    (9, planted.Unpicklable, "the problem does not pickle: "),
    (9, planted.DiesWhenRead, "in the spawned process: RuntimeError: this object cannot live in another process"),
    (9, planted.AnotherInAnotherProcess, r"scenario is .* here and .* in the spawned process"),
    (
        10,
        planted.with_program(planted.Timid),
        r"base-stock-\S+ in scenario 0 is worth \S+, pyomo/milp in scenario 0 with perfect",
    ),
    (11, planted.with_kernel(planted.ShowsTheFuture), "either it shows the future"),
    (11, planted.with_kernel(planted.DeafClone), "the clone does not take the future that it is given"),
    (11, planted.RewritesThePast, r"problem.at\(state\).scenario\(seed\) does not keep what has happened"),
]


def test_every_point_has_a_planted_fault() -> None:
    assert {point for point, _, _ in FAULTS} == set(POINTS)


@pytest.mark.parametrize(("point", "faulty", "pattern"), FAULTS, ids=[f"{p}-{i}" for i, (p, _, _) in enumerate(FAULTS)])
def test_a_planted_fault_is_caught(point: int, faulty: type[Inventory], pattern: str) -> None:
    row = check_problem(faulty(**SHELF), points=[point])[point]
    assert row.status == "fail", row
    assert any(re.search(pattern, text) for text in row.failures), row.failures


@pytest.mark.parametrize(
    ("policy", "pattern"),
    [
        (
            planted.Prophet(),
            "prophet in scenario 0: with another future from step .* it sees what has not happened yet",
        ),
        (planted.Fickle(), "fickle in scenario 0 acts otherwise in step .* when it is repeated with the same seed"),
    ],
    ids=["prophet", "fickle"],
)
def test_a_policy_that_sees_the_future_is_caught(policy: Any, pattern: str) -> None:
    shelf = Inventory(**SHELF)
    assert check_problem(shelf, points=[11]).ok
    row = check_problem(shelf, points=[11], policies=[policy])[11]
    assert row.status == "fail"
    assert re.search(pattern, row.failures[0]), row.failures


def test_a_broken_policy_is_named_and_hides_nothing() -> None:
    report = check_problem(Inventory(**SHELF), points=[3, 10], policies=[planted.BrokenRule()])
    assert report[3].failures[0].startswith("broken in scenario 0 cannot be played: IllegalActionError")
    assert len(report[3].failures) == 3  # once per world
    assert report[10].status == "pass"
    assert "broken cannot be played, see point 3" in report[10].detail


@pytest.mark.parametrize(
    ("faulty", "failing"),
    [
        (planted.OrdersAPeriodLate, {2}),
        (planted.GenerousReferee, {3}),
        (planted.LawBound, {2, 4}),
        (
            planted.with_tables(transition=planted.of_another),
            {2, 4, 5},
        ),  # the occupation program is built from the tables
        (planted.with_env(planted.SilentNoop), {6}),
        (planted.with_env(planted.EnvAtTheBeginning), {7}),
        (planted.Deaf, {5, 8}),  # one scenario does not have the mean of the law
        (planted.with_program(planted.Timid), {10}),
    ],
    ids=["2", "3", "4", "5", "6", "7", "8", "10"],
)
def test_a_fault_fails_its_own_point_and_few_others(faulty: type[Inventory], failing: set[int]) -> None:
    report = check_problem(faulty(**SHELF), points=set(POINTS) - {9})
    assert {row.point for row in report.rows if row.status == "fail"} <= failing, str(report)


class Bare(Problem):
    """A problem without any capability."""

    family = "bare"

    def __init__(self) -> None:
        from orrl.core import Objective

        self.name, self.objective = "bare", Objective("min")

    def to_dict(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_dict(cls, data: Any) -> Bare:
        return cls()

    def content(self) -> dict[str, Any]:
        return {}

    def evaluate(self, solution: Any, scenario: Any = None) -> Evaluation:
        return Evaluation(0.0, True)


def test_what_a_problem_does_not_offer_is_not_applicable() -> None:
    report = check_problem(Bare(), points=set(POINTS) - {9})
    assert {row.point for row in report.rows if row.status == "pass"} == {7}
    assert all(row.detail for row in report.rows)
    assert "Bare does not offer HasProgram" in report[4].detail


class NoKernel(Inventory):
    def supports(self, capability: type) -> Support:
        if capability is HasKernel:
            return Support(False, "nobody wrote one")
        return super().supports(capability)


def test_programs_and_tables_are_checked_without_a_kernel() -> None:
    report = check_problem(NoKernel(**SHELF), points=set(POINTS) - {9})
    assert {row.point for row in report.rows if row.status == "pass"} == {3, 4, 5, 7, 8}
    assert report[1].detail == "nobody wrote one"


@pytest.mark.parametrize(("options", "text"), [({"points": [12]}, "points \\[12\\]"), ({"seeds": 0}, "seeds is 0")])
def test_bad_arguments(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_problem(Inventory(**SHELF), **options)


def test_the_report_in_all_its_forms() -> None:
    report = check_problem(planted.GenerousReferee(**SHELF), points=[8, 3], seeds=[4, 7])
    assert [row.point for row in report.rows] == [3, 8]
    assert not report.ok
    with pytest.raises(CheckFailedError, match="fails check_problem"):
        report.raise_for_failures()
    frame = report.to_frame()
    assert frame["status"].tolist() == ["fail", "pass"]
    again = json.loads(json.dumps(report.to_dict()))
    assert again["ok"] is False and again["rows"][0]["failures"][0] == report[3].failures[0]
    text = str(report)
    assert text.startswith("check_problem inventory") and "1 pass, 1 fail" in text
    assert "- random in scenario 4: the referee says" in text and "- and 9 more" in text
    assert max(len(line) for line in text.splitlines()) <= 135
    with pytest.raises(KeyError, match="point 5 was not checked"):
        report[5]


SCRIPT = """
import sys
print("once", flush=True)
{definition}
def main():
    from inventory import Inventory
    from orrl.check import check_problem
    print(check_problem({kind}(**{shelf!r}), points=[9])[9].status)
{guard}main()
"""


@pytest.mark.parametrize(
    ("definition", "kind", "guard"),
    [
        ("", "Inventory", ""),
        ("from inventory import Inventory\nclass Mine(Inventory): pass", "Mine", "if __name__ == '__main__': "),
    ],
    ids=["unguarded", "problem defined in the script"],
)
def test_a_script_may_check_a_problem(tmp_path: Path, definition: str, kind: str, guard: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(definition=definition, kind=kind, guard=guard, shelf=SHELF))
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    run = subprocess.run([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path}, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout.decode().split() == ["once", "pass"] if not guard else run.stdout.decode().split()[-1] == "pass"


def test_the_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    check_problem(Inventory(**SHELF), points=[1, 6, 8])
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
