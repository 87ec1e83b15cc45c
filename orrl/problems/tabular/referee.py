"""The referee: plays actions again in plain Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.types import Evaluation

if TYPE_CHECKING:
    from .data import Course, Draws, TabularPOMDP

__all__ = ["evaluate"]


def evaluate(problem: TabularPOMDP, course: Course, scenario: Draws) -> Evaluation:
    """Discounted sum of the rewards of the states that the actions lead through."""
    broken: list[str] = []
    s = _drawn(enumerate(problem.initial.tolist()), scenario.start)
    total, weight, length = 0.0, 1.0, 0
    for t, a in enumerate(course.actions):
        if not any(problem.mask[s]):
            broken.append(f"step {t}: the episode has ended in state {problem.states[s]}")
            break
        if t >= problem.length:
            broken.append(f"step {t}: the problem has {problem.length} steps")
            break
        if not 0 <= a < len(problem.action_names) or not problem.mask[s][a]:
            broken.append(f"step {t}: action {a} is illegal in state {problem.states[s]}")
            break
        total += weight * float(problem.reward[s][a])
        weight *= problem.discount
        matrix = problem.transition[a]
        begin, end = int(matrix.indptr[s]), int(matrix.indptr[s + 1])
        cells = zip(matrix.indices[begin:end].tolist(), matrix.data[begin:end].tolist(), strict=True)
        s = _drawn(cells, float(scenario.move[t]))
        length = t + 1
    if not broken and length < problem.length and any(problem.mask[s]):
        broken.append(f"the actions end after {length} of {problem.length} steps")
    value = float("nan") if broken else total
    return Evaluation(value, not broken, tuple(broken), metrics={"steps": float(length)})


def _drawn(cells: Any, u: float) -> int:
    """First entry whose cumulated probability exceeds u; the last one with mass closes the law."""
    reached, last = 0.0, -1
    for i, p in cells:
        if p <= 0.0:
            continue
        reached, last = reached + p, i
        if reached > u:
            return int(i)
    return int(last)
