"""Content hashes: canonical bytes of data and options, not the name, not the dtype."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

__all__ = ["canonical_bytes", "content_hash"]


def canonical_bytes(value: Any) -> bytes:
    """Bytes that are equal exactly when two contents are equal.

    An int32 and an int64 array of equal values give the same bytes, as do a list, a tuple and an array; a float
    that is a whole number equals the integer.

    Raises
    ------
    TypeError
        For a type without a canonical form (a function, an open file).
    """
    if value is None:
        return b"N"
    if isinstance(value, bool | np.bool_):
        return b"I1;" if value else b"I0;"
    if isinstance(value, int | np.integer):
        return b"I%d;" % int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        return b"I%d;" % int(number) if number.is_integer() else b"F" + number.hex().encode() + b";"
    if isinstance(value, str):
        raw = value.encode()
        return b"S%d:" % len(raw) + raw
    if isinstance(value, Mapping):
        inner = sorted((canonical_bytes(k), canonical_bytes(v)) for k, v in value.items())
        return b"M%d:" % len(inner) + b"".join(k + v for k, v in inner)
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "iub":  # the same bytes as the nested list, without the Python loop
            return _array_bytes(value)
        return canonical_bytes(value.tolist())
    if isinstance(value, list | tuple):
        return b"L%d:" % len(value) + b"".join(canonical_bytes(v) for v in value)
    if is_dataclass(value) and not isinstance(value, type):
        return canonical_bytes({f.name: getattr(value, f.name) for f in fields(value)})
    raise TypeError(f"no canonical bytes for {type(value).__name__}: give numbers, text, lists, mappings, dataclasses")


def _array_bytes(array: np.ndarray) -> bytes:
    if array.ndim == 0:
        return b"I%d;" % int(array)
    if array.ndim == 1:
        return b"L%d:" % len(array) + b"".join(b"I%d;" % v for v in array.astype(np.int64).tolist())
    return b"L%d:" % len(array) + b"".join(_array_bytes(row) for row in array)


def content_hash(value: Any) -> str:
    """SHA-256 of `canonical_bytes`, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()
