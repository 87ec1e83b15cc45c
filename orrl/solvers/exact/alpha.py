"""Alpha vectors: sets of them with pruning, and the policy that they are."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ...core.archive import read_archive, write_archive
from ...core.errors import DataError, FormatError
from ...core.policy import Policy
from .pomdp_model import PomdpArrays

if TYPE_CHECKING:
    from pathlib import Path

    from ...core.actions import Actions

__all__ = ["AlphaPolicy", "AlphaSet", "undominated"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def undominated(vectors: FloatArray, *, margin: float = 0.0) -> IntArray:
    """Numbers of the vectors (N, S) that no other one is at least as good as in every state; of equals the first."""
    order = np.argsort(-vectors.sum(axis=1), kind="stable")  # a vector is dominated only by one with a larger sum
    typical = vectors.mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1])
    keep = np.empty(len(vectors), dtype=np.int64)
    block = np.empty((vectors.shape[1], len(vectors)))  # kept so far, a row for each state
    count = 0
    for i in order.tolist():
        wanted = vectors[i] - margin
        first, *others = np.argsort(typical - wanted)[:4].tolist()  # few are as good where it is at its best
        rivals = (block[first, :count] >= wanted[first]).nonzero()[0]
        for s in others:
            rivals = rivals[block[s, rivals] >= wanted[s]]
        if not len(rivals) or not (block[:, rivals] >= wanted[:, None]).all(axis=0).any():
            keep[count], block[:, count] = i, vectors[i]
            count += 1
    return np.sort(keep[:count])


class AlphaSet:
    """Vectors in use, and the older ones that they build on.

    A vector is the value of an action now and one vector (a plan) for each observation later. `prune` takes vectors out
    of use, which makes backups faster, but the archive keeps every vector that one in use refers to, directly or not:
    only such a closed set certifies that following its best vectors earns what they say.

    Parameters
    ----------
    vectors : (N, S)
        First vectors; each must be its own continuation (blind policies).
    actions : (N,) int
        Their actions.
    """

    def __init__(self, vectors: FloatArray, actions: IntArray) -> None:
        n, states = vectors.shape
        size = max(64, 2 * n)
        self._vectors = np.zeros((size, states))
        self._vectors[:n] = vectors
        self.actions: list[int] = [int(a) for a in actions]
        self.builds_on: list[IntArray] = [np.array([i], dtype=np.int64) for i in range(n)]
        self.live: list[int] = []
        self._block = np.zeros((size, states))
        for i in undominated(vectors).tolist():
            self._use(i)

    def __len__(self) -> int:
        return len(self.live)

    @property
    def vectors(self) -> FloatArray:
        """All vectors (archive), (N, S)."""
        return self._vectors[: len(self.actions)]

    @property
    def block(self) -> FloatArray:
        """Vectors in use (G, S)."""
        return self._block[: len(self.live)]

    def _use(self, number: int) -> None:
        if len(self.live) == len(self._block):
            self._block = np.concatenate([self._block, np.zeros_like(self._block)])
        self._block[len(self.live)] = self._vectors[number]
        self.live.append(number)

    def add(self, vector: FloatArray, action: int, builds_on: Iterable[int]) -> int:
        """A new vector and the numbers (archive) of the vectors it goes on with; dominated ones go out of use."""
        number = len(self.actions)
        if number == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
        self._vectors[number] = vector
        self.builds_on.append(np.array(sorted(set(builds_on)), dtype=np.int64))
        self.actions.append(int(action))
        if not (self.block >= vector).all(axis=1).any():
            beaten = np.asarray((self.block <= vector).all(axis=1))
            if beaten.any():
                self.keep(~beaten)
            self._use(number)
        return number

    def add_plan(self, vectors: FloatArray, actions: Sequence[int], builds_on: Sequence[IntArray]) -> None:
        """Vectors (N, S) that go on with each other: `builds_on` counts within them."""
        begin = len(self.actions)
        for vector, action, after in zip(vectors, actions, builds_on, strict=True):
            self.add(vector, action, (begin + np.asarray(after, dtype=np.int64)).tolist())

    def restore(
        self, vectors: FloatArray, actions: IntArray, builds_on: Sequence[IntArray], live: Sequence[int]
    ) -> None:
        """Replace everything by a saved set."""
        self._vectors, self._block = vectors.copy(), np.zeros((len(live) + 64, vectors.shape[1]))
        self.actions, self.builds_on, self.live = actions.tolist(), list(builds_on), []
        for number in live:
            self._use(number)

    def keep(self, mask: npt.NDArray[np.bool_]) -> None:
        """Take vectors out of use: those in use (G,) that are not marked."""
        block = self.block[mask]
        self.live = [n for n, kept in zip(self.live, mask.tolist(), strict=True) if kept]
        self._block[: len(block)] = block

    def prune(self, beliefs: FloatArray, *, delta: float = 0.0) -> None:
        """Keep the vectors that are within `delta` of the best at one of the beliefs (N, S)."""
        worth = beliefs @ self.block.T
        best = worth.max(axis=1, keepdims=True)
        self.keep((worth >= best - delta - 1e-12 * np.abs(best)).any(axis=0))

    def value(self, belief: FloatArray) -> float:
        """Lower bound at a belief (S,)."""
        return float((self.block @ belief).max())

    def closure(self) -> IntArray:
        """Numbers of the vectors in use and of those that they build on, sorted.

        A vector that another one is nowhere worse than is left out, with what it builds on: where a plan would go on
        with it, the other one earns no less.
        """
        found, block = set(self.live), self.block
        todo = list(self.live)
        while todo:
            ahead = np.unique(np.concatenate([self.builds_on[n] for n in todo]))
            fresh = [n for n in ahead.tolist() if n not in found]
            todo = [n for n in fresh if not (block >= self._vectors[n]).all(axis=1).any()]
            found.update(todo)
        numbers = np.array(sorted(found), dtype=np.int64)
        return numbers[undominated(self.vectors[numbers])]


def predicted(model: PomdpArrays, beliefs: FloatArray, actions: IntArray) -> FloatArray:
    """Laws (B, S) of the next state after beliefs (B, S) and actions (B,); equal rows are used once."""
    count, size = len(beliefs), model.rows.shape[0]
    if not model.sparse:
        where = model.row_of[actions] + size * np.arange(count)[:, None]
        weight = np.bincount(where.ravel(), weights=beliefs.ravel(), minlength=count * size).reshape(count, size)
        return np.asarray(weight @ model.rows)
    from scipy import sparse

    b, s = np.nonzero(beliefs)
    mass = sparse.csr_matrix((beliefs[b, s], (b, model.row_of[actions[b], s])), shape=(count, size))
    return np.asarray((mass @ model.rows).toarray())


def corrected(
    model: PomdpArrays, ahead: FloatArray, actions: IntArray, seen: IntArray
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Beliefs (B, S) after observations (B,), and which of these are possible; the others change nothing."""
    joint = ahead.copy()
    for k in np.unique(model.law_of[actions]).tolist():
        rows = np.flatnonzero(model.law_of[actions] == k)
        joint[rows] *= model.laws[k].T[seen[rows]]
    total = joint.sum(axis=1, keepdims=True)
    possible = total > 0.0
    return np.where(possible, joint / np.where(possible, total, 1.0), ahead), possible[:, 0]


class AlphaPolicy(Policy):
    """Takes the action of the best vector at its belief, which it moves with each observation.

    Parameters
    ----------
    vectors : (N, S)
        Values by state; rewards are maximised.
    actions : (N,) int
        Action of each vector.
    model : PomdpArrays
        For the belief.
    content_hash : str
        The problem that the policy was made for; it plays no other.
    name : str
        For tables.
    certified : bool
        Whether following the vectors earns at least what they say (False for QMDP's).

    Notes
    -----
    The first decision is taken at the initial belief; where the problem says ``survey_first`` an observation, under the
    law of action 0, comes before it. At each later one the last action and the observation move the belief. An
    observation that the model holds for impossible (in play on another model) leaves the prediction as it is and is
    counted in `surprises`. Observations are numbers 0..O-1, (B,) or (B, 1); a problem whose kernel shows something else
    says which number that is in ``observation_index(obs) -> (B,)``.
    """

    scope = "instance"

    def __init__(
        self,
        vectors: FloatArray,
        actions: IntArray,
        *,
        model: PomdpArrays,
        content_hash: str,
        name: str = "alpha",
        certified: bool = True,
    ) -> None:
        if vectors.ndim != 2 or len(vectors) != len(actions) or vectors.shape[1] != len(model.initial):
            raise DataError(
                f"vectors have shape {vectors.shape}, actions {np.shape(actions)}: give one vector of "
                f"{len(model.initial)} states and one action each"
            )
        self.vectors, self.actions = np.ascontiguousarray(vectors), np.asarray(actions, dtype=np.int64)
        self.model, self.name, self.certified = model, name, certified
        self.seen = frozenset({content_hash})

    def value(self, belief: FloatArray) -> Any:
        """Best vector's value at a belief (S,), or at several (B, S) -> (B,): discounted rewards from now on."""
        best = (belief @ self.vectors.T).max(axis=-1)
        return float(best) if np.ndim(best) == 0 else best

    def choose(self, beliefs: FloatArray) -> IntArray:
        """Actions (B,) at beliefs (B, S)."""
        return np.asarray(self.actions[(beliefs @ self.vectors.T).argmax(axis=1)], dtype=np.int64)

    def reset(self, problem: Any, *, batch: int = 1, seed: int = 0) -> None:
        """Begin at the initial belief; refuses another problem's content hash."""
        several = list(problem) if isinstance(problem, Sequence) else [problem]
        for one in several:
            if one.content_hash not in self.seen:
                raise DataError(f"policy {self.name!r} was made for another problem than {one.name} (content differs)")
        self._problem = several[0]
        self.beliefs = np.tile(self.model.initial, (batch, 1))
        self._last: IntArray | None = None
        goal = getattr(self._problem, "objective", None)
        begins = goal is None or goal.stage == 0
        self._survey_first = begins and bool(getattr(self._problem, "survey_first", False))
        self.surprises = 0

    def act(self, obs: Any, info: Mapping[str, Any]) -> Actions:
        """Move the beliefs by the last actions and these observations, then decide."""
        done = np.asarray(info.get("done", np.zeros(len(self.beliefs), dtype=bool)))
        if self._last is not None or self._survey_first:
            index = getattr(self._problem, "observation_index", None)
            seen = np.asarray(index(obs) if index is not None else obs).reshape(len(self.beliefs), -1)[:, 0]
            rows, told = np.flatnonzero(~done), seen.astype(np.int64)
            ahead, actions = self.beliefs[rows], np.zeros(len(rows), np.int64)
            if self._last is not None:
                actions = self._last[rows]
                ahead = predicted(self.model, ahead, actions)
            known, possible = corrected(self.model, ahead, actions, told[rows])
            self.surprises += int((~possible).sum())
            self.beliefs[rows] = known
        self._last = self.choose(self.beliefs)
        return self._last.copy()

    def save(self, path: str | Path) -> None:
        """Write vectors and model to a file."""
        m = self.model
        rows = m.rows.toarray() if m.sparse else m.rows
        header = {
            "type": KIND,
            "name": self.name,
            "seen": sorted(self.seen),
            "discount": m.discount,
            "sparse": m.sparse,
        }
        header["certified"] = self.certified
        arrays = {f: getattr(m, f) for f in ("reward", "initial", "row_of", "law_of", "pairs", "pair_of")}
        write_archive(
            path,
            header,
            {"vectors": self.vectors, "actions": self.actions, "rows": rows, "laws": np.stack(m.laws), **arrays},
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Inverse of `save`."""
        from scipy import sparse

        header, arrays = read_archive(path, KIND)
        vectors, actions = arrays.pop("vectors"), arrays.pop("actions")
        rows: Any = sparse.csr_matrix(arrays.pop("rows")) if header["sparse"] else arrays.pop("rows")
        laws = tuple(np.ascontiguousarray(law) for law in arrays.pop("laws"))
        model = PomdpArrays(discount=header["discount"], sparse=header["sparse"], rows=rows, laws=laws, **arrays)
        told = {"content_hash": header["seen"][0], "name": header["name"], "certified": header["certified"]}
        return cls(vectors, actions, model=model, **told)

    @classmethod
    def read_policyx(cls, path: str | Path, problem: Any, *, name: str = "appl") -> Self:
        """Alpha vectors in the XML format of APPL (``.policyx``), as a policy of `problem`.

        Raises
        ------
        FormatError
            Where the file is no such XML or its vectors have another length than the problem has states.
        """
        model = PomdpArrays.of(problem.tabular())
        try:
            found = list(Xml.parse(path).getroot().iter("Vector"))
            vectors = [np.array((v.text or "").split(), dtype=np.float64) for v in found]
            actions = [int(v.attrib["action"]) for v in found]
        except (OSError, Xml.ParseError, ValueError, KeyError) as error:
            raise FormatError(path, f"is no policy file of APPL ({error})") from error
        wrong = [i for i, v in enumerate(vectors) if len(v) != len(model.initial)]
        if wrong or not vectors:
            text = f"vector {wrong[0]} has {len(vectors[wrong[0]])} values" if wrong else "it has no vectors"
            raise FormatError(path, f"{text}: one value is needed for each of the {len(model.initial)} states")
        if not set(actions) <= set(range(model.shape[1])):
            raise FormatError(path, f"action {max(actions)} is not one of the problem's {model.shape[1]}")
        return cls(np.array(vectors), np.array(actions), model=model, content_hash=problem.content_hash, name=name)


KIND = f"{AlphaPolicy.__module__}:{AlphaPolicy.__qualname__}"
