"""`DecisionRule`: what `ts-ddr` trains, as a policy that names the state to leave behind; it loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.targets import TargetPolicy

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from ...core.stages import StageSolver
    from .rule_network import RuleNet, RuleShape

__all__ = ["DecisionRule"]

KIND = "orrl.solvers.learners.decision_rule:DecisionRule"
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class DecisionRule(TargetPolicy):
    """Targets from a network of the noise seen so far, the state and the date.

    Parameters
    ----------
    shape : RuleShape
        Sizes of the network.
    base : TargetPolicy, optional
        Whose shares the network corrects; it needs a problem with `reach`.
    soft : (penalty, norm), optional
        For a rule trained with soft targets: a target is first moved to the nearest state that the stage can reach, at
        this price, by solving the stage.
    box : (2, n), optional
        Lower and upper ends of soft targets.
    device : str
        Of torch.

    Attributes
    ----------
    net : RuleNet
        The network.
    train_seconds : float
        Of the training.
    """

    name = "ts-ddr"
    scope: ClassVar[Literal["any", "instance", "distribution"]] = "instance"
    train_seconds = 0.0

    def __init__(
        self,
        shape: RuleShape,
        *,
        base: TargetPolicy | None = None,
        soft: tuple[float, str] | None = None,
        box: FloatArray | None = None,
        device: str = "cpu",
    ) -> None:
        from .rule_network import RuleNet

        if base is not None and soft is not None:
            raise DataError("a base policy needs a problem with reach: soft targets have no shares to correct")
        self.shape, self.base, self.soft, self.device = shape, base, soft, device
        self.box = None if box is None else np.asarray(box, np.float64)
        self.net: RuleNet = RuleNet(shape).to(device)
        self._problem: Any = None
        self._memory: tuple[torch.Tensor, torch.Tensor] | None = None
        self._offset = 0
        self._solvers: dict[int, StageSolver] = {}

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Forget the noise seen.

        Raises
        ------
        DataError
            Where the problem has other sizes, or ends at another stage, than the one it was trained on.
        """
        one = problem[0] if isinstance(problem, Sequence) else problem
        graph = one.stages()
        n, noise = one.stage(0).size
        horizon = len(graph.nodes) + one.objective.stage
        if (n, noise, horizon) != (self.shape.state, self.shape.noise, self.shape.horizon):
            raise DataError(
                f"policy {self.name!r} was trained for {self.shape.state} states, {self.shape.noise} noises and "
                f"{self.shape.horizon} stages; {one.name} has {n}, {noise} and {horizon}: train one for it"
            )
        if one is not self._problem:
            self._solvers = {}
        self._problem, self._memory, self._offset = one, None, one.objective.stage
        if self.base is not None:
            self.base.reset(problem, batch=batch, seed=seed)

    def targets(self, node: IntArray, state: FloatArray, noise: FloatArray) -> FloatArray:
        """As `TargetPolicy.targets`; the memory of the noise moves on by one stage."""
        import torch

        base = None
        if self.base is not None:
            wanted = self.base.targets(node, state, noise)
            base = torch.as_tensor(self._problem.shares(state, noise, wanted), device=self.device)
        with torch.no_grad():
            seen = torch.as_tensor(np.asarray(noise, np.float64), device=self.device)
            before, self._memory = self.net.before(seen[None], int(node[0]) + self._offset, self._memory)
            x = torch.as_tensor(np.asarray(state, np.float64), device=self.device)
            share = self.net.finish(before[0], x, base).cpu().numpy()
        if self.soft is None:
            return np.asarray(self._problem.reach(state, noise, share), np.float64)
        assert self.box is not None
        wanted = self.box[0] + (self.box[1] - self.box[0]) * share
        return self.nearest(int(node[0]), state, noise, wanted)

    def nearest(self, node: int, state: FloatArray, noise: FloatArray, target: FloatArray) -> FloatArray:
        """Reachable states (B, n) next to targets (B, n), by the soft stage problem."""
        from ...core.engines import open_stage
        from ...core.errors import OrrlError
        from .soft_stage import soften

        assert self.soft is not None
        stage = self._problem.stage(node)
        if id(stage) not in self._solvers:
            self._solvers[id(stage)] = open_stage(soften(stage, self.soft[0], self.soft[1]))  # type: ignore[arg-type]
        solver = self._solvers[id(stage)]
        reached = np.empty_like(target)
        for b in range(len(state)):
            answer = solver.solve(state[b], np.concatenate([noise[b], target[b]]))
            if answer.status != "optimal":
                rows = ", ".join(solver.conflict(state[b], np.concatenate([noise[b], target[b]]))) or "not named"
                raise OrrlError(f"stage {node} is {answer.status}; conflicting rows: {rows}")
            reached[b] = answer.state_out
        return np.clip(reached, stage.lower[stage.out], stage.upper[stage.out])

    def save(self, path: str | Path) -> None:
        """Write weights, and a base policy into a second file, ``PATH.base``; no pickle."""
        from ...core.archive import write_archive

        header: dict[str, Any] = {"type": KIND, "shape": self.shape.to_dict(), "name": self.name}
        header |= {"seen": sorted(self.seen), "train_seconds": self.train_seconds, "base": None}
        header["soft"] = None if self.soft is None else list(self.soft)
        if self.base is not None:
            header["base"] = f"{type(self.base).__module__}:{type(self.base).__qualname__}"
            self.base.save(f"{path}.base")
        arrays = {f"net.{k}": v.cpu().numpy() for k, v in self.net.state_dict().items()}
        if self.box is not None:
            arrays["box"] = self.box
        write_archive(path, header, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Inverse of `save`."""
        from importlib import import_module

        import torch

        from ...core.archive import read_archive
        from ...core.errors import FormatError
        from ...core.result import trusted_packages
        from .rule_network import RuleShape

        header, arrays = read_archive(path, KIND)
        base = None
        if header["base"] is not None:
            module, _, name = header["base"].partition(":")
            if module.partition(".")[0] not in trusted_packages():
                raise FormatError(path, f"names the base {header['base']!r}, which is neither of orrl nor of a plugin")
            base = getattr(import_module(module), name).load(f"{path}.base")
        soft = None if header["soft"] is None else (float(header["soft"][0]), str(header["soft"][1]))
        policy = cls(RuleShape.from_dict(header["shape"]), base=base, soft=soft, box=arrays.pop("box", None))
        weights = {k[4:]: torch.as_tensor(v) for k, v in arrays.items() if k.startswith("net.")}
        if weights["first.weight"].dtype == torch.float64:
            policy.net.double()
        policy.net.load_state_dict(weights)
        policy.seen, policy.name = frozenset(header["seen"]), header["name"]
        policy.train_seconds = header["train_seconds"]
        return policy
