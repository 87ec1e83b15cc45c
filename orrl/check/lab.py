"""What the points share: the worlds, the episodes and the programs' answers, each made once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core.actions import cast, draw, is_continuous
from ..core.capabilities import HasKernel, HasProgram, HasRules, HasScenarios
from ..core.errors import NotInstalledError, NotSupportedError
from ..core.hashing import canonical_bytes
from ..core.policy import Policy, RandomPolicy
from ..core.rollout import Trajectory, rollout
from ..core.seeds import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.program import Outcome, Program

__all__ = ["Answer", "Episode", "Lab", "NotApplicable", "World"]

TOLERANCE = 1e-6
ENV = "the environment under random play"


class NotApplicable(Exception):
    """A point has nothing to look at; the message is the reason."""


@dataclass(frozen=True, slots=True)
class World:
    """One scenario, the seed it came from, and its content: worlds of equal key are the same."""

    seed: int
    scenario: Any
    key: bytes

    def __str__(self) -> str:
        return f"scenario {self.seed}"


@dataclass(frozen=True, slots=True)
class Episode:
    """One trajectory and who played it in which world."""

    who: str
    world: World
    trajectory: Trajectory
    kind: str = "policy"

    def __str__(self) -> str:
        return f"{self.who} in {self.world}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program found; `world` is None where it is about the whole law."""

    backend: str
    form: str
    world: World | None
    program: Program
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.backend}/{self.form} {'of the whole law' if self.world is None else f'in {self.world}'}"

    @property
    def value(self) -> float | None:
        """Objective of a solution; None for a relaxation and where nothing was found."""
        return None if self.program.relaxation or self.outcome.solution is None else self.outcome.objective

    @property
    def policy(self) -> Policy | None:
        """The answer where it is a policy."""
        for found in (self.outcome.policy, self.outcome.solution):
            if isinstance(found, Policy):
                return found
        return None


class Lab:
    """The problem under test, with everything that is expensive kept for the next point."""

    def __init__(self, problem: Any, seeds: Sequence[int], time_limit: float, policies: Sequence[Policy]) -> None:
        self.problem, self.seeds, self.time_limit, self.extra = problem, list(seeds), time_limit, list(policies)
        self.failures: list[str] = []
        self.notes: dict[str, int] = {}

    # ---- bookkeeping -------------------------------------------------------------------------------------------
    def fail(self, text: str) -> None:
        """One fault."""
        self.failures.append(text)

    def note(self, text: str) -> None:
        """Something that could not be looked at."""
        self.notes[text] = self.notes.get(text, 0) + 1

    def reasons(self) -> str:
        """The first note, and how many there are."""
        rest = len(self.notes) - 1
        return next(iter(self.notes), "") + (f" (and {rest} more)" if rest > 0 else "")

    def need(self, *capabilities: type) -> None:
        """End the point where the problem lacks a capability."""
        for capability in capabilities:
            support = self.problem.supports(capability)
            if not support:
                raise NotApplicable(support.reason)

    def close(self, a: float | None, b: float | None) -> bool:
        """Whether two values are one."""
        return a is not None and b is not None and math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)

    def beats(self, a: float, b: float) -> bool:
        """Whether `a` is better than `b`, and not by rounding."""
        return bool(self.problem.objective.better(a, b)) and not self.close(a, b)

    @property
    def stochastic(self) -> bool:
        """Whether scenarios can differ."""
        return bool(self.problem.is_stochastic)

    # ---- worlds ------------------------------------------------------------------------------------------------
    @cached_property
    def worlds(self) -> list[World]:
        """One per seed; without noise they are all the same."""
        if not self.problem.supports(HasScenarios):
            return [World(seed, None, b"") for seed in self.seeds]
        drawn = [(seed, self.problem.scenario(seed)) for seed in self.seeds]
        return [World(seed, s, canonical_bytes(s.to_dict()) if self.stochastic else b"") for seed, s in drawn]

    @property
    def distinct(self) -> list[World]:
        """Worlds that differ: what a program must be solved for."""
        return list({world.key: world for world in reversed(self.worlds)}.values())[::-1]

    # ---- the MDP face ------------------------------------------------------------------------------------------
    @cached_property
    def kernel(self) -> Any:
        """One that is only asked what actions look like."""
        return type(self.problem).kernel([self.problem])

    @property
    def continuous(self) -> bool:
        """Whether actions are real numbers."""
        return is_continuous(self.kernel)

    def policies(self) -> list[Policy]:
        """Random, the problem's rules, and those that were given."""
        table: dict[str, Policy] = {"random": RandomPolicy()}
        if self.problem.supports(HasRules):
            table |= self.problem.rules()
        for policy in self.extra:
            table[policy.name if policy.name not in table else f"{policy.name} (given)"] = policy
        return list(table.values())

    def play(self, policy: Policy, world: World, problem: Any = None) -> Trajectory:
        """One episode of one policy."""
        return rollout(problem or self.problem, policy, [world.scenario], seed=world.seed)[0]

    @cached_property
    def _played(self) -> tuple[list[Episode], list[tuple[str, World, str]]]:
        """Every policy in every world, one by one, and the environment under random play; and what raised."""
        self.need(HasKernel)
        episodes: list[Episode] = []
        broken: list[tuple[str, World, str]] = []
        for world in self.worlds:
            turns = {p.name: partial(self._by_policy, p, world) for p in self.policies()}
            for who, turn in {**turns, ENV: partial(self._in_env, world)}.items():
                try:
                    episodes.append(turn())
                except Exception as error:  # one broken policy must not hide the others
                    broken.append((who, world, f"{type(error).__name__}: {error}"))
        return episodes, broken

    @property
    def broken(self) -> list[str]:
        """Policies and environments that raised."""
        return [f"{who} in {world} cannot be played: {error}" for who, world, error in self._played[1]]

    @property
    def finished(self) -> list[Episode]:
        """Episodes with a solution; a dead end has none."""
        for who, _, _ in self._played[1]:
            self.notes[f"{who} cannot be played, see point 3"] = 1
        rows = [e for e in self._played[0] if not e.trajectory.failed]
        if not rows:
            raise NotApplicable(f"none of {len(self._played[0])} episodes ended with a solution")
        return rows

    def _by_policy(self, policy: Policy, world: World) -> Episode:
        return Episode(policy.name, world, self.play(policy, world))

    def _in_env(self, world: World) -> Episode:
        env = self.problem.env(illegal="raise")
        options = {} if world.scenario is None else {"scenario": world.scenario}
        _, info = env.reset(seed=world.seed, options=options)
        rng = stream(world.seed, "check-env")
        actions: list[Any] = []
        rewards: list[float] = []
        truncated = False
        ended = not np.any(info["action_mask"])
        while not (ended or truncated):
            actions.append(draw(np.asarray(info["action_mask"])[None], rng, continuous=self.continuous)[0])
            _, reward, ended, truncated, info = env.step(actions[-1])
            rewards.append(float(reward))
        failed = truncated or bool(info.get("failed", info.get("deadlock", False)))
        played, gained = cast(self.kernel, actions), np.array(rewards, np.float64)
        episode = Trajectory(self.problem, world.scenario, played, gained, env.state(), failed)
        return Episode(ENV, world, episode, "env")

    # ---- the programs ------------------------------------------------------------------------------------------
    def build(self, backend: str, form: str, world: World | None) -> Program:
        """A fresh program; without a world, of the whole law."""
        options = {} if world is None or world.scenario is None else {"scenario": world.scenario}
        built: Program = self.problem.program(backend=backend, form=form, **options)
        return built

    @cached_property
    def forms(self) -> list[tuple[str, str, World | None]]:
        """Every backend and form in every distinct world; once, without one, where it takes no scenario."""
        self.need(HasProgram)
        found: list[tuple[str, str, World | None]] = []
        for backend, names in self.problem.forms().items():
            for form in names:
                try:
                    self.build(backend, form, self.worlds[0])
                    found += [(backend, form, world) for world in self.distinct]
                except NotInstalledError as error:
                    self.note(f"{backend}/{form}: {error}")
                except NotSupportedError as error:
                    if not self._takes_the_law(backend, form):
                        self.note(f"{backend}/{form}: {error}")
                    else:
                        found.append((backend, form, None))
        if not found:
            raise NotApplicable(f"no program could be built: {self.reasons() or 'forms() is empty'}")
        return found

    def _takes_the_law(self, backend: str, form: str) -> bool:
        try:
            self.build(backend, form, None)
        except NotSupportedError:
            return False
        return self.stochastic

    def solve(self, program: Program) -> Outcome:
        """One thread, the limit of the call."""
        return program.solve(time_limit=self.time_limit, threads=1)

    @cached_property
    def _solved(self) -> tuple[list[Answer], list[str]]:
        """Every form solved, and what was raised on the way."""
        found: list[Answer] = []
        crashed: list[str] = []
        for backend, form, world in self.forms:
            try:
                program = self.build(backend, form, world)
                found.append(Answer(backend, form, world, program, self.solve(program)))
            except NotInstalledError as error:
                self.note(f"{backend}/{form}: {error}")
            except Exception as error:  # one broken program must not hide the others
                place = "of the whole law" if world is None else f"in {world}"
                crashed.append(f"{backend}/{form} {place} cannot be solved: {type(error).__name__}: {error}")
        return found, crashed

    @property
    def crashed(self) -> list[str]:
        """Programs that raised."""
        return self._solved[1]

    @property
    def answers(self) -> list[Answer]:
        """Answers of the programs."""
        for text in self.crashed:
            self.notes[f"{text.partition(' ')[0]} cannot be solved, see point 2"] = 1
        if not self._solved[0]:
            raise NotApplicable(f"no program could be solved: {self.reasons()}")
        return self._solved[0]

    def proved(self, answer: Answer) -> bool:
        """Whether the answer is an optimum (or a relaxation's bound); what stopped short is noted."""
        if answer.outcome.status == "optimal" or (answer.program.relaxation and answer.outcome.stop == "finished"):
            return True
        self.note(f"{answer} is {answer.outcome.status} ({answer.outcome.stop}) {answer.outcome.message}".rstrip())
        return False

    @cached_property
    def rng(self) -> np.random.Generator:
        """Choices of the checker itself."""
        return stream(self.seeds[0], "check-problem")

    def legal(self, mask: npt.NDArray[np.bool_]) -> Any:
        """One accepted action of one row."""
        return draw(mask[None], self.rng, continuous=self.continuous)[0]
