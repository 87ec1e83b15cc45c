"""`Tank`: a made-up problem whose action is a real number, with an optimal policy in closed form.

A tank of level x releases ``r = a x`` with the share a in [0, 1], then the inflow w comes: ``x' = x - r + w``. The cost
of a stage is ``base + weight (r - demand)**2``, and at the end ``weight (x - goal)**2``. With ``y = x - goal + (T - t)
(mean inflow - demand)`` this is linear-quadratic: the Riccati recursion ``p = p' / (1 + p')`` from 1 gives ``p_t =
1 / (T - t + 1)``, hence ``r = demand + y / (T - t + 1)`` and the value ``T base + weight (y_0**2 / (T + 1) + var(w)
sum_t 1 / (T - t))``, as long as no release leaves [0, x], which the default numbers see to.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from orrl.core import DataError, Evaluation, Objective, Outcome, Policy, Problem, Solver, Support
from orrl.core.seeds import stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orrl.core.rollout import Trajectory

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Inflow:
    """Scenario: inflow (T,) of each stage, seen after the release of its stage."""

    path: Floats

    def to_dict(self) -> dict[str, Any]:
        return {"path": self.path.tolist()}


@dataclass(frozen=True, slots=True)
class TankState:
    """What has happened."""

    releases: tuple[float, ...] = ()
    inflow: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Releases:
    """Solution."""

    releases: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"releases": list(self.releases)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(tuple(data["releases"]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Tank(Problem):
    """See the module; ``noise`` is half the width of the uniform inflow, ``extra`` numbers have no effect."""

    family: ClassVar[str] = "tank"

    stages: int = 8
    level: float = 2.5
    demand: float = 0.5
    goal: float = 1.0
    inflow: float = 0.5
    noise: float = 0.0
    base: float = 0.0
    weight: float = 1.0
    extra: int = 0
    name: str = "tank"
    state: TankState = TankState()
    objective: Objective = field(init=False)

    def __post_init__(self) -> None:
        goal = Objective("min", "cost", "money", horizon=self.stages, stage=len(self.state.releases))
        object.__setattr__(self, "objective", goal)

    # ---- content -----------------------------------------------------------------------------------------------
    def content(self) -> dict[str, Any]:
        names = ("stages", "level", "demand", "goal", "inflow", "noise", "base", "weight", "extra")
        past = {"releases": list(self.state.releases), "inflow": list(self.state.inflow)}
        return {**{k: getattr(self, k) for k in names}, "state": past}

    def to_dict(self) -> dict[str, Any]:
        return {**self.content(), "name": self.name}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        past = TankState(tuple(data["state"]["releases"]), tuple(data["state"]["inflow"]))
        return cls(**{**data, "state": past})

    # ---- randomness --------------------------------------------------------------------------------------------
    @property
    def stochastic(self) -> bool:
        return self.noise > 0

    def scenario(self, seed: int) -> Inflow:
        return self._with_past(stream(seed, "tank").uniform(-1.0, 1.0, self.stages) * self.noise + self.inflow)

    def nominal(self) -> Inflow:
        return self._with_past(np.full(self.stages, self.inflow))

    def _with_past(self, path: Floats) -> Inflow:
        path[: len(self.state.inflow)] = self.state.inflow
        path.flags.writeable = False
        return Inflow(path)

    # ---- the referee -------------------------------------------------------------------------------------------
    def evaluate(self, solution: Releases, scenario: Inflow | None = None) -> Evaluation:
        path = (self.nominal() if scenario is None else scenario).path.tolist()
        level, cost, broken = self.level, 0.0, []
        for t, (release, water) in enumerate(zip(solution.releases, path, strict=True)):
            if not 0.0 <= release <= level * (1 + 1e-12):
                broken.append(f"stage {t} releases {release:g} of {level:g}")
            cost += self.base + self.weight * (release - self.demand) ** 2
            level += water - release
        cost += self.weight * (level - self.goal) ** 2
        return Evaluation(cost, not broken, tuple(broken))

    @property
    def optimum(self) -> float:
        """Expected cost of the optimal policy from the beginning."""
        y = self.level - self.goal + self.stages * (self.inflow - self.demand)
        spread = self.noise**2 / 3.0 * sum(1.0 / k for k in range(1, self.stages + 1))
        return self.stages * self.base + self.weight * (y**2 / (self.stages + 1) + spread)

    # ---- the MDP face ------------------------------------------------------------------------------------------
    @classmethod
    def kernel(cls, problems: Sequence[Tank], **options: Any) -> TankKernel:
        return TankKernel(problems, **options)

    def env(self, **options: Any) -> Any:
        from orrl.core.envs import KernelEnv

        return KernelEnv(self, **options)

    def at(self, state: TankState) -> Self:
        return replace(self, state=state)

    @property
    def now(self) -> float:
        """Level where the problem starts."""
        level = self.level
        for release, water in zip(self.state.releases, self.state.inflow, strict=True):
            level = level - release + water
        return level

    @property
    def accrued(self) -> float:
        return sum(self.base + self.weight * (r - self.demand) ** 2 for r in self.state.releases)

    def solution(self, trajectory: Trajectory) -> Releases:
        return Releases(trajectory.final.releases)

    def actions(self, solution: Releases, scenario: Inflow) -> Floats:
        level, shares = self.now, []
        for t in range(self.objective.stage, self.stages):
            shares.append([min(1.0, solution.releases[t] / level)] + [0.0] * self.extra)
            level += scenario.path[t] - solution.releases[t]
        return np.array(shares).reshape(-1, 1 + self.extra)

    def rules(self) -> dict[str, Policy]:
        return {"optimal": OptimalRelease()}


@dataclass(slots=True)
class Levels:
    """State of B rows."""

    which: npt.NDArray[np.int64]
    stage: npt.NDArray[np.int64]
    level: Floats
    inflow: Floats
    releases: Floats


class TankKernel:
    """Tanks of equal length side by side; ``leak`` is a fault for tests: numbers outside the mask have an effect."""

    def __init__(self, problems: Sequence[Tank], leak: float = 0.0) -> None:
        self.problems, self.leak = problems, leak
        self.n_actions, self.action_shape = None, (1 + problems[0].extra,)
        if len({(p.stages, p.extra) for p in problems}) > 1:
            raise DataError("tanks of one kernel have one number of stages")
        self.stages = problems[0].stages
        names = ("demand", "goal", "base", "weight")
        self.table = {k: np.array([getattr(p, k) for p in problems]) for k in names}

    def reset(self, scenarios: Sequence[Inflow], which: Sequence[int] | None = None) -> Levels:
        rows = len(scenarios)
        if which is None:
            which = [0] * rows if len(self.problems) == 1 else range(rows)
        own = [self.problems[w] for w in which]
        releases = np.zeros((rows, self.stages))
        for b, p in enumerate(own):
            releases[b, : len(p.state.releases)] = p.state.releases
        return Levels(
            np.array(which, np.int64),
            np.array([p.objective.stage for p in own], np.int64),
            np.array([p.now for p in own]),
            np.array([s.path for s in scenarios]),
            releases,
        )

    def reset_rows(self, state: Levels, rows: Sequence[int], scenarios: Sequence[Inflow]) -> None:
        fresh = self.reset(scenarios, [int(state.which[b]) for b in rows])
        for name in ("stage", "level", "inflow", "releases"):
            getattr(state, name)[list(rows)] = getattr(fresh, name)

    def mask(self, state: Levels) -> npt.NDArray[np.bool_]:
        mask = np.zeros((len(state.stage), *self.action_shape), np.bool_)
        mask[:, 0] = state.stage < self.stages
        return mask

    def step(self, state: Levels, actions: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        assert actions.dtype == np.float64
        assert actions.shape == (len(state.stage), *self.action_shape)
        moved = (state.stage < self.stages) & ~np.isnan(actions).any(axis=1)
        rows = np.flatnonzero(moved)
        assert ((actions[rows] >= 0) & (actions[rows] <= 1)).all()
        w, t = state.which[rows], state.stage[rows]
        release = actions[rows, 0] * state.level[rows]
        state.releases[rows, t] = release
        state.level[rows] = state.level[rows] - release + state.inflow[rows, t]
        state.stage[rows] += 1
        cost = self.table["base"][w] + self.table["weight"][w] * (release - self.table["demand"][w]) ** 2
        ended = state.stage[rows] == self.stages
        cost += ended * self.table["weight"][w] * (state.level[rows] - self.table["goal"][w]) ** 2
        cost += self.leak * actions[rows, 1:].sum(axis=1)
        reward = np.zeros(len(state.stage))
        reward[rows] = -cost
        return reward, state.stage >= self.stages

    def observe(self, state: Levels) -> npt.NDArray[np.float32]:
        return np.stack([state.level, state.stage / self.stages], axis=1).astype(np.float32)

    def clone(self, state: Levels, scenarios: Sequence[Inflow], rows: Sequence[int]) -> Levels:
        pick = np.array(rows, np.int64)
        copy = Levels(*(getattr(state, k)[pick].copy() for k in ("which", "stage", "level", "inflow", "releases")))
        for i, scenario in enumerate(scenarios):
            copy.inflow[i, copy.stage[i] :] = scenario.path[copy.stage[i] :]
        return copy

    def snapshot(self, state: Levels, row: int) -> TankState:
        t = int(state.stage[row])
        return TankState(tuple(state.releases[row, :t].tolist()), tuple(state.inflow[row, :t].tolist()))

    def failed(self, state: Levels) -> npt.NDArray[np.bool_]:
        return np.zeros(len(state.stage), np.bool_)


class OptimalRelease(Policy):
    """The closed form."""

    name = "optimal"
    needs_observation = False

    def act(self, obs: Any, info: Mapping[str, Any]) -> Floats:
        view = info["view"]
        actions = np.zeros(info["action_mask"].shape)
        for b in np.flatnonzero(~info["done"]).tolist():
            tank = view.problem(b)
            tank = tank.at(view.snapshot(b))
            actions[b, 0] = np.clip(plan(tank, 1)[0] / tank.now, 0.0, 1.0)
        return actions


def plan(tank: Tank, length: int) -> list[float]:
    """The next optimal releases if every inflow is the mean."""
    level, stage, releases = tank.now, tank.objective.stage, []
    for t in range(stage, stage + length):
        left = tank.stages - t
        y = level - tank.goal + left * (tank.inflow - tank.demand)
        releases.append(tank.demand + y / (left + 1))
        level += tank.inflow - releases[-1]
    return releases


class MeanPlan(Solver):
    """An exact solver of the tank without noise."""

    name = "mean-plan"
    kind = "exact"

    def supports(self, problem: Any) -> Support:
        return Support(isinstance(problem, Tank), "for tanks only")

    def _solve(self, problem: Tank, run: Any) -> Outcome:
        known = replace(problem, inflow=float(run.scenario.path[-1])) if run.scenario is not None else problem
        releases = Releases((*problem.state.releases, *plan(known, problem.stages - problem.objective.stage)))
        value = problem.evaluate(releases, problem.nominal()).objective
        return Outcome("optimal", "finished", releases, value, bound=value)
