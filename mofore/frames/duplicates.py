"""Find video files with identical bytes: a copy on the other side of the train/test split makes scores too high."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np


def find_copies(files: Iterable[Path]) -> list[tuple[int, int]]:
    """Find the files that have the same bytes as an earlier file.

    Only files that share their size with another file are read. Empty, missing and unreadable files are ignored.

    Args:
        files: must allow several iterations.

    Returns:
        One pair (position of the first file with these bytes, position of the copy) for each copy.
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
