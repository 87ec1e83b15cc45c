"""Cassandra's ``.pomdp`` format (pomdp-solve, APPL, POMDPs.jl, R pomdp): read and write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...core.decision_models import TabularMDP
from ...core.errors import FormatError
from ...core.textfile import Place, Source, open_source, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["PomdpFile", "read_pomdp", "write_pomdp"]

FloatArray = npt.NDArray[np.float64]
Rows = list[dict[int, float]]

TOLERANCE = 1e-4
"""Files print a few digits: rows may miss 1 by this much, and are then scaled to sum to 1."""

LISTS = ("states", "actions", "observations")
HEADS = {"discount", "values", "start", "T", "O", "R", *LISTS}


@dataclass(frozen=True, eq=False)
class PomdpFile:
    """What a file says, with S states, A actions and O observations.

    Parameters
    ----------
    states, actions, observations : tuple of str
        Names; a file that gives a count has the names "0", "1", ...
    discount : float
        Factor a step; 1 in some files.
    values : {"reward", "cost"}
        Whether `reward` is to be maximised or minimised.
    start : (S,)
        Initial belief; uniform where the file has none.
    transition : tuple of A sparse (S, S) matrices
        ``T[a][s, s2]``.
    observation : tuple of A sparse (S, O) matrices
        ``O[a][s2, o]``; empty where the state is seen (an MDP in POMDPX).
    reward : (S, A)
        Expectation of ``R(a, s, s2, o)`` over next state and observation, in the file's unit and sign.
    name : str
        From the file's name.
    """

    states: tuple[str, ...]
    actions: tuple[str, ...]
    observations: tuple[str, ...]
    discount: float
    values: Literal["reward", "cost"]
    start: FloatArray
    transition: tuple[Any, ...]
    observation: tuple[Any, ...]
    reward: FloatArray
    name: str = "pomdp"

    def tabular(self) -> TabularMDP:
        """The same as tables, where rewards are maximised: costs change their sign."""
        return TabularMDP(
            transition=self.transition,
            reward=self.reward if self.values == "reward" else -self.reward,
            discount=self.discount,
            initial=self.start,
            mask=np.ones(self.reward.shape, dtype=np.bool_),
            observation=self.observation or None,
            state_names=self.states,
            action_names=self.actions,
        )


def read_pomdp(source: Place | Source) -> PomdpFile:
    """Read a file, or the text itself.

    Raises
    ------
    FormatError
        Naming file, line, value and remedy; a row that does not sum to one is named by action and state.
    """
    return _Reader(open_source(source)).read()


def write_pomdp(file: PomdpFile, path: Place) -> Path:
    """Write a file that `read_pomdp` reads back to the same numbers; every entry on its own line."""
    kinds = {"states": file.states, "actions": file.actions, "observations": file.observations}
    lines = [f"discount: {file.discount!r}", f"values: {file.values}"]
    for kind, names in kinds.items():
        counted = names == tuple(str(i) for i in range(len(names)))
        lines.append(f"{kind}: {len(names) if counted else ' '.join(_written(path, n) for n in names)}")
    lines.append("start: " + " ".join(repr(float(p)) for p in file.start))
    for head, matrices, columns in (("T", file.transition, file.states), ("O", file.observation, file.observations)):
        for a, matrix in enumerate(matrices):
            entry = sparse.coo_matrix(matrix)
            for s, s2, p in zip(entry.row.tolist(), entry.col.tolist(), entry.data.tolist(), strict=True):
                lines.append(f"{head}: {file.actions[a]} : {file.states[s]} : {columns[s2]} {p!r}")
    for s, a in np.argwhere(file.reward != 0.0).tolist():
        lines.append(f"R: {file.actions[a]} : {file.states[s]} : * : * {float(file.reward[s, a])!r}")
    return write_text(path, "\n".join(lines) + "\n")


def _written(path: Place, name: str) -> str:
    if not re.fullmatch(r"[^\s:#*]+", name) or _number(name) is not None:
        raise FormatError(path, f"name {name!r} cannot be written: give names without blanks, ':', '#', '*', no number")
    return name


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


class _Reader:
    """Words with their lines, read by the grammar: a keyword counts only where a statement may begin."""

    def __init__(self, source: Source) -> None:
        self.label, self.name = source.label, source.name
        self.words: list[str] = []
        self.lines: list[int] = []
        for line, text in enumerate(source.text.splitlines(), start=1):
            for word in re.findall(r":|[^\s:]+", text.split("#", 1)[0]):
                self.words.append(word)
                self.lines.append(line)
        self.at = 0
        self.names: dict[str, tuple[str, ...]] = {}
        self.index: dict[str, dict[str, int]] = {}

    # ---- words --------------------------------------------------------------------------------------------------
    def error(self, text: str, at: int | None = None) -> FormatError:
        at = min(self.at if at is None else at, len(self.lines) - 1)
        return FormatError(self.label, text, line=self.lines[at] if self.lines else None)

    def head(self) -> bool:
        """Whether a statement begins here."""
        word = self.words[self.at]
        after = self.words[self.at + 1] if self.at + 1 < len(self.words) else ""
        return word in HEADS and (after == ":" or (word == "start" and after in ("include", "exclude")))

    def rest(self) -> list[str]:
        """The words up to the next statement."""
        begin = self.at
        while self.at < len(self.words) and not self.head():
            self.at += 1
        return self.words[begin : self.at]

    def colon(self) -> None:
        if self.at >= len(self.words) or self.words[self.at] != ":":
            found = self.words[self.at] if self.at < len(self.words) else "the end of the file"
            raise self.error(f"found {found!r}: a ':' was expected here")
        self.at += 1

    def pick(self, kind: str) -> list[int]:
        """The items that a name, a number or ``*`` stands for."""
        if self.at >= len(self.words):
            raise self.error(f"the file ends where one of the {kind} was expected")
        word = self.words[self.at]
        self.at += 1
        size = len(self.names[kind])
        if word == "*":
            return list(range(size))
        if word in self.index[kind]:
            return [self.index[kind][word]]
        if word.isdigit() and int(word) < size:
            return [int(word)]
        known = ", ".join(self.names[kind][:8])
        raise self.error(f"{word!r} is none of the {size} {kind} ({known}{', ...' if size > 8 else ''})", self.at - 1)

    def numbers(self, many: int, what: str) -> FloatArray:
        begin = self.at
        found: list[float] = []
        while self.at < len(self.words) and len(found) < many and (x := _number(self.words[self.at])) is not None:
            found.append(x)
            self.at += 1
        if len(found) < many:
            raise self.error(f"{what} has {len(found)} numbers: {many} are needed", begin)
        if self.at < len(self.words) and not self.head():
            raise self.error(f"{self.words[self.at]!r} follows {what}, which has its {many} numbers already")
        values = np.array(found)
        if not np.isfinite(values).all():
            raise self.error(f"{what} holds a number that is not finite", begin)
        return values

    # ---- statements ---------------------------------------------------------------------------------------------
    def read(self) -> PomdpFile:
        discount, values, start = None, "reward", None
        laws: dict[str, list[Rows]] = {}
        rewards: list[tuple[list[int], list[int], list[int] | None, Any, FloatArray]] = []
        if self.words and not self.head():
            raise self.error(f"the file begins with {self.words[0]!r}: 'discount:', 'states:', ... was expected")
        while self.at < len(self.words):
            begin, word = self.at, self.words[self.at]
            self.at += 1
            if word in ("T", "O", "R", "start") and (missing := [k for k in LISTS if k not in self.names]):  # noqa: SIM102
                if word != "start" or "states" in missing:
                    raise self.error(f"{word!r} comes before '{missing[0]}:': the lists of names come first", begin)
            if word == "start":
                start = self._start(begin)
                continue
            self.colon()
            if word == "discount":
                discount = float(self.numbers(1, "discount")[0])
                if not 0.0 < discount <= 1.0:
                    raise self.error(f"discount is {discount:g}: give a factor in (0, 1]", begin)
            elif word == "values":
                said = self.rest()
                if said not in (["reward"], ["cost"]):
                    raise self.error(f"values is {' '.join(said)!r}: give 'reward' or 'cost'", begin)
                values = said[0]
            elif word in LISTS:
                self._list(word, begin)
            elif word == "R":
                rewards.append(self._reward())
            else:
                columns = "states" if word == "T" else "observations"
                size = (len(self.names["states"]), len(self.names[columns]))
                if word not in laws:
                    laws[word] = [[{} for _ in range(size[0])] for _ in self.names["actions"]]
                self._law(word, columns, laws[word], size)
            if self.at < len(self.words) and not self.head():
                raise self.error(f"{self.words[self.at]!r} was not expected: a new statement should begin here")
        for kind in LISTS:
            if kind not in self.names:
                raise FormatError(self.label, f"has no '{kind}:': say how many or name them")
        if discount is None:
            raise FormatError(self.label, "has no 'discount:': give a factor in (0, 1]")
        n = len(self.names["states"])
        chains = self._checked("T", laws, "states")
        seen = self._checked("O", laws, "observations")
        return PomdpFile(
            states=self.names["states"],
            actions=self.names["actions"],
            observations=self.names["observations"],
            discount=discount,
            values=values,  # type: ignore[arg-type]
            start=np.full(n, 1.0 / n) if start is None else start,
            transition=chains,
            observation=seen,
            reward=_expected(rewards, chains, seen),
            name=self.name,
        )

    def _list(self, kind: str, begin: int) -> None:
        words = self.rest()
        if len(words) == 1 and words[0].isdigit():
            words = [str(i) for i in range(int(words[0]))]
        if not words:
            raise self.error(f"'{kind}:' is empty: give a positive number or the names", begin)
        if len(set(words)) < len(words):
            twice = next(w for w in words if words.count(w) > 1)
            raise self.error(f"{twice!r} is named twice in '{kind}:'", begin)
        self.names[kind] = tuple(words)
        self.index[kind] = {w: i for i, w in enumerate(words)}

    def _start(self, begin: int) -> FloatArray:
        n = len(self.names["states"])
        how = self.words[self.at]
        if how in ("include", "exclude"):
            self.at += 1
        self.colon()
        law = np.zeros(n)
        end = self.at
        words = self.rest()
        self.at = end
        if how in ("include", "exclude"):
            while self.at < end + len(words):
                law[self.pick("states")] = 1.0
            law = 1.0 - law if how == "exclude" else law
            if not law.any():
                raise self.error(f"'start {how}:' leaves no state", begin)
            return law / law.sum()
        if words == ["uniform"]:
            self.at += 1
            return np.full(n, 1.0 / n)
        if len(words) == 1 and (n > 1 or _number(words[0]) is None):
            law[self.pick("states")] = 1.0
            return law / law.sum()
        law = self.numbers(n, "start")
        if (law < 0).any() or abs(law.sum() - 1.0) > TOLERANCE:
            raise self.error(
                f"start sums to {law.sum():.6g}: give probabilities of the {n} states that sum to 1", begin
            )
        return _scaled(law)

    def _law(self, head: str, columns: str, table: list[Rows], size: tuple[int, int]) -> None:
        begin = self.at - 2
        n, m = size
        actions = self.pick("actions")
        rows = list(range(n))
        single = self.at < len(self.words) and self.words[self.at] == ":"
        if single:
            self.at += 1
            rows = self.pick("states")
            if self.at < len(self.words) and self.words[self.at] == ":":
                self.at += 1
                there = self.pick(columns)
                value = float(self.numbers(1, f"the entry of {head}")[0])
                for a in actions:
                    for s in rows:
                        if value == 0.0 and len(there) == m:  # files begin with "T: * : * : * 0.0"
                            table[a][s].clear()
                        else:
                            table[a][s].update(dict.fromkeys(there, value))
                return
        word = self.words[self.at] if self.at < len(self.words) else ""
        if word == "uniform":
            block, self.at = np.full((n, m), 1.0 / m), self.at + 1
        elif word == "identity" and not single and head == "T":
            block, self.at = np.eye(n), self.at + 1
        elif word == "reset" and head == "T":
            raise self.error("'reset' is not supported: write the start law as a row", begin)
        elif single:
            block = np.tile(self.numbers(m, f"the row of {head}"), (n, 1))
        else:
            block = self.numbers(n * m, f"the matrix of {head}").reshape(n, m)
        for s in rows:
            columns_of = np.flatnonzero(block[s])
            row = dict(zip(columns_of.tolist(), block[s, columns_of].tolist(), strict=True))
            for a in actions:
                table[a][s] = dict(row)

    def _reward(self) -> tuple[list[int], list[int], list[int] | None, Any, FloatArray]:
        """Actions, states, next states and observations (None: all, a matrix or row follows), and the numbers."""
        actions = self.pick("actions")
        self.colon()
        states = self.pick("states")
        n, o = len(self.names["states"]), len(self.names["observations"])
        if not (self.at < len(self.words) and self.words[self.at] == ":"):
            return actions, states, None, None, self.numbers(n * o, "the matrix of R").reshape(n, o)
        self.at += 1
        after = self.words[self.at] if self.at < len(self.words) else ""
        there = self.pick("states")
        ends: list[int] | None = None if after == "*" else there
        if not (self.at < len(self.words) and self.words[self.at] == ":"):
            return actions, states, ends, None, np.tile(self.numbers(o, "the row of R"), (n, 1))
        self.at += 1
        after = self.words[self.at] if self.at < len(self.words) else ""
        seen = self.pick("observations")
        return actions, states, ends, None if after == "*" else seen, self.numbers(1, "the entry of R")

    def _checked(self, head: str, laws: dict[str, list[Rows]], columns: str) -> tuple[Any, ...]:
        if head not in laws:
            raise FormatError(self.label, f"has no '{head}:' statement")
        result = []
        for a, table in enumerate(laws[head]):
            rows = _csr(table, len(self.names[columns]))
            sums = np.asarray(rows.sum(axis=1)).ravel()
            wrong = np.flatnonzero(~(np.abs(sums - 1.0) <= TOLERANCE))
            if rows.nnz and rows.data.min() < 0.0:
                wrong = np.flatnonzero(np.asarray((rows < 0).sum(axis=1)).ravel())
            if len(wrong):
                s = int(wrong[0])
                raise FormatError(
                    self.label,
                    f"row {head}: {self.names['actions'][a]} : {self.names['states'][s]} sums to {sums[s]:.6g} or has "
                    f"a negative entry: give probabilities of the {columns} that sum to 1",
                )
            scale = np.where(np.abs(sums - 1.0) < 1e-12, 1.0, 1.0 / sums)
            result.append(sparse.csr_matrix(sparse.diags(scale) @ rows))
        return tuple(result)


def _csr(rows: Rows, columns: int) -> Any:
    data = np.array([p for row in rows for p in row.values()], dtype=np.float64)
    index = np.array([s2 for row in rows for s2 in row], dtype=np.int64)
    start = np.cumsum([0, *(len(row) for row in rows)])
    matrix = sparse.csr_matrix((data, index, start), shape=(len(rows), columns))
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _scaled(law: FloatArray) -> FloatArray:
    total = float(law.sum())
    return law if abs(total - 1.0) < 1e-12 else law / total


def _expected(rewards: Sequence[Any], chains: Sequence[Any], seen: Sequence[Any]) -> FloatArray:
    """``sum_s2 T(s2|s,a) sum_o O(o|s2,a) R(a,s,s2,o)``; of statements about the same entry the last one counts."""
    n = chains[0].shape[0]
    result = np.zeros((n, len(chains)))
    said: dict[tuple[int, int], list[tuple[Any, Any, FloatArray]]] = {}
    for actions, states, ends, obs, numbers in rewards:
        for key in ((a, s) for a in actions for s in states):
            if ends is None and obs is None:
                said[key] = []  # it says everything, so older ones no longer count
            said.setdefault(key, []).append((ends, obs, numbers))
    for (a, s), parts in said.items():
        if all(ends is None and obs is None and numbers.size == 1 for ends, obs, numbers in parts):
            result[s, a] = parts[-1][2][0]
            continue
        there, chance = _row(chains[a], s)
        law = seen[a][there].toarray()
        worth = np.zeros(law.shape)
        for ends, obs, numbers in parts:
            rows = np.arange(len(there)) if ends is None else np.flatnonzero(np.isin(there, ends))
            if numbers.ndim == 2:
                worth[rows] = numbers[there[rows]]
            else:
                worth[np.ix_(rows, np.arange(law.shape[1]) if obs is None else obs)] = numbers[0]
        result[s, a] = float(chance @ (law * worth).sum(axis=1))
    return result


def _row(matrix: Any, s: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
    begin, end = matrix.indptr[s], matrix.indptr[s + 1]
    return matrix.indices[begin:end].astype(np.int64), matrix.data[begin:end]
