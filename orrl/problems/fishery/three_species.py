"""`ThreeSpecies`: two competing stocks and their predator ("paper B"), or one stock under a constant predator.

Montealegre-Mora, Lapeyrolerie, Chapman, Keller & Boettiger (2023), "Pretty darn good control: when are approximate
solutions better than approximate models", Bulletin of Mathematical Biology 85:95. As their code has it, not their text:
noise is a share of the stock (the text adds it, with variance 0.05).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.types import Objective
from .paths import Mortalities, PathNoise, PathProblem, PathState, counted, positive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...core.capabilities import Tunable
    from ...core.decision_models import Drawdown
    from ...core.policy import Policy
    from .three_species_kernel import ThreeSpeciesKernel

__all__ = ["ThreeSpecies", "model"]

FloatArray = npt.NDArray[np.float64]
NUMBERS = (
    "r_x", "k_x", "r_y", "k_y", "beta", "c", "competition", "preference", "conversion", "death", "sigma", "drift",
    "r_least", "limit", "penalty",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class ThreeSpecies(PathProblem):
    """Stocks X and Y, predator Z; the manager sees all and sets the share of X, or of X and Y, that is taken.

    A year t = 0, 1, ...: ``X <- X (1 - M_X)``, ``Y <- Y (1 - M_Y)``, earning what is taken, and then

    - ``X' = X + r_X X (1 - X/K_X) - beta Z X^2 / (c^2 + X^2) - competition X Y + sigma X e1``
    - ``Y' = Y + r_Y Y (1 - Y/K_Y) - preference beta Z Y^2 / (c^2 + Y^2) - competition X Y + sigma Y e2``
    - ``Z' = Z + Z (conversion (X + preference Y) - death) + sigma Z e3``

    with ``r_X = max(r_x - drift t, r_least)``. The year in which a stock falls to `limit` is the last one, and costs
    ``penalty / (t + 1)``. Nothing is discounted.

    Parameters
    ----------
    species : {3, 1}
        With 1 there is X alone, under a predator that stays at 1.
    harvested : {1, 2}
        Whether Y is taken too.
    r_x, k_x, r_y, k_y, beta, c, competition, preference, conversion, death : float
        The growth law above; stocks are in units of K_X.
    sigma : float
        Noise, a share of the stock that was left.
    drift, r_least : float
        Fall of r_X a year, and where it ends.
    limit, penalty : float
        Near-extinction.
    start, start_noise : tuple of float, float
        Mean and standard deviation of the first stocks.
    steps : int
        Years of an episode.
    bound : float
        Stock that is observed as 1.
    name : str
        For tables.
    state : PathState, optional
        Start from here; use `at`.

    Raises
    ------
    DataError
        Naming the field, its value and the remedy.
    """

    not_modelled: ClassVar[tuple[str, ...]] = ("survey error", "costs of fishing", "migration", "age structure")

    species: int = 3
    harvested: int = 2
    r_x: float = 1.0
    k_x: float = 1.0
    r_y: float = 1.0
    k_y: float = 1.0
    beta: float = 0.3
    c: float = 0.3
    competition: float = 0.1
    preference: float = 1.1
    conversion: float = 0.1
    death: float = 0.1
    sigma: float = 0.1
    drift: float = 0.0
    r_least: float = 0.5
    limit: float = 0.05
    penalty: float = 100.0
    start: tuple[float, ...] = (0.5, 0.5, 0.7)
    start_noise: float = 0.02
    steps: int = 200
    bound: float = 4.0
    name: str = "three-species"
    state: PathState | None = None
    objective: Objective = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", tuple(float(v) for v in self.start))
        counted(self, "species", (3, 1))
        counted(self, "harvested", (1, 2) if self.species == 3 else (1,))
        positive(self, ("r_x", "k_x", "r_y", "k_y", "beta", "c", "preference", "conversion", "bound"))
        zero = ("competition", "death", "sigma", "drift", "r_least", "limit", "penalty", "start_noise")
        positive(self, zero, zero=True)
        if not isinstance(self.steps, int) or self.steps < 1:
            raise DataError(f"steps is {self.steps!r}: give a whole number of at least 1")
        if len(self.start) != self.species or min(self.start) <= self.limit:
            raise DataError(f"start is {self.start}: give {self.species} stocks above the limit ({self.limit:g})")
        goal = Objective("max", "yield less penalty", "K", horizon=self.steps, stage=self.stage)
        object.__setattr__(self, "objective", goal)

    @property
    def controls(self) -> int:
        """H: stocks that are taken from."""
        return self.harvested

    @property
    def shape(self) -> tuple[int, int]:
        """Stocks and mortalities."""
        return self.species, self.harvested

    def parameters(self) -> FloatArray:
        """Numbers of the kernel, in the order of `NUMBERS`."""
        return np.array([float(getattr(self, name)) for name in NUMBERS])

    def describe(self) -> dict[str, Any]:
        """Adds the numbers of the law."""
        law = {name: getattr(self, name) for name in NUMBERS}
        return {**super().describe(), "stocks": self.species, "taken from": self.harvested, "years": self.steps, **law}

    # ---- randomness --------------------------------------------------------------------------------------------
    @property
    def stochastic(self) -> bool:
        """Whether two scenarios can differ."""
        return self.sigma > 0.0 or self.start_noise > 0.0

    def draw(self, rng: np.random.Generator) -> PathNoise:
        """Standard normal numbers."""
        start, process = rng.standard_normal(self.species), rng.standard_normal((self.steps, self.species))
        return PathNoise(start, process, np.zeros((self.steps + 1, 0)))

    def quiet(self) -> PathNoise:
        """All 0."""
        return PathNoise(np.zeros(self.species), np.zeros((self.steps, self.species)), np.zeros((self.steps + 1, 0)))

    # ---- the referee -------------------------------------------------------------------------------------------
    def played(
        self, mortality: tuple[tuple[float, ...], ...], noise: PathNoise
    ) -> tuple[list[float], list[list[float]]]:
        """See `PathProblem`; plain Python with formulas of its own."""
        stocks = [m + self.start_noise * float(e) for m, e in zip(self.start, noise.start, strict=True)]
        rewards, states = [], [stocks]
        for t, row in enumerate(mortality[: self.steps]):
            left = [(1.0 - row[i]) * s if i < len(row) else s for i, s in enumerate(stocks)]
            earned = sum(s - r for s, r in zip(stocks, left, strict=True))
            x, shock = left[0], [float(e) for e in noise.process[t]]
            r = max(self.r_least, self.r_x - t * self.drift) if self.drift else self.r_x
            hunted = self.beta * x * x / (x * x + self.c * self.c)
            if self.species == 1:
                stocks = [x * (1.0 + r * (1.0 - x / self.k_x) + self.sigma * shock[0]) - hunted]
            else:
                _, y, z = left
                other = self.preference * self.beta * y * y / (y * y + self.c * self.c)
                rate_x = r * (1.0 - x / self.k_x) - self.competition * y + self.sigma * shock[0]
                rate_y = self.r_y * (1.0 - y / self.k_y) - self.competition * x + self.sigma * shock[1]
                rate_z = self.conversion * (x + self.preference * y) - self.death + self.sigma * shock[2]
                stocks = [x * (1.0 + rate_x) - z * hunted, y * (1.0 + rate_y) - z * other, z * (1.0 + rate_z)]
            states.append(stocks)
            lost = self.ended(stocks)
            rewards.append(earned - (self.penalty / (t + 1.0) if lost else 0.0))
            if lost:
                break
        return rewards, states

    def ended(self, state: list[float]) -> bool:
        """Whether a stock is lost."""
        return min(state) <= self.limit

    def measures(
        self, mortality: tuple[tuple[float, ...], ...], rewards: list[float], states: list[list[float]]
    ) -> dict[str, float]:
        """Metrics of a path.

        reward counts the penalty; reward_published leaves the last year out, penalty included, as the tables of the
        paper do; yield is what was taken. years and full_length (1 where no stock was lost before the end), and the
        mean stocks of the years that were decided.
        """
        years = len(rewards)
        lost = self.ended(states[-1])
        reward = float(sum(rewards))
        means = {f"mean_{n}": float(np.mean([s[i] for s in states[:-1]] or [s[i] for s in states[:1]]))
                 for i, n in enumerate("xyz"[: self.species])}  # fmt: skip
        return {
            "reward": reward,
            "reward_published": float(sum(rewards[:-1])),
            "yield": reward + (self.penalty / years if lost and years else 0.0),
            "years": float(years),
            "full_length": float(years == self.steps),
            "extinct": float(lost),
            **means,
        }

    # ---- the MDP face ------------------------------------------------------------------------------------------
    @classmethod
    def kernel(cls, problems: Sequence[ThreeSpecies], **options: Any) -> ThreeSpeciesKernel:
        """Batch of fisheries of equal size; see `ThreeSpeciesKernel` for the options."""
        from .three_species_kernel import ThreeSpeciesKernel

        return ThreeSpeciesKernel(problems, **options)

    def name_action(self, action: Any) -> dict[str, float]:
        """An action in the words of the field."""
        return {f"mortality of {n}": float(m) for n, m in zip("XY", np.ravel(action), strict=False)}

    def drawdown(self) -> Drawdown:
        """The law of the stocks for `grid-sdp`."""
        from .drawdown import three_species

        return three_species(self)

    def rules(self) -> dict[str, Policy]:
        """Constant mortality, constant escapement, escapement that depends on the other stocks."""
        from .stock_rules import rules

        return rules(self)

    def tunable(self) -> Mapping[str, Tunable]:
        """The same with parameters to search; the state-dependent rule first."""
        from .stock_rules import tunable

        return tunable(self)


def model(number: int, **options: Any) -> ThreeSpecies:
    """Models 1 to 4 of the paper.

    Model 1 is the setting that its stored results fit: beta 0.25, c 0.1 and sigma 0.05, with the penalty left out of
    the tables; its script says ``beta=0.23, sigma=0.1``. Model 2 takes X, 3 takes X and Y, 4 is 3 with r_X falling from
    1 to 0.5 over 100 years.
    """
    own: dict[int, dict[str, Any]] = {
        1: {"species": 1, "harvested": 1, "beta": 0.25, "c": 0.1, "sigma": 0.05, "start": (0.7,)},
        2: {"harvested": 1},
        3: {},
        4: {"drift": 0.005},
    }
    if number not in own:
        raise DataError(f"model {number!r} is not of the paper: give 1, 2, 3 or 4")
    return ThreeSpecies(**{"name": f"paper-b/{number}", **own[number], **options})


__all__ += ["Mortalities"]
