"""Cached frames equal those on disk, are decoded once, and take no more memory than the limit."""

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


class CountingReader(FrameReader):
    """Counts how often it decodes each frame."""

    def __init__(self, reader: FrameReader) -> None:
        super().__init__(reader.folder, reader.first_V)
        self.decoded = [np.zeros(length, int) for length in LENGTHS]

    def read(self, video: int, frames: npt.NDArray[np.int64]) -> FramesArray:
        np.add.at(self.decoded[video], frames, 1)
        return super().read(video, frames)


def bytes_cached(frames: FrameCache) -> int:
    return sum(stored_NHWC.nbytes for stored_NHWC, _ in frames.cached.values())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("limit", "fewest", "most"),
    [
        pytest.param(sum(LENGTHS) * FRAME, 5, 5, id="memory for all"),
        pytest.param(30 * FRAME, 1, 4, id="memory for some"),
        pytest.param(FRAME - 1, 0, 0, id="memory for none"),
    ],
)
def test_random_requests_get_the_frames_on_disk(pack: Packer, seed: int, limit: int, fewest: int, most: int) -> None:
    reader = FrameStore(pack(LENGTHS, texture=True)).reader
    counting = CountingReader(reader)
    frames = FrameCache(counting, np.array(LENGTHS), limit)
    rng = np.random.default_rng(seed)
    asked = [np.zeros(length, int) for length in LENGTHS]
    for _ in range(80):
        video = int(rng.integers(len(LENGTHS)))
        wanted = rng.permutation(LENGTHS[video])[: rng.integers(1, LENGTHS[video] + 1)]
        asked[video][wanted] += 1
        assert np.array_equal(np.stack(list(frames.read(video, wanted))), reader.read(video, wanted))
        assert bytes_cached(frames) <= limit
    assert fewest <= len(frames.cached) <= most
    for video, times in enumerate(asked):
        expected = times.clip(max=1) if video in frames.cached else times
        assert counting.decoded[video].tolist() == expected.tolist()


def test_a_frame_requested_twice_in_one_call(pack: Packer) -> None:
    reader = FrameStore(pack(LENGTHS)).reader
    frames = FrameCache(reader, np.array(LENGTHS), 1e9)
    for wanted in ([3, 3, 0], [7, 3, 7], [0, 0]):
        assert np.array_equal(np.stack(list(frames.read(0, np.array(wanted)))), reader.read(0, np.array(wanted)))


def test_a_video_too_large_leaves_the_memory_to_others(pack: Packer) -> None:
    frames = FrameCache(FrameStore(pack(LENGTHS)).reader, np.array(LENGTHS), 17 * FRAME)
    for video in (2, 0, 1):
        frames.read(video, np.array([0]))
    assert set(frames.cached) == {0, 1}


def test_frames_that_cannot_be_decoded_are_not_cached(pack: Packer) -> None:
    folder = pack(LENGTHS)
    file = folder / "packs/pack-00000.bin"
    frames = FrameCache(FrameStore(folder).reader, np.array(LENGTHS), 1e9)
    frames.read(0, np.array([0]))
    content = file.read_bytes()
    file.write_bytes(b"\0" * len(content))
    with pytest.raises(UserError, match=r"pack-00000.bin: damaged"):
        frames.read(0, np.array([0, 1]))
    file.write_bytes(content)
    assert [image[0, 0, 0] for image in frames.read(0, np.array([0, 1]))] == [0, 1]
