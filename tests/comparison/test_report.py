"""The report: one file, nothing from outside, nothing left out."""

import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import pytest
from comparison_fakes import Bad, Exact, Learnt, Limited, Off, Player, Toy
from matplotlib.figure import Figure

from orrl.comparison import Comparison, compare
from orrl.comparison import html as pieces
from orrl.comparison.plots import colours, plot_anytime, plot_gaps, plot_profile, plot_tradeoff

mpl.use("Agg")
VOID = {"meta", "br", "img", "link", "hr", "input"}


@pytest.fixture(scope="module")
def table() -> Comparison:
    methods = {
        "exact": Exact(seconds=0.01),
        "limited": Limited(),
        "off <b>": Off(spread=0.05),
        "bad": Bad(above=300.0),
        "no": Bad(how="refuse"),
        "learnt": Player(Learnt(0.07, train_seconds=5.0)),
    }
    return compare([Toy(100.0 * (i + 1)) for i in range(4)], methods, seeds=2, time_limit=1.0)


class Checker(HTMLParser):
    """Balanced tags, and every address that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        for name in ("src", "data", "poster", "srcset"):
            self.fetched.append(found.get(name) or "")
        if tag in ("link", "use", "image", "script") or name == "href":
            self.fetched.append(found.get("href") or found.get("xlink:href") or "")
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    return checker


def test_report_needs_nothing_else(table: Comparison, tmp_path: Path) -> None:
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    path = table.report(
        tmp_path / "new" / "r.html", title="A <title>", figures=[("A plan", figure), ("Axes", figure.axes[0])]
    )
    page = path.read_text(encoding="utf-8")
    checker = checked(page)
    assert [a for a in checker.fetched if a and not a.startswith(("#", "data:"))] == []
    assert "@import" not in page and not re.search(r"url\((?!#|data:)", page)
    assert len(checker.ids) == len(set(checker.ids)), "two figures share a name"
    assert "A &lt;title&gt;" in page and "off &lt;b&gt;" in page and "off <b>" not in page
    assert page.count("<svg") == 7  # five of its own and two given
    assert "A plan" in page


def test_report_leaves_nothing_out(table: Comparison, tmp_path: Path) -> None:
    page = table.report(tmp_path / "r.html").read_text(encoding="utf-8")
    for anchor in (
        "summary",
        "warnings",
        "figures",
        "pairs",
        "instances",
        "failures",
        "formulas",
        "environment",
        "runs",
    ):
        assert f'<section id="{anchor}"' in page and f'href="#{anchor}"' in page
    assert 'id="plans"' not in page
    assert page.count("RuntimeError: the wheels came off") >= 4
    assert page.count("bad cannot solve") >= 8
    assert "Traceback" in page or "raise RuntimeError" in page
    for row in table.rows:
        assert row.cell.problem_hash in page
    runs = page[page.index('id="runs"') :]
    assert runs.count("<tr>") - 1 == len(table.rows)
    assert (table.setting["versions"]["cpu"]) in page


def test_report_of_what_never_worked(tmp_path: Path) -> None:
    table = compare(Toy(100.0), {"bad": Bad(), "no": Bad(how="refuse")})
    checked(table.report(tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "bad" in str(table)


def test_report_of_perfect_information(tmp_path: Path) -> None:
    table = compare(Toy(100.0, noisy=True), {"told": Exact(), "blind": Off()}, scenarios=4)
    page = table.report(tmp_path / "r.html").read_text(encoding="utf-8")
    checked(page)
    assert "perfect information" in page and "for reference" in page


@pytest.mark.parametrize("plot", [plot_gaps, plot_anytime, plot_profile, plot_tradeoff])
def test_plots_take_and_return_axes(table: Comparison, plot: object) -> None:
    ax = Figure().add_subplot()
    assert plot(table, ax) is ax  # type: ignore[operator]
    assert ax.get_xlabel()
    assert plot(table).get_xlabel() == ax.get_xlabel()  # type: ignore[operator]
    mpl.pyplot.close("all")


def test_lines_of_a_plot_are_the_numbers(table: Comparison) -> None:
    ax = plot_anytime(table, Figure().add_subplot())
    curves = table.anytime()
    for line in ax.get_lines():
        own = curves[curves["method"] == line.get_label()]
        assert list(line.get_ydata()) == list(own["gap"])
    assert len(set(colours(table).values())) == len(table.methods)


def test_a_huge_drawing_becomes_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = Figure()
    figure.add_subplot().plot(range(10))
    assert "<svg" in pieces.figure(figure, "x", salt="a")
    monkeypatch.setattr(pieces, "_LARGEST_SVG", 100)
    made = pieces.figure(figure, "x", salt="a")
    assert "data:image/png;base64," in made and "<svg" not in made
