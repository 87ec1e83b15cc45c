"""Gymnasium views of a kernel: one environment, and a vector of them. Imported only when an environment is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from .actions import accepted, action_space, cast, hold, legal
from .errors import DataError, IllegalActionError
from .learner import Generator, Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .problem import Problem

__all__ = ["KernelEnv", "KernelVectorEnv"]

Illegal = Literal["noop", "raise"]


class KernelEnv(gymnasium.Env[Any, Any]):
    """One row of a kernel as a Gymnasium environment.

    Parameters
    ----------
    problem : Problem
        What is played when `instances` is not given; it also fixes the spaces.
    instances : sequence of Problem or Generator, optional
        Draw a new instance at each reset, from a stream seeded by ``reset(seed=)``.
    split : {"train", "val", "test", "ood"}
        Split of a generator.
    illegal : {"raise", "noop"}
        What an action outside the mask does (outside [0, 1] or NaN, where actions are real numbers); "noop" keeps the
        state and sets ``info["illegal_action"]``.
    kernel_options : mapping
        Passed to the kernel, such as ``wait=False`` or a padding.

    Notes
    -----
    ``reset(options={"instance": ..., "scenario": ..., "state": ...})`` sets any of the three; a scenario may be given
    as a seed. ``info["action_mask"]`` and `action_masks` give the accepted actions.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (gymnasium's own spelling)

    def __init__(
        self,
        problem: Any,
        *,
        instances: Sequence[Any] | Generator | None = None,
        split: Split = "train",
        illegal: Illegal = "raise",
        **kernel_options: Any,
    ) -> None:
        self.problem: Any = problem
        self.home, self.instances, self.split, self.illegal = problem, instances, split, illegal
        self.kernel_options = kernel_options
        self._drawn: Iterator[Any] | None = None
        self._begin(problem, problem.nominal() if problem.is_stochastic else problem.scenario(0))
        self.action_space, self.observation_space = self._fixed_spaces()

    def _fixed_spaces(self) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
        return action_space(self.kernel), self._space()

    def _space(self) -> gymnasium.Space[Any]:
        shape = self.kernel.observe(self._state).shape[1:]
        return gymnasium.spaces.Box(-np.inf, np.inf, shape, np.float32)

    def _begin(self, problem: Any, scenario: Any) -> None:
        self.problem, self.scenario = problem, scenario
        self.kernel = type(problem).kernel([problem], **self.kernel_options)
        self._state = self.kernel.reset([scenario])

    def _next_instance(self, fresh: bool) -> Any:
        if self.instances is None:
            return self.home
        if isinstance(self.instances, Generator):
            if fresh or self._drawn is None:
                self._drawn = self.instances.stream(int(self.np_random.integers(2**31)), self.split)
            return next(self._drawn)
        return self.instances[int(self.np_random.integers(len(self.instances)))]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        wanted = options or {}
        if unknown := set(wanted) - {"instance", "scenario", "state"}:
            raise DataError(f"reset options {sorted(unknown)} are not known: give instance, scenario or state")
        problem = wanted.get("instance") or self._next_instance(seed is not None)
        if wanted.get("state") is not None:
            problem = problem.at(wanted["state"])
        scenario = wanted.get("scenario")
        if scenario is None:
            scenario = int(self.np_random.integers(2**31))
        self._begin(problem, problem.scenario(int(scenario)) if isinstance(scenario, int | np.integer) else scenario)
        if problem is not self.home and self._fixed_spaces() != (self.action_space, self.observation_space):
            raise DataError(
                f"{problem.name} does not fit the spaces of this environment, which were made for {self.home.name}: "
                "make the environment with a larger padding (pad_to=), or with instances of one size"
            )
        return self._observe(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One decision."""
        mask = self.action_masks()
        chosen = cast(self.kernel, np.asarray(action)[None])
        if not accepted(mask[None], chosen)[0]:
            if self.illegal == "raise":
                raise IllegalActionError(
                    f"action {chosen[0].tolist()} is not accepted now; accepted: {legal(mask, chosen[0])}"
                )
            done = not mask.any()
            return self._observe(), 0.0, done, False, {**self._info(), "illegal_action": True}
        rewards, done_rows = self.kernel.step(self._state, chosen)
        return self._observe(), float(rewards[0]), bool(done_rows[0]), False, self._info()

    def _observe(self) -> Any:
        return self.kernel.observe(self._state)[0]

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = {"action_mask": self.action_masks()}
        if self.kernel.failed(self._state)[0]:
            info["deadlock"] = True
        return info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Accepted actions (A,), or (U, A) for U agents; coordinates (n,) with an effect where actions are numbers."""
        return np.array(self.kernel.mask(self._state)[0], dtype=np.bool_)

    def state(self) -> Any:
        """The running state in the problem's own terms; ``problem.at(env.state())`` continues from it."""
        return self.kernel.snapshot(self._state, 0)


class KernelVectorEnv(VectorEnv[Any, Any, Any]):
    """A batch of episodes as a Gymnasium vector environment; an ended row begins anew at its next step.

    Parameters
    ----------
    problems : sequence of Problem
        One row each, mixed sizes are padded.
    scenarios : sequence, optional
        Scenario (or its seed) of each row's every episode; drawn from the seed of `reset` by default.
    illegal : {"raise", "noop"}
        As in `KernelEnv`; a noop row keeps its state and sets ``info["illegal_action"]``.
    kernel_options : mapping
        Passed to the kernel.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        problems: Sequence[Problem],
        scenarios: Sequence[Any] | None = None,
        *,
        illegal: Illegal = "raise",
        **kernel_options: Any,
    ) -> None:
        table: list[Any] = list(problems)
        if not table:
            raise DataError("a vector environment needs at least one problem")
        if scenarios is not None and len(scenarios) != len(table):
            raise DataError(f"{len(scenarios)} scenarios for {len(table)} problems: give one a row")
        self.problems, self.fixed, self.illegal = table, scenarios, illegal
        self.num_envs = len(table)
        self.kernel = type(table[0]).kernel(table, **kernel_options)
        self._state = self.kernel.reset([p.scenario(0) for p in table])
        self.single_action_space = action_space(self.kernel)
        self.single_observation_space = self._space()
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._over = np.zeros(self.num_envs, np.bool_)

    def _space(self) -> gymnasium.Space[Any]:
        shape = self.kernel.observe(self._state).shape[1:]
        return gymnasium.spaces.Box(-np.inf, np.inf, shape, np.float32)

    def _scenario(self, row: int) -> Any:
        if self.fixed is not None and not isinstance(self.fixed[row], int | np.integer):
            return self.fixed[row]
        if self.fixed is not None:
            return self.problems[row].scenario(int(self.fixed[row]))
        return self.problems[row].scenario(int(self.np_random.integers(2**31)))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every row."""
        super().reset(seed=seed)
        self._state = self.kernel.reset([self._scenario(b) for b in range(self.num_envs)], range(self.num_envs))
        self._over[:] = False
        return self._observe(), {"action_mask": self.action_masks()}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One decision a row."""
        chosen = cast(self.kernel, actions)
        mask = self.kernel.mask(self._state)
        again = np.flatnonzero(self._over)
        bad = ~self._over & ~accepted(mask, chosen)
        if bad.any() and self.illegal == "raise":
            b = int(np.flatnonzero(bad)[0])
            raise IllegalActionError(
                f"action {chosen[b].tolist()} in row {b} is not accepted now; accepted: {legal(mask[b], chosen[b])}"
            )
        rewards, done = self.kernel.step(self._state, hold(chosen, self._over | bad))
        rewards, done = np.array(rewards), np.array(done)
        if len(again):
            self.kernel.reset_rows(self._state, again.tolist(), [self._scenario(int(b)) for b in again])
            rewards[again], done[again] = 0.0, False
        self._over = done.copy()
        info: dict[str, Any] = {"action_mask": self.action_masks()}
        if bad.any():
            info["illegal_action"] = bad
        if (failed := self.kernel.failed(self._state)).any():
            info["deadlock"] = failed
        return self._observe(), rewards, done, np.zeros(self.num_envs, np.bool_), info

    def _observe(self) -> Any:
        return self.kernel.observe(self._state)

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """As `KernelEnv.action_masks`, a row each: (B, A), (B, U, A) or (B, n)."""
        return np.array(self.kernel.mask(self._state), dtype=np.bool_)

    def state(self, row: int) -> Any:
        """Running state of one row in the problem's own terms."""
        return self.kernel.snapshot(self._state, row)
