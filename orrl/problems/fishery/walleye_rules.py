"""Harvest rules of `Walleye`: mortality as a function of the surveyed biomass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.capabilities import Tunable
from ...core.errors import DataError
from ...core.policy import Policy

if TYPE_CHECKING:
    from ...core.actions import Actions
    from .walleye import Walleye

__all__ = ["B_MSY", "F_MSY", "ConstantF", "FortyEighty", "PrecautionaryF", "rules", "tunable"]

FloatArray = npt.NDArray[np.float64]
F_MSY = 0.07136
"""Constant mortality with the largest yield (rl4fisheries)."""
B_MSY = 0.6
"""Mean surveyed biomass under it."""


class BiomassRule(Policy):
    """Mortality by a piece-wise linear function of the surveyed biomass: 0 below x1, y2 above x2.

    Parameters
    ----------
    x1, x2 : float or (B,)
        Biomasses; x2 is never below x1.
    y2 : float or (B,)
        Mortality.
    """

    needs_observation = False
    box: ClassVar[Mapping[str, tuple[str, float, float]]] = {
        "x1": ("share", 0.0, 2.0), "x2": ("share", 0.0, 4.0), "y2": ("share", 0.01, 0.6),
    }  # fmt: skip
    published: ClassVar[Mapping[str, tuple[float, float, float]]] = {}

    def __init__(self, *, name: str | None = None, **parameters: Any) -> None:
        if unknown := sorted(set(parameters) - {"x1", "x2", "y2"}):
            raise DataError(f"rule {self.name!r} has no parameter {unknown[0]!r}: it has x1, x2, y2")
        self.parameters = parameters
        if name is not None:
            self.name = name

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Parameters of each row."""
        own = list(problem) if isinstance(problem, Sequence) else [problem] * batch
        self._theta = np.array([self.published[p.utility] for p in own], np.float64).reshape(len(own), 3)
        for i, name in enumerate(("x1", "x2", "y2")):
            if name in self.parameters:
                self._theta[:, i] = self.parameters[name]

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Decide on the survey."""
        kernel, state = info["view"].kernel, info["view"].state
        biomass = kernel.seen(state)[:, 0]
        low, high, most = self._theta.T
        part = np.clip((biomass - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
        return np.asarray(kernel.actions_of(state, (most * part)[:, None]))


class ConstantF(BiomassRule):
    """F_MSY at all times."""

    name = "f-msy"
    box = {"y2": ("share", 0.01, 0.6)}  # noqa: RUF012  (read only)
    published = dict.fromkeys(("yield", "hara", "trophy"), (-1.0, -1.0, F_MSY))


class FortyEighty(BiomassRule):
    """F_MSY above 80% of B_MSY, nothing below 40% (the Canadian default, DFO 2009)."""

    name = "40-80"
    published = dict.fromkeys(("yield", "hara", "trophy"), (0.4 * B_MSY, 0.8 * B_MSY, F_MSY))


class PrecautionaryF(BiomassRule):
    """The same with three tuned parameters; the defaults are ours, by the cross-entropy method."""

    name = "precautionary"
    published = {  # noqa: RUF012
        "yield": (0.57, 0.99, 0.25), "hara": (0.0, 0.5, 0.1), "trophy": (0.0, 0.5, 0.1),
    }  # fmt: skip


RULES: tuple[type[BiomassRule], ...] = (ConstantF, PrecautionaryF, FortyEighty)


def rules(problem: Walleye) -> dict[str, Policy]:
    """By name."""
    return {kind.name: kind() for kind in RULES}


def tunable(problem: Walleye) -> dict[str, Tunable]:
    """The precautionary rule, and the constant mortality."""
    return {kind.name: _tunable(kind, problem) for kind in (PrecautionaryF, ConstantF)}


def _tunable(kind: type[BiomassRule], problem: Walleye) -> Tunable:
    names = tuple(kind.box)
    start = dict(zip(("x1", "x2", "y2"), kind.published[problem.utility], strict=True))
    rows = [kind.box[n] for n in names]

    def make(theta: FloatArray) -> Policy:
        columns = np.moveaxis(np.asarray(theta, np.float64), -1, 0)
        own: dict[str, Any] = dict(zip(names, (c if c.ndim else float(c) for c in columns), strict=True))
        return kind(**own)

    low, high = np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
    return Tunable(names, low, high, np.array([start[n] for n in names]), make, batched=True)
