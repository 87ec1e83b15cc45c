"""`grid-sdp`: stochastic dynamic programming for one to three continuous stocks, on the post-decision state.

What is worth leaving, W_t(s), is tabled on a grid. Drawn down at a constant price a unit, the value before the decision
is what the stock would fetch plus a running maximum over what is left,

    V_t(x) = price @ x + max over s <= x of [ W_t(s) - price @ s ],    W_t(s) = discount * E V_t+1(next(s, t, e)),

so that no loop over actions is needed. Expectations are by Gauss-Hermite quadrature in each stock and multilinear
interpolation. (Reed 1979 for the constant escapement of one stock; the same idea in more of them.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.archive import read_archive, write_archive
from ...core.capabilities import HasDrawdown, HasKernel
from ...core.errors import DataError
from ...core.jit import compile_seconds
from ...core.policy import Policy
from ...core.program import Outcome
from ...core.solver import Solver
from .grid_steps import SOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ...core.actions import Actions
    from ...core.decision_models import Drawdown
    from ...core.run import Run
    from ...core.types import Support

__all__ = ["GridPolicy", "GridSdp"]

FloatArray = npt.NDArray[np.float64]
LARGE = 400_000_000  # entries of the tables that are kept


@dataclass
class GridSdp(Solver):
    """Grid dynamic programming; the answer is a policy, whose value is found by simulation.

    Parameters
    ----------
    points : int or sequence of int, optional
        Points of each axis; the problem's own choice by default.
    stages : int, optional
        Steps that are solved. Those beyond the horizon H move the end away: the policy then is that of the first H
        of `stages` steps ("no end effect", 300 for an episode of 200). The horizon itself by default; without a horizon
        as many as it takes.
    frozen : int, optional
        Act by this stage at all times, such as 100 of 300.
    shocks : int
        Points of the quadrature in each stock.
    tolerance : float
        Without a horizon: stop when the value changes less than this, relative to its largest.
    """

    points: int | tuple[int, ...] | None = None
    stages: int | None = None
    frozen: int | None = None
    shocks: int = 9
    tolerance: float = 1e-7

    name: ClassVar[str] = "grid-sdp"
    kind = "exact"
    clairvoyant: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("stages", "shocks"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise DataError(f"{name} is {value!r}: give at least 1")
        sizes = self.points if isinstance(self.points, list | tuple) else [self.points or 4]
        if min(sizes) < 4:
            raise DataError(f"points is {self.points!r}: give at least 4 an axis")
        if self.frozen is not None and not 0 <= self.frozen < (self.stages or self.frozen + 1):
            raise DataError(f"frozen is {self.frozen!r}: give a stage below stages ({self.stages})")

    def supports(self, problem: Any) -> Support:
        """Problems with a drawdown and a kernel."""
        support: Support = problem.supports(HasKernel)
        return problem.supports(HasDrawdown) if support else support

    def _solve(self, problem: Any, run: Run) -> Outcome:
        spent = compile_seconds()
        code = SOURCE.compiled()
        run.clocks["compile"] = compile_seconds() - spent
        work = _Backward(problem.drawdown(), self.points, self.shocks, code)
        if work.model.horizon is None and self.stages is None:
            tables, done = work.stationary(self.tolerance, run)
        else:
            tables, done = self._recursion(work, run)
        policy = GridPolicy(work.axes, tables, work.first, work.price, content_hash=problem.content_hash)
        text = (
            f"{'x'.join(str(len(a)) for a in work.axes)} grid, {done} stages; the value on the grid is an approximation"
        )
        return Outcome(
            "feasible",
            run.why if run.over else "converged" if work.model.horizon is None else "finished",
            policy=policy,
            message=text + " of the policy's: simulate it",
            meta={"stages": done, "grid": [len(a) for a in work.axes]},
        )

    def _recursion(self, work: _Backward, run: Run) -> tuple[FloatArray, int]:
        model = work.model
        stages = self.stages or model.horizon or 1
        if model.stage >= stages:
            raise DataError(f"stages is {stages} and the problem starts from step {model.stage}: give more")
        used = min(stages, model.horizon or stages)
        keep = range(model.stage, used) if self.frozen is None else range(self.frozen, self.frozen + 1)
        if work.size * len(keep) > LARGE:
            raise DataError(
                f"the tables of {len(keep)} stages on {work.size} points have {work.size * len(keep)} entries: give "
                f"fewer points, or frozen=, to stay below {LARGE}"
            )
        work.first = keep.start if self.frozen is None else -1
        tables = np.empty((len(keep), *work.shape))
        value = np.zeros(work.shape)
        last = min(model.stage, keep.start)
        worth = value
        t = stages
        for t in range(stages - 1, last - 1, -1):
            worth, value = work.back(value, t)
            if t in keep:
                tables[t - keep.start] = worth
            if run.tell("iteration", stage=t) and t > last:
                break
        missing = max(0, t - keep.start)
        tables[: min(missing, len(keep))] = worth  # stopped early: the earliest stage that was reached stands in
        return tables, stages - t


class _Backward:
    """The recursion on one grid."""

    def __init__(self, model: Drawdown, points: Any, shocks: int, code: Any) -> None:
        self.model, self.code = model, code
        dimensions = len(model.floor)
        if not 1 <= dimensions <= 3:
            raise DataError(f"the problem has {dimensions} stocks: a grid is for 1 to 3")
        sizes = None if points is None else [points] * dimensions if isinstance(points, int) else list(points)
        if sizes is not None and len(sizes) != dimensions:
            raise DataError(f"points is {points!r}: give {dimensions} numbers, one a stock")
        self.axes = [np.ascontiguousarray(a, np.float64) for a in model.axes(sizes)]
        self.full = [*self.axes, *[np.zeros(1)] * (3 - dimensions)]
        self.shape = tuple(len(a) for a in self.full)
        self.size = int(np.prod(self.shape))
        mesh = np.meshgrid(*self.axes, indexing="ij")
        self.left = np.stack([m.ravel() for m in mesh], axis=1)
        self.price = np.zeros(3)
        self.price[: len(model.price)] = model.price
        self.controls = len(model.price)
        fetched = sum(p * m for p, m in zip(self.price, mesh, strict=False))
        self.fetched = np.asarray(fetched, np.float64).reshape(self.shape)
        self.floor = np.full(3, -np.inf)
        self.floor[:dimensions] = model.floor
        nodes, weights = np.polynomial.hermite.hermgauss(shocks)
        self.nodes, self.chance = nodes * np.sqrt(2.0), weights / np.sqrt(np.pi)
        longest = max(self.shape)
        self.scratch = np.zeros((3, longest)), np.tile(np.array([0, longest - 1]), (3, 1)), np.zeros((3, 1))
        self.first = -1
        self._points: FloatArray | None = None

    def points(self, t: int) -> FloatArray:
        """Next stocks (N, 3, Q) after each node."""
        same = self.model.constant_from
        if self._points is not None and same is not None and t >= same:
            return self._points
        law = self.model.law(self.left, t, self.nodes)
        found = np.zeros((len(law), 3, law.shape[2]))
        found[:, : law.shape[1]] = law
        self._points = found
        return found

    def back(self, value: FloatArray, t: int) -> tuple[FloatArray, FloatArray]:
        """(W_t less what the rest would fetch, V_t) from V_t+1."""
        out = np.empty(self.size)
        ending = float(self.model.ending(t))
        self.code.expect(
            *self.full, self.points(t), self.chance, self.floor, self.price, value, ending, self.model.discount,
            *self.scratch, out,
        )  # fmt: skip
        worth = out.reshape(self.shape) - self.fetched
        best = worth
        for axis in range(self.controls):
            best = np.maximum.accumulate(best, axis=axis)
        return worth, np.ascontiguousarray(best + self.fetched)

    def stationary(self, tolerance: float, run: Run) -> tuple[FloatArray, int]:
        """One table, by value iteration."""
        if self.model.discount >= 1.0:
            raise DataError("the problem has neither a horizon nor a discount below 1: give stages=")
        value, done = np.zeros(self.shape), 0
        while True:
            worth, fresh = self.back(value, self.model.stage)
            done += 1
            change = float(np.abs(fresh - value).max())
            value = fresh
            if change <= tolerance * max(1e-300, float(np.abs(value).max())) or run.tell("iteration", stage=done):
                return worth[None], done


class GridPolicy(Policy):
    """Leaves the best of the grid's nodes and the stock itself, by the table of the present step.

    Parameters
    ----------
    axes : sequence of (n_i,)
        Grid of each stock.
    tables : (T, n_0, n_1, n_2)
        Worth of what is left, less what it would fetch.
    first : int
        Step of the first table; -1 where one table serves all steps.
    price : (3,)
        What a unit fetches.
    """

    name = "grid-sdp"
    needs_observation = False

    def __init__(
        self, axes: Sequence[FloatArray], tables: FloatArray, first: int, price: FloatArray, *, content_hash: str = ""
    ) -> None:
        self.axes, self.tables, self.first, self.price = list(axes), np.ascontiguousarray(tables), first, price
        self.seen = frozenset([content_hash] if content_hash else [])

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Take the bridge to the kernel from the problem that is played, which may be another than the one solved."""
        own = list(problem) if isinstance(problem, list | tuple) else [problem]
        support = own[0].supports(HasDrawdown)
        if not support:
            raise DataError(f"a grid policy cannot play {own[0].name}: {support.reason}")
        self._model: Drawdown = own[0].drawdown()
        if len(self._model.floor) != len(self.axes) or len(self._model.price) != int((self.price > 0.0).sum()):
            raise DataError(f"the policy is for {len(self.axes)} stocks and does not fit {own[0].name}")
        self._controls = len(self._model.price)

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Look the stocks up."""
        kernel, state = info["view"].kernel, info["view"].state
        stocks, stage = self._model.read(kernel, state)
        return np.asarray(self._model.write(kernel, state, self.leave(stocks, stage)))

    def leave(self, stocks: FloatArray, stage: npt.NDArray[np.int64]) -> FloatArray:
        """Stocks to leave (B, H) at stocks (B, d) and steps (B,); the last table serves later steps."""
        full = np.zeros((len(stocks), 3))
        full[:, : stocks.shape[1]] = stocks
        last = len(self.tables) - 1
        which = np.zeros(len(stocks), np.int64) if self.first < 0 else np.clip(stage - self.first, 0, last)
        axes = [*self.axes, *[np.zeros(1)] * (3 - len(self.axes))]
        left = np.empty((len(stocks), 3))
        controls = int((self.price > 0.0).sum())
        which = np.ascontiguousarray(which, np.int64)
        SOURCE.compiled().choose(*axes, self.tables, controls, which, full, np.zeros(3, np.int64), np.zeros(3), left)
        return left[:, :controls]

    def save(self, path: str | Path) -> None:
        """Write the grid and its tables."""
        kind = "orrl.solvers.exact.grid_sdp:GridPolicy"
        header = {"type": kind, "format": 1, "first": self.first, "seen": sorted(self.seen)}
        arrays = {f"axis{i}": a for i, a in enumerate(self.axes)}
        write_archive(path, header, {"tables": self.tables, "price": self.price, **arrays})

    @classmethod
    def load(cls, path: str | Path) -> GridPolicy:
        """Inverse of `save`."""
        header, arrays = read_archive(path, "orrl.solvers.exact.grid_sdp:GridPolicy")
        axes = [arrays[f"axis{i}"] for i in range(len(arrays) - 2)]
        policy = cls(axes, arrays["tables"], header["first"], arrays["price"])
        policy.seen = frozenset(header["seen"])
        return policy
