"""`TabularPOMDP`: a finite MDP or POMDP of the user's own, which every method for tables takes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.problem import Problem
from ...core.seeds import spawn_seeds, stream
from ...core.types import Evaluation, Objective

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ...core.decision_models import TabularMDP
    from ...core.learner import Split
    from ...core.program import Program
    from ...core.rollout import Trajectory
    from ...core.textfile import Place
    from .env import TabularEnv, TabularVectorEnv
    from .kernel import TabularKernel
    from .pomdp_format import PomdpFile

__all__ = ["Course", "Draws", "TabularGenerator", "TabularPOMDP", "TabularState"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Scenario: uniform numbers in [0, 1) for the first state, ``move (T,)`` and ``look (T,)``."""

    start: float
    move: FloatArray
    look: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"start": self.start, "move": self.move.tolist(), "look": self.look.tolist()}


@dataclass(frozen=True, slots=True)
class TabularState:
    """What has happened in t steps, and the draws behind it.

    Parameters
    ----------
    actions, seen : (t,)
        Actions, and the observation after each (the state itself where all is seen).
    states : (t + 1,)
        True states, the present one included.
    draws : tuple
        ``(start, move (t,), look (t,))``.
    """

    actions: tuple[int, ...]
    seen: tuple[int, ...]
    states: tuple[int, ...]
    draws: tuple[float, tuple[float, ...], tuple[float, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        lists = {name: list(getattr(self, name)) for name in ("actions", "seen", "states")}
        return {**lists, "draws": [self.draws[0], list(self.draws[1]), list(self.draws[2])]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        start, move, look = data["draws"]
        lists = {name: tuple(data[name]) for name in ("actions", "seen", "states")}
        return cls(**lists, draws=(start, tuple(move), tuple(look)))


@dataclass(frozen=True, slots=True)
class Course:
    """Solution: the actions of an episode."""

    actions: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"actions": list(self.actions)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(tuple(data["actions"]))


@dataclass(frozen=True, kw_only=True, eq=False)
class TabularPOMDP(Problem):
    """A finite Markov decision process with S states and A actions, seen through O observations or as it is.

    Parameters
    ----------
    transition : A matrices (S, S), or an array (A, S, S)
        ``transition[a][s, s2]``; dense or sparse.
    reward : (S, A), or (S, A, S)
        Reward (or cost, see `values`); one that depends on the next state is replaced by its expectation.
    discount : float
        Factor a step.
    observation : A matrices (S, O), or an array (A, S, O), optional
        ``observation[a][s2, o]`` after action a has led to s2; without it the state is seen.
    initial : (S,), optional
        Law of the first state and first belief, before any observation; uniform by default.
    mask : (S, A) bool, optional
        Legal actions; all by default. A state without one ends the episode.
    values : {"reward", "cost"}
        Whether the sum is to be large or small.
    horizon : int, optional
        Steps; without it solvers take the stationary problem, and episodes last `steps`.
    steps : int
        Steps of an episode where there is no horizon.
    states, action_names, observations : tuple of str, optional
        Names.
    name : str
        For tables.
    state : TabularState, optional
        Start from here; use `at`.

    Raises
    ------
    DataError
        Naming the row, its sum or its entry, and the remedy.
    """

    family: ClassVar[str] = "tabular"
    policy_forms: ClassVar[tuple[str, ...]] = ("occupation", "values", "cmdp")
    not_modelled: ClassVar[tuple[str, ...]] = (
        "rewards that depend on next state or observation, beyond their expectation",
        "laws that change with time", "several agents",
    )  # fmt: skip

    transition: Any
    reward: Any
    discount: float
    observation: Any = None
    initial: Any = None
    mask: Any = None
    values: Literal["reward", "cost"] = "reward"
    horizon: int | None = None
    steps: int = 100
    states: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    observations: tuple[str, ...] = ()
    name: str = "tabular"
    state: TabularState | None = None
    objective: Objective = field(init=False)

    def __post_init__(self) -> None:
        from .validate import prepared

        for key, value in prepared(self).items():
            object.__setattr__(self, key, value)
        goal = Objective(
            "max" if self.values == "reward" else "min", self.values, "", discount=self.discount, horizon=self.horizon,
            stage=self.stage,
        )  # fmt: skip
        object.__setattr__(self, "objective", goal)

    @classmethod
    def from_file(cls, file: PomdpFile, **options: Any) -> Self:
        """The problem of a ``.pomdp`` or ``.pomdpx`` file that has been read."""
        own: dict[str, Any] = {
            "transition": file.transition, "observation": file.observation or None, "reward": file.reward,
            "discount": file.discount, "initial": file.start, "values": file.values, "states": file.states,
            "action_names": file.actions, "observations": file.observations, "name": file.name,
        }  # fmt: skip
        if file.discount == 1.0:
            own["horizon"] = 100
        return cls(**{**own, **options})

    def write(self, path: Place) -> Path:
        """Write the problem, from its beginning, as ``.pomdp``; `orrl.read` reads the same back.

        Where the state is seen the file says so by observations that are the states.

        Raises
        ------
        DataError
            For illegal actions or a horizon, which the format cannot say.
        """
        from .pomdp_format import PomdpFile, write_pomdp

        if not self.mask.all():
            s, a = np.argwhere(~self.mask)[0].tolist()
            where = f"action {self.action_names[a]} is illegal in state {self.states[s]}"
            raise DataError(f"{where}: .pomdp cannot say that, allow it at a bad reward")
        if self.horizon is not None and self.discount < 1.0:
            raise DataError(f"horizon is {self.horizon}: .pomdp cannot say that, write a copy with horizon=None")
        seen = self.observation
        if seen is None:  # every state shows itself
            from scipy import sparse

            seen = tuple(sparse.identity(len(self.states), format="csr") for _ in self.transition)
        return write_pomdp(
            PomdpFile(
                self.states, self.action_names, self.observations, self.discount, self.values, self.initial,
                self.transition, seen, self.reward, self.name,
            ),
            path,
        )  # fmt: skip

    # ---- small facts -------------------------------------------------------------------------------------------
    @property
    def stage(self) -> int:
        """Steps that have passed."""
        return 0 if self.state is None else len(self.state.actions)

    @property
    def length(self) -> int:
        """T: steps of an episode at most."""
        return self.steps if self.horizon is None else self.horizon

    @property
    def gain(self) -> FloatArray:
        """Rewards (S, A), higher is better."""
        return np.array(self.reward if self.values == "reward" else -self.reward)

    def describe(self) -> dict[str, Any]:
        """Adds the sizes."""
        seen = "states are seen" if self.observation is None else f"{len(self.observations)} observations"
        size = f"{len(self.states)} states, {len(self.action_names)} actions, {seen}"
        return {**super().describe(), "size": size, "steps": self.length}

    # ---- content -----------------------------------------------------------------------------------------------
    def content(self) -> dict[str, Any]:
        """Everything but the names."""
        return {
            "transition": [_cells(m) for m in self.transition],
            "observation": None if self.observation is None else [_cells(m) for m in self.observation],
            "reward": self.reward.tolist(),
            "initial": self.initial.tolist(),
            "mask": self.mask.tolist(),
            **{k: getattr(self, k) for k in ("discount", "values", "horizon", "steps")},
            "state": None if self.state is None else self.state.to_dict(),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        names = {k: list(getattr(self, k)) for k in ("states", "action_names", "observations")}
        return {**self.content(), **names, "name": self.name}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        own = dict(data)
        for key in ("transition", "observation"):
            own[key] = None if data[key] is None else tuple(_matrix(m) for m in data[key])
        for key in ("states", "action_names", "observations"):
            own[key] = tuple(data[key])
        own["state"] = None if data["state"] is None else TabularState.from_dict(data["state"])
        return cls(**own)

    @classmethod
    def generate(cls, *, seed: int, states: int = 5, actions: int = 3, observations: int = 3) -> Self:
        """A random dense POMDP with rewards in [0, 1], discount 0.9; ``observations=0``: the state is seen."""
        rng = stream(seed, "tabular-generate")
        return cls(
            transition=rng.dirichlet(np.full(states, 0.5), (actions, states)),
            observation=rng.dirichlet(np.full(observations, 0.5), (actions, states)) if observations else None,
            reward=rng.random((states, actions)),
            discount=0.9,
            name=f"tabular-{seed}",
        )

    @classmethod
    def generator(cls, **size: int) -> TabularGenerator:
        """A distribution of problems with ``.sample(n, seed, split)``."""
        return TabularGenerator(cls, size)

    # ---- randomness --------------------------------------------------------------------------------------------
    @cached_property
    def stochastic(self) -> bool:
        """Whether two scenarios can differ."""
        laws = [m.data for m in (*self.transition, *(self.observation or ()))]
        return any(len(law) and float(law.min()) < 1.0 for law in (*laws, self.initial[self.initial > 0.0]))

    def scenario(self, seed: int) -> Draws:
        """Draws of one episode; what has passed stays."""
        if not self.stochastic:
            return self.nominal()
        rng = stream(seed, "tabular-draws")
        return self._with_past(rng.random(), rng.random(self.length), rng.random(self.length))

    def nominal(self) -> Draws:
        """Every draw at 0.5."""
        return self._with_past(0.5, np.full(self.length, 0.5), np.full(self.length, 0.5))

    def _with_past(self, start: float, move: FloatArray, look: FloatArray) -> Draws:
        if self.state is not None:
            start, past, seen = self.state.draws
            move[: len(past)], look[: len(seen)] = past, seen
        move.flags.writeable = look.flags.writeable = False
        return Draws(float(start), move, look)

    # ---- tables ------------------------------------------------------------------------------------------------
    @cached_property
    def belief(self) -> FloatArray:
        """Law (S,) of the present state by all that has been seen."""
        from .kernel import belief

        return belief(self)

    def tabular(self) -> TabularMDP:
        """The arrays, from the present belief (or state) on."""
        from ...core.decision_models import TabularMDP

        return TabularMDP(
            transition=self.transition,
            reward=self.gain,
            discount=self.discount,
            initial=self.belief.copy(),
            mask=self.mask,
            horizon=None if self.horizon is None else self.horizon - self.stage,
            observation=self.observation,
            state_names=self.states,
            action_names=self.action_names,
        )

    def state_index(self, state: TabularState) -> int:
        """The true state."""
        return state.states[-1]

    def observation_index(self, obs: Any) -> npt.NDArray[np.int64]:
        """Numbers (B,) of the observations in what the kernel shows (B, ...)."""
        return np.rint(np.asarray(obs, np.float64).reshape(len(obs), -1)[:, 0]).astype(np.int64)

    def forms(self) -> dict[str, tuple[str, ...]]:
        """Linear programs whose answer is a policy, see `orrl.core.tabular_lp`."""
        from ...core.tabular_lp import table_forms

        return table_forms(self)

    def program(self, *, backend: str, form: str | None = None, scenario: Any | None = None, **options: Any) -> Program:
        """Build one of them."""
        from ...core.tabular_lp import table_program

        return table_program(self, backend=backend, form=form, scenario=scenario, **options)

    # ---- the two faces and their bridges -----------------------------------------------------------------------
    def evaluate(self, solution: Course, scenario: Draws | None = None) -> Evaluation:
        """The referee's verdict; without a scenario, under the nominal draws."""
        from .referee import evaluate

        return evaluate(self, solution, self.nominal() if scenario is None else scenario)

    @classmethod
    def kernel(cls, problems: Sequence[TabularPOMDP], **options: Any) -> TabularKernel:
        """Problems of mixed size side by side; see `TabularKernel`."""
        from .kernel import TabularKernel

        return TabularKernel(problems, **options)

    def env(self, **options: Any) -> TabularEnv:
        """A Gymnasium view of the kernel."""
        from .env import TabularEnv

        return TabularEnv(self, **options)

    @classmethod
    def vector_env(
        cls, problems: Sequence[TabularPOMDP], scenarios: Sequence[Any] | None = None, **options: Any
    ) -> TabularVectorEnv:
        """A batch as a Gymnasium vector environment."""
        from .env import TabularVectorEnv

        return TabularVectorEnv(problems, scenarios, **options)

    def at(self, state: TabularState) -> Self:
        """The same problem from a running state."""
        return replace(self, state=state)

    @property
    def accrued(self) -> float:
        """Discounted reward (or cost) of the steps that have passed."""
        if self.state is None:
            return 0.0
        past = zip(self.state.states[:-1], self.state.actions, strict=True)
        return float(sum(self.discount**t * self.reward[s, a] for t, (s, a) in enumerate(past)))

    def solution(self, trajectory: Trajectory) -> Course:
        """Actions of an episode."""
        return Course(trajectory.final.actions)

    def actions(self, solution: Course, scenario: Draws) -> npt.NDArray[np.int64]:
        """The actions still to come."""
        return np.array(solution.actions[self.stage :], np.int64)

    def name_action(self, action: Any) -> str:
        """An action's name."""
        return self.action_names[int(action)]


@dataclass(frozen=True)
class TabularGenerator:
    """Problems of one size with one seed stream per split."""

    kind: type[TabularPOMDP]
    size: Mapping[str, int]

    def stream(self, seed: int = 0, split: Split = "train") -> Iterator[TabularPOMDP]:
        """Problems without end."""
        from ...core.learner import SPLITS

        n = 0
        while True:
            n += 1
            yield self.kind.generate(seed=spawn_seeds(seed, n, "tabular", SPLITS.index(split))[-1], **self.size)

    def sample(self, n: int, seed: int = 0, split: Split = "train") -> list[TabularPOMDP]:
        """The first `n` problems of a split."""
        rows = self.stream(seed, split)
        return [next(rows) for _ in range(n)]


def _cells(matrix: Any) -> dict[str, Any]:
    found = {"begin": matrix.indptr.tolist(), "column": matrix.indices.tolist(), "p": matrix.data.tolist()}
    return {**found, "columns": matrix.shape[1]}


def _matrix(cells: Mapping[str, Any]) -> Any:
    from scipy import sparse

    rows = len(cells["begin"]) - 1
    parts = (np.array(cells["p"], np.float64), np.array(cells["column"], np.int64), np.array(cells["begin"], np.int64))
    return sparse.csr_matrix(parts, shape=(rows, cells["columns"]))
