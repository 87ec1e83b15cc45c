"""`Problem`: one instance, validated and immutable, with an objective, a referee and capabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .capabilities import HasScenarios
from .hashing import content_hash
from .types import Evaluation, Objective, Support

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Problem"]


class Problem(ABC):
    """Base of every problem; a subclass adds capabilities by having their methods.

    Attributes
    ----------
    family : str
        First part of catalogue names, such as ``"jobshop"``.
    not_modelled : tuple of str
        What a reader may look for and not find.
    name : str
        Name of the instance; not part of its content.
    objective : Objective
        What is optimised.
    """

    family: ClassVar[str]
    not_modelled: ClassVar[tuple[str, ...]] = ()

    name: str
    objective: Objective

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Data, options and names as plain JSON types."""

    @classmethod
    @abstractmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`; the content hash survives."""

    @abstractmethod
    def content(self) -> Mapping[str, Any]:
        """Data and options that make the problem what it is: no name, no labels."""

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of `content`."""
        return content_hash({"family": self.family, **self.content()})

    @abstractmethod
    def evaluate(self, solution: Any, scenario: Any | None = None) -> Evaluation:
        """The referee: plain Python, shares no code with any producer."""

    def supports(self, capability: type) -> Support:
        """Whether the problem offers a capability; a subclass may say no because of its data, with the reason."""
        if isinstance(self, capability):
            return Support(True)
        return Support(False, f"{type(self).__name__} does not offer {capability.__name__}")

    @property
    def is_stochastic(self) -> bool:
        """Whether scenarios can differ."""
        return isinstance(self, HasScenarios) and self.stochastic

    def describe(self) -> dict[str, Any]:
        """What ``orrl info`` prints; a subclass adds to it."""
        return {
            "name": self.name,
            "family": self.family,
            "objective": f"{self.objective.sense} {self.objective.name}",
            "unit": self.objective.unit,
            "stochastic": self.is_stochastic,
            "content_hash": self.content_hash,
            "not modelled": list(self.not_modelled),
        }
