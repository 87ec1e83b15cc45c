"""Part `train`: the policies that the other parts judge, each kept with its card."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import orrl
from orrl.core.seeds import stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gnn_store import Row, Settings

    from orrl.core.learner import Generator, Split

__all__ = ["KINDS", "Mixture", "card", "command", "label", "policies", "train", "trained"]


@dataclass(frozen=True)
class Mixture:
    """A distribution that draws each problem from one of several.

    Parameters
    ----------
    parts : tuple of (float, Generator)
        Weights and distributions.
    """

    parts: tuple[tuple[float, Generator], ...]

    def stream(self, seed: int = 0, split: Split = "train") -> Iterator[Any]:
        """Problems without end."""
        weights = np.array([weight for weight, _ in self.parts])
        drawn = [source.stream(seed, split) for _, source in self.parts]
        rng = stream(seed, "gnn-benchmark", "mixture", split)
        while True:
            yield next(drawn[int(rng.choice(len(drawn), p=weights / weights.sum()))])

    def sample(self, n: int, seed: int = 0, split: Split = "train") -> list[Any]:
        """The first `n` problems of the stream."""
        drawn = self.stream(seed, split)
        return [next(drawn) for _ in range(n)]


def _bws() -> Mixture:
    shop = orrl.JobShop.generator
    five: Row = {"jobs": (7, 10), "machines": 5, "storage": "blocking"}
    ten: Row = {"jobs": (7, 10), "machines": 10, "storage": "blocking"}
    return Mixture(((0.55, shop(**five)), (0.33, shop(**five, p=(0.0, 0.3))), (0.12, shop(**ten, p=(0.0, 0.3)))))


def _jsp() -> Mixture:
    shop = orrl.JobShop.generator
    return Mixture(((0.75, shop(jobs=(6, 10), machines=(5, 10))), (0.25, shop(jobs=(10, 15), machines=(10, 15)))))


SMALL: Row = {"width": 24, "layers": 2, "learning_rate": 3e-3, "entropy_weight": 0.02, "updates": 12}
KINDS: dict[str, tuple[Any, Row]] = {
    "bws": (_bws, {**SMALL, "completions": 8, "share": 0.35, "entropy_weight": 0.04}),
    "jsp": (_jsp, {**SMALL, "completions": 12, "kernel": {"wait": False}}),
}
"""What each kind of policy is trained on, and the options of `gnn-ppo` that differ from its defaults."""


def command(settings: Settings, kind: str) -> str:
    """What makes one training again, on its own."""
    quick = " --quick" if settings.quick > 1 else ""
    return (
        f"python benchmarks/gnn_ppo.py --part train --kind {kind} --minutes {settings.minutes:g} --seeds 1 "
        f"--seed {settings.seed} --workers {settings.workers}{quick}"
    )


@cache
def _graph(kind: str) -> tuple[int, int]:
    """Features and relations of the graphs: a policy knows no others."""
    shop = next(KINDS[kind][0]().stream())
    kernel = type(shop).kernel([shop])
    graph = kernel.graphs(kernel.reset([shop.scenario(0)], [0]))
    return graph.nodes.shape[1], len(graph.relations)


def label(settings: Settings, kind: str, options: Mapping[str, Any] | None = None) -> str:
    """Names a training but for its seed: kind, time, processes, and a digest of source, graphs and options."""
    source, usual = KINDS[kind]
    told = json.dumps(
        {"source": repr(source()), "graph": _graph(kind), **usual, **(options or {})}, sort_keys=True, default=repr
    )
    digest = hashlib.sha256(told.encode()).hexdigest()[:6]
    return f"{kind} {settings.minutes:g} min {settings.workers} workers {digest}"


def trained(
    settings: Settings, kind: str, options: Mapping[str, Any] | None = None, made_by: str = ""
) -> tuple[str, Any, Row]:
    """Label, policy and facts of one training, made unless it was kept; a killed one goes on from its checkpoint."""
    source, usual = KINDS[kind]
    chosen = {**usual, **(options or {})}
    key = label(settings, kind, options)
    checkpoint = settings.policy_file(key).with_suffix(".checkpoint")

    def make() -> tuple[Any, Row]:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        budget = orrl.Budget(cpu_seconds=settings.limit(60 * settings.minutes))
        more = {**chosen, "workers": settings.workers, "checkpoint": checkpoint}
        policy: Any = orrl.train(source(), "gnn-ppo", budget=budget, seed=settings.seed, **more)
        policy.card |= {"command": made_by or command(settings, kind), "source": repr(source())}
        policy.card["parameters"] = sum(p.numel() for p in policy.net.parameters())
        facts = {"training cpu s": policy.card["cpu_seconds"], "training wall s": policy.train_seconds}
        return policy, facts | {k: policy.card[k] for k in ("iterations", "steps", "parameters", "device", "options")}

    policy, facts = settings.policy(key, make)
    checkpoint.unlink(missing_ok=True)
    return key, policy, facts


USES = {
    "bws": "job shops without buffers whose jobs may exchange machines, with or without interruptions (BWS, ISBJSSP)",
    "jsp": "job shops with unlimited buffers, without interruptions",
}


def card(kind: str, policy: Any, facts: Mapping[str, Any]) -> str:
    """The model card that goes with a shipped policy."""
    lines = {
        "For": f"{USES[kind]}; makespan; any number of jobs and machines",
        "Method": f"`gnn-ppo`, {facts['parameters']:,} parameters, options {json.dumps(policy.card['options'])}",
        "Trained on": f"`{policy.card['source']}`: {len(policy.seen):,} instances, {facts['steps']:,} decisions",
        "Made by": f"`{policy.card['command']}`",
        "Time": f"{facts['training cpu s']:,.0f} CPU seconds, {facts['training wall s']:,.0f} of the wall, on a "
        f"{policy.card['device']} beside other work; seed {policy.card['seed']}",
        "Decides": "with the likeliest action; `policy.sampled()` draws. The completions of the actions are drawn, "
        "so that schedules differ a little with `seed=`",
        "Measured": "by `benchmarks/gnn_ppo.py --ship`, which keeps its tables in `benchmarks/results/gnn-ppo`",
        "Not for": "due dates, other objectives, machine calendars: it was trained without them",
    }
    return f"# jobshop/{kind}\n\n" + "\n".join(f"- {name}: {text}." for name, text in lines.items()) + "\n"


def policies(settings: Settings, kind: str) -> list[tuple[Settings, str, Any, Row]]:
    """Every training of a kind: its settings, label, policy and facts."""
    return [(run, *trained(run, kind)) for run in settings.runs()]


def train(settings: Settings, kinds: tuple[str, ...] = tuple(KINDS)) -> list[Row]:
    """Train, and say what each training took."""
    rows: list[Row] = []
    for kind in kinds:
        for run in settings.runs():
            key, policy, facts = trained(run, kind)
            row: Row = {"policy": key, "seed": run.seed, "device": facts["device"]}
            row |= {"cpu s": facts["training cpu s"], "wall s": facts["training wall s"]}
            row |= {"iterations": facts["iterations"], "decisions": facts["steps"]}
            row |= {"parameters": facts["parameters"], "kB": run.policy_file(key).stat().st_size / 1000}
            rows.append(row | {"command": policy.card["command"]})
            run.policy_file(key).with_suffix(".md").write_text(card(kind, policy, facts))
            replace(run, shown=[]).row(f"trained {key}", lambda row=row: row, show=False)
    return rows
