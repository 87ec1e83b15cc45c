"""`Hydrothermal`: reservoirs and thermal plants on a network under uncertain inflow, and the doors to its two faces."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.problem import Problem
from ...core.stages import StageGraph, StageNode
from ...core.types import Evaluation, Objective
from .dispatch import Dispatch, HydroState
from .inflow import PROTOCOL_OPENINGS, PROTOCOL_STAGES, InflowPath, Sampler, draw_path, protocol_openings
from .reach import ReachMap
from .stage import NETWORKS, NetworkForm, build_stage
from .system import Cascade, Network
from .terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...core.policy import Policy
    from ...core.program import Program
    from ...core.rollout import Trajectory
    from ...core.stages import Stage
    from .env import HydroEnv, HydroVectorEnv
    from .generator import HydroGenerator
    from .kernel import HydroKernel

__all__ = ["Hydrothermal"]

FloatArray = npt.NDArray[np.float64]
HM3_PER_HOUR = 0.0036  # what 1 m3/s brings in an hour


class Hydrothermal(Problem):
    """Dispatch reservoirs and thermal plants stage by stage so that fuel and deficit cost least.

    Long-term hydrothermal dispatch as HydroPowerModels.jl poses it and as TS-DDR was tested on (Rosemberg, Street,
    Valladao, Van Hentenryck, arXiv 2405.14973). In each stage the inflow of all basins is seen, then the volumes to
    leave and the generation are chosen.

    Parameters
    ----------
    grid : Network
        Buses, branches, generators, loads.
    cascade : Cascade
        Reservoirs with their plants.
    inflow : (R, H, S)
        m3/s of each plant in each of S joint scenarios; stage t has row t mod R.
    probability : (R, S), optional
        Of the scenarios; equally likely by default.
    stage_hours : float
        Hours of a stage. It sets K = 0.0036 * hours, hm3 per m3/s and stage, and nothing else: fuel is money per stage
        (the convention of HydroPowerModels). There is no default, because published results differ in it.
    network : {"dc", "transport", "dcll", "soc", "ac"}
        Physics of the branches: linearised, capacities only, linearised with line losses, second-order-cone
        relaxation, full alternating current.
    stages : int
        T.
    window : int, optional
        First stages whose cost is reported apart (the rest is look-ahead); all by default.
    load : float or (R,)
        Multiplies every load, in all stages or in each row of the year.
    sampler : {"joint", "independent"}
        How paths are drawn; see `orrl.problems.hydrothermal.inflow.draw_path`.
    terminal : Terminal, optional
        What the last stage owes to the time after it.
    name : str
        For tables and plots.
    state : HydroState, optional
        Start from here; use `at`.

    Raises
    ------
    DataError
        Naming the key, the value and the remedy.
    """

    family: ClassVar[str] = "hydrothermal"
    not_modelled: ClassVar[tuple[str, ...]] = (
        "head (production is constant per m3/s), evaporation, travel time between reservoirs",
        "unit commitment, ramps, start-up cost",
        "load blocks inside a stage (a stage has one load)",
        "autoregressive inflow (scenarios are independent from stage to stage)",
        "transformer taps and shifts in the DC form, as in PowerModels",
        "shunts, storage, DC lines",
    )

    grid: Network
    cascade: Cascade
    inflow: FloatArray
    probability: FloatArray
    stage_hours: float
    network: NetworkForm
    n_stages: int
    window: int
    load: FloatArray
    sampler: Sampler
    terminal: Terminal | None
    state: HydroState | None

    def __init__(
        self,
        *,
        grid: Network,
        cascade: Cascade,
        inflow: Any,
        probability: Any = None,
        stage_hours: float | None = None,
        network: NetworkForm = "dc",
        stages: int = 126,
        window: int | None = None,
        load: float | Sequence[float] = 1.0,
        sampler: Sampler = "joint",
        terminal: Terminal | None = None,
        name: str = "hydrothermal",
        state: HydroState | None = None,
    ) -> None:
        from . import validate as check

        self.name, self.grid, self.cascade = name, grid, cascade
        self.inflow = check.inflow(inflow, len(cascade.names))
        self.probability = check.probability(probability, self.inflow)
        self.stage_hours = check.stage_hours(stage_hours)
        self.network = check.choice("network", network, NETWORKS)
        self.n_stages, self.window = check.horizon(stages, window)
        self.load = check.load(load, len(self.inflow))
        self.sampler = check.choice("sampler", sampler, ("joint", "independent"))
        check.generators(grid, cascade)
        if terminal is not None:
            terminal.check(cascade)
        self.terminal = terminal
        if state is not None:
            check.state(state, len(cascade.names), self.n_stages)
        self.state = state
        passed = 0 if state is None else state.stage
        self.objective = Objective("min", "cost", "money", horizon=self.n_stages, stage=passed)

    # ---- sizes ---------------------------------------------------------------------------------------------------
    @property
    def factor(self) -> float:
        """K, hm3 that 1 m3/s brings in a stage."""
        return HM3_PER_HOUR * self.stage_hours

    @property
    def passed(self) -> int:
        """Stages dispatched where the problem starts."""
        return self.objective.stage

    @property
    def volume(self) -> FloatArray:
        """Volumes (H,) hm3 where the problem starts."""
        if self.state is None or not self.passed:
            return self.cascade.volume_start
        return self.state.past["volume"][-1]

    @property
    def state_labels(self) -> tuple[str, ...]:
        """Names (H,) of the reservoirs, for tables of water values."""
        return self.cascade.names

    # ---- data in and out -----------------------------------------------------------------------------------------
    def content(self) -> dict[str, Any]:
        """Data and options; labels are left out."""
        grid, cascade = self.grid.to_dict(), self.cascade.to_dict()
        for label in ("bus_names", "generator_names"):
            grid.pop(label)
        cascade.pop("names")
        return {
            "grid": grid, "cascade": cascade, "inflow": self.inflow, "probability": self.probability,
            "stage_hours": self.stage_hours, "network": self.network, "stages": self.n_stages, "window": self.window,
            "load": self.load, "sampler": self.sampler,
            "terminal": None if self.terminal is None else self.terminal.to_dict(),
            "state": None if self.state is None else self.state.to_dict(),
        }  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, names included."""
        out = self.content()
        out |= {"grid": self.grid.to_dict(), "cascade": self.cascade.to_dict(), "name": self.name}
        return out | {key: out[key].tolist() for key in ("inflow", "probability", "load")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        given = dict(data)
        terminal, state = given.pop("terminal"), given.pop("state")
        return cls(
            grid=Network.from_dict(given.pop("grid")),
            cascade=Cascade.from_dict(given.pop("cascade")),
            terminal=None if terminal is None else Terminal.from_dict(terminal),
            state=None if state is None else HydroState.from_dict(state),
            **given,
        )

    def with_(self, **changes: Any) -> Self:
        """A copy with other options, such as ``network="soc"`` or ``stages=12``."""
        own = {
            "grid": self.grid, "cascade": self.cascade, "inflow": self.inflow, "probability": self.probability,
            "stage_hours": self.stage_hours, "network": self.network, "stages": self.n_stages, "window": self.window,
            "load": self.load, "sampler": self.sampler, "terminal": self.terminal, "name": self.name,
            "state": self.state,
        }  # fmt: skip
        if "stages" in changes:
            own["window"] = min(self.window, int(changes["stages"]))
        return type(self)(**{**own, **changes})

    def describe(self) -> dict[str, Any]:
        """Adds the sizes, the physics and K."""
        rows, plants, scenarios = self.inflow.shape
        return {
            **super().describe(),
            "stages": f"{self.n_stages} (reported window {self.window})",
            "network": f"{self.network}: {len(self.grid.bus_names)} buses, {len(self.grid.branch_from)} branches",
            "plants": f"{plants} hydro, {len(self.grid.cost) - plants} thermal",
            "inflow": f"{scenarios} joint scenarios in each of {rows} rows",
            "stage": f"{self.stage_hours:g} h, K = {self.factor:g} hm3 per m3/s (cost is not multiplied by hours)",
        }

    # ---- ways in -------------------------------------------------------------------------------------------------
    @classmethod
    def generate(cls, *, seed: int, **size: Any) -> Self:
        """One random valley; see `orrl.problems.hydrothermal.generator.generate`."""
        from .generator import generate

        return generate(cls, seed=seed, **size)

    @classmethod
    def generator(cls, **ranges: Any) -> HydroGenerator:
        """A distribution of valleys with ``.sample(n, seed, split)``."""
        from .generator import HydroGenerator

        return HydroGenerator(**ranges)

    # ---- randomness ----------------------------------------------------------------------------------------------
    stochastic: ClassVar[bool] = True

    def scenario(self, seed: int) -> InflowPath:
        """An inflow path; what has been seen stays."""
        path = draw_path(self.inflow, self.probability, self.n_stages, seed, self.sampler)
        return self._seen(path)

    def nominal(self) -> InflowPath:
        """Mean inflow."""
        mean = (self.inflow * self.probability[:, None, :]).sum(axis=2)
        return self._seen(mean[np.arange(self.n_stages) % len(mean)])

    def _seen(self, path: FloatArray) -> InflowPath:
        if self.state is None:
            return InflowPath(path)
        known = self.state.inflow[: self.n_stages]
        return InflowPath(np.concatenate([known, path[len(known) :]]))

    def protocol(self, paths: int = 500) -> list[InflowPath]:
        """The published evaluation paths, for a case with 15 equally likely scenarios and at most 126 stages.

        Raises
        ------
        DataError
            Where the case has another number of scenarios or more stages.
        """
        if self.inflow.shape[2] != PROTOCOL_OPENINGS or self.n_stages > PROTOCOL_STAGES:
            raise DataError(
                f"the protocol's paths have {PROTOCOL_OPENINGS} scenarios and {PROTOCOL_STAGES} stages, this case "
                f"{self.inflow.shape[2]} and {self.n_stages}: use scenario(seed)"
            )
        openings = protocol_openings()[: self.n_stages, :paths]
        rows = np.arange(self.n_stages) % len(self.inflow)
        return [self._seen(self.inflow[rows, :, openings[:, p]]) for p in range(openings.shape[1])]

    # ---- stages --------------------------------------------------------------------------------------------------
    def stages(self) -> StageGraph:
        """A line of stages, from the present one on; a stage whose inflow has been seen has one opening."""
        nodes = []
        for t in range(self.passed, self.n_stages):
            row = t % len(self.inflow)
            openings, p = self.inflow[row].T, self.probability[row]
            if self.state is not None and t < len(self.state.inflow):
                openings, p = self.state.inflow[t : t + 1], np.ones(1)
            after = t - self.passed + 1
            children = ((after, 1.0),) if t + 1 < self.n_stages else ()
            nodes.append(StageNode(children, np.ascontiguousarray(openings), p, self._floor(t + 1)))
        return StageGraph(tuple(nodes), ((0, 1.0),), np.array(self.volume), period=len(self.inflow))

    def _floor(self, stage: int) -> float:
        """No stage costs less than nothing, but for the value of the water left at the end."""
        if stage >= self.n_stages or self.terminal is None:
            return 0.0
        worth = 0.0 if self.terminal.value is None else float(self.terminal.value @ self.cascade.volume_max)
        return -worth + (0.0 if self.terminal.cuts is None else min(0.0, self.terminal.cuts.bound))

    def stage(self, node: int) -> Stage:
        """The stage program of a node; one object for all stages of equal load."""
        t = node + self.passed
        last = t == self.n_stages - 1 and self.terminal is not None
        return self._stage(float(self.load[t % len(self.load)]), last)

    def _stage(self, load: float, last: bool) -> Stage:
        if (load, last) not in self._stages:
            self._stages[load, last] = build_stage(
                self.grid.scaled(load), self.cascade, network=self.network, factor=self.factor,
                terminal=self.terminal if last else None,
            )  # fmt: skip
        return self._stages[load, last]

    @cached_property
    def _stages(self) -> dict[tuple[float, bool], Stage]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Stages are made again where they are needed: their physics may hold functions that cannot travel."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_stages", "_reach")}

    def noise(self, scenario: InflowPath) -> FloatArray:
        """Inflow (T - t, H) of the stages that are left."""
        return np.asarray(scenario.inflow[self.passed : self.n_stages], np.float64)

    @cached_property
    def _reach(self) -> ReachMap:
        return ReachMap(self.cascade, self.factor)

    def reach(self, state: Any, noise: Any, share: Any, *, xp: Any = np) -> Any:
        """Volumes for shares of what can be reached; see `orrl.problems.hydrothermal.reach`."""
        return self._reach.targets(state, noise, share, xp=xp)

    def shares(self, state: FloatArray, noise: FloatArray, target: FloatArray) -> FloatArray:
        """Inverse of `reach`."""
        return self._reach.shares(state, noise, target)

    # ---- the two faces and their bridges -------------------------------------------------------------------------
    def evaluate(self, solution: Dispatch, scenario: InflowPath | None = None) -> Evaluation:
        """The referee's verdict; without a scenario, under the nominal inflow."""
        from .referee import evaluate

        return evaluate(self, solution, self.nominal() if scenario is None else scenario)

    def forms(self) -> dict[str, tuple[str, ...]]:
        """Programs of one inflow path, by backend."""
        from .programs import forms

        return forms(self)

    def program(
        self, *, backend: str, form: str | None = None, scenario: InflowPath | None = None, **options: Any
    ) -> Program:
        """The program of the whole horizon for a path that is known; see `programs`."""
        from .programs import build

        return build(self, backend, form, self.nominal() if scenario is None else scenario, **options)

    @classmethod
    def kernel(cls, problems: Sequence[Hydrothermal], **options: Any) -> HydroKernel:
        """The stage problems stepped in a batch."""
        from .kernel import HydroKernel

        return HydroKernel(problems, **options)

    def env(self, **options: Any) -> HydroEnv:
        """A Gymnasium view of the kernel."""
        from .env import HydroEnv

        return HydroEnv(self, **options)

    @classmethod
    def vector_env(cls, problems: Sequence[Hydrothermal], scenarios: Any = None, **options: Any) -> HydroVectorEnv:
        """A batch of systems with equal numbers of plants as a ``gymnasium.vector.VectorEnv``."""
        from .env import HydroVectorEnv

        return HydroVectorEnv(problems, scenarios, **options)

    def at(self, state: HydroState) -> Self:
        """The same system from a running state."""
        return self.with_(state=state)

    @property
    def accrued(self) -> float:
        """Cost of the stages that have been dispatched."""
        if self.state is None or not self.passed:
            return 0.0
        from .referee import stage_costs

        return float(stage_costs(self, self.state.past).sum())

    def solution(self, trajectory: Trajectory) -> Dispatch:
        """What was dispatched in an episode."""
        state: HydroState = trajectory.final
        return state.past

    def actions(self, solution: Dispatch, scenario: InflowPath) -> FloatArray:
        """Shares (T - t, H) that lead to the volumes of a solution."""
        volume = solution["volume"]
        before = np.vstack([self.cascade.volume_start, volume[:-1]])
        return self.shares(before, scenario.inflow[: len(volume)], volume)[self.passed :]

    def name_action(self, action: Any) -> dict[str, float]:
        """Shares (H,) as the volumes to leave, hm3, under the present inflow (the mean one where none was seen yet)."""
        seen = self.nominal().inflow[0] if self.state is None else self.state.inflow[self.passed]
        target = self.reach(self.volume[None], seen[None], np.asarray(action, np.float64)[None])[0]
        return {f"volume of {name}, hm3": float(v) for name, v in zip(self.cascade.names, target, strict=True)}

    def rules(self) -> dict[str, Policy]:
        """Baselines of the field."""
        from .rules import rules

        return rules()
