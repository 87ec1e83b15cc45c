"""Part `throughput`: training episodes per second at 10x5, and where the time goes."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gnn_bws import MANY
from gnn_train import KINDS

# isort: split
import orrl
from orrl import JobShop
from orrl.core.graphs import GraphBatch
from orrl.core.rollout import rollout
from orrl.problems.jobshop.kernel import ShopKernel
from orrl.solvers.learners import gnn_training
from orrl.solvers.learners.gnn_episodes import play
from orrl.solvers.learners.gnn_policy import GraphPolicy
from orrl.solvers.learners.gnn_ppo import GnnPPO
from orrl.solvers.learners.graph_network import tensors
from orrl.solvers.search.mc_rollout import MonteCarloPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gnn_store import Row, Settings

__all__ = ["throughput"]

ITERATIONS = 40  # of each run
WHERE: list[tuple[str, Any, tuple[str, ...]]] = [
    ("completions", ShopKernel, ("completions",)),
    ("simulator", ShopKernel, ("reset", "step", "mask")),
    ("graphs", ShopKernel, ("graphs",)),
    ("network without gradient", GraphPolicy, ("evaluate",)),
    ("episodes, the rest", gnn_training, ("play",)),
    ("update", gnn_training.Training, ("_improve",)),
    ("new shops", gnn_training.Training, ("_next",)),
    ("validation", gnn_training.Training, ("_look",)),
]
"""Names of what is counted, and the calls that it is; a call's time is less that of the counted calls inside it."""


def _learner(workers: int) -> GnnPPO:
    """The shipped options, without the warm start, which plays fewer episodes an iteration."""
    return GnnPPO(**{**KINDS["bws"][1], "warm_start": None, "workers": workers})


def _train(settings: Settings, learner: GnnPPO) -> Row:
    """Train on 10x5 and count, from the first iteration on, in which code is compiled."""
    source = orrl.JobShop.generator(jobs=10, machines=5, storage="blocking")
    budget = orrl.Budget(iterations=settings.count(ITERATIONS, 3))
    policy: Any = learner.fit(source, budget=budget, seed=settings.seed, val=source.sample(4, 0, "val"))
    first, last = learner.log[0], learner.log[-1]
    iterations = last["iteration"] - first["iteration"]
    episodes = iterations * learner.instances * learner.rollouts * learner.workers
    cpu, wall = last["cpu_seconds"] - first["cpu_seconds"], last["seconds"] - first["seconds"]
    row: Row = {"workers": learner.workers, "width": learner.width, "layers": learner.layers, "episodes": episodes}
    row["parameters"] = sum(p.numel() for p in policy.net.parameters())
    row["cpu s"] = last["cpu_seconds"]
    row |= {"decisions": last["steps"] - first["steps"], "episodes / cpu s": episodes / cpu}
    return row | {
        "episodes / s, every worker a core": learner.workers * episodes / cpu,
        "episodes / wall s": episodes / wall,
    }


def throughput(settings: Settings) -> list[Row]:
    """One and two processes, then a single one whose calls are timed."""
    for workers in (1, 2):
        settings.row(f"workers {workers}", lambda w=workers: {"what": "training"} | _train(settings, _learner(w)))
    settings.row("messages", lambda: {"what": "a round of messages and back, ms"} | _messages(settings))
    settings.row("completions", lambda: {"what": "a random completion of a fresh shop, us"} | _completions(settings))
    settings.row("decisions", lambda: {"what": "a decision, ms"} | _decisions(settings))
    split = settings.row("where the time goes", lambda: {"values": _where(settings)}, show=False)["values"]
    total = sum(split.values())
    lines = [{"what": name, "cpu s": spent, "% of cpu": 100 * spent / total} for name, spent in split.items()]
    return [{**row, "device": "cpu"} for row in (*settings.rows(), *lines)]


def _messages(settings: Settings) -> Row:
    """Forward and back through a fresh network on 8 steps of 64 episodes: compiled messages, and by `index_add`."""
    shops = orrl.JobShop.generator(jobs=10, machines=5, storage="blocking").sample(8)
    policy = GraphPolicy.fresh(JobShop.kernel(shops), GnnPPO().width, GnnPPO().layers)
    graph = GraphBatch.join(play(policy, shops, 8, np.random.default_rng(0)).graphs[8:16])
    accepted = torch.as_tensor(graph.mask)
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(settings.count(40, 4)):
        for compiled, spent in times.items():
            begin = time.process_time()
            scores, value = policy.net(tensors(graph, compiled=compiled))
            (scores[accepted].sum() + value.sum()).backward()
            spent.append(1000 * (time.process_time() - begin))
    mine, theirs = (float(np.median(spent)) for spent in times.values())
    return {"compiled": mine, "index_add": theirs, "index_add / compiled": theirs / mine}


def _completions(settings: Settings) -> Row:
    """Of 64 shops: by the short cut, and by the general simulator."""
    shops = orrl.JobShop.generator(jobs=10, machines=5, storage="blocking").sample(64)
    kernel = JobShop.kernel(shops)
    state = kernel.reset([shop.nominal() for shop in shops])
    number = 8 * int(kernel.mask(state).sum())
    times: dict[bool, list[float]] = {True: [], False: []}
    for i in range(settings.count(40, 4) + 1):
        for general, spent in times.items():
            begin = time.process_time()
            kernel.completions(state, 8, seed=i, general=general)
            spent.append(1e6 * (time.process_time() - begin) / number)
    slow, fast = (float(np.median(spent[1:])) for spent in times.values())  # the first call compiles
    return {"short cut": fast, "simulator": slow, "simulator / short cut": slow / fast}


class _General(MonteCarloPolicy):
    """Its completions are played on the general simulator, as all were before there was a short cut."""

    def _swift(self, view: Any) -> bool:
        return False


def _decisions(settings: Settings) -> Row:
    """Of held-out shops: the shipped policy, 20 alone and 64 at once, and rollout, 20 alone; medians of turns."""
    shops = orrl.JobShop.generator(jobs=10, machines=5, storage="blocking").sample(64, 0, "test")
    policy: Any = orrl.load_policy("jobshop/bws")
    kinds = {
        "policy": policy,
        "policy, 64 at once": policy,
        f"policy, told of {MANY}": policy.with_completions(MANY),
        "rollout of 100": MonteCarloPolicy(100),
        "rollout of 100, simulator": _General(100),
    }
    spent: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(settings.count(5, 1) + 1):  # the first turn compiles
        for name, played in kinds.items():
            parts = [shops] if "at once" in name else [[shop] for shop in shops[: settings.count(20, 2)]]
            begin = time.process_time()
            decisions = sum(len(e.actions) for some in parts for e in rollout(some, played, _plain(some)))
            spent[name].append(1000 * (time.process_time() - begin) / decisions)
    ms = {name: float(np.median(times[1:])) for name, times in spent.items()}
    shares: Row = {}
    for yardstick in ("rollout of 100", "rollout of 100, simulator"):
        for name in list(kinds)[:3]:
            shares[f"{name}: % of {yardstick}"] = 100 * ms[name] / ms[yardstick]
    return {**ms, **shares}


def _plain(shops: list[Any]) -> list[Any]:
    return [shop.scenario(0) for shop in shops]


def _where(settings: Settings) -> dict[str, float]:
    """Processor seconds by kind of call, compilation left out; what is in none of them is "other"."""
    _train(settings, _learner(1))  # compiled, and caches are warm
    spent: dict[str, float] = defaultdict(float)
    begin = time.process_time()
    with _timed(spent):
        _train(settings, _learner(1))
    spent["other"] = time.process_time() - begin - sum(spent.values())
    return dict(spent)


@contextmanager
def _timed(spent: dict[str, float]) -> Iterator[None]:
    """Replace the calls by ones that count their own time."""
    inner: list[float] = []  # of each open call: time of the counted calls inside it

    def counted(label: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            inner.append(0.0)
            begin = time.process_time()
            try:
                return call(*args, **options)
            finally:
                whole = time.process_time() - begin
                spent[label] += whole - inner.pop()
                if inner:
                    inner[-1] += whole

        return run

    kept = [(place, name, getattr(place, name)) for _, place, names in WHERE for name in names]
    for label, place, names in WHERE:
        for name in names:
            setattr(place, name, counted(label, getattr(place, name)))
    try:
        yield
    finally:
        for place, name, call in kept:
            setattr(place, name, call)
