"""The mathematical-programming face: a real model object with the two ways in and out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from .run import Run
    from .types import Sense

__all__ = ["Outcome", "Program", "ProgramStatus"]

ProgramStatus = Literal["optimal", "feasible", "infeasible", "no_solution", "error"]


@dataclass(slots=True)
class Outcome:
    """What a method found, before the referee has judged it.

    Parameters
    ----------
    status : {"optimal", "feasible", "infeasible", "no_solution", "error"}
        What the method claims to know.
    stop : str
        Why it ended, one of `orrl.core.result.Stop`.
    solution : object or None
        Incumbent.
    objective : float or None
        The method's own value of the incumbent; the referee's replaces it and must agree.
    bound : float or None
        Proven bound, None where the method has none.
    bound_of : str
        What the bound bounds, where that is not the problem itself (a relaxation).
    message : str
        One line for people.
    policy : object or None
        Where the answer is a policy.
    meta : dict
        Counts and options worth keeping.
    """

    status: ProgramStatus
    stop: str
    solution: Any = None
    objective: float | None = None
    bound: float | None = None
    bound_of: str = ""
    message: str = ""
    policy: Any = None
    meta: dict[str, Any] = field(default_factory=dict)


class Program(ABC):
    """One formulation of one problem, ready to export, extend or solve.

    Attributes
    ----------
    backend : str
        ``"pyomo"``, ``"highspy"``, ``"cvxpy"`` or ``"cp-sat"``.
    form : str
        Name of the formulation.
    sense : {"min", "max"}
        Direction of the objective.
    relaxation : bool
        True where the optimum is only a bound of the problem.
    model : object
        The backend's own model.
    integral_objective : bool
        True where the objective takes whole numbers only, so that a bound may be rounded.
    """

    backend: ClassVar[str]
    form: str
    sense: Sense
    model: Any
    relaxation: bool = False
    integral_objective: bool = False

    @abstractmethod
    def encode(self, solution: Any, *, fix: bool = False) -> None:
        """Give the model a solution, as a hint, or fixed (every variable that the solution determines)."""

    @abstractmethod
    def decode(self, value: Callable[[Any], float]) -> Any:
        """Read a solution; `value` maps a model variable to its number."""

    @property
    @abstractmethod
    def objective_variable(self) -> Any:
        """The variable or expression of the objective."""

    def solve(
        self,
        *,
        solver: str = "highs",
        time_limit: float | None = None,
        threads: int | None = None,
        seed: int = 0,
        gap: float = 0.0,
        options: dict[str, Any] | None = None,
        run: Run | None = None,
    ) -> Outcome:
        """Solve the model as it stands, extended rows included.

        Parameters
        ----------
        solver : str
            Any Pyomo solver by name where the backend is Pyomo; ignored elsewhere.
        time_limit : float, optional
            Wall seconds.
        threads : int, optional
            All cores by default.
        seed : int
            For the solver.
        gap : float
            Relative gap at which to stop.
        options : dict, optional
            Passed to the solver as they are.
        run : Run, optional
            The running call this belongs to; replaces the four limits above.

        Returns
        -------
        Outcome
            Incumbent and bound, also at a limit.
        """
        from .engines import drive
        from .run import Run

        if run is None:
            run = Run(self.sense, time_limit=time_limit, threads=threads, seed=seed, gap=gap)
        return drive(self, run, solver=solver, options=options or {})
