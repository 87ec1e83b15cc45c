"""The benchmark of GNN-PPO: its statistics by hand, what is kept, and every part at tiny sizes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import gnn_ppo as benchmark
from gnn_store import Entry, Settings, capped, held_out, played, standings
from gnn_train import KINDS, card, label, trained
from store import Settings as Kept

import orrl

BENCHMARKS = str(Path(benchmark.__file__).resolve().parent)
while BENCHMARKS in sys.path:  # its scripts have names that folders of tests have too
    sys.path.remove(BENCHMARKS)

SMALL = {"instances": 2, "rollouts": 2, "width": 8, "layers": 1, "completions": 2}


def tiny(folder: Path, **options: Any) -> Settings:
    """Four shops, a few seconds of training in all."""
    return Settings(folder, **{"minutes": 1.0, "trainings": 1, "quick": 100, "part": "tiny", **options})


def test_a_row_is_made_once_a_seed_and_size(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"x": len(made), "values": [1.0, 2.0]}

    first = Kept(tmp_path, part="a")
    assert first.row("key", make)["x"] == 1
    again = Kept(tmp_path, part="a")
    assert again.row("key", make)["values"] == [1.0, 2.0]
    assert len(made) == 1
    assert Kept(tmp_path, 1, part="a").row("key", make)["x"] == 2
    assert Kept(tmp_path, part="a", quick=20).row("key", make)["x"] == 3
    assert [set(row) for row in again.rows()] == [{"x", "cpu s"}]


def test_standings_by_hand() -> None:
    reference = np.array([100.0, 200.0])
    rule = Entry("rule", [150.0, 250.0])
    ours = Entry("ours", [[110.0, 220.0], [120.0, 240.0]], learned=True)
    first, second = standings([rule, ours], reference, ours)
    assert first["excess %"] == pytest.approx((50 + 25) / 2)
    assert second["excess %"] == pytest.approx(15)
    assert first["ours minus it"] == pytest.approx(15 - 37.5)
    assert (first["trainings"], second["trainings"], second["shops"]) == ("", "2", 2)
    low, high = map(float, first["95% of that (ours)"].split(" to "))
    assert low <= 15 - 37.5 <= high
    assert low >= -40
    assert high <= -5


def test_an_episode_that_failed_is_counted() -> None:
    assert standings([Entry("x", [np.nan, 220.0])], np.array([100.0, 200.0]))[0]["failed"] == 1


def test_best_cap_in_hindsight() -> None:
    one = np.ones(2)
    table = {"spt": one, "spt@3": 3 * one, "spt@4": 2 * one, "fifo@3": 1.5 * one, "fifo@4": one * np.nan}
    assert list(capped(table, one).items()) == [("fifo", "fifo@3"), ("spt", "spt@4")]


def test_mixture_is_a_stream_of_its_parts() -> None:
    for make, _ in KINDS.values():
        source = make()
        shops = source.sample(12, 0)
        assert [s.content_hash for s in shops[:5]] == [s.content_hash for s in source.sample(5, 0)]
        assert not {s.content_hash for s in shops} & {s.content_hash for s in source.sample(12, 0, "val")}
        assert len({s.n_machines for s in shops}) > 1


def test_shops_and_strikes_are_the_same_for_every_outage_rate() -> None:
    rare, often = held_out(4, 3, 3, 0.1), held_out(4, 3, 3, 0.5)
    for a, b, x, y in zip(rare.shops, often.shops, rare.worlds, often.worlds, strict=True):
        assert (a.durations == b.durations).all()
        assert ((x.extra == y.extra) | (x.extra == 0)).all()
    plain = held_out(4, 3, 3)
    assert not any(shop.is_stochastic for shop in plain.shops)


def test_kept_episodes_are_those_of_solve(tmp_path: Path) -> None:
    panel = held_out(5, 4, 4, 0.2)
    row = played(tiny(tmp_path), panel, "spt", panel.shops[0].rules()["spt"])
    alone = [orrl.solve(s, "spt", scenario=w).objective for s, w in zip(panel.shops, panel.worlds, strict=True)]
    assert row["values"] == alone


def test_other_options_are_another_training(tmp_path: Path) -> None:
    settings = tiny(tmp_path)
    assert label(settings, "bws") != label(settings, "bws", {"width": 16})
    assert label(settings, "bws") != label(settings, "jsp")


@pytest.mark.slow
def test_a_training_is_kept_with_its_card(tmp_path: Path) -> None:
    settings = tiny(tmp_path)
    key, policy, facts = trained(settings, "bws", SMALL)
    assert "--kind bws" in policy.card["command"]
    assert facts["training cpu s"] == policy.card["cpu_seconds"] > 0
    again = trained(settings, "bws", SMALL)
    assert again[0] == key
    assert again[2] == facts
    assert not list(tmp_path.rglob("*.checkpoint"))
    text = card("bws", policy, facts)
    assert policy.card["command"] in text and f"{facts['training cpu s']:,.0f} CPU seconds" in text


@pytest.mark.slow
def test_every_part_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, (source, _) in list(KINDS.items()):
        monkeypatch.setitem(KINDS, kind, (source, SMALL))
    for part, (run, _, published) in benchmark.PARTS.items():
        rows = run(tiny(tmp_path, part=part))
        assert rows, part
        assert all("source" in row for row in published)
        assert sum(map(len, benchmark.tables(rows).values())) == len(rows)
