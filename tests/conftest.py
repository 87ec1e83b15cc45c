"""One thread per test process, and the folder with the full instance sets, where there is one."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before anything loads NumPy, numba or torch: these read the variables once. pytest-xdist is the parallelism here.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# A shell that runs the tests in the background has them ignore Ctrl-C, which some tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every machine, busy or not; `--hypothesis-profile explore` hunts with fresh ones.
settings.register_profile("repeat", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("repeat")

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
_roots = [root for root in os.environ.get("ORRL_DATA", "").split(os.pathsep) if root]
if _SHARED.is_dir() and str(_SHARED) not in _roots:
    os.environ["ORRL_DATA"] = os.pathsep.join([str(_SHARED), *_roots])


@pytest.fixture(scope="session")
def data_root() -> Callable[[str], Path]:
    """``data_root("jobshop")`` is that family's folder under the first root of ``ORRL_DATA`` that has it, or skips."""

    def find(family: str) -> Path:
        for root in os.environ.get("ORRL_DATA", "").split(os.pathsep):
            if root and (Path(root) / family).is_dir():
                return Path(root) / family
        pytest.skip(f"no folder {family!r} under a root of ORRL_DATA")

    return find
