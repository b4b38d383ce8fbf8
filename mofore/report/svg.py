"""Draw small charts as SVG for the report page. They are legible on a phone; the same data gives the same bytes."""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
import matplotlib.style
import pandas as pd
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mofore.report.style import BLACK, BLUE, GREEN, PINK, RED, STYLE

WIDTH = 4.7  # inches, or 338 SVG units: about as many pixels as a phone is wide, so font sizes are true on a phone
SVG_STYLE: dict[str, Any] = STYLE | {
    "svg.fonttype": "none",  # keep text as text, which is small and can be selected; the page sets the font
    "font.size": 10.5,
    "lines.linewidth": 2,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.2,
    "legend.borderpad": 0,
}


@contextmanager
def svg_style() -> Iterator[None]:
    """Apply SVG_STYLE in a `with` block, whatever the user's own matplotlib settings."""
    with matplotlib.style.context(["default", SVG_STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # in the layout font; browsers use other fonts
        yield


class LineStyle(NamedTuple):
    """Colour, marker and dashes of a line, so that lines differ without colour too."""

    colour: str
    marker: str = "o"
    dashes: str = "-"


LINE_STYLES = [
    LineStyle(BLUE),
    LineStyle(RED, "s", "--"),
    LineStyle(GREEN, "^", "-."),
    LineStyle(BLACK, "D", ":"),
    LineStyle(PINK, "v", "--"),
]


class Chart:
    """A matplotlib figure of one or more panels that becomes SVG. Use it only within `svg_style()`.

    Attributes:
        axes: the panels, row by row.
    """

    def __init__(self, height: float, rows: int = 1, columns: int = 1, **options: Any) -> None:
        """Create the panels.

        Args:
            height: of the figure, in inches.
            rows, columns: of the grid of panels.
            options: passed to `Figure.subplots`.
        """
        self._figure = Figure(figsize=(WIDTH, height), layout="constrained")
        self.axes: list[Axes] = list(self._figure.subplots(rows, columns, squeeze=False, **options).flat)

    def legend(self, columns: int = 2, lines: Sequence[Artist] = ()) -> None:
        """Draw a legend above all panels.

        Args:
            columns: of the legend.
            lines: lines to name; by default the labelled lines of the first panel. matplotlib ignores labels that begin
                with "_" there, but not those of `lines`.
        """
        lines = lines or self.axes[0].get_legend_handles_labels()[0]
        names = [str(drawn.get_label()) for drawn in lines]
        self._figure.legend(lines, names, loc="outside upper left", ncols=columns)

    def svg(self, name: str, alt: str) -> Markup:
        """The `<svg>` element, without the XML prolog and unused ids.

        Args:
            name: unique in the page; the ids within the drawing derive from it.
            alt: description for screen readers, plain text.
        """
        file = io.StringIO()
        with matplotlib.rc_context({"svg.hashsalt": name}):
            metadata = dict.fromkeys(("Date", "Creator", "Type", "Format"))
            self._figure.savefig(file, format="svg", metadata=metadata)
        drawing = file.getvalue()
        inner = drawing[drawing.index("</defs>") + len("</defs>") :]  # skips the prolog and a style sheet
        inner = re.sub(r'<g id="[^"]*"', "<g", inner)  # unused, and not unique in the page
        inner = re.sub(r'(<text style="[^"]*?)font-family: [^;"]*;? ?', r"\1", inner)
        width, height = self._figure.get_size_inches() * 72
        opening = Markup('<svg viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">').format(width, height, alt)
        return opening + Markup(inner.rstrip())  # matplotlib escapes the text within


def draw_line(ax: Axes, x: pd.Series, y: pd.Series, style: LineStyle, label: str, band: Sequence[Any] = ()) -> None:
    """Draw one line with some of its points marked; `band` holds its lower and upper bounds."""
    ax.plot(x, y, style.dashes, color=style.colour, marker=style.marker, markevery=max(1, len(x) // 12), label=label)
    if len(band):
        ax.fill_between(x, *band, color=style.colour, alpha=0.15, linewidth=0)
