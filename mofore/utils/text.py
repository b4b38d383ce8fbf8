"""Text for messages: counts with their nouns, and lists of names."""

from collections.abc import Sequence


def counted(number: int, one: str, many: str = "") -> str:
    """`1 video`, `2 videos`, `2,345 classes`, for a message."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def some_names(names: Sequence[str], most: int = 5) -> str:
    """The first few of many names, on one line, for a message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return " ".join((", ".join(names[:most]) + more).split())
