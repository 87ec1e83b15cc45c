"""Tuning of harvest rules on common random numbers, judged on others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.rollout import estimate, rollout
from ...core.seeds import spawn_seeds, stream
from .capped import Capped
from .rules import Filtered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...core.policy import Policy
    from .data import Fishery
    from .rules import HarvestRule

__all__ = ["Tuned", "tune"]


@dataclass(frozen=True, slots=True)
class Tuned:
    """A tuned rule.

    Parameters
    ----------
    policy : Policy
        The rule, filtered where that was asked for.
    parameters : mapping
        Its parameters, units of the stock or shares.
    tuning, test : float
        Mean objective on the tuning scenarios, which flatters it, and on the test scenarios.
    interval : (float, float) or None
        95% interval of `test`.
    evaluations : int
        Settings tried.
    """

    policy: Policy
    parameters: Mapping[str, float]
    tuning: float
    test: float
    interval: tuple[float, float] | None
    evaluations: int


def tune(
    rule: type[HarvestRule],
    problem: Fishery,
    *,
    filtered: bool = False,
    statistic: str | float = "mean",
    change: float | None = None,
    scenarios: int = 400,
    tests: int = 2000,
    evaluations: int = 60,
    seed: int = 0,
    **fixed: Any,
) -> Tuned:
    """Best parameters of a rule by the cross-entropy method (Rubinstein 1999), all settings on the same scenarios.

    Parameters
    ----------
    rule : type of HarvestRule
        Such as `ConstantEscapement`; its `box` says what is tuned.
    filtered, statistic
        Whether it acts on the posterior, and on what of it.
    change : float, optional
        Cap on the change of the quota from year to year, see `Capped`; none by default.
    scenarios, tests : int
        Tuning and test scenarios; their seeds come from different streams.
    evaluations : int
        Settings to try; the rule's own defaults are among them, so the tuned rule is never worse on the tuning ones.
    fixed
        Further arguments of the rule, such as ``effort=1``, or parameters that stay.

    Raises
    ------
    DataError
        Where the rule has nothing to tune.
    """
    names = [name for name in rule.box if name not in fixed]
    if not names:
        raise DataError(f"rule {rule.name!r} has nothing to tune: its parameters are fixed or worked out")
    low, high = _bounds(rule, names, problem)
    worlds = [problem.scenario(s) for s in spawn_seeds(seed, scenarios, "fishery-tuning")]

    def made(point: npt.NDArray[np.float64] | None) -> Policy:
        own = {} if point is None else dict(zip(names, point.tolist(), strict=True))
        plain = rule(**fixed, **own)
        found: Policy = Filtered(plain, statistic=statistic) if filtered else plain
        return found if change is None else Capped(found, change=change)

    def value(point: npt.NDArray[np.float64] | None) -> float:
        return float(np.mean([e.value for e in rollout(problem, made(point), worlds)]))

    best, top = None, value(None)
    rng = stream(seed, "fishery-tuning-points")
    group = max(8, 4 * len(names))
    mean, spread = (low + high) / 2.0, (high - low) / 2.0
    tried = 1
    while tried < evaluations:
        points = np.clip(mean + spread * rng.standard_normal((min(group, evaluations - tried), len(names))), low, high)
        values = np.array([value(p) for p in points])
        tried += len(points)
        if values.max() > top:
            best, top = points[int(values.argmax())], float(values.max())
        elite = points[np.argsort(-values)[: max(2, len(points) // 4)]]
        mean = elite.mean(axis=0)
        spread = np.maximum(elite.std(axis=0), 0.02 * (high - low))
    policy = made(best)
    fresh = [problem.scenario(s) for s in spawn_seeds(seed, tests, "fishery-test")]
    test, interval = estimate(np.array([e.value for e in rollout(problem, policy, fresh)]))
    parameters = {} if best is None else dict(zip(names, best.tolist(), strict=True))
    return Tuned(policy, parameters, top, test, interval, tried)


def _bounds(
    rule: type[HarvestRule], names: list[str], problem: Fishery
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The rule's box in units of the stock."""
    rows = []
    for name in names:
        unit, low, high = rule.box[name]
        scale = problem.growth.unfished if unit == "K" else 1.0
        rows.append((low * scale, min(high * scale, problem.top if unit == "K" else high)))
    box = np.array(rows)
    return box[:, 0], box[:, 1]
