"""The program of the whole horizon for an inflow path that is known, in each physics and backend.

===========  ==================================  ==============================================
form         physics                             backends
===========  ==================================  ==============================================
transport    capacities only                     highspy, pyomo, cvxpy
dc           linearised                          highspy, pyomo, cvxpy
soc          second-order-cone relaxation        cvxpy (Clarabel), pyomo (Ipopt)
ac           full alternating current            pyomo (Ipopt: a local optimum, without a bound)
===========  ==================================  ==============================================

A problem has one physics (``network=``), so each backend has one form. From a running state the program holds the
stages that are left; its objective and its solutions are of the whole horizon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, UnknownNameError
from ...core.extensive import of_path
from ...core.extensive_program import StagesInCvxpy, StagesInHighs, StagesInPyomo, StagesProgram
from .dispatch import Dispatch

if TYPE_CHECKING:
    from ...core.program import Program
    from .data import Hydrothermal
    from .inflow import InflowPath

__all__ = ["PathProgram", "build", "forms"]

FloatArray = npt.NDArray[np.float64]
BACKENDS = {
    "transport": ("highspy", "pyomo", "cvxpy"),
    "dc": ("highspy", "pyomo", "cvxpy"),
    "dcll": ("highspy", "pyomo", "cvxpy"),
    "soc": ("cvxpy", "pyomo"),
    "ac": ("pyomo",),
}


def forms(problem: Hydrothermal) -> dict[str, tuple[str, ...]]:
    """The problem's physics, for each backend that takes it."""
    return {backend: (problem.network,) for backend in BACKENDS[problem.network]}


def build(problem: Hydrothermal, backend: str, form: str | None, scenario: InflowPath, **options: Any) -> Program:
    """The program of one inflow path.

    Parameters
    ----------
    problem : Hydrothermal
        From its running state if it has one.
    backend : str
        One of `forms`.
    form : str, optional
        The problem's physics; another needs another problem, ``problem.with_(network=form)``.
    scenario : InflowPath
        Known in advance.

    Raises
    ------
    UnknownNameError
        Where this physics has no such backend, or the form is another physics.
    DataError
        Where the path is too short, or an option is given (there are none).
    """
    known = forms(problem)
    if backend not in known:
        raise UnknownNameError(f"backend for network={problem.network!r}", backend, known)
    if form not in (None, problem.network):
        hint = f'(use problem.with_(network="{form}"))' if form in BACKENDS else ""
        raise UnknownNameError(f"{backend} form for network={problem.network!r}", str(form), known[backend], hint)
    if options:
        raise DataError(f"the program takes no option {', '.join(options)}")
    made: Program = PROGRAMS[backend](problem, scenario)
    return made


class PathProgram(StagesProgram):
    """The stages that are left, for one path; solutions are `Dispatch`es of the whole horizon.

    Columns are those of the stage program (see `orrl.problems.hydrothermal.stage.build_stage`) with the number of the
    stage appended, counted from the present one.
    """

    backend: ClassVar[str]

    def __init__(self, problem: Hydrothermal, scenario: InflowPath) -> None:
        noise = problem.noise(scenario)
        left = problem.n_stages - problem.passed
        if noise.shape != (left, len(problem.cascade.names)):
            raise DataError(
                f"the path has inflow {np.shape(scenario.inflow)}: give {problem.n_stages} stages of "
                f"{len(problem.cascade.names)} plants"
            )
        self.problem = problem
        table = of_path(problem, noise, constant=problem.accrued)
        super().__init__(table, form=problem.network, name=problem.name)

    @property
    def _blocks(self) -> list[tuple[str, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Family, first columns (size,) of the vertices that have it, and these vertices' numbers."""
        found: dict[tuple[str, int], tuple[npt.NDArray[np.int64], list[int]]] = {}
        for v, stage in enumerate(self.extensive.stages):
            for family in dict.fromkeys(key[0] for key in stage.columns):
                found.setdefault((family, id(stage)), (stage.block(family), []))[1].append(v)
        return [(family, block, np.array(at, np.int64)) for (family, _), (block, at) in found.items()]

    def read(self, values: FloatArray) -> Dispatch:
        """The dispatch of the stages that were left, behind those that had passed."""
        stages, sizes = len(self.extensive.tree), dict[str, int]()
        for family, block, _ in self._blocks:
            sizes[family] = max(sizes.get(family, 0), len(block))
        families = {family: np.zeros((stages, size)) for family, size in sizes.items()}
        for family, block, at in self._blocks:
            where = self.extensive.column_start[at][:, None] + block
            families[family][at[:, None], np.arange(len(block))] = values[where]
        families.setdefault("volume", np.zeros((stages, len(self.problem.cascade.names))))
        ahead = Dispatch(families)
        return ahead if self.problem.state is None else self.problem.state.past.joined(ahead)

    def write(self, solution: Dispatch) -> FloatArray:
        """Columns of the stages that are left.

        Raises
        ------
        DataError
            Where the dispatch has another number of stages.
        """
        if len(solution) != self.problem.n_stages:
            raise DataError(f"a dispatch of {len(solution)} stages in a program of {self.problem.n_stages}")
        values = np.full(len(self.extensive.cost), np.nan)
        for family, block, at in self._blocks:
            given = solution[family][self.problem.passed :]
            if given.shape[1] >= len(block):  # a family that the dispatch does not have stays open
                values[self.extensive.column_start[at][:, None] + block] = given[at, : len(block)]
        return values


class PathHighs(PathProgram, StagesInHighs):
    """As arrays in HiGHS."""


class PathPyomo(PathProgram, StagesInPyomo):
    """As a Pyomo model."""


class PathCvxpy(PathProgram, StagesInCvxpy):
    """As a CVXPY problem."""


PROGRAMS: dict[str, Any] = {"highspy": PathHighs, "pyomo": PathPyomo, "cvxpy": PathCvxpy}
