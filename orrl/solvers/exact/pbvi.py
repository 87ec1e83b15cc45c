"""`pbvi`: point-based value iteration on beliefs reached from the start (Pineau, Gordon, Thrun 2003, IJCAI)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.program import Outcome
from ...core.seeds import stream
from ...core.solver import Solver
from .alpha import AlphaPolicy, AlphaSet
from .pomdp_bounds import blind_policies
from .pomdp_model import PomdpArrays, pomdp_support, signed_value

if TYPE_CHECKING:
    from ...core.run import Run
    from ...core.types import Support

__all__ = ["Pbvi", "backup"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass
class Pbvi(Solver):
    """Backs up the lower bound at a growing set of beliefs; it has no upper bound, so it does not know how good it is.

    Parameters
    ----------
    beliefs : int
        Size of the largest set.
    sweeps : int
        Backups of every belief between two expansions.
    """

    name: ClassVar[str] = "pbvi"
    clairvoyant: ClassVar[bool] = False

    beliefs: int = 100
    sweeps: int = 20

    def supports(self, problem: Any) -> Support:
        """Discounted POMDPs without horizon."""
        return pomdp_support(problem)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        with run.clock("build"):
            model = PomdpArrays.of(problem.tabular())
        rng = stream(run.seed, "pbvi")
        lower = AlphaSet(blind_policies(model, over=lambda: run.over), np.arange(model.shape[1]))
        points = [model.initial]
        finished = False
        while not run.over and not finished:
            for _ in range(self.sweeps):
                before = lower.block.copy()
                gained = 0.0
                for belief in points:
                    if run.over:
                        break
                    value, vector, action, after = backup(model, lower, belief)
                    old = lower.value(belief)
                    if value > old + 1e-9 * max(1.0, abs(old)):
                        lower.add(vector, action, after)
                        gained = max(gained, value - old)
                lower.prune(np.array(points))
                run.incumbent(signed_value(problem, lower.value(model.initial)))
                if gained < 1e-6 * max(1.0, float(np.abs(before).max())) or run.over:
                    break
            finished = len(points) >= self.beliefs or not self._expand(model, points, rng)
        kept = lower.closure()
        policy = AlphaPolicy(
            lower.vectors[kept],
            np.array(lower.actions)[kept],
            model=model,
            content_hash=problem.content_hash,
            name=self.name,
        )
        value = signed_value(problem, policy.value(model.initial))
        stop = run.why if run.over else "finished"
        return Outcome("feasible", stop, objective=value, policy=policy, meta={"points": len(points)})

    def _expand(self, model: PomdpArrays, points: list[FloatArray], rng: np.random.Generator) -> bool:
        """From each belief the successor that is farthest (L1) from the set, of one random observation an action."""
        new: list[FloatArray] = []
        for belief in list(points):
            best, farthest = 1e-3, None
            for action in range(model.shape[1]):
                block, _, _ = model.split(model.predict(belief, action), action)
                mass = block.sum(axis=1)
                pick = int(rng.choice(len(mass), p=mass / mass.sum()))
                child = block[pick] / mass[pick]
                distance = float(np.abs(np.array(points + new) - child).sum(axis=1).min())
                if distance > best:
                    best, farthest = distance, child
            if farthest is not None and len(points) + len(new) < self.beliefs:
                new.append(farthest)
        points += new
        return bool(new)


def backup(model: PomdpArrays, lower: AlphaSet, belief: FloatArray) -> tuple[float, FloatArray, int, IntArray]:
    """Best one-step plan at a belief: its value there, its vector (S,), its action and what it goes on with (O,)."""
    best: tuple[float, int, IntArray] | None = None
    live = np.array(lower.live, dtype=np.int64)
    for action in range(model.shape[1]):
        law = model.laws[model.law_of[action]]
        joint = (model.predict(belief, action)[:, None] * law).T  # (O, S)
        worth = joint @ lower.block.T
        choice = worth.argmax(axis=1)
        value = float(belief @ model.reward[:, action]) + model.discount * float(worth.max(axis=1).sum())
        if best is None or value > best[0]:
            best = (value, action, choice)
    assert best is not None
    value, action, choice = best
    ahead = np.einsum("so,os->s", model.laws[model.law_of[action]], lower.block[choice])
    return value, model.reward[:, action] + model.discount * model.back(ahead, action), action, live[choice]
