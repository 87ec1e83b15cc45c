"""A stochastic, discounted, maximising problem through the whole comparison: the order of what is known is kept."""

from typing import Any

import pytest
from inventory import Inventory
from inventory.backward_dp import BackwardDP

from orrl.comparison import Comparison, compare
from orrl.core import RandomPolicy


@pytest.fixture(scope="module")
def table() -> Comparison:
    shelves = [Inventory.generate(seed=i) for i in range(2)]
    return compare(shelves, ["milp", BackwardDP(), *shelves[0].rules(), RandomPolicy()], scenarios=30, time_limit=10.0)


def test_every_cell_is_answered(table: Comparison) -> None:
    frame = table.to_frame()
    assert len(frame) == 2 * 6 * 30 and frame["answered"].all()
    assert not any("CONTRADICTION" in text for text in table.warnings)


def test_perfect_information_bounds_every_policy_on_every_scenario(table: Comparison) -> None:
    frame = table.to_frame()
    assert (frame["objective"] <= frame["best_bound"] + 1e-6).all()
    assert frame.loc[frame["method"] == "milp", "clairvoyant"].all()


def test_the_order_is_random_rule_optimum_foresight(table: Comparison) -> None:
    gap = table.summary()["gap_bound"]
    rules = [m for m in table.methods if m.startswith("base-stock")]
    assert gap["milp"] == pytest.approx(0.0, abs=1e-6)
    assert gap["milp"] < gap["backward-dp"] < min(gap[rules]) < gap["random"]
    found = table.headroom()
    assert found["random"][1] == gap["random"] and found["best rule"][1] == min(gap[rules])


def test_a_plan_made_without_the_scenario_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    plan = BackwardDP._solve

    def counted(self: BackwardDP, problem: Inventory, run: Any) -> Any:
        made.append((problem.name, run.seed))
        return plan(self, problem, run)

    monkeypatch.setattr(BackwardDP, "_solve", counted)
    shelves = [Inventory.generate(seed=i) for i in (5, 6)]
    frame = compare(shelves, [BackwardDP()], scenarios=7, seeds=2).to_frame()
    assert len(frame) == 2 * 2 * 7 and frame["answered"].all()
    assert len(made) == len(set(made)) == 2 * 2
    assert frame["objective"].nunique() > 2 * 2  # played on every scenario
