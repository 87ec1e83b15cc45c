"""Errors that say what was wrong, what was given and what to do."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "DataError",
    "FormatError",
    "IllegalActionError",
    "IntegrityError",
    "NotInstalledError",
    "NotSupportedError",
    "OrrlError",
    "OrrlWarning",
    "UnknownNameError",
]


class OrrlError(Exception):
    """Base of every error that orrl raises on purpose."""


class OrrlWarning(UserWarning):
    """Base of every warning that orrl gives."""


class DataError(OrrlError, ValueError):
    """A problem's data break a rule of the field; names the place, the value and the remedy."""


class FormatError(DataError):
    """A file could not be read.

    Parameters
    ----------
    path : str
        The file.
    message : str
        What is wrong and what was expected.
    line : int, optional
        Line number, counted from one.
    """

    def __init__(self, path: object, message: str, *, line: int | None = None) -> None:
        self.path, self.line = str(path), line
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {message}")


class IntegrityError(OrrlError):
    """Data do not have the content that was promised (a hash differs)."""


class NotSupportedError(OrrlError):
    """A method cannot take this problem; the message is the reason given by ``supports``."""


class NotInstalledError(OrrlError, ImportError):
    """An optional package is missing; the message names the command that installs it."""


class IllegalActionError(OrrlError, ValueError):
    """A policy returned an action that the mask forbids."""


class UnknownNameError(OrrlError, KeyError):
    """A name is not known; the nearest known ones are suggested."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        options = sorted(set(known))
        near = get_close_matches(name, options, n=3, cutoff=0.4)
        text = f"unknown {kind} {name!r}"
        if near:
            text += "; did you mean " + " or ".join(repr(n) for n in near) + "?"
        elif options:
            text += "; known: " + ", ".join(options[:20]) + (", ..." if len(options) > 20 else "")
        self.message = text + (f" {hint}" if hint else "")
        super().__init__(self.message)

    def __str__(self) -> str:  # KeyError would print the repr
        return self.message
