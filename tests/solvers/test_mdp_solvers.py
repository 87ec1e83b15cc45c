"""Dynamic programming and linear programs of finite MDPs agree with each other and with published values."""

from __future__ import annotations

import pickle
import time
from dataclasses import replace

import numpy as np
import pytest

from orrl.check import check_problem
from orrl.core.callbacks import Callback
from orrl.core.errors import DataError, NotSupportedError, UnknownNameError
from orrl.core.rollout import rollout
from orrl.core.tables import policy_value
from orrl.core.tabular_lp import table_program
from orrl.problems.fishery import Allen, BevertonHolt, Fishery, GordonSchaefer, May, Myers, Ricker
from orrl.problems.fishery.catalogue import instance
from orrl.problems.tabular import TabularPOMDP
from orrl.solvers.exact.alpha import AlphaPolicy, corrected, predicted
from orrl.solvers.exact.cmdp_lp import CmdpLp
from orrl.solvers.exact.mdp_lp import MdpLp
from orrl.solvers.exact.milp import Milp
from orrl.solvers.exact.policy_iteration import PolicyIteration
from orrl.solvers.exact.pomdp_model import PomdpArrays
from orrl.solvers.exact.qmdp import Qmdp
from orrl.solvers.exact.value_iteration import ValueIteration
from tests.inventory import Inventory

LOGISTIC = GordonSchaefer(r=0.75, K=1.0)
GROWTH = {
    "gordon-schaefer": LOGISTIC,
    "ricker": Ricker(r=1.0, K=1.0),
    "beverton-holt": BevertonHolt(r=0.8, K=0.9),
    "allen": Allen(r=2.0, K=1.0, C=0.3),
    "may": May(r=0.8, K=1.5, a=0.2, b=0.3),
    "myers": Myers(r=2.5, K=1.0, theta=1.3),
}
LPS = [(form, backend) for form in ("dual", "primal", "post-decision") for backend in ("highspy", "pyomo", "cvxpy")]


def small(**options) -> Fishery:
    return Fishery(**{"growth": LOGISTIC, "sigma_g": 0.15, "n": 12, "top": 2.4, **options})


@pytest.mark.parametrize("growth", GROWTH)
def test_every_method_finds_the_same_value(growth):
    problem = small(growth=GROWTH[growth], cost=0.02, start=1.3)
    best = PolicyIteration().solve(problem)
    assert best.status == "optimal"
    assert best.bound.kind == "proven"
    assert best.bound.value == pytest.approx(best.objective, abs=1e-8)
    others = [ValueIteration().solve(problem)]
    others += [MdpLp(form=form, backend=backend).solve(problem, threads=1) for form, backend in LPS]
    for result in others:
        assert result.status == "optimal", result.message
        assert result.objective == pytest.approx(best.objective, abs=1e-6)
        table = problem.tabular()
        exact = table.initial @ policy_value(table, result.policy.probabilities)
        assert result.objective == pytest.approx(float(exact), abs=1e-10)


@pytest.mark.parametrize("horizon", [1, 4])
def test_with_a_horizon_too(horizon):
    problem = small(horizon=horizon, n_quotas=6, start=1.3)
    best = ValueIteration().solve(problem)
    for form, backend in LPS:
        result = MdpLp(form=form, backend=backend).solve(problem, threads=1)
        assert result.objective == pytest.approx(best.objective, abs=1e-7)
    assert best.policy.probabilities.shape == (horizon, 12, 6)
    assert not PolicyIteration().supports(problem)
    episodes = rollout(problem, best.policy, [problem.scenario(s) for s in range(3000)])
    values = np.array([e.value for e in episodes])
    assert abs(values.mean() - best.objective) < 4.0 * values.std() / np.sqrt(len(values)) + 1e-9


@pytest.mark.parametrize(("sigma_g", "value"), [(0.02, 4.02244), (0.1, 3.97885), (0.15, 3.90932)])
def test_published_setting_has_its_known_value(sigma_g, value):
    problem = instance("paper-a", sigma_g=sigma_g, sigma_m=0.0)
    assert PolicyIteration().solve(problem).objective == pytest.approx(value, abs=5e-6)
    assert ValueIteration().solve(problem).objective == pytest.approx(value, abs=5e-6)


@pytest.mark.parametrize(
    ("limit", "value", "price", "spent"),
    [(np.inf, 3.6835, 0.0, 0.195), (0.15, 3.6792, 0.096, 0.15), (0.10, 3.6578, 1.16, 0.10),
     (0.06, 3.5962, 2.26, 0.06), (0.04, 3.5248, 6.73, 0.04)],
)  # fmt: skip
def test_price_of_risk(limit, value, price, spent):
    problem = instance("paper-a", sigma_g=0.15, sigma_m=0.0, start=0.65)
    states = np.flatnonzero(problem.grids.stocks < 0.2).tolist()
    result = CmdpLp(limit=limit, states=states).solve(problem, threads=1)
    assert result.objective == pytest.approx(value, abs=6e-5)
    assert result.meta["price"] == pytest.approx(price, abs=6e-3)
    assert result.meta["time"] == pytest.approx(spent, abs=1e-3)
    assert len(result.meta["randomised"]) == (0 if limit == np.inf else 1)
    assert ("time at risk" in result.message) == (limit < np.inf)


@pytest.mark.parametrize("backend", ["highspy", "pyomo", "cvxpy"])
@pytest.mark.parametrize("limit", [0.2, 0.1])
def test_price_is_the_slope_of_the_value(backend, limit):
    problem = small(n=20, start=0.65)
    assert CmdpLp(limit=np.inf).solve(problem).meta["time"] > 0.25
    here = CmdpLp(limit=limit, backend=backend).solve(problem, threads=1)
    step = 1e-4
    more, less = (CmdpLp(limit=limit + h).solve(problem, threads=1).objective for h in (step, -step))
    assert here.meta["price"] > 0.1
    assert (more - less) / (2.0 * step) == pytest.approx(here.meta["price"], rel=1e-3)


def test_price_of_risk_where_costs_are_minimised_and_with_a_horizon():
    base = TabularPOMDP.generate(seed=3, observations=0)
    for problem in (replace(base, values="cost"), replace(base, horizon=5)):
        free = CmdpLp(states=[0]).solve(problem)
        limit = 0.7 * free.meta["time"]
        here = CmdpLp(limit=limit, states=["s0"]).solve(problem)
        assert here.status == "optimal"
        more = CmdpLp(limit=limit + 1e-4, states=[0]).solve(problem).objective
        assert abs(more - here.objective) / 1e-4 == pytest.approx(here.meta["price"], rel=1e-3)
        assert problem.objective.better(free.objective, here.objective)


def test_a_limit_that_no_policy_keeps():
    result = CmdpLp(limit=0.0).solve(small(start=0.05))
    assert result.status == "infeasible"
    assert "larger limit" in result.message
    with pytest.raises(DataError, match="at least 0"):
        CmdpLp(limit=-1.0).solve(small())
    with pytest.raises(NotSupportedError, match="'nowhere'"):
        CmdpLp(limit=1.0, states=["nowhere"]).solve(small())
    with pytest.raises(NotSupportedError, match="risk_states"):
        CmdpLp(limit=1.0).solve(TabularPOMDP.generate(seed=0, observations=0))


@pytest.mark.parametrize("solver", [PolicyIteration(), ValueIteration(), MdpLp(form="post-decision"), CmdpLp()])
def test_a_hidden_state_gives_a_bound_and_no_value(solver):
    problem = small(sigma_m=0.2)
    result = solver.solve(problem)
    assert result.objective is None
    assert result.status == "feasible"
    assert result.bound.kind == "relaxation"
    assert "state seen" in result.bound.of
    assert "no value of this problem" in result.message
    assert "sees the state" in result.policy.name
    open_sea = PolicyIteration().solve(small(sigma_m=0.0))
    assert result.bound.value == pytest.approx(open_sea.objective, abs=1e-6)
    assert result.bound.value > Qmdp().solve(problem).bound.value  # whose first decision does not see the state
    assert result.meta["seen"]["objective"] == pytest.approx(result.bound.value, abs=1e-6)


class Stop(Callback):
    """Stops at the first word."""

    def __call__(self, event):
        return event.kind in ("incumbent", "bound")


def test_bounds_hold_where_it_is_stopped():
    problem = small(n=30, start=1.0)
    best = PolicyIteration().solve(problem).objective
    for solver in (ValueIteration(), PolicyIteration()):
        result = solver.solve(problem, callbacks=[Stop()])
        assert result.stop == "user"
        assert result.objective <= best + 1e-12 <= result.bound.value + 2e-12
        assert result.bound.value > best + 1e-6
    late = replace(problem, horizon=400)
    exact = ValueIteration().solve(late).objective
    cut = ValueIteration().solve(late, time_limit=1e-9)
    assert cut.stop == "time"
    assert cut.objective <= exact + 1e-12 <= cut.bound.value + 2e-12


def test_states_that_end_the_episode_are_worth_nothing():
    """A shop that closes with probability 1/2 a day and earns 1 while it is open: 1 / (1 - 0.9 / 2)."""
    open_day = np.array([[0.5, 0.5], [0.0, 0.0]])
    problem = TabularPOMDP(
        transition=[open_day, open_day], reward=[[1.0, 0.5], [7.0, 7.0]], discount=0.9, initial=[1.0, 0.0],
        mask=[[True, True], [False, False]], states=("open", "closed"),
    )  # fmt: skip
    for solver in (PolicyIteration(), ValueIteration(), MdpLp(), MdpLp(form="primal")):
        result = solver.solve(problem)
        assert result.objective == pytest.approx(1.0 / (1.0 - 0.45), abs=1e-8)
        assert (result.policy.probabilities[0] == [1.0, 0.0]).all()


def test_a_problem_without_programs_of_its_own():
    shelf = Inventory(law=(0.3, 0.4, 0.3), horizon=4, capacity=4, max_order=3, price=5.0, cost=2.0, holding=0.3,
                      fixed=0.5, discount=0.9)  # fmt: skip
    values = [ValueIteration().solve(shelf), *(MdpLp(form=f, backend=b).solve(shelf) for f, b in LPS[:6])]
    for result in values:
        assert result.objective == pytest.approx(values[0].objective, abs=1e-7)
    later = shelf.at(type(shelf.state)((2,), (1,)))
    assert MdpLp().solve(later).objective == pytest.approx(ValueIteration().solve(later).objective, abs=1e-8)


def test_check_problem_takes_the_programs():
    problem = small(horizon=3, n_quotas=4, n=8)
    report = check_problem(problem, seeds=2, points=[2, 3, 4])
    assert [r.status for r in report.rows] == ["pass"] * 3, [r.failures for r in report.rows]
    hidden = check_problem(small(horizon=3, n_quotas=4, n=8, sigma_m=0.2), seeds=2, points=[3, 4])
    assert [r.status for r in hidden.rows] == ["pass"] * 2, [r.failures for r in hidden.rows]


def test_programs_are_refused_with_a_reason():
    problem = small()
    with pytest.raises(NotSupportedError, match="whole law"):
        problem.program(backend="highspy", scenario=problem.scenario(0))
    with pytest.raises(UnknownNameError, match="post-decision"):
        problem.program(backend="highspy", form="post-decison")
    with pytest.raises(UnknownNameError, match="cvxpy"):
        problem.program(backend="cvxpi")
    with pytest.raises(NotSupportedError, match="limit="):
        problem.program(backend="cvxpy", form="cmdp")
    with pytest.raises(NotSupportedError, match="cannot take a plan"):
        problem.program(backend="pyomo").encode(None)
    assert "mdp-lp" in Milp().supports(problem).reason
    assert "primal" in MdpLp(form="both").supports(problem).reason
    again = pickle.loads(pickle.dumps(problem.program(backend="pyomo", form="values")))
    assert again.solve().objective == pytest.approx(PolicyIteration().solve(problem).objective, abs=1e-6)


def test_a_relaxation_says_what_it_bounds():
    problem = small(sigma_m=0.3)
    program = table_program(problem, backend="highspy", form="post-decision")
    outcome = program.solve()
    assert outcome.solution is None
    assert outcome.bound == pytest.approx(PolicyIteration().solve(small(sigma_m=0.0)).objective, abs=1e-6)
    assert outcome.bound_of == "the problem with its state seen"


# ---- the deterministic optimal control ---------------------------------------------------------------------------
@pytest.mark.parametrize("growth", GROWTH)
def test_control_is_the_policy_of_a_fine_grid(growth):
    """Without noise; the policy iteration's grid rounds stocks, so they agree to a per cent."""
    top = 3.0 if growth == "may" else 2.4
    calm = Fishery(growth=GROWTH[growth], sigma_g=0.0, process="continuous", start=1.0, n=40, top=top, steps=80)
    outcome = calm.program(backend="pyomo", form="control").solve()
    assert outcome.status == "feasible", outcome.message
    verdict = calm.evaluate(outcome.solution)
    assert verdict.feasible
    assert verdict.objective == pytest.approx(outcome.objective, abs=1e-6)
    grid = Fishery(growth=GROWTH[growth], sigma_g=0.03, rule="cell", start=1.0, n=241, top=top)
    assert outcome.objective == pytest.approx(PolicyIteration().solve(grid).objective, rel=0.02)


def test_control_leaves_what_clark_says():
    calm = Fishery(growth=LOGISTIC, sigma_g=0.0, process="continuous", start=1.0, steps=60)
    quota = calm.program(backend="pyomo", form="control").solve().solution.quota
    assert 1.0 - quota[0] == pytest.approx(calm.reference.escapement, abs=1e-4)
    np.testing.assert_allclose(quota[1:-5], calm.reference.msy, atol=1e-4)
    later = calm.program(backend="pyomo", form="control", stock=0.2).solve().solution.quota
    assert later[0] == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(UnknownNameError):
        calm.program(backend="cvxpy", form="control")
    with pytest.raises(NotSupportedError, match="without noise"):
        calm.program(backend="pyomo", form="control", scenario=calm.nominal())


# ---- alpha policies move their beliefs in batches ----------------------------------------------------------------
@pytest.mark.parametrize("thin", [False, True])
def test_beliefs_of_a_batch_are_those_one_by_one(thin):
    problem = TabularPOMDP.generate(seed=5, states=9, actions=4)
    if thin:  # a ring, so that the model keeps sparse rows
        ring = np.stack([0.5 * np.roll(np.eye(9), k, axis=1) + 0.5 * np.eye(9) for k in range(1, 5)])
        problem = replace(problem, transition=ring)
    model = PomdpArrays.of(problem.tabular())
    assert model.sparse == thin or thin
    rng = np.random.default_rng(0)
    beliefs, actions = rng.dirichlet(np.ones(9), 30), rng.integers(4, size=30)
    seen = rng.integers(3, size=30)
    known, possible = corrected(model, predicted(model, beliefs, actions), actions, seen)
    assert possible.all()
    for b in range(30):
        np.testing.assert_allclose(known[b], model.update(beliefs[b], int(actions[b]), int(seen[b])), atol=1e-13)


def test_policy_and_kernel_hold_the_same_belief():
    """With start="paper" a survey comes before the first decision: the policy must take it in."""
    for start in ("paper", "uniform"):
        problem = small(sigma_m=0.15, start=start, steps=6, n_quotas=6)
        q = Qmdp().solve(problem).policy
        policy = AlphaPolicy(q.vectors, q.actions, model=q.model, content_hash=problem.content_hash)
        kernel = Fishery.kernel([problem])
        shadow = Fishery.kernel([problem], obs="belief")
        worlds = [problem.scenario(s) for s in range(20)]
        state, mirror = kernel.reset(worlds), shadow.reset(worlds)
        policy.reset(problem, batch=20)
        for _ in range(6):
            actions = policy.act(kernel.observe(state), {"done": np.zeros(20, bool)})
            np.testing.assert_allclose(policy.beliefs, mirror.belief, atol=1e-10)
            kernel.step(state, actions)
            shadow.step(mirror, actions)
        assert policy.surprises == 0


def test_an_impossible_observation_is_counted_and_changes_nothing():
    eye = np.eye(2)
    problem = TabularPOMDP(transition=[eye], reward=[[0.0], [1.0]], observation=[eye], discount=0.9, initial=[1.0, 0.0])
    q = Qmdp().solve(problem).policy
    q.reset(problem, batch=1)
    q.act(np.array([[-1.0]]), {})
    q.act(np.array([[1.0]]), {})
    assert q.surprises == 1
    np.testing.assert_array_equal(q.beliefs, [[1.0, 0.0]])


def test_value_iteration_keeps_its_time_limit():
    begin = time.perf_counter()
    result = ValueIteration(tolerance=0.0).solve(small(n=60, discount=0.99999), time_limit=0.3)
    assert time.perf_counter() - begin < 1.6
    assert result.stop == "time"
    assert result.objective <= result.bound.value
