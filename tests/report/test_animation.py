"""Looping clips show the middle of a video at its own speed, and are small."""

import io
from unittest.mock import patch

import pytest
from PIL import Image, WebPImagePlugin

from mofore.frames.store import FrameStore
from mofore.report.animation import HEIGHT, WIDTH, looping_clip
from tests.conftest import Packer

MOVING = 1  # this video of a textured pack moves sideways


def opened(webp: bytes) -> WebPImagePlugin.WebPImageFile:
    image = Image.open(io.BytesIO(webp))
    assert isinstance(image, WebPImagePlugin.WebPImageFile)
    return image


def durations(animation: bytes) -> list[int]:
    """Display time of each frame in milliseconds."""
    image = opened(animation)
    assert image.info["loop"] == 0, "repeats without end"
    milliseconds = []
    for frame in range(image.n_frames):
        image.seek(frame)
        image.load()
        milliseconds.append(int(image.info["duration"]))
    return milliseconds


@pytest.mark.parametrize(
    ("frames", "fps", "first", "last", "count", "duration"),
    [
        (100, 25.0, 19, 78, 20, 125),  # 2.5 s of 4 s
        (100, 0.0, 19, 78, 20, 125),  # unknown rate: 25 is assumed
        (25, 25.0, 0, 21, 8, 125),  # shorter than 2.5 s: the whole video
        (100, 5.0, 44, 55, 12, 200),  # a lower rate than 8 per second: every frame is kept
    ],
)
def test_shows_the_middle_at_its_own_speed(
    pack: Packer, frames: int, fps: float, first: int, last: int, count: int, duration: int
) -> None:
    videos = FrameStore(pack([1, frames], texture=True))
    videos.table["fps"] = fps
    with patch.object(videos, "read", wraps=videos.read) as read:
        animation, still, size = looping_clip(videos, MOVING)
    video, times = read.call_args.args
    assert video == MOVING
    assert (times[0], times[-1], len(times)) == (first, last, count)
    assert durations(animation) == [duration] * count
    assert opened(still).n_frames == 1
    assert size == (24, 20), "small frames are not enlarged"


def test_a_video_of_one_frame_gives_a_single_frame(pack: Packer) -> None:
    animation, still, _ = looping_clip(FrameStore(pack([1])), 0)
    assert opened(animation).n_frames == opened(still).n_frames == 1


@pytest.mark.parametrize(("height", "width"), [(300, 400), (400, 300), (100, 1000)])
def test_large_frames_are_scaled_down_with_their_aspect_ratio(pack: Packer, height: int, width: int) -> None:
    animation, still, size = looping_clip(FrameStore(pack([12], height=height, width=width)), 0)
    assert opened(still).size == opened(animation).size == size
    assert size[0] <= WIDTH
    assert size[1] <= HEIGHT
    assert size[0] == WIDTH or size[1] == HEIGHT
    assert size[0] / size[1] == pytest.approx(width / height, rel=0.1)


def test_same_frames_give_same_bytes(pack: Packer) -> None:
    videos = FrameStore(pack([1, 40], texture=True))
    assert looping_clip(videos, MOVING) == looping_clip(videos, MOVING)
