"""`check_problem` on UAV networks."""

from __future__ import annotations

import pytest

import orrl
from orrl.problems.uav import UavOffloading

CASES = {
    "SINR": {"seed": 1, "grid": 4, "uavs": 2, "users": 6, "slots": 4},
    "SNR with ends, closed cells and a safe distance": {
        "seed": 2, "grid": 4, "uavs": 2, "users": 6, "slots": 7, "interference": False, "ends": [(3, 3), (0, 0)],
        "no_fly": [(1, 1)], "safe_distance": 150.0,
    },
    "capacity": {"seed": 3, "grid": (4, 3), "uavs": 2, "users": 7, "slots": 4, "capacity": 2, "interference": False},
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_point_passes(case):
    report = orrl.check_problem(UavOffloading.generate(**CASES[case]), seeds=2, time_limit=10.0)
    assert report.ok, str(report)
    passed = {row.point for row in report.rows if row.status == "pass"}
    assert {1, 2, 3, 4, 6, 7, 8, 9} <= passed, str(report)


class Generous(UavOffloading):
    """A planted fault: the bridge from an episode to a flight leaves the last UAV at its start."""

    def solution(self, trajectory):
        cells = trajectory.final.cells.copy()
        cells[:, -1] = cells[0, -1]
        return self.from_paths(cells)


class Forgetful(UavOffloading):
    """A planted fault: a running state starts from the beginning of its path."""

    def at(self, state):
        return self.replace(state=type(state)(state.cells[:1]))


@pytest.mark.parametrize(("cls", "point"), [(Generous, 3), (Forgetful, 7)])
def test_planted_faults_are_caught(cls, point):
    report = orrl.check_problem(cls.generate(**CASES["SINR"]), seeds=2, points=[point])
    assert not report.ok
    assert [row.status for row in report.rows] == ["fail"]
