"""`GraphPolicy`: the network that `gnn-ppo` trains, as a policy for graphs of any size."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, FormatError
from ...core.fingerprints import Fingerprints
from ...core.playout import completions
from ...core.policy import Policy
from ...core.seeds import stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ...core.actions import Actions
    from ...core.graphs import GraphBatch

__all__ = ["GraphPolicy"]

KIND = "orrl.solvers.learners.gnn_policy:GraphPolicy"  # as in files, where it can be looked up too


class GraphPolicy(Policy):
    """Acts on the kernel's graphs (`HasGraph`); it needs no padding and plays problems of any size.

    Parameters
    ----------
    features, relations, width, layers : int
        Shape of the network, see `GraphNetwork`.
    completions : int
        Random completions of each action whose mean and best the network is told; 0: it sees the graph alone.
    device : str
        Of torch.

    Attributes
    ----------
    greedy : bool
        Take the best scored action, or draw one.
    temperature : float
        What the logarithms of the law are divided by before an action is drawn.
    card : dict
        What made it: command, budget, options, training data, results.
    """

    name = "gnn-ppo"
    scope: ClassVar[Literal["any", "instance", "distribution"]] = "distribution"
    needs_observation = False
    train_seconds = 0.0

    def __init__(
        self, features: int, relations: int, width: int, layers: int, completions: int = 0, device: str = "cpu"
    ) -> None:
        from .graph_network import GraphNetwork

        self.net = GraphNetwork(features, relations, width, layers, 2 if completions else 0).to(device)
        self.completions, self.device = completions, device
        self.greedy, self.temperature = True, 1.0
        self.card: dict[str, Any] = {}

    @classmethod
    def fresh(
        cls, kernel: Any, width: int, layers: int, *, completions: int = 0, seed: int = 0, device: str = "cpu"
    ) -> Self:
        """A policy for a kernel's graphs, with weights drawn from the seed."""
        import torch

        first = kernel.graphs(kernel.reset([kernel.problems[0].scenario(0)], [0]))
        with torch.random.fork_rng():
            torch.manual_seed(int(stream(seed, cls.name, "weights").integers(2**31)))
            return cls(first.nodes.shape[1], len(first.relations), width, layers, completions, device)

    def see(self, kernel: Any, state: Any, which: Sequence[int], seed: int) -> GraphBatch:
        """The kernel's graphs, with what completions say of the actions; `which` (B,) is the problem of each row."""
        graph: GraphBatch = kernel.graphs(state)
        if not self.completions:
            return graph
        discount = kernel.problems[which[0]].objective.discount
        worth = completions(kernel, state, which, samples=self.completions, seed=seed, discount=discount)
        return replace(graph, told=np.stack([worth.mean(axis=2), worth.max(axis=2)], axis=2).astype(np.float32))

    def evaluate(self, graph: GraphBatch) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Logarithms (B, A) of the law of the action, and values (B,)."""
        import torch

        from .graph_network import tensors

        with torch.inference_mode():
            scores, value = self.net(tensors(graph, self.device))
            logs = torch.log_softmax(scores, dim=1)
        return logs.cpu().numpy(), value.cpu().numpy()

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Start the streams of sampled actions and of completions; an episode meets the same in any batch."""
        from .graph_single import SingleForward

        self._rng, self._ahead = stream(seed, "gnn-policy"), stream(seed, "gnn-policy", "completions")
        self._single = SingleForward(self.net) if batch == 1 and self.device == "cpu" else None

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """The best scored action, or a drawn one with ``greedy = False``."""
        view = info["view"]
        graph = self.see(view.kernel, view.state, view.which, int(self._ahead.integers(2**31)))
        known = self.net.shape[:2]
        if (graph.nodes.shape[1], len(graph.relations)) != known:
            raise DataError(
                f"policy {self.name!r} knows {known[0]} features and {known[1]} relations, the graphs of "
                f"{view.problem(0).name} have {graph.nodes.shape[1]} and {len(graph.relations)}: train on this problem"
            )
        alone = len(graph) == 1 and len(graph.nodes) > 0
        logs = self._single(graph) if self._single is not None and alone else self.evaluate(graph)[0]
        if self.greedy:
            return pick(logs, None)
        return pick(np.where(graph.mask, logs / np.float32(self.temperature), -np.inf), self._rng)

    def sampled(self, temperature: float = 1.0) -> Self:
        """The same network with ``greedy = False``; above 1 the `temperature` makes its episodes differ more."""
        if not 0.0 < temperature < np.inf:
            raise ValueError(f"temperature is {temperature}: give a number above 0, or take the greedy policy")
        twin = copy.copy(self)
        twin.greedy, twin.temperature = False, temperature
        return twin

    def with_completions(self, completions: int) -> Self:
        """The same network, told of another number of random completions of each action; its card says so."""
        if not self.completions or completions < 1:
            raise ValueError(
                f"completions is {completions}, and {self.completions} when it was trained: a network that was told of "
                "some needs at least 1, and one that was told of none can be told of none"
            )
        twin = copy.copy(self)
        twin.completions, twin.card = completions, {**self.card, "completions": completions}
        return twin

    def save(self, path: str | Path) -> None:
        """Write the weights and the card; no pickle."""
        from ...core.archive import write_archive

        shape = [*self.net.shape[:4], self.completions]
        header: dict[str, Any] = {"type": KIND, "shape": shape, "name": self.name, "card": self.card}
        header |= {"train_seconds": self.train_seconds, "kernel": dict(self.kernel_options)}
        arrays = {f"net.{k}": v.cpu().numpy() for k, v in self.net.state_dict().items()}
        write_archive(path, header, {**arrays, "seen": Fingerprints(self.seen).to_array()})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Inverse of `save`."""
        import torch

        from ...core.archive import read_archive

        header, arrays = read_archive(path, KIND)
        policy = cls(*header["shape"])
        try:
            policy.net.load_state_dict({k[4:]: torch.as_tensor(v) for k, v in arrays.items() if k.startswith("net.")})
        except RuntimeError as error:
            raise FormatError(path, f"holds another network than this version's ({error}): train it again") from error
        policy.seen = Fingerprints.from_array(arrays["seen"])
        policy.name, policy.card = header["name"], header["card"]
        policy.train_seconds, policy.kernel_options = header["train_seconds"], header["kernel"]
        return policy


def pick(logs: npt.NDArray[np.float32], rng: np.random.Generator | None) -> npt.NDArray[np.int64]:
    """The likeliest action of each row, or one drawn from the law (the Gumbel-max trick)."""
    if rng is not None:
        logs = logs + rng.gumbel(size=logs.shape).astype(np.float32)
    return np.asarray(logs.argmax(axis=1), np.int64)
