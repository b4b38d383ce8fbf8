"""Frames kept in memory are the frames on disk, are decoded once, and take no more room than they may."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mofore.errors import UserError
from mofore.frames.cache import FrameCache
from mofore.frames.store import FrameReader, FramesArray, FrameStore

Packer = Callable[..., Path]
LENGTHS = [12, 5, 30, 1, 18]
FRAME = 20 * 24 * 3  # bytes


class Counting(FrameReader):
    """Knows how often it has decoded each frame."""

    def __init__(self, reader: FrameReader) -> None:
        super().__init__(reader.folder, reader.first_V)
        self.decoded = [np.zeros(length, int) for length in LENGTHS]

    def read(self, video: int, frames: npt.NDArray[np.int64]) -> FramesArray:
        np.add.at(self.decoded[video], frames, 1)
        return super().read(video, frames)


def bytes_kept(frames: FrameCache) -> int:
    return sum(stored_NHWC.nbytes for stored_NHWC, _ in frames.cached.values())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("limit", "fewest", "most"),
    [
        pytest.param(sum(LENGTHS) * FRAME, 5, 5, id="room for all"),
        pytest.param(30 * FRAME, 1, 4, id="room for some"),
        pytest.param(FRAME - 1, 0, 0, id="room for none"),
    ],
)
def test_random_requests_get_the_frames_on_disk(pack: Packer, seed: int, limit: int, fewest: int, most: int) -> None:
    reader = FrameStore(pack(LENGTHS, texture=True)).reader
    counting = Counting(reader)
    frames = FrameCache(counting, np.array(LENGTHS), limit)
    rng = np.random.default_rng(seed)
    asked = [np.zeros(length, int) for length in LENGTHS]
    for _ in range(80):
        video = int(rng.integers(len(LENGTHS)))
        wanted = rng.permutation(LENGTHS[video])[: rng.integers(1, LENGTHS[video] + 1)]
        asked[video][wanted] += 1
        assert np.array_equal(np.stack(list(frames.read(video, wanted))), reader.read(video, wanted))
        assert bytes_kept(frames) <= limit
    assert fewest <= len(frames.cached) <= most
    for video, times in enumerate(asked):
        expected = times.clip(max=1) if video in frames.cached else times
        assert counting.decoded[video].tolist() == expected.tolist()


def test_a_frame_asked_for_more_than_once_at_a_time(pack: Packer) -> None:
    reader = FrameStore(pack(LENGTHS)).reader
    frames = FrameCache(reader, np.array(LENGTHS), 1e9)
    for wanted in ([3, 3, 0], [7, 3, 7], [0, 0]):
        assert np.array_equal(np.stack(list(frames.read(0, np.array(wanted)))), reader.read(0, np.array(wanted)))


def test_a_video_too_large_leaves_the_room_to_others(pack: Packer) -> None:
    frames = FrameCache(FrameStore(pack(LENGTHS)).reader, np.array(LENGTHS), 17 * FRAME)
    for video in (2, 0, 1):
        frames.read(video, np.array([0]))
    assert set(frames.cached) == {0, 1}


def test_what_cannot_be_decoded_is_not_kept(pack: Packer) -> None:
    folder = pack(LENGTHS)
    file = folder / "pack-00000.bin"
    frames = FrameCache(FrameStore(folder).reader, np.array(LENGTHS), 1e9)
    frames.read(0, np.array([0]))
    content = file.read_bytes()
    file.write_bytes(b"\0" * len(content))
    with pytest.raises(UserError, match=r"pack-00000.bin: damaged"):
        frames.read(0, np.array([0, 1]))
    file.write_bytes(content)
    assert [image[0, 0, 0] for image in frames.read(0, np.array([0, 1]))] == [0, 1]
