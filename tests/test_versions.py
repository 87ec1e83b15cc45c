"""Versions: told without importing what they are of."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import orrl
from orrl.versions import PACKAGES, Versions, cpu_model, show_versions

ROOT = Path(__file__).resolve().parents[1]


def test_versions_are_those_of_the_packages() -> None:
    found = show_versions()
    assert found.orrl == orrl.__version__
    assert found.python == sys.version.split()[0]
    assert set(found.packages) == set(PACKAGES)
    for name in ("numpy", "ortools", "highspy", "torch"):
        assert found.packages[name] == version(name)
    assert found.cpu == cpu_model() != ""
    assert Versions.from_dict(found.to_dict()) == found
    assert f"numpy              {version('numpy')}" in str(found)


def test_nothing_is_imported() -> None:
    code = "import sys, orrl.versions as v; str(v.show_versions()); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not set(loaded.split()) & set(PACKAGES)


def test_a_package_that_is_missing_is_said() -> None:
    found = show_versions()
    missing = Versions(**{**found.to_dict(), "packages": {"no-such-thing": None}})
    assert "no-such-thing      not installed" in str(missing)
