"""Formats counts and lists of names for messages."""

import os
from collections.abc import Sequence


def counted(number: int, one: str, many: str = "") -> str:
    """Format a number with its noun: `1 video`, `2 videos`, `2,345 classes`.

    Args:
        number: the count.
        one: the singular.
        many: the plural; by default the singular with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def shown(name: str) -> str:
    """A name that can be printed: bytes that are not UTF-8 as \\xff."""
    return os.fsencode(name).decode(errors="backslashreplace")


def some_names(names: Sequence[str], most: int = 5) -> str:
    """Format the first `most` names on one line, and the number of the others: `a, b and 3 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return " ".join((", ".join(names[:most]) + more).split())
