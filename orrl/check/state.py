"""Point 7: writing and reading keep the content; starting from a running state goes on as if nothing had happened."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.actions import accepted
from ..core.capabilities import HasKernel
from ..core.policy import RandomPolicy
from .players import Recorder, Script

if TYPE_CHECKING:
    from ..core.rollout import Trajectory
    from .lab import Lab, World

__all__ = ["cuts", "round_trips"]


def cuts(length: int) -> list[int]:
    """Steps at which an episode is cut: beginning, middle and last decision."""
    return sorted({s for s in (0, length // 3, 2 * length // 3, length - 1) if 0 <= s < length})


def round_trips(lab: Lab) -> str:
    """``from_dict(to_dict())`` keeps the content hash; ``at``, ``clone`` and ``reset(options)`` go on identically."""
    _written(lab, lab.problem, "the problem")
    if not lab.problem.supports(HasKernel):
        return "content hash"
    continued = 0
    for world in lab.worlds:
        recorder = Recorder(RandomPolicy())
        length = len(lab.play(recorder, world).actions)
        recorder.at = frozenset(cuts(length))
        whole = lab.play(recorder, world)
        for step, snapshot in recorder.snapshots.items():
            continued += 1
            _continue(lab, world, whole, step, snapshot)
    return f"content hash; {continued} episodes continued from the middle by at(), clone() and the environment"


def _written(lab: Lab, problem: Any, place: str) -> None:
    text = json.dumps(problem.to_dict())
    again = type(problem).from_dict(json.loads(text))
    if again.content_hash == problem.content_hash:
        return
    was, now = problem.content(), again.content()
    lost = [key for key in was if was[key] != now.get(key)] + [key for key in now if key not in was]
    what = ", ".join(lost) or "nothing in content()"
    lab.fail(f"{place}: from_dict(to_dict()) has another content hash; different: {what}")


def _continue(lab: Lab, world: World, whole: Trajectory, step: int, snapshot: Any) -> None:
    place = f"{world}, step {step}"
    later = lab.problem.at(snapshot)
    _written(lab, later, f"{place}: problem.at(state)")
    rest = Script(whole.actions[step:], "the rest of the episode")
    try:
        tail = lab.play(rest, world, later)
    except LookupError as error:
        lab.fail(f"{place}: problem.at(state) does not accept the rest of the episode: {error}")
        return
    if not lab.close(tail.value, whole.value):
        parts = f"accrued {later.accrued:.9g} and the rest make {tail.value:.9g}"
        lab.fail(f"{place}: {parts}; the whole episode {whole.value:.9g}")
    first = next(
        (k for k, (a, b) in enumerate(zip(tail.rewards, whole.rewards[step:], strict=False)) if not lab.close(a, b)),
        None,
    )
    if first is not None:
        lab.fail(f"{place}: the reward of step {step + first} differs when it is reached through problem.at(state)")
    elif not whole.failed:
        verdict = lab.problem.evaluate(lab.problem.solution(whole), world.scenario)
        again = later.evaluate(later.solution(tail), world.scenario)
        if not again.feasible or not lab.close(again.objective, verdict.objective):
            text = "; ".join(again.violations[:3]) or f"{again.objective:.9g} instead of {verdict.objective:.9g}"
            lab.fail(f"{place}: the referee of problem.at(state) judges the same episode otherwise: {text}")
    _cloned(lab, world, whole, step)
    _in_env(lab, world, whole, step, snapshot)


def _cloned(lab: Lab, world: World, whole: Trajectory, step: int) -> None:
    """A clone with the same future goes on as the original, which it leaves alone."""
    kernel, state = stand_at(lab, world, whole.actions[:step])
    copy = kernel.clone(state, [world.scenario], [0])
    for name, rows in (("the clone", copy), ("the state that was cloned", state)):
        place = f"{world}: cloned at step {step}, {name}"
        for k, action in enumerate(whole.actions[step:], start=step):
            if not accepted(kernel.mask(rows), np.array([action]))[0]:
                lab.fail(f"{place} does not accept action {action} of step {k}")
                return
            reward, _ = kernel.step(rows, np.array([action]))
            if not lab.close(reward[0], whole.rewards[k]):
                lab.fail(f"{place} gives reward {reward[0]:.9g} in step {k}, not {whole.rewards[k]:.9g}")
                return


def stand_at(lab: Lab, world: World, actions: Any) -> tuple[Any, Any]:
    """A kernel and its state after some actions."""
    kernel = type(lab.problem).kernel([lab.problem])
    state = kernel.reset([world.scenario])
    for action in actions:
        kernel.step(state, np.array([action]))
    return kernel, state


def _in_env(lab: Lab, world: World, whole: Trajectory, step: int, snapshot: Any) -> None:
    """``env.reset(options={"state": ...})`` stands where the kernel stood."""
    env = lab.problem.env(illegal="raise")
    options = {"state": snapshot} | ({} if world.scenario is None else {"scenario": world.scenario})
    env.reset(seed=world.seed, options=options)
    place = f"{world}, step {step}: env.reset(options={{'state': ...}})"
    for k, action in enumerate(whole.actions[step:], start=step):
        if not accepted(env.action_masks()[None], np.array([action]))[0]:
            lab.fail(f"{place} does not accept action {action} of step {k}")
            return
        _, reward, over, cut, _ = env.step(action)
        if not lab.close(reward, whole.rewards[k]):
            lab.fail(f"{place} leads to reward {reward:.9g} in step {k}, not {whole.rewards[k]:.9g}")
            return
        if (over or cut) != (k + 1 == len(whole.actions)):
            lab.fail(f"{place} {'ends' if over or cut else 'goes on'} after step {k} of {len(whole.actions)}")
            return
