"""HiGHS in two stages: the linear program by an interior point, then what it leaves open.

The linear program of a flow form is nearly integral. Its visits are rounded to paths and improved by best responses.
Then columns are fixed by reduced costs (Dantzig, Fulkerson & Johnson 1954), a path at a time: whoever visits a cell
comes from a start and goes on to the last slot, so that the reduced costs along the best such path come off the bound,
and a visit or move whose bound lies below the flight's value is in no flight that is at least as good. What is left is
small. Without it HiGHS would solve the large linear program again after each round of cuts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ....core.engines import drive
from ....core.seeds import stream
from .start import first_paths

if TYPE_CHECKING:
    from ....core.program import Outcome
    from ....core.run import Run
    from ..flight import Flight
    from .flight_program import HighsModel

__all__ = ["solve_staged"]

FloatArray = npt.NDArray[np.float64]
TRIES = 20
DUST = 1e-3  # on bounds of whole-number objectives, far above the solver's tolerance


def solve_staged(program: HighsModel, run: Run, options: dict[str, Any]) -> Outcome:
    """Solve a program of a flow form as it was built; the columns' bounds are put back afterwards."""
    import highspy

    from ....core.engines.highs import run_highs

    lp = program.model.getLp()
    lp.integrality_ = []
    relaxed = highspy.Highs()
    relaxed.silent()
    relaxed.passModel(lp)
    found = run_highs(relaxed, program, run, options, lambda values: None)
    if found.status != highspy.HighsModelStatus.kOptimal or found.values is None or found.bound is None:
        return drive(program, run, options=options)  # a limit, or infeasible: the engine says which
    if run.bound(math.floor(found.bound + DUST)):
        return drive(program, run, options=options)
    reduced = np.array(relaxed.getSolution().col_dual)
    flight = _round(program, found.values, run)
    if flight is None:
        return drive(program, run, options=options)
    worth = float((flight.server >= 0).sum())
    run.incumbent(worth, lambda: flight)
    lower, upper = np.array(lp.col_lower_), np.array(lp.col_upper_)
    zero = (lower == 0.0) & (found.values < DUST) & (found.bound + _through(program, reduced) < worth - DUST)
    where = np.flatnonzero(zero).astype(np.int32)
    program.model.changeColsBounds(len(where), where, lower[where], lower[where])
    program.encode(flight)  # after the bounds, since a change of bounds drops a start
    try:
        outcome = drive(program, run, options=options)
    finally:
        program.model.changeColsBounds(len(where), where, lower[where], upper[where])
    outcome.meta |= {"columns_fixed": len(where), "relaxation": found.bound}
    return _keep(outcome, flight, worth, float(math.floor(found.bound + DUST)))


def _keep(outcome: Outcome, flight: Flight, worth: float, bound: float) -> Outcome:
    """A limit in the second stage loses neither the flight nor the bound of the first."""
    if outcome.status in ("feasible", "no_solution"):
        if outcome.objective is None or outcome.objective < worth:
            outcome.status, outcome.solution, outcome.objective = "feasible", flight, worth
        outcome.bound = bound if outcome.bound is None else min(outcome.bound, bound)
    return outcome


def _through(program: HighsModel, reduced: FloatArray) -> FloatArray:
    """What every column (columns,) takes off the bound at least where it is 1; at most 0."""
    problem, (flows, slots, cells) = program.problem, program.reach.shape
    loss = np.minimum(reduced, 0.0)
    columns, targets = program.columns, problem.targets
    for flow in range(flows):
        node = np.full((slots, cells), -1)
        arc = np.full((slots - 1, *targets.shape), -1)
        for t in program.slots:
            i = t - program.first
            for g in np.flatnonzero(program.reach[flow, i]).tolist():
                node[i, g] = columns[program.node(flow, t, g)]
                if i + 1 < slots:
                    arc[i, g] = [columns.get(program.arc(flow, t, g, h), -1) for h in targets[g].tolist()]
        visit = np.where(node >= 0, loss[node], -np.inf)
        move = np.where(arc >= 0, loss[arc], -np.inf)
        ahead, back = visit.copy(), visit.copy()
        start = np.zeros(cells, np.bool_)
        start[problem.position[-1] if flows == 1 else problem.position[-1, flow]] = True
        ahead[0, ~start] = -np.inf
        for i in range(slots - 1):
            into = np.full(cells, -np.inf)
            np.maximum.at(into, targets, ahead[i][:, None] + move[i])  # a target of -1 has a move of -inf
            ahead[i + 1] += into
        for i in range(slots - 2, -1, -1):
            back[i] += (move[i] + back[i + 1][targets]).max(axis=1)
        own = node >= 0
        loss[node[own]] = np.maximum(ahead[own] + back[own] - visit[own], -1e9)
        path = ahead[:-1, :, None] + move + back[1:][:, targets]
        loss[arc[arc >= 0]] = np.maximum(path[arc >= 0], -1e9)
    return loss


def _round(program: HighsModel, values: FloatArray, run: Run) -> Flight | None:
    """The best of some flights near a solution of the linear program, and of the one to start from."""
    problem, shape = program.problem, program.reach.shape
    visits = np.zeros(shape)
    for key, column in program.columns.items():
        if key[0] in ("visit", "own"):
            visits[key[3] if key[0] == "own" else 0, key[1] - program.first, key[2]] = values[column]
    flights = [] if program.start is None else [program.start]
    rng = stream(run.seed, "uav", "rounding")
    for i in range(TRIES):
        if run.deadline.passed:
            break
        paths = first_paths(problem, program.reach, visits * rng.uniform(0.0 if i else 1.0, 1.0, shape))
        if paths is not None:
            flights.append(problem.from_paths(paths))
    return max(flights, key=lambda f: int((f.server >= 0).sum()), default=None)
