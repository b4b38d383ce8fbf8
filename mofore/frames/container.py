"""Tell from the structure of a video file whether its end is missing, without relying on its frame counts."""

import os
from pathlib import Path
from typing import BinaryIO

ATOMS = {b"ftyp", b"free", b"skip", b"wide", b"moov", b"moof", b"mdat", b"sidx", b"styp", b"mfra", b"udta", b"uuid"}


def is_cut_off(file: Path) -> bool:
    """Whether the file is shorter than the lengths in its container require.

    Supports AVI (RIFF), MP4 and MOV, Matroska and WebM. Returns False for all other formats.

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
            return _mp4_end(opened, size) > size
    return False


def _mp4_end(opened: BinaryIO, size: int) -> int:
    """Byte offset at which an MP4 or MOV file should end, by the lengths of its top-level atoms."""
    offset = 0
    while offset + 8 <= size:
        opened.seek(offset)
        length, kind = int.from_bytes(opened.read(4)), opened.read(4)
        if length == 1:  # a 64-bit length follows
            length = int.from_bytes(opened.read(8))
        if kind not in ATOMS or length < 8:  # foreign bytes after the video, or length 0: the atom ends with the file
            break
        offset += length
    return offset


def _matroska_end(opened: BinaryIO) -> int:
    """Byte offset at which a Matroska file should end: after its header and one segment. Small if it is unknown."""
    opened.seek(4)
    header = _matroska_length(opened)
    opened.seek(header, os.SEEK_CUR)
    if opened.read(4) != b"\x18\x53\x80\x67":
        return 0
    length = _matroska_length(opened)
    return opened.tell() + length


def _matroska_length(opened: BinaryIO) -> int:
    """Read a length of variable width; 0 if it is unknown.

    The number of leading zero bits of the first byte is the number of bytes that follow it.
    """
    first = opened.read(1)
    if not first or not first[0]:
        return 0
    width = 9 - first[0].bit_length()
    value = int.from_bytes(first + opened.read(width - 1)) & ((1 << 7 * width) - 1)
    return 0 if value == (1 << 7 * width) - 1 else value  # all bits 1: unknown
