"""`check_problem`: the two faces of a problem and its referee are the same problem, tested point by point.

Each point is a function ``point(lab) -> detail`` that collects its failures in the `Lab`, so that one report names all
of them. Nothing here knows a problem: everything is asked for through the protocols of `orrl.core.capabilities`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .envs import env_follows_the_kernel
from .faces import (
    bounds_optima_and_policies,
    optima_in_the_kernel,
    perfect_information_wins,
    referee_agrees,
    rollouts_in_the_program,
)
from .lab import Lab, NotApplicable
from .noise import no_one_sees_the_future, scenarios_depend_on_the_seed_alone
from .report import CheckFailedError, CheckReport, CheckRow
from .state import round_trips
from .tables import tables_are_laws
from .worker import works_in_a_spawned_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..core.policy import Policy
    from ..core.problem import Problem

__all__ = ["POINTS", "CheckFailedError", "CheckReport", "CheckRow", "check_problem"]

NOTES = 6  # notes printed per point

POINTS: dict[int, tuple[str, Callable[[Lab], str]]] = {
    1: ("an episode, fixed in the program, is feasible and has the same objective", rollouts_in_the_program),
    2: ("the program's optimum, replayed in the kernel, returns its objective", optima_in_the_kernel),
    3: ("the referee agrees with episodes and programs", referee_agrees),
    4: ("bound, optimum and policies are in order", bounds_optima_and_policies),
    5: ("the tables are probability laws on the states", tables_are_laws),
    6: ("the environment follows Gymnasium, its seed and its mask", env_follows_the_kernel),
    7: ("writing, reading and starting from a running state change nothing", round_trips),
    8: ("a scenario depends on its seed alone", scenarios_depend_on_the_seed_alone),
    9: ("a spawned process gets the same problem", works_in_a_spawned_process),
    10: ("perfect information is never worse than a policy", perfect_information_wins),
    11: ("no policy sees the future", no_one_sees_the_future),
}


def check_problem(
    problem: Problem,
    *,
    seeds: int | Sequence[int] = 3,
    time_limit: float = 20.0,
    points: Iterable[int] | None = None,
    policies: Sequence[Policy] = (),
) -> CheckReport:
    """Test that a problem is one problem: program, kernel, environment, tables and referee say the same.

    Parameters
    ----------
    problem : Problem
        Ours or yours; small is enough, and quick.
    seeds : int or sequence of int
        Seeds of the scenarios and of the random policy; a number n means 0 to n - 1.
    time_limit : float
        Wall seconds for each program that is solved; what is not proved by then is only used as far as it goes.
    points : iterable of int, optional
        Only these points, see `POINTS`; all by default.
    policies : sequence of Policy
        Judged besides the problem's own rules and the random policy.

    Returns
    -------
    CheckReport
        One row a point: pass, fail with the offending things named, or not applicable with the reason.

    Raises
    ------
    ValueError
        For an unknown point or no seed. A fault of the problem is a row, never an exception.
    """
    wanted = sorted(POINTS) if points is None else sorted(set(points))
    unknown = [p for p in wanted if p not in POINTS]
    if unknown:
        raise ValueError(f"points {unknown} do not exist: give numbers from 1 to {max(POINTS)}")
    numbers = list(range(seeds)) if isinstance(seeds, int) else [int(s) for s in seeds]
    if not numbers:
        raise ValueError(f"seeds is {seeds!r}: give at least one")
    lab = Lab(problem, numbers, time_limit, policies)
    return CheckReport(_name(problem), _hash(problem), tuple(_judge(lab, p) for p in wanted))


def _judge(lab: Lab, point: int) -> CheckRow:
    title, look = POINTS[point]
    lab.failures.clear()
    lab.notes.clear()
    detail = ""
    try:
        detail = look(lab)
    except NotApplicable as reason:
        if not lab.failures:
            return CheckRow(point, title, "not applicable", str(reason))
        detail = str(reason)
    except Exception as error:  # a problem under test may raise anything, and that is a finding
        lab.fail(_origin(error))
    notes = [text if n == 1 else f"{text} ({n} times)" for text, n in lab.notes.items()]
    more = [f"and {len(notes) - NOTES} more notes"] if len(notes) > NOTES else []
    detail = "; ".join(text for text in (detail, *notes[:NOTES], *more) if text)
    return CheckRow(point, title, "fail" if lab.failures else "pass", detail, tuple(lab.failures))


def _origin(error: Exception) -> str:
    """What was raised, and where."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" (in {trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno})"
    return f"{type(error).__name__}: {error}{where}"


def _name(problem: Any) -> str:
    return str(getattr(problem, "name", type(problem).__name__))


def _hash(problem: Any) -> str:
    """The content hash, or nothing where it cannot be computed; point 7 says why."""
    try:
        return str(problem.content_hash)
    except Exception:
        return "?"
