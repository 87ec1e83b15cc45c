"""Optimal solutions as training data: observation, action, mask and return of every decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.actions import Actions, cast
from ..core.errors import OrrlError
from ..methods import Method, solve

__all__ = ["Demonstrations", "demonstrations"]


@dataclass(frozen=True, slots=True, eq=False)
class Demonstrations:
    """N decisions of solved problems, padded to one size.

    Parameters
    ----------
    observations : (N, ...) float32
        What the policy would have seen.
    actions : (N,) or (N, U) int, or (N, n) float
        What the solution did.
    masks : (N, A), (N, U, A) or (N, n) bool
        What was accepted, or had an effect.
    returns : (N,) float
        Discounted rewards from this decision to the end.
    episode : (N,) int
        Which problem the decision belongs to.
    optimal : (P,) bool
        Whether the solution of each problem was proved optimal.
    """

    observations: npt.NDArray[np.float32]
    actions: Actions
    masks: npt.NDArray[np.bool_]
    returns: npt.NDArray[np.float64]
    episode: npt.NDArray[np.int64]
    optimal: npt.NDArray[np.bool_]


def demonstrations(
    problems: Any, method: Method = "cp-sat", *, time_limit: float | None = None, seed: int = 0, **options: Any
) -> Demonstrations:
    """Solve problems and record what the solution does, as a learner would see it.

    Parameters
    ----------
    problems : Problem or sequence of Problem
        Of one family; mixed sizes are padded.
    method : str, Solver
        Makes a plan; on a stochastic problem for the scenario of its `seed` (clairvoyant, so use it for pre-training).
    time_limit : float, optional
        Wall seconds per problem.
    seed : int
        Of the method and of the scenarios.
    options : mapping
        The method's own options.

    Raises
    ------
    OrrlError
        Where a problem got no solution, or a replay does not give the solution's objective.
    """
    table = list(problems) if isinstance(problems, Sequence) else [problems]
    kernel = type(table[0]).kernel(table)
    parts: list[tuple[Any, ...]] = []
    optimal = []
    for p, problem in enumerate(table):
        world = problem.scenario(seed)
        result = solve(problem, method, time_limit=time_limit, seed=seed, scenario=world, **options).raise_for_status()
        optimal.append(result.status == "optimal")
        state = kernel.reset([world], [p])
        observed, accepted, rewards = [], [], []
        chosen = cast(kernel, _pad_actions(problem, kernel, problem.actions(result.solution, world)))
        for action in chosen:
            observed.append(kernel.observe(state)[0].copy())
            accepted.append(kernel.mask(state)[0].copy())
            rewards.append(float(kernel.step(state, np.array([action]))[0][0]))
        value = problem.accrued + problem.objective.sign * sum(rewards)
        if problem.objective.discount == 1.0 and problem.objective.better(result.objective or 0.0, value, 1e-6):
            raise OrrlError(f"{problem.name}: the replay gives {value:g}, the solution {result.objective:g}")
        togo, factor = np.zeros(len(rewards)), problem.objective.discount
        for t in reversed(range(len(rewards))):
            togo[t] = rewards[t] + (factor * togo[t + 1] if t + 1 < len(rewards) else 0.0)
        parts.append((observed, chosen, accepted, togo, [p] * len(chosen)))
    seen, chosen, masks, togo, episode = (np.concatenate([np.asarray(part[i]) for part in parts]) for i in range(5))
    return Demonstrations(seen, chosen, masks, togo, episode, np.array(optimal))


def _pad_actions(problem: Any, kernel: Any, actions: Actions) -> Actions:
    """The idle action has another number in a padded kernel."""
    own = type(problem).kernel([problem])
    idle, padded = getattr(own, "idle_action", None), getattr(kernel, "idle_action", None)
    return actions if idle is None or padded is None else np.where(actions == idle, padded, actions)
