"""The made-up inventory with one fault each, for the tests of `check_problem`."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from inventory import Demand, Inventory, Plan
from inventory.env import InventoryEnv
from inventory.kernel import InventoryKernel
from inventory.programs import InventoryMilp, OccupationLP
from scipy.sparse import csr_array

from orrl.core import Evaluation, IllegalActionError, Outcome, Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orrl.core.tables import TablePolicy


def with_kernel(kind: type[InventoryKernel]) -> type[Inventory]:
    class Faulty(Inventory):
        @classmethod
        def kernel(cls, problems: Sequence[Inventory], **options: Any) -> Any:
            return kind(problems, **options)

    return Faulty


def with_program(kind: type[InventoryMilp]) -> type[Inventory]:
    class Faulty(Inventory):
        def forms(self) -> dict[str, tuple[str, ...]]:
            return {"pyomo": ("milp",)}

        def program(self, **options: Any) -> Any:
            return kind(self, options.get("scenario") or self.nominal())

    return Faulty


def with_env(kind: type[InventoryEnv]) -> type[Inventory]:
    class Faulty(Inventory):
        def env(self, **options: Any) -> Any:
            return kind(self, **options)

    return Faulty


def with_tables(**change: Any) -> type[Inventory]:
    class Faulty(Inventory):
        def tabular(self) -> Any:
            table = super().tabular()
            return dataclasses.replace(table, **{key: make(table) for key, make in change.items()})

    return Faulty


# ---- 1 --------------------------------------------------------------------------------------------------------------
class FreeStorage(InventoryKernel):
    """Rewards without holding cost."""

    def __init__(self, problems: Sequence[Inventory]) -> None:
        super().__init__(problems)
        self.money["holding"][:] = 0.0


class OrdersEverySecondPeriod(InventoryMilp):
    """A constraint too many."""

    def __init__(self, problem: Inventory, scenario: Demand) -> None:
        import pyomo.environ as pyo

        super().__init__(problem, scenario)
        m = self.model
        m.rest = pyo.Constraint(
            m.t, rule=lambda m, t: pyo.Constraint.Skip if t == 0 else m.order[t - 1] + m.order[t] <= 3
        )


# ---- 2 --------------------------------------------------------------------------------------------------------------
class OrdersAPeriodLate(Inventory):
    def actions(self, solution: Plan, scenario: Demand) -> Any:
        return np.array([0, *super().actions(solution, scenario)[:-1]])


class Crashing(InventoryMilp):
    """The solver's answer cannot be read."""

    def decode(self, value: Any) -> Any:
        raise KeyError("order")


class CannotTakeAPlan(InventoryMilp):
    """A solution cannot be written into it."""

    def encode(self, solution: Plan, *, fix: bool = False) -> None:
        raise AttributeError("no column named sales")


class OneActionShort(Inventory):
    def actions(self, solution: Plan, scenario: Demand) -> Any:
        return super().actions(solution, scenario)[:-1]


class LazyOccupation(OccupationLP):
    """Its policy never orders."""

    def decode(self, value: Any) -> TablePolicy:
        policy = super().decode(value)
        policy.probabilities[:] = 0.0
        policy.probabilities[:, :, 0] = 1.0
        return policy


class PolicyOfAnother(Inventory):
    def forms(self) -> dict[str, tuple[str, ...]]:
        return {"pyomo": ("occupation",)}

    def program(self, **options: Any) -> Any:
        program = super().program(**options)
        program.__class__ = LazyOccupation
        return program


# ---- 3 --------------------------------------------------------------------------------------------------------------
class GenerousReferee(Inventory):
    def evaluate(self, solution: Plan, scenario: Demand | None = None) -> Evaluation:
        verdict = super().evaluate(solution, scenario)
        return dataclasses.replace(verdict, objective=verdict.objective + 0.01)


class EndlessDemand(InventoryMilp):
    """A constraint too few."""

    def __init__(self, problem: Inventory, scenario: Demand) -> None:
        super().__init__(problem, scenario)
        for t in self.model.t:
            self.model.sales[t].setub(None)


class BrokenRule(Policy):
    name = "broken"

    def act(self, obs: Any, info: Any) -> Any:
        return np.array([99])


# ---- 4 --------------------------------------------------------------------------------------------------------------
class TooTight(InventoryMilp):
    """A bound that its own solution beats."""

    def solve(self, **options: Any) -> Outcome:
        outcome = super().solve(**options)
        outcome.bound = None if outcome.bound is None else outcome.bound - 0.5
        return outcome


class TooTightLaw(OccupationLP):
    """A bound on the expected value that a policy beats."""

    def solve(self, **options: Any) -> Outcome:
        outcome = super().solve(**options)
        outcome.objective, outcome.bound = 0.0, 0.0
        return outcome


class LawBound(Inventory):
    def program(self, **options: Any) -> Any:
        program = super().program(**options)
        if isinstance(program, OccupationLP):
            program.__class__ = TooTightLaw
        return program


class Pessimist(InventoryMilp):
    """Says that there is no solution."""

    def solve(self, **options: Any) -> Outcome:
        return Outcome("infeasible", "finished")


# ---- 5 --------------------------------------------------------------------------------------------------------------
def leaking(table: Any) -> Any:
    chain = np.array(table.transition)
    chain[1, 2, 0] -= 0.05
    return tuple(chain)


def negative(table: Any) -> Any:
    chain = np.array(table.transition)
    chain[1, 2, 0] -= 0.5
    chain[1, 2, 1] += 0.5
    return tuple(chain)


def outside(table: Any) -> Any:
    sparse = [csr_array(law) for law in table.transition]
    sparse[1].indices[-1] = len(table.initial) + 3
    return tuple(sparse)


def of_another(table: Any) -> Any:
    return tuple(np.array(table.transition)[:, :, ::-1])


# ---- 6 --------------------------------------------------------------------------------------------------------------
class AcceptsAll(InventoryEnv):
    """Orders that do not fit are cut instead of refused."""

    def step(self, action: Any) -> Any:
        return super().step(min(int(action), int(np.flatnonzero(self.action_masks())[-1])))


class WideMask(InventoryEnv):
    """The mask shows everything; the kernel's mask decides."""

    def action_masks(self) -> Any:
        return np.ones(self.kernel.n_actions, np.bool_)

    def step(self, action: Any) -> Any:
        if self.illegal == "raise" and not self.kernel.mask(self._state)[0, int(action)]:
            raise IllegalActionError("does not fit")
        return super().step(action)


class TwoMasks(InventoryEnv):
    """The info and the method disagree."""

    def _info(self) -> Any:
        return {"action_mask": np.roll(self.action_masks(), 1)}


class Unseeded(InventoryEnv):
    """The demand does not come from the seed."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        world = np.random.default_rng().integers(2**31)
        return super().reset(seed=seed, options={"scenario": int(world)} | (options or {}))


class DoublePrecision(InventoryEnv):
    """Observations outside the declared space."""

    def _observe(self) -> Any:
        return super()._observe().astype(np.float64) * 3.0


class SilentNoop(InventoryEnv):
    """A refused action goes unnoticed."""

    def step(self, action: Any) -> Any:
        obs, reward, over, cut, info = super().step(action)
        return obs, reward, over, cut, {k: v for k, v in info.items() if k != "illegal_action"}


# ---- 7 --------------------------------------------------------------------------------------------------------------
class ForgetsFixedCost(Inventory):
    def to_dict(self) -> dict[str, Any]:
        return {k: v for k, v in super().to_dict().items() if k != "fixed"}


class NothingAccrued(Inventory):
    @property
    def accrued(self) -> float:
        return 0.0


class ForgetsTheDate(Inventory):
    """The rest of the episode is discounted from now instead of from the beginning."""

    def at(self, state: Any) -> Any:
        later = super().at(state)
        object.__setattr__(later, "objective", dataclasses.replace(later.objective, stage=0))
        return later


class SharedClone(InventoryKernel):
    """A clone that is a view of the original."""

    def clone(self, state: Any, scenarios: Any, rows: Any) -> Any:
        return state


class EnvAtTheBeginning(InventoryEnv):
    """Ignores the state that it is reset to."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=seed, options={k: v for k, v in (options or {}).items() if k != "state"})


# ---- 8 --------------------------------------------------------------------------------------------------------------
class Restless(Inventory):
    """The scenario depends on how often it was asked for."""

    def scenario(self, seed: int) -> Demand:
        calls = self.__dict__.setdefault("calls", [])
        calls.append(seed)
        return super().scenario(seed + 1000 * len(calls))


class Deaf(Inventory):
    """The seed is ignored."""

    def scenario(self, seed: int) -> Demand:
        return super().scenario(0)


class WritesIntoTheScenario(InventoryKernel):
    def reset(self, scenarios: Any, which: Any = None) -> Any:
        for scenario in scenarios:
            scenario.path.flags.writeable = True
            scenario.path[-1] += 1
        return super().reset(scenarios, which)


# ---- 9 --------------------------------------------------------------------------------------------------------------
class Unpicklable(Inventory):
    def __getstate__(self) -> Any:
        return {**self.__dict__, "helper": lambda: None}


class DiesWhenRead(Inventory):
    def __setstate__(self, state: Any) -> None:
        if "home" in state and state["home"] != os.getpid():
            raise RuntimeError("this object cannot live in another process")
        self.__dict__.update(state)

    def __getstate__(self) -> Any:
        return {**self.__dict__, "home": os.getpid()}


class AnotherInAnotherProcess(Inventory):
    """A cached number of this process is used in the next one."""

    def scenario(self, seed: int) -> Demand:
        return super().scenario(seed + os.getpid())


# ---- 10 -------------------------------------------------------------------------------------------------------------
class Timid(InventoryMilp):
    """Knows the demand and orders nothing, and is sure that this is best."""

    def solve(self, **options: Any) -> Outcome:
        if not any(self.model.sales[t].fixed for t in self.model.t):  # a plan that was fixed is left alone
            for t in self.model.t:
                self.model.order[t].fix(0)
        return super().solve(**options)


# ---- 11 -------------------------------------------------------------------------------------------------------------
class Prophet(Policy):
    """Reads the demand of this period in the kernel's hidden scenario."""

    name = "prophet"

    def act(self, obs: Any, info: Any) -> Any:
        shelves, mask = info["view"].state, info["action_mask"]
        wanted = shelves.demand[np.arange(len(mask)), np.minimum(shelves.stage, shelves.demand.shape[1] - 1)]
        return np.where(mask & (np.arange(mask.shape[1]) <= wanted[:, None]), np.arange(mask.shape[1]), 0).max(axis=1)


class Fickle(Policy):
    """Has a generator of its own that no seed reaches."""

    name = "fickle"
    rng = np.random.default_rng(1)

    def act(self, obs: Any, info: Any) -> Any:
        mask = info["action_mask"]
        return np.where(mask, self.rng.random(mask.shape), -1.0).argmax(axis=1)


class ShowsTheFuture(InventoryKernel):
    """The demand of the period is in the observation."""

    def observe(self, state: Any) -> Any:
        seen = super().observe(state)
        now = np.minimum(state.stage, state.demand.shape[1] - 1)
        seen[:, 1] = state.demand[np.arange(len(seen)), now] / 10.0
        return seen


class DeafClone(InventoryKernel):
    """A clone keeps the future that is played: a look-ahead with it is clairvoyant."""

    def clone(self, state: Any, scenarios: Any, rows: Any) -> Any:
        return super().clone(state, [Demand(state.demand[b, : self.periods]) for b in rows], rows)


class RewritesThePast(Inventory):
    """A fresh scenario from a running state forgets what has happened."""

    def _with_past(self, path: Any) -> Demand:
        return Demand(np.array(path, np.int64))
