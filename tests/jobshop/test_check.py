"""`check_problem` on small job shops of every variant, from the beginning and from a running state."""

from __future__ import annotations

from typing import Any

import pytest

from orrl.check import POINTS, check_problem
from orrl.check.players import Recorder
from orrl.core import RandomPolicy, rollout
from orrl.problems.jobshop import Interruptions, JobShop

MACHINES = [[0, 1, 2], [2, 0, 1], [1, 2, 0]]
DURATIONS = [[3, 2, 4], [2, 5, 1], [4, 1, 3]]
STRIKES = Interruptions(p=0.4, outage=(1, 5))
CALENDAR = Interruptions(law="mtbf", mtbf=6.0, outage=(1, 4))

SHOPS: dict[str, dict[str, Any]] = {
    "JSP": {},
    "BWS": {"storage": "blocking"},
    "BNS": {"storage": "blocking", "swap": False},
    "ISBJSSP": {"storage": "blocking", "interruptions": STRIKES},
    "JSP-strikes-repeat": {"interruptions": Interruptions(p=0.4, outage=(1, 5), mode="repeat")},
    "JSP-calendar": {"interruptions": CALENDAR},
    "BWS-calendar-repeat": {
        "storage": "blocking",
        "interruptions": Interruptions(law="mtbf", mtbf=6.0, outage=(1, 4), mode="repeat"),
    },
    "JSP-flow-maintenance": {"objective": "total_flow", "release": [0, 1, 2], "maintenance": [(0, 2, 4), (1, 6, 7)]},
    "BWS-tardiness": {
        "objective": "weighted_tardiness",
        "storage": "blocking",
        "due": [9, 9, 9],
        "weights": [1, 2, 3],
    },
    "BNS-flow": {"objective": "total_flow", "storage": "blocking", "swap": False},
}
STOCHASTIC = {"ISBJSSP", "JSP-strikes-repeat", "JSP-calendar", "BWS-calendar-repeat"}
NO_PROGRAM = {"BWS-calendar-repeat"}


def shop(name: str) -> JobShop:
    return JobShop(machines=MACHINES, durations=DURATIONS, name=name, **SHOPS[name])


def running(problem: JobShop) -> JobShop:
    """The shop after three decisions of an episode."""
    recorder = Recorder(RandomPolicy(), at=[3])
    rollout(problem, recorder, [problem.scenario(11)], seed=11)
    return problem.at(recorder.snapshots[3])


@pytest.mark.parametrize("started", [False, True], ids=["beginning", "running"])
@pytest.mark.parametrize("name", SHOPS)
def test_every_variant_is_one_problem(name: str, started: bool) -> None:
    problem = running(shop(name)) if started else shop(name)
    report = check_problem(problem, seeds=2, time_limit=10.0, points=set(POINTS) - {9})
    report.raise_for_failures()
    status = {row.point: row.status for row in report.rows}
    assert status[5] == "not applicable"
    assert (status[11] == "pass") == (name in STOCHASTIC), str(report)
    assert (status[10] == "pass") == (name in STOCHASTIC - NO_PROGRAM), str(report)
    for point in (3, 6, 7, 8):
        assert status[point] == "pass", str(report)
    for point in (1, 2, 4):
        assert (status[point] == "pass") == (name not in NO_PROGRAM), str(report)


def test_a_shop_travels_to_a_spawned_process() -> None:
    row = check_problem(shop("ISBJSSP"), seeds=1, points=[9])[9]
    assert row.status == "pass", row
