"""PPO on the Bolivian system: what was tried, what was taken, and how it learns.

Everything here is judged on the learner's own panel, 20 paths drawn from the training law; the published paths of the
table are never looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orrl
from orrl.core.archive import read_archive
from orrl.solvers.learners.ppo import PPO

if TYPE_CHECKING:
    from pathlib import Path

    from tables import Row

__all__ = ["CHOSEN", "EFFORT", "curve", "tuning"]

NEAR_FULL = (0.93, 0.02)
FEW: dict[str, Any] = {"start": NEAR_FULL, "episodes": 8, "check": 20}
FAST: dict[str, Any] = {**FEW, "learning_rate": 3e-3}
TRIED: dict[str, dict[str, Any]] = {
    "defaults": {},
    "start near full": {"start": NEAR_FULL},
    "8 episodes": FEW,
    "8 episodes, rate 3e-4": {**FEW, "learning_rate": 3e-4},
    "8 episodes, lambda 0.8": {**FEW, "smoothing": 0.8},
    "8 episodes, gamma 0.98": {**FEW, "discount": 0.98},
    "8 episodes, 10 epochs": {**FEW, "epochs": 10},
    "8 episodes, rate 3e-3": FAST,
    "8 episodes, rate 3e-3, lambda 0.99": {**FAST, "smoothing": 0.99},
    "8 episodes, rate 3e-3, wider start": {**FAST, "start": (0.9, 0.06)},
    "8 episodes, rate 3e-3, widest start": {**FAST, "start": (0.85, 0.1)},
    "8 episodes, rate 3e-3, rewards scaled": {**FAST, "rewards": "scaled"},
    "8 episodes, rate 3e-3, 64 x 64": {**FAST, "hidden": (64, 64)},
}


CHOSEN = TRIED["8 episodes, rate 3e-3, widest start"]
SECONDS = 60.0  # of processor time for each
EFFORT = f"{len(TRIED)} configurations of {SECONDS:.0f} CPU s tried"


def tuning(problem: Any, seed: int = 0) -> list[Row]:
    """Each configuration with the same processor time; the cost of its best policy on the panel.

    What the table takes was chosen by such a run; the rates fall over the budget, so a short run says little about
    which configuration is best after ten times as long.
    """
    rows: list[Row] = []
    for name, options in TRIED.items():
        learner = PPO(**options)
        learner.fit(problem, budget=orrl.Budget(cpu_seconds=SECONDS), seed=seed)
        last, looks = learner.log[-1], [-row["greedy"] for row in learner.log if "greedy" in row]
        chosen = "<- the table's" if options is CHOSEN else ""
        rows.append({"configuration": name, "iterations": len(learner.log), "steps": last["steps"],
                     "cpu seconds": last["cpu_seconds"], "cost on its panel": min(looks), "": chosen})  # fmt: skip
    return rows


def curve(checkpoint: Path) -> list[Row]:
    """Cost of the policy at each look, against processor seconds and steps, from a training's checkpoint."""
    log = read_archive(checkpoint, "orrl.ppo-training")[0]["log"]
    names = {"cpu seconds": "cpu_seconds", "wall seconds": "seconds", "iteration": "iteration", "steps": "steps"}
    return [
        {**{name: row[key] for name, key in names.items()}, "cost on its panel": -row["greedy"]}
        for row in log
        if "greedy" in row
    ]
