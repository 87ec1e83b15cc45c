"""Random job shops: one at a time, or a distribution with a fixed seed stream per split."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import numpy as np

from ...core.errors import DataError
from ...core.learner import SPLITS, Split
from ...core.seeds import stream
from .interruptions import Interruptions
from .planted import planted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .data import Goal, JobShop

__all__ = ["ShopGenerator", "generate", "planted"]

Shop = TypeVar("Shop", bound="JobShop")
Range = int | tuple[int, int]
FloatRange = float | tuple[float, float]


def generate(
    cls: type[Shop],
    *,
    seed: int,
    jobs: int,
    machines: int,
    low: int = 1,
    high: int = 99,
    operations: Range | None = None,
    name: str | None = None,
    **options: Any,
) -> Shop:
    """One random shop.

    Parameters
    ----------
    cls : type
        `JobShop`.
    seed : int
        Non-negative.
    jobs, machines : int
        Size.
    low, high : int
        Durations are uniform on the integers from `low` to `high`.
    operations : int or (int, int), optional
        Operations per job, at most `machines`; a range (ends included) gives routes of different length. By default
        each job visits every machine.
    name : str, optional
        By default the size and the seed.
    **options
        Of `JobShop`, such as ``storage="blocking"``.

    Notes
    -----
    Routes are uniform permutations of the machines, cut after the given number of operations.
    """
    for what, value in (("jobs", jobs), ("machines", machines)):
        if isinstance(value, tuple):
            raise DataError(f"{what} is {value!r}: give one number; JobShop.generator(...) draws from ranges")
        _check_range(what, value, 1)
    routes, durations = _draw(stream(seed, "jobshop", "generate"), jobs, machines, (low, high), operations)
    options.setdefault("machine_names", [f"machine {m}" for m in range(machines)])
    return cls(machines=routes, durations=durations, name=name or f"random-{jobs}x{machines}-{seed}", **options)


def _draw(
    rng: np.random.Generator, jobs: int, machines: int, span: tuple[int, int], operations: Range | None
) -> tuple[list[list[int]], list[list[int]]]:
    _check_range("(low, high)", span, 0)
    _check_range("operations", machines if operations is None else operations, 1, machines)
    routes = rng.permuted(np.tile(np.arange(machines), (jobs, 1)), axis=1)
    durations = rng.integers(span[0], span[1] + 1, (jobs, machines))
    lengths = [_pick(rng, machines if operations is None else operations) for _ in range(jobs)]
    return (
        [row[:n] for row, n in zip(routes.tolist(), lengths, strict=True)],
        [row[:n] for row, n in zip(durations.tolist(), lengths, strict=True)],
    )


def _check_range(what: str, value: FloatRange | None, least: float, most: float | None = None) -> None:
    if value is None:
        return
    low, high = value if isinstance(value, tuple) else (value, value)
    if not least <= low <= high or (most is not None and high > most):
        upper = "" if most is None else f" and at most {most}"
        raise DataError(f"{what} is {value!r}: give a number, or a range (low, high), of at least {least}{upper}")


def _pick(rng: np.random.Generator, value: Range) -> int:
    return int(rng.integers(value[0], value[1] + 1)) if isinstance(value, tuple) else int(value)


@dataclass(frozen=True, kw_only=True)
class ShopGenerator:
    """A distribution of job shops; a range ``(low, high)`` includes both ends and is drawn anew for each shop.

    Parameters
    ----------
    jobs, machines : int or (int, int)
        Size.
    low, high : int
        Durations are uniform on the integers from `low` to `high`.
    operations : int or (int, int), optional
        Operations per job; by default all machines are visited. Cut to the number of machines of the shop.
    storage, swap, objective
        As in `JobShop`.
    interruptions : Interruptions, optional
        Their law.
    p : float or (float, float), optional
        Probability of an outage per start, instead of the one in `interruptions`.
    release : int or (int, int), optional
        Release dates.
    tightness : float or (float, float), optional
        Factor of each job's due date: release date plus factor times its work, rounded down. At least 1.
    weights : int or (int, int), optional
        Weights of the tardiness.
    ood : ShopGenerator, optional
        What the split "ood" draws from: a distribution that differs, for instance with larger shops.
    name : str
        Shops are called ``name-split-seed-number``.

    Examples
    --------
    >>> sizes = ShopGenerator(jobs=(6, 10), machines=5, storage="blocking")
    >>> [shop.n_jobs for shop in sizes.sample(3, seed=0)] == [shop.n_jobs for shop in sizes.sample(5, seed=0)][:3]
    True
    """

    jobs: Range
    machines: Range
    low: int = 1
    high: int = 99
    operations: Range | None = None
    storage: Literal["unlimited", "blocking"] = "unlimited"
    swap: bool = True
    interruptions: Interruptions | None = None
    p: FloatRange | None = None
    objective: Goal = "makespan"
    release: Range | None = None
    tightness: FloatRange | None = None
    weights: Range | None = None
    ood: ShopGenerator | None = None
    name: str = "random"

    def __post_init__(self) -> None:
        for field in fields(self):  # JSON has no tuples
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
        for what, least, most in (
            ("jobs", 1, None), ("machines", 1, None), ("operations", 1, None), ("p", 0, 1), ("release", 0, None),
            ("tightness", 1, None), ("weights", 0, None),
        ):  # fmt: skip
            _check_range(what, getattr(self, what), least, most)
        _check_range("(low, high)", (self.low, self.high), 0)
        if self.objective == "weighted_tardiness" and self.tightness is None:
            raise DataError("objective 'weighted_tardiness' needs due dates: give tightness=, e.g. (1.2, 1.6)")
        if self.p is not None and self.interruptions is not None and self.interruptions.law != "per_start":
            raise DataError(f"p goes with Interruptions(law='per_start'), not with law={self.interruptions.law!r}")
        if self.ood is not None and self.ood.ood is not None:
            raise DataError("the generator given as ood= has one itself: give one level")
        next(self.stream())  # wrong options of JobShop are found here

    def sample(self, n: int, seed: int = 0, split: Split = "train") -> list[JobShop]:
        """The first `n` shops of a stream; the first m of them do not depend on n.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            Non-negative.
        split : {"train", "val", "test", "ood"}
            Each has its own seed streams.
        """
        return [self._one(seed, split, i) for i in range(n)]

    def stream(self, seed: int = 0, split: Split = "train") -> Iterator[JobShop]:
        """The shops of `sample`, without end."""
        i = 0
        while True:
            yield self._one(seed, split, i)
            i += 1

    def _one(self, seed: int, split: Split, i: int) -> JobShop:
        from .data import JobShop

        if split not in SPLITS:
            raise DataError(f"split is {split!r}: give one of {', '.join(SPLITS)}")
        if split == "ood":
            if self.ood is None:
                raise DataError("this generator has no split 'ood': give ood=, a generator with other ranges")
            own = self.ood
        else:
            own = self
        rng = stream(seed, "jobshop", "generator", split, i)
        jobs, machines = _pick(rng, own.jobs), _pick(rng, own.machines)
        operations = own.operations
        if operations is not None:
            least, most = operations if isinstance(operations, tuple) else (operations, operations)
            operations = (min(least, machines), min(most, machines))
        routes, durations = _draw(rng, jobs, machines, (own.low, own.high), operations)
        # every table is drawn from its own stream, so that adding due dates does not change the routes
        release = own._per_job(own.release, 0, jobs, seed, split, i, "release")
        due = None
        if own.tightness is not None:
            factor = _between(stream(seed, "jobshop", "generator", split, i, "tightness"), own.tightness, jobs)
            due = [r + int(f * sum(row)) for r, f, row in zip(release, factor, durations, strict=True)]
        return JobShop(
            machines=routes,
            durations=durations,
            storage=own.storage,
            swap=own.swap,
            interruptions=own._interruptions(seed, split, i),
            release=release,
            due=due,
            weights=own._per_job(own.weights, 1, jobs, seed, split, i, "weights"),
            objective=own.objective,
            machine_names=[f"machine {m}" for m in range(machines)],
            name=f"{own.name}-{split}-{seed}-{i}",
        )

    def _per_job(
        self, value: Range | None, default: int, jobs: int, seed: int, split: str, i: int, what: str
    ) -> list[int]:
        if value is None:
            return [default] * jobs
        rng = stream(seed, "jobshop", "generator", split, i, what)
        return [_pick(rng, value) for _ in range(jobs)]

    def _interruptions(self, seed: int, split: str, i: int) -> Interruptions | None:
        if self.p is None:
            return self.interruptions
        p = _between(stream(seed, "jobshop", "generator", split, i, "p"), self.p, 1)[0]
        law = self.interruptions or Interruptions()
        return Interruptions(law=law.law, p=p, outage=law.outage, mode=law.mode)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        out: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Interruptions | ShopGenerator):
                value = value.to_dict()
            out[field.name] = list(value) if isinstance(value, tuple) else value
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        given = dict(data)
        if given.get("interruptions") is not None:
            given["interruptions"] = Interruptions.from_dict(given["interruptions"])
        if given.get("ood") is not None:
            given["ood"] = cls.from_dict(given["ood"])
        return cls(**given)


def _between(rng: np.random.Generator, value: FloatRange, n: int) -> list[float]:
    low, high = value if isinstance(value, tuple) else (value, value)
    return [float(v) for v in rng.uniform(low, high, n)]
