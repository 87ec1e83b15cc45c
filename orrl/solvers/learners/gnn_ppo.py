"""`gnn-ppo`: proximal policy optimisation on graphs, for problems of any size.

Schulman et al. (2017) for the loss. Each iteration plays several episodes of the same instances under the same noise,
and a decision is judged by how its episode did against its siblings (a group baseline: Kwon et al. 2020, POMO, eq. 3;
scaled by the group's spread as in Shao et al. 2024, GRPO), so that no value network has to learn how hard an instance
is; ``baseline="value"`` takes one all the same. The switches of PPO-max (Zheng et al. 2023, "Secrets of RLHF in Large
Language Models Part I: PPO") are options: reward scaling and clipping, value clipping, a value network trained first,
a penalty for leaving the policy that the warm start made.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ...core.capabilities import HasGraph, HasKernel
from ...core.learner import Generator, Learner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ...core.budget import Budget
    from ...core.callbacks import Callback
    from ...core.types import Support
    from .gnn_policy import GraphPolicy

__all__ = ["GnnPPO"]


@dataclass(repr=False)
class GnnPPO(Learner):
    """Train a graph network on a problem, a list of problems or a generator of problems of any size.

    Parameters
    ----------
    instances, rollouts : int
        Instances per iteration, and episodes of each under the same noise.
    share : float
        Share of the steps of an iteration that it learns from, drawn at random; neighbours are much alike.
    epochs, updates : int
        Passes over these steps, and gradient steps of each.
    learning_rate : float
        Of Adam; falls linearly to a tenth over the budget, as the entropy's weight does.
    clip, entropy_weight, max_norm, target_kl : float
        Of the loss; an iteration's epochs end when the policy has moved by `target_kl`.
    baseline : {"group", "linear", "value"}
        Compare an episode with the others of its group; or each decision with what is left to earn as a regression in
        its group says, or as the value network says. See `gnn_advantages`.
    discount : float
        gamma; the problem's own discount is multiplied in.
    smoothing, value_weight : float
        lambda of the advantages of decisions; weight of the value loss, for ``baseline="value"``.
    reward_scale, reward_clip : bool, float, optional
        For ``baseline="value"``: divide rewards by the running spread of the returns, and cut them then.
    value_clip : float, optional
        Clip range of the value.
    value_first : int
        Iterations after the warm start that train the value network alone (with ``baseline="value"``).
    reference_weight : float
        Weight of the divergence from the policy as it was after the warm start.
    warm_start : {"rollout", "self-labelling"}, optional
        Learn what random completions of every action say ("rollout"), or imitate the best episode of each group.
    warm_share, samples : float, int
        Share of the budget that the warm start gets, and completions of each action.
    width, layers : int
        Of the network.
    completions : int
        Random completions of each action whose mean and best the network is told, in training and in use; 0: it sees
        the graph alone.
    kernel : mapping
        Options of the problem's kernel, such as ``{"wait": False}``; the policy keeps them.
    curriculum : sequence of (float, Generator)
        Other sources until that share of the budget is spent, in ascending order.
    check : int
        Iterations between looks at the greedy policy on the validation problems; the best one is kept.
    worlds : int
        Scenarios of each validation problem, the same ones at all looks.
    threads : int
        Of torch, while it trains, in each process.
    workers : int
        Processes that train together, each with `instances` of its own; gradients are averaged. Above 1 the calling
        script must be importable (``if __name__ == "__main__"``).
    checkpoint : path, optional
        File to go on from where it exists, and to write at every look.
    """

    instances: int = 16
    rollouts: int = 16
    share: float = 0.5
    epochs: int = 2
    updates: int = 8
    learning_rate: float = 2e-3
    clip: float = 0.2
    entropy_weight: float = 0.01
    max_norm: float = 1.0
    target_kl: float = 0.1
    baseline: Literal["group", "linear", "value"] = "linear"
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
    completions: int = 0
    kernel: Mapping[str, Any] = field(default_factory=dict)
    curriculum: Sequence[tuple[float, Generator]] = ()
    check: int = 25
    worlds: int = 5
    threads: int = 1
    workers: int = 1
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
        The log's numbers are those of the first process, its steps and processor seconds those of all.
        """
        from .gnn_training import train

        return train(self, source, budget, seed, val, device, callbacks)

    def options(self) -> dict[str, Any]:
        """Hyperparameters, for tables and model cards."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        plain["curriculum"] = [[until, repr(source)] for until, source in self.curriculum]
        return {k: v for k, v in plain.items() if k not in ("log", "checkpoint")}
