"""Point 5: the tables are probability laws on the states, and those of this problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core.capabilities import HasKernel, HasTabular
from ..core.policy import RandomPolicy
from ..core.rollout import rollout
from ..core.seeds import spawn_seeds
from ..core.tables import policy_value

if TYPE_CHECKING:
    from ..core.decision_models import TabularMDP
    from .lab import Lab

__all__ = ["simulated", "tables_are_laws"]

SUM = 1e-8  # a row of a table may miss one by this
EPISODES = 1000
ERRORS = 4.0  # standard errors between an exact and a simulated value


def tables_are_laws(lab: Lab) -> str:
    """Non-negative, finite, rows sum to one, support inside the states; exact tables give the kernel's value."""
    lab.need(HasTabular)
    table: TabularMDP = lab.problem.tabular()
    if not _shapes(lab, table):
        return ""
    states, actions = table.reward.shape
    for a in range(actions):
        _rows(lab, table, table.transition[a], a, "transition")
        if table.observation is not None:
            _rows(lab, table, table.observation[a], a, "observation")
    total = float(table.initial.sum())
    if not np.all(table.initial >= 0.0) or abs(total - 1.0) > SUM:
        lab.fail(f"the initial law sums to {total:.9g} or has negative entries")
    for s, a in np.argwhere(table.mask & ~np.isfinite(table.reward))[:5]:
        lab.fail(f"reward{_at(table, s, a)} is {table.reward[s, a]}")
    told = f"{states} states, {actions} actions"
    if lab.failures or not table.exact or table.horizon is None or not lab.problem.supports(HasKernel):
        return told
    return f"{told}; {_value(lab, table)}"


def _shapes(lab: Lab, table: TabularMDP) -> bool:
    states, actions = table.reward.shape
    if len(table.transition) != actions:
        lab.fail(f"{len(table.transition)} transition arrays for {actions} actions: give one per action")
    for a, law in enumerate(table.transition):
        if law.shape != (states, states):
            lab.fail(
                f"transition[{a}] has shape {law.shape}: expected {(states, states)}, its support leaves the states"
            )
    for a, law in enumerate(table.observation or ()):
        if law.shape[0] != states:
            lab.fail(f"observation[{a}] has shape {law.shape}: expected one row for each of the {states} states")
    if table.mask.shape != (states, actions):
        lab.fail(f"mask has shape {table.mask.shape}: expected {(states, actions)}")
    if table.initial.shape != (states,):
        lab.fail(f"initial has shape {table.initial.shape}: expected ({states},)")
    return not lab.failures


def _rows(lab: Lab, table: TabularMDP, law: Any, a: int, what: str) -> None:
    """Rows of legal actions sum to one; those of illegal ones may be empty. An observation row belongs to (a, s')."""
    shaped = _dense(lab, law, a, what)
    if shaped is None:
        return
    of_state = what == "transition"
    bad = np.argwhere((shaped < 0.0) | ~np.isfinite(shaped))
    for s, end in bad[:5]:
        name = f"{_at(table, s, a, end)}" if of_state else f"(a={a}, s'={_state(table, s)}, o={end})"
        lab.fail(f"{what}{name} is {shaped[s, end]:.9g}: a probability is at least 0")
    sums = shaped.sum(axis=1)
    legal = table.mask[:, a] if of_state else np.ones(len(sums), np.bool_)
    wrong = np.where(legal, np.abs(sums - 1.0) > SUM, (np.abs(sums - 1.0) > SUM) & (np.abs(sums) > SUM))
    for s in np.flatnonzero(wrong)[:5]:
        ends = np.flatnonzero(shaped[s])
        name = f"{_at(table, s, a)}" if of_state else f"(a={a}, s'={_state(table, s)})"
        heads = ", ".join(f"{_state(table, e) if of_state else e}: {shaped[s, e]:.6g}" for e in ends[:8])
        kind = "s'" if of_state else "o"
        lab.fail(f"{what}{name} sums to {sums[s]:.9g} over {kind} = {{{heads}{', ...' if len(ends) > 8 else ''}}}")


def _dense(lab: Lab, law: Any, a: int, what: str) -> npt.NDArray[np.float64] | None:
    """The array as it is, or a sparse one unpacked after its indices have been looked at."""
    indices = getattr(law, "indices", None)
    if indices is not None and len(indices) and (indices.max() >= law.shape[1] or indices.min() < 0):
        lab.fail(f"{what}[{a}] points to column {int(indices.max())} of {law.shape[1]}: its support leaves the states")
        return None
    return np.asarray(law.toarray() if hasattr(law, "toarray") else law, dtype=np.float64)


def _state(table: TabularMDP, s: int) -> str:
    return f"{s} '{table.state_names[s]}'" if table.state_names else f"{s}"


def _at(table: TabularMDP, s: int, a: int, end: int | None = None) -> str:
    action = f"{a} '{table.action_names[a]}'" if table.action_names else f"{a}"
    tail = "" if end is None else f", s'={_state(table, end)}"
    return f"(s={_state(table, s)}, a={action}{tail})"


def simulated(lab: Lab, policy: Any, episodes: int) -> tuple[float, float]:
    """Mean value of a policy over fresh scenarios, and the standard error of that mean."""
    worlds = [lab.problem.scenario(s) for s in spawn_seeds(lab.seeds[0], episodes, "check-problem")]
    values = np.array([t.value for t in rollout(lab.problem, policy, worlds, seed=lab.seeds[0]) if not t.failed])
    if len(values) < 2:
        return float("nan"), float("inf")
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _value(lab: Lab, table: TabularMDP) -> str:
    """The random policy is worth the same on the tables and in the kernel."""
    goal = lab.problem.objective
    legal = table.mask.sum(axis=1, keepdims=True)
    law = np.where(table.mask, 1.0 / np.maximum(legal, 1), 0.0)
    ahead = float(table.initial @ policy_value(table, law))
    exact = lab.problem.accrued + goal.sign * goal.discount**goal.stage * ahead
    mean, error = simulated(lab, RandomPolicy(), EPISODES)
    text = f"random play is worth {exact:.6g} on the tables and {mean:.6g} +- {error:.2g} in the kernel"
    if not abs(mean - exact) <= ERRORS * error + 1e-6 * max(1.0, abs(exact)):
        lab.fail(f"{text}: the tables are of another problem")
    return text
