"""The rule that keeps UAVs apart when their moves conflict: one function for every simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.jit import Source

if TYPE_CHECKING:
    from .data import UavOffloading

__all__ = ["near", "source", "yield_way"]

source = Source(tables={})


def near(problem: UavOffloading) -> int:
    """Largest squared distance in cells at which two UAVs are too close; 0 where they only may not share a cell."""
    return max(
        int(cell % problem.width) ** 2 + int(cell // problem.width) ** 2
        for cell, close in enumerate(problem.too_close[0].tolist())
        if close
    )


@source.add("i8(i8, i8, i8[::1], i8[::1], i8)", entry=True)
def yield_way(width, near, cells, targets, agents):  # type: ignore[no-untyped-def]
    """Send movers back to their own cell until no two UAVs are too close; changes `targets`, returns how many yielded.

    All UAVs name their targets at once. Of two that conflict the one with the higher number goes back to its own cell;
    if that one stays where it is anyway, the lower one does. Pairs are looked at in the order (1, 2), (1, 3), ...,
    (2, 3), ..., again and again until nobody conflicts. Present cells never conflict, so it ends. Any joint move
    without conflict is flown as it is, swaps included.
    """
    back = 0
    again = True
    while again:
        again = False
        for u in range(agents):
            for v in range(u + 1, agents):
                dx = targets[u] % width - targets[v] % width
                dy = targets[u] // width - targets[v] // width
                if dx * dx + dy * dy <= near:
                    loser = v if targets[v] != cells[v] else u
                    if targets[loser] != cells[loser]:
                        targets[loser] = cells[loser]
                        back += 1
                        again = True
    return back
