"""Small charts as SVG, to stand within a page of HTML: legible on a phone, the same bytes for the same data."""

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

WIDTH = 4.7  # inches: 338 units of the drawing, about the pixels of a phone, so that sizes of text are as they say
SVG_STYLE: dict[str, Any] = STYLE | {
    "svg.fonttype": "none",  # text stays text: small, and to be selected; the page says in what font
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
    """Within, charts look as SVG_STYLE says, whatever the user's own matplotlib settings."""
    with matplotlib.style.context(["default", SVG_STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # of the font to lay out with: the browser has others
        yield


class LineStyle(NamedTuple):
    """Of a line: told apart not by colour alone."""

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
    """A figure of one or more panels on its way to SVG; to be made, drawn on and written within `svg_style()`.

    Attributes:
        axes: the panels, row by row.
    """

    def __init__(self, height: float, rows: int = 1, columns: int = 1, **how: Any) -> None:
        self._figure = Figure(figsize=(WIDTH, height), layout="constrained")
        self.axes: list[Axes] = list(self._figure.subplots(rows, columns, squeeze=False, **how).flat)

    def legend(self, columns: int = 2, lines: Sequence[Artist] = ()) -> None:
        """Name lines above all panels, out of their way.

        Args:
            lines: if not those of the first panel that have a label. A label may then begin with "_", too.
        """
        lines = lines or self.axes[0].get_legend_handles_labels()[0]
        names = [str(drawn.get_label()) for drawn in lines]
        self._figure.legend(lines, names, loc="outside upper left", ncols=columns)

    def svg(self, name: str, alt: str) -> Markup:
        """The `<svg>` element, without what a page has no use for.

        Args:
            name: keeps what the drawing refers to by an id apart from that of other drawings in the page.
            alt: what it shows, in words, for who cannot see it.
        """
        file = io.StringIO()
        with matplotlib.rc_context({"svg.hashsalt": name}):
            metadata = dict.fromkeys(("Date", "Creator", "Type", "Format"))
            self._figure.savefig(file, format="svg", metadata=metadata)
        drawing = file.getvalue()
        inner = drawing[drawing.index("</defs>") + len("</defs>") :]  # past the prolog, and a style for the whole page
        inner = re.sub(r'<g id="[^"]*"', "<g", inner)  # no one refers to these, and other drawings have the same
        inner = re.sub(r'(<text style="[^"]*?)font-family: [^;"]*;? ?', r"\1", inner)
        width, height = self._figure.get_size_inches() * 72
        opening = Markup('<svg viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">').format(width, height, alt)
        return opening + Markup(inner.rstrip())  # matplotlib has escaped the text in it


def draw_line(ax: Axes, x: pd.Series, y: pd.Series, look: LineStyle, label: str, band: Sequence[Any] = ()) -> None:
    """Draw one line; `band` is its lower and upper bound."""
    ax.plot(x, y, look.dashes, color=look.colour, marker=look.marker, markevery=max(1, len(x) // 12), label=label)
    if len(band):
        ax.fill_between(x, *band, color=look.colour, alpha=0.15, linewidth=0)
