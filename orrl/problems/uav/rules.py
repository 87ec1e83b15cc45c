"""Baselines of the UAV network as policies: a myopic flight, flying to the middle of crowds, hovering."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.policy import Policy
from ...core.seeds import stream
from .flights import FAR
from .kernel import hops_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .data import UavOffloading
    from .kernel import UavKernel

__all__ = ["FlyToCrowds", "GreedyFlight", "Hover", "rules"]

Actions = npt.NDArray[np.int64]


class GreedyFlight(Policy):
    """One UAV after the other takes the accepted move that serves most users in the next slot.

    The lower ones have moved by then, the higher ones still stand; the first of equal moves is taken, so a UAV without
    users near it hovers. With sub-channels or interference what the others do counts.
    """

    name = "greedy-flight"
    needs_observation = False

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Moves (B, U)."""
        view = info["view"]
        return np.asarray(view.kernel.choose(view.state))


class _Guided(Policy):
    """A rule that pays least for each UAV's cell; the prices are made once for a kernel."""

    needs_observation = False

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Forget the prices."""
        self._seed = seed
        self._made: tuple[UavKernel, Actions] | None = None

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Moves (B, U)."""
        view = info["view"]
        kernel: UavKernel = view.kernel
        if self._made is None or self._made[0] is not kernel:
            guide = np.zeros((len(kernel.unique), kernel.n_uavs, kernel.networks.targets.shape[1]), np.int64)
            for p, problem in enumerate(kernel.unique):
                guide[p, : problem.n_uavs, : problem.n_cells] = self.prices(problem)
            self._made = (kernel, guide)
        return np.asarray(kernel.choose(view.state, self._made[1]))

    @abstractmethod
    def prices(self, problem: UavOffloading) -> Actions:
        """What each UAV would pay for each cell (U, G)."""


class Hover(_Guided):
    """Every UAV stays where it is until it must leave for its end."""

    name = "hover"

    def prices(self, problem: UavOffloading) -> Actions:
        """All cells are alike, and staying is the first move."""
        return np.zeros((problem.n_uavs, problem.n_cells), np.int64)


class FlyToCrowds(_Guided):
    """Every UAV flies to the middle of a crowd and hovers there until it must leave for its end.

    The crowds are k-means clusters of the users over all slots that are left; each UAV gets the one that makes the sum
    of moves least (an assignment problem). The seed decides the clusters' beginning.
    """

    name = "fly-to-crowds"

    def prices(self, problem: UavOffloading) -> Actions:
        """Moves from each cell to the UAV's crowd."""
        from scipy.cluster.vq import kmeans2
        from scipy.optimize import linear_sum_assignment

        here = problem.position
        people = problem.users[len(here) - 1 :].reshape(-1, 2)
        rng = stream(self._seed, "fly-to-crowds")
        places = np.unique(people, axis=0)
        first = places[rng.choice(len(places), problem.n_uavs, replace=len(places) < problem.n_uavs)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a crowd without users keeps its middle
            middle, _ = kmeans2(people, first, minit="matrix", iter=20, missing="warn")
        goals = self._open_cells(problem, middle)
        ways = np.array([hops_to(problem, goal) for goal in goals])  # (crowds, G)
        who, which = linear_sum_assignment(ways[:, here[-1]].T)
        prices = np.empty((problem.n_uavs, problem.n_cells), np.int64)
        prices[who] = ways[which]
        return prices

    def _open_cells(self, problem: UavOffloading, middle: npt.NDArray[np.float64]) -> list[int]:
        """Nearest open cell of each crowd that keeps the UAVs apart, or the nearest open one where none does."""
        goals: list[int] = []
        reached = np.min([hops_to(problem, c) for c in problem.position[-1].tolist()], axis=0) < FAR
        for place in middle:
            order = np.argsort(np.linalg.norm(problem.centres - place, axis=1), kind="stable")
            fine = [int(c) for c in order if reached[c]]
            goals.append(next((c for c in fine if not any(problem.too_close[c, g] for g in goals)), fine[0]))
        return goals


def rules() -> dict[str, Policy]:
    """Every rule by name, the best first."""
    return {policy.name: policy for policy in (GreedyFlight(), FlyToCrowds(), Hover())}
