"""Harvest rules of `ThreeSpecies`; parameters can differ from row to row, so that a search is one batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.capabilities import Tunable
from ...core.errors import DataError
from ...core.policy import Policy

if TYPE_CHECKING:
    from ...core.actions import Actions
    from .three_species import ThreeSpecies

__all__ = ["RULES", "EscapementOfAll", "MortalityOfAll", "StateEscapement", "StockRule", "rules", "tunable"]

FloatArray = npt.NDArray[np.float64]


class StockRule(Policy):
    """Mortalities as a function of the stocks.

    Parameters
    ----------
    parameters : float or (B,)
        Those of `box`; what is left out is the published value for the problem that is played.

    Attributes
    ----------
    box : mapping of str to (str, float, float)
        Parameters with their unit and range, for tuning; those of X come first, then those of Y.
    """

    needs_observation = False
    box: ClassVar[Mapping[str, tuple[str, float, float]]] = {}
    published: ClassVar[Mapping[int, tuple[float, ...]]] = {}

    def __init__(self, *, name: str | None = None, **parameters: Any) -> None:
        if unknown := sorted(set(parameters) - set(self.box)):
            raise DataError(f"rule {self.name!r} has no parameter {unknown[0]!r}: it has {', '.join(self.box)}")
        self.parameters = parameters
        if name is not None:
            self.name = name

    @classmethod
    def values(cls, problem: ThreeSpecies) -> tuple[float, ...]:
        """The published values for the nearest of the models 1 to 4."""
        kind = 1 if problem.species == 1 else 2 if problem.harvested == 1 else 4 if problem.drift > 0.0 else 3
        return cls.published[kind]

    @abstractmethod
    def share(self, stocks: FloatArray, theta: FloatArray, controls: int) -> FloatArray:
        """Mortalities (B, H) at stocks (B, S) under parameters (B, P)."""

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Parameters of each row."""
        own = list(problem) if isinstance(problem, Sequence) else [problem] * batch
        known = {id(p): self.values(p) for p in own}
        theta = np.array([known[id(p)] for p in own], np.float64).reshape(len(own), len(self.box))
        for i, name in enumerate(self.box):
            if name in self.parameters:
                theta[:, i] = self.parameters[name]
        self._theta = theta

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Decide on the stocks."""
        view = info["view"]
        kernel, state = view.kernel, view.state
        share = self.share(kernel.stocks(state), self._theta, kernel.action_shape[0])
        return np.asarray(kernel.actions_of(state, share))


class MortalityOfAll(StockRule):
    """A constant share of each stock."""

    name = "constant-mortality"
    box = {"x": ("share", 0.0, 0.6), "y": ("share", 0.0, 0.6)}  # noqa: RUF012  (read only)
    published = {1: (0.01, 0.0), 2: (0.29, 0.0), 3: (0.30, 0.25), 4: (0.13, 0.27)}  # noqa: RUF012

    def share(self, stocks: FloatArray, theta: FloatArray, controls: int) -> FloatArray:
        """See the class."""
        return theta[:, :controls]


class EscapementOfAll(StockRule):
    """All above a constant stock."""

    name = "constant-escapement"
    box = {"x": ("share", 0.05, 1.2), "y": ("share", 0.05, 1.2)}  # noqa: RUF012
    published = {1: (0.51, 0.0), 2: (0.22, 0.0), 3: (0.38, 0.52), 4: (0.52, 0.38)}  # noqa: RUF012

    def share(self, stocks: FloatArray, theta: FloatArray, controls: int) -> FloatArray:
        """See the class."""
        stock = np.maximum(stocks[:, :controls], 1e-9)
        return np.clip(1.0 - theta[:, :controls] / stock, 0.0, 1.0)


class StateEscapement(StockRule):
    """All above an escapement that depends on the other stocks: ``S_X = max(base + other Y + predator Z, least)``.

    Four parameters for each of X and Y, for people to read. The defaults of Models 3 and 4 are ours, by the
    cross-entropy method on Model 3: with more predators about less is left, since what they would eat is taken first.
    """

    name = "state-escapement"
    box = {  # noqa: RUF012
        "x_base": ("share", -0.2, 1.2), "x_other": ("share", -0.8, 0.8), "x_predator": ("share", -1.2, 0.6),
        "x_least": ("share", 0.0, 0.6),
        "y_base": ("share", -0.2, 1.2), "y_other": ("share", -0.8, 0.8), "y_predator": ("share", -1.2, 0.6),
        "y_least": ("share", 0.0, 0.6),
    }  # fmt: skip
    published = {  # noqa: RUF012
        1: (0.51, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0),
        2: (0.22, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0),
        3: (0.559, 0.111, -0.873, 0.246, 0.520, 0.209, -1.012, 0.162),
        4: (0.559, 0.111, -0.873, 0.246, 0.520, 0.209, -1.012, 0.162),
    }  # fmt: skip

    def share(self, stocks: FloatArray, theta: FloatArray, controls: int) -> FloatArray:
        """See the class."""
        out = np.empty((len(stocks), controls))
        for i in range(controls):
            left, slope, hunted, least = theta[:, 4 * i : 4 * i + 4].T
            if stocks.shape[1] == 3:
                left = left + slope * stocks[:, 1 - i] + hunted * stocks[:, 2]
            out[:, i] = np.clip(1.0 - np.maximum(left, least) / np.maximum(stocks[:, i], 1e-9), 0.0, 1.0)
        return out


RULES: tuple[type[StockRule], ...] = (MortalityOfAll, EscapementOfAll, StateEscapement)


def rules(problem: ThreeSpecies) -> dict[str, Policy]:
    """By name, with the published parameters."""
    return {kind.name: kind() for kind in RULES[: 2 if problem.species == 1 else 3]}


def tunable(problem: ThreeSpecies) -> dict[str, Tunable]:
    """The rules with the parameters that have an effect on this problem, the richest one first."""
    return {kind.name: _tunable(kind, problem) for kind in reversed(RULES)}


def _tunable(kind: type[StockRule], problem: ThreeSpecies) -> Tunable:
    count = len(kind.box) // 2 * problem.controls
    names = tuple(kind.box)[:count]
    if problem.species == 1:
        names = tuple(n for n in names if not n.endswith(("other", "predator")))
    start = dict(zip(kind.box, kind.values(problem), strict=True))
    rows = [kind.box[n] for n in names]

    def make(theta: FloatArray) -> Policy:
        columns = np.moveaxis(np.asarray(theta, np.float64), -1, 0)
        own: dict[str, Any] = dict(zip(names, (c if c.ndim else float(c) for c in columns), strict=True))
        return kind(**own)

    low, high = np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
    return Tunable(names, low, high, np.array([start[n] for n in names]), make, batched=True)
