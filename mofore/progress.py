"""Progress with an ETA on a terminal, silence when piped."""

from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], total: int, what: str, unit: str) -> "tqdm[T]":
    """Show a bar with rate and ETA on stderr while `items` are gone through; nothing if stderr is no terminal."""
    return tqdm(items, total=total, desc=what, unit=unit, disable=None, dynamic_ncols=True, leave=False)
