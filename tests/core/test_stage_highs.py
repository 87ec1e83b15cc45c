"""The persistent HiGHS model of a stage beside other users of HiGHS."""

import highspy
import numpy as np

from orrl.core.engines import open_stage
from orrl.core.linear import Linear
from orrl.core.stages import Stage
from orrl.core.targets import StagePaths


def shelf() -> Stage:
    """Keep or buy: stock + bought = state, buying costs 2."""
    table = Linear()
    table.column(("stock",), 0.0, 5.0)
    table.column(("bought",), 0.0, np.inf, cost=2.0)
    table.equal(("balance",), 0.0, (("stock",), 1.0), (("bought",), -1.0))
    return Stage.of(
        table, out=[("stock",)], noise=1, by_state={("balance",): [(0, 1.0)]}, by_noise={("balance",): [(0, -1.0)]}
    )


def elsewhere(threads: int) -> None:
    """Somebody else runs HiGHS in this thread, in parallel, and leaves its scheduler behind."""
    model = highspy.Highs()
    model.silent()
    model.setOptionValue("threads", threads)
    model.setOptionValue("parallel", "on")
    x = model.addVariable(0.0, 1.0)
    model.maximize(x)


def test_another_number_of_threads_does_not_leave_an_old_answer_in_place() -> None:
    highspy.Highs.resetGlobalScheduler(True)
    solver = open_stage(shelf())
    first = solver.solve(np.array([1.0]), np.array([3.0]))
    assert (first.status, first.cost) == ("optimal", 4.0)
    highspy.Highs.resetGlobalScheduler(True)
    elsewhere(2)
    second = solver.solve(np.array([1.0]), np.array([4.0]))
    assert (second.status, second.cost) == ("optimal", 6.0)
    fresh = open_stage(shelf()).solve(np.array([0.0]), np.array([1.0]))
    assert (fresh.status, fresh.cost) == ("optimal", 2.0)
    highspy.Highs.resetGlobalScheduler(True)


def test_a_path_is_discounted_in_its_total_only() -> None:
    paths = StagePaths(np.array([[1.0, 2.0, 4.0]]), np.zeros((1, 4, 1)), np.zeros((1, 3, 0)), discount=0.5)
    assert paths.total().tolist() == [3.0]
    assert paths.total(2).tolist() == [2.0]
