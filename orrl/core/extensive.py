"""The program over many stages: a tree of vertices, each a copy of its `Stage`, coupled to the copy before it.

A path is a tree with one branch (perfect information, a plan for mean noise); the whole tree of a policy graph gives
the deterministic equivalent. `Extensive` is the one table; HiGHS, Clarabel, Pyomo and CVXPY models are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from .errors import DataError
from .linear import Linear
from .stage_tree import StageTree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scipy.sparse import csr_array

    from .linear import Key
    from .stages import Cone, Stage, StageStatus

__all__ = ["Extensive", "ExtensiveSolution", "of_path"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Extensive:
    """Minimise ``cost @ y + constant`` over the columns of all vertices.

    Rows of vertex v with parent u: ``row_lower + by_noise @ w_v <= matrix @ y_v - by_state @ y_u[out] <= ...``, where
    the initial state takes the parent's place at the beginning. So `matrix` never changes with noise or initial state.

    Parameters
    ----------
    tree : StageTree
        Vertices.
    stages : sequence of Stage, length V
        Of each vertex; equal stages are the same object.
    state : (n,)
        Initial state.
    constant : float
        Money beside the stages' own.

    Attributes
    ----------
    columns, rows : tuple of Key
        Those of the stages, with the vertex appended.
    lower, upper, cost : (M,)
        Bounds and weighted money.
    matrix : (R, M) csr
        Coefficients.
    column_start, row_start : (V + 1,) int
        Where the columns and rows of a vertex begin.
    moved : (k,) int
        Rows whose limits depend on noise or initial state.
    """

    def __init__(self, tree: StageTree, stages: Sequence[Stage], state: FloatArray, *, constant: float = 0.0) -> None:
        if len(stages) != len(tree):
            raise DataError(f"{len(stages)} stages for {len(tree)} vertices of the tree")
        self.tree, self.stages, self.state = tree, tuple(stages), np.asarray(state, np.float64)
        self.column_start = _starts([len(s.columns) for s in stages])
        self.row_start = _starts([len(s.rows) for s in stages])
        self.constant = constant + float(sum(w * s.constant for w, s in zip(tree.weight, stages, strict=True)))
        # vertices of one stage (and one stage before) are handled together
        self._kinds = {id(s): s for s in stages}
        kind = np.array([id(s) for s in stages], np.int64)
        self._groups = [(s, np.flatnonzero(kind == i)) for i, s in self._kinds.items()]
        self.lower, self.upper, self.cost = (np.zeros(self.column_start[-1]) for _ in range(3))
        self.row_lower, self.row_upper = np.zeros(self.row_start[-1]), np.zeros(self.row_start[-1])
        for stage, at in self._groups:
            where = self.column_start[at][:, None] + np.arange(len(stage.columns))
            self.lower[where], self.upper[where] = stage.lower, stage.upper
            self.cost[where] = tree.weight[at][:, None] * stage.cost
            where = self.row_start[at][:, None] + np.arange(len(stage.rows))
            self.row_lower[where], self.row_upper[where] = stage.row_lower, stage.row_upper
        self.matrix = self._assemble()
        self._prepare_moves()

    def _assemble(self) -> csr_array:
        from scipy.sparse import coo_array, csr_array

        lines, places, values = [], [], []
        for stage, at in self._groups:
            own = coo_array(stage.matrix)
            lines.append(self.row_start[at][:, None] + own.coords[0])
            places.append(self.column_start[at][:, None] + own.coords[1])
            values.append(np.broadcast_to(own.data, (len(at), own.nnz)))
            coupled = at[self.tree.parent[at] >= 0]
            link = coo_array(stage.by_state)
            before = self.tree.parent[coupled]
            lines.append(self.row_start[coupled][:, None] + link.coords[0])
            places.append(self._out[before][:, link.coords[1]])
            values.append(np.broadcast_to(-link.data, (len(coupled), link.nnz)))
        shape = (int(self.row_start[-1]), int(self.column_start[-1]))
        if not lines:
            return csr_array(shape)
        flat = [np.concatenate([part.ravel() for part in parts]) for parts in (values, lines, places)]
        made = csr_array((flat[0], (flat[1], flat[2])), shape=shape)
        made.sum_duplicates()
        return made

    @cached_property
    def _out(self) -> IntArray:
        """Columns (V, n) of the outgoing states."""
        out = np.zeros((len(self.tree), len(self.state)), np.int64)
        for stage, at in self._groups:
            out[at] = self.column_start[at][:, None] + stage.out
        return out

    def _prepare_moves(self) -> None:
        rows, self._slots = [], []
        count = 0
        for stage, at in self._groups:
            own = self.row_start[at][:, None] + stage.moved
            self._slots.append(np.arange(count, count + own.size).reshape(own.shape))
            rows.append(own.ravel())
            count += own.size
        self.moved = np.concatenate(rows) if rows else np.zeros(0, np.int64)

    def shift(self, noise: FloatArray | None = None, state: FloatArray | None = None) -> FloatArray:
        """How far noise (V, W) and the initial state (n,) move the limits of the `moved` rows: (k,)."""
        noise = self.tree.noise if noise is None else np.asarray(noise, np.float64)
        state = self.state if state is None else np.asarray(state, np.float64)
        if noise.shape != self.tree.noise.shape or state.shape != self.state.shape:
            raise DataError(
                f"noise {noise.shape} and state {state.shape}: this program has {self.tree.noise.shape} and "
                f"{self.state.shape}"
            )
        shift = np.zeros(len(self.moved))
        for (stage, at), slots in zip(self._groups, self._slots, strict=True):
            by_state, by_noise = stage.moves
            shift[slots] = noise[at] @ by_noise.T
            first = self.tree.parent[at] < 0
            shift[slots[first]] += by_state @ state
        return shift

    def limits(self, noise: FloatArray | None = None, state: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Row limits (R,), (R,) for noise and initial state; the tree's own by default."""
        low, high = self.row_lower.copy(), self.row_upper.copy()
        shift = self.shift(noise, state)
        low[self.moved] += shift
        high[self.moved] += shift
        return low, high

    # ---- names ---------------------------------------------------------------------------------------------------
    @cached_property
    def columns(self) -> tuple[Key, ...]:
        return tuple((*key, v) for v, stage in enumerate(self.stages) for key in stage.columns)

    @cached_property
    def rows(self) -> tuple[Key, ...]:
        return tuple((*key, v) for v, stage in enumerate(self.stages) for key in stage.rows)

    @cached_property
    def where(self) -> dict[Key, int]:
        """Number of each column."""
        return {key: i for i, key in enumerate(self.columns)}

    @property
    def cones(self) -> list[tuple[int, Cone]]:
        """Vertex and cone."""
        return [(v, cone) for v, stage in enumerate(self.stages) for cone in stage.cones]

    @property
    def engine(self) -> str:
        """The hardest of the stages' engines: "highs", "clarabel" or "ipopt"."""
        found = {stage.engine for stage in self._kinds.values()}
        return next((e for e in ("ipopt", "clarabel") if e in found), "highs")

    @property
    def linear(self) -> bool:
        """Whether there are neither cones nor smooth rows."""
        return self.engine == "highs"

    def row_name(self, row: int) -> str:
        """A row's name, such as ``water[0,3]``."""
        key = self.rows[row]
        return f"{key[0]}[{','.join(str(i) for i in key[1:])}]"

    # ---- answers -------------------------------------------------------------------------------------------------
    def vertex(self, values: FloatArray, v: int) -> FloatArray:
        """Columns (m,) of one vertex out of all (M,)."""
        return values[self.column_start[v] : self.column_start[v + 1]]

    def states(self, values: FloatArray) -> FloatArray:
        """Outgoing states (V, n)."""
        return np.asarray(values[self._out], np.float64)

    def costs(self, values: FloatArray) -> FloatArray:
        """Stage costs (V,), neither weighted nor discounted."""
        return np.array([s.cost @ self.vertex(values, v) + s.constant for v, s in enumerate(self.stages)], np.float64)

    def table(self) -> Linear:
        """The columns and linear rows as a `Linear`, for the renderings that go by key."""
        low, high = self.limits()
        keys, starts = self.columns, self.matrix.indptr.tolist()
        index, data = self.matrix.indices.tolist(), self.matrix.data.tolist()
        bounds = zip(keys, self.lower.tolist(), self.upper.tolist(), self.cost.tolist(), strict=True)
        made = Linear({key: (a, b, False, c) for key, a, b, c in bounds}, offset=self.constant)
        for r, (key, a, b) in enumerate(zip(self.rows, low.tolist(), high.tolist(), strict=True)):
            span = range(starts[r], starts[r + 1])
            made.rows[key] = (a, tuple((keys[index[k]], data[k]) for k in span), b)
        return made


@dataclass(frozen=True, slots=True)
class ExtensiveSolution:
    """Answer of a program over many stages.

    Parameters
    ----------
    status : {"optimal", "infeasible", "limit", "error"}
        Otherwise than "optimal" the numbers are NaN.
    value : float
        Weighted cost of all vertices.
    columns : (M,)
        Values.
    bound : float
        Dual value: no solution costs less.
    exact : bool
        False where a conic solver stopped at its reduced accuracy (about 1e-4): good for a plan, no proof.
    """

    status: StageStatus
    value: float
    columns: FloatArray
    bound: float
    exact: bool = True

    @classmethod
    def failure(cls, program: Extensive, status: StageStatus) -> Self:
        """No answer."""
        nan = float("nan")
        return cls(status, nan, np.full(len(program.cost), nan), nan)


def _starts(sizes: Sequence[int]) -> IntArray:
    return np.concatenate([[0], np.cumsum(np.array(sizes, np.int64))]).astype(np.int64)


def of_path(problem: Any, noise: FloatArray, *, constant: float = 0.0) -> Extensive:
    """The program of a problem with stages in a line along one path of noise (T, W)."""
    graph = problem.stages()
    tree = StageTree.path(noise, discount=graph.discount)
    return Extensive(tree, [problem.stage(t) for t in range(len(noise))], graph.initial_state, constant=constant)
