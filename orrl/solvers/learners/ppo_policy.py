"""`PPOPolicy`: the network that `ppo` trains, as a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ...core.actions import Actions, is_continuous
from ...core.errors import DataError
from ...core.policy import Policy
from ...core.seeds import stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

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
    """

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
        from .networks import TwoTowers
        from .ppo_core import RunningScale

        self.shape = (inputs, actions, agents, tuple(hidden))
        self.agents, self.device = agents, device
        self.kind, self.head = head, HEADS[head](actions)
        self.net = TwoTowers(inputs, self.head.outputs, hidden).to(device)
        self.scale = RunningScale(inputs - agents)
        self.greedy = True
        self.needs_observation = agents == 0

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
            torch.manual_seed(int(stream(seed, "ppo", "weights").integers(2**31)))
            return cls(inputs, actions, agents, hidden, device, "beta" if real else "choice")

    def look(self, kernel: Any, state: Any, *, learn: bool = False) -> npt.NDArray[np.float32]:
        """Scaled observations (N, inputs), one row an agent."""
        raw = kernel.observe_agents(state) if self.agents else kernel.observe(state)
        return self._scaled(np.asarray(raw, np.float64), learn)

    def _scaled(self, raw: npt.NDArray[np.float64], learn: bool) -> npt.NDArray[np.float32]:
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

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Start the stream of sampled actions."""
        self._rng = stream(seed, "ppo-policy")

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """The head's greedy action, or a drawn one with ``greedy = False``."""
        mask, view = info["action_mask"], info["view"]
        real, known = is_continuous(view.kernel), self.shape[1]
        if known != mask.shape[-1] or real != (self.kind == "beta"):
            raise DataError(
                f"policy {self.name!r} knows {known} {'numbers' if self.kind == 'beta' else 'actions'}, the problem "
                f"has {mask.shape[-1]} {'numbers' if real else 'actions'}: pad both, or train on this problem"
            )
        rows = self.look(view.kernel, view.state) if self.agents else self._scaled(np.asarray(obs, np.float64), False)
        outputs, _ = self.evaluate(rows)
        flat = mask.reshape(-1, known)
        chosen = self.head.greedy(outputs, flat) if self.greedy else self.head.sample(outputs, flat, self._rng)[0]
        return chosen.reshape(len(mask), *view.kernel.action_shape)

    def save(self, path: str | Path) -> None:
        """Write weights and scales; no pickle."""
        from ...core.archive import write_archive

        header: dict[str, Any] = {"type": KIND, "shape": [*self.shape[:3], list(self.shape[3])], "head": self.kind}
        header |= {"seen": sorted(self.seen), "name": self.name, "train_seconds": self.train_seconds}
        weights = {f"net.{k}": v.cpu().numpy() for k, v in self.net.state_dict().items()}
        write_archive(path, header, weights | self.scale.to_arrays("obs"))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Inverse of `save`."""
        import torch

        from ...core.archive import read_archive

        header, arrays = read_archive(path, KIND)
        inputs, actions, agents, hidden = header["shape"]
        policy = cls(inputs, actions, agents, hidden, head=header.get("head", "choice"))
        policy.net.load_state_dict({k[4:]: torch.as_tensor(v) for k, v in arrays.items() if k.startswith("net.")})
        policy.scale.from_arrays("obs", arrays)
        policy.seen, policy.name = frozenset(header["seen"]), header["name"]
        policy.train_seconds = header["train_seconds"]
        return policy
