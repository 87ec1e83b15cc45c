"""Checkpoints of SDDP: cuts, random state and progress in one file that is whole or not there."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.archive import read_archive, write_archive
from ...core.errors import FormatError
from .sddp_kept import Kept
from .sddp_policy import pack, unpack
from .sddp_stopping import Look, Progress

if TYPE_CHECKING:
    import numpy as np

    from .sddp_planner import Planner

__all__ = ["load_checkpoint", "save_checkpoint"]

KIND = "orrl-sddp-checkpoint-2"


def save_checkpoint(
    path: str | Path, key: str, planner: Planner, rng: np.random.Generator, progress: Progress, kept: Kept | None
) -> None:
    """Write everything that the next iteration depends on, and the best look; `key` names problem and options."""
    pools, arrays = pack(planner.pools)
    arrays |= {f"feared_{i}": law for i, law in planner.feared.items()}
    header = {
        "type": KIND, "key": key, "pools": pools, "rng": rng.bit_generator.state, "iteration": progress.iteration,
        "seconds": progress.seconds, "cpu_seconds": progress.cpu_seconds, "bounds": progress.bounds,
        "looks": [asdict(look) for look in progress.looks], "kept": None,
    }  # fmt: skip
    if kept is not None:
        header["kept"], more = kept.to_archive()
        arrays |= more
    write_archive(path, header, arrays)


def load_checkpoint(
    path: str | Path, key: str, planner: Planner, rng: np.random.Generator
) -> tuple[Progress, Kept | None]:
    """Fill planner and generator from a file; a fresh progress where there is no file yet.

    Raises
    ------
    FormatError
        Where the file belongs to another problem or to other options.
    """
    if not Path(path).exists():
        return Progress(), None
    header, arrays = read_archive(path, KIND)
    if header["key"] != key:
        raise FormatError(path, "is the checkpoint of another problem, seed or set of options: give another path")
    planner.adopt(unpack(header["pools"], arrays))
    prefix = "feared_"
    planner.feared = {int(n[len(prefix) :]): law for n, law in arrays.items() if n.startswith(prefix)}
    state: Any = header["rng"]
    rng.bit_generator.state = state
    progress = Progress(
        int(header["iteration"]), float(header["seconds"]), float(header["cpu_seconds"]),
        [float(b) for b in header["bounds"]], [Look(**look) for look in header["looks"]],
    )  # fmt: skip
    return progress, None if header["kept"] is None else Kept.from_archive(header["kept"], arrays)
