"""Cuts on disk in the JSON format of SDDP.jl, so that policies can be carried between the two.

The format (``SDDP.write_cuts_to_file``): a list with, for each node, ``single_cuts`` and ``multi_cuts`` of
``intercept``, ``coefficients`` by state name and ``state``, and ``risk_set_cuts``, the laws of the multi-cut mixture.
The ``intercept`` on file is the height of the cut at its ``state``. Node names count from 1.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.cuts import CutPool
from ...core.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...core.stages import Stage

__all__ = ["read_cuts", "state_names", "write_cuts"]


def state_names(stage: Stage) -> list[str]:
    """``family[index + 1]`` of the outgoing columns, as Julia would count them."""
    names = []
    for column in stage.out.tolist():
        key = stage.columns[column]
        names.append(str(key[0]) + (f"[{','.join(str(i + 1) for i in key[1:])}]" if key[1:] else ""))
    return names


def write_cuts(
    path: str | Path, pools: Sequence[CutPool | None], names: Sequence[str], *, selected: bool = False
) -> None:
    """Write all cuts, or with `selected` the active ones; the file is replaced in one piece."""
    document = []
    for i, pool in enumerate(pools):
        node: dict[str, Any] = {"node": str(i + 1), "single_cuts": [], "multi_cuts": [], "risk_set_cuts": []}
        document.append(node)
        if pool is None:
            continue
        for c in range(pool.count):
            if selected and not pool.active[c]:
                continue
            point = np.where(np.isnan(pool.point[c]), 0.0, pool.point[c])
            cut: dict[str, Any] = {
                "intercept": float(pool.intercept[c] + pool.gradient[c] @ point),
                "coefficients": dict(zip(names, pool.gradient[c].tolist(), strict=True)),
                "state": dict(zip(names, point.tolist(), strict=True)),
            }
            if pool.thetas == 1:
                node["single_cuts"].append(cut)
            else:
                node["multi_cuts"].append({"realization": int(pool.theta[c]) + 1, **cut})
        if pool.thetas > 1:
            node["risk_set_cuts"] = pool.mixtures.tolist()
    target = Path(path)
    part = target.with_name(f"{target.name}.part{os.getpid()}")
    part.write_text(json.dumps(document), encoding="utf-8")
    os.replace(part, target)


def read_cuts(path: str | Path, names: Sequence[str], bounds: Sequence[float | None]) -> list[CutPool | None]:
    """Pools of a file, one a node.

    Parameters
    ----------
    path : path
        The file.
    names : sequence of str, length n
        State names, in the order of the state.
    bounds : sequence of float or None
        Lower bound on the cost-to-go of each node, which the format does not hold; None for a node without children.

    Raises
    ------
    FormatError
        Naming the node and the state that do not fit.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        cuts_of = {str(node["node"]): node for node in document}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(path, f"is no cut file of SDDP.jl ({error!r})") from error
    pools: list[CutPool | None] = []
    for i, bound in enumerate(bounds):
        node = cuts_of.pop(str(i + 1), {"single_cuts": [], "multi_cuts": [], "risk_set_cuts": []})
        single, multi, laws = node.get("single_cuts", []), node.get("multi_cuts", []), node.get("risk_set_cuts", [])
        if bound is None:
            if single or multi:
                raise FormatError(path, f"node {i + 1} has cuts, but nothing follows it in the problem")
            pools.append(None)
            continue
        if single and multi:
            raise FormatError(path, f"node {i + 1} has single and multi cuts: only one kind can be read")
        pool = CutPool(len(names), thetas=len(laws[0]) if laws else 1, bound=bound)
        for cut in [*single, *multi]:
            if set(cut["coefficients"]) != set(names):
                raise FormatError(path, f"node {i + 1}: states are {sorted(cut['coefficients'])}, not {sorted(names)}")
            slope = np.array([float(cut["coefficients"][name]) for name in names])
            at = np.array([float(cut["state"][name]) for name in names]) if "state" in cut else np.zeros(len(names))
            theta = int(cut.get("realization", 1)) - 1
            if not 0 <= theta < pool.thetas:
                raise FormatError(path, f"node {i + 1}: realization {theta + 1} of {pool.thetas} in risk_set_cuts")
            pool.add(float(cut["intercept"]) - float(slope @ at), slope, theta, at if "state" in cut else None)
        for law in laws if pool.thetas > 1 else []:
            pool.mix(np.array(law, np.float64))
        pools.append(pool)
    if cuts_of:
        raise FormatError(path, f"node {min(cuts_of)!r} is not one of the problem's {len(bounds)} nodes")
    return pools
