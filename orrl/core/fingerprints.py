"""Content hashes in brief: what a policy was trained on, a hundred thousand instances in a small file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

__all__ = ["LENGTH", "Fingerprints"]

LENGTH = 8  # hexadecimal digits, 32 bits


class Fingerprints(frozenset[str]):
    """The first eight digits of each hash; asked for a whole one, it looks for its beginning.

    An instance that was not seen is taken for one that was with probability n / 4.3e9, never the other way round.
    """

    def __new__(cls, hashes: Iterable[str] = ()) -> Self:
        """From whole hashes or from their beginnings."""
        return super().__new__(cls, (h[:LENGTH] for h in hashes))

    def __contains__(self, content_hash: object) -> bool:
        return isinstance(content_hash, str) and super().__contains__(content_hash[:LENGTH])

    def to_array(self) -> npt.NDArray[np.uint32]:
        """Sorted numbers, for a file."""
        return np.array(sorted(int(h, 16) for h in self), np.uint32)

    @classmethod
    def from_array(cls, numbers: npt.NDArray[np.uint32]) -> Self:
        """Inverse of `to_array`."""
        return cls(f"{int(n):0{LENGTH}x}" for n in numbers)
