"""One training of `gnn-ppo`: episodes, advantages, updates, looks and files, in one process or in several.

The method and its options are described in `gnn_ppo`, the losses in `gnn_losses`. Torch is loaded with this module.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from ...core.callbacks import Event
from ...core.errors import DataError, FormatError
from ...core.fingerprints import LENGTH, Fingerprints
from ...core.graphs import GraphBatch
from ...core.learner import Generator
from ...core.seeds import stream
from .gnn_advantages import by_decision, by_episode
from .gnn_episodes import Episodes, look_ahead, play
from .gnn_losses import Decisions, divergence, imitation, regret, surrogate
from .gnn_policy import GraphPolicy
from .graph_network import tensors
from .ppo import judge
from .ppo_core import Clip, Losses, advantages, load_training, save_training
from .rewards import ScaledRewards
from .team import Team

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...core.budget import Budget
    from ...core.callbacks import Callback
    from .gnn_ppo import GnnPPO

__all__ = ["Training", "fresh_policy", "train"]

FloatArray = npt.NDArray[np.float32]
KIND = "orrl.gnn-ppo-training"


def train(
    learner: GnnPPO,
    source: Any,
    budget: Budget,
    seed: int,
    val: Sequence[Any] | None,
    device: str,
    callbacks: Sequence[Callback],
) -> GraphPolicy:
    """See `GnnPPO.fit`."""
    before, team, others = torch.get_num_threads(), Team(), list[Any]()
    torch.set_num_threads(learner.threads)
    try:
        policy = fresh_policy(learner, source, seed, device)
        numbers = 8 + sum(p.numel() for p in policy.net.parameters())
        team, others = Team.start(learner.workers, numbers, _join, learner, source, budget, seed, device)
        training = Training(learner, team, policy, source, budget, seed)
        training.judges = list(val) if val is not None else _validation(source, seed)
        return training.run(callbacks)
    except BaseException:
        team.leave()
        raise
    finally:
        for other in others:
            other.join(10.0)
        torch.set_num_threads(before)


class Training:
    """One process's part in a run of the learner."""

    def __init__(
        self, learner: GnnPPO, team: Team, policy: GraphPolicy, source: Any, budget: Budget, seed: int
    ) -> None:
        self.learner, self.team, self.policy, self.seed, self.clock = learner, team, policy, seed, budget.start()
        self.sources = [*learner.curriculum, (np.inf, source)]
        self.drawn = [_lists(s, learner.instances, seed) for _, s in self.sources]
        self.taken = [0] * len(self.drawn)  # lists drawn from each source so far
        self.judges: list[Any] = []
        self.seen: set[str] = set()
        self.net: Any = policy.net
        self.adam = torch.optim.Adam(self.net.parameters(), lr=learner.learning_rate, eps=1e-5, fused=True)
        self.scale = ScaledRewards()
        self.iteration = self.warmed = self.steps = self.earlier_steps = self.own_steps = 0
        self.earlier_cpu = 0.0
        self.best, self.kept = -np.inf, copy.deepcopy(self.net.state_dict())
        self.reference: Any = None
        learner.log = []
        if learner.checkpoint is not None and Path(learner.checkpoint).exists():
            self._load(Path(learner.checkpoint), budget)

    # ---- the loop ------------------------------------------------------------------------------------------------
    def run(self, callbacks: Sequence[Callback]) -> GraphPolicy:
        """Warm start, then PPO, until the budget is spent or a callback stops it."""
        learner, stop = self.learner, False
        while True:
            used, stop = self._agree(stop)
            if stop or used >= 1.0:
                break
            left = 1.0 - 0.9 * used
            for group in self.adam.param_groups:
                group["lr"] = learner.learning_rate * left
            self.rng = stream(self.seed, "gnn-ppo", self.team.rank, self.iteration)
            problems = self._next(used)
            warm = learner.warm_start if used < learner.warm_share else None
            row = self._warm(warm, problems, left) if warm else self._improve(problems, left)
            self.iteration, self.warmed = self.iteration + 1, self.warmed + (warm is not None)
            if self.team.rank == 0:
                stop = self._tell(row | {"warm": float(warm is not None)}, callbacks)
        if self.team.rank == 0 and (not learner.log or "greedy" not in learner.log[-1]):
            self._look(learner.log[-1] if learner.log else {})
        self.net.load_state_dict(self.kept)
        self.policy.train_seconds, self.policy.seen = self.clock.seconds, Fingerprints(self.seen)
        self.policy.card = {"options": learner.options(), "iterations": self.iteration, "steps": self.steps}
        self.policy.card |= {"seed": self.seed, "cpu_seconds": self.clock.cpu_seconds, "device": self.policy.device}
        return self.policy

    def _agree(self, stop: bool) -> tuple[float, bool]:
        """Share of the budget that is used and whether to stop, as the first process sees it."""
        told = self.team.share(np.array([self.clock.own_cpu, float(self.own_steps)]))
        self.clock.others_cpu = self.earlier_cpu + float(told[1:, 0].sum())
        self.steps = self.earlier_steps + int(told[:, 1].sum())
        used = self.clock.fraction(steps=self.steps, iterations=self.iteration)
        used, halt = self.team.share(np.array([used, float(stop)]))[0].tolist()
        return min(1.0, used), halt > 0

    def _next(self, used: float) -> list[Any]:
        """Instances of this process from the source whose turn it is."""
        turn = next(i for i, (until, _) in enumerate(self.sources) if used < until)
        lists = [next(self.drawn[turn]) for _ in range(self.team.size)]
        self.taken[turn] += len(lists)
        self.seen |= {p.content_hash[:LENGTH] for problems in lists for p in problems}
        return lists[self.team.rank]

    def _tell(self, row: dict[str, float], callbacks: Sequence[Callback]) -> bool:
        """Log an iteration, look at the policy when it is time, and ask the callbacks whether to stop."""
        row |= {"iteration": self.iteration, "steps": self.steps, "seconds": self.clock.seconds}
        row["cpu_seconds"] = self.clock.cpu_seconds
        self.learner.log.append(row)
        if self.iteration % self.learner.check == 0:
            self._look(row)
        return any([bool(tell(Event("iteration", self.clock.seconds, info=dict(row)))) for tell in callbacks])

    def _look(self, row: dict[str, float]) -> None:
        """The greedy policy on the validation problems; the best weights are kept."""
        row["greedy"] = worth = judge(self.policy, self.judges, self.learner.worlds, self.seed)
        if worth >= self.best:
            self.best, self.kept = worth, copy.deepcopy(self.net.state_dict())
        self._save()

    # ---- one update ----------------------------------------------------------------------------------------------
    def _improve(self, problems: list[Any], left: float) -> dict[str, float]:
        """Episodes and PPO's update."""
        learner = self.learner
        if learner.reference_weight and self.reference is None:
            self.reference = copy.deepcopy(self.net).requires_grad_(False)
        episodes = play(self.policy, problems, learner.rollouts, self.rng)
        self.own_steps += int(episodes.alive.sum())
        gain, goal = self._judged(episodes)
        weight = learner.value_weight if learner.baseline == "value" else 0.0
        clip = Clip(learner.clip, learner.value_clip, weight, learner.entropy_weight * left)
        alone = self.iteration - self.warmed < learner.value_first
        fields = (episodes.actions, episodes.logs, gain, episodes.values, goal)
        shown: list[Losses] = []
        for _ in range(learner.epochs):
            for graph, steps, rows in self._parts(episodes):
                loss = self._loss(graph, rows, [x[steps].ravel()[rows] for x in fields], clip, alone)
                self._descend(loss.total)
                shown.append(loss)
            if self.team.share(np.array([shown[-1].kl])).mean() > learner.target_kl:
                break
        names = ("surrogate", "value", "entropy", "kl", "clipped")
        row = {name: float(np.mean([getattr(loss, name) for loss in shown])) for name in names}
        return row | {"return": float(episodes.returns().mean())}

    def _loss(
        self, graph: Any, rows: npt.NDArray[np.int64], made: Sequence[npt.NDArray[Any]], clip: Any, value_alone: bool
    ) -> Losses:
        at = torch.as_tensor(rows, device=self.policy.device)
        decisions = Decisions(*(torch.as_tensor(x, device=self.policy.device) for x in made))
        scores, value = self.net(graph)
        scores, value = scores[at], value[at]
        loss = surrogate(scores, value, decisions, clip)
        total = loss.total
        if value_alone:
            total = (value - decisions.goal).pow(2).mean()
        elif self.reference is not None:
            with torch.no_grad():
                held = self.reference(graph)[0][at]
            total = total + self.learner.reference_weight * divergence(scores, held)
        return Losses(total, loss.surrogate, loss.value, loss.entropy, loss.kl, loss.clipped)

    def _judged(self, episodes: Episodes) -> tuple[FloatArray, FloatArray]:
        """Advantage of each decision (T, N), and what the value network should say."""
        learner = self.learner
        if learner.baseline == "group":
            return by_episode(episodes, learner.rollouts, learner.discount), episodes.values
        if learner.baseline == "linear":
            gain = by_decision(episodes, learner.rollouts, learner.discount, learner.smoothing)
            return gain, episodes.values
        gamma = learner.discount * episodes.discount
        rewards = self.scale(episodes.rewards, episodes.alive, gamma) if learner.reward_scale else episodes.rewards
        if learner.reward_clip is not None:
            rewards = np.clip(rewards, -learner.reward_clip, learner.reward_clip)
        gain = advantages(rewards, episodes.values, episodes.alive, discount=gamma, smoothing=learner.smoothing)
        seen = gain[episodes.alive]
        return ((gain - seen.mean()) / (seen.std() + 1e-8)).astype(np.float32), gain + episodes.values

    def _warm(self, kind: str, problems: list[Any], left: float) -> dict[str, float]:
        """One update of the warm start."""
        learner, worth = self.learner, None
        if kind == "rollout":
            episodes, worth = look_ahead(self.policy, problems, learner.samples, self.rng)
        else:
            episodes = play(self.policy, problems, learner.rollouts, self.rng)
        returns, self.own_steps = episodes.returns(), self.own_steps + int(episodes.alive.sum())
        if worth is None:
            episodes.alive &= episodes.best(learner.rollouts)
        losses = []
        for graph, steps, rows in self._parts(episodes):
            at = torch.as_tensor(rows, device=self.policy.device)
            told = episodes.actions if worth is None else worth
            goal = torch.as_tensor(told[steps].reshape(-1, *told.shape[2:])[rows], device=self.policy.device)
            scores = self.net(graph)[0][at]
            loss = imitation(scores, goal) if worth is None else regret(scores, goal, learner.entropy_weight * left)
            self._descend(loss)
            losses.append(float(loss.detach()))
        return {"loss": float(np.mean(losses)), "return": float(returns.mean())}

    def _parts(self, episodes: Episodes) -> Iterator[tuple[Any, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Minibatches of whole steps: tensors, the numbers of their steps, and which of their rows are alive.

        As many in every process: where there are fewer steps than updates, some come twice.
        """
        order = self.rng.permutation(np.flatnonzero(episodes.alive.any(axis=1)))
        order = order[: max(1, round(self.learner.share * len(order)))]
        order = np.resize(order, max(len(order), self.learner.updates))
        for steps in np.array_split(order, self.learner.updates):
            graph = tensors(GraphBatch.join([episodes.graphs[t] for t in steps]), self.policy.device)
            yield graph, steps, np.flatnonzero(episodes.alive[steps].ravel())

    def _descend(self, total: torch.Tensor) -> None:
        self.adam.zero_grad()
        total.backward()
        self.team.average_gradients(self.net)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.learner.max_norm)
        self.adam.step()

    # ---- files ---------------------------------------------------------------------------------------------------
    def _save(self) -> None:
        if self.learner.checkpoint is None:
            return
        header = {"type": KIND, "iteration": self.iteration, "warmed": self.warmed, "steps": self.steps}
        header |= {
            "best": self.best,
            "seconds": self.clock.seconds,
            "cpu": self.clock.cpu_seconds,
            "log": self.learner.log,
        }
        header |= {"options": self.learner.options(), "taken": self.taken}
        arrays = {"seen": Fingerprints(self.seen).to_array()}
        arrays |= {f"kept.{k}": v.cpu().numpy() for k, v in self.kept.items()} | self.scale.to_arrays()
        if self.reference is not None:
            arrays |= {f"reference.{k}": v.cpu().numpy() for k, v in self.reference.state_dict().items()}
        save_training(Path(self.learner.checkpoint), header, self.net, self.adam, {}, arrays)

    def _load(self, path: Path, budget: Budget) -> None:
        header, arrays = load_training(path, KIND, self.net, self.adam, {})
        if header["options"] != self.learner.options():
            raise FormatError(path, "this training had other options: give the same ones, or another checkpoint=")
        self.iteration, self.earlier_steps, self.best = header["iteration"], header["steps"], header["best"]
        self.learner.log, self.seen = header["log"], set(Fingerprints.from_array(arrays["seen"]))
        self.clock = type(self.clock)(budget, used_seconds=header["seconds"])
        self.earlier_cpu = header["cpu"]
        self.scale.from_arrays(arrays)
        self.kept = {k[5:]: torch.as_tensor(v) for k, v in arrays.items() if k.startswith("kept.")}
        held = {k[10:]: torch.as_tensor(v) for k, v in arrays.items() if k.startswith("reference.")}
        if held:
            self.reference = copy.deepcopy(self.net).requires_grad_(False)
            self.reference.load_state_dict(held)
        self.taken, self.warmed = header["taken"], header["warmed"]
        for drawn, count in zip(self.drawn, self.taken, strict=True):
            for _ in range(count):  # the instances go on where they stood
                next(drawn)


def _join(team: Team, learner: GnnPPO, source: Any, budget: Budget, seed: int, device: str) -> None:
    """What the other processes do."""
    torch.set_num_threads(learner.threads)
    try:
        Training(learner, team, fresh_policy(learner, source, seed, device), source, budget, seed).run(())
    except BaseException:
        team.leave()
        raise


def fresh_policy(learner: GnnPPO, source: Any, seed: int, device: str) -> GraphPolicy:
    """Fresh weights from the seed, features scaled by a few episodes that they play."""
    problems = next(_lists(source, 4, seed))
    options: dict[str, Any] = {"completions": learner.completions, "seed": seed, "device": device}
    kernel = type(problems[0]).kernel(problems, **learner.kernel)
    policy = GraphPolicy.fresh(kernel, learner.width, learner.layers, **options)
    policy.kernel_options = dict(learner.kernel)
    policy.net.centre(play(policy, problems, 4, stream(seed, "gnn-ppo", "scale")).graphs)
    return policy


def _lists(source: Any, rows: int, seed: int) -> Iterator[list[Any]]:
    """Problems of each iteration: fresh ones, or the given ones in turn."""
    if isinstance(source, Generator):
        drawn = source.stream(seed, "train")
        while True:
            yield [next(drawn) for _ in range(rows)]
    several = list(source) if isinstance(source, Sequence) else [source]
    if not several:
        raise DataError("there is nothing to learn from: give at least one problem")
    at = 0
    while True:
        yield [several[(at + b) % len(several)] for b in range(rows)]
        at += rows


def _validation(source: Any, seed: int) -> list[Any]:
    if isinstance(source, Generator):
        return source.sample(32, seed, "val")
    return list(source) if isinstance(source, Sequence) else [source]
