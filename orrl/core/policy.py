"""`Policy`: what decides, whether written by hand, planned or learnt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from .actions import Actions, draw, is_continuous, live
from .errors import NotSupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from .budget import Deadline
    from .capabilities import Kernel

__all__ = ["CallablePolicy", "Policy", "RandomPolicy", "View"]


@dataclass(frozen=True, slots=True)
class View:
    """What a look-ahead may use of a running batch: copies with a *fresh* future, never the scenario being played."""

    kernel: Kernel
    state: Any
    which: Sequence[int]

    def problem(self, row: int) -> Any:
        """The problem of a row."""
        return self.kernel.problems[self.which[row]]

    def clone(self, scenarios: Sequence[Any], rows: Sequence[int]) -> Any:
        """State whose row i continues ``rows[i]`` under ``scenarios[i]``; step it with ``view.kernel``."""
        return self.kernel.clone(self.state, scenarios, rows)

    def snapshot(self, row: int) -> Any:
        """State of one row for ``problem.at``."""
        return self.kernel.snapshot(self.state, row)


class Policy(ABC):
    """A decision rule with a leading batch axis; memory and beliefs live inside.

    Attributes
    ----------
    name : str
        For tables.
    scope : {"any", "instance", "distribution"}
        An "instance" policy refuses another problem's content hash.
    seen : frozenset of str
        Content hashes of the problems it was trained on, so that a comparison can flag them.
    needs_observation : bool
        False for a rule that reads the view only; it is then given None.
    kernel_options : mapping
        Options of the kernel that it plays in: what it sees, and what its actions mean.
    deadline : Deadline or None
        Set by the caller that has one; a policy that plans at each decision decides at once when it has passed.
    """

    name: str = "policy"
    scope: ClassVar[Literal["any", "instance", "distribution"]] = "any"
    seen: frozenset[str] = frozenset()
    needs_observation: bool = True
    kernel_options: Mapping[str, Any] = MappingProxyType({})
    deadline: Deadline | None = None

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:  # noqa: B027  (memoryless by default)
        """Forget everything and prepare for `batch` rows of `problem` (or a sequence of problems, one a row)."""

    @abstractmethod
    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Actions (B,), or (B, U) for U agents, or (B, n) numbers in [0, 1], for observations (B, ...).

        ``info["action_mask"]`` (B, A) or (B, U, A) marks what is accepted, or (B, n) the numbers that have an effect;
        ``info["view"]`` is the `View` for look-ahead, ``info["done"]`` (B,) marks rows that have ended (their action is
        ignored).
        """

    def decide(self, problem: Any) -> Any:
        """The decision at the state that `problem` starts from, in the problem's own words (``problem.at(state)``)."""
        kernel = type(problem).kernel([problem], **self.kernel_options)
        state = kernel.reset([problem.nominal() if problem.is_stochastic else problem.scenario(0)])
        mask = kernel.mask(state)
        self.reset(problem, batch=1)
        info = {"action_mask": mask, "view": View(kernel, state, (0,)), "done": ~live(mask)}
        actions = self.act(kernel.observe(state) if self.needs_observation else None, info)
        if hasattr(kernel, "default_actions"):  # options may change what an action is
            actions = kernel.default_actions(state, actions)
        action = actions[0].tolist()
        return problem.name_action(action) if hasattr(problem, "name_action") else action

    def sampled(self) -> Self:
        """The same policy, drawing its actions from its law instead of taking the likeliest."""
        raise NotSupportedError(f"policy {self.name!r} has no law to draw actions from")

    def save(self, path: str | Path) -> None:
        """Write the policy to a file."""
        raise NotSupportedError(f"policy {self.name!r} cannot be saved: it has no parameters of its own")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Inverse of `save`."""
        raise NotSupportedError(f"{cls.__name__} cannot be loaded: it has no parameters of its own")


class RandomPolicy(Policy):
    """Uniform over the accepted actions: the floor of every comparison."""

    name = "random"

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Start the random stream of this seed."""
        from .seeds import stream

        self._rng = stream(seed, "random-policy")

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Draw one accepted action a row."""
        return draw(info["action_mask"], self._rng, continuous=is_continuous(info["view"].kernel))


class CallablePolicy(Policy):
    """A plain function ``f(obs, info) -> actions`` as a policy."""

    def __init__(self, function: Callable[[Any, Mapping[str, Any]], Any], name: str = "callable") -> None:
        self.function, self.name = function, name

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Call the function."""
        return np.asarray(self.function(obs, info))
