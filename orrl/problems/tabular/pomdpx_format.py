"""POMDPX, the factored XML format of APPL (version 1.0): read; tables and decision diagrams, MDP, POMDP and MOMDP.

Several state variables become one state, in the order of the file, the last one changing fastest; so do actions and
observations. A fully observed variable becomes a part of the observation.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as Xml
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...core.errors import FormatError
from ...core.textfile import Place, Source, open_source
from .pomdp_format import TOLERANCE, PomdpFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["read_pomdpx"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def read_pomdpx(source: Place | Source) -> PomdpFile:
    """Read a file, or the text itself.

    Raises
    ------
    FormatError
        Naming file, element, value and remedy.
    """
    return _Reader(open_source(source)).read()


@dataclass(frozen=True, slots=True)
class _Table:
    """Numbers over the values of some variables, one axis each; `var` is the last one of a probability table."""

    var: str
    axes: tuple[str, ...]
    numbers: FloatArray


@dataclass(slots=True)
class _Cells:
    """Assignments of some variables with their weights, as columns."""

    values: dict[str, IntArray]
    weight: FloatArray

    def expand(self, table: _Table, size: int) -> _Cells:
        """One cell for each value of the table's variable that is possible."""
        rows = table.numbers[tuple(self.values[axis] for axis in table.axes[:-1])]
        rows = np.broadcast_to(rows, (len(self.weight), size))
        at, value = np.nonzero(rows)
        values = {name: column[at] for name, column in self.values.items()}
        return _Cells({**values, table.var: value}, self.weight[at] * rows[at, value])


class _Reader:
    def __init__(self, source: Source) -> None:
        self.label, self.name = source.label, source.name
        try:
            self.root = Xml.fromstring(source.text)
        except Xml.ParseError as error:
            raise self.error(f"is no XML ({error})") from error
        if self.root.tag != "pomdpx":
            raise self.error(f"its root is <{self.root.tag}>: <pomdpx> was expected")
        self.values: dict[str, tuple[str, ...]] = {}
        self.previous: dict[str, str] = {}  # current -> previous
        self.known: list[str] = []

    def error(self, text: str) -> FormatError:
        return FormatError(self.label, text)

    def part(self, name: str) -> Any:
        found = self.root.find(name)
        if found is None:
            raise self.error(f"has no <{name}>")
        return found

    def read(self) -> PomdpFile:
        try:
            discount = float(self.part("Discount").text or "")
        except ValueError:
            raise self.error(f"<Discount> is {self.part('Discount').text!r}: give a factor in (0, 1]") from None
        if not 0.0 < discount <= 1.0:
            raise self.error(f"<Discount> is {discount:g}: give a factor in (0, 1]")
        before, now, actions, seen = self._variables()
        first = {t.var: t for t in self._tables("InitialStateBelief", before, [])}
        moves = {t.var: t for t in self._tables("StateTransitionFunction", now, [*actions, *before])}
        looks = {t.var: t for t in self._tables("ObsFunction", seen, [*actions, *now])} if seen else {}
        size, count = self._size(before), self._size(actions)
        start = self._joint(_Cells({}, np.ones(1)), before, first, "InitialStateBelief")
        initial = np.bincount(self._number(start, before), weights=start.weight, minlength=size)
        self._sums(initial[None], ["the first state"], "InitialStateBelief")
        rewards = self._rewards([*actions, *before, *now, *seen])
        states = self._named(before)
        chains, laws = [], []
        gain = np.zeros((size, count))
        for a in range(count):
            chosen = dict(zip(actions, np.unravel_index(a, self._shape(actions)), strict=True))
            cells = self._joint(self._grid(before, chosen), now, moves, "StateTransitionFunction")
            at, to = self._number(cells, before), self._number(cells, now)
            chain = sparse.csr_matrix((cells.weight, (at, to)), shape=(size, size))
            self._sums(np.asarray(chain.sum(axis=1)).T, states, f"StateTransitionFunction, action {a}")
            chains.append(self._scaled(chain))
            if seen or self.known:
                told = self._joint(self._grid(now, chosen), seen, looks, "ObsFunction")
                shown = [*self.known, *seen]
                rows = self._number(told, now)
                law = sparse.csr_matrix((told.weight, (rows, self._number(told, shown))), (size, self._size(shown)))
                self._sums(np.asarray(law.sum(axis=1)).T, states, f"ObsFunction, action {a}")
                laws.append(self._scaled(law))
            for table in rewards:
                whole = self._joint(cells, seen, looks, "ObsFunction") if set(table.axes) & set(seen) else cells
                worth = table.numbers[tuple(whole.values[axis] for axis in table.axes)] * whole.weight
                gain[:, a] += np.bincount(
                    self._number(whole, before), weights=np.broadcast_to(worth, whole.weight.shape), minlength=size
                )
        shown = [*self.known, *seen]
        hidden = bool(seen) or len(self.known) < len(now)
        if hidden and not shown:
            raise self.error('has hidden states and no <ObsVar>: give one, or fullyObs="true" to every <StateVar>')
        return PomdpFile(
            states=states, actions=self._named(actions), observations=self._named(shown), discount=discount,
            values="reward", start=initial / initial.sum(), transition=tuple(chains),
            observation=tuple(laws) if hidden else (), reward=gain, name=self.name,
        )  # fmt: skip

    # ---- variables ----------------------------------------------------------------------------------------------
    def _variables(self) -> tuple[list[str], list[str], list[str], list[str]]:
        block = self.part("Variable")
        before, now = [], []
        for var in block.findall("StateVar"):
            old, new = self._attribute(var, "vnamePrev"), self._attribute(var, "vnameCurr")
            self.values[old] = self.values[new] = self._values(var, "s")
            self.previous[new] = old
            before.append(old)
            now.append(new)
            if var.get("fullyObs", "false").strip().lower() == "true":
                self.known.append(new)
        actions, seen = ([self._attribute(v, "vname") for v in block.findall(k)] for k in ("ActionVar", "ObsVar"))
        for kind, letter in (("ActionVar", "a"), ("ObsVar", "o")):
            for var in block.findall(kind):
                self.values[self._attribute(var, "vname")] = self._values(var, letter)
        if not before or not actions:
            raise self.error("<Variable> has no <StateVar> or no <ActionVar>: give at least one of each")
        return before, now, actions, seen

    def _attribute(self, element: Any, name: str) -> str:
        found = element.get(name)
        if not found:
            raise self.error(f"<{element.tag}> has no {name}=")
        return str(found).strip()

    def _values(self, var: Any, letter: str) -> tuple[str, ...]:
        listed, counted = (var.findtext("ValueEnum") or "").split(), (var.findtext("NumValues") or "").strip()
        if counted.isdigit() and int(counted) > 0:
            return tuple(f"{letter}{i}" for i in range(int(counted)))
        if not listed or len(set(listed)) < len(listed):
            raise self.error(f"<{var.tag}> {dict(var.attrib)} needs <NumValues> or a <ValueEnum> of different names")
        return tuple(listed)

    def _shape(self, names: Sequence[str]) -> tuple[int, ...]:
        return tuple(len(self.values[n]) for n in names)

    def _size(self, names: Sequence[str]) -> int:
        return int(np.prod(self._shape(names), dtype=np.int64))

    def _named(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(",".join(one) for one in itertools.product(*(self.values[n] for n in names)))

    def _number(self, cells: _Cells, names: Sequence[str]) -> IntArray:
        number = np.zeros(len(cells.weight), np.int64)
        for name in names:
            number = number * len(self.values[name]) + cells.values[name]
        return number

    def _grid(self, names: Sequence[str], chosen: dict[str, Any]) -> _Cells:
        """All assignments of some variables, with the actions that are chosen."""
        size = self._size(names)
        values = dict(zip(names, np.unravel_index(np.arange(size), self._shape(names)), strict=True))
        return _Cells({**values, **{k: np.full(size, v) for k, v in chosen.items()}}, np.ones(size))

    def _joint(self, cells: _Cells, names: Sequence[str], tables: dict[str, _Table], what: str) -> _Cells:
        """Multiply the tables of the variables, each after the variables that it depends on."""
        left = list(names)
        while left:
            ready = [n for n in left if set(tables[n].axes[:-1]) <= set(cells.values)]
            if not ready:
                raise self.error(f"<{what}>: {', '.join(left)} depend on each other, or on what is not known there")
            cells = cells.expand(tables[ready[0]], len(self.values[ready[0]]))
            left.remove(ready[0])
        return cells

    def _sums(self, sums: Any, names: Sequence[str], what: str) -> None:
        total = np.atleast_2d(sums).sum(axis=0) if what == "InitialStateBelief" else np.ravel(sums)
        total = np.array([total.sum()]) if what == "InitialStateBelief" else total
        wrong = np.flatnonzero(~(np.abs(total - 1.0) <= TOLERANCE))
        if len(wrong):
            i = int(wrong[0])
            raise self.error(
                f"<{what}>: the law of {names[i]} sums to {total[i]:.6g}: give probabilities that sum to 1"
            )

    def _scaled(self, matrix: Any) -> Any:
        sums = np.asarray(matrix.sum(axis=1)).ravel()
        return sparse.csr_matrix(sparse.diags(np.where(np.abs(sums - 1.0) < 1e-12, 1.0, 1.0 / sums)) @ matrix)

    # ---- tables -------------------------------------------------------------------------------------------------
    def _tables(self, part: str, wanted: Sequence[str], parents: Sequence[str]) -> list[_Table]:
        found = []
        for one in self.part(part).findall("CondProb"):
            var = (one.findtext("Var") or "").strip()
            if var not in wanted:
                raise self.error(f"<{part}> has a law of {var!r}: {', '.join(wanted)} were expected")
            axes = self._parents(one, part, {*parents, *wanted} - {var})
            table = _Table(var, (*axes, var), self._numbers(one, (*axes, var), f"<{part}> of {var}", chance=True))
            if not (np.isfinite(table.numbers).all() and (table.numbers >= 0.0).all()):
                raise self.error(f"<{part}> of {var} has a negative probability")
            found.append(table)
        if missing := sorted(set(wanted) - {t.var for t in found}):
            raise self.error(f"<{part}> says nothing about {missing[0]}")
        return found

    def _rewards(self, parents: Sequence[str]) -> list[_Table]:
        found = []
        for one in self.part("RewardFunction").findall("Func"):
            axes = self._parents(one, "RewardFunction", set(parents))
            var = (one.findtext("Var") or "").strip()
            found.append(_Table(var, axes, self._numbers(one, axes, f"<RewardFunction> of {var}", chance=False)))
        return found

    def _parents(self, one: Any, part: str, known: Iterable[str]) -> tuple[str, ...]:
        names = tuple(n for n in (one.findtext("Parent") or "").split() if n != "null")
        for name in names:
            if name not in set(known):
                raise self.error(f"<{part}>: parent {name!r} cannot stand here; known: {', '.join(sorted(known))}")
        return names

    def _numbers(self, one: Any, axes: tuple[str, ...], what: str, *, chance: bool) -> FloatArray:
        block = one.find("Parameter")
        if block is None:
            raise self.error(f"{what} has no <Parameter>")
        numbers = np.zeros(self._shape(axes))
        if block.get("type", "TBL").upper() == "DD":
            dag = block.find("DAG")
            if dag is None:
                raise self.error(f"{what} has no <DAG>")
            templates = {t.get("id"): t for t in block.findall("SubDAGTemplate")}
            self._diagram(dag, numbers, axes, [slice(None)] * len(axes), templates, what)
            return numbers
        for entry in block.findall("Entry"):
            words = (entry.findtext("Instance") or "").split()
            told = entry.findtext("ProbTable" if chance else "ValueTable")
            if told is None:
                raise self.error(f"{what}: entry {' '.join(words)!r} has no <{'Prob' if chance else 'Value'}Table>")
            self._entry(numbers, axes, words, told.split(), what)
        return numbers

    def _entry(self, numbers: FloatArray, axes: tuple[str, ...], words: list[str], told: list[str], what: str) -> None:
        place = f"{what}, instance {' '.join(words)!r}"
        if len(words) != len(axes):
            raise self.error(f"{place} has {len(words)} words: give one for each of {', '.join(axes)}")
        index: list[Any] = []
        for word, axis in zip(words, axes, strict=True):
            index.append(slice(None) if word in ("*", "-") else self._value(axis, word, place))
        dashes = [i for i, word in enumerate(words) if word == "-"]
        shape = tuple(numbers.shape[i] for i in dashes)
        if told == ["uniform"]:
            block = np.full(shape, 1.0 / numbers.shape[-1])
        elif told == ["identity"]:
            if len(shape) != 2 or shape[0] != shape[1]:
                raise self.error(f"{place}: 'identity' needs two '-' of equal size")
            block = np.eye(shape[0])
        else:
            try:
                block = np.array([float(x) for x in told])
            except ValueError as error:
                raise self.error(f"{place}: {error}") from None
            if block.size != int(np.prod(shape, dtype=np.int64)):
                raise self.error(f"{place} has {block.size} numbers: {int(np.prod(shape, dtype=np.int64))} are needed")
            block = block.reshape(shape)
        full = [size if word == "-" else 1 for word, size in zip(words, numbers.shape, strict=True)]
        kept = [n for n, word in zip(full, words, strict=True) if word in ("*", "-")]
        numbers[tuple(index)] = block.reshape(kept)

    def _value(self, axis: str, word: str, place: str) -> int:
        names = self.values[axis]
        if word in names:
            return names.index(word)
        raise self.error(f"{place}: {word!r} is no value of {axis} ({', '.join(names[:8])})")

    # ---- decision diagrams --------------------------------------------------------------------------------------
    def _diagram(
        self, element: Any, numbers: FloatArray, axes: tuple[str, ...], at: list[Any], templates: Any, what: str
    ) -> None:
        """Fill the part `at` of an array by what is below an element."""
        for child in element:
            if child.tag == "Terminal":
                numbers[tuple(at)] = float(child.text or "nan")
            elif child.tag == "Node":
                axis = self._axis(axes, self._attribute(child, "var"), what)
                for edge in child.findall("Edge"):
                    below = list(at)
                    below[axis] = self._value(axes[axis], self._attribute(edge, "val"), what)
                    self._diagram(edge, numbers, axes, below, templates, what)
            elif child.tag == "SubDAG":
                self._short(child, numbers, axes, at, templates, what)

    def _short(
        self, child: Any, numbers: FloatArray, axes: tuple[str, ...], at: list[Any], templates: Any, what: str
    ) -> None:
        kind = self._attribute(child, "type")
        if kind == "template":
            name = self._attribute(child, "idref")
            if name not in templates:
                raise self.error(f"{what}: there is no <SubDAGTemplate id={name!r}>")
            self._diagram(templates[name], numbers, axes, at, templates, what)
            return
        var = self._attribute(child, "var")
        axis = self._axis(axes, var, what)
        if kind == "uniform":
            numbers[tuple(at)] = 1.0 / len(self.values[var])
        elif kind == "deterministic":
            numbers[tuple(at)] = 0.0
            numbers[tuple([*at[:axis], self._value(var, self._attribute(child, "val"), what), *at[axis + 1 :]])] = 1.0
        elif kind == "persistent" and var in self.previous:
            before = self._axis(axes, self.previous[var], what)
            numbers[tuple(at)] = 0.0
            for k in range(len(self.values[var])):
                if at[before] in (slice(None), k):
                    one = list(at)
                    one[before] = one[axis] = k
                    numbers[tuple(one)] = 1.0
        else:
            raise self.error(f"{what}: <SubDAG type={kind!r} var={var!r}> is not known")

    def _axis(self, axes: tuple[str, ...], var: str, what: str) -> int:
        if var not in axes:
            raise self.error(f"{what}: {var!r} is none of its variables {', '.join(axes)}")
        return axes.index(var)
