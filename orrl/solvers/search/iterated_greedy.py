"""Iterated greedy: destroy a part of the incumbent, repair it, search around it, and keep what is good.

Ruiz & Stuetzle (2007), European Journal of Operational Research 177:2033-2049; for the blocking job shop Pranzo &
Pacciarelli (2016), Journal of Heuristics 22:587-611. The neighbourhood is the problem's own (`HasLocalSearch`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...core.capabilities import HasLocalSearch
from ...core.errors import OrrlError, OrrlWarning
from ...core.jit import compile_seconds
from ...core.program import Outcome
from ...core.seeds import stream
from ...core.solver import Solver

if TYPE_CHECKING:
    from ...core.run import Run
    from ...core.types import Support

__all__ = ["IteratedGreedy"]


@dataclass(repr=False)
class IteratedGreedy(Solver):
    """Improvement search from a constructed (or given) solution.

    Parameters
    ----------
    iterations : int or None
        Rounds of destroy, repair and search; None goes on to the time limit, and is 20 where there is none.
    strength : int
        Parts that are destroyed in a round.
    temperature : float
        A round that ends worse is gone on from with probability ``exp(-loss / (temperature * cost))``.
    """

    iterations: int | None = None
    strength: int = 2
    temperature: float = 0.005

    name: ClassVar[str] = "iterated-greedy"
    kind = "heuristic"

    def __post_init__(self) -> None:
        if self.iterations is not None and self.iterations < 1:
            raise ValueError(f"iterations is {self.iterations}: give at least 1, or None")
        if self.strength < 1 or self.temperature <= 0:
            raise ValueError(f"strength {self.strength} and temperature {self.temperature}: give positive values")

    def supports(self, problem: Any) -> Support:
        """Any problem with a neighbourhood."""
        support: Support = problem.supports(HasLocalSearch)
        return support

    def _solve(self, problem: Any, run: Run) -> Outcome:
        spent = compile_seconds()
        search = problem.local_search(run.scenario)
        run.clocks["compile"] = compile_seconds() - spent
        rng, sign = stream(run.seed, "iterated-greedy"), -problem.objective.sign
        last = self.iterations
        if last is None and run.deadline.limit is None:
            last = 20
        try:
            best = current = self._start(run, search, rng)
        except OrrlError as error:
            return Outcome("no_solution", "failure", message=str(error), meta={"rounds": 0})
        self._tell(run, search, best)
        rounds = 0
        while not run.over and (last is None or rounds < last):
            trial = current if rounds == 0 else search.perturb(current, self.strength, rng)
            trial = search.improve(trial, run.deadline, rng)
            rounds += 1
            loss = sign * (search.cost(trial) - search.cost(current))
            heat = self.temperature * max(1.0, abs(search.cost(best)))
            if loss <= 0 or rng.random() < np.exp(-loss / heat):
                current = trial
            if sign * (search.cost(trial) - search.cost(best)) < 0:
                best = trial
                self._tell(run, search, best)
            run.tell("iteration", round=rounds)
        stop = run.why if run.over else "iterations"
        return Outcome("feasible", stop, search.solution(best), search.cost(best), meta={"rounds": rounds})

    @staticmethod
    def _start(run: Run, search: Any, rng: np.random.Generator) -> Any:
        """The warm start where it can be carried out, else a construction."""
        if run.warm_start is not None:
            try:
                return search.from_solution(run.warm_start)
            except OrrlError as error:
                warnings.warn(f"the warm start is left out: {error}", OrrlWarning, stacklevel=5)
        return search.construct(rng)

    @staticmethod
    def _tell(run: Run, search: Any, candidate: Any) -> None:
        run.incumbent(search.cost(candidate), lambda: search.solution(candidate))
