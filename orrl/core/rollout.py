"""Episodes: one loop over protocols that plays any policy on any problem with a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .actions import Actions, accepted, cast, hold, legal, live
from .errors import IllegalActionError
from .policy import Policy, View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .budget import Deadline

__all__ = ["Trajectory", "estimate", "rollout"]


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One episode.

    Parameters
    ----------
    problem, scenario : object
        What was played, under which noise.
    actions : (T,) or (T, U) int, or (T, n) float
        Decisions.
    rewards : (T,) float
        Higher is better, undiscounted.
    final : object
        Snapshot at the end, what ``problem.solution`` reads.
    failed : bool
        The episode ended without a feasible solution (a deadlock), or was cut off.
    """

    problem: Any
    scenario: Any
    actions: Actions
    rewards: npt.NDArray[np.float64]
    final: Any
    failed: bool

    @property
    def total(self) -> float:
        """``sum(discount**t * r_t)``; t counts from the beginning, also from a running state."""
        goal = self.problem.objective
        return float(self.rewards @ goal.discount ** (goal.stage + np.arange(len(self.rewards))))

    @property
    def value(self) -> float:
        """The objective that the rewards say: accrued part plus the signed return."""
        return float(self.problem.accrued + self.problem.objective.sign * self.total)


def rollout(
    problems: Any,
    policy: Policy,
    scenarios: Sequence[Any],
    *,
    seed: int = 0,
    deadline: Deadline | None = None,
    kernel_options: Mapping[str, Any] | None = None,
) -> list[Trajectory]:
    """Play one episode per scenario, all rows together.

    Parameters
    ----------
    problems : Problem or sequence of Problem
        One problem for all rows, or one a row.
    policy : Policy
        Asked once per decision with the whole batch.
    scenarios : sequence
        The noise of each row.
    seed : int
        Seed of the policy.
    deadline : Deadline, optional
        When it passes, the rows that have not ended come back as failed.
    kernel_options : mapping, optional
        Passed to the kernel, over the policy's own.

    Raises
    ------
    IllegalActionError
        Where the policy returns an action that the mask forbids.
    """
    rows = len(scenarios)
    each = list(problems) if isinstance(problems, Sequence) else [problems] * rows
    if len(each) != rows:
        raise ValueError(f"{len(each)} problems and {rows} scenarios: give one problem, or one a scenario")
    table = list({id(problem): problem for problem in each}.values()) or [problems]
    place = {id(problem): i for i, problem in enumerate(table)}
    which = [place[id(problem)] for problem in each]
    kernel = type(table[0]).kernel(table, **{**policy.kernel_options, **(kernel_options or {})})
    state = kernel.reset(scenarios, which)
    policy.reset(problems, batch=rows, seed=seed)
    view = View(kernel, state, which)
    chosen: list[Actions] = []
    gained: list[npt.NDArray[np.float64]] = []
    mask = kernel.mask(state)
    done = ~live(mask)
    while not done.all() and not (deadline is not None and deadline.passed):
        info = {"action_mask": mask, "view": view, "done": done}
        obs = kernel.observe(state) if policy.needs_observation else None
        actions = hold(_checked(policy, view, mask, done, policy.act(obs, info)), done)
        rewards, done = kernel.step(state, actions)
        chosen.append(actions)
        gained.append(np.array(rewards, dtype=np.float64))
        mask = kernel.mask(state)
    failed = kernel.failed(state) | ~done
    played = cast(kernel, np.reshape(chosen, (-1, *kernel.action_shape))).reshape(-1, rows, *kernel.action_shape)
    lasted = (played >= 0).all(axis=tuple(range(2, played.ndim))).sum(axis=0)
    reward = np.array(gained, dtype=np.float64).reshape(-1, rows)
    episodes = []
    for b in range(rows):
        length = int(lasted[b])
        final = kernel.snapshot(state, b)
        problem = table[which[b]]
        episodes.append(
            Trajectory(problem, scenarios[b], played[:length, b], reward[:length, b], final, bool(failed[b]))
        )
    return episodes


def _checked(
    policy: Policy,
    view: View,
    mask: npt.NDArray[np.bool_],
    done: npt.NDArray[np.bool_],
    answer: Any,
) -> Actions:
    """A policy's answer as actions of the kernel; what is not accepted is refused."""
    expected = (len(mask), *view.kernel.action_shape)
    if np.shape(answer) != expected:
        raise IllegalActionError(
            f"policy {policy.name!r} returned actions of shape {np.shape(answer)}: expected {expected}"
        )
    actions = cast(view.kernel, answer)
    for b in np.flatnonzero(~done & ~accepted(mask, actions))[:1].tolist():
        raise IllegalActionError(
            f"policy {policy.name!r} chose action {actions[b].tolist()} in row {b} ({view.problem(b).name}); accepted "
            f"there: {legal(mask[b], actions[b])}"
        )
    return actions


def estimate(values: npt.NDArray[np.float64], confidence: float = 0.95) -> tuple[float, tuple[float, float] | None]:
    """Mean and Student interval of independent values; no interval for fewer than two values."""
    from scipy.stats import t

    n = len(values)
    mean = float(np.mean(values))
    if n < 2:
        return mean, None
    half = float(t.ppf(0.5 + confidence / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return mean, (mean - half, mean + half)
