"""Risk measures for SDDP: which weights the outcomes of a stage get, given what they cost.

A coherent risk measure is a largest expectation over a set of laws, ``R(Z) = max_q q @ Z`` (Shapiro, Dentcheva and
Ruszczynski, Lectures on Stochastic Programming, section 6.3). Its maximiser at hand makes a valid cut, since every
other law of the set bounds the measure from below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

__all__ = ["CVaR", "Expectation", "MeanCVaR", "RiskMeasure", "WorstCase", "risk_measure"]

FloatArray = npt.NDArray[np.float64]


@runtime_checkable
class RiskMeasure(Protocol):
    """Anything with weights; SDDP applies it stage by stage (nested), not to the total cost."""

    def weights(self, costs: FloatArray, p: FloatArray) -> FloatArray:
        """Law q (K,) with ``q @ costs`` the risk of outcomes `costs` (K,) of probability `p` (K,)."""
        ...


@dataclass(frozen=True, slots=True)
class Expectation:
    """The mean."""

    def weights(self, costs: FloatArray, p: FloatArray) -> FloatArray:
        """The probabilities themselves."""
        return p


@dataclass(frozen=True, slots=True)
class CVaR:
    """Mean of the worst share ``1 - alpha`` of outcomes (Rockafellar and Uryasev 2000).

    Parameters
    ----------
    alpha : float
        Confidence in [0, 1): 0 is the expectation, close to 1 the worst case.
    """

    alpha: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha < 1.0:
            raise ValueError(f"CVaR alpha is {self.alpha!r}: give 0 (the mean) up to below 1, such as 0.95")

    def weights(self, costs: FloatArray, p: FloatArray) -> FloatArray:
        """Probabilities of the worst outcomes over ``1 - alpha``, the last of them in part."""
        tail = 1.0 - self.alpha
        order = np.argsort(-costs, kind="stable")
        before = np.concatenate([[0.0], np.cumsum(p[order])[:-1]])
        q = np.zeros(len(p))
        q[order] = np.clip(tail - before, 0.0, p[order]) / tail
        return q


@dataclass(frozen=True, slots=True)
class MeanCVaR:
    """``(1 - lam) E + lam CVaR(alpha)``.

    Parameters
    ----------
    lam : float
        Share of the CVaR, in [0, 1].
    alpha : float
        As in `CVaR`.
    """

    lam: float
    alpha: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.lam <= 1.0:
            raise ValueError(f"MeanCVaR lam is {self.lam!r}: give a share in [0, 1]")
        CVaR(self.alpha)

    def weights(self, costs: FloatArray, p: FloatArray) -> FloatArray:
        """The mixture of both laws."""
        return (1.0 - self.lam) * p + self.lam * CVaR(self.alpha).weights(costs, p)


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The costliest outcome of positive probability."""

    def weights(self, costs: FloatArray, p: FloatArray) -> FloatArray:
        """All weight on one outcome."""
        q = np.zeros(len(p))
        q[np.where(p > 0, costs, -np.inf).argmax()] = 1.0
        return q


def risk_measure(given: RiskMeasure | str) -> RiskMeasure:
    """A measure, or the one that a word names: "expectation", "worst-case", "cvar:0.9", "mean-cvar:0.5:0.9"."""
    if not isinstance(given, str):
        if not isinstance(given, RiskMeasure):
            raise TypeError(f"risk is {given!r}: give an object with weights(costs, p), or a word")
        return given
    name, *numbers = given.split(":")
    kinds = {
        "expectation": (Expectation, 0),
        "worst-case": (WorstCase, 0),
        "cvar": (CVaR, 1),
        "mean-cvar": (MeanCVaR, 2),
    }
    if name not in kinds or len(numbers) != kinds[name][1]:
        raise ValueError(f"risk is {given!r}: say expectation, worst-case, cvar:ALPHA or mean-cvar:LAM:ALPHA")
    made: RiskMeasure = kinds[name][0](*(float(v) for v in numbers))
    return made
