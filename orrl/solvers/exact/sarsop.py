"""`sarsop`: a POMDP's value between two bounds that meet where optimal play goes (Kurniawati, Hsu, Lee 2008, RSS IV).

Below, alpha vectors: each is the value of a plan that can be carried out. Above, a sawtooth over belief points and
corners. A trial walks from the initial belief along the action of the best upper bound and the observation with most
gap left, and backs both bounds up on its way home. Between trials the points that were met lift each other: above by
the weights of their backups (`point_sweep`), below by backups in random order (Perseus: Spaan & Vlassis 2005, JAIR
24:195-220). Both bounds are valid at any moment: the search may stop anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.engines.highs import open_log
from ...core.jit import compile_seconds
from ...core.program import Outcome
from ...core.solver import Solver
from ...core.types import relative_gap
from .alpha import AlphaPolicy
from .pomdp_model import PomdpArrays, pomdp_support, signed_value
from .sarsop_search import Search

if TYPE_CHECKING:
    from pathlib import Path

    from ...core.run import Run
    from ...core.types import Support

__all__ = ["Sarsop"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass
class Sarsop(Solver):
    """Point-based planning along near-optimal beliefs.

    Parameters
    ----------
    precision : float
        Relative gap at which to stop where the call names none (``gap=``).
    trial_factors : tuple of float
        A trial aims at one of these shares of the gap at the root: that which has closed most gap for its work, each
        fifth trial the next in turn. Small shares go deep, which pays where the reward is far away (Tag); large ones go
        wide.
    tail : float
        Belief points leave out their least likely states of this total weight; the bounds stay valid (a point with few
        states bounds more beliefs), they only cannot get much closer than this share of the value.
    corner_share : float
        Work on the corners of the upper bound, as a share of the work of the trials.
    late_share : float
        The same for the bound of one who learns the state two steps late (`late_bound`); 0 goes without it.
    raise_share : float
        The same for lower backups at points that no backup has lifted since the trial (Perseus).
    delta : float
        Vectors within this of the best at a kept belief stay in use, as a share of the gap at the root.
    max_trials : int, optional
        Stop after so many trials.
    checkpoint : path, optional
        Read at the start where it exists (the search goes on as if it had not stopped), written at the end and once a
        minute.
    """

    name: ClassVar[str] = "sarsop"
    clairvoyant: ClassVar[bool] = False

    precision: float = 1e-3
    trial_factors: tuple[float, ...] = (0.5, 0.02)
    tail: float = 1e-4
    corner_share: float = 0.3
    late_share: float = 0.3
    raise_share: float = 0.5
    delta: float = 0.0
    max_trials: int | None = None
    checkpoint: str | Path | None = None

    def supports(self, problem: Any) -> Support:
        """Discounted POMDPs without horizon whose actions are legal everywhere."""
        return pomdp_support(problem)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        spent = compile_seconds()
        table = problem.tabular()
        stop = "time"
        with run.clock("build"):
            model = PomdpArrays.of(table)
        heard, search = 0.0, None

        def over() -> bool:
            """Callbacks are heard once a second also where no trial is under way."""
            nonlocal heard
            if run.callbacks and run.deadline.elapsed > heard + 1.0:
                heard = run.deadline.elapsed
                run.tell("iteration", backups=search.backups if search else 0)
            return run.over

        search = Search(model, self, over=over)
        target = run.gap or self.precision
        if self.checkpoint is not None:
            from .sarsop_state import restore

            restore(search, self.checkpoint, problem.content_hash)
        next_save, next_line = 60.0, 0.0

        def report() -> bool:
            low, high = signed_value(problem, search.low), signed_value(problem, search.high)
            run.bound(high)
            run.incumbent(low)
            return relative_gap(low, high) <= target

        with open_log(run.log) as log:
            try:
                reached = report()
                while not reached and not run.over:
                    if self.max_trials is not None and search.trials >= self.max_trials:
                        stop = "iterations"
                        break
                    search.trial(hear=(lambda k: run.tell("iteration", backups=k)) if run.callbacks else None)
                    reached = report()
                    if log is not None and (reached or run.deadline.elapsed >= next_line):
                        log.write(search.line(run.deadline.elapsed) + "\n")
                        next_line = run.deadline.elapsed + 1.0
                    if self.checkpoint is not None and run.deadline.elapsed > next_save:
                        self._save(search, problem)
                        next_save = run.deadline.elapsed + 60.0
                    if search.stuck:
                        stop = "converged"
                        break
                if reached:
                    stop = "gap"
                elif run.over:
                    stop = run.why
            except KeyboardInterrupt:
                stop = "user"
        reached = report()
        if self.checkpoint is not None:
            self._save(search, problem)
        run.clocks["compile"] = compile_seconds() - spent
        kept = search.lower.closure()
        policy = AlphaPolicy(
            search.lower.vectors[kept],
            np.array(search.lower.actions, dtype=np.int64)[kept],
            model=model,
            content_hash=problem.content_hash,
            name=self.name,
        )
        return Outcome(
            "optimal" if reached else "feasible",
            stop,
            objective=signed_value(problem, search.low),
            bound=signed_value(problem, search.high),
            bound_of="" if table.exact else "the discretised problem",
            policy=policy,
            meta={
                "trials": search.trials,
                "backups": search.backups,
                "alphas": len(search.lower),
                "points": search.upper.count,
                "policy_alphas": len(kept),
            },
        )

    def _save(self, search: Search, problem: Any) -> None:
        from .sarsop_state import save

        assert self.checkpoint is not None
        save(search, self.checkpoint, problem.content_hash)
