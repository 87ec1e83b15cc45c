"""Text files of every family: opening one, whole writes, and what an error says without its place."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from .errors import FormatError

__all__ = ["Place", "Source", "message", "open_source", "write_text"]

Place = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Source:
    """A text, the label that errors give it and the name that its instance gets."""

    label: str
    name: str
    text: str


def open_source(source: Place | Source, *, name: str = "text") -> Source:
    """A file (``.gz`` too), or the text itself, which gets `name`, where the string has a line break or begins "{"."""
    if isinstance(source, Source):
        return source
    if isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{")):
        return Source("<text>", name, source)
    path = Path(source)
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except OSError as error:
        raise FormatError(path, f"cannot be read: {error.strerror or error}") from error
    except (EOFError, UnicodeDecodeError, zlib.error) as error:
        raise FormatError(path, f"is no text file: {error}") from error
    return Source(str(path), path.name.removesuffix(".gz").rsplit(".", 1)[0], text)


def message(error: FormatError) -> str:
    """What a `FormatError` says, without the place."""
    where = error.path if error.line is None else f"{error.path}:{error.line}"
    return str(error)[len(where) + 2 :]


def write_text(path: Place, text: str) -> Path:
    """Write a whole file or nothing."""
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        part.chmod(0o644)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return target
