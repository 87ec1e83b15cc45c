"""`sddp`: stochastic dual dynamic programming for any problem with stages.

Pereira and Pinto 1991, Multi-stage stochastic optimization applied to energy planning, Mathematical Programming
52:359-375; policy graphs as in Dowson 2020, Networks 76:3-23; risk as in Philpott and de Matos 2012, European Journal
of Operational Research 218:470-483. One iteration: walk a few sampled paths with the present cuts, then, from their
ends back, solve every outcome of each state that was handed on and make a cut. The value of the first stage is a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ...core.capabilities import HasStages
from ...core.program import Outcome
from ...core.rollout import estimate
from ...core.solver import Solver
from ...core.types import Evaluation, Support
from .sddp_cuts_io import state_names
from .sddp_log import Log, stability_report
from .sddp_policy import CutPolicy
from .sddp_risk import Expectation, RiskMeasure, risk_measure
from .sddp_simulate import endless
from .sddp_stopping import IterationLimit, Rule, SimulationStall, Statistical
from .sddp_training import Training

if TYPE_CHECKING:
    from ...core.result import Result
    from ...core.run import Run

__all__ = ["Sddp"]


@dataclass(repr=False, kw_only=True)
class Sddp(Solver):
    """SDDP with a bound that is proven and a cost that is simulated.

    Parameters
    ----------
    iterations : int, optional
        Stop after so many. Without it (and without `stopping`) the default rule is `SimulationStall`.
    forward_paths : int
        Paths walked in each iteration.
    cuts : {"single", "multi"}
        One cut on the expected cost-to-go, or one for each outcome. Multi cuts learn more from a solve and make the
        stage problems larger.
    selection : {"level1"} or None
        Drop from the models, every `clean_every` iterations, cuts that are the highest at no visited state.
    clean_every : int
        Iterations.
    warmup : int
        Cheap passes before the first iteration, whose cuts come from one solve a stage, under its mean noise (valid by
        Jensen's inequality). Fifteen take about the solves of two iterations with 15 openings. Single cuts and
        the measures of `orrl.solvers.exact.sddp_risk` only.
    inset : float
        Early cuts are made at states moved off their bounds by this share of the box, fading by a fifth an iteration:
        a slope found exactly on a bound (an empty reservoir) is often far too steep inside. Cuts are valid wherever
        they are made.
    risk : RiskMeasure or str
        ``"expectation"``, ``"worst-case"``, ``"cvar:0.9"``, ``"mean-cvar:0.5:0.9"`` or an object with
        ``weights(costs, p)``; applied stage by stage. The bound is then about the nested risk, the simulated mean is
        still a mean.
    backward : Problem, optional
        Another problem over the same graph whose convex stages make the cuts, such as
        ``problem.with_(network="dc")``; the problem's own stages are walked and paid.
    nonconvex : {"cuts", "targets"}
        How a stage that is not convex is walked: the true stage is solved with the cuts, or the backward model says
        which state to leave and the true stage is solved for that. The first is dearer by a solve and
        knows the true stage; the second is enough where the backward model is close.
    stopping : rule or sequence of rules, optional
        See `orrl.solvers.exact.sddp_stopping`; the first that answers ends the training.
    check_every : int
        Iterations between looks (simulations for a stopping rule) and between checkpoints. Where a rule looks, the
        policy of the best look is returned, not the last one, whose newest cuts may have made it worse; the last one
        is looked at, too. The bound is the last, highest one. ``meta["policy_of_iteration"]`` names the look. Best is
        best on the panel, and where a stage has several optima, with the ones that were found.
    panel : int
        Paths of a look, the same each time.
    scenarios : int
        Fresh paths of the final evaluation.
    depth : int, optional
        Most stages of a path; needed only on graphs with cycles that neither end nor discount.
    checkpoint : path, optional
        Written every `check_every` iterations; a run that finds the file goes on from it, cut for cut. The clocks go on
        as well: ``meta["train_seconds"]`` and ``meta["train_cpu_seconds"]`` are of all runs, `Result.times` of one.
    engine : str, optional
        Of the stage models.

    Notes
    -----
    Everything runs on one thread.
    ``warm_start`` takes a `CutPolicy` of the same graph, whose cuts are then the first ones.
    """

    iterations: int | None = None
    forward_paths: int = 1
    cuts: Literal["single", "multi"] = "single"
    selection: Literal["level1"] | None = "level1"
    clean_every: int = 10
    warmup: int = 15
    inset: float = 0.01
    risk: RiskMeasure | str = "expectation"
    backward: Any = None
    nonconvex: Literal["cuts", "targets"] = "cuts"
    stopping: Rule | Sequence[Rule] | None = None
    check_every: int = 20
    panel: int = 50
    scenarios: int = 200
    depth: int | None = None
    checkpoint: Any = None
    engine: str | None = None

    name: ClassVar[str] = "sddp"
    kind = "exact"
    clairvoyant: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("forward_paths", "clean_every", "check_every", "panel"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}: give at least 1")
        if self.iterations is not None and self.iterations < 1:
            raise ValueError(f"iterations is {self.iterations!r}: give at least 1, or None for a stopping rule")
        if self.cuts not in ("single", "multi") or self.selection not in ("level1", None):
            raise ValueError(f"cuts is {self.cuts!r} (single, multi), selection {self.selection!r} (level1, None)")
        if self.warmup < 0 or not 0.0 <= self.inset < 0.5:
            raise ValueError(f"warmup is {self.warmup!r} (0 or more), inset {self.inset!r} (0 up to below 0.5)")
        if self.scenarios < 0:
            raise ValueError(f"scenarios is {self.scenarios!r}: give 0 (no evaluation) or more")
        risk_measure(self.risk)

    def options(self) -> dict[str, Any]:
        """Plain values, for tables and stores."""
        told = super().options()
        told["risk"] = self.risk if isinstance(self.risk, str) else repr(self.risk)
        told["backward"] = None if (b := self.backward) is None else f"{b.name} {b.content_hash[:12]}"
        told["stopping"] = None if self.stopping is None else repr(self.stopping)
        told["checkpoint"] = None if self.checkpoint is None else str(self.checkpoint)
        return told

    def supports(self, problem: Any) -> Support:
        """A problem with stages, convex ones or with a convex `backward` over the same graph."""
        support = problem.supports(HasStages)
        if not support:
            return support
        graph = problem.stages()
        planner = problem if self.backward is None else self.backward
        if self.backward is not None:
            support = planner.supports(HasStages)
            if not support:
                return Support(False, f"backward: {support.reason}")
            other = planner.stages()
            if [n.children for n in other.nodes] != [n.children for n in graph.nodes] or other.roots != graph.roots:
                return Support(False, "the policy graph of backward= is another one")
        if any(planner.stage(i).smooth is not None for i in range(len(graph.nodes))):
            return Support(False, "its stages are not convex, so they give no cuts: give backward= a convex form of it")
        if graph.discount >= 1.0 and self.depth is None and endless(graph):
            return Support(False, "its graph has a cycle that never ends and no discount: give depth=, or a discount")
        return Support(True)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        def money(cost: Any) -> Any:
            return in_money(problem, cost)

        with run.clock("build"):
            training = Training(self, problem, run, rules=self._rules(run), money=money)
        planner, progress = training.planner, training.progress
        log = Log(run.log)
        resumed = [f"resumed after iteration {progress.iteration} from {self.checkpoint}"] if training.resumed else []
        log.banner(problem, planner, [f"options: {self.options()}", *resumed])
        try:
            stop, why = training.train(log)
            log.line(f"stopped: {why}")
            log.line(stability_report(planner.stages, planner.pools))
            best = training.choose()
            if training.panel:
                log.line(f"policy of iteration {best}, the best of {len(progress.looks)} looks")
            costs = training.walker.evaluate(training.final, lambda: run.deadline.passed)
            if len(costs):
                mean, interval = estimate(costs)
                text = "" if interval is None else f" [{interval[0]:.6f}, {interval[1]:.6f}]"
                log.line(f"simulated on {len(costs)} fresh paths: {mean:.6f}{text}; bound {training.bound:.6f}")
        finally:
            log.close()
        source = training.source
        policy = CutPolicy(
            planner.pools,
            states=state_names(planner.stages[0]),
            labels=getattr(problem, "state_labels", None),
            seen=frozenset({problem.content_hash, source.content_hash}),
            first=problem.objective.stage,
            planner=source if self.backward is not None and self.nonconvex == "targets" else None,
        )
        policy.train_seconds = progress.seconds
        meta = {
            "iterations": progress.iteration, "solves": planner.solves, "numerical_troubles": planner.troubles,
            "stopped": why, "evaluation": "simulated by the stage models, not by the referee",
            "policy_of_iteration": best, "train_seconds": progress.seconds,
            "train_cpu_seconds": progress.cpu_seconds,
            "looks": [(look.iteration, money(look.mean)) for look in progress.looks],
            "_costs": money(costs) if len(costs) else costs,
        }  # fmt: skip
        return Outcome(
            "feasible", stop, bound=money(training.bound) if np.isfinite(training.bound) else None,
            bound_of=self._bound_of(training.risk), message=why, policy=policy, meta=meta,
        )  # fmt: skip

    def shaping(self) -> dict[str, Any]:
        """The options that decide which cuts are made: what a checkpoint must agree with."""
        names = (
            "forward_paths", "cuts", "selection", "clean_every", "warmup", "inset", "risk", "check_every", "panel",
            "depth", "engine",
        )  # fmt: skip
        told = self.options()
        return {name: told[name] for name in names}

    def _rules(self, run: Run) -> list[Rule]:
        given = [] if self.stopping is None else self.stopping
        rules = list(given) if isinstance(given, Sequence) else [given]
        if self.iterations is not None:
            rules.append(IterationLimit(self.iterations))
        if run.gap > 0:
            rules.append(Statistical(gap=run.gap))
        return rules or [SimulationStall()]

    def _bound_of(self, risk: RiskMeasure) -> str:
        parts = []
        if not isinstance(risk, Expectation):
            parts.append(f"the nested risk {self.risk if isinstance(self.risk, str) else repr(self.risk)}")
        if self.backward is not None:
            parts.append(f"the backward model {self.backward.name}")
        return " of ".join(parts)

    def _judge(self, problem: Any, run: Run, outcome: Outcome, cpu: float) -> Result:
        costs = outcome.meta.pop("_costs")
        result = super()._judge(problem, run, outcome, cpu)
        if not len(costs):
            return result
        mean, interval = estimate(costs)
        evaluation = Evaluation(mean, True, n=len(costs), interval=interval)
        status: Any = "estimated" if interval is not None else "feasible"
        return result.with_(objective=mean, evaluation=evaluation, status=status)


def in_money(problem: Any, cost: Any) -> Any:
    """Minimised money of the stages that are left as the objective of the whole problem."""
    goal = problem.objective
    accrued = getattr(problem, "accrued", 0.0)
    return accrued - goal.sign * goal.discount**goal.stage * cost
