"""One source, two speeds: compilation, its clock, its cache, and what happens where nothing can be cached."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import orrl
from orrl.core.jit import Source, compile_seconds

PACKAGE = Path(orrl.__file__).parent

SMALL = """
from orrl.core.jit import Source

SOURCE = Source(tables={"ROW": "f8[::1]"})


@SOURCE.add("f8(ROW, i8)")
def part(row, i):
    return row[i] * 2.0


@SOURCE.add("f8(TABLES, b1)", entry=True)
def total(row, flip):
    found = 0.0
    for i in range(len(row)):
        found += part(row, i)
    return -found if flip else found
"""

TWO_PARTS = """
from orrl.core.jit import Source

SOURCE = Source(tables={"ROW": "f8[::1]"})


@SOURCE.add("f8(ROW, i8)")
def part(row, i):
    return row[i] * 2.0
"""
TWO_ENTRIES = """
from two_parts import SOURCE, part


@SOURCE.add("f8(TABLES)", entry=True)
def total(row):
    found = 0.0
    for i in range(len(row)):
        found += part(row, i)
    return found
"""

PLAY = """
import json, sys, time
import orrl
from orrl.core.jit import compile_seconds
from orrl.problems.jobshop.kernel import ShopKernel
shop = orrl.JobShop.generate(seed=0, jobs=4, machines=3, storage="blocking")
begin = time.perf_counter()
kernel = ShopKernel([shop], compiled=True)
value = kernel.playout(kernel.reset([shop.nominal()] * 3, [0] * 3), seed=0, rule="mwkr").tolist()
again = compile_seconds()
kernel.playout(kernel.reset([shop.nominal()]), seed=0)
print(json.dumps([value, again, compile_seconds() - again, time.perf_counter() - begin, orrl.__file__]))
"""


def run(code: str, path: Path, **changes: str | None) -> list:
    """Run a script in a new process with `path` first; None takes a variable away."""
    environment = {**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    for name, value in changes.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_plain_and_compiled_are_the_same_functions(tmp_path, monkeypatch):
    (tmp_path / "small_kernel.py").write_text(SMALL)
    monkeypatch.syspath_prepend(tmp_path)
    import small_kernel

    source: Source = small_kernel.SOURCE
    row = np.array([1.0, 2.0, 4.0])
    assert not source.ready
    assert source.plain.total(row, False) == 14.0
    assert not source.ready, "plain Python compiles nothing"
    before = compile_seconds()
    assert source.compiled().total(row, True) == -14.0
    assert source.ready
    spent = compile_seconds()
    assert spent > before
    assert source.compiled().total(row, False) == 14.0
    assert compile_seconds() == spent, "compiled once"
    with pytest.raises(TypeError):  # one explicit signature: nothing is compiled behind the clock's back
        source.compiled().total(row.astype(np.float32), False)


def test_a_short_episode_compiles_nothing():
    code = """
import json, sys
import orrl
from orrl.core.jit import compile_seconds
shop = orrl.JobShop.generate(seed=0, jobs=6, machines=6)
value = orrl.solve(shop, "mwkr").objective
print(json.dumps([value, compile_seconds(), "numba" in sys.modules]))
"""
    value, spent, imported = run(code, PACKAGE.parent)
    assert value > 0
    assert spent == 0.0
    assert not imported


def test_where_nothing_can_be_written_the_code_is_compiled_all_the_same(tmp_path):
    """Neither beside the source nor in the user's folder: numba raises there, and orrl goes on without a cache."""
    (tmp_path / "small_kernel.py").write_text(SMALL)
    code = """
import json, numpy, small_kernel
from orrl.core.jit import compile_seconds
print(json.dumps([small_kernel.SOURCE.compiled().total(numpy.array([1.0, 2.0]), False), compile_seconds()]))
"""
    path = os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])
    value, _ = run(code, tmp_path, PYTHONPATH=path, NUMBA_CACHE_DIR=None)
    assert value == 6.0
    assert list((tmp_path / "__pycache__").glob("*.nbi")), "the cache lies beside the source"
    shutil.rmtree(tmp_path / "__pycache__")
    (tmp_path / "__pycache__").write_text("")  # a file where the folder would go stops everyone, the superuser too
    closed, spent = run(
        code, tmp_path, PYTHONPATH=path, NUMBA_CACHE_DIR=None,
        HOME=str(tmp_path / "__pycache__" / "home"), XDG_CACHE_HOME=str(tmp_path / "__pycache__" / "cache"),
    )  # fmt: skip
    assert closed == 6.0
    assert spent > 0.0
    assert not list(tmp_path.rglob("*.nbi"))


def test_a_change_in_one_file_renews_the_code_of_all(tmp_path):
    """numba itself looks at the date of the caller's file only, and would keep the old callee inside it."""
    for name, text in (("two_parts", TWO_PARTS), ("two_entries", TWO_ENTRIES)):
        (tmp_path / f"{name}.py").write_text(text)
    code = """
import json, numpy, two_entries
print(json.dumps([two_entries.SOURCE.compiled().total(numpy.array([1.0, 2.0]))]))
"""
    path = os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])
    options = {"PYTHONPATH": path, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(code, tmp_path, **options) == [6.0]
    (tmp_path / "two_parts.py").write_text(TWO_PARTS.replace("2.0", "5.0"))
    assert run(code, tmp_path, **options) == [15.0]


def copied(target: Path) -> Path:
    """A copy of what the simulator needs."""
    for part in ("core", "problems"):
        shutil.copytree(PACKAGE / part, target / "orrl" / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "registry.py"):
        shutil.copy(PACKAGE / name, target / "orrl" / name)
    return target


@pytest.mark.slow
def test_the_cache_is_used_and_may_be_missing(tmp_path):
    """Cold, warm, and where neither the package nor the user's folder can be written to: the same values."""
    here = copied(tmp_path / "copy")
    cold, warm = (run(PLAY, here, NUMBA_CACHE_DIR=str(tmp_path / "cache")) for _ in range(2))
    assert cold[0] == warm[0]
    assert Path(cold[4]).is_relative_to(here)
    assert warm[1] < 0.5 * cold[1], "loading compiled code is much faster than compiling"
    assert cold[2] == 0.0, "nothing is compiled after the first use"
    assert cold[1] < cold[3]
    # a file where the folder would go stops everyone, the superuser too
    for folder in (here / "orrl").rglob("*"):
        if folder.is_dir():
            (folder / "__pycache__").write_text("")
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    closed = run(PLAY, here, NUMBA_CACHE_DIR=None, HOME=str(nowhere / "home"), XDG_CACHE_HOME=str(nowhere / "cache"))
    assert closed[0] == cold[0]
    assert closed[1] > 2 * warm[1], "compiled, not loaded"
