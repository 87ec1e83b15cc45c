"""GNN-PPO on job shops: policies trained with several seeds, beside rules, rollout, search and CP-SAT.

``python benchmarks/gnn_ppo.py`` runs every part, ``--part bws jsp`` only those. Each training, each proof and each
method's episodes are kept in ``--store`` as they come, so a killed run goes on where it was and a second run only
prints. ``--quick`` divides sizes and budgets by 20 to see that everything runs: its rows are kept apart and are not for
figures. ``--ship`` trains once a kind for 30 minutes, and the parts judge that policy. Times are processor seconds;
published figures stand in tables of their own, with their source: none of them was measured here.

Parts: ``train``; ``bws`` (blocking shops with swap, 10x5) and ``transfer`` (10x10 and 15x10); ``isbjssp`` (random
interruptions) and ``crossover`` (beside rolling CP-SAT); ``jsp`` (plain shops); ``heat`` (how temperatures were
chosen); ``throughput``; ``ablations``; ``proofs`` (CP-SAT begun from the policy's schedule).

A part trains what it lacks.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from tables import Row, show  # first: it sets the threads of what comes below

# isort: split
from gnn_ablations import ablations
from gnn_bws import bws, transfer
from gnn_heat import heat
from gnn_jsp import PUBLISHED as JSP
from gnn_jsp import jsp
from gnn_proofs import proofs
from gnn_shutdowns import crossover, isbjssp
from gnn_store import Published, Settings
from gnn_throughput import throughput
from gnn_train import KINDS, train
from rich.console import Console

import orrl

if TYPE_CHECKING:
    from collections.abc import Callable

SHIPPED = 30.0  # CPU minutes of a training
PARTS: dict[str, tuple[Callable[[Settings], list[Row]], str, list[Published]]] = {
    "train": (train, "Policies", []),
    "bws": (bws, "Blocking with swap, 10x5: excess over the optimum", []),
    "transfer": (transfer, "Trained on 6..10 jobs, played on larger shops", []),
    "isbjssp": (isbjssp, "Interruptions, 10x5: excess over the clairvoyant optimum of the same scenario", []),
    "crossover": (crossover, "Policy beside rolling CP-SAT", []),
    "jsp": (jsp, "Plain job shop: excess over the best known makespan", JSP),
    "heat": (heat, "Temperature of drawn schedules, validation shops: excess over the optimum", []),
    "throughput": (throughput, "Training on 10x5: episodes per second, and where the time goes", []),
    "ablations": (ablations, "One option at a time, held-out 10x5, greedy", []),
    "proofs": (proofs, "CP-SAT to proof, cold and begun from the policy's schedule", []),
}


def tables(rows: list[Row]) -> dict[str, list[Row]]:
    """A table for each set of shops that methods are compared on, with what its rows have in common as its heading."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        shared = [c for c in ("set", "reference", "device") if "reference" in row]
        heading = "".join(f"; {row[c]}" for c in shared)
        found.setdefault(heading, []).append({k: v for k, v in row.items() if k not in shared})
    return found


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--kind", nargs="+", choices=list(KINDS), default=list(KINDS), help="policies of part train")
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU minutes of each training (default: 10)")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of a kind (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--workers", type=int, default=1, help="processes of a training (default: 1)")
    parser.add_argument("--shops", type=int, default=100, help="held-out shops of a size (default: 100)")
    parser.add_argument("--ship", action="store_true", help=f"one training of {SHIPPED:g} minutes a kind")
    parser.add_argument("--quick", action="store_true", help="divide sizes and budgets by 20; not for figures")
    parser.add_argument("--store", type=Path, default=Path("benchmarks/results/gnn-ppo"))
    args = parser.parse_args(arguments)
    if args.shops < 100 and not args.quick:
        parser.error("--shops is below 100: give more, or --quick for a trial run")
    if args.ship:
        args.minutes, args.seeds = SHIPPED, 1
    console = Console(width=240)
    console.print(str(orrl.show_versions()))
    quick = 20 if args.quick else 1
    for name in args.part:
        run, title, published = PARTS[name]
        settings = Settings(
            args.store,
            args.seed,
            args.minutes,
            args.seeds,
            args.workers,
            args.shops,
            quick=quick,
            part=name,
        )
        rows = train(settings, tuple(args.kind)) if name == "train" else run(settings)
        for heading, part in tables(rows).items():
            show(title + heading + (" (quick: not for figures)" if args.quick else ""), part, console)
        if published:
            show(f"Published, not measured here: {title}", published, console)
        if not args.quick:
            file = args.store / "tables" / f"{name}{' ship' if args.ship else ''}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(rows, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
