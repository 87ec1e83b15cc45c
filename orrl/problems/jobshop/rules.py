"""Dispatching rules as policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.policy import Policy
from ...core.seeds import stream
from .dispatch import RULES
from .events import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RulePolicy", "rules"]


@dataclass
class RulePolicy(Policy):
    """A dispatching rule, non-delay: it waits only where nothing can move or the WIP cap closes the shop.

    Parameters
    ----------
    rule : str
        One of `RULES`: spt, lpt, mwkr, lwkr, mopnr, fifo, edd, random.
    wip_cap : int
        Admit a new job only while fewer are in the shop; 0 for no cap. Blocking shops gain most from one.
    """

    rule: str
    wip_cap: int = 0
    _seeds: npt.NDArray[np.int64] = field(default_factory=lambda: np.ones(1, np.int64), init=False, repr=False)

    needs_observation = False

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"rule is {self.rule!r}: give one of {', '.join(RULES)}")
        if self.wip_cap < 0:
            raise ValueError(f"wip_cap is {self.wip_cap}: give a number of jobs, or 0 for no cap")
        self.name = self.rule + (f"@{self.wip_cap}" if self.wip_cap else "")

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Start the random stream of each row."""
        self._seeds = stream(seed, "dispatch").integers(1, NEVER, batch)

    def act(self, obs: Any, info: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        """The job with the best priority."""
        view = info["view"]
        return np.asarray(
            view.kernel.dispatch(view.state, self.rule, wip_cap=self.wip_cap, seeds=self._seeds), dtype=np.int64
        )


def rules() -> dict[str, Policy]:
    """Every rule by name, the best for plain shops first; ``("mwkr", {"wip_cap": 4})`` names one with a cap."""
    names = ["mwkr", *(name for name in RULES if name not in ("mwkr", "random")), "random"]
    return {name: RulePolicy(name) for name in names}
