"""Pictures of a shop: what is drawn, in the user's names, on the caller's axes, without pyplot."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from shop_strategies import SEEDS, play_on, shops_in_worlds

from orrl.core.plot_style import readable_on
from orrl.problems.jobshop import Interruptions, JobShop, Outages, Schedule
from orrl.problems.jobshop.kernel import ShopKernel
from orrl.problems.jobshop.plot import disjunctive_graph_plot, gantt, job_colours, machine_use, utilisation

NAMES = {"job_names": ["Anna", "Bert"], "machine_names": ["lathe", "oven"]}
OPPOSITE = {"machines": [[0, 1], [1, 0]], "durations": [[3, 4], [5, 6]]}


@pytest.fixture
def swap() -> tuple[JobShop, Schedule]:
    """Anna waits on the lathe from 3 to 5, when she and Bert change places."""
    problem = JobShop(**OPPOSITE, storage="blocking", name="two jobs", **NAMES)  # type: ignore[arg-type]
    return problem, Schedule.from_sequences(problem, [[0, 1], [1, 0]])


def bars(ax: Any) -> list[tuple[float, float, float, str | None]]:
    """(row, begin, end, hatch) of each rectangle."""
    found = []
    for patch in ax.patches:
        if isinstance(patch, Rectangle):
            row = patch.get_y() + patch.get_height() / 2
            found.append((round(row, 6), patch.get_x(), patch.get_x() + patch.get_width(), patch.get_hatch()))
    return sorted(found, key=lambda bar: bar[:3])


def texts(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts]


# ---- Gantt -----------------------------------------------------------------------------------------------------------
def test_gantt_of_a_blocking_shop(swap: tuple[JobShop, Schedule]) -> None:
    ax = gantt(*swap)
    solid = [bar[:3] for bar in bars(ax) if not bar[3]]
    blocked = [bar[:3] for bar in bars(ax) if bar[3]]
    assert solid == [(0, 0, 3), (0, 5, 11), (1, 0, 5), (1, 5, 9)]
    assert blocked == [(0, 3, 5)]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["lathe", "oven"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first machine on top
    legend = ax.get_legend()
    assert legend is not None and [t.get_text() for t in legend.get_texts()] == ["Anna", "Bert", "blocked"]
    assert sorted(texts(ax)) == ["Anna", "Anna", "Bert", "Bert"]
    assert ax.get_title("left") == "two jobs (BWS)"
    assert ax.get_title("right") == "makespan 11"
    assert 11 in [line.get_xdata()[0] for line in ax.lines]  # type: ignore[index]


def test_gantt_shows_outages() -> None:
    problem = JobShop(**OPPOSITE, maintenance=[(0, 2, 4)], interruptions=Interruptions(p=0.5))  # type: ignore[arg-type]
    world = Outages(np.array([[0, 2], [0, 0]]), np.array([[1, 1, 3]]))
    plan = Schedule.from_sequences(problem, [[0, 1], [1, 0]], world)
    assert problem.evaluate(plan, world).feasible
    ax = gantt(problem, plan, scenario=world)
    down = [bar[:3] for bar in bars(ax) if bar[3]]
    assert down == [(0, 2, 4), (1, 1, 3), (1, 11, 13)]  # maintenance, breakdown, extra time of job 0
    work = [bar[:3] for bar in bars(ax) if not bar[3]]
    assert work == [(0, 0, 2), (0, 4, 5), (0, 7, 13), (1, 0, 1), (1, 3, 7), (1, 7, 11), (1, 11, 13)]  # and a frame
    assert "down" in [t.get_text() for t in ax.get_legend().get_texts()]  # type: ignore[union-attr]


def test_gantt_leaves_narrow_bars_without_a_name() -> None:
    problem = JobShop(machines=[[0], [0]], durations=[[1], [400]], job_names=["a very long name", "a short one"])
    ax = gantt(problem, Schedule.from_sequences(problem, [[0, 1]]))
    assert texts(ax) == ["a short one"]


def test_on_given_axes_and_saved(swap: tuple[JobShop, Schedule], tmp_path: Any) -> None:
    figure = Figure()
    left, middle, right = figure.subplots(1, 3)
    assert gantt(*swap, ax=left) is left
    assert utilisation(*swap, ax=middle) is middle
    assert disjunctive_graph_plot(*swap, ax=right) is right
    figure.savefig(tmp_path / "all.png")
    assert (tmp_path / "all.png").stat().st_size > 10_000
    own = gantt(*swap)
    own.figure.savefig(tmp_path / "own.svg")
    assert "<svg" in (tmp_path / "own.svg").read_text()


def test_pyplot_is_not_touched() -> None:
    code = """
import sys
import orrl.problems.jobshop.plot as plot
assert "matplotlib" not in sys.modules, "imported before anything is drawn"
from orrl.problems.jobshop import JobShop, Schedule
shop = JobShop(machines=[[0, 1], [1, 0]], durations=[[3, 4], [5, 6]])
plan = Schedule.from_sequences(shop, [[0, 1], [1, 0]])
for ax in (plot.gantt(shop, plan), plot.utilisation(shop, plan), plot.disjunctive_graph_plot(shop, plan)):
    ax.figure.savefig("/dev/null", format="png")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_thirty_jobs_have_thirty_colours() -> None:
    colours = np.array(job_colours(31))
    apart = np.abs(colours[:30, None] - colours[None, :30]).sum(axis=2) + 9 * np.eye(30)
    assert apart.min() > 0.1
    assert tuple(colours[30]) == tuple(colours[0])
    for colour in colours:  # names on the bars can be read: contrast of at least 3 (WCAG 2, large text)
        ink = to_rgb(readable_on(colour))
        light, dark = sorted((_luminance(colour), _luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3


def _luminance(colour: Any) -> float:
    channel = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * channel[0] + 0.7152 * channel[1] + 0.0722 * channel[2]


# ---- use of the machines ---------------------------------------------------------------------------------------------
def test_utilisation_of_a_blocking_shop(swap: tuple[JobShop, Schedule]) -> None:
    assert machine_use(*swap).tolist() == [[9, 2, 0, 0], [9, 0, 0, 2]]
    ax = utilisation(*swap)
    legend = ax.get_legend()
    assert legend is not None and [t.get_text() for t in legend.get_texts()] == ["processing", "blocked", "idle"]
    assert texts(ax) == ["82%", "82%"]
    widths = sum(bar[2] - bar[1] for bar in bars(ax))
    assert widths == pytest.approx(200)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_use_against_a_clock(data: st.DataObject) -> None:
    """Every unit of time on every machine is looked at; only extra times, which have no place, are added."""
    problem, world = data.draw(shops_in_worlds(max_jobs=4))
    kernel = ShopKernel([problem])
    state = kernel.reset([world])
    play_on(kernel, state, np.random.default_rng(data.draw(SEEDS)))
    assume(not kernel.failed(state)[0])
    plan = Schedule.realised(problem, kernel.snapshot(state, 0).start, world)
    windows = problem.maintenance.tolist() + world.windows.tolist()
    own = [(int(j), int(k)) for j, k in zip(*np.nonzero(problem.machines >= 0), strict=True)]
    counted = np.zeros((problem.n_machines, 4), np.int64)
    for m in range(problem.n_machines):
        for t in range(plan.makespan):
            here = [o for o in own if problem.machines[o] == m and plan.start[o] <= t < plan.leave[o]]
            down = any(machine == m and begin <= t < end for machine, begin, end in windows)
            if any(t >= plan.finish[o] for o in here):
                counted[m, 1] += 1
            else:
                counted[m, 2 if down else 0 if here else 3] += 1
        extra = sum(int(world.extra[o]) for o in own if problem.machines[o] == m)
        counted[m, 0] -= extra
        counted[m, 2] += extra
    use = machine_use(problem, plan, world)
    assert use.tolist() == counted.tolist()
    assert (use.sum(axis=1) == plan.makespan).all()


@settings(max_examples=8, deadline=None)
@given(shops_in_worlds())
def test_every_shop_can_be_drawn(drawn: tuple[JobShop, Outages]) -> None:
    problem, world = drawn
    kernel = ShopKernel([problem])
    state = kernel.reset([world])
    play_on(kernel, state, np.random.default_rng(0))
    assume(not kernel.failed(state)[0])
    plan = Schedule.realised(problem, kernel.snapshot(state, 0).start, world)
    gantt(problem, plan, scenario=world)
    utilisation(problem, plan, scenario=world)
    disjunctive_graph_plot(problem, scenario=world)


# ---- graph -----------------------------------------------------------------------------------------------------------
def test_graph_of_decisions(swap: tuple[JobShop, Schedule]) -> None:
    problem, _ = swap
    ax = disjunctive_graph_plot(problem)
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == 2 + 2 + 2 + 2  # from the start, within jobs, to the end, one line for each pair
    assert {"Anna", "Bert", "start", "end", "3", "4", "5", "6"} == set(texts(ax))
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["lathe", "oven"]  # type: ignore[union-attr]


def test_graph_of_a_schedule(swap: tuple[JobShop, Schedule]) -> None:
    ax = disjunctive_graph_plot(*swap)
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == 2 + 2 + 2 + 2
    heavy = [arrow for arrow in arrows if arrow.get_linewidth() > 2]
    assert len(heavy) == 3  # start, Bert on the oven, Bert on the lathe, end
    assert sum(arrow.get_linestyle() not in ("solid", "-") for arrow in arrows) == 2  # who waits for whom
