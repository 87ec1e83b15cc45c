"""Users who are alike: the same cells cover them in a slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..data import UavOffloading

__all__ = ["user_classes"]


def user_classes(problem: UavOffloading, t: int, here: list[int]) -> list[tuple[list[int], int]]:
    """Cells of `here` that cover each class of users in slot `t`, and how many users are in it; nobody out of reach."""
    if not here:
        return []
    covered = problem.radio.covered[t][here]  # (cells, K)
    masks, counts = np.unique(covered, axis=1, return_counts=True)
    own = np.array(here, np.int64)
    return [(own[mask].tolist(), int(n)) for mask, n in zip(masks.T, counts.tolist(), strict=True) if mask.any()]
