"""One table of columns and rows, rendered for Pyomo and for highspy, so that both hold the same program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ....core.errors import DataError, OrrlError
from ....core.program import Program
from ..schedule import Schedule
from .timebounds import TimeBounds, refuse_windows, time_bounds

if TYPE_CHECKING:
    from ..data import JobShop
    from ..interruptions import IntArray, Outages

__all__ = ["HighsModel", "Key", "Linear", "PyomoModel", "ShopProgram"]

Key = tuple[Any, ...]
"""A column or row: its family's name, then whole numbers, such as ``("start", job, operation)``."""


@dataclass(slots=True)
class Linear:
    """Minimise ``offset + sum cost x`` subject to ``lower <= sum a x <= upper``.

    Parameters
    ----------
    columns : dict of key to (lower, upper, integer, cost)
        Variables.
    rows : dict of key to (lower, terms, upper)
        Constraints; terms are (key, coefficient) pairs.
    offset : float
        Constant of the objective.
    """

    columns: dict[Key, tuple[float, float, bool, float]] = field(default_factory=dict)
    rows: dict[Key, tuple[float, tuple[tuple[Key, float], ...], float]] = field(default_factory=dict)
    offset: float = 0.0

    def column(self, key: Key, lower: float, upper: float, *, integer: bool = False, cost: float = 0.0) -> Key:
        """Add a variable."""
        self.columns[key] = (float(lower), float(upper), integer, float(cost))
        return key

    def at_least(self, key: Key, lower: float, *terms: tuple[Key, float]) -> None:
        """Add ``sum a x >= lower``."""
        self.rows[key] = (float(lower), terms, float("inf"))

    def at_most(self, key: Key, upper: float, *terms: tuple[Key, float]) -> None:
        """Add ``sum a x <= upper``."""
        self.rows[key] = (float("-inf"), terms, float(upper))

    def relax(self) -> Linear:
        """The same table without integrality."""
        columns = {k: (low, high, False, cost) for k, (low, high, _, cost) in self.columns.items()}
        return Linear(columns, self.rows, self.offset)


class ShopProgram(Program, ABC):
    """What the linear programs of a job shop share.

    Parameters
    ----------
    problem : JobShop
        The shop.
    scenario : Outages, optional
        Solve clairvoyantly for it; no outages by default.
    horizon : float, optional
        An objective that some schedule is known to reach; it tightens the model and cuts off worse schedules.
    hint : Schedule, optional
        A schedule to start from; its objective is a horizon.
    relax : bool
        Leave integrality out: the optimum is only a bound.
    """

    sense = "min"
    integral_objective = True
    determined: ClassVar[tuple[str, ...]]  # families of columns that a schedule fixes
    relaxation_of: str
    bounds: TimeBounds

    def __init__(
        self,
        problem: JobShop,
        scenario: Outages | None = None,
        *,
        horizon: float | None = None,
        hint: Schedule | None = None,
        relax: bool = False,
    ) -> None:
        self.problem = problem
        self.scenario = problem.nominal() if scenario is None else scenario
        refuse_windows(problem, self.scenario, self.form)
        self.relaxation = relax
        self.relaxation_of = f"the {self.form} LP relaxation"
        self.horizon = self.first_horizon() if horizon is None else horizon
        self.span: int | None = None
        self.assumption = "" if horizon is None else f"none has an objective of at most horizon={horizon:g}"
        self._build()
        if hint is not None:
            self.encode(hint)

    def first_horizon(self) -> float | None:
        """Objective of a schedule that is quick to find, where the formulation needs one."""
        return None

    @abstractmethod
    def table(self) -> Linear:
        """Columns and rows within the present time bounds."""

    @abstractmethod
    def values(self, schedule: Schedule) -> dict[Key, float]:
        """Values of the columns that a schedule determines."""

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
    def size(self) -> tuple[int, int]:
        """Columns and rows of the model as it stands."""

    @abstractmethod
    def give(self, values: Mapping[Key, float], *, fix: bool) -> None:
        """Hand values to the model, as a start or fixed."""

    def _build(self) -> None:
        self.bounds = time_bounds(self.problem, self.scenario, self.horizon, self.span)
        self.linear = self.table()
        if self.relaxation:
            self.linear = self.linear.relax()
        self.render()
        self._built = self.size()

    def _rebuild(self, horizon: float | None, span: int | None = None) -> None:
        if self.size() != self._built:
            raise DataError(
                "the model was extended by hand, so it cannot be built anew for another horizon: build it with horizon= "
                "or hint= first and extend it then"
            )
        self.horizon, self.span = horizon, span
        self._build()

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
            False: start from it, and tighten the horizon to its objective; one that is not feasible under this
            program's scenario lends its machine sequences. True: fix starts and orders; a schedule beyond the horizon
            gets the model built anew with a wider one.

        Raises
        ------
        DataError
            A start that breaks rules, a fixed time that no column can take, or a model extended by hand that would have
            to be built anew.
        """
        solution.check_shape(self.problem)
        if fix:
            plan = Schedule.realised(self.problem, solution.start, self.scenario)
            if not self._fits(plan):
                self._rebuild(None, plan.makespan)
            if not self._fits(plan):
                broken = self.problem.evaluate(plan, self.scenario).violations
                raise DataError("the schedule cannot be fixed: " + "; ".join(broken[:3]))
            determined = {key: x for key, x in self.values(plan).items() if key[0] in self.determined}
            self.give(determined, fix=True)
            return
        plan = self._feasible(solution)
        value = self.objective_of(plan)
        if self.horizon is None or value < self.horizon:
            if self.size() == self._built:
                self._rebuild(value)
        elif value > self.horizon:
            return  # worse than what is known already
        if self._fits(plan) and not self.relaxation:
            self.give(self.values(plan), fix=False)

    def _feasible(self, schedule: Schedule) -> Schedule:
        plan = Schedule.realised(self.problem, schedule.start, self.scenario)
        verdict = self.problem.evaluate(plan, self.scenario)
        if verdict.feasible:
            return plan
        try:
            plan = Schedule.from_sequences(self.problem, schedule.sequences(), self.scenario)
            if self.problem.evaluate(plan, self.scenario).feasible:
                return plan
        except DataError:
            pass
        raise DataError("the schedule cannot be a start: " + "; ".join(verdict.violations[:3]))

    def _fits(self, schedule: Schedule) -> bool:
        own = self.problem.machines >= 0
        start, bounds = schedule.start[own], self.bounds
        return bool(np.all(bounds.earliest[own] <= start) and np.all(start <= bounds.latest[own]))

    def decode(self, value: Callable[[Any], float]) -> Schedule:
        """Schedule of a solution."""
        starts = self.read_starts(lambda key: value(self.variable(key)))
        return Schedule.realised(self.problem, starts, self.scenario)


class PyomoModel(ShopProgram):
    """Renders the table as a Pyomo model, one indexed component a family: ``model.start[0, 2]``."""

    backend: ClassVar[str] = "pyomo"

    def render(self) -> None:
        """Make the Pyomo model."""
        import pyomo.environ as pyo
        from pyomo.core.expr import LinearExpression

        model: Any = pyo.ConcreteModel(self.problem.name)
        table = self.linear
        for family, keys in _families(table.columns).items():
            setattr(model, family, pyo.Var(keys) if keys != [None] else pyo.Var())
        own = self._variables = {key: getattr(model, key[0])[_index(key)] for key in table.columns}
        for key, (lower, upper, integer, _) in table.columns.items():
            binary = integer and 0 <= lower <= upper <= 1
            own[key].domain = pyo.Binary if binary else pyo.Integers if integer else pyo.Reals
            own[key].setlb(lower)
            own[key].setub(upper)

        def rule_of(family: str) -> Callable[..., Any]:
            def rule(_: Any, *index: int) -> Any:
                lower, terms, upper = table.rows[(family, *index)]
                body = LinearExpression(linear_coefs=[a for _, a in terms], linear_vars=[own[key] for key, _ in terms])
                return (lower if lower > -np.inf else None, body, upper if upper < np.inf else None)

            return rule

        for family, keys in _families(table.rows).items():
            rule = rule_of(family)
            setattr(model, family, pyo.Constraint(keys, rule=rule) if keys != [None] else pyo.Constraint(rule=rule))
        cost = pyo.quicksum(c * own[key] for key, (_, _, _, c) in table.columns.items() if c) + table.offset
        model.objective = pyo.Objective(expr=cost, sense=pyo.minimize)
        if self.relaxation:
            model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
        self.model = model

    def variable(self, key: Key) -> Any:
        """The Pyomo variable of a column."""
        return self._variables[key]

    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self.model.nvariables(), self.model.nconstraints()

    def give(self, values: Mapping[Key, float], *, fix: bool) -> None:
        """Set or fix values."""
        for key, x in values.items():
            if fix:
                self._variables[key].fix(x)
            else:
                self._variables[key].set_value(x)

    @property
    def objective_variable(self) -> Any:
        """The Pyomo objective."""
        return self.model.objective


class HighsModel(ShopProgram):
    """Renders the table as arrays in a ``highspy.Highs`` object; its variables are column numbers."""

    backend: ClassVar[str] = "highspy"

    def render(self) -> None:
        """Pass the arrays to HiGHS."""
        import highspy

        table = self.linear
        where = self._columns = {key: i for i, key in enumerate(table.columns)}
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_, lp.offset_ = len(table.columns), len(table.rows), table.offset
        columns = np.array([(low, high, cost) for low, high, _, cost in table.columns.values()])
        lp.col_lower_, lp.col_upper_, lp.col_cost_ = columns.T.copy()
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        if any(integer for _, _, integer, _ in table.columns.values()):
            lp.integrality_ = [kinds[integer] for _, _, integer, _ in table.columns.values()]
        lp.row_lower_ = np.array([low for low, _, _ in table.rows.values()])
        lp.row_upper_ = np.array([high for _, _, high in table.rows.values()])
        entries = [(where[key], a) for _, terms, _ in table.rows.values() for key, a in terms]
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.cumsum([0, *(len(terms) for _, terms, _ in table.rows.values())]).astype(np.int32)
        lp.a_matrix_.index_ = np.array([i for i, _ in entries], np.int32)
        lp.a_matrix_.value_ = np.array([a for _, a in entries], float)
        lp.col_names_ = [_label(key) for key in table.columns]
        lp.row_names_ = [_label(key) for key in table.rows]
        self.model = highspy.Highs()
        self.model.silent()
        if self.model.passModel(lp) == highspy.HighsStatus.kError:
            raise OrrlError(f"HiGHS refuses the {self.form} model of {self.problem.name}")

    def variable(self, key: Key) -> int:
        """The column number."""
        return self._columns[key]

    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self.model.getNumCol(), self.model.getNumRow()

    def give(self, values: Mapping[Key, float], *, fix: bool) -> None:
        """Set a MIP start, or fix columns by their bounds."""
        where = np.array([self._columns[key] for key in values], np.int32)
        what = np.array(list(values.values()), float)
        if fix:
            self.model.changeColsBounds(len(where), where, what, what)
        else:
            self.model.setSolution(len(where), where, what)

    @property
    def objective_variable(self) -> Any:
        """The linear expression of the objective."""
        return self.model.getObjective()[0]

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("a highspy model cannot be pickled: send the problem and build the program there")


def _index(key: Key) -> Any:
    """Index of a key inside its Pyomo component."""
    return None if len(key) == 1 else key[1] if len(key) == 2 else key[1:]


def _families(keys: Mapping[Key, Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for key in keys:
        found.setdefault(key[0], []).append(_index(key))
    return found


def _label(key: Key) -> str:
    return key[0] + ("[" + ",".join(str(i) for i in key[1:]) + "]" if key[1:] else "")
