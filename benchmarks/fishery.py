"""Fisheries under measurement error: exact plans, harvest rules and learners on the same noise.

``python benchmarks/fishery.py`` runs every part, ``--part paper-a survey`` only those. Each row and each trained or
solved policy is kept in ``--store`` as it comes, so a killed run goes on where it was and a second run only prints.
``--quick`` divides episodes and budgets by 20 to see that everything runs: its rows are kept apart and are not for
figures. Published figures stand in tables of their own, with their source: none of them was measured here.

Parts: ``paper-a`` (nine noises, two conventions) and ``robustness``; ``paper-b`` (three species); ``sarsop`` (time to
gap, with a live peer where one is built: ``python benchmarks/peers/make.py scikit_decide``); ``survey`` (information
as an action, high noise); ``walleye``; ``learners`` and ``prices`` (SARSA, the price of risk); ``speed``.
Files of the public data (classic POMDPs, APPL's runs) are looked for in the folder that ``ORRL_DATA`` names.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tables import Row, show  # first: it sets the threads of what comes below

# isort: split
from fishery_learners import learners, prices
from fishery_paper_a import PUBLISHED as PAPER_A
from fishery_paper_a import paper_a, robustness
from fishery_paper_b import PUBLISHED as PAPER_B
from fishery_paper_b import paper_b
from fishery_sarsop import published_runs, sarsop, survey
from fishery_speed import speed
from fishery_store import Published, Settings, precise
from fishery_walleye import PUBLISHED as WALLEYE
from fishery_walleye import walleye
from rich.console import Console

import orrl

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS: dict[str, tuple[Callable[[Settings], list[Row]], str, Callable[[], list[Published]]]] = {
    "paper-a": (paper_a, "Paper A: nine noises (sigma_g, sigma_m)", lambda: PAPER_A),
    "robustness": (robustness, "Planned for sigma 0.15 / 0.1, played elsewhere (authors' metric)", list),
    "paper-b": (paper_b, "Paper B: three species, 200 years, nothing discounted", lambda: PAPER_B),
    "sarsop": (sarsop, "SARSOP, one thread: CPU / wall seconds from the call to each gap", published_runs),
    "survey": (survey, "Where information pays: SARSOP beside QMDP, paired", list),
    "walleye": (walleye, "Walleye: 1,000 years, three utilities", lambda: WALLEYE),
    "learners": (learners, "SARSA on paper A, % of the exact value", list),
    "prices": (prices, "Price of the time below 0.2 K: linear program and learner", list),
    "speed": (speed, "Steps per CPU second, one thread", list),
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--replicates", type=int, default=20_000, help="episodes of a row (default: 20,000)")
    parser.add_argument("--cpu-seconds", type=float, help="budget of each learner, in place of the part's own")
    parser.add_argument("--seed", type=int, default=0, help="of training and solving (default: 0)")
    parser.add_argument("--quick", action="store_true", help="divide episodes and budgets by 20; not for figures")
    parser.add_argument("--store", type=Path, default=Path("benchmarks/results/fishery"))
    args = parser.parse_args()
    if args.replicates < 2000 and not args.quick:
        parser.error("--replicates is below 2,000: give more, or --quick for a trial run")
    console = Console(width=240)
    console.print(str(orrl.show_versions()))
    for name in args.part:
        run, title, published = PARTS[name]
        settings = Settings(
            args.store, args.seed, args.replicates, args.cpu_seconds, quick=20 if args.quick else 1, part=name
        )
        rows = run(settings)
        show(title + (" (quick: not for figures)" if args.quick else ""), precise(rows), console)
        if theirs := published():
            show(f"Published: {title}", precise(theirs), console)


if __name__ == "__main__":
    main()
