"""One stage of a multistage problem as arrays, the policy graph that strings stages together, and answers of a stage.

A `Stage` is the one description: a persistent HiGHS or Clarabel model, a Pyomo model, an interior-point model and the
program over a whole path are all rendered from it. State and noise enter right-hand sides only, which is what makes
cuts valid and a persistent model cheap to move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from .errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from .cuts import CutPool
    from .linear import Key, Linear

__all__ = ["Cone", "SmoothRow", "Stage", "StageGraph", "StageNode", "StageSolution", "StageSolver", "StageStatus"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Terms = Sequence[tuple[int, float]]
SmoothRow = tuple["Key", float, Any, float]
"""A nonlinear row: key, lower limit, expression, upper limit."""

StageStatus = Literal["optimal", "infeasible", "limit", "error"]


@dataclass(frozen=True, slots=True, eq=False)
class Cone:
    """``matrix @ y + offset`` lies in the second-order cone: its first entry is at least the norm of the others.

    Parameters
    ----------
    key : tuple
        Name.
    matrix : (k, m) sparse
        Over the columns of the stage.
    offset : (k,)
        Constants.
    """

    key: Key
    matrix: csr_array
    offset: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Stage:
    """Minimise ``cost @ y + constant`` over the columns y of one stage, for the incoming state x and the noise w.

    Rows: ``row_lower + by_state @ x + by_noise @ w <= matrix @ y <= row_upper + by_state @ x + by_noise @ w``. Two
    stages with the same content should be the same object, so that what is learnt about one serves all.

    Parameters
    ----------
    columns : tuple of Key, length m
        A family's name, then numbers, such as ``("volume", 3)``.
    lower, upper, cost : (m,)
        Bounds and money.
    rows : tuple of Key, length r
        Names of the rows.
    matrix : (r, m) sparse
        Coefficients.
    row_lower, row_upper : (r,)
        Limits.
    by_state : (r, n) sparse
        How the incoming state moves both limits of a row.
    by_noise : (r, W) sparse
        How the noise moves them.
    out : (n,) int
        Columns that are the outgoing state.
    constant : float
        Money that no decision changes.
    cones : tuple of Cone
        Convex rows beyond linear ones.
    smooth : callable, optional
        ``smooth(y, lib)`` yields nonlinear rows for a mapping y from column keys to symbols and a library with ``sin``
        and ``cos``, so that CasADi and Pyomo are given the same physics. With it the stage is not convex: no cuts.
    """

    columns: tuple[Key, ...]
    lower: FloatArray
    upper: FloatArray
    cost: FloatArray
    rows: tuple[Key, ...]
    matrix: csr_array
    row_lower: FloatArray
    row_upper: FloatArray
    by_state: csr_array
    by_noise: csr_array
    out: IntArray
    constant: float = 0.0
    cones: tuple[Cone, ...] = ()
    smooth: Callable[[Mapping[Key, Any], Any], Iterable[SmoothRow]] | None = None

    def __post_init__(self) -> None:
        m, r = len(self.columns), len(self.rows)
        shapes = {
            "lower": (m,), "upper": (m,), "cost": (m,), "matrix": (r, m), "row_lower": (r,), "row_upper": (r,),
            "by_state": (r, len(self.out)), "by_noise": (r, self.by_noise.shape[1]),
        }  # fmt: skip
        for name, wanted in shapes.items():
            if getattr(self, name).shape != wanted:
                raise DataError(f"stage: {name} has shape {getattr(self, name).shape}, its table needs {wanted}")
        for i in np.flatnonzero(self.lower > self.upper)[:1]:
            raise DataError(f"stage: column {self.columns[i]} has bounds {self.lower[i]:g} to {self.upper[i]:g}")

    @classmethod
    def of(
        cls,
        table: Linear,
        *,
        out: Sequence[Key],
        noise: int,
        by_state: Mapping[Key, Terms] = MappingProxyType({}),
        by_noise: Mapping[Key, Terms] = MappingProxyType({}),
        cones: Mapping[Key, Sequence[tuple[Sequence[tuple[Key, float]], float]]] = MappingProxyType({}),
        smooth: Callable[[Mapping[Key, Any], Any], Iterable[SmoothRow]] | None = None,
    ) -> Self:
        """A stage from a table of columns and rows.

        Parameters
        ----------
        table : Linear
            Continuous, minimised.
        out : sequence of Key
            Columns handed on, one for each entry of the state.
        noise : int
            W.
        by_state, by_noise : mapping of row key to ((i, a), ...)
            Entry i of the state (noise) moves the row's limits by a times itself.
        cones : mapping of key to a sequence of (terms, constant)
            The first expression is at least the norm of the others.
        smooth : callable
            As in the class.
        """
        from scipy.sparse import csr_array

        if table.sense != "min" or any(integer for _, _, integer, _ in table.columns.values()):
            raise DataError("a stage is minimised and has no whole-number columns: relax it, or turn the signs")
        columns, rows = tuple(table.columns), tuple(table.rows)
        where = {key: i for i, key in enumerate(columns)}
        line = {key: i for i, key in enumerate(rows)}

        def sparse(entries: list[tuple[int, int, float]], shape: tuple[int, int]) -> csr_array:
            i, j, a = (np.array(part) for part in zip(*entries, strict=True)) if entries else (np.zeros(0, int),) * 3
            made = csr_array((np.asarray(a, np.float64), (i, j)), shape=shape)
            made.sum_duplicates()
            return made

        def moved(terms: Mapping[Key, Terms], width: int) -> csr_array:
            return sparse([(line[key], i, a) for key, own in terms.items() for i, a in own], (len(rows), width))

        body = [(line[key], where[c], a) for key, (_, terms, _) in table.rows.items() for c, a in terms]
        limits = np.array([(low, high) for low, _, high in table.rows.values()]).reshape(-1, 2)
        bounds = np.array([(low, high, cost) for low, high, _, cost in table.columns.values()]).reshape(-1, 3)
        cone_list = []
        for key, lines in cones.items():
            entries = [(i, where[c], a) for i, (terms, _) in enumerate(lines) for c, a in terms]
            matrix = sparse(entries, (len(lines), len(columns)))
            cone_list.append(Cone(key, matrix, np.array([constant for _, constant in lines], np.float64)))
        return cls(
            columns=columns, lower=bounds[:, 0].copy(), upper=bounds[:, 1].copy(), cost=bounds[:, 2].copy(), rows=rows,
            matrix=sparse(body, (len(rows), len(columns))), row_lower=limits[:, 0].copy(),
            row_upper=limits[:, 1].copy(), by_state=moved(by_state, len(out)), by_noise=moved(by_noise, noise),
            out=np.array([where[key] for key in out], np.int64), constant=table.offset, cones=tuple(cone_list),
            smooth=smooth,
        )  # fmt: skip

    @property
    def size(self) -> tuple[int, int]:
        """Numbers n of the state and W of the noise."""
        return len(self.out), self.by_noise.shape[1]

    @cached_property
    def where(self) -> dict[Key, int]:
        """Number of each column."""
        return {key: i for i, key in enumerate(self.columns)}

    @cached_property
    def moved(self) -> IntArray:
        """Rows (k,) whose limits depend on state or noise."""
        touched = np.diff(self.by_state.indptr) + np.diff(self.by_noise.indptr) > 0
        return np.flatnonzero(touched)

    @cached_property
    def moves(self) -> tuple[FloatArray, FloatArray]:
        """Dense ``by_state`` (k, n) and ``by_noise`` (k, W) of the `moved` rows."""
        return self.by_state[self.moved].toarray(), self.by_noise[self.moved].toarray()

    def shift(self, state: FloatArray, noise: FloatArray) -> FloatArray:
        """How far state (..., n) and noise (..., W) move the `moved` rows: (..., k)."""
        s, w = self.moves
        return np.asarray(state @ s.T + noise @ w.T, np.float64)

    def block(self, family: str) -> IntArray:
        """Columns of a family, in their order; empty where there is none."""
        return np.array([i for i, key in enumerate(self.columns) if key[0] == family], np.int64)

    def family(self, values: FloatArray, family: str) -> FloatArray:
        """Values (..., size) of a family's columns out of all of them (..., m)."""
        return np.asarray(values[..., self.block(family)], np.float64)

    @property
    def engine(self) -> str:
        """The solver that fits: "highs" for a linear stage, "clarabel" with cones, "ipopt" with smooth rows."""
        return "ipopt" if self.smooth is not None else "clarabel" if self.cones else "highs"

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def name(self, row: int) -> str:
        """A row's name for messages."""
        key = self.rows[row]
        return str(key[0]) + ("[" + ",".join(str(i) for i in key[1:]) + "]" if key[1:] else "")


@dataclass(frozen=True, slots=True)
class StageSolution:
    """Answer of a stage problem.

    Parameters
    ----------
    cost : float
        Stage cost without the cost-to-go.
    state_out : (n,)
        State handed to the next stage.
    d_state, d_noise : (n,), (W,)
        Derivatives of `value` in the incoming state and the noise.
    d_target : (n,) or None
        Derivative in the target where one was given.
    value : float
        Optimal value with the cost-to-go.
    columns : (m,)
        Values of the stage's own columns.
    status : {"optimal", "infeasible", "limit", "error"}
        A cut may only be made from "optimal"; otherwise the arrays hold NaN.
    """

    cost: float
    state_out: FloatArray
    d_state: FloatArray
    d_noise: FloatArray
    d_target: FloatArray | None
    value: float
    columns: FloatArray
    status: StageStatus

    @classmethod
    def failure(cls, stage: Stage, status: StageStatus) -> Self:
        """No answer."""
        n, w = stage.size
        nan = float("nan")
        return cls(
            nan, np.full(n, nan), np.full(n, nan), np.full(w, nan), None, nan, np.full(len(stage.columns), nan), status
        )


class StageSolver(Protocol):
    """A persistent model of one stage."""

    stage: Stage

    def solve(
        self, state: FloatArray, noise: FloatArray, *, target: FloatArray | None = None, cuts: CutPool | None = None
    ) -> StageSolution:
        """Solve for incoming `state` (n,) and `noise` (W,).

        The outgoing state is fixed to `target` (n,) where one is given; without `cuts` there is no cost-to-go. A pool
        that has grown since the last call costs its new cuts only.
        """
        ...

    def conflict(self, state: FloatArray, noise: FloatArray, *, target: FloatArray | None = None) -> list[str]:
        """Names of rows and bounds that cannot hold together, for the message about an infeasible stage."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class StageNode:
    """One node of a policy graph.

    Parameters
    ----------
    children : tuple of (int, float)
        Successors with probabilities; the missing mass ends the episode.
    openings : (K, W)
        Noise vectors.
    p : (K,)
        Their probabilities.
    bound : float
        A valid lower bound on the expected cost after this node, as this node sees it (discounted).
    """

    children: tuple[tuple[int, float], ...]
    openings: FloatArray
    p: FloatArray
    bound: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class StageGraph:
    """Policy graph: linear, cyclic, or with regimes that follow a Markov chain.

    Parameters
    ----------
    nodes : tuple of StageNode
        The noise of a node is seen before its decision.
    roots : tuple of (int, float)
        Where an episode begins, with probabilities.
    initial_state : (n,)
        State that the first node is handed.
    discount : float
        Factor per stage.
    period : int or None
        Stages after which the law of the noise repeats; None where it does not.
    """

    nodes: tuple[StageNode, ...]
    roots: tuple[tuple[int, float], ...]
    initial_state: FloatArray
    discount: float = 1.0
    period: int | None = None

    @property
    def linear(self) -> bool:
        """Whether node t is followed by node t + 1 alone, up to the last."""
        last = len(self.nodes) - 1
        ways = [node.children for node in self.nodes]
        return self.roots == ((0, 1.0),) and all(
            way == (() if t == last else ((t + 1, 1.0),)) for t, way in enumerate(ways)
        )
