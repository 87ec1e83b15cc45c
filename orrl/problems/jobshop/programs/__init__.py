"""The programs of the job shop: which formulations a variant has, and how each is built."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ....core.errors import UnknownNameError

if TYPE_CHECKING:
    from ....core.program import Program
    from ..data import JobShop
    from ..interruptions import Outages

__all__ = ["forms", "program"]

BUILDERS = {
    ("cp-sat", "interval"): "interval:IntervalCpSat",
    ("cp-sat", "literal"): "literal:LiteralCpSat",
    ("pyomo", "disjunctive"): "disjunctive:DisjunctivePyomo",
    ("pyomo", "time-indexed"): "time_indexed:TimeIndexed",
    ("highspy", "disjunctive"): "disjunctive:DisjunctiveHighs",
}

MANY = 20_000


def _pairs(problem: JobShop) -> int:
    visits = np.bincount(problem.machines[problem.machines >= 0])
    return int((visits * (visits - 1) // 2).sum())


def forms(problem: JobShop) -> dict[str, tuple[str, ...]]:
    """Formulations per backend for this variant, the default first.

    Machine calendars (maintenance, breakdowns) are said by CP-SAT alone, and only with ``mode="resume"``. A shop
    without swap needs ranks along the arcs, which neither intervals nor time-indexed binaries carry. Literals grow with
    the square of the jobs: beyond `MANY` of them nothing is proved anyway, and intervals are built much sooner.
    """
    calendar = len(problem.maintenance) > 0 or problem.interruptions.law == "mtbf"
    if calendar and problem.interruptions.mode == "repeat":
        return {}
    if not problem.blocking:
        cp: tuple[str, ...] = ("interval", "literal")
    else:
        cp = ("literal", "interval") if problem.swap else ("literal",)
        if problem.swap and _pairs(problem) > MANY:
            cp = ("interval", "literal")
    table = {"cp-sat": cp}
    if not calendar:
        indexed = ("disjunctive", "time-indexed") if problem.swap else ("disjunctive",)
        table |= {"pyomo": indexed, "highspy": ("disjunctive",)}
    return table


def program(
    problem: JobShop, *, backend: str, form: str | None = None, scenario: Outages | None = None, **options: Any
) -> Program:
    """Build one formulation.

    Parameters
    ----------
    problem : JobShop
        The shop, from its running state if it has one.
    backend : str
        "cp-sat", "pyomo" or "highspy".
    form : str, optional
        One of ``forms(problem)[backend]``, the first by default.
    scenario : Outages, optional
        Clairvoyant for these outages; none by default.
    options : mapping
        Of the formulation, such as ``hint=`` (a Schedule) and ``horizon=``.

    Raises
    ------
    UnknownNameError
        Where this variant has no such formulation.
    """
    known = forms(problem)
    if backend not in known:
        raise UnknownNameError(f"backend for a {problem.variant}", backend, known)
    form = form or known[backend][0]
    if form not in known[backend]:
        raise UnknownNameError(f"{backend} form for a {problem.variant}", form, known[backend])
    module, _, name = BUILDERS[backend, form].partition(":")
    built: Program = getattr(import_module(f"{__name__}.{module}"), name)(problem, scenario, **options)
    return built
