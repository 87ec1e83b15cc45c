"""One source, two speeds: plain Python for a single short episode, numba for batches.

A kernel module writes its transition as plain functions and registers each with its explicit signature. Python runs
them as they stand, so a first call pays neither numba's import nor any compilation; `Source.compiled` compiles the very
same functions, cached on disk, when a batch makes it worth while.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any, TypeVar

__all__ = ["Source", "compile_seconds"]

F = TypeVar("F", bound=Callable[..., Any])

_spent = 0.0


def compile_seconds() -> float:
    """Wall seconds this process has spent on compiling (or on loading compiled code) so far."""
    return _spent


class Source:
    """The functions of one kernel module, in the order in which they call each other.

    Parameters
    ----------
    tables : mapping
        Name used in signatures -> numba type of an array that the functions share.
    all_tables : str
        Name that stands for all of them in the signature of an entry.

    Notes
    -----
    Arrays are passed one by one: taken out of a tuple they would be reference-counted at every use, which made the
    first version of this four times slower.
    """

    def __init__(self, *, tables: Mapping[str, str], all_tables: str = "TABLES") -> None:
        self.tables = {**tables, all_tables: ", ".join(tables.values())}
        self._functions: list[tuple[FunctionType, str, bool]] = []
        self._plain: dict[str, Any] = {}
        self._compiled: SimpleNamespace | None = None

    def add(self, signature: str, *, entry: bool = False) -> Callable[[F], F]:
        """Register a function with its numba signature; an `entry` may be called from Python when compiled."""

        def keep(function: F) -> F:
            assert isinstance(function, FunctionType)
            self._functions.append((function, signature, entry))
            self._plain[function.__name__] = function
            return function

        return keep

    @property
    def plain(self) -> SimpleNamespace:
        """The entries as Python."""
        return SimpleNamespace(**self._plain)

    @property
    def ready(self) -> bool:
        """Whether this process has the compiled functions already."""
        return self._compiled is not None

    def compiled(self) -> SimpleNamespace:
        """The entries as machine code, compiled or loaded from the cache at the first call."""
        if self._compiled is None:
            self._compiled = self._compile()
        return self._compiled

    def _compile(self) -> SimpleNamespace:
        global _spent
        begin = time.perf_counter()
        import numba
        from numba import types

        words: dict[str, Any] = {"i8": types.int64, "f8": types.float64, "f4": types.float32, "b1": types.boolean}
        words |= {"void": types.void, "i2": types.int16, "i4": types.int32, "u8": types.uint64}
        words |= {"function": types.FunctionType}
        done: dict[str, Any] = {}
        compiler: Any = numba.njit
        version = self._version()
        for function, signature, entry in self._functions:
            twin = FunctionType(function.__code__, {**function.__globals__, **done}, function.__name__)
            twin.__module__, twin.__qualname__ = function.__module__, f"{function.__qualname__}_{version}"
            # without NumPy's reference counts, which nothing here needs, since no function makes an array
            options: dict[str, Any] = {"nogil": True, "_nrt": False}
            if not entry:
                options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
            for name, kind in self.tables.items():
                signature = re.sub(rf"\b{name}\b", kind, signature)
            typed = eval(signature, {}, words)
            try:
                done[function.__name__] = compiler(typed, cache=True, **options)(twin)
            except RuntimeError as error:  # numba found no folder that it may write to
                if "cache" not in str(error):
                    raise
                done[function.__name__] = compiler(typed, **options)(twin)
        _spent += time.perf_counter() - begin
        return SimpleNamespace(**done)

    def _version(self) -> str:
        """Digest of the source files: a part of the name of each cached function.

        numba looks at the date of the function's own file only, and would go on with old code of the functions that it
        calls in another one.
        """
        digest = hashlib.sha256()
        for name in sorted({function.__code__.co_filename for function, _, _ in self._functions}):
            with contextlib.suppress(OSError):  # no file: nothing is cached either
                digest.update(Path(name).read_bytes())
        return digest.hexdigest()[:12]
