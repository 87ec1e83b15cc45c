"""The referee: true dispatches pass, planted faults are named, and money and metrics are added up by hand."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hydrothermal.small import small

from orrl.core.cuts import CutPool
from orrl.core.policy import RandomPolicy
from orrl.core.rollout import rollout
from orrl.problems.hydrothermal import Dispatch, HydroState, Hydrothermal, InflowPath, Terminal
from orrl.problems.hydrothermal.referee import stage_costs

if TYPE_CHECKING:
    from collections.abc import Callable

NEEDS = {"soc": "clarabel", "ac": "casadi"}


@cache
def played(network: Any = "dc", soft: bool = False, load: float = 1.6) -> tuple[Hydrothermal, Dispatch, InflowPath]:
    if network in NEEDS:
        pytest.importorskip(NEEDS[network])
    problem = small(network=network, soft=soft, load=load, stages=3)
    episode = rollout(problem, RandomPolicy(), [problem.scenario(1)], seed=4)[0]
    return problem, problem.solution(episode), episode.scenario


def spoilt(dispatch: Dispatch, family: str, where: Any, change: float) -> Dispatch:
    copy = {name: values.copy() for name, values in dispatch.families.items()}
    copy[family][where] += change
    return Dispatch(copy)


@pytest.mark.parametrize("network", ["transport", "dc", "dcll", "soc", "ac"])
@pytest.mark.parametrize("soft", [False, True])
def test_a_true_dispatch_passes(network: str, soft: bool) -> None:
    problem, dispatch, scenario = played(network, soft)
    verdict = problem.evaluate(dispatch, scenario)
    assert verdict.feasible, verdict.violations
    assert Dispatch.from_dict(dispatch.to_dict()).families.keys() == dispatch.families.keys()


ANY = [
    ("volume", (1, 2), 0.5, "stage 1, lower: volume (water balance)"),
    ("volume", (0, 0), 55.0, "stage 0, upper: volume is"),
    ("turbined", (2, 1), 30.0, "stage 2, side: turbined flow"),
    ("turbined", (1, 0), 0.2, "stage 1, upper: power (turbine energy)"),
    ("spilled", (1, 2), -9.0, "stage 1, lower: spilled water"),
    ("power", (1, 3), 0.9, "stage 1, power of gas"),
    ("power", (2, 4), 0.01, "stage 2, balance of C"),
    ("deficit", (0, 0), -0.4, "stage 0, deficit at A"),
    ("deficit", (0, 1), 0.4, "stage 0, balance of B"),
]
LINEAR = [
    ("flow", (1, 0), 5.0, "stage 1, branch 0 (A to B): flow is"),
    ("flow", (1, 2), 0.01, "stage 1, balance of A"),
]
CURRENT = [
    ("reactive", (1, 3), 0.05, "stage 1, reactive balance of B"),
    ("reactive", (1, 3), 9.0, "stage 1, reactive power of gas"),
]
FAULTS = {
    "transport": ANY + LINEAR,
    "dc": [
        *ANY,
        *LINEAR,
        ("angle", (2, 1), 0.01, "stage 2, branch 0 (A to B): flow (voltage law)"),
        ("angle", (2, 1), 3.0, "stage 2, branch 0 (A to B): angle difference"),
        ("angle", (0, slice(None)), 0.1, "angle of the reference bus A"),
    ],
    "dcll": [
        *ANY,
        *LINEAR,
        ("angle", (2, 1), 0.01, "stage 2, branch 0 (A to B): flow (voltage law)"),
        ("loss", (1, 1), -0.02, "stage 1, branch 1 (B to C): loss is"),
        ("loss", (1, 1), 0.02, "stage 1, balance of B"),
    ],
    "soc": [
        *ANY,
        *CURRENT,
        ("p_from", (1, 1), 0.01, "stage 1, branch 1 (B to C): p_from (Ohm's law)"),
        ("q_to", (1, 1), 0.01, "stage 1, branch 1 (B to C): q_to (Ohm's law)"),
        ("p_from", (1, 1), 2.0, "stage 1, branch 1 (B to C): apparent power at from"),
        ("wr", (1, 0), 0.2, "stage 1, A and B: squared product of voltages (cone)"),
        ("wi", (1, 0), 3.0, "stage 1, branch 0 (A to B): imaginary product (angle limit)"),
        ("w", (1, 0), 0.5, "stage 1, squared voltage of A"),
    ],
    "ac": [
        *ANY,
        *CURRENT,
        ("voltage", (1, 0), 0.4, "stage 1, voltage of A"),
        ("voltage", (1, 0), 0.005, "stage 1, reactive balance of A"),
        ("angle", (1, 1), 0.01, "stage 1, balance of B"),
        ("angle", (1, 1), 0.5, "stage 1, branch 0 (A to B): apparent power at from"),
        ("angle", (1, 1), 2.0, "stage 1, branch 0 (A to B): angle difference"),
    ],
}


@pytest.mark.parametrize(("network", "fault"), [(net, fault) for net, faults in FAULTS.items() for fault in faults])
def test_planted_faults_are_named(network: str, fault: tuple[str, Any, float, str]) -> None:
    problem, dispatch, scenario = played(network)
    family, where, change, sentence = fault
    verdict = problem.evaluate(spoilt(dispatch, family, where, change), scenario)
    assert not verdict.feasible
    assert any(sentence in text for text in verdict.violations), verdict.violations


def test_other_faults() -> None:
    problem, dispatch, scenario = played()
    nan = problem.evaluate(spoilt(dispatch, "power", (0, 0), float("nan")), scenario)
    assert not nan.feasible
    assert np.isnan(nan.objective)
    short = Dispatch({name: values[:2] for name, values in dispatch.families.items()})
    assert "has shape (2, 3)" in problem.evaluate(short, scenario).violations[0]
    without = Dispatch({name: values for name, values in dispatch.families.items() if name != "angle"})
    assert "'angle' is missing" in problem.evaluate(without, scenario).violations[0]
    assert "inflow for 2 stages" in problem.evaluate(dispatch, InflowPath(scenario.inflow[:2])).violations[0]
    other = InflowPath(scenario.inflow * 1.01)
    assert any("water balance" in text for text in problem.evaluate(dispatch, other).violations)


def test_what_has_passed_stays() -> None:
    problem, dispatch, scenario = played()
    past = Dispatch({name: values[:1] for name, values in dispatch.families.items()})
    later = problem.at(HydroState(scenario.inflow[:2], past))
    assert later.evaluate(dispatch, scenario).feasible
    assert later.accrued == pytest.approx(stage_costs(problem, dispatch)[0])
    verdict = later.evaluate(spoilt(dispatch, "deficit", (0, 1), 0.4), scenario)
    assert any("stage 0 has passed: deficit[1]" in text for text in verdict.violations)
    rained = np.array(scenario.inflow)
    rained[1, 0] += 1.0
    verdict = later.evaluate(dispatch, InflowPath(rained))
    assert any("stage 1 has begun: inflow of upper" in text for text in verdict.violations)


def test_hard_and_soft_limits() -> None:
    """A volume below the smallest: broken where it is hard, priced from the volume itself where it is soft."""
    soft = small(soft=True, stages=3)
    episode = rollout(soft, soft.rules()["release"], [soft.scenario(1)])[0]
    dispatch, scenario = soft.solution(episode), episode.scenario
    cost = stage_costs(soft, dispatch)
    dams = soft.cascade
    by_hand = dispatch["power"] @ soft.grid.cost + soft.grid.deficit_cost * dispatch["deficit"].sum(axis=1)
    by_hand = by_hand + dispatch["spilled"] @ dams.spill_cost
    by_hand = by_hand + np.maximum(0.0, dams.volume_min - dispatch["volume"]) @ dams.volume_violation_cost
    by_hand = by_hand + np.maximum(0.0, dams.turbine_min - dispatch["turbined"]) @ dams.outflow_violation_cost
    np.testing.assert_allclose(cost, by_hand)
    assert (np.maximum(0.0, dams.volume_min - dispatch["volume"]) > 0.1).any()
    hidden = Dispatch({n: v * 0.0 if n.startswith("low_") else v for n, v in dispatch.families.items()})
    assert soft.evaluate(hidden, scenario).objective == pytest.approx(cost.sum())
    data = soft.to_dict()
    data["cascade"]["volume_violation_cost"] = [0.0] * 3
    hard = Hydrothermal.from_dict(data)
    assert any("volume is" in text for text in hard.evaluate(dispatch, scenario).violations)


def _pool() -> CutPool:
    pool = CutPool(3, bound=5.0)
    pool.add(40.0, np.array([-1.0, -0.5, -0.25]))
    pool.add(20.0, np.array([-0.1, 0.0, 0.0]))
    return pool


def _by_cuts(volume: Any) -> float:
    return max(5.0, 40.0 + float(volume @ [-1.0, -0.5, -0.25]), 20.0 - 0.1 * float(volume[0]))


@pytest.mark.parametrize(
    ("terminal", "price"),
    [
        (
            lambda: Terminal(volume=np.array([50.0, 20.0, 0.0]), shortage_cost=3.0),
            lambda v: 3.0 * (max(0.0, 50 - v[0]) + max(0.0, 20 - v[1])),
        ),
        (lambda: Terminal(value=np.array([1.0, 2.0, 4.0])), lambda v: -float(v @ [1.0, 2.0, 4.0])),
        (lambda: Terminal(cuts=_pool()), _by_cuts),
    ],
)
def test_the_end_is_paid_once(terminal: Callable[[], Terminal], price: Callable[[Any], float]) -> None:
    plain = small(stages=3)
    ended = plain.with_(terminal=terminal())
    episode = rollout(ended, RandomPolicy(), [ended.scenario(0)])[0]
    dispatch = ended.solution(episode)
    more = stage_costs(ended, dispatch) - stage_costs(plain, dispatch)
    np.testing.assert_allclose(more, [0.0, 0.0, price(dispatch["volume"][-1])], atol=1e-9)
    assert ended.evaluate(dispatch, episode.scenario).objective == pytest.approx(episode.value)


def test_metrics_by_hand() -> None:
    problem = small(load=2.0, window=4)
    episode = rollout(problem, RandomPolicy(), [problem.scenario(0)])[0]
    dispatch = problem.solution(episode)
    verdict = problem.evaluate(dispatch, episode.scenario)
    wanted = {
        "cost_window": -episode.rewards[:4].sum(),
        "cost_per_stage": -episode.rewards.mean(),
        "deficit_mw_stages": 100.0 * dispatch["deficit"].sum(),
        "shed_share": dispatch["deficit"].sum() / (6 * 2.3),
        "spilled_hm3": dispatch["spilled"].sum(),
        "final_volume_hm3": dispatch["volume"][-1].sum(),
        "hydro_mw": 100.0 * dispatch["power"][:, :3].sum(axis=1).mean(),
        "thermal_mw": 100.0 * dispatch["power"][:, 3:].sum(axis=1).mean(),
    }
    assert verdict.metrics == pytest.approx(wanted)
    assert wanted["deficit_mw_stages"] > 1.0


def test_load_of_each_row() -> None:
    problem = small().with_(load=[1.0, 0.5, 1.5, 1.0])
    episode = rollout(problem, RandomPolicy(), [problem.scenario(0)])[0]
    verdict = problem.evaluate(problem.solution(episode), episode.scenario)
    assert verdict.feasible, verdict.violations
    shifted = problem.with_(load=[0.5, 1.5, 1.0, 1.0]).evaluate(problem.solution(episode), episode.scenario)
    assert any("balance of" in text for text in shifted.violations)
