"""Build one virtual environment per peer package, and run a peer's timing script in it.

``python benchmarks/peers/make.py`` builds all of them, ``make.py jssenv rl4co`` only those. An environment whose stamp
equals its pins is left as it is. `PEERS` is the only place where versions of the peers are written down, and `RECIPES`
of the training libraries of ``benchmarks/recipes``, which are built when named. A peer in `NEWER` needs a newer Python
than orrl: the variable there (``PYTHON312=/path/to/python``) names one, or it is found on the path.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
VENVS = HERE / ".venvs"

PEERS: dict[str, tuple[str, ...]] = {
    "jssenv": (
        "JSSEnv==1.1.0",
        "gymnasium==1.4.0",
        "numpy==2.4.6",
        "pandas==3.1.1",
        "plotly==7.1.0",
        "kaleido==1.5.0",
        "imageio==2.38.1",
    ),
    "job_shop_lib": (
        "job-shop-lib==1.7.2",
        "ortools==9.12.4544",  # the newest that job-shop-lib admits
        "gymnasium==1.4.0",
        "networkx==3.6.1",
        "matplotlib==3.11.2",
        "numpy==2.4.6",
        "pandas==3.1.1",
        "pyarrow==20.0.0",
    ),
    "rl4co": (
        "torch==2.13.0",  # pinned here, because rl4co's own open requirement may take a build with CUDA
        "rl4co==0.7.0",
        "torchrl==0.14.1",
        "tensordict==0.14.3",
        "lightning==2.6.6",
        "einops==0.8.2",
        "numpy==2.4.6",
        "matplotlib==3.11.2",
    ),
    "pyjobshop": (
        "pyjobshop==0.0.9",
        "ortools==9.15.6755",
        "matplotlib==3.11.2",
        "numpy==2.4.6",
    ),
    "mobile_env": (
        "mobile-env==2.1.0",
        "gymnasium==1.4.0",
        "numpy==2.4.6",
        "pandas==3.1.1",
        "matplotlib==3.11.2",
        "shapely==2.2.0",
        "svgpath2mpl==1.0.0",
        "pygame==2.6.1",
    ),
    "cobre": (
        "cobre-python==0.18.0",
        "pyarrow==20.0.0",  # only to write the case
    ),
    "scikit_decide": (
        "scikit-decide==1.1.1",
        "gymnasium==0.29.1",  # for the spaces of its hub
        "numpy==2.3.5",
        "scipy==1.17.1",
    ),
}
"""Exact pip requirements of each environment (tested together on Python 3.11, or on the version in `NEWER`)."""

NEWER: dict[str, tuple[int, int]] = {"cobre": (3, 12)}
"""The oldest Python that a peer has a wheel for, where the running interpreter may be older."""

_ORRL = ("numba==0.68.1", "numpy==2.4.6", "scipy==1.17.1", "pettingzoo==1.27.0", "torch==2.13.0")

RECIPES: dict[str, tuple[str, ...]] = {
    "torchrl": ("torchrl==0.14.1", "tensordict==0.14.3", "gymnasium==1.4.0", *_ORRL),
    "rllib": ("ray[rllib]==2.60.0", "gymnasium==1.2.2", *_ORRL),  # ray admits no other gymnasium
}
"""The same for the recipes in ``benchmarks/recipes``: a training library and what orrl needs to step; built by name."""

ENVIRONMENTS = {**PEERS, **RECIPES}


class PeerError(RuntimeError):
    """A peer's environment is missing, or its script failed."""


def venv_python(name: str) -> Path:
    """Return the interpreter of a peer's environment (it need not exist yet)."""
    folder, file = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    return VENVS / name / folder / file


def is_built(name: str) -> bool:
    """Tell whether the environment exists and was built from the pins of today."""
    stamp = VENVS / name / "stamp.json"
    return venv_python(name).exists() and stamp.exists() and json.loads(stamp.read_text()) == _stamp(name)


def find_python(name: str) -> Path:
    """Return the interpreter that an environment is built with: the running one, unless the peer needs a newer one.

    The others are asked for their version, because a name on the path may be a shim with nothing behind it.

    Raises
    ------
    PeerError
        If none is new enough.
    """
    oldest = NEWER.get(name, (0, 0))
    if sys.version_info >= oldest:
        return Path(sys.executable)
    major, minor = oldest
    variable = f"PYTHON{major}{minor}"
    given = os.environ.get(variable)
    names = [given] if given else [f"python{major}.{m}" for m in range(minor, minor + 4)] + ["python3", "python"]
    for found in filter(None, map(shutil.which, names)):
        code = f"import sys; sys.exit(sys.version_info < {oldest})"
        try:
            if not subprocess.run([found, "-c", code], capture_output=True, timeout=60).returncode:
                return Path(found)
        except (OSError, subprocess.TimeoutExpired):
            continue
    where = f"{variable}={given} is not one" if given else f"none is on the path: set {variable}=/path/to/python"
    raise PeerError(f"{name} needs Python {major}.{minor} or newer, and {where}")


def build(name: str) -> None:
    """Build the environment of one peer from scratch, unless it is up to date.

    Parameters
    ----------
    name
        A key of `ENVIRONMENTS`.

    Raises
    ------
    PeerError
        If no Python is new enough, or pip fails; the message ends with the last lines that pip wrote.
    """
    if is_built(name):
        return
    python = find_python(name)
    if python == Path(sys.executable):
        venv.create(VENVS / name, clear=True, with_pip=True)
    else:
        made = subprocess.run([python, "-m", "venv", "--clear", VENVS / name], capture_output=True, text=True)
        if made.returncode:
            raise PeerError(f"{python} makes no environment for {name}:\n{made.stderr or made.stdout}")
    command = [str(venv_python(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ENVIRONMENTS[name]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise PeerError(f"pip failed for {name}:\n" + "\n".join(done.stderr.splitlines()[-15:]))
    (VENVS / name / "stamp.json").write_text(json.dumps(_stamp(name)))


def versions(name: str) -> dict[str, str]:
    """Return the installed version of every pinned package of one environment."""
    packages = [pin.split("==")[0].split("[")[0] for pin in ENVIRONMENTS[name]]
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    command = [str(venv_python(name)), "-c", code, *packages]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return dict(zip(packages, found, strict=True))


def run_peer(name: str, *args: str | Path, timeout: float | None = None) -> list[dict[str, Any]]:
    """Run ``run_<name>.py`` in its own environment and return the JSON rows that it printed.

    Parameters
    ----------
    name
        ``"jssenv"``, ``"job_shop_lib"``, ``"rl4co"``, ``"pyjobshop"``, ``"mobile_env"``, ``"cobre"``,
        ``"scikit_decide"``, or ``"ortools"``;
        the last one has no environment of its own and runs in the interpreter of the caller.
    *args
        Command line of the script.
    timeout
        Wall-clock limit in seconds.

    Raises
    ------
    PeerError
        If the environment is not built, or the script fails or runs over the limit.
    """
    if name in PEERS and not is_built(name):
        raise PeerError(f"{name} is not installed: run python benchmarks/peers/make.py {name}")
    python = venv_python(name) if name in PEERS else Path(sys.executable)
    command = [str(python), str(HERE / f"run_{name}.py"), *map(str, args)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise PeerError(f"{name} ran longer than {timeout} s") from None
    if done.returncode:
        raise PeerError(f"{name} failed:\n" + "\n".join(done.stderr.splitlines()[-15:]))
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> int:
    """Build the environments named on the command line and print their versions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    choices = f"any of {', '.join(ENVIRONMENTS)}; all peers if left out"
    parser.add_argument("names", nargs="*", metavar="NAME", help=choices)
    names: list[str] = parser.parse_args().names or list(PEERS)
    if unknown := sorted(set(names) - set(ENVIRONMENTS)):
        parser.error(f"no such environment: {', '.join(unknown)} (choose from {', '.join(ENVIRONMENTS)})")
    failed = 0
    for name in names:
        begin = time.perf_counter()
        state = "up to date" if is_built(name) else "built"
        try:
            build(name)
        except PeerError as error:
            failed += 1
            print(error, file=sys.stderr)
            continue
        shown = " ".join(f"{package}=={version}" for package, version in versions(name).items())
        print(f"{name}: {state} in {time.perf_counter() - begin:.0f} s: {shown}", flush=True)
    return 1 if failed else 0


def _stamp(name: str) -> dict[str, Any]:
    python = list(NEWER.get(name, sys.version_info[:3]))
    return {"python": python, "pins": list(ENVIRONMENTS[name])}


if __name__ == "__main__":
    sys.exit(main())
