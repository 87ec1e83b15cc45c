"""Point 6: the environment is a Gymnasium one, its seed decides everything, and its mask is what it accepts."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core.capabilities import HasKernel
from ..core.errors import IllegalActionError

if TYPE_CHECKING:
    from .lab import Lab

__all__ = ["env_follows_the_kernel"]

PREFIXES = 4  # places of an episode where every action is tried
TRIES = 40  # actions tried at one place; more are sampled
SAMPLES = 2000  # steps after which an episode is left


def env_follows_the_kernel(lab: Lab) -> str:
    """``check_env`` (and PettingZoo's test for several agents), determinism under a seed, mask = accepted actions."""
    lab.need(HasKernel)
    from gymnasium.utils.env_checker import check_env

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            check_env(lab.problem.env(illegal="noop"), skip_render_check=True)
        except Exception as error:  # check_env raises assertions and whatever the environment raises
            lab.fail(f"gymnasium's check_env: {type(error).__name__}: {error}")
    for text in {str(w.message).split("WARN: ")[-1].split("\x1b")[0] for w in heard if "WARN" in str(w.message)}:
        lab.note(f"gymnasium warns: {text}")
    if hasattr(lab.problem, "parallel_env"):
        _parallel(lab)
    tried = 0
    for seed in lab.seeds:
        actions = _twice(lab, seed)
        tried += _mask(lab, seed, actions)
    return f"check_env, {len(lab.seeds)} episodes played twice, {tried} actions held against the mask"


def _parallel(lab: Lab) -> None:
    from pettingzoo.test import parallel_api_test

    try:
        parallel_api_test(lab.problem.parallel_env(), num_cycles=100)
    except Exception as error:
        lab.fail(f"pettingzoo's parallel_api_test: {type(error).__name__}: {error}")


def _twice(lab: Lab, seed: int) -> list[Any]:
    """Play one seed in two environments with the same actions; returns the actions."""
    first, second = lab.problem.env(illegal="raise"), lab.problem.env(illegal="raise")
    (obs, info), (obs2, info2) = first.reset(seed=seed), second.reset(seed=seed)
    actions: list[Any] = []
    ended = False
    while True:
        step = len(actions)
        if not _same(obs, obs2) or not _same(info["action_mask"], info2["action_mask"]):
            lab.fail(f"seed {seed}, step {step}: two environments with one seed and the same actions differ")
            return actions
        if not _same(info["action_mask"], first.action_masks()):
            lab.fail(f"seed {seed}, step {step}: info['action_mask'] is not env.action_masks()")
            return actions
        mask = np.asarray(info["action_mask"], dtype=bool)
        if ended or step >= SAMPLES or not mask.any():
            return actions
        action = lab.legal(mask)
        actions.append(action)
        try:
            obs, reward, over, cut, info = first.step(action)
            obs2, reward2, over2, cut2, info2 = second.step(action)
        except IllegalActionError as error:
            lab.fail(
                f"seed {seed}, step {step}: the mask allows action {action}, and the environment refuses it: {error}"
            )
            return actions[:-1]
        ended = over or cut
        if (reward, over, cut) != (reward2, over2, cut2):
            lab.fail(
                f"seed {seed}, step {step}: two environments with one seed differ: reward, terminated, truncated are "
                f"{(reward, over, cut)} and {(reward2, over2, cut2)}"
            )
            return actions


def _mask(lab: Lab, seed: int, actions: list[Any]) -> int:
    """At a few places of an episode: a masked action is refused and changes nothing, every other one is accepted."""
    if not actions:
        return 0
    env, noop = lab.problem.env(illegal="raise"), lab.problem.env(illegal="noop")
    tried = 0
    for step in sorted({int(s) for s in np.linspace(0, len(actions) - 1, PREFIXES)}):
        mask = _forward(env, seed, actions[:step])
        allowed, forbidden = (_choices(lab, mask, kind) for kind in (True, False))
        tried += len(allowed) + len(forbidden)
        place = f"seed {seed}, step {step}"
        for action in forbidden:
            _refused(lab, env, action, mask, place)
        for action in allowed:
            _forward(env, seed, actions[:step])
            _accepted(lab, env, action, place)
        if forbidden:
            _kept(lab, noop, seed, actions[:step], forbidden[0], place)
        if lab.continuous and not mask.all():
            _inert(lab, env, seed, actions[:step], mask, place)
    return tried


def _choices(lab: Lab, mask: npt.NDArray[np.bool_], kind: bool) -> list[Any]:
    """Actions that differ from an accepted one in one agent's choice, each choice that the mask allows or forbids."""
    if lab.continuous:
        return _numbers(lab, mask, kind)
    places = np.argwhere(mask == kind)
    if len(places) > TRIES:
        places = places[np.sort(lab.rng.choice(len(places), TRIES, replace=False))]
    tried = []
    for place in places:
        action = np.array(lab.legal(mask))
        action[tuple(place[:-1])] = place[-1]
        tried.append(action)
    return tried


def _numbers(lab: Lab, mask: npt.NDArray[np.bool_], kind: bool) -> list[Any]:
    """The corners of the unit box and points inside, in the type that agents send; or one number outside, or none."""
    if kind:
        ends = [np.full(len(mask), end, np.float32) for end in (0.0, 1.0)]
        return [*ends, *(np.float32(lab.legal(mask)) for _ in range(2))]
    tried = []
    for value in (np.nan, np.inf, -1e-3, 1.0 + 1e-3):
        action = np.array(lab.legal(mask))
        action[lab.rng.integers(len(mask))] = value
        tried.append(action)
    return tried


def _inert(lab: Lab, env: Any, seed: int, actions: list[Any], mask: npt.NDArray[np.bool_], place: str) -> None:
    """A coordinate that the mask leaves out has no effect."""
    action = lab.legal(mask)
    seen = []
    for rest in (0.0, 1.0):
        _forward(env, seed, actions)
        seen.append(env.step(np.where(mask, action, rest))[:4])
    if not all(_same(a, b) for a, b in zip(*seen, strict=True)):
        lab.fail(f"{place}: the mask says that numbers {np.flatnonzero(~mask).tolist()} have no effect, and they have")


def _forward(env: Any, seed: int, actions: list[Any]) -> npt.NDArray[np.bool_]:
    """Play to a place from the beginning; the mask there."""
    _, info = env.reset(seed=seed)
    for action in actions:
        _, _, _, _, info = env.step(action)
    return np.array(info["action_mask"], dtype=bool)


def _refused(lab: Lab, env: Any, action: Any, mask: npt.NDArray[np.bool_], place: str) -> None:
    try:
        env.step(action)
    except IllegalActionError:
        if not _same(env.action_masks(), mask):
            lab.fail(f"{place}: refusing the masked action {action} changed the state")
        return
    except Exception as error:
        lab.fail(
            f"{place}: the masked action {action} raises {type(error).__name__}: {error}; IllegalActionError expected"
        )
        return
    lab.fail(f"{place}: the mask forbids action {action}, and the environment accepts it")


def _accepted(lab: Lab, env: Any, action: Any, place: str) -> None:
    try:
        _, _, _, _, info = env.step(action)
    except IllegalActionError as error:
        lab.fail(f"{place}: the mask allows action {action}, and the environment refuses it: {error}")
        return
    if info.get("illegal_action", False):
        lab.fail(f"{place}: the mask allows action {action}, and info['illegal_action'] is set")


def _kept(lab: Lab, env: Any, seed: int, actions: list[Any], action: Any, place: str) -> None:
    """With ``illegal="noop"`` a masked action keeps the state and says so."""
    mask = _forward(env, seed, actions)
    _, reward, over, _, info = env.step(action)
    if not info.get("illegal_action", False):
        lab.fail(f"{place}: illegal='noop' does not set info['illegal_action'] for the masked action {action}")
    if over or reward != 0.0 or not _same(info["action_mask"], mask):
        lab.fail(f"{place}: illegal='noop' does not keep the state (reward {reward:g}, terminated {over})")


def _same(a: Any, b: Any) -> bool:
    from gymnasium.utils.env_checker import data_equivalence

    return bool(data_equivalence(a, b, exact=True))
