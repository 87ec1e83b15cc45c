"""Arrays and plain JSON in one zip file, written in one piece: saved policies and training checkpoints, no pickle."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_archive", "write_archive"]

HEADER = "policy.json"


def write_archive(path: str | Path, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a file that is either whole or not there: a process killed in between leaves the older one.

    Parameters
    ----------
    path : path
        File to write.
    header : mapping
        Plain JSON types; ``header["type"]`` names the class as ``"module:Class"``.
    arrays : mapping
        Arrays by name, any shape and plain dtype.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part{os.getpid()}")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(HEADER, json.dumps(dict(header)))
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(array), allow_pickle=False)
            archive.writestr(f"{name}.npy", buffer.getvalue())
    os.replace(part, target)


def read_archive(path: str | Path, kind: str | None = None) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Header and arrays of a file that `write_archive` wrote.

    Raises
    ------
    FormatError
        Where the file is no such archive, or its type is not `kind`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read(HEADER))
            names = [n for n in archive.namelist() if n.endswith(".npy")]
            arrays = {n[:-4]: np.load(io.BytesIO(archive.read(n)), allow_pickle=False) for n in names}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise FormatError(path, f"cannot be read ({error}): give a file that orrl saved") from error
    if kind is not None and header.get("type") != kind:
        raise FormatError(path, f"holds {header.get('type')!r}, not {kind!r}")
    return header, arrays
