"""Points 1 to 4 and 10: kernel, program and referee are one problem, and its values are in order."""

from __future__ import annotations

import math

import numpy as np

from ..core.capabilities import HasKernel, HasTabular
from ..core.errors import NotInstalledError, NotSupportedError, OrrlError
from ..core.tables import policy_value
from .lab import Answer, Episode, Lab, NotApplicable
from .players import Script
from .tables import ERRORS, simulated

__all__ = [
    "bounds_optima_and_policies",
    "optima_in_the_kernel",
    "perfect_information_wins",
    "referee_agrees",
    "rollouts_in_the_program",
]

EPISODES = 200
OPTIMAL = 1e-5  # relative distance of bound and value of a solution that is called optimal


def rollouts_in_the_program(lab: Lab) -> str:
    """Point 1: an episode becomes a solution, the solution is fixed in the program, and the value stays."""
    lab.need(HasKernel)
    forms = dict.fromkeys((backend, form) for backend, form, world in lab.forms if world is not None)
    if not forms:
        raise NotApplicable("no program is about one scenario: none can take an episode")
    judged = 0
    for episode in _sample(lab):
        solution = lab.problem.solution(episode.trajectory)
        for backend, form in forms:
            judged += _fixed(lab, backend, form, episode, solution)
    if not judged and not lab.failures:
        raise NotApplicable("no episode could be fixed: " + lab.reasons())
    return f"{judged} episodes fixed in {', '.join(f'{backend}/{form}' for backend, form in forms)}"


def _sample(lab: Lab) -> list[Episode]:
    """In each world: the environment, random play, the given policies and one of the rules in turn."""
    finished, kept = lab.finished, []
    always = {"random", *(policy.name for policy in lab.extra)}
    for i, world in enumerate(lab.worlds):
        here = [e for e in finished if e.world == world]
        rules = [e for e in here if e.kind == "policy" and e.who not in always]
        kept += [e for e in here if e.kind == "env" or e.who in always]
        kept += rules[i % len(rules) : i % len(rules) + 1] if rules else []
    return kept


def _fixed(lab: Lab, backend: str, form: str, episode: Episode, solution: object) -> bool:
    value, place = episode.trajectory.value, f"{episode}, fixed in {backend}/{form}"
    try:
        program = lab.build(backend, form, episode.world)
        program.encode(solution, fix=True)
        outcome = lab.solve(program)
    except (NotSupportedError, NotInstalledError) as error:
        lab.note(f"{backend}/{form}: {error}")
        return False
    except Exception as error:  # one broken program must not hide the others
        lab.fail(f"{place} raises {type(error).__name__}: {error}")
        return False
    assumed = getattr(program, "assumption", "")
    if outcome.stop == "time" and outcome.objective is None:
        lab.note(f"{backend}/{form}: no answer within {lab.time_limit:g} s")
        return False
    if outcome.status == "no_solution" and assumed:
        lab.note(f"{backend}/{form}: {assumed}")
        return False
    if program.relaxation:
        if outcome.status in ("infeasible", "error"):
            lab.fail(f"{place} is {outcome.status}: a relaxation must contain every solution. {outcome.message}")
        elif outcome.bound is not None and lab.beats(value, outcome.bound):
            lab.fail(f"{place} gives the bound {outcome.bound:.9g}, but the episode is worth {value:.9g}")
    elif outcome.objective is None:
        lab.fail(f"{place} is {outcome.status}: it should be feasible with {value:.9g}. {outcome.message}".rstrip())
    elif not lab.close(outcome.objective, value):
        lab.fail(f"{place} is worth {outcome.objective:.9g}, the episode's rewards say {value:.9g}")
    return True


def optima_in_the_kernel(lab: Lab) -> str:
    """Point 2: the actions of a program's solution return its objective; a policy's exact value is its objective."""
    lab.need(HasKernel)
    replayed = 0
    for text in lab.crashed:
        lab.fail(text)
    for answer in lab.answers:
        if answer.value is None:
            if not answer.program.relaxation:
                lab.proved(answer)
        elif answer.policy is not None:
            replayed += _exact(lab, answer)
        elif answer.world is not None:
            replayed += 1
            _replay(lab, answer)
    if not replayed and not lab.failures:
        raise NotApplicable("no program gave a solution: " + lab.reasons())
    return f"{replayed} solutions replayed"


def _replay(lab: Lab, answer: Answer) -> None:
    assert answer.world is not None
    try:
        script = Script(lab.problem.actions(answer.outcome.solution, answer.world.scenario), f"{answer}")
        episode = lab.play(script, answer.world)
    except (LookupError, OrrlError) as error:
        lab.fail(f"{answer} cannot be replayed: {error}")
        return
    if script.played < len(script.actions):
        lab.fail(f"{answer}: the episode ends after {script.played} of {len(script.actions)} actions")
    if episode.failed:
        lab.fail(f"{answer}: its replay ends without a solution (a dead end)")
        return
    claimed, optimal = answer.outcome.objective, lab.proved(answer)
    assert claimed is not None
    # a solution that is not optimal may leave slack, which the kernel does not: its replay may be better
    if not lab.close(episode.value, claimed) and (optimal or lab.beats(claimed, episode.value)):
        lab.fail(f"{answer} is worth {claimed:.9g}, its replay in the kernel returns {episode.value:.9g}")


def _exact(lab: Lab, answer: Answer) -> bool:
    value = exact_value(lab, answer)
    if value is None:
        lab.note(f"{answer}: no tables to evaluate its policy exactly")
        return False
    if not lab.close(value, answer.outcome.objective):
        lab.fail(f"{answer} is worth {answer.outcome.objective:.9g}, its policy is worth {value:.9g} on the tables")
    return True


def exact_value(lab: Lab, answer: Answer) -> float | None:
    """Value of an answer's policy on the tables, where the policy has ``probabilities`` on them."""
    law = getattr(answer.policy, "probabilities", None)
    if law is None or not lab.problem.supports(HasTabular):
        return None
    goal, table = lab.problem.objective, lab.problem.tabular()
    ahead = float(table.initial @ policy_value(table, np.asarray(law)))
    return float(lab.problem.accrued + goal.sign * goal.discount**goal.stage * ahead)


def referee_agrees(lab: Lab) -> str:
    """Point 3: the referee finds episodes and solutions feasible and gives them the values that were claimed."""
    judged = 0
    if lab.problem.supports(HasKernel):
        for text in lab.broken:
            lab.fail(text)
        for episode in lab.finished:
            solution = lab.problem.solution(episode.trajectory)
            judged += _refereed(
                lab, f"{episode}", solution, episode.world.scenario, episode.trajectory.value, "rewards say"
            )
    for answer in _answers(lab):
        if answer.value is not None and answer.policy is None and answer.world is not None:
            solution, scenario = answer.outcome.solution, answer.world.scenario
            judged += _refereed(lab, f"{answer}", solution, scenario, answer.value, "program says")
    if not judged:
        raise NotApplicable("neither an episode nor a program gave a solution")
    return f"{judged} solutions judged"


def _refereed(lab: Lab, place: str, solution: object, scenario: object, claimed: float, who: str) -> bool:
    verdict = lab.problem.evaluate(solution, scenario)
    if not verdict.feasible:
        lab.fail(f"{place}: the referee finds it infeasible: {'; '.join(verdict.violations[:3])}")
    elif not lab.close(verdict.objective, claimed):
        lab.fail(f"{place}: the referee says {verdict.objective:.9g}, the {who} {claimed:.9g}")
    return True


def _answers(lab: Lab) -> list[Answer]:
    """The programs' answers, or none where there are no programs."""
    try:
        return lab.answers
    except NotApplicable:
        return []


def bounds_optima_and_policies(lab: Lab) -> str:
    """Point 4: no value beats a bound; an optimum meets its own; without noise no policy beats a bound either."""
    compared = 0
    bounds = [(a, _bound(a)) for a in lab.answers]
    for answer, bound in bounds:
        if answer.outcome.status == "infeasible":
            _contradict(lab, answer)
        value = answer.value
        if value is None or not math.isfinite(bound):
            continue
        apart = abs(value - bound) > OPTIMAL * max(1.0, abs(value), abs(bound))
        if answer.outcome.status == "optimal" and apart:
            lab.fail(f"{answer} calls {value:.9g} optimal with the bound {bound:.9g}")
    for answer, bound in bounds:
        if not math.isfinite(bound):
            continue
        for other in lab.answers:
            if other.value is not None and _same_world(answer, other):
                compared += 1
                if lab.beats(other.value, bound):
                    lab.fail(f"{other} is worth {other.value:.9g}, beyond the bound {bound:.9g} of {answer}")
        compared += _against_policies(lab, answer, bound)
    if not compared:
        raise NotApplicable("no program gave a bound: " + lab.reasons())
    return f"{compared} values against {sum(math.isfinite(b) for _, b in bounds)} bounds"


def _contradict(lab: Lab, answer: Answer) -> None:
    """A program says that there is no solution: an episode may have one."""
    rivals = lab.finished if lab.problem.supports(HasKernel) else []
    found = [e for e in rivals if answer.world is None or e.world.key == answer.world.key]
    if found:
        lab.fail(f"{answer} says that there is no solution; {found[0]} has one")
    else:
        lab.note(f"{answer} says that there is no solution")


def _bound(answer: Answer) -> float:
    return math.nan if answer.outcome.bound is None else answer.outcome.bound


def _same_world(a: Answer, b: Answer) -> bool:
    return (a.world is None and b.world is None) or (
        a.world is not None and b.world is not None and a.world.key == b.world.key
    )


def _against_policies(lab: Lab, answer: Answer, bound: float) -> int:
    """Without noise every episode, with noise the means (a bound of the whole law); one scenario is point 10's."""
    if not lab.problem.supports(HasKernel) or lab.stochastic == (answer.world is not None):
        return 0
    sign = lab.problem.objective.sign
    if not lab.stochastic:
        for episode in lab.finished:
            if lab.beats(episode.trajectory.value, bound):
                lab.fail(f"{episode} is worth {episode.trajectory.value:.9g}, beyond the bound {bound:.9g} of {answer}")
        return len(lab.finished)
    policies = lab.policies()
    for policy in policies:
        mean, error = simulated(lab, policy, EPISODES)
        if sign * (mean - bound) > ERRORS * error + 1e-6 * max(1.0, abs(bound)):
            lab.fail(
                f"{policy.name} is worth {mean:.6g} +- {error:.2g} on average, beyond the bound {bound:.9g} of {answer}"
            )
    return len(policies)


def perfect_information_wins(lab: Lab) -> str:
    """Point 10: on each scenario the clairvoyant optimum (or its bound) is no worse than any policy."""
    lab.need(HasKernel)
    if not lab.stochastic:
        raise NotApplicable("nothing is random: point 4 compares optimum and policies")
    compared, headroom = 0, []
    for answer in lab.answers:
        if answer.world is None:
            continue
        best = answer.value if lab.proved(answer) and answer.value is not None else answer.outcome.bound
        rivals = [e for e in lab.finished if e.world.key == answer.world.key]
        if best is None or not rivals:
            continue
        compared += len(rivals)
        headroom.append(min(lab.problem.objective.sign * (best - e.trajectory.value) for e in rivals) + 0.0)
        for episode in rivals:
            value = episode.trajectory.value
            if lab.beats(value, best):
                lab.fail(f"{episode} is worth {value:.9g}, {answer} with perfect information only {best:.9g}")
    if not compared:
        raise NotApplicable("no program knows a scenario: " + lab.reasons())
    return f"{compared} episodes; the best policy stays {min(headroom):.6g} to {max(headroom):.6g} behind"
