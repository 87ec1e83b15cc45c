"""What the commands share: reading problems and methods from words, writing JSON, errors as one line."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from orrl.core import Problem

__all__ = [
    "Jobs",
    "Json",
    "Limit",
    "Method",
    "ProblemName",
    "Seed",
    "Threads",
    "emit",
    "fail",
    "method_from",
    "note",
    "options_from",
    "problem_from",
    "problems_from",
    "split",
    "terminal",
]

_PROBLEM = "family/instance or a file; options after a colon: jobshop/ft06:storage=blocking,swap=false"
_METHOD = "A solver, a rule or a saved policy; options after a colon: milp:form=time-indexed"

ProblemName = Annotated[str, typer.Argument(metavar="PROBLEM", help=_PROBLEM)]
Method = Annotated[str, typer.Argument(metavar="METHOD", help=_METHOD)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[float | None, typer.Option("--time-limit", "-t", help="Wall seconds, model building included.")]
Threads = Annotated[int | None, typer.Option("--threads", help="All cores by default.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the method.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Runs at a time; -1 uses all cores.")]


def emit(value: Any) -> None:
    """Print JSON; what is not a number becomes null, so that any reader takes it."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return None if type(value).__name__ in ("NAType", "NaTType") else str(value)


def note(text: str) -> None:
    """A line on stderr, for people."""
    typer.echo(text, err=True)


def fail(error: Exception) -> int:
    """Say what went wrong in one line on stderr; the exit code that goes with it."""
    from orrl.core.errors import OrrlError

    expected = isinstance(error, OrrlError | ValueError | OSError)
    text = " ".join(str(error).split()) or type(error).__name__
    if expected:
        note(f"orrl: error: {text}")
        return 2
    note(f"orrl: a fault of orrl, please report it: {type(error).__name__}: {text} (--debug shows where)")
    return 3


def split(word: str) -> tuple[str, dict[str, Any]]:
    """``name:key=value,key=value`` as name and options; values are JSON where they can be, else text."""
    found = re.match(r"(.+?):([\w-]+=.*)$", word)
    if found is None or Path(word).exists():
        return word, {}
    return found[1], options_from(_commas(found[2]), word)


def _commas(text: str) -> list[str]:
    """Split at the commas outside brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def options_from(pairs: Sequence[str], word: str) -> dict[str, Any]:
    """Options from ``key=value`` words."""
    from orrl.core.errors import OrrlError

    out: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise OrrlError(f"{pair!r} in {word!r} is no option: write key=value")
        try:
            out[key.strip().replace("-", "_")] = json.loads(value)
        except ValueError:
            out[key.strip().replace("-", "_")] = value
    return out


def _converted(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a problem that are objects of their own, such as ``interruptions={"p":0.1}``."""
    if isinstance(options.get("interruptions"), Mapping):
        from orrl import Interruptions

        options["interruptions"] = Interruptions(**options["interruptions"])
    return options


def problem_from(word: str) -> Problem:
    """A problem by name or from a file."""
    import orrl
    from orrl.core.errors import OrrlError

    name, options = split(word)
    get = (
        orrl.load if _is_name(name) and not Path(name).is_file() else orrl.read
    )  # which says so where there is no file
    try:
        return get(name, **_converted(options))
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise OrrlError(f"{word}: {name} has no such option ({error})") from None


def problems_from(words: Sequence[str]) -> list[Problem]:
    """Problems by name, from files, and the members of sets."""
    import orrl
    from orrl.core.errors import UnknownNameError

    out: list[Problem] = []
    for word in words:
        try:
            out.append(problem_from(word))
        except UnknownNameError as unknown:
            name, options = split(word)
            try:
                out += orrl.load_set(name, **_converted(options))
            except UnknownNameError:
                raise unknown from None
    return out


def _is_name(name: str) -> bool:
    """Whether a word that is no file is meant as ``family/instance``; a plain word is, so that names are suggested."""
    return not name.startswith((".", "/", "~")) and "\\" not in name and not Path(name).suffix


def method_from(word: str) -> Any:
    """A method as `orrl.solve` takes it: a name, a name with options, or a saved policy."""
    if Path(word).is_file():
        import orrl

        return orrl.load_policy(word)
    name, options = split(word)
    return (name, options) if options else name


def terminal() -> bool:
    """Whether a person watches stderr."""
    return sys.stderr.isatty()
