"""Is a video file shorter than it says itself? Told from its structure, whatever its frame counts claim."""

import os
from pathlib import Path
from typing import BinaryIO

ATOMS = {b"ftyp", b"free", b"skip", b"wide", b"moov", b"moof", b"mdat", b"sidx", b"styp", b"mfra", b"udta", b"uuid"}


def bytes_missing(file: Path) -> bool:
    """Whether the end of a file is not there.

    Known are AVI (RIFF), MP4 and MOV, Matroska and WebM; of other formats nothing is known, so False.

    Raises:
        OSError: the file cannot be read.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        head = opened.read(12)
        if head[:4] == b"RIFF":
            return int.from_bytes(head[4:8], "little") + 8 > size
        if head[:4] == b"\x1aE\xdf\xa3":
            return _matroska_end(opened) > size
        if head[4:8] in ATOMS:
            return _atoms_end(opened, size) > size
    return False


def _atoms_end(opened: BinaryIO, size: int) -> int:
    """Where an MP4 or MOV file should end, by its outermost atoms."""
    place = 0
    while place + 8 <= size:
        opened.seek(place)
        length, kind = int.from_bytes(opened.read(4)), opened.read(4)
        if length == 1:
            length = int.from_bytes(opened.read(8))
        if kind not in ATOMS or length < 8:  # appended by somebody else, or (0) open to the end
            break
        place += length
    return place


def _matroska_end(opened: BinaryIO) -> int:
    """Where a Matroska file should end: after its header comes one segment, whose length may be left open."""
    opened.seek(4)
    header = _matroska_length(opened)
    opened.seek(header, os.SEEK_CUR)
    if opened.read(4) != b"\x18\x53\x80\x67":
        return 0
    length = _matroska_length(opened)
    return opened.tell() + length


def _matroska_length(opened: BinaryIO) -> int:
    """A number of variable width: the zero bits in front of the first one tell how many bytes follow."""
    first = opened.read(1)
    if not first or not first[0]:
        return 0
    width = 9 - first[0].bit_length()
    value = int.from_bytes(first + opened.read(width - 1)) & ((1 << 7 * width) - 1)
    return 0 if value == (1 << 7 * width) - 1 else value  # all ones: not known
