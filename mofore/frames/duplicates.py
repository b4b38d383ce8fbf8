"""Videos that are there twice, byte for byte, under two names: a copy on both sides of the split falsifies scores."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np


def find_copies(files: Iterable[Path]) -> list[tuple[int, int]]:
    """Which files have the same bytes as an earlier one.

    Only files of equal size are read. Empty, missing and unreadable ones are no copies of anything.

    Args:
        files: can be gone through twice.

    Returns:
        Positions of the first file of the same bytes, and of a later one.
    """
    sizes, counts = np.unique(np.fromiter(map(_size, files), np.int64), return_counts=True)
    shared = set(sizes[counts > 1].tolist()) - {0}
    first: dict[bytes, int] = {}
    copies = []
    for number, file in enumerate(files):
        if _size(file) in shared:
            digest = _digest(file)
            if digest is not None and first.setdefault(digest, number) != number:
                copies.append((first[digest], number))
    return copies


def _size(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except OSError:
        return 0


def _digest(file: Path) -> bytes | None:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError:
        return None
