"""`check_problem` on the small system in its variants, from the beginning and from a running state, and on case3."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hydrothermal.small import small

import orrl
from orrl.check import POINTS, check_problem
from orrl.check.faces import _fixed
from orrl.check.lab import Lab
from orrl.check.players import Recorder
from orrl.core.policy import RandomPolicy
from orrl.core.rollout import rollout
from orrl.problems.hydrothermal import Hydrothermal, Terminal, read_case
from orrl.problems.hydrothermal.dispatch import Dispatch

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


CURVED = [("soc", "clarabel"), ("ac", "casadi")]


@pytest.mark.parametrize(("network", "library"), CURVED)
def test_curved_networks(network: Any, library: str) -> None:
    """Points 4 and 10 need proven optima: case3 below has them in SOC, a local method has none."""
    pytest.importorskip(library)
    judge(small(stages=2, network=network), [1, 2, 3, 6, 7, 8, 11])


@pytest.mark.parametrize(("network", "library"), CURVED)
def test_case3_on_curved_networks(network: Any, library: str, data_root: Callable[[str], Path]) -> None:
    pytest.importorskip(library)
    data_root("hydrothermal")
    problem = orrl.load("hydrothermal/case3", network=network)
    proven = [4, 10] if network == "soc" else []
    judge(problem.with_(stages=3), [1, 2, 3, *proven])  # type: ignore[attr-defined]


@pytest.mark.parametrize(("network", "library"), CURVED)
def test_every_episode_of_a_curved_network_can_be_fixed_and_a_wrong_one_is_caught(network: Any, library: str) -> None:
    """Also where reservoirs stand at their limits, which left the solvers no interior once."""
    pytest.importorskip(library)
    problem = small(stages=2, network=network)
    lab = Lab(problem, [0, 2], 20.0, [])
    for episode in lab.finished:
        for backend in problem.forms():
            _fixed(lab, backend, network, episode, problem.solution(episode.trajectory))
    assert not lab.failures
    episode = lab.finished[0]
    backend = next(iter(problem.forms()))
    right = problem.solution(episode.trajectory)
    wrong = replace(episode.trajectory, rewards=episode.trajectory.rewards * (1 + 1e-4))
    _fixed(lab, backend, network, replace(episode, trajectory=wrong), right)
    assert len(lab.failures) == 1  # a value that is not that of its states
    table = dict(right.families)
    table["volume"] = table["volume"] * 0.9
    _fixed(lab, backend, network, episode, Dispatch(table))
    assert len(lab.failures) == 2  # states that are not those of its value
