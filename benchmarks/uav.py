"""UAV offloading: every method against the proven optimum, certified bounds on larger networks, simulator speed.

``python benchmarks/uav.py`` runs every part, ``--part optimum bounds`` only those; ``--out`` keeps the rows as JSON.
The main table has five SINR networks (generator seeds 1 to 5) and five training seeds of each learner; intervals
resample networks and seeds. Peers run in environments of their own (``python benchmarks/peers/make.py mobile_env``).
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from tables import Part, Row, peer, run_parts  # first: it sets the threads of what comes below

# isort: split
import numpy as np
from joblib import Parallel, delayed

import orrl
from orrl.comparison.statistics import crossed_bootstrap
from orrl.core.rollout import rollout
from orrl.problems.uav import UavOffloading
from orrl.solvers.learners.ppo import PPO

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {"grid": 10, "uavs": 3, "users": 100, "slots": 20}
LARGE = {"grid": 15, "uavs": 3, "users": 100, "slots": 30}
NETWORKS, SEEDS = range(1, 6), range(5)
EPISODES = 200_000
LEARNERS = ("sarsa", "expected-sarsa", "q-learning", "double-q")
SEARCH: dict[str, dict[str, Any]] = {
    "pair-dp": {},
    "best-response": {},
    "pso (waypoints)": {"encoding": "waypoints"},
    "pso (moves)": {"encoding": "moves"},
}
RULES = ("greedy-flight", "fly-to-crowds", "hover", "random")
PPO_SECONDS = 60.0


def optimum_part(_folder: Path, limit: float) -> list[Row]:
    """Share of the proven optimum on 10x10 networks with interference."""
    return _table(SMALL, limit, NETWORKS, SEEDS)


def larger_part(_folder: Path, limit: float) -> list[Row]:
    """The same on 15x15 networks, three training seeds."""
    return _table(LARGE, limit, range(1, 4), range(3))


def _table(size: dict[str, int], limit: float, networks: range, seeds: range) -> list[Row]:
    problems = [UavOffloading.generate(seed=n, **size) for n in networks]
    rows: list[Row] = []
    proofs = [orrl.solve(p, "joint-dp", threads=2) for p in problems]
    best = np.array([r.objective for r in proofs])
    assert all(r.status == "optimal" for r in proofs), proofs
    seconds = [r.times.total for r in proofs]
    rows.append({"method": "joint-dp", "% of optimum": 100.0, "lowest": 100.0, "seconds": statistics.mean(seconds)})
    for name, options in SEARCH.items():
        found = [
            [orrl.solve(p, name.split(" ")[0], time_limit=limit, threads=1, seed=s, **options) for p in problems]
            for s in seeds
        ]
        rows.append(_row(name, np.array([[r.objective for r in row] for row in found]), best))
        rows[-1]["seconds"] = statistics.mean(r.times.total for row in found for r in row)
    for name in RULES:
        played = [[orrl.solve(p, name, seed=s, threads=1) for p in problems] for s in seeds]
        rows.append(_row(name, np.array([[r.objective for r in row] for row in played]), best))
        rows[-1]["ms a decision"] = _decision_ms(problems[0], problems[0].rules().get(name))
    for name in LEARNERS:
        jobs = [(p, name, s) for s in seeds for p in problems]
        got = Parallel(n_jobs=2)(delayed(_train)(*job) for job in jobs)
        shape = (len(seeds), len(problems))
        for kind in ("best", "final"):
            scores = np.array([one[kind] for one in got]).reshape(shape)
            rows.append(_row(f"{name}, {kind} policy", scores, best))
            rows[-1] |= {"train cpu s": statistics.mean(one["cpu"] for one in got)}
            rows[-1] |= {"slowest": max(one["cpu"] for one in got), "ms a decision": got[0]["ms"]}
    ippo = [[_ippo(p, s) for p in problems] for s in seeds[:1]]
    rows.append(_row("ppo, shared by the agents", np.array([[v for v, _ in row] for row in ippo]), best))
    rows[-1] |= {"train cpu s": statistics.mean(cpu for row in ippo for _, cpu in row), "seeds": 1}
    floor, rule = (next(r for r in rows if r["method"] == name)["% of optimum"] for name in ("random", "greedy-flight"))
    rows.append({"method": f"headroom: random {floor:.1f} %, greedy {rule:.1f} % of the optimum"})
    return rows


def _row(name: str, scores: np.ndarray, best: np.ndarray) -> Row:
    """Mean percentage of the optimum with its interval; scores are (seeds, networks)."""
    share = 100.0 * scores / best
    low, high = crossed_bootstrap(share)
    return {
        "method": name,
        "% of optimum": float(share.mean()),
        "95%": f"{low:.1f} to {high:.1f}",
        "lowest": float(share.min()),
    }


def _train(problem: UavOffloading, name: str, seed: int) -> Row:
    """One training; the values of the best and of the final policy."""
    begin = time.process_time()
    policy = orrl.train(problem, name, budget=orrl.Budget(iterations=EPISODES), seed=seed)
    cpu = time.process_time() - begin
    values = {}
    for policy.kept in ("final", "best"):
        values[policy.kept] = rollout(problem, policy, [problem.nominal()])[0].value
    return {**values, "cpu": cpu, "ms": _decision_ms(problem, policy)}


def _ippo(problem: UavOffloading, seed: int) -> tuple[float, float]:
    begin = time.process_time()
    policy = orrl.train(problem, PPO(threads=1), budget=orrl.Budget(cpu_seconds=PPO_SECONDS), seed=seed)
    return rollout(problem, policy, [problem.nominal()])[0].value, time.process_time() - begin


def _decision_ms(problem: UavOffloading, policy: Any) -> float | None:
    """Milliseconds a joint decision takes at batch one, after a first episode."""
    if policy is None:
        return None
    rollout(problem, policy, [problem.nominal()])
    begin = time.perf_counter()
    for _ in range(3):
        rollout(problem, policy, [problem.nominal()])
    return 1000.0 * (time.perf_counter() - begin) / (3 * (problem.n_slots - 1))


def bounds_part(_folder: Path, limit: float) -> list[Row]:
    """Certified bounds without interference, where no joint dynamic program reaches."""
    rows: list[Row] = []
    sizes = [(15, 4, 100, 30, None), (20, 4, 200, 30, None), (20, 5, 200, 50, None), (10, 3, 100, 20, 20)]
    for grid, uavs, users, slots, capacity in sizes:
        for seed in (1, 2, 3):
            problem = UavOffloading.generate(
                seed=seed, grid=grid, uavs=uavs, users=users, slots=slots, interference=False, capacity=capacity
            )
            result = orrl.solve(problem, "lagrangian", time_limit=limit, threads=2)
            bound = None if result.bound is None else result.bound.value
            known = [
                p.seconds for p in result.trace.points if bound and p.bound is not None and p.bound <= 1.01 * bound
            ]
            within = known[0] if known else None
            rows.append(
                {
                    "network": f"{grid}x{grid} / {uavs} / {users} / {slots}" + (f" C={capacity}" if capacity else ""),
                    "seed": seed,
                    "status": result.status,
                    "objective": result.objective,
                    "bound": bound,
                    "gap %": None if result.gap is None else 100.0 * result.gap,
                    "s to within 1% of the bound": within,
                    "seconds": result.times.total,
                }
            )
    problem = UavOffloading.generate(seed=1, grid=15, uavs=4, users=100, slots=30, interference=False)
    result = orrl.solve(problem, "milp", time_limit=limit, threads=2)
    rows.append(
        {"network": "15x15 / 4 / 100 / 30, milp", "seed": 1, "status": result.status, "objective": result.objective}
    )
    rows[-1] |= {"bound": result.bound and result.bound.value, "seconds": result.times.total}
    return rows


def kernel_part(_folder: Path, seconds: float) -> list[Row]:
    """Joint steps (all UAVs move, all users are associated) per CPU second, one thread, random moves."""
    problem = UavOffloading.generate(seed=1, **SMALL)
    kernel = UavOffloading.kernel([problem], compiled=True)
    rows = [
        {"what": "orrl, kernel in batches (moves and masks in the loop)", "steps per s": _kernel_rate(kernel, seconds)}
    ]
    rows.append({"what": "orrl, table mode (compiled playout)", "steps per s": _playout_rate(kernel, seconds)})
    rows.append({"what": "orrl, PettingZoo parallel_env", "steps per s": _parallel_rate(problem, seconds)})
    fast = rows[-1]["steps per s"]
    for found in peer("mobile_env", "--seconds", str(seconds)):
        rate = found.get("steps_per_s")
        row: Row = {"what": f"mobile-env medium, {found.get('setting', '')}", "note": found.get("error", "")}
        rows.append(row | ({"steps per s": rate, "orrl's parallel_env / peer": fast / rate} if rate else {}))
    return rows


def _kernel_rate(kernel: Any, seconds: float, batch: int = 4096) -> float:
    rng, steps = np.random.default_rng(0), 0
    world = [kernel.problems[0].nominal()] * batch
    state = kernel.reset(world, [0] * batch)
    mask = kernel.mask(state)
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        action = np.where(mask, rng.random(mask.shape, dtype=np.float32), -1.0).argmax(axis=2)
        _, done = kernel.step(state, action)
        steps += batch
        if done.all():
            state = kernel.reset(world, [0] * batch)
        mask = kernel.mask(state)
    return steps / (time.process_time() - begin)


def _playout_rate(kernel: Any, seconds: float, batch: int = 4096) -> float:
    world, steps, round_ = [kernel.problems[0].nominal()] * batch, 0, 0
    begin, spent = time.process_time(), 0.0
    while spent < seconds:
        state = kernel.reset(world, [0] * batch)
        kernel.playout(state, seed=round_)
        steps, round_ = steps + batch * (kernel.problems[0].n_slots - 1), round_ + 1
        spent = time.process_time() - begin
    return steps / spent


def _parallel_rate(problem: UavOffloading, seconds: float) -> float:
    """Moves are drawn beforehand; one that the mask forbids lets its UAV stay."""
    env = problem.parallel_env(illegal="noop")
    rng, steps = np.random.default_rng(0), 0
    drawn = rng.integers(len(problem.offsets), size=(4096, problem.n_uavs)).tolist()
    moves = [dict(zip(env.possible_agents, row, strict=True)) for row in drawn]
    env.reset(seed=0)
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        for _ in range(problem.n_slots - 1):
            env.step(moves[steps % 4096])
            steps += 1
        env.reset()
    return steps / (time.process_time() - begin)


PARTS: dict[str, Part] = {
    "kernel": (kernel_part, 5, "Joint steps per CPU second at 3 UAVs and 100 users, one thread"),
    "optimum": (optimum_part, 5, "10x10, 3 UAVs, 100 users, 20 slots, SINR: percentage of the proven optimum"),
    "larger": (larger_part, 5, "15x15, 3 UAVs, 100 users, 30 slots, SINR: percentage of the proven optimum"),
    "bounds": (bounds_part, 20, "Certified bounds without interference: Lagrangian relaxation and its proofs"),
}

if __name__ == "__main__":
    run_parts(PARTS, __doc__)
