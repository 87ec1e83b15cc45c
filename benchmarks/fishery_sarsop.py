"""SARSOP against the clock, and where planning for what will be learnt pays: a survey that is chosen, high noise.

Published runs are APPL's, time-outs on other machines (2016 to 2019): they say what is right, not what is fast. For
speed there is a live peer, scikit-decide's C++ SARSOP, on the same file in the same run.
"""

from __future__ import annotations

import csv
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fishery_store import Published, Row, Settings, interval, played, with_error
from tables import peer

# isort: split
import numpy as np

import orrl
from orrl.problems.fishery import Fishery
from orrl.problems.fishery.growth import Allen, GordonSchaefer, Ricker
from orrl.problems.fishery.rules import ConstantEscapement, Filtered, OnBelief

if TYPE_CHECKING:
    from collections.abc import Callable

    from orrl.core.callbacks import Event
    from orrl.core.policy import Policy
    from orrl.core.result import Result

__all__ = ["Watch", "bounded", "published_runs", "sarsop", "survey"]

GAPS = (0.15, 0.05, 0.025, 0.02, 0.01, 0.0055, 0.001)
HERE = Path(__file__).resolve().parent


class Watch:
    """Callback: when each gap was reached, in CPU and in wall seconds since the call; stops at a CPU limit."""

    def __init__(self, limit: float) -> None:
        self.limit, self.begin, self.wall = limit, time.process_time(), time.perf_counter()
        self.reached: dict[float, tuple[float, float]] = {}

    def __call__(self, event: Event) -> bool:
        """Look at the clock."""
        cpu, wall = time.process_time() - self.begin, time.perf_counter() - self.wall
        for gap in GAPS:
            if event.gap is not None and event.gap <= gap and gap not in self.reached:
                self.reached[gap] = cpu, wall
        return cpu >= self.limit


def bounded(problem: Any, cpu_seconds: float, gap: float) -> tuple[Result, Watch]:
    """SARSOP on one thread until the gap or the CPU limit is reached."""
    watch = Watch(cpu_seconds)
    return orrl.solve(problem, "sarsop", gap=gap, threads=1, callbacks=[watch]), watch


# ---- time to gap -----------------------------------------------------------------------------------------------------
def _old(growth: Any, sigma_m: float, name: str) -> orrl.TabularPOMDP:
    """The runs of 2016: the lognormal law of that time, which let 1% of an empty sea come back to the next grid point.

    r, K, C and the grid are inferred: with them and the leak the bounds meet APPL's.
    """
    own = Fishery(growth=growth, sigma_g=0.1, sigma_m=sigma_m, noise="rescaled-lognormal", name=name)
    table = as_file(own)
    back = np.zeros(own.n)
    back[:2] = 0.99, 0.01
    rows = []
    for matrix in table.transition:
        dense = np.array(matrix.toarray() if hasattr(matrix, "toarray") else matrix)
        dense[dense[:, 0] > 1.0 - 1e-12] = back
        rows.append(dense)
    return replace(table, transition=tuple(rows))


def _cell(n: int, sigma_g: float, sigma_m: float) -> Fishery:
    return orrl.load("fishery/paper-a", n=n, sigma_g=sigma_g, sigma_m=sigma_m)  # type: ignore[return-value]


def data(*names: str) -> Path | None:
    """A file of the public data folder (``ORRL_DATA``), or None where there is none."""
    root = os.environ.get("ORRL_DATA")
    found = None if root is None else Path(root).joinpath(*names)
    return found if found is not None and found.exists() else None


def _file(name: str) -> Any:
    found = data("pomdp", name)
    if found is None:
        raise FileNotFoundError(f"{name}: set ORRL_DATA to the folder that has pomdp/{name}")
    return orrl.read(found)


RICKER, ALLEN = Ricker(r=0.5, K=0.8), Allen(r=0.5, K=0.8, C=0.2)
CASES: dict[str, tuple[Callable[[], Any], float, float]] = {
    # name: the problem, CPU seconds at most, gap at which to stop
    "n=50 0.15/0.1": (partial(_cell, 50, 0.15, 0.1), 30, 0.0055),
    "n=100 0.15/0.1": (partial(_cell, 100, 0.15, 0.1), 60, 0.0055),
    "n=100 0.1/0.1": (partial(_cell, 100, 0.1, 0.1), 60, 0.0055),
    "n=100 0.02/0.1": (partial(_cell, 100, 0.02, 0.1), 60, 0.0055),
    "n=100 0.02/0.15": (partial(_cell, 100, 0.02, 0.15), 60, 0.0055),
    "n=100 0.1/0.15": (partial(_cell, 100, 0.1, 0.15), 60, 0.0055),
    "n=100 0.15/0.15": (partial(_cell, 100, 0.15, 0.15), 60, 0.0055),
    "Ricker 0.1/0.1": (partial(_old, RICKER, 0.1, "ricker"), 60, 0.002),
    "Allen 0.1/0.1": (partial(_old, ALLEN, 0.1, "allen"), 60, 0.002),
    "Ricker 0.1/0.4": (partial(_old, RICKER, 0.4, "ricker"), 60, 0.01),
    "Allen 0.1/0.4": (partial(_old, ALLEN, 0.4, "allen"), 60, 0.01),
    "Tiger": (partial(_file, "appl_Tiger.pomdp"), 10, 0.001),
    "tiger.aaai": (partial(_file, "cassandra_tiger.aaai.POMDP"), 10, 0.001),
    "4x3": (partial(_file, "cassandra_4x3.95.POMDP"), 10, 0.001),
    "cheese": (partial(_file, "cassandra_cheese.95.POMDP"), 10, 0.001),
    "shuttle": (partial(_file, "cassandra_shuttle.95.POMDP"), 10, 0.001),
    "parr95": (partial(_file, "cassandra_parr95.95.POMDP"), 10, 0.001),
    "1d": (partial(_file, "cassandra_1d.POMDP"), 10, 0.001),
    "Hallway": (partial(_file, "appl_Hallway.pomdp"), 120, 0.05),
    "Tag": (partial(_file, "appl_TagAvoid.pomdp"), 200, 0.05),
}
PEER_CASES = ("n=50 0.15/0.1", "n=100 0.15/0.1", "Tiger", "Hallway", "Tag")
PUBLISHED: dict[str, tuple[float | None, float | None, float | None]] = {
    # lower and upper bound, seconds: APPL's policy files (lower bound of its vectors) and logs, 2016 to 2019
    "n=100 0.02/0.1": (3.55049, 3.57665, 15_227),
    "n=100 0.1/0.1": (3.45555, 3.47513, 15_400),
    "n=100 0.15/0.1": (3.33955, 3.35677, 15_195),
    "n=100 0.02/0.15": (3.51728, 3.56979, 15_406),
    "n=100 0.1/0.15": (3.36958, None, None),
    "n=100 0.15/0.15": (3.20072, None, None),
    "Ricker 0.1/0.1": (2.39661, 2.39814, 10_500),
    "Allen 0.1/0.1": (1.05177, 1.05256, 10_552),
    "Ricker 0.1/0.4": (2.31373, 2.36789, 11_376),
    "Allen 0.1/0.4": (1.02793, 1.04667, 10_559),
    "Tiger": (19.3711, 19.3721, None),
}


def _ours(settings: Settings, name: str) -> Row:
    make, limit, gap = CASES[name]
    try:
        problem = make()
    except FileNotFoundError as missing:
        return {"case": name, "solver": "orrl", "note": str(missing)}
    _ = getattr(problem, "grids", None), problem.content_hash  # the problem's own tables are no work of the solver
    begin, wall = time.process_time(), time.perf_counter()
    found, watch = bounded(problem, settings.limit(limit), gap)
    spent = time.process_time() - begin, time.perf_counter() - wall
    low, high = found.objective, found.bound.value
    line: Row = {"case": name, "solver": "orrl", "lower": low, "upper": high, "gap %": 100.0 * found.gap}
    line |= {"CPU s": spent[0], "wall s": spent[1]}
    for share in GAPS:
        at = watch.reached.get(share)
        line[f"{100 * share:g} % at"] = "" if at is None else f"{at[0]:.1f} / {at[1]:.1f}"
    if name in PUBLISHED:
        below, above, _ = PUBLISHED[name]
        line["meets APPL"] = bool((above is None or low <= above) and high >= below)
    return line | {"alphas": found.meta["alphas"], "trials": found.meta["trials"]}


def _theirs(settings: Settings, name: str) -> Row:
    """The live peer on the same problem, written as a file."""
    make, limit, gap = CASES[name]
    line: Row = {"case": name, "solver": "scikit-decide (live)"}
    if not (HERE / "peers" / "run_scikit_decide.py").exists():
        return line | {"note": "benchmarks/peers/run_scikit_decide.py is not there"}
    try:
        problem = make()
    except FileNotFoundError as missing:
        return line | {"note": str(missing)}
    file = settings.store / "kept" / (name.replace("/", "-").replace(" ", "-") + ".pomdp")
    file.parent.mkdir(parents=True, exist_ok=True)
    as_file(problem).write(file)
    args = ("--gap", str(gap), "--time-limit", str(settings.limit(limit)))
    found = peer("scikit_decide", file, *args, timeout=6 * settings.limit(limit) + 600)
    file.unlink()
    last = found[-1] if found else {"error": "it printed no row"}
    return line | {"note": last.get("error", "")} | {k: v for k, v in last.items() if k not in ("peer", "error")}


def as_file(problem: Any) -> orrl.TabularPOMDP:
    """Any POMDP with tables as one that can be written."""
    if isinstance(problem, orrl.TabularPOMDP):
        return problem
    table = problem.tabular()
    return orrl.TabularPOMDP(
        transition=tuple(table.transition), reward=table.reward, discount=table.discount,
        observation=tuple(table.observation), initial=table.initial, name=problem.name,
    )  # fmt: skip


def sarsop(settings: Settings) -> list[Row]:
    """Every case, then the live peer on some of them."""
    for name, (_, limit, _) in CASES.items():
        settings.row(f"orrl, {name}, {limit:g} s", partial(_ours, settings, name))
    for name in PEER_CASES:
        settings.row(f"scikit-decide, {name}, {CASES[name][1]:g} s", partial(_theirs, settings, name))
    return list(settings.rows())


def published_runs() -> list[Published]:
    """APPL's runs; with the data folder also those of its appendices."""
    source = "APPL, published, other machine"
    rows: list[Published] = [
        {"source": source, "case": name, "lower": low, "upper": high, "seconds": seconds}
        for name, (low, high, seconds) in PUBLISHED.items()
    ]
    for letter in "AB":
        file = data("fishery", f"sarsop_runs_appendix{letter}.csv")
        for run in csv.DictReader(file.open()) if file else []:
            if float(run["sigma_m"]) > 0.0:
                case = run.get("commonname") or f"n={run['n_states']} {run['sigma_g']}"
                line = {"source": source, "case": f"appendix {letter}: {case}/{run['sigma_m']}"}
                rows.append(
                    line | {"gap (absolute)": float(run["final_precision"]), "seconds": float(run["run_time_sec"])}
                )
    return rows


# ---- where information pays ------------------------------------------------------------------------------------------
WORLDS: dict[str, tuple[Callable[[], Fishery], float]] = {
    "survey is chosen, cost 0.01": (partial(orrl.load, "fishery/survey", cost=0.01), 90.0),  # type: ignore[dict-item]
    "survey is chosen, cost 0.02": (partial(orrl.load, "fishery/survey", cost=0.02), 90.0),  # type: ignore[dict-item]
    "noise 0.1/0.3": (lambda: _loud(GordonSchaefer(r=0.75, K=1.0), 0.1, 0.3, "normal"), 60.0),
    "noise 0.15/0.5": (lambda: _loud(GordonSchaefer(r=0.75, K=1.0), 0.15, 0.5, "normal"), 60.0),
    "Ricker 0.3/0.5, lognormal": (lambda: _loud(Ricker(r=1.0, K=1.0), 0.3, 0.5, "lognormal"), 60.0),
    "Allen 0.1/0.3, lognormal": (lambda: _loud(Allen(r=2.0, K=1.0, C=0.3), 0.1, 0.3, "lognormal"), 60.0),
}


def _loud(growth: Any, sigma_g: float, sigma_m: float, noise: str) -> Fishery:
    return Fishery(growth=growth, sigma_g=sigma_g, sigma_m=sigma_m, noise=noise, n=60)


def _information(settings: Settings, world: str, name: str) -> Row:
    make, limit = WORLDS[world]
    problem = make()
    label = f"survey {world}"

    def solved(method: str) -> tuple[Policy, Row]:
        if method == "qmdp":
            found = orrl.solve(problem, "qmdp", threads=1)
            return found.policy, {"upper bound": found.bound.value}
        found, _ = bounded(problem, settings.limit(limit), 0.005)
        return found.policy, {"lower bound": found.objective, "upper bound": found.bound.value}

    facts: Row = {}
    if name in ("sarsop", "qmdp"):
        planned, facts = settings.policy(f"{label} {name}", partial(solved, name))
        policy: Policy = OnBelief(planned, name=name)
    elif "filtered" in name:
        policy = Filtered(ConstantEscapement(effort=int(name.endswith("good survey"))))
    else:
        policy = ConstantEscapement(effort=int(name.endswith("good survey")))
    count = settings.episodes()
    episodes = played(problem, policy, count)
    values = np.array([e.value for e in episodes])
    mean, error = with_error(values)
    stock = np.array([e.final.stock for e in episodes])
    line: Row = {"world": world, "policy": name, "episodes": count, "NPV": mean, "s.e.": error}
    file = settings.store / "kept" / f"{label} {count} {settings.seed} {settings.quick}.npy".replace("/", "-")
    if name == "qmdp":
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, values)
    else:
        line["- qmdp, 95 %"] = interval(values - np.load(file))
    line |= {"extinct %": 100.0 * (stock[:, -1] <= 0.0).mean()}
    if problem.efforts:
        line["good surveys %"] = 100.0 * float(np.mean([np.mean(e.final.effort) for e in episodes]))
    return line | facts


def survey(settings: Settings) -> list[Row]:
    """Paired on the same scenarios, from the law that SARSOP bounds."""
    for world in WORLDS:
        chosen = world.startswith("survey")
        names = ["qmdp", "sarsop", "constant-escapement, filtered", "constant-escapement"]
        if chosen:
            names += ["constant-escapement, filtered, good survey"]
        for name in names:
            key = f"{world}, {name}, {settings.episodes()} episodes"
            settings.row(key, partial(_information, settings, world, name))
    return list(settings.rows())
