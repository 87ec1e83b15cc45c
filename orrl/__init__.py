"""One problem, two faces: mathematical programs and Markov decision processes, judged by one referee.

Names are handed on lazily: importing orrl loads neither torch, pyomo, ortools nor gymnasium.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Budget": "orrl.core.budget",
    "Fishery": "orrl.problems.fishery.data",
    "Hydrothermal": "orrl.problems.hydrothermal.data",
    "Interruptions": "orrl.problems.jobshop.interruptions",
    "JobShop": "orrl.problems.jobshop.data",
    "Schedule": "orrl.problems.jobshop.schedule",
    "TabularPOMDP": "orrl.problems.tabular.data",
    "UavOffloading": "orrl.problems.uav.data",
    "as_policy": "orrl.methods",
    "check_problem": "orrl.check",
    "compare": "orrl.comparison",
    "demonstrations": "orrl.planning.demonstrations",
    "list_problems": "orrl.catalogue",
    "list_solvers": "orrl.methods",
    "load": "orrl.catalogue",
    "load_policy": "orrl.methods",
    "load_set": "orrl.catalogue",
    "read": "orrl.catalogue",
    "rolling_horizon": "orrl.planning.rolling",
    "show_versions": "orrl.versions",
    "simulate": "orrl.planning.simulate",
    "solve": "orrl.methods",
    "train": "orrl.methods",
}

__all__ = [
    "Budget",
    "Fishery",
    "Hydrothermal",
    "Interruptions",
    "JobShop",
    "Schedule",
    "TabularPOMDP",
    "UavOffloading",
    "__version__",
    "as_policy",
    "check_problem",
    "compare",
    "demonstrations",
    "list_problems",
    "list_solvers",
    "load",
    "load_policy",
    "load_set",
    "read",
    "rolling_horizon",
    "show_versions",
    "simulate",
    "solve",
    "train",
]

if TYPE_CHECKING:
    from .catalogue import list_problems, load, load_set, read
    from .check import check_problem
    from .comparison import compare
    from .core.budget import Budget
    from .methods import as_policy, list_solvers, load_policy, solve, train
    from .planning.demonstrations import demonstrations
    from .planning.rolling import rolling_horizon
    from .planning.simulate import simulate
    from .problems.fishery.data import Fishery
    from .problems.hydrothermal.data import Hydrothermal
    from .problems.jobshop.data import JobShop
    from .problems.jobshop.interruptions import Interruptions
    from .problems.jobshop.schedule import Schedule
    from .problems.tabular.data import TabularPOMDP
    from .problems.uav.data import UavOffloading
    from .versions import show_versions


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'orrl' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
