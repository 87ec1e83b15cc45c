"""`rolling_horizon`: an exact solver inside a planning loop, with a time limit and a safe fallback."""

from __future__ import annotations

from typing import Any

from ..core import PolicySolver
from ..core.horizon import RollingHorizon
from ..methods import Method, resolve
from .simulate import Simulation, simulate

__all__ = ["rolling_horizon"]


def rolling_horizon(
    problem: Any,
    method: Method,
    *,
    time_limit: float = 1.0,
    commit: int | None = None,
    fallback: str | None = None,
    threads: int = 1,
    scenarios: int = 1,
    seed: int = 0,
    **options: Any,
) -> Simulation:
    """Play a problem while re-solving it from each state that was not foreseen.

    Parameters
    ----------
    problem : Problem
        With a kernel and a program.
    method : str, Solver
        Makes the plans; a policy needs no rolling horizon and is refused.
    time_limit : float
        Wall seconds per solve.
    commit : int, optional
        Decisions after which to plan again even if nothing unforeseen happened.
    fallback : str, optional
        Rule that decides when a solve is late or gives no plan; its uses are counted.
    threads : int
        Threads of the solver.
    scenarios, seed : int
        Episodes and the seed of the world.
    options : mapping
        The method's own options.

    Returns
    -------
    Simulation
        ``details["rolling"]`` counts decisions, solves, proofs, late and failed ones.
    """
    solver = resolve(method, problem, **options)
    if isinstance(solver, PolicySolver):
        raise ValueError(f"{solver.name} is a policy and decides at each state by itself: use orrl.simulate")
    policy = RollingHorizon(solver, time_limit=time_limit, commit=commit, fallback=fallback, threads=threads)
    return simulate(problem, policy, scenarios=scenarios, seed=seed)
