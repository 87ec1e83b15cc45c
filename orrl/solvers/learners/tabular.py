"""`TabularPolicy`: tables of action values as a policy, for one agent or for several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from ...core.archive import read_archive, write_archive
from ...core.errors import NotSupportedError
from ...core.policy import Policy

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TabularPolicy"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
KIND = "orrl.solvers.learners.tabular:TabularPolicy"


class TabularPolicy(Policy):
    """Each agent takes the accepted action with the largest entry in its table, the first of equals.

    Parameters
    ----------
    tables : mapping of (N, S, A) float
        "best" and "final".
    seen : set of str
        Content hash of the problem that it was trained on.
    options : mapping
        Options of the problem's indexed kernel, whose rows the tables have.
    name : str
        For tables.
    kept : {"best", "final"}
        Which table acts; may be changed afterwards.

    Attributes
    ----------
    log : dict
        Objective of the greedy policy by the "best" and by the "final" tables, "episodes" and joint "steps" (looks at
        the greedy policy included), "cpu_seconds", and the "curve" (episodes, best objective so far).
    train_seconds : float
        Wall seconds, compilation aside.
    """

    scope = "instance"
    needs_observation = False
    train_seconds = 0.0

    def __init__(
        self,
        tables: Mapping[str, FloatArray],
        seen: set[str] | frozenset[str],
        options: Mapping[str, Any],
        *,
        name: str = "sarsa",
        kept: Literal["best", "final"] = "best",
    ) -> None:
        self.tables, self.seen, self.options = dict(tables), frozenset(seen), dict(options)
        self.name, self.kept = name, kept
        self.log: dict[str, Any] = {}
        self._rows: Any = None

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Refuse any other problem, and learn how the problem numbers its states.

        Raises
        ------
        NotSupportedError
            Where the content hash is not the one it was trained on.
        """
        problems = list(problem) if isinstance(problem, Sequence) else [problem]
        for one in problems:
            if one.content_hash not in self.seen:
                raise NotSupportedError(
                    f"policy {self.name!r} is a table for the content hash {', '.join(sorted(self.seen))}; "
                    f"{one.name} has {one.content_hash}: train one for it"
                )
        self._rows = problems[0].indexed_kernel(**self.options).rows

    def act(self, obs: Any, info: Mapping[str, Any]) -> IntArray:
        """Greedy actions (B,) or (B, N); 0 in rows that have ended."""
        mask, view, table = info["action_mask"], info["view"], self.tables[self.kept]
        entry = np.zeros((len(mask), *table.shape[::2]))
        for b in np.flatnonzero(~info["done"]).tolist():
            entry[b] = table[np.arange(len(table)), self._rows(view.snapshot(b))]
        return np.asarray(np.where(mask, entry.reshape(mask.shape), -np.inf).argmax(axis=-1), dtype=np.int64)

    def save(self, path: str | Path) -> None:
        """Write both tables and the log; no pickle."""
        header = {"type": KIND, "name": self.name, "kept": self.kept, "seen": sorted(self.seen), "log": self.log}
        write_archive(path, header | {"options": self.options, "train_seconds": self.train_seconds}, self.tables)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Inverse of `save`."""
        header, tables = read_archive(path, KIND)
        policy = cls(tables, frozenset(header["seen"]), header["options"], name=header["name"], kept=header["kept"])
        policy.log, policy.train_seconds = header["log"], header["train_seconds"]
        return policy
