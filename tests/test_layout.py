"""The layout: root links, guards, floors, dependencies that must live together, no paths of one machine."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINKS = ("problems", "solvers", "instances")

# Name directly under orrl -> floor. A name may be imported only from a higher floor, or from inside itself.
FLOORS = {
    "core": 0,
    "registry": 0,
    "problems": 1,
    "instances": 1,
    "solvers": 2,
    "catalogue": 3,
    "check": 3,
    "methods": 3,
    "versions": 3,
    "planning": 4,
    "comparison": 4,
    "cli": 5,
    "gym": 6,
    "__main__": 6,
    "": 6,  # orrl/__init__.py, which hands names on
}
# What the floors alone would allow: a solver knows no problem; shipped data imports nothing.
FORBIDDEN = {"solvers": {"problems", "instances"}, "instances": set(FLOORS)}
# What the floors alone would forbid: one room split in two; thin commands may call the public functions.
ALLOWED = {"core": {"registry"}, "registry": {"core"}, "cli": {""}, "__main__": {""}, "gym": {""}}


def room(module: str) -> str:
    """The name directly under ``orrl`` that a dotted module (or a name handed on by ``orrl``) belongs to."""
    name = module.split(".")[1] if "." in module else ""
    is_module = (ROOT / "orrl" / name).is_dir() or (ROOT / "orrl" / f"{name}.py").is_file()
    return name if name in FLOORS or is_module else ""


def imported(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and dotted module of every import of orrl in a source file, wherever it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found = [f"orrl.{alias.name}" for alias in node.names] if base == "orrl" else [base]
        else:
            continue
        yield from ((node.lineno, name) for name in found if name.split(".")[0] == "orrl")


def crossings(source: str, package: str, here: str) -> list[str]:
    """Imports that cross a floor, as text; ``here`` is the room that the source stands in."""
    bad = []
    for line, module in imported(source, package):
        there = room(module)
        if there == here or there in ALLOWED.get(here, ()):
            continue
        if there in FORBIDDEN.get(here, ()) or FLOORS[there] >= FLOORS[here]:
            bad.append(f"line {line}: {here or 'orrl'} imports {module}")
    return bad


def package_files() -> list[Path]:
    return sorted(path for path in (ROOT / "orrl").rglob("*.py") if "__pycache__" not in path.parts)


@pytest.mark.parametrize("name", LINKS)
def test_root_links(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert str(link.readlink()) == f"orrl/{name}"
    assert link.resolve() == ROOT / "orrl" / name


@pytest.mark.parametrize("name", LINKS)
def test_links_refuse_to_be_imported(name: str) -> None:
    run = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode != 0
    assert f"ImportError: import orrl.{name}; the root folder is only a link to it" in run.stderr
    code = f"import orrl.{name} as m; assert m.__doc__"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_every_module_stands_on_a_floor() -> None:
    names = {path.relative_to(ROOT / "orrl").parts[0].removesuffix(".py") for path in package_files()} - {"__init__"}
    assert names <= set(FLOORS), "give the new module a floor in FLOORS"


@pytest.mark.parametrize("path", package_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_floors(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    here = parts[1] if parts[1] != "__init__" else ""
    assert crossings(path.read_text(encoding="utf-8"), ".".join(parts[:-1]), here) == []


@pytest.mark.parametrize(
    ("source", "package", "here"),
    [
        ("from orrl.problems.jobshop import JobShop", "orrl.solvers.exact", "solvers"),
        ("from ...problems import jobshop", "orrl.solvers.exact", "solvers"),
        ("def f():\n    import orrl.solvers.exact.milp", "orrl.problems.jobshop", "problems"),
        ("from orrl import solvers", "orrl.problems.jobshop", "problems"),
        ("if TYPE_CHECKING:\n    from orrl.problems import JobShop", "orrl.core", "core"),
        ("from .. import problems", "orrl.core", "core"),
        ("from orrl import solve", "orrl.solvers.search", "solvers"),
        ("from ..core import types", "orrl.instances", "instances"),
        ("from .planning import simulate", "orrl", "check"),
        ("from orrl.comparison import grid", "orrl.planning", "planning"),
    ],
)
def test_floors_are_not_blind(source: str, package: str, here: str) -> None:
    assert len(crossings(source, package, here)) == 1


@pytest.mark.parametrize(
    ("source", "package", "here"),
    [
        ("from orrl.core.types import Result", "orrl.solvers.exact", "solvers"),
        ("from ...core import errors\nimport numpy.typing", "orrl.problems.jobshop", "problems"),
        ("from . import data\nfrom ..tabular import mdp", "orrl.problems.jobshop", "problems"),
        ("import orrl\nfrom orrl import solve, planning", "orrl.cli", "cli"),
        ("from .registry import lookup\nfrom . import solvers", "orrl", "catalogue"),
    ],
)
def test_floors_let_the_rest_pass(source: str, package: str, here: str) -> None:
    assert crossings(source, package, here) == []


HIGHS = "import highspy; h = highspy.Highs(); h.silent(); x = h.addVariable(ub=2); h.maximize(x); assert h.val(x) == 2"
CP_SAT = (
    "from ortools.sat.python import cp_model as cp; m = cp.CpModel(); y = m.new_int_var(0, 3, 'y'); m.maximize(y);"
    "s = cp.CpSolver(); s.parameters.num_workers = 1; s.solve(m); assert s.value(y) == 3"
)


@pytest.mark.parametrize("code", [f"{HIGHS}\n{CP_SAT}", f"{CP_SAT}\n{HIGHS}"], ids=["highspy-first", "ortools-first"])
def test_highspy_and_ortools_live_in_one_process(code: str) -> None:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr


def test_every_dependency_is_pinned() -> None:
    def normal(requirement: str) -> str:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert name, requirement
        return re.sub(r"[-_.]+", "-", name[0]).lower()

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert {normal(r) for r in wanted} - {normal(pin) for pin in pins} == {"orrl"}
    assert all(re.fullmatch(r"[a-z0-9.-]+==[0-9a-z.]+", pin) for pin in pins)
    assert "torch==2.13.0" in pins


def test_readme_names_the_torch_index_that_make_uses() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"--extra-index-url https://[^ ]*/whl/cpu\b", readme)


def test_no_paths_of_one_machine() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    machine = re.compile(rb"(?<![\w.~-])/(?:work|root)/")
    files = [ROOT / name.decode() for name in listing.stdout.split(b"\0") if name]
    bad = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        if path.is_file() and not path.is_symlink()
        for number, line in enumerate(path.read_bytes().splitlines(), 1)
        if machine.search(line)
    ]
    assert bad == []
