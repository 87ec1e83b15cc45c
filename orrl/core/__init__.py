"""The few words that everything else is written in: types, capabilities, results, loops over protocols."""

from .budget import Budget, Clock, Deadline
from .callbacks import Callback, Event, NoImprovement, StopAtGap, StopAtObjective
from .capabilities import (
    GraphSpec,
    HasGraph,
    HasKernel,
    HasLocalSearch,
    HasProgram,
    HasReach,
    HasRules,
    HasScenarios,
    HasStages,
    HasTabular,
    Kernel,
    LocalSearch,
    Scenario,
)
from .cuts import CutPool
from .decision_models import TabularMDP
from .errors import (
    DataError,
    FormatError,
    IllegalActionError,
    IntegrityError,
    NotInstalledError,
    NotSupportedError,
    OrrlError,
    OrrlWarning,
    UnknownNameError,
)
from .hashing import canonical_bytes, content_hash
from .learner import SPLITS, Generator, Learner, Split
from .policy import CallablePolicy, Policy, RandomPolicy, View
from .problem import Problem
from .program import Outcome, Program
from .result import Bound, Result, Status, Stop, Times
from .rollout import Trajectory, estimate, rollout
from .run import Run, all_cores
from .seeds import spawn_seeds, stream
from .solver import PolicySolver, Solver
from .stages import Cone, Stage, StageGraph, StageNode, StageSolution, StageSolver
from .trace import Trace, TracePoint
from .types import Evaluation, Objective, Sense, Support, excess, relative_gap

__all__ = [
    "SPLITS",
    "Bound",
    "Budget",
    "CallablePolicy",
    "Callback",
    "Clock",
    "Cone",
    "CutPool",
    "DataError",
    "Deadline",
    "Evaluation",
    "Event",
    "FormatError",
    "Generator",
    "GraphSpec",
    "HasGraph",
    "HasKernel",
    "HasLocalSearch",
    "HasProgram",
    "HasReach",
    "HasRules",
    "HasScenarios",
    "HasStages",
    "HasTabular",
    "IllegalActionError",
    "IntegrityError",
    "Kernel",
    "Learner",
    "LocalSearch",
    "NoImprovement",
    "NotInstalledError",
    "NotSupportedError",
    "Objective",
    "OrrlError",
    "OrrlWarning",
    "Outcome",
    "Policy",
    "PolicySolver",
    "Problem",
    "Program",
    "RandomPolicy",
    "Result",
    "Run",
    "Scenario",
    "Sense",
    "Solver",
    "Split",
    "Stage",
    "StageGraph",
    "StageNode",
    "StageSolution",
    "StageSolver",
    "Status",
    "Stop",
    "StopAtGap",
    "StopAtObjective",
    "Support",
    "TabularMDP",
    "Times",
    "Trace",
    "TracePoint",
    "Trajectory",
    "UnknownNameError",
    "View",
    "all_cores",
    "canonical_bytes",
    "content_hash",
    "estimate",
    "excess",
    "relative_gap",
    "rollout",
    "spawn_seeds",
    "stream",
]
