"""Encode short looping clips of videos, small enough to embed in the report page."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from mofore.frames.store import FrameStore

SECONDS, RATE = 2.5, 8  # maximum length, and frames a second
WIDTH, HEIGHT = 128, 96  # maximum size in pixels
QUALITY = 40  # of WebP, 0 to 100


def looping_clip(frames: FrameStore, video: int) -> tuple[bytes, bytes, tuple[int, int]]:
    """Encode the middle of a video as an animated WebP at the video's own speed, and one frame as a still WebP.

    Args:
        frames: the store that has the video.
        video: row of the video in `frames.table`.

    Returns:
        The animation, the still image, and their (width, height) in pixels. Frames are never enlarged.
    """
    row = frames.table.iloc[video]
    fps = row["fps"] or 25.0  # 0: unknown
    length = min(int(row["frames"]), max(1, round(SECONDS * fps)))
    step = max(1.0, fps / RATE)
    times = (int(row["frames"]) - length) // 2 + np.arange(0, length, step).astype(np.int64)
    images = [Image.fromarray(frame) for frame in frames.read(video, times)]
    scale = min(1, WIDTH / images[0].width, HEIGHT / images[0].height)
    size = (max(1, round(images[0].width * scale)), max(1, round(images[0].height * scale)))
    images = [image.resize(size, Image.Resampling.BOX) if scale < 1 else image for image in images]
    return *encode_loop(images, round(1000 * step / fps)), size


def encode_loop(images: Sequence[Image.Image], frame_ms: int) -> tuple[bytes, bytes]:
    """Encode images of one size as an animated WebP, and the middle one as a still WebP.

    Args:
        images: at least one.
        frame_ms: milliseconds for which each is shown.
    """
    moving, still = io.BytesIO(), io.BytesIO()
    options: dict[str, Any] = {"duration": frame_ms, "loop": 0, "quality": QUALITY, "method": 4}
    images[0].save(moving, "WEBP", save_all=True, append_images=images[1:], **options)
    images[len(images) // 2].save(still, "WEBP", quality=QUALITY, method=4)
    return moving.getvalue(), still.getvalue()


def webp_uri(webp: bytes) -> str:
    """A WebP as a data URI, for a page that needs no other file."""
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"
