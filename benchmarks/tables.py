"""What the benchmark scripts share: one thread by default, peers, tables, and parts that can be run one by one.

Import it before numpy: it sets the threads of the numerical libraries.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers.make import PeerError, run_peer
from rich.console import Console
from rich.table import Table

import orrl

__all__ = ["Part", "Row", "peer", "run_parts", "show"]

Row = dict[str, Any]
Part = tuple[Callable[[Path, float], list[Row]], float, str]
"""A function of (scratch folder, time limit), its time limit, and the title of its table."""


def peer(name: str, *args: str | Path, timeout: float = 900) -> list[Row]:
    """Rows of a peer, or one row that says why there are none."""
    try:
        return run_peer(name, *args, timeout=timeout)
    except (PeerError, subprocess.TimeoutExpired) as error:
        return [{"peer": name, "error": str(error).splitlines()[0]}]


def show(title: str, rows: list[Row], console: Console) -> None:
    """One table; numbers stand on the right."""
    columns = list(dict.fromkeys(k for row in rows for k in row))
    table = Table(title=title, title_justify="left")
    for c in columns:
        words = any(isinstance(row.get(c), str) for row in rows)
        table.add_column(c, justify="left" if words else "right")
    for row in rows:
        table.add_row(*(_text(row.get(c)) for c in columns))
    console.print(table)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


def run_parts(parts: Mapping[str, Part], text: str | None) -> None:
    """The command line of a benchmark: run the chosen parts, print their tables, keep the rows as JSON."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=list(parts), default=list(parts))
    parser.add_argument("--out", type=Path, help="JSON file to keep the rows in")
    args = parser.parse_args()
    console = Console(width=160)
    versions = orrl.show_versions()
    console.print(str(versions))
    kept: Row = {"versions": getattr(versions, "to_dict", lambda: str(versions))(), "parts": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.part:
            run, limit, title = parts[name]
            rows = run(Path(folder), limit)
            show(title, rows, console)
            kept["parts"][name] = rows
            if args.out:
                args.out.parent.mkdir(parents=True, exist_ok=True)
                args.out.write_text(json.dumps(kept, indent=1, default=float) + "\n")
