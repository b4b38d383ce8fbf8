"""Palette, matplotlib style and drawing helpers shared by all pictures.

The colours are those of Okabe and Ito (jfly.uni-koeln.de/color, 2008), which colour-blind readers can distinguish.

Shapes: C classes.
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
    "font.family": "DejaVu Sans",  # part of matplotlib, so every machine has it
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,  # class names may contain "$"
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
    """Write the name of a panel in bold, and below it how to read it, in small print."""
    ax.set_title(name, loc="left", fontsize=13, fontweight="bold", pad=24)
    ax.annotate(
        how_to_read, (0, 1), (0, 8), xycoords="axes fraction", textcoords="offset points", color=SOFT, fontsize=10
    ).set_in_layout(False)  # otherwise a long text would narrow the charts of its column


def draw_line(ax: Axes, x: Any, y: Any, colour: str, dashes: Any = "-", band: pd.DataFrame | None = None) -> None:
    """Draw a line with some of its points marked.

    Args:
        ax: the panel.
        x, y: the points.
        colour: of line, markers and band.
        dashes: a matplotlib line style.
        band: columns low and high, the interval of each point.
    """
    ax.plot(x, y, linestyle=dashes, color=colour, marker="o", markevery=max(1, len(x) // 15), clip_on=False)
    if band is not None:
        ax.fill_between(x, band["low"], band["high"], color=colour, alpha=0.15, linewidth=0)


def label_lines(ax: Axes, lines: list[tuple[float, str, str]]) -> list[Text]:
    """Write the name of each line at its right end. Call `separate_labels` afterwards: the names may overlap.

    Args:
        ax: the panel.
        lines: for each line, y of its right end, its name and its colour.
    """
    return [label_at_right(ax, y, name, colour) for y, name, colour in lines]


def label_at_right(ax: Axes, y: float, text: str, colour: str) -> Text:
    """Write a text to the right of a panel, at height `y` in data coordinates."""
    return ax.text(1.02, y, text, color=darker(colour), fontsize=10, va="center", transform=ax.get_yaxis_transform())


def show_message(ax: Axes, text: str) -> list[Text]:
    """Write a message in a panel that has nothing to draw. Returns no labels."""
    ax.axis("off")
    ax.text(0.5, 0.5, text, ha="center", va="center", color=SOFT, transform=ax.transAxes, in_layout=False)
    return []


def separate_labels(labels: list[Text]) -> None:
    """Move overlapping texts apart vertically, in up to 50 rounds.

    Call it after the layout is final: it replaces the position of each text by pixels.
    """
    boxes = [label.get_window_extent() for label in labels]
    centre_y = np.array([(box.y0 + box.y1) / 2 for box in boxes])
    for _ in range(50):
        for i in range(len(labels)):
            for j in range(i):
                apart = abs(boxes[i].x0 + boxes[i].x1 - boxes[j].x0 - boxes[j].x1) >= boxes[i].width + boxes[j].width
                overlap = (boxes[i].height + boxes[j].height) / 2 - abs(centre_y[i] - centre_y[j])
                if not apart and overlap > 0:
                    up, down = (i, j) if centre_y[i] >= centre_y[j] else (j, i)
                    centre_y[up] += overlap / 2
                    centre_y[down] -= overlap / 2
    for label, box, y in zip(labels, boxes, centre_y, strict=True):
        label.set(transform=IdentityTransform(), position=(box.x0, y), ha="left", va="center")


def darker(colour: str) -> tuple[float, ...]:
    """Darken a colour of the palette for text, because light colours are hard to read on white."""
    return tuple(0.65 * channel for channel in to_rgb(colour))


def class_style(number: int) -> tuple[str, str]:
    """Colour and marker of a class or group by its number. There are 49 combinations, then they repeat."""
    return CLASS_COLOURS[number % 7], CLASS_MARKERS[number // 7 % 7]


def shade_confusion(ax: Axes, confusion: pd.DataFrame, most: int, size: float) -> list[str]:
    """Draw a confusion matrix: rows are actual classes, columns predicted ones, the shade is the share of the row.

    Args:
        ax: the panel.
        confusion: columns actual, predicted; one row per video.
        most: maximum number of classes for which the counts are written into the cells.
        size: font size of the counts, in points.

    Returns:
        The class names in the order of rows and columns, sorted.
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
    """Put a name on one line and cut it to `most` characters."""
    name = " ".join(str(name).split())
    return name if len(name) <= most else name[: most - 1] + "…"
