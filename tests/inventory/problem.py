"""`Inventory`: orders for a shelf under random demand, with lost sales, over a finite horizon, discounted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from orrl.core.capabilities import HasStages
from orrl.core.errors import DataError, NotSupportedError
from orrl.core.learner import SPLITS, Split
from orrl.core.problem import Problem
from orrl.core.seeds import spawn_seeds, stream
from orrl.core.types import Evaluation, Objective, Support

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orrl.core.decision_models import TabularMDP
    from orrl.core.policy import Policy
    from orrl.core.program import Program
    from orrl.core.rollout import Trajectory
    from orrl.core.stages import Stage, StageGraph

    from .env import InventoryEnv
    from .kernel import InventoryKernel

__all__ = ["Demand", "Inventory", "InventoryGenerator", "InventoryState", "Plan"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """Scenario: demand of each period, ``path : (T,)`` units, seen after the order of its period."""

    path: IntArray

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"path": self.path.tolist()}


@dataclass(frozen=True, slots=True)
class InventoryState:
    """What has happened: orders and demand of the t periods that have passed; stock and sales follow from them."""

    orders: tuple[int, ...] = ()
    demand: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Solution: orders and sales of all T periods, units."""

    orders: tuple[int, ...]
    sales: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"orders": list(self.orders), "sales": list(self.sales)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(tuple(data["orders"]), tuple(data["sales"]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Inventory(Problem):
    """Each period: order, see the demand, sell what there is, pay for what is left; unmet demand is lost.

    Profit of period t, discounted by ``discount**t``: ``price * sales - cost * order - fixed * [order > 0] - holding *
    stock at the end``. The price is constant and holding costs something, so no plan gains by turning a customer away.

    Parameters
    ----------
    law : (D + 1,)
        Probability of each demand 0..D, the same in every period.
    horizon : int
        Periods T.
    capacity, max_order, initial : int
        Units that fit on the shelf, largest order, units at the beginning.
    price, cost, fixed, holding : float
        Money a unit sold, a unit ordered, an order placed, a unit left at the end of a period.
    discount : float
        Factor a period.
    name : str
        For tables.
    state : InventoryState
        Start from here; use `at`.
    """

    family: ClassVar[str] = "inventory"
    not_modelled: ClassVar[tuple[str, ...]] = ("lead times", "backorders", "a price that varies")

    law: tuple[float, ...]
    horizon: int
    capacity: int
    max_order: int
    price: float
    cost: float
    holding: float
    fixed: float = 0.0
    discount: float = 1.0
    initial: int = 0
    name: str = "inventory"
    state: InventoryState = InventoryState()
    objective: Objective = field(init=False)

    def __post_init__(self) -> None:
        if len(self.law) == 0 or min(self.law) < 0 or abs(sum(self.law) - 1.0) > 1e-9:
            raise DataError(f"law is {self.law}: give non-negative probabilities of the demands 0..D that sum to 1")
        if not 0 <= self.initial <= self.capacity:
            raise DataError(f"initial is {self.initial}: give 0..capacity ({self.capacity})")
        if self.holding <= 0:
            raise DataError(f"holding is {self.holding}: give a positive cost, or turning customers away costs nothing")
        goal = Objective(
            "max", "profit", "money", discount=self.discount, horizon=self.horizon, stage=len(self.state.orders)
        )
        object.__setattr__(self, "objective", goal)

    # ---- content -----------------------------------------------------------------------------------------------
    def content(self) -> dict[str, Any]:
        """Everything but the name."""
        numbers = ("horizon", "capacity", "max_order", "price", "cost", "holding", "fixed", "discount", "initial")
        past = {"orders": list(self.state.orders), "demand": list(self.state.demand)}
        return {"law": list(self.law), **{k: getattr(self, k) for k in numbers}, "state": past}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the name included."""
        return {**self.content(), "name": self.name}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        past = InventoryState(tuple(data["state"]["orders"]), tuple(data["state"]["demand"]))
        return cls(**{**data, "law": tuple(data["law"]), "state": past})

    @classmethod
    def generate(cls, *, seed: int, horizon: int = 6, capacity: int = 5) -> Self:
        """One random shelf without fixed cost."""
        rng = stream(seed, "inventory-generate")
        law = rng.dirichlet(np.ones(capacity))
        cost, holding = float(rng.uniform(1, 3)), float(rng.uniform(0.1, 1))
        return cls(
            law=tuple((law / law.sum()).tolist()),
            horizon=horizon,
            capacity=capacity,
            max_order=int(rng.integers(2, capacity + 1)),
            price=cost * 2,
            cost=cost,
            holding=holding,
            discount=0.9,
            name=f"inventory-{seed}",
        )

    @classmethod
    def generator(cls, **size: int) -> InventoryGenerator:
        """A distribution of shelves with ``.sample(n, seed, split)``."""
        return InventoryGenerator(cls, size)

    # ---- randomness --------------------------------------------------------------------------------------------
    @property
    def stochastic(self) -> bool:
        """Whether two demands have weight."""
        return max(self.law) < 1.0

    def scenario(self, seed: int) -> Demand:
        """Demand of all periods; what has passed stays."""
        draw = stream(seed, "inventory-demand").choice(len(self.law), size=self.horizon, p=self.law)
        return self._with_past(draw)

    def nominal(self) -> Demand:
        """The mean demand, rounded, in every period to come."""
        mean = round(float(np.dot(self.law, np.arange(len(self.law)))))
        return self._with_past(np.full(self.horizon, mean))

    def _with_past(self, path: Any) -> Demand:
        whole = np.array(path, np.int64)
        whole[: len(self.state.demand)] = self.state.demand
        whole.flags.writeable = False
        return Demand(whole)

    # ---- the two faces and their bridges -----------------------------------------------------------------------
    @property
    def stock(self) -> int:
        """Units on the shelf where the problem starts."""
        units = self.initial
        for order, demand in zip(self.state.orders, self.state.demand, strict=True):
            units = max(0, units + order - demand)
        return units

    def evaluate(self, solution: Plan, scenario: Demand | None = None) -> Evaluation:
        """The referee's verdict; without a scenario, under the nominal demand."""
        from .referee import evaluate

        return evaluate(self, solution, self.nominal() if scenario is None else scenario)

    def supports(self, capability: type) -> Support:
        """As `Problem.supports`; a fixed cost makes the stages integer."""
        if capability is HasStages and self.fixed > 0:
            return Support(False, f"a fixed order cost ({self.fixed:g}) makes the stage problems integer: no cuts")
        return super().supports(capability)

    def forms(self) -> dict[str, tuple[str, ...]]:
        """A plan per scenario (milp), or a policy of the whole law (occupation)."""
        return {"pyomo": ("milp", "occupation")}

    def program(self, *, backend: str, form: str | None = None, scenario: Demand | None = None, **_: Any) -> Program:
        """Build a model; see `programs`."""
        from .programs import InventoryMilp, OccupationLP

        if backend != "pyomo" or form not in (None, "milp", "occupation"):
            raise NotSupportedError(f"no program {backend}/{form}: {self.forms()}")
        if form == "occupation":
            if scenario is not None:
                raise NotSupportedError("form 'occupation' is about the whole law: leave scenario out")
            return OccupationLP(self)
        return InventoryMilp(self, self.nominal() if scenario is None else scenario)

    @classmethod
    def kernel(cls, problems: Sequence[Inventory], **options: Any) -> InventoryKernel:
        """Batched arithmetic over shelves of mixed size."""
        from .kernel import InventoryKernel

        return InventoryKernel(problems, **options)

    def env(self, **options: Any) -> InventoryEnv:
        """A Gymnasium view of the kernel."""
        from .env import InventoryEnv

        return InventoryEnv(self, **options)

    def at(self, state: InventoryState) -> Self:
        """The same shelf from a running state."""
        return replace(self, state=state)

    @property
    def accrued(self) -> float:
        """Discounted profit of the periods that have passed."""
        from .referee import profit

        return profit(self, self.state.orders, self.state.demand)

    def solution(self, trajectory: Trajectory) -> Plan:
        """Orders and sales of an episode."""
        done: InventoryState = trajectory.final
        units, sales = self.initial, []
        for order, demand in zip(done.orders, done.demand, strict=True):
            sales.append(min(units + order, demand))
            units += order - sales[-1]
        return Plan(done.orders, tuple(sales))

    def actions(self, solution: Plan, scenario: Demand) -> IntArray:
        """The orders still to be placed."""
        return np.array(solution.orders[self.objective.stage :], np.int64)

    def rules(self) -> dict[str, Policy]:
        """Base-stock rules."""
        from .rules import rules

        return rules()

    def tabular(self) -> TabularMDP:
        """Arrays over the stock; see `tables`."""
        from .tables import tabular

        return tabular(self)

    def state_index(self, state: InventoryState) -> int:
        """The stock is the state."""
        return self.at(state).stock

    def stages(self) -> StageGraph:
        """Policy graph; see `stages`."""
        from .stages import graph

        return graph(self)

    def stage(self, node: int) -> Stage:
        """Linear program of one node; see `stages`."""
        from .stages import stage

        left = self.horizon - self.objective.stage
        kind = (node == 0, node == left)
        if kind not in self._stages:
            self._stages[kind] = stage(self, first=kind[0], last=kind[1])
        return self._stages[kind]

    @cached_property
    def _stages(self) -> dict[tuple[bool, bool], Stage]:
        return {}

    def noise(self, scenario: Demand) -> npt.NDArray[np.float64]:
        """Demand (T + 1 - t, 1) as the nodes meet it: nothing at the first, then that of each period left."""
        rest = scenario.path[self.objective.stage :]
        return np.concatenate([[0.0], rest])[:, None]


@dataclass(frozen=True)
class InventoryGenerator:
    """Shelves of one size with one seed stream per split."""

    kind: type[Inventory]
    size: Mapping[str, int]

    def stream(self, seed: int = 0, split: Split = "train") -> Iterator[Inventory]:
        """Shelves without end."""
        n = 0
        while True:
            n += 1
            yield self.kind.generate(seed=spawn_seeds(seed, n, "inventory", SPLITS.index(split))[-1], **self.size)

    def sample(self, n: int, seed: int = 0, split: Split = "train") -> list[Inventory]:
        """The first `n` shelves of a split."""
        rows = self.stream(seed, split)
        return [next(rows) for _ in range(n)]
