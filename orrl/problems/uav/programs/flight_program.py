"""What the programs of UAV offloading share: UAVs as a flow through time and space, the ways in and out, the backends.

The UAVs are alike, so one anonymous flow carries them all and no column has a UAV's number, which takes the symmetry of
U! numberings out:

    visit[t, g] = sum over h of move[t, g, h] = sum over h of move[t - 1, h, g],        visit binary, move continuous.

Two UAVs that swap cells may as well both stay (Yu & LaValle 2012, arXiv 1204.5717), so swaps need no rows. UAVs with
ends of their own are not alike: each is a flow of its own then, with columns own[t, g, u] and move[t, g, h, u].
Two UAVs never stand too close: sum of visits over each clique of cells that exclude each other <= 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ....core.errors import DataError, OrrlError
from ....core.linear import Key, Linear
from ....core.program import Program
from ....core.rendered import InCpSat, InHighs, InPyomo
from ..association import assign

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ....core.program import Outcome
    from ....core.run import Run
    from ..data import UavOffloading
    from ..flight import Flight

__all__ = ["CpSatModel", "FlightProgram", "HighsModel", "PyomoModel", "cliques"]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
Term = tuple[Key, float]


class FlightProgram(Program, ABC):
    """Flows of UAVs; a form adds who is served, a backend renders the table.

    Slots in keys are counted from 0 at the first slot of all, cells by their numbers.

    Parameters
    ----------
    problem : UavOffloading
        The network; slots before the present one count as a constant of the objective.
    relax : bool
        Leave integrality out: the optimum is only a bound.
    keep : (T - t + 1, G) bool, optional
        Only these cells in each slot, from the present one on. The optimum (and a bound) is then that of the flights
        over these cells.
    hint : Flight, optional
        A flight to start from.

    Attributes
    ----------
    linear : Linear
        Columns and rows, before they are rendered.
    start : Flight or None
        The flight to start from.
    """

    sense = "max"
    integral_objective = True
    staged: ClassVar[bool] = True  # the linear relaxation is worth solving first
    linear: Linear
    start: Flight | None

    def __init__(
        self,
        problem: UavOffloading,
        *,
        relax: bool = False,
        keep: BoolArray | None = None,
        hint: Flight | None = None,
    ) -> None:
        self.problem, self.relaxation = problem, relax
        self.start: Flight | None = None
        self.fixed = False
        self.relaxation_of = f"the {self.form} LP relaxation"
        self.first = len(problem.position) - 1
        # (1 or U, T - t + 1, G): cells that a UAV of each flow can be on
        reach = problem.agent_graph().reachable()
        self.reach: BoolArray = np.logical_or.reduce(reach, keepdims=True) if problem.ends is None else reach
        self.assumption = ""
        if keep is not None:
            keep = np.asarray(keep, np.bool_)
            if keep.shape != self.reach.shape[1:]:
                raise DataError(f"keep has shape {keep.shape}: give (slots from now on, cells) {self.reach.shape[1:]}")
            self.reach = np.logical_and(self.reach, keep)
            self.assumption = "there is no flight over the cells of keep="
        self.cells = [np.flatnonzero(row).tolist() for row in np.logical_or.reduce(self.reach)]
        self.linear = self._table()
        if relax:
            self.linear = self.linear.relax()
        self.render()
        self._built = self.size()
        if hint is not None:
            self.encode(hint)

    # ---- what forms and backends add ---------------------------------------------------------------------------
    @abstractmethod
    def add_service(self, table: Linear, t: int) -> None:
        """Columns (with what they earn) and rows of the users in slot `t`."""

    @abstractmethod
    def service_values(self, flight: Flight, t: int) -> dict[Key, float]:
        """Values of those columns under a flight."""

    @abstractmethod
    def render(self) -> None:
        """Make ``self.model`` from ``self.linear``."""

    @abstractmethod
    def variable(self, key: Key) -> Any:
        """The model's variable of a column, such as ``program.variable(("visit", 3, 17))``."""

    @abstractmethod
    def size(self) -> tuple[float, ...]:
        """What tells a model that was changed by hand."""

    @abstractmethod
    def give(self, values: Mapping[Key, float], *, fix: bool) -> None:
        """Hand values to the model, as a start or fixed."""

    # ---- the table ---------------------------------------------------------------------------------------------
    @property
    def slots(self) -> range:
        """Slots of the model: the present one to the last."""
        return range(self.first, self.problem.n_slots)

    def here(self, t: int) -> list[int]:
        """Cells on which a UAV can be in slot `t`."""
        found: list[int] = self.cells[t - self.first]
        return found

    def presence(self, t: int, g: int) -> list[Term]:
        """Terms that sum to the number of UAVs (0 or 1) on a cell in a slot."""
        if self.problem.ends is None:
            return [(("visit", t, g), 1.0)]
        return [(("own", t, g, u), 1.0) for u in np.flatnonzero(self.reach[:, t - self.first, g]).tolist()]

    def node(self, flow: int, t: int, g: int) -> Key:
        """Column of one flow's visit to a cell."""
        return ("visit", t, g) if self.problem.ends is None else ("own", t, g, flow)

    def arc(self, flow: int, t: int, g: int, h: int) -> Key:
        """Column of one flow's move from `g` in slot `t` to `h` in the next."""
        return ("move", t, g, h) if self.problem.ends is None else ("move", t, g, h, flow)

    def _table(self) -> Linear:
        table, problem = Linear(sense="max"), self.problem
        past = problem.position
        table.offset = float(sum((assign(problem.radio, t, past[t]) >= 0).sum() for t in range(self.first)))
        for flow in range(len(self.reach)):
            self._add_flow(table, flow, past[-1] if problem.ends is None else past[-1][[flow]])
        groups = cliques(problem.too_close)
        # a cell without company still holds one UAV only, which several flows have to be told
        groups += [[g] for g in sorted(set(range(problem.n_cells)) - {g for group in groups for g in group})]
        for t in self.slots:
            here = set(self.here(t))
            for i, group in enumerate(groups):
                terms = [term for g in group if g in here for term in self.presence(t, g)]
                if len(terms) > 1:
                    table.at_most(("apart", t, i), 1.0, *terms)
        for t in self.slots:
            self.add_service(table, t)
        return table

    def _add_flow(self, table: Linear, flow: int, starts: IntArray) -> None:
        reach, targets = self.reach[flow], self.problem.targets
        for t in self.slots:
            for g in np.flatnonzero(reach[t - self.first]).tolist():
                begin = float(g in starts) if t == self.first else 0.0
                high = begin if t == self.first else 1.0
                table.column(self.node(flow, t, g), begin, high, integer=True)
        # a start that is not kept would silently fly one UAV less
        present = [(self.node(flow, self.first, g), 1.0) for g in np.flatnonzero(reach[0]).tolist()]
        table.equal(("begin", flow), float(len(starts)), *present)
        for t in self.slots[:-1]:
            now, later = reach[t - self.first], reach[t - self.first + 1]
            into: defaultdict[int, list[Term]] = defaultdict(list)
            for g in np.flatnonzero(now).tolist():
                out: list[Term] = []
                for h in targets[g].tolist():
                    if h >= 0 and later[h]:
                        term = (table.column(self.arc(flow, t, g, h), 0, 1), 1.0)
                        out.append(term)
                        into[h].append(term)
                table.equal(("leave", t, g, flow), 0.0, (self.node(flow, t, g), -1.0), *out)
            for h in np.flatnonzero(later).tolist():
                table.equal(("enter", t + 1, h, flow), 0.0, (self.node(flow, t + 1, h), -1.0), *into[h])

    # ---- in and out --------------------------------------------------------------------------------------------
    def encode(self, solution: Flight, *, fix: bool = False) -> None:
        """Give the model a flight.

        Parameters
        ----------
        solution : Flight
            A flight from the present state; whom it serves is not looked at, the best association is taken.
        fix : bool
            False: start from it. True: fix the cells of all UAVs.

        Raises
        ------
        DataError
            A flight that the model cannot say, naming UAV and slot.
        """
        values = self.flight_values(solution)
        if fix:
            self.start, self.fixed = None, True  # no answer but this one
            self.give({key: x for key, x in values.items() if key[0] in ("visit", "own")}, fix=True)
            self._built = self.size()
        elif not self.relaxation:
            for t in self.slots:
                values |= self.service_values(solution, t)
            self.give(values, fix=False)
            self.start = solution

    def flight_values(self, flight: Flight) -> dict[Key, float]:
        """Values of all visits and moves under a flight."""
        problem = self.problem
        cells = np.asarray(flight.cells)
        if cells.shape != (problem.n_slots, problem.n_uavs):
            raise DataError(f"the flight has cells of shape {cells.shape}, not {(problem.n_slots, problem.n_uavs)}")
        if not np.array_equal(cells[: self.first + 1], problem.position):
            raise DataError("the flight does not begin with the slots that have been flown")
        values = {key: 0.0 for key in self.linear.columns if key[0] in ("visit", "own", "move")}
        single = problem.ends is None
        for t in self.slots:
            for u, g in enumerate(cells[t].tolist()):
                flow, who = (0 if single else u), problem.uav_names[u]
                key = self.node(flow, t, g)
                if key not in values or (single and values[key]):
                    raise DataError(f"{who} cannot be on cell {g} in slot {t + 1}: out of reach, left out or taken")
                values[key] = 1.0
                if t + 1 < problem.n_slots:
                    way = self.arc(flow, t, g, int(cells[t + 1, u]))
                    if way not in values:
                        raise DataError(f"{who} cannot fly from cell {g} to {cells[t + 1, u]} in slot {t + 2}")
                    values[way] = 1.0
        return values

    def decode(self, value: Callable[[Any], float]) -> Flight:
        """Flight of a solution, with the best association; the anonymous flow is cut into one path a UAV."""
        problem = self.problem
        paths = np.zeros((len(self.slots), problem.n_uavs), np.int64)
        paths[0] = problem.position[-1]
        for i, t in enumerate(self.slots[1:], 1):
            if problem.ends is None:
                found = [g for g in self.here(t) if value(self.variable(("visit", t, g))) > 0.5]
                paths[i] = self._match(value, t - 1, paths[i - 1], found)
            else:
                for u in range(problem.n_uavs):
                    reach = np.flatnonzero(self.reach[u, i]).tolist()
                    paths[i, u] = max(reach, key=lambda g: value(self.variable(("own", t, g, u))))
        return problem.from_paths(paths)

    def _match(self, value: Callable[[Any], float], t: int, now: IntArray, found: list[int]) -> IntArray:
        """Next cell of each UAV: along moves that the flow takes, and the shortest ones among these."""
        from scipy.optimize import linear_sum_assignment

        if len(found) != len(now):
            raise OrrlError(f"the solver's answer has {len(found)} UAVs in slot {t + 2}, not {len(now)}")
        never, idle = 1e9, 1e4
        cost = np.full((len(now), len(found)), never)
        for u, g in enumerate(now.tolist()):
            for j, h in enumerate(found):
                if ("move", t, g, h) in self.linear.columns:
                    flown = value(self.variable(("move", t, g, h))) > 1e-5
                    leg = float(np.linalg.norm(self.problem.centres[g] - self.problem.centres[h])) / self.problem.cell
                    cost[u, j] = leg + (0.0 if flown else idle)
        rows, columns = linear_sum_assignment(cost)
        if (cost[rows, columns] == never).any():
            raise OrrlError(f"the solver's answer has a UAV in slot {t + 2} that nobody can have flown there")
        return np.array(found, np.int64)[columns]

    def objective_of(self, solution: Flight) -> float:
        """User-slots by the referee."""
        return self.problem.evaluate(solution).objective

    def fallback(self) -> Flight | None:
        """The flight that the model starts from; None where rows were added that it need not keep."""
        return self.start if self.size() == self._built else None

    def parameters(self, threads: int) -> dict[str, Any]:
        """Options of the backend's solver under which the model is solved best."""
        # The simplex method is slow on flows in time and space; an interior point with crossover is not.
        return {"solver": "ipm", "mip_lp_solver": "ipm"}


def cliques(too_close: BoolArray) -> list[list[int]]:
    """Groups of cells that hold one UAV at most; together they hold every pair of `too_close`. Greedy."""
    close = too_close & ~np.eye(len(too_close), dtype=bool)
    left, found = close.copy(), []
    while left.any():
        g = int(left.any(axis=1).argmax())
        group, able = [g], close[g].copy()
        while able.any():
            fresh = able & left[group].any(axis=0)  # prefer cells that hold pairs which are not covered yet
            h = int((fresh if fresh.any() else able).argmax())
            group.append(h)
            able &= close[h]
        left[np.ix_(group, group)] = False
        found.append(sorted(group))
    return found


class HighsModel(InHighs, FlightProgram):
    """The program as arrays in a ``highspy.Highs`` object."""

    def solve(
        self,
        *,
        solver: str = "highs",
        time_limit: float | None = None,
        threads: int | None = None,
        seed: int = 0,
        gap: float = 0.0,
        options: dict[str, Any] | None = None,
        run: Run | None = None,
    ) -> Outcome:
        """Solve the model as it stands, see `Program.solve`; in two stages (`staged`) where nobody has changed it."""
        from ....core.run import Run
        from .staged import solve_staged

        if run is None:
            run = Run(self.sense, time_limit=time_limit, threads=threads, seed=seed, gap=gap)
        if self.staged and not self.relaxation and not self.fixed and self.size() == self._built:
            return solve_staged(self, run, options or {})
        return super().solve(options=options, run=run)


class PyomoModel(InPyomo, FlightProgram):
    """The program as a Pyomo model, such as ``model.visit[3, 17]``."""


class CpSatModel(InCpSat, FlightProgram):
    """The program for CP-SAT: every column is a whole number there, which no optimum minds."""

    def parameters(self, threads: int) -> dict[str, Any]:
        """CP-SAT's own defaults."""
        return {}
