"""Tabular temporal-difference learning: SARSA, expected SARSA, Q-learning and double Q, for one agent or for several.

Each agent has a table of its own and learns as if it were alone (independent learners, Tan 1993). Sources: Rummery &
Niranjan (1994), CUED/F-INFENG/TR 166, for SARSA(lambda); van Seijen et al. (2009), ADPRL, for expected SARSA; Watkins
(1989), PhD thesis, for Q(lambda); van Hasselt (2010), NIPS 23, for double Q; Sutton & Barto (2018), chapters 6 and 12.

With step size a, discount g and the next action chosen before the update, agent by agent,

    q[s, a] += alpha * e * (r + g * V(s') - q[s, a]),

where e is the accumulating trace and V(s') is the value of the next action (SARSA), the mean over the epsilon-greedy
choice (expected SARSA), the largest value (Q-learning), or one table's value of the other one's best action (double Q).

The problem brings the transition as two compiled functions (`HasIndexedKernel`), which the loop is handed as values: it
is compiled once for all problems. Numba is imported at the first training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ...core.callbacks import Callback, Event
from ...core.capabilities import HasIndexedKernel
from ...core.errors import NotSupportedError
from ...core.learner import Learner
from .tabular import TabularPolicy
from .td_loop import BEST, CHECKS, DOUBLE, EXPECTED, FOUND, SARSA, SOURCE, Q, Training

if TYPE_CHECKING:
    from ...core.budget import Budget
    from ...core.types import Support

__all__ = ["DoubleQ", "ExpectedSarsa", "QLearning", "Sarsa", "TabularTD"]

CHUNK = 0.05  # wall seconds of training between two looks at the clock and the callbacks


# ---- the method, its hyperparameters on top -----------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True, repr=False)
class TabularTD(Learner):
    """What the four methods share.

    Parameters
    ----------
    state, reward : str, optional
        What a row of the table says and what agents learn from: options of the problem's indexed kernel, its own
        defaults where None.
    kernel : mapping
        Further options of the indexed kernel.
    alpha, alpha_end : float
        Step size at the beginning and, reached exponentially, at the end of a run; None keeps it.
    epsilon, epsilon_end : float
        Share of random actions, likewise.
    gamma : float
        Discount of the learner; None is the problem's own.
    trace : float
        Lambda in [0, 1]; Q-learning cuts its traces at an exploring action.
    initial : float
        First value of every entry; a high one is an optimistic start.
    restarts : int
        Runs from fresh tables that share the budget; the best policy of all is kept.
    check : int
        Episodes between two looks at the greedy policy, which plays (and is counted as) `plays` episodes.
    plays : int, optional
        1 where nothing is random, else 100 by default, all checks on the same draws.
    kept : {"best", "final"}
        Which tables the policy acts by: the best ones at a check, or the last ones.
    """

    state: str | None = None
    reward: str | None = None
    kernel: Mapping[str, Any] = field(default_factory=dict)
    alpha: float = 0.1
    alpha_end: float | None = None
    epsilon: float = 1.0
    epsilon_end: float = 0.05
    gamma: float | None = None
    trace: float = 0.0
    initial: float = 0.0
    restarts: int = 1
    check: int = 50
    plays: int | None = None
    kept: Literal["best", "final"] = "best"

    scope = "instance"
    rule: ClassVar[int]

    def __post_init__(self) -> None:
        for name in ("alpha", "alpha_end"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value <= 1.0:
                raise ValueError(f"{name} is {value!r}: give a step size in (0, 1]")
        for name in ("epsilon", "epsilon_end", "trace", "gamma"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} is {value!r}: give a number in [0, 1]")
        for name in ("restarts", "check", "plays"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value!r}: give at least 1")
        if self.kept not in ("best", "final"):
            raise ValueError(f"kept is {self.kept!r}: give 'best' or 'final'")
        if self.rule == DOUBLE and self.trace > 0:
            raise ValueError(f"trace is {self.trace!r}: double Q has no traces, give 0")

    def supports(self, problem: Any) -> Support:
        """Any problem with an indexed kernel."""
        support: Support = problem.supports(HasIndexedKernel)
        return support

    def fit(
        self,
        source: Any,
        *,
        budget: Budget,
        seed: int = 0,
        val: Sequence[Any] | None = None,
        device: str = "cpu",
        callbacks: Sequence[Callback] = (),
    ) -> TabularPolicy:
        """Train on one problem; an iteration of the budget is an episode, and a step moves all agents once.

        Parameters
        ----------
        source : Problem
            Or a sequence of one.
        val, device
            Not used: checks play the problem itself, and tables live on the CPU.

        Raises
        ------
        NotSupportedError
            For several problems (a table fits one), or one without an indexed kernel.
        """
        problem = _single(source, self.name)
        support = self.supports(problem)
        if not support:
            raise NotSupportedError(f"{self.name} cannot learn {problem.name}: {support.reason}")
        chosen = {k: v for k, v in (("state", self.state), ("reward", self.reward)) if v is not None}
        options = {**chosen, **self.kernel}
        code, game = SOURCE.compiled(), problem.indexed_kernel(**options)
        clock, goal = budget.start(), problem.objective
        run = Training(self, game, code, goal.discount, seed)
        log: list[tuple[int, float]] = []
        stopped = False

        def told(kind: Any) -> bool:
            value = problem.accrued + goal.sign * float(run.numbers[BEST])
            objective = value if run.counts[CHECKS] else None
            info = {"episodes": run.episodes, "steps": run.steps}
            return any([bool(c(Event(kind, clock.seconds, objective, info=info))) for c in callbacks])

        spent = 0.0
        for turn in range(self.restarts):
            run.begin(turn, budget.iterations, budget.steps)
            pace = 1
            while not stopped and not run.ended and spent < (turn + 1) / self.restarts:
                before, known = clock.seconds, run.numbers[BEST]
                run.train(pace, max(0.0, self.restarts * spent - turn))
                spent = clock.fraction(steps=run.steps, iterations=run.episodes)
                pace = int(np.clip(CHUNK / max(clock.seconds - before, 1e-6), 0.2, 4.0) * pace) + 1
                if run.numbers[BEST] > known:
                    log.append((int(run.counts[FOUND]), float(problem.accrued + goal.sign * run.numbers[BEST])))
                    stopped = told("incumbent") or stopped
                stopped = told("iteration") or stopped
            final = run.finish()
            if stopped:
                break
        tables = {"best": run.best, "final": run.tables[0]}
        policy = TabularPolicy(tables, {problem.content_hash}, options, name=self.name, kept=self.kept)
        policy.train_seconds = clock.seconds
        values = {"best": run.numbers[BEST], "final": final}
        policy.log = {k: float(problem.accrued + goal.sign * v) for k, v in values.items()}
        policy.log |= {"episodes": run.episodes, "steps": run.steps, "cpu_seconds": clock.cpu_seconds, "curve": log}
        return policy

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


@dataclass(frozen=True, kw_only=True, repr=False)
class Sarsa(TabularTD):
    """SARSA(lambda): learn the value of the policy that is played, exploration included.

    The defaults were tuned on five UAV networks (10x10 cells, 3 UAVs, 100 users, 20 slots, interference; seeds 11 to
    15, one training seed, 200,000 episodes): five settings were tried, which gave 89.7 to 99.9% of the optimum for the
    best tables. Lambda mattered most (0: 96.8%, 0.7: 99.9%); less exploration was worst.
    """

    trace: float = 0.7

    name: ClassVar[str] = "sarsa"
    rule: ClassVar[int] = SARSA


@dataclass(frozen=True, kw_only=True, repr=False)
class ExpectedSarsa(TabularTD):
    """Expected SARSA: the mean over the next action instead of a sample.

    Of lambda 0 and 0.7, tried on the networks that `Sarsa` was tuned on, 0.7 is better: 99.9 against 96.2% of the
    optimum.
    """

    trace: float = 0.7

    name: ClassVar[str] = "expected-sarsa"
    rule: ClassVar[int] = EXPECTED


@dataclass(frozen=True, kw_only=True, repr=False)
class QLearning(TabularTD):
    """Q(lambda) of Watkins: learn the value of the greedy policy while another one is played.

    Of lambda 0 and 0.7, tried on the networks that `Sarsa` was tuned on, 0.7 is hardly better: 94.8 against 94.5% of
    the optimum, since the traces are cut at every exploring action.
    """

    trace: float = 0.7

    name: ClassVar[str] = "q-learning"
    rule: ClassVar[int] = Q


@dataclass(frozen=True, kw_only=True, repr=False)
class DoubleQ(TabularTD):
    """Double Q-learning: two tables, one says which action is best and the other what it is worth.

    Tried on the networks that `Sarsa` was tuned on, a step size that falls to 0.02 was worse than a constant one (91.7
    against 92.9% of the optimum).
    """

    name: ClassVar[str] = "double-q"
    rule: ClassVar[int] = DOUBLE


def _single(source: Any, name: str) -> Any:
    if hasattr(source, "content_hash"):
        return source
    if isinstance(source, Sequence) and len(source) == 1:
        return source[0]
    raise NotSupportedError(f"{name} learns a table for one problem: give it that problem, not a set or a generator")
