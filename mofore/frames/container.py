"""Tell from the structure of a video file, without decoding it, whether bytes are missing or it may be turned.

Frame counts in headers are not relied on.
"""

import os
import re
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

ATOMS = {b"ftyp", b"free", b"skip", b"wide", b"moov", b"moof", b"mdat", b"sidx", b"styp", b"mfra", b"udta", b"uuid"}
NEVER_PADDED = (b"\x1aE\xdf\xa3", b"FLV", b"0&\xb2u", b"OggS", b"G", b"\0\0\x01")  # the first bytes of such files
HEAD = 2**16  # bytes; with the first picture of a usual video
# How supplemental messages begin in H.264 and H.265, where a start code or a length is before each unit.
MESSAGES = re.compile(rb"\0\0(?:\x01|..)(?:\x06|\x4e\x01)", re.DOTALL)
MAX_MESSAGES, MAX_MESSAGES_OF_UNIT = 2**12, 32  # bytes, and number
DIRECTION_MESSAGE, LONG_DIRECTION = 47, 9  # "display orientation" in both standards; bytes, more than it can have
NOT_TURNED = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
MAX_MOOV = 2**24  # bytes; a longer one belongs to a video of hours, where decoding one frame is nothing
ASF_HEADER = b"0&\xb2u"
MAX_MPEG_PACKET = 2**17  # bytes; twice the longest packet of a program stream
MPEG_PACKETS = {bytes([kind]) for kind in range(0xBD, 0xF0)}  # private, padding, sound and video
OGG_PAGE, OGG_LAST_PAGE = b"OggS", 4  # how a page begins; a flag of it
MAX_OGG_TAIL = 2**18  # bytes; more than three of the longest pages
PROGRAM_END = b"\0\0\1\xb9"  # of an MPEG program stream; zeros may follow
ZEROS = 256  # bytes; so many at the end are no chance


def is_cut_off(file: Path) -> bool:
    """Whether the file is shorter than the lengths in its container require.

    Supports AVI (RIFF), MP4 and MOV, Matroska and WebM, and ASF (WMV). Returns False for all other formats. A file from
    whose middle bytes are missing is too short as well.

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
        if head[:4] == ASF_HEADER:
            return _asf_end(opened, size) > size
    return False


def is_fragmented(file: Path) -> bool:
    """Whether an MP4 file consists of fragments, so that no header gives the number of all its frames.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as opened:
        return any(kind == b"moof" for kind, _, _ in _mp4_atoms(opened, file.stat().st_size))


def ends_within_a_packet(file: Path) -> bool:
    """Whether an MPEG transport or program stream ends within one of its packets, or an Ogg file before its last page.

    False for other formats.

    Raises:
        OSError: the file cannot be read.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        if unit := _transport_packet(opened):
            opened.seek(size - size % unit + unit - 188)
            return opened.read(1) == b"G"  # how a packet begins; not what was appended
        opened.seek(0)
        head = opened.read(4)
        if head == OGG_PAGE:
            return _ogg_ends_early(opened, size)
        return head == b"\0\0\1\xba" and _last_mpeg_packet_end(opened, size) > size


def may_be_turned(file: Path) -> bool:
    """Whether a player may have to turn or mirror the pictures of a file; its first frame tells. Saves decoding it.

    False for AVI, FLV and ASF, and for MP4 and MOV with the usual matrix in their header and in that of each track,
    unless there is a message on the direction in the first picture of H.264. True for others.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as opened:
        head = opened.read(HEAD)
        if head[:4] in (ASF_HEADER, b"RIFF") or head[:3] == b"FLV":
            return _names_a_direction(head)
        if head[4:8] not in ATOMS:
            return True
        size = file.stat().st_size
        moov, pictures = _content(opened, size, b"moov", MAX_MOOV), _content(opened, size, b"mdat", HEAD)
    if len(moov) == MAX_MOOV or _names_a_direction(pictures):
        return True
    # After the name of the atom come version (1 byte; it decides how long times are), flags, times, and other fields.
    matrices = []
    for found in re.finditer(b"tkhd|mvhd", moov):
        offset = (40 if found.group() == b"tkhd" else 36) + (12 if moov[found.end() : found.end() + 1] == b"\1" else 0)
        matrices.append(moov[found.end() + offset :][:36])
    return not matrices or any(matrix != NOT_TURNED for matrix in matrices)


def ends_in_zeros(file: Path) -> bool:
    """Whether the last bytes are zeros, as after a download or a copy that was interrupted.

    Supports Matroska and WebM, FLV, ASF (WMV), Ogg and MPEG streams, which never end like this. Returns False for
    others: AVI and MP4 may be padded, and their decoders notice zeros instead of frames.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as opened:
        head = opened.read(4)
        if file.stat().st_size < 2 * ZEROS or not head.startswith(NEVER_PADDED):
            return False
        opened.seek(-min(file.stat().st_size, HEAD), os.SEEK_END)
        tail = opened.read()
    rest = tail.rstrip(b"\0")
    if len(tail) - len(rest) < ZEROS or rest.endswith(PROGRAM_END):
        return False
    return not any(_is_void(tail[at:]) for at in range(max(0, len(rest) - 9), len(rest)))


def _is_void(element: bytes) -> bool:
    """Whether this is a whole element of Matroska that keeps room free."""
    content = BytesIO(element[1:])
    return element[:1] == b"\xec" and _matroska_length(content) == len(element) - 1 - content.tell()


def _mp4_atoms(opened: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """The top-level atoms of an MP4 or MOV file: kind, and byte offsets of its content and of its end."""
    offset = 0
    while offset + 8 <= size:
        opened.seek(offset)
        length, kind = int.from_bytes(opened.read(4)), opened.read(4)
        if length == 1:  # a 64-bit length follows
            length = int.from_bytes(opened.read(8))
        if kind not in ATOMS or length < 8:  # foreign bytes after the video, or length 0: the atom ends with the file
            return
        content = opened.tell()
        offset += length
        yield kind, content, offset


def _mp4_end(opened: BinaryIO, size: int) -> int:
    """Byte offset at which an MP4 or MOV file should end, by the lengths of its top-level atoms."""
    return max((end for _, _, end in _mp4_atoms(opened, size)), default=0)


def _content(opened: BinaryIO, size: int, wanted: bytes, longest: int) -> bytes:
    """Content of the first atom of a kind, cut to `longest` bytes; empty if there is none."""
    for kind, content, end in _mp4_atoms(opened, size):
        if kind == wanted:
            opened.seek(content)
            return opened.read(min(end - content, longest))
    return b""


def _names_a_direction(pictures: bytes) -> bool:
    """Whether these bytes of an H.264 or H.265 stream seem to have a message on the direction of its pictures."""
    for found in MESSAGES.finditer(pictures):
        unit = pictures[found.end() : found.end() + MAX_MESSAGES].replace(b"\0\0\3", b"\0\0")  # without padding
        at = 0
        for _ in range(MAX_MESSAGES_OF_UNIT):
            if unit[at : at + 1] in (b"", b"\x80"):  # the end
                break
            kind, at = _message_number(unit, at)
            length, at = _message_number(unit, at)
            if kind == DIRECTION_MESSAGE and 0 < length < LONG_DIRECTION:
                return True
            at += length
    return False


def _message_number(data: bytes, at: int) -> tuple[int, int]:
    """A number of a supplemental message, the sum of its bytes up to the first below 255, and the offset after it."""
    total = 0
    while data[at : at + 1] == b"\xff":
        total, at = total + 255, at + 1
    return total + (data[at] if at < len(data) else 0), at + 1


def _asf_end(opened: BinaryIO, size: int) -> int:
    """Byte offset at which an ASF file should end, by the lengths of its header and its data."""
    offset = 0
    for _ in range(2):
        if offset + 24 > size:
            break
        opened.seek(offset + 16)
        offset += int.from_bytes(opened.read(8), "little")
    return offset


def _transport_packet(opened: BinaryIO) -> int:
    """Length of the packets of an MPEG transport stream, 188 or 192 bytes (with a time stamp); 0: it is none."""
    for length, first in ((188, 0), (192, 4)):
        opened.seek(0)
        start = opened.read(4 * length)
        if len(start) == 4 * length and all(start[at] == 0x47 for at in range(first, len(start), length)):
            return length
    return 0


def _ogg_ends_early(opened: BinaryIO, size: int) -> bool:
    """Whether the last page of an Ogg file is incomplete, or not marked as the last one of its stream."""
    begin = max(0, size - MAX_OGG_TAIL)
    opened.seek(begin)
    tail = opened.read()
    page = tail[tail.rfind(OGG_PAGE) :]
    if len(page) < 27 or len(page) < 27 + page[26]:  # its header: 27 bytes, then a length for each segment
        return True
    return len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]) or not page[5] & OGG_LAST_PAGE


def _last_mpeg_packet_end(opened: BinaryIO, size: int) -> int:
    """Byte offset at which the last packet of an MPEG program stream should end; 0 if there is none near the end."""
    begin = max(0, size - MAX_MPEG_PACKET)
    opened.seek(begin)
    tail = opened.read()
    at = end = 0
    while (at := tail.find(b"\0\0\1", at)) >= 0:
        is_packet = tail[at + 3 : at + 4] in MPEG_PACKETS
        if is_packet and len(tail) < at + 6:
            return size + 1
        length = 6 + int.from_bytes(tail[at + 4 : at + 6]) if is_packet else 3
        end = at + length if is_packet else end
        at += length
    return begin + end


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
