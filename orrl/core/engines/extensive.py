"""Persistent models of a program over many stages, by the engine that fits its stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import NotSupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..extensive import Extensive, ExtensiveSolution

__all__ = ["ExtensiveSolver", "open_extensive"]

FloatArray = npt.NDArray[np.float64]


class ExtensiveSolver(Protocol):
    """A persistent model."""

    program: Extensive

    def move(self, noise: FloatArray | None = None, state: FloatArray | None = None) -> None:
        """Other noise (V, W), other initial state (n,)."""
        ...

    def solve(self, *, time_limit: float | None = None) -> ExtensiveSolution:
        """Solve as it stands."""
        ...

    def basis(self) -> Any:
        """Where the last solve ended, None for an engine without such a thing."""
        ...

    def start(self, basis: Any) -> None:
        """Begin the next solve from such a place, whatever was solved before."""
        ...

    def conflict(self) -> list[str]:
        """Names of rows and bounds that cannot hold together, where the engine can tell."""
        ...


def open_extensive(program: Extensive, *, options: Mapping[str, Any] | None = None) -> ExtensiveSolver:
    """A persistent model: HiGHS for linear stages, Clarabel for conic ones.

    Raises
    ------
    NotSupportedError
        Where a stage has smooth rows: such a program has local optima only; render it with Pyomo.
    """
    if program.engine == "highs":
        from .extensive_highs import HighsExtensive

        return HighsExtensive(program, options=options)
    if program.engine == "clarabel":
        from .extensive_clarabel import ClarabelExtensive

        return ClarabelExtensive(program, options=options)
    raise NotSupportedError(
        "a stage has smooth rows, so the program over all stages has local optima only: plan with a convex variant "
        "of the problem, or solve problem.program(backend='pyomo')"
    )
