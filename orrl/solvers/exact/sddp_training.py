"""The training of SDDP: one iteration after another, until a rule or a limit ends it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import OrrlError
from ...core.hashing import content_hash
from ...core.seeds import stream
from .sddp_checkpoint import load_checkpoint, save_checkpoint
from .sddp_kept import Kept
from .sddp_planner import Planner, Trouble
from .sddp_policy import CutPolicy
from .sddp_risk import CVaR, Expectation, MeanCVaR, WorstCase, risk_measure
from .sddp_simulate import Walker, draw_path, fresh_paths, longest
from .sddp_stopping import IterationLimit, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...core.run import Run
    from .sddp import Sddp
    from .sddp_log import Log
    from .sddp_stopping import Look, Rule

__all__ = ["Training"]

INSET_FADES = 0.8
LIVES = 5  # iterations in a row that may meet numerical trouble


class Training:
    """One run: the cuts, the progress, and the steps.

    Parameters
    ----------
    options : Sddp
        How.
    problem : Problem
        Whose stages are walked and paid.
    run : Run
        Limits, seed, callbacks.
    rules : sequence of Rule
        When to stop.
    money : callable
        Minimised money of the stages as the problem's objective, for the trace.

    Attributes
    ----------
    source : Problem
        Whose stages make the cuts.
    planner, walker : Planner, Walker
        The cuts with their models, and who walks by them.
    progress : Progress
        Iterations, clocks, bounds, looks.
    kept : Kept or None
        Cuts of the best look.
    final : list of Path
        Fresh paths of the evaluation.
    resumed : bool
        Whether a checkpoint was found.
    """

    def __init__(
        self, options: Sddp, problem: Any, run: Run, *, rules: Sequence[Rule], money: Callable[[float], float]
    ) -> None:
        o, self._cpu = options, time.process_time()
        self.options, self.problem, self.run, self.rules, self.money = o, problem, run, rules, money
        self.source = problem if o.backward is None else o.backward
        self.risk = risk_measure(o.risk)
        self.planner = Planner(
            self.source, cuts=o.cuts, risk=self.risk, select=o.selection is not None,
            engine=o.engine if o.backward is None else None,
        )  # fmt: skip
        self.walker = Walker(problem, self.planner, o.engine, direct=o.nonconvex == "cuts")
        self.rng = stream(run.seed, "sddp-train")
        if isinstance(run.warm_start, CutPolicy):
            self.planner.adopt(run.warm_start.copy_pools())
        self.key = content_hash(
            {"problem": problem.content_hash, "backward": self.source.content_hash, "seed": run.seed, **o.shaping()}
        )
        self.progress, self.kept = Progress(), None
        if o.checkpoint is not None:
            self.progress, self.kept = load_checkpoint(o.checkpoint, self.key, self.planner, self.rng)
        self.resumed = self.progress.iteration > 0
        self._before = (self.progress.seconds, self.progress.cpu_seconds)
        looks = any(getattr(rule, "looks", False) for rule in rules)
        self.panel = fresh_paths(problem, run.seed, o.panel, "sddp-panel", o.depth) if looks else []
        graph = self.planner.graph
        certain = graph.linear and all(len(node.p) == 1 for node in graph.nodes)  # one path is enough
        self.final = fresh_paths(
            problem, run.seed, min(1, o.scenarios) if certain else o.scenarios, "sddp-evaluation", o.depth
        )
        self._reserved = sum(len(path.nodes) for path in [*self.final, *self.panel])
        self._slowest, self._failures = 0.0, 0

    @property
    def bound(self) -> float:
        """The highest so far, minimised money."""
        return self.progress.bounds[-1] if self.progress.bounds else -np.inf

    def train(self, log: Log) -> tuple[str, str]:
        """Iterate until a rule or a limit ends it; returns the word and the sentence."""
        o, progress = self.options, self.progress
        if not self.resumed:
            self._warm_up(log)
        while (ended := self._ended()) is None:
            begin = time.perf_counter()
            done = self._iterate(log)
            if done is None:
                continue
            bound, path = done
            progress.iteration += 1
            self._tick()
            progress.bounds.append(max(bound, self.bound))
            self.run.bound(self.money(bound), iteration=progress.iteration)
            self.run.tell("iteration", iteration=progress.iteration)
            if o.selection is not None and progress.iteration % o.clean_every == 0:
                self.planner.clean()
            self._slowest = max(0.9 * self._slowest, time.perf_counter() - begin)
            look = None
            if progress.iteration % o.check_every == 0:
                look = self._look(lambda: self.run.over)
                self._tick()
                if o.checkpoint is not None:
                    save_checkpoint(o.checkpoint, self.key, self.planner, self.rng, progress, self.kept)
                    self._forget()
            log.iteration(progress.iteration, bound, path, progress.seconds, self.planner.solves, look)
        if progress.iteration and (not progress.looks or progress.looks[-1].iteration < progress.iteration):
            self._look(lambda: self.run.deadline.passed)  # the last policy may be the best
        self._tick()
        return ended

    def _ended(self) -> tuple[str, str] | None:
        """Why the training is over, with the time in mind that the last look and the evaluation take."""
        for rule in self.rules:
            if why := rule(self.progress):
                return "iterations" if isinstance(rule, IterationLimit) else "converged", why
        run, limit = self.run, self.run.deadline.limit
        reserve = min(1.1 * self._reserved * self.walker.pace, 0.5 * limit) if limit else 0
        if run.over or run.deadline.remaining < reserve + self._slowest:
            return run.why if run.over else "time", "time limit" if not run.stopped else "a callback said stop"
        return None

    def _iterate(self, log: Log) -> tuple[float, float] | None:
        """One iteration: bound and cost of the first path; None where time ended it, or numerical trouble did."""
        o, planner, run = self.options, self.planner, self.run
        depth = longest(planner.graph, o.depth)
        # forward: where does the present policy go?
        feared = None if isinstance(planner.risk, Expectation) else planner.feared
        paths = [draw_path(planner.graph, self.rng, depth, stop=True, feared=feared) for _ in range(o.forward_paths)]
        share = o.inset * INSET_FADES**self.progress.iteration
        try:
            walked = self.walker.walk(paths, lambda: run.over)
            if walked is None:
                return None
            costs, states = walked
            # back: a cut at each state that was handed on, the last ones first
            for t in range(max(len(path.nodes) for path in paths) - 1, -1, -1):
                for path, trail in zip(paths, states, strict=True):
                    if t < len(path.nodes) and not run.over:
                        node = int(path.nodes[t])
                        planner.refine(node, planner.inside(node, trail[t], share))
            bound = planner.bound()
        except Trouble as trouble:
            planner.troubles += 1
            self._failures += 1
            log.line(f"{self.progress.iteration + 1:>6} left out: {trouble}")
            planner.forget()
            if self._failures >= LIVES:
                raise OrrlError(f"{LIVES} iterations in a row met numerical trouble; the last: {trouble}") from trouble
            return None
        self._failures = 0
        return bound, float(costs[0])

    def _warm_up(self, log: Log) -> None:
        """Passes whose cuts are made under mean noise."""
        planner, run = self.planner, self.run
        if planner.multi or not isinstance(planner.risk, Expectation | CVaR | MeanCVaR | WorstCase):
            return
        for _ in range(self.options.warmup):
            if run.deadline.elapsed > 0.3 * run.deadline.capped() or run.over:
                break
            path = draw_path(planner.graph, self.rng, longest(planner.graph, self.options.depth), stop=True)
            try:
                walked = self.walker.walk([path], lambda: run.over)
                if walked is None:
                    break
                for t in range(len(path.nodes) - 1, -1, -1):
                    node = int(path.nodes[t])
                    planner.refine_by_mean(node, planner.inside(node, walked[1][0][t], self.options.inset))
            except Trouble as trouble:
                planner.troubles += 1
                log.line(f"warm-up left: {trouble}")
                break
        planner.clean()

    # ---- the policy that is handed over --------------------------------------------------------------------------
    def _look(self, over: Callable[[], bool]) -> Look | None:
        """Simulate the panel; the cuts of the best look are kept, of equal ones the last."""
        look = self.walker.look(self.panel, self.progress, over)
        if look is not None and (self.kept is None or look.mean <= self.kept.mean):
            self.kept = Kept.of(self.planner.pools, look.iteration, look.mean)
        return look

    def choose(self) -> int:
        """Go back to the cuts of the best look, where this run looks; returns the iteration of the cuts that count."""
        if not self.panel or self.kept is None or self.kept.iteration == self.progress.iteration:
            return self.progress.iteration
        self.planner.adopt(self.kept.pools(self.planner.pools))
        self._forget()
        return self.kept.iteration

    def _forget(self) -> None:
        self.planner.forget()
        self.walker.forget()

    def _tick(self) -> None:
        """Bring the clocks of the progress up to now."""
        wall, cpu = self._before
        self.progress.seconds = wall + self.run.deadline.elapsed
        self.progress.cpu_seconds = cpu + time.process_time() - self._cpu
