"""`gnn-ppo`: proximal policy optimisation on graphs, for problems of any size.

Schulman et al. (2017) for the loss. Each iteration plays several episodes of the same instances under the same noise,
and a decision is judged by how its episode did against its siblings (a group baseline: Kwon et al. 2020, POMO, eq. 3;
scaled by the group's spread as in Shao et al. 2024, GRPO), so that no value network has to learn how hard an instance
is; ``baseline="value"`` takes one all the same. The switches of PPO-max (Zheng et al. 2023, "Secrets of RLHF in Large
Language Models Part I: PPO") are options: reward scaling and clipping, value clipping, a value network trained first,
a penalty for leaving the policy that the warm start made.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ...core.actions import hold, live
from ...core.callbacks import Event
from ...core.capabilities import HasGraph, HasKernel
from ...core.graphs import GraphBatch
from ...core.learner import Generator, Learner
from ...core.seeds import stream
from .gnn_policy import GraphPolicy, pick
from .ppo import batches, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from ...core.budget import Budget
    from ...core.callbacks import Callback
    from ...core.types import Support
    from .ppo_core import Clip, Losses

__all__ = ["GnnPPO"]

FloatArray = npt.NDArray[np.float32]
KIND = "orrl.gnn-ppo-training"


@dataclass(repr=False)
class GnnPPO(Learner):
    """Train a graph network on a problem, a list of problems or a generator of problems of any size.

    Parameters
    ----------
    instances, rollouts : int
        Instances per iteration, and episodes of each under the same noise.
    share : float
        Share of the steps of an iteration that it learns from, drawn at random: neighbouring decisions teach much the
        same, so more episodes are worth more than more of their steps.
    epochs, minibatch : int
        Passes over these steps, and decisions per gradient step.
    learning_rate : float
        Of Adam; falls linearly to a tenth over the budget, as the entropy's weight does.
    clip, entropy_weight, max_norm, target_kl : float
        Of the loss; an iteration's epochs end when the policy has moved by `target_kl`.
    baseline : {"group", "value"}
        What an episode is compared with.
    discount, smoothing, value_weight : float
        For ``baseline="value"``: gamma (times the problem's own), lambda, weight of the value loss.
    reward_scale, reward_clip : bool, float, optional
        For ``baseline="value"``: divide rewards by the running spread of the returns, and cut them then.
    value_clip : float, optional
        Clip range of the value.
    value_first : int
        Iterations that train the value network alone.
    reference_weight : float
        Weight of the divergence from the policy as it was after the warm start.
    warm_start : {"rollout", "self-labelling"}, optional
        Learn what random completions of every action say ("rollout"), or imitate the best episode of each group.
    warm_share, samples : float, int
        Share of the budget that the warm start gets, and completions of each action.
    width, layers : int
        Of the network.
    curriculum : sequence of (float, Generator)
        Other sources until that share of the budget is spent, in ascending order.
    check : int
        Iterations between looks at the greedy policy on the validation problems; the best one is kept.
    worlds : int
        Scenarios of each validation problem, the same ones at all looks.
    threads : int
        Of torch, while it trains.
    checkpoint : path, optional
        File to go on from where it exists, and to write at every look.
    """

    instances: int = 16
    rollouts: int = 16
    share: float = 0.5
    epochs: int = 1
    minibatch: int = 1024
    learning_rate: float = 2e-3
    clip: float = 0.2
    entropy_weight: float = 0.01
    max_norm: float = 1.0
    target_kl: float = 0.1
    baseline: Literal["group", "value"] = "group"
    discount: float = 1.0
    smoothing: float = 0.95
    value_weight: float = 0.5
    reward_scale: bool = True
    reward_clip: float | None = None
    value_clip: float | None = None
    value_first: int = 0
    reference_weight: float = 0.0
    warm_start: Literal["rollout", "self-labelling"] | None = None
    warm_share: float = 0.2
    samples: int = 16
    width: int = 32
    layers: int = 3
    curriculum: Sequence[tuple[float, Generator]] = ()
    check: int = 25
    worlds: int = 5
    threads: int = 1
    checkpoint: str | Path | None = None
    log: list[dict[str, float]] = field(default_factory=list, init=False)

    name: ClassVar[str] = "gnn-ppo"
    scope: ClassVar[Literal["instance", "distribution"]] = "distribution"

    def supports(self, problem: Any) -> Support:
        """Any problem with graph observations and a kernel."""
        support: Support = problem.supports(HasGraph)
        return problem.supports(HasKernel) if support else support

    def fit(
        self,
        source: Any,
        *,
        budget: Budget,
        seed: int = 0,
        val: Sequence[Any] | None = None,
        device: str = "cpu",
        callbacks: Sequence[Callback] = (),
    ) -> GraphPolicy:
        """Train until the budget is spent (`iterations` are updates, `steps` decisions); returns the best.

        Without `val`, a generator's first 32 validation problems are looked at, or the training problems themselves.
        """
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            return Training(self, source, budget, seed, val, device).run(callbacks)
        finally:
            torch.set_num_threads(before)

    def options(self) -> dict[str, Any]:
        """Hyperparameters, for tables and model cards."""
        return {k: v for k, v in asdict(self).items() if k not in ("log", "checkpoint", "curriculum")}


@dataclass(slots=True)
class Memory:
    """Episodes of one iteration: a graph a step, and arrays (T, N)."""

    graphs: list[GraphBatch]
    actions: npt.NDArray[np.int64]
    logs: FloatArray
    values: FloatArray
    rewards: FloatArray
    alive: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, kept: Sequence[tuple[Any, ...]]) -> Memory:
        """From the fields of each step."""
        graphs, *rest = zip(*kept, strict=True)
        return cls(list(graphs), *(np.array(field) for field in rest))

    @property
    def returns(self) -> FloatArray:
        """Of each row (N,)."""
        return np.asarray((self.rewards * self.alive).sum(axis=0))


class Training:
    """One run of the learner."""

    def __init__(
        self, learner: GnnPPO, source: Any, budget: Budget, seed: int, val: Sequence[Any] | None, device: str
    ) -> None:
        import torch

        from .rewards import ScaledRewards

        self.learner, self.seed, self.clock = learner, seed, budget.start()
        self.sources = [*learner.curriculum, (np.inf, source)]
        self.drawn = [_instances(s, learner.instances, seed) for _, s in self.sources]
        self.used = [0] * len(self.drawn)  # instances taken of each source, for a training that goes on
        first = next(_instances(source, 1, seed))[1]
        self.judges = list(val) if val is not None else _validation(source, seed)
        self.policy = GraphPolicy.fresh(first, learner.width, learner.layers, seed, device)
        self.net: Any = self.policy.net
        self.adam = torch.optim.Adam(self.net.parameters(), lr=learner.learning_rate, eps=1e-5, fused=True)
        self.scale = ScaledRewards()
        self.streams = {name: stream(seed, "gnn-ppo", name) for name in ("act", "shuffle", "look")}
        self.iteration = self.steps = self.warmed = 0
        self.best = -np.inf
        self.kept = copy.deepcopy(self.net.state_dict())
        self.reference: Any = None
        learner.log = []
        if learner.checkpoint is not None and Path(learner.checkpoint).exists():
            self._load(Path(learner.checkpoint), budget)
        else:  # the scale of the features, from a few episodes of the fresh network
            self.net.centre(self._play(*next(_instances(source, 4, seed))).graphs)

    # ---- the loop ------------------------------------------------------------------------------------------------
    def run(self, callbacks: Sequence[Callback]) -> GraphPolicy:
        """Warm start, then PPO, until the budget is spent or a callback stops it."""
        learner, stop = self.learner, False
        while not stop and not self._over():
            used = self.clock.fraction(steps=self.steps, iterations=self.iteration)
            for group in self.adam.param_groups:
                group["lr"] = learner.learning_rate * (1.0 - 0.9 * min(1.0, used))
            problems, kernel = self._next(used)
            self.policy.seen |= {p.content_hash for p in problems}
            warm = learner.warm_start if used < learner.warm_share else None
            row = self._warm(warm, problems, kernel, used) if warm else self._improve(problems, kernel, used)
            self.iteration += 1
            row |= {"iteration": self.iteration, "steps": self.steps, "seconds": self.clock.seconds}
            row |= {"cpu_seconds": self.clock.cpu_seconds, "warm": float(warm is not None)}
            learner.log.append(row)
            if self.iteration % learner.check == 0 or self._over():
                self._look(row)
            info = {k: v for k, v in row.items() if isinstance(v, int | float)}
            stop = any([bool(tell(Event("iteration", self.clock.seconds, info=info))) for tell in callbacks])
        if self.best > -np.inf:
            self.net.load_state_dict(self.kept)
        self.policy.train_seconds = self.clock.seconds
        self.policy.card = {"options": _plain(learner.options()), "iterations": self.iteration, "steps": self.steps}
        self.policy.card |= {"seed": self.seed, "cpu_seconds": self.clock.cpu_seconds, "device": self.policy.device}
        return self.policy

    def _over(self) -> bool:
        return self.clock.over(steps=self.steps, iterations=self.iteration)

    def _next(self, used: float) -> tuple[list[Any], Any]:
        """Instances of the source whose turn it is."""
        turn = next(i for i, (until, _) in enumerate(self.sources) if used < until)
        self.used[turn] += 1
        return next(self.drawn[turn])

    def _look(self, row: dict[str, float]) -> None:
        """The greedy policy on the validation problems; the best weights are kept."""
        row["greedy"] = worth = judge(self.policy, self.judges, self.learner.worlds, self.seed)
        if worth >= self.best:
            self.best, self.kept = worth, copy.deepcopy(self.net.state_dict())
        self._save()

    # ---- episodes ------------------------------------------------------------------------------------------------
    def begin(self, problems: Sequence[Any], kernel: Any, rows: int) -> tuple[Any, list[int]]:
        """Fresh state and the problem of each row; `rows` of an instance stand together and meet the same noise."""
        seeds = self.streams["act"].integers(2**31, size=len(problems))
        worlds = [p.scenario(int(s)) for p, s in zip(problems, seeds, strict=True) for _ in range(rows)]
        which = [b % len(kernel.problems) for b in range(len(problems)) for _ in range(rows)]
        return kernel.reset([*worlds], which), which

    def _play(self, problems: Sequence[Any], kernel: Any) -> Memory:
        """One episode a row, actions drawn from the policy."""
        state, _ = self.begin(problems, kernel, self.learner.rollouts)
        kept: list[tuple[Any, ...]] = []
        done = ~live(kernel.mask(state))
        while not done.all():
            graph = kernel.graphs(state)
            law, value = self.policy.evaluate(graph)
            action = pick(law, self.streams["act"])
            rewards, over = kernel.step(state, hold(action, done))
            kept.append((graph, action, law[np.arange(len(law)), action], value, rewards.astype(np.float32), ~done))
            done = np.array(over)
        return Memory.of(kept)

    def _parts(self, memory: Memory) -> Iterator[tuple[Any, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Minibatches of whole steps: tensors, the numbers of their steps, and which of their rows are alive."""
        from .graph_network import tensors

        order = self.streams["shuffle"].permutation(len(memory.graphs))
        order = order[: max(1, round(self.learner.share * len(order)))]
        sizes = memory.alive.sum(axis=1)[order]
        for part in np.split(order, np.flatnonzero(np.diff(np.cumsum(sizes) // self.learner.minibatch)) + 1):
            graph = tensors(GraphBatch.join([memory.graphs[t] for t in part]), self.policy.device)
            yield graph, part, np.flatnonzero(memory.alive[part].ravel())

    # ---- PPO -----------------------------------------------------------------------------------------------------
    def _improve(self, problems: Sequence[Any], kernel: Any, used: float) -> dict[str, float]:
        """Episodes and one update."""
        from .ppo_core import Clip

        learner = self.learner
        if learner.reference_weight and self.reference is None:
            self.reference = copy.deepcopy(self.net).requires_grad_(False)
        memory = self._play(problems, kernel)
        self.steps += int(memory.alive.sum())
        gain, goal = self._judged(memory, problems[0].objective.discount)
        weight = learner.value_weight if learner.baseline == "value" else 0.0
        clip = Clip(learner.clip, learner.value_clip, weight, learner.entropy_weight * (1.0 - 0.9 * min(1.0, used)))
        alone = self.iteration < learner.value_first
        shown: list[Losses] = []
        for _ in range(learner.epochs):
            for graph, part, rows in self._parts(memory):
                picked = [x[part].ravel()[rows] for x in (memory.actions, memory.logs, gain, memory.values, goal)]
                loss = self._loss(graph, rows, picked, clip, alone)
                self._descend(loss.total)
                shown.append(loss)
            if shown[-1].kl > learner.target_kl:
                break
        names = ("surrogate", "value", "entropy", "kl", "clipped")
        row = {name: float(np.mean([getattr(loss, name) for loss in shown])) for name in names}
        return row | {"return": float(memory.returns.mean())}

    def _loss(
        self,
        graph: Any,
        rows: npt.NDArray[np.int64],
        picked: Sequence[npt.NDArray[Any]],
        clip: Clip,
        value_alone: bool,
    ) -> Losses:
        import torch

        from .ppo_core import Losses, ppo_loss

        at = torch.as_tensor(rows, device=self.policy.device)
        action, old_log, gain, old_value, goal = (torch.as_tensor(x, device=self.policy.device) for x in picked)
        scores, value = self.net(graph)
        law, value = torch.log_softmax(scores[at], dim=1), value[at]
        assert law.shape == (len(rows), graph.mask.shape[1]), law.shape
        new_log = law.gather(1, action[:, None]).squeeze(1)
        entropy = -(law.exp() * law.clamp(min=-50.0)).sum(dim=1)
        loss = ppo_loss(new_log, old_log, gain, value, old_value, goal, entropy, clip)
        total = loss.total
        if value_alone:
            total = (value - goal).pow(2).mean()
        elif self.reference is not None:
            with torch.no_grad():
                held = torch.log_softmax(self.reference(graph)[0][at], dim=1)
            away = (law.exp() * (law.clamp(min=-50.0) - held.clamp(min=-50.0))).sum(dim=1).mean()
            total = total + self.learner.reference_weight * away
        return Losses(total, loss.surrogate, loss.value, loss.entropy, loss.kl, loss.clipped)

    def _judged(self, memory: Memory, discount: float) -> tuple[FloatArray, FloatArray]:
        """Advantage of each decision (T, N), and what the value network should say."""
        learner = self.learner
        if learner.baseline == "group":
            groups = memory.returns.reshape(-1, learner.rollouts)
            apart = groups - groups.mean(axis=1, keepdims=True)
            score = (apart / (groups.std(axis=1, keepdims=True) + 1e-6)).ravel().astype(np.float32)
            return np.broadcast_to(score, memory.logs.shape), memory.values
        from .ppo_core import advantages

        gamma = learner.discount * discount
        rewards = self.scale(memory.rewards, memory.alive, gamma) if learner.reward_scale else memory.rewards
        if learner.reward_clip is not None:
            rewards = np.clip(rewards, -learner.reward_clip, learner.reward_clip)
        gain = advantages(rewards, memory.values, memory.alive, discount=gamma, smoothing=learner.smoothing)
        seen = gain[memory.alive]
        return ((gain - seen.mean()) / (seen.std() + 1e-8)).astype(np.float32), gain + memory.values

    def _descend(self, total: torch.Tensor) -> None:
        import torch

        self.adam.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.learner.max_norm)
        self.adam.step()

    # ---- warm start ----------------------------------------------------------------------------------------------
    def _warm(self, kind: str, problems: Sequence[Any], kernel: Any, used: float) -> dict[str, float]:
        """One update of the warm start."""
        import torch

        from .gnn_warm import best_of_group, look_ahead, regret, surprise

        learner = self.learner
        weight = learner.entropy_weight * (1.0 - 0.9 * min(1.0, used))
        worth = None
        if kind == "rollout":
            memory, worth = look_ahead(self, problems, kernel)
        else:
            memory = self._play(problems, kernel)
        self.steps, returns = self.steps + int(memory.alive.sum()), memory.returns
        if worth is None:
            memory.alive &= best_of_group(memory, learner.rollouts)
        losses = []
        for graph, part, rows in self._parts(memory):
            at = torch.as_tensor(rows, device=self.policy.device)
            told = memory.actions if worth is None else worth
            goal = told[part].reshape(-1, *told.shape[2:])[rows]
            scores, goals = self.net(graph)[0][at], torch.as_tensor(goal, device=self.policy.device)
            loss = surprise(scores, goals) if worth is None else regret(scores, goals, weight)
            self._descend(loss)
            losses.append(float(loss.detach()))
        return {"loss": float(np.mean(losses)), "return": float(returns.mean())}

    # ---- files ---------------------------------------------------------------------------------------------------
    def _save(self) -> None:
        from .ppo_core import save_training

        if self.learner.checkpoint is None:
            return
        header = {"type": KIND, "iteration": self.iteration, "steps": self.steps, "best": self.best, "used": self.used}
        header |= {"seconds": self.clock.seconds, "cpu": self.clock.cpu_seconds, "log": self.learner.log}
        header |= {"seen": sorted(self.policy.seen), "options": _plain(self.learner.options())}
        arrays = {f"kept.{k}": v.cpu().numpy() for k, v in self.kept.items()} | self.scale.to_arrays()
        if self.reference is not None:
            arrays |= {f"reference.{k}": v.cpu().numpy() for k, v in self.reference.state_dict().items()}
        save_training(Path(self.learner.checkpoint), header, self.net, self.adam, self.streams, arrays)

    def _load(self, path: Path, budget: Budget) -> None:
        import torch

        from ...core.errors import FormatError
        from .ppo_core import load_training

        header, arrays = load_training(path, KIND, self.net, self.adam, self.streams)
        if header["options"] != _plain(self.learner.options()):
            raise FormatError(path, "this training had other options: give the same ones, or another checkpoint=")
        self.iteration, self.steps, self.best = header["iteration"], header["steps"], header["best"]
        self.learner.log, self.policy.seen = header["log"], frozenset(header["seen"])
        self.clock = type(self.clock)(budget, used_seconds=header["seconds"], used_cpu=header["cpu"])
        self.scale.from_arrays(arrays)
        self.kept = {k[5:]: torch.as_tensor(v) for k, v in arrays.items() if k.startswith("kept.")}
        held = {k[10:]: torch.as_tensor(v) for k, v in arrays.items() if k.startswith("reference.")}
        if held:
            self.reference = copy.deepcopy(self.net).requires_grad_(False)
            self.reference.load_state_dict(held)
        self.used = header["used"]
        for drawn, count in zip(self.drawn, self.used, strict=True):
            for _ in range(count):  # the instances go on where they stood
                next(drawn)


def _instances(source: Any, rows: int, seed: int) -> Iterator[tuple[list[Any], Any]]:
    return batches(source, rows, seed, {})


def _validation(source: Any, seed: int) -> list[Any]:
    if isinstance(source, Generator):
        return source.sample(32, seed, "val")
    return list(source) if isinstance(source, Sequence) else [source]


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}
