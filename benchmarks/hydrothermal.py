"""Hydrothermal dispatch on the Bolivian system: exact, learnt and simple policies on the same published paths.

``python benchmarks/hydrothermal.py`` makes every row of the DC table and prints it; ``--network ac`` the AC table,
whose rows cost up to 24 core-minutes each for 500 paths, so name them one by one: ``--network ac --row myopic``.
Policies and the cost of every stage of every path are kept in ``--store`` as they come: a killed run goes on where it
was, and the table is printed from what is there (``--row`` with nothing behind it only prints).

``--part sddp-20 sddp-2 sddp-6 cobre`` prints the bounds of SDDP after 20 iterations, its gap on fresh paths after two
and six minutes, and its speed beside cobre. ``--part ppo-tuning ppo-curve`` prints what was tried for PPO, and how the
PPO of the table learnt (it is trained first, where it was not). ``--part ac-panel`` plays every policy that is kept on
ten paths in AC, with perfect information in DC and SOC beside them.
Nothing is trained or tuned on the paths of the table. A training time is of all runs where a killed one was resumed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tables import Row, peer, show  # first: it sets the threads of what comes below

# isort: split
import hydro_panel
import numpy as np
from hydro_export import export
from hydro_ppo import CHOSEN, EFFORT, curve, tuning
from joblib import Parallel, delayed
from rich.console import Console
from store import Settings

import orrl
from orrl.core.archive import read_archive
from orrl.core.policy import Policy
from orrl.core.rollout import estimate, rollout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orrl.problems.hydrothermal import Hydrothermal

MINUTES = {"ts-ddr": 10.0, "ts-ldr": 5.0, "ppo": 10.0, "ts-ddr on sddp": 5.0}
AC_MINUTES = {"dcll": 15.0, "ac": 20.0}
ITERATIONS = 400
AC_ITERATIONS = 800, 1060  # two runs, the second one with another seed from the cuts of the first
CHUNK = 25
PUBLISHED: list[Row] = [
    {"policy": "SDDP, SOC cuts (published)", "paths": 500, "96 stages": 313546.09, "training": "not stated"},
    {"policy": "TS-DDR strict (published)", "paths": 500, "96 stages": 314023.62, "training": "10.97 h on an H200"},
]


def bolivia(network: str) -> Hydrothermal:
    """The frozen case: K = 0.6048, load 0.6, 126 stages."""
    return orrl.load("hydrothermal/bolivia", network=network)  # type: ignore[return-value]


# ---- how each row gets its policy -----------------------------------------------------------------------------------
Made = tuple[Policy, float, float | None]
"""A policy, and the wall and processor seconds of its training: of all runs, where it was killed and resumed."""


def sddp(
    problem: Hydrothermal, store: Path, seed: int, iterations: int = ITERATIONS, name: str = "sddp", first: Any = None
) -> Made:
    """SDDP with a fixed number of iterations, from the cuts of a `first` policy where there is one."""
    options = {"iterations": iterations, "checkpoint": store / f"{name}.ckpt", "scenarios": 2, "warm_start": first}
    found = orrl.solve(problem, "sddp", seed=seed, threads=2, **options)
    (store / "sddp.bound").write_text(json.dumps(found.bound.value))
    return found.policy, found.meta["train_seconds"], found.meta["train_cpu_seconds"]


def trained(problem: Hydrothermal, name: str, file: Path, minutes: float, seed: int, **options: Any) -> Made:
    """A learner with a checkpoint, which keeps its clocks."""
    policy: Any = orrl.train(
        problem, name, budget=orrl.Budget(minutes=minutes), seed=seed, checkpoint=file, **options
    )  # fmt: skip
    return policy, policy.train_seconds, read_archive(file)[0]["cpu"]


def learner(name: str, **options: Any) -> Callable[[Hydrothermal, Path, int], Made]:
    """A learner with its wall time."""

    def make(problem: Hydrothermal, store: Path, seed: int) -> Made:
        label = options.get("label", name)
        own = {k: v for k, v in options.items() if k != "label"}
        if own.pop("residual", False):
            own["base"] = orrl.load_policy(store / "sddp.policy")
        return trained(problem, name, store / f"{label}.ckpt", MINUTES[label], seed, **own)

    return make


def sddp_for_ac(problem: Hydrothermal, store: Path, seed: int) -> Made:
    """Cuts of DC with line losses; that model also says where to go, and the true stage is solved for it."""
    lossy, (early, late) = problem.with_(network="dcll"), AC_ITERATIONS
    first, wall, cpu = sddp(lossy, store, seed, early, "sddp-first")
    policy, more, later = sddp(lossy, store, seed + 10, late, first=first)
    policy.planner = lossy  # type: ignore[attr-defined]
    return policy, wall + more, (cpu or 0.0) + (later or 0.0)


def ts_ddr_for_ac(problem: Hydrothermal, store: Path, seed: int) -> Made:
    """Weights from DC with line losses, then tangent planes of the true stage."""
    lossy, minutes = problem.with_(network="dcll"), AC_MINUTES
    first, wall, cpu = trained(lossy, "ts-ddr", store / "ts-ddr-dcll.ckpt", minutes["dcll"], seed)
    first.save(store / "ts-ddr-dcll.policy")
    options = {"learning_rate": 5e-4, "panel": 6, "check": 150, "sample": 40, "initial": first}
    policy, more, later = trained(problem, "ts-ddr", store / "ts-ddr.ckpt", minutes["ac"], seed, **options)
    return policy, wall + more, (cpu or 0.0) + (later or 0.0)


TRAINED: dict[str, dict[str, Callable[[Hydrothermal, Path, int], Made]]] = {
    "dc": {
        "sddp": sddp,
        "ts-ddr": learner("ts-ddr"),
        "ts-ldr": learner("ts-ddr", network="linear", label="ts-ldr"),
        "ts-ddr on sddp": learner("ts-ddr", residual=True, label="ts-ddr on sddp"),
        "ppo": learner("ppo", **CHOSEN),
    },
    "ac": {"sddp": sddp_for_ac, "ts-ddr": ts_ddr_for_ac},
}
RULES = {"dc": ("myopic", "rolling-deterministic", "random"), "ac": ("myopic",)}


def rows_of(network: str) -> list[str]:
    """Names of the rows that need a policy."""
    return [*RULES[network], *TRAINED[network]]


# ---- making a row ----------------------------------------------------------------------------------------------------
class Timed(Policy):
    """Another policy with a clock around its decisions."""

    needs_observation = True

    def __init__(self, inner: Policy) -> None:
        self.inner, self.name, self.seconds, self.count = inner, inner.name, 0.0, 0
        self.needs_observation = inner.needs_observation
        self.kernel_options = inner.kernel_options

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Pass on."""
        self.inner.reset(problem, batch=batch, seed=seed)

    def act(self, obs: Any, info: Mapping[str, Any]) -> Any:
        """Decide against the clock."""
        begin = time.perf_counter()
        action = self.inner.act(obs, info)
        self.seconds += time.perf_counter() - begin
        self.count += len(action)
        return action


def policy_of(network: str, row: str, store: Path) -> Policy:
    """A rule, or the policy that was kept."""
    if row in RULES[network]:
        from orrl.methods import resolve

        return resolve(row, bolivia(network)).policy  # type: ignore[attr-defined]
    return orrl.load_policy(store / f"{row}.policy")


def chunk(network: str, row: str, store: Path, begin: int, end: int) -> None:
    """Costs of some paths, written in one piece."""
    target = store / "paths" / f"{row} {begin}-{end}.npz"
    if target.exists():
        return
    problem = bolivia(network)
    policy = Timed(policy_of(network, row, store))
    world = problem.protocol(500)[begin:end]
    episodes = rollout(problem, policy, world)
    cost = -np.array([e.rewards for e in episodes])
    shed = np.array([e.final.past["deficit"].sum() * problem.grid.base for e in episodes])
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part.npz")
    np.savez_compressed(part, cost=cost, shed=shed, ms=1000 * policy.seconds / policy.count)
    part.rename(target)


def make_row(network: str, row: str, store: Path, paths: int, seed: int) -> None:
    """Train where needed, then play the paths on two cores."""
    store.mkdir(parents=True, exist_ok=True)
    if row in TRAINED[network] and not (store / f"{row}.policy").exists():
        policy, wall, cpu = TRAINED[network][row](bolivia(network), store, seed)
        policy.save(store / f"{row}.policy")
        spent = {"wall": wall, "cpu": cpu, "seed": seed}
        if row == "ppo":  # what was tried is told only where the trials were run to the end and kept
            spent["effort"] = EFFORT if (store.parent / "ppo-tuning.json").exists() else "trials not kept"
        (store / f"{row}.json").write_text(json.dumps(spent))
    starts = range(0, paths, CHUNK)
    Parallel(n_jobs=2)(delayed(chunk)(network, row, store, b, min(b + CHUNK, paths)) for b in starts)


def wait_and_see(network: str, store: Path, paths: int) -> None:
    """Perfect information, path by path."""
    target = store / "paths" / f"wait-and-see 0-{paths}.npz"
    if target.exists():
        return
    problem = bolivia(network)
    found = orrl.solve(problem, "wait-and-see", paths=problem.protocol(paths), threads=1)
    cost = np.array(found.meta["path_costs"])
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, cost=cost, shed=np.full(paths, np.nan), ms=np.nan)


# ---- the table -------------------------------------------------------------------------------------------------------
def costs(store: Path, row: str, paths: int) -> tuple[Any, Any, float] | None:
    """Costs (P, T), shed power (P,), ms a decision; None until the paths are complete."""
    found = sorted((store / "paths").glob(f"{row} [0-9]*.npz"), key=lambda f: int(f.stem.split()[-1].split("-")[0]))
    parts = [dict(np.load(f)) for f in found]
    if not parts or sum(len(p["cost"]) for p in parts) < paths:
        return None
    cost, shed = (np.concatenate([p[k] for p in parts])[:paths] for k in ("cost", "shed"))
    return cost, shed, float(np.mean([p["ms"] for p in parts]))


def table(network: str, store: Path, paths: int, reference: str) -> list[Row]:
    """One line a policy; differences are paired with the reference on both windows."""
    base = costs(store, reference, paths)
    rows: list[Row] = []
    for row in ["wait-and-see", *rows_of(network)]:
        found = costs(store, row, paths)
        if found is None:
            continue
        cost, shed, ms = found
        line: Row = {"policy": row, "paths": paths}
        for label, window in (("96 stages", 96), ("126 stages", cost.shape[1])):
            total = cost[:, :window].sum(axis=1)
            line[label] = float(total.mean())
            if base is not None and row != reference:
                apart = total - base[0][:, :window].sum(axis=1)
                mean, interval = estimate(apart)
                line[f"- {reference} ({window})"] = f"{mean:+,.0f} [{interval[0]:+,.0f}, {interval[1]:+,.0f}]"
                line[f"wins ({window})"] = int((apart < 0).sum())
        line["shed MW-stages"] = float(shed.mean())
        line["ms a decision"] = ms
        if (store / f"{row}.json").exists():
            spent = json.loads((store / f"{row}.json").read_text())
            cpu = "" if spent["cpu"] is None else f", {spent['cpu'] / 60:.1f} CPU"
            effort = f"; {spent['effort']}" if "effort" in spent else ""
            line["training"] = f"{spent['wall'] / 60:.1f} min wall{cpu}{effort}"
        rows.append(line)
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("dc", "ac"), default="dc")
    parser.add_argument("--row", nargs="*", help="rows to make; all of the network's by default")
    parser.add_argument("--part", nargs="*", choices=list(BARS), default=[])
    parser.add_argument("--paths", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", type=Path, default=Path("benchmarks/results/hydrothermal"))
    args = parser.parse_args()
    console = Console(width=200)
    console.print(str(orrl.show_versions()))
    store = args.store / args.network
    if not args.part:
        every = [*rows_of(args.network), *(["wait-and-see"] if args.network == "dc" else [])]
        for row in every if args.row is None else args.row:
            if row == "wait-and-see":
                wait_and_see(args.network, store, args.paths)
            else:
                make_row(args.network, row, store, args.paths, args.seed)
        rows = table(args.network, store, args.paths, "sddp")
        rows += PUBLISHED if args.network == "ac" else []
        show(f"Bolivia, {args.network.upper()}, the first {args.paths} published paths", rows, console)
        keep(store / f"table-{args.paths}.json", rows, args.seed)
    for part in args.part:
        make, title = BARS[part]
        rows = make(args.store / "dc", args.seed)
        show(title, rows, console)
        keep(args.store / f"{part}.json", rows, args.seed)


def keep(file: Path, rows: list[Row], seed: int) -> None:
    """Write a table with its seed, the versions and the machine."""
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {"seed": seed, "versions": orrl.show_versions().to_dict(), "rows": rows}
    file.write_text(json.dumps(told, indent=1) + "\n")


# ---- bars ------------------------------------------------------------------------------------------------------------
def twenty(store: Path, seed: int) -> list[Row]:
    """Bound after 20 iterations on three seeds."""
    problem, rows = bolivia("dc"), list[Row]()
    for seed in range(3):
        found = orrl.solve(problem, "sddp", iterations=20, seed=seed, threads=1, scenarios=2)
        rows.append({"run": f"20 iterations, seed {seed}", "bound": found.bound.value, "seconds": found.times.total})
    return rows


def gap_after(minutes: int, store: Path, seed: int) -> list[Row]:
    """Simulated cost on 2,000 fresh paths against the bound."""
    problem = bolivia("dc")
    clock = {"iterations": 100_000, "time_limit": 60.0 * minutes}  # the clock ends it, no rule
    found = orrl.solve(problem, "sddp", **clock, threads=1, scenarios=2)
    fresh = np.array([problem.noise(problem.scenario(10_000 + s)) for s in range(2000)])
    cost = np.concatenate(Parallel(n_jobs=2)(delayed(_simulate)(found.policy, f) for f in np.array_split(fresh, 8)))
    mean, interval = estimate(cost)
    bound = found.bound.value
    gap = [100 * (z / bound - 1) for z in (mean, *interval)]
    return [{
        "run": f"{minutes} min, 2,000 fresh paths", "bound": bound, "seconds": found.times.total,
        "iterations": found.meta["iterations"], "cpu seconds": found.times.cpu, "simulated": mean, "gap %": gap[0],
        "upper end of its 95% interval %": gap[2],
    }]  # fmt: skip


def _simulate(policy: Any, noise: Any) -> Any:
    from orrl.core.targets import play

    return play(bolivia("dc"), policy, noise).total()


def cobre_bars(store: Path, seed: int, iterations: int = 60) -> list[Row]:
    """Bound and seconds per iteration on the transport network, one thread each, in the same run."""
    problem = bolivia("transport")
    found = orrl.solve(problem, "sddp", iterations=iterations, threads=1, scenarios=2)
    own = {
        "solver": "orrl", "iterations": iterations, "bound": found.bound.value,
        "seconds": found.times.total, "cpu_seconds": found.times.cpu,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = export(problem, Path(folder) / "bolivia.json")
        rows = [own, *peer("cobre", path, "--iterations", str(iterations))]
    return [{**r, "s per iteration": r["seconds"] / r["iterations"]} if "seconds" in r else r for r in rows]


def ppo_tuning(store: Path, seed: int) -> list[Row]:
    """Every configuration that was tried, with equal processor time."""
    return tuning(bolivia("dc"), seed)


def ppo_curve(store: Path, seed: int) -> list[Row]:
    """The learning curve of the table's own PPO."""
    if not (store / "ppo.ckpt").exists():
        make_row("dc", "ppo", store, 0, seed)
    return curve(store / "ppo.ckpt")


def ac_panel(store: Path, seed: int) -> list[Row]:
    """Every policy in AC, on ten paths."""
    return [*hydro_panel.panel(Settings(store.parent, part="ac-panel-rows")), *hydro_panel.PUBLISHED]


BARS: dict[str, tuple[Callable[[Path, int], list[Row]], str]] = {
    "sddp-20": (twenty, "SDDP on Bolivia, DC: bounds"),
    "sddp-2": (partial(gap_after, 2), "SDDP on Bolivia, DC, two minutes"),
    "sddp-6": (partial(gap_after, 6), "SDDP on Bolivia, DC, six minutes"),
    "ac-panel": (ac_panel, "Bolivia, AC, the ten-column panel"),
    "cobre": (cobre_bars, "Transport network, beside cobre"),
    "ppo-tuning": (ppo_tuning, "PPO on Bolivia, DC: configurations"),
    "ppo-curve": (ppo_curve, "PPO on Bolivia, DC: cost on its panel of 20 training-law paths"),
}


if __name__ == "__main__":
    main()
