"""The job shop's figures: simulator speed, proofs and rules, each beside its peer in the same run.

``python benchmarks/jobshop.py`` runs every part, ``--part kernel proofs`` only those. Peers run in environments of
their own (``python benchmarks/peers/make.py``); one that is not built is said to be missing. CPU seconds are process
times, so that a busy machine inflates them less; ratios are within one run. ``--out`` keeps the rows as JSON.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from tables import Part, Row, peer, run_parts  # first: it sets the threads of what comes below

# isort: split
import numpy as np

import orrl
from orrl.catalogue import best_known
from orrl.problems.jobshop.io import write_standard
from orrl.problems.jobshop.kernel import ShopKernel

if TYPE_CHECKING:
    from pathlib import Path

SMALL = [f"la{i:02d}" for i in range(1, 6)]
SEEDS = 3
TENS = ["ft10", "abz5", "abz6", *(f"la{i}" for i in range(16, 21)), *(f"orb{i:02d}" for i in range(1, 11))]
GROUPS = {"10x5": (1, 5), "15x5": (6, 10), "20x5": (11, 15), "10x10": (16, 20), "15x10": (21, 25)}
GROUPS |= {"20x10": (26, 30), "30x10": (31, 35), "15x15": (36, 40)}
# Mean excess over the best known makespan, computed from the workbook that Corsini et al. (NeurIPS 2024) released.
PUBLISHED = {
    "spt": (14.8, 14.9, 16.3, 15.7, 28.7, 36.9, 16.6, 25.8),
    "mwkr": (15.9, 5.5, 5.2, 12.2, 17.8, 17.9, 9.2, 18.2),
    "mopnr": (14.6, 5.0, 6.7, 11.9, 23.4, 21.9, 7.7, 18.6),
}


def random_steps(kernel: ShopKernel, batch: int, seconds: float) -> Row:
    """Decisions per CPU second of a random policy with mask and features at every decision."""
    scenarios = [kernel.problems[0].scenario(0)] * batch
    rng = np.random.default_rng(0)
    kernel.step(kernel.reset(scenarios), np.zeros(batch, np.int64) - 1)  # compiled before the clock starts
    kernel.observe(kernel.reset(scenarios))
    decisions = episodes = 0
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        state = kernel.reset(scenarios)
        done = np.zeros(batch, np.bool_)
        while not done.all():
            mask = kernel.mask(state)
            kernel.observe(state)
            decisions += int((~done).sum())
            _, done = kernel.step(state, (rng.random(mask.shape) * mask).argmax(axis=1))
        episodes += batch
    spent = time.process_time() - begin
    return {"decisions_per_s": decisions / spent, "episodes_per_s": episodes / spent}


def kernel_part(folder: Path, seconds: float) -> list[Row]:
    """Simulator against the peers' environments on the plain shop, and blocking beside it."""
    rows: list[Row] = []
    for name in ("ft10", "la40"):
        plain = orrl.load(f"jobshop/{name}")
        path = folder / f"{name}.txt"
        write_standard(plain, path)
        ours: dict[str, list[Row]] = {}
        for _ in range(3):  # in turn with the peers' runs below it drifts less than one long run
            for label, shop in (("plain", plain), ("blocking", plain.replace(storage="blocking"))):
                kernel = ShopKernel([shop], wait=False, compiled=True)
                ours.setdefault(label, []).append(random_steps(kernel, 256, seconds / 3))
        rate = {k: statistics.median(r["decisions_per_s"] for r in v) for k, v in ours.items()}
        for label, value in rate.items():
            episodes = statistics.median(r["episodes_per_s"] for r in ours[label])
            rows.append({"instance": name, "who": f"orrl {label}", "decisions/s": value, "episodes/s": episodes})
        for package in ("jssenv", "job_shop_lib", "rl4co"):
            extra = ("--seconds", str(seconds if package != "rl4co" else 3 * seconds))
            for found in peer(package, path, *extra):
                other = found.get("decisions_per_s")
                rows.append(
                    {
                        "instance": name,
                        "who": f"{found['peer']} {found.get('setting', '')}".strip(),
                        "decisions/s": other,
                        "orrl plain / peer": rate["plain"] / other if other else None,
                        "note": found.get("error", ""),
                    }
                )
    return rows


def prove(name: str, limit: float, threads: int = 1, seed: int = 0, **options: Any) -> Row:
    """One proof attempt in this process."""
    shop = orrl.load(f"jobshop/{name}", **options)
    begin = time.process_time()
    result = orrl.solve(shop, "cp-sat", time_limit=limit, threads=threads, seed=seed)
    known = best_known(shop)
    return {
        "instance": name,
        "variant": shop.variant,
        "status": result.status,
        "objective": result.objective,
        "bound": None if result.bound is None else result.bound.value,
        "best known": None if known is None else known.upper,
        "cpu s": time.process_time() - begin,
    }


def proofs_part(folder: Path, limit: float) -> list[Row]:
    """Blocking with swap: proofs on one worker, PyJobShop beside la01 and la05."""
    rows = [{"who": "orrl", **prove(n, limit, storage="blocking")} for n in SMALL]
    ours = {row["instance"]: row["cpu s"] for row in rows}
    rows.append({"who": "orrl", "instance": "la01-05", "cpu s": sum(ours.values())})
    for name in ("la01", "la05"):
        path = folder / f"{name}.txt"
        write_standard(orrl.load(f"jobshop/{name}"), path)
        for found in peer("pyjobshop", path, "--time-limit", "120", "--workers", "1"):
            cpu = found.get("cpu_seconds")
            row = {"who": "PyJobShop", "instance": name, "status": str(found.get("status", "")).lower()}
            row |= {"objective": found.get("objective"), "bound": found.get("lower_bound"), "cpu s": cpu}
            rows.append({**row, "peer / orrl": cpu / ours[name] if cpu else None, "note": found.get("error", "")})
    tens = [{"who": "orrl", **prove(n, 2 * limit, storage="blocking")} for n in TENS]
    quick = sum(row["status"] == "optimal" and row["cpu s"] <= limit for row in tens)
    note = f"proved within {limit:g} CPU s"
    return [*rows, *tens, {"who": "orrl", "instance": f"{quick} of {len(TENS)} 10x10", "note": note}]


def plain_part(folder: Path, limit: float) -> list[Row]:
    """Plain job shop la01-la20 to proof, beside the textbook model in raw OR-Tools, two workers each, in turn.

    Parallel CP-SAT's time on one instance varies by a factor of two from seed to seed, so each row is a mean of three.
    """
    rows, total = [], {"orrl": 0.0, "raw": 0.0}
    for i in range(1, 21):
        name = f"la{i:02d}"
        path = folder / f"{name}.txt"
        write_standard(orrl.load(f"jobshop/{name}"), path)
        ours, raw = [], []
        for seed in range(SEEDS):
            ours.append(prove(name, limit, threads=2, seed=seed))
            command = ("--time-limit", str(limit), "--workers", "2", "--seed", str(seed))
            raw += peer("ortools", path, *command)
        spent = statistics.mean(row["cpu s"] for row in ours), statistics.mean(row["cpu_seconds"] for row in raw)
        total = {"orrl": total["orrl"] + spent[0], "raw": total["raw"] + spent[1]}
        beside = {"raw OR-Tools cpu s": spent[1], "raw status": raw[0]["status"].lower()}
        rows.append({**ours[0], "cpu s": spent[0], **beside})
    ratio = total["orrl"] / total["raw"]
    return [*rows, {"instance": "total", "cpu s": total["orrl"], "raw OR-Tools cpu s": total["raw"], "ratio": ratio}]


def rules_part(_folder: Path, _limit: float) -> list[Row]:
    """Mean excess of the rules over the best known makespan per Lawrence group; published figures beside ours."""
    rows = []
    for storage in ("unlimited", "blocking"):
        for rule in orrl.JobShop(machines=[[0]], durations=[[1]]).rules():
            row: Row = {"storage": storage, "rule": rule}
            for g, (group, (first, last)) in enumerate(GROUPS.items()):
                over = []
                for i in range(first, last + 1):
                    shop = orrl.load(f"jobshop/la{i:02d}", storage=storage)
                    known = best_known(shop)
                    seeds = range(20) if rule == "random" else range(1)
                    value = statistics.mean(orrl.solve(shop, rule, seed=s, threads=1).objective or 0.0 for s in seeds)
                    if known is not None:
                        over.append(100 * (value / known.upper - 1))
                row[group] = statistics.mean(over) if over else None
                if storage == "unlimited" and rule in PUBLISHED:
                    row[group] = f"{row[group]:.1f} ({PUBLISHED[rule][g]:.1f} published)"
            rows.append(row)
    return rows


def startup_part(_folder: Path, _limit: float) -> list[Row]:
    """Whole-process wall seconds: median of five."""
    shop = "machines=[[0, 1], [1, 0]], durations=[[3, 2], [2, 4]]"
    first = "import orrl; orrl.solve(orrl.load('jobshop/ft10'), 'mwkr')"
    several = f"import orrl; s = orrl.JobShop({shop}); s.kernel([s], compiled=True).reset([s.scenario(0)])"
    jobs: list[tuple[str, list[str]]] = [
        ("import orrl", ["-c", "import orrl"]),
        ("orrl --help", ["-m", "orrl", "--help"]),
        ("first solve by a rule", ["-c", first]),
        ("compiled kernel from the cache", ["-c", several]),
    ]
    rows = []
    for label, command in jobs:
        times = []
        for _ in range(6):
            begin = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - begin)
        rows.append({"what": label, "wall s": statistics.median(times[1:]), "slowest": max(times[1:])})
    with tempfile.TemporaryDirectory() as empty:
        env = {**os.environ, "NUMBA_CACHE_DIR": empty, "PYTHONPYCACHEPREFIX": empty}
        for label, code in (("first solve by a rule, no caches", first), ("compiled kernel, no caches", several)):
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, env=env, stdout=subprocess.DEVNULL)
            rows.append({"what": label, "wall s": time.perf_counter() - begin})
    return rows


PARTS: dict[str, Part] = {
    "startup": (startup_part, 0, "Start-up, whole process"),
    "kernel": (kernel_part, 9, "Simulator, random policy with mask and features, decisions per CPU second, one thread"),
    "proofs": (proofs_part, 60, "Blocking with swap (BWS): proofs by cp-sat on one worker"),
    "plain": (plain_part, 120, "Plain job shop: proofs by cp-sat on two workers"),
    "rules": (rules_part, 0, "Dispatching rules: mean excess over the best known makespan, %"),
}


if __name__ == "__main__":
    run_parts(PARTS, __doc__)
