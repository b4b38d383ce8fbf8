"""Tell from the structure of an AVI file, without decoding it, whether it is plain, and where its frames break off."""

import re
from collections.abc import Callable
from pathlib import Path

HEAD = 2**16  # bytes; with the header
PLAIN_CODECS = {b"XVID", b"DIVX", b"DX50", b"FMP4", b"MP4V"}
CHUNK = re.compile(rb"[ -~]{4}")  # the name of a chunk
VIDEO_CHUNK = re.compile(rb"[0-9A-Za-z]{2}d[bc]")  # number of the stream, then "db" or "dc"


def is_plain_avi(file: Path) -> bool:
    """Whether a file is an AVI with one video stream, whose codec stores neither colours nor a rotation.

    OpenCV decodes such a file correctly, or logs an error. Saves opening it twice; most old data sets consist of them.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    head = head[: head.find(b"movi") + 1]  # up to the first frame; empty if that is farther away
    if head[:4] != b"RIFF" or head[8:12] != b"AVI ":
        return False
    codecs = re.findall(rb"strh.{4}vids(.{4})", head, re.DOTALL)
    return len(codecs) == 1 and codecs[0].upper() in PLAIN_CODECS


def frames_before_a_break(file: Path, on_chunk: Callable[[], None] = lambda: None) -> int | None:
    """How many frames of an AVI file come before the place where its chunks do not follow one another.

    They do not where bytes are missing or overwritten. Demuxers go on at the next chunk that they find, without a word.
    The chunk before the break is not counted, as the damage often begins within it.

    Args:
        file: the file.
        on_chunk: called at each chunk, since a long file has millions.

    Returns:
        The number of frames; None if nothing is broken, or if this is no AVI file with a list of frames.

    Raises:
        OSError: the file cannot be read.
    """
    size = file.stat().st_size
    frames, stream, at = 0, b"", 12
    end = 0  # of the list of frames that contains `at`, or 0
    with file.open("rb") as opened:
        head = opened.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"AVI ":
            return None
        while at + 8 <= size:
            on_chunk()
            opened.seek(at)
            name, length, kind = opened.read(4), int.from_bytes(opened.read(4), "little"), opened.read(4)
            if not CHUNK.fullmatch(name) or (end and at + 8 + length > end):
                return max(0, frames - 1) if end else None
            if name == b"RIFF" or (name == b"LIST" and kind in (b"movi", b"rec ")):  # contain chunks
                end = min(size, at + 8 + (length or size)) if kind == b"movi" else end
                at += 12
            else:
                if VIDEO_CHUNK.fullmatch(name) and length and name[:2] == (stream or name[:2]):
                    frames, stream = frames + 1, name[:2]
                at += 8 + length + length % 2
            end = end if at < end else 0
    return None
