"""Costs of many stage problems at once, and their derivatives, as one node of torch's graph.

Stages that are one object share one `StageFunction` of the limits r of their rows, which the backend "planes" keeps as
a pool of planes. Torch is loaded with this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...core.errors import OrrlError
from .planes import PlanePool

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stage_function import StageFunction

__all__ = ["Backend", "Checks", "StageCosts"]

FloatArray = npt.NDArray[np.float64]
Backend = Literal["planes", "highs", "clarabel", "ipopt"]
NONCONVEX_OVERSHOOT = 1e-3  # a tangent plane this far (relative) above a solved value is thrown away


@dataclass(slots=True)
class Checks:
    """What the true solver said of the pool in the last call.

    Parameters
    ----------
    solved, missed, failed : int
        Points solved, points whose value lay above the pool's, and points that the solver gave up on.
    first : float
        Share of misses in the first random sample: an unbiased figure for all points.
    error : float
        Mean relative difference (solver - pool) over that sample.
    planes : int
        In all pools.
    """

    solved: int = 0
    missed: int = 0
    failed: int = 0
    first: float = 0.0
    error: float = 0.0
    planes: int = 0


class StageCosts:
    """All stages of a horizon.

    Parameters
    ----------
    functions : sequence of StageFunction, length T
        Equal stages share one object.
    backend : {"planes", "highs", "clarabel", "ipopt"}
        "planes" answers from pools; the others solve every point.
    sample : int
        Points that are solved in each call of the backend "planes".
    rounds : int
        More samples follow, at most this many in all, while more than 2% of a sample miss.
    tolerance : float, optional
        A miss is a value above the pool's by more than this share; 1e-7 by default for linear stages, 2e-5 for others,
        whose cost is curved, so that every new tangent is a little better. Those get one sample a call.
    patience : int
        Calls after which an unused plane is dropped.
    rng : Generator
        Draws the samples.
    """

    def __init__(
        self,
        functions: list[StageFunction],
        *,
        backend: Backend = "planes",
        sample: int = 100,
        rounds: int = 5,
        tolerance: float | None = None,
        patience: int = 200,
        rng: np.random.Generator,
    ) -> None:
        self.functions, self.backend = functions, backend
        self.sample, self.rounds, self.tolerance, self.patience = sample, rounds, tolerance, patience
        self.rng, self.frozen, self.step, self.checks = rng, False, 0, Checks()
        self.kinds = list({id(f): f for f in functions}.values())
        self.times = [np.array([t for t, f in enumerate(functions) if f is kind]) for kind in self.kinds]
        self.pools = [PlanePool(len(kind.matrix)) for kind in self.kinds]

    def __call__(self, state: Tensor, noise: Tensor, target: Tensor) -> Tensor:
        """Costs (T, B) of states (T, B, n) under noise (T, B, W) with targets (T, B, n); float64."""
        cost: Tensor = _Costs.apply(state, noise, target, self.evaluate)
        return cost

    def evaluate(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Costs (T, B) and gradients (T, B, n + W + n) at inputs (T, B, n + W + n) = (state, noise, target)."""
        cost, gradient = np.empty(inputs.shape[:2]), np.empty_like(inputs)
        self.checks = Checks()
        for kind, times, pool in zip(self.kinds, self.times, self.pools, strict=True):
            points = inputs[times].reshape(-1, inputs.shape[2])
            share = len(times) / len(inputs)
            if self.backend == "planes":
                value, slope = self._by_planes(kind, pool, points, share)
            else:
                value, slope = self._by_solver(kind, points)
            if not kind.soft:
                value = value + points[:, -kind.size :] @ kind.out_cost
                slope[:, -kind.size :] += kind.out_cost
            cost[times] = value.reshape(len(times), -1)
            gradient[times] = slope.reshape(len(times), -1, inputs.shape[2])
        self.checks.planes = sum(len(pool) for pool in self.pools)
        if not self.frozen:
            self.step += 1
        return cost, gradient

    def _by_solver(self, kind: StageFunction, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """A point without an answer costs the mean of the others and has no slope."""
        value, slope = np.full(len(points), np.nan), np.zeros_like(points)
        for i, point in enumerate(points):
            answer = kind.solve(point)
            if answer is not None:
                value[i], slope[i] = answer
        bad = np.isnan(value)
        self.checks.solved += len(points)
        self.checks.failed += int(bad.sum())
        if bad.all():
            raise OrrlError(f"no stage problem of {len(points)} was solved: try another engine")
        value[bad] = value[~bad].mean()
        return value, slope

    def _by_planes(
        self, kind: StageFunction, pool: PlanePool, points: FloatArray, share: float
    ) -> tuple[FloatArray, FloatArray]:
        reduced = points @ kind.matrix.T
        value, which = pool.value(reduced)
        size = min(len(points), max(1, round(self.sample * share)))
        curved = bool(kind.stage.cones) or kind.stage.smooth is not None
        rounds = 0 if self.frozen else 1 if curved and len(pool) else self.rounds
        for number in range(rounds):
            picked = self.rng.choice(len(points), size, replace=False)
            if self._check(kind, pool, points, reduced, value, picked, first=number == 0) <= 0.02:
                break
            value, which = pool.value(reduced)
        if not self.frozen:
            value, which = pool.value(reduced)
            pool.touch(which, self.step)
            if self.step % 20 == 19:
                pool.prune(self.step, self.patience)
                value, which = pool.value(reduced)
        if (which < 0).any():
            raise OrrlError("the pool has no plane: let it solve first")
        return value, pool.slope[which] @ kind.matrix

    def _check(
        self,
        kind: StageFunction,
        pool: PlanePool,
        points: FloatArray,
        reduced: FloatArray,
        value: FloatArray,
        picked: npt.NDArray[np.int64],
        *,
        first: bool,
    ) -> float:
        """Solve some points, add planes where the pool lies below; returns the share of misses."""
        curved = bool(kind.stage.cones) or kind.stage.smooth is not None
        tolerance = self.tolerance if self.tolerance is not None else 2e-5 if curved else 1e-7
        known: list[tuple[int, float, FloatArray]] = []
        for i in picked.tolist():
            answer = kind.solve(points[i])
            if answer is None:
                self.checks.failed += 1
            else:
                known.append((i, answer[0], answer[1] @ kind.inverse))
        self.checks.solved += len(picked)
        if not known:
            raise OrrlError(f"no stage problem of {len(picked)} was solved: try another engine")
        at = np.array([i for i, _, _ in known])
        true, slopes = np.array([v for _, v, _ in known]), np.array([s for _, _, s in known])
        if kind.stage.smooth is not None:
            pool.drop_above(reduced[at], true, NONCONVEX_OVERSHOOT)
        low = true - value[at] > tolerance * (1.0 + abs(true))
        pool.add(reduced[at[low]], true[low], slopes[low], self.step)
        self.checks.missed += int(low.sum())
        if first:
            self.checks.first = float(low.mean())
            finite = np.isfinite(value[at])
            gap = (true - value[at])[finite] / (1.0 + abs(true[finite]))
            self.checks.error = float(gap.mean()) if finite.any() else float("inf")
        return float(low.mean())

    def reopen(self) -> None:
        """Fresh models for all stages."""
        for kind in self.kinds:
            kind.reopen()

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The pools, for a checkpoint."""
        arrays = {"costs.step": np.array(self.step)}
        for i, pool in enumerate(self.pools):
            arrays |= pool.to_arrays(f"pool{i}")
        return arrays

    def from_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Inverse of `to_arrays`."""
        self.step = int(arrays["costs.step"])
        for i, pool in enumerate(self.pools):
            pool.from_arrays(f"pool{i}", arrays)


class _Costs(torch.autograd.Function):
    """Costs forward, duals backward."""

    @staticmethod
    def forward(
        ctx: Any,
        state: Tensor,
        noise: Tensor,
        target: Tensor,
        evaluate: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    ) -> Tensor:
        inputs = torch.cat([state, noise, target], dim=-1).double().cpu().numpy()
        cost, gradient = evaluate(inputs)
        ctx.gradient = torch.as_tensor(gradient, device=state.device)
        ctx.split = [part.shape[-1] for part in (state, noise, target)]
        return torch.as_tensor(cost, device=state.device)

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return (*torch.split(outer[..., None] * ctx.gradient, ctx.split, dim=-1), None)
