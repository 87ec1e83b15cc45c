"""The store: a sweep that is killed resumes, and only what is missing is computed again."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from comparison_fakes import Bad, Exact, Learnt, Off, Player, Toy, noted

import orrl
from orrl.comparison import Comparison, compare
from orrl.comparison.store import Store
from orrl.core import FormatError
from orrl.solvers.search.mc_rollout import MonteCarloRollout

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SWEEP = """
import sys
from comparison_fakes import Exact, Off, Toy
from orrl.comparison import compare
store, log, n_jobs = sys.argv[1], sys.argv[2], int(sys.argv[3])
problems = [Toy(100.0 + i) for i in range(4)]
methods = {"exact": Exact(seconds=0.15, log=log), "off": Off(seconds=0.15, log=log)}
table = compare(problems, methods, seeds=2, time_limit=5.0, n_jobs=n_jobs, store=store)
print(len(table.rows), table.to_frame()["answered"].sum())
"""


def sweep(store: Path, log: Path, n_jobs: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SWEEP, str(store), str(log), str(n_jobs)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(store: Path, rows: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if store.exists():
            with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as db:
                try:
                    if db.execute("SELECT count(*) FROM cells").fetchone()[0] >= rows:
                        return
                except sqlite3.OperationalError:
                    pass
        time.sleep(0.02)
    raise AssertionError(f"{store} never had {rows} rows")


@pytest.mark.parametrize(
    ("n_jobs", "kind"), [(1, signal.SIGKILL), (2, signal.SIGKILL), (1, signal.SIGINT), (2, signal.SIGINT)]
)
def test_a_killed_sweep_resumes(tmp_path: Path, n_jobs: int, kind: signal.Signals) -> None:
    store, log = tmp_path / "sweep.sqlite", tmp_path / "log"
    first = sweep(store, log, n_jobs)
    wait_for(store, 5)
    if kind is signal.SIGINT:
        os.killpg(first.pid, kind)  # as a terminal does it
    else:
        first.kill()
    first.communicate(timeout=60)  # returns when the workers have gone, too: they hold the pipes
    assert first.returncode != 0
    with Store(store) as opened:
        kept = len(opened)
    assert 5 <= kept < 16
    half = Comparison.load(store)
    assert (half.to_frame()["status"] == "missing").sum() == 16 - kept
    assert any("not run yet" in text for text in half.warnings)

    before = len(noted(log))
    second = sweep(store, log, n_jobs)
    out, errors = second.communicate(timeout=60)
    assert out.split() == ["16", "16"], errors
    assert len(noted(log)) - before == 16 - kept
    assert not (Comparison.load(store).to_frame()["status"] == "missing").any()


def test_nothing_is_computed_twice_and_everything_counts(tmp_path: Path) -> None:
    store, log = tmp_path / "s.sqlite", str(tmp_path / "log")

    def run(**options: object) -> int:
        before = len(noted(tmp_path / "log"))
        settings = {"seeds": 1, "time_limit": 5.0, "excess": 0.1, **options}
        method = Off(excess=settings.pop("excess"), log=log)  # type: ignore[arg-type]
        compare([Toy(100.0)], {settings.pop("label", "off"): method}, store=store, **settings)  # type: ignore[arg-type]
        return len(noted(tmp_path / "log")) - before

    assert run() == 1
    assert run() == 0
    assert run(label="another name") == 0  # a label is no content
    assert run(seeds=3) == 2
    assert run(time_limit=6.0) == 1
    assert run(excess=0.2) == 1
    assert run(threads=2) == 1
    assert run() == 0


def test_options_of_a_policy_inside_a_solver_count(tmp_path: Path) -> None:
    problem = orrl.load("jobshop/ft06")
    store = tmp_path / "s.sqlite"
    for n, samples in enumerate((1, 2, 1), 1):
        compare(problem, [("rollout", {"samples": samples})], store=store)
        with Store(store) as opened:
            assert len(opened) == min(n, 2)
    for n, samples in enumerate((1, 2, 1), 1):
        compare(problem, {"rollout": MonteCarloRollout(samples=samples)}, store=store)
        with Store(store) as opened:
            assert len(opened) == 2 + min(n, 2)


def test_scenarios_and_problem_count(tmp_path: Path) -> None:
    store, log = tmp_path / "s.sqlite", str(tmp_path / "log")
    off = Off(log=log)
    for optimum, scenarios, seed, new in [(1.0, 2, 0, 2), (1.0, 3, 0, 1), (1.0, 3, 1, 3), (2.0, 3, 0, 3)]:
        before = len(noted(tmp_path / "log"))
        compare(Toy(optimum, noisy=True), [off], scenarios=scenarios, scenario_seed=seed, store=store)
        assert len(noted(tmp_path / "log")) - before == new


def test_two_policies_of_one_name_are_two_methods(tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    for excess in (0.1, 0.2, 0.1):
        table = compare(Toy(100.0), {"learnt": Player(Learnt(excess))}, store=store)
        assert table.to_frame()["objective"].tolist() == pytest.approx([100.0 * (1 + excess)])
    with Store(store) as opened:
        assert len(opened) == 2


def test_errors_are_kept_until_they_are_to_be_retried(tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    table = compare(Toy(100.0), [Bad()], store=store)
    first = table.rows[0].outcome.finished
    assert compare(Toy(100.0), [Bad()], store=store).rows[0].outcome.finished == first
    assert compare(Toy(100.0), [Bad()], store=store, retry_errors=True).rows[0].outcome.finished > first


def test_the_latest_sweep_is_loaded(tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    compare([Toy(1.0), Toy(2.0)], [Exact(), Bad(how="refuse")], store=store)
    second = compare([Toy(2.0)], {"exact": Exact(), "off": Off()}, store=store, reference="off")
    loaded = Comparison.load(store)
    assert loaded.to_frame().equals(second.to_frame())
    assert loaded.reference == "off"
    again = compare([Toy(1.0), Toy(2.0)], [Exact(), Bad(how="refuse")], store=store)  # resumed: it is the latest now
    assert Comparison.load(store).to_frame().equals(again.to_frame())
    assert (again.to_frame()["status"] == "unsupported").sum() == 2


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("mine", encoding="utf-8")
    with pytest.raises(FormatError, match="not an SQLite database"):
        compare(Toy(1.0), [Exact()], store=text)
    assert text.read_text(encoding="utf-8") == "mine"
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE mine (x)")
    with pytest.raises(FormatError, match="another program"):
        compare(Toy(1.0), [Exact()], store=other)
    with sqlite3.connect(other) as db:
        assert [name for (name,) in db.execute("SELECT name FROM sqlite_master")] == ["mine"]


def test_an_empty_store_says_so(tmp_path: Path) -> None:
    with Store(tmp_path / "s.sqlite"):
        pass
    with pytest.raises(FormatError, match="no sweep"):
        Comparison.load(tmp_path / "s.sqlite")
