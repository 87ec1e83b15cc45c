"""Named random streams. Nothing in orrl touches a global generator."""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["spawn_seeds", "stream"]


def _sequence(seed: int, names: tuple[str | int, ...]) -> np.random.SeedSequence:
    if seed < 0:
        raise ValueError(f"seed is {seed}: give a non-negative integer")
    words = [n if isinstance(n, int) else zlib.crc32(n.encode()) for n in names]
    return np.random.SeedSequence([seed, *words])


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Independent generator for one purpose; equal arguments give equal draws on every machine.

    Parameters
    ----------
    seed : int
        Non-negative.
    names : str or int
        The purpose, such as ``("jobshop", "train")``; other names give an unrelated stream.
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, names)))


def spawn_seeds(seed: int, n: int, *names: str | int) -> list[int]:
    """`n` seeds of a stream; the first `m` of them do not depend on `n`."""
    return [int(s.generate_state(1, np.uint64)[0] >> np.uint64(1)) for s in _sequence(seed, names).spawn(n)]
