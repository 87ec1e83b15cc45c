"""`mdp-lp`: a finite MDP as a linear program (d'Epenoux 1963), solved by HiGHS, a Pyomo solver or CVXPY."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...core.capabilities import HasPostDecision, HasProgram
from ...core.solver import Solver
from ...core.tables import policy_value
from ...core.tabular_lp import BACKENDS, table_program
from ...core.types import Support
from .mdp_model import conclude, mdp_support

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...core.program import Outcome, Program
    from ...core.run import Run

__all__ = ["MdpLp", "built", "carried_out", "signed_back"]

FORMS = {"dual": "occupation", "primal": "values", "post-decision": "post-decision"}
MANY = 20_000_000  # entries of a program that Python still writes in reasonable time


@dataclass(repr=False)
class MdpLp(Solver):
    """Solve the linear program of a finite MDP; the value of its policy is computed exactly.

    Parameters
    ----------
    form : {"dual", "primal", "post-decision"}
        Occupation measures; values; measures over the points between decision and next state, which has far fewer
        entries and is the fastest where a problem has such points.
    backend : {"highspy", "pyomo", "cvxpy"}
        Whose model is built.
    solver : str
        "highs", or another solver of Pyomo or CVXPY by name.
    solver_options : dict
        Passed to the solver by its own names, such as ``{"solver": "ipm"}`` for HiGHS.
    """

    form: str = "dual"
    backend: str = "highspy"
    solver: str = "highs"
    solver_options: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "mdp-lp"
    clairvoyant: ClassVar[bool] = False

    def supports(self, problem: Any) -> Support:
        """Tables of a size that can be written down, and the form."""
        return lp_support(problem, self.form, self.backend, FORMS)

    def _solve(self, problem: Any, run: Run) -> Outcome:
        with run.clock("build"):
            program = built(problem, self.backend, FORMS[self.form])
        outcome = program.solve(solver=self.solver, options=dict(self.solver_options), run=run)
        outcome.meta |= {"backend": self.backend, "form": self.form, "solver": self.solver}
        if outcome.solution is None:
            return outcome
        law, worth = carried_out(problem, outcome.solution)
        bound = worth if outcome.bound is None else signed_back(problem, outcome.bound)
        optimal = outcome.status == "optimal"
        if not optimal and outcome.bound is None:
            bound = np.inf
        return conclude(
            problem, law, worth, bound, name=self.name, stop=outcome.stop, optimal=optimal, meta=outcome.meta
        )


def lp_support(problem: Any, form: str, backend: str, forms: Mapping[str, str]) -> Support:
    """Whether a program of this form can be built."""
    offered = mdp_support(problem)
    if not offered:
        return offered
    if form not in forms:
        return Support(False, f"form {form!r} is not one of {', '.join(forms)}")
    if backend not in BACKENDS:
        return Support(False, f"backend {backend!r} is not one of {', '.join(BACKENDS)}")
    if form == "post-decision":
        small: Support = problem.supports(HasPostDecision)
        return small
    table = problem.tabular()
    entries = sum(t.nnz if hasattr(t, "nnz") else int(np.count_nonzero(t)) for t in table.transition)
    entries *= table.horizon or 1
    if entries > MANY:
        return Support(False, f"its linear program has {entries} entries: use value-iteration")
    return Support(True)


def built(problem: Any, backend: str, form: str, **options: Any) -> Program:
    """The problem's own program of this form, else the one that its tables give; its policy may see the state."""
    offers = problem.supports(HasProgram) and form in problem.forms().get(backend, ())
    if problem.tabular().observation is not None:
        options["seen"] = True
    if offers:
        program: Program = problem.program(backend=backend, form=form, **options)
        return program
    return table_program(problem, backend=backend, form=form, **options)


def carried_out(problem: Any, policy: Any) -> tuple[Any, float]:
    """Law of a policy, and its exact value on the tables (rewards from the problem's start on)."""
    table = problem.tabular()
    law = np.asarray(policy.probabilities)
    return law, float(table.initial @ policy_value(table, law))


def signed_back(problem: Any, objective: float) -> float:
    """Inverse of `signed_value`: rewards from the problem's start on that make an objective."""
    goal = problem.objective
    return float((objective - problem.accrued) / (goal.sign * goal.discount**goal.stage))
