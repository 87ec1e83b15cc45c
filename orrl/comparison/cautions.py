"""What a reader must know before believing the table: limits hit, failures, leaks, thin evidence, contradictions.

Imports pandas; loaded by `table` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["cautions"]


def cautions(data: pd.DataFrame, summary: pd.DataFrame, setting: Mapping[str, Any]) -> list[str]:
    """Sentences, the gravest first; an empty list where there is nothing to say."""
    return [
        *_contradictions(data),
        *_leaks(data),
        *_failures(data, summary),
        *_limits(data, summary),
        *_evidence(data, summary, setting),
        *_machine(data, setting),
    ]


def _some(names: Sequence[str], most: int = 3) -> str:
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:most]) + (f" and {len(unique) - most} more" if len(unique) > most else "")


def _contradictions(data: pd.DataFrame) -> list[str]:
    out = []
    sign = data["sense"].map({"min": 1.0, "max": -1.0})
    slack = 1e-6 * data["best_bound"].abs().clip(lower=1.0)
    wrong = data[data["answered"] & (sign * (data["best_bound"] - data["objective"]) > slack)]
    for row in wrong.head(3).itertuples():
        out.append(
            f"CONTRADICTION on {row.problem}: {row.method} has {row.objective:g}, beyond a bound said to be proven "
            f"({row.best_bound:g}); one of the two is wrong"
        )
    beaten = data[data["answered"] & (data["excess_best"] < -1e-9)]
    for row in beaten.drop_duplicates("problem_hash").head(3).itertuples():
        out.append(
            f"{row.method} beats the best known value on {row.problem}: {row.objective:g} against {row.best_known:g}"
        )
    return out


def _leaks(data: pd.DataFrame) -> list[str]:
    seen = data[data["seen"].astype(bool)]
    return [
        f"{method} was trained on {rows['problem_hash'].nunique()} of these test instances "
        f"({_some(list(rows['problem']))}): its rows there say nothing about new instances"
        for method, rows in seen.groupby("method", sort=False)
    ]


def _failures(data: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    out = []
    for method, line in summary.iterrows():
        own = data[data["method"] == method]
        for status, text in (
            ("error", "ended in an error"),
            ("no_solution", "ended without a solution"),
            ("infeasible", "said infeasible"),
            ("unsupported", "cannot take"),
            ("missing", "not run yet"),
        ):
            rows = own[own["status"] == status]
            if len(rows):
                why = next((message for message in rows["message"] if message), "")
                total = int(line["runs"] + line["unsupported"] + line["missing"])
                where = _some(list(rows["problem"]))
                out.append(
                    f"{method} {text}: {len(rows)} of {total} ({where}){': ' + why.splitlines()[0] if why else ''}"
                )
    return out


def _limits(data: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    counted = zip(summary.index, summary["limit_hits"], summary["runs"], strict=True)
    hits = [f"{method} in {int(n)} of {int(runs)}" for method, n, runs in counted if n]
    out = [f"the time limit ended the run of {', '.join(hits)}"] if hits else []
    late = data[data["total_seconds"] > 1.05 * data["time_limit"] + 1.0]
    for method, rows in late.groupby("method", sort=False):
        worst = float((rows["total_seconds"] - rows["time_limit"]).max())
        out.append(f"{method} overran the limit in {len(rows)} runs, by up to {worst:.1f} s")
    return out


def _evidence(data: pd.DataFrame, summary: pd.DataFrame, setting: Mapping[str, Any]) -> list[str]:
    out = []
    for method, line in summary.iterrows():
        if line["kind"] == "learned" and (n := int(line["trainings"] if pd.notna(line["trainings"]) else 1)) < 5:
            out.append(f"{method} stands on {n} training seed{'s' if n > 1 else ''}: fewer than 5 support no ranking")
    instances = data["problem_hash"].nunique()
    worlds = setting.get("scenarios") or 1
    if instances * worlds < 5 and len(summary) > 1:
        out.append(
            f"{instances} instance{'s' if instances > 1 else ''}: too few for the intervals and tests to mean much"
        )
    return out


def _machine(data: pd.DataFrame, setting: Mapping[str, Any]) -> list[str]:
    out = []
    machines = sorted({m for m in data["machine"] if m})
    if len(machines) > 1:
        out.append(f"the runs come from different processors ({_some(machines)}): their times do not compare")
    versions = setting.get("versions") or {}
    load, cores = versions.get("load"), versions.get("cores")
    if load is not None and cores and load > 0.5 * cores:
        out.append(f"the machine was busy when the sweep began (load {load:g} on {cores} cores): times may be too long")
    if cores and setting["n_jobs"] * setting["threads"] > cores:
        out.append(
            f"{setting['n_jobs']} workers with {setting['threads']} threads shared {cores} cores: times are too long"
        )
    return out
