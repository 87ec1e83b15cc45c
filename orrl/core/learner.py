"""`Learner`: anything that trains a policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .budget import Budget
    from .callbacks import Callback
    from .policy import Policy
    from .types import Support

__all__ = ["SPLITS", "Generator", "Learner", "Split"]

Split = Literal["train", "val", "test", "ood"]
SPLITS: tuple[Split, ...] = ("train", "val", "test", "ood")


@runtime_checkable
class Generator(Protocol):
    """A distribution of problems with one fixed seed stream per split, so that splits never meet."""

    def sample(self, n: int, seed: int = 0, split: Split = "train") -> list[Any]:
        """The first `n` problems of a stream."""
        ...

    def stream(self, seed: int = 0, split: Split = "train") -> Iterator[Any]:
        """The same problems without end."""
        ...


class Learner(ABC):
    """Trains a policy on one problem, a set or a generator.

    Attributes
    ----------
    scope : {"instance", "distribution"}
        Whether the policy is for the very problem it was trained on, or for a distribution.
    """

    name: ClassVar[str]
    scope: ClassVar[Literal["instance", "distribution"]]

    @abstractmethod
    def supports(self, problem: Any) -> Support:
        """Yes, or no with the reason."""

    @abstractmethod
    def fit(
        self,
        source: Any,
        *,
        budget: Budget,
        seed: int = 0,
        val: Sequence[Any] | None = None,
        device: str = "cpu",
        callbacks: Sequence[Callback] = (),
    ) -> Policy:
        """Train on a Problem, a sequence of problems or a `Generator` until the budget is spent."""
