"""The fishery of Memarzadeh & Boettiger (2019) as arrays, point rule, and a problem that has nothing but tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from orrl.core.decision_models import TabularMDP
from orrl.core.problem import Problem
from orrl.core.types import Evaluation, Objective

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, eq=False)
class Tables(Problem):
    """A problem that is its tables."""

    family: ClassVar[str] = "tables"
    table: TabularMDP
    name: str = "tables"
    objective: Objective = field(default=Objective("max", discount=0.95))

    def tabular(self) -> TabularMDP:
        return self.table

    def state_index(self, state: Any) -> int:
        return int(state)

    def content(self) -> Mapping[str, Any]:
        dense = [np.asarray(m.toarray() if hasattr(m, "toarray") else m).tolist() for m in self.table.transition]
        seen = [np.asarray(o.toarray() if hasattr(o, "toarray") else o).tolist() for o in self.table.observation or ()]
        return {
            "t": dense,
            "o": seen,
            "g": self.table.discount,
            "r": self.table.reward.tolist(),
            "b": self.table.initial.tolist(),
        }

    def to_dict(self) -> dict[str, Any]:
        return dict(self.content())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tables:
        raise NotImplementedError

    def evaluate(self, solution: Any, scenario: Any | None = None) -> Evaluation:
        raise NotImplementedError


def tables(
    transition: Any, reward: Any, observation: Any, *, discount: float, initial: Any, sense: str = "max", **more: Any
) -> Tables:
    """A stationary POMDP as a problem."""
    reward = np.asarray(reward, dtype=float)
    table = TabularMDP(
        transition=tuple(transition),
        reward=reward,
        discount=discount,
        initial=np.asarray(initial, dtype=float),
        mask=np.ones(reward.shape, dtype=bool),
        observation=tuple(observation) if observation is not None else None,
        **more,
    )
    return Tables(table, objective=Objective(sense, discount=discount))  # type: ignore[arg-type]


def _normal(grid: np.ndarray, mean: float, sigma: float, lognormal: bool = False) -> np.ndarray:
    """Density at the grid points; what lies below 0 goes to 0, what lies above to the last point."""
    from scipy.stats import lognorm, norm

    if lognormal:
        law = lognorm(s=sigma, scale=np.exp(np.log(mean) - sigma**2 / 2))
        density = law.pdf(grid)
    else:
        law = norm(mean, sigma)
        density = law.pdf(grid)
        density[0] += law.pdf(-grid[1:]).sum()
    total = law.cdf(grid[-1])
    if density.sum() == 0.0:
        return np.eye(len(grid))[0]
    density = density * total / density.sum()
    density[-1] += 1.0 - total
    return density


def fishery(
    n: int = 100,
    sigma_g: float = 0.15,
    sigma_m: float = 0.1,
    *,
    growth: str = "gordon-schaefer",
    r: float = 0.75,
    k: float = 1.0,
    top: float = 2.0,
    lognormal: bool = False,
    discount: float = 0.95,
) -> Tables:
    """``n`` states, actions (catch) and observations on [0, top]; utility is the catch."""
    grid = np.linspace(0.0, top, n)

    def grow(s: float) -> float:
        if growth == "ricker":
            return s * float(np.exp(r * (1 - s / k)))
        return s + r * s * (1 - s / k)

    def after(s: float) -> np.ndarray:
        f = grow(s)
        return np.eye(n)[0] if f <= 0 else _normal(grid, f, sigma_g, lognormal)

    # the escapement of state i under action j is grid[i - j]: n distinct rows
    rows = np.array([after(s) for s in grid])
    i = np.arange(n)
    transition = [rows[np.maximum(i - j, 0)] for j in range(n)]
    if sigma_m <= 0:
        law = np.eye(n)
    else:
        law = np.array([np.eye(n)[0]] + [_normal(grid, x, sigma_m, lognormal) for x in grid[1:]])
    reward = np.minimum(grid[:, None], grid[None, :])
    return tables(transition, reward, [law] * n, discount=discount, initial=np.full(n, 1.0 / n))
