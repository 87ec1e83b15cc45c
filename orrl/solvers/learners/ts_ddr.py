"""`ts-ddr`: two-stage deep decision rules, trained by the duals of the stage problems.

Rosemberg, Street, Valladao, Van Hentenryck, "Efficiently Training Deep-Learning Parametric Policies using Lagrangian
Duality", arXiv 2405.14973. A network names the state to leave behind (the target); a stage problem with the target
fixed gives cost and duals; by the envelope theorem the duals are the gradient of the cost in the target, and the chain
rule does the rest. One step: draw paths, let the network run along them, price all stages, go back.

- ``mode="strict"`` (default with `HasReach`): targets are within reach by construction and are met exactly, so the
  states are known without solving anything, and the gradient runs through the ends of what is within reach too.
- ``mode="soft"``: targets lie in the box of the outgoing state and may be missed at a price that grows in four phases.
  In training each stage starts from the target before it, as if that had been met, which becomes true as the price
  grows; validation and play start from what was really reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ...core.capabilities import HasReach, HasScenarios, HasStages
from ...core.errors import DataError, NotSupportedError
from ...core.learner import Learner
from ...core.types import Support
from .decision_rule import DecisionRule

if TYPE_CHECKING:
    from pathlib import Path

    from ...core.budget import Budget
    from ...core.callbacks import Callback
    from ...core.targets import TargetPolicy

__all__ = ["DecisionRule", "TsDdr"]


@dataclass(repr=False)
class TsDdr(Learner):
    """Train a decision rule on one problem with stages in a line.

    Parameters
    ----------
    network : {"lstm", "linear"}
        "linear" is the linear decision rule TS-LDR: share = squash(linear in the present noise, the state, the date).
    encoder, layers, hidden : int, int, tuple of int
        LSTM over the noise, and layers of the head.
    paths : int
        Per step.
    late_paths : int, optional
        Per step in the last third of the budget, where the steps are small and less noise pays.
    learning_rate, last_rate, warmup : float, float, int
        Adam: rises over the first `warmup` steps, then falls as a cosine over the budget to `last_rate`.
    max_norm : float
        Gradient clipping (costs are scaled to a mean of 1).
    average : float
        Decay of the running mean of the weights, which is what is judged and kept; 0 for the weights themselves.
    mode : {"auto", "strict", "soft"}
        See the module; "auto" is strict where the problem has `reach`.
    penalty : float or "auto"
        Of soft targets, times 0.1, 1, 10 and 30; "auto" is the largest absolute cost coefficient.
    norm : {"l1", "l2"}
        Of soft targets.
    backend : {"auto", "planes", "highs", "clarabel", "ipopt"}
        How stages are priced: "planes" from pools of planes that are checked and extended by `sample` true solves a
        step, the others by solving every stage. "auto" is "planes". For stages that are not convex the planes are
        tangents, a heuristic.
    engine : str, optional
        Stage solver of "planes" and of the validation.
    sample, patience : int
        True solves a step, and steps after which an unused plane is dropped.
    start, margin : float
        Share of the reachable range before training; the largest share is 1 - margin.
    base : TargetPolicy, optional
        A policy whose shares the network corrects by at most `correction`; training starts exactly at it. Its shares
        are taken as data: no gradient flows through how they depend on the state.
    correction : float
        See `base`.
    initial : DecisionRule, optional
        Weights to begin with: those of a rule of the same shape, such as one trained on a simpler network of the same
        system.
    check, panel : int
        Steps between validations, and validation paths; all stages of the panel are solved, never read from planes.
    threads : int
        Of torch, while it trains.
    double : bool
        Weights in float64 instead of float32 (states, targets and costs always are float64).
    checkpoint : path, optional
        File to go on from where it exists, and to write at each validation.
    """

    network: Literal["lstm", "linear"] = "lstm"
    encoder: int = 64
    layers: int = 1
    hidden: tuple[int, ...] = (128, 128)
    paths: int = 16
    late_paths: int | None = 32
    learning_rate: float = 5e-3
    last_rate: float = 2e-5
    warmup: int = 20
    max_norm: float = 1.0
    average: float = 0.98
    mode: Literal["auto", "strict", "soft"] = "auto"
    penalty: float | Literal["auto"] = "auto"
    norm: Literal["l1", "l2"] = "l1"
    backend: Literal["auto", "planes", "highs", "clarabel", "ipopt"] = "auto"
    engine: str | None = None
    sample: int = 64
    patience: int = 200
    start: float = 0.8
    margin: float = 1e-3
    base: TargetPolicy | None = None
    correction: float = 0.1
    initial: DecisionRule | None = None
    check: int = 100
    panel: int = 32
    threads: int = 1
    double: bool = False
    checkpoint: str | Path | None = None
    log: list[dict[str, float]] = field(default_factory=list, init=False)

    name: ClassVar[str] = "ts-ddr"
    scope: ClassVar[Literal["instance", "distribution"]] = "instance"

    def supports(self, problem: Any) -> Support:
        """Problems with stages in a line and scenarios; strict targets need `reach`, soft ones a finite box."""
        for capability in (HasStages, HasScenarios):
            support: Support = problem.supports(capability)
            if not support:
                return support
        graph = problem.stages()
        if not graph.linear:
            return Support(False, "its stages are not in a line: a decision rule needs a horizon")
        if graph.discount != 1.0:
            return Support(
                False, f"it discounts by {graph.discount:g}: ts-ddr adds the costs of all stages as they are"
            )
        if self.soft(problem):
            if self.base is not None:
                return Support(False, "a base policy is corrected in shares of what is within reach: it has no reach")
            stage = problem.stage(0)
            if not np.isfinite([stage.lower[stage.out], stage.upper[stage.out]]).all():
                return Support(False, "soft targets need finite bounds of the outgoing state: give its columns bounds")
        elif not problem.supports(HasReach):
            return Support(False, 'strict targets need reach: use mode="soft"')
        return Support(True)

    def soft(self, problem: Any) -> bool:
        """Whether targets may be missed, see `mode`."""
        return self.mode == "soft" or (self.mode == "auto" and not problem.supports(HasReach))

    def fit(
        self,
        source: Any,
        *,
        budget: Budget,
        seed: int = 0,
        val: Sequence[Any] | None = None,
        device: str = "cpu",
        callbacks: Sequence[Callback] = (),
    ) -> DecisionRule:
        """Train until the budget is spent (`iterations` are gradient steps, `steps` stages of a path).

        Parameters
        ----------
        source : Problem
            One, or a sequence of one.
        val : sequence of scenarios, optional
            The panel on which the best weights are chosen; `panel` fresh scenarios by default.
        """
        import torch

        from .ts_ddr_training import Training

        problem = source[0] if isinstance(source, Sequence) and len(source) == 1 else source
        if not hasattr(problem, "supports"):
            raise NotSupportedError(f"ts-ddr learns one problem at a time, not a {type(problem).__name__}")
        if not (support := self.supports(problem)):
            raise NotSupportedError(f"ts-ddr cannot take {problem.name}: {support.reason}")
        if any(hasattr(v, "content_hash") for v in val or ()):
            raise DataError("val of ts-ddr is a list of scenarios of the problem: give problem.scenario(seed)")
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            return Training(self, problem, budget, seed, val, device, callbacks).run()
        finally:
            torch.set_num_threads(before)

    def options(self) -> dict[str, Any]:
        """Hyperparameters, for tables and model cards."""
        shown = {k: v for k, v in self.__dict__.items() if k not in ("log", "checkpoint", "base", "initial")}
        return shown | {k: None if p is None else p.name for k, p in (("base", self.base), ("initial", self.initial))}
