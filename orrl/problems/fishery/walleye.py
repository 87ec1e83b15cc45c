"""`Walleye`: an age-structured stock under a yearly mortality and a survey of its biomass and mean weight.

The model of the package rl4fisheries (boettiger-lab, BSD-2), written from its formulas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.types import Objective
from .paths import PathNoise, PathProblem, PathState, counted, positive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...core.capabilities import Tunable
    from ...core.policy import Policy
    from .walleye_kernel import WalleyeKernel

__all__ = ["AtAge", "Walleye"]

FloatArray = npt.NDArray[np.float64]
UTILITIES = {"yield": "biomass", "hara": "biomass^0.6", "trophy": "fish"}


class AtAge(NamedTuple):
    """Numbers at ages 1 to A, each (A,), and the recruitment law."""

    weight: FloatArray
    mature: FloatArray  # maturity times weight
    harvest: FloatArray  # vulnerability to the fishery
    survey: FloatArray  # and to the survey
    unfished: FloatArray  # survivors of one recruit a year, without fishing
    alpha: float
    beta: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Walleye(PathProblem):
    """Numbers at age n under a mortality U a year.

    A year: the fishery takes ``U v n`` and earns by `utility`; of the rest, `survival` live on,
    ``n <- survival n (1 - v U)``; their spawning biomass S leaves ``alpha S / (1 + beta S)`` recruits times a deviate;
    all grow a year older, the last age class keeps its fish. The survey sees biomass and mean weight.

    Parameters
    ----------
    utility : {"yield", "hara", "trophy"}
        Biomass that is taken (UM1), its power 0.6 (UM2), or the number of fish older than 10 (UM3).
    ages : int
        Age classes.
    growth, survival, compensation, unfished_recruits : float
        Von Bertalanffy's rate, natural survival, Goodyear's recruitment compensation and recruits without fishing.
    big_chance, big : float, (float, float)
        A big year class comes where exactly one of two draws of this chance succeeds; its deviate is uniform in this
        range. Otherwise the deviate is ``exp(spread e) / (4 exp(spread^2 / 2))``.
    spread : float
        See above.
    survey_error : float
        Standard deviation of the surveyed biomass and mean weight, as a share.
    start : (float, float)
        The first numbers are the unfished ones times a uniform number in this range.
    steps : int
        Years of an episode.
    bound : float
        Largest biomass that the survey reports.
    name, state
        As in `ThreeSpecies`.

    Raises
    ------
    DataError
        Naming the field, its value and the remedy.
    """

    not_modelled: ClassVar[tuple[str, ...]] = ("several lakes", "catch and release", "density-dependent growth")

    utility: str = "yield"
    ages: int = 20
    growth: float = 0.23
    survival: float = 0.86
    compensation: float = 6.0
    unfished_recruits: float = 1.0
    big_chance: float = 0.025
    big: tuple[float, float] = (10.0, 30.0)
    spread: float = 0.3
    survey_error: float = 0.1
    start: tuple[float, float] = (0.1, 1.0)
    steps: int = 1000
    bound: float = 50.0
    name: str = "walleye"
    state: PathState | None = None
    objective: Objective = field(init=False)

    def __post_init__(self) -> None:
        for name in ("big", "start"):
            pair = tuple(float(v) for v in getattr(self, name))
            object.__setattr__(self, name, pair)
            if len(pair) != 2 or not 0.0 < pair[0] <= pair[1]:
                raise DataError(f"{name} is {pair}: give a range of two positive numbers")
        if self.utility not in UTILITIES:
            raise DataError(f"utility is {self.utility!r}: give one of {', '.join(UTILITIES)}")
        counted(self, "ages", range(12, 101))
        positive(self, ("growth", "unfished_recruits", "bound"))
        positive(self, ("spread", "survey_error"), zero=True)
        for name, low in (("survival", 0.0), ("big_chance", -1e-12)):
            if not low < getattr(self, name) < 1.0:
                raise DataError(f"{name} is {getattr(self, name)!r}: give a share below 1")
        if not self.compensation > 1.0:
            raise DataError(f"compensation is {self.compensation!r}: give more than 1, or the stock dies out unfished")
        if not isinstance(self.steps, int) or self.steps < 1:
            raise DataError(f"steps is {self.steps!r}: give a whole number of at least 1")
        unit = UTILITIES[self.utility]
        goal = Objective("max", self.utility, unit, horizon=self.steps, stage=self.stage)
        object.__setattr__(self, "objective", goal)

    @property
    def controls(self) -> int:
        """One mortality."""
        return 1

    @property
    def shape(self) -> tuple[int, int]:
        """Ages and mortalities."""
        return self.ages, 1

    @cached_property
    def at_age(self) -> AtAge:
        """Weight, maturity, vulnerability and survivors by age, and Beverton and Holt's recruitment."""
        a = np.arange(1.0, self.ages + 1.0)
        grown = 1.0 - np.exp(-self.growth * a)
        weight = grown**3
        mature = weight / (1.0 + np.exp(-0.5 * (a - 6.0)))
        harvest = 1.0 / (1.0 + np.exp(-(a - 5.0) / 0.5))
        survey = 41.08 / 57.57 * grown**2.02
        unfished = self.survival ** (a - 1.0)
        unfished[-1] /= 1.0 - self.survival
        spawners = float(unfished @ mature)
        alpha = self.compensation / spawners
        beta = (self.compensation - 1.0) / (self.unfished_recruits * spawners)
        return AtAge(weight, mature, harvest, survey, unfished * self.unfished_recruits, alpha, beta)

    def parameters(self) -> FloatArray:
        """Numbers of the kernel: utility, survival, alpha, beta; weight, mature weight, vulnerability at age."""
        at = self.at_age
        head = [list(UTILITIES).index(self.utility), self.survival, at.alpha, at.beta]
        return np.concatenate([head, at.weight, at.mature, at.harvest])

    # ---- randomness --------------------------------------------------------------------------------------------
    def draw(self, rng: np.random.Generator) -> PathNoise:
        """Share of the unfished numbers, recruitment deviates, standard normal survey errors."""
        start = rng.uniform(*self.start, size=1)
        hits, large = rng.binomial(2, self.big_chance, self.steps), rng.uniform(*self.big, size=self.steps)
        small = np.exp(self.spread * rng.standard_normal(self.steps)) / (4.0 * np.exp(self.spread**2 / 2.0))
        process = np.where(hits == 1, large, small)[:, None]
        return PathNoise(start, process, rng.standard_normal((self.steps + 1, 2)))

    def quiet(self) -> PathNoise:
        """The middle of the first range, the mean deviate every year, a survey without error."""
        chance = 2.0 * self.big_chance * (1.0 - self.big_chance)
        mean = chance * sum(self.big) / 2.0 + (1.0 - chance) / 4.0
        start = np.array([sum(self.start) / 2.0])
        return PathNoise(start, np.full((self.steps, 1), mean), np.zeros((self.steps + 1, 2)))

    # ---- the referee -------------------------------------------------------------------------------------------
    def played(
        self, mortality: tuple[tuple[float, ...], ...], noise: PathNoise
    ) -> tuple[list[float], list[list[float]]]:
        """See `PathProblem`; plain Python with formulas of its own."""
        from math import exp

        s, ages = self.survival, range(1, self.ages + 1)
        weight = [(1 - exp(-self.growth * a)) ** 3 for a in ages]
        spawn = [w / (1 + exp(3 - a / 2)) for w, a in zip(weight, ages, strict=True)]
        open_to = [1 / (1 + exp(10 - 2 * a)) for a in ages]
        alone = [self.unfished_recruits * s ** (a - 1) / (1 if a < self.ages else 1 - s) for a in ages]
        per_recruit = sum(n * m for n, m in zip(alone, spawn, strict=True)) / self.unfished_recruits
        fish = [float(noise.start[0]) * n for n in alone]
        rewards, states = [], [fish]
        for t, (u,) in enumerate(mortality[: self.steps]):
            taken = [u * v * n for v, n in zip(open_to, fish, strict=True)]
            if self.utility == "trophy":
                rewards.append(sum(taken[10:]))
            else:
                mass = sum(c * w for c, w in zip(taken, weight, strict=True))
                rewards.append(mass if self.utility == "yield" else mass**0.6)
            rest = [s * (n - c) for n, c in zip(fish, taken, strict=True)]
            eggs = sum(n * m for n, m in zip(rest, spawn, strict=True)) / per_recruit
            top = self.compensation * eggs
            young = top / (1 + (self.compensation - 1) / self.unfished_recruits * eggs) * float(noise.process[t, 0])
            fish = [young, *rest[:-2], rest[-2] + rest[-1]]
            states.append(fish)
        return rewards, states

    def measures(
        self, mortality: tuple[tuple[float, ...], ...], rewards: list[float], states: list[list[float]]
    ) -> dict[str, float]:
        """Metrics: reward, mean_biomass (all ages), mean_mortality, years."""
        biomass = np.array(states[:-1] or states) @ self.at_age.weight
        return {
            "reward": float(sum(rewards)),
            "mean_biomass": float(biomass.mean()),
            "mean_mortality": float(np.mean(mortality)) if mortality else 0.0,
            "years": float(len(rewards)),
        }

    # ---- the MDP face ------------------------------------------------------------------------------------------
    @classmethod
    def kernel(cls, problems: Sequence[Walleye], **options: Any) -> WalleyeKernel:
        """Batch of walleye stocks; see `WalleyeKernel` for the options."""
        from .walleye_kernel import WalleyeKernel

        return WalleyeKernel(problems, **options)

    def name_action(self, action: Any) -> dict[str, float]:
        """An action in the words of the field."""
        return {"fishing mortality": float(np.ravel(action)[0])}

    def rules(self) -> dict[str, Policy]:
        """Constant F_MSY, precautionary, 40-80."""
        from .walleye_rules import rules

        return rules(self)

    def tunable(self) -> Mapping[str, Tunable]:
        """The precautionary rule and the constant mortality."""
        from .walleye_rules import tunable

        return tunable(self)
