"""The shelf of hydrothermal dispatch: names, public folders, valleys of our own, folders written and read."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from orrl import catalogue as front
from orrl.cli.app import app
from orrl.core.engines import open_stage
from orrl.core.errors import DataError, FormatError, IntegrityError, OrrlError, UnknownNameError
from orrl.core.targets import TargetPolicy, play
from orrl.problems.hydrothermal import Dispatch, HydroState, Hydrothermal, Terminal, catalogue, write_case
from orrl.problems.hydrothermal.generator import HydroGenerator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
# A seed gives the same valley on every machine and with every release; a change of these numbers is a new instance.
HASHES = {
    "valley": "391c4f0afa9dd7cfbfb26ee19fe946b82c864ff569f1ab3fc17a5db0660bdf95",
    "valley-scarce": "07f9c1643668fd6628512d37c1eeeec91df1414071f89298747928f7d6d049cf",
}


@pytest.fixture(scope="module")
def cases(data_root: Callable[[str], Path]) -> Path:
    return data_root("hydrothermal")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data root and an empty cache."""
    monkeypatch.setenv("ORRL_DATA", "")
    monkeypatch.setenv("ORRL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# ---- names -----------------------------------------------------------------------------------------------------------
def test_every_name_loads(cases: Path) -> None:
    for name in catalogue.names():
        problem = catalogue.instance(name, roots=[cases.parent])
        assert problem.name == name
        assert len(problem.stages().nodes) == problem.n_stages
    assert {row["name"] for row in catalogue.listing()} == {f"hydrothermal/{name}" for name in catalogue.names()}


def test_bolivia_has_the_published_options(cases: Path) -> None:
    del cases
    weekly = front.load("hydrothermal/bolivia")
    assert (weekly.stage_hours, weekly.n_stages, weekly.window, weekly.load.tolist()) == (168.0, 126, 96, [0.6])
    assert weekly.factor == pytest.approx(0.6048)
    assert weekly.content_hash == front.load("hydrothermal/bolivia-weekly").content_hash
    old = front.load("hydrothermal/bolivia-k0036-as-published", network="soc")
    assert (old.factor, old.network) == (0.0036, "soc")
    short = front.load("hydrothermal/bolivia", stages=12, load=0.7, network="transport")
    assert (short.n_stages, short.window, short.load.tolist(), short.network) == (12, 12, [0.7], "transport")
    assert len(front.load("hydrothermal/bolivia", stages=12).protocol(3)) == 3


def test_units_of_brasil_4(cases: Path) -> None:
    """Stores are K = 0.0036 times those of the plain table beside the case, so its stages count as one hour."""
    problem = catalogue.instance("brasil_4", roots=[cases.parent])
    table = [line.split(",") for line in (cases / "brasil_4" / "hydro.csv").read_text().split()[1:]]
    assert problem.cascade.volume_max == pytest.approx([problem.factor * float(row[2]) for row in table])
    assert problem.cascade.turbine_max == pytest.approx([float(row[3]) for row in table])


def test_published_means_are_found_by_content(cases: Path) -> None:
    del cases
    known = front.best_known(front.load("hydrothermal/bolivia", network="ac", name="mine"))
    assert str(known).startswith("SDDP 313,546.09, TS-DDR 314,023.62 (published means")
    assert known.lower is None
    assert known.upper is None
    old = front.best_known(front.load("hydrothermal/bolivia-k0036-as-published", network="ac"))
    assert old.means["SDDP"] == 303665
    for options in ({}, {"network": "soc"}, {"network": "ac", "load": 0.61}, {"network": "ac", "stages": 96}):
        assert front.best_known(front.load("hydrothermal/bolivia", **options)) is None
    assert front.best_known(front.load("hydrothermal/valley")) is None


def test_published_numbers_are_those_of_the_authors(cases: Path) -> None:
    told = json.loads((cases / "bolivia" / "published" / "published_results.json").read_text())
    frozen, early = told["frozen_case_K_0.6048"], told["earlier_calibration_K_0.0036"]
    means = catalogue.BY_HOURS[168.0].means
    assert means == {"SDDP": round(frozen["sddp"]["mean"], 2), "TS-DDR": round(frozen["tsddr"]["mean"], 2)}
    assert catalogue.BY_HOURS[1.0].means == {
        "SDDP": early["table_96_stage"][0][1],
        "TS-DDR": early["table_96_stage"][1][1],
    }


def test_sets_and_unknown_names() -> None:
    assert catalogue.members("shipped") == ("valley", "valley-scarce")
    assert set(catalogue.members("all")) == set(catalogue.names())
    assert len({catalogue.PUBLIC[name][0] for name in catalogue.members("public")}) == 6
    for name in catalogue.SETS:
        assert set(catalogue.members(name)) <= set(catalogue.names())
    with pytest.raises(UnknownNameError, match="did you mean 'bolivia'"):
        catalogue.instance("bolvia")
    with pytest.raises(UnknownNameError, match="public is a set: use load_set"):
        catalogue.instance("public")
    with pytest.raises(UnknownNameError, match="bolivia is one instance: use load"):
        catalogue.members("bolivia")


def test_the_shelf_is_light() -> None:
    code = (
        "import sys, orrl.catalogue as c\n"
        "p = c.load('hydrothermal/valley'); c.best_known(p); c.list_problems('hydrothermal')\n"
        "heavy = {'pandas', 'pooch', 'numba', 'torch', 'scipy', 'networkx', 'pyomo', 'gymnasium', 'highspy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


# ---- files -----------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("alone")
def test_missing_files_say_what_to_do() -> None:
    text = r"run `orrl fetch hydrothermal` once, or set ORRL_DATA .*hydrothermal/bolivia/ with PowerModels.json, hydro"
    with pytest.raises(OrrlError, match=text):
        front.load("hydrothermal/bolivia")
    assert len(front.load_set("hydrothermal/shipped")) == 2


def test_other_data_under_a_known_name_are_refused(cases: Path, tmp_path: Path) -> None:
    home = tmp_path / "hydrothermal" / "case3"
    shutil.copytree(cases / "case3", home)
    assert catalogue.instance("case3", roots=[tmp_path]).n_stages == 12
    (home / "inflows.csv").chmod(0o644)
    (home / "inflows.csv").write_text("1,2,3\n" * 12)
    with pytest.raises(IntegrityError, match=r"case3/inflows\.csv is not the published file.*orrl\.read"):
        catalogue.instance("case3", roots=[tmp_path])
    assert catalogue.instance("case3", roots=[tmp_path / "nothing", cases.parent]).n_stages == 12
    (home / "inflows.csv").unlink()
    with pytest.raises(OrrlError, match="is not shipped with orrl"):
        catalogue.instance("case3", roots=[tmp_path])


def test_sources_are_pinned_and_are_the_files_at_hand(cases: Path) -> None:
    sources = catalogue.sources()
    assert len(sources) == len({source["file"] for source in sources}) == 22
    for source in sources:
        assert hashlib.sha256((cases / source["file"]).read_bytes()).hexdigest() == source["sha256"]
        host, slash, place = source["url"].partition("raw.githubusercontent.com/")
        owner, _, commit, path = place.split("/", 3)
        assert (host, slash != "") == ("https://", True)
        assert owner in ("LearningToOptimize", "LAMPSPUC")
        assert len(commit) == 40
        assert path.endswith(f"/{source['file']}")
        assert source["licence"].startswith("MIT")
    note = (cases / "SOURCE.md").read_text()
    assert all(folder.commit in note and folder.repository in note for folder in catalogue.FOLDERS.values())


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(cases: Path, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A copy of the public files, and the address under which it is served."""
    folder = tmp_path / "served"
    for source in catalogue.sources():
        (folder / source["file"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(cases / source["file"], folder / source["file"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_fetch_gets_every_file(mirror: tuple[Path, str], alone: Path) -> None:
    folder, address = mirror
    spoilt = folder / "bolivia" / "inflows.csv"
    good = spoilt.read_bytes()
    spoilt.write_text("1,2,3\n")
    with pytest.raises(IntegrityError, match=r"bolivia/inflows\.csv is not the file with sha256 5afb275d.*by hand to"):
        front.fetch("hydrothermal", url=address)
    assert not (alone / "hydrothermal" / "bolivia" / "inflows.csv").exists()
    spoilt.write_bytes(good)
    paths = front.fetch("hydrothermal", url=f"{address}/")
    assert [str(path.relative_to(alone / "hydrothermal")) for path in paths] == [s["file"] for s in catalogue.sources()]
    for name in catalogue.names():
        front.load(f"hydrothermal/{name}")
    shutil.rmtree(folder)
    told = CliRunner().invoke(app, ["fetch", "hydrothermal", "--json"])  # kept: nothing is asked for again
    assert json.loads(told.stdout) == {"family": "hydrothermal", "paths": [str(path) for path in paths]}
    assert front.fetch("hydrothermal", url=address) == paths


# ---- folders of a user -----------------------------------------------------------------------------------------------
def test_read_takes_the_folder_or_its_file(cases: Path) -> None:
    one = front.read(cases / "bolivia", network="ac", load=0.6, window=96)
    two = front.read(cases / "bolivia" / "hydro.json", network="ac", load=0.6, window=96)
    assert one.content_hash == two.content_hash == front.load("hydrothermal/bolivia", network="ac").content_hash
    assert one.name == two.name == "bolivia"
    assert front.read(cases / "bolivia", format="hydropowermodels").stage_hours == 168.0


def test_what_is_no_case(cases: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"case3.hydro\.json: stage_hours is missing.*bolivia-k0036-as-published"):
        front.read(cases / "case3")
    assert front.read(cases / "case3", stage_hours=1.0, stages=12).factor == 0.0036
    with pytest.raises(
        FormatError, match=r"(?s)in no known format.*hydrothermal: .*neither a folder with a hydro\.json"
    ):
        front.read(tmp_path)
    with pytest.raises(FormatError, match="is neither a folder with a hydro"):
        front.read(cases / "case3" / "PowerModels.json", format="hydropowermodels")


def test_public_cases_survive_a_round_trip(cases: Path, tmp_path: Path) -> None:
    for name in ("bolivia", "case3", "brasil_4"):
        problem = catalogue.instance(name, roots=[cases.parent], network="soc")
        back = front.read(write_case(problem, tmp_path / name))
        assert back.content_hash == problem.content_hash
        assert back.to_dict() == problem.to_dict()


@given(seed=st.integers(0, 10**6), deficit=st.floats(1.0, 1e5), plants=st.integers(1, 7), buses=st.integers(2, 9))
def test_a_case_survives_a_round_trip(
    tmp_path_factory: pytest.TempPathFactory, seed: int, deficit: float, plants: int, buses: int
) -> None:
    end = Terminal(value=np.linspace(0.0, 1.0, plants))
    problem = Hydrothermal.generate(
        seed=seed, plants=plants, buses=buses, rows=4, scenarios=3, deficit_cost=deficit, stages=6, window=5,
        load=[1.0, 0.9, 0.8, 1.1], sampler="independent", terminal=end, network="transport",
    )  # fmt: skip
    folder = write_case(problem, tmp_path_factory.mktemp("case"))
    back = front.read(folder, name=problem.name)
    assert back.content_hash == problem.content_hash
    assert back.to_dict() == problem.to_dict()
    assert front.read(folder, stages=3).window == 3


def test_a_running_state_has_no_place_in_a_folder(tmp_path: Path) -> None:
    problem = front.load("hydrothermal/valley")
    state = HydroState(problem.inflow[:1, :, 0], Dispatch({"volume": np.zeros((0, 4))}))
    with pytest.raises(DataError, match="is at stage 0, and a folder holds no running state"):
        write_case(problem.with_(state=state), tmp_path)


# ---- valleys ---------------------------------------------------------------------------------------------------------
class Myopic(TargetPolicy):
    """Each stage as if it were the last."""

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        self._problem, self._solver = problem, open_stage(problem.stage(0))

    def targets(self, node: Any, state: Any, noise: Any) -> Any:
        return np.stack([self._solver.solve(x, w).state_out for x, w in zip(state, noise, strict=True)])


def clairvoyant(problem: Hydrothermal, path: Any) -> tuple[float, float]:
    """Cost and energy not served (per unit and stage) of the whole horizon with the inflow known, as one program."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import block_array, csr_array

    stage, stages = problem.stage(0), len(path)
    n, m = len(stage.out), len(stage.columns)
    link = -(stage.by_state @ csr_array((np.ones(n), (np.arange(n), stage.out)), shape=(n, m)))
    blocks: list[list[Any]] = [[None] * stages for _ in range(stages)]
    for t in range(stages):
        blocks[t][t] = stage.matrix
        if t:
            blocks[t][t - 1] = link
    shift = np.stack([stage.by_noise @ w for w in path])
    shift[0] += stage.by_state @ problem.volume
    rows = LinearConstraint(
        block_array(blocks, format="csr"), (stage.row_lower + shift).ravel(), (stage.row_upper + shift).ravel()
    )
    bounds = Bounds(np.tile(stage.lower, stages), np.tile(stage.upper, stages))
    answer = milp(np.tile(stage.cost, stages), constraints=rows, bounds=bounds)
    assert answer.success
    deficit = [i for i, key in enumerate(stage.columns) if key[0] == "deficit"]
    return float(answer.fun), float(answer.x.reshape(stages, m)[:, deficit].sum())


@pytest.mark.parametrize(("name", "headroom", "dry"), [("valley", 0.1, False), ("valley-scarce", 1.0, True)])
def test_water_must_be_kept_for_the_dry_season(name: str, headroom: float, dry: bool) -> None:
    """A myopic rule costs far more than perfect information; only the scarce valley sheds under perfect information."""
    problem = front.load(f"hydrothermal/{name}")
    paths = np.stack([problem.noise(problem.scenario(seed)) for seed in range(8)])
    played = play(problem, Myopic(), paths)
    best = [clairvoyant(problem, path) for path in paths]
    cost = np.array([value for value, _ in best])
    assert (played.total() >= cost * (1 - 1e-9)).all()
    assert played.total().mean() > (1 + headroom) * cost.mean()
    assert any(shed > 1e-6 for _, shed in best) == dry
    flows = [i for i, key in enumerate(problem.stage(0).columns) if key[0] == "flow"]
    full = abs(abs(played.columns[:, :, flows]) - problem.grid.rating) < 1e-7
    assert full.any()  # lines congest


@pytest.mark.parametrize("network", ["transport", "dc", "dcll", "soc", "ac"])
def test_every_physics_has_stages_that_solve(network: Any) -> None:
    costs = {}
    for name in catalogue.members("shipped"):
        problem = front.load(f"hydrothermal/{name}", network=network)
        solver, limits = open_stage(problem.stage(0)), problem.cascade
        path = problem.noise(problem.scenario(0))
        for t in (0, 30, 51):
            for start in (limits.volume_start, limits.volume_max, np.zeros(4)):
                answer = solver.solve(start, path[t])
                assert answer.status == "optimal", (name, t)
                costs[name, t, start.sum()] = answer.cost
    assert min(costs.values()) >= 0.0


def test_valleys_are_the_same_everywhere() -> None:
    for name, digest in HASHES.items():
        assert front.load(f"hydrothermal/{name}").content_hash == digest
    plain, scarce = (front.load(f"hydrothermal/{name}") for name in HASHES)
    assert plain.cascade.to_dict() == scarce.cascade.to_dict()
    assert np.array_equal(plain.inflow, scarce.inflow)
    assert scarce.grid.power_max[4:].sum() < 0.6 * plain.grid.power_max[4:].sum()


@given(
    seed=st.integers(0, 10**6),
    plants=st.integers(1, 9),
    buses=st.integers(2, 12),
    thermal=st.integers(1, 9),
    scenarios=st.integers(1, 5),
    tightness=st.floats(0.3, 1.5),
)
def test_generated_valleys_are_sound(
    seed: int, plants: int, buses: int, thermal: int, scenarios: int, tightness: float
) -> None:
    size = {"plants": plants, "buses": buses, "thermal": thermal, "scenarios": scenarios, "rows": 6}
    problem = Hydrothermal.generate(seed=seed, tightness=tightness, **size)
    assert problem.content_hash == Hydrothermal.generate(seed=seed, tightness=tightness, **size).content_hash
    assert problem.inflow.shape == (6, plants, scenarios)
    outlets = np.flatnonzero(~problem.cascade.turbine_to.any(axis=1))
    assert outlets.tolist() == [plants - 1]
    assert problem.grid.demand.sum() * 100 == pytest.approx(80.0 * buses, rel=1e-2)
    turbines = problem.cascade.production * problem.cascade.turbine_max / 100
    assert (problem.grid.power_max[:plants] >= turbines).all()
    x, w = problem.cascade.volume_start, problem.inflow[0, :, 0]
    assert open_stage(problem.stage(0)).solve(x, w).status == "optimal"


def test_bad_sizes_are_explained() -> None:
    with pytest.raises(DataError, match="buses is 1: give at least 2"):
        Hydrothermal.generate(seed=0, buses=1)
    with pytest.raises(DataError, match="season 1"):
        Hydrothermal.generate(seed=0, season=1.0)
    with pytest.raises(DataError, match="tightness must be below 2"):
        Hydrothermal.generate(seed=0, tightness=2.0)
    with pytest.raises(DataError, match=r"plants is \(3, 2\)"):
        Hydrothermal.generator(plants=(3, 2))
    with pytest.raises(DataError, match="split is 'tests'"):
        Hydrothermal.generator().sample(1, split="tests")  # type: ignore[arg-type]


def test_a_generator_has_streams() -> None:
    law = Hydrothermal.generator(plants=(2, 5), tightness=(0.6, 0.9), rows=8, ood=HydroGenerator(plants=7, rows=8))
    train, val = law.sample(4, seed=3), law.sample(4, seed=3, split="val")
    hashes = {problem.content_hash for problem in (*train, *val)}
    assert len(hashes) == 8
    assert [p.content_hash for p in law.sample(2, seed=3)] == [p.content_hash for p in train[:2]]
    assert {len(p.cascade.names) for p in train} <= {2, 3, 4, 5}
    assert len(law.sample(1, split="ood")[0].cascade.names) == 7
    told = json.loads(json.dumps(law.to_dict()))
    again = HydroGenerator(**{**told, "ood": HydroGenerator(**told["ood"])})
    assert again == law
