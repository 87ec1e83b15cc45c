"""`td3`: twin delayed deterministic policy gradients, for problems whose action is numbers in [0, 1].

Fujimoto, van Hoof & Meger (2018), "Addressing Function Approximation Error in Actor-Critic Methods", ICML. Two critics,
the smaller of which says what a state is worth; an actor that is updated less often than they are; noise on the action
in the target. One iteration plays a batch of episodes side by side, with gradient steps between the decisions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ...core.actions import draw, hold, is_continuous, live
from ...core.callbacks import Event
from ...core.capabilities import HasKernel
from ...core.errors import NotSupportedError
from ...core.learner import Learner
from ...core.seeds import stream
from ...core.types import Support
from .ppo import batches, begin, judge
from .ppo_policy import PPOPolicy
from .replay import Replay, Transitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import torch
    from torch import Tensor

    from ...core.budget import Budget, Clock
    from ...core.callbacks import Callback

__all__ = ["TD3", "TD3Policy", "critic_loss", "target_action", "target_value"]

KIND = "orrl.td3-training"  # of a checkpoint


class TD3Policy(PPOPolicy):
    """A trained actor: one perceptron, its outputs through the logistic function; nothing is drawn."""

    file_type: ClassVar[str] = "orrl.solvers.learners.td3:TD3Policy"
    kinds: ClassVar[tuple[str, str]] = ("unit", "unit")
    name = "td3"

    @staticmethod
    def tower(inputs: int, outputs: int, hidden: Sequence[int]) -> torch.nn.Module:
        """The actor alone."""
        from .networks import OneTower

        return OneTower(inputs, outputs, hidden)


# ---- what is minimised -----------------------------------------------------------------------------------------------
def target_action(action: Tensor, noise: Tensor, mask: Tensor, clip: float) -> Tensor:
    """The target actor's numbers (N, n) with clipped noise, in [0, 1], 0 outside the mask (2018, eq. 14)."""
    assert action.shape == noise.shape == mask.shape, (action.shape, noise.shape, mask.shape)
    return (action + noise.clamp(-clip, clip)).clamp(0.0, 1.0) * mask


def target_value(reward: Tensor, over: Tensor, one: Tensor, two: Tensor, discount: float) -> Tensor:
    """``r + discount min(Q_1, Q_2)`` (2018, eq. 10), the reward alone where the episode is over; all (N,)."""
    assert reward.shape == over.shape == one.shape == two.shape, (reward.shape, over.shape, one.shape, two.shape)
    return reward + discount * one.minimum(two) * ~over


def critic_loss(one: Tensor, two: Tensor, goal: Tensor) -> Tensor:
    """Sum of both mean squared errors; all (N,)."""
    assert one.shape == two.shape == goal.shape, (one.shape, two.shape, goal.shape)
    return (one - goal).pow(2).mean() + (two - goal).pow(2).mean()


# ---- the learner -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True, repr=False)
class TD3(Learner):
    """Train an actor on a problem, a list of problems of one size, or a generator.

    Parameters
    ----------
    episodes : int
        Episodes per iteration, played side by side.
    every : float
        Decisions per gradient step of the critics (the paper has 1).
    warmup : int
        First decisions, before any gradient step: drawn uniformly, or around `start`.
    start : float, optional
        Where the actor's numbers begin, in (0, 1). Where most of the unit box ends the episode (a harvest that empties
        the sea), uniform decisions teach nothing else.
    capacity, batch : int
        Transitions that are remembered, and those of a gradient step.
    learning_rate : float
        Of Adam, for actor and critics; falls linearly to a tenth over the budget.
    discount : float
        gamma; the problem's own discount is multiplied in.
    explore, smooth, clip : float
        Standard deviation of the noise on what is played, of that on the target's action, and bound of the latter.
        The unit interval is half as wide as the paper's, and so are these.
    delay : int
        Critic steps per step of the actor and of the targets.
    rate : float
        Share of the way that a target goes to its network in a step (tau).
    rewards : {"raw", "scaled", "centered"}
        See `PPO`; applied when a transition is looked at, with what is known of the returns by then. What "centered"
        takes away changes while the policy does, which critics follow less easily than PPO.
    hidden : tuple of int
        Layers of the actor and of the critics.
    kernel, cut, check, worlds, threads
        As of `PPO`.
    checkpoint : path, optional
        File to go on from where it exists, and to write every `check` iterations; it holds the memory too.
    """

    episodes: int = 32
    every: float = 8.0
    warmup: int = 2_000
    start: float | None = None
    capacity: int = 200_000
    batch: int = 256
    learning_rate: float = 1e-3
    discount: float = 0.99
    explore: float = 0.05
    smooth: float = 0.1
    clip: float = 0.25
    delay: int = 2
    rate: float = 0.005
    rewards: Literal["raw", "scaled", "centered"] = "scaled"
    hidden: tuple[int, ...] = (128, 128)
    kernel: Mapping[str, Any] = field(default_factory=dict)
    cut: int | None = None
    check: int = 10
    worlds: int = 20
    threads: int = 1
    checkpoint: str | Path | None = None
    log: list[dict[str, float]] = field(default_factory=list, init=False, compare=False)

    name: ClassVar[str] = "td3"
    scope: ClassVar[Literal["instance", "distribution"]] = "distribution"

    def __post_init__(self) -> None:
        for name in ("episodes", "every", "capacity", "batch", "learning_rate", "delay", "check", "worlds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}: give a positive number")
        for name in ("discount", "rate"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)!r}: give a number in (0, 1]")
        if self.start is not None and not 0.0 < self.start < 1.0:
            raise ValueError(f"start is {self.start!r}: give a number between 0 and 1, or None")
        if self.capacity < self.episodes:
            raise ValueError(f"capacity is {self.capacity}: give at least the {self.episodes} episodes of an iteration")

    def supports(self, problem: Any) -> Support:
        """Any problem with a kernel that takes numbers."""
        support: Support = problem.supports(HasKernel)
        if support and not is_continuous(type(problem).kernel([problem], **self.kernel)):
            return Support(False, "its actions are choices, not numbers")
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
    ) -> TD3Policy:
        """Train until the budget is spent (`iterations` are batches of episodes, `steps` decisions); returns the best.

        Raises
        ------
        NotSupportedError
            Where actions are choices.
        """
        import torch

        drawn = batches(source, self.episodes, seed, self.kernel)
        problems, kernel = next(drawn)
        if not is_continuous(kernel):
            raise NotSupportedError(f"td3 cannot learn {problems[0].name}: its actions are choices, not numbers")
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            run = _Training(self, kernel, problems[0].objective.discount, seed, device)
            clock = run.resume(budget)
            for _ in range(run.iteration):  # the instances go on where they stood
                problems, kernel = next(drawn)
            judges = list(val) if val is not None else problems[:1]
            stop = False
            while not stop and not clock.over(steps=run.steps, iterations=run.iteration):
                row = run.iterate(kernel, problems, clock)
                spent = clock.over(steps=run.steps, iterations=run.iteration)
                if run.iteration % self.check == 0 or spent:
                    row["greedy"] = run.look(judges)
                    run.save(clock)
                info = {k: v for k, v in row.items() if isinstance(v, int | float)}
                stop = any([bool(tell(Event("iteration", clock.seconds, info=info))) for tell in callbacks])
                if not spent and not stop:
                    problems, kernel = next(drawn)
            return run.finish(clock)
        finally:
            torch.set_num_threads(before)

    def options(self) -> dict[str, Any]:
        """Hyperparameters, for tables and model cards."""
        return {k: v for k, v in asdict(self).items() if k not in ("log", "checkpoint")}


class _Training:
    """What changes while a `TD3` trains."""

    def __init__(self, learner: TD3, kernel: Any, discount: float, seed: int, device: str) -> None:
        import torch

        from .networks import TwinCritics
        from .rewards import REWARDS

        self.learner, self.seed, self.device = learner, seed, device
        self.gamma = learner.discount * discount
        self.policy = self._actor(kernel)
        self.policy.kernel_options = dict(learner.kernel)
        inputs, numbers = self.policy.shape[:2]
        with torch.random.fork_rng():
            torch.manual_seed(int(stream(seed, "td3", "critics").integers(2**31)))
            critics, goals = (TwinCritics(inputs, numbers, learner.hidden).to(device) for _ in range(2))
        goals.load_state_dict(critics.state_dict())
        goal = self._actor(kernel).net
        self.nets: Any = torch.nn.ModuleDict(
            {"actor": self.policy.net, "critics": critics, "goal_actor": goal, "goal_critics": goals}
        )
        self.nets["goal_actor"].requires_grad_(False)
        self.nets["goal_critics"].requires_grad_(False)
        # one optimiser for both: a network without a gradient is not moved, nor are its moments
        learnt = [*self.policy.net.parameters(), *critics.parameters()]
        self.adam = torch.optim.Adam(learnt, lr=learner.learning_rate, fused=True)
        self.rewards = REWARDS[learner.rewards]()
        self.replay = Replay(learner.capacity, inputs, numbers)
        self.streams = {name: stream(seed, "td3", name) for name in ("act", "sample", "smooth")}
        self.iteration, self.steps, self.updates, self.owed = 0, 0, 0, 0.0
        self.best, self.kept = -np.inf, self._weights()
        learner.log.clear()

    def _actor(self, kernel: Any) -> TD3Policy:
        """An untrained actor; its weights are nearly nothing, so the bias says where its numbers begin."""
        import torch

        policy = TD3Policy.fresh(kernel, self.learner.hidden, self.seed, self.device)
        if self.learner.start is not None:
            with torch.no_grad():
                policy.net.policy[-1].bias.fill_(float(np.log(self.learner.start / (1.0 - self.learner.start))))
        return policy

    def _weights(self) -> dict[str, torch.Tensor]:
        return {k: v.clone() for k, v in self.policy.net.state_dict().items()}

    # ---- one iteration -----------------------------------------------------------------------------------------
    def iterate(self, kernel: Any, problems: Sequence[Any], clock: Clock) -> dict[str, float]:
        """A batch of episodes, with gradient steps between the decisions."""
        learner = self.learner
        left = 1.0 - 0.9 * min(1.0, clock.fraction(steps=self.steps, iterations=self.iteration))
        for group in self.adam.param_groups:
            group["lr"] = learner.learning_rate * left
        self.policy.seen |= {p.content_hash for p in problems}
        state = begin(kernel, problems, self.streams["act"])
        mask = kernel.mask(state)
        done = ~live(mask)
        gains: list[Any] = []
        alive: list[Any] = []
        losses: list[float] = []
        obs = self._seen(kernel, state)
        while not done.all() and len(gains) != learner.cut:
            self.policy.scale.update(obs[~done].astype(np.float64))
            action = self._explore(obs, mask)
            rewards, over = kernel.step(state, hold(action, done))
            rows, t = np.flatnonzero(~done), len(gains)
            mask_ahead, ahead = kernel.mask(state), self._seen(kernel, state)
            cut = t + 1 == learner.cut
            self.replay.add(
                Transitions(
                    obs[rows], ahead[rows], action[rows], mask[rows], mask_ahead[rows] if not cut else mask[rows],
                    np.asarray(rewards, np.float64)[rows], np.full(len(rows), t), np.asarray(over)[rows] | cut,
                    np.asarray(over)[rows] & (not cut),
                )
            )  # fmt: skip
            gains.append(np.where(done, 0.0, rewards))
            alive.append(~done)
            self.steps += len(rows)
            obs, mask, done = ahead, mask_ahead, np.array(over)
            losses += self._learn(len(rows))
        played, lasted = np.array(gains), np.array(alive)
        self.rewards.learn(played, lasted, self.gamma)
        self.iteration += 1
        row = {"iteration": self.iteration, "steps": self.steps, "updates": self.updates, "seconds": clock.seconds}
        row |= {"return": float(played.sum(axis=0).mean()), "value": float(np.mean(losses)) if losses else 0.0}
        learner.log.append(row)
        return row

    def _seen(self, kernel: Any, state: Any) -> npt.NDArray[np.float32]:
        raw = np.asarray(kernel.observe(state), np.float32)
        return raw.reshape(len(raw), -1).copy()

    def _explore(self, obs: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        rng = self.streams["act"]
        if self.steps < self.learner.warmup and self.learner.start is None:
            return draw(mask, rng, continuous=True).astype(np.float32)
        greedy = self.policy.head.greedy(self.policy.outputs(self.policy.scaled(obs.astype(np.float64))), mask)
        noise = self.learner.explore * rng.standard_normal(greedy.shape)
        return np.where(mask, np.clip(greedy + noise, 0.0, 1.0), 0.0).astype(np.float32)

    # ---- gradient steps ----------------------------------------------------------------------------------------
    def _learn(self, decisions: int) -> list[float]:
        """The gradient steps that so many decisions pay for; none in the warm-up, none before a whole episode."""
        if self.steps < self.learner.warmup or self.iteration == 0:
            return []
        self.owed += decisions / self.learner.every
        due, self.owed = int(self.owed), self.owed % 1.0
        return [self._update() for _ in range(due)]

    def _update(self) -> float:
        import torch

        learner, nets, device = self.learner, self.nets, self.device
        some = self.replay.sample(learner.batch, self.streams["sample"])
        shaped = self.rewards.shaped(some.reward, some.when, ~some.last, self.gamma)
        noise = learner.smooth * self.streams["smooth"].standard_normal(some.action.shape, np.float32)
        arrays = (self._scaled(some.obs), self._scaled(some.ahead), some.action, some.mask, some.mask_ahead)
        tensors = [torch.as_tensor(x, device=device) for x in (*arrays, shaped, some.over, noise)]
        obs, ahead, action, mask, mask_ahead, reward, over, shake = tensors
        numbers = self.policy.head.numbers
        with torch.no_grad():
            following = target_action(numbers(nets["goal_actor"](ahead), mask_ahead), shake, mask_ahead, learner.clip)
            one, two = nets["goal_critics"](ahead, following)
            goal = target_value(reward, over, one, two, self.gamma)
        one, two = nets["critics"](obs, action)
        loss = critic_loss(one, two, goal)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        self.updates += 1
        if self.updates % learner.delay == 0:
            climb = nets["critics"].first(obs, numbers(nets["actor"](obs), mask)).mean()
            own = list(nets["actor"].parameters())
            self.adam.zero_grad()
            for weight, slope in zip(own, torch.autograd.grad(-climb, own), strict=True):
                weight.grad = slope
            self.adam.step()
            with torch.no_grad():
                for name in ("actor", "critics"):
                    pairs = zip(nets[f"goal_{name}"].parameters(), nets[name].parameters(), strict=True)
                    for follows, leads in pairs:
                        follows.lerp_(leads, learner.rate)
        return float(loss.detach())

    def _scaled(self, obs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self.policy.scaled(obs.astype(np.float64))

    # ---- looks, checkpoints ------------------------------------------------------------------------------------
    def look(self, judges: Sequence[Any]) -> float:
        """Worth of the actor as it is; the best is kept."""
        worth = judge(self.policy, judges, self.learner.worlds, self.seed)
        if worth >= self.best:
            self.best, self.kept = worth, self._weights()
        return worth

    def save(self, clock: Clock) -> None:
        """Everything that `resume` needs."""
        from .ppo_core import save_training

        if self.learner.checkpoint is None:
            return
        header = {"type": KIND, "iteration": self.iteration, "steps": self.steps, "updates": self.updates}
        header |= {"owed": self.owed, "best": self.best, "log": self.learner.log, "seen": sorted(self.policy.seen)}
        header |= {"seconds": clock.seconds, "cpu": clock.cpu_seconds}
        arrays = {f"kept.{k}": v.cpu().numpy() for k, v in self.kept.items()}
        arrays |= self.rewards.to_arrays() | self.policy.scale.to_arrays("obs") | self.replay.to_arrays()
        save_training(Path(self.learner.checkpoint), header, self.nets, self.adam, self.streams, arrays)

    def resume(self, budget: Budget) -> Clock:
        """A running clock, and the training as the checkpoint left it where there is one."""
        from .ppo_core import load_training

        clock, path = budget.start(), self.learner.checkpoint
        if path is None or not Path(path).exists():
            return clock
        import torch

        header, arrays = load_training(Path(path), KIND, self.nets, self.adam, self.streams)
        for name in ("iteration", "steps", "updates", "owed", "best"):
            setattr(self, name, header[name])
        self.learner.log.extend(header["log"])
        self.policy.seen = frozenset(header["seen"])
        self.rewards.from_arrays(arrays)
        self.policy.scale.from_arrays("obs", arrays)
        self.replay.from_arrays(arrays)
        self.kept = {k[5:]: torch.as_tensor(v) for k, v in arrays.items() if k.startswith("kept.")}
        return type(clock)(budget, used_seconds=header["seconds"], used_cpu=header["cpu"])

    def finish(self, clock: Clock) -> TD3Policy:
        """The best actor; the present one where the training was stopped before the first look."""
        if self.best > -np.inf:
            self.policy.net.load_state_dict(self.kept)
        self.policy.train_seconds = clock.seconds
        return self.policy
