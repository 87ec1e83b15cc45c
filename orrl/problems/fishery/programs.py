"""The mathematical programs of a fishery: linear programs whose answer is a policy, and the deterministic control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.errors import DataError, NotSupportedError, UnknownNameError
from ...core.program import Program
from ...core.tabular_lp import table_forms, table_program
from .data import Harvest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...core.program import Outcome
    from .data import Fishery
    from .growth import Growth

__all__ = ["Control", "forms", "program"]


def forms(problem: Fishery) -> dict[str, tuple[str, ...]]:
    """Forms per backend, see `orrl.core.tabular_lp`; "control" is Pyomo's alone."""
    table = table_forms(problem)
    return {**table, "pyomo": (*table["pyomo"], "control")} if table else {}


def program(
    problem: Fishery, *, backend: str, form: str | None = None, scenario: Any | None = None, **options: Any
) -> Program:
    """Build one form.

    Parameters
    ----------
    problem : Fishery
        From its running state if it has one.
    backend : {"pyomo", "highspy", "cvxpy"}
        Of which library the model is.
    form : {"occupation", "values", "post-decision", "cmdp", "control"}
        See `orrl.core.tabular_lp` for the linear programs, `Control` for the last.
    options : mapping
        Of the form.

    Raises
    ------
    UnknownNameError, NotSupportedError
        For another backend or form, or a scenario.
    """
    known = forms(problem)
    if backend in known and form == "control":
        if backend != "pyomo":
            raise UnknownNameError(f"{backend} form", form, known[backend])
        if scenario is not None:
            raise NotSupportedError("form 'control' is about the fishery without noise: leave scenario out")
        return Control(problem, **options)
    return table_program(problem, backend=backend, form=form, scenario=scenario, **options)


class Control(Program):
    """Optimal quotas without noise (Clark 1990, Mathematical Bioeconomics, chapter 2), a nonlinear program.

    ``max sum discount**t u(x_t, c_t)`` with ``x_{t+1} = f(x_t - c_t)``, or ``f(x_t) - c_t`` where growth comes first.
    Quotas are real numbers and noise is left out, so neither is its value one of the fishery, nor a bound of it, unless
    ``sigma_g`` is 0 and ``process`` "continuous". Ipopt finds a local optimum; growth with an Allee effect has others.

    Parameters
    ----------
    problem : Fishery
        The fishery; its cheapest survey is the one that is made.
    years : int, optional
        Years from the beginning; the problem's by default. The last one takes what is worth taking.
    stock : float, optional
        Stock now; by default the given start, else the mean of the belief.

    Attributes
    ----------
    model : pyomo.environ.ConcreteModel
        With ``stock`` (T + 1), ``catch`` (T), ``left`` (T) and the constraints ``growth``.
    """

    backend = "pyomo"
    form = "control"
    nonlinear = True
    relaxation = True
    relaxation_of = "the fishery without noise"

    def __init__(self, problem: Fishery, *, years: int | None = None, stock: float | None = None) -> None:
        import pyomo.environ as pyo

        end = problem.years if years is None else int(years)
        if end <= problem.stage:
            raise DataError(f"years is {years!r}: {problem.stage} have passed, give more")
        first = _stock(problem) if stock is None else float(stock)
        if not first >= 0.0:
            raise DataError(f"stock is {stock!r}: give 0 or more")
        self.sense, self.problem = problem.objective.sense, problem
        self.effort = min(range(len(problem.surveys)), key=lambda e: problem.surveys[e][1])
        fee = problem.surveys[self.effort][1]
        kept = problem.reference.escapement
        least = 1e-9 if problem.cost > 0.0 else 0.0  # the cost divides by the stock
        recruits = problem.order == "recruit-harvest"
        m: Any = pyo.ConcreteModel(problem.name)
        m.t = pyo.RangeSet(problem.stage, end - 1)
        m.stock = pyo.Var(pyo.RangeSet(problem.stage, end), bounds=(least, None), initialize=max(kept, 0.1 * first))
        m.catch = pyo.Var(m.t, bounds=(0.0, None), initialize=0.1 * max(kept, 1e-3))
        m.stock[problem.stage].fix(first)
        # a variable of its own keeps what is left above 0 inside the search, where fractional powers are defined
        # (the slope of s**theta has a slope without end at 0, where the search would never come to rest)
        floor = 1e-6 if problem.growth.family == "myers" else 0.0
        m.left = pyo.Var(m.t, bounds=(floor, None), initialize=max(kept, 1e-3))
        m.leave = pyo.Constraint(m.t, rule=lambda m, t: m.left[t] == m.stock[t] - m.catch[t])

        def grows(m: Any, t: int) -> Any:
            if recruits:
                return m.stock[t + 1] == _grown(problem.growth, m.stock[t]) - m.catch[t]
            return m.stock[t + 1] == _grown(problem.growth, m.left[t])

        def utility(m: Any, t: int) -> Any:
            gain = problem.price * _power(m.catch[t], problem.power) - fee
            if problem.cost > 0.0:
                gain -= problem.cost * _power(m.catch[t], problem.cost_power) / m.stock[t]
            return problem.discount**t * gain

        m.growth = pyo.Constraint(m.t, rule=grows)
        m.npv = pyo.Objective(sense=pyo.maximize, expr=problem.accrued + sum(utility(m, t) for t in m.t))
        m.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
        self.model = m

    def encode(self, solution: Harvest, *, fix: bool = False) -> None:
        """Catches to begin from, or fixed; a quota beyond the stock leaves a fixed model without a solution."""
        m = self.model
        for t in m.t:
            m.catch[t].set_value(solution.quota[t], skip_validation=True)
            if fix:
                m.catch[t].fix()

    def decode(self, value: Callable[[Any], float]) -> Harvest:
        """Catches as quotas."""
        past = self.problem.state
        before = ((), ()) if past is None else (past.quota, past.effort)
        quota = tuple(max(0.0, value(self.model.catch[t])) for t in self.model.t)
        return Harvest((*before[0], *quota), (*before[1], *(self.effort for _ in quota)))

    def solve(self, **options: Any) -> Outcome:
        """As `Program.solve`, by Ipopt unless another solver is named."""
        return super().solve(**{"solver": "ipopt", **options})

    @property
    def objective_variable(self) -> Any:
        """The net present value."""
        return self.model.npv


def _stock(problem: Fishery) -> float:
    if problem.state is not None and problem.observed:
        return problem.state.stock[-1]
    if problem.state is None and (problem.start == "paper" or isinstance(problem.start, float | int)):
        from .belief import first_stock

        return first_stock(problem)
    return float(problem.belief @ problem.grids.stocks)


def _power(x: Any, exponent: float) -> Any:
    return x if exponent == 1.0 else x**exponent


def _grown(growth: Growth, s: Any) -> Any:
    """The growth laws of `growth` as Pyomo expressions; where a law stops at 0 the stock's own bound does."""
    import pyomo.environ as pyo

    kind = growth.family
    p: Any = growth
    if kind == "gordon-schaefer":
        return s + p.r * s * (1.0 - s / p.K)
    if kind == "ricker":
        return s * pyo.exp(p.r * (1.0 - s / p.K))
    if kind == "beverton-holt":
        return (1.0 + p.r) * s / (1.0 + p.r * s / p.K)
    if kind == "allen":
        return s * pyo.exp(p.r * (1.0 - s / p.K) * (s - p.C) / p.K)
    if kind == "may":
        return s + p.r * s * (1.0 - s / p.K) - p.a * s**p.q / (s**p.q + p.b**p.q)
    if kind == "myers":
        return p.r * s**p.theta / (1.0 + s**p.theta / p.K)
    raise NotSupportedError(f"growth family {kind!r} has no Pyomo expression: use solvers on the tables")
