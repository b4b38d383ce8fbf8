"""HTML from plain values. Words from outside (names of classes and videos, reasons) have to go through `escape`."""

from collections.abc import Iterable, Sequence
from html import escape


def section(name: str, title: str, *parts: str) -> str:
    """A section of the page, to be linked to by `#name`; the parts are HTML."""
    return f'<section id="{name}"><h2>{escape(title)}</h2>{"".join(parts)}</section>\n'


def captioned(title: str, how_to_read: str, drawing: str) -> str:
    """A figure with its title and, in words, how to read it; the drawing is HTML."""
    return f"<figure><figcaption><h3>{escape(title)}</h3><p>{escape(how_to_read)}</p></figcaption>{drawing}</figure>\n"


def empty(why: str) -> str:
    """In place of what cannot be shown."""
    return f'<p class="empty">{escape(why)}</p>'


def details(summary: str, content: str, unfolded: bool = False) -> str:
    """What folds and unfolds at a click; the content is HTML."""
    return f"<details{' open' if unfolded else ''}><summary>{escape(summary)}</summary>{content}</details>\n"


def scrolling_table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """A table that scrolls in a box of its own where the screen is narrower; the first cell of a row is its header.

    Args:
        caption: plain words.
        head, rows: HTML of each cell.
        kind: class of CSS: "numbers" are set flush right.
    """
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>\n'
        for first, *rest in rows
    )
    parts = f"<caption><span>{escape(caption)}</span></caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    table = f'<table class="{kind}">{parts}</table>'
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">{table}</div>\n'
