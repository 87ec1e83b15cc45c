"""What exact methods are handed of a finite or a one-dimensional decision problem: tables, shared rows, stocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Drawdown", "PostDecision", "TabularMDP"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TabularMDP:
    """Finite MDP (and POMDP where `observation` is given).

    Parameters
    ----------
    transition : sequence of (S, S) arrays or scipy sparse matrices
        ``transition[a][s, s2]``, one per action.
    reward : (S, A)
        Expected reward, higher is better; -inf is not used, illegal actions are in `mask`.
    discount : float
        Factor per step.
    initial : (S,)
        Initial law.
    mask : (S, A) bool
        Legal actions.
    horizon : int or None
        Number of steps, None for the stationary problem.
    observation : sequence of (S, O) arrays or None
        ``observation[a][s2, o]``.
    state_names, action_names : tuple of str
        For messages and tables.
    exact : bool
        False where the tables approximate the problem (a grid on continuous states).
    """

    transition: Sequence[Any]
    reward: FloatArray
    discount: float
    initial: FloatArray
    mask: npt.NDArray[np.bool_]
    horizon: int | None = None
    observation: Sequence[Any] | None = None
    state_names: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    exact: bool = True


@dataclass(frozen=True, slots=True)
class PostDecision:
    """Finite MDP whose next state depends on state and action only through a point in between, such as a stock left.

    ``V(s) = max_a reward[s, a] + discount * rows[index[s, a]] @ V``: E rows instead of S * A.

    Parameters
    ----------
    grid : (E,)
        What the points are, such as the stock that is left.
    index : (S, A) int
        Point that a state and an action lead to.
    rows : (E, S)
        Law of the next state from each point.
    reward : (S, A)
        Expected reward, higher is better.
    discount : float
        Factor per step.
    initial : (S,)
        Initial law.
    """

    grid: FloatArray
    index: npt.NDArray[np.int64]
    rows: FloatArray
    reward: FloatArray
    discount: float
    initial: FloatArray


@dataclass(frozen=True, slots=True)
class Drawdown:
    """Continuous stocks that decisions draw down; what is left is the post-decision state.

    ``V_t(x) = max over s <= x of price @ (x - s) + discount * E V_t+1(next(s, t, e))``, where only the first H of the d
    stocks can be drawn down. The process ends where a stock falls to its floor.

    Parameters
    ----------
    axes : callable
        Grids of the d stocks, increasing, for numbers of points (d,) or None for the problem's own choice. Each begins
        at 0, which stands for a stock that is lost, and goes on at the floor where that is positive.
    price : (H,)
        What a unit drawn down earns.
    law : callable
        ``law(left (N, d), t, shocks (Q,)) -> (N, d, Q)``: the next value of each stock at standard normal shocks, which
        are independent between stocks.
    floor : (d,)
        At or below it a stock is lost.
    ending : callable
        ``ending(t)``: reward of the end, where step t brings it.
    discount : float
        Factor a step.
    stage, horizon : int, int or None
        Step that the problem starts from, and number of steps; no end where None.
    constant_from : int or None
        Step from which on the law does not change; None where it always may.
    read : callable
        ``read(kernel, state) -> (stocks (B, d), steps that have passed (B,))``.
    write : callable
        ``write(kernel, state, left (B, H)) -> actions`` that leave these stocks.
    """

    axes: Callable[[Sequence[int] | None], tuple[FloatArray, ...]]
    price: FloatArray
    law: Callable[[FloatArray, int, FloatArray], FloatArray]
    floor: FloatArray
    ending: Callable[[int], float]
    discount: float
    stage: int
    horizon: int | None
    constant_from: int | None
    read: Callable[[Any, Any], tuple[FloatArray, npt.NDArray[np.int64]]]
    write: Callable[[Any, Any, FloatArray], npt.NDArray[Any]]
