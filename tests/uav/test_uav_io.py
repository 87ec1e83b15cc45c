"""Networks from files and back, bad files, and the shelf."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

import orrl
from orrl.core.errors import DataError, FormatError, UnknownNameError
from orrl.problems.uav import UavOffloading, UavState
from orrl.problems.uav import catalogue as shelf
from orrl.problems.uav.io import detect, read, read_json, read_trace, write_json, write_trace

if TYPE_CHECKING:
    from pathlib import Path

TRACE = "t,id,x,y\n1,anna,50,50\n1,ben,150,50\n2,anna,60,50\n2,ben,150,150\n"


@pytest.fixture
def network() -> UavOffloading:
    return UavOffloading.generate(seed=1, grid=4, uavs=2, users=5, slots=4, capacity=3, safe_distance=120.0)


def test_json_round_trip(network: UavOffloading, tmp_path: Path) -> None:
    running = network.at(UavState(np.array([[0, 15], [1, 14]])))
    path = write_json(running, tmp_path / "net.json")
    again = read_json(path)
    assert again.content_hash == running.content_hash
    assert (again.name, again.user_names) == (running.name, running.user_names)
    assert orrl.read(path).content_hash == running.content_hash
    assert read_json(path, capacity=1).capacity == 1


@pytest.mark.parametrize("time", ["slot", "seconds"])
def test_trace_round_trip(network: UavOffloading, tmp_path: Path, time: str) -> None:
    named = network.replace(user_names=["a", 'b "x"', "c, d", "e", "f"])
    path = write_trace(named, tmp_path / "users.csv", time=time)  # type: ignore[arg-type]
    again = orrl.read(path, time=time, grid=4, uavs=2)
    assert isinstance(again, UavOffloading)
    np.testing.assert_array_equal(again.users, named.users)
    assert again.user_names == named.user_names
    np.testing.assert_array_equal(again.starts, named.starts)


def test_trace_fits_its_grid_and_slots() -> None:
    problem = read_trace(TRACE, uavs=2, interference=False)
    assert (problem.width, problem.height, problem.n_slots) == (2, 2, 2)
    fine = "t,id,x,y\n" + "".join(f"{t},anna,{t},0\n" for t in range(100, 125))
    users = read_trace(fine, time="seconds", slot=10.0, uavs=1, grid=3).users
    assert users[:, 0, 0].tolist() == [100.0, 110.0, 120.0]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("t,id,x\n1,anna,3\n", 1, "titles t,id,x,y"),
        ("t,id,x,y\n", 1, "no rows"),
        ("t,id,x,y\n1,anna,3\n", 2, "3 entries"),
        ("t,id,x,y\n1,anna,3,north\n", 2, "y is 'north'"),
        ("t,id,x,y\n1,anna,nan,3\n", 2, "x is 'nan'"),
        ("t,id,x,y\n1.5,anna,1,3\n", 2, "no whole number"),
        ("t,id,x,y\n1,anna,-1,3\n", 2, "outside the area"),
        ("t,id,x,y\n1,anna,1,3\n1,anna,2,3\n", 3, "already in line 2"),
        (TRACE + "3,ben,1,1\n", 4, "anna has no row in slot 3"),
    ],
)
def test_bad_traces_name_file_and_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        read_trace(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"users": [,', ":1: is no JSON"),
        ('{"users": [], "starts": []}', "lacks grid, channel"),
        ('["users"]\n', "holds a list"),
    ],
)
def test_bad_json(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_json(path)


def test_bad_content_names_the_file(network: UavOffloading, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({**network.to_dict(), "cell": -1.0}))
    with pytest.raises(FormatError, match=r"bad\.json: cell is -1"):
        read(path)
    path.write_text(TRACE)
    with pytest.raises(FormatError, match="2 x 2 cells"):
        read(path, starts=[(5, 5)])
    with pytest.raises(UnknownNameError, match="uav-trace"):
        read(path, format="trace")
    with pytest.raises(DataError, match="seconds"):
        read_trace(path, time="minutes")  # type: ignore[arg-type]


def test_detect(tmp_path: Path) -> None:
    assert detect(TRACE) == "uav-trace"
    for text in ('{"machines_matrix": []}', "a,b\n1,2\n"):
        with pytest.raises(FormatError):
            detect(text)


def test_the_shelf() -> None:
    problem = orrl.load("uav/sinr10-1")
    assert isinstance(problem, orrl.UavOffloading)
    same = orrl.UavOffloading.generate(seed=1, grid=10, uavs=3, users=100, slots=20, interference=True)
    assert problem.content_hash == same.content_hash
    assert orrl.load("uav/sinr10-1", interference=False, capacity=7).variant == "SNR C=7"
    rows = {row["name"]: row for row in orrl.list_problems("uav")}
    assert set(rows) == {f"uav/{name}" for name in shelf.names()}
    for name in ("snr10-2", "capacity10-5"):
        own = orrl.load(f"uav/{name}")
        assert isinstance(own, UavOffloading)
        assert rows[f"uav/{name}"]["variant"] == own.variant
        assert shelf.best_known(own) is None
    assert [p.name for p in orrl.load_set("uav/snr10")] == [f"snr10-{i}" for i in range(1, 6)]
    assert shelf.members("all") == tuple(shelf.names())


def test_names_that_nobody_knows() -> None:
    with pytest.raises(UnknownNameError, match="did you mean"):
        orrl.load("uav/snr10-9")
    with pytest.raises(UnknownNameError, match="use load_set"):
        orrl.load("uav/snr10")
    with pytest.raises(UnknownNameError, match="use load"):
        orrl.load_set("uav/snr10-1")
