"""What managers read: how policies do on several operating models, in tonnes and years."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, UnknownNameError
from ...core.policy import Policy
from ...core.rollout import rollout
from ...core.seeds import spawn_seeds
from .capped import Capped
from .rules import ConstantQuota, Filtered, OnBelief

if TYPE_CHECKING:
    import pandas as pd

    from ...core.actions import Actions
    from ...core.rollout import Trajectory
    from .data import Fishery
    from .growth import Growth

__all__ = ["Assuming", "assuming", "decision_table", "measures", "operating_models"]

FloatArray = npt.NDArray[np.float64]


def measures(trajectories: Sequence[Trajectory]) -> dict[str, FloatArray]:
    """A manager's measures (B,) of episodes of one fishery, of the years that were decided in them.

    ``value`` (the discounted objective), ``yield`` (catch a year), ``aav`` (average annual variability of the catch,
    ``sum |c_t - c_t-1| / sum c_t``), ``mean_biomass``, ``below_limit`` (share of the years with B < B_lim),
    ``ever_below`` (1 where there is such a year), ``extinct`` (1 where the last stock is 0) and ``quota_now`` (that of
    the first year). Stocks and catches are in the problem's unit, such as tonnes; so is the value where the price is 1.
    """
    if not trajectories:
        raise DataError("no trajectories: give at least one, from rollout")
    problem = trajectories[0].problem
    if any(t.problem is not problem for t in trajectories):
        raise DataError("the trajectories are of several fisheries: give those of one")
    if problem.stage >= problem.years:
        raise DataError(f"{problem.name}: no years are left")
    size, now = problem.scale, problem.stage
    stock = np.array([t.final.stock for t in trajectories])[:, now:]
    quota = np.array([t.final.quota for t in trajectories])[:, now:]
    caught = np.minimum(stock[:, :-1], quota)
    total = caught.sum(axis=1)
    low = stock[:, :-1] < problem.b_lim
    return {
        "value": np.array([t.value for t in trajectories]) * size,
        "yield": caught.mean(axis=1) * size,
        "aav": np.abs(np.diff(caught, axis=1)).sum(axis=1) / np.where(total > 0.0, total, 1.0),
        "mean_biomass": stock[:, :-1].mean(axis=1) * size,
        "below_limit": low.mean(axis=1),
        "ever_below": low.any(axis=1).astype(np.float64),
        "extinct": (stock[:, -1] <= 0.0).astype(np.float64),
        "quota_now": quota[:, 0] * size,
    }


def operating_models(
    problem: Fishery,
    *,
    growth: Sequence[Growth] = (),
    sigma_g: Sequence[float] = (),
    sigma_m: Sequence[float] = (),
) -> dict[str, Fishery]:
    """Hypotheses about a fishery: every combination of the growth laws and noises given, by name.

    What is left out stays the problem's own. Grid, order of events, start and unit stay too.
    """
    if sigma_m and problem.efforts:
        raise DataError(f"{problem.name} has survey efforts, which set sigma_m: leave sigma_m out")
    axes: list[list[tuple[str, dict[str, Any]]]] = [
        [(_law(g), {"growth": g}) for g in growth],
        [(f"sigma_g={s:g}", {"sigma_g": s}) for s in sigma_g],
        [(f"sigma_m={s:g}", {"sigma_m": s}) for s in sigma_m],
    ]
    axes = [axis for axis in axes if axis]
    if not axes:
        raise DataError("no hypotheses: give growth, sigma_g or sigma_m as a sequence")
    found = {}
    for parts in product(*axes):
        name = ", ".join(text for text, _ in parts)
        found[name] = replace(problem, name=name, **{k: v for _, more in parts for k, v in more.items()})
    return found


def _law(growth: Growth) -> str:
    own = growth.to_dict()
    return f"{own.pop('family')}({', '.join(f'{k}={v:g}' for k, v in own.items())})"


class Assuming(Policy):
    """A policy that takes the fishery that is played for another one: reference points, horizon and start are its.

    Parameters
    ----------
    policy : Policy
        Such as a harvest rule on the survey, whose F_MSY is then that of `model`.
    model : Fishery
        The fishery that is believed in.
    """

    def __init__(self, policy: Policy, model: Fishery) -> None:
        self.policy, self.model, self.name = policy, model, policy.name
        self.seen, self.needs_observation = policy.seen, policy.needs_observation
        self.kernel_options = policy.kernel_options

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Reset the policy with the model."""
        self.policy.reset(self.model, batch=batch, seed=seed)

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """The policy's actions."""
        return self.policy.act(obs, info)


def assuming(policy: Any, model: Fishery) -> Policy:
    """Any policy as one that believes in `model`, to be played on another operating model.

    Parameters
    ----------
    policy : str, number, Policy, Result, or object with ``choose(beliefs) -> actions``
        A rule by name, a constant quota in the unit of `model`, or what ``orrl.solve(model, ...)`` returned.

    Raises
    ------
    UnknownNameError, DataError
        Where it is no rule's name, or a policy made for another problem.
    """
    if isinstance(policy, str):
        shelf = model.rules()
        if policy not in shelf:
            raise UnknownNameError("harvest rule", policy, shelf)
        policy = shelf[policy]
    elif isinstance(policy, int | float):
        policy = ConstantQuota(quota=policy / model.scale, name=f"{policy:g} {model.unit}")
    elif hasattr(policy, "stop"):  # a result
        if policy.policy is None:
            raise DataError("the result has no policy: a bound or a plan cannot play another fishery")
        policy = policy.policy
    if getattr(policy, "scope", "any") == "instance" and model.content_hash not in policy.seen:
        raise DataError(f"policy {policy.name!r} was made for another problem than {model.name} (content differs)")
    if isinstance(policy, Capped):
        return Capped(assuming(policy.policy, model), change=policy.change, floor=policy.floor, name=policy.name)
    if isinstance(policy, Filtered):
        return Filtered(policy.rule, statistic=policy.statistic, model=policy.model or model)
    if isinstance(policy, OnBelief):
        return OnBelief(policy.chooser, model=policy.model or model, name=policy.name)
    if hasattr(policy, "choose"):
        return OnBelief(policy, model=model, name=getattr(policy, "name", None))
    return Assuming(policy, model)


def decision_table(
    hypotheses: Mapping[str, Fishery],
    policies: Mapping[str, Any] | Sequence[Any],
    *,
    believed: Fishery,
    scenarios: int = 1000,
    seed: int = 0,
    kernel_options: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Each policy under each hypothesis, on the same noise: the table of quota by hypothesis, and of robustness.

    Parameters
    ----------
    hypotheses : mapping of str to Fishery
        Operating models, such as those of `operating_models`.
    policies : mapping of str to object, or sequence
        See `assuming`; numbers are constant quotas, so a list of them gives the classical decision table.
    believed : Fishery
        What the policies believe, whichever hypothesis holds: reference points, beliefs and plans are this one's.
    scenarios, seed : int
        Episodes of each cell, and the seed of the world; the seeds are those of `orrl.simulate`.
    kernel_options : mapping, optional
        For the kernel, such as ``{"action": "share"}``.

    Returns
    -------
    DataFrame
        A row for each hypothesis and policy with the means of `measures`, the standard error of the value and the
        ``regret``, what the best policy of the table earns more under this hypothesis. ``attrs`` has unit and
        scenarios. ``table["value"].unstack("hypothesis")`` is the decision table of the value.
    """
    import pandas as pd

    if not hypotheses:
        raise DataError("no hypotheses: give at least one fishery by name")
    table = _by_name(policies, believed)
    seeds = spawn_seeds(seed, scenarios, "scenario")
    rows = []
    for truth, problem in hypotheses.items():
        if problem.unit != believed.unit or problem.scale != believed.scale:
            told = f"{problem.scale:g} {problem.unit} and {believed.scale:g} {believed.unit}"
            raise DataError(
                f"hypothesis {truth!r} and the fishery that is believed in have units {told}: give the same"
            )
        worlds = [problem.scenario(s) for s in seeds]
        for name, policy in table.items():
            found = measures(rollout(problem, policy, worlds, seed=seed, kernel_options=dict(kernel_options or {})))
            error = float(np.std(found["value"], ddof=1) / len(worlds) ** 0.5) if len(worlds) > 1 else np.nan
            means = {key: float(values.mean()) for key, values in found.items()}
            rows.append({"hypothesis": truth, "policy": name, "value": means.pop("value"), "value_se": error, **means})
    frame = pd.DataFrame(rows).set_index(["hypothesis", "policy"])
    best = frame.groupby(level="hypothesis", sort=False)["value"].transform("max")
    frame.insert(2, "regret", best - frame["value"])
    frame.attrs |= {"unit": believed.unit, "scenarios": scenarios, "seed": seed, "believed": believed.name}
    return frame


def _by_name(policies: Mapping[str, Any] | Sequence[Any], believed: Fishery) -> dict[str, Policy]:
    if isinstance(policies, str) or not isinstance(policies, Mapping | Sequence) or not policies:
        raise DataError(f"policies is {policies!r}: give a sequence of policies, or a mapping of name to policy")
    if isinstance(policies, Mapping):
        return {name: assuming(policy, believed) for name, policy in policies.items()}
    made = [assuming(policy, believed) for policy in policies]
    if len({policy.name for policy in made}) < len(made):
        raise DataError("two policies have the same name: give a mapping of name to policy")
    return {policy.name: policy for policy in made}
