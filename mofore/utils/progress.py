"""Progress with an ETA on a terminal, silence when piped; and lines that do not tear a bar."""

import sys
from collections.abc import Iterable
from typing import NoReturn, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], total: int, what: str, unit: str, done: int = 0, hidden: bool = False) -> "tqdm[T]":
    """Show a bar with rate and ETA on stderr while `items` are gone through; nothing if stderr is no terminal.

    Args:
        items: those still to come.
        total: how many there are with those that an earlier run has done.
        what: the bar's name.
        unit: what one item is.
        done: items that an earlier run has done.
        hidden: show nothing in any case.
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


def progress_bytes(total: int, done: int, what: str) -> "tqdm[NoReturn]":
    """A bar with speed and ETA on stderr, to be moved with `update`; nothing if stderr is no terminal.

    Args:
        total: bytes at the end.
        done: bytes that an earlier run has done; they do not count towards the speed.
        what: the bar's name.
    """
    return tqdm(
        total=total, initial=done, desc=what, unit="B", unit_scale=True, disable=None, dynamic_ncols=True, leave=False
    )


def tell(line: str) -> None:
    """Print one line to stderr, above any bar."""
    tqdm.write(line, file=sys.stderr)
