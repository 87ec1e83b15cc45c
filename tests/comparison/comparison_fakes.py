"""A problem that is nothing but its optimum, and solvers that answer, fail, cheat, sleep or die as told.

A module of its own on the path, so that worker processes can import it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from orrl.core.policy import Policy
from orrl.core.problem import Problem
from orrl.core.program import Outcome
from orrl.core.seeds import stream
from orrl.core.solver import Solver
from orrl.core.types import Evaluation, Objective, Support

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orrl.core.capabilities import Scenario
    from orrl.core.run import Run


@dataclass(frozen=True)
class Answer:
    value: float

    def to_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(data["value"])


@dataclass(frozen=True)
class Shift:
    amount: float

    def to_dict(self) -> dict[str, Any]:
        return {"amount": self.amount}


class Toy(Problem):
    """Objective = the answer's value (plus the scenario's shift); an answer better than the optimum is infeasible."""

    family: ClassVar[str] = "toy"

    def __init__(self, optimum: float, *, sense: Any = "min", noisy: bool = False, name: str | None = None) -> None:
        self.optimum, self.noisy = optimum, noisy
        self.objective = Objective(sense, "cost" if sense == "min" else "profit", "EUR")
        self.name = name or f"toy-{optimum:g}"

    @property
    def stochastic(self) -> bool:
        return self.noisy

    def scenario(self, seed: int) -> Shift:
        return Shift(float(stream(seed, "toy").normal()) if self.noisy else 0.0)

    def nominal(self) -> Shift:
        return Shift(0.0)

    def to_dict(self) -> dict[str, Any]:
        return {"optimum": self.optimum, "sense": self.objective.sense, "noisy": self.noisy, "name": self.name}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)

    def content(self) -> Mapping[str, Any]:
        return {"optimum": self.optimum, "sense": self.objective.sense, "noisy": self.noisy}

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "digits": len(f"{self.optimum:g}")}

    def evaluate(self, solution: Answer, scenario: Scenario | None = None) -> Evaluation:
        shift = scenario.amount if isinstance(scenario, Shift) else 0.0
        good = self.objective.sign * (solution.value - self.optimum) <= 1e-9
        return Evaluation(solution.value + shift, good, () if good else (f"{solution.value:g} is too good",))


def worsened(problem: Toy, excess: float) -> float:
    sign = 1.0 if problem.objective.sense == "min" else -1.0
    return problem.optimum + sign * excess * abs(problem.optimum)


@dataclass
class Exact(Solver):
    """Finds the optimum and proves it, after an incumbent 50% off."""

    name: ClassVar[str] = "exact"
    seconds: float = 0.0
    log: str = ""

    def supports(self, problem: Any) -> Support:
        return Support(True)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        note(self.log, f"exact {problem.name} {run.seed}")
        shift = run.scenario.amount if run.scenario is not None else 0.0
        run.incumbent(worsened(problem, 0.5) + shift)
        time.sleep(self.seconds)
        run.incumbent(problem.optimum + shift)
        run.bound(problem.optimum + shift)
        return Outcome(
            "optimal", "optimal", Answer(problem.optimum), problem.optimum + shift, bound=problem.optimum + shift
        )


@dataclass
class Off(Solver):
    """Is off by `excess`, by `spread` more for each seed; runs blind, so it needs no scenario."""

    name: ClassVar[str] = "off"
    kind = "heuristic"
    clairvoyant: ClassVar[bool] = False
    excess: float = 0.1
    spread: float = 0.0
    seconds: float = 0.0
    log: str = ""

    def supports(self, problem: Any) -> Support:
        return Support(True)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        time.sleep(self.seconds)
        note(self.log, f"off {problem.name} {run.seed}")
        shift = run.scenario.amount if run.scenario is not None else 0.0
        value = worsened(problem, self.excess + self.spread * run.seed)
        run.incumbent(value + shift)
        return Outcome("feasible", "finished", Answer(value), value + shift)


@dataclass
class Limited(Solver):
    """Hits its limit with an incumbent 20% off and a bound 10% below the optimum (of a minimisation)."""

    name: ClassVar[str] = "limited"

    def supports(self, problem: Any) -> Support:
        return Support(True)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        value, bound = 1.2 * problem.optimum, 0.9 * problem.optimum
        run.incumbent(value)
        run.bound(bound)
        return Outcome("feasible", "time", Answer(value), value, bound=bound)


@dataclass
class Bad(Solver):
    """Fails in the way of `how`, on problems with an optimum of at least `above`."""

    name: ClassVar[str] = "bad"
    kind = "heuristic"
    clairvoyant: ClassVar[bool] = False
    how: str = "raise"
    above: float = float("-inf")

    def supports(self, problem: Any) -> Support:
        return Support(False, "it is a toy") if self.how == "refuse" else Support(True)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        if problem.optimum >= self.above:
            if self.how == "raise":
                raise RuntimeError("the wheels came off")
            if self.how == "die":
                os._exit(3)
            if self.how == "nothing":
                return Outcome("no_solution", "time", message="nothing found")
            if self.how == "cheat":  # the referee sees it
                return Outcome("optimal", "optimal", Answer(0.5 * problem.optimum), 0.5 * problem.optimum)
            if self.how == "false-bound":
                bound = 1.5 * problem.optimum
                return Outcome("feasible", "time", Answer(2 * problem.optimum), 2 * problem.optimum, bound=bound)
        return Outcome("feasible", "finished", Answer(worsened(problem, 0.3)), worsened(problem, 0.3))


class Learnt(Policy):
    """Stands for a trained policy; it is never stepped, `Player` reads its quality."""

    scope: ClassVar[Any] = "distribution"

    def __init__(
        self, excess: float, *, seen: frozenset[str] = frozenset(), train_seconds: float | None = None
    ) -> None:
        self.name, self.excess, self.seen, self.train_seconds = "learnt", excess, seen, train_seconds

    def act(self, obs: Any, info: Mapping[str, Any]) -> Any:
        raise AssertionError("the toy has no kernel")


class Player(Solver):
    """Plays a `Learnt`."""

    name = "player"
    kind = "learned"
    clairvoyant: ClassVar[bool] = False

    def __init__(self, policy: Learnt) -> None:
        self.policy = policy

    def supports(self, problem: Any) -> Support:
        return Support(True)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        shift = run.scenario.amount if run.scenario is not None else 0.0
        value = worsened(problem, self.policy.excess)
        return Outcome("feasible", "finished", Answer(value), value + shift, policy=self.policy)


def note(path: str, line: str) -> None:
    """Append a line in one write, so that several processes may."""
    if path:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{line}\n".encode())
        os.close(file)


def noted(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
