"""The programs of UAV offloading: which formulations a variant has, and how each is built.

=============  =====================================================  ==================================
form           what it says                                           exact for
=============  =====================================================  ==================================
flow           who is covered; no capacity, no interference           SNR
capacity       how many users a UAV on a cell serves                  SNR, with or without a capacity
interference   big-M on the total received power of each user         every variant
=============  =====================================================  ==================================

`forms` offers the ones that are exact and not needlessly large. CP-SAT takes whole numbers only, so the powers of the
interference form would have to be rounded: it is not offered there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ....core.errors import UnknownNameError

if TYPE_CHECKING:
    from ....core.program import Program
    from ..data import UavOffloading

__all__ = ["forms", "program"]

FORMS = {"flow": "flow:Flow", "capacity": "capacity:Capacity", "interference": "interference:Interference"}
BACKENDS = {"highspy": "Highs", "pyomo": "Pyomo", "cp-sat": "CpSat"}


def forms(problem: UavOffloading) -> dict[str, tuple[str, ...]]:
    """Formulations per backend that are exact for this variant, the default first."""
    if problem.interference:
        return {"highspy": ("interference",), "pyomo": ("interference",)}
    own = ("flow", "capacity") if problem.capacity is None else ("capacity",)
    return dict.fromkeys(("highspy", "pyomo", "cp-sat"), own)


def program(problem: UavOffloading, *, backend: str, form: str | None = None, **options: Any) -> Program:
    """Build one formulation.

    Parameters
    ----------
    problem : UavOffloading
        The network, from its running state if it has one.
    backend : str
        "highspy", "pyomo" or "cp-sat".
    form : str, optional
        One of ``forms(problem)[backend]``, the first by default.
    **options
        Of `FlightProgram`: ``relax=``, ``keep=``, ``hint=``.

    Raises
    ------
    UnknownNameError
        Where this variant has no such formulation.
    """
    known = forms(problem)
    if backend not in known:
        raise UnknownNameError(f"backend for UAV offloading ({problem.variant})", backend, known)
    form = form or known[backend][0]
    if form not in known[backend]:
        raise UnknownNameError(f"{backend} form for UAV offloading ({problem.variant})", form, known[backend])
    module, _, name = FORMS[form].partition(":")
    built: Program = getattr(import_module(f"{__name__}.{module}"), name + BACKENDS[backend])(problem, **options)
    return built
