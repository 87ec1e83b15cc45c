"""`ppo`: proximal policy optimisation on vector observations; several agents share one network (IPPO).

Schulman et al. (2017) for the algorithm; de Witt et al. (2020), "Is Independent Learning All You Need in the StarCraft
Multi-Agent Challenge?", for independent PPO with shared parameters: each agent is a row of its own, with its own
observation, the number of the agent, and the reward of the team. What an action is, a choice or numbers in the unit
interval, is the head's business (`heads`). One iteration plays whole episodes in a batch of the problem's kernel, so no
value stands in for what comes after the last decision, unless `cut` says that the clock alone ends them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ...core.actions import hold, is_continuous, live
from ...core.callbacks import Event
from ...core.capabilities import HasKernel
from ...core.errors import DataError
from ...core.learner import Generator, Learner
from ...core.rollout import rollout
from ...core.seeds import stream
from .ppo_policy import PPOPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from ...core.budget import Budget, Clock
    from ...core.callbacks import Callback
    from ...core.policy import Policy
    from ...core.types import Support

__all__ = ["PPO", "PPOPolicy"]


@dataclass(repr=False)
class PPO(Learner):
    """Train a network on a problem, a list of problems of one size, or a generator.

    Parameters
    ----------
    episodes : int
        Episodes per iteration, played side by side.
    epochs, minibatch : int
        Passes over the decisions of an iteration, and decisions per gradient step.
    learning_rate : float
        Of Adam; falls linearly to a tenth over the budget.
    discount, smoothing : float
        gamma (the problem's own discount is multiplied in) and lambda of the advantages.
    clip, value_weight, entropy_weight, max_norm : float
        Of the loss; the entropy's weight falls linearly to a tenth over the budget.
    rewards : {"raw", "scaled", "centered"}, optional
        Running normalisation of the rewards, see the classes of `rewards`: by the spread of the returns, or by their
        spread around the mean of their step (where every policy pays much the same). By default "scaled" for choices
        and "centered" for numbers. Observations are always normalised by their running mean and spread.
    hidden : tuple of int
        Layers of the policy network and of the value network.
    kernel : mapping
        Options of the kernel, such as what the policy sees; the policy keeps them and is played with them.
    start : (float, float), optional
        Mean and standard deviation of each number before training; without it 0.5 and the width of the plain law. A
        good guess saves the steps that lead there.
    target_kl : float
        An iteration's epochs end when the policy has moved this far.
    cut : int, optional
        Decisions after which an episode of the training is cut off, not over: the value network says what would follow.
        Give it where the agent does not see a clock that ends the episode. By default every end is an end.
    check : int
        Iterations between looks at the greedy policy on the validation problems (the training problem where none are
        given); the best is kept.
    worlds : int
        Scenarios of each validation problem at a look, the same ones at all looks.
    threads : int
        Of torch, while it trains.
    checkpoint : path, optional
        File to go on from where it exists, and to write every `check` iterations.
    """

    episodes: int = 64
    epochs: int = 4
    minibatch: int = 512
    learning_rate: float = 1e-3
    discount: float = 1.0
    smoothing: float = 0.95
    clip: float = 0.2
    value_weight: float = 0.5
    entropy_weight: float = 0.01
    max_norm: float = 0.5
    rewards: Literal["raw", "scaled", "centered"] | None = None
    hidden: tuple[int, ...] = (128, 128)
    kernel: Mapping[str, Any] = field(default_factory=dict)
    start: tuple[float, float] | None = None
    target_kl: float = 0.03
    cut: int | None = None
    check: int = 10
    worlds: int = 20
    threads: int = 1
    checkpoint: str | Path | None = None
    log: list[dict[str, float]] = field(default_factory=list, init=False)

    name: ClassVar[str] = "ppo"
    scope: ClassVar[Literal["instance", "distribution"]] = "distribution"

    def supports(self, problem: Any) -> Support:
        """Any problem with a kernel."""
        support: Support = problem.supports(HasKernel)
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
    ) -> PPOPolicy:
        """Train until the budget is spent (`iterations` are updates, `steps` decisions of a row); returns the best."""
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            return self._fit(source, budget, seed, val, device, callbacks)
        finally:
            torch.set_num_threads(before)

    def _fit(
        self,
        source: Any,
        budget: Budget,
        seed: int,
        val: Sequence[Any] | None,
        device: str,
        callbacks: Sequence[Callback],
    ) -> PPOPolicy:
        import torch

        from .ppo_core import Clip, load_training
        from .rewards import REWARDS

        drawn = batches(source, self.episodes, seed, self.kernel)
        problems, kernel = next(drawn)
        judges = list(val) if val is not None else problems[:1]
        rng, shuffle = stream(seed, "ppo", "act"), stream(seed, "ppo", "shuffle")
        policy = PPOPolicy.fresh(kernel, self.hidden, seed, device)
        policy.kernel_options = dict(self.kernel)
        if self.start is not None:
            policy.begin_at(*self.start)
        net = policy.net
        adam = torch.optim.Adam(net.parameters(), lr=self.learning_rate, eps=1e-5, fused=True)
        scale = REWARDS[self.rewards or ("centered" if is_continuous(kernel) else "scaled")]()
        clock, steps, iteration, best = budget.start(), 0, 0, -np.inf
        kept: dict[str, torch.Tensor] = {k: v.clone() for k, v in net.state_dict().items()}
        streams = {"act": rng, "shuffle": shuffle}
        self.log = []
        if self.checkpoint is not None and Path(self.checkpoint).exists():
            header, arrays = load_training(Path(self.checkpoint), "orrl.ppo-training", net, adam, streams)
            policy.seen, best = frozenset(header["seen"]), header["best"]
            iteration, steps, self.log = header["iteration"], header["steps"], header["log"]
            clock = type(clock)(budget, used_seconds=header["seconds"], used_cpu=header["cpu"])
            scale.from_arrays(arrays)
            policy.scale.from_arrays("obs", arrays)
            kept = {k[5:]: torch.as_tensor(v) for k, v in arrays.items() if k.startswith("kept.")}
            for _ in range(iteration):  # the instances go on where they stood
                problems, kernel = next(drawn)
        stop = False
        while not stop and not clock.over(steps=steps, iterations=iteration):
            left = 1.0 - 0.9 * min(1.0, clock.fraction(steps=steps, iterations=iteration))
            for group in adam.param_groups:
                group["lr"] = self.learning_rate * left
            policy.seen |= {p.content_hash for p in problems}
            memory = _play(policy, kernel, problems, rng, self.cut)
            steps += int(memory.alive.sum()) // max(1, policy.agents)
            clip = Clip(self.clip, None, self.value_weight, self.entropy_weight * left)
            row = self._update(policy, adam, memory, scale, clip, problems[0].objective.discount, shuffle)
            iteration += 1
            row |= {"iteration": iteration, "steps": steps, "seconds": clock.seconds, "return": memory.mean_return}
            row["cpu_seconds"] = clock.cpu_seconds
            self.log.append(row)
            spent = clock.over(steps=steps, iterations=iteration)
            if iteration % self.check == 0 or spent:
                row["greedy"] = worth = judge(policy, judges, self.worlds, seed)
                if worth >= best:
                    best, kept = worth, {k: v.clone() for k, v in net.state_dict().items()}
                self._save(policy, adam, streams, scale, kept, clock, iteration, steps, best)
            info = {k: v for k, v in row.items() if isinstance(v, int | float)}
            stop = any([bool(tell(Event("iteration", clock.seconds, info=info))) for tell in callbacks])
            if not spent and not stop:
                problems, kernel = next(drawn)
        if best == -np.inf:  # stopped before the first look
            kept = net.state_dict()
        net.load_state_dict(kept)
        policy.train_seconds, policy.name = clock.seconds, "ppo"
        return policy

    def _update(
        self,
        policy: PPOPolicy,
        adam: torch.optim.Optimizer,
        memory: _Memory,
        scale: Any,
        clip: Any,
        discount: float,
        shuffle: np.random.Generator,
    ) -> dict[str, float]:
        """Some epochs over one batch of episodes."""
        import torch

        from . import ppo_core as core

        gamma = self.discount * discount
        rewards = scale(memory.rewards, memory.alive, gamma)
        gain = core.advantages(
            rewards, memory.values, memory.alive, discount=gamma, smoothing=self.smoothing, after=memory.after
        )
        keep = memory.alive.ravel()
        obs, mask = memory.obs.reshape(keep.size, -1)[keep], memory.mask.reshape(keep.size, -1)[keep]
        chosen = memory.actions.reshape(keep.size, *memory.actions.shape[2:])[keep]
        flat = [x.ravel()[keep] for x in (memory.logs, gain, memory.values, gain + memory.values)]
        tensors = [torch.as_tensor(x, device=policy.device) for x in (obs, mask, chosen, *flat)]
        seen, allowed, action, old_log, advantage, old_value, goal = tensors
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        shown: list[Any] = []
        for _ in range(self.epochs):
            order = shuffle.permutation(len(seen))
            for begin in range(0, len(order), self.minibatch):
                part = torch.as_tensor(order[begin : begin + self.minibatch], device=policy.device)
                outputs, value = policy.net(seen[part])
                law = policy.head.law(outputs, allowed[part])
                new_log = law.log_prob(action[part])
                loss = core.ppo_loss(
                    new_log, old_log[part], advantage[part], value, old_value[part], goal[part], law.entropy(), clip
                )
                adam.zero_grad()
                loss.total.backward()
                torch.nn.utils.clip_grad_norm_(policy.net.parameters(), self.max_norm)
                adam.step()
                shown.append(loss)
            if shown[-1].kl > self.target_kl:
                break
        names = ("surrogate", "value", "entropy", "kl", "clipped")
        return {name: float(np.mean([getattr(loss, name) for loss in shown])) for name in names}

    def _save(
        self,
        policy: PPOPolicy,
        adam: torch.optim.Optimizer,
        streams: dict[str, np.random.Generator],
        scale: Any,
        kept: dict[str, torch.Tensor],
        clock: Clock,
        iteration: int,
        steps: int,
        best: float,
    ) -> None:
        from .ppo_core import save_training

        if self.checkpoint is None:
            return
        header = {"type": "orrl.ppo-training", "iteration": iteration, "steps": steps, "best": best, "log": self.log}
        header |= {"seconds": clock.seconds, "cpu": clock.cpu_seconds, "seen": sorted(policy.seen)}
        arrays = {f"kept.{k}": v.cpu().numpy() for k, v in kept.items()}
        arrays |= scale.to_arrays() | policy.scale.to_arrays("obs")
        save_training(Path(self.checkpoint), header, policy.net, adam, streams, arrays)

    def options(self) -> dict[str, Any]:
        """Hyperparameters, for tables and model cards."""
        return {k: v for k, v in asdict(self).items() if k not in ("log", "checkpoint")}


@dataclass(slots=True)
class _Memory:
    """Decisions of T steps in N rows (an agent is a row), and the value of what follows where a row was cut off."""

    obs: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    actions: npt.NDArray[Any]
    logs: npt.NDArray[np.float32]
    values: npt.NDArray[np.float32]
    rewards: npt.NDArray[np.float32]
    alive: npt.NDArray[np.bool_]
    after: npt.NDArray[np.float32]
    mean_return: float


def batches(source: Any, rows: int, seed: int, options: Mapping[str, Any]) -> Iterator[tuple[list[Any], Any]]:
    """Problems of each iteration and a kernel for them: one problem for all rows, or fresh ones."""
    if isinstance(source, Generator):
        drawn = source.stream(seed, "train")
        while True:
            problems = [next(drawn) for _ in range(rows)]
            yield problems, type(problems[0]).kernel(problems, **options)
    several = list(source) if isinstance(source, Sequence) else [source]
    if not several:
        raise DataError("there is nothing to learn from: give at least one problem")
    problems = [several[b % len(several)] for b in range(rows)]
    kernel = type(several[0]).kernel(several, **options)
    while True:
        yield problems, kernel


def begin(kernel: Any, problems: Sequence[Any], rng: np.random.Generator) -> Any:
    """Rows with fresh scenarios, one for each of the `problems` that `batches` gave with the kernel."""
    rows = len(problems)
    worlds = [p.scenario(int(s)) for p, s in zip(problems, rng.integers(2**31, size=rows), strict=True)]
    several = len(kernel.problems)
    return kernel.reset(worlds, [0] * rows if several == 1 else [b % several for b in range(rows)])


def _play(policy: PPOPolicy, kernel: Any, problems: list[Any], rng: np.random.Generator, cut: int | None) -> _Memory:
    """One episode a row, actions drawn from the policy."""
    rows = len(problems)
    state = begin(kernel, problems, rng)
    kept: list[tuple[Any, ...]] = []
    mask = kernel.mask(state)
    done = ~live(mask)
    total = np.zeros(rows)
    agents = max(1, policy.agents)
    while not done.all() and len(kept) != cut:
        obs = policy.look(kernel, state, learn=True)
        flat = mask.reshape(-1, mask.shape[-1])
        outputs, values = policy.evaluate(obs)
        action, logs = policy.head.sample(outputs, flat, rng)
        rewards, over = kernel.step(state, hold(action.reshape(rows, *kernel.action_shape), done))
        alive = np.repeat(~done, agents)
        gained = np.repeat(rewards, agents) * alive
        kept.append((obs, flat.copy(), action, logs, values, gained.astype(np.float32), alive))
        total += rewards * ~done
        done, mask = np.array(over), kernel.mask(state)
    obs, flags, chosen, logs, values, gains, alive = (np.array([row[i] for row in kept]) for i in range(7))
    after = np.zeros(rows * agents, np.float32)
    if len(kept) == cut:
        after = np.where(alive[-1], policy.evaluate(policy.look(kernel, state))[1], after)
    return _Memory(obs, flags, chosen, logs, values, gains, alive, after, float(total.mean()))


def judge(policy: Policy, problems: Sequence[Any], worlds: int, seed: int) -> float:
    """Mean of the signed objective of the greedy policy (higher is better); a failed episode counts as the worst."""
    rows, drawn = [], []
    for number, problem in enumerate(problems):
        seeds = stream(seed, "ppo", "judge", number).integers(2**31, size=worlds if problem.is_stochastic else 1)
        rows += [problem] * len(seeds)
        drawn += [problem.scenario(int(s)) for s in seeds]
    episodes = rollout(rows if len(problems) > 1 else problems[0], policy, drawn, seed=seed)
    worth = [-np.inf if e.failed else e.problem.objective.sign * e.value for e in episodes]
    return float(np.mean(worth))
