"""One table of columns and rows, rendered for Pyomo, highspy and CP-SAT, so that all hold the same program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import OrrlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .types import Sense

__all__ = ["Key", "Linear", "to_cp_sat", "to_highs", "to_pyomo"]

Key = tuple[Any, ...]
"""A column or row: its family's name, then whole numbers, such as ``("start", job, operation)``."""


@dataclass(slots=True)
class Linear:
    """Minimise (or maximise) ``offset + sum cost x`` subject to ``lower <= sum a x <= upper``.

    Parameters
    ----------
    columns : dict of key to (lower, upper, integer, cost)
        Variables.
    rows : dict of key to (lower, terms, upper)
        Constraints; terms are (key, coefficient) pairs.
    offset : float
        Constant of the objective.
    sense : {"min", "max"}
        Direction of the objective.
    """

    columns: dict[Key, tuple[float, float, bool, float]] = field(default_factory=dict)
    rows: dict[Key, tuple[float, tuple[tuple[Key, float], ...], float]] = field(default_factory=dict)
    offset: float = 0.0
    sense: Sense = "min"

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

    def equal(self, key: Key, value: float, *terms: tuple[Key, float]) -> None:
        """Add ``sum a x = value``."""
        self.rows[key] = (float(value), terms, float(value))

    def relax(self) -> Linear:
        """The same table without integrality."""
        columns = {k: (low, high, False, cost) for k, (low, high, _, cost) in self.columns.items()}
        return Linear(columns, self.rows, self.offset, self.sense)


def to_pyomo(table: Linear, name: str, *, duals: bool = False) -> tuple[Any, dict[Key, Any]]:
    """A Pyomo model with one indexed component a family, such as ``model.start[0, 2]``.

    Parameters
    ----------
    table : Linear
        Columns and rows.
    name : str
        Name of the model.
    duals : bool
        Add a suffix ``model.dual`` that takes the duals of a linear program.

    Returns
    -------
    (pyomo.environ.ConcreteModel, dict)
        The model, and its variable for each column.
    """
    import pyomo.environ as pyo
    from pyomo.core.expr import LinearExpression

    model: Any = pyo.ConcreteModel(name)
    for family, keys in _families(table.columns).items():
        setattr(model, family, pyo.Var(keys) if keys != [None] else pyo.Var())
    own = {key: getattr(model, key[0])[_index(key)] for key in table.columns}
    for key, (lower, upper, integer, _) in table.columns.items():
        binary = integer and 0 <= lower <= upper <= 1
        own[key].domain = pyo.Binary if binary else pyo.Integers if integer else pyo.Reals
        own[key].setlb(lower)
        own[key].setub(upper)

    for family, keys in _families(table.rows).items():
        setattr(model, family, pyo.Constraint(keys) if keys != [None] else pyo.Constraint())
    for key, (lower, terms, upper) in table.rows.items():
        body = LinearExpression(linear_coefs=[a for _, a in terms], linear_vars=[own[c] for c, _ in terms])
        limits = (lower if lower > -np.inf else None, body, upper if upper < np.inf else None)
        getattr(model, key[0]).add(_index(key), limits)
    cost = pyo.quicksum(c * own[key] for key, (_, _, _, c) in table.columns.items() if c) + table.offset
    model.objective = pyo.Objective(expr=cost, sense=pyo.minimize if table.sense == "min" else pyo.maximize)
    if duals:
        model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    return model, own


def to_highs(table: Linear) -> tuple[Any, dict[Key, int]]:
    """The same as arrays in a silent ``highspy.Highs`` object, names included.

    Returns
    -------
    (highspy.Highs, dict)
        The model, and the number of each column.
    """
    import highspy

    where = {key: i for i, key in enumerate(table.columns)}
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_, lp.offset_ = len(table.columns), len(table.rows), table.offset
    columns = np.array([(low, high, cost) for low, high, _, cost in table.columns.values()]).reshape(-1, 3)
    lp.col_lower_, lp.col_upper_, lp.col_cost_ = columns.T.copy()
    if table.sense == "max":
        lp.sense_ = highspy.ObjSense.kMaximize
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
    model = highspy.Highs()
    model.silent()
    if model.passModel(lp) == highspy.HighsStatus.kError:
        raise OrrlError("HiGHS refuses the model: see its bounds and coefficients (infinite or not a number?)")
    return model, where


def to_cp_sat(table: Linear) -> tuple[Any, dict[Key, Any]]:
    """The same as a CP-SAT model, where every column may be taken for a whole number and every coefficient is one.

    Returns
    -------
    (ortools.sat.python.cp_model.CpModel, dict)
        The model, and its variable for each column.

    Raises
    ------
    OrrlError
        Naming a row or a column with a fraction.
    """
    from ortools.sat.python import cp_model

    def whole(value: float, key: Key) -> int:
        if value != int(value):
            raise OrrlError(f"{_label(key)} has {value!r}: CP-SAT takes whole numbers only, use another backend")
        return int(value)

    model = cp_model.CpModel()
    own = {
        key: model.new_int_var(whole(low, key), whole(high, key), _label(key))
        for key, (low, high, _, _) in table.columns.items()
    }
    for key, (lower, terms, upper) in table.rows.items():
        body = cp_model.LinearExpr.weighted_sum([own[c] for c, _ in terms], [whole(a, key) for _, a in terms])
        if lower == upper:
            model.add(body == whole(lower, key))
        else:
            if lower > -np.inf:
                model.add(body >= whole(lower, key))
            if upper < np.inf:
                model.add(body <= whole(upper, key))
    paid = {key: whole(cost, key) for key, (_, _, _, cost) in table.columns.items() if cost}
    worth = cp_model.LinearExpr.weighted_sum([own[key] for key in paid], list(paid.values()))
    worth += whole(table.offset, ("offset",))
    if table.sense == "min":
        model.minimize(worth)
    else:
        model.maximize(worth)
    return model, own


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
