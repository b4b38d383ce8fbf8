"""Looping clips: the middle of a video, at its own speed, small."""

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
    """Milliseconds that each frame is shown."""
    image = opened(animation)
    assert image.info["loop"] == 0, "for ever"
    shown = []
    for frame in range(image.n_frames):
        image.seek(frame)
        image.load()
        shown.append(int(image.info["duration"]))
    return shown


@pytest.mark.parametrize(
    ("frames", "fps", "first", "last", "count", "duration"),
    [
        (100, 25.0, 19, 78, 20, 125),  # 2.5 s of 4
        (100, 0.0, 19, 78, 20, 125),  # unknown: as 25
        (25, 25.0, 0, 21, 8, 125),  # shorter: all of it
        (100, 5.0, 44, 55, 12, 200),  # slower than the loops' own rate: every frame, at its own pace
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
    assert size == (24, 20), "not enlarged"


def test_a_video_of_one_frame_stands_still(pack: Packer) -> None:
    animation, still, _ = looping_clip(FrameStore(pack([1])), 0)
    assert opened(animation).n_frames == opened(still).n_frames == 1


@pytest.mark.parametrize(("height", "width"), [(300, 400), (400, 300), (100, 1000)])
def test_large_frames_are_made_small_and_keep_their_aspect(pack: Packer, height: int, width: int) -> None:
    animation, still, size = looping_clip(FrameStore(pack([12], height=height, width=width)), 0)
    assert opened(still).size == opened(animation).size == size
    assert size[0] <= WIDTH
    assert size[1] <= HEIGHT
    assert size[0] == WIDTH or size[1] == HEIGHT
    assert size[0] / size[1] == pytest.approx(width / height, rel=0.1)


def test_same_frames_same_bytes(pack: Packer) -> None:
    videos = FrameStore(pack([1, 40], texture=True))
    assert looping_clip(videos, MOVING) == looping_clip(videos, MOVING)
