"""Store of finished cells in one SQLite file: a sweep that was killed resumes and computes only what is missing."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..core.errors import FormatError
from .cell import Cell, Outcome, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

__all__ = ["Store", "is_store"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY, problem TEXT NOT NULL, problem_hash TEXT NOT NULL, method TEXT NOT NULL,
    options TEXT NOT NULL, seed INTEGER NOT NULL, scenario_seed INTEGER, time_limit REAL, threads INTEGER NOT NULL,
    status TEXT NOT NULL, stop TEXT NOT NULL, message TEXT NOT NULL, result TEXT, machine TEXT NOT NULL,
    finished REAL NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS sweeps (
    id INTEGER PRIMARY KEY, digest TEXT UNIQUE NOT NULL, started REAL NOT NULL, setting TEXT NOT NULL,
    cells TEXT NOT NULL
);
"""
_FORMAT = 1
_OUTCOME = ", ".join(f.name for f in fields(Outcome))


def is_store(path: str | Path) -> bool:
    """Whether a file is an SQLite database."""
    with Path(path).open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


class Store:
    """Cells on disk, one row a cell, each committed as it ends; use it as a context manager.

    Only the process that called `compare` writes. The file is in write-ahead mode: keep it on a local disk, and copy
    it together with its ``-wal`` file, or after the sweep.

    Parameters
    ----------
    path : path
        The file; made where it does not exist, with its folder.

    Raises
    ------
    FormatError
        Where the file is something else, or of a newer orrl.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size and not is_store(self.path):
            raise FormatError(
                path, "not an SQLite database; give the file of an earlier compare(store=...) or a new name"
            )
        self._db = sqlite3.connect(self.path, timeout=60.0, isolation_level=None)  # every statement commits
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")  # safe against kill -9; a power cut may lose the last rows
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if found not in (0, _FORMAT) or (found == 0 and tables):
            self._db.close()
            raise FormatError(path, f"a database of another program or version (format {found}, expected {_FORMAT})")
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version={_FORMAT}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM cells").fetchone()[0])

    def get(self, key: str) -> Outcome | None:
        """The outcome under a key, None where it is missing."""
        found = self._db.execute(f"SELECT {_OUTCOME} FROM cells WHERE key = ?", (key,)).fetchone()
        return None if found is None else Outcome(*found)

    def put(self, cell: Cell, outcome: Outcome) -> None:
        """Write one finished cell."""
        who = (cell.key, cell.problem, cell.problem_hash, cell.method, json.dumps(cell.options), cell.seed)
        where = (cell.scenario_seed, cell.time_limit, cell.threads)
        values = (*who, *where, *astuple(outcome))
        marks = ", ".join("?" * len(values))
        columns = "key, problem, problem_hash, method, options, seed, scenario_seed, time_limit, threads, " + _OUTCOME
        self._db.execute(f"INSERT OR REPLACE INTO cells ({columns}) VALUES ({marks})", values)

    def begin(self, setting: Mapping[str, Any], cells: Sequence[Cell]) -> None:
        """Note what a sweep wants, so that even a killed one can be reported; a resumed sweep becomes the latest."""
        from ..core.hashing import content_hash

        digest = content_hash([cell.key for cell in cells])
        wanted = json.dumps([cell.to_dict() for cell in cells])
        self._db.execute("DELETE FROM sweeps WHERE digest = ?", (digest,))
        self._db.execute(
            "INSERT INTO sweeps (digest, started, setting, cells) VALUES (?, ?, ?, ?)",
            (digest, time.time(), json.dumps(dict(setting)), wanted),
        )

    def latest(self) -> tuple[dict[str, Any], list[Row]]:
        """Setting and rows of the latest sweep; a cell that has not ended yet has status "missing"."""
        found = self._db.execute("SELECT setting, cells FROM sweeps ORDER BY id DESC LIMIT 1").fetchone()
        if found is None:
            raise FormatError(self.path, "holds no sweep yet")
        cells = [Cell(**data) for data in json.loads(found[1])]
        return json.loads(found[0]), list(self._rows(cells))

    def _rows(self, cells: Iterable[Cell]) -> Iterable[Row]:
        for cell in cells:
            yield Row(cell, self.get(cell.key) or Outcome("missing", "", "the sweep did not come so far"))
