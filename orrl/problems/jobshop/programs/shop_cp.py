"""What the two CP-SAT models of a job shop share: starts, finishes, outages, objective, hint and decoding."""

from __future__ import annotations

from abc import abstractmethod
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ortools.sat.python import cp_model

from ....core.errors import DataError, NotSupportedError
from ....core.program import Program
from ..calendar import Calendar
from ..schedule import Schedule
from .horizon import first_schedule, last_moment
from .timebounds import time_bounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..data import JobShop
    from ..interruptions import Outages

__all__ = ["Operation", "ShopCp"]

Operation = tuple[int, int]


class ShopCp(Program):
    """Starts S, finishes F and the objective; a subclass adds the machines.

    Parameters
    ----------
    problem : JobShop
        The shop; started operations keep their starts, the others begin no earlier than now.
    scenario : Outages, optional
        Solve clairvoyantly for it; no outages by default.
    hint : Schedule, optional
        A schedule to start from; by default the best of some quick insertions.
    horizon : int, optional
        Time by which everything is over, by default one that no sensible schedule exceeds.

    Attributes
    ----------
    start, finish : dict
        Model variable (or expression) of each operation (job, position).
    length : dict
        Time from start to finish where no outage can change it.
    lower : int
        Lower bound of the makespan.

    Raises
    ------
    NotSupportedError
        A machine calendar with ``mode="repeat"``.
    DataError
        A horizon below the lower bound.
    """

    backend: ClassVar[str] = "cp-sat"
    sense = "min"
    integral_objective = True

    def __init__(
        self,
        problem: JobShop,
        scenario: Outages | None = None,
        *,
        hint: Schedule | None = None,
        horizon: int | None = None,
    ) -> None:
        self.problem = problem
        self.scenario = problem.nominal() if scenario is None else scenario
        self.calendar = Calendar(problem, self.scenario)
        if self.calendar.repeat and any(self.calendar.windows):
            raise NotSupportedError("a machine calendar with mode='repeat' has no program here; use mode='resume'")
        self.assumption = "" if horizon is None else f"none is over by horizon={horizon}"
        self.horizon = last_moment(problem, self.scenario) if horizon is None else int(horizon)
        self._start_from: Schedule | None = None
        self._build()
        start = first_schedule(problem, self.scenario) if hint is None else hint
        if start is not None and (hint is not None or problem.blocking):
            self.encode(start)
        else:  # without storage limits CP-SAT finds its first schedules itself, and a hint of ours makes proofs longer
            self._start_from = start

    def _build(self) -> None:
        self.model = cp_model.CpModel()
        problem, begun = self.problem, self.problem.state
        bounds = time_bounds(problem, self.scenario, span=self.horizon)
        self.work, self.earliest, self.lower = bounds.work, bounds.earliest, bounds.lower
        self.operations = [(j, k) for j, n in enumerate(problem.n_operations.tolist()) for k in range(n)]
        self._readers: list[tuple[Any, Callable[[Schedule], int]]] = []
        self.start: dict[Operation, Any] = {}
        self.finish: dict[Operation, Any] = {}
        self.length: dict[Operation, int] = {}
        for j, k in self.operations:
            if begun is not None and begun.start[j, k] >= 0:
                at = int(begun.start[j, k])
                self.start[j, k] = self.new_int(at, at, f"start_{j}_{k}", _read_start(j, k))
                self.length[j, k] = self.calendar.finish(j, k, at) - at
                self.finish[j, k] = self.start[j, k] + self.length[j, k]
            else:
                low = int(bounds.earliest[j, k])
                self.start[j, k] = self.new_int(low, self.horizon, f"start_{j}_{k}", _read_start(j, k))
                self.finish[j, k] = self._finish(j, k)
        for j, k in self.operations:
            if k:
                self.model.add(self.start[j, k] >= self.finish[j, k - 1])
        self._objective()
        self._keep_the_past()
        self.machines()
        self._built = self._size()

    def _keep_the_past(self) -> None:
        """Nothing goes before what has begun, not even a visit of no length."""
        if self.problem.state is None:
            return
        for m in range(self.problem.n_machines):
            begun = [o for o in self.visits(m) if self.problem.state.start[o] >= 0]
            for a, b in product(begun, self.visits(m)):
                if b not in begun:
                    self.model.add(self.start[b] >= self.leaves(a))

    def _size(self) -> tuple[int, int]:
        return len(self.model.proto.variables), len(self.model.proto.constraints)

    @abstractmethod
    def machines(self) -> None:
        """Add that a machine takes one job at a time."""

    def hint_more(self, schedule: Schedule) -> None:
        """Hints of those of the subclass's variables that are not made by `new_int` and `new_bool`."""

    def new_int(self, low: int, high: int, name: str, read: Callable[[Schedule], int]) -> Any:
        """An integer variable, and how a schedule sets it."""
        variable = self.model.new_int_var(low, high, name)
        self._readers.append((variable, read))
        return variable

    def new_bool(self, name: str, read: Callable[[Schedule], bool]) -> Any:
        """A Boolean variable, and how a schedule sets it."""
        variable = self.model.new_bool_var(name)
        self._readers.append((variable, read))
        return variable

    def last(self, j: int) -> Operation:
        """Last operation of a job."""
        return j, int(self.problem.n_operations[j]) - 1

    def leaves(self, operation: Operation) -> Any:
        """When the machine is free again: the next start in a blocking shop, else the finish."""
        j, k = operation
        return self.start[j, k + 1] if self.problem.blocking and operation != self.last(j) else self.finish[operation]

    def visits(self, m: int) -> list[Operation]:
        """Operations on a machine."""
        return [(j, k) for j, k in self.operations if self.problem.machines[j, k] == m]

    def _finish(self, j: int, k: int) -> Any:
        """Start plus work; an outage that begins in between adds its length (``mode="resume"``).

        Each outage ``[begin, end)`` comes after the operation's finish, or before its start, or the operation has done
        less than its work by `begin` and goes on at `end`. The three exclude each other for every start, so the
        finish is a function of the start, the one of `Calendar.finish`.
        """
        start, work = self.start[j, k], int(self.work[j, k])
        windows = [
            (begin, end)
            for begin, end in self.calendar.windows[int(self.problem.machines[j, k])]
            if self.earliest[j, k] < end and begin <= self.horizon
        ]
        if not windows:
            self.length[j, k] = work
            return start + work
        finish = self.new_int(0, self.horizon, f"finish_{j}_{k}", _read_finish(j, k))
        spent = 0
        for begin, end in windows:
            spent += (end - begin) * self._across(j, k, begin, end, finish, start + work + spent)
        self.model.add(finish == start + work + spent)
        return finish

    def _across(self, j: int, k: int, begin: int, end: int, finish: Any, reached: Any) -> Any:
        """Literal: the outage interrupts operation (j, k); `reached` is its finish without this and later outages."""
        model, start = self.model, self.start[j, k]
        before = self.new_bool(f"before_{j}_{k}_{begin}", lambda s: int(s.finish[j, k]) <= begin)
        after = self.new_bool(f"after_{j}_{k}_{begin}", lambda s: int(s.start[j, k]) >= end)
        across = self.new_bool(f"across_{j}_{k}_{begin}", lambda s: s.start[j, k] < end and s.finish[j, k] > begin)
        model.add_exactly_one(before, across, after)
        model.add(finish <= begin).only_enforce_if(before)
        model.add(start <= begin - 1).only_enforce_if(~after)
        model.add(reached >= begin + 1).only_enforce_if(across)
        model.add(start >= end).only_enforce_if(after)
        return across

    def _objective(self) -> None:
        """The objective as an exact function of the finishes, so that every incumbent has the value it claims."""
        problem, model = self.problem, self.model
        done = [self.finish[self.last(j)] for j in range(problem.n_jobs)]
        if problem.objective.name == "makespan":
            self.objective_value = self.new_int(self.lower, self.horizon, "makespan", lambda s: s.makespan)
            model.add_max_equality(self.objective_value, done)
        elif problem.objective.name == "total_flow":
            self.objective_value = sum(done) - int(problem.release.sum())
        else:
            assert problem.due is not None
            late = [self._late(j, f, d) for j, (f, d) in enumerate(zip(done, problem.due.tolist(), strict=True))]
            self.objective_value = sum(w * t for w, t in zip(problem.weights.tolist(), late, strict=True))
        model.minimize(self.objective_value)

    def _late(self, j: int, finish: Any, due: int) -> Any:
        last = self.last(j)
        low = max(0, int(self.earliest[last] + self.work[last]) - due)
        late = self.new_int(low, self.horizon, f"late_{j}", lambda s: max(0, int(s.finish[last]) - due))
        self.model.add_max_equality(late, [finish - due, 0])
        return late

    @property
    def objective_variable(self) -> Any:
        """The variable or expression that is minimised."""
        return self.objective_value

    def encode(self, solution: Schedule, *, fix: bool = False) -> None:
        """Hint a schedule (the newest hint counts), or fix every start to it.

        Raises
        ------
        DataError
            A schedule to fix that lies beyond the horizon of a model that was extended by hand.
        """
        solution.check_shape(self.problem)
        plan = Schedule.realised(self.problem, solution.start, self.scenario)
        if fix:
            if plan.makespan > self.horizon:
                if self._size() != self._built:
                    raise DataError(
                        f"the schedule ends at {plan.makespan}, the model at {self.horizon}, and it was extended by "
                        "hand: build it with a larger horizon= and extend it then"
                    )
                self.horizon = plan.makespan
                self._build()
            for j, k in self.operations:
                self.model.add(self.start[j, k] == int(plan.start[j, k]))
            return
        self.model.clear_hints()
        for variable, read in self._readers:
            self.model.add_hint(variable, int(read(plan)))
        self.hint_more(plan)
        self._start_from = plan

    def fallback(self) -> Schedule | None:
        """The hinted schedule where it is feasible: the answer if CP-SAT finds none in time.

        None where rows were added by hand, since it need not keep them.
        """
        if self._start_from is None or self._size() != self._built or self._start_from.makespan > self.horizon:
            return None
        return self._start_from if self.problem.evaluate(self._start_from, self.scenario).feasible else None

    def objective_of(self, solution: Schedule) -> float:
        """Objective of a schedule."""
        return self.problem.evaluate(solution, self.scenario).objective

    def decode(self, value: Callable[[Any], float]) -> Schedule:
        """Read the starts; finishes follow from them."""
        start = np.full(self.problem.machines.shape, -1, np.int64)
        for j, k in self.operations:
            start[j, k] = round(value(self.start[j, k]))
        return Schedule.realised(self.problem, start, self.scenario)


def _read_start(j: int, k: int) -> Callable[[Schedule], int]:
    return lambda schedule: int(schedule.start[j, k])


def _read_finish(j: int, k: int) -> Callable[[Schedule], int]:
    return lambda schedule: int(schedule.finish[j, k])
