"""`PPOPolicy`: the network that `ppo` trains, as a policy."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ...core.actions import Actions, is_continuous
from ...core.errors import DataError
from ...core.policy import Policy
from ...core.seeds import stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

__all__ = ["PPOPolicy"]

KIND = "orrl.solvers.learners.ppo:PPOPolicy"  # as in files, where it can be looked up too


class PPOPolicy(Policy):
    """A trained network: two perceptrons, for the law of the action and for the value.

    Parameters
    ----------
    inputs, actions, agents : int
        Length of an observation (with the agent's number appended), choices or numbers, agents (0 where one decides).
    hidden : tuple of int
        Layers.
    device : str
        Of torch.
    head : {"choice", "beta"}
        What the outputs mean, see `heads`.

    Notes
    -----
    A learner with another network makes a subclass with another `tower`, names of `kinds` and `file_type`.
    """

    file_type: ClassVar[str] = KIND
    kinds: ClassVar[tuple[str, str]] = ("choice", "beta")  # heads for choices and for numbers
    name = "ppo"
    scope = "distribution"
    train_seconds = 0.0

    def __init__(
        self,
        inputs: int,
        actions: int,
        agents: int,
        hidden: Sequence[int],
        device: str = "cpu",
        head: str = "choice",
    ) -> None:
        from .heads import HEADS
        from .ppo_core import RunningScale

        self.shape = (inputs, actions, agents, tuple(hidden))
        self.agents, self.device = agents, device
        self.kind = head
        self.head: Any = HEADS[head](actions)
        self.net: Any = self.tower(inputs, self.head.outputs, hidden).to(device)
        self.scale = RunningScale(inputs - agents)
        self.greedy = True
        self.needs_observation = agents == 0

    @staticmethod
    def tower(inputs: int, outputs: int, hidden: Sequence[int]) -> torch.nn.Module:
        """The network; its ``policy`` maps observations to the head's outputs."""
        from .networks import TwoTowers

        return TwoTowers(inputs, outputs, hidden)

    @classmethod
    def fresh(cls, kernel: Any, hidden: Sequence[int], seed: int, device: str) -> Self:
        """A policy for a kernel, with weights drawn from the seed."""
        import torch

        real = is_continuous(kernel)
        agents = 0 if real or not kernel.action_shape else kernel.action_shape[0]
        actions = kernel.action_shape[0] if real else kernel.n_actions
        first = kernel.reset([kernel.problems[0].scenario(0)], [0])
        shown = kernel.observe_agents(first) if agents else kernel.observe(first)
        inputs = int(np.prod(shown.shape[2 if agents else 1 :])) + agents
        with torch.random.fork_rng():
            torch.manual_seed(int(stream(seed, cls.name, "weights").integers(2**31)))
            return cls(inputs, actions, agents, hidden, device, cls.kinds[real])

    def begin_at(self, mean: float, spread: float) -> None:
        """Move the law of an untrained policy's numbers; its weights are nearly nothing, so the bias decides.

        Raises
        ------
        DataError
            For choices, and where no law of the head has this mean and standard deviation.
        """
        import torch

        from .heads import BetaHead

        if not isinstance(self.head, BetaHead):
            raise DataError("start is about numbers with a Beta law, these actions are not: leave it out")
        net: Any = self.net
        with torch.no_grad():
            net.policy[-1].bias.copy_(torch.as_tensor(self.head.bias(mean, spread)))

    def look(self, kernel: Any, state: Any, *, learn: bool = False) -> npt.NDArray[np.float32]:
        """Scaled observations (N, inputs), one row an agent."""
        raw = kernel.observe_agents(state) if self.agents else kernel.observe(state)
        return self.scaled(np.asarray(raw, np.float64), learn=learn)

    def scaled(self, raw: npt.NDArray[np.float64], *, learn: bool = False) -> npt.NDArray[np.float32]:
        """Raw observations as the network takes them."""
        rows = raw.reshape(-1, self.shape[0] - self.agents)
        if learn:
            self.scale.update(rows)
        flat = np.clip((rows - self.scale.mean) / self.scale.std, -10.0, 10.0)
        if self.agents:
            flat = np.concatenate([flat, np.tile(np.eye(self.agents), (len(flat) // self.agents, 1))], axis=1)
        return flat.astype(np.float32)

    def evaluate(self, obs: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Outputs (N, A) or (N, 2n) for the head, and values (N,)."""
        import torch

        with torch.no_grad():
            outputs, value = self.net(torch.as_tensor(obs, device=self.device))
        return outputs.cpu().numpy(), value.cpu().numpy()

    def outputs(self, obs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Outputs for the head alone."""
        import torch

        with torch.no_grad():
            found: npt.NDArray[np.float32] = self.net.policy(torch.as_tensor(obs, device=self.device)).cpu().numpy()
        return found

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Start the stream of sampled actions."""
        self._rng = stream(seed, f"{type(self).name}-policy")

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """The head's greedy action, or a drawn one with ``greedy = False``."""
        mask, view = info["action_mask"], info["view"]
        real, known = is_continuous(view.kernel), self.shape[1]
        if known != mask.shape[-1] or real != (self.kind != "choice"):
            raise DataError(
                f"policy {self.name!r} knows {known} {'actions' if self.kind == 'choice' else 'numbers'}, the problem "
                f"has {mask.shape[-1]} {'numbers' if real else 'actions'}: pad both, or train on this problem"
            )
        rows = self.look(view.kernel, view.state) if self.agents else self.scaled(np.asarray(obs, np.float64))
        outputs = self.outputs(rows)
        flat = mask.reshape(-1, known)
        chosen = self.head.greedy(outputs, flat) if self.greedy else self.head.sample(outputs, flat, self._rng)[0]
        return chosen.reshape(len(mask), *view.kernel.action_shape)

    def sampled(self) -> Self:
        """The same network with ``greedy = False``."""
        twin = copy.copy(self)
        twin.greedy = False
        return twin

    def save(self, path: str | Path) -> None:
        """Write weights and scales; no pickle."""
        from ...core.archive import write_archive

        header: dict[str, Any] = {
            "type": self.file_type,
            "shape": [*self.shape[:3], list(self.shape[3])],
            "head": self.kind,
        }
        header |= {"seen": sorted(self.seen), "name": self.name, "train_seconds": self.train_seconds}
        header["kernel"] = dict(self.kernel_options)
        weights = {f"net.{k}": v.cpu().numpy() for k, v in self.net.state_dict().items()}
        write_archive(path, header, weights | self.scale.to_arrays("obs"))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Inverse of `save`."""
        import torch

        from ...core.archive import read_archive

        header, arrays = read_archive(path, cls.file_type)
        inputs, actions, agents, hidden = header["shape"]
        policy = cls(inputs, actions, agents, hidden, head=header.get("head", "choice"))
        policy.net.load_state_dict({k[4:]: torch.as_tensor(v) for k, v in arrays.items() if k.startswith("net.")})
        policy.scale.from_arrays("obs", arrays)
        policy.seen, policy.name = frozenset(header["seen"]), header["name"]
        policy.train_seconds, policy.kernel_options = header["train_seconds"], header.get("kernel", {})
        return policy
