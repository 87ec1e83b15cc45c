"""Pictures: what is drawn is what was dispatched, labels have units, bad input is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hydrothermal.small import small

from orrl.core.errors import DataError
from orrl.core.rollout import rollout
from orrl.problems.hydrothermal.plot import cost_distribution, generation_stack, volume_fan, water_values

pytest.importorskip("matplotlib")
PROBLEM = small(load=2.0)


@pytest.fixture(scope="module")
def dispatches() -> list[Any]:
    episodes = rollout(PROBLEM, PROBLEM.rules()["half"], [PROBLEM.scenario(s) for s in range(7)])
    return [PROBLEM.solution(e) for e in episodes]


def legend(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_volume_fan(dispatches: list[Any], tmp_path: Any) -> None:
    ax = volume_fan(PROBLEM, dispatches)
    total = np.array([d["volume"].sum(axis=1) for d in dispatches])
    line = next(one for one in ax.lines if one.get_label() == "median")
    np.testing.assert_allclose(line.get_ydata(), [38.0, *np.median(total, axis=0)])
    wide = ax.collections[0].get_paths()[0].vertices
    assert wide[:, 1].max() == pytest.approx(max(38.0, np.quantile(total, 0.95, axis=0).max()))
    assert legend(ax) == ["90% of paths", "50% of paths", "median", "full"]
    assert ax.get_ylabel() == "volume of all reservoirs (hm3)"
    assert ax.get_xlabel() == "stages dispatched (168 h each)"
    assert "7 paths" in ax.get_title(loc="left")
    ax.figure.savefig(tmp_path / "fan.png")
    one = volume_fan(PROBLEM, dispatches[0], "side", ax=ax)
    assert one is ax
    np.testing.assert_allclose(one.lines[-2].get_ydata(), [10.0, *dispatches[0]["volume"][:, 1]])
    with pytest.raises(DataError, match="give one of upper, side, lower"):
        volume_fan(PROBLEM, dispatches, "nowhere")
    with pytest.raises(DataError, match="no dispatch"):
        volume_fan(PROBLEM, [])


def test_generation_stack_reaches_the_demand(dispatches: list[Any]) -> None:
    ax = generation_stack(PROBLEM, dispatches)
    assert legend(ax) == ["deficit", "thermal", "hydro", "demand"]  # as stacked
    tops = [bar.get_y() + bar.get_height() for bar in ax.containers[2]]
    np.testing.assert_allclose(tops, 230.0, atol=1e-6)  # without losses all of the demand is met or not served
    hydro = 100.0 * np.mean([d["power"][:, :3].sum(axis=1) for d in dispatches], axis=0)
    np.testing.assert_allclose([bar.get_height() for bar in ax.containers[0]], hydro)
    assert ax.get_ylabel() == "power (MW)"
    assert max(bar.get_height() for bar in ax.containers[2]) > 1.0


def test_water_values() -> None:
    values = np.arange(2 * 6 * 3, dtype=float).reshape(2, 6, 3)
    ax = water_values(PROBLEM, values)
    assert legend(ax) == ["upper", "side", "lower"]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), values.mean(axis=0)[:, 1])
    assert ax.get_ylabel() == "water value (money per hm3)"
    assert legend(water_values(PROBLEM, values[0], ["lower"])) == ["lower"]
    with pytest.raises(DataError, match="shape"):
        water_values(PROBLEM, values[..., :2])
    with pytest.raises(DataError, match="give some of"):
        water_values(PROBLEM, values, ["nowhere"])


def test_cost_distribution() -> None:
    ax = cost_distribution(PROBLEM, {"sddp": [3.0, 1.0, 2.0, 4.0], "myopic": [9.0, 5.0]})
    assert legend(ax) == ["sddp (mean 2)", "myopic (mean 7)"]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.25, 0.5, 0.75, 1.0])
    assert ax.lines[1].get_xdata()[0] == 2.5
    assert ax.get_xlabel() == "cost (money)"
    for bad in ({}, {"a": []}, {"a": [1.0, np.nan]}):
        with pytest.raises(DataError):
            cost_distribution(PROBLEM, bad)
