"""The transition of `ThreeSpecies`, one source for plain Python and for machine code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.jit import Source
from .path_kernel import PathKernel, PathRows

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ESCAPEMENT", "ThreeSpeciesKernel"]

FloatArray = npt.NDArray[np.float64]
ESCAPEMENT = 1.5  # stock that the escapement action 1 stands for, in units of K_X
SOURCE = Source(tables={"PAR": "f8[:, ::1]"})


@SOURCE.add(
    "void(TABLES, i8[::1], i8[::1], i8[::1], i8[::1], f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[::1])",
    entry=True,
)
def step(  # type: ignore[no-untyped-def]
    par, table, stage, end, over, now, process, mortality, asked, rewards
):
    """One year in each row that goes on; NaN mortalities wait. See `NUMBERS` for the columns of `par`."""
    species, controls = now.shape[1], mortality.shape[1]
    for b in range(len(stage)):
        t = stage[b]
        rewards[b] = 0.0
        waits = False
        for i in range(controls):
            if not mortality[b, i] >= 0.0:
                waits = True
        if t >= end[b] or over[b] != 0 or waits:
            continue
        p = table[b]
        taken = 0.0
        for i in range(controls):
            m = min(mortality[b, i], 1.0)
            asked[b, t, i] = m
            taken += m * now[b, i]
            now[b, i] -= m * now[b, i]
        beta, c2, sigma, limit = par[p, 4], par[p, 5] * par[p, 5], par[p, 10], par[p, 13]
        r = par[p, 0]
        if par[p, 11] > 0.0:
            r = max(r - par[p, 11] * t, par[p, 12])
        x = now[b, 0]
        if species == 1:
            x += r * x * (1.0 - x / par[p, 1]) - beta * x * x / (c2 + x * x) + sigma * x * process[b, t, 0]
            now[b, 0] = x
            lost = x <= limit
        else:
            y, z = now[b, 1], now[b, 2]
            meet, d = par[p, 6] * x * y, par[p, 7]
            grown = r * x * (1.0 - x / par[p, 1]) - beta * z * x * x / (c2 + x * x) - meet
            other = par[p, 2] * y * (1.0 - y / par[p, 3]) - d * beta * z * y * y / (c2 + y * y) - meet
            fed = z * (par[p, 8] * (x + d * y) - par[p, 9])
            x += grown + sigma * x * process[b, t, 0]
            y += other + sigma * y * process[b, t, 1]
            z += fed + sigma * z * process[b, t, 2]
            now[b, 0], now[b, 1], now[b, 2] = x, y, z
            lost = x <= limit or y <= limit or z <= limit
        if lost:
            taken -= par[p, 14] / (t + 1)
            over[b] = 1
        rewards[b] = taken
        stage[b] = t + 1


class ThreeSpeciesKernel(PathKernel):
    """Batch of `ThreeSpecies`; the observation is the stocks over `bound`, clipped to [0, 1].

    Parameters
    ----------
    action : {"mortality", "escapement"}
        What the numbers of an action are: shares that are taken, or stocks that are left, in units of 1.5 K_X.
    timed : bool
        Adds the share of the episode that has passed to the observation; the paper's agents do not see it.
    compiled : bool, optional
        See `PathKernel`.
    """

    source: ClassVar[Source] = SOURCE

    def __init__(
        self,
        problems: Sequence[Any],
        *,
        action: Literal["mortality", "escapement"] = "mortality",
        timed: bool = False,
        compiled: bool | None = None,
    ) -> None:
        super().__init__(problems, compiled=compiled)
        if action not in ("mortality", "escapement"):
            raise DataError(f"action is {action!r}: give 'mortality' or 'escapement'")
        self.action, self.timed = action, timed
        self._bound = np.array([p.bound for p in self.unique])
        self._most = np.array([ESCAPEMENT * p.k_x for p in self.unique])

    def first(self, problem: Any, start: FloatArray) -> FloatArray:
        """Mean and noise of the first stocks."""
        return np.asarray(np.array(problem.start) + problem.start_noise * start)

    def mortality(self, state: PathRows, share: FloatArray) -> FloatArray:
        """Shares that are taken."""
        if self.action == "mortality":
            return share
        stock = state.now[:, : share.shape[1]]
        return np.maximum(1.0 - share * self._most[state.table][:, None] / np.maximum(stock, 1e-300), 0.0)

    def actions_of(self, state: PathRows, mortality: FloatArray) -> FloatArray:
        """Inverse of `mortality`; an escapement above 1.5 K_X is not reached."""
        if self.action == "mortality":
            return np.clip(mortality, 0.0, 1.0)
        left = (1.0 - mortality) * state.now[:, : mortality.shape[1]]
        return np.clip(left / self._most[state.table][:, None], 0.0, 1.0)

    def stocks(self, state: PathRows) -> FloatArray:
        """Present stocks (B, S)."""
        return state.now

    def observe(self, state: PathRows) -> npt.NDArray[np.float32]:
        """Stocks in [0, 1], (B, S), and the time where that is shown."""
        shown = np.clip(state.now / self._bound[state.table][:, None], 0.0, 1.0)
        if self.timed:
            shown = np.concatenate([shown, (state.stage / state.end)[:, None]], axis=1)
        return shown.astype(np.float32)
