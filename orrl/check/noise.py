"""Points 8 and 11: a scenario depends on its seed alone, and no policy acts on what has not happened yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.capabilities import HasKernel, HasScenarios
from ..core.hashing import canonical_bytes
from ..core.policy import RandomPolicy
from ..core.seeds import spawn_seeds
from .lab import Lab, NotApplicable, World
from .players import Recorder
from .state import cuts, stand_at

if TYPE_CHECKING:
    from ..core.policy import Policy

__all__ = ["no_one_sees_the_future", "scenarios_depend_on_the_seed_alone"]

SEEDS = 16  # seeds among which two must differ
FUTURES = 4  # futures tried for each state that an episode is cut at


def scenarios_depend_on_the_seed_alone(lab: Lab) -> str:
    """Point 8: equal seeds give equal arrays, before and after any method has played with them; other seeds differ."""
    lab.need(HasScenarios)
    problem = lab.problem
    before = {seed: _bytes(problem.scenario(seed)) for seed in lab.seeds}
    used = {world.seed: world.scenario for world in lab.worlds}
    again = type(problem).from_dict(problem.to_dict())
    if problem.supports(HasKernel):
        for policy in lab.policies():
            for world in lab.worlds:
                try:
                    lab.play(policy, world)
                except Exception as error:  # point 3's finding
                    lab.note(f"{policy.name}: {type(error).__name__}")
    for seed, content in before.items():
        if _bytes(problem.scenario(seed)) != content:
            lab.fail(f"scenario({seed}) differs from one call to the next")
        elif _bytes(again.scenario(seed)) != content:
            lab.fail(f"scenario({seed}) of a copy made by from_dict(to_dict()) differs")
        elif _bytes(used[seed]) != content:
            lab.fail(f"scenario({seed}) was changed by the policies that played it: the kernel must not write into it")
    drawn = {_bytes(problem.scenario(seed)) for seed in range(SEEDS)}
    if lab.stochastic and len(drawn) == 1:
        lab.fail(f"the problem says that it is stochastic, and scenario(0) to scenario({SEEDS - 1}) are all equal")
    if not lab.stochastic and len(drawn | {_bytes(problem.nominal())}) > 1:
        lab.fail("the problem says that nothing is random, and its scenarios differ")
    return f"{len(before)} seeds, {len(drawn)} different scenarios among {SEEDS}"


def _bytes(scenario: Any) -> bytes:
    return canonical_bytes(scenario.to_dict())


def no_one_sees_the_future(lab: Lab) -> str:
    """Point 11: a world is cut at step t and goes on otherwise; up to t every policy must act as before.

    The other world is ``problem.at(state).scenario(seed)``: what had happened by t, and a fresh future. Until t what is
    shown must be the same too, or the policy is not to blame. A clone with that
    future must go on as the problem from that state does, or a look-ahead would see the future that is played.
    """
    lab.need(HasKernel, HasScenarios)
    if not lab.stochastic:
        raise NotApplicable("nothing is random: there is no future to see")
    judged = 0
    for world in lab.worlds:
        _look_ahead(lab, world)
    for policy in lab.policies():
        for world in lab.worlds:
            try:
                judged += _judge(lab, policy, world)
            except Exception as error:  # point 3's finding
                lab.note(f"{policy.name}: {type(error).__name__}: {error}")
    if not judged and not lab.failures:
        raise NotApplicable(f"no other future was found in {FUTURES} draws per state")
    return f"{judged} episodes repeated with another future"


def _judge(lab: Lab, policy: Policy, world: World) -> int:
    recorder = Recorder(policy)
    first = lab.play(recorder, world)
    recorder.at = frozenset(cuts(len(first.actions)))
    second = lab.play(recorder, world)
    if first.actions.tolist() != second.actions.tolist():
        step = _first(first.actions, second.actions)
        lab.fail(f"{policy.name} in {world} acts otherwise in step {step} when it is repeated with the same seed")
        return 0
    shown, judged = recorder.shown, 0
    for step, snapshot in recorder.snapshots.items():
        for other in _futures(lab, world, step, lab.problem.at(snapshot)):
            judged += 1
            replay = Recorder(policy)
            actions = lab.play(replay, other).actions
            acted = _first(actions[: step + 1], first.actions[: step + 1])
            saw = _first(replay.shown[: step + 1], shown[: step + 1])
            place = f"{policy.name} in {world}: with another future from step {step} on"
            if saw <= min(acted, step):
                lab.fail(
                    f"{place}, the observation or the mask of step {saw} differs: either it shows the future, or "
                    "problem.at(state).scenario(seed) does not keep what has happened"
                )
                return judged
            if acted <= step:
                other_choice, choice = _get(actions, acted), _get(first.actions, acted)
                lab.fail(
                    f"{place}, it chooses {other_choice} instead of {choice} in step {acted}: it sees what has not "
                    "happened yet"
                )
                return judged
    return judged


def _futures(lab: Lab, world: World, step: int, later: Any) -> list[World]:
    """Worlds with the same past and another future."""
    drawn = [later.scenario(seed) for seed in spawn_seeds(world.seed, FUTURES, "check-future", step)]
    return [World(world.seed, s, b"") for s in drawn if _bytes(s) != _bytes(world.scenario)]


def _look_ahead(lab: Lab, world: World) -> None:
    """A clone under another future, and the problem from that state under it, stay side by side to the end."""
    recorder = Recorder(RandomPolicy())
    recorder.at = frozenset(cuts(len(lab.play(recorder, world).actions)))
    played = lab.play(recorder, world).actions
    for step, snapshot in recorder.snapshots.items():
        later = lab.problem.at(snapshot)
        for other in _futures(lab, world, step, later)[:2]:
            kernel, state = stand_at(lab, world, played[:step])
            pair = [(kernel, kernel.clone(state, [other.scenario], [0]))]
            kernel = type(later).kernel([later])
            pair.append((kernel, kernel.reset([other.scenario])))
            at = _parting(lab, pair, step)
            if at is not None:
                lab.fail(
                    f"{world}: cloned at step {step} with another future, the kernel leaves in step {at} what "
                    "problem.at(state) does under that future: the clone does not take the future that it is given"
                )
                return


def _parting(lab: Lab, pair: list[tuple[Any, Any]], step: int) -> int | None:
    """First step in which two states, played alike, differ in mask, reward or end; None where they never do."""
    while True:
        masks = [kernel.mask(state)[0] for kernel, state in pair]
        if not np.array_equal(masks[0], masks[1]):
            return step
        if not masks[0].any():
            return None
        action = np.array([lab.legal(masks[0])])
        (one, over), (two, over2) = (kernel.step(state, action) for kernel, state in pair)
        if not lab.close(float(one[0]), float(two[0])) or over[0] != over2[0]:
            return step
        step += 1


def _first(a: Any, b: Any) -> int:
    """Index of the first difference, the length where there is none."""
    shorter = min(len(a), len(b))
    longer = max(len(a), len(b))
    return next(
        (i for i in range(shorter) if np.any(np.asarray(a[i] != b[i]))), shorter if shorter < longer else longer
    )


def _get(actions: Any, at: int) -> Any:
    return actions[at].tolist() if at < len(actions) else "nothing"
