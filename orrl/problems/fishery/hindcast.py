"""Hindcast: what policies would have recommended in each year of a historical series, beside what was taken.

Each year is a running state of the fishery (its past catches and surveys are the historical ones), so what a policy
says is advice for that year, given what was known and done until then; no other history is made up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, UnknownNameError
from ...core.policy import View
from .belief import correct, predict, prior, quantile
from .data import FisheryState
from .rules import OnBelief

if TYPE_CHECKING:
    import pandas as pd

    from .data import Fishery
    from .series import Series

__all__ = ["follow", "hindcast"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Gaps = Literal["restart", "join"]


def hindcast(
    problem: Fishery,
    policies: Mapping[str, Any] | Sequence[Any],
    series: Series,
    *,
    first_survey: bool = True,
    gaps: Gaps = "restart",
) -> pd.DataFrame:
    """Recommended quota of each policy in each year, with the catch as action and the biomass as survey.

    Parameters
    ----------
    problem : Fishery
        The model that is believed in, such as ``orrl.load("fishery/hake", sigma_m=0.1)``; its `scale` is the size of a
        unit of the stock in the series' unit.
    policies : mapping of str to object, or sequence
        Names of rules, policies, results of `orrl.solve`, or anything with ``choose(beliefs) -> actions``. A policy of
        the tables with the state seen (``cmdp-lp``) takes the biomass for the state; where it draws, its mean is told.
    series : Series
        From `historical` or `read_series`.
    first_survey, gaps
        See `follow`.

    Returns
    -------
    DataFrame
        A row a year, in the series' unit: year, biomass, taken, believed (posterior mean), low and high (its 5% and
        95% quantiles) and a column for each policy; ``attrs`` has the stock, the unit and the problem.

    Raises
    ------
    DataError
        Where series and problem do not fit, or a policy was made for another problem.
    """
    import pandas as pd

    beliefs, states = follow(problem, series, first_survey=first_survey, gaps=gaps)
    g, size = problem.grids, problem.scale
    frame = pd.DataFrame(
        {
            "year": np.array(series.year),
            "biomass": np.array(series.biomass),
            "taken": np.array(series.catch),
            "believed": beliefs @ g.stocks * size,
            "low": quantile(g, beliefs, 0.05) * size,
            "high": quantile(g, beliefs, 0.95) * size,
        }
    )
    for name, policy in _named(problem, policies).items():
        if name in frame:
            raise DataError(
                f"policy {name!r} has the name of another column: give policies as a mapping with own names"
            )
        frame[name] = _advice(problem, policy, states, beliefs) * size
    frame.attrs |= {"stock": series.name, "unit": series.unit, "problem": problem.name}
    return frame


def follow(
    problem: Fishery, series: Series, *, first_survey: bool = True, gaps: Gaps = "restart"
) -> tuple[FloatArray, list[FisheryState]]:
    """Beliefs (T, S) before the decision of each year, its survey included, and the states that they belong to.

    Parameters
    ----------
    first_survey : bool
        Whether the first biomass moves the first belief. False: only where the problem has a survey before its first
        decision; paper A's hindcast begins with a uniform belief that the first biomass leaves as it is.
    gaps : {"restart", "join"}
        At a year that is missing, begin with the first belief again, or take the years as if they followed each other
        (paper A, whose hake series lacks 1997-98 and 2001-05).
    """
    if gaps not in ("restart", "join"):
        raise DataError(f"gaps is {gaps!r}: give 'restart' or 'join'")
    if problem.state is not None:
        raise DataError(f"{problem.name} starts from a running state: give the problem as it was before the series")
    _fits(problem, series)
    g = problem.grids
    biomass, catch = np.array(series.biomass) / problem.scale, np.array(series.catch) / problem.scale
    seen, quota = g.nearest_survey(biomass), g.nearest_quota(np.nan_to_num(catch))
    none = np.zeros(1, np.int64)
    beliefs, states = np.zeros((len(series), problem.n)), []
    begin = 0
    for t, year in enumerate(series.year):
        if t == 0 or (gaps == "restart" and year > series.year[t - 1] + 1):
            begin, known = t, prior(problem)[None]
            if first_survey or problem.survey_first:
                known = correct(g, known, none, seen[t : t + 1])
        else:
            known = correct(g, predict(g, known, quota[t - 1 : t]), none, seen[t : t + 1])
        beliefs[t] = known[0]
        states.append(_state(catch[begin:t], biomass[begin : t + 1]))
    return beliefs, states


def _state(quota: FloatArray, seen: FloatArray) -> FisheryState:
    """Years that have passed; the true stock, which nobody knows, stands as what was seen."""
    past, stock = tuple(quota.tolist()), tuple(seen.tolist())
    draws = (0.5, (0.5,) * len(past), (0.5,) * len(stock))
    return FisheryState(quota=past, effort=(0,) * len(past), stock=stock, seen=stock, draws=draws)


def _fits(problem: Fishery, series: Series) -> None:
    for name, values in (("biomass", series.biomass), ("catch", series.catch)):
        t = int(np.nanargmax(values)) if not np.isnan(values).all() else 0
        if values[t] > problem.top * problem.scale * (1.0 + 1e-9):
            raise DataError(
                f"{name} of {series.name} in {series.year[t]} is {values[t]:g} {series.unit}, and the grid of "
                f"{problem.name} ends at {problem.top:g} x {problem.scale:g} {problem.unit}: give scale= the size of "
                "one unit of the stock, or a larger top"
            )
    if max(series.biomass) < 0.01 * problem.top * problem.scale:
        raise DataError(
            f"the biomass of {series.name} is at most {max(series.biomass):g} {series.unit}, and the grid of "
            f"{problem.name} ends at {problem.top:g} x {problem.scale:g} {problem.unit}: the units differ, give scale="
        )


def _named(problem: Fishery, policies: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    """Policies by name; names of rules and results are looked up."""
    if isinstance(policies, str) or not isinstance(policies, Mapping | Sequence):
        raise DataError(f"policies is {policies!r}: give a sequence of policies, or a mapping of name to policy")
    given = policies if isinstance(policies, Mapping) else {_name(p): p for p in policies}
    if not isinstance(policies, Mapping) and len(given) < len(policies):
        raise DataError("two policies have the same name: give a mapping of name to policy")
    shelf = problem.rules()
    found: dict[str, Any] = {}
    for name, policy in given.items():
        if isinstance(policy, str):
            if policy not in shelf:
                raise UnknownNameError("harvest rule", policy, shelf)
            policy = shelf[policy]
        found[name] = getattr(policy, "policy", policy) if hasattr(policy, "stop") else policy
        if found[name] is None:
            raise DataError(f"the result {name!r} has no policy: a bound or a plan cannot advise from year to year")
    return found


def _name(policy: Any) -> str:
    own = getattr(policy, "policy", None) or policy
    return policy if isinstance(policy, str) else str(getattr(own, "name", type(own).__name__))


def _advice(problem: Fishery, policy: Any, states: Sequence[FisheryState], beliefs: FloatArray) -> FloatArray:
    """Quotas (T,) at the states, units of the stock."""
    if getattr(policy, "scope", "any") == "instance" and problem.content_hash not in policy.seen:
        raise DataError(f"policy {policy.name!r} was made for another problem than {problem.name} (content differs)")
    g = problem.grids
    if hasattr(policy, "probabilities"):
        law = np.asarray(policy.probabilities)
        if law.ndim != 2:
            raise DataError(f"policy {policy.name!r} depends on the step of a horizon: give a stationary one")
        rows = law[g.nearest_stock(np.array([s.seen[-1] for s in states]))]
        return np.asarray(rows @ np.tile(g.quotas, len(g.laws)) / rows.sum(axis=1))
    if hasattr(policy, "choose"):
        policy = OnBelief(policy)
    longest = max(len(s.quota) for s in states) + 1
    room = problem if problem.horizon is not None else replace(problem, steps=max(problem.steps, longest))
    if room.years < longest:
        raise DataError(f"{problem.name} ends after {room.years} years and the series has {longest}: give a longer one")
    room.__dict__["grids"] = g
    kernel = type(problem).kernel([room], compiled=False, **policy.kernel_options)
    state = kernel.reset([room.nominal()] * len(states))
    years = []
    for b, past in enumerate(states):
        t = len(past.quota)
        state.stage[b], state.quota[b, :t] = t, past.quota
        state.stock[b, : t + 1] = state.survey[b, : t + 1] = past.seen
        now = room.at(past)
        now.__dict__["belief"] = beliefs[b]  # what `present` would find, without going through the past again
        years.append(now)
    shared: Any = kernel
    view = View(shared, state, [0] * len(states))
    policy.reset(years, batch=len(states))
    info = {"action_mask": kernel.mask(state), "view": view, "done": np.zeros(len(states), np.bool_)}
    action = policy.act(kernel.observe(state) if policy.needs_observation else None, info)
    return np.asarray(kernel.decoded(state, action)[0])
