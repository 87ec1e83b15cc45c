"""Linear programs of finite Markov decision processes, from the tables of any problem: one description, three backends.

The answers are policies. Where the tables have observations the programs are of the problem whose state is seen: their
optimum is then a bound, unless ``seen=True`` asks for the policy that sees the state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .capabilities import HasPostDecision, HasTabular
from .errors import DataError, NotSupportedError, UnknownNameError
from .linear import Linear
from .program import Program
from .tables import TablePolicy, policy_value
from .tabular_backends import TablesInCvxpy, TablesInHighs, TablesInPyomo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .decision_models import TabularMDP
    from .linear import Key

__all__ = ["SEEN", "TableProgram", "risky", "table_forms", "table_program"]

FloatArray = npt.NDArray[np.float64]
SEEN = "the problem with its state seen"
BACKENDS = ("pyomo", "highspy", "cvxpy")


def table_forms(problem: Any) -> dict[str, tuple[str, ...]]:
    """Forms per backend of a problem with tables; "post-decision" only where it has one."""
    if not problem.supports(HasTabular):
        return {}
    small = ("post-decision",) if problem.supports(HasPostDecision) else ()
    return dict.fromkeys(BACKENDS, ("occupation", "values", *small, "cmdp"))


def table_program(
    problem: Any, *, backend: str, form: str | None = None, scenario: Any | None = None, **options: Any
) -> TableProgram:
    """Build one form.

    Parameters
    ----------
    problem : Problem
        With tables.
    backend : {"pyomo", "highspy", "cvxpy"}
        Of which library the model is.
    form : {"occupation", "values", "post-decision", "cmdp"}
        How often each state and action occur (the dual; Puterman 1994, section 6.9), the values (the primal), the dual
        over shared rows, or the dual with a limit on the discounted time in some states (Altman 1999).
    scenario : None
        The programs are about the whole law.
    options : mapping
        ``seen=True``: the policy may see the state; "cmdp" also takes ``limit=`` and ``states=``.

    Raises
    ------
    UnknownNameError, NotSupportedError
        For another backend or form, or a scenario.
    """
    known = table_forms(problem)
    if backend not in known:
        raise UnknownNameError("backend", backend, known)
    form = form or known[backend][0]
    if form not in known[backend]:
        raise UnknownNameError(f"{backend} form", form, known[backend])
    if scenario is not None:
        raise NotSupportedError(f"form {form!r} is about the whole law: leave scenario out")
    built: TableProgram = _kind(backend, form)(problem, **options)
    return built


def risky(problem: Any, states: Any = None) -> npt.NDArray[np.bool_]:
    """Mask (S,) of states given as a mask, as numbers or as names; by default the problem's own ``risk_states()``.

    Raises
    ------
    DataError
        For what is none of these.
    """
    table = problem.tabular()
    count = len(table.reward)
    if states is None:
        own = getattr(problem, "risk_states", None)
        if own is None:
            raise DataError(f"{problem.name} has no risk_states(): say which states count with states=")
        states = own()
    given = list(np.asarray(states).tolist())
    if len(given) == count and all(isinstance(v, bool) for v in given):
        return np.array(given, np.bool_)
    mask = np.zeros(count, np.bool_)
    names = {name: i for i, name in enumerate(table.state_names)}
    for one in given:
        i = names.get(one, one) if isinstance(one, str) else one
        if not isinstance(i, int) or isinstance(one, bool) or not 0 <= i < count:
            raise DataError(f"states has {one!r}: give numbers 0..{count - 1}, names, or a mask of {count} booleans")
        mask[i] = True
    return mask


class TableProgram(Program, ABC):
    """A linear program of a problem's tables; a form adds the rows, a backend renders them.

    Attributes
    ----------
    linear : Linear
        Columns and rows, in the unit and with the constant of the problem's objective.
    table : TabularMDP
        S states, A actions.
    """

    linear: Linear
    variable: Callable[[Key], Any]
    objective_sense: ClassVar[int] = 1  # -1: the program's own sense is the other one

    def __init__(self, problem: Any, *, seen: bool = False, **options: Any) -> None:
        goal = problem.objective
        self.problem, self.sense, self.options = problem, goal.sense, {"seen": seen, **options}
        self.table: TabularMDP = problem.tabular()
        self.hidden = self.table.observation is not None
        self.relaxation, self.relaxation_of = self.hidden and not seen, SEEN
        self.factor = goal.sign * goal.discount**goal.stage
        self.alive = self.table.mask.any(axis=1)
        self.s, self.a = np.nonzero(self.table.mask)
        flip = {"max": "min", "min": "max"}
        own: Any = goal.sense if self.objective_sense > 0 else flip[goal.sense]
        self.linear = Linear(offset=float(problem.accrued), sense=own)
        self._describe()
        self.render()

    @abstractmethod
    def _describe(self) -> None:
        """Fill `linear`."""

    @abstractmethod
    def render(self) -> None:
        """Make the backend's model."""

    @abstractmethod
    def dual(self, key: Key) -> float:
        """Change of the objective per unit of a row's right-hand side, once solved."""

    @abstractmethod
    def law(self, value: Callable[[Key], float]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Law of the action (S, A) or (T, S, A), and where it is final, (S,) or (T, S)."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.problem, self.backend, self.form, self.options)

    @property
    def times(self) -> Sequence[tuple[int, ...]]:
        """Keys of the steps: ``(t,)``, or one empty key for the stationary problem."""
        return [()] if self.table.horizon is None else [(t,) for t in range(self.table.horizon)]

    @property
    def rows(self) -> Any:
        """Law of the next state of each legal pair, (N, S) CSR."""
        states, actions = self.table.reward.shape
        stacked = sparse.vstack([sparse.csr_matrix(t) for t in self.table.transition]).tocsr()
        assert stacked.shape == (states * actions, states)
        return stacked[self.a * states + self.s]

    def parameters(self, threads: int) -> dict[str, Any]:
        """Options under which HiGHS is exact enough: an error counts 1 / (1 - discount) times."""
        return {"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9}

    def encode(self, solution: Any, *, fix: bool = False) -> None:
        """A plan is no policy."""
        raise NotSupportedError(f"form {self.form!r} holds policies: it cannot take a plan")

    def decode(self, value: Callable[[Any], float]) -> TablePolicy:
        """The policy; states that its optimal play never visits take the best action against its own values."""
        law, final = self.law(lambda key: value(self.variable(key)))
        name = f"{self.form} LP" + (" (sees the state)" if self.hidden else "")
        return TablePolicy(completed(self.table, law, final), content_hash=self.problem.content_hash, name=name)

    def policy(self) -> TablePolicy:
        """The policy of a relaxation that has been solved (`decode` is not called for one)."""
        return self.decode(self.number)

    @abstractmethod
    def number(self, variable: Any) -> float:
        """Number of a variable of the solved model."""

    def _normal(self, amount: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Occupation measures (..., S, A) as laws."""
        amount = np.maximum(amount, 0.0)
        total = amount.sum(axis=-1)
        visited = total > 1e-11 * max(1.0, float(amount.sum()))
        law = amount / np.where(visited, total, 1.0)[..., None]
        law[law < 1e-10] = 0.0
        law[~visited] = 0.0
        law /= np.where(visited, law.sum(axis=-1), 1.0)[..., None]
        return law, visited


def completed(table: TabularMDP, law: FloatArray, final: npt.NDArray[np.bool_]) -> FloatArray:
    """Fill the rows of a law that are not final by policy improvement (backwards where there is a horizon)."""
    states, actions = table.reward.shape
    alive = table.mask.any(axis=1)
    law = law.copy()

    def worth(value: FloatArray) -> FloatArray:
        ahead = np.stack([np.asarray(p @ value).ravel() for p in table.transition], axis=1)
        return np.where(table.mask, table.reward + table.discount * ahead, -np.inf)

    if table.horizon is not None:
        value = np.zeros(states)
        for t in reversed(range(table.horizon)):
            q = worth(value)
            open_ = alive & ~final[t]
            law[t, open_] = np.eye(actions)[q[open_].argmax(axis=1)]
            value = np.where(alive, (law[t] * np.where(law[t] > 0.0, q, 0.0)).sum(axis=1), 0.0)
        return law
    open_ = np.flatnonzero(alive & ~final)
    if not len(open_):
        return law
    chosen = table.reward[open_].copy()
    chosen[~table.mask[open_]] = -np.inf
    law[open_] = np.eye(actions)[chosen.argmax(axis=1)]
    for _ in range(200):
        q = worth(policy_value(table, law))[open_]
        now = (law[open_] * np.where(law[open_] > 0.0, q, 0.0)).sum(axis=1)
        better = q.max(axis=1) > now + 1e-11 * np.maximum(1.0, np.abs(now))
        if not better.any():
            break
        law[open_[better]] = np.eye(actions)[q[better].argmax(axis=1)]
    return law


class Occupation(TableProgram):
    """``x[s, a]``: expected discounted number of times that action a is taken in state s (with a horizon: at t)."""

    form = "occupation"

    def _describe(self) -> None:
        table, rows = self.table, self.rows
        pairs = list(zip(self.s.tolist(), self.a.tolist(), strict=True))
        out = sparse.csr_matrix((np.ones(len(pairs)), (self.s, np.arange(len(pairs)))), shape=rows.T.shape)
        self.x = [[("occupation", *t, *pair) for pair in pairs] for t in self.times]
        for step, keys in enumerate(self.x):
            weight = self.factor * (table.discount**step if table.horizon is not None else 1.0)
            for key, gain in zip(keys, (weight * table.reward[self.s, self.a]).tolist(), strict=True):
                self.linear.column(key, 0.0, np.inf, cost=gain)
        stationary = table.horizon is None
        here = (out - table.discount * rows.T).tocsr() if stationary else out
        there = None if stationary else (-rows.T).tocsr()
        for step, time in enumerate(self.times):
            for s in np.flatnonzero(self.alive).tolist():
                terms = _terms(here, s, self.x[step])
                if there is not None and step:
                    terms += _terms(there, s, self.x[step - 1])
                start = float(table.initial[s]) if step == 0 else 0.0
                self.linear.equal(("flow", *time, s), start, *terms)

    def law(self, value: Callable[[Key], float]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """In proportion to how often each action occurs."""
        amount = np.zeros((len(self.x), *self.table.reward.shape))
        for step, keys in enumerate(self.x):
            amount[step, self.s, self.a] = [value(key) for key in keys]
        return self._normal(amount if self.table.horizon is not None else amount[0])


class Constrained(Occupation):
    """The same with a limit on the discounted time in some states; the dual of its row is the price of risk."""

    form = "cmdp"

    def __init__(self, problem: Any, *, limit: float | None = None, states: Any = None, **options: Any) -> None:
        if limit is None:
            raise NotSupportedError("form 'cmdp' needs limit=, the discounted time allowed in the states of risk")
        if not limit >= 0.0:
            raise DataError(f"limit is {limit!r}: give a discounted time of at least 0, or infinity for no limit")
        self.limit, self.states = float(limit), risky(problem, states)
        super().__init__(problem, limit=limit, states=self.states.tolist(), **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.problem, self.backend, self.form, self.options)

    def _describe(self) -> None:
        super()._describe()
        terms: list[tuple[Key, float]] = []
        inside = np.flatnonzero(self.states[self.s]).tolist()
        for step, keys in enumerate(self.x):
            weight = 1.0 if self.table.horizon is None else self.table.discount**step
            terms += [(keys[i], weight) for i in inside]
        if terms:
            self.linear.at_most(("limit",), self.limit, *terms)

    @property
    def price(self) -> float:
        """What one more unit of discounted time in the states of risk would add to the objective, once solved."""
        return abs(self.dual(("limit",))) if ("limit",) in self.linear.rows else 0.0


class Values(TableProgram):
    """The smallest values ``v`` with ``v[s] >= r[s, a] + discount * P[s, a] v`` (with a horizon: one v a step)."""

    form = "values"
    objective_sense = -1

    def _describe(self) -> None:
        table, rows = self.table, self.rows
        alive = np.flatnonzero(self.alive).tolist()
        for step, time in enumerate(self.times):
            for s in alive:
                cost = self.factor * float(table.initial[s]) if step == 0 else 0.0
                self.linear.column(("value", *time, s), -np.inf, np.inf, cost=cost)
        own = sparse.csr_matrix((np.ones(len(self.s)), (np.arange(len(self.s)), self.s)), shape=rows.shape)
        stationary = table.horizon is None
        here = (own - table.discount * rows).tocsr() if stationary else own
        ahead = (-table.discount * rows).tocsr()
        gain = table.reward[self.s, self.a].tolist()
        names = [[("value", *time, s) for s in range(len(self.alive))] for time in self.times]
        for step, time in enumerate(self.times):
            for i, (s, a) in enumerate(zip(self.s.tolist(), self.a.tolist(), strict=True)):
                terms = [t for t in _terms(here, i, names[step]) if t[0] in self.linear.columns]
                if not stationary and step + 1 < len(names):
                    terms += [t for t in _terms(ahead, i, names[step + 1]) if t[0] in self.linear.columns]
                self.linear.at_least(("bellman", *time, s, a), gain[i], *terms)

    def law(self, value: Callable[[Key], float]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Greedy, then policy improvement: the values of states that play never visits need not be tight."""
        table = self.table
        states, actions = table.reward.shape
        law = np.zeros((len(self.times), states, actions))
        found = np.zeros((len(self.times) + 1, states))
        for step, time in enumerate(self.times):
            found[step, self.alive] = [value(("value", *time, s)) for s in np.flatnonzero(self.alive).tolist()]
        for step in range(len(self.times)):
            after = found[step] if table.horizon is None else found[step + 1]
            ahead = np.stack([np.asarray(p @ after).ravel() for p in table.transition], axis=1)
            q = np.where(table.mask, table.reward + table.discount * ahead, -np.inf)
            law[step, self.alive] = np.eye(actions)[q[self.alive].argmax(axis=1)]
        if table.horizon is not None:
            return law, np.zeros((len(self.times), states), np.bool_)
        reached, front = np.zeros(states, np.bool_), table.initial > 0.0
        chain = sum(sparse.csr_matrix(p).multiply(law[0][:, a, None]) for a, p in enumerate(table.transition)).tocsr()
        while (front & ~reached).any():
            reached |= front
            front = np.asarray(chain.T @ reached.astype(np.float64)).ravel() > 0.0
        worth = policy_value(table, law[0])
        tight = reached & (np.abs(worth - found[0]) <= 1e-7 * np.maximum(1.0, np.abs(worth)))
        return law[0], tight


class PostDecisionLp(TableProgram):
    """``y[s, e]``: how often state s leads to point e, and ``z[e]``, how often e is met: few columns, few entries."""

    form = "post-decision"

    def _describe(self) -> None:
        table, post = self.table, self.problem.post_decision()
        states = len(table.reward)
        order = np.argsort(post.reward, axis=1, kind="stable")  # the best action of a pair comes last
        self.best: dict[tuple[int, int], int] = {}
        for s in range(states):
            for a in order[s].tolist():
                self.best[s, int(post.index[s, a])] = a
        self.pairs = sorted(self.best)
        points = sorted({e for _, e in self.pairs})
        stationary = table.horizon is None
        into: dict[int, list[int]] = {e: [] for e in points}
        outof: dict[int, list[int]] = {s: [] for s in range(states)}
        for s, e in self.pairs:
            into[e].append(s)
            outof[s].append(e)
        for step, time in enumerate(self.times):
            weight = self.factor * (1.0 if stationary else table.discount**step)
            for s, e in self.pairs:
                gain = weight * float(post.reward[s, self.best[s, e]])
                self.linear.column(("take", *time, s, e), 0.0, np.inf, cost=gain)
            for e in points:
                self.linear.column(("leave", *time, e), 0.0, np.inf)
        arrive = post.rows.T
        for step, time in enumerate(self.times):
            before = time if stationary else self.times[step - 1]
            rate = table.discount if stationary else 1.0
            for s in range(states):
                terms: list[tuple[Key, float]] = [(("take", *time, s, e), 1.0) for e in outof[s]]
                if stationary or step:
                    terms += [(("leave", *before, e), -rate * p) for e in points if (p := float(arrive[s, e]))]
                start = float(table.initial[s]) if step == 0 else 0.0
                self.linear.equal(("flow", *time, s), start, *terms)
            for e in points:
                met: list[tuple[Key, float]] = [(("take", *time, s, e), -1.0) for s in into[e]]
                self.linear.equal(("point", *time, e), 0.0, (("leave", *time, e), 1.0), *met)

    def law(self, value: Callable[[Key], float]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """In proportion to how often each point is chosen."""
        amount = np.zeros((len(self.times), *self.table.reward.shape))
        for step, time in enumerate(self.times):
            for s, e in self.pairs:
                amount[step, s, self.best[s, e]] = value(("take", *time, s, e))
        return self._normal(amount if self.table.horizon is not None else amount[0])


@cache
def _kind(backend: str, form: str) -> Any:
    bases: dict[str, Any] = {"pyomo": TablesInPyomo, "highspy": TablesInHighs, "cvxpy": TablesInCvxpy}
    forms: dict[str, Any] = {kind.form: kind for kind in (Occupation, Values, PostDecisionLp, Constrained)}
    return type(f"{forms[form].__name__}In{backend.capitalize()}", (bases[backend], forms[form]), {})


def _again(problem: Any, backend: str, form: str, options: Mapping[str, Any]) -> Any:
    return _kind(backend, form)(problem, **options)


def _terms(matrix: Any, row: int, keys: Sequence[Key]) -> list[tuple[Key, float]]:
    """One row of a CSR matrix as terms of the columns `keys`."""
    begin, end = matrix.indptr[row], matrix.indptr[row + 1]
    cells = zip(matrix.indices[begin:end].tolist(), matrix.data[begin:end].tolist(), strict=True)
    return [(keys[i], v) for i, v in cells if v]
