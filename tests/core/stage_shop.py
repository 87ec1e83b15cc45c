"""A made-up problem with stages that is no dispatch: buy now, sell when the demand is seen, over a few periods.

Each stage sees the demand d, sells s <= d at `price` from the stock of the stage before, keeps the rest (at `holding`)
and buys b at `cost` for the next one. The first stage meets no demand.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from orrl.core.linear import Linear
from orrl.core.stages import Stage, StageGraph, StageNode
from orrl.core.types import Evaluation, Objective, Support


class News:
    """The newsvendor of one period is ``News(periods=1)``."""

    def __init__(
        self,
        *,
        periods: int = 1,
        demand: tuple[float, ...] = (10.0, 20.0, 60.0),
        p: tuple[float, ...] = (0.5, 0.3, 0.2),
        cost: float = 3.0,
        price: float = 5.0,
        holding: float = 0.1,
        discount: float = 1.0,
        least: float = 0.0,
        cone: bool = False,
    ) -> None:
        self.periods, self.demand, self.p = periods, np.array(demand), np.array(p)
        self.cost, self.price, self.holding, self.discount, self.least = cost, price, holding, discount, least
        self.cone = cone
        self.name, self.content_hash = "news", f"news-{periods}-{discount}-{cost}"
        self.objective = Objective("min", discount=discount)
        self.is_stochastic = True
        self._made = [self._stage(i) for i in ("first", "middle", "last")]

    def supports(self, capability: Any) -> Support:
        missing = [n for n in dir(capability) if not n.startswith("_") and not hasattr(self, n)]
        return Support(not missing, f"no {', '.join(missing)}")

    stochastic = True

    def _stage(self, kind: str) -> Stage:
        table = Linear()
        table.column(("sold",), 0.0, 0.0 if kind == "first" else np.inf, cost=-self.price)
        table.column(("left",), self.least, np.inf, cost=self.holding)
        table.column(("bought",), 0.0, 0.0 if kind == "last" else 100.0, cost=self.cost)
        table.column(("stock",), 0.0, np.inf)
        table.equal(("have",), 0.0, (("sold",), 1.0), (("left",), 1.0))
        table.equal(("next",), 0.0, (("stock",), 1.0), (("left",), -1.0), (("bought",), -1.0))
        table.at_most(("demand",), 0.0, (("sold",), 1.0))
        cones = {}
        if self.cone and kind != "last":  # |(bought - 8, left)| <= 1: at most 9 are bought, and all are sold
            lines = [((), 1.0), (((("bought",), 1.0),), -8.0), (((("left",), 1.0),), 0.0)]
            cones = {("round",): lines}
        return Stage.of(
            table, out=[("stock",)], noise=1, by_state={("have",): [(0, 1.0)]}, by_noise={("demand",): [(0, 1.0)]},
            cones=cones,
        )  # fmt: skip

    def stages(self) -> StageGraph:
        nodes = []
        for t in range(self.periods + 1):
            children = ((t + 1, 1.0),) if t < self.periods else ()
            openings, p = (self.demand[:, None], self.p) if t else (np.zeros((1, 1)), np.ones(1))
            nodes.append(StageNode(children, openings, p, -1e5))
        return StageGraph(tuple(nodes), ((0, 1.0),), np.zeros(1), self.discount)

    def stage(self, node: int) -> Stage:
        return self._made[0 if node == 0 else 2 if node == self.periods else 1]

    def scenario(self, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        drawn = rng.choice(self.demand, size=self.periods, p=self.p)
        return SimpleNamespace(path=np.concatenate([[0.0], drawn])[:, None])

    def nominal(self) -> Any:
        return SimpleNamespace(path=np.concatenate([[0.0], np.full(self.periods, self.p @ self.demand)])[:, None])

    def noise(self, scenario: Any) -> np.ndarray:
        return scenario.path

    def evaluate(self, solution: Any, scenario: Any = None) -> Evaluation:
        raise NotImplementedError

    def newsvendor(self) -> float:
        """Optimal expected cost of one period, by trying every demand as the order (the optimum is at one of them)."""
        assert self.periods == 1
        values = []
        for order in [0.0, *self.demand.tolist()]:
            sold = np.minimum(order, self.demand)
            later = self.p @ (-self.price * sold + self.holding * (order - sold))
            values.append(self.cost * order + self.discount * later)
        return float(min(values))
