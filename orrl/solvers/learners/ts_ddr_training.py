"""The training of `ts-ddr`: draw paths, run the network along them, price all stages, go back.

Torch is loaded when a training begins.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.callbacks import Event
from ...core.errors import DataError
from ...core.seeds import spawn_seeds, stream
from .decision_rule import DecisionRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from ...core.budget import Budget, Clock
    from ...core.callbacks import Callback
    from .stage_costs import StageCosts
    from .ts_ddr import TsDdr

__all__ = ["Training"]

FloatArray = npt.NDArray[np.float64]
PHASES = (2 / 24, 4 / 24, 8 / 24)  # ends of the first three phases of soft targets, as DecisionRules.jl has them
MULTIPLIERS = (0.1, 1.0, 10.0, 30.0)
KIND = "orrl.ts-ddr-training"


class Training:
    """One run: what is kept between steps, and the steps."""

    def __init__(
        self,
        options: TsDdr,
        problem: Any,
        budget: Budget,
        seed: int,
        val: Sequence[Any] | None,
        device: str,
        callbacks: Sequence[Callback],
    ) -> None:
        import torch

        self.options, self.problem, self.budget, self.seed = options, problem, budget, seed
        self.callbacks, self.device = callbacks, device
        self.soft = options.soft(problem)
        self.graph = problem.stages()
        self.horizon = len(self.graph.nodes)
        self.start = torch.as_tensor(np.array(self.graph.initial_state, np.float64), device=device)
        self.rule = self._fresh_rule()
        self.net = self.rule.net
        self.adam = torch.optim.Adam(self.net.parameters(), lr=options.learning_rate, eps=1e-8)
        self.streams = {"paths": stream(seed, "ts-ddr", "paths"), "check": stream(seed, "ts-ddr", "check")}
        scenarios = val if val is not None else [problem.scenario(s) for s in
                                                 spawn_seeds(seed, options.panel, "ts-ddr", "panel")]  # fmt: skip
        self.panel = np.stack([problem.noise(s) for s in scenarios])
        self.mean = {k: v.detach().clone() for k, v in self.net.named_parameters()}
        self.kept = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.iteration, self.steps, self.phase = 0, 0, -1
        self.best, self.scale, self.judge_seconds = np.inf, 0.0, 0.0
        self.solvers: dict[int, Any] = {}
        self.costs: StageCosts
        self.clock: Clock
        self.row: dict[str, float] = {}

    # ---- making ------------------------------------------------------------------------------------------------
    def _fresh_rule(self) -> DecisionRule:
        import torch

        from .rule_network import RuleShape
        from .soft_stage import automatic_penalty

        o, problem, graph = self.options, self.problem, self.graph
        stage = problem.stage(0)
        n, noise = stage.size
        shape = RuleShape(
            state=n, noise=noise, horizon=self.horizon + problem.objective.stage, period=graph.period,
            network=o.network, encoder=o.encoder, layers=o.layers, hidden=tuple(o.hidden), start=o.start,
            margin=0.0 if self.soft else o.margin, correction=None if o.base is None else o.correction,
        )  # fmt: skip
        low, high = stage.lower[stage.out], stage.upper[stage.out]
        soft = box = None
        if self.soft:
            self.unit = automatic_penalty(stage) if o.penalty == "auto" else float(o.penalty)
            soft, box = (self.unit * MULTIPLIERS[-1], o.norm), np.array([low, high])
        with torch.random.fork_rng():
            torch.manual_seed(int(stream(self.seed, "ts-ddr", "weights").integers(2**31)))
            rule = DecisionRule(shape, base=o.base, soft=soft, box=box, device=self.device)
        if o.double:
            rule.net.double()
        if o.initial is not None:
            if o.initial.shape != shape:
                raise DataError(f"the initial rule has the shape {o.initial.shape}, this training has {shape}")
            rule.net.load_state_dict(o.initial.net.state_dict())
        openings = np.concatenate([node.openings for node in graph.nodes])
        finite = np.isfinite(low) & np.isfinite(high) & (high > low)
        size = np.maximum(abs(graph.initial_state), 1.0)
        low = np.where(finite, low, graph.initial_state - size)
        width = np.where(finite, high - low, 2.0 * size)
        spread = openings.std(axis=0)
        for buffer, value in (
            (rule.net.noise_center, openings.mean(axis=0)), (rule.net.noise_scale, np.where(spread > 0, spread, 1.0)),
            (rule.net.low, low), (rule.net.width, width),
        ):  # fmt: skip
            buffer.copy_(torch.as_tensor(value))
        rule.seen, rule.name = frozenset({problem.content_hash}), o.name
        return rule

    def _price(self, phase: int) -> None:
        """Stage functions of a phase; with strict targets there is one phase."""
        from .soft_stage import soften
        from .stage_costs import StageCosts
        from .stage_function import StageFunction

        o, made = self.options, dict[int, StageFunction]()
        backend = "planes" if o.backend == "auto" else o.backend
        engine = o.engine if backend == "planes" else backend
        functions = []
        for t in range(self.horizon):
            stage = self.problem.stage(t)
            if id(stage) not in made:
                asked = soften(stage, self.unit * MULTIPLIERS[phase], o.norm) if self.soft else stage
                made[id(stage)] = StageFunction(asked, soft=self.soft, engine=engine)
            functions.append(made[id(stage)])
        self.phase = phase
        self.costs = StageCosts(
            functions, backend=backend, sample=o.sample, patience=o.patience, rng=self.streams["check"]
        )

    def _reach(self, state: torch.Tensor, noise: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        import torch

        if self.soft:
            assert self.rule.box is not None
            low, high = torch.as_tensor(self.rule.box, device=share.device)
            return low + (high - low) * share
        if torch.is_grad_enabled() or share.is_cuda:
            target: torch.Tensor = self.problem.reach(state, noise, share, xp=torch)
            return target
        return torch.from_numpy(self.problem.reach(state.numpy(), noise.numpy(), share.numpy()))  # faster when small

    def _base(self, t: int, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Shares of the base policy, as data."""
        import torch

        assert self.options.base is not None
        x, w = state.cpu().numpy(), noise.cpu().numpy()
        wanted = self.options.base.targets(np.full(len(x), t), x, w)
        return torch.as_tensor(self.problem.shares(x, w, wanted), device=state.device)

    # ---- the run -----------------------------------------------------------------------------------------------
    def run(self) -> DecisionRule:
        """Steps and validations until the budget is spent; the rule with the best weights of the panel."""
        o = self.options
        self.clock = self.budget.start()
        o.log = []
        if o.checkpoint is not None and Path(o.checkpoint).exists():
            self._resume(Path(o.checkpoint))
        elif o.base is not None:
            self._judge()  # the base itself is the first candidate
        stop = False
        while not stop and not self._spent():
            phase = sum(self._fraction() >= end for end in PHASES) if self.soft else 0
            if phase != self.phase:
                self._price(phase)
            self._step()
            if self.iteration % o.check == 0 or self._spent():
                self._judge()
                self.costs.reopen()  # so that a resumed run meets the same solver
                o.log.append(self.row)
                self._save()
            info = dict(self.row)
            objective = info.get("panel")
            kind: Any = "incumbent" if objective is not None and objective <= self.best else "iteration"
            stop = any([bool(tell(Event(kind, self.clock.seconds, objective, info=info))) for tell in self.callbacks])
        if self.iteration and not (self.row and "panel" in self.row):
            self._judge()  # stopped between two validations
        self.net.load_state_dict(self.kept)
        self.rule.train_seconds = self.clock.seconds
        return self.rule

    def _fraction(self) -> float:
        return self.clock.fraction(steps=self.steps, iterations=self.iteration)

    def _spent(self) -> bool:
        """The budget is spent, or leaves only the time of the last validation."""
        wall = self.budget.wall
        late = wall is not None and self.clock.seconds + self.judge_seconds >= wall
        return late or self._fraction() >= 1.0

    def _step(self) -> None:
        """Draw paths, run along them, price all stages, go back, move."""
        import torch

        o, done = self.options, min(1.0, self._fraction())
        rise = min(1.0, (self.iteration + 1) / max(1, o.warmup))
        rate = o.last_rate + (o.learning_rate - o.last_rate) * 0.5 * (1.0 + np.cos(np.pi * done))
        for group in self.adam.param_groups:
            group["lr"] = rate * rise
        rows = o.late_paths if o.late_paths is not None and done >= 2 / 3 else o.paths
        seeds = self.streams["paths"].integers(2**31, size=rows)
        paths = np.stack([self.problem.noise(self.problem.scenario(int(s))) for s in seeds], axis=1)
        noise = torch.as_tensor(paths, device=self.device)
        cost = self.path_costs(noise)
        mean = cost.mean()
        if not self.scale:
            self.scale = max(abs(float(mean.detach())), 1e-9)
        self.adam.zero_grad()
        (mean / self.scale).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), o.max_norm)
        self.adam.step()
        self.iteration += 1
        self.steps += rows * self.horizon
        with torch.no_grad():
            decay = min(o.average, self.iteration / (self.iteration + 10.0)) if o.average else 0.0
            for name, value in self.net.named_parameters():
                self.mean[name].lerp_(value, 1.0 - decay)
        seen = self.costs.checks
        self.row = {
            "iteration": self.iteration, "steps": self.steps, "seconds": self.clock.seconds, "rate": rate * rise,
            "cost": float(mean.detach()), "gradient": float(norm), "solved": seen.solved, "missed": seen.missed,
            "failed": seen.failed, "miss_rate": seen.first, "pool_error": seen.error, "planes": seen.planes,
        }  # fmt: skip

    def path_costs(self, noise: torch.Tensor) -> torch.Tensor:
        """Costs (B,) of paths (T, B, W), with the graph of the gradient."""
        import torch

        if self.options.base is not None:
            self.options.base.reset(self.problem, batch=noise.shape[1], seed=self.seed)
        start = self.start.expand(noise.shape[1], -1)
        after = self.net.unroll(noise, start, self._reach, None if self.options.base is None else self._base)
        state = torch.cat([start[None], after[:-1]])
        return self.costs(state, noise, after).sum(dim=0)

    # ---- validation --------------------------------------------------------------------------------------------
    def _judge(self) -> None:
        """Play the panel with every stage solved; keep the weights if they are the best so far."""
        from ...core.targets import play
        from .soft_stage import Misses

        begun = time.perf_counter()
        own = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        if self.iteration:
            self.net.load_state_dict({**own, **self.mean})
        self.solvers.clear()
        watch = Misses(self.rule) if self.soft else None
        done = play(
            self.problem, watch or self.rule, self.panel, seed=self.seed, engine=self.options.engine,
            solvers=self.solvers,
        )  # fmt: skip
        worth = float(done.total().mean())
        self.row["panel"] = worth
        if watch is not None:
            self.row["violation"] = watch.share
        if worth < self.best:
            self.best = worth
            self.kept = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(own)
        self.rule.reset(self.problem)
        self.judge_seconds = max(self.judge_seconds, 1.2 * (time.perf_counter() - begun))

    # ---- files -------------------------------------------------------------------------------------------------
    def _save(self) -> None:
        from .ppo_core import save_training

        o = self.options
        if o.checkpoint is None:
            return
        header = {
            "type": KIND, "iteration": self.iteration, "steps": self.steps, "best": self.best, "log": o.log,
            "scale": self.scale, "phase": self.phase, "seconds": self.clock.seconds, "cpu": self.clock.cpu_seconds,
            "content_hash": self.problem.content_hash, "judge": self.judge_seconds, "shape": self.rule.shape.to_dict(),
        }  # fmt: skip
        arrays = {f"mean.{k}": v.cpu().numpy() for k, v in self.mean.items()}
        arrays |= {f"kept.{k}": v.cpu().numpy() for k, v in self.kept.items()}
        save_training(Path(o.checkpoint), header, self.net, self.adam, self.streams, arrays | self.costs.to_arrays())

    def _resume(self, path: Path) -> None:
        import torch

        from ...core.archive import read_archive
        from .ppo_core import load_training

        header, _ = read_archive(path, KIND)
        if header["content_hash"] != self.problem.content_hash or header["shape"] != self.rule.shape.to_dict():
            raise DataError(
                f"{path} is a training of another problem or network: take another checkpoint file, or remove it"
            )
        header, arrays = load_training(path, KIND, self.net, self.adam, self.streams)
        self._price(header["phase"])
        self.costs.from_arrays(arrays)
        self.mean = {k[5:]: torch.as_tensor(v, device=self.device) for k, v in arrays.items() if k.startswith("mean.")}
        self.kept = {k[5:]: torch.as_tensor(v, device=self.device) for k, v in arrays.items() if k.startswith("kept.")}
        self.iteration, self.steps, self.best = header["iteration"], header["steps"], header["best"]
        self.scale, self.options.log, self.judge_seconds = header["scale"], header["log"], header["judge"]
        self.row = dict(self.options.log[-1])
        self.clock = type(self.clock)(self.budget, used_seconds=header["seconds"], used_cpu=header["cpu"])
