"""Which videos are new to a table, have changed since, or are gone from the disk."""

import os
from collections.abc import Mapping
from pathlib import Path

from mofore.collection.embed_file import TRANSIENT_REASONS
from mofore.collection.table import read_videos

Stamp = tuple[int, int]  # size of a file in bytes and its time in nanoseconds
NEVER = -1, -1  # the stamp of no file


def stamp_of(file: Path) -> Stamp | None:
    """Size and time of a file; None if they cannot be read."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def known_stamps(table: Path, again: bool = False) -> dict[str, Stamp]:
    """The stamps that the videos of a table had, by path; NEVER if the next attempt may be better than the last.

    Args:
        table: the file that `mofore embed` wrote; none if it does not exist.
        again: whether that is so for all that could not be read, or only in part; otherwise for TRANSIENT_REASONS.
    """
    if not table.exists():
        return {}
    rows = read_videos(table)
    hopeful = (rows.frames == 0) & rows.reason.str.fullmatch("|".join(TRANSIENT_REASONS))
    hopeful |= again & (rows.status != "ok")
    rows.loc[hopeful, ["size", "modified"]] = NEVER
    return dict(zip(rows.file, zip(rows["size"].astype(int), rows.modified.astype(int), strict=True), strict=True))


def is_new(video: Path, known: Mapping[str, Stamp]) -> bool:
    """Whether a video is to be embedded. What a table has of a file that cannot be looked at now stays."""
    if known.get(str(video), NEVER) == NEVER:
        return True
    stamp = stamp_of(video)
    return stamp is not None and stamp != known[str(video)]


def is_missing(video: Path) -> bool:
    """Whether there is no such file, as far as this user can see."""
    try:
        video.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def is_gone(video: Path) -> bool:
    """Whether a video was deleted.

    Not so if its folder cannot be looked into, or is missing or empty, which may be a disk that is not mounted.
    """
    if not is_missing(video):
        return False
    try:
        with os.scandir(video.parent) as entries:
            return any(True for _ in entries)
    except OSError:
        return False
