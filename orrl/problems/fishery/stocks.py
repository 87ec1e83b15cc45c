"""State of a batch of fisheries, and what the kernel asks of a problem."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import belief as bayes
from .noise import LAWS
from .steps import PARAMETERS

if TYPE_CHECKING:
    from .data import Fishery

__all__ = ["ARRAYS", "Stocks", "parameters", "start_law"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Stocks:
    """State of B rows of T years at most.

    Parameters
    ----------
    table, stage, end : (B,)
        Problem, years that have passed, T.
    here, last : (B, 1)
        Numbers of the present stock and survey on the grid.
    stock, survey : (B, T + 1)
        Their values from the beginning.
    quota, effort : (B, T)
        What has been decided.
    start, process, measure : (B,), (B, T), (B, T + 1)
        The scenario's numbers.
    dev, err : (B, T), (B, T + 1)
        The same as standard normal numbers, for a continuous process.
    belief : (B, S) or (0, 0)
    cloud, random : (B, N), (B, 1)
        Particles and their generators.
    """

    table: IntArray
    stage: IntArray
    end: IntArray
    here: IntArray
    last: IntArray
    stock: FloatArray
    survey: FloatArray
    quota: FloatArray
    effort: IntArray
    start: FloatArray
    process: FloatArray
    measure: FloatArray
    dev: FloatArray
    err: FloatArray
    belief: FloatArray
    cloud: IntArray
    random: npt.NDArray[np.uint64]
    which: list[int]

    def __len__(self) -> int:
        return len(self.stage)


ARRAYS = tuple(f.name for f in fields(Stocks) if f.name != "which")


def parameters(problem: Fishery) -> FloatArray:
    """Numbers of a continuous process in the order of `steps`."""
    par = np.zeros(PARAMETERS)
    own = problem.growth.parameters()
    par[0] = problem.growth.code
    par[1 : 1 + len(own)] = own
    par[6:9] = LAWS.index(problem.noise), problem.sigma_g, LAWS.index(problem.survey_noise or problem.noise)
    par[9:14] = problem.price, problem.power, problem.cost, problem.cost_power, problem.order == "recruit-harvest"
    return par


def start_law(problem: Fishery) -> FloatArray:
    """Law (S,) of the first stock, which for ``start="paper"`` is not the first belief."""
    if problem.start == "paper":
        return np.asarray(np.eye(problem.n)[problem.grids.nearest_stock(bayes.first_stock(problem))])
    return bayes.prior(problem)
