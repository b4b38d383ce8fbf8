"""What all pictures share, and the panels of the overview: palette, style, lines with intervals, names that keep apart.

Colours are Okabe and Ito's (jfly.uni-koeln.de/color, 2008), which colour-blind readers can tell apart.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform

BLUE, ORANGE, GREEN, PINK, SKY, RED, BLACK = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000"
INK, SOFT = "#1c2127", "#5c6670"
CLASS_COLOURS = [BLUE, ORANGE, GREEN, PINK, SKY, RED, BLACK]
CLASS_MARKERS = ["o", "^", "s", "X", "D", "v", "P"]
ENCODER_COLOURS = {"mofore": BLUE, "random_init": ORANGE}

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same on every machine
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$5"
    "axes.edgecolor": "#aab2ba",
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e8ebee",
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "lines.linewidth": 2.2,
    "lines.markersize": 4,
}


def add_title(ax: Axes, name: str, how_to_read: str) -> None:
    """A panel's name in bold, and below it a line in small print."""
    ax.set_title(name, loc="left", fontsize=13, fontweight="bold", pad=24)
    ax.annotate(
        how_to_read, (0, 1), (0, 8), xycoords="axes fraction", textcoords="offset points", color=SOFT, fontsize=10
    ).set_in_layout(False)  # else a long one would narrow its column's charts


def draw_line(ax: Axes, x: Any, y: Any, colour: str, dashes: Any = "-", band: pd.DataFrame | None = None) -> None:
    """A line with some of its points marked, and the interval `low` to `high` of each point as a band."""
    ax.plot(x, y, linestyle=dashes, color=colour, marker="o", markevery=max(1, len(x) // 15), clip_on=False)
    if band is not None:
        ax.fill_between(x, band["low"], band["high"], color=colour, alpha=0.15, linewidth=0)


def label_lines(ax: Axes, lines: list[tuple[float, str, str]]) -> list[Text]:
    """Write each line's name beside its right end: (y of the end, name, colour). Names may overlap until `part`."""
    return [label_at_right(ax, y, name, colour) for y, name, colour in lines]


def label_at_right(ax: Axes, y: float, text: str, colour: str) -> Text:
    """Write beside the right edge of a panel, at a height in the panel's own units."""
    return ax.text(1.02, y, text, color=darker(colour), fontsize=10, va="center", transform=ax.get_yaxis_transform())


def show_message(ax: Axes, text: str) -> list[Text]:
    """A panel that has nothing to draw, and why; it has no names to part."""
    ax.axis("off")
    ax.text(0.5, 0.5, text, ha="center", va="center", color=SOFT, transform=ax.transAxes, in_layout=False)
    return []


def separate_labels(names: list[Text]) -> None:
    """Push overlapping names apart, up and down, by a few rounds of half the overlap each.

    The layout must be final: from here on the names stand at places in pixels.
    """
    boxes = [name.get_window_extent() for name in names]
    centre_y = np.array([(box.y0 + box.y1) / 2 for box in boxes])
    for _ in range(50):
        for i in range(len(names)):
            for j in range(i):
                apart = abs(boxes[i].x0 + boxes[i].x1 - boxes[j].x0 - boxes[j].x1) >= boxes[i].width + boxes[j].width
                overlap = (boxes[i].height + boxes[j].height) / 2 - abs(centre_y[i] - centre_y[j])
                if not apart and overlap > 0:
                    up, down = (i, j) if centre_y[i] >= centre_y[j] else (j, i)
                    centre_y[up] += overlap / 2
                    centre_y[down] -= overlap / 2
    for name, box, y in zip(names, boxes, centre_y, strict=True):
        name.set(transform=IdentityTransform(), position=(box.x0, y), ha="left", va="center")


def darker(colour: str) -> tuple[float, ...]:
    """For text: the palette's light colours are hard to read on white."""
    return tuple(0.65 * channel for channel in to_rgb(colour))


def class_style(number: int) -> tuple[str, str]:
    """Colour and marker of the class or group with this number: 49 that differ, then from the beginning."""
    return CLASS_COLOURS[number % 7], CLASS_MARKERS[number // 7 % 7]


def shade_confusion(ax: Axes, confusion: pd.DataFrame, most: int, size: float) -> list[str]:
    """Draw how many videos of each class (rows) were taken for which (columns); the shade is the share of the row.

    Args:
        confusion: columns actual, predicted; a video a row.
        most: with more classes than these, counts could not be read and are left out.
        size: of the counts' print.

    Returns:
        The classes, by name, in the order of rows and columns.
    """
    classes = sorted({*confusion["actual"], *confusion["predicted"]})
    counts = pd.crosstab(confusion["actual"], confusion["predicted"])
    counts_CC = counts.reindex(index=classes, columns=classes, fill_value=0).to_numpy()
    share_CC = counts_CC / np.maximum(counts_CC.sum(axis=1, keepdims=True), 1)
    shades = LinearSegmentedColormap.from_list("share", ["white", BLUE])
    ax.imshow(share_CC, cmap=shades, vmin=0, vmax=1, aspect="auto", interpolation="none")
    ax.grid(visible=False)
    for i, j in np.argwhere(counts_CC) if len(classes) <= most else ():
        colour = "white" if share_CC[i, j] > 0.5 else INK
        ax.text(j, i, str(counts_CC[i, j]), ha="center", va="center", fontsize=size, color=colour)
    return classes


def shorten(name: str, most: int = 16) -> str:
    """A name from outside on one line, cut if long."""
    name = " ".join(str(name).split())
    return name if len(name) <= most else name[: most - 1] + "…"
