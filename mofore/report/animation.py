"""Short looping clips of videos, small enough to stand within a page.

Shapes: T frames, H height, W width.
"""

import io

import numpy as np
from PIL import Image

from mofore.frames.store import FrameStore

SECONDS, RATE = 2.5, 8  # length at most, and frames a second
WIDTH, HEIGHT = 128, 96  # pixels, at most
QUALITY = 40  # 0-100, of WebP


def looping_clip(frames: FrameStore, video: int) -> tuple[bytes, bytes, tuple[int, int]]:
    """The middle of a video at its own speed, as an animated WebP; and one frame of it, as a still one.

    Args:
        video: its number among `frames`.

    Returns:
        The animation, the still, and their width and height in pixels.
    """
    row = frames.table.iloc[video]
    rate = row["fps"] or 25.0  # 0: unknown
    length = min(int(row["frames"]), max(1, round(SECONDS * rate)))
    step = max(1.0, rate / RATE)
    times = (int(row["frames"]) - length) // 2 + np.arange(0, length, step).astype(np.int64)
    images = [Image.fromarray(frame) for frame in frames.read(video, times)]
    scale = min(1, WIDTH / images[0].width, HEIGHT / images[0].height)
    size = (max(1, round(images[0].width * scale)), max(1, round(images[0].height * scale)))
    images = [image.resize(size, Image.Resampling.BOX) if scale < 1 else image for image in images]
    moving, still = io.BytesIO(), io.BytesIO()
    how = {"duration": round(1000 * step / rate), "loop": 0, "quality": QUALITY, "method": 4}
    images[0].save(moving, "WEBP", save_all=True, append_images=images[1:], **how)
    images[len(images) // 2].save(still, "WEBP", quality=QUALITY, method=4)
    return moving.getvalue(), still.getvalue(), size
