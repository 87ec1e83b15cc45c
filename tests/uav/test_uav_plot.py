"""Pictures of a network: what is drawn equals the problem's numbers, in the user's names, without pyplot."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from orrl.core.errors import DataError
from orrl.core.plot_style import safe_colours
from orrl.problems.uav import Flight, UavOffloading, UavState
from orrl.problems.uav.plot import animate, association_timeline, coverage_map, footprint, price_map, trajectories

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("Alpha", "Bravo")


def network(**options: Any) -> UavOffloading:
    own = {"no_fly": [(2, 3)], "stations": [(310.0, 90.0)], "station_power": 5.0, "uav_names": NAMES, "name": "valley"}
    return UavOffloading.generate(**{"seed": 2, "grid": (5, 4), "uavs": 2, "users": 30, "slots": 6, **own, **options})


def flown(problem: UavOffloading, seed: int = 0) -> Flight:
    """A random flight that the referee accepts."""
    rng = np.random.default_rng(seed)
    rows = [problem.position[0].tolist()]
    while len(rows) < problem.n_slots:
        row = list(rows[-1])
        for u in range(problem.n_uavs):
            free = [c for c in problem.targets[row[u]] if c >= 0 and c not in row[:u] + row[u + 1 :]]
            row[u] = int(rng.choice([*free, row[u]]))
        rows.append(row)
    flight = problem.from_paths(np.array(rows))
    assert problem.evaluate(flight).feasible
    return flight


@pytest.fixture(scope="module")
def valley() -> UavOffloading:
    return network()


@pytest.fixture(scope="module")
def flight(valley: UavOffloading) -> Flight:
    return flown(valley)


def points(ax: Any, colour: Any) -> list[tuple[float, float]]:
    """Places of the small marks filled with a colour."""
    found = []
    for mark in ax.collections:
        if not isinstance(mark, LineCollection) and len(mark.get_facecolors()) and mark.get_sizes()[0] < 30:
            found += (
                [tuple(p) for p in mark.get_offsets()] if to_rgb(mark.get_facecolors()[0]) == to_rgb(colour) else []
            )
    return sorted(found)


def shades(ax: Any) -> Any:
    return np.asarray(ax.images[0].get_array())


def legend(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


# ---- coverage map ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("slot", [1, 4, 6])
def test_coverage_map_shows_who_serves_whom(valley: UavOffloading, flight: Flight, slot: int) -> None:
    ax = coverage_map(valley, flight, slot)
    place, server = valley.users[slot - 1], flight.server[slot - 1]
    for u, colour in enumerate(safe_colours(2)):
        assert points(ax, colour) == sorted(map(tuple, place[server == u]))
    rings = [m for m in ax.collections if not isinstance(m, LineCollection) and m.get_sizes()[0] == 12]
    assert sorted(map(tuple, np.concatenate([m.get_offsets() for m in rings]))) == sorted(map(tuple, place[server < 0]))
    rays = [m.get_segments() for m in ax.collections if isinstance(m, LineCollection)][-2:]
    for u, own in enumerate(rays):
        assert len(own) == (server == u).sum()
        assert all(np.array_equal(ray[0], valley.centres[flight.cells[slot - 1, u]]) for ray in own)
    marks = [m for m in ax.collections if not isinstance(m, LineCollection)]
    large = [tuple(m.get_offsets()[0]) for m in marks if m.get_sizes()[0] == 190]
    assert large == [tuple(valley.centres[c]) for c in flight.cells[slot - 1]]
    assert [t.get_text() for t in ax.texts] == list(NAMES)
    counts = [f"{n}: {int((server == u).sum())} users" for u, n in enumerate(NAMES)]
    assert legend(ax) == [*counts, "not served", "base station", "no-fly"]
    assert ax.get_title("left") == "valley (SINR)"
    assert ax.get_title("right") == f"slot {slot} of 6: {int((server >= 0).sum())} of 30 users served"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("east (m)", "north (m)")
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 500), (0, 400))
    closed = [p.get_xy() for p in ax.patches if isinstance(p, Rectangle)]
    assert closed == [(200, 300)]


def test_ground_counts_users_covered(valley: UavOffloading, flight: Flight) -> None:
    ax = coverage_map(valley, flight, 3, colour="users")
    np.testing.assert_array_equal(shades(ax), valley.radio.covered[2].sum(axis=1).reshape(4, 5))
    assert tuple(ax.images[0].get_extent()) == (0, 500, 0, 400) and ax.images[0].origin == "lower"


@pytest.mark.parametrize("options", [{}, {"interference": False}, {"stations": (), "altitude": 60.0}])
def test_footprint_is_the_radio_of_users_standing_there(options: dict[str, Any]) -> None:
    problem = network(**options)
    cells = flown(problem).cells[-1]
    area = footprint(problem, 1, cells, pixels=2)
    middle = 25 + 50 * np.stack(np.meshgrid(np.arange(10), np.arange(8)), axis=-1).reshape(-1, 2)
    there = problem.replace(users=np.stack([middle, middle]), user_names=None)
    able = there.radio.candidates(0, cells)
    best = np.where(able, there.radio.power[0, cells], -1).argmax(axis=0)
    np.testing.assert_array_equal(area.ravel(), np.where(able.any(axis=0), best, -1))
    assert {0, 1} <= set(area.ravel().tolist())


def test_areas_have_the_colours_of_the_uavs(valley: UavOffloading, flight: Flight) -> None:
    ax = coverage_map(valley, flight, 2)
    area, drawn = footprint(valley, 2, flight.cells[1]), shades(ax)
    for u, colour in enumerate(safe_colours(2)):
        assert (drawn[area == u][:, :3] == colour).all()
    assert (drawn[area == -1][:, 3] == 0).all() and (drawn[area >= 0][:, 3] > 0).all()


def test_without_a_flight_only_the_past_is_known(valley: UavOffloading) -> None:
    cells = flown(valley).cells[:3]
    begun = valley.at(UavState(cells))
    ax = coverage_map(begun, slot=3)
    whole = begun.from_paths(flown(valley).cells)
    assert points(ax, safe_colours(1)[0]) == sorted(map(tuple, begun.users[2][whole.server[2] == 0]))
    later = coverage_map(begun, slot=4)
    assert not later.texts and later.get_title("right") == "slot 4 of 6"


# ---- the others ------------------------------------------------------------------------------------------------------
def test_timeline_stacks_users_served(valley: UavOffloading, flight: Flight) -> None:
    ax = association_timeline(valley, flight)
    heights = np.array([p.get_height() for p in ax.patches]).reshape(2, 6)
    floors = np.array([p.get_y() for p in ax.patches]).reshape(2, 6)
    served = flight.to_frame().pivot(index="uav", columns="slot", values="served").loc[list(NAMES)].to_numpy()
    np.testing.assert_array_equal(heights, served)
    np.testing.assert_array_equal(floors, [np.zeros(6), served[0]])
    assert f"{int(valley.evaluate(flight).objective)} user-slots" in ax.get_title("right")
    assert set(legend(ax)) == {*NAMES, "all users"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("slot (10 s each)", "users served")


def test_trajectories_are_the_cells(valley: UavOffloading, flight: Flight) -> None:
    ax = trajectories(valley, flight)
    assert len(ax.lines) == 2
    for u, line in enumerate(ax.lines):
        gap = np.column_stack(line.get_data()) - valley.centres[flight.cells[:, u]]
        np.testing.assert_allclose(gap, gap[0, 0])  # one small shift for a whole way
        assert abs(gap[0, 0]) < 0.35 * valley.cell
    np.testing.assert_array_equal(shades(ax), valley.radio.covered.sum(axis=(0, 2)).reshape(4, 5))
    assert legend(ax) == [*NAMES, "start"]


def test_price_map_takes_cells_or_slots(valley: UavOffloading) -> None:
    price = np.random.default_rng(0).normal(size=(6, 20))
    for given, slot, want in [
        (price[0], None, price[0]),
        (price, None, price.mean(axis=0)),
        (price, 2, price[1]),
        (price[2:], 3, price[2]),  # the last four slots
    ]:
        ax = price_map(valley, given, slot=slot, label="mu (users)")
        np.testing.assert_allclose(shades(ax), want.reshape(4, 5))
        low, high = ax.images[0].get_clim()
        assert low == -high  # two signs: white is 0
        assert "mu (users)" in [a.get_ylabel() for a in ax.figure.axes]  # type: ignore[union-attr]
    assert price_map(valley, abs(price)).images[0].get_clim()[0] > 0


def test_on_given_axes_and_saved(valley: UavOffloading, flight: Flight, tmp_path: Path) -> None:
    figure = Figure()
    a, b, c, d = figure.subplots(2, 2).ravel()
    assert coverage_map(valley, flight, 2, ax=a) is a
    assert association_timeline(valley, flight, ax=b) is b
    assert trajectories(valley, flight, ax=c) is c
    assert price_map(valley, np.arange(20.0), ax=d) is d
    figure.savefig(tmp_path / "all.png")
    assert (tmp_path / "all.png").stat().st_size > 10_000


def test_animation(valley: UavOffloading, flight: Flight, tmp_path: Path) -> None:
    path = animate(valley, flight, tmp_path / "way.gif", dpi=40)
    with Image.open(path) as picture:
        assert picture.n_frames == valley.n_slots  # type: ignore[attr-defined]
        assert picture.info["duration"] == 500
    page = animate(valley, flight, str(tmp_path / "way.html"), dpi=30).read_text()
    assert page.count("data:image/png;base64") == valley.n_slots


def test_bad_input_is_named(valley: UavOffloading, flight: Flight, tmp_path: Path) -> None:
    for call, words in [
        (lambda: coverage_map(valley, flight, 7), "slot is 7"),
        (lambda: coverage_map(valley, flight, colour="heat"), "'heat'"),  # type: ignore[arg-type]
        (lambda: coverage_map(network(slots=5), flight), r"has cells \(6, 2\)"),
        (lambda: price_map(valley, np.zeros(19)), r"\(19,\)"),
        (lambda: price_map(valley, np.zeros((7, 20))), "7 rows"),
        (lambda: price_map(valley, np.zeros((4, 20)), slot=2), "slots 3 to 6"),
        (lambda: price_map(valley, np.zeros(20), slot=1), "have no slots"),
        (lambda: animate(valley, flight, tmp_path / "way.mp4"), r"\.mp4"),
    ]:
        with pytest.raises(DataError, match=words):
            call()


def test_pyplot_is_not_touched(tmp_path: Path) -> None:
    code = """
import sys
import numpy as np
import orrl.problems.uav.plot as plot
assert "matplotlib" not in sys.modules, "imported before anything is drawn"
from orrl.problems.uav import UavOffloading
p = UavOffloading.generate(seed=1, grid=3, uavs=2, users=5, slots=3)
flight = p.from_paths(np.repeat(p.position, 3, axis=0))
plot.coverage_map(p, flight).figure.savefig("/dev/null", format="png")
plot.animate(p, flight, sys.argv[1], dpi=20)
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "way.gif")], check=True, timeout=120)
