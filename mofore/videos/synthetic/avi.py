"""AVI files whose size says nothing of what they show."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mofore.errors import UserError

CODEC = "XVID"


def write_avi(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float, shape: tuple[int, int], size: int) -> None:
    """Write a video and pad it to `size` bytes.

    Args:
        path: ends in `.avi`; its folder exists.
        frames: pictures [H, W, 3], BGR.
        fps: frames per second.
        shape: (W, H) in pixels.
        size: bytes that the file shall have, even. A file that is larger by itself stays so.

    Raises:
        UserError: this OpenCV cannot write such videos.
        OSError: the disk is full, or the folder cannot be written to; `filename` is the file.
    """
    path.open("wb").close()  # says what is wrong with a folder or a disk, which VideoWriter does not
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODEC), fps, shape)
    if not writer.isOpened():
        raise UserError(f"{path}: OpenCV cannot write {CODEC} videos here: install opencv-python-headless anew")
    for frame in frames:
        writer.write(frame)
    writer.release()
    try:
        _pad(path, size)
    except OSError as error:
        error.filename = str(path)  # a failed write does not say where
        raise


def _pad(path: Path, size: int) -> None:
    """Append a JUNK chunk, which every reader skips, to an AVI (a RIFF file: chunks of tag, length and data)."""
    with path.open("r+b") as file:
        file.seek(4)
        riff = int.from_bytes(file.read(4), "little") + 8
        natural = file.seek(0, os.SEEK_END)
        if riff != natural:  # VideoWriter says nothing when a write fails
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if natural + 8 > size:
            return
        file.write(b"JUNK" + (size - natural - 8).to_bytes(4, "little") + bytes(size - natural - 8))
        file.seek(4)
        file.write((size - 8).to_bytes(4, "little"))
