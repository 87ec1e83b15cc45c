"""The folder format of HydroPowerModels: public cases, both network files, and what is wrong with bad ones."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from orrl.core.errors import DataError, FormatError
from orrl.problems.hydrothermal import Cascade, Network, read_case
from orrl.problems.hydrothermal.io import read
from orrl.problems.hydrothermal.powermodels import read_json, read_matpower

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def cases(data_root: Callable[[str], Path]) -> Path:
    return data_root("hydrothermal")


@pytest.fixture
def copy(cases: Path, tmp_path: Path) -> Path:
    """A case to spoil."""
    return shutil.copytree(cases / "case3", tmp_path / "case3")


def test_bolivia(cases: Path) -> None:
    case = read_case(cases / "bolivia")
    net, dams = case.network, case.cascade
    assert (len(net.bus_names), len(net.rating), len(net.cost), len(dams.names)) == (28, 31, 34, 11)
    thermal = np.setdiff1d(np.arange(34), dams.generator)
    assert net.power_max[thermal].sum() * net.base == pytest.approx(506.7, abs=0.05)
    assert net.power_max[dams.generator].sum() * net.base == pytest.approx(426.9, abs=0.05)
    assert net.load.sum() * net.base == pytest.approx(804.2, abs=0.05)
    assert net.deficit_cost == 6000.0
    assert case.inflow.shape == (48, 11, 15)
    assert case.stage_hours == 168.0
    assert not dams.volume_start.any()  # 9e-316 in the file
    assert not dams.spill_cost.any()
    name = dict(zip(dams.names, range(11), strict=True))
    assert dams.turbine_to[name["COR"], name["SIS"]] == 1
    assert dams.spill_to[name["COR"], name["SIS"]] == 0
    assert dams.spill_to[name["ZON"], name["CHU"]] == dams.turbine_to[name["ZON"], name["CHU"]] == 1
    assert case.inflow[:, name["COR"]].mean() == pytest.approx(7.34, abs=0.01)
    place = {plant: k for k, plant in enumerate(dams.order)}
    assert all(place[i] < place[j] for i, j in np.argwhere(dams.turbine_to + dams.spill_to))


@pytest.mark.parametrize("name", ["case3", "case3deterministic", "case3deterministic_nowater", "brasil_4"])
def test_other_cases(cases: Path, name: str) -> None:
    case = read_case(cases / name)
    assert case.stage_hours is None
    assert case.probability.sum(axis=1) == pytest.approx(np.ones(len(case.inflow)))
    assert case.inflow.shape[1] == len(case.cascade.names)


def test_both_network_files_say_the_same(cases: Path) -> None:
    one = read_json(cases / "case3" / "PowerModels.json").to_dict()
    two = read_matpower(cases / "case3" / "PowerModels.m", deficit_cost=1000.0).to_dict()
    names = {"bus_names", "generator_names"}
    assert {k: v for k, v in one.items() if k not in names} == {k: v for k, v in two.items() if k not in names}


def test_round_trip(cases: Path) -> None:
    case = read_case(cases / "bolivia")
    for part in (case.network, case.cascade):
        text = json.dumps(part.to_dict())
        assert json.dumps(type(part).from_dict(json.loads(text)).to_dict()) == text


# ---- what is wrong, and where ----------------------------------------------------------------------------------------
def spoil(path: Path, change: Callable[[Any], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("PowerModels.json", lambda d: d.pop("baseMVA"), "no key 'baseMVA'"),
        ("PowerModels.json", lambda d: d["gen"]["1"].update(gen_bus=9), "gen 1: gen_bus is 9, which is no bus"),
        ("PowerModels.json", lambda d: d["gen"]["1"].update(cost=[3, 2000, 0]), "gen 1: cost .* is not linear"),
        ("PowerModels.json", lambda d: d["branch"]["2"].update(br_x="x"), "branch 2: br_x is 'x', give a number"),
        ("PowerModels.json", lambda d: d.update(per_unit=False), "per_unit"),
        ("PowerModels.json", lambda d: d["shunt"].update({"1": {}}), "shunts"),
        ("hydro.json", lambda d: d["Hydrogenerators"][0].pop("max_turn"), "max_turn is None"),
        (
            "hydro.json",
            lambda d: d["Hydrogenerators"][0].update(index_grid=7),
            "index_grid is 7, there are 3 generators",
        ),
        ("hydro.json", lambda d: d["Hydrogenerators"][0].update(downstream_turn=[4]), "downstream_turn names 4"),
        ("hydro.json", lambda d: d.update(stage_hours=-1), "stage_hours is -1"),
        ("hydro.json", lambda d: d.pop("Hydrogenerators"), "no key 'Hydrogenerators'"),
        ("hydro.json", lambda d: d["Hydrogenerators"][0].update(downstream_spill=[1]), "water runs in a circle"),
        ("hydro.json", lambda d: d["Hydrogenerators"][0].update(max_turn=-1), "turbine_min 0 exceeds turbine_max -1"),
        ("hydro.json", lambda d: d["Hydrogenerators"][0].update(min_volume=-2), "volume_min is -2, give at least 0"),
        ("hydro.json", lambda d: d["Hydrogenerators"][0].update(initial_volume=9), "volume_start is 9 hm3, outside"),
        ("hydro.json", lambda d: d["Hydrogenerators"].append(d["Hydrogenerators"][0]), "index 1 stands twice"),
        ("hydro.json", lambda d: d.update(orrl={"stage": 3}), "key 'orrl' is"),
        ("PowerModels.json", lambda d: d["branch"]["1"].update(rate_a=-1), "rating is -1, give a limit of at least 0"),
        ("PowerModels.json", lambda d: d["gen"]["1"].update(pmin=2), "smallest power 2 exceeds largest 1"),
    ],
)
def test_bad_json(copy: Path, file: str, change: Any, message: str) -> None:
    spoil(copy / file, change)
    with pytest.raises(FormatError, match=message) as caught:
        read_case(copy)
    assert file in str(caught.value)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("inflows.csv", "1,2,x\n", "line 1: could not convert"),
        ("inflows.csv", "1,2,3\n1,2\n", "line 2 has 2 values, line 1 has 3"),
        ("inflows.csv", "1,2,-3\n", "row 1, column 3 is -3"),
        ("inflows.csv", "", "is empty"),
        ("inflows.csv", "1,2\n" * 12, r"scenarioprobability.csv: has shape \(12, 3\), inflows.csv needs \(12, 2\)"),
        ("scenarioprobability.csv", "0.5,0.2,0.2\n" * 12, "row 1 sums to 0.9"),
        ("scenarioprobability.csv", "0.5,0.5\n" * 12, "has shape"),
    ],
)
def test_bad_tables(copy: Path, file: str, text: str, message: str) -> None:
    (copy / file).write_text(text)
    with pytest.raises(FormatError, match=message):
        read_case(copy)


def test_columns_are_blocks_of_plants(cases: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(cases / "brasil_4", tmp_path / "brasil_4")
    (folder / "inflows.csv").write_text("1,2,3,4,5\n")
    with pytest.raises(FormatError, match=r"inflows.csv: has 5 columns for 4 plants: give a block of scenarios"):
        read_case(folder)


def test_a_stage_without_a_solution_names_its_rows(copy: Path) -> None:
    from orrl.core.engines import open_stage

    def floor(data: Any) -> None:
        data["Hydrogenerators"][0].update(min_turn=10, minimal_outflow_violation_cost=0)

    spoil(copy / "hydro.json", floor)  # a hard flow that a dry stage does not have
    stage = read(copy, stage_hours=1.0, stages=12).stage(0)
    solver = open_stage(stage)
    dry = np.zeros(1)
    assert solver.solve(dry, dry).status == "infeasible"
    assert "water[0]" in "; ".join(solver.conflict(dry, dry)).replace("(", "[").replace(")", "]")
    assert solver.solve(np.array([0.18]), dry).status == "optimal"


def test_missing_files(copy: Path) -> None:
    with pytest.raises(FormatError, match="is no folder"):
        read_case(copy / "nowhere")
    (copy / "PowerModels.json").unlink()
    with pytest.raises(FormatError, match="has no cost of deficit"):
        read_case(copy)
    assert read_case(copy, deficit_cost=1000.0).network.deficit_cost == 1e5
    (copy / "PowerModels.m").unlink()
    with pytest.raises(FormatError, match="neither"):
        read_case(copy)


def test_a_cascade_flows_downhill(cases: Path) -> None:
    data = read_case(cases / "bolivia").cascade.to_dict()
    data["turbine_to"][0][1] = 1  # SIS back to COR
    with pytest.raises(DataError, match=r"water runs in a circle: .*SIS"):
        Cascade(**data)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("turbine_max", -1.0, "COR: turbine_min 0 exceeds turbine_max -1"),
        ("volume_min", -1.0, "COR: volume_min is -1"),
        ("volume_start", 500.0, "COR: volume_start is 500 hm3, outside 0 to 137.99"),
    ],
)
def test_limits_of_a_plant(cases: Path, key: str, value: float, message: str) -> None:
    data = read_case(cases / "bolivia").cascade.to_dict()
    data[key][1] = value
    with pytest.raises(DataError, match=message):
        Cascade(**data)


def test_limits_of_a_network(cases: Path) -> None:
    data = read_case(cases / "case3").network.to_dict()
    with pytest.raises(DataError, match=r"branch_to\[0\] is 5: there are 3 buses"):
        Network(**{**data, "branch_to": [5, 1, 1]})
    with pytest.raises(DataError, match="cost has 2 entries for 3 generators"):
        Network(**{**data, "cost": [1.0, 2.0]})
    with pytest.raises(DataError, match="exceeds largest"):
        Network(**{**data, "power_min": [9.0, 0.0, 0.0]})
