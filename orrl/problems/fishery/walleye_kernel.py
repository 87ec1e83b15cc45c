"""The transition of `Walleye`, one source for plain Python and for machine code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.jit import Source
from .path_kernel import PathKernel, PathRows

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WalleyeKernel"]

FloatArray = npt.NDArray[np.float64]
SOURCE = Source(tables={"PAR": "f8[:, ::1]"})


@SOURCE.add(
    "void(TABLES, i8[::1], i8[::1], i8[::1], i8[::1], f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[:, :, ::1], f8[::1])",
    entry=True,
)
def step(  # type: ignore[no-untyped-def]
    par, table, stage, end, over, now, process, mortality, asked, rewards
):
    """One year in each row that goes on; NaN mortalities wait. See `Walleye.parameters` for the columns of `par`."""
    ages = now.shape[1]
    for b in range(len(stage)):
        t, u = stage[b], mortality[b, 0]
        rewards[b] = 0.0
        if t >= end[b] or not u >= 0.0:
            continue
        p = table[b]
        u = min(u, 1.0)
        asked[b, t, 0] = u
        kind, survival = int(par[p, 0]), par[p, 1]
        mass, trophies, spawners, before = 0.0, 0.0, 0.0, 0.0
        for a in range(ages):
            n = now[b, a]
            caught = u * par[p, 4 + 2 * ages + a] * n
            mass += caught * par[p, 4 + a]
            if a >= 10:  # older than 10
                trophies += caught
            n = survival * (n - caught)
            spawners += n * par[p, 4 + ages + a]
            now[b, a] = before  # a year older; the last class is put together below
            before, older = n, before
        now[b, ages - 1] = before + older
        now[b, 0] = par[p, 2] * spawners / (1.0 + par[p, 3] * spawners) * process[b, t, 0]
        if kind == 0:
            rewards[b] = mass
        elif kind == 1:
            rewards[b] = mass**0.6
        else:
            rewards[b] = trophies
        stage[b] = t + 1


class WalleyeKernel(PathKernel):
    """Batch of `Walleye`; actions are mortalities.

    Parameters
    ----------
    obs : {"biomass", "both", "ages"}
        Surveyed biomass over `bound`, that and the mean weight between its least and largest, or the true numbers.
    compiled : bool, optional
        See `PathKernel`.
    """

    source: ClassVar[Source] = SOURCE

    def __init__(
        self,
        problems: Sequence[Any],
        *,
        obs: Literal["biomass", "both", "ages"] = "both",
        compiled: bool | None = None,
    ) -> None:
        super().__init__(problems, compiled=compiled)
        if obs not in ("biomass", "both", "ages"):
            raise DataError(f"obs is {obs!r}: give 'biomass', 'both' or 'ages'")
        self.obs = obs
        at = [p.at_age for p in self.unique]
        self._survey = np.stack([np.stack([x.survey, x.survey * x.weight], axis=1) for x in at])
        self._weights = np.array([[x.weight.min(), x.weight.max()] for x in at])
        self._bound = np.array([p.bound for p in self.unique])
        self._error = np.array([p.survey_error for p in self.unique])

    def first(self, problem: Any, start: FloatArray) -> FloatArray:
        """Unfished numbers times the draw."""
        return np.asarray(start[:, :1] * problem.at_age.unfished)

    def seen(self, state: PathRows) -> FloatArray:
        """Surveyed biomass and mean weight (B, 2), in natural units."""
        table = state.table
        if len(self.unique) == 1:
            caught = state.now @ self._survey[0]
        else:
            caught = np.einsum("ba,bai->bi", state.now, self._survey[table])
        error = state.survey[np.arange(len(state)), state.stage] * self._error[table][:, None]
        out = np.empty((len(state), 2))
        out[:, 0] = np.clip(caught[:, 1] * (1.0 + error[:, 0]), 0.0, self._bound[table])
        out[:, 1] = np.maximum(caught[:, 1] / np.maximum(caught[:, 0], 1e-300) * (1.0 + error[:, 1]), 0.0)
        return out

    def observe(self, state: PathRows) -> npt.NDArray[np.float32]:
        """What is shown, (B, F)."""
        if self.obs == "ages":
            return state.now.astype(np.float32)
        shown = self.seen(state)
        low, high = self._weights[state.table].T
        shown[:, 0] /= self._bound[state.table]
        shown[:, 1] = np.clip((shown[:, 1] - low) / (high - low), 0.0, 1.0)
        return shown[:, : 1 if self.obs == "biomass" else 2].astype(np.float32)
