"""Capabilities: small protocols that a problem may offer and a method may ask for, one signature each.

A solver asks ``problem.supports(HasProgram)`` and never for a problem's class. Signatures that carry arrays give their
shapes: B rows of a batch, A actions, S states, T stages, K openings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .agents import AgentGraph, AgentRelaxation, IndexedKernel
    from .budget import Deadline
    from .decision_models import Drawdown, PostDecision, TabularMDP
    from .policy import Policy
    from .program import Program
    from .rollout import Trajectory
    from .stages import Stage, StageGraph

__all__ = [
    "GraphSpec",
    "HasAgentSubproblems",
    "HasDrawdown",
    "HasGraph",
    "HasIndexedKernel",
    "HasKernel",
    "HasLocalSearch",
    "HasParallelEnv",
    "HasPostDecision",
    "HasProgram",
    "HasReach",
    "HasRules",
    "HasScenarios",
    "HasStages",
    "HasTabular",
    "HasTunable",
    "Kernel",
    "LocalSearch",
    "Scenario",
    "Tunable",
]

FloatArray = npt.NDArray[np.float64]


@runtime_checkable
class Scenario(Protocol):
    """The exogenous randomness of one episode, as arrays drawn up front from a seed: a frozen dataclass per law."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for content hashes and stores."""
        ...


@runtime_checkable
class HasScenarios(Protocol):
    """The problem draws its randomness up front, so that every method meets the same noise."""

    @property
    def stochastic(self) -> bool:
        """Whether two seeds can differ."""
        ...

    def scenario(self, seed: int) -> Scenario:
        """Noise of one episode; equal seeds give equal arrays, whatever the method."""
        ...

    def nominal(self) -> Scenario:
        """Expected or undisturbed noise: what a deterministic plan assumes."""
        ...


@runtime_checkable
class HasProgram(Protocol):
    """The mathematical-programming face."""

    def forms(self) -> Mapping[str, tuple[str, ...]]:
        """Formulations per backend; the first of each is the default for this variant."""
        ...

    def program(self, *, backend: str, form: str | None = None, scenario: Any | None = None, **options: Any) -> Program:
        """Build the model; with `scenario` it is the clairvoyant program of that scenario."""
        ...


class Kernel(Protocol):
    """The one transition function, over a batch of B rows; ``which[b]`` names the problem of row b.

    A state belongs to the kernel's own class; `step` changes it in place. ``action_shape`` is ``()`` where one choice
    is made at a time and ``(U,)`` where U agents choose together; each choice is one of ``n_actions``. Where
    ``n_actions`` is None an action is ``(n,)`` real numbers in [0, 1], float64, and ``action_shape`` is ``(n,)``: what
    a number means (a share of what can be released, a place between two reachable volumes) is the kernel's business,
    so that every action in the unit box can be carried out.

    A kernel may have more: ``idle_action``, the choice that waits, and fast forms of `orrl.core.playout`:
    ``playout(state, seed=)``, and ``completions(state, samples, seed=, mask=)``, which meet nothing random that has not
    begun and are not discounted.
    """

    problems: Sequence[Any]
    n_actions: int | None
    action_shape: tuple[int, ...]

    def reset(self, scenarios: Sequence[Any], which: Sequence[int] | None = None) -> Any:
        """Fresh state of ``B = len(scenarios)`` rows; `which` defaults to problem b for row b, or to the only one."""
        ...

    def mask(self, state: Any) -> npt.NDArray[np.bool_]:
        """Accepted actions, (B, A) or (B, U, A), or the numbers (B, n) with an effect; ended rows alone have none."""
        ...

    def step(self, state: Any, actions: npt.NDArray[Any]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Apply one action (B,), (B, U) or (B, n) per row; rewards (B,) and done (B,).

        An ended row ignores its action; -1 keeps a row, and so does NaN where actions are real numbers.
        """
        ...

    def reset_rows(self, state: Any, rows: Sequence[int], scenarios: Sequence[Any]) -> None:
        """Begin new episodes in some rows; the others stay."""
        ...

    def observe(self, state: Any) -> npt.NDArray[np.float32]:
        """What a policy may see, (B, ...)."""
        ...

    def clone(self, state: Any, scenarios: Sequence[Any], rows: Sequence[int]) -> Any:
        """New state whose row i copies ``rows[i]`` with the future replaced by ``scenarios[i]``; the past stays."""
        ...

    def snapshot(self, state: Any, row: int) -> Any:
        """State of one row in the problem's own terms, for ``problem.at`` and ``problem.solution``."""
        ...

    def failed(self, state: Any) -> npt.NDArray[np.bool_]:
        """Rows (B,) that ended without a feasible solution, such as a deadlock."""
        ...


@runtime_checkable
class HasKernel(Protocol):
    """The MDP face and the two bridges between the faces."""

    @classmethod
    def kernel(cls, problems: Sequence[Any], **options: Any) -> Kernel:
        """One kernel for problems of mixed size."""
        ...

    def env(self, **options: Any) -> Any:
        """A ``gymnasium.Env`` that is a view of the kernel."""
        ...

    def at(self, state: Any) -> Self:
        """The same problem from a running state."""
        ...

    @property
    def accrued(self) -> float:
        """Part of the objective that lies before the state this problem starts from; 0 at the beginning."""
        ...

    def solution(self, trajectory: Trajectory) -> Any:
        """Bridge from an episode to a solution of the program."""
        ...

    def actions(self, solution: Any, scenario: Any) -> npt.NDArray[Any]:
        """Bridge from a solution of the program to the actions that realise it under `scenario`.

        Real numbers are clipped to [0, 1] here: a program's tolerance may leave the box.
        """
        ...


class LocalSearch(Protocol):
    """Moves of an improvement search; a candidate is the search's own and is never changed in place."""

    def construct(self, rng: np.random.Generator) -> Any:
        """A feasible candidate."""
        ...

    def perturb(self, candidate: Any, strength: int, rng: np.random.Generator) -> Any:
        """Destroy `strength` parts of a candidate and repair it."""
        ...

    def improve(self, candidate: Any, deadline: Deadline, rng: np.random.Generator) -> Any:
        """Search the neighbourhood; never worse than `candidate`."""
        ...

    def cost(self, candidate: Any) -> float:
        """Objective of a candidate."""
        ...

    def from_solution(self, solution: Any) -> Any:
        """Candidate of a solution."""
        ...

    def solution(self, candidate: Any) -> Any:
        """Solution of a candidate."""
        ...


@runtime_checkable
class HasLocalSearch(Protocol):
    """The problem offers a neighbourhood."""

    def local_search(self, scenario: Any | None = None) -> LocalSearch:
        """Search under one known scenario."""
        ...


@runtime_checkable
class HasRules(Protocol):
    """The problem's own named baselines."""

    def rules(self) -> Mapping[str, Policy]:
        """Policies by name."""
        ...


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """Sizes of a padded graph observation.

    Parameters
    ----------
    nodes, node_features : int
        Places for nodes N and their features F. Graphs may be smaller: ``node_mask`` says which places are taken.
    edges : int
        Places for edges E, all relations together.
    relations : tuple of str
        Names of the edge relations; in each, an edge's target hears its source.
    actions : int
        A; ``action_node`` (A,) is the node that an action moves, -1 for a global action or one that has no node now.
    """

    nodes: int
    node_features: int
    edges: int
    relations: tuple[str, ...]
    actions: int


@runtime_checkable
class HasGraph(Protocol):
    """Graph observations, in two forms.

    Learners call the kernel's ``graphs(state)``: a `core.graphs.GraphBatch`, rows end to end and nothing padded. The
    environment's ``obs="graph"`` is the same as a Dict of padded Boxes, with keys nodes (N, F), node_mask (N,), edges
    (E, 2) of source and target, relation (E,), edge_mask (E,), action_node (A,) and action_mask (A,);
    `GraphBatch.flatten` maps it back.
    """

    def graph_spec(self) -> GraphSpec:
        """Sizes of the observation with ``obs="graph"``."""
        ...


@runtime_checkable
class HasStages(Protocol):
    """Multistage stochastic structure for SDDP and decision-rule learners; costs are always minimised inside."""

    def stages(self) -> StageGraph:
        """The policy graph."""
        ...

    def stage(self, node: int) -> Stage:
        """The stage problem of a node; nodes with equal stages share one object."""
        ...

    def noise(self, scenario: Any) -> FloatArray:
        """Noise vectors (T, W) of the stages that are left under a scenario, in order."""
        ...


@runtime_checkable
class HasReach(Protocol):
    """A map from the unit box onto the outgoing states that can be reached, so that no agent can ask for others."""

    def reach(self, state: Any, noise: Any, share: Any, *, xp: Any = np) -> Any:
        """Target (B, n) of `share` (B, n) in [0, 1], from `state` (B, n) under `noise` (B, W).

        Differentiable in all three where `xp` is torch.
        """
        ...

    def shares(self, state: FloatArray, noise: FloatArray, target: FloatArray) -> FloatArray:
        """Inverse of `reach` (B, n); a target out of reach gives the nearest share."""
        ...


@runtime_checkable
class HasTabular(Protocol):
    """The problem as arrays."""

    def tabular(self) -> TabularMDP:
        """MDP or POMDP arrays, from the state that the problem starts from."""
        ...

    def state_index(self, state: Any) -> int:
        """Row of the arrays that a state (a kernel's snapshot) belongs to, so that a table can act in the kernel."""
        ...


@runtime_checkable
class HasPostDecision(Protocol):
    """The tables with rows that many pairs of state and action share; every action is legal in every state."""

    def post_decision(self) -> PostDecision:
        """Arrays from the state that the problem starts from."""
        ...


@runtime_checkable
class HasDrawdown(Protocol):
    """Few continuous stocks, drawn down at a constant price a unit; the continuous sibling of `HasPostDecision`."""

    def drawdown(self) -> Drawdown:
        """The law of the stocks and the bridge to the kernel."""
        ...


@dataclass(frozen=True, slots=True)
class Tunable:
    """A rule with numbers to tune.

    Parameters
    ----------
    names : tuple of str
        Parameters.
    low, high, start : (P,)
        Their box, and the rule as it comes.
    make : callable
        Policy of parameters (P,), or where `batched` of (B, P), one setting a row.
    batched : bool
        Whether one policy can play many settings side by side.
    """

    names: tuple[str, ...]
    low: FloatArray
    high: FloatArray
    start: FloatArray
    make: Callable[[FloatArray], Policy]
    batched: bool = False


@runtime_checkable
class HasTunable(Protocol):
    """Rules of the problem whose parameters can be searched."""

    def tunable(self) -> Mapping[str, Tunable]:
        """By the rule's name; the first one is the default."""
        ...


@runtime_checkable
class HasAgentSubproblems(Protocol):
    """Agents that walk one finite graph, coupled only by what they earn together in each slot.

    Paths are (T, U) nodes; values are always maximised here, in the problem's own unit.
    """

    def agent_graph(self) -> AgentGraph:
        """Nodes, moves, starts and ends."""
        ...

    def joint_reward(
        self,
        slot: int,
        nodes: Sequence[npt.NDArray[np.int64]] | None = None,
        losses: Sequence[FloatArray] | None = None,
    ) -> npt.NDArray[Any]:
        """What all agents earn together in a slot, one axis of G nodes per agent; -1 where they may not stand so.

        With `nodes`, a list of nodes for each agent, the axes are these lists. Positions whose `losses`, one for each
        entry of the lists, add up to more than 1 are of no interest: they may stay -1.
        """
        ...

    def response(self, paths: npt.NDArray[np.int64], free: Sequence[int]) -> npt.NDArray[Any]:
        """The same with all agents but one or two held on `paths`: (T, G) or (T, G, G), -1 where not allowed.

        An agent whose path is -1 is left out, so that plans can be made one agent after the other.
        """
        ...

    def relaxation(self) -> AgentRelaxation:
        """A Lagrangian relaxation in which the agents no longer see each other."""
        ...

    def from_paths(self, paths: npt.NDArray[np.int64]) -> Any:
        """Solution of paths."""
        ...

    def to_paths(self, solution: Any) -> npt.NDArray[np.int64]:
        """Inverse of `from_paths`."""
        ...


@runtime_checkable
class HasParallelEnv(Protocol):
    """Several agents as a PettingZoo environment."""

    def parallel_env(self, **options: Any) -> Any:
        """A ``pettingzoo.ParallelEnv`` that is a view of the kernel."""
        ...


@runtime_checkable
class HasIndexedKernel(Protocol):
    """Integer states and actions for tabular learners."""

    def indexed_kernel(self, **options: Any) -> IndexedKernel:
        """Compiled transition over table rows; options choose what an index or a reward says."""
        ...
