"""The job shop's shelf: names, sets, published data, and the best values known."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import orrl.instances
from orrl.core.errors import FormatError, IntegrityError, OrrlError, UnknownNameError
from orrl.problems.jobshop import Interruptions, JobShop, ShopState, catalogue

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(orrl.instances.__file__).parent / "jobshop"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())

# Published optima that other tests and the README rely on.
JSP = {"ft06": 55, "ft10": 930, "la01": 666, "la02": 655, "la03": 597, "la04": 590, "la05": 593, "abz8": 667}
BWS = {
    "ft06": 63, "la01": 793, "la02": 793, "la03": 715, "la04": 743, "la05": 664, "ft10": 1068, "la17": 929,
    "la20": 1060, "orb10": 1146, "abz5": 1468, "orb07": 483, "la10": 1096,
}  # fmt: skip


def test_manifest_and_shipped_instances_come_from_the_public_files(data_root: Callable[[str], Path]) -> None:
    run = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "make_manifest.py"), "--check"],
        env={**os.environ, "ORRL_DATA": str(data_root("jobshop").parent), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout.strip()) == (0, "differ: none"), run.stderr


def test_manifest_is_consistent() -> None:
    entries = MANIFEST["instances"]
    assert len(entries) == len({entry["hash"] for entry in entries.values()}) == 162
    for name, entry in entries.items():
        for bounds in (entry["jsp"], entry["bws"]):
            assert 0 < bounds["lower"] <= bounds["upper"], name
            assert bounds["optimal"] == (bounds["lower"] == bounds["upper"])
            assert all(bounds[key] for key in ("lower_by", "lower_date", "upper_by", "upper_date")), name
        assert entry["jsp"]["lower"] <= entry["bws"]["upper"]  # a blocking schedule is a schedule
        assert entry["split"] == "test"
    assert sum(entry["bws"]["optimal"] for entry in entries.values()) == 29
    assert sum(path.stat().st_size for path in FOLDER.glob("*.json") if path.name != "manifest.json") < 20_000


def test_known_optima() -> None:
    for variant, values in (("jsp", JSP), ("bws", BWS)):
        for name, value in values.items():
            bounds = MANIFEST["instances"][name][variant]
            assert (bounds["upper"], bounds["optimal"]) == (value, True), name


def test_shipped_instances_are_the_published_ones() -> None:
    assert len(catalogue.members("shipped")) == 24
    for name in catalogue.members("shipped"):
        assert catalogue.instance(name).content_hash == MANIFEST["instances"][name]["hash"]
    ft06 = catalogue.instance("ft06")
    assert ft06.machines[0].tolist() == [2, 0, 1, 3, 5, 4]
    assert ft06.durations[0].tolist() == [1, 3, 6, 7, 3, 6]


def test_every_instance_loads_from_a_data_root(data_root: Callable[[str], Path]) -> None:
    roots = [data_root("jobshop").parent]
    for name in catalogue.names():
        shop = catalogue.instance(name, roots=roots)  # raises where the hash differs
        entry = MANIFEST["instances"][name]
        assert (shop.name, shop.n_jobs, shop.n_machines) == (name, entry["jobs"], entry["machines"])


def test_options_and_names() -> None:
    shop = catalogue.instance("ta01", storage="blocking", swap=False, name="mine")
    assert (shop.variant, shop.name, shop.n_jobs) == ("BNS", "mine", 15)


def test_sets() -> None:
    sizes = {name: len(catalogue.members(name)) for name in MANIFEST["sets"]}
    assert sizes == {
        "fisher": 3, "lawrence": 40, "adams": 5, "applegate": 10, "storer": 20, "yamada": 4, "taillard": 80,
    }  # fmt: skip
    assert catalogue.members("lawrence-10x5") == ("la01", "la02", "la03", "la04", "la05")
    assert catalogue.members("taillard-15x15") == tuple(f"ta{n:02}" for n in range(1, 11))
    assert len(catalogue.members("all")) == 162
    groups = [set(members) for name, members in catalogue.sets().items() if name.startswith("lawrence-")]
    assert set.union(*groups) == set(catalogue.members("lawrence"))
    assert sum(map(len, groups)) == 40


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'la01'"):
        catalogue.instance("la1")
    with pytest.raises(UnknownNameError, match="lawrence is a set: use load_set"):
        catalogue.instance("lawrence")
    with pytest.raises(UnknownNameError, match="did you mean 'lawrence'"):
        catalogue.members("laurence")
    with pytest.raises(UnknownNameError, match="ft06 is one instance: use load"):
        catalogue.members("ft06")


def test_missing_data_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OrrlError, match=r"run `orrl fetch jobshop` once, or set ORRL_DATA .*looked for .*jsp_inst"):
        catalogue.instance("swv01", roots=[tmp_path])


def test_other_data_under_a_known_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobshop" / "jsp_instances.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"swv01": {"machines_matrix": [[0]], "duration_matrix": [[1]]}}))
    with pytest.raises(IntegrityError, match=r"jobshop/swv01 from .*jsp_instances\.json is not the published instance"):
        catalogue.instance("swv01", roots=[tmp_path])
    with pytest.raises(OrrlError, match="orrl fetch"):
        catalogue.instance("swv02", roots=[tmp_path])
    path.write_text('{"swv01": ')
    with pytest.raises(FormatError, match="is no JSON"):
        catalogue.instance("swv01", roots=[tmp_path])


def test_best_known_is_found_by_content() -> None:
    own = catalogue.instance("ft06", name="my own file", storage="blocking", due=[100] * 6, job_names=list("abcdef"))
    best = catalogue.best_known(own)
    assert best is not None
    assert (best.lower, best.upper, best.optimal, str(best), best.date) == (63, 63, True, "63", "2023-07-30")
    assert "CP Optimizer" in best.source
    assert "ScheduleOpt/optalcp-benchmarks" in best.source
    plain = catalogue.best_known(catalogue.instance("ft06"))
    assert plain is not None
    assert plain.upper == 55
    assert "ScheduleOpt/benchmarks" in plain.source


def test_a_bound_of_the_plain_shop_holds_in_the_blocking_shop() -> None:
    entry = MANIFEST["instances"]["ta01"]
    assert entry["bws"]["lower"] < entry["jsp"]["lower"]
    best = catalogue.best_known(catalogue.instance("ta01", storage="blocking"))
    assert best is not None
    assert (best.lower, best.upper, best.optimal) == (entry["jsp"]["lower"], entry["bws"]["upper"], False)
    assert str(best) == f"{best.lower} to {best.upper}"
    assert "benchmarks, jobshop/solutions/bks.json" in best.source
    assert "blocking-jobshop" in best.source


@pytest.mark.parametrize(
    "options",
    [
        {"storage": "blocking", "swap": False},
        {"objective": "total_flow"},
        {"interruptions": Interruptions(p=0.1)},
        {"storage": "blocking", "interruptions": Interruptions(p=0.1)},
        {"maintenance": [(0, 1, 2)]},
        {"release": [1, 0, 0, 0, 0, 0]},
        {"machine_names": list("abcdefg")},  # a seventh machine: another shop
    ],
)
def test_nothing_is_known_of_other_problems(options: dict[str, Any]) -> None:
    assert catalogue.best_known(catalogue.instance("ft06", **options)) is None


def test_nothing_is_known_of_a_running_or_a_random_shop() -> None:
    shop = catalogue.instance("ft06")
    running = shop.at(ShopState(0, shop.machines * 0 - 1, shop.nominal()))
    assert catalogue.best_known(running) is None
    assert catalogue.best_known(JobShop.generate(seed=0, jobs=6, machines=6)) is None


def test_listing() -> None:
    rows = {row["name"]: row for row in catalogue.listing()}
    assert len(rows) == 162
    assert rows["jobshop/ft10"]["best known"] == "JSP 930, BWS 1068"
    assert rows["jobshop/ft10"]["size"] == "10x10"
    assert (rows["jobshop/ta01"]["data"], rows["jobshop/swv01"]["data"]) == ("generated", "fetch")
