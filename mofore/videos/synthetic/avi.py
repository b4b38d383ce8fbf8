"""Writes AVI files padded to a given size, so that the file size does not reveal the content."""

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
        frames: images [H, W, 3], BGR.
        fps: frames per second.
        shape: (W, H) in pixels.
        size: size of the file in bytes, an even number. A file that is larger without padding keeps its size.

    Raises:
        UserError: this build of OpenCV cannot write such videos.
        OSError: the disk is full, or the folder is not writable; `filename` is set.
    """
    path.open("wb").close()  # raises a precise error for a bad folder or disk, which VideoWriter does not
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODEC), fps, shape)
    if not writer.isOpened():
        raise UserError(f"{path}: OpenCV cannot write {CODEC} videos here: reinstall opencv-python-headless")
    for frame in frames:
        writer.write(frame)
    writer.release()
    try:
        _pad(path, size)
    except OSError as error:
        error.filename = str(path)  # Python does not set it when a write fails
        raise


def _pad(path: Path, size: int) -> None:
    """Append a JUNK chunk to an AVI file. Readers skip this chunk.

    An AVI is a RIFF file, which consists of chunks: tag (4 bytes), length (4 bytes) and data.
    """
    with path.open("r+b") as file:
        file.seek(4)
        declared_size = int.from_bytes(file.read(4), "little") + 8
        actual_size = file.seek(0, os.SEEK_END)
        if declared_size != actual_size:  # a write failed, which VideoWriter does not report
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if actual_size + 8 > size:
            return
        file.write(b"JUNK" + (size - actual_size - 8).to_bytes(4, "little") + bytes(size - actual_size - 8))
        file.seek(4)
        file.write((size - 8).to_bytes(4, "little"))
