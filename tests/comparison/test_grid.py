"""The grid: every cell is a row, whatever happens in it; the same world for all; nobody's memory leaks."""

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from comparison_fakes import Answer, Bad, Exact, Learnt, Limited, Off, Player, Toy

from orrl.comparison import compare
from orrl.comparison.cell import Row
from orrl.core import (
    CallablePolicy,
    NotInstalledError,
    OrrlError,
    OrrlWarning,
    PolicySolver,
    UnknownNameError,
    all_cores,
    spawn_seeds,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

TOYS = [Toy(100.0), Toy(200.0), Toy(300.0)]


def test_grid_is_complete_and_in_order() -> None:
    table = compare(TOYS, {"exact": Exact(), "off": Off(spread=0.1)}, seeds=2, time_limit=5.0)
    frame = table.to_frame()
    assert len(frame) == 3 * 2 * 2
    assert list(frame["method"][:4]) == ["exact", "exact", "off", "off"]
    assert frame["scenario"].isna().all()
    off = frame[frame["method"] == "off"]
    assert off.loc[off["seed"] == 1, "objective"].tolist() == pytest.approx([120.0, 240.0, 360.0])
    assert set(frame["size_digits"]) == {3}
    assert (frame["threads"] == 1).all() and (frame["time_limit"] == 5.0).all()
    assert frame["total_seconds"].notna().all() and frame["machine"].ne("").all()


@pytest.mark.parametrize(
    ("how", "status", "says"),
    [
        ("raise", "error", "RuntimeError: the wheels came off"),
        ("nothing", "no_solution", "nothing found"),
        ("cheat", "error", "is too good"),
        ("refuse", "unsupported", "it is a toy"),
    ],
)
def test_no_row_is_dropped(how: str, status: str, says: str) -> None:
    table = compare(TOYS, {"exact": Exact(), "bad": Bad(how=how)}, time_limit=5.0)
    bad = table.to_frame().query("method == 'bad'")
    assert list(bad["status"]) == [status] * 3
    assert bad["message"].str.contains(says).all()
    assert not bad["answered"].any()
    line = table.summary().loc["bad"]
    assert (line["failed"], line["unsupported"]) == ((0, 3) if how == "refuse" else (3, 0))
    assert any("bad" in text for text in table.warnings)
    assert "bad" in str(table)


def test_what_is_not_installed_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(method: str, problem: Toy) -> None:
        raise NotInstalledError('solver "ipopt" needs casadi: pip install "orrl[nlp]"')

    monkeypatch.setattr("orrl.methods.resolve", missing)
    table = compare(TOYS[:1], [Exact(), "ipopt"])
    assert table.to_frame()["status"].tolist() == ["optimal", "unsupported"]
    assert any("orrl[nlp]" in text for text in table.warnings)


def test_traceback_is_kept() -> None:
    (row,) = compare(TOYS[0], [Bad()]).rows
    assert "the wheels came off" in row.outcome.detail and "comparison_fakes.py" in row.outcome.detail


def test_all_methods_meet_the_same_scenarios() -> None:
    noisy = [Toy(100.0, noisy=True), Toy(200.0, noisy=True)]
    table = compare(noisy, {"told": Exact(), "blind": Off(excess=0.0)}, seeds=2, scenarios=4, scenario_seed=3)
    frame = table.to_frame()
    assert len(frame) == 2 * 2 * 2 * 4
    worlds = spawn_seeds(3, 4, "scenario")
    for row in table.rows:
        assert row.cell.scenario is not None
        assert row.cell.scenario_seed == worlds[row.cell.scenario]
    wide = frame.pivot(index=["problem", "seed", "scenario"], columns="method", values="objective")
    assert wide["told"].tolist() == pytest.approx(wide["blind"].tolist())
    assert frame["objective"].nunique() == 8  # a shift for each problem and scenario, none for each seed
    # the one that was told is a reference, not a policy
    assert frame.loc[frame["method"] == "told", "clairvoyant"].all()
    assert not frame.loc[frame["method"] == "blind", "clairvoyant"].any()
    assert table.summary()["role"].to_dict() == {"told": "perfect information", "blind": ""}
    assert "perfect info" in str(table)


def test_a_planner_is_played_on_each_scenario() -> None:
    from orrl.core import Outcome, Run, Solver, Support, Trajectory

    class Half(CallablePolicy):
        def __init__(self) -> None:
            super().__init__(lambda obs, info: [0], "half")

    class Planner(Solver):
        name = "planner"
        clairvoyant = False

        def supports(self, problem: Any) -> Support:
            return Support(True)

        def _solve(self, problem: Any, run: Run) -> Outcome:
            return Outcome("optimal", "optimal", objective=1e9, bound=1e9, policy=Half())

    class Kernel:
        """One step that takes nothing and costs the scenario's shift."""

        def __init__(self, problems: Any) -> None:
            self.problems, self.n_actions, self.action_shape = problems, 1, ()

        def reset(self, scenarios: Any, which: Any = None) -> dict[str, Any]:
            return {"open": np.ones(len(scenarios), bool), "worlds": scenarios}

        def mask(self, state: Any) -> Any:
            return state["open"][:, None]

        def observe(self, state: Any) -> Any:
            return np.zeros((len(state["open"]), 1), np.float32)

        def step(self, state: Any, actions: Any) -> Any:
            state["open"][:] = False
            return np.array([-120.0 - w.amount for w in state["worlds"]]), ~state["open"]

        def failed(self, state: Any) -> Any:
            return state["open"]

        def snapshot(self, state: Any, row: int) -> Any:
            return None

    class Stepped(Toy):
        accrued = 0.0

        def env(self) -> None: ...
        def at(self) -> None: ...
        def actions(self) -> None: ...

        @classmethod
        def kernel(cls, problems: Any, **options: Any) -> Any:
            return Kernel(problems)

        def solution(self, trajectory: Trajectory) -> Answer:
            return Answer(120.0)

    problem = Stepped(100.0, noisy=True)
    table = compare(problem, [Planner()], scenarios=3)
    shifts = [problem.scenario(s).amount for s in spawn_seeds(0, 3, "scenario")]
    assert table.to_frame()["objective"].tolist() == pytest.approx([120.0 + shift for shift in shifts])
    assert table.to_frame()["bound"].isna().all()  # the plan's bound is of the mean, not of a scenario
    assert (table.to_frame()["status"] == "feasible").all()


def test_a_cell_never_finds_the_memory_of_another() -> None:
    class Counting(Off):
        calls = 0

        def _solve(self, problem: Any, run: Any) -> Any:
            self.calls += 1
            self.excess = 0.1 * self.calls
            return super()._solve(problem, run)

    table = compare(TOYS, {"counting": Counting()}, seeds=2)
    assert table.to_frame()["excess_best"].isna().all()
    assert (table.to_frame()["objective"] / [100, 100, 200, 200, 300, 300]).tolist() == pytest.approx([1.1] * 6)


def test_workers_give_what_one_process_gives() -> None:
    methods: Mapping[str, Any] = {"exact": Exact(), "off": Off(spread=0.1), "bad": Bad(above=200.0)}
    columns = ["problem", "method", "seed", "status", "objective", "bound", "message"]
    alone = compare(TOYS, methods, seeds=2).to_frame()[columns]
    together = compare(TOYS, methods, seeds=2, n_jobs=2).to_frame()[columns]
    assert alone.equals(together)


def test_a_worker_that_dies_costs_one_cell() -> None:
    table = compare(TOYS, {"off": Off(), "bad": Bad(how="die", above=200.0), "exact": Exact()}, n_jobs=2)
    frame = table.to_frame()
    dead = frame[frame["status"] == "error"]
    assert list(dead["problem"]) == ["toy-200", "toy-300"] and set(dead["method"]) == {"bad"}
    assert dead["message"].str.contains("worker process died").all()
    assert len(frame) == 9 and frame["answered"].sum() == 7


def test_too_many_workers_are_warned_about() -> None:
    with pytest.warns(OrrlWarning, match="Give n_jobs"):
        table = compare(TOYS[0], [Exact()], threads=all_cores(), n_jobs=2)
    assert any("shared" in text for text in table.warnings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(TOYS[0], [Exact()], threads=all_cores(), n_jobs=-1)


def test_progress_is_told_of_each_row() -> None:
    told: list[tuple[str, int, int]] = []

    def tell(row: Row, done: int, total: int) -> None:
        told.append((row.cell.method, done, total))

    compare(TOYS[:1], {"exact": Exact(), "off": Off()}, progress=tell)
    assert told == [("exact", 1, 2), ("off", 2, 2)]


def test_bar_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    compare(TOYS[:1], [Exact()], progress=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("problems", "methods", "options", "says"),
    [
        ([], [Exact()], {}, "at least one problem"),
        (TOYS, [], {}, "one method"),
        (["jobshop/ft06"], [Exact()], {}, "load it first"),
        (TOYS, [Exact()], {"seeds": 0}, "seeds is 0"),
        ([Toy(1.0), Toy(1.0, name="again")], [Exact()], {}, "same content"),
        (TOYS, [Exact(), Exact()], {}, "two methods are labelled 'exact'"),
        (TOYS, {"a": Exact(), "b": Exact()}, {}, "are the same"),
        (TOYS, [42], {}, "42 is no method"),
        (TOYS, [("learnt", [Learnt(0.1), Learnt(0.2)])], {"seeds": 3}, "2 policies for 3 seeds"),
        (TOYS, [Exact()], {"reference": "exat"}, "did you mean 'exact'"),
        (TOYS, ["exxact"], {}, "exxact"),
    ],
)
def test_bad_questions(problems: Any, methods: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(OrrlError, match=says):
        compare(problems, methods, **options)


def test_a_typing_error_in_a_method_ends_the_call_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="cp-sat"):
        compare(TOYS, [Exact(), "cp-satt"], store=tmp_path / "s.sqlite")
    assert not (tmp_path / "s.sqlite").exists()


def test_instances_of_one_name_are_told_apart() -> None:
    a, b = Toy(1.0, name="twin"), Toy(1.0, sense="max", name="twin")
    c = Toy(10.0, name="other")
    names = compare([a, b, c], [Exact()]).to_frame()["problem"].tolist()
    assert names == [f"twin ({a.content_hash[:8]})", f"twin ({b.content_hash[:8]})", "other"]
    a, b = Toy(5.0, name="twin"), Toy(50.0, name="twin")
    assert compare([a, b], [Exact()]).to_frame()["problem"].tolist() == ["twin (1)", "twin (2)"]


def test_labels_show_what_differs() -> None:
    methods = [Exact(), Off(excess=0.2), ("first", [Learnt(0.1)])]
    table = compare(TOYS[0], methods[:2])
    assert table.methods == ["exact", "off(excess=0.2)"]


def test_trained_policies_are_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orrl.methods.resolve", lambda method, problem: Player(method))
    policies = [Learnt(0.1, train_seconds=10.0), Learnt(0.3, train_seconds=20.0)]
    table = compare(TOYS[0], {"exact": Exact(), "learnt": policies}, seeds=2)
    frame = table.to_frame().query("method == 'learnt'")
    assert frame["objective"].tolist() == pytest.approx([110.0, 130.0])
    assert frame["train_seconds"].tolist() == [10.0, 20.0]
    assert (frame["kind"] == "learned").all() and (frame["trainings"] == 2).all()
    assert any("2 training seeds: fewer than 5" in text for text in table.warnings)


def test_a_result_is_a_method() -> None:
    solved = Exact().solve(TOYS[1])
    table = compare(TOYS[:2], {"given": solved, "off": Off()})
    given = table.to_frame().query("method == 'given'")
    assert given["status"].tolist() == ["unsupported", "optimal"]
    assert given["message"].iloc[0].endswith("a plan for toy-200")
    assert given["total_seconds"].iloc[1] == solved.times.total
    noisy = Toy(100.0, noisy=True)
    plan = Off().solve(noisy, scenario=noisy.scenario(1))
    frame = compare(noisy, {"plan": plan}, scenarios=3).to_frame()
    assert frame["objective"].nunique() == 3 and (frame["status"] == "feasible").all()


def test_a_policy_object_is_a_method() -> None:
    class Never(CallablePolicy):
        scope = "instance"

    policy = Never(lambda obs, info: obs, "never")
    table = compare(TOYS[0], [PolicySolver(policy), Limited()])
    frame = table.to_frame().set_index("method")
    assert frame.loc["never", "status"] == "unsupported"
    assert frame.loc["never", "kind"] == "learned"
    assert math.isclose(frame.loc["limited", "gap"], 0.25)
