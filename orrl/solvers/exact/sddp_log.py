"""The log of SDDP, which says what is known and no more, and the report on numerical stability."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...core.cuts import CutPool
    from ...core.stages import Stage
    from .sddp_planner import Planner
    from .sddp_stopping import Look

__all__ = ["Log", "stability_report"]

WIDE = 1e8  # a spread of magnitudes beyond this asks for other units


class Log:
    """Lines to a path or to a text stream, or nowhere."""

    def __init__(self, target: Any) -> None:
        self._own = open(target, "a", encoding="utf-8") if isinstance(target, str | os.PathLike) else None  # noqa: SIM115
        self._stream = self._own if self._own is not None else target

    def line(self, text: str = "") -> None:
        """One line, flushed."""
        if self._stream is not None:
            self._stream.write(text + "\n")
            self._stream.flush()

    def banner(self, problem: Any, planner: Planner, told: Sequence[str]) -> None:
        """What is solved and how to read the columns."""
        if self._stream is None:
            return
        graph = planner.graph
        openings = sum(len(node.p) for node in graph.nodes)
        self.line(f"SDDP on {problem.name}: {len(graph.nodes)} nodes, {openings} openings in all, "
                  f"{len(graph.initial_state)} state variables, discount {graph.discount:g}")  # fmt: skip
        for text in told:
            self.line(text)
        self.line("bound: proven for the stage models, in their minimised money; one path: cost of one training path,")
        self.line("which is no upper bound; simulated: mean of the policy on a fixed panel with its 95% interval")
        self.line(stability_report(planner.stages, planner.pools))
        self.line(f"{'iter':>6} {'bound':>16} {'one path':>16} {'time s':>9} {'solves':>10}  simulated")

    def iteration(
        self, iteration: int, bound: float, path: float, seconds: float, solves: int, look: Look | None
    ) -> None:
        """One line an iteration."""
        if self._stream is None:
            return
        text = f"{iteration:>6} {bound:>16.6f} {path:>16.6f} {seconds:>9.2f} {solves:>10}"
        if look is not None:
            text += f"  {look.mean:.6f} [{look.mean - look.half:.6f}, {look.mean + look.half:.6f}] n={look.n}"
        self.line(text)

    def close(self) -> None:
        """Close the file that was opened here."""
        if self._own is not None:
            self._own.close()


def stability_report(stages: Sequence[Stage], pools: Sequence[CutPool | None] = ()) -> str:
    """Ranges of magnitudes in the stage programs and the cuts; a wide one is marked, since solvers lose digits there.

    Parameters
    ----------
    stages : sequence of Stage
        Equal objects are looked at once.
    pools : sequence of CutPool or None
        Cuts made so far.

    Returns
    -------
    str
        One line a kind of number.
    """
    unique = list({id(stage): stage for stage in stages}.values())
    kept = [pool for pool in pools if pool is not None and pool.count]
    kinds: dict[str, list[Any]] = {
        "matrix": [stage.matrix.data for stage in unique],
        "cost": [stage.cost for stage in unique],
        "bounds": [part for stage in unique for part in (stage.lower, stage.upper)],
        "right-hand sides": [part for stage in unique for part in (stage.row_lower, stage.row_upper)],
        "cut slopes": [pool.gradient.ravel() for pool in kept],
        "cut intercepts": [pool.intercept for pool in kept],
    }
    lines = []
    for kind, parts in kinds.items():
        numbers = np.abs(np.concatenate(parts)) if parts else np.zeros(0)
        numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
        if len(numbers):
            low, high = numbers.min(), numbers.max()
            lines.append(
                f"  {kind:<17} {low:.1e} to {high:.1e}" + ("  WIDE: choose other units" if high > WIDE * low else "")
            )
    return "\n".join(["magnitudes (nonzero, finite)", *lines])
