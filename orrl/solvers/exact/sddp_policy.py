"""`CutPolicy`: what SDDP leaves behind. It decides by stage problems with cuts and knows what a state is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from ...core.archive import read_archive, write_archive
from ...core.cuts import CutPool
from ...core.engines import open_stage
from ...core.errors import DataError, OrrlError
from ...core.result import dump_object, load_object
from ...core.targets import TargetPolicy
from .sddp_cuts_io import read_cuts, state_names, write_cuts
from .sddp_planner import explain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from ...core.stages import StageSolver

__all__ = ["CutPolicy", "pack", "unpack"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class CutPolicy(TargetPolicy):
    """Minimises the cost of a stage and the cuts on what comes after it.

    Values and prices are in the minimised money of the stages, seen from the stage (not discounted back to the first).

    Parameters
    ----------
    pools : sequence of CutPool or None
        Cost-to-go after each node; None where nothing follows.
    states : sequence of str
        Names of the state's entries.
    seen : frozenset of str
        Content hashes of the problems that the cuts were made for.
    first : int
        Stages that had passed at node 0.
    planner : Problem, optional
        Whose stages decide; by default those of the problem that is played (of its convex form, where it has one).
    labels : sequence of str, optional
        The user's own names of the state's entries, for tables.

    Attributes
    ----------
    train_seconds : float or None
        Wall seconds of the training, resumed runs included; None where it is not known (cuts from a file).
    """

    train_seconds: float | None = None
    scope: ClassVar[Literal["any", "instance", "distribution"]] = "instance"
    name = "sddp"

    def __init__(
        self,
        pools: Sequence[CutPool | None],
        *,
        states: Sequence[str],
        seen: frozenset[str] = frozenset(),
        first: int = 0,
        planner: Any = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        self.pools, self.states, self.seen, self.first = list(pools), tuple(states), seen, first
        self.planner, self.labels = planner, tuple(states if labels is None else labels)
        self._shift = 0
        self._source: Any = None
        self._models: dict[int, StageSolver] = {}

    def copy_pools(self) -> list[CutPool | None]:
        """Pools of one's own to go on from."""
        return unpack(*pack(self.pools))

    # ---- deciding ------------------------------------------------------------------------------------------------
    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Prepare to play a problem: the one the cuts were made for, or the same from a later stage.

        Raises
        ------
        DataError
            Where the stages do not fit.
        """
        given = list(problem) if isinstance(problem, list | tuple) else [problem]
        if any(other.content_hash != given[0].content_hash for other in given[1:]):
            raise DataError("cuts are of one problem: play one problem at a time")
        own = given[0]
        graph = own.stages()
        shift = own.objective.stage - self.first
        if shift < 0 or len(graph.nodes) + shift != len(self.pools) or len(graph.initial_state) != len(self.states):
            raise DataError(
                f"the cuts are for {len(self.pools)} nodes and {len(self.states)} states from stage {self.first}; "
                f"{own.name} has {len(graph.nodes)} nodes and {len(graph.initial_state)} states from stage "
                f"{own.objective.stage}: train for it"
            )
        source = own if self.planner is None else self.planner
        if source is not self._source or shift != self._shift:
            self._models = {}
        self._source, self._shift = source, shift

    def targets(self, node: IntArray, state: FloatArray, noise: FloatArray) -> FloatArray:
        """Outgoing states (B, n) that the stage problems with cuts choose."""
        if self._source is None:
            raise OrrlError("reset the policy for a problem before it decides")
        out = np.array(state, np.float64)
        for b, i in enumerate(np.asarray(node).tolist()):
            at = i + self._shift
            if at not in self._models:
                stage = self._source.stage(i if self.planner is None else at)
                self._models[at] = open_stage(stage)
            solver = self._models[at]
            answer = solver.solve(state[b], noise[b], cuts=self.pools[at])
            if answer.status != "optimal":
                raise explain(solver, at, answer.status, state[b], noise[b])
            out[b] = answer.state_out
        return out

    # ---- what a state is worth -----------------------------------------------------------------------------------
    def _pool(self, node: int) -> CutPool | None:
        if not 0 <= node < len(self.pools):
            raise DataError(f"node is {node}: give 0 to {len(self.pools) - 1}")
        return self.pools[node]

    def value(self, state: Any, node: int) -> float:
        """Cost-to-go of leaving `node` with a state (n,), from below."""
        pool = self._pool(node)
        return 0.0 if pool is None else float(pool.value(np.asarray(state, np.float64)))

    def prices(self, state: Any, node: int) -> FloatArray:
        """What one more unit of each entry of the state (n,) saves after `node`: minus the slope of the cost-to-go."""
        pool = self._pool(node)
        if pool is None:
            return np.zeros(len(self.states))
        return -pool.slope(np.asarray(state, np.float64))

    def water_values(self, volumes: Any, week: int) -> pd.DataFrame:
        """`prices` as a table, in the words of those who plan with reservoirs.

        Parameters
        ----------
        volumes : (n,) or mapping of label to number
            What each reservoir holds at the end of the week.
        week : int
            The stage, from 0.

        Returns
        -------
        DataFrame
            One row a reservoir: ``volume``, and ``water_value``, money per unit of it.
        """
        import pandas as pd

        if isinstance(volumes, Mapping):
            if missing := set(self.labels) ^ set(volumes):
                raise DataError(f"volumes: {sorted(missing)[0]!r} is on one side only; give {', '.join(self.labels)}")
            volumes = [volumes[name] for name in self.labels]
        given = np.asarray(volumes, np.float64)
        if given.shape != (len(self.labels),):
            raise DataError(f"volumes have shape {given.shape}: give {len(self.labels)}, {', '.join(self.labels)}")
        frame = pd.DataFrame({"volume": given, "water_value": self.prices(given, week)}, index=list(self.labels))
        frame.index.name = "reservoir"
        return frame

    def add_cost_to_go(self, model: Any, state: Sequence[Any], node: int) -> Any:
        """Add the cuts after `node` to a Pyomo model.

        Parameters
        ----------
        model : pyomo.environ.ConcreteModel
            The user's own dispatch of the stage.
        state : sequence of n Pyomo variables or expressions
            The outgoing state, in the order of `states`.
        node : int
            The stage that the model stands for.

        Returns
        -------
        pyomo.environ.Var
            The cost-to-go: add it to the (minimised) objective.
        """
        import pyomo.environ as pyo

        if len(state) != len(self.states):
            raise DataError(f"{len(state)} state variables: give {len(self.states)}, {', '.join(self.states)}")
        pool = self._pool(node)
        block = pyo.Block()
        model.add_component(f"cost_to_go_{node}", block)
        if pool is None:
            block.theta = pyo.Var(bounds=(0.0, 0.0), initialize=0.0)
            return block.theta
        block.theta = pyo.Var(bounds=(pool.bound, None), initialize=pool.bound)
        parts = [block.theta]
        if pool.thetas > 1:
            block.outcome = pyo.Var(range(pool.thetas))
            parts = [block.outcome[j] for j in range(pool.thetas)]
            block.mixture = pyo.ConstraintList()
            for weights in pool.mixtures:
                block.mixture.add(block.theta >= sum(float(q) * part for q, part in zip(weights, parts, strict=True)))
        block.cuts = pyo.ConstraintList()
        for c in np.flatnonzero(pool.active).tolist():
            slopes = sum(float(a) * x for a, x in zip(pool.gradient[c], state, strict=True) if a)
            block.cuts.add(parts[pool.theta[c]] >= float(pool.intercept[c]) + slopes)
        return block.theta

    # ---- in and out ----------------------------------------------------------------------------------------------
    def write_cuts(self, path: str | Path, *, names: Sequence[str] | None = None, selected: bool = False) -> None:
        """Write the cuts in SDDP.jl's format, with other state `names` where they are given."""
        write_cuts(path, self.pools, self.states if names is None else names, selected=selected)

    @classmethod
    def read_cuts(cls, path: str | Path, problem: Any, *, names: Sequence[str] | None = None) -> Self:
        """A policy for a problem from a cut file of SDDP.jl, or of `write_cuts`."""
        graph = problem.stages()
        states = state_names(problem.stage(0)) if names is None else list(names)
        bounds = [node.bound if node.children else None for node in graph.nodes]
        pools = read_cuts(path, states, bounds)
        seen = frozenset({problem.content_hash})
        return cls(pools, states=states, seen=seen, first=problem.objective.stage)

    def save(self, path: str | Path) -> None:
        """Write the policy to a file."""
        header = {
            "type": f"{type(self).__module__}:{type(self).__qualname__}",
            "states": list(self.states),
            "labels": list(self.labels),
            "seen": sorted(self.seen),
            "first": self.first,
            "train_seconds": self.train_seconds,
            "planner": None if self.planner is None else dump_object(self.planner),
        }
        kept, arrays = pack(self.pools)
        write_archive(path, {**header, "pools": kept}, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Inverse of `save`."""
        header, arrays = read_archive(path, f"{cls.__module__}:{cls.__qualname__}")
        planner = None if header["planner"] is None else load_object(header["planner"])
        policy = cls(
            unpack(header["pools"], arrays),
            states=header["states"],
            labels=header["labels"],
            seen=frozenset(header["seen"]),
            first=header["first"],
            planner=planner,
        )
        policy.train_seconds = header.get("train_seconds")
        return policy


def pack(pools: Sequence[CutPool | None]) -> tuple[list[Any], dict[str, npt.NDArray[Any]]]:
    """Pools as a JSON header and arrays for `write_archive`."""
    header: list[Any] = []
    arrays: dict[str, npt.NDArray[Any]] = {}
    for i, pool in enumerate(pools):
        header.append(None if pool is None else {"size": pool.size, "thetas": pool.thetas, "bound": pool.bound})
        if pool is not None:
            for name in ("intercept", "gradient", "theta", "active", "point", "mixtures"):
                arrays[f"{name}_{i}"] = getattr(pool, name)
    return header, arrays


def unpack(header: Sequence[Any], arrays: dict[str, npt.NDArray[Any]]) -> list[CutPool | None]:
    """Inverse of `pack`."""
    pools: list[CutPool | None] = []
    for i, spec in enumerate(header):
        if spec is None:
            pools.append(None)
            continue
        pool = CutPool(spec["size"], thetas=spec["thetas"], bound=spec["bound"])
        cuts = (arrays[f"{name}_{i}"] for name in ("intercept", "gradient", "theta", "point"))
        for intercept, gradient, theta, point in zip(*cuts, strict=True):
            pool.add(float(intercept), gradient, int(theta), point)
        pool.mixtures = arrays[f"mixtures_{i}"]
        pool.keep(arrays[f"active_{i}"])
        pools.append(pool)
    return pools
