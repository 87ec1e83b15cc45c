"""What planners do: published paths, water values, an end of the horizon, risk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hydrothermal.small import small

import orrl
from orrl.core.errors import DataError, IntegrityError
from orrl.problems.hydrothermal import Hydrothermal, Terminal, inflow
from orrl.problems.hydrothermal.inflow import draw_path, protocol_openings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


# ---- paths -----------------------------------------------------------------------------------------------------------
def test_the_published_paths_have_their_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    openings = protocol_openings()
    assert openings.shape == (126, 500)
    assert (openings.min(), openings.max()) == (0, 14)
    monkeypatch.setattr(inflow, "PROTOCOL_SEED", 1)
    with pytest.raises(IntegrityError, match="published is ff229968"):
        protocol_openings()


def test_protocol_paths_are_rows_of_the_data(data_root: Callable[[str], Path]) -> None:
    data_root("hydrothermal")
    problem: Any = orrl.load("hydrothermal/bolivia")
    openings = protocol_openings()
    paths = problem.protocol(7)
    for p in (0, 6):
        for t in (0, 47, 48, 125):
            assert paths[p].inflow[t].tolist() == problem.inflow[t % 48, :, openings[t, p]].tolist()
    short = problem.with_(stages=5).protocol(500)
    assert (short[6].inflow == paths[6].inflow[:5]).all()  # drawn whole, then cut
    with pytest.raises(DataError, match="15 scenarios"):
        small().protocol(3)


def test_plants_share_a_scenario_unless_the_sampler_says_otherwise() -> None:
    rng = np.random.default_rng(0)
    table = rng.random((4, 3, 5))
    probability = rng.dirichlet(np.ones(5), 4)
    apart = 0
    for seed in range(30):
        joint = draw_path(table, probability, 9, seed, "joint")
        alone = draw_path(table, probability, 9, seed, "independent")
        for t in range(9):
            own = table[t % 4].T
            assert (own == joint[t]).all(axis=1).any()
            apart += not (own == alone[t]).all(axis=1).any()
    assert apart > 200  # of 270; three draws out of five meet with probability 1/25 or so


def test_paths_follow_the_probabilities() -> None:
    table = np.arange(3.0).reshape(1, 1, 3)
    law = np.array([[0.2, 0.5, 0.3]])
    seen = np.concatenate([draw_path(table, law, 50, seed, "joint")[:, 0] for seed in range(200)])
    shares = np.bincount(seen.astype(int), minlength=3) / len(seen)
    assert shares == pytest.approx(law[0], abs=0.02)  # four standard errors are 0.02


# ---- water values ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def planned() -> tuple[Hydrothermal, Any]:
    problem = small(stages=4, load=2.0)
    return problem, orrl.solve(problem, "sddp", iterations=40, scenarios=5, threads=1)


def test_water_values_have_the_users_names_and_are_slopes(planned: tuple[Hydrothermal, Any]) -> None:
    problem, result = planned
    volume = 0.13 * problem.cascade.volume_max
    frame = result.policy.water_values(volume, 1)
    assert list(frame.index) == list(problem.cascade.names)
    assert list(frame.columns) == ["volume", "water_value"]
    for h in range(len(volume)):
        step = np.zeros(len(volume))
        step[h] = 1e-6
        slope = (result.policy.value(volume - step, 1) - result.policy.value(volume + step, 1)) / 2e-6
        assert frame["water_value"].iloc[h] == pytest.approx(slope, rel=1e-3, abs=1e-4)
    assert (frame["water_value"] >= -1e-9).all()
    assert frame["water_value"].max() > 1.0  # money per hm3: water displaces fuel
    by_name = result.policy.water_values(dict(zip(problem.cascade.names, volume, strict=True)), 1)
    assert by_name.equals(frame)
    with pytest.raises(DataError, match="on one side only"):
        result.policy.water_values({"H1": 1.0}, 1)


def test_a_decision_is_told_as_volumes(planned: tuple[Hydrothermal, Any]) -> None:
    problem, result = planned
    env = problem.env()
    env.reset(seed=3)
    env.step(env.action_space.sample())
    now = problem.at(env.state())
    told = result.policy.decide(now)
    assert list(told) == [f"volume of {name}, hm3" for name in problem.cascade.names]
    wanted = result.policy.targets(np.array([0]), now.volume[None], now.state.inflow[-1:])[0]  # type: ignore[union-attr]
    assert list(told.values()) == pytest.approx(wanted, abs=1e-6)


# ---- the end of the horizon ------------------------------------------------------------------------------------------
def test_cuts_stand_for_the_stages_that_are_left_out(planned: tuple[Hydrothermal, Any]) -> None:
    problem, whole = planned
    first = problem.with_(stages=2, terminal=Terminal(cuts=whole.policy.pools[1]))
    tree = orrl.solve(first, "scenario-tree", threads=1)
    assert tree.objective == pytest.approx(whole.bound.value, rel=1e-4)
    assert Hydrothermal.from_dict(first.to_dict()).content_hash == first.content_hash


def test_water_left_is_worth_its_price_and_a_wanted_volume_is_kept() -> None:
    problem = small(stages=3)
    plain = orrl.solve(problem, "milp", scenario=problem.nominal(), threads=1).solution
    dear = Terminal(value=np.full(3, 1e4))
    saved = orrl.solve(problem.with_(terminal=dear), "milp", scenario=problem.nominal(), threads=1)
    assert saved.solution["volume"][-1].sum() > plain["volume"][-1].sum() + 1.0
    wanted = Terminal(volume=0.5 * problem.cascade.volume_max, shortage_cost=1e5)
    kept = orrl.solve(problem.with_(terminal=wanted), "milp", scenario=problem.nominal(), threads=1)
    short = np.maximum(wanted.volume - kept.solution["volume"][-1], 0.0)  # type: ignore[operator]
    assert short.sum() < np.maximum(wanted.volume - plain["volume"][-1], 0.0).sum()  # type: ignore[operator]
    with pytest.raises(DataError, match="shortage_cost"):
        problem.with_(terminal=Terminal(volume=np.zeros(3)))


# ---- risk ------------------------------------------------------------------------------------------------------------
def test_a_cautious_plan_costs_more_on_average_and_less_in_the_tail() -> None:
    problem = small(stages=6, load=1.3)
    bold = orrl.solve(problem, "sddp", iterations=60, scenarios=400, threads=1, seed=1)
    wary = orrl.solve(problem, "sddp", iterations=60, scenarios=400, threads=1, seed=1, risk="mean-cvar:0.3:0.9")
    assert wary.bound.of.startswith("the nested risk")
    noise = np.array([problem.noise(problem.scenario(s)) for s in range(400)])
    from orrl.core.targets import play

    costs = {name: np.sort(play(problem, r.policy, noise).total()) for name, r in (("bold", bold), ("wary", wary))}
    assert costs["wary"].mean() >= costs["bold"].mean() * (1 - 1e-4)
    assert costs["wary"][-20:].mean() <= costs["bold"][-20:].mean() * (1 + 1e-4)
