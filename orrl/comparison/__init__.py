"""The grid of problems and methods, its statistics, its one honest table and its report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .grid import compare

if TYPE_CHECKING:
    from .table import Comparison

__all__ = ["Comparison", "compare"]


def __getattr__(name: str) -> Any:
    if name == "Comparison":  # it needs pandas
        from .table import Comparison

        return Comparison
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
