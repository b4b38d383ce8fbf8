"""Parts of the report page as plain values. `page.html.j2` turns them into HTML and escapes all of their text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

NO_VALUE = "\N{EN DASH}"


@dataclass(frozen=True)
class PageFigure:
    """A chart with its title and an explanation of how to read it.

    Attributes:
        title, how_to_read: plain text.
        svg: the chart; None if there is nothing to draw.
        why_empty: the reason for a missing chart, shown in its place.
    """

    title: str
    how_to_read: str
    svg: Markup | None = None
    why_empty: str = ""


@dataclass(frozen=True)
class Cell:
    """A table cell of several parts, shown in this order; a cell of plain text is a `str`.

    Attributes:
        text: the value.
        mark: a judgement of the value, such as "better".
        mark_class: CSS class that colours the mark.
        small: small print on a line of its own.
        small_class: CSS class of the small print; "range" keeps it on one line.
    """

    text: str
    mark: str = ""
    mark_class: str = ""
    small: str = ""
    small_class: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        caption: plain text above the table, also its name for screen readers.
        head: the column headers; a line feed breaks the line.
        rows: the cells; the first cell of a row is its header.
        css_class: "numbers" aligns the cells right.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    css_class: str = ""


def score_cell(scores: Mapping[str, float], name: str, digits: int) -> Cell | str:
    """A score with its interval, if it has one; NO_VALUE if there is no such score."""
    if name not in scores:
        return NO_VALUE
    low, high = scores.get(f"{name}_low"), scores.get(f"{name}_high")
    interval = "" if low is None else f"{low:.{digits}f} to {high:.{digits}f}"
    return Cell(f"{scores[name]:.{digits}f}", small=interval, small_class="range")
