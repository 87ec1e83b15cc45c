"""Fisheries as stocks that are drawn down: what dynamic programming on the post-decision state needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.decision_models import Drawdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .data import Fishery
    from .three_species import ThreeSpecies

__all__ = ["linear", "single", "three_species"]

FloatArray = npt.NDArray[np.float64]
TOP, PREDATOR = 1.3, 2.0  # ends of the axes of X and Y, in units of K, and of Z: hardly a stock goes beyond
BEND = 1.3  # points of X and Y lie closer where stocks are low


def three_species(problem: ThreeSpecies) -> Drawdown:
    """X and Y on points that are closer near the limit, Z on even logarithms; 28 x 28 x 26 by default."""

    def axes(points: Sequence[int] | None) -> tuple[FloatArray, ...]:
        sizes = list(points or (28, 28, 26)[: problem.species] if problem.species == 3 else points or (80,))
        low = max(problem.limit, 1e-6)
        ends = [TOP * problem.k_x, TOP * problem.k_y, PREDATOR][: problem.species]
        found = []
        for i, (n, top) in enumerate(zip(sizes, ends, strict=True)):
            even = np.linspace(0.0, 1.0, n - 1)
            live = np.geomspace(low, top, n - 1) if i == 2 else low + (top - low) * even**BEND
            live[0] = problem.limit if problem.limit > 0.0 else live[0]
            found.append(np.concatenate([[0.0], live]))
        return tuple(found)

    def law(left: FloatArray, t: int, shocks: FloatArray) -> FloatArray:
        r = max(problem.r_x - problem.drift * t, problem.r_least) if problem.drift else problem.r_x
        x = left[:, 0]
        eaten = problem.beta * x**2 / (problem.c**2 + x**2)
        if problem.species == 1:
            mean = (x + r * x * (1.0 - x / problem.k_x) - eaten)[:, None]
        else:
            y, z = left[:, 1], left[:, 2]
            meet, d = problem.competition * x * y, problem.preference
            grown = x + r * x * (1.0 - x / problem.k_x) - z * eaten - meet
            other = d * problem.beta * y**2 / (problem.c**2 + y**2)
            mean = np.stack(
                [
                    grown,
                    y + problem.r_y * y * (1.0 - y / problem.k_y) - z * other - meet,
                    z * (1.0 + problem.conversion * (x + d * y) - problem.death),
                ],
                axis=1,
            )
        return np.asarray(mean[:, :, None] + problem.sigma * left[:, :, None] * shocks)

    def write(kernel: Any, state: Any, left: FloatArray) -> npt.NDArray[Any]:
        stock = np.maximum(state.now[:, : left.shape[1]], 1e-300)
        return np.asarray(kernel.actions_of(state, 1.0 - left / stock))

    fixed = int(np.ceil(max(problem.r_x - problem.r_least, 0.0) / problem.drift)) if problem.drift else 0
    return Drawdown(
        axes=axes, price=np.ones(problem.controls), law=law, floor=np.full(problem.species, problem.limit),
        ending=lambda t: -problem.penalty / (t + 1.0), discount=1.0, stage=problem.stage, horizon=problem.steps,
        constant_from=fixed, read=lambda kernel, state: (state.now, state.stage), write=write,
    )  # fmt: skip


def linear(problem: Fishery) -> str:
    """Why a single stock is not drawn down at a constant price a unit, or an empty text."""
    if problem.order != "observe-harvest-recruit":
        return "growth comes before the catch: what is left does not say what grows"
    if problem.power != 1.0 or problem.cost != 0.0:
        return "the utility is not a constant price a unit"
    return "" if problem.observed else "the stock is not seen as it is: plan with sigma_m=0"


def single(problem: Fishery) -> Drawdown:
    """The continuous process of one stock; a grid process is taken for the line that it approximates."""
    from scipy.special import ndtr

    from .noise import shake

    def axes(points: Sequence[int] | None) -> tuple[FloatArray, ...]:
        return (np.linspace(0.0, problem.top, points[0] if points else 200),)

    def law(left: FloatArray, t: int, shocks: FloatArray) -> FloatArray:
        mean = problem.growth.f(left[:, 0])
        found = [shake(problem.noise, mean, problem.sigma_g, np.full(len(mean), ndtr(e))) for e in shocks]
        return np.stack(found, axis=1)[:, None, :]

    def read(kernel: Any, state: Any) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        return kernel.seen(state)[:, None], state.stage

    def write(kernel: Any, state: Any, left: FloatArray) -> npt.NDArray[Any]:
        return np.asarray(kernel.actions_of(state, np.maximum(kernel.seen(state) - left[:, 0], 0.0)))

    return Drawdown(
        axes=axes, price=np.array([problem.price]), law=law, floor=np.zeros(1), ending=lambda t: 0.0,
        discount=problem.discount, stage=problem.stage, horizon=problem.horizon, constant_from=0, read=read,
        write=write,
    )  # fmt: skip
