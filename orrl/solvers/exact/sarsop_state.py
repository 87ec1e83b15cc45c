"""Save and restore a running SARSOP search: both bounds, the tree and the counters, so that it goes on unbroken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.archive import read_archive, write_archive
from ...core.errors import FormatError

if TYPE_CHECKING:
    from .sarsop_search import Search
    from .sarsop_tree import Node

__all__ = ["restore", "save"]

KIND = "orrl.sarsop-search"
COUNTERS = ("trials", "backups", "rows", "corner_rows", "late_rows", "raise_rows", "low", "high", "_kept")


def save(search: Search, path: str | Path, content_hash: str) -> None:
    """Write the search; a trial that is under way is lost, what it has proven is kept."""
    lower, upper, nodes = search.lower, search.upper, search.nodes
    edges = [
        (node.number, action, seen, child.number)
        for node in nodes
        for (action, seen), child in node.children.items()
        if child.number >= 0
    ]
    counters: dict[str, Any] = {name: getattr(search, name) for name in COUNTERS}
    header = {"type": KIND, "content_hash": content_hash, **counters, "root_upper": search.root.upper}
    header["root_number"] = search.root.number
    known = sorted(search.bins.known.items())
    mixes = [(node.number, action, mix) for node in nodes for action, mix in node.mixes.items()]
    late = search.late
    header["late_moving"] = late.moving if late else False
    write_archive(
        path,
        header,
        {
            "vectors": lower.vectors,
            "actions": np.array(lower.actions, dtype=np.int64),
            "builds_on": np.concatenate(lower.builds_on),
            "builds_size": np.array([len(b) for b in lower.builds_on], dtype=np.int64),
            "live": np.array(lower.live, dtype=np.int64),
            "fib": search.fib,
            "corner": upper.corner,
            "points": upper.points[: upper.count],
            "value": upper.value[: upper.count],
            "drop": upper.drop[: upper.count],
            "order": upper.order,
            "stale": np.array([upper._stale], dtype=np.int64),
            "root_q": search.root.q,
            "q": np.array([n.q for n in nodes]).reshape(len(nodes), -1),
            "node_upper": np.array([n.upper for n in nodes]),
            "bin": np.array([n.bin for n in nodes], dtype=np.int64),
            "edges": np.array(edges, dtype=np.int64).reshape(-1, 4),
            "mix_of": np.array([(n, a, len(m.point)) for n, a, m in mixes], dtype=np.int64).reshape(-1, 3),
            "mix_base": np.array([m.base for _, _, m in mixes]),
            "mix_point": np.concatenate([np.zeros(0, np.int64), *(m.point for _, _, m in mixes)]),
            "mix_weight": np.concatenate([np.zeros(0), *(m.weight for _, _, m in mixes)]),
            "late_q": late.q if late else np.zeros(0),
            "late_second": late.second if late else np.zeros(0, np.int64),
            "late_todo": late.todo if late else np.zeros(0, np.int64),
            "rates": search.rates,
            "bin_total": search.bins.total,
            "bin_count": search.bins.count,
            "known": np.array([k for k, _ in known], dtype=np.int64),
            "known_value": np.array([v for _, v in known]),
        },
    )


def restore(search: Search, path: str | Path, content_hash: str) -> bool:
    """Put a saved search into a fresh one of the same problem; False where there is no file yet.

    Raises
    ------
    FormatError
        Where the file belongs to another problem or is no such file.
    """
    from .late_bound import LateBound
    from .point_sweep import Mix
    from .sarsop_tree import Node

    if not Path(path).exists():
        return False
    header, data = read_archive(path, KIND)
    if header["content_hash"] != content_hash:
        raise FormatError(path, "is a search of another problem (content hash differs): give another checkpoint=")
    if "rates" not in data:
        raise FormatError(path, "was written by an older version: give another checkpoint= and begin anew")
    for name in COUNTERS:
        setattr(search, name, header[name])
    ends = np.cumsum(data["builds_size"])[:-1]
    search.lower.restore(data["vectors"], data["actions"], np.split(data["builds_on"], ends), data["live"].tolist())
    search.fib = data["fib"]
    upper = search.upper
    upper.__init__(data["corner"])  # type: ignore[misc]
    for belief, value in zip(data["points"], data["value"], strict=True):
        upper.add(belief, float(value))
    upper.drop[: upper.count], upper.order, upper._stale = data["drop"], data["order"], int(data["stale"][0])
    rows = zip(data["points"], data["q"], data["node_upper"], data["bin"], strict=True)
    nodes: list[Node] = [Node(b, q.copy(), float(u), int(place), i) for i, (b, q, u, place) in enumerate(rows)]
    for parent, action, seen, child in data["edges"].tolist():
        nodes[parent].children[action, seen] = nodes[child]
    ends = np.cumsum(data["mix_of"][:, 2])[:-1]
    points, weights = np.split(data["mix_point"], ends), np.split(data["mix_weight"], ends)
    for (n, a, _), base, point, weight in zip(data["mix_of"].tolist(), data["mix_base"], points, weights, strict=False):
        nodes[n].mixes[a] = Mix(float(base), point, weight)
    if data["late_q"].size:
        search.late = LateBound(search.model, search.fib, search.lower.block)
        search.late.restore(data["late_q"], data["late_second"], data["late_todo"], header["late_moving"])
    search.nodes = nodes
    if header["root_number"] >= 0:
        search.root = nodes[header["root_number"]]
    search.root.q, search.root.upper = data["root_q"], header["root_upper"]
    if len(data["rates"]) == len(search.rates):  # else other factors: they are tried anew
        search.rates = data["rates"]
    search.bins.total, search.bins.count = data["bin_total"], data["bin_count"]
    search.bins.known = dict(zip(data["known"].tolist(), data["known_value"].tolist(), strict=True))
    return True
