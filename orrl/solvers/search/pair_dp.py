"""`pair-dp`: plan two agents together, exactly, while the others keep their paths, until no pair gains.

The pair is solved by dynamic programming over its joint positions; two agents can thus change places or share out an
area, which best responses of single agents cannot find.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from .best_response import BestResponse

if TYPE_CHECKING:
    from .best_response import Replanning

__all__ = ["PairDp", "improve_pairs"]

IntArray = npt.NDArray[np.int64]


def improve_pairs(search: Replanning, plan: IntArray) -> tuple[IntArray, float]:
    """Replan pairs, and single agents in between, until no pair gains; the plan has no conflicts."""
    plan, value = search.improve(plan)
    pairs = list(combinations(range(search.graph.agents), 2))
    settled: set[tuple[int, int]] = set()
    while len(settled) < len(pairs) and not search.run.over:
        for i in search.rng.permutation(len(pairs)).tolist():
            pair = pairs[i]
            if pair in settled:
                continue
            tables = search.problem.response(plan, pair)
            best = search.paths.together(pair, tables.__getitem__, over=lambda: search.run.over)
            if best is None:
                return plan, value
            settled.add(pair)
            if best[0] > value:
                plan = plan.copy()
                plan[:, pair] = best[1]
                plan, value = search.improve(plan)
                settled = {pair} if np.array_equal(plan[:, pair], best[1]) else set()
            if search.run.over:
                break
    return plan, value


@dataclass(repr=False)
class PairDp(BestResponse):
    """Local search over pairs of agents from several starts; a lone agent is planned exactly.

    Parameters
    ----------
    restarts : int
        Starts; the warm start, where there is one, is the first.
    """

    restarts: int = 3

    name: ClassVar[str] = "pair-dp"

    def _improve(self, search: Replanning, plan: IntArray) -> IntArray:
        return improve_pairs(search, plan)[0]
