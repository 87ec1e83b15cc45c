"""The command line as a user meets it: exit codes, one line of error, JSON on stdout, and no waiting for --help."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from orrl.cli import demo, main
from orrl.cli.app import app
from orrl.cli.common import method_from, options_from, problems_from, split
from orrl.core import OrrlError

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "list",
    "info",
    "fetch",
    "solve",
    "train",
    "simulate",
    "compare",
    "report",
    "check",
    "demo",
    "warmup",
    "versions",
)


def orrl(*words: str, code: int = 0) -> str:
    """Output of a command that must end with this exit code."""
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.stdout


def as_json(*words: str, code: int = 0) -> Any:
    return json.loads(orrl(*words, "--json", code=code))


def python(*words: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *words], env=env, capture_output=True, text=True, timeout=300)


# ---- speed -----------------------------------------------------------------------------------------------------------
def test_help_is_quick_and_loads_nothing_heavy() -> None:
    used = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        shown = python("-m", "orrl", "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert shown.returncode == 0
    for command in COMMANDS:
        assert f"  {command} " in shown.stdout
    assert min(used) < 0.3  # processor seconds: the neighbours of a test run must not decide it
    code = "import sys, orrl.cli\ntry: orrl.cli.main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    loaded = set(python("-c", code).stdout.split())
    heavy = {
        "numpy",
        "scipy",
        "pandas",
        "numba",
        "torch",
        "pyomo",
        "ortools",
        "gymnasium",
        "matplotlib",
        "joblib",
        "rich",
    }
    assert "orrl.cli.app" in loaded and not loaded & heavy


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    text = orrl(command, "--help")
    assert "--json" in text


# ---- exit codes and errors -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["solve", "jobshop/ft06"], 2, "Missing argument"),
        (["nonsense"], 2, "No such command"),
        (["solve", "jobshop/ft6", "mwkr"], 2, "did you mean 'ft06'"),
        (["solve", "jobshop/ft06", "mwkrr"], 2, "did you mean 'mwkr'"),
        (["solve", "jobshop/ft06:storag=blocking", "mwkr"], 2, "storag"),
        (["solve", "jobshop/ft06:storage=elsewhere", "mwkr"], 2, "storage"),
        (["solve", "nowhere.jsp", "mwkr"], 2, "there is no such file"),
        (["solve", "jobshop/ft06", "mwkr", "--time-limit", "-1"], 2, "time_limit is -1"),
        (["report", "nowhere.sqlite"], 2, "there is no such file"),
        (["compare", "jobshop/ft06", "-m", "nope"], 2, "nope"),
        (["list", "nope"], 2, "unknown problem 'nope'"),
        (["train", "jobshop/ft06", "nope", "-o", "x.zip", "--minutes", "1"], 2, "nope"),
        (["solve", "jobshop/ft06:storage=blocking,swap=false", "spt"], 1, "deadlock"),
    ],
)
def test_exit_codes(words: list[str], code: int, says: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == code
    out, err = capfd.readouterr()
    assert says in err + out
    if code == 2:
        assert says in err and "Traceback" not in err
        assert err.count("\n") == 1 or err.startswith("Usage")  # one line, or typer's three on usage


def test_exit_code_reaches_the_shell_and_debug_shows_where() -> None:
    plain = python("-m", "orrl", "solve", "jobshop/ft6", "mwkr")
    assert (plain.returncode, plain.stdout) == (2, "") and "Traceback" not in plain.stderr
    assert "Traceback" in python("-m", "orrl", "--debug", "solve", "jobshop/ft6", "mwkr").stderr
    assert (
        python("-m", "orrl", "--version").stdout.strip()
        == python("-c", "import orrl; print(orrl.__version__)").stdout.strip()
    )


def test_a_fault_of_orrl_is_told_apart(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise RuntimeError("a screw is loose")

    monkeypatch.setattr("orrl.versions.show_versions", broken)
    with pytest.raises(SystemExit) as end:
        main(["versions"])
    assert end.value.code == 3
    assert "fault of orrl" in capfd.readouterr().err
    with pytest.raises(RuntimeError):
        main(["--debug", "versions"])


def test_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("orrl.versions.show_versions", stopped)
    with pytest.raises(SystemExit) as end:
        main(["versions"])
    assert end.value.code == 130


# ---- words -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("jobshop/ft06", ("jobshop/ft06", {})),
        ("jobshop/ft06:storage=blocking,swap=false", ("jobshop/ft06", {"storage": "blocking", "swap": False})),
        ("milp:time-limit=3", ("milp", {"time_limit": 3})),
        ('x:interruptions={"p":0.2,"q":[1,2]},a=1', ("x", {"interruptions": {"p": 0.2, "q": [1, 2]}, "a": 1})),
        ("c:\\data\\x.txt", ("c:\\data\\x.txt", {})),
        ("c:\\data\\x.txt:storage=blocking", ("c:\\data\\x.txt", {"storage": "blocking"})),
    ],
)
def test_words_with_options(word: str, expected: tuple[str, dict[str, Any]]) -> None:
    assert split(word) == expected


def test_bad_options_are_named() -> None:
    with pytest.raises(OrrlError, match="'b' in 'x' is no option"):
        options_from(["a=1", "b"], "x")
    assert method_from("milp:form=time-indexed") == ("milp", {"form": "time-indexed"})
    assert method_from("mwkr") == "mwkr"


def test_a_set_is_its_members() -> None:
    found = problems_from(["jobshop/lawrence-10x5:storage=blocking", "jobshop/ft06"])
    assert [p.name for p in found] == ["la01", "la02", "la03", "la04", "la05", "ft06"]
    assert found[0].describe()["variant"] == "BWS"


# ---- commands --------------------------------------------------------------------------------------------------------
def test_list() -> None:
    assert {row["name"] for row in as_json("list", "jobshop/la0")} == {f"jobshop/la0{i}" for i in range(1, 10)}
    assert "jobshop/ft10" in orrl("list")


def test_solve(tmp_path: Path) -> None:
    found = as_json(
        "solve", "jobshop/ft06", "mwkr", "--out", str(tmp_path / "r.json"), "--csv", str(tmp_path / "r.csv")
    )
    assert found["status"] == "feasible" and found["objective"] >= 55
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["solution"]["data"]["start"]
    assert (tmp_path / "r.csv").read_text(encoding="utf-8").startswith("job,operation,machine,start,finish")
    assert "feasible" in orrl("solve", "jobshop/ft06", "mwkr")


def test_solve_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("2 2\n0 3 1 2\n1 2 0 4\n", encoding="utf-8")
    assert as_json("solve", str(tmp_path / "mine.txt"), "mwkr")["objective"] == 7


def test_simulate(tmp_path: Path) -> None:
    word = 'jobshop/ft06:interruptions={"p":0.3}'
    found = as_json("simulate", word, "mwkr", "--scenarios", "10", "--csv", str(tmp_path / "s.csv"))
    assert found["interval"][0] < found["mean"] < found["interval"][1]
    assert len((tmp_path / "s.csv").read_text(encoding="utf-8").splitlines()) == 11


def test_compare_and_report(tmp_path: Path) -> None:
    store, report = tmp_path / "s.sqlite", tmp_path / "r.html"
    words = [
        "compare",
        "jobshop/ft06",
        "jobshop/ft06:storage=blocking",
        "-m",
        "mwkr",
        "-m",
        "random",
        "--store",
        str(store),
    ]
    text = orrl(*words, "--out", str(tmp_path / "c.json"), "--csv", str(tmp_path / "c.csv"))
    assert "2 methods on 2 instances" in text and "mwkr" in text
    assert len((tmp_path / "c.csv").read_text(encoding="utf-8").splitlines()) == 5
    found = as_json(*words)  # from the store
    assert [row["method"] for row in found["summary"]] == ["mwkr", "random"]
    assert len(found["runs"]) == 4 and found["runs"][0]["scenario"] is None
    assert as_json("report", str(store), "-o", str(report))["runs"] == 4
    assert "<html" in report.read_text(encoding="utf-8")
    orrl("report", str(tmp_path / "c.json"), "-o", str(report), "--title", "Mine")
    assert "<h1>Mine</h1>" in report.read_text(encoding="utf-8")


def test_compare_without_any_answer_fails() -> None:
    orrl("compare", "jobshop/ft06:storage=blocking,swap=false", "-m", "spt", code=1)


def test_check() -> None:
    found = as_json("check", "jobshop/ft06", "--point", "8")
    assert found["ok"] and [row["point"] for row in found["rows"]] == [8]


def test_versions() -> None:
    found = as_json("versions")
    assert found["cores"] >= 1 and found["cpu"] and found["packages"]["numpy"]
    assert found["packages"]["ortools"] in orrl("versions")


def test_solve_to_a_proof_and_begin_from_a_plan(tmp_path: Path) -> None:
    plan = tmp_path / "r.json"
    orrl("solve", "jobshop/ft06", "mwkr", "--out", str(plan))
    found = as_json("solve", "jobshop/ft06", "cp-sat", "--threads", "1", "-t", "30", "--warm-start", str(plan))
    assert (found["status"], found["objective"], found["bound"]["value"]) == ("optimal", 55, 55)


def test_info() -> None:
    found = as_json("info", "jobshop/ft06:storage=blocking")
    assert found["best known"] == "63" and found["variant"] == "BWS" and "cp-sat" in found["programs"]
    assert {row["method"] for row in found["methods"]} >= {"cp-sat", "milp", "mwkr", "random"}
    assert "cp-sat" in orrl("info", "jobshop/ft06")


def test_warmup() -> None:
    clocks = as_json("warmup")
    assert clocks["mwkr"] > 0 and "cp-sat" not in clocks


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orrl.cli.demo.METHODS", ("cp-sat", "mwkr", "random"))
    monkeypatch.setattr("orrl.cli.demo.DISPATCH", ("wait-and-see", "myopic"))
    monkeypatch.setattr("orrl.cli.demo._shops", lambda names, every=demo._shops: every(("ft06",)))
    out = tmp_path / "demo.html"
    text = orrl("demo", "--small", "--time-limit", "20", "--out", str(out))
    assert "3 methods on 2 instances" in text and "headroom" in text
    page = out.read_text(encoding="utf-8")
    assert page.count('<figure class="wide">') == 1 + 4  # with and without buffers, by two methods
    assert "ft06 (JSP) by cp-sat: 55 (proved optimal)" in page
    assert "ft06 (BWS) by cp-sat: 63 (proved optimal)" in page
    assert "2 methods on 1 instance" in text
    page = out.with_name("demo-dispatch.html").read_text(encoding="utf-8")
    assert page.count('<figure class="wide">') == 2
    assert "valley by sddp, 20 paths" in page


@pytest.mark.slow
def test_the_whole_demo_fits_into_five_minutes(tmp_path: Path) -> None:
    import time

    begin = time.perf_counter()
    run = python("-m", "orrl", "demo", "--out", str(tmp_path / "demo.html"))
    assert run.returncode == 0, run.stderr
    assert time.perf_counter() - begin < 300
    assert "10 methods on 14 instances" in run.stdout
    assert "RuntimeError" not in run.stdout and "error" not in run.stdout.replace("best known", "")
