"""`check_problem` on the small system in its variants, from the beginning and from a running state, and on case3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hydrothermal.small import small

from orrl.check import POINTS, check_problem
from orrl.check.players import Recorder
from orrl.core.policy import RandomPolicy
from orrl.core.rollout import rollout
from orrl.problems.hydrothermal import Hydrothermal, Terminal, read_case

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NO_TABLES = {5}
VARIANTS: dict[str, dict[str, Any]] = {
    "transport-scarce": {"network": "transport", "load": 2.0},
    "soft": {"soft": True, "load": 1.5},
    "terminal": {
        "terminal": Terminal(volume=np.array([30.0, 10.0, 0.0]), shortage_cost=3.0, value=np.array([0.5, 0.5, 0.2]))
    },
}


def judge(problem: Hydrothermal, points: Any = None) -> None:
    report = check_problem(problem, seeds=1, points=points)
    assert not [row for row in report.rows if row.status == "fail"], str(report)
    skipped = {row.point for row in report.rows if row.status == "not applicable"}
    assert skipped <= NO_TABLES, str(report)


def test_small() -> None:
    judge(small(stages=4))


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_variants(name: str) -> None:
    judge(small(stages=3, **VARIANTS[name]), sorted(set(POINTS) - {5, 9}))


def test_from_a_running_state() -> None:
    problem = small(stages=5, soft=True, load=1.5)
    recorder = Recorder(RandomPolicy(), at=[2])
    rollout(problem, recorder, [problem.scenario(11)], seed=11)
    running = problem.at(recorder.snapshots[2])
    assert running.accrued > 0
    judge(running, sorted(set(POINTS) - {5, 9}))


def test_case3(data_root: Callable[[str], Path]) -> None:
    case = read_case(data_root("hydrothermal") / "case3")
    judge(
        Hydrothermal(
            grid=case.network, cascade=case.cascade, inflow=case.inflow, probability=case.probability, stage_hours=1.0,
            stages=5, name="case3",
        ),
        sorted(set(POINTS) - {5, 9}),
    )  # fmt: skip


@pytest.mark.parametrize(("network", "library"), [("soc", "clarabel"), ("ac", "casadi")])
def test_curved_networks(network: Any, library: str) -> None:
    """Fixed programs of cones and sines are solved to 1e-5 or so, points 1, 4 and 10 need 1e-6 and proven optima."""
    pytest.importorskip(library)
    judge(small(stages=2, network=network), [3, 6, 7, 8, 11])
