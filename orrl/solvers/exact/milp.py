"""`milp`: a mixed-integer program solved to a proven gap, by HiGHS or any solver that Pyomo finds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ...core.capabilities import HasProgram
from ...core.errors import NotSupportedError, OrrlError, OrrlWarning
from ...core.solver import Solver
from ...core.types import Support

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...core.program import Outcome
    from ...core.run import Run

__all__ = ["Milp"]


@dataclass(repr=False)
class Milp(Solver):
    """Solve a problem's linear or mixed-integer program.

    Parameters
    ----------
    form : str, optional
        Formulation, one of ``problem.forms()``; the problem's default otherwise.
    solver : str
        "highs", or any solver of Pyomo by name.
    direct : bool
        Hand HiGHS the arrays without Pyomo where the formulation exists in that shape: the same rows, built faster.
    relax : bool
        Solve the linear relaxation: a bound and no solution.
    solver_options : dict
        Passed to the solver by its own names.
    form_options : dict
        Passed to ``problem.program``, such as ``{"horizon": 70}``.
    """

    form: str | None = None
    solver: str = "highs"
    direct: bool = True
    relax: bool = False
    solver_options: Mapping[str, Any] = field(default_factory=dict)
    form_options: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "milp"
    kind = "exact"

    def supports(self, problem: Any) -> Support:
        """Whether the problem has such a program."""
        support: Support = problem.supports(HasProgram)
        if not support:
            return support
        try:
            self._backend(problem)
        except NotSupportedError as reason:
            return Support(False, str(reason))
        return support

    def _backend(self, problem: Any) -> str:
        forms = self._forms(problem)
        if not forms:
            more = ": its programs hold policies, use mdp-lp" if hasattr(problem, "policy_forms") else ""
            raise NotSupportedError(f"this variant has no linear or mixed-integer program{more}")
        known = sorted({form for own in forms.values() for form in own})
        if self.form is not None and self.form not in known:
            raise NotSupportedError(f"form {self.form!r} is not one of {', '.join(known)}")
        # without a form the default is Pyomo's, the backend that knows every form; HiGHS takes it over where it can
        form = self.form or next(iter(forms.get("pyomo", forms.get("highspy", ()))))
        direct = self.direct and self.solver == "highs" and form in forms.get("highspy", ())
        if not direct and form not in forms.get("pyomo", ()):
            raise NotSupportedError(f"form {form!r} exists for HiGHS only: leave solver='highs' and direct=True")
        return "highspy" if direct else "pyomo"

    def _forms(self, problem: Any) -> dict[str, tuple[str, ...]]:
        """The problem's forms whose answer is a plan; ``problem.policy_forms`` names the others."""
        policies = frozenset(getattr(problem, "policy_forms", ()))
        table = {b: tuple(f for f in own if f not in policies) for b, own in problem.forms().items()}
        return {b: own for b, own in table.items() if b in ("highspy", "pyomo") and own}

    def _solve(self, problem: Any, run: Run) -> Outcome:
        options = dict(self.form_options)
        if self.relax:
            options["relax"] = True
        with run.clock("build"):
            backend = self._backend(problem)
            form = self.form or self._forms(problem)[backend][0]
            program = problem.program(backend=backend, form=form, scenario=run.scenario, **options)
            if run.warm_start is not None:
                try:
                    program.encode(run.warm_start)
                except OrrlError as error:
                    warnings.warn(f"the warm start is left out: {error}", OrrlWarning, stacklevel=2)
        outcome = program.solve(solver=self.solver, options=dict(self.solver_options), run=run)
        outcome.meta |= {"backend": backend, "form": form, "solver": self.solver}
        if outcome.solution is None and outcome.status == "no_solution" and not program.relaxation:
            return _keep_warm_start(problem, run, outcome)
        return outcome


def _keep_warm_start(problem: Any, run: Run, outcome: Outcome) -> Outcome:
    """A limit that came before the solver looked at the warm start must not lose it."""
    if run.warm_start is None:
        return outcome
    verdict = problem.evaluate(run.warm_start, run.scenario)
    if not verdict.feasible:
        return outcome
    run.incumbent(verdict.objective, lambda: run.warm_start)
    outcome.status, outcome.solution, outcome.objective = "feasible", run.warm_start, verdict.objective
    return outcome
