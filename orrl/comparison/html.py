"""Style and small pieces of the HTML report: no external resources, nothing that needs the network."""

from __future__ import annotations

import base64
import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["SCRIPT", "STYLE", "Cell", "bar", "definitions", "figure", "grid", "section", "text"]

_LARGEST_SVG = 1_500_000

STYLE = """
:root { --ink:#111827; --soft:#4b5563; --faint:#9ca3af; --line:#e5e7eb; --paper:#ffffff; --wash:#f6f7f9; --blue:#1d4ed8;
  --warn:#92400e; --warn-wash:#fffbeb; --bad:#b91c1c; --good:#047857; }
* { box-sizing:border-box; }
html { scroll-behavior:smooth; }
body { margin:0; background:var(--wash); color:var(--ink); font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
  "Helvetica Neue",Arial,sans-serif; font-variant-numeric:tabular-nums; }
header { background:linear-gradient(120deg,#0f1f4b 0%,#1d3a8a 55%,#0e7490 100%); color:#fff; padding:44px 0 84px; }
main, header > div { max-width:1300px; margin:0 auto; padding:0 28px; }
header h1 { margin:0 0 6px; font-size:31px; line-height:1.2; letter-spacing:-.02em; font-weight:680; }
header p { margin:0; color:#dbe4ff; max-width:880px; }
main { margin-top:-54px; padding-bottom:60px; }
.facts { display:grid; grid-template-columns:repeat(auto-fit,minmax(150px,1fr)); gap:1px; background:var(--line);
  border-radius:12px; overflow:hidden; box-shadow:0 8px 28px rgba(15,31,75,.14); margin-bottom:26px; }
.facts div { background:var(--paper); padding:15px 18px; }
.facts b { display:block; font-size:22px; letter-spacing:-.01em; font-weight:650; line-height:1.25; }
.facts span { color:var(--soft); font-size:12.5px; }
nav { position:sticky; top:0; z-index:5; background:rgba(246,247,249,.94); backdrop-filter:blur(6px); padding:9px 0;
  margin-bottom:12px; font-size:13.5px; display:flex; gap:18px; flex-wrap:wrap; border-bottom:1px solid var(--line); }
nav a { color:var(--soft); text-decoration:none; } nav a:hover { color:var(--blue); }
section { background:var(--paper); border:1px solid var(--line); border-radius:12px; padding:24px 28px 26px;
  margin-bottom:22px; scroll-margin-top:52px; }
h2 { margin:0 0 4px; font-size:19.5px; letter-spacing:-.01em; font-weight:650; }
h2 + p { margin-top:0; } p.lead { color:var(--soft); margin:0 0 16px; max-width:900px; }
.scroll { overflow-x:auto; }
table { border-collapse:collapse; width:100%; font-size:13.2px; }
th { text-align:right; font-weight:600; color:var(--soft); font-size:11.8px; padding:6px 8px; vertical-align:bottom;
  border-bottom:1.5px solid var(--ink); white-space:nowrap; line-height:1.3; }
td { text-align:right; padding:6px 8px; border-bottom:1px solid var(--line); white-space:nowrap; }
th.left, td.left { text-align:left; } td.wrap { white-space:normal; min-width:280px; }
tbody tr:hover td { background:#f9fafb; }
tr.apart td { border-bottom:1px solid var(--line); color:var(--soft); }
tr.divider td { text-align:left; font-size:11.5px; letter-spacing:.05em; text-transform:uppercase; color:var(--faint);
  padding-top:16px; border-bottom:1px solid var(--faint); }
td small { color:var(--faint); margin-left:5px; font-size:11.5px; } td small.under { display:block;
  line-height:1.25; margin-left:0; }
.tag { display:inline-block; border-radius:99px; padding:0 9px; font-size:11.5px; line-height:19px; font-weight:550; }
.tag.exact { background:#dbeafe; color:#1e40af; } .tag.heuristic { background:#d1fae5; color:#065f46; }
.tag.rule { background:#fef3c7; color:#92400e; } .tag.learned { background:#fce7f3; color:#9d174d; }
.tag.other { background:#e5e7eb; color:#374151; }
.dot { display:inline-block; width:9px; height:9px; border-radius:50%; margin-right:8px; }
.bar { display:inline-block; position:relative; width:84px; height:9px; border-radius:5px; background:#eef0f4;
  margin-left:10px; vertical-align:middle; }
.bar i { position:absolute; left:0; top:0; bottom:0; border-radius:5px; opacity:.85; }
.bar u { position:absolute; top:3.5px; height:2px; background:var(--ink); opacity:.75; }
.good { color:var(--good); } .bad { color:var(--bad); } .faint { color:var(--faint); }
.figures { display:grid; grid-template-columns:repeat(auto-fit,minmax(480px,1fr)); gap:26px 30px; }
figure { margin:0; } figure.wide { grid-column:1/-1; }
figure svg, figure img { width:100%; height:auto; display:block; }
figcaption { color:var(--soft); font-size:13px; margin:0 0 8px; } figcaption b { color:var(--ink); font-weight:600; }
.warnings { background:var(--warn-wash); border-color:#fde68a; }
.warnings ul { margin:8px 0 0; padding-left:20px; } .warnings li { margin:3px 0; color:var(--warn); }
.heat th { white-space:normal; }
.heat td { padding:6px; border:2px solid var(--paper); border-radius:4px; }
dl { display:grid; grid-template-columns:max-content 1fr; gap:6px 22px; margin:10px 0 0; font-size:13.8px; }
dt { font-weight:600; } dd { margin:0; color:var(--soft); }
details summary { cursor:pointer; color:var(--blue); font-size:13.8px; margin-top:8px; }
pre { background:var(--wash); border:1px solid var(--line); border-radius:8px; padding:12px 14px; overflow-x:auto;
  font-size:12px; line-height:1.45; }
th[data-sort] { cursor:pointer; } th[data-sort]:hover { color:var(--blue); }
footer { color:var(--faint); font-size:12.5px; text-align:center; padding:4px 0 0; }
@media print { body { background:#fff; } nav { display:none; }
  section { break-inside:avoid; border:0; padding:12px 0; } }
@media (max-width:640px) { .figures { grid-template-columns:1fr; } section { padding:18px 16px; } }
"""

# Sorting by a click on a heading; everything is readable without it.
SCRIPT = """
for (const th of document.querySelectorAll("th[data-sort]")) th.addEventListener("click", () => {
  const table = th.closest("table"), body = table.tBodies[0], i = th.cellIndex, up = th.dataset.sort !== "up";
  for (const other of table.querySelectorAll("th[data-sort]")) other.dataset.sort = "";
  th.dataset.sort = up ? "up" : "down";
  const value = row => row.cells[i].dataset.v ?? row.cells[i].textContent;
  const rows = [...body.rows].sort((a, b) => {
    const x = value(a), y = value(b), n = parseFloat(x) - parseFloat(y);
    return (up ? 1 : -1) * (Number.isNaN(n) ? x.localeCompare(y) : n);
  });
  body.append(...rows);
});
"""


class Cell:
    """One table cell: HTML that is already escaped, its class, and the value to sort by."""

    def __init__(self, html: str, *, kind: str = "", value: float | str | None = None, style: str = "") -> None:
        self.html, self.kind, self.value, self.style = html, kind, value, style

    def __str__(self) -> str:
        attributes = "".join(
            f' {name}="{escape(str(found))}"'
            for name, found in (("class", self.kind), ("style", self.style), ("data-v", self.value))
            if found not in ("", None)
        )
        return f"<td{attributes}>{self.html}</td>"


def text(value: object, kind: str = "") -> Cell:
    """A cell of plain text."""
    return Cell(escape(str(value)), kind=kind)


def grid(
    headings: Sequence[tuple[str, str]],
    rows: Iterable[tuple[str, Sequence[Cell]]],
    *,
    sort: bool = False,
    kind: str = "",
) -> str:
    """A table.

    Parameters
    ----------
    headings : sequence of (text, class)
        Line breaks in the text are kept.
    rows : iterable of (class, cells)
        Rows of one cell span the table.
    sort : bool
        Whether a click on a heading sorts.
    kind : str
        Class of the table.
    """
    mark = ' data-sort=""' if sort else ""
    head = "".join(f'<th class="{k}"{mark}>{escape(name).replace(chr(10), "<br>")}</th>' for name, k in headings)
    body = []
    for row_kind, cells in rows:
        inner = "".join(str(cell) for cell in cells)
        if len(cells) == 1:
            inner = f'<td colspan="{len(headings)}">{cells[0].html}</td>'
        body.append(f'<tr class="{row_kind}">{inner}</tr>' if row_kind else f"<tr>{inner}</tr>")
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def bar(share: float, colour: str, interval: tuple[float, float] | None = None) -> str:
    """A bar within a table cell, `share` of its width, with a line for the interval."""
    inside = f'<i style="width:{100 * min(max(share, 0.0), 1.0):.1f}%;background:{colour}"></i>'
    if interval is not None:
        low, high = (100 * min(max(v, 0.0), 1.0) for v in interval)
        inside += f'<u style="left:{low:.1f}%;width:{max(high - low, 1.0):.1f}%"></u>'
    return f'<span class="bar">{inside}</span>'


def section(name: str, title: str, body: str, *, lead: str = "", kind: str = "") -> str:
    """A card with a heading; `name` is its anchor."""
    intro = f'<p class="lead">{lead}</p>' if lead else ""
    return f'<section id="{name}" class="{kind}"><h2>{escape(title)}</h2>{intro}{body}</section>'


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of terms and what they mean."""
    return "<dl>" + "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in pairs) + "</dl>"


def figure(drawing: Any, caption: str, *, salt: str, wide: bool = False) -> str:
    """A matplotlib Figure or Axes as inline SVG, as PNG where that would pass 1.5 MB; `caption` is HTML."""
    import matplotlib as mpl

    drawn = getattr(drawing, "figure", None) or drawing
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "path"}):
        drawn.savefig(
            out, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight", transparent=True
        )
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    # glyphs and clips of two figures must not share names
    svg = re.sub(r'\bid="', f'id="{salt}-', svg)
    svg = svg.replace('xlink:href="#', f'xlink:href="#{salt}-').replace("url(#", f"url(#{salt}-")
    inner = svg.replace("<svg", f'<svg role="img" aria-label="{escape(re.sub("<[^>]*>", "", caption))}"', 1)
    if len(svg) > _LARGEST_SVG:
        raw = io.BytesIO()
        drawn.savefig(raw, format="png", dpi=160, bbox_inches="tight")
        inner = f'<img alt="" src="data:image/png;base64,{base64.b64encode(raw.getvalue()).decode()}">'
    return f'<figure class="{"wide" if wide else ""}"><figcaption>{caption}</figcaption>{inner}</figure>'
