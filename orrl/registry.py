"""Names of problems, solvers and learners as import strings, so that nothing heavy is loaded before it is used.

A plugin package adds its own through the entry-point groups ``orrl.problems``, ``orrl.solvers`` and ``orrl.learners``
(``name = "package.module:Class"``).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal

from .core.errors import OrrlError, UnknownNameError

__all__ = ["Kind", "lookup", "names"]

Kind = Literal["problem", "solver", "learner"]

OWN: dict[Kind, dict[str, str]] = {
    "problem": {
        "fishery": "orrl.problems.fishery:Fishery",
        "hydrothermal": "orrl.problems.hydrothermal:Hydrothermal",
        "jobshop": "orrl.problems.jobshop:JobShop",
        "tabular": "orrl.problems.tabular:TabularPOMDP",
        "uav": "orrl.problems.uav:UavOffloading",
    },
    "solver": {
        "best-of-n": "orrl.solvers.search.best_of_n:BestOfN",
        "best-response": "orrl.solvers.search.best_response:BestResponse",
        "blind": "orrl.solvers.exact.blind:Blind",
        "cmdp-lp": "orrl.solvers.exact.cmdp_lp:CmdpLp",
        "cp-sat": "orrl.solvers.exact.cp_sat:CpSat",
        "fib": "orrl.solvers.exact.fib:Fib",
        "incremental-pruning": "orrl.solvers.exact.incremental_pruning:IncrementalPruning",
        "grid-sdp": "orrl.solvers.exact.grid_sdp:GridSdp",
        "iterated-greedy": "orrl.solvers.search.iterated_greedy:IteratedGreedy",
        "joint-dp": "orrl.solvers.exact.joint_dp:JointDp",
        "lagrangian": "orrl.solvers.exact.lagrangian:Lagrangian",
        "mdp-lp": "orrl.solvers.exact.mdp_lp:MdpLp",
        "milp": "orrl.solvers.exact.milp:Milp",
        "pair-dp": "orrl.solvers.search.pair_dp:PairDp",
        "pbvi": "orrl.solvers.exact.pbvi:Pbvi",
        "policy-iteration": "orrl.solvers.exact.policy_iteration:PolicyIteration",
        "pso": "orrl.solvers.search.pso:Pso",
        "qmdp": "orrl.solvers.exact.qmdp:Qmdp",
        "rolling-cp-sat": "orrl.solvers.search.rolling:RollingCpSat",
        "rolling-deterministic": "orrl.solvers.search.rolling_deterministic:RollingDeterministic",
        "rollout": "orrl.solvers.search.mc_rollout:MonteCarloRollout",
        "sarsop": "orrl.solvers.exact.sarsop:Sarsop",
        "scenario-tree": "orrl.solvers.exact.scenario_tree:ScenarioTree",
        "sddp": "orrl.solvers.exact.sddp:Sddp",
        "value-iteration": "orrl.solvers.exact.value_iteration:ValueIteration",
        "wait-and-see": "orrl.solvers.exact.wait_and_see:WaitAndSee",
    },
    "learner": {
        "cem": "orrl.solvers.learners.cem:Cem",
        "double-q": "orrl.solvers.learners.sarsa:DoubleQ",
        "dual-ascent": "orrl.solvers.learners.dual_ascent:DualAscent",
        "expected-sarsa": "orrl.solvers.learners.sarsa:ExpectedSarsa",
        "gnn-ppo": "orrl.solvers.learners.gnn_ppo:GnnPPO",
        "ppo": "orrl.solvers.learners.ppo:PPO",
        "q-learning": "orrl.solvers.learners.sarsa:QLearning",
        "sarsa": "orrl.solvers.learners.sarsa:Sarsa",
        "td3": "orrl.solvers.learners.td3:TD3",
        "ts-ddr": "orrl.solvers.learners.ts_ddr:TsDdr",
    },
}


@cache
def _table(kind: Kind) -> dict[str, str]:
    table = dict(OWN[kind])
    for point in entry_points(group=f"orrl.{kind}s"):
        if table.setdefault(point.name, point.value) != point.value:
            raise OrrlError(f"{kind} {point.name!r} is registered twice: {table[point.name]} and {point.value}")
    return table


def names(kind: Kind) -> list[str]:
    """Known names, sorted."""
    return sorted(_table(kind))


def lookup(kind: Kind, name: str, hint: str = "") -> Any:
    """The class behind a name.

    Raises
    ------
    UnknownNameError
        Suggesting the nearest names.
    """
    table = _table(kind)
    if name not in table:
        raise UnknownNameError(kind, name, table, hint)
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
