"""Policies that name the state to leave behind, and the loop that lets any of them run a multistage problem."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import DataError
from .policy import Policy
from .stage_targets import TargetSolver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .budget import Deadline

__all__ = ["StagePaths", "TargetPolicy", "play"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class TargetPolicy(Policy):
    """Decides by the outgoing state: SDDP, a decision rule, a look-ahead, a myopic rule.

    In a kernel its target becomes a share of what can be reached, so that it plays under the same rules as any agent.
    """

    needs_observation = False

    @abstractmethod
    def targets(self, node: IntArray, state: FloatArray, noise: FloatArray) -> FloatArray:
        """Outgoing states wished for (B, n) at nodes (B,), from states (B, n) under the noise seen (B, W).

        Called once a stage, in order, between two calls of `reset`: memory lives inside.
        """

    def act(self, obs: Any, info: Mapping[str, Any]) -> Any:
        """Shares (B, n) of the reachable states."""
        view = info["view"]
        node, state, noise = view.kernel.inputs(view.state)
        target = self.targets(node, state, noise)
        which, share = np.asarray(view.which), np.empty_like(target)
        for k in np.unique(which).tolist():
            own = which == k
            share[own] = view.kernel.problems[k].shares(state[own], noise[own], target[own])
        return share


@dataclass(frozen=True, slots=True)
class StagePaths:
    """What happened on P paths of T stages.

    Parameters
    ----------
    cost : (P, T)
        Of each stage, NaN behind a deadline.
    state : (P, T + 1, n)
        Before the first stage and after each.
    columns : (P, T, m)
        All decisions.
    discount : float
        Factor per stage of `total`; `cost` is not discounted.
    """

    cost: FloatArray
    state: FloatArray
    columns: FloatArray
    discount: float = 1.0

    def total(self, stages: int | None = None) -> FloatArray:
        """Discounted cost (P,) of the first `stages`, of all by default."""
        own = self.cost[:, :stages]
        return np.asarray(own @ self.discount ** np.arange(own.shape[1]), np.float64)


def play(
    problem: Any,
    policy: TargetPolicy,
    noise: FloatArray,
    *,
    seed: int = 0,
    engine: str | None = None,
    solvers: dict[int, TargetSolver] | None = None,
    deadline: Deadline | None = None,
) -> StagePaths:
    """Let a policy run P paths side by side, each stage solved for the target it asks for.

    The target is first brought within reach (`HasReach`), where the problem has such a map, and then to the nearest
    one that the stage can take.

    Parameters
    ----------
    problem : Problem
        With stages in a line.
    policy : TargetPolicy
        Sees the noise of a stage, and of those before it, when it decides.
    noise : (P, T, W)
        Paths; every policy that is compared is given the same.
    seed : int
        Of the policy.
    engine : str, optional
        Of `open_stage`.
    solvers : dict, optional
        Models to use and to fill, by the identity of the stage, so that several calls share them.
    deadline : Deadline, optional
        Stages after it are not solved.

    Raises
    ------
    OrrlError
        Where a stage has no solution whatever the target, with the conflicting rows.
    """
    graph = problem.stages()
    paths, stages, _ = noise.shape
    if stages > len(graph.nodes):
        raise DataError(f"paths of {stages} stages for a problem of {len(graph.nodes)}: cut them")
    known: dict[int, TargetSolver] = {} if solvers is None else solvers
    reachable = hasattr(problem, "reach")
    n = len(graph.initial_state)
    state = np.full((paths, stages + 1, n), np.nan)
    state[:, 0] = graph.initial_state
    cost = np.full((paths, stages), np.nan)
    columns: FloatArray | None = None
    policy.reset(problem, batch=paths, seed=seed)
    for t in range(stages):
        if deadline is not None and deadline.passed:
            break
        stage = problem.stage(t)
        if id(stage) not in known:
            known[id(stage)] = TargetSolver(stage, engine=engine)
        solver = known[id(stage)]
        target = policy.targets(np.full(paths, t), state[:, t], noise[:, t])
        if reachable:
            target = problem.reach(state[:, t], noise[:, t], problem.shares(state[:, t], noise[:, t], target))
        for p in range(paths):
            answer, _ = solver.solve(state[p, t], noise[p, t], target[p], place=f"stage {t} of path {p}")
            cost[p, t], state[p, t + 1] = answer.cost, answer.state_out
            if columns is None:
                columns = np.full((paths, stages, len(answer.columns)), np.nan)
            columns[p, t, : len(answer.columns)] = answer.columns
    return StagePaths(cost, state, np.zeros((paths, 0, 0)) if columns is None else columns, graph.discount)
