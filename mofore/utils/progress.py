"""Progress bars on stderr, shown only on a terminal, and messages that do not break a bar."""

import sys
from collections.abc import Iterable
from typing import NoReturn, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], total: int, what: str, unit: str, done: int = 0, hidden: bool = False) -> "tqdm[T]":
    """Iterate over items and show a progress bar with rate and remaining time on stderr.

    Nothing is shown if stderr is not a terminal.

    Args:
        items: the items still to be processed.
        total: number of all items, those that an earlier run processed included.
        what: name of the bar.
        unit: name of one item.
        done: number of items that an earlier run processed.
        hidden: never show the bar.
    """
    return tqdm(
        items,
        total=total,
        initial=done,
        desc=what,
        unit=unit,
        disable=hidden or None,
        dynamic_ncols=True,
        leave=False,
    )


def progress_bytes(total: int, done: int, what: str, hidden: bool = False) -> "tqdm[NoReturn]":
    """Return a progress bar for bytes, with speed and remaining time on stderr. Advance it with `update`.

    Nothing is shown if stderr is not a terminal.

    Args:
        total: number of all bytes.
        done: bytes that an earlier run processed; they do not count towards the speed.
        what: name of the bar.
        hidden: never show the bar.
    """
    return tqdm(
        total=total,
        initial=done,
        desc=what,
        unit="B",
        unit_scale=True,
        disable=hidden or None,
        dynamic_ncols=True,
        leave=False,
    )


def tell(line: str) -> None:
    """Print one line to stderr, above any progress bar."""
    tqdm.write(line, file=sys.stderr)
