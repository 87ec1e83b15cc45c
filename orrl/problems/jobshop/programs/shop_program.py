"""What the linear programs of a job shop share: options, horizon, the ways in and out, and the two backends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ....core.errors import DataError
from ....core.program import Program
from ....core.rendered import InHighs, InPyomo
from ..schedule import Schedule
from .horizon import first_schedule
from .timebounds import TimeBounds, refuse_windows, serial_span, time_bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ....core.linear import Key, Linear
    from ..data import JobShop
    from ..interruptions import IntArray, Outages

__all__ = ["HighsModel", "PyomoModel", "ShopProgram"]


class ShopProgram(Program, ABC):
    """A linear program of a job shop; a form adds its table, a backend renders it.

    Parameters
    ----------
    problem : JobShop
        The shop.
    scenario : Outages, optional
        Solve clairvoyantly for it; no outages by default.
    horizon : int, optional
        Time by which everything is over, by default one that no sensible schedule exceeds.
    hint : Schedule, optional
        A schedule to start from; by default the best of some quick insertions. Its objective tightens the model: worse
        schedules are cut off.
    relax : bool
        Leave integrality out: the optimum is only a bound.
    cut : bool
        False keeps schedules that are worse than the start, which rows added by hand or another objective may need.

    Attributes
    ----------
    linear : Linear
        Columns and rows, before they are rendered.
    bounds : TimeBounds
        Earliest and latest starts.
    cutoff : float
        Schedules with a worse objective are not in the model; infinity where none was cut off.
    """

    sense = "min"
    integral_objective = True
    determined: ClassVar[tuple[str, ...]]  # families of columns that a schedule fixes
    relaxation_of: str
    linear: Linear
    bounds: TimeBounds

    def __init__(
        self,
        problem: JobShop,
        scenario: Outages | None = None,
        *,
        horizon: int | None = None,
        hint: Schedule | None = None,
        relax: bool = False,
        cut: bool = True,
    ) -> None:
        self.problem = problem
        self.scenario = problem.nominal() if scenario is None else scenario
        refuse_windows(problem, self.scenario, self.form)
        self.relaxation = relax
        self.relaxation_of = f"the {self.form} LP relaxation"
        self.horizon = None if horizon is None else int(horizon)
        self.span = self.horizon
        self.cut, self.cutoff = cut, np.inf
        self._start_from: Schedule | None = None
        start = first_schedule(problem, self.scenario) if hint is None else self._feasible(hint)
        if start is not None and self._in_time(start):
            self._start_from = start
            self.cutoff = self.objective_of(start) if cut else np.inf
        self._build()

    @abstractmethod
    def table(self) -> Linear:
        """Columns and rows within the present time bounds."""

    @abstractmethod
    def values(self, schedule: Schedule) -> dict[Key, float]:
        """Values of the columns of a schedule."""

    @abstractmethod
    def read_starts(self, value: Callable[[Key], float]) -> IntArray:
        """Whole-number starts (J, K) from column values."""

    @abstractmethod
    def render(self) -> None:
        """Make ``self.model`` from ``self.linear``."""

    @abstractmethod
    def variable(self, key: Key) -> Any:
        """The model's variable of a column, such as ``program.variable(("start", 0, 2))``."""

    @abstractmethod
    def size(self) -> tuple[float, ...]:
        """What tells a model that was changed by hand: its columns, rows and fixed values."""

    @abstractmethod
    def give(self, values: Mapping[Key, float], *, fix: bool) -> None:
        """Hand values to the model, as a start or fixed."""

    def begun(self, operation: tuple[int, int]) -> bool:
        """Whether an operation has started in the running state; nothing is put before it."""
        return self.problem.state is not None and bool(self.problem.state.start[operation] >= 0)

    def _build(self) -> None:
        self.bounds = time_bounds(self.problem, self.scenario, cutoff=self.cutoff, span=self.span)
        self.linear = self.table()
        if self.relaxation:
            self.linear = self.linear.relax()
        self.render()
        if self._start_from is not None and self._fits(self._start_from) and not self.relaxation:
            self.give(self.values(self._start_from), fix=False)
        self._built = self.size()

    def objective_of(self, solution: Schedule) -> float:
        """Objective in whole numbers."""
        return self.problem.evaluate(solution, self.scenario).objective

    def encode(self, solution: Schedule, *, fix: bool = False) -> None:
        """Give the model a schedule.

        Parameters
        ----------
        solution : Schedule
            A schedule of this shop.
        fix : bool
            False: start from it, and build the model anew where its objective makes it tighter; a schedule that is
            not feasible under this program's scenario lends its machine sequences, and one that is worse than the
            present start is left out. True: fix starts and orders; where they lie beyond the horizon the model is
            built anew with a wider one.

        Raises
        ------
        DataError
            A start that breaks rules, a fixed time that no column can take, or a model extended by hand that would have
            to be built anew.
        """
        solution.check_shape(self.problem)
        if fix:
            self._fix(Schedule.realised(self.problem, solution.start, self.scenario))
            return
        plan = self._feasible(solution)
        value = self.objective_of(plan)
        known = np.inf if self._start_from is None else self.objective_of(self._start_from)
        if value > min(known, self.cutoff) or not self._in_time(plan):
            return
        self._start_from = plan
        if self.cut and self.size() == self._built:
            self.cutoff = value
            self._build()
        elif self._fits(plan) and not self.relaxation:
            self.give(self.values(plan), fix=False)

    def _fix(self, plan: Schedule) -> None:
        self._start_from = None  # no answer but this one
        if not self._fits(plan):
            if self.size() != self._built:
                raise DataError(
                    f"the schedule ends at {plan.makespan}, later than the model can say, and that was extended by "
                    "hand: build it with a larger horizon= and extend it then"
                )
            work = self.bounds.work
            self.cutoff, self.horizon = np.inf, None
            self.span = max(serial_span(self.problem, work), plan.makespan)
            self._build()
        if not self._fits(plan):
            broken = self.problem.evaluate(plan, self.scenario).violations
            raise DataError("the schedule cannot be fixed: " + "; ".join(broken[:3]))
        values = self.values(plan)
        self.give({key: x for key, x in values.items() if key[0] in self.determined}, fix=True)
        if not self.relaxation:
            self.give(values, fix=False)
        self._built = self.size()

    @property
    def assumption(self) -> str:
        """What an infeasible model means, where it does not mean that the problem is infeasible."""
        if self.horizon is not None:
            return f"none is over by horizon={self.horizon}"
        if self.cutoff < np.inf and self.size() != self._built:
            return (
                f"none has an objective of at most {self.cutoff:g}, and the model was built to find no worse; for rows "
                "that exclude such schedules build it with cut=False"
            )
        return ""

    def fallback(self) -> Schedule | None:
        """The schedule that the model starts from: the answer if the solver finds none in time.

        None where the model was changed by hand, since the schedule need not keep what was added.
        """
        return self._start_from if self.size() == self._built else None

    def _in_time(self, schedule: Schedule) -> bool:
        return self.horizon is None or schedule.makespan <= self.horizon

    def _feasible(self, schedule: Schedule) -> Schedule:
        """The schedule where it keeps every rule, else the earliest one with its sequences."""
        schedule.check_shape(self.problem)
        plan = Schedule.realised(self.problem, schedule.start, self.scenario)
        verdict = self.problem.evaluate(plan, self.scenario)
        if verdict.feasible:
            return plan
        try:
            plan = Schedule.from_sequences(self.problem, schedule.sequences(), self.scenario)
        except DataError:
            pass
        else:
            if self.problem.evaluate(plan, self.scenario).feasible:
                return plan
        raise DataError("the schedule cannot be a start: " + "; ".join(verdict.violations[:3]))

    def _fits(self, schedule: Schedule) -> bool:
        own = self.problem.machines >= 0
        start = schedule.start[own]
        return bool(np.all(self.bounds.earliest[own] <= start) and np.all(start <= self.bounds.latest[own]))

    def decode(self, value: Callable[[Any], float]) -> Schedule:
        """Schedule of a solution."""
        starts = self.read_starts(lambda key: value(self.variable(key)))
        return Schedule.realised(self.problem, starts, self.scenario)


class PyomoModel(InPyomo, ShopProgram):
    """The program as a Pyomo model."""


class HighsModel(InHighs, ShopProgram):
    """The program as arrays in a ``highspy.Highs`` object."""
