"""`cp-sat`: constraint programming with clause learning, solved to a proven gap."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ...core.capabilities import HasProgram
from ...core.solver import Solver
from ...core.types import Support

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...core.program import Outcome
    from ...core.run import Run

__all__ = ["CpSat"]


@dataclass(repr=False)
class CpSat(Solver):
    """Solve a problem's CP-SAT model.

    Parameters
    ----------
    form : str, optional
        Formulation, one of ``problem.forms()["cp-sat"]``; the problem's default otherwise.
    solver_options : dict
        CP-SAT parameters by their own names.
    form_options : dict
        Passed to ``problem.program``.
    """

    form: str | None = None
    solver_options: Mapping[str, Any] = field(default_factory=dict)
    form_options: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "cp-sat"
    kind = "exact"

    def supports(self, problem: Any) -> Support:
        """Whether the problem has such a model."""
        support: Support = problem.supports(HasProgram)
        if not support:
            return support
        forms = problem.forms().get("cp-sat", ())
        if not forms:
            return Support(False, "this variant has no CP-SAT model")
        if self.form is not None and self.form not in forms:
            return Support(False, f"form {self.form!r} is not one of {', '.join(forms)}")
        return support

    def _solve(self, problem: Any, run: Run) -> Outcome:
        with run.clock("build"):
            program = problem.program(backend="cp-sat", form=self.form, scenario=run.scenario, **self.form_options)
            if run.warm_start is not None:
                program.encode(run.warm_start)
        outcome = program.solve(options=dict(self.solver_options), run=run)
        outcome.meta |= {"backend": "cp-sat", "form": program.form}
        return outcome
