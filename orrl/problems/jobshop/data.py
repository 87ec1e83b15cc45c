"""`JobShop`: the data of one shop, validated and immutable, and the doors to its two faces."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, NotSupportedError, OrrlWarning
from ...core.problem import Problem
from ...core.types import Evaluation, Objective, Support
from .interruptions import IntArray, Interruptions, Outages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from ...core.capabilities import GraphSpec
    from ...core.policy import Policy
    from ...core.program import Program
    from ...core.rollout import Trajectory
    from .env import JobShopEnv, JobShopVectorEnv
    from .generator import ShopGenerator
    from .kernel import ShopKernel
    from .local_search import ShopSearch
    from .schedule import Schedule

__all__ = ["GOALS", "JobShop", "ShopState", "UnmeetableDueDate"]

Goal = Literal["makespan", "total_flow", "weighted_tardiness"]
GOALS: tuple[Goal, ...] = ("makespan", "total_flow", "weighted_tardiness")


class UnmeetableDueDate(OrrlWarning):
    """A job's due date lies before its release plus its work, so it is late in every schedule."""


@dataclass(frozen=True, slots=True, eq=False)
class ShopState:
    """A running shop: what has started, and every outage that has been announced.

    Parameters
    ----------
    time : int
        Now.
    start : (J, K) int
        Start of each operation, -1 where it has not started.
    past : Outages
        Extra times of the started operations (0 elsewhere) and the breakdowns that have begun.
    """

    time: int
    start: IntArray
    past: Outages

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"time": self.time, "start": self.start.tolist(), "past": self.past.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(int(data["time"]), np.array(data["start"], np.int64), Outages.from_dict(data["past"]))


class JobShop(Problem):
    """A job shop: each job visits machines in its own order, one job at a time on each machine.

    Parameters
    ----------
    machines : (J, K) int or ragged sequence
        Machine of each operation, counted from 0. Routes may differ in length.
    durations : (J, K) int or ragged sequence
        Processing times, whole time units, zero allowed.
    storage : {"unlimited", "blocking"}
        "blocking": no buffers, a job holds its machine until the next one accepts it.
    swap : bool
        Whether jobs in a blocking shop may exchange machines at the same moment (Mascis & Pacciarelli 2002).
    interruptions : Interruptions, optional
        Random outages.
    maintenance : sequence of (machine, begin, end)
        Planned outages, known in advance.
    release, due : (J,) int, optional
        Release and due dates; release 0 by default.
    weights : (J,) int, optional
        Weights of the tardiness, 1 by default.
    objective : {"makespan", "total_flow", "weighted_tardiness"}
        ``max C_j``, ``sum (C_j - r_j)`` or ``sum w_j max(0, C_j - d_j)``.
    name : str
        For tables and plots.
    job_names, machine_names : sequence of str, optional
        The user's own names; they survive into errors, tables and plots.
    state : ShopState, optional
        Start from a running shop; use `at`.

    Raises
    ------
    DataError
        Naming the job, the operation and the value.
    """

    family: ClassVar[str] = "jobshop"
    not_modelled: ClassVar[tuple[str, ...]] = (
        "alternative machines (flexible shops)",
        "sequence-dependent set-up times",
        "finite buffers between blocking and unlimited",
        "transport times and batching",
        "preemption other than by an outage",
        "hard deadlines",
    )

    def __init__(
        self,
        *,
        machines: Any,
        durations: Any,
        storage: Literal["unlimited", "blocking"] = "unlimited",
        swap: bool = True,
        interruptions: Interruptions | None = None,
        maintenance: Sequence[tuple[int, int, int]] = (),
        release: Any = None,
        due: Any = None,
        weights: Any = None,
        objective: Goal = "makespan",
        name: str = "jobshop",
        job_names: Sequence[str] | None = None,
        machine_names: Sequence[str] | None = None,
        state: ShopState | None = None,
    ) -> None:
        from .validate import check_state, maintenance_windows, pad_routes, per_job, refuse_standing_still

        set_ = self.__dict__.__setitem__
        route, work = pad_routes(machines, durations, job_names)
        jobs = len(route)
        count = int(route.max()) + 1
        if machine_names is not None:
            if count > len(machine_names):
                raise DataError(f"machine {count - 1} is used but only {len(machine_names)} machine_names are given")
            count = len(machine_names)
        if storage not in ("unlimited", "blocking"):
            raise DataError(f"storage is {storage!r}: give 'unlimited' or 'blocking'")
        if objective not in GOALS:
            raise DataError(f"objective is {objective!r}: give one of {', '.join(GOALS)}")
        set_("name", name)
        set_("machines", route)
        set_("durations", work)
        set_("n_operations", per_job("operations", (route >= 0).sum(axis=1), jobs, 0))
        set_("n_machines", count)
        set_("storage", storage)
        set_("swap", bool(swap) if storage == "blocking" else True)
        if interruptions is not None and not isinstance(interruptions, Interruptions):
            raise DataError(f"interruptions is {interruptions!r}: give a law, such as Interruptions(p=0.1)")
        set_("interruptions", interruptions or Interruptions())
        set_("job_names", tuple(job_names) if job_names is not None else tuple(f"job {j}" for j in range(jobs)))
        set_("machine_names", tuple(machine_names or (f"machine {m}" for m in range(count))))
        set_("release", per_job("release", release, jobs, 0))
        set_("weights", per_job("weights", weights, jobs, 1))
        set_("due", None if due is None else per_job("due", due, jobs, 0))
        set_("objective", Objective("min", objective, "time units"))
        set_("maintenance", maintenance_windows(maintenance, count))
        set_("state", state)
        if state is not None:
            check_state(state, route, self.job_names)
        if self.blocking:
            refuse_standing_still(self.machines, self.job_names)
        self._check_dates()

    def __setattr__(self, key: str, value: Any) -> None:
        raise AttributeError(f"JobShop is immutable: make a new one with .replace({key}=...)")

    # typed views of what __init__ sets
    machines: IntArray
    durations: IntArray
    n_operations: IntArray
    n_machines: int
    storage: Literal["unlimited", "blocking"]
    swap: bool
    interruptions: Interruptions
    maintenance: IntArray
    release: IntArray
    due: IntArray | None
    weights: IntArray
    job_names: tuple[str, ...]
    machine_names: tuple[str, ...]
    state: ShopState | None

    def _check_dates(self) -> None:
        if self.due is None:
            if self.objective.name == "weighted_tardiness":
                raise DataError("objective 'weighted_tardiness' needs due dates: give due=(one per job)")
            return
        earliest = self.release + self.durations.sum(axis=1)
        for j in np.flatnonzero(self.due < self.release):
            raise DataError(
                f"{self.job_names[j]}: due date {self.due[j]} lies before its release date {self.release[j]}: "
                "no schedule can meet it"
            )
        late = np.flatnonzero(self.due < earliest)
        if len(late):
            j = late[0]
            warnings.warn(
                f"{len(late)} job(s) are late in every schedule, e.g. {self.job_names[j]}: due {self.due[j]}, earliest "
                f"completion {earliest[j]}",
                UnmeetableDueDate,
                stacklevel=3,
            )

    # ---- shape -------------------------------------------------------------------------------------------------
    @property
    def n_jobs(self) -> int:
        """Number of jobs J."""
        return len(self.machines)

    @property
    def blocking(self) -> bool:
        """Whether jobs hold their machine until the next accepts them."""
        return self.storage == "blocking"

    @property
    def variant(self) -> str:
        """The field's name: JSP, BWS (blocking with swap), BNS (blocking, no swap) or ISBJSSP (BWS interrupted)."""
        if not self.blocking:
            return "JSP"
        if not self.swap:
            return "BNS"
        return "ISBJSSP" if self.interruptions.active else "BWS"

    # ---- content -----------------------------------------------------------------------------------------------
    def content(self) -> dict[str, Any]:
        """Ragged lists, so that padding does not change the hash."""
        route = [self.machines[j, :n].tolist() for j, n in enumerate(self.n_operations)]
        work = [self.durations[j, :n].tolist() for j, n in enumerate(self.n_operations)]
        return {
            "machines": route,
            "durations": work,
            "n_machines": self.n_machines,
            "storage": self.storage,
            "swap": self.swap,
            "interruptions": self.interruptions.to_dict() if self.interruptions.active else None,
            "maintenance": self.maintenance.tolist(),
            "release": self.release.tolist(),
            "due": None if self.due is None else self.due.tolist(),
            "weights": self.weights.tolist(),
            "objective": self.objective.name,
            "state": None if self.state is None else self.state.to_dict(),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, names included."""
        names = {"name": self.name, "job_names": list(self.job_names), "machine_names": list(self.machine_names)}
        return {**self.content(), **names}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        fields = {k: v for k, v in data.items() if k != "n_machines"}
        cut = fields.get("interruptions")
        fields["interruptions"] = None if cut is None else Interruptions.from_dict(cut)
        state = fields.get("state")
        fields["state"] = None if state is None else ShopState.from_dict(state)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnmeetableDueDate)
            return cls(**fields)

    def replace(self, **changes: Any) -> Self:
        """A copy with some constructor arguments changed."""
        own = {key: getattr(self, key) for key in ("storage", "swap", "interruptions", "maintenance", "release", "due")}
        own |= {key: getattr(self, key) for key in ("weights", "name", "job_names", "machine_names", "state")}
        own |= {"machines": self.machines, "durations": self.durations, "objective": self.objective.name}
        with warnings.catch_warnings():
            if not changes.keys() & {"machines", "durations", "release", "due"}:  # it was said when self was made
                warnings.simplefilter("ignore", UnmeetableDueDate)
            return type(self)(**{**own, **changes})

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self).from_dict, (self.to_dict(),))

    def __repr__(self) -> str:
        size = f"{self.n_jobs}x{self.n_machines}"
        return f"<JobShop {self.name} {size} {self.variant} {self.objective.name} {self.content_hash[:8]}>"

    def describe(self) -> dict[str, Any]:
        """What ``orrl info`` prints."""
        return {
            **super().describe(),
            "variant": self.variant,
            "jobs": self.n_jobs,
            "machines": self.n_machines,
            "operations": int(self.n_operations.sum()),
        }

    # ---- ways in -----------------------------------------------------------------------------------------------
    @classmethod
    def from_frame(cls, frame: pd.DataFrame, **options: Any) -> Self:
        """From a table with one row per operation; see `orrl.problems.jobshop.io.from_frame`."""
        from .io import from_frame

        return from_frame(cls, frame, **options)

    @classmethod
    def generate(cls, *, seed: int, **size: Any) -> Self:
        """One random shop; see `orrl.problems.jobshop.generator.generate`."""
        from .generator import generate

        return generate(cls, seed=seed, **size)

    @classmethod
    def generator(cls, **ranges: Any) -> ShopGenerator:
        """A distribution of shops with ``.sample(n, seed, split)``."""
        from .generator import ShopGenerator

        return ShopGenerator(**ranges)

    @classmethod
    def planted(cls, *, seed: int, jobs: int, machines: int, **options: Any) -> tuple[Self, int]:
        """A random shop and its optimal makespan, known by construction."""
        from .generator import planted

        return planted(cls, seed=seed, jobs=jobs, machines=machines, **options)

    # ---- randomness --------------------------------------------------------------------------------------------
    @property
    def stochastic(self) -> bool:
        """Whether machines are interrupted at random."""
        return self.interruptions.active

    def scenario(self, seed: int) -> Outages:
        """Outages of one episode; what had happened by the starting state stays."""
        if not self.stochastic:
            return self.nominal()
        return self._with_past(self.interruptions.draw(self.durations, self.n_machines, seed))

    def nominal(self) -> Outages:
        """No further outages."""
        return self._with_past(Outages(np.zeros(self.durations.shape, np.int64)))

    def _with_past(self, world: Outages) -> Outages:
        if self.state is None:
            return world
        return world.after(self.state.time, self.state.start >= 0, self.state.past)

    # ---- the two faces and their bridges ------------------------------------------------------------------------
    def evaluate(self, solution: Any, scenario: Any | None = None) -> Evaluation:
        """The referee's verdict on a `Schedule`; without a scenario, under no outages."""
        from .referee import evaluate

        return evaluate(self, solution, self.nominal() if scenario is None else scenario)

    def forms(self) -> dict[str, tuple[str, ...]]:
        """Formulations per backend, the default first; empty where no program can say this variant."""
        from .programs import forms

        return forms(self)

    def program(
        self, *, backend: str, form: str | None = None, scenario: Outages | None = None, **options: Any
    ) -> Program:
        """Build a model; see `orrl.problems.jobshop.programs`."""
        from .programs import program

        return program(self, backend=backend, form=form, scenario=scenario, **options)

    def local_search(self, scenario: Outages | None = None) -> ShopSearch:
        """Machine sequences as a neighbourhood, under one known scenario."""
        from .local_search import ShopSearch

        return ShopSearch(self, scenario)

    def supports(self, capability: type) -> Support:
        """As `Problem.supports`; programs and the local search depend on the interruptions."""
        from ...core.capabilities import HasLocalSearch, HasProgram

        if capability is HasLocalSearch and (len(self.maintenance) or self.interruptions.law == "mtbf"):
            return Support(False, "the local search has no machine calendars; use cp-sat or rollout")
        if capability is HasProgram and not self.forms():
            return Support(False, "a calendar of breakdowns with mode='repeat' has no program here; use mode='resume'")
        return super().supports(capability)

    @classmethod
    def kernel(cls, problems: Sequence[JobShop], **options: Any) -> ShopKernel:
        """The event-driven simulator over a batch of shops of mixed size."""
        from .kernel import ShopKernel

        return ShopKernel(problems, **options)

    def env(self, **options: Any) -> JobShopEnv:
        """A Gymnasium view of the kernel."""
        from .env import JobShopEnv

        return JobShopEnv(self, **options)

    @classmethod
    def vector_env(cls, problems: Sequence[JobShop], scenarios: Any = None, **options: Any) -> JobShopVectorEnv:
        """A ``gymnasium.vector.VectorEnv``, one row a problem."""
        from .env import JobShopVectorEnv

        return JobShopVectorEnv(problems, scenarios, **options)

    def graph_spec(self) -> GraphSpec:
        """Sizes of the observation with ``obs="graph"``."""
        from .graph_observation import graph_spec

        return graph_spec(self.kernel([self]))

    def at(self, state: ShopState) -> Self:
        """The same shop from a running state."""
        return self.replace(state=state)

    @property
    def accrued(self) -> float:
        """Part of the objective before the starting state."""
        from .referee import accrued

        return accrued(self)

    def solution(self, trajectory: Trajectory) -> Schedule:
        """Schedule that an episode played."""
        from .schedule import Schedule

        if trajectory.failed:
            raise NotSupportedError("the episode ended in a deadlock: it has no schedule")
        return Schedule.realised(self, trajectory.final.start, trajectory.scenario)

    def actions(self, solution: Schedule, scenario: Outages) -> npt.NDArray[np.int64]:
        """Decisions that realise a schedule under `scenario`."""
        from .replay import actions

        return actions(self, solution, scenario)

    def rules(self) -> dict[str, Policy]:
        """Dispatching rules by name."""
        from .rules import rules

        return rules()

    def name_action(self, action: int) -> str:
        """An action in the shop's own words."""
        return "wait" if action == self.n_jobs else f"move {self.job_names[action]}"
