"""What fisheries of several stocks share: noise drawn up front, a plan of mortalities, and the way in between."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.problem import Problem
from ...core.seeds import stream
from ...core.types import Evaluation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...core.envs import KernelEnv, KernelVectorEnv
    from ...core.rollout import Trajectory

__all__ = ["Mortalities", "PathNoise", "PathProblem", "PathState"]

FloatArray = npt.NDArray[np.float64]
Table = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class PathNoise:
    """Scenario of an episode of T years.

    Parameters
    ----------
    start : (D,)
        For the first state.
    process : (T, W)
        For each year.
    survey : (T + 1, V)
        For the survey before each decision and after the last; V is 0 where the stocks are seen as they are.
    """

    start: FloatArray
    process: FloatArray
    survey: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {name: getattr(self, name).tolist() for name in ("start", "process", "survey")}


@dataclass(frozen=True, slots=True)
class PathState:
    """What has happened in t years, and the noise behind it.

    Parameters
    ----------
    mortality : (t, H)
        Shares that were taken.
    now : (D,)
        Present stocks, or numbers at age.
    over : bool
        Whether a stock was lost.
    start, process, survey : (D0,), (t, W), (t + 1, V)
        Noise of the scenario so far.
    """

    mortality: Table
    now: tuple[float, ...]
    over: bool
    start: tuple[float, ...]
    process: Table
    survey: Table

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        tables = {name: [list(row) for row in getattr(self, name)] for name in TABLES}
        return {**tables, "now": list(self.now), "start": list(self.start), "over": self.over}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        tables = {name: tuple(tuple(row) for row in data[name]) for name in TABLES}
        return cls(**tables, now=tuple(data["now"]), start=tuple(data["start"]), over=data["over"])


TABLES = ("mortality", "process", "survey")


@dataclass(frozen=True, slots=True)
class Mortalities:
    """Solution: the share (H,) of each harvested stock that is taken in each year, until the episode ends."""

    mortality: Table

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"mortality": [list(row) for row in self.mortality]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(tuple(tuple(row) for row in data["mortality"]))


@dataclass(frozen=True, kw_only=True, eq=False)
class PathProblem(Problem):
    """Base of `ThreeSpecies` and `Walleye`: everything that follows from the noise and the law of a year."""

    family: ClassVar[str] = "fishery"

    steps: int
    name: str
    state: PathState | None = None

    # ---- what a subclass says ----------------------------------------------------------------------------------
    @property
    @abstractmethod
    def controls(self) -> int:
        """H: mortalities of a decision."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> PathNoise:
        """Noise of an episode from the beginning."""

    @abstractmethod
    def quiet(self) -> PathNoise:
        """Undisturbed noise."""

    @abstractmethod
    def played(self, mortality: Table, noise: PathNoise) -> tuple[list[float], list[list[float]]]:
        """The referee's path: rewards (T',) and states (T' + 1, D) until the end; a plan that is short ends early."""

    @abstractmethod
    def measures(self, mortality: Table, rewards: list[float], states: list[list[float]]) -> dict[str, float]:
        """Metrics of a path."""

    # ---- content -----------------------------------------------------------------------------------------------
    def content(self) -> dict[str, Any]:
        """Everything but the name."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.init and f.name != "name"}
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in own.items()}
        return {
            **plain,
            "kind": type(self).__name__,
            "state": None if self.state is None else self.state.to_dict(),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**self.content(), "name": self.name}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        own: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k != "kind"}
        if own.get("state") is not None:
            own["state"] = PathState.from_dict(data["state"])
        return cls(**own)

    # ---- randomness --------------------------------------------------------------------------------------------
    @property
    def stage(self) -> int:
        """Years that have passed."""
        return 0 if self.state is None else len(self.state.mortality)

    @property
    def stochastic(self) -> bool:
        """Whether two scenarios can differ."""
        return True

    def scenario(self, seed: int) -> PathNoise:
        """Noise of one episode; what has passed stays."""
        return self._with_past(self.draw(stream(seed, "fishery-paths"))) if self.stochastic else self.nominal()

    def nominal(self) -> PathNoise:
        """No disturbance."""
        return self._with_past(self.quiet())

    def _with_past(self, noise: PathNoise) -> PathNoise:
        if self.state is not None:
            past, t = self.state, self.stage
            noise.start[:] = past.start
            noise.process[:t] = np.reshape(past.process, (t, noise.process.shape[1]))
            noise.survey[: t + 1] = np.reshape(past.survey, (t + 1, noise.survey.shape[1]))
        for array in (noise.start, noise.process, noise.survey):
            array.flags.writeable = False
        return noise

    # ---- the two faces and their bridges -----------------------------------------------------------------------
    def evaluate(self, solution: Mortalities, scenario: PathNoise | None = None) -> Evaluation:
        """The referee's verdict; without a scenario, under no disturbance."""
        noise = self.nominal() if scenario is None else scenario
        broken = []
        for t, row in enumerate(solution.mortality):
            if len(row) != self.controls or not all(0.0 <= m <= 1.0 for m in row):
                broken.append(f"year {t}: mortality {row} is not {self.controls} numbers in [0, 1]")
        if broken:
            return Evaluation(float("nan"), False, tuple(broken[:10]))
        rewards, states = self.played(solution.mortality, noise)
        if self.state is not None:
            for t, (was, row) in enumerate(zip(self.state.mortality, solution.mortality, strict=False)):
                if max(abs(a - b) for a, b in zip(was, row, strict=True)) > 1e-9:
                    broken.append(f"year {t} has passed with mortality {was}; the plan rewrites it as {row}")
        if len(rewards) == len(solution.mortality) < self.steps and not self.ended(states[-1]):
            broken.append(f"the plan ends after {len(rewards)} of {self.steps} years and no stock is lost")
        value = float(sum(rewards))
        return Evaluation(value, not broken, tuple(broken), metrics=self.measures(solution.mortality, rewards, states))

    def ended(self, state: list[float]) -> bool:
        """Whether a state ends the episode."""
        return False

    def env(self, **options: Any) -> KernelEnv:
        """A Gymnasium view of the kernel."""
        from ...core.envs import KernelEnv

        return KernelEnv(self, **options)

    @classmethod
    def vector_env(
        cls, problems: Sequence[Any], scenarios: Sequence[Any] | None = None, **options: Any
    ) -> KernelVectorEnv:
        """A batch as a Gymnasium vector environment."""
        from ...core.envs import KernelVectorEnv

        return KernelVectorEnv(problems, scenarios, **options)

    def at(self, state: PathState) -> Self:
        """The same fishery from a running state."""
        return replace(self, state=state)

    @property
    def accrued(self) -> float:
        """What the years that have passed earned."""
        if self.state is None:
            return 0.0
        return float(sum(self.played(self.state.mortality, self.nominal())[0]))

    def solution(self, trajectory: Trajectory) -> Mortalities:
        """Mortalities of an episode."""
        return Mortalities(trajectory.final.mortality)

    def actions(self, solution: Mortalities, scenario: PathNoise) -> FloatArray:
        """Mortalities still to come, clipped to [0, 1]; none after the end of the episode."""
        lived = len(self.played(solution.mortality, scenario)[0])
        rows = np.reshape(solution.mortality[self.stage : lived], (-1, self.controls))
        return np.clip(np.asarray(rows, np.float64), 0.0, 1.0)


def positive(problem: Any, names: Sequence[str], *, zero: bool = False) -> None:
    """Refuse what is not a positive (or zero) number."""
    for name in names:
        value = getattr(problem, name)
        if not (np.isfinite(value) and (value > 0.0 or (zero and value == 0.0))):
            raise DataError(f"{name} is {value!r}: give {'0 or ' if zero else ''}a positive number")


def counted(problem: Any, name: str, allowed: Sequence[int]) -> None:
    """Refuse another number than the allowed ones."""
    if getattr(problem, name) not in allowed:
        raise DataError(f"{name} is {getattr(problem, name)!r}: give one of {', '.join(map(str, allowed))}")
