"""Hash video files: so that a changed file is decoded again, and copies of a file are found.

A copy in the other split makes scores too high.
"""

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mofore.catalog import VideoFile
from mofore.utils.progress import progress


def hash_files(root: Path, paths: Sequence[str], workers: int, quiet: bool = False) -> list[VideoFile]:
    """Hash some files. Those that are empty, missing or unreadable get size 0 and no hash.

    Args:
        root: folder to which `paths` are relative.
        paths: with forward slashes.
        workers: threads; hashing runs outside Python's lock.
        quiet: show no progress.
    """
    with ThreadPoolExecutor(max(1, workers)) as pool:
        hashed = pool.map(lambda path: _hash(root, path), paths)
        return list(progress(hashed, len(paths), "hashing", "video", hidden=quiet))


def find_copies(files: Iterable[VideoFile]) -> list[tuple[str, str]]:
    """Find the files that have the same bytes as an earlier file.

    Returns:
        One pair (path of the first file with these bytes, path of the copy) for each copy.
    """
    first: dict[str, str] = {}
    return [
        (first[file.blake2b], file.path)
        for file in files
        if file.size and first.setdefault(file.blake2b, file.path) != file.path
    ]


def _hash(root: Path, path: str) -> VideoFile:
    file = root / path
    try:
        if file.is_file() and (size := file.stat().st_size):  # a pipe would wait for a writer
            with file.open("rb") as opened:
                digest = hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=16))
            return VideoFile(path, size, digest.hexdigest())
    except OSError:
        pass  # the stage extract_frames says why it cannot be read
    return VideoFile(path, 0, "")
