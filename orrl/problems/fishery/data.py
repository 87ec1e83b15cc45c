"""`Fishery`: a stock, a quota a year, growth with noise, and a survey that does not see the stock exactly."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from ...core.problem import Problem
from ...core.seeds import stream
from ...core.types import Evaluation, Objective, Support
from .growth import Growth, ReferencePoints, growth_from_dict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...core.agents import IndexedKernel
    from ...core.decision_models import Drawdown, PostDecision, TabularMDP
    from ...core.policy import Policy
    from ...core.program import Program
    from ...core.rollout import Trajectory
    from .env import FisheryEnv, FisheryVectorEnv
    from .kernel import FisheryKernel
    from .tables import Grids

__all__ = ["Fishery", "FisheryState", "Harvest", "SeaNoise"]

Order = Literal["observe-harvest-recruit", "recruit-harvest"]
Process = Literal["grid", "continuous"]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SeaNoise:
    """Scenario: uniform numbers in (0, 1), so that grid and continuous process, and every method, meet the same noise.

    Parameters
    ----------
    start : float
        For the first stock.
    process : (T,)
        For the growth of each year.
    survey : (T + 1,)
        For the survey before each decision, and the one after the last.
    """

    start: float
    process: FloatArray
    survey: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"start": self.start, "process": self.process.tolist(), "survey": self.survey.tolist()}


@dataclass(frozen=True, slots=True)
class FisheryState:
    """What has happened in t years, and the noise behind it.

    Parameters
    ----------
    quota, effort : (t,)
        Quotas (units of the stock) and survey efforts (levels) of the years that have passed.
    stock, seen : (t + 1,)
        True stock and survey at the beginning of each year, the present one included.
    draws : tuple
        ``(start, process (t,), survey (t + 1,))`` of the scenario.
    """

    quota: tuple[float, ...]
    effort: tuple[int, ...]
    stock: tuple[float, ...]
    seen: tuple[float, ...]
    draws: tuple[float, tuple[float, ...], tuple[float, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        lists = {name: list(getattr(self, name)) for name in ("quota", "effort", "stock", "seen")}
        return {**lists, "draws": [self.draws[0], list(self.draws[1]), list(self.draws[2])]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        start, process, survey = data["draws"]
        lists = {name: tuple(data[name]) for name in ("quota", "effort", "stock", "seen")}
        return cls(**lists, draws=(start, tuple(process), tuple(survey)))


@dataclass(frozen=True, slots=True)
class Harvest:
    """Solution: quota (units of the stock) and survey effort (level) of each of the T years."""

    quota: tuple[float, ...]
    effort: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"quota": list(self.quota), "effort": list(self.effort)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(tuple(data["quota"]), tuple(data["effort"]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Fishery(Problem):
    """One stock under a yearly quota (Memarzadeh & Boettiger 2019, Ecological Applications; "paper A").

    A year: survey y of the stock x, quota h, catch ``c = min(x, h)``, growth of what is left with noise. The manager
    earns ``price c^power - cost c^cost_power / x``, less the cost of the survey effort, discounted.

    Parameters
    ----------
    growth : Growth
        Law of the stock.
    sigma_g, sigma_m : float
        Noise of growth and of the survey: a standard deviation (normal), of the logarithm (lognormal), see `noise`.
    noise, survey_noise : {"normal", "lognormal", "rescaled-lognormal", "uniform"}
        Laws; the survey's is that of growth by default. Normal noise is additive, as in the authors' code (their text
        says multiplicative).
    price, power, cost, cost_power : float
        The utility.
    order : {"observe-harvest-recruit", "recruit-harvest"}
        Growth of ``x - c`` (paper A), or growth of x and then the catch, ``f(x) - c`` (its appendix B).
    discount : float
        Factor a year.
    horizon : int, optional
        Years T of the problem; without it solvers take the stationary problem, and episodes last `steps` years.
    steps : int
        Years of an episode where there is no horizon.
    n, top : int, float
        Grid of stocks: n points on [0, top].
    n_quotas, n_surveys : int, optional
        Points on [0, top] of quotas and of observations; n by default.
    rule : {"point", "cell"}
        Discretisation, see `noise`.
    process : {"grid", "continuous"}
        Whether the stock itself moves on the grid, so that the tables are exact, or on the real line; the
        discretisation then serves beliefs and solvers only.
    start : "uniform", "paper", float or tuple of n float
        "uniform": the stock is drawn from a uniform law, which is also the first belief, and the first decision comes
        before any survey: the value that a POMDP solver bounds. "paper": the stock is the grid point nearest K / 6; the
        first belief is uniform, pushed through a year without catch, and a survey precedes the first decision. A
        number: this stock, known. A tuple: law on the grid, as with "uniform".
    efforts : tuple of (float, float)
        Survey efforts to choose from, as (sigma_m, cost a year); the action is then a quota and an effort, whose survey
        comes in the next year. Replaces `sigma_m`.
    limit : float, optional
        B_lim, below which a stock is in danger; 0.4 B_MSY by default (DFO 2009).
    scale, unit : float, str
        Size of one unit of the stock, for people, such as 470 000 and "t".
    name : str
        For tables.
    state : FisheryState, optional
        Start from here; use `at`.

    Raises
    ------
    DataError
        Naming the field, its value and the remedy; also where the grid is too short for the growth.
    """

    family: ClassVar[str] = "fishery"
    policy_forms: ClassVar[tuple[str, ...]] = ("occupation", "values", "post-decision", "cmdp", "control")
    not_modelled: ClassVar[tuple[str, ...]] = (
        "several fleets", "discards and misreporting", "implementation error", "prices that react to the catch",
        "unknown parameters",
    )  # fmt: skip

    growth: Growth
    sigma_g: float = 0.1
    sigma_m: float = 0.0
    noise: str = "normal"
    survey_noise: str | None = None
    price: float = 1.0
    power: float = 1.0
    cost: float = 0.0
    cost_power: float = 1.0
    order: Order = "observe-harvest-recruit"
    discount: float = 0.95
    horizon: int | None = None
    steps: int = 200
    n: int = 100
    top: float = 2.0
    n_quotas: int | None = None
    n_surveys: int | None = None
    rule: str = "point"
    process: Process = "grid"
    start: Any = "uniform"
    efforts: tuple[tuple[float, float], ...] = ()
    limit: float | None = None
    scale: float = 1.0
    unit: str = "K"
    name: str = "fishery"
    state: FisheryState | None = None
    objective: Objective = field(init=False)

    def __post_init__(self) -> None:
        if isinstance(self.start, list | np.ndarray):
            object.__setattr__(self, "start", tuple(float(v) for v in self.start))
        object.__setattr__(self, "efforts", tuple((float(s), float(c)) for s, c in self.efforts))
        from .validate import check

        check(self)
        goal = Objective("max", "NPV", "price x stock", discount=self.discount, horizon=self.horizon, stage=self.stage)
        object.__setattr__(self, "objective", goal)

    # ---- small facts -------------------------------------------------------------------------------------------
    @property
    def stage(self) -> int:
        """Years that have passed."""
        return 0 if self.state is None else len(self.state.quota)

    @property
    def years(self) -> int:
        """T: years of an episode."""
        return self.steps if self.horizon is None else self.horizon

    @property
    def surveys(self) -> tuple[tuple[float, float], ...]:
        """(sigma_m, cost) of each effort; one without a choice."""
        return self.efforts or ((self.sigma_m, 0.0),)

    @property
    def observed(self) -> bool:
        """Whether the stock is seen as it is."""
        return not self.efforts and self.sigma_m <= 0.0

    @property
    def survey_first(self) -> bool:
        """Whether a survey precedes the first decision."""
        return self.observed or self.start == "paper" or isinstance(self.start, float | int)

    @cached_property
    def reference(self) -> ReferencePoints:
        """S*, B_MSY, MSY, F_MSY of the growth law with this discount.

        B_MSY is the stock that the manager meets: ``f(S*)``, or S* where growth comes first, as that is what the last
        catch has left.
        """
        points = self.growth.reference(self.discount, self.top)
        if self.order == "observe-harvest-recruit" or not points.escapement > 0.0:
            return points
        return points._replace(b_msy=points.escapement, f_msy=points.msy / points.escapement)

    @property
    def b_lim(self) -> float:
        """Stock below which it is in danger."""
        return 0.4 * self.reference.b_msy if self.limit is None else self.limit

    def describe(self) -> dict[str, Any]:
        """Adds growth, noise, grid and reference points."""
        points = {key: round(value, 6) for key, value in self.reference._asdict().items()}
        noise = {"law": self.noise, "sigma_g": self.sigma_g, "surveys (sigma_m, cost)": self.surveys}
        grid = f"{self.n} stocks on [0, {self.top:g}], {self.rule} rule"
        own = {"growth": self.growth.to_dict(), "noise": noise, "grid": grid, "reference points": points}
        return {**super().describe(), **own, "years": self.years, "one unit is": f"{self.scale:g} {self.unit}"}

    # ---- content -----------------------------------------------------------------------------------------------
    def content(self) -> dict[str, Any]:
        """Everything but the name and the unit."""
        data = {f.name: getattr(self, f.name) for f in fields(self) if f.init and f.name not in LABELS}
        data |= {"growth": self.growth.to_dict(), "efforts": [list(pair) for pair in self.efforts]}
        data["start"] = list(self.start) if isinstance(self.start, tuple) else self.start
        data["state"] = None if self.state is None else self.state.to_dict()
        return data

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**self.content(), **{name: getattr(self, name) for name in LABELS}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        own = {**data, "growth": growth_from_dict(data["growth"])}
        own["efforts"] = tuple((s, c) for s, c in data.get("efforts", ()))
        if data.get("state") is not None:
            own["state"] = FisheryState.from_dict(data["state"])
        return cls(**own)

    # ---- randomness --------------------------------------------------------------------------------------------
    @property
    def stochastic(self) -> bool:
        """Whether two scenarios can differ: the survey of an undisturbed stock differs too."""
        drawn = not isinstance(self.start, float | int) and self.start != "paper"
        return self.sigma_g > 0.0 or not self.observed or drawn

    def scenario(self, seed: int) -> SeaNoise:
        """Noise of one episode; what has passed stays."""
        if not self.stochastic:
            return self.nominal()
        rng = stream(seed, "fishery-noise")
        return self._with_past(rng.random(), rng.random(self.years), rng.random(self.years + 1))

    def nominal(self) -> SeaNoise:
        """Every draw at its median, 0.5."""
        return self._with_past(0.5, np.full(self.years, 0.5), np.full(self.years + 1, 0.5))

    def _with_past(self, start: float, process: FloatArray, survey: FloatArray) -> SeaNoise:
        process, survey = np.maximum(process, 1e-300), np.maximum(survey, 1e-300)  # 0 has no quantile
        if self.state is not None:
            start, past, seen = self.state.draws
            process[: len(past)], survey[: len(seen)] = past, seen
        process.flags.writeable = survey.flags.writeable = False
        return SeaNoise(float(start), process, survey)

    # ---- tables ------------------------------------------------------------------------------------------------
    @cached_property
    def grids(self) -> Grids:
        """Grids, shared transition rows, observation laws and rewards."""
        from .tables import build

        return build(self)

    @cached_property
    def belief(self) -> FloatArray:
        """Belief (n,) at the decision that comes next, its survey included where there has been one."""
        from .belief import present

        return present(self)

    def tabular(self) -> TabularMDP:
        """MDP arrays, with observations unless the stock is seen as it is; see `tables`."""
        from .tables import tabular

        return tabular(self)

    def post_decision(self) -> PostDecision:
        """The arrays with rows shared by what is left after the decision; see `tables`."""
        from .tables import post_decision

        return post_decision(self)

    def drawdown(self) -> Drawdown:
        """The stock as one that is drawn down, for `grid-sdp`; on the line, whatever `process` says."""
        from .drawdown import single

        return single(self)

    def state_index(self, state: FisheryState) -> int:
        """Grid point nearest the true stock."""
        return int(self.grids.nearest_stock(state.stock[-1]))

    def observation_index(self, obs: Any) -> npt.NDArray[np.int64]:
        """Grid points (B,) nearest the surveys in the kernel's raw observations (B, ...)."""
        seen = np.asarray(obs, np.float64).reshape(len(obs), -1)[:, 0]
        return np.asarray(self.grids.nearest_survey(seen), np.int64)

    def supports(self, capability: type) -> Support:
        """As `Problem.supports`; a continuous process is not the tables, which stay an approximation of it."""
        from ...core.capabilities import HasDrawdown, HasIndexedKernel

        if capability is HasIndexedKernel and self.process == "continuous":
            return Support(False, "process='continuous' has no integer states: use process='grid'")
        if capability is HasDrawdown:
            from .drawdown import linear

            return Support(not (why := linear(self)), why)
        return super().supports(capability)

    def risk_states(self) -> npt.NDArray[np.bool_]:
        """Grid points (n,) below B_lim, the states of risk of a constrained problem."""
        return np.asarray(self.grids.stocks < self.b_lim)

    def forms(self) -> dict[str, tuple[str, ...]]:
        """Mathematical programs per backend; see `programs`."""
        from .programs import forms

        return forms(self)

    def program(self, *, backend: str, form: str | None = None, scenario: Any | None = None, **options: Any) -> Program:
        """Build a mathematical program; see `programs`."""
        from .programs import program

        return program(self, backend=backend, form=form, scenario=scenario, **options)

    def indexed_kernel(self, **options: Any) -> IndexedKernel:
        """Integer states and actions for tabular learners; see `indexed`."""
        from .indexed import indexed_kernel

        return indexed_kernel(self, **options)

    # ---- the two faces and their bridges -----------------------------------------------------------------------
    def evaluate(self, solution: Harvest, scenario: SeaNoise | None = None) -> Evaluation:
        """The referee's verdict; without a scenario, under the median noise."""
        from .referee import evaluate

        return evaluate(self, solution, self.nominal() if scenario is None else scenario)

    @classmethod
    def kernel(cls, problems: Sequence[Fishery], **options: Any) -> FisheryKernel:
        """Batch of fisheries with equal grids; see `FisheryKernel` for the options."""
        from .kernel import FisheryKernel

        return FisheryKernel(problems, **options)

    def env(self, **options: Any) -> FisheryEnv:
        """A Gymnasium view of the kernel."""
        from .env import FisheryEnv

        return FisheryEnv(self, **options)

    @classmethod
    def vector_env(
        cls, problems: Sequence[Fishery], scenarios: Sequence[Any] | None = None, **options: Any
    ) -> FisheryVectorEnv:
        """A batch as a Gymnasium vector environment."""
        from .env import FisheryVectorEnv

        return FisheryVectorEnv(problems, scenarios, **options)

    def at(self, state: FisheryState) -> Self:
        """The same fishery from a running state."""
        later = replace(self, state=state)
        if "grids" in self.__dict__:
            later.__dict__["grids"] = self.grids
        return later

    @property
    def accrued(self) -> float:
        """Discounted utility of the years that have passed."""
        from .referee import utility

        if self.state is None:
            return 0.0
        past = zip(self.state.stock[:-1], self.state.quota, self.state.effort, strict=True)
        return sum(self.discount**t * utility(self, x, h, e) for t, (x, h, e) in enumerate(past))

    def solution(self, trajectory: Trajectory) -> Harvest:
        """Quotas and efforts of an episode."""
        return Harvest(trajectory.final.quota, trajectory.final.effort)

    def actions(self, solution: Harvest, scenario: SeaNoise) -> npt.NDArray[np.int64]:
        """Numbers of the quotas (the nearest on the grid) and efforts still to come."""
        index = self.grids.nearest_quota(np.array(solution.quota[self.stage :], np.float64))
        return np.asarray(index + len(self.grids.quotas) * np.array(solution.effort[self.stage :], np.int64))

    def name_action(self, action: Any) -> dict[str, Any]:
        """An action in the words of the field."""
        quota, effort = self.grids.quotas[action % len(self.grids.quotas)], action // len(self.grids.quotas)
        named = {"quota": float(quota * self.scale), "unit": self.unit}
        return named if not self.efforts else {**named, "survey effort": int(effort)}

    def rules(self) -> dict[str, Policy]:
        """Harvest control rules, raw and filtered."""
        from .rules import rules

        return rules(self)


LABELS = ("name", "scale", "unit")
ORDERS, PROCESSES = get_args(Order), get_args(Process)
