"""Colours and axes that the pictures of all problems share. Matplotlib is imported when something is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

__all__ = ["DOWN", "FAINT", "INK", "LINE", "new_axes", "readable_on", "safe_colours", "tidy", "unlike_colours"]

# ten hues that stay apart for most eyes; colours 11-20 are their light, 21-30 their dark versions
HUES = ("4E79A7", "F28E2B", "59A14F", "E15759", "6FB7B4", "EDC948", "8E6BB5", "D65DA3", "9C755F", "8A8F98")
# Okabe & Ito (2008), chosen for colour-blind eyes; without black and yellow, which do not read as lines on white
SAFE = ("0072B2", "E69F00", "009E73", "D55E00", "CC79A7", "56B4E9")
INK, FAINT, LINE = "#2b2d33", "#e3e5e9", "#8a9099"
DOWN: dict[str, Any] = {"facecolor": "#eef0f2", "edgecolor": "#b3b8c1", "hatch": "\\\\\\\\\\", "linewidth": 0}


Colour = tuple[float, float, float]


def unlike_colours(n: int) -> list[Colour]:
    """Many colours, as red, green and blue in [0, 1]; 30 differ, then they repeat."""
    own = _rgb(HUES)
    return _repeat(np.concatenate([own, 0.5 + 0.5 * own, 0.58 * own]), n)


def safe_colours(n: int) -> list[Colour]:
    """Few colours that colour-blind eyes keep apart: six, then their darker and lighter versions, then they repeat."""
    own = _rgb(SAFE)
    return _repeat(np.concatenate([own, 0.55 * own, 0.45 + 0.55 * own]), n)


def _rgb(codes: tuple[str, ...]) -> npt.NDArray[np.float64]:
    return np.array([[int(text[i : i + 2], 16) / 255 for i in (0, 2, 4)] for text in codes])


def _repeat(shades: npt.NDArray[np.float64], n: int) -> list[Colour]:
    return [tuple(shades[j % len(shades)].tolist()) for j in range(n)]


def new_axes(size: tuple[float, float]) -> Axes:
    """A figure of its own, without pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, dpi=130, layout="constrained").subplots()


def readable_on(colour: Any) -> str:
    """Black or white, whichever reads better on a colour (relative luminance, WCAG 2)."""
    from matplotlib.colors import to_rgb

    channel = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = 0.2126 * channel[0] + 0.7152 * channel[1] + 0.0722 * channel[2]
    return INK if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "white"


def tidy(ax: Axes) -> None:
    """Few lines: no frame, a faint vertical grid behind the bars."""
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(LINE)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(colors=INK, labelsize=9)
    ax.grid(axis="x", color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
